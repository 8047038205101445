"""The cookie: its attributes, which values are read, and which are not."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionware import ConfigError, Cookie, Session
from sessionware._core.envelope import FORMAT_BYTE
from sessionware._core.environ import is_loopback
from sessionware._core.tickets import CookieConflict, Ticket, Tickets, open_ticket, seal_ticket, wire_name
from sessionware._seals import Keys, derive_keys
from tests.support.fixed import SECRET, Clock
from tests.support.kit import SessionSite, SiteAnswer, SiteBrowser, View

HTTP, HTTPS = {"wsgi.url_scheme": "http"}, {"wsgi.url_scheme": "https"}


def keys_for(cookie: Cookie) -> Keys:
    """The keys of a site with this cookie."""
    return derive_keys(
        [SECRET.encode()],
        secure_cookie=wire_name(cookie, secure=True),
        plain_cookie=wire_name(cookie, secure=False),
        store_path=(),
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


# Several cookies ----------------------------------------------------------------------------------------------------


@pytest.fixture
def site(clock: Clock) -> SessionSite:
    return SessionSite(clock=clock)


def with_session(site: SessionSite, n: int) -> SiteBrowser:
    """A browser that has a session with this number in it."""
    browser = site.browser()
    browser.visit(lambda session: session.update(n=n))
    return browser


def visit_with(site: SessionSite, *browsers: SiteBrowser, view: View = Session.copy) -> SiteAnswer:
    """One request with the cookies of all these browsers."""
    header = "; ".join(f"sid={browser.cookies['sid']}" for browser in browsers)
    return site.browser().visit(view, headers={"Cookie": header})


def gone(site: SessionSite, browser: SiteBrowser) -> SiteBrowser:
    """A cookie whose record is not there any more."""
    site.store.behind.delete(bytes.fromhex(browser.visit(lambda session: session.id).result))
    return browser


def ended(site: SessionSite, browser: SiteBrowser) -> SiteBrowser:
    """A cookie whose session was ended a moment ago."""
    site.middleware.manager.end(browser.visit(lambda session: session.id).result)
    return browser


def ended_long_ago(site: SessionSite, browser: SiteBrowser) -> SiteBrowser:
    ended(site, browser)
    site.clock.tick(61)
    return browser


def replaced(site: SessionSite, browser: SiteBrowser) -> SiteBrowser:
    """A cookie whose token was replaced a moment ago, by a browser that is not here."""
    old = browser.tab()
    browser.visit(lambda session: setattr(session, "username", "ada"))
    return old


def replaced_long_ago(site: SessionSite, browser: SiteBrowser) -> SiteBrowser:
    old = replaced(site, browser)
    site.clock.tick(61)
    return old


Kill = Callable[[SessionSite, SiteBrowser], SiteBrowser]
each_way_to_die = pytest.mark.parametrize("kill", [gone, ended, ended_long_ago, replaced, replaced_long_ago])


def test_two_live_sessions_are_a_conflict(site: SessionSite) -> None:
    """Somebody planted one of them, and nobody can tell which: none is used, and the operator hears of it."""
    visit = visit_with(site, with_session(site, 1), with_session(site, 2))

    assert (visit.result, visit.set_cookies) == ({}, [])
    assert [event.name for event in site.told("session.cookie_conflict")] == ["session.cookie_conflict"]


@pytest.mark.parametrize("is_first", [True, False])
@each_way_to_die
def test_cookie_of_a_dead_session_does_not_disturb_a_live_one(site: SessionSite, kill: Kill, is_first: bool) -> None:
    """One from before a login, planted or left over, would be a login that never works."""
    live, dead = with_session(site, 1), kill(site, with_session(site, 2))

    visit = visit_with(site, *((live, dead) if is_first else (dead, live)), view=lambda s: (s.copy(), s.ended_because))

    assert visit.result == ({"n": 1}, None)
    assert site.told("session.cookie_conflict") == []


@each_way_to_die
def test_good_cookie_is_sent_again_and_its_twin_is_expired(site: SessionSite, kill: Kill) -> None:
    """Only this server knows which one is good, so the browser is left with that one, which is sent last.

    A browser that does not know `Partitioned` takes the expired twin for the same cookie.
    """
    live, dead = with_session(site, 1), kill(site, with_session(site, 2))

    *twins, own = visit_with(site, live, dead).set_cookies

    assert own == f"sid={live.cookies['sid']}; Path=/; HttpOnly; SameSite=Lax"
    assert [line.partition(";")[0] for line in twins] == ["sid="]
    assert all("Max-Age=0" in line for line in twins)


def test_cookie_from_before_a_login_does_not_hide_the_login(site: SessionSite) -> None:
    """Both name the same record, and one of them has the right to it."""
    browser = with_session(site, 1)
    old = browser.tab()
    browser.visit(lambda session: setattr(session, "username", "ada"))

    for browsers in ((old, browser), (browser, old)):
        visit = visit_with(site, *browsers, view=lambda session: session.username)
        assert visit.result == "ada"
        assert visit.set_cookies[-1].startswith(f"sid={browser.cookies['sid']};")


def test_several_cookies_that_cost_nothing_change_nothing(site: SessionSite) -> None:
    """A page that does not look at its session sends nothing back."""
    live, dead = with_session(site, 1), gone(site, with_session(site, 2))
    site.store.taken()

    visit = visit_with(site, live, dead, view=lambda session: None)

    assert (visit.set_cookies, site.store.taken()) == ([], [])


def test_token_that_changes_is_sent_instead_of_the_good_cookie(site: SessionSite) -> None:
    """The twin is expired in the same response."""
    live, dead = with_session(site, 1), gone(site, with_session(site, 2))

    *twins, own = visit_with(site, live, dead, view=Session.renew_token).set_cookies

    assert len(twins) == 1
    assert live.cookies["sid"] not in own
    value = own.partition(";")[0]
    assert site.browser().visit(Session.copy, headers={"Cookie": value}).result == {"n": 1}


def test_two_cookies_of_joined_logins_are_no_conflict(site: SessionSite) -> None:
    """They open the same session."""
    browser = with_session(site, 1)
    tab = browser.tab()
    for each in (browser, tab):
        each.visit(lambda session: setattr(session, "username", "ada"))

    assert visit_with(site, browser, tab).result == {"n": 1}
    assert site.told("session.cookie_conflict") == []


@pytest.mark.parametrize("kill", [ended, replaced])
def test_several_dead_cookies_are_late_if_one_of_them_is(site: SessionSite, kill: Kill) -> None:
    """A newer cookie may be on its way to the browser, and must not be replaced."""
    dead, late = gone(site, with_session(site, 1)), kill(site, with_session(site, 2))

    for browsers in ((dead, late), (late, dead)):
        assert visit_with(site, *browsers, view=lambda session: session.update(n=3)).set_cookies == []
    assert len(site.told("session.write_discarded")) == 2


def test_several_cookies_of_sessions_long_gone_count_as_none(site: SessionSite) -> None:
    """What is written starts a new session."""
    visit = visit_with(
        site,
        *(gone(site, with_session(site, n)) for n in (1, 2)),
        view=lambda session: (session.copy(), session.update(n=3)),
    )

    assert (visit.result[0], len(visit.set_cookies)) == ({}, 1)


EXPIRED = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.mark.parametrize(
    ("settings", "environ", "twins"),
    [
        ({}, {**HTTP, "HTTP_HOST": "shop.example:8000"}, ["sid=; Path=/; HttpOnly; SameSite=Lax; Domain=shop.example"]),
        ({}, {**HTTP, "HTTP_HOST": "bad host"}, []),
        (
            {},
            {**HTTPS, "HTTP_HOST": "shop.example"},
            ["__Host-sid=; Path=/; HttpOnly; SameSite=Lax; Secure; Partitioned"],
        ),
        (
            {"secure": True, "samesite": "None", "partitioned": True},
            HTTPS,
            ["__Host-sid=; Path=/; HttpOnly; SameSite=None; Secure"],
        ),
        (
            {"domain": "example.com"},
            {**HTTP, "HTTP_HOST": "shop.example.com"},
            ["sid=; Path=/; HttpOnly; SameSite=Lax", "sid=; Path=/; HttpOnly; SameSite=Lax; Domain=shop.example.com"],
        ),
        (
            {"domain": "example.com"},
            {**HTTPS, "HTTP_HOST": "example.com"},
            [
                "__Secure-sid=; Path=/; HttpOnly; SameSite=Lax; Secure; Domain=example.com; Partitioned",
                "__Secure-sid=; Path=/; HttpOnly; SameSite=Lax; Secure",
                "__Secure-sid=; Path=/; HttpOnly; SameSite=Lax; Secure; Partitioned",
            ],
        ),
        (
            {"path": "/shop"},
            {**HTTPS, "HTTP_HOST": "a.example"},
            [
                "__Secure-sid=; Path=/shop; HttpOnly; SameSite=Lax; Secure; Partitioned",
                "__Secure-sid=; Path=/shop; HttpOnly; SameSite=Lax; Secure; Domain=a.example",
                "__Secure-sid=; Path=/shop; HttpOnly; SameSite=Lax; Secure; Domain=a.example; Partitioned",
            ],
        ),
    ],
)
def test_twins_are_what_browsers_keep_beside_the_cookie(
    settings: dict[str, Any], environ: dict[str, Any], twins: list[str]
) -> None:
    """Those with and without a domain, and those in and outside a partition. `__Host-` allows no domain."""
    tickets = Tickets(Cookie(**settings))

    assert tickets.expire_twins(environ) == [f"{line}; {EXPIRED}" for line in twins]
    assert tickets.expire(environ) not in tickets.expire_twins(environ)


# Cookies that no secret opens ---------------------------------------------------------------------------------------


def test_cookie_of_an_unknown_secret_is_told_at_most_once_a_minute(site: SessionSite) -> None:
    """Processes with different secrets look like visitors who are logged out at random."""
    headers = {"Cookie": f"sid={'A' * 64}"}
    told = []
    for seconds in (0, 1, 59, 1, 60, 1):
        site.clock.tick(seconds)
        site.browser().visit(Session.copy, headers=headers)
        told.append(len(site.told("cookie.unknown_key")))

    assert told == [1, 1, 1, 2, 2, 3]
    assert "A" * 64 not in repr(site.events)


@pytest.mark.parametrize("value", ["", "junk", "A" * 63, "A" * 65, f'"{"A" * 64}"', "A" * 128])
def test_cookie_that_does_not_look_like_a_ticket_is_not_told(site: SessionSite, value: str) -> None:
    """It is another application's, or somebody plays."""
    site.browser().visit(Session.copy, headers={"Cookie": f"sid={value}; other={'A' * 64}"})

    assert site.events == []


def test_cookie_that_opens_beside_one_that_does_not_is_enough(site: SessionSite) -> None:
    """Nobody is logged out by the other one."""
    browser = with_session(site, 1)
    site.events.clear()

    visit = site.browser().visit(
        Session.copy, headers={"Cookie": f"sid={'A' * 64}; sid={browser.cookies['sid']}; sid={'B' * 64}"}
    )

    assert (visit.result, site.events) == ({"n": 1}, [])


def test_cookie_that_was_sealed_for_http_is_not_told_over_https(site: SessionSite) -> None:
    """It has another name there, so it is not looked at."""
    browser = with_session(site, 1)
    site.events.clear()

    site.browser().visit(Session.copy, headers={"Cookie": f"sid={browser.cookies['sid']}"}, scheme="https")

    assert site.events == []


# What a cookie is called and how it is written ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "secure", "name"),
    [
        ({}, False, "sid"),
        ({}, True, "__Host-sid"),
        ({"name": "shop"}, True, "__Host-shop"),
        ({"domain": "example.com"}, False, "sid"),
        ({"domain": "example.com"}, True, "__Secure-sid"),
        ({"path": "/shop"}, True, "__Secure-sid"),
    ],
)
def test_prefix_of_the_name_says_what_browsers_have_to_check(settings: dict[str, Any], secure: bool, name: str) -> None:
    """`__Host-` as long as neither domain nor path forbids it."""
    assert wire_name(Cookie(**settings), secure=secure) == name


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


@pytest.mark.parametrize(
    "view", [lambda session: None, lambda session: session.get("n"), lambda session: session.update(n=2)]
)
@pytest.mark.parametrize(("name", "line"), [("Set-Cookie", "sid=1; Path=/"), ("set-cookie", "__Host-sid=; Max-Age=0")])
def test_application_that_sets_a_cookie_of_our_name_is_told_once(
    clock: Clock, caplog: pytest.LogCaptureFixture, view: View, name: str, line: str
) -> None:
    """Whether or not the page looks at its session: the visitor loses it either way."""
    site = SessionSite(clock=clock)
    browser = with_session(site, 1)
    for _ in range(2):
        browser.visit(view, respond=[("Set-Cookie", "other=1"), (name, line)])

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"a cookie of its own named {line.partition('=')[0]}" in caplog.text


@pytest.mark.parametrize(
    ("secure", "line"), [(True, "sid=1"), (False, "__Host-sid=1"), ("auto", "sid2=1"), ("auto", "xsid=1")]
)
def test_application_may_set_cookies_of_names_that_are_not_read(
    clock: Clock, caplog: pytest.LogCaptureFixture, secure: Any, line: str
) -> None:
    """Where the cookie is always Secure, only the name with the prefix is ours; and never a longer name."""
    site = SessionSite(clock=clock, cookie=Cookie(secure=secure))

    site.browser().visit(lambda session: None, respond=[("Set-Cookie", line)])

    assert "of its own" not in caplog.text
