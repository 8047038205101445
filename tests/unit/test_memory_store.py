"""What MemoryStore does when it is full, and how its namespaces hang together. The contract is in test_stores.py."""

from __future__ import annotations

import gc
import random
import sys
from typing import Any

import pytest

from sessionware import ConfigError, MemoryStore, Record, StoreUnavailable

NOW = 1_700_000_000
LATER = NOW + 24 * 3600
SLOT = 600  # as exactly as times are known to it
ALICE = b"alice".ljust(16)


def record(name: str, expires_at: int = LATER, owner: bytes | None = None, version: int = 1) -> Record:
    return Record(name.encode().ljust(16), version, expires_at, owner, b"payload")


def store_of(max_records: int, *records: Record) -> MemoryStore:
    store = MemoryStore(max_records)
    for each in records:
        assert store.create(each)
    return store


def names(store: MemoryStore) -> str:
    return "".join(sorted(each.id.decode().strip() for each in store.scan()))


def test_a_full_store_drops_what_would_expire_next() -> None:
    """A replace and a touch that let a record live longer keep it; a touch that changes nothing does not."""
    store = store_of(4, record("a"), record("b"), record("c"), record("d"))
    store.replace(record("a", LATER + SLOT, version=2))
    store.touch(record("b").id, 1, LATER + SLOT)
    store.touch(record("c").id, 1, LATER)
    store.load(record("c").id, NOW)

    left = []
    for name in "efgh":
        assert store.create(record(name, LATER + 2 * SLOT))
        left.append(names(store))

    assert left == ["abde", "abef", "befg", "efgh"]


def test_a_flood_of_first_visits_drops_first_visits() -> None:
    """What lives an hour until its cookie comes back goes before what has been coming back."""
    store = store_of(3, record("a"), record("b"))

    for number in range(100):
        store.create(record(f"x{number}", NOW + 3600 + number))

    assert names(store) == "abx99"


def test_a_full_store_drops_expired_records_first() -> None:
    """Though others were written longer ago; the time is what the last load or prune said."""
    store = store_of(3, record("a"), record("x", expires_at=NOW), record("y", NOW, ALICE))
    store.load(record("a").id, NOW + SLOT)

    store.create(record("b"))
    store.create(record("c"))

    assert names(store) == "abc"


def test_a_full_store_takes_the_clock_as_it_is_now() -> None:
    """A clock that was wrong for a moment and was put right does not make live records count as expired."""
    store = store_of(2, record("a", owner=ALICE), record("b", LATER + SLOT))
    store.load(record("a").id, LATER + 3600)
    store.load(record("a").id, NOW)

    store.create(record("c"))

    assert names(store) == "ac"


def test_records_with_an_owner_are_not_dropped() -> None:
    """Neither for an anonymous record nor for one with an owner."""
    store = store_of(3, record("a", owner=ALICE), record("b"), record("c", owner=ALICE))

    store.create(record("d"))
    store.create(record("e", owner=ALICE))

    assert names(store) == "ace"
    assert store.owned_by(ALICE, NOW) == [record(name, owner=ALICE) for name in "ace"]


def test_a_login_protects_and_a_logout_does_not() -> None:
    """What counts is who owns the record now."""
    store = store_of(3, record("a"), record("b", owner=ALICE), record("c", owner=ALICE))
    store.replace(record("a", owner=ALICE, version=2))
    store.replace(record("b", version=2))

    store.create(record("d"))

    assert names(store) == "acd"


def test_a_store_full_of_owned_records_is_unavailable() -> None:
    """The refused record is not there afterwards, the others are; what is there can be written."""
    store = store_of(2, record("a", owner=ALICE), record("b", owner=ALICE))

    with pytest.raises(StoreUnavailable, match=r"max_records=2\) is full"):
        store.create(record("c"))

    assert names(store) == "ab"
    assert store.create(record("a")) is False
    assert store.replace(record("a", owner=ALICE, version=2)) is True


def test_room_is_made_again_by_deleting_and_pruning() -> None:
    """A place that became free can be taken without anybody else leaving."""
    store = store_of(3, record("a", owner=ALICE), record("b", owner=ALICE), record("c", NOW, ALICE))
    store.delete(record("a").id)
    assert store.prune(NOW + SLOT) == 1

    store.create(record("d"))
    store.create(record("e"))

    assert names(store) == "bde"


def test_a_store_never_holds_more_than_it_may() -> None:
    """`max_records` is a bound, whatever comes."""
    store = store_of(10, *(record(str(number), NOW + 60 * (number % 7)) for number in range(100)))

    assert len(store.scan()) == 10


def test_a_store_that_was_emptied_keeps_nothing() -> None:
    """Users who came and went leave no trace, nor do the times at which their sessions would have ended."""
    store = store_of(100, *(record(str(number), NOW + number, str(number).encode()) for number in range(100)))
    for each in store.scan():
        store.delete(each.id)
    assert store.prune(NOW + 3600) == 0

    kept = [*store._tables, *store._owners._tables, store._owners._many, store._anonymous._ids, store._owned._ids]
    assert not any(kept)


def test_the_garbage_collector_does_not_visit_sessions() -> None:
    """What is kept is bytes in tables of bytes: a million sessions do not slow a collection down."""
    store = store_of(1000, *(record(str(number), owner=ALICE if number % 2 else None) for number in range(1000)))

    kept = [*store._tables, *store._owners._tables, *store._owners._many.values()]
    assert not any(map(gc.is_tracked, kept))


def test_many_sessions_of_one_owner_cost_no_more_each() -> None:
    """Logging out everywhere, changing hands and sweeping look at each record, and not at each of them for each."""
    few, many = steps(1000), steps(4000)

    assert many < 5 * few


def steps(count: int) -> int:
    """How many calls it takes to create so many sessions of one account, end half of them, and sweep the others."""
    store, calls = MemoryStore(), 0

    def count_calls(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count_calls)
    try:
        for number in range(count):
            store.create(record(str(number), owner=ALICE))
        for each in store.owned_by(ALICE, NOW)[: count // 2]:
            store.replace(each._replace(version=2, owner=None))
        while store.prune(LATER + SLOT, 100):
            pass
    finally:
        sys.setprofile(None)
    assert store.scan() == store.owned_by(ALICE, NOW) == []
    return calls


@pytest.mark.parametrize("count", [1, 31, 32, 33, 34, 100])
def test_owners_of_few_and_of_many_records_are_listed_alike(count: int) -> None:
    """However they come and go, whatever the order, and nothing is left of an owner who has none."""
    store = store_of(1000, *(record(str(number), owner=ALICE) for number in range(count)))
    left = sorted(store.scan())
    random.Random(count).shuffle(left)
    while left:
        assert store.owned_by(ALICE, NOW) == sorted(left)
        store.delete(left.pop().id)
        store.create(record("back", owner=ALICE))
        store.delete(record("back").id)

    assert store.owned_by(ALICE, NOW) == []
    assert not any([*store._owners._tables, store._owners._many])


def test_namespaces_are_made_once() -> None:
    """The same name is the same object, in a namespace too."""
    store = MemoryStore()

    assert store.namespace("a") is store.namespace("a") is not store.namespace("b")
    assert store.namespace("a").namespace("a") is store.namespace("a").namespace("a") is not store.namespace("a")


def test_each_namespace_has_room_of_its_own() -> None:
    """A flood in one drops nothing in another."""
    store = store_of(2, record("a"), record("b"))

    for name in "cde":
        store.namespace("sibling").create(record(name))

    assert names(store) == "ab"
    assert names(store.namespace("sibling")) == "de"


@pytest.mark.parametrize("max_records", [0, -1, "a", None])
def test_a_store_without_room_is_a_mistake(max_records: Any) -> None:
    """It says so when it is built."""
    with pytest.raises(ConfigError, match="give a number, 1 or more"):
        MemoryStore(max_records)


def test_its_repr_tells_how_full_it_is_and_no_value() -> None:
    """What is stored stays out of logs."""
    assert repr(store_of(5, record("a"))) == "<MemoryStore 1 of 5 records>"
