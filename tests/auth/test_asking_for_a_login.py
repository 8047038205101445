"""How an application asks for a login: by an exception, or by the 500 that its framework makes of it."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from wsgiref.util import setup_testing_defaults, shift_path_info
from wsgiref.validate import validator

import pytest
from webtest import TestApp, TestResponse
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from sessionware import MemoryStore, NotLoggedIn, StoreUnavailable, get_session
from sessionware._types import Environ, StartResponse
from sessionware.auth import AuthPages
from sessionware.testing import FaultyStore
from tests.support.auth_kit import PASSWORD, AuthSite
from tests.support.wsgi import Started

Act = Callable[[Environ], object]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

SECRET_HEADERS = [("Content-Type", "text/plain"), ("X-Secret", "1")]
CRASH = "500 Internal Server Error"


class Closable:
    """A body that notes whether it was closed."""

    closed = 0

    def __init__(self, chunks: Iterable[bytes] = (b"secret",)) -> None:
        self.chunks = iter(chunks)

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks

    def close(self) -> None:
        type(self).closed += 1


def at_once(ask: Act) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        ask(environ)
        return []

    return app


def after_starting(ask: Act) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", SECRET_HEADERS)
        ask(environ)
        return []

    return app


def at_the_first_chunk(ask: Act) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", SECRET_HEADERS)
        ask(environ)
        yield b"secret"

    return app


def asking(ask: Act, environ: Environ) -> Callable[[bytes], bytes]:
    def chunk(text: bytes) -> bytes:
        ask(environ)
        return text

    return chunk


def in_an_iterator(ask: Act) -> App:
    """As `map` is one, and what frameworks wrap around a stream."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", SECRET_HEADERS)
        return map(asking(ask, environ), [b"secret"])

    return app


def in_a_body_to_close(ask: Act) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", SECRET_HEADERS)
        return Closable(map(asking(ask, environ), [b"secret"]))

    return app


def as_500(ask: Act) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            ask(environ)
        except NotLoggedIn:
            start_response(CRASH, SECRET_HEADERS)
        return [b"secret"]

    return app


def as_500_with_a_body_to_close(ask: Act) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            ask(environ)
        except NotLoggedIn:
            start_response(CRASH, SECRET_HEADERS)
        return Closable()

    return app


def as_500_without_a_body(ask: Act) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            ask(environ)
        except NotLoggedIn:
            start_response(CRASH, SECRET_HEADERS)
        return []

    return app


def as_500_in_place_of_a_200(ask: Act) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", SECRET_HEADERS)
        try:
            ask(environ)
        except NotLoggedIn as error:
            start_response(CRASH, SECRET_HEADERS, (type(error), error, error.__traceback__))
        return [b"secret"]

    return app


def as_500_twice(ask: Act) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            ask(environ)
        except NotLoggedIn as error:
            start_response(CRASH, SECRET_HEADERS)
            start_response(CRASH, SECRET_HEADERS, (type(error), error, error.__traceback__))
        return [b"secret"]

    return app


def as_500_by_write(ask: Act) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            ask(environ)
        except NotLoggedIn:
            write = start_response(CRASH, SECRET_HEADERS)
            write(b"secret")
            write(b"secret")
        return [b"secret"]

    return app


def as_500_at_the_first_chunk(ask: Act) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        try:
            ask(environ)
        except NotLoggedIn:
            start_response(CRASH, SECRET_HEADERS)
        yield b"secret"
        yield b"secret"

    return app


def as_500_at_the_first_chunk_of_a_200(ask: Act) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", SECRET_HEADERS)
        try:
            ask(environ)
        except NotLoggedIn as error:
            start_response(CRASH, SECRET_HEADERS, (type(error), error, error.__traceback__))
        yield b"secret"

    return app


def as_500_with_an_empty_first_chunk(ask: Act) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        try:
            ask(environ)
        except NotLoggedIn:
            start_response(CRASH, SECRET_HEADERS)
        yield b""
        yield b"secret"

    return app


WAYS = [
    at_once,
    after_starting,
    at_the_first_chunk,
    in_an_iterator,
    in_a_body_to_close,
    as_500,
    as_500_with_a_body_to_close,
    as_500_without_a_body,
    as_500_in_place_of_a_200,
    as_500_twice,
    as_500_by_write,
    as_500_at_the_first_chunk,
    as_500_at_the_first_chunk_of_a_200,
    as_500_with_an_empty_first_chunk,
]
each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
each_500 = pytest.mark.parametrize(
    "way", [way for way in WAYS if way.__name__.startswith("as_500")], ids=lambda way: way.__name__
)


class AskingSite(AuthSite):
    """A site whose application asks for a login in this way, and does something more before it fails."""

    def __init__(self, way: Callable[[Act], App], meanwhile: Act = lambda environ: None, **settings: Any) -> None:
        super().__init__(**settings)
        self.meanwhile = meanwhile
        self.pages = AuthPages(way(self.ask), self.auth)
        self.served = self.wrapped(self.pages)

    def ask(self, environ: Environ) -> None:
        try:
            self.auth.require_user(environ)
        except NotLoggedIn:
            self.meanwhile(environ)
            raise

    def visitor(self) -> TestApp:
        return TestApp(self.served)


def visit(site: AskingSite, method: str = "GET", path: str = "/private/x?y=1", **headers: str) -> TestResponse:
    return site.visitor().request(path, method=method, headers=headers, expect_errors=True)


@each_way
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_every_way_to_ask_leads_to_the_login(way: Callable[[Act], App], method: str) -> None:
    """By a redirect if it can be asked for again, else by the page itself. Nothing of the application's is sent."""
    Closable.closed = 0
    response = visit(AskingSite(way), method)

    assert response.status_code == (403 if method == "POST" else 303)
    assert response.headers.get("Location") == (None if method == "POST" else "/login?next=/private/x%3Fy%3D1")
    assert (b"secret" in response.body, "X-Secret" in response.headers) == (False, False)
    assert (response.body == b"") == (method != "POST")
    assert Closable.closed == (way in (as_500_with_a_body_to_close, in_a_body_to_close))


@each_way
def test_operator_sees_what_was_asked_for(way: Callable[[Act], App], caplog: pytest.LogCaptureFixture) -> None:
    """As information: the path, without the query, and whether a 500 was replaced by it. Once."""
    caplog.set_level(logging.INFO, "sessionware")
    site = AskingSite(way)
    visit(site)

    (event,) = site.told("login.required")
    is_500 = way.__name__.startswith("as_500")
    assert event.detail == ("/private/x, in place of status 500" if is_500 else "/private/x")
    assert [record.levelname for record in caplog.records if "login.required" in record.message] == ["INFO"]


# What the application does to the environ


def served(site: AskingSite, method: str) -> tuple[str, dict[str, str], bytes]:
    """One request's answer, to an environ that is full of what requests have."""
    environ: Environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "/shop",
        "PATH_INFO": "/private/x",
        "QUERY_STRING": "y=1",
        "HTTP_HOST": "here.example",
        "HTTP_ACCEPT": "text/html",
        "HTTP_SEC_FETCH_MODE": "navigate",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": "3",
        "wsgi.input": io.BytesIO(b"a=b"),
    }
    setup_testing_defaults(environ)
    started = Started()
    body = site.manager.wrap(site.pages)(environ, started)
    chunks = b"".join(body)
    getattr(body, "close", lambda: None)()
    return started.status, started.headers, b"".join(started.written) + chunks


def changed(environ: Environ, key: str) -> None:
    environ[key] = "/evil"


def removed(environ: Environ, key: str) -> None:
    environ.pop(key, None)


@each_way
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("change", [changed, removed], ids=lambda change: change.__name__)
def test_what_an_application_does_to_the_environ_changes_nothing(
    way: Callable[[Act], App], method: str, change: Callable[[Environ, str], None]
) -> None:
    """PEP 3333 allows it any change, of every single key and of all at once."""
    keys: list[str] = []
    site = AskingSite(way, lambda environ: keys.extend(environ))
    untouched = served(site, method)
    assert len(keys) > 20

    for key in keys:
        site.meanwhile = lambda environ, key=key: change(environ, key)  # type: ignore[misc]
        assert served(site, method) == untouched, key
    site.meanwhile = lambda environ: environ.clear()
    assert served(site, method) == untouched


def shifting(inner: App) -> App:
    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        shift_path_info(environ)
        return inner(environ, start_response)

    return app


def dispatching(inner: App) -> App:
    def nothing(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        raise AssertionError

    app: App = DispatcherMiddleware(nothing, {"/private": inner})
    return app


@each_way
@pytest.mark.parametrize("dispatch", [shifting, dispatching], ids=lambda dispatch: dispatch.__name__)
def test_login_is_where_it_is_whoever_moves_the_path(way: Callable[[Act], App], dispatch: Callable[[App], App]) -> None:
    """A dispatcher moves the first part of the path to SCRIPT_NAME. The way there and back ends."""
    site = AskingSite(lambda ask: dispatch(way(ask)))
    site.register("Ada")
    visitor = site.visitor()

    assert visitor.get("/private/x").headers["Location"] == "/login?next=/private/x"
    form = visitor.post("/private/x", expect_errors=True).form
    assert form.action == "/login"
    form["username"], form["password"] = "Ada", PASSWORD
    assert form.submit().headers["Location"] == "/"


# What is no question for a login


@each_500
def test_a_500_of_another_kind_stays(way: Callable[[Act], App]) -> None:
    """Somebody is logged in by the time, so it must be another fault."""
    site = AskingSite(way)
    ada = site.register("Ada")
    site.meanwhile = lambda environ: site.auth.login_user(environ, ada)

    response = visit(site)

    assert (response.status_code, response.headers["X-Secret"]) == (500, "1")
    assert site.told("login.required") == []


def test_require_user_that_succeeds_takes_the_question_back() -> None:
    """The last answer counts, also if it is given when the 500 has been started."""

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        try:
            site.auth.require_user(environ)
        except NotLoggedIn:
            start_response(CRASH, SECRET_HEADERS)
        get_session(environ).login("Ada", user_id=ada.id, session_version=1)
        site.auth.require_user(environ)
        yield b"crash"

    site = AskingSite(lambda ask: app)
    ada = site.register("Ada")

    assert (visit(site).status_code, visit(site).body) == (500, b"crash")


@pytest.mark.parametrize("status", [f"{status.value} {status.phrase}" for status in HTTPStatus if status >= 200])
def test_only_a_500_is_replaced(status: str) -> None:
    """Whoever answers anything else has handled the exception."""

    def way(ask: Act) -> App:
        def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            with pytest.raises(NotLoggedIn):
                ask(environ)
            start_response(status, [("X-Mine", "1")])
            return [b"mine"]

        return app

    started = Started()
    environ: Environ = {"PATH_INFO": "/private"}
    setup_testing_defaults(environ)
    site = AskingSite(way)
    body = b"".join(site.manager.wrap(site.pages)(environ, started))

    assert (body == b"mine") == (started.status == status) == ("X-Mine" in started.headers) == (status[:3] != "500")


@each_500
def test_a_500_after_an_outage_is_the_outages(way: Callable[[Act], App]) -> None:
    """The 503 says so, and nobody is sent away to log in, who perhaps is logged in."""
    store = FaultyStore(MemoryStore())

    def meanwhile(environ: Environ) -> None:
        get_session(environ)["x"] = 1
        store.broken.add("create")
        with pytest.raises(StoreUnavailable):
            get_session(environ).commit()

    site = AskingSite(way, meanwhile, store=store)

    assert visit(site).status_code == 503
    assert site.told("login.required") == []


def test_an_outage_of_the_accounts_is_one_too() -> None:
    """Also if a framework makes a 500 of it, and the operator is told once."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        with pytest.raises(StoreUnavailable):
            site.auth.require_user(environ)
        start_response(CRASH, SECRET_HEADERS)
        return [b"secret"]

    site = AskingSite(lambda ask: app)
    site.register("Ada")
    browser = site.logged_in("Ada")
    site.users.broken["get"] = StoreUnavailable("the disk is on fire")
    browser.client.app = site.served

    assert browser.client.get("/private", expect_errors=True).status_code == 503
    assert [event.detail for event in site.told("store.unavailable")] == ["the disk is on fire"]
    assert site.told("login.required") == []


def test_a_mark_does_not_outlive_its_request() -> None:
    """A layer outside may serve an environ twice."""
    asks = iter([True, False])

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            if next(asks):
                site.auth.require_user(environ)
        except NotLoggedIn:
            pass
        start_response(CRASH, SECRET_HEADERS)
        return [b"crash"]

    site = AskingSite(lambda ask: app)
    environ: Environ = {"PATH_INFO": "/private"}
    setup_testing_defaults(environ)
    statuses = []
    for _ in range(2):
        started = Started()
        b"".join(site.manager.wrap(site.pages)(environ, started))
        statuses.append(started.status[:3])

    assert statuses == ["303", "500"]


def test_question_that_comes_too_late_is_an_error_like_any_other() -> None:
    """When bytes are out, the application gets its own exception back (PEP 3333), and no second response begins."""
    raised: list[BaseException] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"one"
        try:
            site.auth.require_user(environ)
        except NotLoggedIn as error:
            try:
                start_response(CRASH, [], (type(error), error, error.__traceback__))
            except NotLoggedIn as again:
                raised.append(again)
                raise

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
        if exc_info is not None:
            raise exc_info[1]
        return lambda chunk: None

    site = AskingSite(lambda ask: app)
    environ: Environ = {"PATH_INFO": "/private"}
    setup_testing_defaults(environ)
    environ["sessionware.session"] = site.manager.open(environ).session
    body = iter(site.pages(environ, start_response))

    assert next(body) == b"one"
    with pytest.raises(NotLoggedIn):
        next(body)
    assert len(raised) == 1


# Who is asked


PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CLIENTS: dict[str, tuple[dict[str, str], str]] = {
    "says nothing": ({}, "page"),
    "browser": ({"Accept": PAGE, "Sec-Fetch-Mode": "navigate"}, "page"),
    "browser on http": ({"Accept": PAGE}, "page"),
    "frame": ({"Accept": PAGE, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, "page"),
    "capitals": ({"Accept": "Text/HTML ; q=1"}, "page"),
    "curl": ({"Accept": "*/*"}, "text"),
    "fetch": ({"Accept": "*/*", "Sec-Fetch-Mode": "cors"}, "text"),
    "fetch of a page": ({"Accept": PAGE, "Sec-Fetch-Mode": "same-origin"}, "text"),
    "image": ({"Accept": "image/avif,*/*", "Sec-Fetch-Mode": "no-cors"}, "text"),
    "json": ({"Accept": "application/json"}, "json"),
    "json from a page": ({"Accept": "application/json", "Sec-Fetch-Mode": "cors"}, "json"),
    "axios on http": ({"Accept": "application/json, text/plain, */*"}, "json"),
    "problem": ({"Accept": "application/problem+json"}, "json"),
    "navigation for data": ({"Accept": "application/json", "Sec-Fetch-Mode": "navigate"}, "json"),
    "empty": ({"Accept": ""}, "text"),
}


@pytest.mark.parametrize("way", [at_once, at_the_first_chunk, as_500], ids=lambda way: way.__name__)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
@pytest.mark.parametrize(("headers", "gets"), CLIENTS.values(), ids=CLIENTS)
def test_only_what_shows_a_page_gets_one(
    way: Callable[[Act], App], method: str, headers: dict[str, str], gets: str
) -> None:
    """A script gets a 403 and a few words, and is never redirected, or it would take the login page for its answer."""
    response = visit(AskingSite(way), method, **headers)
    is_reading = method in ("GET", "HEAD")

    assert response.status_code == (303 if gets == "page" and is_reading else 403)
    assert ("Location" in response.headers) == (gets == "page" and is_reading)
    assert {"Accept", "Sec-Fetch-Mode"} <= {word.strip() for word in response.headers["Vary"].split(",")}
    assert response.headers["Cache-Control"] == "no-store"
    if method == "HEAD":
        assert response.body == b""
    elif gets == "json":
        assert response.json == {"error": "not_logged_in", "message": NotLoggedIn.message}
    elif gets == "text":
        assert (response.content_type, response.text) == ("text/plain", f"{NotLoggedIn.message}\n")
    elif method not in ("GET", "HEAD"):
        assert response.form.action == "/login"


# Several logins on one site


@each_way
@pytest.mark.parametrize(("who", "login"), [("shop", "/login"), ("staff", "/staff/login")])
def test_each_session_has_a_login_of_its_own(way: Callable[[Act], App], who: str, login: str) -> None:
    """Two sessions in one request, two sets of pages around each other. Who asked decides which login is shown."""
    shop, staff = AuthSite(), AuthSite()
    staff_auth = type(staff.auth)(staff.users, hasher=staff.hasher, environ_key="staff.session")
    asked = {"shop": shop.auth, "staff": staff_auth}
    app = way(lambda environ: asked[who].require_user(environ))
    for pages in (
        AuthPages(AuthPages(app, shop.auth), staff_auth, prefix="/staff"),
        AuthPages(AuthPages(app, staff_auth, prefix="/staff"), shop.auth),
    ):
        wrapped = staff.manager.wrap(shop.manager.wrap(pages), environ_key="staff.session")
        response = TestApp(validator(wrapped)).get("/private")
        assert urlsplit(response.headers["Location"]).path == login


@each_500
def test_one_auths_question_is_not_anothers(way: Callable[[Act], App]) -> None:
    """Of two on one session, the pages of the one do not answer for the other's framework."""
    site = AuthSite()
    other = type(site.auth)(site.users, hasher=site.hasher)
    pages = AuthPages(way(other.require_user), site.auth)

    assert TestApp(site.wrapped(pages)).get("/private", expect_errors=True).status_code == 500
