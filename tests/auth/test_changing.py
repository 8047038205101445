"""Changing one's password: who stays logged in, who does not, and what happens beside something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unicodedata import normalize

import pytest

from sessionware import (
    LoginFailed,
    MemoryStore,
    NotLoggedIn,
    PasswordRejected,
    SessionClosed,
    StoreUnavailable,
    get_session,
)
from sessionware._types import Environ
from sessionware.auth import Argon2Hasher, User, accounts, passwords
from sessionware.auth.policy import policy
from sessionware.testing import FaultyStore
from tests.support.auth_kit import PASSWORD, AuthBrowser, AuthSite

NEW = "wrong mule charger paperclip"
OTHER = "a third one, of somebody else"


@pytest.fixture
def site() -> AuthSite:
    site = AuthSite(store=FaultyStore(MemoryStore()))
    site.register("Ada")
    return site


def change(site: AuthSite, old: str = PASSWORD, new: str = NEW) -> Callable[[Environ], object]:
    """What the page for it does; the error, if there is one, is returned."""

    def act(environ: Environ) -> object:
        try:
            return site.auth.change_password(environ, old, new)
        except Exception as error:
            return error

    return act


def account(site: AuthSite) -> User:
    user: User = site.users.behind.find_by_key("ada")
    return user


def lets_in(site: AuthSite, password: str) -> bool:
    """Whether this is Ada's password."""
    try:
        site.auth.authenticate(site.manager, "Ada", password)
    except LoginFailed:
        return False
    return True


def why_ended(browser: AuthBrowser) -> str | None:
    why: str | None = browser.do(lambda environ: get_session(environ).ended_because, method="GET")
    return why


def test_the_new_password_lets_in_and_the_old_one_does_not(site: AuthSite) -> None:
    """From then on, in every browser."""
    assert site.logged_in("Ada").do(change(site)) is None

    assert (lets_in(site, NEW), lets_in(site, PASSWORD)) == (True, False)


def test_all_other_sessions_end_and_are_told_why(site: AuthSite) -> None:
    """Whoever knew the old password is out (ASVS 5.0 7.4.3). A stranger's session stays."""
    site.register("Eve")
    mine, others, eve = site.logged_in("Ada"), [site.logged_in("Ada") for _ in range(2)], site.logged_in("Eve")

    mine.do(change(site))

    assert [browser.who() for browser in (mine, *others, eve)] == ["Ada", None, None, "Eve"]
    assert [why_ended(browser) for browser in others] == ["password", "password"]


def test_own_session_goes_on_with_a_new_token(site: AuthSite) -> None:
    """Id and data stay; a copy of the old cookie is worthless (ASVS 5.0 7.2.4)."""
    browser = site.logged_in("Ada")
    browser.do(lambda environ: get_session(environ).update(cart=["tea"]))
    id = browser.do(lambda environ: get_session(environ).id)
    thief = browser.copied()

    browser.do(change(site))

    assert browser.do(lambda environ: (get_session(environ).id, get_session(environ)["cart"])) == (id, ["tea"])
    assert browser.cookies != thief.cookies
    assert (browser.who(), thief.who(), browser.who()) == ("Ada", None, "Ada")


def test_it_counts_as_a_login_by_password(site: AuthSite) -> None:
    """Because the password was just given: the session is fresh, and its lifetime begins anew."""
    browser = site.logged_in("Ada")
    site.clock.tick(3600)

    browser.do(change(site))

    session = browser.do(lambda environ: (get_session(environ).authenticated_at, get_session(environ).methods))
    assert session == (site.clock.now, {"password": site.clock.now})


def test_the_request_itself_goes_on_with_the_account_as_it_is_now(site: AuthSite) -> None:
    """Without asking the table again."""
    site_users = site.users

    def act(environ: Environ) -> tuple[object, list[str]]:
        site.auth.change_password(environ, PASSWORD, NEW)
        site_users.taken()
        return site.auth.require_user(environ), site_users.taken()

    assert site.logged_in("Ada").do(act) == (account(site), [])


def test_it_holds_even_if_the_response_is_an_error(site: AuthSite) -> None:
    """What was done is done: the browser gets its new token, or it would be out as well."""
    browser, other = site.logged_in("Ada"), site.logged_in("Ada")

    browser.do(change(site), status="500 Internal Server Error")

    assert (browser.who(), other.who(), lets_in(site, NEW)) == ("Ada", None, True)


def test_it_is_reported(site: AuthSite) -> None:
    """With the account, and where it was done from."""
    browser = site.logged_in("Ada")
    site.events.clear()

    browser.do(change(site))

    (event,) = site.told("account.password_changed")
    assert (event.user_id, event.account, event.client_address) == (account(site).id, "ada", "192.0.2.7")


def test_it_costs_one_check_and_one_hash(site: AuthSite) -> None:
    """The check is the login's, with all that belongs to it."""
    browser = site.logged_in("Ada")
    site.hasher.calls.clear()

    browser.do(change(site))

    assert site.hasher.calls == ["verify", "hash"]


# What is refused


def test_wrong_present_password_changes_nothing(site: AuthSite) -> None:
    """For whoever watches that, it is the same as a wrong one for `confirm`."""
    browser, other = site.logged_in("Ada"), site.logged_in("Ada")
    before = account(site)

    assert isinstance(browser.do(change(site, old="not the password")), LoginFailed)
    assert account(site) == before
    assert (browser.who(), other.who()) == ("Ada", "Ada")
    assert [event.detail[:9] for event in site.told("login.failed", "login.confirm_failed")] == ["mismatch;"]


def test_length_comes_before_all_that_takes_longer_for_more(site: AuthSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Normalising takes time that grows with the square of a long run of combining marks (CVE-2025-27556)."""
    browser, lengths = site.logged_in("Ada"), list[int]()

    def watched(form: Any, text: str) -> str:
        lengths.append(len(text))
        return normalize(form, text)

    for module in (accounts, passwords, policy):
        monkeypatch.setattr(module, "normalize", watched)
    error = browser.do(change(site, new="\u0301\u0323" * 20_000))

    assert isinstance(error, PasswordRejected)
    assert error.reason == "too_long"
    assert max(lengths) <= passwords.MAX_CHARACTERS


@pytest.mark.parametrize(
    ("old", "new"),
    [(PASSWORD, PASSWORD), ("caf\u00e9 lantern terrace", "cafe\u0301 lantern terrace")],
    ids=["the same", "composed otherwise"],
)
def test_same_password_is_no_new_one(old: str, new: str) -> None:
    """Whoever fears that somebody knows it must not be told that all is well now."""
    site = AuthSite()
    site.register("Ada", old)
    browser, other = site.logged_in("Ada", old), site.logged_in("Ada", old)

    error = browser.do(change(site, old, new))

    assert isinstance(error, PasswordRejected)
    assert error.reason == "unchanged"
    assert (browser.who(), other.who()) == ("Ada", "Ada")


def test_new_password_has_to_fit_the_policy(site: AuthSite) -> None:
    """As at a registration; and what does not fit ends nothing."""
    browser, other = site.logged_in("Ada"), site.logged_in("Ada")

    error = browser.do(change(site, new="too short"))

    assert isinstance(error, PasswordRejected)
    assert error.reason == "too_short"
    assert (browser.who(), other.who(), lets_in(site, PASSWORD)) == ("Ada", "Ada", True)


def test_old_password_need_not_fit_it(site: AuthSite) -> None:
    """It is what people have to get away from."""
    site.users.behind.add("bob", "Bob", site.hasher.behind.hash("short"), {})
    browser = site.logged_in("Bob", "short")

    assert browser.do(change(site, old="short")) is None
    assert browser.who() == "Bob"


def test_stranger_has_no_password_to_change(site: AuthSite) -> None:
    """Not even with the right one."""
    site.hasher.calls.clear()

    assert isinstance(site.browser().do(change(site)), NotLoggedIn)
    assert site.hasher.calls == []


def test_it_is_refused_when_it_is_too_late_for_a_cookie(site: AuthSite) -> None:
    """Before anything is changed: the browser could not get its new token any more."""
    browser = site.logged_in("Ada")
    ((name, value),) = browser.cookies.items()
    environ = {"REQUEST_METHOD": "POST", "wsgi.url_scheme": "http", "HTTP_COOKIE": f"{name}={value}"}
    opened = site.manager.open(environ)
    assert site.auth.user(environ) == account(site)
    opened.finish()

    assert isinstance(change(site)(environ), SessionClosed)
    assert (lets_in(site, PASSWORD), browser.who()) == (True, "Ada")


@pytest.mark.parametrize(("old", "new"), [(PASSWORD, None), (None, NEW), ([PASSWORD], NEW), (PASSWORD, b"x" * 20)])
def test_what_is_not_text_is_the_programs_mistake(site: AuthSite, old: Any, new: Any) -> None:
    """And nobody's password."""
    browser = site.logged_in("Ada")

    assert isinstance(browser.do(change(site, old, new)), TypeError)
    assert (browser.who(), lets_in(site, PASSWORD)) == ("Ada", True)


# What happens at the same moment


def test_of_two_changes_one_holds_and_the_other_is_told(site: AuthSite) -> None:
    """It is out, because the password is another one, and its browser says so."""
    slow, quick = site.logged_in("Ada"), site.logged_in("Ada")
    site.users.meanwhile["before set_password"] = lambda: quick.do(change(site, new=OTHER))

    assert isinstance(slow.do(change(site)), NotLoggedIn)
    assert (lets_in(site, OTHER), lets_in(site, NEW), lets_in(site, PASSWORD)) == (True, False, False)
    assert (quick.who(), slow.who(), why_ended(slow)) == ("Ada", None, "password")


def test_double_click_leaves_the_browser_logged_in(site: AuthSite) -> None:
    """The second click is refused, but ends nothing that the first one renewed."""
    browser = site.logged_in("Ada")
    tab = browser.copied()
    site.hasher.after_verify = once(lambda: browser.do(change(site)))

    assert isinstance(tab.do(change(site)), NotLoggedIn)
    assert (browser.who(), lets_in(site, NEW)) == ("Ada", True)


def once(call: Callable[[], object]) -> Callable[[], object]:
    """The function for one call, and nothing from then on."""
    left = [call]
    return lambda: left.pop()() if left else None


def test_page_that_is_loading_meanwhile_does_not_end_the_session(site: AuthSite) -> None:
    """It began with the old cookie. It finds nobody logged in, and leaves what was renewed alone."""
    browser = site.logged_in("Ada")
    tab = browser.copied()

    def page(environ: Environ) -> object:
        assert get_session(environ).username == "Ada"
        browser.do(change(site))
        return site.auth.user(environ)

    assert tab.do(page, method="GET") is None
    assert browser.who() == "Ada"


def test_login_that_hashes_the_password_anew_does_not_stop_it() -> None:
    """The old password is the same one, under another hash. It is checked again, and changed."""
    site = AuthSite()
    site.register("Ada")
    browser = site.logged_in("Ada")
    user = account(site)
    fresh = Argon2Hasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    site.users.meanwhile["before set_password"] = lambda: site.users.behind.set_password(
        user.id, fresh, expect=user.password_hash, ends_sessions=False
    )

    assert browser.do(change(site)) is None
    assert (browser.who(), lets_in(site, NEW), lets_in(site, PASSWORD)) == ("Ada", True, False)


def test_table_that_never_agrees_is_an_outage(site: AuthSite) -> None:
    """And not an endless loop."""
    browser = site.logged_in("Ada")
    site.users.set_password = lambda *args, **how: False

    assert isinstance(browser.do(change(site)), StoreUnavailable)
    assert lets_in(site, PASSWORD)


@pytest.mark.parametrize("ends", [True, False], ids=["logged out everywhere", "and it got no further"])
def test_logout_everywhere_at_the_same_moment_wins(site: AuthSite, ends: bool) -> None:
    """Also over the session that changes the password, which is from before it."""
    browser, other = site.logged_in("Ada"), site.logged_in("Ada")
    user = account(site)

    def raise_version() -> None:
        assert site.users.behind.set_password(
            user.id, user.password_hash, expect=user.password_hash, ends_sessions=True
        )

    def log_out() -> None:
        other.do(lambda environ: site.auth.logout(environ, everywhere=True))

    site.users.meanwhile["before set_password"] = log_out if ends else raise_version

    browser.do(change(site))

    assert (browser.who(), other.who(), site.logged_in("Ada", NEW).who()) == (None, None, "Ada")


def test_account_that_is_disabled_at_the_same_moment_stays_so(site: AuthSite) -> None:
    """Enabling it again does not bring the session back that changed the password (ASVS 5.0 7.4.2)."""
    browser = site.logged_in("Ada")
    user = account(site)
    site.users.meanwhile["before set_password"] = lambda: site.users.behind.set_active(user.id, False)

    browser.do(change(site))
    site.users.behind.set_active(user.id, True)

    assert browser.who() is None


def test_renewal_by_another_request_wins_and_the_browser_logs_in_again(site: AuthSite) -> None:
    """The password is changed. That this session could not be kept is told, and no cookie pretends that it was."""
    browser = site.logged_in("Ada")
    tab = browser.copied()
    faulty: Any = site.store

    def renew(environ: Environ) -> None:
        get_session(environ).renew_token()

    site.users.meanwhile["after set_password"] = lambda: faulty.before.update(replace=lambda: tab.do(renew))
    site.events.clear()

    error, response = browser.visit(change(site), method="POST")

    names = [line.partition("=")[0] for line in response.headers.getall("Set-Cookie")]
    assert (error, names) == (None, ["sid_known"])
    assert (lets_in(site, NEW), lets_in(site, PASSWORD)) == (True, False)
    (event,) = site.told("session.write_discarded")
    assert "change_password()" in event.detail
    assert (browser.who(), tab.who()) == (None, None)
    assert site.logged_in("Ada", NEW).who() == "Ada"


def test_login_with_the_new_password_meanwhile_is_left_alone(site: AuthSite) -> None:
    """It is of the account as it is now, though the sessions from before are still being ended."""
    browser, other = site.logged_in("Ada"), site.logged_in("Ada")
    later: list[AuthBrowser] = []
    faulty: Any = site.store
    site.users.meanwhile["after set_password"] = lambda: faulty.before.update(
        owned_by=lambda: later.append(site.logged_in("Ada", NEW))
    )

    browser.do(change(site))

    assert [each.who() for each in (browser, other, *later)] == ["Ada", None, "Ada"]


def test_browser_that_logs_in_again_before_its_turn_is_left_alone(site: AuthSite) -> None:
    """Its session was found among those from before, and is of the account as it is now when it would be ended."""
    mine, other = site.logged_in("Ada"), site.logged_in("Ada")

    def log_in_again() -> None:
        other.do(lambda environ: site.auth.login(environ, "Ada", NEW))

    site.users.meanwhile["after set_password"] = lambda: site.users.meanwhile.update({"before get": log_in_again})

    mine.do(change(site))

    assert (mine.who(), other.who()) == ("Ada", "Ada")


def test_name_that_is_somebody_elses_by_now_does_not_change_their_password(site: AuthSite) -> None:
    """The account was renamed a moment ago, and who has its old name has the same password."""
    browser = site.logged_in("Ada")

    def act(environ: Environ) -> object:
        owner = site.auth.require_user(environ)
        site.users.behind.rename(owner.id, "lovelace", "Lovelace")
        site.users.behind.add("ada", "Ada", site.hasher.behind.hash(PASSWORD), {})
        return change(site)(environ)

    assert isinstance(browser.do(act), NotLoggedIn)
    assert (lets_in(site, PASSWORD), lets_in(site, NEW)) == (True, False)


def test_nobody_is_left_in_who_logged_in_by_the_old_password_meanwhile(site: AuthSite) -> None:
    """A thief whose login is under way, before or after it is stored."""
    for moment in ("verified", "stored"):
        site = AuthSite()
        site.register("Ada")
        owner, thief = site.logged_in("Ada"), site.browser()

        def login(environ: Environ, site: AuthSite = site) -> None:
            site.auth.login(environ, "Ada", PASSWORD)

        def act(site: AuthSite = site, owner: AuthBrowser = owner) -> object:
            return owner.do(change(site))

        if moment == "verified":
            site.hasher.after_verify = once(act)
        else:
            site.users.meanwhile["before get"] = act
        thief.do(login)

        assert (owner.who(), thief.who(), "sid" in thief.cookies) == ("Ada", None, False), moment
