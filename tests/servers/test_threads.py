"""Many more threads than connections: each gets its own answer, or hears that there is none, and no thread hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

import pytest
import sqlalchemy

from sessionware import RedisStore, SQLStore, Store, StoreUnavailable
from tests.support.forked import IDS, record_of

THREADS, ROUNDS, CONNECTIONS = 64, 10, 5
PATIENCE = 60.0  # seconds, after which a thread counts as hanging

Request = pytest.FixtureRequest


def _by_url(url: str) -> Store:
    return SQLStore(url, pool_size=CONNECTIONS)


def _by_engine(url: str) -> Store:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.QueuePool, pool_size=CONNECTIONS, max_overflow=0)
    return SQLStore(engine)


def _redis(url: str) -> Store:
    return RedisStore(f"{url}?max_connections={CONNECTIONS}")


STORES: dict[str, tuple[str, Callable[[str], Store]]] = {
    "psycopg": ("postgres", _by_url),
    "psycopg, engine": ("postgres", _by_engine),
    "PyMySQL": ("mariadb", _by_url),
    "PyMySQL, engine": ("mariadb", _by_engine),
    "Redis": ("redis_server", _redis),
}


class Told(NamedTuple):
    """What the threads were told."""

    right: int
    unavailable: list[str]
    wrong: list[str]
    hanging: int
    slowest: float


@pytest.mark.parametrize("name", STORES)
def test_more_threads_than_connections(name: str, request: Request) -> None:
    """Sixty-four threads share five connections, and write and read their own records."""
    fixture, made = STORES[name]
    server: Any = request.getfixturevalue(fixture)
    url = server.url if fixture == "redis_server" else server.url(server.new_database())
    store: Any = made(url)
    with closing(store):
        told = ask_at_once(store)

    print(f"{name}: {told}")
    assert (told.wrong, told.hanging) == ([], 0)
    assert told.right + len(told.unavailable) == THREADS * ROUNDS
    assert told.right > 0


def ask_at_once(store: Store) -> Told:
    """Let all threads begin at one moment."""
    start = threading.Barrier(THREADS)
    took: list[float] = []
    unavailable: list[str] = []
    wrong: list[str] = []
    for id in IDS:
        store.create(record_of(id))

    def work(number: int) -> None:
        start.wait()
        for turn in range(ROUNDS):
            id = IDS[(number + turn) % len(IDS)]
            began = time.monotonic()
            try:
                if store.load(id, 0) != record_of(id):
                    wrong.append("another's answer")
                took.append(time.monotonic() - began)
            except StoreUnavailable as error:
                unavailable.append(str(error))
            except Exception as error:
                wrong.append(repr(error))

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    hanging = sum(thread.is_alive() for thread in threads)
    return Told(len(took) - len(wrong), unavailable, wrong, hanging, max(took, default=0.0))
