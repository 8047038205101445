"""The cookie: its attributes, which values are read, and which are not."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionware import ConfigError, Cookie
from sessionware._core.envelope import FORMAT_BYTE
from sessionware._core.environ import is_loopback
from sessionware._core.tickets import CookieConflict, Ticket, Tickets, open_ticket, seal_ticket, wire_name
from sessionware._seals import Keys, derive_keys
from tests.support.fixed import SECRET
from tests.support.kit import SessionSite

HTTP, HTTPS = {"wsgi.url_scheme": "http"}, {"wsgi.url_scheme": "https"}


def keys_for(cookie: Cookie) -> Keys:
    """The keys of a site with this cookie."""
    return derive_keys(
        [SECRET.encode()],
        secure_cookie=wire_name(cookie, secure=True),
        plain_cookie=wire_name(cookie, secure=False),
        record_format=FORMAT_BYTE,
    )


def read(environ: dict[str, Any]) -> Ticket | None:
    """What a request's cookies say, to a site that sets nothing."""
    return Tickets(Cookie()).read(keys_for(Cookie()), environ)


def read_id(environ: dict[str, Any]) -> bytes | None:
    """The record id that a request's cookie stands for."""
    found = read(environ)
    return found.id if found else None


def ticket(name: str = "sid", *, secure: bool = False) -> tuple[bytes, str]:
    """A record id, and a cookie value that stands for it."""
    keys, id = keys_for(Cookie(name=name)), secrets.token_bytes(16)
    sealer = keys.secure_ticket if secure else keys.plain_ticket
    return id, seal_ticket(sealer, Ticket(id, secrets.token_bytes(16)))


@pytest.mark.parametrize(
    ("settings", "environ", "expected"),
    [
        ({}, HTTP, "sid=V; Path=/; HttpOnly; SameSite=Lax"),
        ({}, HTTPS, "__Host-sid=V; Path=/; HttpOnly; SameSite=Lax; Secure"),
        ({}, {**HTTP, "HTTP_X_FORWARDED_PROTO": "https"}, "__Host-sid=V; Path=/; HttpOnly; SameSite=Lax; Secure"),
        ({}, {**HTTPS, "HTTP_X_FORWARDED_PROTO": "http"}, "__Host-sid=V; Path=/; HttpOnly; SameSite=Lax; Secure"),
        ({"secure": False}, HTTPS, "sid=V; Path=/; HttpOnly; SameSite=Lax"),
        (
            {"domain": "example.com"},
            HTTPS,
            "__Secure-sid=V; Path=/; HttpOnly; SameSite=Lax; Secure; Domain=example.com",
        ),
        ({"path": "/app"}, HTTPS, "__Secure-sid=V; Path=/app; HttpOnly; SameSite=Lax; Secure"),
        (
            {"secure": True, "samesite": "None", "partitioned": True},
            HTTP,
            "__Host-sid=V; Path=/; HttpOnly; SameSite=None; Secure; Partitioned",
        ),
    ],
)
def test_cookie_is_as_strict_as_the_connection_allows(
    settings: dict[str, Any], environ: dict[str, Any], expected: str
) -> None:
    """HttpOnly always; Secure and a prefix over https, as the server or the proxy tells."""
    cookie = Cookie(**settings)

    line = Tickets(cookie).issue(keys_for(cookie), environ, Ticket(b"i" * 16, b"t" * 16), None)

    assert re.sub("=[A-Za-z0-9_-]{64};", "=V;", line) == expected


def test_deleting_repeats_every_attribute() -> None:
    """A browser keeps a cookie whose deletion differs in path, domain, Secure or partition."""
    cookie = Cookie(domain="example.com", path="/app", secure=True, samesite="None", partitioned=True)

    assert Tickets(cookie).expire(HTTP) == (
        "__Secure-sid=; Path=/app; HttpOnly; SameSite=None; Secure; Domain=example.com; Partitioned; Max-Age=0; "
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "a=b"},
        {"name": "né"},
        {"name": "__Host-sid"},
        {"name": "__secure-session"},
        {"name": 5},
        {"path": "app"},
        {"path": "/a;b"},
        {"path": "/a\r\nX: y"},
        {"path": None},
        {"domain": ""},
        {"domain": ".example.com"},
        {"domain": "exa mple.com"},
        {"domain": "example.com\r\nX: y"},
        {"samesite": "lax"},
        {"samesite": None},
        {"samesite": "None"},
        {"samesite": "None", "secure": False},
        {"partitioned": True},
        {"secure": "yes"},
    ],
)
def test_setting_that_browsers_refuse_is_refused_here(settings: dict[str, Any]) -> None:
    """When it is built, not when a login silently fails."""
    with pytest.raises(ConfigError):
        Cookie(**settings)


def test_own_cookie_is_found_among_others() -> None:
    """Order and neighbours do not matter."""
    id, value = ticket()

    assert read_id({**HTTP, "HTTP_COOKIE": f"a=b; sid={value};c"}) == id
    assert read_id({**HTTP, "HTTP_COOKIE": f"a=b;\tsid={value}\t; c=d"}) == id


@pytest.mark.parametrize(
    "header",
    [
        "",
        "sid",
        "sid=",
        "sid=VALUE",
        "Sid={value}",
        "xsid={value}",
        "\xa0sid={value}",
        "sid\xa0={value}",
        'sid="{value}"',
        "sid={value}x",
        "sid=x{value}",
        "sid={value}=",
        "__Host-sid={value}",
        "sid=" + "é" * 64,
        "sid=" + "A" * 64,
        "sid=" + "+" * 64,
        "sid=" + "x" * 100_000,
        ";" * 10_000,
    ],
)
def test_anything_else_is_not_a_cookie(header: str) -> None:
    """Whatever is sent, the worst that happens is that there is no cookie."""
    _, value = ticket()

    assert read({**HTTP, "HTTP_COOKIE": header.format(value=value)}) is None


@given(st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=300))
def test_no_header_makes_reading_fail(header: str) -> None:
    """Nor does any text that a server can pass on."""
    assert read({**HTTP, "HTTP_COOKIE": header}) is None
    assert read({**HTTP, "HTTP_COOKIE": f"sid={header}"}) is None


def test_cookie_sealed_for_another_name_is_not_a_cookie() -> None:
    """So a value cannot be moved between two middlewares, or from http to the stricter name."""
    _, value = ticket("other")

    assert read({**HTTP, "HTTP_COOKIE": f"sid={value}"}) is None


def test_cookie_sealed_by_an_unknown_secret_is_not_a_cookie() -> None:
    """Nor does it reach the store."""
    site, other = SessionSite(), SessionSite(secret="another secret, that is long enough too")
    stranger = other.browser()
    stranger.visit(lambda session: session.update(n=1))

    visit = site.browser().visit(lambda session: session.copy(), headers={"Cookie": f"sid={stranger.cookies['sid']}"})

    assert (visit.result, site.store.taken()) == ({}, [])


def test_over_https_only_the_prefixed_name_is_read() -> None:
    """A sibling domain can plant `sid`, and cannot plant `__Host-sid`."""
    _, plain = ticket("sid")
    id, host = ticket("sid", secure=True)

    assert read({**HTTPS, "HTTP_COOKIE": f"sid={plain}"}) is None
    assert read_id({**HTTPS, "HTTP_COOKIE": f"sid={plain}; __Host-sid={host}"}) == id


def test_two_different_sessions_are_a_conflict() -> None:
    """Somebody planted one of them, and nobody can tell which."""
    (_, one), (_, two) = ticket(), ticket()

    with pytest.raises(CookieConflict):
        read({**HTTP, "HTTP_COOKIE": f"sid={one}; sid={two}"})


def test_junk_and_repetition_beside_the_own_cookie_do_not_disturb() -> None:
    """What does not open, or says the same, changes nothing."""
    id, value = ticket()
    header = f"sid={'A' * 64}; sid={value}; sid={value}; sid=junk"

    assert read_id({**HTTP, "HTTP_COOKIE": header}) == id


def test_a_heap_of_candidates_is_a_conflict() -> None:
    """Nobody shall make us decrypt hundreds of values for one request."""
    header = "; ".join(f"sid={secrets.token_urlsafe(48)}" for _ in range(9))

    with pytest.raises(CookieConflict):
        read({**HTTP, "HTTP_COOKIE": header})


def test_conflict_is_told_and_no_session_is_used() -> None:
    """The visitor goes on without a session, and the operator hears of it."""
    site = SessionSite()
    one, two = site.browser(), site.browser()
    for browser in (one, two):
        browser.visit(lambda session: session.update(n=1))
    header = f"sid={one.cookies['sid']}; sid={two.cookies['sid']}"

    visit = site.browser().visit(lambda session: session.copy(), headers={"Cookie": header})

    assert visit.result == {}
    assert site.told("session.cookie_conflict")


@pytest.mark.parametrize("junk", ["+", "!", "=", "/", "\n", "\0", "\xe9", "\u20ac", "\ud800"])
@pytest.mark.parametrize("put", [lambda value, junk: value + junk, lambda value, junk: junk + value[1:]])
def test_ticket_opens_in_no_other_spelling(put: Callable[..., Any], junk: str) -> None:
    """Base64 decoders skip or complete what they do not know; exactly what was sealed opens, and nothing else."""
    sealer = keys_for(Cookie()).plain_ticket
    value = seal_ticket(sealer, Ticket(b"i" * 16, b"t" * 16))

    assert open_ticket(sealer, value) == Ticket(b"i" * 16, b"t" * 16)
    assert open_ticket(sealer, put(value, junk)) is None


def test_secure_cookie_over_plain_http_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    """The browser would drop it and every login would fail without a word; loopback is an exception of browsers'."""
    site = SessionSite(cookie=Cookie(secure=True))
    site.browser().visit(lambda session: session.update(n=1), headers={"Host": "localhost:8000"})
    assert "Secure" not in caplog.text

    for _ in range(2):
        site.browser().visit(lambda session: session.update(n=1), headers={"Host": "example.com"})
    assert caplog.text.count("drop the cookie") == 1


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST:80", True),
        ("app.localhost", True),
        ("127.0.0.1:8000", True),
        ("[::1]:8000", True),
        ("example.com", False),
        ("127.0.0.1.example.com", False),
        ("", False),
    ],
)
def test_loopback_is_known_by_its_names(host: str, expected: bool) -> None:
    """As browsers do: localhost, names under it, and the loopback addresses."""
    assert is_loopback({"HTTP_HOST": host}) is expected
