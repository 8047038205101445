"""Pruning a great many expired sessions beside traffic.

The expired sessions and as many live ones are copies of one that the store made, multiplied by the database itself.
The traffic is four threads that load, replace and create through the store, with a pause after each turn, first alone
and then beside a process that prunes as `sessionware prune` does.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from sessionware import Record, SessionwareError, Store
from sessionware._core.upkeep import prune_all

from ..children import in_child
from .operations import PAYLOAD
from .running import Running, opened

DAY = 86400
HOUR = 3600

#: Threads of the traffic, and for how many seconds each of them rests after a turn.
THREADS, REST = 4, 0.01

#: Sessions that each thread goes through.
VISITED = 200

#: What a row of the store's table consists of.
_COLUMNS = "space, id, version, expires_at, prune_at, owner, payload"


class Plan(NamedTuple):
    sessions: dict[str, int]
    """For each store, how many have expired, and as many have not."""
    before: float
    """Seconds of traffic alone."""
    seed: int


class Filled(NamedTuple):
    """A database with the template of all sessions in it."""

    name: str
    url: str
    multiply: Callable[[int, int, int], None]
    """Make so many copies, which expire from this time on, over a day."""


# ---- the databases -------------------------------------------------------------------------------------------------


def databases(running: Running) -> Iterator[Filled]:
    if postgres := running.servers.get("PostgreSQL"):
        yield _postgres(postgres)
    if mariadb := running.servers.get("MariaDB"):
        yield _mariadb(mariadb)
    with tempfile.TemporaryDirectory() as directory:
        yield _sqlite(Path(directory) / "sessions.db")


def _postgres(server: Any) -> Filled:
    database = server.new_database()

    def multiply(count: int, since: int, step: int) -> None:
        server.execute(
            f"INSERT INTO sessionware_sessions ({_COLUMNS}) "
            f"SELECT space, decode(md5('id {since} ' || n), 'hex'), version, {since} + n % {step}, "
            f"{since} + n % {step} + 7200, decode(md5('owner {since} ' || n), 'hex'), payload "
            f"FROM (SELECT * FROM sessionware_sessions LIMIT 1) template, generate_series(1, {count}) n",
            database,
        )
        server.execute("VACUUM ANALYZE sessionware_sessions", database)

    return Filled("PostgreSQL", server.url(database), multiply)


def _mariadb(server: Any) -> Filled:
    database = server.new_database()

    def multiply(count: int, since: int, step: int) -> None:
        for first in range(1, count + 1, 50_000):  # the log would have to hold the whole of one INSERT
            last = min(first + 49_999, count)
            server.execute(
                f"INSERT INTO sessionware_sessions ({_COLUMNS}) "
                f"SELECT space, UNHEX(MD5(CONCAT('id {since} ', seq))), version, {since} + seq % {step}, "
                f"{since} + seq % {step} + 7200, UNHEX(MD5(CONCAT('owner {since} ', seq))), payload "
                f"FROM (SELECT * FROM sessionware_sessions LIMIT 1) template, seq_{first}_to_{last}",
                database,
            )

    return Filled("MariaDB", server.url(database), multiply)


def _sqlite(path: Path) -> Filled:
    def multiply(count: int, since: int, step: int) -> None:
        columns = _COLUMNS.partition(", ")[2]
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA cache_size = -500000")  # KiB, as random ids go everywhere
            connection.execute(
                f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
                f"INSERT INTO sessionware_sessions ({columns}) "
                f"SELECT randomblob(16), version, {since} + n % {step}, {since} + n % {step} + 7200, randomblob(16), "
                "payload FROM (SELECT * FROM sessionware_sessions LIMIT 1) template, numbers"
            )

    return Filled("SQLiteStore", f"sqlite:///{path}", multiply)


# ---- measuring -----------------------------------------------------------------------------------------------------


def measure(running: Running, plan: Plan) -> list[dict[str, Any]]:
    """One row for each database. Commits wait for the disk, as servers come."""
    return [_row(filled, plan) for filled in databases(running)]


def _row(filled: Filled, plan: Plan) -> dict[str, Any]:
    store: Any = opened(filled.url)
    rng, now = random.Random(plan.seed), int(time.time())
    template = Record(rng.randbytes(16), 1, now + DAY, rng.randbytes(16), rng.randbytes(PAYLOAD))
    store.create(template)
    count = plan.sessions[filled.name]
    filled.multiply(count, now - 3 * DAY, DAY)
    filled.multiply(count, now + HOUR, DAY)
    with traffic(store, rng) as turns:
        turns.go_on(plan.before)
        quiet = turns.taken()
        pruned = in_child(prune, filled.url)
        beside = turns.taken()
    store.close()
    return {
        "store": filled.name,
        "expired": count,
        "live": count,
        **pruned,
        **{f"before_{name}": value for name, value in _summary(quiet).items()},
        **{f"during_{name}": value for name, value in _summary(beside).items()},
        "errors": turns.errors,
    }


def prune(url: str) -> dict[str, Any]:
    """Remove all that has expired, in a process of its own, and say how long each batch took."""
    batches: list[float] = []
    store: Any = opened(url)
    call = store.prune

    def timed(now: int, limit: int) -> int:
        begin = time.perf_counter()
        removed = int(call(now, limit))
        batches.append((time.perf_counter() - begin) * 1000)
        return removed

    store.prune = timed
    store.load(bytes(16), 0)  # connected
    begin = time.perf_counter()
    removed = prune_all(store, int(time.time()))
    seconds = time.perf_counter() - begin
    store.close()
    return {
        "pruned": removed,
        "seconds": round(seconds, 1),
        "batch_median_ms": round(median(batches), 1),
        "batch_longest_ms": round(max(batches), 1),
    }


class Turns:
    """How long each turn of the traffic took, in milliseconds, and how many failed."""

    def __init__(self) -> None:
        self._durations: list[float] = []
        self.errors = 0

    def add(self, milliseconds: float) -> None:
        self._durations.append(milliseconds)

    def go_on(self, seconds: float) -> None:
        """Let it be for so long, and until there is enough to sum up."""
        time.sleep(seconds)
        while len(self._durations) < 100:
            time.sleep(REST)

    def taken(self) -> list[float]:
        """Those since the last time."""
        taken, self._durations = self._durations, []
        return taken


@contextmanager
def traffic(store: Store, rng: random.Random) -> Iterator[Turns]:
    """Four threads that use the store for as long as this lasts."""
    turns, is_over, is_ready = Turns(), threading.Event(), threading.Barrier(THREADS + 1, timeout=60)
    threads = [
        threading.Thread(target=_visit, args=(store, random.Random(rng.random()), turns, is_over, is_ready))
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    try:
        is_ready.wait()
        yield turns
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def _visit(
    store: Store, rng: random.Random, turns: Turns, is_over: threading.Event, is_ready: threading.Barrier
) -> None:
    """Load and replace a session of one's own, and create one."""
    now = int(time.time())
    ids = [rng.randbytes(16) for _ in range(VISITED)]
    for id in ids:
        store.create(Record(id, 1, now + DAY, None, rng.randbytes(PAYLOAD)))
    is_ready.wait()
    while not is_over.wait(REST):
        new = Record(rng.randbytes(16), 1, now + DAY, None, rng.randbytes(PAYLOAD))
        begin = time.perf_counter()
        try:
            found = store.load(rng.choice(ids), now)
            if found is None or not store.replace(found._replace(version=found.version + 1)) or not store.create(new):
                turns.errors += 1
        except SessionwareError:
            turns.errors += 1
        turns.add((time.perf_counter() - begin) * 1000)


def _summary(durations: list[float]) -> dict[str, float]:
    return {
        "median_ms": round(median(durations), 2),
        "p99_ms": round(quantiles(durations, n=100)[-1], 1),
        "worst_ms": round(max(durations), 1),
    }
