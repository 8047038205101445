"""What keeps a store small and a page fast: sweeps, touches, and records that make no sense."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sessionware import FileStore, MemoryStore, Record, SQLiteStore
from sessionware._core.upkeep import prune_all, prune_batches
from sessionware.stores.base import Store
from tests.support.fixed import Clock
from tests.support.kit import SessionSite

HOUR = 3600


@pytest.fixture(params=["memory", "sqlite", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    makers: dict[str, Callable[[], Store]] = {
        "memory": MemoryStore,
        "sqlite": lambda: SQLiteStore(tmp_path / "sessions"),
        "file": lambda: FileStore(tmp_path / "sessions"),
    }
    return makers[request.param]()


def test_what_a_flood_leaves_is_swept_away_by_ordinary_visits(store: Store, clock: Clock) -> None:
    """New sessions remove more expired ones than they themselves will be. Nobody has to prune."""
    for number in range(1500):
        store.create(Record(number.to_bytes(16, "big"), 1, int(clock.now) + HOUR, None, b"flood"))
    site = SessionSite(store, clock)
    for _ in range(24):
        clock.tick(HOUR)
        for _ in range(100):
            site.browser().visit(lambda session: session.update(n=1))

    left = store.scan(limit=10_000)
    assert not any(record.payload == b"flood" for record in left)
    assert len(left) < 500


class Shortsighted(MemoryStore):
    """Looks at few records in a call that may remove few, as a FileStore does, and finds nothing among them."""

    calls: list[int]

    def prune(self, now: int, limit: int = 1000) -> int:
        self.calls.append(limit)
        return super().prune(now, limit) if limit > 1000 else 0


def expired(store: Store, count: int) -> None:
    for number in range(count):
        store.create(Record(number.to_bytes(16, "big"), 1, HOUR, None, b""))


def test_pruning_everything_stops_after_each_batch_for_as_long_as_that_took() -> None:
    """So that a site that is open meanwhile waits for one batch at most, and has half of the time for itself."""
    pauses: list[float] = []
    store = MemoryStore()
    expired(store, 2500)

    begin = time.monotonic()
    assert list(prune_batches(store, 5 * HOUR, pauses.append)) == [1000, 1000, 500]
    assert len(pauses) == 3
    assert 0 < sum(pauses) <= time.monotonic() - begin


def test_pruning_everything_is_not_over_when_a_batch_finds_nothing() -> None:
    """A store may look at a part of its records only, for each that it may remove."""
    store = Shortsighted()
    store.calls = []
    expired(store, 10)

    assert prune_all(store, 5 * HOUR) == 10
    assert len(store.scan()) == 0
    assert min(store.calls) <= 1000


@contextmanager
def sqlite_writer(path: Path) -> Iterator[None]:
    """Somebody who holds the lock of the whole file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def file_writer(path: Path) -> Iterator[None]:
    """Somebody who holds the lock of each record, as one does who was stopped in the middle of a write."""
    import fcntl

    files = [file.open("rb") for file in path.iterdir() if len(file.name) == 32]
    assert files
    try:
        for file in files:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        for file in files:
            file.close()


@pytest.mark.parametrize(
    ("make_store", "writer"), [(SQLiteStore, sqlite_writer), (FileStore, file_writer)], ids=["sqlite", "file"]
)
def test_a_page_that_reads_does_not_wait_for_a_writer(
    make_store: Callable[[Path], Store], writer: Any, tmp_path: Path, clock: Clock
) -> None:
    """The touch that it would make fails, which is told; the next page makes it."""
    site = SessionSite(make_store(tmp_path / "sessions"), clock)
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))
    browser.read()
    clock.tick(2 * 24 * HOUR)
    before = site.store.records

    with writer(tmp_path / "sessions"):
        began = time.monotonic()
        answer = browser.visit(lambda session: session.copy())
        took = time.monotonic() - began

    assert (answer.response.status_int, answer.result) == (200, {"n": 1})
    assert took < 2.5  # far from the five seconds for which a write waits
    assert [event.detail[:7] for event in site.told("store.unavailable")] == ["touch: "]
    assert site.store.records == before

    browser.read()
    assert site.store.records != before
    assert len(site.told("store.unavailable")) == 1


VALUES = ["0", "-1", "1", "123", f"{2**63 - 1}", f"{-(2**63)}", "1.5", "9e99", "NULL"]
VALUES += ["'x'", "''", "x'0102'", "x''", "zeroblob(16)", "zeroblob(100)"]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("column", ["id", "version", "expires_at", "prune_at", "owner", "payload"])
def test_a_row_that_makes_no_sense_spoils_nothing_else(tmp_path: Path, clock: Clock, column: str, value: str) -> None:
    """It is not a session, whatever is wrong with it. All else works: reading, listing, ending, sweeping, counting."""
    path = tmp_path / "sessions.db"
    site = SessionSite(SQLiteStore(path), clock)
    browsers = [site.browser() for _ in range(3)]
    for browser in browsers:
        browser.visit(lambda session: session.login("ann"))
    manager = site.middleware.manager
    with closing(sqlite3.connect(path)) as vandal, vandal:
        row = "id = (SELECT min(id) FROM sessionware_sessions)"
        try:
            vandal.execute(f"UPDATE sessionware_sessions SET {column} = {value} WHERE {row}")
        except sqlite3.IntegrityError:
            return  # the table does not take it

    def logged_in() -> int:
        return [browser.visit(lambda session: session.username).result for browser in browsers].count("ann")

    manager.stats()
    assert logged_in() in (2, 3)
    assert len(manager.of(username="ann")) in (2, 3)
    manager.end_all(username="ann")
    assert manager.of(username="ann") == []
    assert logged_in() in (0, 1)
    manager.prune()
    manager.stats()
