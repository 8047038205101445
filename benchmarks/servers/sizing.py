"""How many bytes a session takes, by each server's own account.

All sessions are created through the store, in random order as they come in life, with a payload of `PAYLOAD` random
bytes, which nothing can compress. What they take beyond that payload is what the store and the server add.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from sessionware import FileStore, RedisStore, SQLiteStore, SQLStore

from ..growth import fill
from .operations import PAYLOAD
from .running import Running, hurried

#: They create sessions side by side, for each waits for an answer most of the time.
THREADS = 8

Bytes = dict[str, int]
"""What the sessions take, by what it is: data and indexes, where a server tells them apart."""


class Plan(NamedTuple):
    sessions: int
    seed: int


class Place(NamedTuple):
    """An empty store, and how to ask what is in it."""

    name: str
    store: Any
    measured: Callable[[], Bytes]


def measure(running: Running, plan: Plan) -> list[dict[str, Any]]:
    """One row for each store, first with nobody logged in. No commit waits for the disk."""
    with hurried(running):
        return [_row(place, plan, is_owned) for is_owned in (False, True) for place in _places(running)]


def _row(place: Place, plan: Plan, is_owned: bool) -> dict[str, Any]:
    before = place.measured()
    with ThreadPoolExecutor(THREADS) as pool:
        share = plan.sessions // THREADS
        rngs = [random.Random(plan.seed + thread) for thread in range(THREADS)]
        list(pool.map(lambda rng: fill(place.store, share, rng, is_owned=is_owned, size=PAYLOAD), rngs))
    if hasattr(place.store, "close"):  # files have nothing to close
        place.store.close()
    took = {what: (taken - before[what]) / plan.sessions for what, taken in place.measured().items()}
    return {
        "store": place.name,
        "sessions": plan.sessions,
        "logged in": is_owned,
        "data": round(took.get("data", sum(took.values()))),
        "indexes": round(took["indexes"]) if "indexes" in took else None,
        "bytes per session": round(sum(took.values())),
        "over the payload": round(sum(took.values()) - PAYLOAD),
    }


# ---- the stores ----------------------------------------------------------------------------------------------------


def _places(running: Running) -> Iterator[Place]:
    """Each when its turn comes, and gone before the next one."""
    if postgres := running.servers.get("PostgreSQL"):
        yield _postgres(postgres)
    if mariadb := running.servers.get("MariaDB"):
        yield _mariadb(mariadb)
    for name in ("Redis", "Valkey"):
        if server := running.servers.get(name):
            yield _redis(name, server)
    with tempfile.TemporaryDirectory() as directory:
        yield _sqlite(Path(directory))
    with tempfile.TemporaryDirectory() as directory:
        yield Place("FileStore", FileStore(directory), lambda: {"data": _on_disk(Path(directory))})


def _postgres(server: Any) -> Place:
    database = server.new_database()

    def measured() -> Bytes:
        """With the map of free space and what TOAST took, if anything."""
        sql = "SELECT pg_table_size('{0}'), pg_indexes_size('{0}')".format("sessionware_sessions")
        ((data, indexes),) = server.execute(sql, database)
        return {"data": data, "indexes": indexes}

    return Place("PostgreSQL", _ready(SQLStore(server.url(database))), measured)


def _mariadb(server: Any) -> Place:
    database = server.new_database()

    def measured() -> Bytes:
        """By the table's file, for what the server says of data and indexes are estimates, and leave out free pages."""
        name = f"{database}/sessionware_sessions"
        server.execute("FLUSH TABLES sessionware_sessions FOR EXPORT", database)
        sql = f"SELECT FILE_SIZE FROM information_schema.INNODB_SYS_TABLESPACES WHERE NAME = '{name}'"
        ((size,),) = server.execute(sql)
        return {"data": size}

    return Place("MariaDB", _ready(SQLStore(server.url(database))), measured)


def _redis(name: str, server: Any) -> Place:
    def measured() -> Bytes:
        with server.client() as client:
            return {"data": client.info("memory")["used_memory"]}

    with server.client() as client:
        client.execute_command("FLUSHALL", "SYNC")  # Valkey would free the memory later
    return Place(name, _ready(RedisStore(server.url)), measured)


def _sqlite(directory: Path) -> Place:
    path = directory / "sessions.db"
    store = SQLiteStore(path)

    def measured() -> Bytes:
        """Closed, so that what was written ahead is in the file."""
        store.close()
        return {"data": path.stat().st_size if path.exists() else 0}

    return Place("SQLiteStore", store, measured)


def _ready(store: Any) -> Any:
    """The store, whose tables or scripts are there now."""
    store.load(bytes(16), 0)
    return store


def _on_disk(directory: Path) -> int:
    """What the files of a directory take, in whole blocks of the disk."""
    return sum(path.lstat().st_blocks * 512 for path in directory.rglob("*"))
