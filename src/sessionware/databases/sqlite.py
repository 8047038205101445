"""One SQLite file, shared by threads and processes: what `SQLiteStore` and `SQLiteUsers` have in common.

Each thread has its own connection, opened when the thread first needs one and closed when it ends. Statements commit by
themselves, unless they are in a `transaction()`. Any error that SQLite reports while in use is `StoreUnavailable`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError, StoreUnavailable

#: Seconds to wait for another writer before the file counts as unavailable.
BUSY_TIMEOUT = 5.0


@dataclass(frozen=True)
class Schema:
    """Tables that belong together, and the version of their layout.

    Several schemas live in one file side by side, each with its own version. Their tables' names begin with
    `sessionware_`, so that they never clash with the application's.
    """

    name: str
    version: int
    statements: tuple[str, ...]


class Database:
    """One SQLite file with the tables of `schema`. File (mode 0600) and tables are created if they do not exist.

    Raises `ConfigError` if the path cannot hold a database, or if a different release made the tables.
    """

    def __init__(self, path: str | os.PathLike[str], schema: Schema) -> None:
        self.path: Path = _checked(path)
        self._mark = object()
        self._local = threading.local()
        with _building:
            _create_file(self.path)
            self.add(schema)
        _databases.add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self.path)!r}>"

    def add(self, schema: Schema) -> None:
        """Create these tables too, unless they exist. Raises `ConfigError` if a different release made them."""
        try:
            # Not this thread's connection: servers build the application and then fork, so nothing stays open here.
            with closing(_connect(self.path)) as connection:
                _install(connection, schema, self.path)
        except sqlite3.Error as error:
            if type(error) is sqlite3.DatabaseError:  # not one of its subclasses: the bytes make no sense to SQLite
                raise ConfigError(f"{str(self.path)!r} is not an SQLite database: give another path.") from error
            raise self._unavailable(error) from error

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run one statement and return all its rows, as tuples."""
        try:
            # Read to the end at once: a half-read cursor would hold its snapshot, and the WAL file would only grow.
            return self._connection().execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    def changes(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run one INSERT, UPDATE or DELETE and return how many rows it changed."""
        try:
            return self._connection().execute(sql, parameters).rowcount
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What this thread does inside happens as a whole or, if an exception leaves the block, not at all.

        Meanwhile it is the only writer, so what it reads is still true when it writes. Transactions do not nest.
        """
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection().rollback()
            raise

    def close(self) -> None:
        """Close every thread's connection. None may be in use. A later use opens the file again."""
        self._local = threading.local()
        for connection, mark in _open.copy().items():
            if mark is self._mark:
                _close(connection)

    def _connection(self) -> sqlite3.Connection:
        try:
            connection: sqlite3.Connection = self._local.connection
        except AttributeError:
            connection = _connect(self.path)
            _open[connection] = self._mark
            self._local.closer = _Closer(connection)
            self._local.connection = connection
        return connection

    def _before_fork(self) -> None:
        """Close this thread's connection. In a transaction it stays open, and the child must leave it alone."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None and not connection.in_transaction:
            self._local.__dict__.clear()

    def _after_fork(self) -> None:
        self._local = threading.local()

    def _unavailable(self, error: sqlite3.Error) -> StoreUnavailable:
        return StoreUnavailable(f"{str(self.path)!r}: {error}")


class _Closer:
    """One of a thread's local values. They are dropped when the thread ends, and this closes its connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._process = os.getpid()

    def __del__(self) -> None:
        # A forked child drops the values of its parent's threads too, and must not close what is not its own.
        if os.getpid() == self._process:
            _close(self._connection)


def _checked(path: str | os.PathLike[str]) -> Path:
    """The absolute path (servers change the current directory later), if a database can be there."""
    if os.fspath(path) in ("", ":memory:"):
        raise ConfigError(
            f"{path!r} would be a different database in each thread: give the path of a file, "
            "or use MemoryStore() (for accounts, MemoryUsers())."
        )
    absolute = Path(path).absolute()
    problem = _problem_with(absolute)
    if problem:
        raise ConfigError(f"{str(absolute)!r} {problem}.")
    return absolute


def _problem_with(path: Path) -> str | None:
    if path.is_dir():
        return "is a directory: give the path of a file in it"
    if not path.parent.is_dir():
        return f"cannot be created: create the directory {str(path.parent)!r} first"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"cannot be used: SQLite creates files beside it, so let this process write to {str(path.parent)!r}"
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return "cannot be used: let this process read and write the file"
    return None


def _create_file(path: Path) -> None:
    """Create the file, readable by its owner only. SQLite gives the files beside it the same mode.

    A file that exists is not even opened: closing it again would drop the locks that this process has on it.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be created ({error.strerror}): give another path.") from error


def _connect(path: Path) -> sqlite3.Connection:
    # mode=rw: a file that somebody deleted is an outage, and not a reason to create one that everybody can read.
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
    )
    # NORMAL with WAL: a killed process loses nothing, a power cut perhaps the last moments; neither corrupts the file.
    try:
        connection.execute("PRAGMA synchronous=NORMAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _install(connection: sqlite3.Connection, schema: Schema, path: Path) -> None:
    if _switch_to_wal(connection) != "wal":
        raise ConfigError(f"{str(path)!r} does not allow WAL mode, as on a network drive: put it on a local disk.")
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_VERSIONS)
        row = connection.execute("SELECT version FROM sessionware_schemas WHERE name = ?", (schema.name,)).fetchone()
        if row is None:
            for statement in schema.statements:
                connection.execute(statement)
            connection.execute("INSERT INTO sessionware_schemas VALUES (?, ?)", (schema.name, schema.version))
        elif row[0] != schema.version:
            raise ConfigError(
                f"{str(path)!r} was made by another release of sessionware ({schema.name!r} has version {row[0]}, not "
                f"{schema.version}): install that release, or give the path of another file."
            )


def _switch_to_wal(connection: sqlite3.Connection) -> object:
    """Switch, and return the mode that the file has then. SQLite does not wait here for others who switch too."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            return connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


_VERSIONS = """
    CREATE TABLE IF NOT EXISTS sessionware_schemas (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID
"""

# Several threads may build databases on one path; `_create_file` must not close a file that another just opened.
_building = threading.Lock()

_databases: weakref.WeakSet[Database] = weakref.WeakSet()

#: Every open connection, and the mark of its database. They are kept here, outside anything that could become garbage,
#: so that a connection is always closed before it is collected.
_open: dict[sqlite3.Connection, object] = {}

#: The connections that a forked child found open. They are kept for ever, because the child must not close them.
_inherited: list[sqlite3.Connection] = []


def _close(connection: sqlite3.Connection) -> None:
    _open.pop(connection, None)
    connection.close()


def _before_fork() -> None:
    """Close what can be closed, so that the child starts clean.

    SQLite counts its locks per process, and a child believes that it holds its parent's. It would work without any
    lock, and lose what it wrote once the parent closed the file. (The connections of other threads may be in use, so
    they stay open.)
    """
    for database in list(_databases):
        database._before_fork()


def _after_fork() -> None:
    _inherited.extend(_open)
    _open.clear()
    for database in list(_databases):
        database._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
