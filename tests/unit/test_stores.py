"""Every store keeps the contract, and the contract catches every store that does not."""

from __future__ import annotations

import doctest
import multiprocessing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sessionware import StoreUnavailable
from sessionware.stores.base import Record, Store
from sessionware.stores.file import FileStore
from sessionware.stores.memory import MemoryStore
from sessionware.stores.sqlite import SQLiteStore
from sessionware.testing import FaultyStore, StoreContract, faulty_store, store_contract
from sessionware.testing.store_cases import NOW, a_record
from sessionware.testing.store_races import StoreRaces
from tests.support.broken_stores import CAUGHT_BY, OwnerIndexIsAllWrong

PROCESSES = 4
CREATED = 50


class TestMemoryStore(StoreContract):
    def make_store(self) -> Store:
        store: Store = MemoryStore()
        return store


class TestMemoryNamespace(StoreContract):
    def make_store(self) -> Store:
        return MemoryStore().namespace("sibling")


class TestSQLiteStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.path = tmp_path / "sessions.db"

    def make_store(self) -> Store:
        store: Store = SQLiteStore(self.path)
        return store


class TestSQLiteNamespace(TestSQLiteStore):
    def make_store(self) -> Store:
        return SQLiteStore(self.path).namespace("sibling")


class TestFileStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.path = tmp_path / "sessions"

    def make_store(self) -> Store:
        store: Store = FileStore(self.path)
        return store


class TestFileNamespace(TestFileStore):
    def make_store(self) -> Store:
        return FileStore(self.path).namespace("sibling")


@pytest.mark.parametrize("make_store", [SQLiteStore, FileStore])
def test_processes_that_race_lose_nothing(tmp_path: Path, make_store: Any) -> None:
    """Processes that start together make the file together; each id has one creator, and every increment counts."""
    path = tmp_path / "sessions.db"
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(PROCESSES)
    results = context.SimpleQueue()
    processes = [
        context.Process(target=race_in_a_process, args=(make_store, path, start, results)) for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    created = [results.get() for _ in processes]
    for process in processes:
        process.join(30)

    assert sum(created) == CREATED
    counted = make_store(path).load(bytes(16), 0)
    assert counted is not None
    assert (counted.version, counted.payload) == (PROCESSES * CREATED + 1, b"%d" % (PROCESSES * CREATED))


def race_in_a_process(make_store: Any, path: Path, start: Any, results: Any) -> None:
    start.wait(30)
    store = make_store(path)
    results.put(sum(store.create(Record(number.to_bytes(16, "big"), 1, 10, None, b"0")) for number in range(CREATED)))
    for _ in range(CREATED):
        while not increment(store):
            pass


def increment(store: Store) -> bool:
    record = store.load(bytes(16), 0)
    if record is None:  # another process is just making it: a file that is half made holds no record yet
        return False
    return store.replace(record._replace(version=record.version + 1, payload=b"%d" % (int(record.payload) + 1)))


@pytest.mark.parametrize(("broken", "name"), CAUGHT_BY, ids=[f"{broken.__name__}-{name}" for broken, name in CAUGHT_BY])
def test_the_contract_catches_a_broken_promise(broken: type[MemoryStore], name: str) -> None:
    """A store that breaks this promise fails the test named after it."""

    class Contract(StoreContract):
        def make_store(self) -> Store:
            return broken()

    with pytest.raises(AssertionError):
        getattr(Contract(), f"test_{name}")()


@pytest.mark.parametrize("race", [name for name in vars(StoreRaces) if name.startswith("test_")])
def test_every_race_looks_at_the_owners(race: str) -> None:
    """Whichever methods meet: a store that is right in all but its index of owners does not get through."""

    class Contract(StoreContract):
        def make_store(self) -> Store:
            return OwnerIndexIsAllWrong()

    with pytest.raises(AssertionError, match=r"owned_by\(.*\) is not what scan\(\) shows"):
        getattr(Contract(), race)()


@pytest.mark.parametrize(("module", "examples"), [(store_contract, 3), (faulty_store, 6)])
def test_the_docstrings_work(module: ModuleType, examples: int) -> None:
    """What a store author copies from there runs."""
    assert tuple(doctest.testmod(module)) == (0, examples)


def test_the_contract_names_the_method_that_is_missing() -> None:
    """Who forgets `make_store` is told what it is."""
    with pytest.raises(NotImplementedError, match="define make_store"):
        StoreContract().test_load_of_an_unknown_id_is_none()


class TestFaultyStore(StoreContract):
    def make_store(self) -> Store:
        """While it is told nothing, it is as good as the store behind it."""
        return FaultyStore(MemoryStore())


def test_faulty_store_fails_before_its_work() -> None:
    """A broken method raises `StoreUnavailable` and has done nothing; the others work."""
    store = FaultyStore(MemoryStore())
    store.broken.add("create")

    with pytest.raises(StoreUnavailable, match="create was told to fail"):
        store.create(a_record())
    assert store.scan() == []
    assert store.calls == ["create", "scan"]


def test_faulty_store_fails_after_its_work() -> None:
    """A deaf method has done its work when it raises."""
    store = FaultyStore(MemoryStore())
    store.deaf.add("create")

    with pytest.raises(StoreUnavailable, match="create was told to lose its answer"):
        store.create(a_record())
    assert store.scan() == [a_record()]


def test_faulty_store_hands_the_path_on() -> None:
    """A record is sealed for the path, so a wrapper that made up another would lose it."""
    store = FaultyStore(MemoryStore().namespace("a"))

    assert store.path == ("a",)
    assert store.namespace("b").path == ("a", "b")


def test_faulty_store_lets_something_happen_before_a_call() -> None:
    """What is to happen before a call happens once."""
    store = FaultyStore(MemoryStore())
    store.before["load"] = lambda: store.behind.create(a_record())

    assert store.load(a_record().id, NOW) == a_record()
    assert store.before == {}
