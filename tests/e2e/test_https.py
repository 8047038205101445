"""The cookie over real TLS, in a real browser: how it is named, kept and taken away, and who can plant another one.

The site is b.example.test. Its neighbour a.example.test belongs to somebody else: a cookie that one of them sets for
the domain example.test is sent to the other, too (RFC 6265bis §5.8.3). Ports do not keep cookies apart, so one browser
meets the same site over http and over https.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest

from sessionware import Cookie
from tests.support.tls import DAY, Certificate, Probe, Tab, chromium, fetch, make_certificate, planter, serve

VALUE = "[A-Za-z0-9_-]{64}"
FRESH = {"visits": 1, "username": None}


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


class Town:
    """The site and its neighbour, each over http and over https."""

    def __init__(self, probe: Probe, certificate: Certificate, start: Callable[..., int]) -> None:
        self.probe = probe
        self._certificate = certificate
        self._ports = {"http": start(probe), "https": start(probe, certificate)}
        self._neighbours_ports = {"http": start(planter), "https": start(planter, certificate)}
        self.http, self.https = (f"{scheme}://b.example.test:{port}" for scheme, port in self._ports.items())

    def plant(self, tab: Tab, scheme: str, cookie: str) -> None:
        """The visitor comes by a page of the neighbour's, which sets this cookie."""
        tab.visit(f"{scheme}://a.example.test:{self._neighbours_ports[scheme]}/?{quote(cookie)}")

    def attackers_cookie(self, scheme: str, act: str = "login") -> str:
        """Name and value of a session that the attacker began with a client of their own."""
        address = f"{scheme}://127.0.0.1:{self._ports[scheme]}/{act}"
        answer = fetch(address, "POST" if act == "login" else "GET", trusted=self._certificate)
        assert answer.cookie
        return answer.cookie


@pytest.fixture
def build_town(certificate: Certificate) -> Iterator[Callable[..., Town]]:
    """Makes a town whose site has a cookie of these settings."""
    with ExitStack() as stack:

        def start(*args: Any) -> int:
            return stack.enter_context(serve(*args))

        yield lambda **settings: Town(Probe(cookie=Cookie(**settings)), certificate, start)


@pytest.fixture
def town(build_town: Callable[..., Town]) -> Town:
    return build_town()


# ---- a plain client ------------------------------------------------------------------------------------------------


def test_set_cookie_over_tls_is_as_strict_as_can_be(certificate: Certificate) -> None:
    """Bound to this host by its name's prefix, Secure, HttpOnly, SameSite=Lax; and the same when it is taken away."""
    attributes = "Path=/; HttpOnly; SameSite=Lax; Secure"
    with serve(Probe(), certificate) as port:
        site = f"https://127.0.0.1:{port}"
        first = fetch(site, trusted=certificate)
        second = fetch(site, headers={"Cookie": first.cookie}, trusted=certificate)
        logout = fetch(f"{site}/logout", "POST", headers={"Cookie": first.cookie}, trusted=certificate)

    assert re.fullmatch(f"__Host-sid={VALUE}; {attributes}", first.set_cookie or "")
    assert (second.state["visits"], second.set_cookie) == (2, None)
    assert logout.set_cookie == f"__Host-sid=; {attributes}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"


def test_forged_forwarded_proto_makes_the_cookie_stricter_and_nothing_else() -> None:
    """Over plain http it gets the client a Secure cookie, and its plain one is not read: it harms only itself."""
    forged = {"X-Forwarded-Proto": "https"}
    with serve(Probe()) as port:
        site = f"http://127.0.0.1:{port}"
        plain = fetch(site)
        secure = fetch(site, headers={**forged, "Cookie": plain.cookie})
        secure_again = fetch(site, headers={**forged, "Cookie": secure.cookie})
        without = fetch(site, headers={"Cookie": secure.cookie})

    assert plain.cookie.startswith("sid=")
    assert re.fullmatch(f"__Host-sid={VALUE}; Path=/; HttpOnly; SameSite=Lax; Secure", secure.set_cookie or "")
    assert [answer.state["visits"] for answer in (plain, secure, secure_again, without)] == [1, 1, 2, 1]


def test_forged_forwarded_proto_does_not_weaken_the_cookie_over_tls(certificate: Certificate) -> None:
    """What the server itself knows to be https stays https."""
    with serve(Probe(), certificate) as port:
        answer = fetch(f"https://127.0.0.1:{port}", headers={"X-Forwarded-Proto": "http"}, trusted=certificate)

    assert answer.cookie.startswith("__Host-sid=")


# ---- a browser's life with the cookie ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "path", "expected"),
    [
        ({}, "/", {"name": "__Host-sid", "domain": "b.example.test", "path": "/"}),
        ({"path": "/app"}, "/app/", {"name": "__Secure-sid", "domain": "b.example.test", "path": "/app"}),
        ({"domain": "example.test"}, "/", {"name": "__Secure-sid", "domain": ".example.test", "path": "/"}),
    ],
)
def test_browser_keeps_the_cookie_until_logout_takes_it_away(
    build_town: Callable[..., Any], tab: Tab, settings: dict[str, Any], path: str, expected: dict[str, str]
) -> None:
    """Visits count on, a login replaces the cookie, a logout leaves none behind."""
    page = build_town(**settings).https + path

    assert tab.visit(page) == FRESH
    [before] = tab.cookies.values()
    assert tab.press("login") == {"visits": 1, "username": "ada"}
    [after] = tab.cookies.values()
    assert tab.visit(page) == {"visits": 2, "username": "ada"}

    attributes = {"secure": True, "httpOnly": True, "sameSite": "Lax", "expires": -1, **expected}
    assert before == {**attributes, "value": before["value"]}
    assert after == {**attributes, "value": after["value"]}
    assert before["value"] != after["value"]

    assert tab.press("logout") == {"visits": None, "username": None}
    assert tab.cookies == {}
    assert tab.visit(page) == FRESH


def test_remembered_cookie_outlives_the_browser(town: Town, tab: Tab) -> None:
    """A login lasts until the browser is closed; `remember` gives its cookie a date."""
    tab.visit(town.https)

    tab.press("login")
    assert tab.cookies["__Host-sid"]["expires"] == -1

    tab.press("remember")
    assert tab.cookies["__Host-sid"]["expires"] == pytest.approx(time.time() + DAY, abs=60)
    assert tab.visit(town.https)["username"] == "ada"


def test_browser_takes_a_secure_cookie_over_http_from_its_own_machine(tab: Tab) -> None:
    """So a site with `secure=True` can be tried out without a certificate, and nobody is warned there."""
    with serve(Probe(cookie=Cookie(secure=True))) as port:
        assert [tab.visit(f"http://127.0.0.1:{port}")["visits"] for _ in range(2)] == [1, 2]

    assert list(tab.cookies) == ["__Host-sid"]


def test_site_moves_from_http_to_https(town: Town, tab: Tab) -> None:
    """A new session begins, because the old cookie may have been read or planted on its way; the two do not meet."""
    tab.visit(town.http)
    assert tab.press("login") == {"visits": 1, "username": "ada"}

    assert tab.visit(town.https) == FRESH
    assert tab.press("login") == {"visits": 1, "username": "ada"}
    assert set(tab.cookies) == {"sid", "__Host-sid"}

    assert tab.visit(town.http) == {"visits": 2, "username": "ada"}
    assert tab.press("logout") == {"visits": None, "username": None}
    assert set(tab.cookies) == {"__Host-sid"}
    assert tab.visit(town.https) == {"visits": 2, "username": "ada"}
    assert "session.cookie_conflict" not in town.probe.told


# ---- planted cookies: what holds -----------------------------------------------------------------------------------


def test_cookie_planted_over_http_is_nothing_over_https(town: Town, tab: Tab) -> None:
    """Not even a session that the attacker is logged in to, for the whole site or for a page: no login CSRF."""
    planted = town.attackers_cookie("http")
    town.plant(tab, "http", f"{planted}; Domain=example.test; Path=/")
    town.plant(tab, "http", f"{planted}; Domain=example.test; Path=/account")

    assert tab.visit(town.https) == FRESH
    assert tab.visit(town.https + "/account") == {"visits": 2, "username": None}
    assert "session.cookie_conflict" not in town.probe.told


def test_browser_keeps_the_strict_name_for_the_site_itself(town: Town, tab: Tab) -> None:
    """`__Host-` with a domain or another path is refused; without, it stays with the neighbour who set it."""
    planted = town.attackers_cookie("https")
    assert planted.startswith("__Host-sid=")

    town.plant(tab, "https", f"{planted}; Secure; Domain=example.test; Path=/")
    town.plant(tab, "https", f"{planted}; Secure; Path=/account")
    assert tab.cookies == {}
    town.plant(tab, "https", f"{planted}; Secure; Path=/")
    assert tab.cookies["__Host-sid"]["domain"] == "a.example.test"

    assert tab.visit(town.https) == FRESH


@pytest.mark.parametrize("path", ["/", "/account"])
def test_over_http_two_sessions_are_a_conflict_and_none_is_used(town: Town, tab: Tab, path: str) -> None:
    """The visitor's own and a planted one: nobody can tell which is which, so neither counts."""
    tab.visit(town.http)
    tab.press("login")

    town.plant(tab, "http", f"{town.attackers_cookie('http')}; Domain=example.test; Path={path}")

    assert tab.visit(town.http + path) == FRESH
    assert "session.cookie_conflict" in town.probe.told


def test_over_http_junk_beside_the_own_cookie_is_overlooked(town: Town, tab: Tab) -> None:
    """What this server did not seal cannot be a session, nor take one away."""
    tab.visit(town.http)
    town.plant(tab, "http", f"sid={'A' * 64}; Domain=example.test; Path=/")

    assert tab.visit(town.http) == {"visits": 2, "username": None}
    assert "session.cookie_conflict" not in town.probe.told


def test_over_http_login_holds_in_a_session_that_the_attacker_began(town: Town, tab: Tab) -> None:
    """What the neighbour planted opened it before the login, and neither opens it after nor stands in the way."""
    town.plant(tab, "http", f"{town.attackers_cookie('http', 'count')}; Domain=example.test; Path=/")
    assert tab.visit(town.http) == {"visits": 2, "username": None}

    assert tab.press("login") == {"visits": 2, "username": "ada"}

    assert tab.visit(town.http) == {"visits": 3, "username": "ada"}


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_cookies_for_one_session_the_one_with_its_token_counts(order: int) -> None:
    """One is from before the login: planted, or left over from other settings of the cookie."""
    with serve(Probe()) as port:
        site = f"http://127.0.0.1:{port}"
        old = fetch(site).cookie
        new = fetch(f"{site}/login", "POST", headers={"Cookie": old}).cookie

        assert fetch(site, headers={"Cookie": "; ".join([old, new][::order])}).state["username"] == "ada"
        assert fetch(site, headers={"Cookie": f"{old}; {old}"}).state["username"] is None


# ---- planted cookies: what does not hold ---------------------------------------------------------------------------


def test_over_http_a_visitor_without_a_session_can_be_given_the_attackers(town: Town, tab: Tab) -> None:
    """Nothing tells a cookie for the domain from one's own: only https stops login CSRF by a neighbour's cookie."""
    town.plant(tab, "http", f"{town.attackers_cookie('http')}; Domain=example.test; Path=/")

    assert tab.visit(town.http)["username"] == "ada"
    assert "session.cookie_conflict" not in town.probe.told


def test_a_cookie_for_a_domain_can_be_planted_over_https_too(build_town: Callable[..., Any], tab: Tab) -> None:
    """`__Secure-` says that a cookie came by https, and not from where: the price of sharing it."""
    town = build_town(domain="example.test")
    planted = town.attackers_cookie("https")
    assert planted.startswith("__Secure-sid=")

    town.plant(tab, "https", f"{planted}; Secure; Domain=example.test; Path=/")

    assert tab.visit(town.https)["username"] == "ada"


def test_a_cookie_for_a_path_can_be_planted_over_https_too(build_town: Callable[..., Any], tab: Tab) -> None:
    """A path of its own costs the `__Host-` prefix, and with it the protection from neighbours."""
    town = build_town(path="/app")

    town.plant(tab, "https", f"{town.attackers_cookie('https')}; Secure; Domain=example.test; Path=/app")

    assert tab.visit(town.https + "/app/")["username"] == "ada"
