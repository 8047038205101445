"""The tables in an SQLite file: which are ours, in which version, and how they are made."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError

#: Seconds to wait while others switch the file to WAL mode.
_SWITCH_TIMEOUT = 5.0

_VERSIONS = """
    CREATE TABLE IF NOT EXISTS sessionware_schemas (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID
"""

#: What a database has, but for what SQLite itself makes.
_NAMES = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'"


@dataclass(frozen=True)
class Schema:
    """Tables that belong together, and the version of their layout.

    Several schemas live in one file side by side, each with its own version. Their tables' names begin with
    `sessionware_`, so that they never clash with the application's.
    """

    name: str
    version: int
    statements: tuple[str, ...]


def install(connection: sqlite3.Connection, schema: Schema, path: Path) -> None:
    """Create the tables, or see that those that are there are ours. Raises `ConfigError` if they are not."""
    if _switch_to_wal(connection) != "wal":
        raise ConfigError(f"{str(path)!r} does not allow WAL mode, as on a network drive: put it on a local disk.")
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_VERSIONS)
        _check_columns(connection, _columns_of((_VERSIONS,)), path)
        version, columns = version_of(connection, schema.name), _columns_of(schema.statements)
        if version is None:
            _check_names(connection, columns, path)
            for statement in schema.statements:
                connection.execute(statement)
            connection.execute("INSERT INTO sessionware_schemas VALUES (?, ?)", (schema.name, schema.version))
        elif version != schema.version:
            raise ConfigError(
                f"{str(path)!r} was made by another release of sessionware ({schema.name!r} has version {version}, not "
                f"{schema.version}): install that release, or give the path of another file."
            )
        else:
            _check_columns(connection, columns, path)


def version_of(connection: sqlite3.Connection, name: str) -> object:
    """The version of these tables in the file; None if they are not there."""
    try:
        sql = "SELECT version FROM sessionware_schemas WHERE name = ?"
        row = connection.execute(sql, (name,)).fetchone()
    except sqlite3.OperationalError as error:
        if "no such" in str(error):  # table, or column: somebody else's
            return None
        raise
    return row and row[0]


def _columns_of(statements: Sequence[str]) -> dict[str, list[Any]]:
    """The names that these statements make in a database, and the columns of each."""
    with closing(sqlite3.connect(":memory:")) as empty:
        for statement in statements:
            empty.execute(statement)
        return {name: _columns(empty, name) for (name,) in empty.execute(_NAMES).fetchall()}


def _columns(connection: sqlite3.Connection, name: str) -> list[Any]:
    return connection.execute("SELECT name FROM pragma_table_info(?)", (name,)).fetchall()


def _check_names(connection: sqlite3.Connection, names: dict[str, list[Any]], path: Path) -> None:
    """Raise `ConfigError` if anything else has one of these names."""
    for name in names:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone():
            raise _foreign(name, path)


def _check_columns(connection: sqlite3.Connection, columns: dict[str, list[Any]], path: Path) -> None:
    """Raise `ConfigError` if a table is missing, or is another one of the same name."""
    for name, expected in columns.items():
        if _columns(connection, name) != expected:
            raise _foreign(name, path)


def _foreign(name: str, path: Path) -> ConfigError:
    return ConfigError(f"{name!r} in {str(path)!r} is not what sessionware made: give the path of another file.")


def _switch_to_wal(connection: sqlite3.Connection) -> object:
    """Switch, and return the mode that the file has then. SQLite does not wait here for others who switch too."""
    deadline = time.monotonic() + _SWITCH_TIMEOUT
    while True:
        try:
            return connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
