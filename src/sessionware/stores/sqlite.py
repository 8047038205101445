"""Sessions in one SQLite file, by the standard library's `sqlite3`: one machine, any number of processes."""

from __future__ import annotations

import copy
import os
from functools import partial
from pathlib import Path

from .._hidden import Hidden
from .._repr import shown_half_built
from ..databases.replaced import ReplacedHook
from ..databases.schema import Schema
from ..databases.sqlite import Database, has_schema
from ..errors import ConfigError
from .base import Record, Store, checked_name

#: Seconds for which a record may stay after it has expired.
SLACK = 2 * 3600

#: Seconds for which a touch waits for another writer.
TOUCH_PATIENCE = 0.05

# `prune_at` is indexed and `expires_at` is not, because an UPDATE without indexed columns costs two thirds of one with
# them. So prune_at is set SLACK ahead, and after most changes of expires_at it is still good: never earlier than
# expires_at, never more than SLACK later.
_LAYOUT = (
    """
    CREATE TABLE <table> (
        id BLOB PRIMARY KEY,
        version INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        prune_at INTEGER NOT NULL,
        owner BLOB,
        payload BLOB NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX <table>$$prune_at ON <table> (prune_at)",
    "CREATE INDEX <table>$$owner ON <table> (owner) WHERE owner IS NOT NULL",
)
_ROOT = "sessionware_sessions"

#: Only a row that is damaged has a text. It must not hide the others, so that they can be read, and copied elsewhere.
_decode = partial(str, encoding="utf-8", errors="replace")


@shown_half_built
class SQLiteStore(Store):
    """A store in the SQLite file at `path`. It is created (mode 0600) if it does not exist; its directory must exist.

    All threads and processes of one machine share it. It is not for network drives. A power cut may undo the last
    moments but damages nothing. Raises `ConfigError` if the path cannot hold a database.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        given = Hidden(path)  # it may be a URL with a password by mistake
        del path
        self._use(Database(given.value, _schema(_ROOT), _decode), _ROOT)
        self._names: tuple[str, ...] = ()

    def _use(self, database: Database, table: str) -> None:
        self._database = database
        self._table = table
        self._sql = _Statements(table)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self._database.path)!r} {self._table}>"

    def close(self) -> None:
        """Close the file, also for the namespaces. No thread may be using it. A later use opens it again."""
        self._database.close()

    @property
    def path(self) -> tuple[str, ...]:
        return self._names

    def when_replaced(self, tell: ReplacedHook) -> None:
        """From now on, `tell` what happened when another file is found in the place of this one."""
        self._database.tell = tell

    def create(self, record: Record) -> bool:
        id, version, expires_at, owner, payload = record
        row = (id, version, expires_at, expires_at + SLACK, owner, payload)
        return self._database.changes(self._sql.create, row) == 1

    def load(self, id: bytes, now: int) -> Record | None:
        rows = self._database.execute(self._sql.load, (id, now))
        return Record(*rows[0]) if rows else None

    def replace(self, record: Record) -> bool:
        id, version, expires_at, owner, payload = record
        latest = expires_at + SLACK
        same_index = (version, expires_at, payload, id, version - 1, owner, expires_at, latest)
        if self._database.changes(self._sql.replace_in_place, same_index):
            return True
        any_index = (version, expires_at, latest, owner, payload, id, version - 1)
        return self._database.changes(self._sql.replace, any_index) == 1

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        in_place = (expires_at, id, version, expires_at, expires_at)
        if not self._database.changes(self._sql.touch_in_place, in_place, patience=TOUCH_PATIENCE):
            any_index = (expires_at, expires_at + SLACK, id, version, expires_at)
            self._database.changes(self._sql.touch, any_index, patience=TOUCH_PATIENCE)

    def delete(self, id: bytes) -> bool:
        return self._database.changes(self._sql.delete, (id,)) == 1

    def prune(self, now: int, limit: int = 1000) -> int:
        return self._database.changes(self._sql.prune, (now, limit))

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        return [Record(*row) for row in self._database.execute(self._sql.owned_by, (owner, now))]

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        return [Record(*row) for row in self._database.execute(self._sql.scan, (after or b"", limit))]

    def namespace(self, name: str) -> SQLiteStore:
        table = f"{self._table}${checked_name(name)}"  # no name has a "$", so nested namespaces never clash
        self._database.add(_schema(table))
        sibling = copy.copy(self)
        sibling._use(self._database, table)
        sibling._names = (*self._names, name)
        return sibling

    def has_namespace(self, name: str) -> bool:
        """Whether the file has this namespace's table, which `namespace` would make."""
        return has_schema(self._database.path, f"{self._table}${checked_name(name)}")


class _Statements:
    """The statements for one table, built once, because sqlite3 recognises a prepared statement by its text.

    Those called `in_place` are for the common case that no indexed column changes. Otherwise they do nothing.
    """

    def __init__(self, table: str) -> None:
        def on(text: str) -> str:
            return text.replace("<table>", table)

        self.create = on(
            "INSERT INTO <table> (id, version, expires_at, prune_at, owner, payload) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO NOTHING"
        )
        self.load = on("SELECT id, version, expires_at, owner, payload FROM <table> WHERE id = ? AND expires_at > ?")
        self.replace_in_place = on(
            "UPDATE <table> SET version = ?, expires_at = ?, payload = ? "
            "WHERE id = ? AND version = ? AND owner IS ? AND prune_at BETWEEN ? AND ?"
        )
        self.replace = on(
            "UPDATE <table> SET version = ?, expires_at = ?, prune_at = ?, owner = ?, payload = ? "
            "WHERE id = ? AND version = ?"
        )
        self.touch_in_place = on(
            "UPDATE <table> SET expires_at = ? WHERE id = ? AND version = ? AND expires_at < ? AND prune_at >= ?"
        )
        self.touch = on(
            "UPDATE <table> SET expires_at = ?, prune_at = ? WHERE id = ? AND version = ? AND expires_at < ?"
        )
        self.delete = on("DELETE FROM <table> WHERE id = ?")
        self.prune = on("DELETE FROM <table> WHERE id IN (SELECT id FROM <table> WHERE prune_at <= ? LIMIT ?)")
        self.owned_by = on(
            "SELECT id, version, expires_at, owner, payload FROM <table> WHERE owner = ? AND expires_at > ? ORDER BY id"
        )
        self.scan = on("SELECT id, version, expires_at, owner, payload FROM <table> WHERE id > ? ORDER BY id LIMIT ?")


def _schema(table: str) -> Schema:
    return Schema(table, 1, tuple(statement.replace("<table>", table) for statement in _LAYOUT))


def check_exists(path: str, names: tuple[str, ...] = ()) -> None:
    """Raise `ConfigError` unless there is an SQLiteStore at this path already, with the namespace of these names."""
    if not has_schema(Path(path).absolute(), _ROOT):
        raise ConfigError(f"{path!r} holds no sessions: there is no such file, or no {_ROOT!r} in it.")
    if not has_schema(Path(path).absolute(), "$".join((_ROOT, *map(checked_name, names)))):
        raise ConfigError(f"{path!r} has no namespace {'/'.join(names)!r}.")
