"""Random histories, checked step by step against plain models: every store's calls, and what browsers do to a site.

A failure is a list of steps, as short as hypothesis can make it. For a longer hunt than the default one:

    SESSIONWARE_TEST_EXAMPLES=1000 python3 dev.py test -k stateful
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
from tests.rules.model_browser import (
    HOUR,
    MINUTE,
    CookieText,
    HandsOut,
    Limits,
    Notebook,
    Page,
    Sight,
    Site,
    TakesAway,
    TooLate,
    Visit,
    limits_of,
    rule_03_end,
)
from tests.rules.real_visit import RealVisit, application
from tests.support.fixed import Clock

EXAMPLES = int(os.environ.get("SESSIONWARE_TEST_EXAMPLES") or 0)

STEPS = 30


def run(machine: Any, examples: int) -> None:
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

    real: RealVisit
    expected: Visit
    browser: Browser
    """Where the response goes."""


@dataclass(frozen=True)
class Act:
    """Something that a request does to its session."""

    name: str
    arguments: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        return f"{self.name}{self.arguments}"


class Errand(NamedTuple):
    """A whole request: what it does, and when the response arrives."""

    acts: tuple[Act, ...]
    arrival: str = "now"


class Click(NamedTuple):
    """One of several logins that overlap: what its request does besides, and when it is answered."""

    name: str
    has_looked: bool
    """Whether its request looked at the session before the first of them was saved."""
    waits: bool
    """Whether the browser makes another request before it is saved."""
    seconds: int
    before: list[Act]
    after: list[Act]
    arrival: str


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

    def delete(self, id: bytes) -> bool:
        return True


def acts(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Act]:
    return st.builds(Act, st.just(name), st.tuples(*arguments))


DAY = 24 * HOUR
#: The README's, but shorter where a limit would never be reached otherwise.
USUAL = Limits(
    idle=12 * HOUR,
    lifetime=14 * HOUR,
    remember=30 * DAY,
    remember_lifetime=35 * DAY,
    anonymous=DAY,
    anonymous_lifetime=2 * DAY,
    unconfirmed=HOUR,
    explain=DAY,
)
#: What a deploy may set: shorter limits, longer ones, or the usual ones again.
DEPLOYED = [
    USUAL,
    USUAL,
    USUAL._replace(idle=4 * HOUR, anonymous=10 * HOUR),
    USUAL._replace(lifetime=8 * HOUR, remember=DAY, remember_lifetime=11 * DAY, anonymous_lifetime=DAY),
    USUAL._replace(idle=DAY, lifetime=40 * DAY, unconfirmed=2 * HOUR, explain=2 * HOUR),
]
#: What a login may be given of its own.
OWN = USUAL._replace(idle=2 * HOUR, lifetime=4 * HOUR, remember=10 * DAY, remember_lifetime=11 * DAY)
TICKS = [30, 60, 61, 30 * MINUTE, 45 * MINUTE, HOUR, 4 * HOUR, 4 * HOUR, 10 * HOUR, 12 * HOUR, DAY, 10 * DAY]
TICKS_BACK = [-30, -60, -61, -30 * MINUTE]

WAITS = st.sampled_from([45 * MINUTE, HOUR, 4 * HOUR, 10 * HOUR])

#: Every stored value has this in it, so that one that gets into an event is seen there.
MARK = "hush"
ITEMS = st.sampled_from([f"{MARK}{number}," for number in range(3)])
KEYS = st.sampled_from(["a", "b", "list"])
NAMES = st.sampled_from(["ada", "bob"])

RARELY = st.sampled_from([False] * 9 + [True])
EDITS = st.one_of(
    acts("puts", KEYS, ITEMS),
    acts("puts_again", KEYS),
    acts("takes_out", KEYS),
    acts("adds", KEYS, ITEMS),
    acts("adds_inside", st.just("list"), ITEMS),
    acts("empties"),
)


def edits_of(key: str) -> st.SearchStrategy[Act]:
    """Few values, so that equal ones meet."""
    one, item = st.just(key), st.sampled_from([f"{MARK}0,", f"{MARK}1,"])
    return st.one_of(
        acts("puts", one, item),
        acts("puts_again", one),
        acts("adds", one, item),
        acts("takes_out", one),
        acts("empties"),
    )


FLASHES = acts("leaves_message", st.uuids(version=4).map(lambda uuid: f"{MARK}{uuid}")) | acts("takes_messages")
WRITES = EDITS | FLASHES
RACES = st.tuples(FLASHES, FLASHES, FLASHES) | KEYS.flatmap(lambda key: st.tuples(*[edits_of(key)] * 3))
SECONDS = st.sampled_from([HOUR, 10 * DAY, 90 * DAY])
LOGINS = acts("logs_in", NAMES) | acts("logs_in", NAMES) | acts("logs_in", NAMES, st.just(OWN))
STAYS = st.one_of(
    acts("asks_to_stay", SECONDS),
    acts("asks_to_stay", SECONDS),
    acts("asks_to_stay", SECONDS, st.just(True)),
    acts("asks_to_stay", st.none()),
)
FORMS = st.one_of(acts("makes_form"), acts("renews_form"), acts("checks_form", st.integers(0, 4)))
SESSION_ACTS = st.one_of(LOGINS, acts("logs_out"), acts("changes_cookie"), STAYS, STAYS, FORMS, acts("saves"))
COOKIE_ACTS = st.one_of(LOGINS, acts("logs_out"), acts("changes_cookie"))
FORGERIES = st.one_of(LOGINS, acts("logs_out"), STAYS, FORMS, acts("puts", KEYS, ITEMS))
LATE = st.sampled_from([0, 30, MINUTE, MINUTE + 1, -MINUTE - 1])
ARRIVALS = st.sampled_from(["now", "now", "now", "later", "never"])
QUIET_ACTS = st.one_of(acts("sees"), acts("saves"), acts("counts_not"), acts("reloads"))
ACTS = QUIET_ACTS | WRITES | WRITES | SESSION_ACTS | SESSION_ACTS
CHANGES = WRITES | SESSION_ACTS
ACT_LISTS = st.lists(ACTS, max_size=3)
ERRANDS = st.builds(Errand, st.lists(ACTS, min_size=1, max_size=3).map(tuple), ARRIVALS)
BROWSERS = st.sampled_from([0, 0, 0, 1])
CLICKS = st.builds(
    Click,
    name=st.sampled_from(["ada"] * 7 + ["bob"]),
    has_looked=st.sampled_from([True] * 3 + [False]),
    waits=RARELY,
    seconds=st.sampled_from([0] * 9 + [30, MINUTE + 1]),
    before=st.lists(edits_of("a") | edits_of("a") | STAYS, max_size=2),
    after=st.lists(ACTS | FORMS, max_size=2),
    arrival=ARRIVALS,
)
CLICK_LISTS = st.lists(CLICKS, min_size=2, max_size=3) | st.lists(CLICKS, min_size=6, max_size=7)
HAPPENINGS = st.one_of(
    acts("restart_browser"),
    acts("rotate_secret"),
    acts("restart_server"),
    acts("prune"),
    acts("change_limits", st.sampled_from(DEPLOYED)),
)
REASONS = st.sampled_from(["elsewhere", "limit", "password", "disabled", "admin"])


class BrowserMachine(OnDisk):
    """Two browsers and somebody with copies of their cookies, on one site that is restarted and rotates its secret."""

    requests: ClassVar[Bundle[Request]] = Bundle("requests")

    def __init__(self, make_store: Callable[[Path], Store]) -> None:
        super().__init__(make_store)
        self.clock = Clock()
        self.notebook = Notebook(self.clock)
        self.browsers = [Browser(), Browser()]
        self.under_way: list[tuple[Browser, str]] = []
        """Responses that did not arrive yet."""
        self.events: list[Event] = []
        self.secrets: tuple[int, ...] = (0,)
        """Their numbers, the newest first."""
        self.limits = USUAL
        self.serve()

    def serve(self) -> None:
        """A new middleware over the store, and one to look through it."""

        def site(store: Any, events: list[Event]) -> SessionMiddleware:
            texts = [f"the secret of this site, number {number}" for number in self.secrets]
            timeouts = Timeouts(**self.limits._asdict())
            return SessionMiddleware(
                application, texts, store, timeouts=timeouts, clock=self.clock, on_event=events.append
            )

        self.site = Site(self.secrets, self.limits)
        self.middleware = site(Noting(self.store, self.pruned), self.events)
        self.window = site(ReadOnly(self.store), [])

    def pruned(self, ids: set[str]) -> None:
        for page in self.notebook.pages:
            if page.handle in ids:
                assert page.last is not None, "an id is used again"
                assert page.last.over_at <= self.notebook.time
                page.lines.clear()

    # Requests

    @initialize(acts=ACT_LISTS)
    def arrive_first(self, acts: list[Act]) -> None:
        """A browser has a session to begin with."""
        self.visit(0, Errand((Act("saves"), *acts)))

    @rule(target=requests, number=BROWSERS, from_elsewhere=RARELY, is_passive=RARELY, first=ACT_LISTS)
    def begin(self, number: int, from_elsewhere: bool, is_passive: bool, first: list[Act]) -> Request:
        """A tab sends a request, with the cookie that its browser has by now."""
        return self.from_tab(number, first, from_elsewhere=from_elsewhere, is_passive=is_passive)

    @precondition(lambda self: self.notebook.cookies)
    @rule(target=requests, number=st.integers(0, 100), first=ACT_LISTS | st.tuples(FORMS).map(list))
    def replay(self, number: int, first: list[Act]) -> Request:
        """Somebody sends a cookie that was issued at any time."""
        cookies = list(self.notebook.cookies)
        return self.request(Browser(), cookies[number % len(cookies)], first, comes_from="nowhere")

    @rule(request=requests, act=ACTS)
    def act(self, request: Request, act: Act) -> None:
        """A request goes on, before or after its headers."""
        self.do(request, act)

    @rule(request=requests)
    def send(self, request: Request) -> None:
        """A response's headers go out and arrive, while its body is still being made."""
        if not request.expected.has_answered:
            self.send_headers(request, "now")

    @rule(request=consumes(requests), arrival=ARRIVALS)
    def finish(self, request: Request, arrival: str) -> None:
        """A request comes to its end."""
        if not request.expected.has_answered:
            self.send_headers(request, arrival)
        self.close_body(request)

    @rule(request=consumes(requests), raises=st.booleans())
    def fail(self, request: Request, raises: bool) -> None:
        """A request ends in a server error, or the application raises."""
        if raises or request.expected.has_answered:
            request.real.breaks()
            request.expected.breaks()
        else:
            self.send_headers(request, "now", failed=True)
        request.real.closes()
        self.check_events()

    @rule(number=BROWSERS, acts=ACT_LISTS, saves=st.booleans(), raises=st.booleans())
    def stumble(self, number: int, acts: list[Act], saves: bool, raises: bool) -> None:
        """A whole request that fails, possibly after it has saved."""
        self.fail(self.from_tab(number, [*acts, *[Act("saves")] * saves]), raises)

    @rule(request=consumes(requests))
    def hang_up(self, request: Request) -> None:
        """A client is gone, and nobody asks for the rest of the response."""
        request.real.closes()
        request.expected.is_left_alone()
        self.compare(request)

    @rule(number=BROWSERS, errand=ERRANDS)
    def visit(self, number: int, errand: Errand) -> None:
        """A whole request."""
        self.finish(self.from_tab(number, list(errand.acts)), errand.arrival)

    @rule(
        number=BROWSERS,
        before=ACT_LISTS,
        amid=st.lists(ERRANDS, min_size=1, max_size=2),
        after=ACT_LISTS,
        seconds=st.sampled_from([0, 0, HOUR]),
    )
    def overlap(self, number: int, before: list[Act], amid: list[Errand], after: list[Act], seconds: int = 0) -> None:
        """A request to a session that is there, in whose midst its browser makes others."""
        self.tick(MINUTE + 1)  # else it may be detached
        self.visit(number, Errand((Act("saves"), *before)))
        self.tick(seconds)
        request = self.from_tab(number, [Act("sees")])
        for errand in amid:
            self.visit(number, errand)
        for act in after:
            self.do(request, act)
        self.finish(request, "now")

    @rule(number=BROWSERS, before=CHANGES, amid=CHANGES, after=CHANGES)
    def race(self, number: int, before: Act, amid: Act, after: Act) -> None:
        """The same with one act each."""
        self.overlap(number, [before], [Errand((amid,))], [after])

    @rule(number=BROWSERS, race=RACES, besides=FLASHES)
    def race_for_one_key(self, number: int, race: tuple[Act, Act, Act], besides: Act) -> None:
        """The same with acts that concern one key, and a write of another one besides."""
        before, amid, after = race
        self.overlap(number, [before], [Errand((amid,))], [after, besides])

    @rule(
        number=BROWSERS, names=st.tuples(NAMES, NAMES), before=WRITES, amid=WRITES, seconds=LATE, overlaps=st.booleans()
    )
    def double_click(
        self, number: int, names: tuple[str, str], before: Act, amid: Act, seconds: int, overlaps: bool
    ) -> None:
        """Two logins, of which the second one begins with the cookie from before the first, or soon after it."""
        self.tick(MINUTE + 1)
        self.visit(number, Errand((Act("saves"), before)))
        second = self.from_tab(number, [Act("sees")]) if overlaps else None
        self.visit(number, Errand((Act("logs_in", names[:1]), amid), "later"))
        self.tick(seconds)
        second = second or self.from_tab(number, [])
        self.do(second, Act("logs_in", names[1:]))
        self.finish(second, "now")

    @rule(number=BROWSERS, before=WRITES, amid=COOKIE_ACTS | WRITES, after=WRITES, still=WRITES)
    def go_on(self, number: int, before: Act, amid: Act, after: Act, still: Act) -> None:
        """The same with a request that goes on after it has saved, or has tried to."""
        self.overlap(number, [before], [Errand((amid,))], [after, Act("saves"), still])

    @rule(number=BROWSERS, before=ACT_LISTS, late=ACTS, breaks=st.booleans())
    def stream(self, number: int, before: list[Act], late: Act, breaks: bool) -> None:
        """A request that acts once more when its headers are out, and may then break."""
        request = self.from_tab(number, before)
        self.send(request)
        self.do(request, late)
        if breaks:
            self.fail(request, True)
        else:
            self.finish(request, "now")

    @rule(number=BROWSERS, first=COOKIE_ACTS, seconds=LATE, acts=ACT_LISTS, last=CHANGES | acts("empties"))
    def come_late(self, number: int, first: Act, seconds: int, acts: list[Act], last: Act) -> None:
        """A browser that missed a response comes again with the cookie that it had."""
        self.visit(number, Errand((Act("saves"), *acts)))
        self.visit(number, Errand((first,), "never"))
        self.tick(seconds)
        self.visit(number, Errand((*acts, last)))

    @rule(number=BROWSERS, act=FORGERIES)
    def come_from_elsewhere(self, number: int, act: Act) -> None:
        """Another site sends a form along with the browser's cookie."""
        self.finish(self.from_tab(number, [act], from_elsewhere=True), "now")

    @rule(clicks=CLICK_LISTS, before=WRITES, between=ACTS, then=ACT_LISTS | st.tuples(COOKIE_ACTS).map(list))
    def log_in_at_once(self, clicks: list[Click], before: Act, between: Act, then: list[Act]) -> None:
        """Requests that were all sent before one of them was answered log in, most of them as the same user."""
        self.tick(MINUTE + 1)
        self.visit(0, Errand((Act("saves"), before)))
        requests = [self.from_tab(0, [Act("sees")] * click.has_looked) for click in clicks]
        for request, click in zip(requests, clicks, strict=True):
            self.tick(click.seconds)
            for act in (*click.before, Act("logs_in", (click.name,)), *click.after):
                self.do(request, act)
            if click.waits:
                self.visit(0, Errand((between,)))
            self.finish(request, click.arrival)
        self.visit(0, Errand(tuple(then)))

    @rule(number=BROWSERS, acts=st.lists(CHANGES, max_size=2), seconds=st.sampled_from([HOUR, 4 * HOUR]))
    def poll(self, number: int, acts: list[Act], seconds: int) -> None:
        """A page asks again and again in the background, and may do something in the end."""
        for done in ([Act("sees")], [Act("sees")], acts):
            self.tick(seconds)
            self.finish(self.from_tab(number, done, is_passive=True), "now")

    @rule(number=BROWSERS, before=ACT_LISTS, seconds=st.sampled_from([10 * HOUR, 12 * HOUR, DAY]), after=ACT_LISTS)
    def straddle(self, number: int, before: list[Act], seconds: int, after: list[Act]) -> None:
        """A request is at work when its session runs out."""
        self.visit(number, Errand((Act("saves"), *before)))
        request = self.from_tab(number, [Act("sees")])
        self.tick(seconds)
        for act in after:
            self.do(request, act)
        self.finish(request, "now")

    @rule(
        number=BROWSERS,
        before=ACT_LISTS,
        amid=ACT_LISTS | st.lists(COOKIE_ACTS, min_size=1, max_size=1),
        overlaps=st.booleans(),
        seconds=st.sampled_from([0, MINUTE + 1, HOUR, DAY]),
    )
    def send_form(self, number: int, before: list[Act], amid: list[Act], overlaps: bool, seconds: int) -> None:
        """A form is made, something else happens, and the form comes back, or was sent before that."""
        self.visit(number, Errand((*before, Act("makes_form"))))
        made = len(self.notebook.forms)
        request = self.from_tab(number, []) if overlaps else None
        self.visit(number, Errand(tuple(amid)))
        self.tick(seconds)
        request = request or self.from_tab(number, [])
        self.do(request, Act("checks_form", (len(self.notebook.forms) - made,)))
        self.finish(request, "now")

    @rule(number=BROWSERS, act=CHANGES)
    def come_when_all_is_over(self, number: int, act: Act) -> None:
        """A browser still has its cookie, and no trace is left of the session."""
        self.tick(10 * DAY)
        self.prune()
        self.visit(number, Errand((act,)))

    @rule(number=BROWSERS, acts=st.lists(CHANGES, max_size=2))
    def come_after_each_deploy(self, number: int, acts: list[Act]) -> None:
        """A browser keeps coming while the secret is replaced, and may do something after the last deploy."""
        for done in ([Act("sees")], [Act("sees")], acts):
            self.rotate_secret()
            self.visit(number, Errand(tuple(done)))

    @rule(first=COOKIE_ACTS | FLASHES, then=COOKIE_ACTS | FLASHES, arrival=ARRIVALS)
    def come_first(self, first: Act, then: Act, arrival: str) -> None:
        """A browser that was never here, with a request that saves half-way."""
        self.browsers[1] = Browser()
        self.visit(1, Errand((Act("saves"), first, Act("saves"), then), arrival))

    @rule(number=BROWSERS, first=SESSION_ACTS, waits=st.lists(WAITS, min_size=2, max_size=5), last=SESSION_ACTS)
    def come_back(self, number: int, first: Act, waits: list[int], last: Act) -> None:
        """Somebody logs in, and comes back again and again until a limit that no activity moves, or another login."""
        self.visit(number, Errand((Act("logs_in", ("ada",)), first)))
        for seconds in waits:
            self.tick(seconds)
            self.visit(number, Errand((Act("sees"),)))
        self.visit(number, Errand((last,)))

    def from_tab(
        self, number: int, acts: list[Act], *, from_elsewhere: bool = False, is_passive: bool = False
    ) -> Request:
        browser = self.browsers[number]
        cookie, comes_from = browser.sends(self.notebook.time), ("here", "elsewhere")[from_elsewhere]
        return self.request(browser, cookie, acts, comes_from=comes_from, is_passive=is_passive)

    def request(
        self, browser: Browser, cookie: str | None, acts: list[Act], *, comes_from: Any, is_passive: bool = False
    ) -> Request:
        says = self.notebook.cookies.get(cookie or "")
        request = Request(
            RealVisit(self.middleware, cookie, comes_from=comes_from, is_passive=is_passive),
            Visit(self.notebook, self.site, says, comes_from=comes_from, is_passive=is_passive),
            browser,
        )
        for act in acts:
            self.do(request, act)
        return request

    def do(self, request: Request, act: Act) -> None:
        """Both do it, and both have the same to say."""
        if act.name == "makes_form":
            self.make_form(request)
        elif act.name == "checks_form":
            self.check_form(request, *act.arguments)
        else:
            assert outcome(request.real, act) == outcome(request.expected, act)
        self.compare(request)

    def make_form(self, request: Request) -> None:
        """Equal tokens are for the same forms."""
        text, says = request.real.makes_form(), request.expected.makes_form()
        assert self.notebook.forms.pop(text, says) == says
        self.notebook.forms[text] = says

    def check_form(self, request: Request, back: int) -> None:
        """A form comes back: the one that was made last, or another so many forms before."""
        if forms := list(self.notebook.forms.items()):
            text, says = forms[-1 - back % len(forms)]
            assert request.real.checks_form(text) == request.expected.checks_form(says)

    def send_headers(self, request: Request, arrival: str, *, failed: bool = False) -> None:
        set_cookies = request.real.answers(failed=failed)
        wanted = request.expected.answers(failed=failed)
        self.compare(request)
        if wanted is None:
            assert set_cookies == []
            return
        (set_cookie,) = set_cookies
        self.check_cookie(set_cookie, wanted, request.expected.site.secrets[0])
        self.arrive(request.browser, set_cookie, arrival)

    def close_body(self, request: Request) -> None:
        request.real.closes()
        request.expected.closes()
        self.compare(request)
        self.do(request, Act("sees"))

    def compare(self, request: Request) -> None:
        """After each step of a request: learn the handle of a session that it stored, and compare what was told."""
        page = request.expected.page
        if page is not None:
            page.handle = page.handle or request.real.session.id
            if request.expected.counts:
                page.used_at = max(page.used_at, self.notebook.time)
        if request.expected.has_looked:
            assert request.real.session.id == (page.handle if page else None)
        self.check_events()

    def check_cookie(self, set_cookie: str, wanted: HandsOut | TakesAway, secret: int) -> None:
        (morsel,) = SimpleCookie(set_cookie).values()
        attributes = {name: value for name, value in morsel.items() if value and name not in ("max-age", "expires")}
        assert attributes == {"path": "/", "samesite": "Lax", "httponly": True}
        if isinstance(wanted, TakesAway):
            assert (morsel.value, morsel["max-age"], morsel["expires"]) == ("", "0", "Thu, 01 Jan 1970 00:00:00 GMT")
            return
        assert morsel["expires"] == ""
        assert morsel["max-age"] == ("" if wanted.seconds is None else str(wanted.seconds))
        says = CookieText(wanted.page, wanted.token, secret)
        assert self.notebook.cookies.setdefault(morsel.value, says) == says

    def check_events(self) -> None:
        """Events are those of the model, and no stored value and no cookie is in them."""
        assert [(event.name, frozenset(event.keys)) for event in self.events] == self.notebook.news
        for event in self.events:
            assert not any(secret in repr(event) for secret in (MARK, *self.notebook.cookies))
        self.events.clear()
        self.notebook.news.clear()

    # What happens around them

    def arrive(self, browser: Browser, set_cookie: str, arrival: str) -> None:
        if arrival == "later":
            self.under_way.append((browser, set_cookie))
        elif arrival == "now":
            browser.receive(set_cookie, self.notebook.time)

    @precondition(lambda self: self.under_way)
    @rule(number=st.integers(0, 10))
    def arrive_late(self, number: int) -> None:
        """A response that took its time arrives."""
        browser, set_cookie = self.under_way.pop(number % len(self.under_way))
        browser.receive(set_cookie, self.notebook.time)

    @precondition(lambda self: self.notebook.pages)
    @rule(number=st.integers(0, 3), reason=REASONS)
    def end(self, number: int, reason: Any) -> None:
        """Somebody ends one of the latest sessions, without a request."""
        pages = self.notebook.pages
        self.end_page(pages[-1 - number % len(pages)], reason)

    @rule(number=BROWSERS, before=ACT_LISTS, reason=REASONS, seconds=LATE | WAITS, acts=ACT_LISTS)
    def end_amid(self, number: int, before: list[Act], reason: Any, seconds: int, acts: list[Act]) -> None:
        """The same while its browser is at work, which then comes again."""
        self.visit(number, Errand((Act("saves"), *before)))
        request = self.from_tab(number, [Act("sees")])
        if (page := request.expected.page) is not None:
            self.end_page(page, reason)
        for act in acts:
            self.do(request, act)
        self.finish(request, "never")
        self.tick(seconds)
        self.visit(number, Errand((Act("sees"), *acts)))

    def end_page(self, page: Page, reason: Any) -> None:
        assert page.handle is not None
        has_ended = rule_03_end(page, self.notebook, self.site, self.notebook.reports, reason)
        assert self.middleware.manager.end(page.handle, reason=reason) == has_ended
        self.check_events()

    @rule(happening=HAPPENINGS)
    def elsewhere(self, happening: Act) -> None:
        """Something happens that is no request."""
        getattr(self, happening.name)(*happening.arguments)

    def restart_browser(self) -> None:
        """A browser is closed, and keeps only the cookie that it was told to remember."""
        browser = self.browsers[0]
        if browser.until is None:
            browser.cookie = None

    @rule(seconds=st.sampled_from(TICKS))
    def tick(self, seconds: int) -> None:
        """Time passes."""
        self.clock.tick(seconds)

    @rule(seconds=st.sampled_from(TICKS_BACK))
    def set_back(self, seconds: int) -> None:
        """The clock is set back."""
        self.clock.tick(seconds)

    def rotate_secret(self) -> None:
        """The next of the three deploys that replace a secret."""
        newest, *others = self.secrets
        if not others:
            self.secrets = (newest, newest + 1)
        elif newest < others[0]:
            self.secrets = (others[0], newest)
        else:
            self.secrets = (newest,)
        self.serve()

    def change_limits(self, limits: Limits) -> None:
        """A deploy changes how long sessions live."""
        self.limits = limits
        self.serve()

    def restart_server(self) -> None:
        """Another process goes on with the same store; requests under way end in the old one."""
        if self.survives:
            self.store = self.open()
        self.serve()

    def prune(self) -> None:
        """Expired records are swept out."""
        Noting(self.store, self.pruned).prune(self.notebook.time)

    # What holds at any time

    @invariant()
    def the_store_holds_what_the_notebook_says(self) -> None:
        expected = {
            page.handle: (len(page.lines), line.over_at, line.who is None)
            for page in self.notebook.pages
            if (line := page.last) is not None
        }
        records = {
            record.id.hex(): (record.version, record.expires_at, record.owner is None) for record in self.store.scan()
        }
        assert records == expected

    @invariant()
    def every_cookie_shows_what_it_may(self) -> None:
        for cookie, says in self.notebook.cookies.items():
            real = RealVisit(self.window, cookie)
            shown = real.sees()
            real.closes()
            assert shown == self.may_be_seen(says)
            self.check_laws(says, shown)

    def may_be_seen(self, says: CookieText) -> Sight:
        """What a request with this cookie would see, now."""
        return Visit(self.notebook, Site(self.secrets, self.limits), says, tell=lambda *_: None).sees()

    def check_laws(self, says: CookieText, shown: Sight) -> None:
        """The promises in so many words, in case that the model is wrong in the same way as the library."""
        is_shown = bool(shown.data) or shown.who is not None
        assert not (is_shown and says.page.was_ended), "an ended session is seen again"
        assert not (is_shown and says.is_from_before_a_login), "a cookie from before a login opens the session after it"
        line, now = says.page.last, self.notebook.time
        if shown.who is None or line is None:
            return
        limits = limits_of(line, self.limits)
        assert line.who_since is not None
        longest = limits.lifetime
        if line.outlives_browser:
            longest = limits.remember if line.rest is None else limits.remember_lifetime
        assert now < line.who_since + longest, "a session outlives its deadline"
        if line.rest is not None:
            longest = limits.remember if line.outlives_browser else limits.idle
            assert now < says.page.used_at + longest, "a session outlives its idle limit, or a passive request counts"


def outcome(visit: RealVisit | Visit, act: Act) -> object:
    """What doing it returned, or that it came too late."""
    try:
        return getattr(visit, act.name)(*act.arguments)
    except (TooLate, SessionClosed):
        return TooLate


@pytest.mark.parametrize(("make_store", "examples"), [(memory, 150), (SQLiteStore, 20)], ids=["memory", "sqlite"])
def test_any_history_of_browsers_goes_by_the_rules(
    make_store: Callable[[Path], Store], examples: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever tabs do at once, in whatever order, each sees what the rules of commit say, and nobody sees more."""
    caplog.set_level(logging.CRITICAL, "sessionware")  # thousands of warnings, all of which are looked at as events
    run(lambda: BrowserMachine(make_store), examples)
