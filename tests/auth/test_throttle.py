"""How many attempts are let through, by whom and at what (ASVS 5.0 6.3.1, NIST SP 800-63B-4 §3.2.2)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionware import ConfigError, MemoryStore, Record, SessionManager, SQLiteStore, StoreUnavailable
from sessionware.auth import Auth, MemoryUsers, Rate, Throttle
from sessionware.auth.throttling.buckets import Level, after, wait_for
from sessionware.errors import Busy, LoginFailed, Throttled, UsernameTaken
from sessionware.testing import FaultyStore
from tests.support.attempts import (
    FEW,
    WRONG,
    addresses,
    attempt,
    checked_at_once,
    in_vain,
    opened,
    outcome,
    right,
    strangers,
)
from tests.support.auth_kit import ADDRESS, CHEAP, PASSWORD, AuthSite
from tests.support.fixed import SECRET

OFF = Throttle(None, None, None, None, None, None)
ELSEWHERE = "203.0.113.9"


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "sessionware")


def site_with(throttle: Throttle | None = FEW, **settings: Any) -> AuthSite:
    site = AuthSite(throttle=throttle, **settings)
    site.register("Ada")
    return site


def only(**lanes: Rate) -> AuthSite:
    """A site on which only these lanes are on."""
    return site_with(replace(OFF, **lanes))


# How much a lane lets through -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lane", ["client", "pair", "account"])
def test_so_many_at_once_and_then_one_a_period(lane: str) -> None:
    """Again and again, however long it goes on. Whoever waits as long as he is told gets exactly one attempt."""
    site = only(**{lane: Rate(5, 30)})
    browser = site.browser()

    assert in_vain(browser, 6) == ["wrong"] * 5 + [30]
    for _ in range(10):
        site.clock.tick(29)
        assert attempt(browser) == 1
        site.clock.tick(1)
        assert in_vain(browser, 3) == ["wrong", 30, 30]
    site.clock.tick(5 * 30)
    assert in_vain(browser, 6) == ["wrong"] * 5 + [30]


def test_the_client_lane_counts_attempts_at_all_names() -> None:
    """Also at names that do not exist, and at texts that cannot be names."""
    site = only(client=Rate(3, 2))
    browser = site.browser()

    assert [attempt(browser, name) for name in ("Ada", "nobody", "no name at all", "Ada")] == ["wrong"] * 3 + [2]
    assert in_vain(site.browser(ELSEWHERE), 1) == ["wrong"]


def test_the_pair_lane_is_one_clients_at_one_account() -> None:
    """Neither others at the account nor the client at others is held up."""
    site = only(pair=Rate(2, 30))

    assert in_vain(site.browser(), 3) == ["wrong", "wrong", 30]
    assert in_vain(site.browser(ELSEWHERE), 1) == ["wrong"]
    assert in_vain(site.browser(), 1, "nobody") == ["wrong"]


def test_the_account_lane_counts_attempts_from_everywhere() -> None:
    """So many addresses have no more attempts at one account than one has."""
    site = only(account=Rate(5, 10))

    assert strangers(site, 8) == ["wrong"] * 5 + [10] * 3


@pytest.mark.parametrize("spelling", ["ADA", "ada", "\uff21\uff44\uff41"])
def test_another_spelling_is_the_same_account(spelling: str) -> None:
    """Case and width open no other bucket."""
    site = only(account=Rate(2, 10))

    assert [attempt(site.browser(), name) for name in ("Ada", spelling, spelling)] == ["wrong", "wrong", 10]


def test_what_cannot_be_a_name_is_counted_by_what_was_typed() -> None:
    """However long it is."""
    site = only(account=Rate(2, 10))

    assert [attempt(site.browser(), "no name " * n) for n in (1, 1, 1)] == ["wrong", "wrong", 10]
    assert [attempt(site.browser(), "no name " * n) for n in (100, 200, 300)] == ["wrong", "wrong", 10]


def test_whoever_is_refused_at_one_lane_takes_from_no_other() -> None:
    """A single address gets at an account no faster than its own lane lets it, and so keeps nobody else out."""
    site = site_with(replace(FEW, client=Rate(100, 2)))
    attacker = site.browser(ELSEWHERE)
    attempts = in_vain(attacker, 100)

    assert attempts.count("wrong") == 3
    assert strangers(site, 4) == ["wrong"] * 3 + [10]  # of six


def test_whoever_waits_because_of_strangers_keeps_his_own_attempts() -> None:
    """At an account that others have exhausted, he loses nothing by trying."""
    site = site_with()
    strangers(site, 6)
    browser = site.browser()

    assert {right(browser) for _ in range(20)} == {10}
    site.clock.tick(60)
    assert in_vain(browser, 4) == ["wrong"] * 3 + [30]


def test_a_refusal_names_the_longest_wait() -> None:
    """Whoever comes back then is not sent away by the next lane."""
    site = site_with(replace(FEW, client=Rate(3, 2)))
    browser = site.browser()

    assert in_vain(browser, 4) == ["wrong"] * 3 + [30]


def test_a_refusal_only_reads() -> None:
    """So a flood costs no writes."""
    store = FaultyStore(MemoryStore())
    site = site_with(store=store)
    lanes = site.manager._site.shelf("throttle")._store
    browser = site.browser()
    in_vain(browser, 3)
    lanes.calls.clear()

    in_vain(browser, 50)

    assert set(lanes.calls) == {"load"}


# What a login costs, and what it gives back ------------------------------------------------------------------------


def test_a_login_makes_nine_calls_to_the_store_and_from_a_known_browser_two() -> None:
    """Look and take; then forget what the pair has tried, and give the account's token back. docs/throttling.md."""
    store = FaultyStore(MemoryStore())
    site = site_with(store=store)
    lanes = site.manager._site.shelf("throttle")._store
    lanes.broken.add("prune")  # which some creation may call at random
    browser = site.browser()

    def calls() -> list[str]:
        lanes.calls.clear()
        assert right(browser) == "in"
        return [call for call in lanes.calls if call != "prune"]

    assert calls() == ["load"] * 3 + ["create"] * 3 + ["delete", "load", "replace"]
    assert calls() == ["load", "create"]


def test_a_login_forgets_the_failures_at_the_account_and_not_the_clients() -> None:
    """An attacker who logs in to his own account in between has no more attempts at others' than without."""
    site = site_with(replace(FEW, account=None), known_devices=False)
    site.register("Eve")
    attacker = site.browser(ELSEWHERE)
    outcomes = [outcome for _ in range(5) for outcome in (*in_vain(attacker, 1), right(attacker, "Eve"))]

    assert outcomes == ["wrong", "in"] * 3 + [30, "in", 30, "in"]
    assert [right(attacker, "Eve") for _ in range(3)] == ["in", "in", 2]


def test_a_login_forgets_what_was_mistyped_before() -> None:
    """In the lanes that it passed itself."""
    site = site_with(known_devices=False)
    browser = site.browser()

    assert [*in_vain(browser, 2), right(browser), *in_vain(browser, 4)] == ["wrong"] * 2 + ["in"] + ["wrong"] * 3 + [30]


def test_a_login_does_not_forget_what_others_have_tried() -> None:
    """Else each one lets a crowd go on, and tells it that there is an owner."""
    site = site_with(replace(FEW, account=Rate(6, 1000)), known_devices=False)
    strangers(site, 5)

    assert [right(site.browser()) for _ in range(3)] == ["in"] * 3
    assert strangers(site, 2) == ["wrong", 1000]


def test_what_is_not_checked_is_not_counted() -> None:
    """Neither while the server is busy nor while the accounts are out of reach. Nobody learns anything then."""
    site = site_with(replace(FEW, pair=Rate(1, 30)))

    class Failing:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def __call__(self) -> None:
            raise self.error

    browser = site.browser()
    for error in (Busy(), StoreUnavailable("down")):
        site.hasher.after_verify = Failing(error)
        assert browser.do(lambda environ: _raised(lambda: site.auth.login(environ, "Ada", WRONG))) is type(error)
    site.hasher.after_verify = lambda: None
    site.users.broken["find_by_key"] = StoreUnavailable("down")
    browser.do(lambda environ: _raised(lambda: site.auth.login(environ, "Ada", WRONG)))
    site.users.broken.clear()

    assert in_vain(browser, 2) == ["wrong", 30]


class Flickering(MemoryStore):
    """Away for one write, after so many that succeed."""

    writes_left: int | None = None

    def create(self, record: Record) -> bool:
        if self.writes_left == 0:
            self.writes_left = None
            raise StoreUnavailable("down")
        self.writes_left = None if self.writes_left is None else self.writes_left - 1
        return super().create(record)


@pytest.mark.parametrize("writes", [1, 2])
def test_what_was_taken_before_the_store_failed_is_given_back(writes: int) -> None:
    """From the lanes before it. Or a store that flickers would lock out whoever has the right password."""
    site = site_with(Throttle(client=Rate(1, 30), pair=Rate(1, 30), account=Rate(1, 30)))
    lanes = Flickering()
    site.manager._site.shelf("throttle")._store = lanes
    browser = site.browser()

    lanes.writes_left = writes
    assert browser.do(lambda environ: _raised(lambda: site.auth.login(environ, "Ada", WRONG))) is StoreUnavailable

    assert in_vain(browser, 2) == ["wrong", 30]


def _raised(act: Callable[[], object]) -> type[Exception] | None:
    try:
        act()
    except Exception as error:
        return type(error)
    return None


# Many at once ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_attempts_that_overlap_are_counted_like_any_others(kind: str, tmp_path: Path) -> None:
    """1,600 wrong passwords from 400 addresses at one account, at once: as many are checked as its lane has tokens."""
    store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "sessions.db")
    site = site_with(Throttle(), store=store)
    crowd = [(address, "Ada") for address in addresses(400)] * 4

    checked = checked_at_once(site, crowd)

    assert 25 <= checked <= 30  # a few may be refused because so many others were faster, time and again


def test_attempts_of_one_client_that_overlap_are_counted() -> None:
    """At one account, and at many."""
    site = site_with(Throttle())

    assert checked_at_once(site, [(ADDRESS, "Ada")] * 200) <= 5
    assert checked_at_once(site, [(ADDRESS, f"name{number}") for number in range(200)]) <= 25


def test_a_token_that_a_race_made_useless_is_given_back() -> None:
    """Others exhaust the account's lane between the look and the taking: the visitor's own lane is as it was."""
    site = site_with(replace(FEW, pair=Rate(1, 3600)))
    lanes = FaultyStore(MemoryStore())
    site.manager._site.shelf("throttle")._store = lanes
    lanes.before["create"] = lambda: strangers(site, 6)
    browser = site.browser()

    assert attempt(browser) == 10
    site.clock.tick(10)
    assert in_vain(browser, 2) == ["wrong", 3600]


class Contended(MemoryStore):
    """Somebody else is always faster."""

    def replace(self, record: Record) -> bool:
        return False


def test_an_attempt_that_cannot_be_counted_is_refused() -> None:
    """After it has lost every race for a while."""
    site = site_with(replace(OFF, account=Rate(5, 10)), store=MemoryStore())
    site.manager._site.records._chance = site.manager._site.records._chance._replace(pause=lambda attempt: None)
    site.manager._site.shelf("throttle")._store = Contended()

    assert in_vain(site.browser(), 2) == ["wrong", 10]
    assert site.hasher.calls == ["verify"]


# Who is who -----------------------------------------------------------------------------------------------------------

SAME = [
    ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
    ("192.0.2.7", "::ffff:192.0.2.7"),
    ("192.0.2.7", "64:ff9b::192.0.2.7"),
    ("192.0.2.7", "192.0.2.7:51000"),
    ("2001:db8:1:2::1", "[2001:db8:1:2::9]:443"),
    ("fe80::1%eth0", "fe80::2%eth1"),
    ("2001:DB8:1:2::1", "2001:db8:1:2::1"),
    ("x" * 100, "x" * 100_000),
]
OTHERS = [
    ("2001:db8:1:2::1", "2001:db8:1:3::1"),
    ("192.0.2.7", "192.0.2.8"),
    ("::ffff:192.0.2.7", "::ffff:192.0.2.8"),
    ("unknown", "obfuscated"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_addresses_that_one_visitor_has_at_will_are_one_client(one: str, other: str) -> None:
    """All of an IPv6 network, and all ways to write an IPv4 address."""
    site = only(client=Rate(1, 30))

    assert [attempt(site.browser(address)) for address in (one, other)] == ["wrong", 30]


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_other_addresses_are_other_clients(one: str, other: str) -> None:
    """Also where a function of the site's gives no addresses, but names of its own."""
    site = only(client=Rate(1, 30))

    assert [attempt(site.browser(address)) for address in (one, other)] == ["wrong", "wrong"]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Client-IP"])
def test_no_header_makes_another_client(header: str) -> None:
    """Anybody can send one."""
    site = only(client=Rate(1, 30))
    browser = site.browser()

    assert [attempt(browser, **{header.replace("-", "_"): address}) for address in ("1.1.1.1", "2.2.2.2")] == [
        "wrong",
        30,
    ]


def test_the_site_says_who_its_clients_are() -> None:
    """By `client_address=`, which knows its proxy."""
    site = site_with(replace(OFF, client=Rate(1, 30)), client_address=lambda environ: environ["HTTP_X_CLIENT"])
    browser = site.browser("127.0.0.1")

    assert [attempt(browser, X_Client=address) for address in ("1.1.1.1", "2.2.2.2", "1.1.1.1")] == ["wrong"] * 2 + [30]


LOCAL = ["127.0.0.1", "::1", "127.8.8.8", "::ffff:127.0.0.1", "", "localhost", "unix:"]


@pytest.mark.parametrize("address", LOCAL)
def test_this_machine_is_no_client(address: str) -> None:
    """There, only the account's attempts are counted: behind a proxy, all visitors seem to come from here."""
    site = site_with()
    browser = site.browser(address)

    assert in_vain(browser, 7) == ["wrong"] * 6 + [10]


@pytest.mark.parametrize("headers", [{"Host": "example.com"}, {"X_Forwarded_For": "192.0.2.7"}, {"Via": "1.1 proxy"}])
def test_a_proxy_that_hides_the_clients_is_told_once(headers: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """With what to do about it. A browser on this machine is nothing to be told."""
    caplog.set_level(logging.WARNING, "sessionware")
    site = site_with()
    caplog.clear()
    browser = site.browser("127.0.0.1")

    attempt(browser, Host="localhost:8000")
    assert "client_address" not in caplog.text
    for _ in range(2):
        attempt(browser, **headers)
    told = [record.getMessage() for record in caplog.records if "client_address=" in record.getMessage()]
    assert len(told) == 1
    assert "'127.0.0.1'" in told[0]


def told_of_clients(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for record in caplog.records if (text := record.getMessage()).startswith("client_address= returned")]


@pytest.mark.parametrize("returned", ["127.0.0.1", "", None])
def test_function_of_ones_own_that_hides_the_clients_is_told_what_it_returned(
    returned: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """And not to pass what was passed. It may be right: somebody at this machine asked through the proxy."""
    caplog.set_level(logging.WARNING, "sessionware")
    site = site_with(client_address=lambda environ: returned)

    attempt(site.browser("127.0.0.1"), X_Real_Ip="127.0.0.1")

    (told,) = told_of_clients(caplog)
    assert told.startswith(f"client_address= returned {returned!r} for a request that came through a proxy. If")


def test_visitors_cannot_choose_their_address_though_the_site_returns_all_of_the_header(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The usual mistake behind a balancer, which appends the true one. The last counts, and a warning says so once."""
    caplog.set_level(logging.WARNING, "sessionware")
    site = site_with(replace(OFF, client=Rate(2, 30)), client_address=lambda environ: environ["HTTP_X_FORWARDED_FOR"])
    browser = site.browser("10.0.0.5")

    made_up = ["evil", "203.0.113.9", "x" * 200, "1.1.1.1,"]
    seen = [attempt(browser, X_Forwarded_For=f"{entry}, 198.51.100.7") for entry in made_up]

    assert seen == ["wrong", "wrong", 30, 30]
    (told,) = told_of_clients(caplog)
    assert told.startswith("client_address= returned 'evil, 198.51.100.7', which is a list.")


@pytest.mark.parametrize(
    ("returned", "expected"), [(b"192.0.2.9", "192.0.2.9"), (7, "7"), (None, None), ("", "")], ids=repr
)
def test_address_in_an_event_is_text_whatever_the_function_returns(returned: Any, expected: str | None) -> None:
    """Else a log that writes JSON would fail because of it."""
    site = site_with(client_address=lambda environ: returned)

    attempt(site.browser())

    assert {event.client_address for event in site.events} == {expected}


def test_a_job_is_counted_by_account() -> None:
    """There is no client, whatever asks for the check."""
    site = site_with()

    def tried() -> type[Exception] | None:
        return _raised(lambda: site.auth.authenticate(site.manager, "Ada", WRONG))

    assert [tried() for _ in range(7)] == [LoginFailed] * 6 + [Throttled]
    assert strangers(site, 1) == [10]


# Every way in ---------------------------------------------------------------------------------------------------------


def test_authenticate_and_delete_account_are_counted_too() -> None:
    """There is one way to check a password."""
    site = only(account=Rate(4, 10))
    browser = site.logged_in("Ada")
    acts: list[Callable[[Any], object]] = [
        lambda environ: site.auth.login(environ, "Ada", WRONG),
        lambda environ: site.auth.authenticate(environ, "Ada", WRONG),
        lambda environ: site.auth.delete_account(environ, WRONG),
    ]

    def refused(act: Callable[[Any], object]) -> object:
        return browser.do(lambda environ: _raised(lambda: act(environ)))

    assert [refused(act) for act in [*acts, *acts]] == [LoginFailed] * 4 + [Throttled] * 2


def test_registrations_are_counted_by_client() -> None:
    """Those that found the name taken as well, because they tell which names there are."""
    site = site_with()
    browser = site.browser()

    def register(name: str, password: str = PASSWORD) -> type[Exception] | None:
        return browser.do(lambda environ: _raised(lambda: site.auth.register(environ, name, password, login=False)))  # type: ignore[no-any-return]

    assert register("Bob", "short") is not None  # costs nothing, so it is not counted
    assert [register(name) for name in ("Bob", "Ada", "Eve")] == [None, UsernameTaken, Throttled]
    site.clock.tick(60)
    assert [register(name) for name in ("Eve", "Zoe")] == [None, Throttled]
    site.auth.register(site.manager, "Zoe", PASSWORD, login=False)


def test_resets_are_counted_by_client_and_by_account() -> None:
    """For `Auth.request_reset`: neither a name that does not exist nor one that does gets more."""
    site = site_with(replace(FEW, reset=Rate(2, 60)))

    def asked(address: str, name: str) -> bool:
        where = _where(site, address)
        return _raised(lambda: site.auth._lanes.enter_reset(where, name)) is None

    assert [asked(ADDRESS, name) for name in ("ada", "nobody", "eve")] == [True, True, False]
    assert [asked(address, "ada") for address in addresses(3)] == [True, False, False]
    assert [asked(address, "unknown") for address in addresses(3)] == [True, True, False]


def _where(site: AuthSite, address: str) -> Any:
    from sessionware.auth.where import where_of

    return where_of(opened(site, address), "sessionware.session")


# What a refusal says --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Ada", "nobody", "no name at all"])
def test_a_refusal_is_the_same_for_every_name_and_costs_nothing(name: str) -> None:
    """No hash, and no look at the accounts (ASVS 5.0 6.3.8)."""
    site = site_with()
    browser = site.browser()
    in_vain(browser, 3, name)
    site.hasher.calls.clear()
    site.users.calls.clear()

    def tried(environ: Any) -> tuple[Any, ...]:
        with pytest.raises(Throttled) as caught:
            site.auth.login(environ, name, PASSWORD)
        error = caught.value
        return error.status, error.message, error.reason, error.retry_after

    assert browser.do(tried) == (429, Throttled.message, "throttled", 30)
    assert (site.hasher.calls, site.users.calls) == ([], [])


@pytest.mark.parametrize("name", ["Ada", "nobody"])
def test_the_event_names_the_lane_and_not_the_name(name: str) -> None:
    """An operator sees whose lane it is, and how often it refused; a name that was typed may be a password."""
    site = site_with()
    browser = site.browser()
    in_vain(browser, 30, name)
    site.clock.tick(61)
    in_vain(browser, 4, name)
    first, second = site.told("login.throttled")

    assert first.client_address == ADDRESS
    assert first.detail == f"lane of this account and {ADDRESS}: 3 at once, then one every 30 s; wait 30 s"
    assert second.detail.endswith("; 26 refused in silence since this was last told")
    assert first.account == second.account == site.manager._account_digest(name.lower())


def test_a_client_lane_is_told_with_its_address() -> None:
    """So that a proxy's own address is recognised."""
    site = only(client=Rate(1, 2))
    in_vain(site.browser("10.0.0.5"), 2)

    assert site.told("login.throttled")[0].detail.startswith("client lane of 10.0.0.5: 1 at once, then one every 2 s")


def test_a_flood_is_told_a_few_times() -> None:
    """However many names and addresses it comes from."""
    site = only(client=Rate(1, 3600))
    for address in addresses(1500):
        for _ in range(2):
            outcome(site, opened(site, address), "Ada", WRONG)

    assert len(site.told("login.throttled")) == 1000


def test_an_address_in_an_event_is_printable() -> None:
    """Whatever a function of the site's makes of it."""
    site = site_with(replace(OFF, client=Rate(1, 2)), client_address=lambda environ: "\u202egarbage\r\n")
    in_vain(site.browser(), 2)
    (event,) = site.told("login.throttled")

    assert event.detail.isascii()
    assert event.detail.isprintable()


# Clocks ---------------------------------------------------------------------------------------------------------------

EVERY = [-10 * 365 * 86400, -86400, -600, -31, -1, 1, 29]


@pytest.mark.parametrize("seconds", EVERY)
def test_a_clock_that_is_set_unlocks_nothing_and_locks_for_no_longer_than_two_periods(seconds: int) -> None:
    """Set back, by however much, or forwards by less than a period."""
    site = only(account=Rate(5, 30))
    site.clock.now = 1_900_000_000.0
    browser = site.browser()
    in_vain(browser, 6)

    site.clock.tick(seconds)
    assert attempt(browser) == (30 if seconds <= 0 else 30 - seconds)
    outcomes = []
    for _ in range(5):
        site.clock.tick(30)
        outcomes.append(attempt(browser))
        outcomes += in_vain(browser, 3)

    assert "wrong" in outcomes[:5]
    assert 4 <= outcomes.count("wrong") <= 5


@pytest.mark.parametrize("seconds", [3600, 10 * 365 * 86400])
def test_a_clock_that_is_set_forwards_fills_the_buckets_once(seconds: int) -> None:
    """As if that time had passed. There is no more in a bucket than it holds."""
    site = only(account=Rate(5, 30))
    browser = site.browser()
    in_vain(browser, 6)

    site.clock.tick(seconds)
    assert in_vain(browser, 6) == ["wrong"] * 5 + [30]
    site.clock.tick(-seconds)
    assert in_vain(browser, 2) == [30, 30]


def test_servers_whose_clocks_differ_give_no_attempts_away() -> None:
    """An attacker who goes from one to the other has no more than at the one that is ahead."""
    site = only(account=Rate(5, 30))
    browser = site.browser()
    ahead, checked = 3600, 0
    for _ in range(200):
        for skew in (ahead, -ahead):
            site.clock.tick(skew)
            checked += attempt(browser) == "wrong"
    assert checked == 5

    for _ in range(10):
        site.clock.tick(30)
        for skew in (ahead, -ahead) * 3:
            site.clock.tick(skew)
            checked += attempt(browser) == "wrong"
    assert checked <= 5 + 10 + 1


# The records ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["load", "create", "delete"])
def test_the_store_down_is_an_outage_and_nobody_gets_in(method: str) -> None:
    """At whatever call it fails: the response is a 503, and no password is checked that was not counted."""
    site = site_with(store=FaultyStore(MemoryStore()))
    lanes = site.manager._site.shelf("throttle")._store
    lanes.broken.add(method)
    browser = site.browser()

    _, response = browser.visit(lambda environ: site.auth.login(environ, "Ada", PASSWORD), method="POST")

    assert response.status_code == 503
    assert site.hasher.calls == (["verify"] if method == "delete" else [])
    lanes.broken.clear()
    assert browser.who() is None


DAMAGE: list[Callable[[Record], Record]] = [
    lambda record: record._replace(payload=b""),
    lambda record: record._replace(payload=b"\x02" + record.payload[1:]),
    lambda record: record._replace(payload=record.payload + b"\0"),
    lambda record: record._replace(payload=b"\1" + b"\xff" * 8 + bytes(8)),
    lambda record: record._replace(payload=b"\1" + b"\xff" * 8 + bytes(7) + b"\1"),
    lambda record: record._replace(payload=record.payload[:9] + b"\xff" * 8),
    lambda record: record._replace(payload="text"),  # type: ignore[arg-type]
    lambda record: record._replace(version="1"),  # type: ignore[arg-type]
]


class Vandalised(MemoryStore):
    """Gives back what somebody else has written there."""

    damage: Callable[[Record], Record] | None = None

    def load(self, id: bytes, now: int) -> Record | None:
        record = super().load(id, now)
        return record if record is None or self.damage is None else self.damage(record)

    def delete(self, id: bytes) -> bool:
        self.damage = None
        return super().delete(id)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_counts_as_none_and_is_told_once(damage: Callable[[Record], Record]) -> None:
    """The next attempt is counted again."""
    site = only(account=Rate(2, 10))
    lanes = Vandalised()
    site.manager._site.shelf("throttle")._store = lanes
    browser = site.browser()
    in_vain(browser, 3)

    lanes.damage = damage
    assert in_vain(browser, 3) == ["wrong", "wrong", 10]
    (event,) = site.told("record.corrupt")
    assert "'throttle'" in event.detail


def test_a_record_says_nothing_about_whom_it_is_of() -> None:
    """Its id is a keyed digest: another secret gives another, so that nobody can try out names."""
    ids = []
    for secret in (SECRET, SECRET[::-1]):
        site = AuthSite(throttle=FEW, secret=secret)
        outcome(site, opened(site), "Ada", WRONG)
        ids.append({record.id for record in site.store.namespace("throttle").scan()})

    assert len(ids[0]) == len(ids[1]) == 3
    assert not ids[0] & ids[1]


def test_what_it_is_about_does_not_run_together() -> None:
    """`ab` at `c` is another lane than `a` at `bc`."""
    manager = AuthSite().manager

    assert len({manager._site.lane_id(*about) for about in (("ab", "c"), ("a", "bc"), ("abc",), ("", "abc"))}) == 4


def test_names_that_are_made_up_leave_nothing_behind() -> None:
    """At the pace at which a server can check passwords, the table stays as small as what is tried in a few hours."""
    store = MemoryStore()
    site = AuthSite(throttle=Throttle(client=None, pair=None), store=store)
    most = 0
    for number in range(5000):
        outcome(site, opened(site), f"name{number}", WRONG)
        site.clock.tick(20)  # 5,000 in 28 hours
        most = max(most, store.namespace("throttle")._count)
    assert most < 1500  # two hours of them are 360, and a MemoryStore drops whole slots of an hour

    site.clock.tick(3 * 3600)
    site.manager.prune()
    assert store.namespace("throttle").scan() == []


# Upkeep ---------------------------------------------------------------------------------------------------------------


def test_stats_and_prune_count_the_librarys_own_records() -> None:
    """They are no damaged sessions."""
    site = site_with()
    in_vain(site.browser(), 1)

    counts = site.manager.stats()
    assert (counts["throttle"], counts["tokens"], counts["live"]) == (3, 0, 0)
    assert site.told("record.corrupt") == []
    site.clock.tick(5 * 3600)
    assert site.manager.prune() == 3
    assert site.manager.stats()["throttle"] == 0


def test_upkeep_makes_no_tables(tmp_path: Path) -> None:
    """A site without accounts has none of the library's namespaces, and gets none by being counted."""
    store = SQLiteStore(tmp_path / "sessions.db")
    site = AuthSite(store=store)
    site.manager.stats()
    site.manager.prune()

    assert [store.has_namespace(name) for name in ("throttle", "tokens")] == [False, False]
    store.namespace("throttle")
    assert store.has_namespace("throttle")


# Settings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("burst", [0, -1, 10_001, 1.5, True, "5", None])
def test_a_burst_is_a_whole_number(burst: Any) -> None:
    """From one up."""
    with pytest.raises(ConfigError, match="burst"):
        Rate(burst, 30)


@pytest.mark.parametrize("period", [0, -1, 3601, float("nan"), float("inf"), True, "30", None])
def test_a_period_is_a_number_of_seconds(period: Any) -> None:
    """Up to an hour."""
    with pytest.raises(ConfigError, match="period"):
        Rate(5, period)


def test_wrong_settings_are_told_at_once() -> None:
    """With what to write instead."""
    with pytest.raises(ConfigError, match=r"Throttle\(pair=5\): write pair=Rate\(burst=5, period=30\)"):
        Throttle(pair=5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="throttle="):
        Auth(MemoryUsers(), throttle=Rate(5, 30))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="known_devices="):
        Auth(MemoryUsers(), known_devices=None)  # type: ignore[arg-type]


def test_a_throttle_can_be_turned_off_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """One, when it is turned off; and nothing is stored."""
    caplog.set_level(logging.WARNING, "sessionware")
    store = FaultyStore(MemoryStore())
    site = site_with(None, store=store)

    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["Auth(throttle=None)"]
    assert in_vain(site.browser(), 50) == ["wrong"] * 50
    assert "namespace" not in store.calls


def test_settings_that_let_every_password_through_warn_like_none(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever they say about registrations, and about browsers that are known. One lane is enough for silence."""
    caplog.set_level(logging.WARNING, "sessionware")
    site_with(replace(FEW, client=None, pair=None, account=None))
    for lane in ("client", "pair", "account"):
        site_with(replace(OFF, **{lane: Rate(5, 10)}))

    (record,) = caplog.records
    assert "Throttle(client=None, pair=None, account=None)): nothing limits" in record.getMessage()


# The arithmetic -------------------------------------------------------------------------------------------------------


class Bucket:
    """A bucket as it is defined: it holds `burst` tokens at most, and gets one every `period`."""

    def __init__(self, burst: int, period: int) -> None:
        self.burst, self.period = burst, period
        self.tokens, self.at = Fraction(burst), 0

    def wait(self, now: int) -> Fraction:
        self.tokens = min(Fraction(self.burst), self.tokens + Fraction(now - self.at, self.period))
        self.at = now
        return max(Fraction(0), (1 - self.tokens) * self.period)


@given(
    burst=st.integers(1, 8),
    period=st.integers(1, 40),
    steps=st.lists(st.integers(0, 100), max_size=60),
)
def test_a_bucket_is_what_it_is_defined_as(burst: int, period: int, steps: list[int]) -> None:
    """One number does what counting tokens would, to the millisecond."""
    rate, bucket, level, now = Rate(burst, period), Bucket(burst, period * 1000), Level(), 0
    for step in steps:
        now += step * 1000
        wait = wait_for(rate, level, now)
        assert wait == bucket.wait(now)
        if wait == 0:
            level = after(rate, level, now)
            bucket.tokens -= 1


@given(
    burst=st.integers(1, 8),
    period=st.integers(1, 40),
    steps=st.lists(st.integers(-(10**6), 10**6), max_size=60),
)
def test_nobody_is_told_to_wait_longer_than_a_period(burst: int, period: int, steps: list[int]) -> None:
    """Whatever the clock does."""
    rate, level, now = Rate(burst, period), Level(), 10**9
    for step in steps:
        now += step
        wait = wait_for(rate, level, now)
        assert 0 <= wait <= period * 1000
        if wait == 0:
            level = after(rate, level, now)


@pytest.mark.parametrize("namespace", [None, "staff"])
def test_namespaces_of_one_store_have_lanes_of_their_own(namespace: str | None) -> None:
    """Which is how two tables of accounts are kept apart, under one secret. On one store they share their lanes."""
    store = MemoryStore()
    customers = SessionManager(SECRET, store)
    staff = SessionManager(SECRET, store if namespace is None else store.namespace(namespace))
    throttle = replace(OFF, account=Rate(1, 60))
    one, other = (Auth(MemoryUsers(), hasher=CHEAP, throttle=throttle) for _ in range(2))

    with pytest.raises(LoginFailed):
        one.authenticate(customers, "Boss", WRONG)
    with pytest.raises(Throttled if namespace is None else LoginFailed):
        other.authenticate(staff, "Boss", WRONG)
