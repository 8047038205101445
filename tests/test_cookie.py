"""The cookie: its attributes, which values are read, and which are not."""

from __future__ import annotations

import re
import secrets

import pytest
from conftest import SECRET
from hypothesis import given
from hypothesis import strategies as st
from kit import Site

from sessionware import ConfigError, Cookie, Keyring
from sessionware.cookie_reader import CookieConflict, CookieReader, is_loopback
from sessionware.ticket import TicketSealer

HTTP, HTTPS = {"wsgi.url_scheme": "http"}, {"wsgi.url_scheme": "https"}


def reader(**cookie):
    return CookieReader(Cookie(**cookie), Keyring(SECRET))


def ticket(name="session"):
    """A record id, and a cookie value that stands for it."""
    id = secrets.token_bytes(16)
    return id, TicketSealer(Keyring(SECRET), name).seal(id, secrets.token_bytes(16))


@pytest.mark.parametrize(
    ("settings", "environ", "expected"),
    [
        ({}, HTTP, "session=V; Path=/; HttpOnly; SameSite=Lax"),
        ({}, HTTPS, "__Host-session=V; Path=/; HttpOnly; SameSite=Lax; Secure"),
        ({}, {**HTTP, "HTTP_X_FORWARDED_PROTO": "https"}, "__Host-session=V; Path=/; HttpOnly; SameSite=Lax; Secure"),
        ({}, {**HTTPS, "HTTP_X_FORWARDED_PROTO": "http"}, "__Host-session=V; Path=/; HttpOnly; SameSite=Lax; Secure"),
        ({"secure": False}, HTTPS, "session=V; Path=/; HttpOnly; SameSite=Lax"),
        (
            {"domain": "example.com"},
            HTTPS,
            "__Secure-session=V; Path=/; HttpOnly; SameSite=Lax; Secure; Domain=example.com",
        ),
        ({"path": "/app"}, HTTPS, "__Secure-session=V; Path=/app; HttpOnly; SameSite=Lax; Secure"),
        (
            {"secure": True, "samesite": "None", "partitioned": True},
            HTTP,
            "__Host-session=V; Path=/; HttpOnly; SameSite=None; Secure; Partitioned",
        ),
    ],
)
def test_cookie_is_as_strict_as_the_connection_allows(settings, environ, expected):
    """HttpOnly always; Secure and a prefix over https, as the server or the proxy tells."""
    cookie = Cookie(**settings)

    line = CookieReader(cookie, Keyring(SECRET)).issue(environ, b"i" * 16, b"t" * 16, None)

    assert re.sub("=[A-Za-z0-9_-]{64};", "=V;", line) == expected


def test_deleting_repeats_every_attribute():
    """A browser keeps a cookie whose deletion differs in path, domain, Secure or partition."""
    cookie = Cookie(domain="example.com", path="/app", secure=True, samesite="None", partitioned=True)

    assert cookie.expire(secure=True) == (
        "__Secure-session=; Path=/app; HttpOnly; SameSite=None; Secure; Domain=example.com; Partitioned; Max-Age=0; "
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "a=b"},
        {"name": "né"},
        {"name": "__Host-session"},
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
def test_setting_that_browsers_refuse_is_refused_here(settings):
    """When it is built, not when a login silently fails."""
    with pytest.raises(ConfigError):
        Cookie(**settings)


def test_own_cookie_is_found_among_others():
    """Order and neighbours do not matter."""
    id, value = ticket()

    assert reader().read({**HTTP, "HTTP_COOKIE": f"a=b; session={value};c"}).id == id
    assert reader().read({**HTTP, "HTTP_COOKIE": f"a=b;\tsession={value}\t; c=d"}).id == id


@pytest.mark.parametrize(
    "header",
    [
        "",
        "session",
        "session=",
        "session=VALUE",
        "Session={value}",
        "xsession={value}",
        "\xa0session={value}",
        "session\xa0={value}",
        'session="{value}"',
        "session={value}x",
        "session=x{value}",
        "session={value}=",
        "__Host-session={value}",
        "session=" + "é" * 64,
        "session=" + "A" * 64,
        "session=" + "+" * 64,
        "session=" + "x" * 100_000,
        ";" * 10_000,
    ],
)
def test_anything_else_is_no_cookie(header):
    """Whatever is sent, the worst is "no cookie"."""
    _, value = ticket()

    assert reader().read({**HTTP, "HTTP_COOKIE": header.format(value=value)}) is None


@given(st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=300))
def test_no_header_makes_reading_fail(header):
    """Nor does any text that a server can pass on."""
    assert reader().read({**HTTP, "HTTP_COOKIE": header}) is None
    assert reader().read({**HTTP, "HTTP_COOKIE": f"session={header}"}) is None


def test_cookie_sealed_for_another_name_is_no_cookie():
    """So a value cannot be moved between two middlewares, or from http to the stricter name."""
    _, value = ticket("other")

    assert reader().read({**HTTP, "HTTP_COOKIE": f"session={value}"}) is None


def test_cookie_sealed_by_an_unknown_secret_is_no_cookie():
    """Nor does it reach the store."""
    site, other = Site(), Site(secret="another secret, that is long enough too")
    stranger = other.browser()
    stranger.visit(lambda session: session.update(n=1))

    visit = site.browser().visit(
        lambda session: session.copy(), headers={"Cookie": f"session={stranger.cookies['session']}"}
    )

    assert (visit.result, site.store.taken()) == ({}, [])


def test_over_https_only_the_prefixed_name_is_read():
    """A sibling domain can plant `session`, and cannot plant `__Host-session`."""
    _, plain = ticket("session")
    id, host = ticket("__Host-session")

    assert reader().read({**HTTPS, "HTTP_COOKIE": f"session={plain}"}) is None
    assert reader().read({**HTTPS, "HTTP_COOKIE": f"session={plain}; __Host-session={host}"}).id == id


def test_two_different_sessions_are_a_conflict():
    """Somebody planted one of them, and nobody can tell which."""
    (_, one), (_, two) = ticket(), ticket()

    with pytest.raises(CookieConflict):
        reader().read({**HTTP, "HTTP_COOKIE": f"session={one}; session={two}"})


def test_junk_and_repetition_beside_the_own_cookie_do_not_disturb():
    """What does not open, or says the same, changes nothing."""
    id, value = ticket()
    header = f"session={'A' * 64}; session={value}; session={value}; session=junk"

    assert reader().read({**HTTP, "HTTP_COOKIE": header}).id == id


def test_a_heap_of_candidates_is_a_conflict():
    """Nobody shall make us decrypt hundreds of values for one request."""
    header = "; ".join(f"session={secrets.token_urlsafe(48)}" for _ in range(9))

    with pytest.raises(CookieConflict):
        reader().read({**HTTP, "HTTP_COOKIE": header})


def test_conflict_is_told_and_no_session_is_used():
    """The visitor goes on without a session, and the operator hears of it."""
    site = Site()
    one, two = site.browser(), site.browser()
    for browser in (one, two):
        browser.visit(lambda session: session.update(n=1))
    header = f"session={one.cookies['session']}; session={two.cookies['session']}"

    visit = site.browser().visit(lambda session: session.copy(), headers={"Cookie": header})

    assert visit.result == {}
    assert site.told("cookie_conflict")


@pytest.mark.parametrize("junk", ["+", "!", "=", "/", "\n", "\0", "\xe9", "\u20ac", "\ud800"])
@pytest.mark.parametrize("put", [lambda value, junk: value + junk, lambda value, junk: junk + value[1:]])
def test_ticket_opens_in_no_other_spelling(put, junk):
    """Base64 decoders skip or complete what they do not know; exactly what was sealed opens, and nothing else."""
    tickets = TicketSealer(Keyring(SECRET), "session")
    value = tickets.seal(b"i" * 16, b"t" * 16)

    assert tickets.open(value) is not None
    assert tickets.open(put(value, junk)) is None


def test_secure_cookie_over_plain_http_is_warned_about_once(caplog):
    """The browser would drop it and every login would fail without a word; loopback is an exception of browsers'."""
    site = Site(cookie=Cookie(secure=True))
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
def test_loopback_is_known_by_its_names(host, expected):
    """As browsers do: localhost, names under it, and the loopback addresses."""
    assert is_loopback({"HTTP_HOST": host}) is expected
