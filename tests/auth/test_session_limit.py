"""Rule 15: how many sessions an account may have, and what becomes of one more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sessionware import (
    ConfigError,
    Event,
    Keyring,
    MemoryStore,
    SessionManager,
    Timeouts,
    TooManySessions,
    get_session,
)
from sessionware._core.records import Chance
from sessionware.auth import Auth, MemoryUsers, User
from sessionware.testing import FaultyStore
from tests.support.auth_kit import ADDRESS, PASSWORD, AuthBrowser, AuthSite, _application
from tests.support.fixed import SECRET

OLD_SECRET = "the secret of last year, which nobody has guessed so far"


class LimitedSite(AuthSite):
    """A site with a limit, and one account."""

    def __init__(self, limit: Any = 2, when_full: Any = "end_oldest", **settings: Any) -> None:
        super().__init__(**settings)
        self.limit(limit, when_full)
        self.ada = self.register("Ada")

    def limit(self, limit: Any, when_full: Any = "end_oldest") -> None:
        self.auth = Auth(self.users, hasher=self.hasher, throttle=None, session_limit=limit, when_full=when_full)

    def in_browser(self) -> AuthBrowser:
        """One more browser in which she logs in, a minute after the last one."""
        self.clock.tick(60)
        return self.logged_in("Ada")


def told_why(browser: AuthBrowser) -> str | None:
    reason: str | None = browser.do(lambda environ: get_session(environ).ended_because, method="GET")
    return reason


def logs_in(site: AuthSite) -> Callable[[dict[str, Any]], User]:
    return lambda environ: site.auth.login(environ, "Ada", PASSWORD)


def refused(site: AuthSite, browser: AuthBrowser) -> TooManySessions:
    """The error of a login that there is no room for, a minute after the last one."""
    site.clock.tick(60)

    def act(environ: dict[str, Any]) -> TooManySessions:
        with pytest.raises(TooManySessions) as caught:
            site.auth.login(environ, "Ada", PASSWORD)
        return caught.value

    error: TooManySessions = browser.do(act, status="403 Forbidden")
    return error


# The oldest one ends ------------------------------------------------------------------------------------------------


def test_one_login_more_ends_the_oldest_session_and_its_browser_is_told_why() -> None:
    """Those that are left are the newest ones."""
    site = LimitedSite(2)

    browsers = [site.in_browser() for _ in range(4)]

    assert [browser.who() for browser in browsers] == [None, None, "Ada", "Ada"]
    assert [told_why(browser) for browser in browsers] == ["limit", "limit", None, None]


def test_session_that_ends_is_told_to_the_operator() -> None:
    """With whose it was, and why."""
    site = LimitedSite(1)
    ended = site.in_browser().do(lambda environ: get_session(environ).id)

    site.in_browser()

    assert [(event.session_id, event.user_id, event.detail) for event in site.told("session.ended")] == [
        (ended, site.ada.id, "limit")
    ]


@pytest.mark.parametrize("by", ["login", "login_user", "register"])
def test_every_way_to_log_in_is_counted(by: str) -> None:
    """Also what a sign-in service or a registration does."""
    site = LimitedSite(1)
    ways: dict[str, Callable[[dict[str, Any]], object]] = {
        "login": logs_in(site),
        "login_user": lambda environ: site.auth.login_user(environ, site.ada),
        "register": lambda environ: site.auth.register(environ, "Bob", PASSWORD),
    }
    first, second = site.browser(), site.browser()

    first.do(ways[by])
    site.clock.tick(60)
    second.do(lambda environ: site.auth.login(environ, "Bob" if by == "register" else "Ada", PASSWORD))

    assert (first.who() is None, second.who() is None) == (True, False)


def test_login_again_in_the_same_browser_is_not_one_more() -> None:
    """It is the same session, with a new token."""
    site = LimitedSite(2)
    browsers = [site.in_browser() for _ in range(2)]

    browsers[0].do(logs_in(site))

    assert [browser.who() for browser in browsers] == ["Ada", "Ada"]


def test_login_again_makes_a_session_the_newest() -> None:
    """What counts is the last login, and not when the session began."""
    site = LimitedSite(2)
    first, second = site.in_browser(), site.in_browser()
    site.clock.tick(60)
    first.do(logs_in(site))

    site.in_browser()

    assert (first.who(), second.who()) == ("Ada", None)


def test_login_that_a_server_error_drops_ends_nobody() -> None:
    """Rule 11: it was not saved, so there is not one more."""
    site = LimitedSite(1)
    browser = site.in_browser()

    site.browser().do(logs_in(site), status="500 Internal Server Error")

    assert browser.who() == "Ada"


# It is refused ------------------------------------------------------------------------------------------------------


def test_login_beyond_the_limit_is_refused() -> None:
    """With a 403 that says what to do, and the others stay."""
    site = LimitedSite(2, "refuse")
    browsers = [site.in_browser() for _ in range(2)]
    late = site.browser()

    error = refused(site, late)

    assert (error.status, error.reason) == (403, "too_many_sessions")
    assert [browser.who() for browser in (*browsers, late)] == ["Ada", "Ada", None]


def test_refused_login_leaves_what_the_visitor_had_under_a_new_token() -> None:
    """Nobody is logged in, the data is kept, and the cookie from before is dead."""
    site = LimitedSite(1, "refuse")
    site.in_browser()
    visitor = site.browser()
    visitor.do(lambda environ: get_session(environ).update(cart=["tea"]))
    before = visitor.copied()

    refused(site, visitor)

    assert visitor.do(lambda environ: (get_session(environ).username, get_session(environ).copy())) == (
        None,
        {"cart": ["tea"]},
    )
    assert before.do(lambda environ: get_session(environ).copy()) == {}


def test_visitor_without_a_session_has_none_after_a_refusal() -> None:
    """There is no record, and no cookie."""
    site = LimitedSite(1, "refuse")
    site.in_browser()
    visitor = site.browser()

    refused(site, visitor)

    assert visitor.cookies.keys() <= {"sid_known"}
    assert site.manager.stats()["live"] == 1


def test_logging_out_makes_room() -> None:
    """The refusal is about now."""
    site = LimitedSite(1, "refuse")
    browser = site.in_browser()
    refused(site, site.browser())

    browser.do(site.auth.logout)

    assert site.in_browser().who() == "Ada"


def test_refused_login_is_told_to_the_operator() -> None:
    """As a login that failed, though the password was right; nothing says that it succeeded."""
    site = LimitedSite(1, "refuse")
    site.in_browser()
    site.events.clear()

    refused(site, site.browser())

    assert [_about(event) for event in site.told("login.failed", "login.succeeded")] == [
        ("login.failed", site.ada.id, "ada", ADDRESS, "too_many_sessions")
    ]


def _about(event: Event) -> tuple[object, ...]:
    return event.name, event.user_id, event.account, event.client_address, event.detail


def test_accepted_login_stays_even_if_the_response_fails() -> None:
    """It was saved before anybody knew, and its token is sent."""
    site = LimitedSite(1, "refuse")
    browser = site.browser()

    browser.do(logs_in(site), status="500 Internal Server Error")

    assert browser.who() == "Ada"


def test_login_again_is_not_refused() -> None:
    """It takes no more room than before."""
    site = LimitedSite(1, "refuse")
    browser = site.in_browser()

    browser.do(logs_in(site))

    assert browser.who() == "Ada"


def test_remembered_login_is_remembered_where_it_might_be_refused() -> None:
    """Both are one write."""
    site = LimitedSite(1, "refuse")
    browser = site.browser()
    browser.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD, remember=True))

    site.clock.tick(2 * 24 * 3600)

    assert browser.who() == "Ada"


# What counts --------------------------------------------------------------------------------------------------------


def test_expired_session_does_not_count() -> None:
    """Though its record may be there until it is pruned."""
    site = LimitedSite(1, "refuse")
    site.in_browser()

    site.clock.tick(12 * 3600)

    assert site.in_browser().who() == "Ada"


def test_session_that_a_shortened_limit_has_ended_does_not_count() -> None:
    """The store does not know yet that it is over."""
    site = LimitedSite(1, "refuse")
    site.in_browser()
    site.manager = SessionManager(
        SECRET, site.store, clock=site.clock, timeouts=Timeouts(idle=600), on_event=site.events.append
    )
    site.wsgi = site.wrapped(_application)

    site.clock.tick(700)

    assert site.in_browser().who() == "Ada"


def test_session_that_the_account_refuses_does_not_count() -> None:
    """It is of an earlier version: whoever raised that may not have come to end it yet."""
    site = LimitedSite(1, "refuse")
    site.in_browser()
    user = site.users.get(site.ada.id)
    site.users.set_password(user.id, user.password_hash, expect=user.password_hash, ends_sessions=True)

    assert site.in_browser().who() == "Ada"


def test_sessions_of_another_account_do_not_count() -> None:
    """Each account has its own limit."""
    site = LimitedSite(1)
    site.register("Bob")
    browser = site.in_browser()

    site.logged_in("Bob")

    assert browser.who() == "Ada"


def test_session_under_an_older_secret_counts() -> None:
    """An owner is looked up under every secret of the ring."""
    store = MemoryStore()
    site = LimitedSite(1, store=store, secret=OLD_SECRET)
    before = site.in_browser()
    site.manager = SessionManager(Keyring([SECRET, OLD_SECRET]), store, clock=site.clock, on_event=site.events.append)
    site.wsgi = site.wrapped(_application)

    site.in_browser()
    after = AuthBrowser(site, before.client.cookiejar)

    assert (after.who(), told_why(after)) == (None, "limit")


@pytest.mark.parametrize("when_full", ["end_oldest", "refuse"])
def test_session_from_before_the_clock_was_set_back_was_long_ago(when_full: str) -> None:
    """Else nobody could log in, or everybody could, until the clock is there again."""
    site = LimitedSite(1, when_full)
    before = site.in_browser()
    site.clock.tick(-2 * 3600)
    browser = site.browser()

    if when_full == "refuse":
        refused(site, browser)
    else:
        browser.do(logs_in(site))

    assert (before.who(), browser.who()) == (("Ada", None) if when_full == "refuse" else (None, "Ada"))


# How many -----------------------------------------------------------------------------------------------------------


def test_limit_may_depend_on_the_user() -> None:
    """Such as on a role in its data."""
    site = LimitedSite(lambda user: 1 if user.username == "Ada" else None)
    site.register("Bob")
    adas, bobs = [[site.logged_in(name) for _ in range(3)] for name in ("Ada", "Bob")]

    assert [browser.who() for browser in adas].count("Ada") == 1
    assert [browser.who() for browser in bobs] == ["Bob", "Bob", "Bob"]


@pytest.mark.parametrize("limit", [0, -1, True, 2.5, "3", [3]])
def test_limit_that_means_nothing_is_refused_with_what_to_write(limit: Any) -> None:
    """When `Auth` is made."""
    with pytest.raises(ConfigError, match=r"session_limit=.*at least 1, or None for no limit.*disable it"):
        Auth(MemoryUsers(), session_limit=limit)


@pytest.mark.parametrize("when_full", ["end_newest", "", None, True])
def test_other_words_for_when_it_is_full_are_refused(when_full: Any) -> None:
    """The message has those that there are."""
    with pytest.raises(ConfigError, match='write when_full="end_oldest" or when_full="refuse"'):
        Auth(MemoryUsers(), when_full=when_full)


@pytest.mark.parametrize("answer", [0, "3", False])
def test_function_that_gives_no_number_is_told_before_anything_is_stored(answer: Any) -> None:
    """Nobody is logged in by then."""
    site = LimitedSite(lambda user: answer)
    browser = site.browser()

    with pytest.raises(ConfigError, match=r"session_limit\(…\) returned"):
        browser.do(logs_in(site))

    assert site.manager.stats()["live"] == 0


def test_default_is_a_hundred() -> None:
    """So many that nobody notices, and few enough for a list."""
    site = LimitedSite()
    site.auth = Auth(site.users, hasher=site.hasher)
    first = site.in_browser()
    site.clock.tick(60)
    for _ in range(99):
        site.manager.login_cookie(site.ada)
    assert first.who() == "Ada"

    site.in_browser()

    assert (first.who(), len(site.manager.of(site.ada))) == (None, 100)


# What it costs, and what fails --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "looks"), [(None, 0), (2, 1)])
def test_limit_costs_one_look_for_each_login(limit: int | None, looks: int) -> None:
    """And nothing where there is none, or where nobody logs in."""
    store = FaultyStore(MemoryStore())
    site = LimitedSite(limit, store=store)
    browser = site.browser()
    store.calls.clear()

    browser.do(logs_in(site))
    logging_in = store.calls.copy()
    store.calls.clear()
    browser.who()

    assert (logging_in.count("owned_by"), store.calls) == (looks, ["load"])
    assert [call for call in logging_in if call != "owned_by"] == ["create"]


@pytest.mark.parametrize("when_full", ["end_oldest", "refuse"])
def test_login_that_cannot_be_counted_is_taken_back(when_full: str) -> None:
    """ "Cannot ask" is not "no": the visitor has the data, and the answer is a 503."""
    store = FaultyStore(MemoryStore())
    site = LimitedSite(1, when_full, store=store)
    browser = site.browser()
    browser.do(lambda environ: get_session(environ).update(cart=["tea"]))
    store.broken.add("owned_by")

    _, response = browser.visit(logs_in(site), method="POST")
    store.broken.clear()

    assert response.status_int == 503
    assert browser.do(lambda environ: (get_session(environ).username, get_session(environ).copy())) == (
        None,
        {"cart": ["tea"]},
    )


def test_session_that_cannot_be_ended_keeps_the_new_one_out() -> None:
    """So that there are never more than the limit, whatever fails."""
    store = FaultyStore(MemoryStore())
    site = LimitedSite(1, store=store)
    first = site.in_browser()
    second = site.browser()
    store.broken.add("replace")

    _, response = second.visit(logs_in(site), method="POST")
    store.broken.clear()

    assert response.status_int == 503
    assert (first.who(), second.who()) == ("Ada", None)


def test_who_was_slower_to_end_a_session_leaves_the_reason_of_who_was_faster() -> None:
    """Also if a slow machine leaves no time for a second try."""
    store = FaultyStore(MemoryStore())
    site = LimitedSite(1, store=store, _chance=Chance(patience=0))
    browser = site.in_browser()
    id = browser.do(lambda environ: get_session(environ).id)
    store.before["replace"] = lambda: site.manager.end(id, reason="limit")

    assert site.manager.end(id, reason="admin") is False
    assert told_why(browser) == "limit"
