"""The benchmarks of the stores on database servers measure what they say. Nothing here depends on how long it takes."""

from __future__ import annotations

import random
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scenarios import WrongAnswer
from benchmarks.servers import operations, prune, sizing
from benchmarks.servers.running import Running, opened
from benchmarks.servers_report import servers_section
from sessionware import MemoryStore, Record
from tests.support import database_servers as servers

TINY = operations.Plan(rounds=1, lives=2, seed=1)

OTHERS = ("create", "touch", "login", "delete")


class Refusing(MemoryStore):
    """Replaces nothing, and says so."""

    def replace(self, record: Record) -> bool:
        return False

    def close(self) -> None:
        pass


def only(name: str, server: Any) -> Running:
    return Running({name: server}, [])


def check_calls(rows: list[dict[str, Any]], stores: set[str]) -> None:
    """Each call of the floor and of these stores was measured, ours beside the floor."""
    assert {(row["what"], row["call"]) for row in rows} == {
        (what, call) for what in {"floor", *stores} for call in operations.CALLS
    }
    assert all((row["ratio"] is None) == (row["what"] == "floor") for row in rows)
    assert all(row["median_us"] > 0 for row in rows)


def test_calls_are_measured_beside_the_cursor_of_psycopg(postgres: servers.Postgres) -> None:
    """Of the store by its own URL, and by an application's engine; with commits that wait, and with others."""
    rows = operations.measure(only("PostgreSQL", postgres), TINY)
    for waits in (True, False):
        check_calls([row for row in rows if row["waits"] == waits], {"SQLStore(url)", "SQLStore(engine)"})


def test_calls_are_measured_beside_the_cursor_of_each_driver_for_mariadb(mariadb: servers.MariaDB) -> None:
    """The same."""
    rows = operations.measure(only("MariaDB", mariadb), TINY)
    for driver in {row["driver"] for row in rows}:
        check_calls([row for row in rows if row["driver"] == driver], {"SQLStore(url)", "SQLStore(engine)"})


def test_calls_are_measured_beside_the_commands_of_redis(redis_server: servers.Redis) -> None:
    """With hiredis and without."""
    rows = operations.measure(only("Redis", redis_server), TINY)
    for driver in ("redis-py, hiredis", "redis-py, parser in Python"):
        check_calls([row for row in rows if row["driver"] == driver], {"RedisStore"})


def test_calls_are_measured_beside_the_commands_of_a_cluster(redis_cluster: servers.RedisCluster) -> None:
    """By a client that knows the cluster."""
    check_calls(operations.measure(only("Redis Cluster", redis_cluster), TINY), {"RedisStore"})


def test_a_store_that_refuses_a_write_is_found_out() -> None:
    """Nothing is measured that was not done."""
    with pytest.raises(WrongAnswer, match="replace"):
        operations.life(Refusing(), random.Random(1))


def test_sizes_are_those_of_all_sessions(redis_server: servers.Redis) -> None:
    """More than the payload, and more again for users who are logged in, whom Redis keeps apart."""
    rows = sizing.measure(only("Redis", redis_server), sizing.Plan(sessions=300, seed=1))
    found = {(row["store"], row["logged in"]): row["bytes per session"] for row in rows}
    assert set(found) == {(store, is_owned) for store in ("Redis", "SQLiteStore", "FileStore") for is_owned in (0, 1)}
    assert operations.PAYLOAD < found["Redis", False] < found["Redis", True]
    assert found["SQLiteStore", False] > operations.PAYLOAD


@pytest.mark.parametrize("name", ["PostgreSQL", "SQLiteStore"])
def test_pruning_removes_what_the_database_multiplied(name: str, postgres: servers.Postgres, tmp_path: Path) -> None:
    """As many as had expired, to the last one, while the traffic goes on without errors."""
    filled = prune._postgres(postgres) if name == "PostgreSQL" else prune._sqlite(tmp_path / "sessions.db")
    row = prune._row(filled, prune.Plan({name: 1500}, before=0, seed=1))
    assert (row["pruned"], row["errors"]) == (1500, 0)
    with closing(opened(filled.url)) as store:
        assert len(store.scan(limit=5000)) >= 1500
        assert store.prune(int(time.time()), 5000) == 0


def test_traffic_counts_what_is_refused() -> None:
    """So that nobody takes a store that gave up for a fast one."""
    with prune.traffic(Refusing(), random.Random(1)) as turns:
        turns.go_on(0)
    assert turns.errors == len(turns.taken()) >= 100


def test_the_report_has_a_line_for_each_limit() -> None:
    """SQL against the cursor, with commits that do not wait; Redis against its commands; bytes over the payload."""
    text = servers_section(FIGURES)
    assert "| SQLStore(url), PostgreSQL, psycopg: load | ≤ 30 µs over the cursor | 22 | met |" in text
    assert "| SQLStore(url), PostgreSQL, psycopg: replace | ≤ 30 µs over the cursor | 41 | 11 too many |" in text
    assert "| RedisStore, Redis, redis-py, hiredis: replace | ≤ 1.5 of SET | 1.80 | short by a factor of 1.20 |" in text
    assert "| Redis, anonymous: bytes of a session | ≤ 400 over the payload | 375 | met |" in text
    assert text.count("≤") == 6


def operation(what: str, call: str, over: float, ratio: float, *, waits: bool) -> dict[str, Any]:
    server, driver = ("Redis", "redis-py, hiredis") if what == "RedisStore" else ("PostgreSQL", "psycopg")
    figures = {"median_us": 100.0, "over_floor_us": over, "ratio": ratio}
    return {"waits": waits, "server": server, "driver": driver, "what": what, "call": call, **figures}


def size(store: str, over: int, *, is_owned: bool) -> dict[str, Any]:
    sizes = {"data": 400 + over, "indexes": None, "bytes per session": 400 + over, "over the payload": over}
    return {"store": store, "sessions": 100_000, "logged in": is_owned, **sizes}


FIGURES: dict[str, Any] = {
    "load": {"operations": 1.0},
    "servers": [],
    "missing": ["no valkey here"],
    "operations": [
        operation(what, call, over, ratio, waits=waits)
        for what, waits in (("SQLStore(url)", True), ("SQLStore(url)", False), ("RedisStore", False))
        for call, over, ratio in (("load", 22.0, 1.2), ("replace", 41.0, 1.8), *((call, 1.0, 1.0) for call in OTHERS))
    ],
    "pages": {"rows": [], "left_out": [{"peer": "Beaker", "why": "ImportError: no"}]},
    "sizing": [
        size("Redis", 375, is_owned=False),
        size("Redis", 556, is_owned=True),
        size("MariaDB", 642, is_owned=True),
    ],
    "prune": [],
}
