"""`login(remember=True)`: for how long, and what the browser is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sessionware import Timeouts, get_session
from tests.support.auth_kit import PASSWORD, AuthBrowser, AuthSite

DAY = 24 * 3600
LIMITS = Timeouts()


def logged_in(site: AuthSite, *, remember: bool) -> tuple[AuthBrowser, str]:
    """The browser, and the Set-Cookie line of the session's cookie."""
    browser = site.browser()

    def login(environ: dict[str, Any]) -> None:
        site.auth.login(environ, "Ada", PASSWORD, remember=remember)

    _, response = browser.visit(login, method="POST")
    (line,) = [line for line in response.headers.getall("Set-Cookie") if line.startswith("sid=")]
    return browser, line


@pytest.fixture
def site() -> AuthSite:
    site = AuthSite()
    site.register("Ada")
    return site


def test_cookie_outlives_the_browser_only_if_that_was_asked_for(site: AuthSite) -> None:
    """NIST SP 800-63B-4 §5.1: by default it does not."""
    _, usual = logged_in(site, remember=False)
    _, remembered = logged_in(site, remember=True)

    assert "Max-Age" not in usual
    assert "expires" not in usual.lower()
    assert f"Max-Age={LIMITS.remember}" in remembered


def test_remembered_login_has_no_idle_limit_and_ends_on_its_day(site: AuthSite) -> None:
    """However active it is: the server keeps the end, whatever the browser does with the cookie."""
    browser, _ = logged_in(site, remember=True)

    for _day in range(29):
        site.clock.tick(DAY)
        assert browser.who() == "Ada"
    site.clock.tick(DAY)
    assert browser.who() is None


def test_session_that_is_not_remembered_ends_when_it_is_idle(site: AuthSite) -> None:
    """As ever."""
    browser, _ = logged_in(site, remember=False)
    site.clock.tick(12 * 3600)

    assert browser.who() is None


def test_site_decides_how_long() -> None:
    """By its `Timeouts`."""
    site = AuthSite(timeouts=replace(LIMITS, remember=10 * DAY))
    site.register("Ada")
    browser, line = logged_in(site, remember=True)

    assert f"Max-Age={10 * DAY}" in line
    site.clock.tick(10 * DAY)
    assert browser.who() is None


def test_remembered_session_is_one_write(site: AuthSite) -> None:
    """Both ends are in what the login stores, so no crash leaves one without the other."""
    browser, _ = logged_in(site, remember=True)

    ends = browser.do(lambda environ: (get_session(environ).expires_at, get_session(environ).ends_at), method="GET")
    assert ends == (site.clock.now + 30 * DAY,) * 2


def test_change_of_the_password_does_not_prolong_it(site: AuthSite) -> None:
    """What was remembered was granted by the login."""
    browser, _ = logged_in(site, remember=True)
    site.clock.tick(20 * DAY)
    browser.do(lambda environ: site.auth.change_password(environ, PASSWORD, "wrong mule charger paperclip"))
    site.clock.tick(10 * DAY)

    assert browser.who() is None
