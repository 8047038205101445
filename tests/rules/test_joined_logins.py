"""Rule 6, where a login joins another one's session: a double click on "Log in" is one session with two cookies.

The second login comes too late in one of two ways: it is sent with the cookie from before the first one, or the first
one is saved while it is still at work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sessionware import Session, StoreUnavailable, Timeouts
from sessionware._core.envelope import MAX_SIBLINGS, Envelope, Stored, open_record
from tests.support.fixed import Clock
from tests.support.kit import SessionSite, SiteAnswer, SiteBrowser, View

HOUR, DAY = 3600, 24 * 3600


def ada(session: Session) -> None:
    session.login("ada", user_id="7")


def who(session: Session) -> tuple[str | None, dict[str, Any]]:
    return session.username, session.copy()


def envelope_of(site: SessionSite) -> Envelope:
    """The header and the data of the only record."""
    (record,) = site.store.records
    stored = open_record(site.middleware.manager._site.keys.record, record, b"")
    assert isinstance(stored, Stored)
    return stored.envelope


def sent_late(first: SiteBrowser, act: View, second: SiteBrowser, late: View) -> SiteAnswer:
    """The second one is sent with a cookie that the first one has replaced by then."""
    first.visit(act)
    return second.visit(late)


def overtaken(first: SiteBrowser, act: View, second: SiteBrowser, late: View) -> SiteAnswer:
    """The first one is saved while the second one is at work."""
    return second.visit(lambda session: (session.get("n"), first.visit(act), late(session)))


either_way = pytest.mark.parametrize("twice", [sent_late, overtaken])
Twice = Callable[[SiteBrowser, View, SiteBrowser, View], SiteAnswer]


@either_way
def test_rule_06_login_that_renews_its_token_too_does_not_join(
    site: SessionSite, browser: SiteBrowser, twice: Twice
) -> None:
    """Whoever asks for that, as after a second factor, wants nobody else in."""
    other = browser.tab()

    twice(browser, ada, other, lambda session: (ada(session), session.renew_token()))

    assert len(site.store.records) == 2


@either_way
def test_rule_06_nobody_joins_a_login_that_renewed_its_token(
    site: SessionSite, browser: SiteBrowser, twice: Twice
) -> None:
    """It leaves no proof that another login could show."""
    other = browser.tab()

    twice(browser, lambda session: (ada(session), session.renew_token()), other, ada)

    assert len(site.store.records) == 2


@either_way
def test_rule_06_login_does_not_join_a_session_that_has_expired(site: SessionSite, clock: Clock, twice: Twice) -> None:
    """Though it was there a moment ago: idle limits may be shorter than a minute."""
    site = SessionSite(clock=clock, timeouts=Timeouts(idle=30))
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))
    first, second = browser.tab(), browser.tab()

    def waits(session: Session) -> None:
        session.get("n")
        clock.tick(40)
        ada(session)

    twice(first, ada, second, waits)

    assert first.visit(who).result == (None, {})
    assert second.visit(who).result == ("ada", {})


# What joining is ----------------------------------------------------------------------------------------------------


@either_way
def test_rule_06_second_login_gets_a_token_of_its_own(site: SessionSite, browser: SiteBrowser, twice: Twice) -> None:
    """There is one session, and both cookies open it."""
    other = browser.tab()

    visit = twice(browser, ada, other, ada)

    assert len(visit.set_cookies) == len(site.store.records) == 1
    assert browser.cookies["sid"] != other.cookies["sid"]
    assert [tab.visit(who).result for tab in (browser, other)] == [("ada", {"n": 1})] * 2
    assert [event.detail for event in site.told("session.login")] == ["", "joined the session of another login"]


@either_way
def test_rule_06_changes_of_both_logins_are_kept(site: SessionSite, browser: SiteBrowser, twice: Twice) -> None:
    """Where they changed the same key, the later one wins, and that is told."""
    other = browser.tab()
    early: View = lambda session: (ada(session), session.update(early=1, both="early"))  # noqa: E731
    late: View = lambda session: (ada(session), session.update(late=1, both="late"))  # noqa: E731

    twice(browser, early, other, late)

    assert browser.read() == {"n": 1, "early": 1, "late": 1, "both": "late"}
    assert [event.keys for event in site.told("session.overwritten")] == [("both",)]


@either_way
def test_rule_06_joining_leaves_the_other_login_as_it_is(
    site: SessionSite, browser: SiteBrowser, clock: Clock, twice: Twice
) -> None:
    """Neither its token nor its epoch nor the time of the login changes, so nothing that is on its way is lost."""
    seen: list[Envelope] = []

    def late(session: Session) -> None:
        seen.append(envelope_of(site))
        clock.tick(30)
        ada(session)

    twice(browser, ada, browser.tab(), late)

    before, after = seen[0], envelope_of(site)
    assert after._replace(extra=before.extra) == before
    assert (after.replaced, len(after.siblings)) == (before.replaced, 16)


def test_rule_06_write_that_was_begun_before_somebody_joined_is_kept(browser: SiteBrowser) -> None:
    """It is the session of both."""
    late = browser.tab()
    browser.visit(ada)

    browser.visit(lambda session: (session.update(slow=True), late.visit(ada)))

    assert late.read() == {"n": 1, "slow": True}


@either_way
def test_rule_06_one_logout_ends_both(site: SessionSite, browser: SiteBrowser, twice: Twice) -> None:
    """Whichever of the cookies it comes with."""
    other = browser.tab()
    twice(browser, ada, other, ada)

    other.visit(lambda session: session.invalidate())

    assert browser.visit(who).result == (None, {})
    assert len(site.told("session.ended")) == 1


def test_rule_06_form_of_a_page_that_joins_is_good_in_both(site: SessionSite, browser: SiteBrowser) -> None:
    """The login has the joined record's id and epoch already while it renders its page."""
    late = browser.tab()
    browser.visit(ada)

    token = late.visit(lambda session: (ada(session), session.csrf_token)[1]).result

    assert [tab.visit(lambda session: session.check_csrf(token)).result for tab in (browser, late)] == [True, True]


def test_rule_06_clear_of_a_joining_login_removes_what_it_had_loaded(browser: SiteBrowser) -> None:
    """What the other login wrote stays."""
    other = browser.tab()

    overtaken(
        browser,
        lambda session: (ada(session), session.update(early=1)),
        other,
        lambda session: (session.clear(), ada(session), session.update(late=1)),
    )

    assert other.read() == {"early": 1, "late": 1}


@either_way
def test_rule_06_joining_login_may_remember(
    site: SessionSite, browser: SiteBrowser, clock: Clock, twice: Twice
) -> None:
    """It counts as a call of `remember()` in the session that is joined."""
    other = browser.tab()

    visit = twice(browser, ada, other, lambda session: (ada(session), session.remember(20 * DAY)))
    clock.tick(20 * DAY - 1)

    assert f"Max-Age={20 * DAY}" in visit.set_cookies[0]
    assert [tab.visit(who).result for tab in (browser, other)] == [("ada", {"n": 1})] * 2


# Who may join -------------------------------------------------------------------------------------------------------


@either_way
@pytest.mark.parametrize(
    ("late", "sees"),
    [
        (lambda session: session.login("bob", user_id="8"), ("bob", {})),
        (lambda session: session.login("ada"), ("ada", {})),
        (lambda session: session.login("ada", user_id="7", session_version=2), ("ada", {"n": 1})),
        (lambda session: session.login("ada", user_id="7", timeouts=Timeouts(idle=60)), ("ada", {"n": 1})),
    ],
    ids=["another user", "a name without an account", "another session version", "limits of its own"],
)
def test_rule_06_login_on_other_terms_does_not_join(
    site: SessionSite, browser: SiteBrowser, twice: Twice, late: View, sees: object
) -> None:
    """It gets a session of its own, with the data if that is the same user's."""
    other = browser.tab()
    seen = []

    twice(browser, ada, other, lambda session: (seen.append(session.copy()), late(session)))

    assert len(site.store.records) == 2
    assert other.visit(who).result == sees
    assert browser.visit(who).result == ("ada", {"n": 1})


@either_way
def test_rule_06_login_on_the_same_terms_joins(site: SessionSite, browser: SiteBrowser, twice: Twice) -> None:
    """Also if they are terms of its own."""

    def log_in(session: Session) -> None:
        session.login("ada", user_id="7", session_version=2, timeouts=Timeouts(idle=60))

    twice(browser, log_in, browser.tab(), log_in)

    assert len(site.store.records) == 1


@either_way
def test_rule_06_login_after_a_renewal_does_not_join(site: SessionSite, browser: SiteBrowser, twice: Twice) -> None:
    """The renewed session may have more rights than a password gives, such as after a second factor."""
    other = browser.tab()

    def first(session: Session) -> None:
        ada(session)
        session.commit()
        session.renew_token()

    twice(browser, first, other, ada)

    assert len(site.store.records) == 2
    assert [tab.visit(who).result for tab in (browser, other)] == [("ada", {"n": 1})] * 2


@either_way
@pytest.mark.parametrize(("seconds", "records"), [(60, 1), (61, 2)])
def test_rule_06_login_that_is_slower_than_a_minute_does_not_join(
    site: SessionSite, browser: SiteBrowser, clock: Clock, twice: Twice, seconds: int, records: int
) -> None:
    """It is no double click."""

    def first(session: Session) -> None:
        ada(session)
        session.commit()
        clock.tick(seconds)

    twice(browser, first, browser.tab(), ada)

    assert len(site.store.records) == records


def test_rule_06_login_with_a_cookie_that_was_not_replaced_by_the_login_does_not_join(
    site: SessionSite, browser: SiteBrowser
) -> None:
    """A cookie that is two tokens old proves nothing: whoever has it may have planted it."""
    old = browser.tab()
    browser.visit(lambda session: session.renew_token())
    browser.visit(ada)

    old.visit(ada)

    assert len(site.store.records) == 2
    assert old.visit(who).result == ("ada", {"n": 1})


def test_rule_06_at_most_four_logins_join(site: SessionSite, browser: SiteBrowser) -> None:
    """The one after them gets a session of its own, with the same user's data."""
    late = [browser.tab() for _ in range(MAX_SIBLINGS + 1)]
    browser.visit(ada)
    for tab in late:
        tab.visit(ada)

    assert MAX_SIBLINGS == 4
    assert len(site.store.records) == 2
    assert [tab.visit(who).result for tab in (browser, *late)] == [("ada", {"n": 1})] * 6
    late[-1].visit(lambda session: session.update(own=True))
    assert ["own" in tab.read() for tab in (browser, *late)] == [False] * 5 + [True]


@pytest.mark.parametrize("act", [ada, lambda session: session.renew_token()], ids=["login", "renewal"])
@pytest.mark.parametrize("by", [0, 1], ids=["the first", "the one that joined"])
def test_rule_06_next_new_token_ends_all_others(browser: SiteBrowser, act: View, by: int) -> None:
    """A login with a cookie that opens the session does not join it. It gives the session a new token, as ever."""
    tabs = [browser, browser.tab()]
    for tab in tabs:
        tab.visit(ada)
    old = tabs[by].tab()

    tabs[by].visit(act)

    assert tabs[by].visit(who).result == ("ada", {"n": 1})
    assert [tab.visit(who).result for tab in (old, tabs[1 - by])] == [(None, {})] * 2


def test_rule_06_login_that_came_with_a_joined_cookie_can_be_joined(site: SessionSite, browser: SiteBrowser) -> None:
    """The evidence names all the tokens that fitted before it, not only the main one."""
    tabs = [browser, browser.tab()]
    for tab in tabs:
        tab.visit(ada)

    for tab in (*tabs, tabs[0].tab()):
        tab.visit(ada)

    assert len(site.store.records) == 1


def test_rule_06_whether_it_may_join_is_asked_again_when_it_is_saved(site: SessionSite, browser: SiteBrowser) -> None:
    """A renewal that comes between the look and the write keeps it out."""
    late, renewing = browser.tab(), browser
    browser.visit(ada)
    site.store.before["replace"] = lambda: renewing.visit(lambda session: session.renew_token())

    late.visit(ada)

    assert len(site.store.records) == 2
    assert [tab.visit(who).result for tab in (renewing, late)] == [("ada", {"n": 1})] * 2


def test_rule_06_whether_there_is_room_is_asked_again_when_it_is_saved(site: SessionSite, browser: SiteBrowser) -> None:
    """Of two that join at the same moment, only one may be the fourth."""
    late = [browser.tab() for _ in range(MAX_SIBLINGS + 1)]
    browser.visit(ada)
    for tab in late[2:]:
        tab.visit(ada)
    site.store.before["replace"] = lambda: late[1].visit(ada)

    late[0].visit(ada)

    assert len(site.store.records) == 2
    late[0].visit(lambda session: session.update(own=True))
    assert ["own" in tab.read() for tab in (browser, *late)] == [False, True, False, False, False, False]


def test_rule_06_joining_is_tried_again_when_somebody_writes_in_between(
    site: SessionSite, browser: SiteBrowser
) -> None:
    """As every write is."""
    late = browser.tab()
    browser.visit(ada)
    site.store.before["replace"] = lambda: browser.visit(lambda session: session.update(between=True))

    late.visit(ada)

    assert len(site.store.records) == 1
    assert late.visit(who).result == ("ada", {"n": 1, "between": True})


# Logins that do not hold --------------------------------------------------------------------------------------------


def on_fire() -> bool:
    raise StoreUnavailable("the accounts are on fire")


@either_way
def test_rule_06_joined_login_that_does_not_hold_ends_the_session_for_all(
    site: SessionSite, browser: SiteBrowser, twice: Twice
) -> None:
    """The account was disabled or logged out everywhere, and that is true of both logins."""
    other = browser.tab()

    twice(browser, ada, other, lambda session: session.login("ada", user_id="7", check=lambda: False))

    assert [tab.visit(who).result for tab in (browser, other)] == [(None, {})] * 2


@either_way
def test_rule_06_joined_login_that_cannot_be_checked_loses_its_own_token(
    site: SessionSite, browser: SiteBrowser, twice: Twice
) -> None:
    """It sends nothing, and the other login's session stays."""
    other = browser.tab()

    visit = twice(browser, ada, other, lambda session: session.login("ada", user_id="7", check=on_fire))

    assert (visit.response.status_int, visit.set_cookies) == (503, [])
    assert browser.visit(who).result == ("ada", {"n": 1})
    assert envelope_of(site).siblings == b""


def test_rule_06_login_that_cannot_be_checked_leaves_the_session_to_those_who_joined_it(
    site: SessionSite, browser: SiteBrowser
) -> None:
    """Their credentials were checked. The first login's token is dead, and is not sent."""
    late = browser.tab()

    def check() -> bool:
        late.visit(ada)
        return on_fire()

    visit = browser.visit(lambda session: session.login("ada", user_id="7", check=check))

    assert (visit.response.status_int, visit.set_cookies) == (503, [])
    assert late.visit(who).result == ("ada", {"n": 1})
    assert browser.visit(who).result == (None, {})
    assert len(site.store.records) == 1
