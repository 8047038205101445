"""Where the tests of SQLStore keep their sessions: an empty database on each of the servers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
import sqlalchemy

from sessionware import Record, SQLStore
from tests.servers.matrix import IS_WHOLE
from tests.support import database_servers as servers

NOW = int(time.time())
RECORD = Record(b"0123456789abcdef", 1, NOW + 3600, b"fedcba9876543210", b"payload")

DRIVERS = ["psycopg", "pymysql", *(["mysqldb"] if IS_WHOLE else [])]


class Site(NamedTuple):
    """A database of its own, and the server that it is on."""

    server: servers.Postgres | servers.MariaDB
    database: str
    driver: str

    @property
    def url(self) -> str:
        return self.server.url(self.database, self.driver)

    def engine(self) -> sqlalchemy.Engine:
        return sqlalchemy.create_engine(self.url)

    def execute(self, sql: str) -> list[tuple[object, ...]]:
        """As the superuser."""
        return self.server.execute(sql, self.database)

    def connections(self) -> int:
        """How many the site has open."""
        if self.driver == "psycopg":
            sql = f"SELECT count(*)::int FROM pg_stat_activity WHERE datname = '{self.database}' AND usename = 'sw'"
        else:
            sql = f"SELECT count(*) FROM information_schema.processlist WHERE db = '{self.database}'"
        return int(str(self.server.execute(sql)[0][0]))

    def end_connections(self) -> None:
        """End those of the site, and return when they have ended."""
        if self.driver == "psycopg":
            self.server.execute(
                f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{self.database}'"
            )
            return
        self.server.end_connections(self.database)
        sql = f"SELECT id FROM information_schema.processlist WHERE db = '{self.database}'"
        servers.wait_for(lambda: not self.server.execute(sql), lambda: "the connections do not end")


def site_of(driver: str, request: pytest.FixtureRequest) -> Site:
    server = request.getfixturevalue("postgres" if driver == "psycopg" else "mariadb")
    return Site(server, server.new_database(), driver)


@contextmanager
def opened(where: str | sqlalchemy.Engine, **settings: float) -> Iterator[SQLStore]:
    """A store, which is closed in the end."""
    store = SQLStore(where, **settings)  # type: ignore[arg-type]
    try:
        yield store
    finally:
        store.close()


CALLS: dict[str, Callable[[SQLStore], object]] = {
    "create": lambda store: store.create(RECORD),
    "load": lambda store: store.load(RECORD.id, NOW),
    "replace": lambda store: store.replace(RECORD._replace(version=2)),
    "touch": lambda store: store.touch(RECORD.id, 2, NOW + 7200),
    "delete": lambda store: store.delete(RECORD.id),
}
