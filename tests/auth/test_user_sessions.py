"""The sessions of an account: looking through them, ending them, and erasing the account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sessionware import CrossOriginRefused, LoginFailed, NotLoggedIn, Session
from sessionware.auth import Argon2Hasher, Auth, MemoryUsers, User
from tests.support.fixed import Clock
from tests.support.kit import SessionSite, SiteBrowser

PASSWORD = "seven quiet lanterns drift"


class Accounts:
    """A site with accounts, whose views get the request's environ."""

    def __init__(self, clock: Clock) -> None:
        self.site = SessionSite(clock=clock)
        hasher = Argon2Hasher(time_cost=1, memory_cost=8)
        self.users = MemoryUsers()
        self.auth = Auth(self.users, hasher=hasher)

    def browser(self, name: str) -> SiteBrowser:
        """A browser in which this user is logged in; the account is made if it is not there."""
        browser = self.site.browser()
        act = self.auth.login if self.users.find_by_key(name) else self.auth.register
        self.visit(browser, act, name, PASSWORD)
        return browser

    def visit(self, browser: SiteBrowser, act: Callable[..., Any], *arguments: str, **how: Any) -> Any:
        """What an `Auth` method returns or raises in one request."""

        def view(session: Session) -> object:
            try:
                return act({"sessionware.session": session}, *arguments)
            except Exception as error:
                return error

        return browser.visit(view, **{"method": "POST", **how}).result

    def username(self, browser: SiteBrowser) -> str | None:
        user: User | None = self.visit(browser, self.auth.user)
        return user.username if user else None


@pytest.fixture
def accounts(clock: Clock) -> Accounts:
    return Accounts(clock)


def test_sessions_are_listed_with_the_current_one_marked(accounts: Accounts, clock: Clock) -> None:
    """The latest login first; other users' are not among them."""
    first = accounts.browser("ada")
    clock.tick(100)
    second = accounts.browser("ada")
    accounts.browser("eve")

    listed = accounts.visit(first, accounts.auth.sessions)

    now = int(clock.now)
    assert [(session.authenticated_at, session.is_current) for session in listed] == [(now, False), (now - 100, True)]
    assert [session.last_used_at for session in listed] == [now, now - 100]
    assert [session.expires_at for session in listed] == [now + 12 * 3600, now - 100 + 12 * 3600]
    assert {session.id for session in listed} == {b.visit(lambda session: session.id).result for b in (first, second)}


def test_one_session_can_be_ended(accounts: Accounts) -> None:
    """It is over at once, the others go on."""
    first, second = accounts.browser("ada"), accounts.browser("ada")
    other = next(session for session in accounts.visit(first, accounts.auth.sessions) if not session.is_current)

    assert accounts.visit(first, accounts.auth.end_session, other.id) is True
    assert (accounts.username(first), accounts.username(second)) == ("ada", None)
    assert len(accounts.visit(first, accounts.auth.sessions)) == 1


def test_ending_the_current_session_logs_out(accounts: Accounts) -> None:
    """The cookie goes too."""
    browser = accounts.browser("ada")
    (mine,) = accounts.visit(browser, accounts.auth.sessions)

    assert accounts.visit(browser, accounts.auth.end_session, mine.id) is True
    assert set(browser.cookies) == {"sid_known"}


@pytest.mark.parametrize("id", ["", "no hex", "00" * 16, "ff"])
def test_what_is_no_session_of_ones_own_is_not_ended(accounts: Accounts, id: str) -> None:
    """Whatever was posted."""
    assert accounts.visit(accounts.browser("ada"), accounts.auth.end_session, id) is False


def test_sessions_of_others_cannot_be_ended(accounts: Accounts) -> None:
    """Their handles are not secret, and not a key either."""
    ada, eve = accounts.browser("ada"), accounts.browser("eve")
    (of_ada,) = accounts.visit(ada, accounts.auth.sessions)

    assert accounts.visit(eve, accounts.auth.end_session, of_ada.id) is False
    assert accounts.username(ada) == "ada"


def test_all_other_sessions_can_be_ended(accounts: Accounts) -> None:
    """For whoever left one open somewhere; a stranger's are left alone."""
    browsers = [accounts.browser("ada") for _ in range(3)]
    eve = accounts.browser("eve")

    assert accounts.visit(browsers[1], accounts.auth.end_other_sessions) == 2
    assert [accounts.username(browser) for browser in (*browsers, eve)] == [None, "ada", None, "eve"]


@pytest.mark.parametrize("moment", ["load", "replace"])
@pytest.mark.parametrize("what", ["end_session", "end_other_sessions"])
def test_session_that_became_another_users_is_left_alone(accounts: Accounts, what: str, moment: str) -> None:
    """Somebody else may log in there, in the same browser, between the list and the end."""
    here, there = accounts.browser("ada"), accounts.browser("ada")
    accounts.browser("bob")
    there_id = there.visit(lambda session: session.id).result
    auth, before = accounts.auth, accounts.site.store.before

    def end(environ: dict[str, Any]) -> bool | int:
        auth.require_user(environ)
        before[moment] = lambda: accounts.visit(there, auth.login, "bob", PASSWORD)
        return auth.end_session(environ, there_id) if what == "end_session" else auth.end_other_sessions(environ)

    assert accounts.visit(here, end) == 0
    assert [accounts.username(browser) for browser in (here, there)] == ["ada", "bob"]


def test_browser_is_told_why_its_session_was_ended(accounts: Accounts) -> None:
    """By whichever way its owner ended it from another one."""
    told = []
    for act, arguments in (
        (accounts.auth.end_other_sessions, {}),
        (accounts.auth.logout, {"everywhere": True}),
    ):
        here, there = accounts.browser("ada"), accounts.browser("ada")
        accounts.visit(here, lambda environ, act=act, how=arguments: act(environ, **how))
        told.append([browser.visit(lambda session: session.ended_because).result for browser in (here, there)])

    here, there = accounts.browser("ada"), accounts.browser("ada")
    accounts.visit(here, accounts.auth.end_session, there.visit(lambda session: session.id).result)
    told.append([browser.visit(lambda session: session.ended_because).result for browser in (here, there)])
    assert told == [[None, "elsewhere"]] * 3


def test_session_that_lost_its_right_lists_and_ends_nothing(accounts: Accounts) -> None:
    """One from before "log out everywhere" is nobody's any more, for the list too."""
    first, second = accounts.browser("ada"), accounts.browser("ada")
    user = accounts.users.find_by_key("ada")
    assert user is not None
    accounts.users.set_password(user.id, user.password_hash, expect=user.password_hash, ends_sessions=True)
    third = accounts.browser("ada")

    assert len(accounts.visit(third, accounts.auth.sessions)) == 1
    assert isinstance(accounts.visit(first, accounts.auth.end_other_sessions), NotLoggedIn)
    assert accounts.username(second) is None


def test_account_is_erased_with_its_sessions(accounts: Accounts) -> None:
    """After the password was given once more; the name is free then."""
    here, there = accounts.browser("ada"), accounts.browser("ada")

    assert isinstance(accounts.visit(here, accounts.auth.delete_account, "wrong"), LoginFailed)
    assert accounts.username(here) == "ada"

    assert accounts.visit(here, accounts.auth.delete_account, PASSWORD) is None
    assert [accounts.username(browser) for browser in (here, there)] == [None, None]
    assert accounts.users.find_by_key("ada") is None
    assert all(record.owner is None for record in accounts.site.store.records)
    assert accounts.site.told("account.deleted")


def test_other_sites_can_do_none_of_it(accounts: Accounts) -> None:
    """A forged form ends nothing and erases nothing."""
    browser = accounts.browser("ada")
    (mine,) = accounts.visit(browser, accounts.auth.sessions)
    foreign: dict[str, Any] = {"method": "POST", "headers": {"Sec-Fetch-Site": "cross-site"}}

    for act, arguments in (
        (accounts.auth.end_session, [mine.id]),
        (accounts.auth.end_other_sessions, []),
        (accounts.auth.delete_account, [PASSWORD]),
    ):
        assert isinstance(accounts.visit(browser, act, *arguments, **foreign), CrossOriginRefused)
    assert accounts.username(browser) == "ada"


def test_strangers_have_no_sessions_to_look_through(accounts: Accounts) -> None:
    """All of it asks for a login."""
    for act, arguments in (
        (accounts.auth.sessions, []),
        (accounts.auth.end_session, ["ff"]),
        (accounts.auth.end_other_sessions, []),
        (accounts.auth.delete_account, [PASSWORD]),
    ):
        assert isinstance(accounts.visit(accounts.site.browser(), act, *arguments), NotLoggedIn)
