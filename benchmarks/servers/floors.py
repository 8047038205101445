"""The floors: the driver's own cursor, or Redis's client, without anything around it.

For SQL one connection that is open and commits by itself, and exactly the statements that SQLStore sends, on its table.
No pool, no look whether the connection is still there, no time limit but the driver's, no errors of our own. For Redis
the plain commands that come nearest: a payload set and got, with no version compared, no index and no owner.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

from sqlalchemy.engine import make_url

from sessionware import Record, SQLStore

_SLACK = 2 * 3600


class Cursor:
    """One connection of a driver, with the statements of this store."""

    def __init__(self, connection: Any, store: SQLStore) -> None:
        self._connection = connection
        self._space = store._space
        compiled, statements = store._database._pool.compiled, store._sql
        self._create, self._load = compiled(statements.create), compiled(statements.load)
        self._replace, self._touch = compiled(statements.replace), compiled(statements.touch)
        self._delete = compiled(statements.delete)

    def create(self, record: Record) -> bool:
        return self._changes(self._create, self._row(record)) == 1

    def load(self, id: bytes, now: int) -> Any:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(self._load.text, self._load.values({"space": self._space, "id": id, "now": now}))
            return cursor.fetchall()

    def replace(self, record: Record) -> bool:
        return self._changes(self._replace, {**self._row(record), "before": record.version - 1}) == 1

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        row = {"space": self._space, "id": id, "version": version}
        self._changes(self._touch, {**row, "expires_at": expires_at, "latest": expires_at + _SLACK})

    def delete(self, id: bytes) -> bool:
        return self._changes(self._delete, {"space": self._space, "id": id}) == 1

    def close(self) -> None:
        self._connection.close()

    def _changes(self, statement: Any, parameters: dict[str, Any]) -> int:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(statement.text, statement.values(parameters))
            return int(cursor.rowcount)

    def _row(self, record: Record) -> dict[str, Any]:
        return {**record._asdict(), "space": self._space, "latest": record.expires_at + _SLACK}


class Commands:
    """A client of Redis."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def create(self, record: Record) -> bool:
        return bool(self._client.set(b"floor:" + record.id, record.payload, exat=record.expires_at))

    replace = create

    def load(self, id: bytes, _now: int) -> Any:
        return self._client.get(b"floor:" + id)

    def touch(self, id: bytes, _version: int, expires_at: int) -> None:
        self._client.expireat(b"floor:" + id, expires_at)

    def delete(self, id: bytes) -> bool:
        return bool(self._client.delete(b"floor:" + id))

    def close(self) -> None:
        self._client.close()


def cursor_at(url: str, store: SQLStore) -> Cursor:
    """The floor of a store, by the driver that its URL names."""
    at = make_url(url)
    where: dict[str, Any] = {"host": at.host, "port": at.port, "user": at.username, "password": at.password}
    connect = {"psycopg": _psycopg, "pymysql": _pymysql, "mysqldb": _mysqlclient}[at.get_driver_name()]
    return Cursor(connect(where, at.database), store)


def _psycopg(where: dict[str, Any], database: str | None) -> Any:
    import psycopg

    return psycopg.connect(**where, dbname=database, autocommit=True)


def _pymysql(where: dict[str, Any], database: str | None) -> Any:
    import pymysql

    return pymysql.connect(**where, database=database, autocommit=True, binary_prefix=True)


def _mysqlclient(where: dict[str, Any], database: str | None) -> Any:
    import MySQLdb

    return MySQLdb.connect(**where, database=database, autocommit=True, binary_prefix=True)
