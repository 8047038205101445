"""Incidents with sessions: a visitor got into somebody else's, or stayed in his own for longer than he should."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from sessionware import Cookie, LoginFailed, MemoryStore, Session, get_session
from tests.support.auth_kit import PASSWORD, AuthBrowser, AuthSite
from tests.support.kit import SessionSite

COOKIE_BYTES = 48
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def site() -> AuthSite:
    site = AuthSite()
    site.register("Ada")
    return site


def log_in(site: AuthSite, browser: AuthBrowser) -> None:
    browser.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))


def csrf_token(browser: AuthBrowser) -> str:
    token: str = browser.do(lambda environ: get_session(environ).csrf_token, method="GET")
    return token


def accepts(browser: AuthBrowser, token: str) -> bool:
    """Whether a form with this token is accepted in this browser."""
    accepted: bool = browser.do(lambda environ: get_session(environ).check_csrf(token), headers=OWN_PAGE)
    return accepted


# Who gets in


def test_cve_2018_1000519_cve_2022_38054_cve_2018_11385_cve_2022_25896_planted_cookie_does_not_get_in(
    site: AuthSite,
) -> None:
    """aiohttp-session, Airflow, Symfony and Passport went on with the id from before the login: session fixation."""
    victim = site.browser()
    victim.do(lambda environ: get_session(environ).update(cart=["tea"]))
    thief = victim.copied()

    log_in(site, victim)

    assert (victim.who(), thief.who()) == ("Ada", None)
    site.clock.tick(61)
    assert thief.who() is None


@pytest.mark.parametrize("value", ["", "0" * 64, base64.urlsafe_b64encode(bytes(COOKIE_BYTES)).decode()])
def test_cve_2018_1000519_id_that_a_client_chose_is_not_taken(site: AuthSite, value: str) -> None:
    """aiohttp-session made a session under whatever id came."""
    browser = site.browser()
    browser.visit(lambda environ: get_session(environ).update(n=1), headers={"Cookie": f"sid={value}"})

    assert browser.cookies["sid"] != value
    assert all(record.id.hex() not in value for record in site.store.scan())


def test_cve_2023_46733_logging_in_again_changes_the_cookie_too(site: AuthSite) -> None:
    """Symfony kept the id where the same user proved his identity once more."""
    browser = site.logged_in("Ada")
    thief = browser.copied()

    log_in(site, browser)

    assert browser.cookies["sid"] != thief.cookies["sid"]
    site.clock.tick(61)
    assert (browser.who(), thief.who()) == ("Ada", None)


def test_cve_2022_24895_cve_2018_11406_osvdb_114435_forms_from_before_the_login_are_refused(site: AuthSite) -> None:
    """Symfony's and Devise's token for forms outlived the login, so whoever planted it could forge forms."""
    browser = site.browser()
    browser.do(lambda environ: get_session(environ).update(cart=["tea"]))
    before = csrf_token(browser)
    assert accepts(browser, before)

    log_in(site, browser)

    assert not accepts(browser, before)
    assert accepts(browser, csrf_token(browser))


def test_cve_2015_3982_session_that_was_emptied_has_no_handle(site: AuthSite) -> None:
    """In Django its key became the empty text, which is a key like any other: all who had it shared a session."""

    def emptied(environ: dict[str, Any]) -> object:
        session = get_session(environ)
        session.invalidate()
        return session.id

    first, second = site.logged_in("Ada"), site.browser()
    assert first.do(emptied) is None
    assert "sid" not in first.cookies

    first.do(lambda environ: get_session(environ).update(secret="Ada's"))
    assert second.visit(lambda environ: dict(get_session(environ)), headers={"Cookie": "sid="})[0] == {}


def test_cve_2026_6873_name_and_purpose_are_not_run_together() -> None:
    """Django signed by name and salt as one text, so the cookie "ab" of "c" was good as the cookie "a" of "bc".

    Here the names of a cookie and of the namespaces of a store are moved against each other.
    """
    store = MemoryStore()
    places = [("a", "bc", "d"), ("ab", "c", "d"), ("a", "b", "cd"), ("abc", "d", "d"), ("a_b", "c", "d")]
    sites = [
        SessionSite(store.namespace(outer).namespace(inner), cookie=Cookie(name=name)) for name, outer, inner in places
    ]
    browser = sites[0].browser()
    visitors_token = browser.visit(lambda session: session.csrf_token).result
    browser.visit(lambda session: session.update(secret="a's"))
    token = browser.visit(lambda session: session.csrf_token).result
    (value,) = browser.cookies.values()

    def accepted(session: Session) -> list[str]:
        return [each for each in (token, visitors_token) if session.check_csrf(each)]

    assert browser.visit(accepted, method="POST", headers=OWN_PAGE).result == [token, visitors_token]

    for other, (name, *_) in zip(sites[1:], places[1:], strict=True):
        stranger = other.browser()
        headers = {"Cookie": f"{name}={value}", **OWN_PAGE}
        assert stranger.visit(lambda session: session.copy(), headers=headers).result == {}
        assert stranger.visit(accepted, method="POST", headers=headers).result == []


# Who stays in


def test_cve_2015_8314_cve_2024_51996_remembered_browser_has_a_cookie_of_its_own(site: AuthSite) -> None:
    """In Devise all devices had the same one, which outlived a logout; in Symfony it did not say whose it was."""
    site.register("Bob")
    browsers = [site.logged_in("Ada"), site.logged_in("Ada"), site.logged_in("Bob")]
    for browser in browsers:
        browser.do(lambda environ: get_session(environ).remember(30 * 86400))
    ada, ada_too, bob = browsers
    thief = ada.copied()
    assert len({browser.cookies["sid"] for browser in browsers}) == 3

    ada.do(site.auth.logout)

    assert [browser.who() for browser in (thief, ada_too, bob)] == [None, "Ada", "Bob"]
    for name, value in ada_too.client.cookies.items():
        assert b"ada" not in base64.urlsafe_b64decode(value + "===").lower(), name


# What fills the store


LOOKS: dict[str, Callable[[AuthSite, AuthBrowser], object]] = {
    "logging out": lambda site, browser: browser.do(site.auth.logout),
    "asking who it is": lambda site, browser: browser.who(),
    "a form": lambda site, browser: csrf_token(browser),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_cve_2015_5963_visitors_who_leave_nothing_store_nothing(
    site: AuthSite, look: Callable[[AuthSite, AuthBrowser], object]
) -> None:
    """Django's logout made an empty session for whoever came, until the store was full."""
    for _ in range(20):
        look(site, site.browser())

    assert site.store.scan() == []


def test_cve_2016_4423_refused_login_stores_nothing_of_what_was_typed(site: AuthSite) -> None:
    """Symfony kept the last name that was tried in the session, however long it was."""
    browser = site.browser()
    browser.do(lambda environ: get_session(environ).update(cart=["tea"]))
    (before,) = site.store.scan()

    with pytest.raises(LoginFailed):
        browser.do(lambda environ: site.auth.login(environ, "A" * 4_000_000, PASSWORD))

    (after,) = site.store.scan()
    assert after.payload == before.payload


# What others may see


def test_cve_2026_35192_cve_2026_48588_pages_with_a_session_are_not_shared_by_caches(site: AuthSite) -> None:
    """Django's pages went out without `Vary: Cookie`, or with a session's cookie, and a cache gave them to others."""
    browser = site.logged_in("Ada")
    _, read = browser.visit(site.auth.user)
    _, written = browser.visit(lambda environ: get_session(environ).update(n=1), method="POST")
    _, sent = site.browser().visit(lambda environ: site.auth.login(environ, "Ada", PASSWORD), method="POST")

    for response in (read, written, sent):
        assert "Cookie" in response.headers["Vary"]
        assert {"private", "no-store"} & set(response.headers["Cache-Control"].split(", "))
    assert "Set-Cookie" in sent.headers
    assert "no-store" in sent.headers["Cache-Control"]
