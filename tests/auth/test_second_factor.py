"""The whole way to a login with a second factor, as docs/step-up.md shows it; the codes are the application's."""

from __future__ import annotations

import pytest

from sessionware import AuthError, LoginFailed, NotFresh, get_session
from sessionware._types import Environ
from sessionware.errors import Throttled
from tests.support.attempts import strangers
from tests.support.auth_kit import PASSWORD, AuthBrowser, AuthSite

CODE = "492817"


@pytest.fixture
def site() -> AuthSite:
    site = AuthSite()
    site.register("Ada")
    return site


def first_step(site: AuthSite, browser: AuthBrowser, password: str = PASSWORD) -> None:
    def view(environ: Environ) -> None:
        user = site.auth.authenticate(environ, "Ada", password)
        get_session(environ)["half_way"] = user.id

    browser.do(view)


def second_step(site: AuthSite, browser: AuthBrowser, code: str = CODE) -> Exception | None:
    def view(environ: Environ) -> Exception | None:
        user = site.users.get(get_session(environ).pop("half_way", ""))
        if user is None or code != CODE:
            return AuthError("That code is not right.")
        site.auth.login_user(environ, user, methods=("password", "totp"))
        return None

    refusal: Exception | None = browser.do(view)
    return refusal


def test_two_steps_log_in_with_both(site: AuthSite) -> None:
    """And only the second one does."""
    browser = site.browser()
    first_step(site, browser)
    assert browser.who() is None

    assert second_step(site, browser) is None

    user = browser.do(lambda environ: site.auth.require_user(environ, methods=("password", "totp"), fresh=60))
    assert user.username == "Ada"


def test_cookie_from_between_the_steps_opens_nothing(site: AuthSite) -> None:
    """Whoever saw it in the meantime has nothing of it."""
    browser = site.browser()
    first_step(site, browser)
    thief = browser.copied()
    second_step(site, browser)

    assert (thief.who(), browser.who()) == (None, "Ada")
    site.clock.tick(61)
    assert thief.who() is None


def test_wrong_code_takes_the_password_back(site: AuthSite) -> None:
    """There is one try for each password, so that nobody tries a million codes."""
    browser = site.browser()
    first_step(site, browser)

    assert isinstance(second_step(site, browser, "000000"), AuthError)
    assert isinstance(second_step(site, browser), AuthError)
    assert browser.who() is None


def test_second_step_alone_logs_nobody_in(site: AuthSite) -> None:
    """Without a password nobody is half way."""
    browser = site.browser()

    with pytest.raises(LoginFailed):
        first_step(site, browser, "wrong password")
    assert isinstance(second_step(site, browser), AuthError)


def test_password_alone_never_joins_a_login_with_both(site: AuthSite) -> None:
    """Not even by the cookie from right before it, and in the same minute."""
    browser = site.browser()
    first_step(site, browser)
    thief = browser.copied()
    second_step(site, browser)
    thief.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))

    def view(environ: Environ) -> tuple[str, ...]:
        with pytest.raises(NotFresh) as refused:
            site.auth.require_user(environ, methods=("totp",))
        return refused.value.methods

    assert thief.do(view) == ("totp",)
    assert len(site.manager.of(site.users.find_by_key("ada"))) == 2


def test_two_steps_make_the_browser_known(site: AuthSite) -> None:
    """As a login in one does, once both are proved; and it is told as new, once."""
    browser = site.browser()
    first_step(site, browser)
    assert (browser.client.cookies.get("sid_known"), site.told("login.new_device")) == (None, [])
    for _ in range(2):
        second_step(site, browser)
        assert "sid_known" in browser.client.cookies
        assert len(site.told("login.new_device")) == 1
        first_step(site, browser)


def test_strangers_cannot_keep_out_whoever_logs_in_in_two_steps(site: AuthSite) -> None:
    """In a browser that the account knows."""
    browser = site.browser()
    first_step(site, browser)
    second_step(site, browser)
    strangers(site, 40)

    first_step(site, browser)
    with pytest.raises(Throttled):
        first_step(site, site.browser("203.0.113.1"))
