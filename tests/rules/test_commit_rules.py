"""The thirteen rules of commit (docs/guarantees.md), each shown at work. A test is named after its rule's number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from sessionware import MemoryStore, Record, Session, SessionClosed, StoreUnavailable, Timeouts, get_session
from sessionware._core.records import Chance
from tests.support.fixed import Clock
from tests.support.kit import SessionSite, SiteBrowser

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


@pytest.fixture
def site(clock: Clock) -> SessionSite:
    return SessionSite(clock=clock)


@pytest.fixture
def browser(site: SessionSite) -> SiteBrowser:
    """A browser that has a session with `n` = 1 in it, and has come back once."""
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))
    browser.read()
    site.store.taken()
    site.events.clear()
    return browser


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
    clock.tick(60 * 60)  # an anonymous session idles for a day: a twentieth is 72 minutes, but an hour is the most
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
    browser.visit(lambda session: session.csrf_token)
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
        site.store.behind.delete(bytes.fromhex(session.id))

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


def test_rule_05_write_begun_before_a_regenerate_is_dropped(site: SessionSite, browser: SiteBrowser) -> None:
    """The same for a new token without a login."""
    other = browser.tab()

    def slow(session: Session) -> None:
        session["n"] = "planted"
        other.visit(lambda session: session.renew_token())

    browser.visit(slow)

    assert other.read() == {"n": 1}


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


def test_rule_06_login_that_loses_to_another_gets_a_record_of_its_own(site: SessionSite, browser: SiteBrowser) -> None:
    """A double click logs in twice; the loser starts from the winner's data, for it is the same user's."""
    other = browser.tab()

    def slow(session: Session) -> None:
        session["late"] = True
        other.visit(lambda session: (log_in("ada")(session), session.update(early=True)))
        session.username = "ada"

    browser.visit(slow)

    assert browser.read() == {"n": 1, "early": True, "late": True}
    assert other.read() == {"n": 1, "early": True}
    assert len(site.store.records) == 2


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


@pytest.mark.parametrize("ending", ["works", "fails"])
def test_rule_06_login_that_cannot_be_checked_does_not_hold(
    site: SessionSite, browser: SiteBrowser, ending: str
) -> None:
    """Where nobody can say whether the account is still good, its token does not leave the server."""

    def check() -> None:
        if ending == "fails":
            site.store.broken.add("load")
        raise StoreUnavailable("the accounts are on fire")

    visit = browser.visit(lambda session: session.login("ada", check=check))
    site.store.broken.clear()

    assert visit.response.status_int == 503
    assert ["Max-Age=0" in cookie for cookie in visit.set_cookies] == [True]


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

    late.visit(log_in("ada"))

    assert late.visit(lambda session: (session.username, session.copy())).result == ("ada", {"n": 1})
    assert browser.visit(lambda session: session.username).result == "ada"


def test_rule_07_detached_invalidate_ends_the_record_and_the_cookie(site: SessionSite, browser: SiteBrowser) -> None:
    """Logging out works with the old cookie too."""
    late = browser.tab()
    browser.visit(log_in("ada"))

    visit = late.visit(lambda session: session.invalidate())

    assert "Max-Age=0" in visit.set_cookies[0]
    assert browser.visit(lambda session: session.username).result is None


def test_rule_07_detached_regenerate_does_nothing(site: SessionSite, browser: SiteBrowser) -> None:
    """It would take the token away from whoever has the right one."""
    late = browser.tab()
    browser.visit(log_in("ada"))

    visit = late.visit(lambda session: session.renew_token())

    assert visit.set_cookies == []
    assert browser.visit(lambda session: session.username).result == "ada"


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
    clock.tick(24 * 3600)

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


# Between the rules --------------------------------------------------------------------------------------------------


def test_new_anonymous_session_lives_an_hour_until_its_cookie_comes_back(site: SessionSite, clock: Clock) -> None:
    """A flood of requests that never come back stays small."""
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))
    assert site.store.records[0].expires_at == clock.now + 3600

    browser.read()
    assert site.store.records[0].expires_at == clock.now + 24 * 3600


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
    """Once its cookie has come back."""
    browser = site.browser()
    browser.visit(lambda session: (session.update(n=1), session.remember(9 * 24 * 3600)))
    browser.read()
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
