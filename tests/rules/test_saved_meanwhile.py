"""What a request saves, shows and sends when the session is no longer what it was at the first look.

Another request saved in between, or this one did something to it before.
"""

from __future__ import annotations

import pytest

from sessionware import MemoryStore, Session, StoreUnavailable, Timeouts
from sessionware._core.envelope import Envelope, Stored, open_record
from tests.support.fixed import Clock
from tests.support.kit import SessionSite, SiteBrowser, View

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600

PASSIVE = {"X-Session-Passive": "1"}
OURS = {"Sec-Fetch-Site": "same-origin"}


def ada(session: Session) -> None:
    session.login("ada", user_id="7")


def who(session: Session) -> tuple[str | None, dict[str, object]]:
    return session.username, session.copy()


def accepts(token: str) -> View:
    return lambda session: session.check_csrf(token)


def on_fire() -> bool:
    raise StoreUnavailable("the accounts are on fire")


def envelope_of(site: SessionSite) -> Envelope:
    """The header and the data of the only record."""
    (record,) = site.store.records
    stored = open_record(site.middleware.manager._site.keys.record, record, b"")
    assert isinstance(stored, Stored)
    return stored.envelope


def end_of(site: SessionSite) -> int:
    """When the only record ends."""
    (record,) = site.store.records
    return int(record.expires_at)


# For how long -------------------------------------------------------------------------------------------------------


def test_rule_14_passive_write_does_not_undo_a_touch(site: SessionSite, browser: SiteBrowser, clock: Clock) -> None:
    """A person may use the session while a script is at work. A touch does not show in the record's version."""
    person = browser.tab()

    def polls(session: Session) -> None:
        session["n"]
        clock.tick(2 * HOUR)
        person.read()
        session["n"] = 2

    browser.visit(polls, headers=PASSIVE)

    assert site.store.taken() == ["load", "load", "touch", "load", "replace"]
    assert end_of(site) == int(clock.now) + 14 * DAY


def test_rule_10_late_write_of_the_first_request_does_not_undo_a_touch(site: SessionSite, clock: Clock) -> None:
    """The first request is still sending its page when its cookie comes back: the first hour is over with that."""
    manager = site.middleware.manager
    first = manager.open()
    first.session["n"] = 1
    first.finish()
    assert end_of(site) == int(clock.now) + HOUR

    second = manager.open(cookie=first.cookie)
    assert second.session["n"] == 1
    second.finish()
    second.close()
    first.session["late"] = True
    first.close()

    assert envelope_of(site).data.keys() == {"n", "late"}
    assert end_of(site) == int(clock.now) + 14 * DAY


def test_rule_01_second_of_two_readers_of_a_sliding_session_writes_nothing(
    site: SessionSite, browser: SiteBrowser, clock: Clock
) -> None:
    """The first one has granted the same already, and has sent the cookie."""
    browser.visit(lambda session: session.remember(10 * DAY, sliding=True))
    (before,) = site.store.records
    clock.tick(2 * HOUR)
    first = browser.tab()

    second = browser.visit(lambda session: (session["n"], first.read()))

    (after,) = site.store.records
    assert (after.version, after.expires_at) == (before.version + 1, before.expires_at + 2 * HOUR)
    assert second.set_cookies == []


@pytest.mark.parametrize(
    ("act", "grants"),
    [
        (ada, 12 * HOUR),
        (lambda session: session.renew_token(), 14 * DAY),
        (lambda session: session.remember(DAY, sliding=True), DAY),
    ],
    ids=["login", "renew_token", "remember"],
)
def test_rule_14_what_a_passive_request_saves_after_an_act_of_the_person_counts_too(
    site: SessionSite, browser: SiteBrowser, clock: Clock, act: View, grants: int
) -> None:
    """A login, a renewal or remembering shows that somebody is there, and that holds to the request's end."""

    def view(session: Session) -> None:
        act(session)
        session.commit()
        clock.tick(2 * HOUR)
        session["later"] = True

    browser.visit(view, headers=PASSIVE)

    assert end_of(site) == int(clock.now) + grants


def test_rule_10_session_does_not_slide_after_the_headers(
    site: SessionSite, browser: SiteBrowser, clock: Clock
) -> None:
    """The cookie, which would have to live as long, can no longer be sent."""
    browser.visit(lambda session: session.remember(10 * DAY, sliding=True))
    before = end_of(site)
    opened = site.middleware.manager.open(cookie=browser.cookies["sid"])
    assert opened.session["n"] == 1
    opened.finish()

    clock.tick(2 * HOUR)
    opened.session["n"] = 2
    opened.close()

    assert end_of(site) == before
    assert browser.read() == {"n": 2}


def test_rule_03_limits_are_asked_again_of_what_another_request_wrote(clock: Clock) -> None:
    """A process with the limits of before the deploy grants more than a session may get by now."""
    store = MemoryStore()
    site, older = SessionSite(store, clock, timeouts=Timeouts(remember=HOUR)), SessionSite(store, clock)
    browser = site.browser()
    browser.visit(lambda session: (ada(session), session.update(n=1)))
    clock.tick(2 * HOUR)
    other = SiteBrowser(older, browser.client.cookiejar)

    visit = browser.visit(
        lambda session: (session["n"], other.visit(lambda elsewhere: elsewhere.remember(20 * DAY)), session.update(n=2))
    )

    assert visit.set_cookies == []
    assert [event.keys for event in site.told("session.write_discarded")] == [("n",)]
    assert other.read() == {"n": 1}


def test_first_hour_holds_again_for_a_visitor_who_is_no_longer_remembered(site: SessionSite, clock: Clock) -> None:
    """What `remember()` granted is taken back with it, also if it was saved in between."""

    def view(session: Session) -> None:
        session["n"] = 1
        session.remember(9 * DAY)
        session.commit()
        session.remember(None)

    site.browser().visit(view)

    assert end_of(site) == int(clock.now) + HOUR


def test_first_hour_holds_for_a_session_that_begins_after_a_reload(
    site: SessionSite, browser: SiteBrowser, clock: Clock
) -> None:
    """The cookie that came back was that of another session, of which nothing is left."""

    def view(session: Session) -> None:
        site.store.behind.delete(bytes.fromhex(str(session.id)))
        session.reload()
        session["n"] = 2
        session.commit()
        session["n"] = 3

    browser.visit(view)

    assert envelope_of(site).data.keys() == {"n"}
    assert end_of(site) == int(clock.now) + HOUR


# Logins -------------------------------------------------------------------------------------------------------------


def test_rule_06_login_that_was_forgotten_by_reload_drops_no_data(site: SessionSite, browser: SiteBrowser) -> None:
    """What is written after that goes to the session of whoever is logged in."""
    browser.visit(ada)

    browser.visit(lambda session: (session.login("bob", user_id="8"), session.reload(), session.update(x=2)))

    assert browser.visit(who).result == ("ada", {"n": 1, "x": 2})


@pytest.mark.parametrize(("other_user", "data"), [(False, {"n": 1}), (True, {})], ids=["one login", "another before"])
def test_rule_06_login_that_dropped_another_users_data_inherits_none_of_the_visitors(
    site: SessionSite, browser: SiteBrowser, other_user: bool, data: dict[str, int]
) -> None:
    """As it would have dropped that data if nobody had been faster."""
    slow = browser.tab()

    def view(session: Session) -> None:
        if other_user:
            session.login("bob", user_id="8")
        ada(session)
        browser.visit(lambda other: other.renew_token())

    slow.visit(view)

    assert len(site.store.records) == 2
    assert slow.visit(who).result == ("ada", data)


def test_rule_06_login_that_was_taken_back_leaves_no_other_token_that_fits(
    site: SessionSite, browser: SiteBrowser
) -> None:
    """Neither those that had joined the session, nor the proof by which others could join it."""
    late = browser.tab()
    browser.visit(ada)
    late.visit(ada)
    assert envelope_of(site).siblings
    assert envelope_of(site).replaced

    answer = browser.visit(lambda session: session.login("ada", user_id="7", check=on_fire))

    assert answer.response.status_int == 503
    assert (envelope_of(site).siblings, envelope_of(site).replaced) == (b"", b"")
    assert [tab.visit(who).result for tab in (browser, late)] == [("ada", {"n": 1}), (None, {})]


def test_rule_06_record_that_a_login_created_has_replaced_no_token(site: SessionSite) -> None:
    """So nothing is there that another login could show."""
    site.browser().visit(ada)

    assert (envelope_of(site).siblings, envelope_of(site).replaced) == (b"", b"")


def test_rule_06_login_that_can_be_neither_checked_nor_taken_back_leaves_a_dead_cookie_alone(
    site: SessionSite, browser: SiteBrowser, clock: Clock
) -> None:
    """Nothing is known of what became of the login, so nothing is sent."""
    clock.tick(14 * DAY)

    def check() -> bool:
        site.store.broken.update({"load", "replace", "delete"})
        return on_fire()

    visit = browser.visit(lambda session: session.login("ada", check=check))

    assert (visit.response.status_int, visit.set_cookies) == (503, [])


# Cookies and logging out --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loses", [False, True])
def test_rule_07_request_that_loses_removes_no_twins_of_the_cookie(
    site: SessionSite, browser: SiteBrowser, loses: bool
) -> None:
    """Which of several cookies is the good one it no longer knows."""
    dead = site.browser()
    dead.visit(lambda session: session.update(n=1))
    cookies = f"sid={dead.cookies['sid']}; sid={browser.cookies['sid']}"
    dead.visit(lambda session: session.invalidate())

    def view(session: Session) -> None:
        session["n"] = 2
        if loses:
            browser.visit(lambda other: other.renew_token())

    visit = site.browser().visit(view, headers={"Cookie": cookies, "Host": "shop.example"})

    assert [line.startswith("sid=;") for line in visit.set_cookies] == ([] if loses else [True, False])
    assert browser.read() == {"n": 1 if loses else 2}


@pytest.mark.parametrize(("fits", "left"), [(False, {"n": 1}), (True, {})])
def test_rule_03_only_a_cookie_that_fits_removes_an_expired_record_at_logout(
    site: SessionSite, browser: SiteBrowser, clock: Clock, fits: bool, left: dict[str, int]
) -> None:
    """To a server whose clock is late the session is still there, for whoever has the right to it."""
    replaced = browser.tab()
    browser.visit(lambda session: session.renew_token())
    tab = browser.tab()
    clock.tick(14 * DAY)

    (tab if fits else replaced).visit(lambda session: session.invalidate())

    late = SessionSite(site.store, Clock(clock.now - MINUTE))
    assert SiteBrowser(late, browser.client.cookiejar).read() == left


# Forms --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("renews", [False, True])
def test_rule_07_detached_request_takes_no_visitors_form_after_renew_csrf(
    site: SessionSite, browser: SiteBrowser, renews: bool
) -> None:
    """What the session refuses, its late requests refuse too."""
    token = site.browser().visit(lambda session: session.csrf_token).result
    if renews:
        browser.visit(lambda session: session.renew_csrf(), method="POST")
    late = browser.tab()
    browser.visit(lambda session: session.renew_token())

    assert late.visit(accepts(token), method="POST", headers=OURS).result is not renews


def test_form_of_a_session_that_begins_after_a_reload_is_good_there(
    site: SessionSite, browser: SiteBrowser, clock: Clock
) -> None:
    """The login that would have joined another one's session is forgotten, with all that it would have had."""
    late = browser.tab()
    browser.visit(ada)

    def view(session: Session) -> str:
        ada(session)
        clock.tick(MINUTE + 1)  # by then the cookie counts as none
        session.reload()
        session.renew_csrf()
        return session.csrf_token

    token = late.visit(view).result

    assert len(site.store.records) == 2
    assert late.visit(accepts(token), method="POST", headers=OURS).result is True


def test_form_of_a_session_that_begins_after_a_logout_is_good_there(site: SessionSite, browser: SiteBrowser) -> None:
    """Also if it was the logout of a login that would have joined another one's session."""
    late = browser.tab()
    browser.visit(ada)

    def view(session: Session) -> str:
        ada(session)
        session.invalidate()
        session.renew_csrf()
        return session.csrf_token

    token = late.visit(view).result

    assert len(site.told("session.ended")) == 1
    assert late.visit(accepts(token), method="POST", headers=OURS).result is True
