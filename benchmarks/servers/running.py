"""The servers that are measured, and what each of them promises to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import pytest

from sessionware import RedisStore, SQLStore
from sessionware.stores import open_store
from tests.support import database_servers as servers


class Kind(NamedTuple):
    """One server in one configuration."""

    start: Callable[[], Any]
    version: Callable[[Any], str]
    durability: str
    """What may undo an acknowledged write, and by which settings. Costs of writes mean nothing without it."""


def _of_redis(server: Any) -> str:
    with server.client() as client:
        info = client.info("server")
        return str(info.get("valkey_version", info["redis_version"]))


_NOTHING = "nothing but the loss of its disk"
_APPENDED = "a killed server or a power cut, for up to two seconds: appendonly yes, appendfsync everysec"

KINDS = {
    "PostgreSQL": Kind(
        lambda: servers.Postgres(fsync="on"),
        lambda server: str(server.execute("SHOW server_version")[0][0].split()[0]),
        f"{_NOTHING}: fsync on, synchronous_commit on",
    ),
    "MariaDB": Kind(
        lambda: servers.MariaDB("--innodb-flush-log-at-trx-commit=1"),
        lambda server: str(server.execute("SELECT VERSION()")[0][0].partition("-")[0]),
        f"{_NOTHING}: innodb_flush_log_at_trx_commit 1, no binary log",
    ),
    "Redis": Kind(servers.Redis, _of_redis, _APPENDED),
    "Valkey": Kind(servers.Valkey, _of_redis, _APPENDED),
    "Redis Cluster": Kind(
        servers.RedisCluster, lambda cluster: f"{_of_redis(cluster.nodes[0])}, six nodes", f"{_APPENDED}, each node"
    ),
}


class Running(NamedTuple):
    """What was found on this machine and started."""

    servers: dict[str, Any]
    missing: list[str]
    """A line for each that is not here, with how to get it."""

    def described(self) -> list[dict[str, Any]]:
        return [
            {
                "server": name,
                "version": KINDS[name].version(server),
                "what may undo an acknowledged write": KINDS[name].durability,
            }
            for name, server in self.servers.items()
        ]


def opened(url: str) -> Any:
    """The store that a URL names, which can be closed."""
    if url.startswith(("postgresql", "mysql")):
        return SQLStore(url)
    return RedisStore(url) if url.startswith("redis") else open_store(url)


@contextmanager
def hurried(running: Running) -> Iterator[None]:
    """Meanwhile no commit waits for the disk. The servers tell the connections that are open."""
    postgres, mariadb = running.servers.get("PostgreSQL"), running.servers.get("MariaDB")
    if postgres:
        postgres.execute("ALTER SYSTEM SET synchronous_commit = off")
        postgres.execute("SELECT pg_reload_conf()")
    if mariadb:
        ((flushes,),) = mariadb.execute("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit")
        mariadb.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
    try:
        yield
    finally:
        if postgres:
            postgres.execute("ALTER SYSTEM RESET synchronous_commit")
            postgres.execute("SELECT pg_reload_conf()")
        if mariadb:
            mariadb.execute(f"SET GLOBAL innodb_flush_log_at_trx_commit = {flushes}")


@contextmanager
def running() -> Iterator[Running]:
    """All of them, as far as their programs are here."""
    with ExitStack() as stack:
        found = Running({}, [])
        for name, kind in KINDS.items():
            try:
                found.servers[name] = stack.enter_context(kind.start())
            except pytest.skip.Exception as missing:  # what starts them was made for tests
                found.missing.append(str(missing))
        yield found
