"""Behind a proxy: nginx takes the browser's connection, and a WSGI server on the same machine gets what nginx says.

What nginx is told decides: `X-Forwarded-Proto` makes the cookie a Secure one, `Host` lets the site know its own forms.
docs/deployment.md gives the advice that follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import dev
from sessionware import Cookie, MemoryStore, SessionMiddleware, get_session
from tests.support.fixed import SECRET
from tests.support.tls import (
    Certificate,
    Probe,
    ProbeAnswer,
    Tab,
    chromium,
    fetch,
    make_certificate,
    nginx,
    serve,
    serve_by_gunicorn,
    serve_by_waitress,
)

PROTO = "proxy_set_header X-Forwarded-Proto $scheme"
HOST = "proxy_set_header Host $http_host"
FRESH = {"visits": 1, "username": None}

#: Waitress drops X-Forwarded-Proto unless it is told which proxy to believe.
BELIEVES = {"trusted_proxy": "127.0.0.1", "trusted_proxy_headers": {"x-forwarded-proto"}}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def chromium_tab() -> Iterator[Tab]:
    with chromium() as tab:
        yield tab


@pytest.fixture
def tab(chromium_tab: Tab) -> Tab:
    return chromium_tab.forget()


Site = Callable[..., int]


@pytest.fixture
def put_online(tmp_path: Path, certificate: Certificate) -> Iterator[Site]:
    """Puts a probe behind nginx with these lines in its configuration, over https unless told, and gives the port."""
    with ExitStack() as stack:

        def start(probe: Probe, *lines: str, https: bool = True, waitress: Mapping[str, object] = BELIEVES) -> int:
            upstream = stack.enter_context(serve_by_waitress(probe, **waitress))
            return stack.enter_context(nginx(tmp_path, upstream, *lines, certificate=certificate if https else None))

        yield start


# ---- the cookie ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waitress", [BELIEVES, {"clear_untrusted_proxy_headers": False}])
def test_told_of_https_the_cookie_is_the_strict_one(
    put_online: Callable[..., Any], certificate: Certificate, waitress: dict[str, Any]
) -> None:
    """It does not matter whether the server turns the header into the scheme or only hands it on."""
    port = put_online(Probe(), PROTO, HOST, waitress=waitress)
    site = f"https://127.0.0.1:{port}"

    first = fetch(site, trusted=certificate)

    assert first.set_cookie is not None
    assert first.set_cookie.startswith("__Host-sid=")
    assert first.set_cookie.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
    assert fetch(site, headers={"Cookie": first.cookie}, trusted=certificate).state["visits"] == 2


@pytest.mark.parametrize(
    ("lines", "waitress"),
    [((HOST,), BELIEVES), ((HOST, PROTO), {})],
    ids=["nginx does not say it", "waitress does not believe it"],
)
def test_not_told_of_https_the_site_works_with_the_plain_cookie(
    put_online: Callable[..., Any], tab: Tab, lines: tuple[Any, ...], waitress: dict[str, Any]
) -> None:
    """A login holds and a logout ends it; what is missing is what `__Host-` and Secure protect from."""
    site = f"https://b.example.test:{put_online(Probe(), *lines, waitress=waitress)}"

    assert tab.visit(site) == FRESH
    assert tab.press("login") == {"visits": 1, "username": "ada"}
    assert tab.visit(site) == {"visits": 2, "username": "ada"}
    assert [(name, cookie["secure"]) for name, cookie in tab.cookies.items()] == [("sid", False)]

    tab.press("logout")
    assert tab.cookies == {}


def test_a_site_that_begins_to_be_told_of_https_goes_on_with_new_sessions(
    tmp_path: Path, certificate: Certificate, tab: Tab
) -> None:
    """The plain cookies are not read any more and do no harm: everybody logs in once more."""
    probe = Probe()
    with serve_by_waitress(probe, **BELIEVES) as upstream:
        with nginx(tmp_path, upstream, HOST, certificate=certificate) as port:
            tab.visit(f"https://b.example.test:{port}")
            tab.press("login")
        with nginx(tmp_path, upstream, HOST, PROTO, certificate=certificate) as port:
            assert tab.visit(f"https://b.example.test:{port}") == FRESH
            assert tab.press("login") == {"visits": 1, "username": "ada"}
            assert tab.visit(f"https://b.example.test:{port}") == {"visits": 2, "username": "ada"}

    assert set(tab.cookies) == {"sid", "__Host-sid"}
    assert "session.cookie_conflict" not in probe.told


def test_forged_header_that_nginx_hands_on_makes_the_cookie_stricter_only(put_online: Callable[..., Any]) -> None:
    """Over plain http, with an nginx that says nothing of its own: the client gets a cookie that only it can use."""
    site = f"http://127.0.0.1:{put_online(Probe(), HOST, https=False)}"
    forged = {"X-Forwarded-Proto": "https"}

    plain = fetch(site)
    strict = fetch(site, headers={**forged, "Cookie": plain.cookie})

    assert plain.cookie.startswith("sid=")
    assert (strict.state, strict.cookie.partition("=")[0]) == (FRESH, "__Host-sid")
    assert fetch(site, headers={"Cookie": strict.cookie}).state == FRESH


def test_forged_header_is_overwritten_by_an_nginx_that_says_the_scheme(
    put_online: Callable[..., Any], certificate: Certificate
) -> None:
    """`proxy_set_header` replaces what the client sent, so the client cannot make the cookie a weaker one."""
    port = put_online(Probe(), PROTO, HOST)

    answer = fetch(f"https://127.0.0.1:{port}", headers={"X-Forwarded-Proto": "http"}, trusted=certificate)

    assert answer.cookie.startswith("__Host-sid=")


def test_cookie_that_is_always_secure_does_not_depend_on_the_proxy(put_online: Callable[..., Any], tab: Tab) -> None:
    """`secure=True` is for sites that are https only: browsers see https, whatever nginx says."""
    site = f"https://b.example.test:{put_online(Probe(cookie=Cookie(secure=True)), HOST)}"

    assert [tab.visit(site)["visits"] for _ in range(2)] == [1, 2]
    assert list(tab.cookies) == ["__Host-sid"]


def test_the_page_gives_the_lines_that_are_tested() -> None:
    """What a reader copies from docs/deployment.md is what was tried out here."""
    page = (dev.ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")

    assert [line for line in (PROTO, HOST, "Host $host:$server_port") if line not in page] == []


def test_gunicorn_believes_a_proxy_on_its_own_machine(tmp_path: Path, certificate: Certificate) -> None:
    """Without any setting, over TCP; the cookie is the strict one."""
    with serve_by_gunicorn() as upstream, nginx(tmp_path, upstream, PROTO, HOST, certificate=certificate) as port:
        answer = fetch(f"https://127.0.0.1:{port}", trusted=certificate)

    assert answer.cookie.startswith("__Host-sid=")


# ---- forms ---------------------------------------------------------------------------------------------------------


def log_in(port: int, certificate: Certificate | None, **headers: str) -> ProbeAnswer:
    """What a browser sends when the login form of a page of this site is posted."""
    scheme = "https" if certificate else "http"
    origin = {"Origin": f"{scheme}://127.0.0.1:{port}"}
    sent = {**origin, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return fetch(f"{scheme}://127.0.0.1:{port}/login", "POST", headers=sent, trusted=certificate)


@pytest.mark.parametrize("https", [True, False])
@pytest.mark.parametrize(
    ("host", "works_by_origin"),
    [
        (HOST, True),
        ("proxy_set_header Host $host:$server_port", True),
        ("proxy_set_header Host $host", False),
        ("proxy_set_header Host $proxy_host", False),
    ],
    ids=["$http_host", "$host and port", "$host loses the port", "what nginx sends by itself"],
)
def test_form_of_a_browser_that_sends_only_origin_needs_the_host(
    put_online: Callable[..., Any], certificate: Certificate, host: str, works_by_origin: bool, https: bool
) -> None:
    """Older browsers, and all of them over plain http, say no more than Origin, and that has to be the Host.

    What Sec-Fetch-Site says, which newer ones send over https, holds whatever became of the Host.
    """
    probe = Probe()
    port = put_online(probe, PROTO, host, https=https)
    trusted = certificate if https else None

    assert log_in(port, trusted, Sec_Fetch_Site="same-origin").state["username"] == "ada"
    assert log_in(port, trusted, Sec_Fetch_Site="cross-site").state["username"] is None
    probe.events.clear()

    assert (log_in(port, trusted).state["username"] == "ada") is works_by_origin
    assert ("session.cross_origin" in probe.told) is not works_by_origin
    assert log_in(port, trusted, Origin="https://evil.example").state["username"] is None


def test_application_names_the_site_where_the_host_cannot_be_handed_on(
    tmp_path: Path, certificate: Certificate
) -> None:
    """To put the public name into the environ is the way out for those who cannot change the proxy."""
    probe = Probe()

    def site(environ: dict[str, Any], start_response: Any) -> Any:
        environ["HTTP_HOST"] = "www.example.test"
        return probe(environ, start_response)

    with serve_by_waitress(site) as upstream, nginx(tmp_path, upstream, certificate=certificate) as port:
        assert log_in(port, certificate, Origin="https://www.example.test").state["username"] == "ada"
        assert log_in(port, certificate, Origin="https://evil.example").state["username"] is None


def test_chromium_posts_forms_over_https_whatever_becomes_of_the_host(put_online: Callable[..., Any], tab: Tab) -> None:
    """Because it sends Sec-Fetch-Site there."""
    site = f"https://b.example.test:{put_online(Probe(), PROTO)}"

    tab.visit(site)
    assert tab.press("login")["username"] == "ada"


@pytest.mark.parametrize(("lines", "expected"), [((HOST,), "ada"), ((), None)])
def test_chromium_posts_forms_over_http_only_if_the_host_is_handed_on(
    put_online: Callable[..., Any], tab: Tab, lines: tuple[Any, ...], expected: str | None
) -> None:
    """Sec-Fetch-Site is sent to secure addresses only, so Origin and Host have to agree; if not, an event tells why."""
    probe = Probe()
    site = f"http://b.example.test:{put_online(probe, *lines, https=False)}"

    tab.visit(site)
    assert tab.press("login")["username"] == expected
    assert ("session.cross_origin" in probe.told) is (expected is None)


# ---- a cache that everybody shares ---------------------------------------------------------------------------------

CACHE = ("proxy_cache pages", "proxy_cache_valid any 1m", "add_header X-Cache $upstream_cache_status always")

#: An nginx that was told to keep even responses that set cookies.
GREEDY = (*CACHE, "proxy_ignore_headers Set-Cookie")

#: All that an application may have said of its pages, when it had no sessions yet.
KEEP_IT: dict[str, list[tuple[str, str]]] = {
    "nothing": [],
    "Cache-Control": [("Cache-Control", "public, max-age=60")],
    "s-maxage": [("Cache-Control", "s-maxage=60")],
    "Expires": [("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")],
    "X-Accel-Expires": [("X-Accel-Expires", "60")],
    "X-Accel-Expires, lower case": [("x-accel-expires", "@4070908800")],
    "Surrogate-Control": [("Surrogate-Control", "max-age=60"), ("CDN-Cache-Control", "max-age=60")],
    "everything": [
        ("X-Accel-Expires", "60"),
        ("Expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
        ("Pragma", "public"),
        ("Cache-Control", "public, max-age=60"),
        ("CDN-Cache-Control", "max-age=60"),
    ],
    "private, and yet": [("X-Accel-Expires", "60"), ("Cache-Control", "private, max-age=60")],
}


class Cached(NamedTuple):
    """What came through the cache."""

    body: str
    cookie: str | None
    cache: str | None


def through_cache(port: int, path: str, **headers: str) -> Cached:
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        body = response.read().decode()
        return Cached(body, response.getheader("Set-Cookie"), response.getheader("X-Cache"))


@pytest.fixture
def cached(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Puts an application with sessions behind an nginx that keeps pages, and gives the port."""
    with ExitStack() as stack:

        def start(app: Callable[..., Iterable[bytes]], *lines: str) -> int:
            site = SessionMiddleware(app, SECRET, MemoryStore())
            upstream = stack.enter_context(
                serve(site)
            )  # waitress would sort the headers, and nginx goes by their order
            return stack.enter_context(nginx(tmp_path, upstream, *lines))

        yield start


@pytest.mark.parametrize("lines", [CACHE, GREEDY], ids=["as it comes", "told to keep cookies"])
def test_page_with_somebodys_cookie_is_served_to_nobody_else(
    cached: Callable[..., int], lines: tuple[str, ...]
) -> None:
    """Whatever the application says of its pages, nginx asks for this one anew: one visitor, one cookie."""
    served = iter(range(1000))

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path, number = environ["PATH_INFO"], next(served)
        own = list(KEEP_IT.values())[int(path.rpartition("/")[2])]
        if path.startswith("/session"):
            get_session(environ)["number"] = number
        start_response("200 OK", [("Content-Type", "text/plain"), *own])
        return [str(number).encode()]

    port = cached(app, *lines)
    for place, said in enumerate(KEEP_IT):
        first, second = (through_cache(port, f"/session/{place}") for _ in range(2))
        assert (second.body != first.body, second.cookie != first.cookie) == (True, True), said
        assert None not in (first.cookie, second.cookie), said

    # Without a session, nginx does keep each of them; else this would prove nothing.
    plain = [{through_cache(port, f"/plain/{place}").body for _ in range(2)} for place in range(len(KEEP_IT))]
    assert [len(bodies) for bodies in plain] == [1] * len(KEEP_IT)


def test_cache_keeps_languages_apart_where_a_session_is_looked_at(cached: Callable[..., int]) -> None:
    """nginx keys by one line of Vary, in which the application's word and the session's both stand."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        get_session(environ).get("name")
        own = [("Vary", "Accept-Language"), ("Cache-Control", "public, max-age=60")]
        start_response("200 OK", [("Content-Type", "text/plain"), *own])
        return [environ.get("HTTP_ACCEPT_LANGUAGE", "").encode()]

    port = cached(app, *CACHE)
    asked = ["de", "fr", "de", "fr"]
    answers = [through_cache(port, "/", Accept_Language=language) for language in asked]

    assert [answer.body for answer in answers] == asked
    assert [answer.cache for answer in answers] == ["MISS", "MISS", "HIT", "HIT"]
    assert through_cache(port, "/", Accept_Language="de", Cookie="sid=another").cache == "MISS"
