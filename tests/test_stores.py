"""Every store keeps the contract, and the contract catches every store that does not."""

from __future__ import annotations

import doctest
import multiprocessing
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionware.stores.base import Record, Store
from sessionware.stores.file import FileStore
from sessionware.stores.memory import MemoryStore
from sessionware.stores.sqlite import SQLiteStore
from sessionware.testing import StoreContract, store_contract

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


class Model:
    """The contract in its plainest form, for one thread."""

    def __init__(self) -> None:
        self.records: dict[bytes, Record] = {}

    def create(self, record: Record) -> bool:
        return self.records.setdefault(record.id, record) is record

    def load(self, id: bytes, now: int) -> Record | None:
        record = self.records.get(id)
        return record if record and record.expires_at > now else None

    def replace(self, record: Record) -> bool:
        old = self.records.get(record.id)
        if old and old.version == record.version - 1:
            self.records[record.id] = record
            return True
        return False

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        record = self.records.get(id)
        if record and record.version == version:
            self.records[id] = record._replace(expires_at=max(expires_at, record.expires_at))

    def delete(self, id: bytes) -> bool:
        return self.records.pop(id, None) is not None

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        return [record for record in self.scan() if record.owner == owner and record.expires_at > now]

    def scan(self) -> list[Record]:
        return sorted(self.records.values())

    def check_prune(self, before: list[Record], removed: int, now: int, limit: int) -> None:
        """After a prune: only expired records went, and those that were two hours late did, up to the limit."""
        gone = set(before) - set(self.scan())
        late = [record for record in self.scan() if record.expires_at <= now - 7200]
        assert len(gone) == removed <= limit
        assert all(record.expires_at <= now for record in gone)
        assert not late or removed == limit


ids = st.sampled_from([b"1" * 16, b"2" * 16, b"3" * 16])
versions = st.integers(1, 3)
times = st.integers(0, 20_000)
owners = st.sampled_from([b"a" * 16, b"b" * 16])
records = st.builds(Record, ids, versions, times, st.none() | owners, st.binary(max_size=3))
steps = st.one_of(
    st.tuples(st.just("create"), records),
    st.tuples(st.just("load"), ids, times),
    st.tuples(st.just("replace"), records),
    st.tuples(st.just("touch"), ids, versions, times),
    st.tuples(st.just("delete"), ids),
    st.tuples(st.just("owned_by"), owners, times),
    st.tuples(st.just("prune"), times, st.integers(1, 3)),
)


@pytest.mark.parametrize(
    "make_store", [lambda path: MemoryStore(), SQLiteStore, FileStore], ids=["memory", "sqlite", "file"]
)
@given(calls=st.lists(steps, min_size=10, max_size=40))
def test_any_sequence_of_calls_does_what_the_contract_says(make_store: Any, calls: list[Any]) -> None:
    """Whatever is called in whatever order, answers and contents are those of a plain dict."""
    with tempfile.TemporaryDirectory() as directory:
        store = make_store(Path(directory) / "sessions.db")
        model = Model()
        for name, *arguments in calls:
            answer = getattr(store, name)(*arguments)
            if name == "prune":
                before = model.scan()
                model.records = {record.id: record for record in store.scan()}
                model.check_prune(before, answer, *arguments)
            else:
                assert answer == getattr(model, name)(*arguments)
            assert store.scan() == model.scan()


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


# Stores that break one promise each, and the tests of the contract that have to say so.


class CreateOverwrites(MemoryStore):
    """An upsert, the bug that brings ended sessions back."""

    def create(self, record: Record) -> bool:
        self.delete(record.id)
        return super().create(record)


class CreateReusesExpiredIds(MemoryStore):
    def create(self, record: Record) -> bool:
        self.prune(record.expires_at)
        return super().create(record)


class CreateChecksThenActs(MemoryStore):
    """All threads look before the first of them writes."""

    looked = threading.Barrier(16)

    def create(self, record: Record) -> bool:
        is_there = record.id in [other.id for other in self.scan()]
        self.looked.wait(10)
        return not is_there and (super().create(record) or True)


class LoadShowsTheLastSecond(MemoryStore):
    def load(self, id: bytes, now: int) -> Record | None:
        return super().load(id, now - 1)


class LoadHidesTheLastSecond(MemoryStore):
    def load(self, id: bytes, now: int) -> Record | None:
        return super().load(id, now + 1)


class LoadRemovesExpired(MemoryStore):
    def load(self, id: bytes, now: int) -> Record | None:
        record = super().load(id, now)
        if record is None:
            self.delete(id)
        return record


class LoadReturnsRows(MemoryStore):
    def load(self, id: bytes, now: int) -> Record | None:
        record = super().load(id, now)
        return record and tuple(record)  # type: ignore[return-value]


class LoadForgetsThatThereIsNoOwner(MemoryStore):
    def load(self, id: bytes, now: int) -> Record | None:
        record = super().load(id, now)
        return record and record._replace(owner=record.owner or b"")


class PayloadEndsAtAZero(MemoryStore):
    def create(self, record: Record) -> bool:
        return super().create(record._replace(payload=record.payload.rstrip(b"\0").split(b"\0")[0]))


class PayloadIsCutAt64KiB(MemoryStore):
    """What a BLOB column of MySQL does when nobody looks."""

    def create(self, record: Record) -> bool:
        return super().create(record._replace(payload=record.payload[: 2**16 - 1]))


class TimesHave32Bits(MemoryStore):
    def create(self, record: Record) -> bool:
        return super().create(record._replace(expires_at=record.expires_at % 2**32))


class ReplaceCreates(MemoryStore):
    def replace(self, record: Record) -> bool:
        return super().replace(record) or self.create(record)


class ReplaceIgnoresTheVersion(MemoryStore):
    def replace(self, record: Record) -> bool:
        return self.delete(record.id) and self.create(record)


class ReplaceChecksThenActs(MemoryStore):
    """All threads look before the first of them writes."""

    looked = threading.Barrier(16)

    def replace(self, record: Record) -> bool:
        has_version = self.scan()[0].version == record.version - 1
        self.looked.wait(10)
        return has_version and self.delete(record.id) | self.create(record) | True


class ReplaceForgetsTheExpiry(MemoryStore):
    def replace(self, record: Record) -> bool:
        old = {other.id: other for other in self.scan()}.get(record.id, record)
        return super().replace(record._replace(expires_at=old.expires_at))


class ReplaceKeepsTheOldOwnersIndex(MemoryStore):
    def replace(self, record: Record) -> bool:
        self.former = {record.owner for record in self.scan()}
        return super().replace(record)

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        former = [record for record in self.scan() if owner in self.former]
        return super().owned_by(owner, now) or former


class ReplaceWritesInTwoSteps(MemoryStore):
    """Between the two, others read."""

    def __init__(self) -> None:
        super().__init__()
        self.was_read = threading.Event()

    def load(self, id: bytes, now: int) -> Record | None:
        self.was_read.set()
        return super().load(id, now)

    def replace(self, record: Record) -> bool:
        old = self.scan()[0]
        is_replaced = super().replace(record._replace(payload=old.payload))
        self.was_read.clear()
        self.was_read.wait(0.01)
        self.delete(record.id)
        return is_replaced and self.create(record)


class TouchShortens(MemoryStore):
    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        record = self.load(id, 0)
        if record and record.version == version:
            self.delete(id)
            self.create(record._replace(expires_at=expires_at))


class TouchIgnoresTheVersion(MemoryStore):
    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        record = self.load(id, 0)
        super().touch(id, record.version if record else version, expires_at)


class TouchCountsAsAChange(MemoryStore):
    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        record = self.load(id, 0)
        if record:
            self.replace(record._replace(version=version + 1, expires_at=expires_at))


class TouchCreates(MemoryStore):
    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        self.create(Record(id, version, expires_at, None, b""))
        super().touch(id, version, expires_at)


class TouchWritesBackWhatItRead(MemoryStore):
    """Between the two, others write."""

    looked = threading.Barrier(15)

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        record = self.load(id, 0)
        self.looked.wait(10)
        if record and record.version == version:
            self.delete(id)
            self.create(record._replace(expires_at=expires_at))


class PruneForgetsTouches(MemoryStore):
    """Prunes by the time at which the record was to expire when it was created."""

    def create(self, record: Record) -> bool:
        self.first = record.expires_at
        return super().create(record)

    def prune(self, now: int, limit: int = 1000) -> int:
        return sum(self.delete(record.id) for record in self.scan()[:limit] if self.first <= now)


class DeleteIsAlwaysTrue(MemoryStore):
    def delete(self, id: bytes) -> bool:
        return super().delete(id) or True


class DeleteChecksThenActs(MemoryStore):
    """All threads look before the first of them removes."""

    looked = threading.Barrier(16)

    def delete(self, id: bytes) -> bool:
        is_there = id in [record.id for record in self.scan()]
        self.looked.wait(10)
        return is_there and (super().delete(id) or True)


class DeleteLeavesAMark(MemoryStore):
    """A soft delete: the record is not shown, and its id is taken for ever."""

    def delete(self, id: bytes) -> bool:
        record = self.load(id, 0)
        return bool(record and record.expires_at and self.replace(Record(id, record.version + 1, 0, None, b"")))

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        return [record for record in super().scan(after, limit) if record.expires_at]


class PruneRemovesTheLastSecond(MemoryStore):
    def prune(self, now: int, limit: int = 1000) -> int:
        return sum(self.delete(record.id) for record in self.scan()[:limit] if record.expires_at <= now + 1)


class PruneIgnoresTheLimit(MemoryStore):
    def prune(self, now: int, *_: Any, **__: Any) -> int:
        return super().prune(now)


class PruneDoesNotCount(MemoryStore):
    def prune(self, now: int, limit: int = 1000) -> int:
        super().prune(now, limit)
        return 0


class PruneLeavesEverything(MemoryStore):
    def prune(self, *_: Any, **__: Any) -> int:
        return 0


class PruneCountsWhatWasDeleted(MemoryStore):
    """An index of what expires, from which `delete` takes nothing out."""

    deleted = 0

    def delete(self, id: bytes) -> bool:
        self.deleted += super().delete(id)
        return True

    def prune(self, now: int, limit: int = 1000) -> int:
        return super().prune(now, limit) + self.deleted


class PruneGoesOnWhereItWas(MemoryStore):
    """Remembers how far it has come, and looks at what is later only."""

    done = 0

    def prune(self, now: int, limit: int = 1000) -> int:
        due = [record for record in self.scan() if self.done < record.expires_at <= now][:limit]
        self.done = max([record.expires_at for record in due], default=self.done)
        return sum(self.delete(record.id) for record in due)


class OwnedByShowsExpired(MemoryStore):
    def owned_by(self, owner: bytes, *_: Any, **__: Any) -> list[Record]:
        return super().owned_by(owner, 0)


class OwnedByIsInAnyOrder(MemoryStore):
    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        return super().owned_by(owner, now)[::-1]


class ScanRepeatsTheLast(MemoryStore):
    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        return [record for record in super().scan() if after is None or record.id >= after][:limit]


class ScanHidesExpired(MemoryStore):
    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        now = store_contract._NOW
        return [record for record in super().scan(after, limit) if record.expires_at > now]


class ScanSortsSignedBytes(MemoryStore):
    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        return sorted(super().scan(after, limit), key=lambda record: record.id[0] ^ 0x80)


class ScanCountsPages(MemoryStore):
    """Goes on by position, so that it skips one for each that was removed before it."""

    visited = 0

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        page = super().scan()[self.visited : self.visited + limit]
        self.visited += len(page)
        return page


class NamespaceIsTheStore(MemoryStore):
    def namespace(self, name: str) -> MemoryStore:
        super().namespace(name)
        return self


class NamespaceIsForgotten(MemoryStore):
    def namespace(self, name: str) -> MemoryStore:
        super().namespace(name)
        return MemoryStore()


class NamespacesAreFlat(MemoryStore):
    def namespace(self, name: str) -> MemoryStore:
        sibling = super().namespace(name)
        sibling.namespace = self.namespace  # type: ignore[method-assign]
        return sibling


class NamespaceTakesAnyName(MemoryStore):
    def namespace(self, name: str) -> MemoryStore:
        return super().namespace("x" + name.encode().hex()[:31])


class NamespaceTakesALineBreak(MemoryStore):
    """What `re.match(... "$")` lets pass."""

    def namespace(self, name: str) -> MemoryStore:
        return super().namespace(name.removesuffix("\n"))


CAUGHT_BY = [
    (CreateOverwrites, "create_changes_nothing_if_the_id_is_there"),
    (CreateReusesExpiredIds, "create_changes_nothing_if_an_expired_record_has_the_id"),
    (CreateChecksThenActs, "create_race_has_one_winner"),
    (LoadShowsTheLastSecond, "load_shows_a_record_until_the_second_before_it_expires"),
    (LoadHidesTheLastSecond, "load_shows_a_record_until_the_second_before_it_expires"),
    (LoadRemovesExpired, "load_changes_nothing"),
    (LoadReturnsRows, "load_returns_the_types_that_were_stored"),
    (LoadForgetsThatThereIsNoOwner, "load_returns_the_types_that_were_stored"),
    (PayloadEndsAtAZero, "every_byte_comes_back"),
    (PayloadIsCutAt64KiB, "a_large_payload_comes_back"),
    (TimesHave32Bits, "times_after_2106_come_back"),
    (ReplaceCreates, "replace_never_creates"),
    (ReplaceIgnoresTheVersion, "replace_changes_nothing_unless_the_version_is_the_next"),
    (ReplaceChecksThenActs, "replace_race_has_one_winner"),
    (ReplaceForgetsTheExpiry, "replace_changes_every_field"),
    (ReplaceKeepsTheOldOwnersIndex, "owned_by_follows_a_replace"),
    (ReplaceWritesInTwoSteps, "a_reader_never_sees_half_a_replace"),
    (TouchShortens, "touch_never_shortens_a_life"),
    (TouchIgnoresTheVersion, "touch_of_another_version_does_nothing"),
    (TouchCountsAsAChange, "touch_lets_a_record_live_longer"),
    (TouchCreates, "touch_never_creates"),
    (TouchWritesBackWhatItRead, "touch_race_with_replace_undoes_nothing"),
    (DeleteIsAlwaysTrue, "delete_returns_true_once"),
    (DeleteChecksThenActs, "delete_race_has_one_winner"),
    (DeleteLeavesAMark, "delete_makes_room_for_the_id"),
    (PruneForgetsTouches, "prune_knows_what_touch_did"),
    (PruneRemovesTheLastSecond, "prune_never_removes_a_live_record"),
    (PruneIgnoresTheLimit, "prune_removes_no_more_than_its_limit"),
    (PruneDoesNotCount, "prune_removes_what_expired_two_hours_ago"),
    (PruneLeavesEverything, "prune_removes_what_expired_two_hours_ago"),
    (PruneCountsWhatWasDeleted, "prune_knows_what_delete_did"),
    (PruneGoesOnWhereItWas, "prune_works_again_and_again"),
    (OwnedByShowsExpired, "owned_by_leaves_out_expired_records"),
    (OwnedByIsInAnyOrder, "owned_by_lists_one_owner_in_id_order"),
    (ScanRepeatsTheLast, "scan_begins_right_behind_an_id"),
    (ScanHidesExpired, "scan_shows_every_record_in_id_order"),
    (ScanSortsSignedBytes, "scan_shows_every_record_in_id_order"),
    (ScanCountsPages, "scan_page_by_page_visits_every_record_once"),
    (NamespaceIsTheStore, "a_namespace_keeps_its_records_apart"),
    (NamespaceIsForgotten, "a_namespace_of_the_same_name_has_the_same_records"),
    (NamespacesAreFlat, "a_namespace_in_a_namespace_is_apart"),
    (NamespaceTakesAnyName, "a_namespace_is_named_like_an_identifier"),
    (NamespaceTakesALineBreak, "a_namespace_is_named_like_an_identifier"),
]


@pytest.mark.parametrize(("broken", "name"), CAUGHT_BY, ids=[broken.__name__ for broken, _ in CAUGHT_BY])
def test_the_contract_catches_a_broken_promise(broken: type[MemoryStore], name: str) -> None:
    """A store that breaks this promise fails the test named after it."""

    class Contract(StoreContract):
        def make_store(self) -> Store:
            return broken()

    with pytest.raises(AssertionError):
        getattr(Contract(), f"test_{name}")()


def test_the_docstring_of_the_contract_works() -> None:
    """What a store author copies from there runs."""
    failed, attempted = doctest.testmod(store_contract)

    assert (failed, attempted) == (0, 3)


def test_the_contract_names_the_method_that_is_missing() -> None:
    """Who forgets `make_store` is told what it is."""
    with pytest.raises(NotImplementedError, match="define make_store"):
        StoreContract().test_load_of_an_unknown_id_is_none()
