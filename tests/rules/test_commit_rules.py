"""The rules of commit (docs/guarantees.md), each shown at work. A test is named after its rule's number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from sessionware import MemoryStore, Record, Session, SessionClosed, StoreUnavailable, Timeouts, get_session
from sessionware._core.records import Chance
from tests.support.fixed import Clock
from tests.support.kit import SessionSite, SiteBrowser, View

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

HOUR, DAY = 3600, 24 * 3600


def log_in(name: str) -> Callable[..., Any]:
    def view(session: Session) -> None:
        session.username = name

    return view


# Rule 1 -----------------------------------------------------------------------------------------------------------


def test_rule_01_untouched_session_costs_no_store_call_and_no_header(site: SessionSite, browser: SiteBrowser) -> None:
    """A page that does not look at its session asks the store nothing and adds nothing to the response."""
    visit = browser.visit(lambda session: None)

    assert site.store.taken() == []
    assert set(visit.response.headers) == {"Content-Type", "Content-Length"}  # the latter is WebTest's


def test_rule_01_read_loads_once_and_writes_nothing(site: SessionSite, browser: SiteBrowser) -> None:
    """Reading, however often, is one load: no write, no cookie."""
    visit = browser.visit(lambda session: (session["n"], session.get("x"), len(session), session.username))

    assert visit.result[0] == 1
    assert site.store.taken() == ["load"]
    assert visit.set_cookies == []


def test_rule_01_read_is_touched_at_most_once_per_interval(
    site: SessionSite, browser: SiteBrowser, clock: Clock
) -> None:
    """Reading lets the session live on, with one touch for each twentieth of its idle limit."""
    clock.tick(60 * 60)  # an anonymous session idles for two weeks, so an hour is less than a twentieth
    calls = []
    for _ in range(3):
        browser.read()
        calls.append(site.store.taken())

    assert calls == [["load", "touch"], ["load"], ["load"]]


def test_rule_01_slow_page_lets_the_session_live_from_its_end(clock: Clock) -> None:
    """Idle time is time without a request, and one that takes long is a request."""
    site = SessionSite(clock=clock, timeouts=Timeouts(anonymous=60))
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))

    browser.visit(lambda session: (session["n"], clock.tick(50)))
    clock.tick(50)

    assert browser.read() == {"n": 1}


def test_rule_01_sealing_anew_does_not_shorten_a_life(clock: Clock) -> None:
    """In a rotation of the secret a slow reader seals the record anew, and another request used it meanwhile."""
    old, new, store = "the secret before the rotation, long enough", "the secret after it, and as long", MemoryStore()
    before = SessionSite(store, clock, secret=old, timeouts=Timeouts(anonymous=60))
    browser = before.browser()
    browser.visit(lambda session: session.update(n=1))
    site = SessionSite(store, clock, secret=[new, old], timeouts=Timeouts(anonymous=60))
    browser, other = (SiteBrowser(site, browser.client.cookiejar) for _ in range(2))

    def slow(session: Session) -> None:
        session["n"]
        clock.tick(50)
        other.read()
        clock.tick(5)

    browser.visit(slow)
    clock.tick(20)

    assert browser.read() == {"n": 1}


def test_rule_01_touch_that_fails_is_an_event(site: SessionSite, browser: SiteBrowser, clock: Clock) -> None:
    """Whoever only read gets the page, also when the store cannot be written."""
    clock.tick(2 * 60 * 60)
    site.store.broken.add("touch")

    visit = browser.visit(lambda session: session["n"])

    assert (visit.result, visit.response.status_int) == (1, 200)
    assert [event.name for event in site.events] == ["store.unavailable"]


def test_rule_01_empty_and_new_is_not_stored(site: SessionSite) -> None:
    """Looking at a session that does not exist yet stores nothing and sets no cookie."""
    visit = site.browser().visit(lambda session: (session.copy(), session.is_new, session.id))

    assert visit.result[:2] == ({}, True)
    assert (site.store.taken(), visit.set_cookies) == ([], [])


def test_rule_01_login_that_is_followed_by_a_write_lives_as_long_as_any(site: SessionSite) -> None:
    """The hour of a first visit is for visitors who have not come back yet, not for somebody who logged in."""
    browser = site.browser()

    def view(session: Session) -> None:
        session.username = "ada"
        session.commit()
        session["a"] = 1

    browser.visit(view)
    site.clock.tick(2 * 3600)

    assert browser.visit(lambda session: session.username).result == "ada"


# Rule 2 -----------------------------------------------------------------------------------------------------------


def test_rule_02_writers_of_different_keys_both_win(site: SessionSite, browser: SiteBrowser) -> None:
    """Two requests that overlap and write different keys lose nothing."""

    def slow(session: Session) -> None:
        session["mine"] = 1
        browser.tab().visit(lambda other: other.update(yours=2))

    browser.visit(slow)

    assert browser.read() == {"n": 1, "mine": 1, "yours": 2}


def test_rule_02_last_writer_of_a_key_wins_and_an_event_says_so(site: SessionSite, browser: SiteBrowser) -> None:
    """On the same key the later one wins, and the loss is told."""

    def slow(session: Session) -> None:
        session["n"] = "slow"
        browser.tab().visit(lambda other: other.update(n="fast"))

    browser.visit(slow)

    assert browser.read() == {"n": "slow"}
    assert [(event.name, event.keys) for event in site.told("session.overwritten")] == [("session.overwritten", ("n",))]


def test_rule_02_modify_runs_again_on_fresh_data(site: SessionSite, browser: SiteBrowser) -> None:
    """A counter is exact: the function is computed again on what another request wrote meanwhile."""

    def count(session: Session) -> None:
        session.modify("n", lambda n: n + 1)

    def slow(session: Session) -> None:
        count(session)
        browser.tab().visit(count)

    browser.visit(slow)

    assert browser.read() == {"n": 3}


def test_rule_02_what_modify_returned_is_provisional_until_commit(site: SessionSite, browser: SiteBrowser) -> None:
    """After `commit()` the session shows the value that was stored."""

    def slow(session: Session) -> tuple[int, int]:
        provisional = session.modify("n", lambda n: n + 1)
        browser.tab().visit(lambda other: other.update(n=10))
        session.commit()
        return provisional, session["n"]

    assert browser.visit(slow).result == (2, 11)


def test_rule_02_modify_of_a_key_deleted_meanwhile_leaves_it_deleted(site: SessionSite, browser: SiteBrowser) -> None:
    """Without a default there is nothing to compute from, so what another request deleted stays deleted."""

    def slow(session: Session) -> None:
        session.modify("n", lambda n: n + 1)
        browser.tab().visit(lambda other: other.pop("n"))

    browser.visit(slow)

    assert browser.read() == {}


def test_rule_02_equal_value_changes_nothing(site: SessionSite, browser: SiteBrowser) -> None:
    """Assigning what is there already writes nothing."""
    browser.visit(lambda session: session.update(n=1))

    assert site.store.taken() == ["load"]


def test_rule_02_equal_value_does_not_undo_what_another_request_wrote(site: SessionSite, browser: SiteBrowser) -> None:
    """Assigning what was there already is no change, so it cannot overwrite one."""

    def slow(session: Session) -> None:
        session["n"] = 1
        session["mine"] = True
        browser.tab().visit(lambda other: other.update(n=2))

    browser.visit(slow)

    assert browser.read() == {"n": 2, "mine": True}


def test_rule_02_deletion_is_done_again_on_fresh_data(site: SessionSite, browser: SiteBrowser) -> None:
    """The key goes, and what others wrote stays."""

    def slow(session: Session) -> None:
        del session["n"]
        browser.tab().visit(lambda other: other.update(other=2))

    browser.visit(slow)

    assert browser.read() == {"other": 2}


def test_rule_02_clear_removes_keys_added_meanwhile(site: SessionSite, browser: SiteBrowser) -> None:
    """`clear()` means everything, also what it has not seen."""

    def slow(session: Session) -> None:
        session.clear()
        session["kept"] = True
        browser.tab().visit(lambda other: other.update(late=1))

    browser.visit(slow)

    assert browser.read() == {"kept": True}


def test_rule_02_nested_change_is_noticed(site: SessionSite, browser: SiteBrowser) -> None:
    """Changing something inside a value is a change."""
    browser.visit(lambda session: session.update(cart={"tea": [1]}))
    browser.visit(lambda session: session["cart"]["tea"].append(2))

    assert browser.read()["cart"] == {"tea": [1, 2]}


def test_rule_02_gives_up_with_503_and_keeps_what_was_stored(
    site: SessionSite, browser: SiteBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever loses again and again is told so by a 503, after a limited time, and nothing half is written."""
    monkeypatch.setattr(site.middleware.manager._site.records, "_chance", Chance(patience=0.01))
    site.store.behind.replace = lambda record: False

    visit = browser.visit(lambda session: session.update(n=2))

    assert visit.response.status_int == 503
    assert site.told("store.conflict")
    assert browser.read() == {"n": 1}


def test_rule_02_clear_of_an_empty_session_takes_what_was_added_meanwhile(site: SessionSite) -> None:
    """Also if there was nothing to clear when the request looked."""
    browser = site.browser()
    browser.visit(lambda session: session.commit())
    slow = browser.tab()

    def view(session: Session) -> None:
        assert session.copy() == {}
        browser.visit(lambda other: other.update(added=1))
        session.clear()

    slow.visit(view)

    assert browser.read() == {}


def test_rule_02_clear_of_a_session_that_does_not_exist_makes_none(site: SessionSite) -> None:
    """There is nothing to take away, and nothing to store."""
    visit = site.browser().visit(lambda session: session.clear())

    assert (visit.set_cookies, site.store.records) == ([], [])


# Rule 3 -----------------------------------------------------------------------------------------------------------


def test_rule_03_write_to_a_session_ended_meanwhile_is_dropped(site: SessionSite, browser: SiteBrowser) -> None:
    """A slow request cannot bring a session back: its changes are dropped with an event, and it sets no cookie."""

    def slow(session: Session) -> None:
        session["n"] = 2
        browser.tab().visit(lambda other: other.invalidate())

    visit = browser.visit(slow)

    assert visit.set_cookies == []
    assert [(event.keys, event.detail) for event in site.told("session.write_discarded")] == [
        (("n",), "the session was ended meanwhile")
    ]
    assert browser.read() == {}


def test_rule_03_write_to_a_record_that_is_gone_is_dropped(site: SessionSite, browser: SiteBrowser) -> None:
    """Also when not even a tombstone is left."""

    def slow(session: Session) -> None:
        session["n"] = 2
        site.store.behind.delete(bytes.fromhex(str(session.id)))

    visit = browser.visit(slow)

    assert (visit.set_cookies, site.store.records) == ([], [])
    assert site.told("session.write_discarded")


def test_rule_03_ending_wins_however_many_others_write(
    site: SessionSite, browser: SiteBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When every try to put a tombstone loses to somebody else's write, the record is removed."""
    monkeypatch.setattr(site.middleware.manager._site.records, "_chance", Chance(patience=0.01))
    site.store.behind.replace = lambda record: False

    visit = browser.visit(lambda session: session.invalidate())

    assert site.store.records == []
    assert "Max-Age=0" in visit.set_cookies[0]


def test_rule_03_write_to_a_session_that_expired_meanwhile_is_dropped(
    site: SessionSite, browser: SiteBrowser, clock: Clock
) -> None:
    """A request that straddles the end of its session does not bring it back, and is told."""

    def slow(session: Session) -> None:
        session["n"] = 2
        clock.tick(14 * DAY)

    visit = browser.visit(slow)

    assert visit.set_cookies == []
    assert [(event.keys, event.detail) for event in site.told("session.write_discarded")] == [
        (("n",), "the session was ended meanwhile")
    ]
    assert browser.read() == {}


def test_rule_03_touch_does_not_revive_what_expired_meanwhile(
    site: SessionSite, browser: SiteBrowser, clock: Clock
) -> None:
    """Nor does looking at it."""
    browser.visit(lambda session: (session["n"], clock.tick(14 * DAY)))

    assert site.store.taken() == ["load"]
    assert browser.read() == {}


def test_rule_03_logging_out_of_an_expired_session_removes_its_record(
    site: SessionSite, browser: SiteBrowser, clock: Clock
) -> None:
    """Else a server whose clock is late would take it for a live one."""
    clock.tick(14 * DAY)
    late = SessionSite(site.store, Clock(clock.now - 60))

    visit = browser.visit(lambda session: session.invalidate())

    assert "Max-Age=0" in visit.set_cookies[0]
    assert site.store.records == []
    assert SiteBrowser(late, browser.client.cookiejar).read() == {}


def test_rule_03_logging_out_of_a_session_that_is_over_by_what_is_set_now_ends_it(
    site: SessionSite, browser: SiteBrowser, clock: Clock
) -> None:
    """The record is live for the store, and would be again if the limits were raised."""
    shorter = SiteBrowser(SessionSite(site.store, clock, timeouts=Timeouts(anonymous=60)), browser.client.cookiejar)
    clock.tick(HOUR)

    visit = shorter.visit(lambda session: session.invalidate())

    assert "Max-Age=0" in visit.set_cookies[0]
    assert browser.read() == {}


# Rule 4 -----------------------------------------------------------------------------------------------------------


def test_rule_04_data_write_leaves_who_is_logged_in_alone(site: SessionSite, browser: SiteBrowser) -> None:
    """A request that writes data writes no header field: owner, epoch, deadline and token stay as they are by then."""
    browser.visit(log_in("ada"))

    def slow(session: Session) -> None:
        session["n"] = 2
        browser.tab().visit(lambda other: other.remember(5 * 24 * 3600))

    browser.visit(slow)
    visit = browser.visit(lambda session: (session.username, session.expires_at, session["n"]))

    assert visit.result == ("ada", int(site.clock.now) + 5 * 24 * 3600, 2)


# Rule 5 -----------------------------------------------------------------------------------------------------------


def test_rule_05_write_begun_before_a_login_is_dropped_after_it(
    site: SessionSite, browser: SiteBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing begun before a login lands after it; the event and the log name the keys."""
    other = browser.tab()

    def slow(session: Session) -> None:
        session["n"] = "planted"
        other.visit(log_in("ada"))

    visit = browser.visit(slow)

    assert visit.set_cookies == []
    assert other.read() == {"n": 1}
    assert site.told("session.write_discarded")[0].keys == ("n",)
    assert "session.write_discarded" in caplog.text
    assert "'n'" in caplog.text


def test_rule_05_write_begun_before_a_renewal_is_dropped(site: SessionSite, browser: SiteBrowser) -> None:
    """The same for a new token without a login."""
    other = browser.tab()

    def slow(session: Session) -> None:
        session["n"] = "planted"
        other.visit(lambda session: session.renew_token())

    browser.visit(slow)

    assert other.read() == {"n": 1}


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (lambda session: session.renew_token(), "renew_token()"),
        (lambda session: session.remember(60), "remember()"),
        (lambda session: session.remember(None), "remember()"),
        (lambda session: session.renew_csrf(), "renew_csrf()"),
    ],
    ids=["renew_token", "remember", "remember None", "renew_csrf"],
)
def test_rule_05_what_changes_no_data_is_told_too_when_it_loses(
    site: SessionSite, browser: SiteBrowser, act: View, name: str
) -> None:
    """There is no key to name, so the event names the call."""
    other = browser.tab()

    visit = browser.visit(lambda session: (act(session), other.visit(log_in("ada"))))

    (event,) = site.told("session.write_discarded")
    assert (visit.set_cookies, event.keys) == ([], ())
    assert event.detail == f"{name} did nothing: a login or a renewal replaced its cookie meanwhile"


# Rule 6 -----------------------------------------------------------------------------------------------------------


def test_rule_06_login_is_one_replace_with_a_new_token_and_keeps_the_data(
    site: SessionSite, browser: SiteBrowser
) -> None:
    """Logging in changes the token in the same write, and an anonymous visitor's data stays."""
    before = browser.cookies["sid"]

    visit = browser.visit(log_in("ada"))

    assert site.store.taken() == ["load", "replace"]
    assert len(visit.set_cookies) == 1
    assert browser.cookies["sid"] != before
    assert browser.visit(lambda session: (session.username, session.copy())).result == ("ada", {"n": 1})


def test_rule_06_pre_login_cookie_never_sees_the_login(site: SessionSite, browser: SiteBrowser) -> None:
    """Whoever planted or copied the cookie before the login has nothing afterwards."""
    thief = browser.tab()
    browser.visit(log_in("ada"))

    assert thief.visit(lambda session: (session.username, session.copy())).result == (None, {})


def test_rule_06_login_falls_with_a_5xx(site: SessionSite, browser: SiteBrowser) -> None:
    """A login in a response that fails has not happened."""
    visit = browser.visit(log_in("ada"), status="500 Oops")

    assert visit.set_cookies == []
    assert browser.visit(lambda session: (session.username, session["n"])).result == (None, 1)


def test_rule_06_login_of_another_user_drops_the_data(site: SessionSite, browser: SiteBrowser) -> None:
    """What one user left behind is not shown to the next."""
    browser.visit(log_in("ada"))
    browser.visit(log_in("bob"))

    assert browser.visit(lambda session: (session.username, session.copy())).result == ("bob", {})


def test_rule_06_same_user_again_keeps_the_data_and_gets_a_new_token(site: SessionSite, browser: SiteBrowser) -> None:
    """Proving one's identity again is a login too (ASVS 5.0 7.2.4)."""
    browser.visit(log_in("ada"))
    before = browser.cookies["sid"]
    browser.visit(log_in("ADA"))  # the same account: names are compared by their key

    assert browser.cookies["sid"] != before
    assert browser.read() == {"n": 1}


def test_rule_06_login_that_loses_to_another_one_of_the_same_user_joins_it(
    site: SessionSite, browser: SiteBrowser
) -> None:
    """A double click logs in twice, into one session with a token for each. Both changes are in it."""
    other = browser.tab()

    def slow(session: Session) -> None:
        session["late"] = True
        other.visit(lambda session: (log_in("ada")(session), session.update(early=True)))
        session.username = "ada"

    browser.visit(slow)

    assert browser.cookies["sid"] != other.cookies["sid"]
    assert len(site.store.records) == 1
    for tab in (browser, other):
        seen = tab.visit(lambda session: (session.username, session.copy())).result
        assert seen == ("ada", {"n": 1, "early": True, "late": True})


def test_rule_06_login_that_loses_to_a_renewal_keeps_an_anonymous_visitors_data(
    site: SessionSite, browser: SiteBrowser
) -> None:
    """In a record of its own, because nothing shows that whoever renewed the token is the same person."""
    other = browser.tab()

    def slow(session: Session) -> None:
        session["late"] = True
        other.visit(lambda session: session.renew_token())
        session.username = "ada"

    browser.visit(slow)

    assert browser.visit(lambda session: (session.username, session.copy())).result == ("ada", {"n": 1, "late": True})
    assert other.visit(lambda session: (session.username, session.copy())).result == (None, {"n": 1})


def test_rule_06_login_that_loses_to_another_user_starts_from_its_own_changes(
    site: SessionSite, browser: SiteBrowser
) -> None:
    """What now belongs to somebody else is not taken over."""
    other = browser.tab()

    def slow(session: Session) -> None:
        session["late"] = True
        other.visit(lambda session: (log_in("bob")(session), session.update(secret=1)))
        session.username = "ada"

    browser.visit(slow)

    assert browser.read() == {"late": True}


def test_rule_06_login_that_loses_to_a_logout_gets_a_record_of_its_own(site: SessionSite, browser: SiteBrowser) -> None:
    """The credentials were just checked, so the login holds; what was ended stays ended."""
    old = browser.tab()

    def slow(session: Session) -> None:
        session.username = "ada"
        old.tab().visit(lambda other: other.invalidate())

    browser.visit(slow)

    assert browser.visit(lambda session: (session.username, session.copy())).result == ("ada", {})
    assert old.read() == {}


def test_rule_06_token_that_was_written_is_sent_with_a_5xx(site: SessionSite, browser: SiteBrowser) -> None:
    """Once `commit()` has changed the token, the browser has to get it, whatever becomes of the page."""

    def view(session: Session) -> None:
        session.username = "ada"
        session.commit()

    visit = browser.visit(view, status="500 Oops")

    assert len(visit.set_cookies) == 1
    assert browser.visit(lambda session: session.username).result == "ada"


def test_rule_06_token_that_was_written_is_sent_with_our_503(site: SessionSite, browser: SiteBrowser) -> None:
    """Also when the next save fails and the answer is ours."""

    def view(session: Session) -> None:
        session.username = "ada"
        session.commit()
        site.store.broken.add("replace")
        session["n"] = 2

    visit = browser.visit(view)
    site.store.broken.clear()

    assert (visit.response.status_int, len(visit.set_cookies)) == (503, 1)
    assert browser.visit(lambda session: (session.username, session["n"])).result == ("ada", 1)


def test_rule_06_login_that_does_not_hold_any_more_is_ended(site: SessionSite, browser: SiteBrowser) -> None:
    """What `check` finds right after the replace counts: an account disabled meanwhile does not get in."""
    visit = browser.visit(lambda session: session.login("ada", check=lambda: False))

    assert "Max-Age=0" in visit.set_cookies[0]
    assert browser.visit(lambda session: session.username).result is None
    assert site.told("session.ended")


def accounts_are_on_fire() -> bool:
    raise StoreUnavailable("the accounts are on fire")


def test_rule_06_login_that_cannot_be_checked_is_taken_back(site: SessionSite, browser: SiteBrowser) -> None:
    """Nobody is logged in, the visitor's data stays, and the token goes out with the 503."""
    before = browser.tab()

    visit = browser.visit(lambda session: (session.update(n=2), session.login("ada", check=accounts_are_on_fire)))

    assert (visit.response.status_int, len(visit.set_cookies)) == (503, 1)
    assert site.told("session.login", "session.renewed")[-1].detail.endswith("was taken back")
    assert browser.visit(lambda session: (session.username, session.copy())).result == (None, {"n": 1})
    assert before.read() == {}


def test_rule_06_login_that_is_taken_back_leaves_the_session_as_it_was(site: SessionSite, browser: SiteBrowser) -> None:
    """For as long as it was remembered, and with the forms that it had refused still refused."""
    visitors = browser.visit(lambda session: session.csrf_token).result
    browser.visit(lambda session: (session.remember(20 * 86400), session.renew_csrf()))
    ends_at = browser.visit(lambda session: session.ends_at).result

    visit = browser.visit(lambda session: session.login("ada", check=accounts_are_on_fire))

    assert f"Max-Age={20 * 86400}" in visit.set_cookies[0]
    same_origin = {"Sec-Fetch-Site": "same-origin"}
    after = browser.visit(lambda session: (session.ends_at, session.check_csrf(visitors)), headers=same_origin)
    assert after.result == (ends_at, False)


def test_rule_06_second_login_that_cannot_be_checked_leaves_the_first(
    site: SessionSite, browser: SiteBrowser, clock: Clock
) -> None:
    """With its data and its time, under a new token: what others wrote there was acknowledged."""
    browser.visit(log_in("ada"))
    logged_in_at = int(clock.now)
    clock.tick(60)

    visit = browser.visit(lambda session: session.login("ada", check=accounts_are_on_fire))

    assert (visit.response.status_int, len(visit.set_cookies)) == (503, 1)
    seen = browser.visit(lambda session: (session.username, session.copy(), session.authenticated_at)).result
    assert seen == ("ada", {"n": 1}, logged_in_at)


def test_rule_06_login_over_another_user_that_cannot_be_checked_leaves_nobody(
    site: SessionSite, browser: SiteBrowser
) -> None:
    """The other user's data was dropped by the login, and stays so."""
    browser.visit(log_in("bob"))

    browser.visit(lambda session: session.login("ada", check=accounts_are_on_fire))

    assert browser.visit(lambda session: (session.username, session.copy(), session.is_new)).result == (None, {}, False)


@pytest.mark.parametrize("fails", [False, True])
def test_rule_06_check_may_end_the_session_itself(site: SessionSite, browser: SiteBrowser, fails: bool) -> None:
    """As `auth.user()` does for an account that is disabled."""

    def check(session: Session) -> bool:
        session.invalidate()
        return accounts_are_on_fire() if fails else False

    visit = browser.visit(lambda session: session.login("ada", check=lambda: check(session)))

    assert visit.response.status_int == (503 if fails else 200)
    assert browser.visit(lambda session: session.username).result is None


def test_rule_06_login_that_cannot_be_checked_or_taken_back_sends_nothing(
    site: SessionSite, browser: SiteBrowser
) -> None:
    """Its token stays on the server, and the cookie that the browser has is not removed."""

    def check() -> bool:
        site.store.broken.add("replace")
        return accounts_are_on_fire()

    visit = browser.visit(lambda session: session.login("ada", check=check))
    site.store.broken.clear()

    assert (visit.response.status_int, visit.set_cookies) == (503, [])
    assert browser.visit(lambda session: session.username).result is None


# Rule 7 -----------------------------------------------------------------------------------------------------------


def test_rule_07_replaced_token_makes_the_request_detached(site: SessionSite, browser: SiteBrowser) -> None:
    """For 60 seconds a replaced token shows an empty session, drops writes with an event, and sets no cookie."""
    late = browser.tab()
    browser.visit(log_in("ada"))

    visit = late.visit(lambda session: (session.copy(), session.update(n=2)))

    assert visit.result[0] == {}
    assert visit.set_cookies == []
    assert site.told("session.write_discarded")[0].keys == ("n",)
    assert len(site.store.records) == 1


def test_rule_07_ended_session_makes_the_request_detached(site: SessionSite, browser: SiteBrowser) -> None:
    """The same for a session that was ended."""
    late = browser.tab()
    browser.visit(lambda session: session.invalidate())

    visit = late.visit(lambda session: session.update(n=2))

    assert visit.set_cookies == []
    assert site.told("session.write_discarded")


@pytest.mark.parametrize("change", [log_in("ada"), lambda session: session.invalidate()], ids=["login", "logout"])
def test_rule_07_detached_request_can_be_told(
    site: SessionSite, browser: SiteBrowser, clock: Clock, change: Callable[[Session], object]
) -> None:
    """`is_late`, for code that logs somebody in by something weaker than a password."""
    late, stranger = browser.tab(), site.browser()
    assert browser.visit(lambda session: session.is_late).result is False
    browser.visit(change)

    assert late.visit(lambda session: session.is_late).result is True
    assert browser.visit(lambda session: session.is_late).result is False
    assert stranger.visit(lambda session: session.is_late).result is False
    clock.tick(61)
    assert late.visit(lambda session: session.is_late).result is False


def test_rule_07_after_a_minute_a_replaced_token_counts_as_no_cookie(
    site: SessionSite, browser: SiteBrowser, clock: Clock
) -> None:
    """A lost response locks nobody out: later the old cookie starts a new session, and the replay is told."""
    late = browser.tab()
    browser.visit(log_in("ada"))
    clock.tick(61)

    visit = late.visit(lambda session: session.update(n=2))

    assert len(visit.set_cookies) == 1
    assert site.told("session.token_replayed")
    assert late.read() == {"n": 2}
    assert browser.read() == {"n": 1}


def test_rule_07_detached_login_gets_a_record_of_its_own(site: SessionSite, browser: SiteBrowser) -> None:
    """Somebody who logs in with a cookie that was replaced a moment ago is logged in."""
    late = browser.tab()
    browser.visit(log_in("ada"))

    late.visit(log_in("bob"))

    assert late.visit(lambda session: (session.username, session.copy())).result == ("bob", {})
    assert browser.visit(lambda session: (session.username, session.copy())).result == ("ada", {"n": 1})


def test_rule_07_detached_invalidate_ends_the_record_and_the_cookie(site: SessionSite, browser: SiteBrowser) -> None:
    """Logging out works with the old cookie too."""
    late = browser.tab()
    browser.visit(log_in("ada"))

    visit = late.visit(lambda session: session.invalidate())

    assert "Max-Age=0" in visit.set_cookies[0]
    assert browser.visit(lambda session: session.username).result is None


@pytest.mark.parametrize("end", [Session.invalidate, Session.clear])
def test_rule_07_ending_wins_over_a_login_in_the_same_detached_request(
    site: SessionSite, browser: SiteBrowser, end: View
) -> None:
    """Whoever logs in and out again in one late request has ended the session that the cookie names."""
    late = browser.tab()
    browser.visit(log_in("ada"))

    late.visit(lambda session: (session.login("bob"), end(session)))

    assert browser.visit(lambda session: session.username).result is None
    assert len(site.told("session.ended")) == 1


@pytest.mark.parametrize("check", [lambda: False, accounts_are_on_fire])
@pytest.mark.parametrize("is_sent_late", [True, False])
def test_rule_07_late_login_that_does_not_hold_leaves_the_newer_cookie(
    site: SessionSite, browser: SiteBrowser, check: Callable[[], bool], is_sent_late: bool
) -> None:
    """The session that it missed is alive, with its data, and its cookie is on its way."""
    late = browser.tab()
    if is_sent_late:
        browser.visit(Session.renew_token)

    def view(session: Session) -> None:
        if not is_sent_late:
            session.get("n")
            browser.visit(Session.renew_token)
        session.login("ada", check=check)

    visit = late.visit(view)

    assert visit.set_cookies == []
    assert browser.read() == {"n": 1}
    assert [record.owner for record in site.store.records if record.owner is not None] == []


def test_rule_07_detached_renewal_does_nothing(site: SessionSite, browser: SiteBrowser) -> None:
    """It would take the token away from whoever has the right one."""
    late = browser.tab()
    browser.visit(log_in("ada"))

    visit = late.visit(lambda session: session.renew_token())

    assert visit.set_cookies == []
    assert browser.visit(lambda session: session.username).result == "ada"


def test_rule_07_detached_clear_ends_a_session_with_a_user(site: SessionSite, browser: SiteBrowser) -> None:
    """`clear()` logs out, and a logout always wins. The event says that it came by an old cookie."""
    late = browser.tab()
    browser.visit(log_in("ada"))

    visit = late.visit(lambda session: session.clear())

    assert "Max-Age=0" in visit.set_cookies[0]
    assert [event.detail for event in site.told("session.ended")] == ["clear() by a replaced cookie"]
    assert browser.visit(lambda session: session.username).result is None


def test_rule_07_detached_clear_of_an_anonymous_session_does_nothing(site: SessionSite, browser: SiteBrowser) -> None:
    """There is nobody to log out, so it is a late change like any other."""
    late = browser.tab()
    browser.visit(lambda session: session.renew_token())

    visit = late.visit(lambda session: session.clear())

    assert (visit.set_cookies, site.told("session.ended")) == ([], [])
    assert browser.read() == {"n": 1}


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (lambda session: session.renew_token(), "renew_token()"),
        (lambda session: session.remember(60), "remember()"),
        (lambda session: session.renew_csrf(), "renew_csrf()"),
    ],
    ids=["renew_token", "remember", "renew_csrf"],
)
def test_rule_07_what_a_detached_request_asks_of_the_header_is_told(
    site: SessionSite, browser: SiteBrowser, act: View, name: str
) -> None:
    """It changes nothing, and the event names the call."""
    late = browser.tab()
    browser.visit(log_in("ada"))
    (before,) = site.store.records

    assert late.visit(act).set_cookies == []

    assert site.store.records == [before]
    (event,) = site.told("session.write_discarded")
    assert event.keys == ()
    assert event.detail == f"{name} did nothing: the session ended, or its cookie was replaced, less than a minute ago"


# Rule 8 -----------------------------------------------------------------------------------------------------------


def test_rule_08_record_long_gone_starts_fresh_under_a_new_id(site: SessionSite, browser: SiteBrowser) -> None:
    """An id is never adopted, and nothing is stored before something is written."""
    old_id = browser.visit(lambda session: session.id).result
    site.store.behind.delete(bytes.fromhex(old_id))
    site.store.taken()

    read = browser.visit(lambda session: (session.copy(), session.id))
    assert read.result[0] == {}
    assert (site.store.taken(), read.set_cookies) == (["load"], [])

    browser.visit(lambda session: session.update(n=2))
    assert browser.visit(lambda session: (session.id == old_id, session["n"])).result == (False, 2)


def test_rule_08_expired_session_starts_fresh(site: SessionSite, browser: SiteBrowser, clock: Clock) -> None:
    """The same for a session that nobody used for too long."""
    old_id = browser.visit(lambda session: session.id).result
    clock.tick(14 * 24 * 3600)

    browser.visit(lambda session: session.update(n=2))

    assert browser.visit(lambda session: (session.id == old_id, session["n"])).result == (False, 2)
    assert site.told("session.expired")


def test_rule_08_deadline_holds_whatever_the_store_says(site: SessionSite, browser: SiteBrowser, clock: Clock) -> None:
    """It is sealed with the rest: who can write to the database cannot let a login live on."""
    browser.visit(log_in("ada"))
    record = site.store.records[0]
    site.store.behind.touch(record.id, record.version, int(clock.now) + 10**9)
    clock.tick(7 * 24 * 3600)

    assert browser.visit(lambda session: session.username).result is None
    assert site.told("session.expired")


# Rule 9 is in test_wsgi.py: the life of a response under each way that WSGI has to send one. One example:


def test_rule_09_session_is_saved_before_the_first_byte(site: SessionSite, browser: SiteBrowser) -> None:
    """The cookie is in the headers although it was decided after `start_response`."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        get_session(environ).username = "ada"
        yield b"hello"

    site.middleware._app = app
    response = browser.client.get("/")

    assert len(response.headers.getall("Set-Cookie")) == 1


# Rule 10 ----------------------------------------------------------------------------------------------------------


def stream(*steps: Callable[..., Any]) -> Callable[..., Any]:
    """An application that runs one step before each chunk of its body, the first one before any."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        for step in steps:
            step(get_session(environ))
            yield b"chunk"

    return app


def test_rule_10_change_to_an_existing_session_after_the_headers_is_saved_at_the_end(
    site: SessionSite, browser: SiteBrowser
) -> None:
    """A body that is still being made may write to the session that is there."""
    site.middleware._app = stream(lambda session: session["n"], lambda session: session.update(n=2))
    browser.client.get("/")

    site.middleware._app = stream(lambda session: session["n"])
    assert site.store.taken() == ["load", "replace"]


@pytest.mark.parametrize(
    "act",
    [
        lambda session: session.invalidate(),
        lambda session: session.renew_token(),
        lambda session: session.remember(60),
        lambda session: setattr(session, "username", "ada"),
        lambda session: setattr(session, "username", None),
    ],
)
def test_rule_10_what_needs_a_cookie_is_refused_after_the_headers(
    site: SessionSite, browser: SiteBrowser, act: Callable[..., Any]
) -> None:
    """It raises at the call, for the headers are out; what is stored stays as it is."""
    errors = []

    def late(session: Session) -> None:
        with pytest.raises(SessionClosed) as caught:
            act(session)
        errors.append(caught.value)

    site.middleware._app = stream(lambda session: session["n"], late)
    browser.client.get("/")

    assert len(errors) == 1
    assert site.store.taken() == ["load"]


def test_rule_10_new_session_cannot_begin_after_the_headers(site: SessionSite) -> None:
    """It would need a cookie that cannot be sent any more."""

    def late(session: Session) -> None:
        with pytest.raises(SessionClosed):
            session["n"] = 1

    site.middleware._app = stream(lambda session: session.get("n"), late)
    site.browser().client.get("/")

    assert site.store.records == []


def test_rule_10_first_look_after_the_headers_is_told(
    site: SessionSite, browser: SiteBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    """The response went out without `Vary: Cookie`, so a cache may keep what it should not."""
    site.middleware._app = stream(lambda session: None, lambda session: session["n"])
    response = browser.client.get("/")

    assert "Vary" not in response.headers
    assert site.told("session.late_read")
    assert "Vary: Cookie" in caplog.text


@pytest.mark.parametrize(
    "look",
    [
        lambda session: session.get("n"),
        lambda session: "n" in session,
        lambda session: len(session),
        lambda session: session.username,
        lambda session: session.id,
        lambda session: session.ended_because,
        lambda session: session.csrf_token,
        lambda session: session.commit(),
    ],
    ids=["get", "in", "len", "username", "id", "ended_because", "csrf_token", "commit"],
)
def test_rule_10_first_look_after_the_request_is_refused(site: SessionSite, browser: SiteBrowser, look: View) -> None:
    """A thread that outlives its request does not take "over" for "empty"."""
    kept: list[Session] = []
    browser.visit(kept.append)

    with pytest.raises(SessionClosed):
        look(kept[0])

    assert site.store.taken() == []


def test_rule_10_what_was_read_can_be_read_after_the_request(site: SessionSite, browser: SiteBrowser) -> None:
    """Only changes are refused then."""
    kept: list[Session] = []
    browser.visit(lambda session: (kept.append(session), session["n"]))

    assert (kept[0].copy(), kept[0].username) == ({"n": 1}, None)
    with pytest.raises(SessionClosed):
        kept[0]["n"] = 2


def test_rule_10_nothing_is_saved_after_an_error_while_iterating(site: SessionSite, browser: SiteBrowser) -> None:
    """A body that breaks off does not save what it did late."""

    def fail(session: Session) -> None:
        session["n"] = 2
        raise RuntimeError("boom")

    site.middleware._app = stream(lambda session: session["n"], fail)
    with pytest.raises(RuntimeError):
        browser.client.get("/")

    assert site.store.taken() == ["load"]


def test_rule_10_failure_of_the_late_save_is_logged(
    site: SessionSite, browser: SiteBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    """An error in our `close()` must not cut off a response that was sent."""

    def late(session: Session) -> None:
        session["n"] = 2
        site.store.broken.add("replace")

    site.middleware._app = stream(lambda session: session["n"], late)
    response = browser.client.get("/")

    assert response.body == b"chunkchunk"
    assert "could not be saved" in caplog.text


# Rule 11 ----------------------------------------------------------------------------------------------------------


def test_rule_11_changes_are_dropped_with_a_5xx(
    site: SessionSite, browser: SiteBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    """An error page saves nothing, and the log names the keys."""
    browser.visit(lambda session: session.update(n=2), status="500 Oops")

    assert browser.read() == {"n": 1}
    assert "'n'" in caplog.text


def test_rule_11_changes_are_dropped_when_the_application_raises(site: SessionSite, browser: SiteBrowser) -> None:
    """An exception saves nothing, and reaches the server."""

    def view(session: Session) -> None:
        session["n"] = 2
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        browser.visit(view)

    assert browser.read() == {"n": 1}
    assert site.told("session.write_discarded")[0].keys == ("n",)


def test_rule_11_value_that_cannot_be_stored_is_dropped_with_the_rest(
    site: SessionSite, browser: SiteBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    """An error page is not made worse by what went wrong before it."""

    def view(session: Session) -> None:
        session["cart"] = cart = []
        cart.append(object())

    assert browser.visit(view, status="500 Oops").response.status_int == 500
    assert browser.read() == {"n": 1}
    assert "cart" in caplog.text


def test_rule_11_commit_keeps_what_must_stay(site: SessionSite, browser: SiteBrowser) -> None:
    """What was committed by hand is there after an error."""

    def view(session: Session) -> None:
        session["n"] = 2
        session.commit()
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError):
        browser.visit(view)

    assert browser.read() == {"n": 2}


def test_rule_11_invalidate_has_happened_already(site: SessionSite, browser: SiteBrowser) -> None:
    """Logging out holds, also in a response that fails."""
    copy = browser.tab()
    visit = browser.visit(lambda session: session.invalidate(), status="500 Oops")

    assert "Max-Age=0" in visit.set_cookies[0]
    assert copy.read() == {}


# Rule 12 ----------------------------------------------------------------------------------------------------------


def test_rule_12_outage_at_the_first_look_is_a_503(site: SessionSite, browser: SiteBrowser) -> None:
    """The store's failure rises into the application; let out, it becomes a 503 that reveals nothing."""
    site.store.broken.add("load")

    visit = browser.visit(lambda session: session["n"])

    assert visit.response.status_int == 503
    assert visit.response.headers["Retry-After"] == "5"
    assert "fire" not in visit.response.text
    assert visit.set_cookies == []


def test_rule_12_outage_that_the_application_turned_into_a_500_is_a_503(
    site: SessionSite, browser: SiteBrowser
) -> None:
    """Frameworks turn every exception into their own 500; the visitor shall know that it is for a moment."""
    site.store.broken.add("load")

    def view(session: Session) -> None:
        with pytest.raises(StoreUnavailable):
            session["n"]

    visit = browser.visit(view, status="500 Internal Server Error")

    assert (visit.response.status_int, visit.set_cookies) == (503, [])


def test_rule_12_outage_that_the_application_handled_is_its_own_answer(site: SessionSite, browser: SiteBrowser) -> None:
    """Whoever catches it and answers well is not interfered with."""
    site.store.broken.add("load")

    def view(session: Session) -> None:
        with pytest.raises(StoreUnavailable):
            session["n"]

    assert browser.visit(view).response.status_int == 200


def test_rule_12_failed_commit_is_a_503_without_cookie(site: SessionSite) -> None:
    """Never a Set-Cookie for something that was not written."""
    site.store.broken.add("create")

    visit = site.browser().visit(lambda session: session.update(n=1))

    assert (visit.response.status_int, visit.set_cookies) == (503, [])


def test_rule_12_outage_is_not_a_logout(site: SessionSite, browser: SiteBrowser) -> None:
    """When the store is back, everything is there."""
    browser.visit(log_in("ada"))
    site.store.broken.update({"load", "replace"})
    browser.visit(lambda session: session.update(n=2))
    site.store.broken.clear()

    assert browser.visit(lambda session: (session.username, session["n"])).result == ("ada", 1)


def test_rule_12_untouched_page_does_not_notice_the_outage(site: SessionSite, browser: SiteBrowser) -> None:
    """A page that does not look at its session is served as ever."""
    site.store.broken.update({"load", "replace", "create", "touch"})

    assert browser.visit(lambda session: None).response.status_int == 200


def test_rule_12_503_to_head_has_no_body(site: SessionSite, browser: SiteBrowser) -> None:
    """HEAD is answered without a body (RFC 9110 §9.3.2)."""
    site.store.broken.add("load")

    visit = browser.visit(lambda session: session["n"], method="HEAD")

    assert (visit.response.status_int, visit.response.body) == (503, b"")


def test_rule_12_store_that_takes_no_record_is_an_outage(site: SessionSite) -> None:
    """A `create` that always says no, as a wrong store's may, does not keep the request going for ever."""
    site.store.create = lambda record: False

    visit = site.browser().visit(lambda session: session.update(n=1))

    assert (visit.response.status_int, visit.set_cookies) == (503, [])
    assert "create() is wrong" in site.told("store.unavailable")[0].detail


# Rule 13 ----------------------------------------------------------------------------------------------------------

FOREIGN = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


def test_rule_13_foreign_form_sees_and_changes_nothing(site: SessionSite, browser: SiteBrowser) -> None:
    """To a form on another site the session is empty, and what it writes is dropped."""
    visit = browser.visit(
        lambda session: (session.copy(), session.is_foreign, session.update(n=2)), method="POST", headers=FOREIGN
    )

    assert visit.result[:2] == ({}, True)
    assert visit.set_cookies == []
    assert site.store.taken() == []
    assert browser.read() == {"n": 1}
    assert site.told("session.cross_origin")
    assert site.told("session.write_discarded")[0].keys == ("n",)


def test_rule_13_foreign_form_cannot_log_anyone_in_or_out(site: SessionSite, browser: SiteBrowser) -> None:
    """Neither a login nor an end nor a new token comes of it."""
    browser.visit(log_in("ada"))

    for act in (log_in("eve"), lambda session: session.invalidate(), lambda session: session.renew_token()):
        assert browser.visit(act, method="POST", headers=FOREIGN).set_cookies == []

    assert browser.visit(lambda session: (session.username, session.copy())).result == ("ada", {"n": 1})


def test_rule_13_foreign_link_is_an_ordinary_request(site: SessionSite, browser: SiteBrowser) -> None:
    """GET asks for nothing to be changed, so that links from elsewhere find their visitor logged in."""
    assert browser.visit(lambda session: session["n"], headers=FOREIGN).result == 1


def test_rule_13_trusted_origin_is_let_in(clock: Clock) -> None:
    """A partner whose forms may act is named."""
    site = SessionSite(clock=clock, trusted_origins=["https://partner.example"])
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))

    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://partner.example"}
    assert browser.visit(lambda session: session["n"], method="POST", headers=headers).result == 1


def test_rule_13_can_be_turned_off(clock: Clock) -> None:
    """Whoever has a defence of their own may."""
    site = SessionSite(clock=clock, cross_origin="allow")
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))

    assert browser.visit(lambda session: session["n"], method="POST", headers=FOREIGN).result == 1


@pytest.mark.parametrize("settings", [{"trusted_origins": ["https://partner.example"]}, {"cross_origin": "allow"}])
def test_rule_13_form_that_comes_without_the_cookie_sets_none(clock: Clock, settings: dict[str, Any]) -> None:
    """The browser keeps a Lax cookie back from another site's form, so a new cookie would replace the visitor's."""
    site = SessionSite(clock=clock, **settings)
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://partner.example"}

    visit = site.browser().visit(
        lambda session: (session.is_foreign, session.update(n=1)), method="POST", headers=headers
    )

    assert (visit.result[0], visit.set_cookies, site.store.records) == (True, [], [])
    assert [(event.name, event.keys) for event in site.events] == [("session.write_discarded", ("n",))]


@pytest.mark.parametrize(
    ("act", "detail"),
    [
        (lambda session: session.renew_token(), "renew_token()"),
        (lambda session: session.remember(60), "remember()"),
        (lambda session: session.renew_csrf(), "renew_csrf()"),
    ],
    ids=["renew_token", "remember", "renew_csrf"],
)
def test_rule_13_what_a_foreign_form_asks_of_the_header_is_told(
    site: SessionSite, browser: SiteBrowser, act: View, detail: str
) -> None:
    """It changes nothing, and the event names the call."""
    assert browser.visit(act, method="POST", headers=FOREIGN).set_cookies == []

    (event,) = site.told("session.write_discarded")
    assert event.keys == ()
    assert event.detail.startswith(f"{detail} did nothing: another site sent this (Origin")


# Rule 14 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "view"),
    [
        ({"X-Session-Passive": "1"}, lambda session: session.get("n")),
        ({"Sec-Purpose": "prefetch"}, lambda session: session.get("n")),
        ({"Sec-Purpose": "prefetch;prerender"}, lambda session: session.get("n")),
        ({"X-Poll": "yes"}, lambda session: session.get("n")),
        ({}, lambda session: (session.get("n"), setattr(session, "keep_alive", False))),
    ],
    ids=["header", "prefetch", "prerender", "passive=", "keep_alive"],
)
def test_rule_14_passive_request_prolongs_nothing(clock: Clock, headers: dict[str, str], view: View) -> None:
    """A page that polls does not keep anybody logged in."""
    site = SessionSite(clock=clock, passive=lambda environ: "HTTP_X_POLL" in environ)
    browser = site.browser()
    browser.visit(log_in("ada"))
    for _ in range(12):
        clock.tick(HOUR)
        browser.visit(view, headers=headers)

    assert "touch" not in site.store.taken()
    assert browser.visit(lambda session: session.username).result is None


def test_rule_14_passive_write_keeps_the_end_that_there_was(
    site: SessionSite, browser: SiteBrowser, clock: Clock
) -> None:
    """What it writes is kept, and nothing more."""
    (before,) = site.store.records
    clock.tick(HOUR)

    browser.visit(lambda session: session.update(n=2), headers={"X-Session-Passive": "1"})

    (after,) = site.store.records
    assert (after.version, after.expires_at) == (before.version + 1, before.expires_at)


def test_rule_14_cookie_that_came_back_in_a_passive_request_is_not_confirmed(site: SessionSite, clock: Clock) -> None:
    """A new session still ends an hour after it began."""
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))
    clock.tick(HOUR - 1)
    browser.visit(lambda session: session.update(n=2), headers={"X-Session-Passive": "1"})
    clock.tick(1)

    assert browser.read() == {}


@pytest.mark.parametrize(
    "act",
    [log_in("ada"), lambda session: session.renew_token(), lambda session: session.remember(20 * DAY)],
    ids=["login", "renew_token", "remember"],
)
def test_rule_14_what_only_a_person_does_counts_in_a_passive_request(
    site: SessionSite, browser: SiteBrowser, clock: Clock, act: View
) -> None:
    """A login, a renewal, remembering."""
    clock.tick(14 * DAY - 1)
    browser.visit(act, headers={"X-Session-Passive": "1"})
    clock.tick(HOUR)

    assert browser.read() == {"n": 1}


# Between the rules --------------------------------------------------------------------------------------------------


def test_rule_14_function_that_fails_counts_the_request_as_the_persons(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the page is served: nobody is logged out by a mistake in `passive=`."""

    def passive(environ: dict[str, Any]) -> bool:
        raise RuntimeError("the mistake")

    site = SessionSite(clock=clock, passive=passive)
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))

    answer = browser.visit(lambda session: session["n"])

    assert (answer.response.status_int, answer.result) == (200, 1)
    assert site.store.records[0].expires_at == clock.now + 14 * 24 * 3600
    assert "the mistake" in caplog.text


def test_new_anonymous_session_lives_an_hour_until_its_cookie_comes_back(site: SessionSite, clock: Clock) -> None:
    """A flood of requests that never come back stays small."""
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))
    assert site.store.records[0].expires_at == clock.now + 3600

    browser.read()
    assert site.store.records[0].expires_at == clock.now + 14 * 24 * 3600


def test_lifetime_ends_a_login_that_is_in_use(clock: Clock) -> None:
    """No activity extends the time since the last login."""
    site = SessionSite(clock=clock, timeouts=Timeouts(idle=3600, lifetime=7200))
    browser = site.browser()
    browser.visit(log_in("ada"))
    seen = []
    for _ in range(4):
        clock.tick(2000)
        seen.append(browser.visit(lambda session: session.username).result)

    assert seen == ["ada", "ada", "ada", None]


def test_remembered_session_has_no_idle_limit_before_its_deadline(site: SessionSite, clock: Clock) -> None:
    """Its cookie outlives the browser, for as long as the session does."""
    browser = site.browser()

    def view(session: Session) -> None:
        session.username = "ada"
        session.remember(20 * 24 * 3600)

    visit = browser.visit(view)
    assert f"Max-Age={20 * 24 * 3600}" in visit.set_cookies[0]

    clock.tick(20 * 24 * 3600 - 1)
    assert browser.visit(lambda session: session.username).result == "ada"
    clock.tick(1)
    assert browser.visit(lambda session: session.username).result is None


def test_remembered_anonymous_session_lives_until_its_deadline(site: SessionSite, clock: Clock) -> None:
    """The hour of a first visit does not cut it, because its cookie is kept for as long."""
    browser = site.browser()
    browser.visit(lambda session: (session.update(n=1), session.remember(9 * 24 * 3600)))
    clock.tick(8 * 24 * 3600)

    assert browser.read() == {"n": 1}


def test_id_that_is_taken_is_replaced_by_another(site: SessionSite) -> None:
    """128 random bits do not collide; if they did, nobody would get into somebody else's session."""
    create, taken = site.store.behind.create, []

    def once_taken(record: Record) -> bool:
        taken.append(record.id)
        return False if len(taken) == 1 else create(record)

    site.store.behind.create = once_taken
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))

    assert len(set(taken)) == 2
    assert browser.visit(lambda session: (session.id, session["n"])).result == (taken[1].hex(), 1)


def test_about_every_hundredth_creation_prunes(site: SessionSite, clock: Clock) -> None:
    """So that nobody has to run a job for it; a failure of it is nobody's error."""
    for _ in range(100):
        site.browser().visit(lambda session: session.update(n=1))
    assert site.store.taken().count("prune") == 1

    clock.tick(2 * 3600)
    for _ in range(100):
        site.browser().visit(lambda session: session.update(n=1))
    assert len(site.store.records) < 200

    site.store.broken.add("prune")
    answers = [site.browser().visit(lambda session: session.update(n=1)) for _ in range(100)]
    assert {answer.response.status_int for answer in answers} == {200}
    assert site.told("store.unavailable")


def test_default_store_is_for_trying_things_out() -> None:
    """Without a store, sessions live in the process's memory."""
    assert isinstance(SessionSite().store.behind, MemoryStore)
