"""Why a session is over: `session.ended_because`, told to whoever has a cookie that was good until then."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from sessionware import MemoryStore, Session, SessionManager, Timeouts
from sessionware.session import EndReason
from tests.support.fixed import SECRET, Clock
from tests.support.kit import SessionSite, SiteBrowser, View

MINUTE, DAY = 60, 24 * 3600

REASONS: tuple[EndReason, ...] = get_args(EndReason)
each_reason = pytest.mark.parametrize("reason", REASONS)


@pytest.fixture
def site(clock: Clock) -> SessionSite:
    return SessionSite(clock=clock)


@pytest.fixture
def manager(site: SessionSite) -> SessionManager:
    return site.middleware.manager


@pytest.fixture
def browser(site: SessionSite) -> SiteBrowser:
    """A browser in which Ada is logged in, and which had a session before."""
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))
    browser.visit(ada)
    return browser


def ada(session: Session) -> None:
    session.login("ada", user_id="7")


def why(session: Session) -> str | None:
    return session.ended_because


def end(manager: SessionManager, reason: EndReason = "admin") -> None:
    """End Ada's only session."""
    (info,) = manager.of(user_id="7")
    assert manager.end(info.id, reason=reason)


# Who is told --------------------------------------------------------------------------------------------------------


def test_there_are_five_reasons() -> None:
    """Besides "expired", which nobody gives."""
    assert REASONS == ("elsewhere", "limit", "password", "disabled", "admin")


@pytest.mark.parametrize("seconds", [0, MINUTE, MINUTE + 1, DAY - 1])
@each_reason
def test_reason_is_told_at_once_and_for_a_day(
    manager: SessionManager, browser: SiteBrowser, clock: Clock, reason: EndReason, seconds: int
) -> None:
    """While the request is detached, and later, when its cookie counts as none."""
    end(manager, reason)
    clock.tick(seconds)

    visit = browser.visit(lambda session: (why(session), session.username, session.copy()))

    assert (visit.result, visit.set_cookies) == ((reason, None, {}), [])


def test_reason_is_told_as_long_as_the_site_says(clock: Clock) -> None:
    """By `Timeouts.explain`. What is left then is a cookie without a session."""
    site = SessionSite(clock=clock, timeouts=Timeouts(explain=300))
    browser = site.browser()
    browser.visit(ada)
    end(site.middleware.manager, "password")

    told = [browser.visit(lambda session: (clock.tick(149), why(session))[1]).result for _ in range(3)]

    assert told == ["password", "password", "expired"]


def test_session_is_late_for_a_minute_even_if_the_reason_is_told_for_less(clock: Clock) -> None:
    """What is begun with the old cookie must not replace a newer one."""
    site = SessionSite(clock=clock, timeouts=Timeouts(explain=1))
    browser = site.browser()
    browser.visit(ada)
    end(site.middleware.manager)
    clock.tick(MINUTE - 1)

    assert browser.visit(lambda session: session.update(n=2)).set_cookies == []


def test_reason_is_an_administrators_unless_one_is_given(manager: SessionManager, browser: SiteBrowser) -> None:
    """By `end` and by `end_all`."""
    other = browser.site.browser()
    other.visit(ada)
    assert manager.end(browser.visit(lambda session: session.id).result)
    assert manager.end_all(user_id="7") == 1

    assert [tab.visit(why).result for tab in (browser, other)] == ["admin", "admin"]


@each_reason
def test_all_sessions_of_somebody_end_for_one_reason(
    manager: SessionManager, browser: SiteBrowser, reason: EndReason
) -> None:
    """Each browser is told."""
    other = browser.site.browser()
    other.visit(ada)

    assert manager.end_all(user_id="7", reason=reason) == 2
    assert [tab.visit(why).result for tab in (browser, other)] == [reason, reason]


def test_every_cookie_of_joined_logins_is_told(manager: SessionManager, browser: SiteBrowser) -> None:
    """All of them fitted until then."""
    tabs = [browser, browser.tab(), browser.tab()]
    for tab in tabs:
        tab.visit(ada)
    end(manager, "password")

    assert [tab.visit(why).result for tab in tabs] == ["password"] * 3


@pytest.mark.parametrize("seconds", [0, MINUTE + 1])
def test_cookie_from_before_the_login_is_told_nothing(
    site: SessionSite, manager: SessionManager, clock: Clock, seconds: int
) -> None:
    """It may have been planted, and then whoever planted it would learn what happens to its victim."""
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))
    planted = browser.tab()
    browser.visit(ada)
    end(manager, "disabled")
    clock.tick(seconds)

    assert (planted.visit(why).result, browser.visit(why).result) == (None, "disabled")


@pytest.mark.parametrize("act", [ada, lambda session: session.renew_token()], ids=["login", "renewal"])
def test_cookie_that_was_replaced_is_told_nothing(manager: SessionManager, browser: SiteBrowser, act: View) -> None:
    """Whatever replaced it."""
    old = browser.tab()
    browser.visit(act)
    end(manager, "password")

    assert (old.visit(why).result, browser.visit(why).result) == (None, "password")


def test_request_that_loses_to_the_end_is_told(manager: SessionManager, browser: SiteBrowser) -> None:
    """Once it has tried to save."""

    def slow(session: Session) -> str | None:
        session["n"] = 2
        end(manager, "elsewhere")
        assert why(session) is None
        session.commit()
        return why(session)

    assert browser.visit(slow).result == "elsewhere"


def test_later_record_of_the_browser_is_not_over(manager: SessionManager, browser: SiteBrowser, clock: Clock) -> None:
    """The reason goes with the cookie that it was told to."""
    end(manager, "password")
    clock.tick(MINUTE + 1)

    told = browser.visit(lambda session: (why(session), session.commit(), why(session))).result

    assert told == ("password", None, None)
    assert browser.visit(why).result is None


# Sessions that nobody ended -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeouts", "seconds"),
    [
        (Timeouts(idle=MINUTE), MINUTE),
        (Timeouts(lifetime=MINUTE), MINUTE),
        (Timeouts(), 8 * DAY),
    ],
    ids=["idle", "lifetime", "long ago"],
)
def test_session_that_is_over_by_its_time_is_expired(clock: Clock, timeouts: Timeouts, seconds: int) -> None:
    """Nothing is stored for it."""
    browser = SessionSite(clock=clock, timeouts=timeouts).browser()
    browser.visit(ada)
    clock.tick(seconds)

    assert browser.visit(why).result == "expired"


def test_session_that_is_over_by_what_is_set_now_is_expired(clock: Clock) -> None:
    """Though the store still has it as a live one."""
    store = MemoryStore()
    browser = SessionSite(store, clock).browser()
    browser.visit(ada)
    clock.tick(MINUTE)
    now = SessionSite(store, clock, timeouts=Timeouts(idle=MINUTE))

    assert SiteBrowser(now, browser.client.cookiejar).visit(why).result == "expired"


def test_session_whose_record_is_gone_is_expired(site: SessionSite, browser: SiteBrowser) -> None:
    """It may have been pruned."""
    (record,) = site.store.records
    site.store.behind.delete(record.id)

    assert browser.visit(why).result == "expired"


def test_session_whose_record_is_damaged_is_over_for_no_reason(site: SessionSite, browser: SiteBrowser) -> None:
    """ "Unreadable" is not "expired"."""
    (record,) = site.store.records
    site.store.behind.replace(record._replace(version=record.version + 1))

    assert browser.visit(why).result is None
    assert site.told("record.corrupt")


def test_session_whose_record_has_another_secret_is_over_for_no_reason(clock: Clock) -> None:
    """The cookie's own secret is still there."""
    newer, store = "a secret that only the other server has", MemoryStore()
    browser = SessionSite(store, clock).browser()
    browser.visit(ada)
    cookie = browser.tab()
    SiteBrowser(SessionSite(store, clock, secret=[newer, SECRET]), browser.client.cookiejar).visit(
        lambda session: session.update(n=2)
    )

    assert cookie.visit(why).result is None
    assert cookie.site.told("record.unknown_key")


@pytest.mark.parametrize("act", [Session.invalidate, Session.clear])
def test_person_who_logs_out_needs_no_reason(browser: SiteBrowser, act: View) -> None:
    """Nor do the tabs of the same browser."""
    tab = browser.tab()

    assert browser.visit(lambda session: (act(session), why(session))[1]).result is None
    assert (browser.visit(why).result, tab.visit(why).result) == (None, None)


@pytest.mark.parametrize("seconds", [0, MINUTE + 1])
def test_person_who_logs_out_of_an_ended_session_has_heard_why(
    manager: SessionManager, browser: SiteBrowser, clock: Clock, seconds: int
) -> None:
    """The rest of the page is for a visitor whose cookie is gone."""
    end(manager, "password")
    clock.tick(seconds)

    assert browser.visit(lambda session: (why(session), session.invalidate(), why(session))).result == (
        "password",
        None,
        None,
    )


@pytest.mark.parametrize(
    "cookie", [None, "junk", "A" * 64], ids=["no cookie", "another application's", "another secret's"]
)
def test_visitor_without_a_session_has_none_that_is_over(site: SessionSite, cookie: str | None) -> None:
    """Whatever else the browser sends."""
    headers = {} if cookie is None else {"Cookie": f"sid={cookie}"}

    assert site.browser().visit(why, headers=headers).result is None


def test_live_session_is_not_over(browser: SiteBrowser) -> None:
    """Nor when it is read again."""
    assert browser.visit(why).result is None


def test_foreign_request_is_told_nothing(manager: SessionManager, browser: SiteBrowser) -> None:
    """For it there is no session."""
    end(manager)

    assert browser.visit(why, method="POST", headers={"Sec-Fetch-Site": "cross-site"}).result is None


# What is left behind ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finish", "seconds"),
    [
        (lambda browser: end(browser.site.middleware.manager), DAY),
        (lambda browser: browser.visit(lambda session: session.invalidate()), MINUTE),
    ],
    ids=["with a reason", "logged out"],
)
def test_tombstone_lives_as_long_as_it_has_something_to_say(
    site: SessionSite, browser: SiteBrowser, clock: Clock, finish: Callable[[SiteBrowser], object], seconds: int
) -> None:
    """It has neither owner nor data."""
    finish(browser)

    (record,) = site.store.records
    assert (record.owner, record.expires_at) == (None, int(clock.now) + seconds)


def test_ended_session_is_told_as_expired_after_a_minute(
    site: SessionSite, manager: SessionManager, browser: SiteBrowser, clock: Clock
) -> None:
    """Until then requests may still be on their way, and are late."""
    end(manager)
    site.events.clear()
    browser.visit(why)
    assert site.events == []

    clock.tick(MINUTE + 1)
    browser.visit(why)
    assert [event.name for event in site.events] == ["session.expired"]


def test_session_that_was_ended_for_a_reason_begins_anew(
    manager: SessionManager, browser: SiteBrowser, clock: Clock
) -> None:
    """After a minute the cookie counts as none, and what is written starts a session under another id."""
    old_id = browser.visit(lambda session: session.id).result
    end(manager, "limit")
    clock.tick(MINUTE + 1)

    assert len(browser.visit(lambda session: session.update(n=2)).set_cookies) == 1
    assert browser.visit(lambda session: (session.id == old_id, session.copy())).result == (False, {"n": 2})
