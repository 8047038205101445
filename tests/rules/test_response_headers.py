"""What the session's headers do to those of the application: merged, never doubled, and no cookie in a shared cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from webtest import TestApp

from sessionware import Cookie, MemoryStore, SessionManager, SessionMiddleware, StoreUnavailable, get_session
from sessionware.auth import Auth, AuthPages, MemoryUsers
from tests.support.fixed import SECRET

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Way = Callable[[Headers, bool], Headers]


MANAGER = SessionManager(SECRET)
NAME, TICKET = MANAGER.login_cookie("ada", data={"n": 1})


def environ_of() -> Environ:
    environ: Environ = {"HTTP_COOKIE": f"{NAME}={TICKET}"}
    setup_testing_defaults(environ)
    return environ


def use(environ: Environ, sets_cookie: bool) -> None:
    """Look at a session, or do what sends its cookie."""
    session = get_session(environ)
    session.get("n")
    if sets_cookie:
        session.remember(3600)


def sent_by(app: Callable[..., Iterable[bytes]]) -> Headers:
    """The headers that reach the server at last."""
    starts: list[Headers] = []
    body = MANAGER.wrap(app)(environ_of(), lambda _status, headers, _info=None: (starts.append(headers), len)[1])
    list(body)
    return starts[-1]


def as_a_list(own: Headers, sets_cookie: bool) -> Headers:
    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        use(environ, sets_cookie)
        start_response("200 OK", own)
        return [b""]

    return sent_by(app)


def streamed(own: Headers, sets_cookie: bool) -> Headers:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", own)
        use(environ, sets_cookie)
        yield b""

    return sent_by(app)


def by_write(own: Headers, sets_cookie: bool) -> Headers:
    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", own)
        use(environ, sets_cookie)
        write(b"")
        return []

    return sent_by(app)


def started_again(own: Headers, sets_cookie: bool) -> Headers:
    """With headers that take the place of others, when those are already on their way."""

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        use(environ, sets_cookie)
        start_response("200 OK", [("Vary", "Origin"), ("Cache-Control", "public")])
        yield b""
        start_response("500 Oops", own, (RuntimeError, RuntimeError(), None))
        yield b""

    return sent_by(app)


def by_an_adapter(own: Headers, sets_cookie: bool) -> Headers:
    environ = environ_of()
    opened = MANAGER.open(environ)
    use(environ, sets_cookie)
    opened.finish()
    headers = opened.headers(own)
    opened.close()
    return headers


WAYS: list[Way] = [as_a_list, streamed, by_write, started_again, by_an_adapter]

TYPE, ETAG = ("Content-Type", "text/plain"), ("ETag", '"1"')


def lines_of(headers: Headers, name: str) -> list[str]:
    return [value for each, value in headers if each.lower() == name.lower()]


def words(lines: list[str]) -> list[str]:
    return [word.strip() for line in lines for word in line.split(",") if word.strip()]


# Vary -----------------------------------------------------------------------------------------------------------------

VARY = [
    (name, value)
    for name, value in product(
        ("Vary", "vary", "VARY", "vArY"),
        ("Accept", "Accept-Language , Accept", "Cookie", "Accept, COOKIE", "*", "", " ", ",", "Accept,"),
    )
]


@pytest.mark.parametrize("sets_cookie", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_vary_is_one_line_with_all_that_the_application_says(way: Way, sets_cookie: bool) -> None:
    """Some caches read only the last line. `*` says it all, and nothing else is touched or reordered."""
    for own in ([], *([line] for line in VARY), *(list(each) for each in product(VARY, VARY))):
        headers = way([TYPE, *own, ETAG], sets_cookie)
        (line,) = lines_of(headers, "Vary")
        said = words([value for _, value in own])
        is_said = {word.lower() for word in said} & {"cookie", "*"}

        assert words([line]) == (said if is_said else [*said, "Cookie"]), own
        assert [each for each in headers if each in (TYPE, ETAG)] == [TYPE, ETAG]


# Cache-Control --------------------------------------------------------------------------------------------------------

CACHING = [
    (name, value)
    for name, value in product(
        ("Cache-Control", "cache-control", "CACHE-Control"),
        ("public, max-age=60", "private", "PRIVATE, max-age=3", "no-store", "no-cache", 'private="x"', "", " ,"),
    )
]


@pytest.mark.parametrize("sets_cookie", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_cache_control_is_the_applications_or_ours_but_never_both(way: Way, sets_cookie: bool) -> None:
    """With the cookie, only what keeps shared caches out may stand; without, whatever the application says."""
    for own in ([], *([line] for line in CACHING), *(list(each) for each in product(CACHING, CACHING))):
        said = [value for _, value in own]
        is_private = {word.lower() for word in words(said)} & {"private", "no-store"}
        may_stand = is_private if sets_cookie else words(said)

        sent = lines_of(way([TYPE, *own, ETAG], sets_cookie), "Cache-Control")

        assert sent == (said if may_stand else ["no-store" if sets_cookie else "private, no-cache"]), own


#: Shared caches obey these in place of Cache-Control: RFC 9213, W3C's Edge Architecture, Akamai, nginx, LiteSpeed.
FOR_SOME_CACHES = (
    ("CDN-Cache-Control", "max-age=60"),
    ("Cloudflare-CDN-Cache-Control", "max-age=60"),
    ("Akamai-Cache-Control", "max-age=60"),
    ("X-LiteSpeed-Cache-Control", "public,max-age=60"),
    ("Surrogate-Control", "max-age=60"),
    ("Edge-Control", "cache-maxage=60"),
    ("X-Accel-Expires", "60"),
)

#: These say nothing of whether a response may be stored, or less than Cache-Control, which goes before them.
HARMLESS = (
    ("Pragma", "public"),
    ("Age", "5"),
    ("Last-Modified", "Thu, 01 Jan 2099 00:00:00 GMT"),
    ("Surrogate-Key", "front-page"),
    ("Cache-Tag", "front-page"),
    ("Cache-Status", "origin; hit"),
    ("X-Cache", "HIT"),
    ("Cache-Control-Hint", "none"),
)

EXPIRES = ("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")


def spelled(header: tuple[str, str]) -> list[tuple[str, str]]:
    name, value = header
    return [(name, value), (name.lower(), value), (name.upper(), value), (name.swapcase(), value)]


@pytest.mark.parametrize("caching", ["", "public, max-age=60", "private, max-age=60", "no-store"])
@pytest.mark.parametrize("way", WAYS)
def test_response_with_the_cookie_has_nothing_that_lets_a_shared_cache_store_it(way: Way, caching: str) -> None:
    """`Expires` may stay beside a Cache-Control that keeps shared caches out, where it is for the browser."""
    is_private = caching.startswith(("private", "no-store"))
    said = [("Cache-Control", caching)] if caching else []
    for header in (*FOR_SOME_CACHES, *HARMLESS, EXPIRES):
        for own in spelled(header):
            stays = header in HARMLESS or (header == EXPIRES and is_private)
            assert (own in way([TYPE, own, *said], True)) is stays, own


@pytest.mark.parametrize("way", WAYS)
def test_response_without_the_cookie_is_cached_as_the_application_says(way: Way) -> None:
    """It knows who may see the page; `Vary` keeps apart visitors with cookies and those without any."""
    own = [TYPE, *FOR_SOME_CACHES, *HARMLESS, EXPIRES, ("Cache-Control", "public, max-age=60")]

    headers = way(own, False)

    assert [each for each in headers if each in own] == own
    assert lines_of(headers, "Vary") == ["Cookie"]


# Our own responses ----------------------------------------------------------------------------------------------------


def test_503_says_everything_once() -> None:
    """It takes the place of the application's response, whose headers are gone with it."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        get_session(environ).renew_token()
        get_session(environ).commit()
        start_response("200 OK", [("Vary", "Accept"), ("Cache-Control", "public"), ("X-Accel-Expires", "60")])
        raise StoreUnavailable("the disk is gone")

    headers = sent_by(app)

    assert lines_of(headers, "Vary") == ["Cookie"]
    assert lines_of(headers, "Cache-Control") == ["no-store"]
    assert lines_of(headers, "X-Accel-Expires") == []
    assert len(lines_of(headers, "Set-Cookie")) == 1


@pytest.mark.parametrize("path", ["/login", "/register", "/logout", "/"])
def test_login_pages_say_everything_once(path: str) -> None:
    """They send caching headers of their own, which the session's are merged into."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        get_session(environ)["n"] = 1
        start_response("200 OK", [TYPE])
        return [b""]

    site = SessionMiddleware(AuthPages(app, Auth(MemoryUsers())), SECRET, MemoryStore())
    headers = TestApp(site).get(path).headers

    assert len(headers.getall("Vary")) == len(headers.getall("Cache-Control")) == 1
    assert {word.strip() for word in headers["Vary"].split(",")} >= {"Cookie"}


# A cookie of our name that is not ours -----------------------------------------------------------------------------


def every_case(word: str) -> Iterator[str]:
    """The word in every mixture of large and small letters."""
    for letters in product(*({letter.lower(), letter.upper()} for letter in word)):
        yield "".join(letters)


OURS = (
    "sid=1",
    "sid=",
    " sid=1",
    "sid =1",
    "\tsid\t=1; Path=/",
    "__Host-sid=1; Secure",
    "sid=1; Path=/admin; HttpOnly",
)
NOT_OURS = ("sidx=1", "xsid=1", "SID=1", "__host-sid=1", "sid", "theme=sid=1", "__Secure-sid=1", "; sid=1", "\xa0sid=1")


def response_warns(caplog: pytest.LogCaptureFixture, own: Headers, *, way: str, **settings: Any) -> bool:
    """Whether a site whose application sends these headers is warned, in one of the ways to send them."""
    caplog.clear()
    manager = SessionManager(SECRET, MemoryStore(), **settings)
    looks = way.endswith("after a look")

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        if looks:
            get_session(environ).get("n")
        if way.startswith("write"):
            start_response("200 OK", own)(b"x")
            return []
        if way.startswith("again"):
            return again(start_response)
        start_response("200 OK", own)
        return [b"x"]

    def again(start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [TYPE])
        yield b""
        start_response("500 Oops", own, (RuntimeError, RuntimeError(), None))
        yield b"x"

    if way.startswith("adapter"):
        opened = manager.open(environ_of())
        if looks:
            opened.session.get("n")
        opened.headers(own)
    else:
        list(manager.wrap(app)(environ_of(), lambda *_: len))
    return "sets a cookie of its own named" in caplog.text


SENDING = [f"{way}{look}" for way in ("list", "write", "again", "adapter") for look in ("", ", after a look")]


@pytest.mark.parametrize("way", SENDING)
def test_applications_cookie_of_our_name_is_warned_of(caplog: pytest.LogCaptureFixture, way: str) -> None:
    """However the line is written, wherever it stands among the headers, and however it is sent."""
    silent = [
        (line, headers)
        for line in OURS
        for headers in ([("Set-Cookie", line)], [("Set-Cookie", "a=1"), TYPE, ("Set-Cookie", line), ETAG])
        if not response_warns(caplog, headers, way=way)
    ]
    false = [line for line in NOT_OURS if response_warns(caplog, [("Set-Cookie", line)], way=way)]

    assert (silent, false) == ([], [])


@pytest.mark.parametrize("way", ["list", "list, after a look"])
def test_applications_cookie_is_warned_of_in_every_spelling(caplog: pytest.LogCaptureFixture, way: str) -> None:
    """A header's name has no case."""
    names = list(every_case("set-cookie"))

    assert len(names) == 512
    assert [name for name in names if not response_warns(caplog, [(name, "sid=1")], way=way)] == []


@pytest.mark.parametrize(
    ("cookie", "warned_of"),
    [
        (Cookie(), {"sid", "__Host-sid"}),
        (Cookie(path="/shop"), {"sid", "__Secure-sid"}),
        (Cookie(secure=True), {"__Host-sid"}),
        (Cookie(secure=False), {"sid"}),
        (Cookie(name="id", secure=True, domain="example.com"), {"__Secure-id"}),
    ],
)
def test_names_that_are_warned_of_are_those_that_the_cookie_can_have(
    caplog: pytest.LogCaptureFixture, cookie: Cookie, warned_of: set[str]
) -> None:
    """With the prefix that this site's cookie gets, and without one if it may be sent so."""
    names = {"sid", "__Host-sid", "__Secure-sid", "id", "__Host-id", "__Secure-id"}

    assert {
        name for name in names if response_warns(caplog, [("Set-Cookie", f"{name}=1")], way="list", cookie=cookie)
    } == warned_of
