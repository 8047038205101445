"""Moving to another store beside a site that goes on: in every order of what it does and what the copy reads.

A handful of records, read one at a time, so that the site can act between any two calls. Only the calls to the store
that is copied from matter: what happens between two of those looks the same to the copy, whenever it happens.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from sessionware import MemoryStore, Record, Store, StoreError, StoreUnavailable
from sessionware._core.copying import SiteCopy
from tests.support.fixed import Clock
from tests.support.stepped_store import Outage, SteppedStore

ADA, BOB, CYD = (bytes([number]) * 16 for number in (253, 254, 255))
OWNER = b"owner of them all".ljust(16)[:16]
LIFE, SHORT = 100_000, 100


class World:
    """The site's store, where it moves to, and the time."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.old, self.new = MemoryStore(), MemoryStore()
        for id, life in ((ADA, LIFE), (BOB, SHORT)):
            self.old.create(Record(id, 1, int(self.clock.now) + life, None, b"1"))

    def now(self) -> int:
        return int(self.clock.now)

    def logs_in(self) -> None:
        self.old.create(Record(CYD, 1, self.now() + LIFE, OWNER, b"1"))

    def writes(self) -> None:
        self._replaces(ADA, owner=OWNER, payload=b"another")

    def touches(self) -> None:
        found = self.old.load(ADA, self.now())
        if found is not None:
            self.old.touch(ADA, found.version, found.expires_at + 1000)

    def logs_out(self) -> None:
        """As the library does: a tombstone takes the place of the session."""
        self._replaces(ADA, owner=None, payload=b"ended", expires_at=self.now() + LIFE)

    def loses(self) -> None:
        self.old.delete(ADA)

    def prunes(self) -> None:
        """Bob's has expired by then, and so has all that the store may keep for a while."""
        self.clock.tick(SHORT + 7200)
        self.old.prune(self.now())

    def _replaces(self, id: bytes, **changes: Any) -> None:
        found = self.old.load(id, self.now())
        if found is not None:
            self.old.replace(found._replace(version=found.version + 1, **changes))

    def live(self, store: Store) -> list[Record]:
        return [record for record in store.scan() if record.expires_at > self.now()]


Act = Callable[[World], None]
ACTS: tuple[Act, ...] = (World.logs_in, World.writes, World.touches, World.logs_out, World.loses, World.prunes)
Pass = Callable[[Store, Store, Clock], object]


class Plan(NamedTuple):
    """What the site does, each right before the copy reads its store for so manyeth time."""

    acts: tuple[tuple[int, Act], ...]


class Beside:
    """The site's store, as the copy sees it: before each look of the copy, the site does what is due."""

    def __init__(self, plan: Plan) -> None:
        self.world = World()
        self.looks = 0
        self.seen: list[list[Record]] = []
        """What was there at each look."""
        self._due = list(plan.acts)

    @property
    def store(self) -> Store:
        return SteppedStore(self.world.old, self._step)

    def catch_up(self) -> World:
        """Let the site do the rest."""
        for _at, act in self._due:
            act(self.world)
        self._due = []
        return self.world

    def _step(self, method: str, call: Callable[[], Any]) -> Any:
        if method == "scan":
            while self._due and self._due[0][0] <= self.looks:
                self._due.pop(0)[1](self.world)
            self.looks += 1
            self.seen.append(self.world.live(self.world.old))
        return call()


def a_pass(source: Store, target: Store, clock: Clock) -> SiteCopy:
    copy = SiteCopy(source, target, clock=clock, page=1)
    copy.begin()
    copy.copy()
    return copy


def a_last_pass(source: Store, target: Store, clock: Clock) -> None:
    a_pass(source, target, clock).finish()


def looks_of(make_pass: Pass) -> int:
    beside = Beside(Plan(()))
    make_pass(beside.store, beside.world.new, beside.world.clock)
    return beside.looks


def plans_of_one(make_pass: Pass) -> Iterator[Plan]:
    """Every act, before any look of such a pass."""
    for at, act in itertools.product(range(looks_of(make_pass)), ACTS):
        yield Plan(((at, act),))


def plans_of_two(make_pass: Pass) -> Iterator[Plan]:
    """Every two acts, each before any look of such a pass, or after the last."""
    places = range(looks_of(make_pass) + 1)
    for (one, first), (other, second) in itertools.product(itertools.product(places, ACTS), repeat=2):
        if one <= other:
            yield Plan(((one, first), (other, second)))


def is_right(world: World) -> bool:
    return world.live(world.new) == world.live(world.old)


def test_after_the_last_pass_the_new_store_has_what_the_old_one_has() -> None:
    """Whatever the site did during a pass before, and in which order."""
    count = 0
    for plan in plans_of_two(a_pass):
        beside = Beside(plan)
        a_pass(beside.store, beside.world.new, beside.world.clock)
        world = beside.catch_up()
        a_last_pass(world.old, world.new, world.clock)
        assert is_right(world), plan
        count += 1

    assert count > 500


def test_a_last_pass_beside_a_site_that_goes_on_fails_or_is_right() -> None:
    """The copy is not finished without anything that the site did before the copy's last look at it."""
    failed = 0
    for plan in plans_of_one(a_last_pass):
        beside = Beside(plan)
        world = beside.world
        try:
            a_last_pass(beside.store, world.new, world.clock)
        except StoreError:
            failed += 1
            assert world.new.namespace("copy").scan(), plan
        else:
            seen = [[record for record in records if record.expires_at > world.now()] for records in beside.seen]
            assert world.live(world.new) in seen, plan

    assert failed > 20


def without(clause: str) -> Pass:
    """A pass as one might write it in an hour, but for one clause."""

    def naive(source: Store, target: Store, clock: Clock) -> None:
        now = int(clock.now)
        here = {record.id: record for record in all_of(source) if record.expires_at > now or clause == "expired"}
        there = {record.id: record for record in all_of(target)}
        for id in there.keys() - here.keys():
            if clause != "removal":
                target.delete(id)
        for id, record in here.items():
            other = there.get(id)
            if other is None:
                target.create(record)
            elif (other.version != record.version and clause != "version") or (
                other.expires_at != record.expires_at and clause != "expiry"
            ):
                target.delete(id)
                target.create(record)

    return naive


def all_of(store: Store) -> Iterator[Record]:
    after = None
    while page := store.scan(after, 1):
        yield from page
        after = page[-1].id


@pytest.mark.parametrize(
    ("clause", "is_needed"), [("nothing", False), ("removal", True), ("version", True), ("expiry", True)]
)
def test_no_clause_of_a_pass_can_go(clause: str, is_needed: bool) -> None:
    """Without what is gone, or looking at versions or at expiry, some of these orders goes wrong: they do find it."""
    make_pass = without(clause)

    def is_wrong(plan: Plan) -> bool:
        beside = Beside(plan)
        make_pass(beside.store, beside.world.new, beside.world.clock)
        world = beside.catch_up()
        make_pass(world.old, world.new, world.clock)
        return not is_right(world)

    assert any(map(is_wrong, plans_of_two(make_pass))) is is_needed


@pytest.mark.parametrize("is_deaf", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("side", ["old", "new"])
def test_a_pass_that_broke_off_is_made_again(side: str, is_deaf: bool) -> None:
    """At whichever call of either store, whether or not that call still did its work."""
    for at in itertools.count(1):
        world = World()
        a_pass(world.old, world.new, world.clock)
        for act in (World.writes, World.logs_in, World.prunes):
            act(world)
        outage = Outage(at, is_deaf=is_deaf)
        old = SteppedStore(world.old, outage) if side == "old" else world.old
        new = SteppedStore(world.new, outage) if side == "new" else world.new
        try:
            a_pass(old, new, world.clock).finish()
        except StoreUnavailable:
            if world.new.namespace("copy").scan():  # else only the answer to the very last call was lost
                a_pass(world.old, world.new, world.clock).finish()
            assert is_right(world), at
        else:
            break

    assert at > 12
    assert is_right(world)
