"""One environ, several runs: layers outside that try again, parts of a page that are dispatched inside, two sites.

A run gets a session of its own, unless the application is at work on the same request at this very moment.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from webtest import TestApp

from sessionware import Cookie, MemoryStore, Session, SessionManager, SessionMiddleware, get_session
from tests.support.fixed import SECRET
from tests.support.wsgi import Started

Environ = dict[str, Any]
App = Callable[[Environ, Any], Iterable[bytes]]

OTHER_SECRET = "Tr0ub4dor&3 and a horse of quite another colour"


@pytest.fixture
def manager() -> SessionManager:
    return SessionManager(SECRET, MemoryStore())


def environ_of(**given: Any) -> Environ:
    environ: Environ = {**given}
    setup_testing_defaults(environ)
    return environ


def counting(environ: Environ, start_response: Any) -> Iterable[bytes]:
    session = get_session(environ)
    session["n"] = session.get("n", 0) + 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(session["n"]).encode()]


# Layers outside that serve an environ again -------------------------------------------------------------------------


def finishes(environ: Environ, start_response: Any) -> Iterable[bytes]:
    return counting(environ, start_response)


def streams(environ: Environ, start_response: Any) -> Iterator[bytes]:
    yield from counting(environ, start_response)
    yield b"!"


def writes(environ: Environ, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])(b"".join(counting(environ, lambda *_: None)))
    return []


def raises(environ: Environ, start_response: Any) -> Iterable[bytes]:
    counting(environ, lambda *_: None)
    raise RuntimeError("please try again")


def raises_in_the_body(environ: Environ, start_response: Any) -> Iterator[bytes]:
    yield from counting(environ, start_response)
    raise RuntimeError("please try again")


def leaves_it(body: Any) -> None:
    """What becomes of a body that an error page takes the place of, with a layer that does not close it."""


def closes_it(body: Any) -> None:
    if hasattr(body, "close"):
        body.close()


def reads_a_chunk(body: Any) -> None:
    next(iter(body), None)


def reads_it(body: Any) -> None:
    for _ in body:
        pass


def reads_and_closes_it(body: Any) -> None:
    try:
        reads_it(body)
    finally:
        closes_it(body)


@pytest.mark.parametrize("copies", [False, True], ids=["the same environ", "a copy"])
@pytest.mark.parametrize("opens", [False, True], ids=["untouched", "touched before"])
@pytest.mark.parametrize("then", [leaves_it, closes_it, reads_a_chunk, reads_it, reads_and_closes_it])
@pytest.mark.parametrize("first", [finishes, streams, writes, raises, raises_in_the_body])
def test_environ_that_is_served_again_gets_a_session_of_its_own(
    manager: SessionManager, caplog: pytest.LogCaptureFixture, first: App, then: Any, opens: bool, copies: bool
) -> None:
    """Whatever became of the first run: the second one reads the cookie anew, is saved, and warns of nothing."""
    runs: list[Session] = []

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        runs.append(get_session(environ))
        if opens:
            runs[-1].get("n")
        return (counting if len(runs) > 1 else first)(environ, start_response)

    name, value = manager.login_cookie("ada")
    environ, site = environ_of(HTTP_COOKIE=f"{name}={value}"), manager.wrap(app)
    with suppress(RuntimeError):
        then(site(environ, Started()))
    answer = Started()
    body = site(environ.copy() if copies else environ, answer)

    assert runs[1] is not runs[0]
    assert answer.headers["Vary"] == "Cookie"
    (stored,) = manager.export(username="ada")
    assert [str(stored["data"]["n"]).encode()] == body
    assert "wrapped" not in caplog.text


def test_retries_may_go_on(manager: SessionManager, caplog: pytest.LogCaptureFixture) -> None:
    """As by a layer that tries again on a conflict: what the failed runs wrote is dropped, the last one is saved."""
    runs: list[Environ] = []

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        runs.append(environ)
        return (counting if len(runs) == 5 else raises)(environ, start_response)

    site = manager.wrap(app)

    def retrying(environ: Environ, start_response: Any) -> Iterable[bytes]:
        for _ in range(4):
            with suppress(RuntimeError):
                return site(environ, start_response)
        return site(environ, start_response)

    assert TestApp(retrying).get("/").text == "1"
    assert {record.levelno for record in caplog.records} == {logging.WARNING}  # session.write_discarded, of each run
    assert all("session.write_discarded" in message for message in caplog.messages)


# Inside: a part of the page that is dispatched by itself --------------------------------------------------------------


def the_same(environ: Environ) -> Environ:
    return environ


def another_method(environ: Environ) -> Environ:
    return {**environ, "REQUEST_METHOD": "POST", "HTTP_COOKIE": "", "wsgi.url_scheme": "https"}


PARTS = [the_same, Environ.copy, another_method]


@pytest.mark.parametrize("lazily", [False, True], ids=["called", "in the body"])
@pytest.mark.parametrize("part_of", PARTS, ids=["the same environ", "a copy", "a copy that is changed"])
def test_part_of_a_page_shares_the_pages_session(
    manager: SessionManager, caplog: pytest.LogCaptureFixture, part_of: Callable[[Environ], Environ], lazily: bool
) -> None:
    """One session, one cookie, nothing to warn of: the site is not wrapped twice, it is called from within."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        if environ.get("is a part"):
            return counting(environ, start_response)
        return page(environ, start_response) if lazily else list(page(environ, start_response))

    def page(environ: Environ, start_response: Any) -> Iterator[bytes]:
        own = b"".join(counting(environ, start_response))
        inner = part_of(environ)
        inner["is a part"] = True
        yield own + b"".join(site(inner, Started()))

    site = manager.wrap(app)
    response = TestApp(site).get("/")

    assert response.text == "12"
    assert len(response.headers.getall("Set-Cookie")) == 1
    assert caplog.records == []


def test_session_that_an_adapter_opens_inside_is_the_requests(
    manager: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    """`open` hands it out, and reads the request as it was on entry; under another key there is a second session."""
    other = SessionManager(OTHER_SECRET, cookie=Cookie(name="other"))
    told: list[str] = []

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        environ["wsgi.url_scheme"] = "https"
        opened, second = manager.open(environ), other.open(environ, environ_key="other")
        opened.session["n"] = second.session["n"] = 1
        opened.finish()
        second.finish()
        opened.session.commit()
        told.append(opened.cookie or "")
        start_response("200 OK", opened.headers(second.headers([("Content-Type", "text/plain")])))
        return []

    lines = TestApp(manager.wrap(app)).get("/").headers.getall("Set-Cookie")

    assert [line.partition("=")[0] for line in lines] == ["__Host-other", "sid"]
    assert lines[1].startswith(f"sid={told[0]};")
    assert caplog.records == []


# Two sites in one environ -------------------------------------------------------------------------------------------

REPLACES = "Each replaces the other's cookie"


def two_sites(app: App, inner: dict[str, Any], outer: dict[str, Any]) -> SessionMiddleware:
    inside = SessionMiddleware(app, SECRET, inner.pop("store", MemoryStore()), **inner)
    return SessionMiddleware(
        inside, outer.pop("secret", SECRET), outer.pop("store", None), environ_key="outer", **outer
    )


def uses_inner(environ: Environ, start_response: Any) -> Iterable[bytes]:
    return counting(environ, start_response)


def uses_both(environ: Environ, start_response: Any) -> Iterable[bytes]:
    get_session(environ, "outer")["n"] = 1
    return counting(environ, start_response)


def ends_inner(environ: Environ, start_response: Any) -> Iterable[bytes]:
    get_session(environ)["n"] = 1
    get_session(environ).invalidate()
    return counting(environ, start_response)


@pytest.mark.parametrize("app", [uses_inner, uses_both, ends_inner])
@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ({}, {}),
        ({}, {"secret": OTHER_SECRET}),
        ({"cookie": Cookie(path="/inner")}, {}),
        ({"cookie": Cookie(secure=False)}, {}),
        ({"cookie": Cookie(name="own")}, {"cookie": Cookie(name="own", samesite="Strict")}),
    ],
    ids=["one secret", "two secrets", "another path", "never secure", "a name of their own"],
)
def test_two_sites_with_one_cookie_name_are_warned_of(
    caplog: pytest.LogCaptureFixture, app: App, inner: dict[str, Any], outer: dict[str, Any]
) -> None:
    """Once, with what to write; whichever of them is used."""
    client = TestApp(two_sites(app, {**inner}, {**outer}))
    for _ in range(3):
        client.get("/")

    (warning,) = [message for message in caplog.messages if REPLACES in message]
    assert "cookie=Cookie(name=" in warning


@pytest.mark.parametrize("app", [uses_inner, uses_both, ends_inner])
@pytest.mark.parametrize("shares_store", [False, True])
def test_two_sites_with_two_cookie_names_live_side_by_side(
    caplog: pytest.LogCaptureFixture, app: App, shares_store: bool
) -> None:
    """Even in one store and namespace, where neither can open the other's cookie."""
    store = MemoryStore()
    stores = {"store": store} if shares_store else {}
    client = TestApp(two_sites(app, {**stores}, {**stores, "cookie": Cookie(name="outer")}))

    assert [client.get("/").text for _ in range(2)] in (["1", "2"], ["1", "1"])
    assert caplog.records == []
    if app is uses_both:
        assert set(client.cookies) == {"sid", "outer"}
        swapped = {"sid": client.cookies["outer"], "outer": client.cookies["sid"]}
        sent = "; ".join(f"{name}={value}" for name, value in swapped.items())
        assert TestApp(client.app).get("/", headers={"Cookie": sent}).text == "1"


def test_two_sites_beside_each_other_under_two_paths_of_one_host(caplog: pytest.LogCaptureFixture) -> None:
    """One secret and one cookie name, at two paths: browsers keep the cookies apart, and so do the sites."""
    sites = {path: SessionMiddleware(counting, SECRET, cookie=Cookie(path=path)) for path in ("/a", "/b")}

    def dispatch(environ: Environ, start_response: Any) -> Iterable[bytes]:
        return sites[environ["PATH_INFO"]](environ, start_response)

    client = TestApp(dispatch)

    assert [client.get(path).text for path in ("/a", "/b", "/a", "/b", "/a")] == ["1", "1", "2", "2", "3"]
    assert caplog.records == []


def test_two_managers_around_each_other_under_one_key_say_which_is_in_vain(caplog: pytest.LogCaptureFixture) -> None:
    """Wrapped by two managers, the inner one does nothing, and a warning says so; twice by one is the same session."""
    first, second = SessionManager(SECRET), SessionManager(OTHER_SECRET)

    TestApp(first.wrap(first.wrap(counting))).get("/")
    assert caplog.records == []

    client = TestApp(first.wrap(second.wrap(counting)))
    assert [client.get("/").text for _ in range(2)] == ["1", "2"]
    (warning,) = caplog.messages
    assert "wrapped in SessionMiddleware twice" in warning
    assert "Cookie(name=" in warning
