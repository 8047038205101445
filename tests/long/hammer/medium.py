"""What a store keeps its sessions in: a file, a directory, or a database server that is killed as well."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from math import inf
from pathlib import Path
from typing import Any

import redis

from sessionware import FileStore
from tests.support import database_servers as servers

#: Seconds for which requests may still fail once a database server is back: a worker that is busy hears of it late.
AFTERWARDS = 1.0


class Medium:
    """Where the sessions of one run are, and what can be done to it.

    `strike` must be called by a thread that lives as long as the run: a server ends with the thread that started it.
    """

    url: str

    def __init__(self) -> None:
        self.strikes = 0
        self._outages: list[tuple[float, float]] = []
        self._is_well = threading.Event()
        self._is_well.set()

    def strike(self) -> None:
        """Let it fail for a while: killed and started again, and every second time its connections ended."""
        blows: list[Callable[[], None]] = [self._restart, self._end_connections]
        self._is_well.clear()
        self._outages.append((time.monotonic(), inf))
        blows[self.strikes % 2]()
        self._outages[-1] = (self._outages[-1][0], time.monotonic())
        self.strikes += 1
        self._is_well.set()

    def was_well(self, since: float, until: float) -> bool:
        """Whether nothing was done to it between these moments, nor shortly before."""
        return not any(began <= until and since <= ended + AFTERWARDS for began, ended in self._outages)

    def wait(self, timeout: float) -> None:
        """Wait until it works, or for so long."""
        self._is_well.wait(timeout)

    @abstractmethod
    def faults(self, store: Any) -> Iterator[str]:
        """What is wrong with it in the end, beside the records themselves."""

    def close(self) -> None:
        """End what runs."""

    def _restart(self) -> None:
        raise NotImplementedError

    def _end_connections(self) -> None:
        raise NotImplementedError


class SQLiteFile(Medium):
    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.url = f"sqlite:///{directory / 'sessions'}"

    def faults(self, store: Any) -> Iterator[str]:
        with closing(sqlite3.connect(store._database.path)) as connection:
            told = connection.execute("PRAGMA integrity_check").fetchall()
        store.close()
        if told != [("ok",)]:
            yield f"integrity_check: {told}"


class FileDirectory(Medium):
    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.url = f"file://{directory / 'sessions'}"

    def faults(self, store: FileStore) -> Iterator[str]:
        """An hour later, `prune` and `owned_by` have left nothing but records, and entries that lead to one."""
        root = store._path
        for path in root.rglob("*"):
            os.utime(path, (0, time.time() - 2 * 3600))
        while store.prune(0, 10**6):
            pass
        ids = {record.id.hex() for record in store.scan(limit=10**9)}
        for path in root.iterdir():
            if path.name not in ids | {"owners", "sessionware-store"}:
                yield f"{path.name} ({path.stat().st_size} bytes) is not a record, and was not cleared away"
        for folder in (root / "owners").glob("*"):
            owned = {record.id.hex() for record in store.owned_by(bytes.fromhex(folder.name), 0)}
            for entry in folder.iterdir():
                if entry.name not in owned:
                    yield f"the entry {folder.name}/{entry.name} leads nowhere, and was not cleared away"


class OneServer(Medium):
    """What a server of any kind has in common with the others."""

    _server: servers.Server

    def close(self) -> None:
        self._server.close()

    def _restart(self) -> None:
        self._server.kill()
        self._server.start()


class PostgresServer(OneServer):
    _server: servers.Postgres

    def __init__(self, _directory: Path) -> None:
        super().__init__()
        self._server = servers.Postgres()
        self._database = self._server.new_database()
        self.url = self._server.url(self._database)

    def faults(self, store: Any) -> Iterator[str]:
        """What PostgreSQL's own checks of tables and their indexes find."""
        store.close()
        self._ask("CREATE EXTENSION IF NOT EXISTS amcheck")
        for (told,) in self._ask("SELECT msg FROM verify_heapam('sessionware_sessions')"):
            yield f"verify_heapam: {told}"
        self._ask(
            "SELECT bt_index_check(indexrelid, heapallindexed => true) FROM pg_index"
            " WHERE indrelid = 'sessionware_sessions'::regclass"
        )

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self._server.execute(sql, self._database)

    def _end_connections(self) -> None:
        end_connections(self._server, self._database)


class MariaDBServer(OneServer):
    _server: servers.MariaDB

    def __init__(self, _directory: Path) -> None:
        super().__init__()
        self._server = servers.MariaDB()
        self._database = self._server.new_database()
        self.url = self._server.url(self._database)

    def faults(self, store: Any) -> Iterator[str]:
        """What MariaDB's own check of the table finds."""
        store.close()
        for _, _, kind, text in self._server.execute("CHECK TABLE sessionware_sessions EXTENDED", self._database):
            if (kind, text) != ("status", "OK"):
                yield f"CHECK TABLE: {kind} {text}"

    def _end_connections(self) -> None:
        end_connections(self._server, self._database)


class RedisServer(OneServer):
    _server: servers.Redis

    def __init__(self, _directory: Path) -> None:
        super().__init__()
        # Under `everysec`, Redis postpones what it writes to its log while the disk is busy, and a kill undoes that.
        self._server = servers.Redis("--appendfsync", "always")
        self.url = self._server.url

    def faults(self, store: Any) -> Iterator[str]:
        return redis_faults(store, [self._server])

    def _end_connections(self) -> None:
        forget_clients(self._server)


class ClusterOfRedis(Medium):
    """A primary is killed, and comes back once a replica has taken its place."""

    def __init__(self, _directory: Path) -> None:
        super().__init__()
        self._servers = servers.RedisCluster("--appendfsync", "always")
        self.url = self._servers.url

    def faults(self, store: Any) -> Iterator[str]:
        return redis_faults(store, self._servers.primaries())

    def close(self) -> None:
        self._servers.close()

    def _restart(self) -> None:
        victim = self._servers.primaries()[self.strikes // 2 % 3]
        victim.kill()
        servers.wait_for(lambda: len(self._servers.primaries()) == 3, lambda: "no replica takes over")
        victim.start()
        joined = [node.is_joined for node in self._servers.nodes]
        servers.wait_for(lambda: all(is_joined() for is_joined in joined), lambda: "the cluster does not heal")

    def _end_connections(self) -> None:
        for node in self._servers.primaries():
            forget_clients(node)


MEDIA: dict[str, Callable[[Path], Medium]] = {
    "sqlite": SQLiteFile,
    "file": FileDirectory,
    "postgresql": PostgresServer,
    "mariadb": MariaDBServer,
    "redis": RedisServer,
    "cluster": ClusterOfRedis,
}


def end_connections(server: servers.Postgres | servers.MariaDB, database: str) -> None:
    """End all connections to a database, and wait until they are gone: both servers answer as soon as they are told."""
    ask = f"SELECT id FROM information_schema.processlist WHERE db = '{database}'"
    if isinstance(server, servers.Postgres):
        ask = f"SELECT pid FROM pg_stat_activity WHERE datname = '{database}'"
    before = server.execute(ask)
    server.end_connections(database)
    servers.wait_for(
        lambda: not set(before) & set(server.execute(ask)), lambda: f"connections to {database} are still there"
    )


def forget_clients(server: servers.Redis) -> None:
    """End all connections, but for this one, and forget all scripts."""
    with server.client() as client, suppress(redis.ResponseError):
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        client.execute_command("SCRIPT", "FLUSH")


def redis_faults(store: Any, nodes: list[Any]) -> Iterator[str]:
    """Each key that holds a record is in an index, so that `scan` and `prune` find it, and nothing else is there."""
    found = len(store.scan(limit=10**9))
    kept = sum(_count_records(node) for node in nodes)
    store.close()
    if kept != found:
        yield f"{kept} records are kept, and {found} are found"


def _count_records(node: servers.Redis) -> int:
    with node.client() as client:
        return sum(1 for _ in client.scan_iter(count=1000, _type="string"))
