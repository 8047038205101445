"""What one call of a store costs, beside its floor in the same run.

SQL is measured twice. With commits that wait for the disk, as the servers come, the figures are those of a real server;
but where a disk takes milliseconds now and then, nobody sees the microseconds that a store adds. So they are measured
once more with commits that do not wait, and those are what the limits are for.

A group is a floor and the stores that are compared with it. In each round every group has its turn, in random order. A
turn is some lives of sessions, from `create` to `delete`, of each member, which take turns life by life; each call is
timed by itself. What a call costs over the floor is the median over the rounds of the differences of the round's
medians, so that a machine or disk that is slow for a while slows both.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from importlib.util import find_spec
from statistics import median, quantiles
from time import perf_counter_ns
from typing import Any, NamedTuple, Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import create_engine

from sessionware import Record, RedisStore, SQLStore

from ..scenarios import WrongAnswer
from .floors import Commands, cursor_at
from .running import Running, hurried

#: Bytes of payload: what a session with a dozen small values has.
PAYLOAD = 400

HOUR = 3600

CALLS = ("create", "load", "replace", "touch", "login", "delete")

#: What `RedisStore` sets for the clients that it makes, so that the floor waits and tries again no more than it does.
_LIKE_OURS: dict[str, Any] = {"socket_timeout": 1.0, "retry": Retry(NoBackoff(), 0)}


class Plan(NamedTuple):
    """How much is measured."""

    rounds: int
    lives: int
    """Of one subject in one round."""
    seed: int


class Lives(Protocol):
    """The part of a store that a session's life needs. What a floor loads is no record."""

    def create(self, record: Record) -> bool: ...

    def load(self, id: bytes, now: int) -> Any: ...

    def replace(self, record: Record) -> bool: ...

    def touch(self, id: bytes, version: int, expires_at: int) -> None: ...

    def delete(self, id: bytes) -> bool: ...

    def close(self) -> None: ...


class Subject(NamedTuple):
    """A store, or a floor, by one driver on one server."""

    server: str
    driver: str
    what: str
    store: Lives


Group = list[Subject]
"""The floor first."""

Medians = list[dict[str, float]]
"""Of each member, by call."""


# ---- what is compared ----------------------------------------------------------------------------------------------


def sql_groups(running: Running) -> list[Group]:
    """Each driver that is installed, on each server that runs."""
    found: list[Group] = []
    if postgres := running.servers.get("PostgreSQL"):
        found.append(sql_group("PostgreSQL", postgres, "psycopg"))
    if mariadb := running.servers.get("MariaDB"):
        drivers = [driver for driver, module in _MARIADB.items() if find_spec(module)]
        found += [sql_group("MariaDB", mariadb, driver) for driver in drivers]
    return found


def redis_groups(running: Running) -> list[Group]:
    """With hiredis; on a single Redis also without."""
    found: list[Group] = []
    for name in ("Redis", "Valkey", "Redis Cluster"):
        if server := running.servers.get(name):
            client = redis.RedisCluster if name == "Redis Cluster" else redis.Redis
            host, port = server.address
            floor: Any = client(host=host, port=port, **_LIKE_OURS)
            found.append(_redis_group(name, "hiredis", floor, RedisStore(server.url)))
    if server := running.servers.get("Redis"):
        found.append(_redis_group("Redis", "parser in Python", _slow(server), RedisStore(_slow(server))))
    return found


_MARIADB = {"pymysql": "pymysql", "mysqldb": "MySQLdb"}
_DRIVERS = {"psycopg": "psycopg", "pymysql": "PyMySQL", "mysqldb": "mysqlclient"}


def sql_group(server: str, at: Any, driver: str) -> Group:
    """In a database of its own."""
    url = at.url(at.new_database(), driver)
    of_url, of_engine = SQLStore(url), SQLStore(create_engine(url))
    of_url.load(bytes(16), 0)  # makes the table, if the constructor has not
    name = _DRIVERS[driver]
    return [
        Subject(server, name, "floor", cursor_at(url, of_url)),
        Subject(server, name, "SQLStore(url)", of_url),
        Subject(server, name, "SQLStore(engine)", of_engine),
    ]


def _redis_group(server: str, parser: str, client: Any, store: RedisStore) -> Group:
    name = f"redis-py, {parser}"
    return [Subject(server, name, "floor", Commands(client)), Subject(server, name, "RedisStore", store)]


def _slow(server: Any) -> redis.Redis:
    """A client that reads answers without hiredis, though that is installed."""
    from redis._parsers import _RESP2Parser  # there is no public name for it

    host, port = server.address
    pool = redis.ConnectionPool(host=host, port=port, protocol=2, parser_class=_RESP2Parser, **_LIKE_OURS)
    return redis.Redis(connection_pool=pool)


# ---- measuring -----------------------------------------------------------------------------------------------------


def measure(running: Running, plan: Plan) -> list[dict[str, Any]]:
    """One row for each subject and call; SQL first with commits that wait, then with those that do not."""
    sql, plain = sql_groups(running), redis_groups(running)
    rows = [{"waits": True, **row} for row in compared(sql, plan)]
    with hurried(running):
        rows += [{"waits": False, **row} for row in compared(sql + plain, plan)]
    close(sql + plain)
    return rows


def close(groups: list[Group]) -> None:
    for group in groups:
        for subject in group:
            subject.store.close()


def compared(groups: list[Group], plan: Plan) -> list[dict[str, Any]]:
    """One row for each subject and call of these groups."""
    rng = random.Random(plan.seed)
    rounds: list[list[Medians]] = [[] for _ in groups]
    for group in groups:  # connects, and lets drivers prepare what they prepare
        _turn(group, plan.lives, rng)
    gc.collect()
    gc.freeze()
    for _ in range(plan.rounds):
        for number in rng.sample(range(len(groups)), len(groups)):
            rounds[number].append(_turn(groups[number], plan.lives, rng))
    gc.unfreeze()
    return [
        _row(subject, call, [one[member][call] for one in found], [one[0][call] for one in found])
        for group, found in zip(groups, rounds, strict=True)
        for member, subject in enumerate(group)
        for call in CALLS
    ]


def _turn(group: Group, lives: int, rng: random.Random) -> Medians:
    """One round of a group: for each of its members the median of each call, in microseconds."""
    timed: list[list[dict[str, int]]] = [[] for _ in group]
    for _ in range(lives):
        for member in rng.sample(range(len(group)), len(group)):
            timed[member].append(life(group[member].store, rng))
    return [{call: median(one[call] for one in its) / 1000 for call in CALLS} for its in timed]


def life(store: Lives, rng: random.Random) -> dict[str, int]:
    """The nanoseconds of each call. Raises `WrongAnswer` if one of them did not do its work."""
    now = int(time.time())
    first = Record(rng.randbytes(16), 1, now + HOUR, None, rng.randbytes(PAYLOAD))
    second = first._replace(version=2, expires_at=now + HOUR + 1, payload=rng.randbytes(PAYLOAD))
    third = second._replace(version=3, expires_at=now + HOUR + 120, owner=rng.randbytes(16))
    calls: dict[str, Callable[[], Any]] = {
        "create": lambda: store.create(first),
        "load": lambda: store.load(first.id, now),
        "replace": lambda: store.replace(second),
        "touch": lambda: store.touch(first.id, 2, now + HOUR + 60),
        "login": lambda: store.replace(third),
        "delete": lambda: store.delete(first.id),
    }
    times = {}
    for name, call in calls.items():
        begin = perf_counter_ns()
        answer = call()
        times[name] = perf_counter_ns() - begin
        if not answer and name != "touch":
            raise WrongAnswer(f"{name}: {answer!r}")
    return times


def _row(subject: Subject, call: str, own: list[float], floor: list[float]) -> dict[str, Any]:
    is_floor = subject.what == "floor"
    over = [one - other for one, other in zip(own, floor, strict=True)]
    return {
        "server": subject.server,
        "driver": subject.driver,
        "what": subject.what,
        "call": call,
        "median_us": round(median(own), 2),
        "over_floor_us": None if is_floor else round(median(over), 2),
        "over_floor_spread_us": None if is_floor else _quartiles(over),
        "ratio": None if is_floor else round(median(one / other for one, other in zip(own, floor, strict=True)), 3),
    }


def _quartiles(values: list[float]) -> list[float]:
    first, _, third = quantiles(values, n=4) if len(values) > 1 else values * 3
    return [round(first, 2), round(third, 2)]
