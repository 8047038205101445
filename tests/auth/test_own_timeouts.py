"""`Auth(timeouts=…)`: who logs in, and from where, may get limits other than the site's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sessionware import ConfigError, Timeouts, get_session
from sessionware._types import Environ
from sessionware.auth import Auth, User
from tests.support.auth_kit import CHEAP, PASSWORD, AuthBrowser, AuthSite

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600

KIOSK = replace(Timeouts(), idle=5 * MINUTE, lifetime=HOUR, remember=HOUR, remember_lifetime=HOUR)
#: What makes a request one of the kiosk's.
AT_KIOSK = {"X-Kiosk": "1"}


def choose(user: User, environ: Environ) -> Timeouts | None:
    if user.data.get("is_admin"):
        return replace(Timeouts(), idle=timedelta(minutes=15), lifetime=8 * HOUR)
    return KIOSK if "HTTP_X_KIOSK" in environ else None


def site_with(timeouts: Any) -> AuthSite:
    site = AuthSite()
    site.auth = Auth(site.users, hasher=CHEAP, timeouts=timeouts)
    site.auth.register(site.manager, "Ada", PASSWORD, login=False)
    site.auth.register(site.manager, "Root", PASSWORD, login=False, data={"is_admin": True})
    return site


@pytest.fixture
def site() -> AuthSite:
    return site_with(choose)


def logged_in(site: AuthSite, username: str, *, remember: bool = False, **how: Any) -> AuthBrowser:
    browser = site.browser()
    browser.do(lambda environ: site.auth.login(environ, username, PASSWORD, remember=remember), **how)
    return browser


def test_kiosk_logs_out_soon(site: AuthSite) -> None:
    """To the second, and only there: at home the same person stays logged in."""
    kiosk, home = logged_in(site, "Ada", headers=AT_KIOSK), logged_in(site, "Ada")

    site.clock.tick(5 * MINUTE - 1)
    assert kiosk.who() == "Ada"
    site.clock.tick(5 * MINUTE)

    assert (kiosk.who(), home.who()) == (None, "Ada")


def test_kiosk_ends_however_active_it_is(site: AuthSite) -> None:
    """A lifetime of its own."""
    kiosk = logged_in(site, "Ada", headers=AT_KIOSK)

    for _ in range(19):
        site.clock.tick(3 * MINUTE)
        assert kiosk.who() == "Ada"
    site.clock.tick(3 * MINUTE)

    assert kiosk.who() is None


def test_administrator_logs_in_more_often(site: AuthSite) -> None:
    """By who it is, whatever the browser."""
    browser = logged_in(site, "Root")

    assert browser.do(lambda environ: get_session(environ).ends_at) == int(site.clock.now) + 8 * HOUR
    site.clock.tick(15 * MINUTE)
    assert browser.who() is None


def test_remembering_is_limited_by_them_too(site: AuthSite) -> None:
    """Otherwise a check box would undo them."""
    kiosk = logged_in(site, "Ada", remember=True, headers=AT_KIOSK)

    assert kiosk.do(lambda environ: get_session(environ).ends_at) == int(site.clock.now) + HOUR
    kiosk.do(lambda environ: get_session(environ).remember(30 * DAY, sliding=True))
    site.clock.tick(HOUR)
    assert kiosk.who() is None


@pytest.mark.parametrize("how", ["register", "login_user"])
def test_every_way_to_log_in_has_them(site: AuthSite, how: str) -> None:
    """Not only the password."""
    acts: dict[str, Any] = {
        "register": lambda environ: site.auth.register(environ, "Bob", PASSWORD),
        "login_user": lambda environ: site.auth.login_user(environ, site.users.find_by_key("ada")),
    }
    browser = site.browser()
    browser.do(acts[how], headers=AT_KIOSK)

    assert browser.do(lambda environ: get_session(environ).ends_at) == int(site.clock.now) + HOUR


def test_confirmation_begins_the_same_lifetime_anew(site: AuthSite) -> None:
    """And not the site's."""
    kiosk = logged_in(site, "Ada", headers=AT_KIOSK)
    site.clock.tick(4 * MINUTE)

    kiosk.do(lambda environ: site.auth.confirm(environ, PASSWORD))

    assert kiosk.do(lambda environ: get_session(environ).ends_at) == int(site.clock.now) + HOUR


def test_choosing_sees_the_environ_as_it_came_in() -> None:
    """Whatever the application makes of it."""
    seen: list[str] = []

    def by_path(user: User, environ: Environ) -> None:
        seen.append(f"{user.username} {environ['PATH_INFO']}")

    site = site_with(by_path)

    def view(environ: Environ) -> None:
        environ["PATH_INFO"] = "/moved"
        site.auth.login(environ, "Ada", PASSWORD)

    site.browser().do(view)

    assert seen == ["Ada /"]


@pytest.mark.parametrize("wrong", [300, {"idle": 300}, "5m", True, Timeouts], ids=str)
def test_wrong_answer_logs_nobody_in(wrong: Any) -> None:
    """The site's limits in its place might be too long. The error says what to return."""
    site = site_with(lambda user, environ: wrong)
    browser = site.browser()

    def view(environ: Environ) -> None:
        with pytest.raises(TypeError, match=r"timeouts=.*None.*Timeouts.*replace"):
            site.auth.login(environ, "Ada", PASSWORD)

    browser.do(view)

    assert (browser.cookies, browser.who()) == ({}, None)
    assert site.told("login.succeeded", "session.login") == []


def test_what_choosing_raises_logs_nobody_in() -> None:
    """It is the application's own error, and rises into the application."""

    def fails(user: User, environ: Environ) -> Timeouts:
        raise LookupError("no such kiosk")

    site = site_with(fails)
    browser = site.browser()

    def view(environ: Environ) -> None:
        with pytest.raises(LookupError, match="no such kiosk"):
            site.auth.login(environ, "Ada", PASSWORD)

    browser.do(view)

    assert browser.cookies == {}


@pytest.mark.parametrize("wrong", [Timeouts(), 300, "5m"], ids=["Timeouts", "seconds", "text"])
def test_wrong_argument_is_told_at_once(wrong: Any) -> None:
    """And where the limits of all logins belong."""
    with pytest.raises(ConfigError, match=r"timeouts=.*SessionMiddleware"):
        Auth(AuthSite().users, timeouts=wrong)
