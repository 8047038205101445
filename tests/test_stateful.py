"""Random histories, checked step by step against plain models: every store's calls, and what browsers do to a site.

A failure is a list of steps, as short as hypothesis can make it. For a longer hunt than the default one:

    SESSIONWARE_EXAMPLES=1000 python3 dev.py test -k stateful
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
from conftest import Clock
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model_browser import Expected, Issued, Real, RemovesCookie, Ring, SetsCookie, World, application

from sessionware import (
    Event,
    FileStore,
    MemoryStore,
    Record,
    SessionClosed,
    SessionMiddleware,
    SQLiteStore,
    Store,
    Timeouts,
)
from sessionware.records import GRACE

EXAMPLES = int(os.environ.get("SESSIONWARE_EXAMPLES") or 0)

STEPS = 30


def run(machine: Callable[[], RuleBasedStateMachine], examples: int) -> None:
    """Run so many histories. The default ones are the same each time, and fail only for whoever broke something."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES or examples,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not EXAMPLES,
            suppress_health_check=list(HealthCheck),
        ),
    )


def memory(_path: Path) -> Store:
    store: Store = MemoryStore()
    return store


STORES = pytest.mark.parametrize("make_store", [memory, SQLiteStore, FileStore], ids=["memory", "sqlite", "file"])


class OnDisk(RuleBasedStateMachine):
    """A machine with a store in a directory of its own, which another store object can open again."""

    def __init__(self, make_store: Callable[[Path], Store]) -> None:
        super().__init__()
        self.make_store = make_store
        self.directory = tempfile.TemporaryDirectory()
        self.store = self.open()

    @property
    def survives(self) -> bool:
        """Whether what the store holds is there for another store object."""
        return not isinstance(self.store, MemoryStore)

    def open(self) -> Store:
        return self.make_store(Path(self.directory.name) / "sessions")

    def close(self) -> None:
        if isinstance(self.store, SQLiteStore):
            self.store.close()

    def teardown(self) -> None:
        self.close()
        self.directory.cleanup()


# Stores

NAMESPACES = st.sampled_from([None, None, None, "lane", "tokens"])
IDS = st.sampled_from([bytes([number]) * 16 for number in (0, 127, 255)])
OWNERS = st.sampled_from([b"a" * 16, b"b" * 16])
PAYLOADS = st.binary(max_size=4) | st.just(b"long" * 100)
TIMES = st.integers(0, 40).map(lambda number: number * 500)  # few, so that they meet
EARLY = st.integers(0, 10).map(lambda number: number * 500)
RECORDS = st.builds(Record, IDS, st.just(1), TIMES, st.none() | OWNERS, PAYLOADS)

#: How late a store may prune.
SLACK = 7200


class StoreMachine(OnDisk):
    """Calls in any order, on a store and two of its namespaces, against dicts."""

    def __init__(self, make_store: Callable[[Path], Store]) -> None:
        super().__init__(make_store)
        self.model: dict[str | None, dict[bytes, Record]] = {None: {}, "lane": {}, "tokens": {}}

    def part(self, name: str | None) -> Store:
        return self.store if name is None else self.store.namespace(name)

    @initialize(records=st.lists(RECORDS, min_size=3, max_size=6))
    def fill(self, records: list[Record]) -> None:
        """There is something to begin with."""
        for record in records:
            self.create(None, record)

    @rule(where=NAMESPACES, record=RECORDS)
    def create(self, where: str | None, record: Record) -> None:
        """It never overwrites."""
        model = self.model[where]
        assert self.part(where).create(record) is (record.id not in model)
        model.setdefault(record.id, record)

    @rule(where=NAMESPACES, record=RECORDS, ahead=st.sampled_from([1, 1, 1, 0, 2]))
    def replace(self, where: str | None, record: Record, ahead: int) -> None:
        """It never creates, and changes only the version before."""
        model = self.model[where]
        old = model.get(record.id)
        record = record._replace(version=ahead + (old.version if old else 0))
        fits = old is not None and ahead == 1
        assert self.part(where).replace(record) is fits
        if fits:
            model[record.id] = record

    @rule(where=NAMESPACES, records=st.lists(RECORDS, min_size=2, max_size=6))
    def replace_in_turn(self, where: str | None, records: list[Record]) -> None:
        """Version by version, everything may change, and whose it is with it."""
        for record in records:
            self.replace(where, record, 1)
            if record.owner is not None:
                self.owned_by(where, record.owner, 0)

    @rule(where=NAMESPACES, id=IDS, later=st.sampled_from([-500, 0, 500, 9000]))
    def touch(self, where: str | None, id: bytes, later: int) -> None:
        """Only this version, only ever later, and never creates."""
        part, old = self.part(where), self.model[where].get(id)
        version, time = (old.version, old.expires_at + later) if old else (1, later)
        for other in (version - 1, version + 1):
            part.touch(id, other, time)
        assert part.load(id, -9999) == old
        part.touch(id, version, time)
        if old is not None and later > 0:
            self.model[where][id] = old._replace(expires_at=time)

    @rule(where=NAMESPACES, id=IDS)
    def delete(self, where: str | None, id: bytes) -> None:
        """True only for the one call that removed it."""
        assert self.part(where).delete(id) is (self.model[where].pop(id, None) is not None)

    @rule(where=NAMESPACES, now=TIMES, limit=st.integers(2, 5))
    def prune(self, where: str | None, now: int, limit: int) -> None:
        """Only expired records go, and those that are two hours late do, up to the limit."""
        removed, before = self.part(where).prune(now, limit), self.model[where]
        self.model[where] = after = {record.id: record for record in self.part(where).scan()}
        gone = [record for id, record in before.items() if id not in after]
        assert len(gone) == removed <= limit
        assert all(record.expires_at <= now for record in gone)
        assert removed == limit or all(record.expires_at > now - SLACK for record in after.values())
        assert after.items() <= before.items()

    @rule(where=NAMESPACES, id=IDS, now=EARLY | TIMES)
    def load(self, where: str | None, id: bytes, now: int) -> None:
        """What is expired is not there."""
        record = self.model[where].get(id)
        assert self.part(where).load(id, now) == (record if record and record.expires_at > now else None)

    @rule(where=NAMESPACES, owner=OWNERS, now=EARLY)
    def owned_by(self, where: str | None, owner: bytes, now: int) -> None:
        """All that this owner has, in id order."""
        model = sorted(self.model[where].values())
        owned = [record for record in model if record.owner == owner and record.expires_at > now]
        assert self.part(where).owned_by(owner, now) == owned

    @rule(where=NAMESPACES, limit=st.integers(1, 5))
    def scan_in_pages(self, where: str | None, limit: int) -> None:
        """Page by page, each record once."""
        records: list[Record] = []
        while page := self.part(where).scan(records[-1].id if records else None, limit):
            assert len(page) <= limit
            assert not records or page[0].id > records[-1].id
            records += page
        assert records == sorted(self.model[where].values())

    @precondition(lambda self: self.survives)
    @rule()
    def reopen(self) -> None:
        """Another store object on the same path has the same records."""
        self.close()
        self.store = self.open()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert self.store.scan() == sorted(self.model[None].values())

    def teardown(self) -> None:
        """At the end the namespaces are looked through as well: nothing was written into another one."""
        try:
            for where in self.model:
                self.scan_in_pages(where, 2)
        finally:
            super().teardown()


@STORES
def test_any_history_of_calls_does_what_the_contract_says(make_store: Callable[[Path], Store]) -> None:
    """Whatever is called in whatever order, answers and contents are those of plain dicts."""
    run(lambda: StoreMachine(make_store), 30)


# Browsers


@dataclass(eq=False)
class Browser:
    """What a browser keeps: one cookie, until a time or for as long as it is open."""

    cookie: str | None = None
    until: int | None = None

    def receive(self, set_cookie: str, now: int) -> None:
        (morsel,) = SimpleCookie(set_cookie).values()
        max_age = morsel["max-age"]
        self.until = now + int(max_age) if max_age else None
        self.cookie = morsel.value if self.until is None or self.until > now else None

    def sends(self, now: int) -> str | None:
        return self.cookie if self.until is None or self.until > now else None


@dataclass(eq=False)
class Request:
    """A request under way, for real and by the model."""

    real: Real
    expected: Expected
    browser: Browser
    """Where the response goes."""
    has_failed = False


@dataclass(frozen=True)
class Act:
    """Something that a request does to its session."""

    name: str
    arguments: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        return f"{self.name}{self.arguments}"


class Visit(NamedTuple):
    """A whole request: what it does, and when the response arrives."""

    acts: tuple[Act, ...]
    arrival: str = "now"


class Noting:
    """A store that says which records it pruned."""

    def __init__(self, behind: Store, pruned: Callable[[set[str]], None]) -> None:
        self._behind, self._pruned = behind, pruned

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def prune(self, now: int, limit: int = 1000) -> int:
        before = {record.id.hex() for record in self._behind.scan()}
        removed = self._behind.prune(now, limit)
        self._pruned(before - {record.id.hex() for record in self._behind.scan()})
        return removed


class ReadOnly:
    """A store that can be looked into by a whole middleware without a trace."""

    def __init__(self, behind: Store) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        """Nothing."""

    def replace(self, record: Record) -> bool:
        return True


def acts(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Act]:
    return st.builds(Act, st.just(name), st.tuples(*arguments))


MINUTE, HOUR, DAY = 60, 3600, 86400
TIMEOUTS = Timeouts(lifetime=14 * HOUR)  # little more than the idle limit, so that it is reached now and then
TICKS = [30, 60, 61, 30 * MINUTE, HOUR, 4 * HOUR, 4 * HOUR, 10 * HOUR, 12 * HOUR, DAY, 10 * DAY]

WAITS = st.sampled_from([HOUR, 4 * HOUR, 10 * HOUR])

#: Every stored value has this in it, so that one that gets into an event is seen there.
MARK = "hush"
ITEMS = st.sampled_from([f"{MARK}{number}," for number in range(3)])
KEYS = st.sampled_from(["a", "b", "list"])

EDITS = st.one_of(
    acts("set", KEYS, ITEMS),
    acts("delete", KEYS),
    acts("modify", KEYS, ITEMS),
    acts("append", st.just("list"), ITEMS),
    acts("clear"),
)
FLASHES = acts("flash", st.uuids(version=4).map(lambda uuid: f"{MARK}{uuid}")) | acts("pop_flash")
WRITES = EDITS | FLASHES
RACES = st.tuples(FLASHES, FLASHES, FLASHES) | st.tuples(EDITS, EDITS, EDITS)
SESSION_ACTS = st.one_of(
    acts("log_in", st.sampled_from(["ada", "bob"])),
    acts("invalidate"),
    acts("regenerate_id"),
    acts("remember", st.sampled_from([HOUR, 10 * DAY, 90 * DAY])),
    acts("start"),
)
ARRIVALS = st.sampled_from(["now", "now", "now", "later", "never"])
ACTS = acts("read") | WRITES | WRITES | SESSION_ACTS | SESSION_ACTS | acts("commit")
CHANGES = WRITES | SESSION_ACTS
ACT_LISTS = st.lists(ACTS, max_size=3)
VISITS = st.builds(Visit, st.lists(ACTS, min_size=1, max_size=3).map(tuple), ARRIVALS)
BROWSERS = st.sampled_from([0, 0, 0, 1])
RARELY = st.sampled_from([False] * 9 + [True])


class BrowserMachine(OnDisk):
    """Two browsers and somebody with copies of their cookies, on one site that is restarted and rotates its secret."""

    requests: ClassVar[Bundle[Request]] = Bundle("requests")

    def __init__(self, make_store: Callable[[Path], Store]) -> None:
        super().__init__(make_store)
        self.clock = Clock()
        self.world = World(self.clock, TIMEOUTS.in_seconds())
        self.browsers = [Browser(), Browser()]
        self.under_way: list[tuple[Browser, str]] = []
        """Responses that did not arrive yet."""
        self.events: list[Event] = []
        self.ring: Ring = (0,)
        self.serve()

    def serve(self) -> None:
        """A new middleware over the store, and one to look through it."""

        def site(store: Any, events: list[Event]) -> SessionMiddleware:
            secrets = [f"the secret of this site, number {number}" for number in self.ring]
            return SessionMiddleware(
                application, secrets, store, timeouts=TIMEOUTS, clock=self.clock, on_event=events.append
            )

        self.middleware = site(Noting(self.store, self.pruned), self.events)
        self.window = site(ReadOnly(self.store), [])

    def pruned(self, ids: set[str]) -> None:
        for cell in self.world.cells:
            if cell.id in ids:
                assert cell.state is not None
                assert cell.state.expires_at <= self.world.now
                cell.state = None

    # Requests

    @initialize(acts=ACT_LISTS)
    def arrive_first(self, acts: list[Act]) -> None:
        """A browser has a session to begin with."""
        self.visit(0, Visit((Act("start"), *acts)))

    @rule(target=requests, number=BROWSERS, is_foreign=RARELY, first=ACT_LISTS)
    def begin(self, number: int, is_foreign: bool, first: list[Act]) -> Request:
        """A tab sends a request, with the cookie that its browser has by now."""
        browser = self.browsers[number]
        return self.request(browser, browser.sends(self.world.now), is_foreign, first)

    @precondition(lambda self: self.world.cookies)
    @rule(target=requests, number=st.integers(0, 100), first=ACT_LISTS)
    def replay(self, number: int, first: list[Act]) -> Request:
        """Somebody sends a cookie that was issued at any time."""
        cookies = list(self.world.cookies)
        return self.request(Browser(), cookies[number % len(cookies)], False, first)

    @rule(request=requests, act=ACTS)
    def act(self, request: Request, act: Act) -> None:
        """A request goes on, before or after its headers."""
        if not request.has_failed:
            self.do(request, act)

    @rule(request=requests)
    def send(self, request: Request) -> None:
        """A response's headers go out and arrive, while its body is still being made."""
        if not request.expected.is_sent:
            self.send_headers(request, "now")

    @rule(request=consumes(requests), arrival=ARRIVALS)
    def finish(self, request: Request, arrival: str) -> None:
        """A request comes to its end."""
        if not request.expected.is_sent:
            self.send_headers(request, arrival)
        self.close_body(request)

    @rule(request=consumes(requests), raises=st.booleans())
    def fail(self, request: Request, raises: bool) -> None:
        """A request ends in a server error, or the application raises."""
        if raises or request.expected.is_sent:
            request.real.fail()
            if not request.expected.is_sent:
                request.expected.send(failed=True)
        else:
            self.send_headers(request, "now", failed=True)
        request.real.close()
        self.check_events()

    @rule(number=BROWSERS, acts=ACT_LISTS, raises=st.booleans())
    def stumble(self, number: int, acts: list[Act], raises: bool) -> None:
        """A whole request that fails."""
        self.fail(self.begin(number, False, acts), raises)

    @rule(number=BROWSERS, visit=VISITS)
    def visit(self, number: int, visit: Visit) -> None:
        """A whole request."""
        self.finish(self.begin(number, False, list(visit.acts)), visit.arrival)

    @rule(number=BROWSERS, before=ACT_LISTS, amid=st.lists(VISITS, min_size=1, max_size=2), after=ACT_LISTS)
    def overlap(self, number: int, before: list[Act], amid: list[Visit], after: list[Act]) -> None:
        """A request to a session that is there, in whose midst its browser makes others."""
        self.tick(GRACE + 1)  # else it may be detached
        self.visit(number, Visit((Act("start"), *before)))
        request = self.begin(number, False, [Act("read")])
        for visit in amid:
            self.visit(number, visit)
        for act in after:
            self.do(request, act)
        self.finish(request, "now")

    @rule(number=BROWSERS, before=CHANGES, amid=CHANGES, after=CHANGES)
    def race(self, number: int, before: Act, amid: Act, after: Act) -> None:
        """The same with one act each."""
        self.overlap(number, [before], [Visit((amid,))], [after])

    @rule(number=BROWSERS, race=RACES)
    def race_for_one_key(self, number: int, race: tuple[Act, Act, Act]) -> None:
        """The same with acts that concern the same keys."""
        self.race(number, *race)

    @rule(number=BROWSERS, before=ACT_LISTS, late=ACTS)
    def stream(self, number: int, before: list[Act], late: Act) -> None:
        """A request that acts once more when its headers are out."""
        request = self.begin(number, False, [Act("read"), *before])
        self.send(request)
        self.do(request, late)
        self.finish(request, "now")

    @rule(number=BROWSERS, first=SESSION_ACTS, waits=st.lists(WAITS, min_size=2, max_size=5))
    def come_back(self, number: int, first: Act, waits: list[int]) -> None:
        """A browser comes back again and again, until a limit that no activity moves."""
        self.visit(number, Visit((first,)))
        for seconds in waits:
            self.tick(seconds)
            self.visit(number, Visit((Act("read"),)))

    def request(self, browser: Browser, cookie: str | None, is_foreign: bool, acts: list[Act]) -> Request:
        issued = self.world.cookies.get(cookie or "")
        expected = Expected(self.world, self.ring, issued, is_foreign=is_foreign)
        request = Request(Real(self.middleware, cookie, is_foreign=is_foreign), expected, browser)
        for act in acts:
            self.do(request, act)
        return request

    def do(self, request: Request, act: Act) -> None:
        """Both do it, and both have the same to say."""
        assert outcome(request.real, act) == outcome(request.expected, act)
        self.settle(request)

    def send_headers(self, request: Request, arrival: str, *, failed: bool = False) -> None:
        request.real.send(failed=failed)
        wanted = request.expected.send(failed=failed)
        self.settle(request)
        set_cookies = request.real.set_cookies
        if wanted is None:
            assert set_cookies == []
            return
        (set_cookie,) = set_cookies
        self.check_cookie(set_cookie, wanted, request.expected.ring)
        self.arrive(request.browser, set_cookie, arrival)

    def close_body(self, request: Request) -> None:
        request.real.close()
        request.expected.close()
        self.settle(request)

    def settle(self, request: Request) -> None:
        """After each step of a request: learn the handle of a session that it stored, and compare what was told."""
        cell = request.expected.cell
        if cell is not None:
            cell.id = cell.id or request.real.session.id
            cell.used_at = self.world.now
            assert cell.id == request.real.session.id
        self.check_events()

    def check_cookie(self, set_cookie: str, wanted: SetsCookie | RemovesCookie, ring: Ring) -> None:
        (morsel,) = SimpleCookie(set_cookie).values()
        if isinstance(wanted, RemovesCookie):
            assert (morsel.value, morsel["max-age"]) == ("", "0")
            return
        assert morsel["max-age"] == ("" if wanted.max_age is None else str(wanted.max_age))
        issued = self.world.cookies.setdefault(morsel.value, Issued(wanted.cell, wanted.token, ring[0]))
        assert (issued.cell, issued.token, issued.key) == (wanted.cell, wanted.token, ring[0])

    def check_events(self) -> None:
        """Events are those of the model, and no stored value and no cookie is in them."""
        assert [(event.name, frozenset(event.keys)) for event in self.events] == self.world.told
        for event in self.events:
            assert not any(secret in repr(event) for secret in (MARK, *self.world.cookies))
        self.events.clear()
        self.world.told.clear()

    # What happens around them

    def arrive(self, browser: Browser, set_cookie: str, arrival: str) -> None:
        if arrival == "later":
            self.under_way.append((browser, set_cookie))
        elif arrival == "now":
            browser.receive(set_cookie, self.world.now)

    @precondition(lambda self: self.under_way)
    @rule(number=st.integers(0, 10))
    def arrive_late(self, number: int) -> None:
        """A response that took its time arrives."""
        browser, set_cookie = self.under_way.pop(number % len(self.under_way))
        browser.receive(set_cookie, self.world.now)

    @rule(happening=st.sampled_from(["restart_browser", "rotate_secret", "rotate_secret", "restart_server", "prune"]))
    def elsewhere(self, happening: str) -> None:
        """Something happens that is no request."""
        getattr(self, happening)()

    def restart_browser(self) -> None:
        """A browser is closed, and keeps only the cookie that it was told to remember."""
        browser = self.browsers[0]
        if browser.until is None:
            browser.cookie = None

    @rule(seconds=st.sampled_from(TICKS))
    def tick(self, seconds: int) -> None:
        """Time passes."""
        self.clock.tick(seconds)

    def rotate_secret(self) -> None:
        """The next of the three deploys that replace a secret."""
        newest, *others = self.ring
        if not others:
            self.ring = (newest, newest + 1)
        elif newest < others[0]:
            self.ring = (others[0], newest)
        else:
            self.ring = (newest,)
        self.serve()

    def restart_server(self) -> None:
        """Another process goes on with the same store; requests under way end in the old one."""
        if self.survives:
            self.store = self.open()
        self.serve()

    def prune(self) -> None:
        """Expired records are swept out."""
        Noting(self.store, self.pruned).prune(self.world.now)

    # What holds at any time

    @invariant()
    def the_store_holds_what_the_model_holds(self) -> None:
        states = {cell.id: cell.state for cell in self.world.cells if cell.state is not None}
        expected = {id: (state.version, state.expires_at, state.username is None) for id, state in states.items()}
        records = {
            record.id.hex(): (record.version, record.expires_at, record.owner is None) for record in self.store.scan()
        }
        assert records == expected

    @invariant()
    def every_cookie_shows_what_it_may(self) -> None:
        for cookie, issued in self.world.cookies.items():
            real = Real(self.window, cookie)
            shown = real.read()
            real.close()
            assert shown == self.may_be_seen(issued)
            self.check_laws(issued, *shown)

    def may_be_seen(self, issued: Issued) -> tuple[dict[str, Any], str | None]:
        """What a request with this cookie would read, now."""
        return Expected(self.world, self.ring, issued, tell=lambda *_: None).read()

    def check_laws(self, issued: Issued, data: dict[str, Any], username: str | None) -> None:
        """The promises in so many words, in case that the model is wrong in the same way as the library."""
        is_shown = bool(data) or username is not None
        assert not (is_shown and issued.cell.is_ended), "an ended session is seen again"
        assert not (is_shown and issued.is_outdated), "a cookie from before a login opens the session after it"
        state, limits, now = issued.cell.state, self.world.limits, self.world.now
        if username is None or state is None:
            return
        assert state.authenticated_at is not None
        longest = limits.lifetime if state.idle is not None else limits.remember
        assert now < state.authenticated_at + longest, "a session outlives its deadline"
        assert state.idle is None or now < issued.cell.used_at + limits.idle, "a session outlives its idle limit"


def outcome(hand: Real | Expected, act: Act) -> object:
    """What doing it returned, or that it came too late."""
    try:
        return getattr(hand, act.name)(*act.arguments)
    except SessionClosed:
        return SessionClosed


@pytest.mark.parametrize(("make_store", "examples"), [(memory, 40), (SQLiteStore, 8)], ids=["memory", "sqlite"])
def test_any_history_of_browsers_goes_by_the_rules(
    make_store: Callable[[Path], Store], examples: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever tabs do at once, in whatever order, each sees what the rules of commit say, and nobody sees more."""
    caplog.set_level(logging.CRITICAL, "sessionware")  # thousands of warnings, all of which are looked at as events
    run(lambda: BrowserMachine(make_store), examples)
