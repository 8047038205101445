"""One SQLite file, shared by threads and processes: what `SQLiteStore` and `SQLiteUsers` have in common.

Each thread has its own connection, opened when the thread first needs one and closed when it ends. Statements commit by
themselves, unless they are in a `transaction()`. Any error that SQLite reports while in use is `StoreUnavailable`.

A connection goes on with its file even if somebody has removed it or put another one in its place, and nobody would
ever find again what is written then. So a connection that is used is compared with the path once a second.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from .._hidden import Hidden
from .._repr import shown_half_built
from ..errors import ConfigError, StoreUnavailable
from .replaced import ReplacedHook, log_replaced
from .schema import Schema, install, version_of
from .sqlite_file import (
    FileId,
    Files,
    checked_path,
    create_file,
    drop_stale_log,
    file_id,
    files_at,
    how_to_go_on,
    is_missing,
    mark_log,
    unmark_log,
    warn_of_exposure,
)

#: Seconds to wait for another writer before the file counts as unavailable.
BUSY_TIMEOUT = 5.0

#: Seconds between two looks whether a connection's file is still the one at the path.
LOOK_EVERY = 1.0


@shown_half_built
class Database:
    """One SQLite file with the tables of `schema`. File (mode 0600) and tables are created if they do not exist.

    A file that was there before and is gone is not created again. Each use is `StoreUnavailable` until it is back.
    `decode` makes what is read of a text. Without it, one that is not UTF-8 makes its whole statement fail.

    Raises `ConfigError` if the path cannot hold a database, or if a different release made the tables.
    """

    def __init__(self, path: str | os.PathLike[str], schema: Schema, decode: Callable[[bytes], object] = str) -> None:
        given = Hidden(path)
        del path
        self.path: Path = checked_path(given)
        self.tell: ReplacedHook = log_replaced
        """Called with a sentence when another file was found at the path. The database goes on with that one."""
        self._decode = decode
        self._mark = object()
        self._local = threading.local()
        self._schemas: list[Schema] = []
        self._file: FileId | None = None
        """The file that is used. None if it was gone at the start and is not back yet."""
        with _alone_at(self.path):
            if create_file(self.path):
                warn_of_exposure(self.path)
                self._add(schema)
                self._file = self._marked()
            else:  # No error: a server that cannot start answers nothing at all, and would not notice that it is back.
                self._remember(schema)
        _databases.add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self.path)!r}>"

    def add(self, schema: Schema) -> None:
        """Create these tables too, unless they exist. Raises `ConfigError` if a different release made them."""
        with _alone_at(self.path), self._failures():
            if self._file is None and is_missing(self.path):
                self._remember(schema)
                return
            is_other = self._follow()
            self._add(schema)
        if is_other:
            self._tell_replaced()

    def _add(self, schema: Schema) -> None:
        try:
            # Not this thread's connection: servers build the application and then fork, so nothing stays open here.
            with closing(_connect(self.path)) as connection:
                install(connection, schema, self.path)
        except sqlite3.Error as error:
            if type(error) is sqlite3.DatabaseError:  # not one of its subclasses: the bytes make no sense to SQLite
                raise ConfigError(f"{str(self.path)!r} is not an SQLite database: give another path.") from error
            raise self._unavailable(error) from error
        self._remember(schema)

    def _remember(self, schema: Schema) -> None:
        """Make these tables in a file that is put here later too, if it is one of ours."""
        if schema not in self._schemas:
            self._schemas.append(schema)

    def _marked(self) -> FileId | None:
        """The file, which is known from now on to have been there, even if it is lost before its first use."""
        try:
            return mark_log(self.path).database
        except OSError:  # a full disk, on which a server can still read
            return file_id(self.path)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run one statement and return all its rows, as tuples."""
        try:
            # Read to the end at once: a half-read cursor would hold its snapshot, and the WAL file would only grow.
            return self._connection().execute(sql, parameters).fetchall()
        except (sqlite3.Error, OSError) as error:
            failure, cause = self._unavailable(error), None if _quotes(error) else error
        raise failure from cause  # out here, where the error that is handled is not its context

    def changes(self, sql: str, parameters: Sequence[Any] = (), *, patience: float | None = None) -> int:
        """Run one INSERT, UPDATE or DELETE and return how many rows it changed.

        With `patience`, it waits only so many seconds for another writer.
        """
        try:
            connection = self._connection()
            if patience is None:
                return connection.execute(sql, parameters).rowcount
            _set_busy_timeout(connection, patience)
            try:
                return connection.execute(sql, parameters).rowcount
            finally:
                _set_busy_timeout(connection, BUSY_TIMEOUT)
        except (sqlite3.Error, OSError) as error:
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
            with suppress(sqlite3.Error, StoreUnavailable):
                self._connection().rollback()
            raise

    def close(self) -> None:
        """Close every thread's connection. None may be in use. A later use opens the file again."""
        if os.getpid() != _process:
            _notice_fork()
        self._local = threading.local()
        for connection, (mark, _) in _open.copy().items():
            if mark is self._mark:
                _close(connection)

    def _connection(self) -> sqlite3.Connection:
        if os.getpid() != _process:
            _notice_fork()
        try:
            held: _Held = self._local.held
        except AttributeError:
            held = self._opened()
        if time.monotonic() >= held.looks_at and not held.connection.in_transaction:
            held = self._looked_at(held)
        return held.connection

    def _looked_at(self, held: _Held) -> _Held:
        """The same, or a new one if its files are no longer those at the path.

        If there is none, the old one stays open, but is not used: the file may come back.
        """
        found = files_at(self.path)
        if found == held.files:
            held.looks_at = time.monotonic() + LOOK_EVERY
            return held
        if found.database == held.files.database:
            del self._local.held
            _close(held.connection)  # which saves what is in the log that has no name, unless others have a new one
            self.tell(f"The log beside {str(self.path)!r} was removed or replaced. What was in it may be lost.")
            return self._opened()
        fresh = self._opened()
        with suppress(sqlite3.Error):  # if the file was moved away, all that was stored should be in it
            held.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        _close(held.connection)  # SQLite sees that the file was moved, and leaves alone what is at the path
        return fresh

    def _opened(self) -> _Held:
        """This thread's connection, to the file that is at the path now."""
        if self.path in _without_locks:
            raise StoreUnavailable(
                f"{str(self.path)!r} was in use when this process was forked without Python being told, so that its "
                "locks hold nothing: start uWSGI with --lazy-apps or --py-call-uwsgi-fork-hooks."
            )
        with _alone_at(self.path):
            is_other = self._follow()
            connection = _connect(self.path)
            connection.text_factory = self._decode
            try:
                connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()  # opens the log as well
                files = mark_log(self.path)
                if files.database != self._file:
                    raise StoreUnavailable(f"{str(self.path)!r} is just being replaced.")
            except BaseException:
                connection.close()
                raise
            _open[connection] = self._mark, self.path
        held = self._local.held = _Held(connection, files)
        if is_other:
            self._tell_replaced()
        return held

    def _follow(self) -> bool:
        """Whether there is another file at the path than before. It is used from now on, if it has our tables.

        Tables are not made in it, as they are at a start: it may be empty because somebody is just copying it.
        """
        found = file_id(self.path)
        if found is None:
            raise StoreUnavailable(f"{str(self.path)!r} is gone: {how_to_go_on(self.path)}")
        if found == self._file:
            return False
        with closing(_connect(self.path)) as connection:
            if version_of(connection, self._schemas[0].name) is None:
                raise StoreUnavailable(
                    f"{str(self.path)!r} was replaced by a file without the tables of {self._schemas[0].name!r}: "
                    f"{how_to_go_on(self.path)}"
                )
            try:
                for schema in self._schemas:
                    install(connection, schema, self.path)
            except ConfigError as error:
                raise StoreUnavailable(str(error)) from error
        is_back, self._file = self._file is None, found
        if is_back:
            warn_of_exposure(self.path)
        return not is_back

    def _tell_replaced(self) -> None:
        warn_of_exposure(self.path)
        self.tell(f"{str(self.path)!r} is another file than before. What is only in the old one is not used.")

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from error

    def _before_fork(self) -> None:
        """Close this thread's connection. In a transaction it stays open, and the child must leave it alone."""
        held: _Held | None = getattr(self._local, "held", None)
        if held is not None and not held.connection.in_transaction:
            del held
            self._local.__dict__.clear()

    def _after_fork(self) -> None:
        self._local = threading.local()

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        problem = "a text in a row that was asked for is not UTF-8" if _quotes(error) else str(error)
        return StoreUnavailable(f"{str(self.path)!r}: {problem}")


def _quotes(error: Exception) -> bool:
    """Whether the error quotes what is in a row, such as a password hash. It is Python's only one of that kind."""
    return str(error).startswith("Could not decode to UTF-8")


def has_schema(path: Path, name: str) -> bool:
    """Whether these tables are in the file, which is not made. If it cannot be read, opening it will say why."""
    try:
        with closing(_connect(path)) as connection:
            return version_of(connection, name) is not None
    except sqlite3.Error:
        return path.exists()


class _Held:
    """A thread's connection. It is one of its local values, which are dropped when it ends, and that closes it."""

    __slots__ = ("_process", "connection", "files", "looks_at")

    def __init__(self, connection: sqlite3.Connection, files: Files) -> None:
        self.connection = connection
        self.files = files
        self.looks_at = time.monotonic() + LOOK_EVERY
        self._process = os.getpid()

    def __del__(self) -> None:
        # A forked child drops the values of its parent's threads too, and must not close what is not its own.
        if os.getpid() == self._process:
            _close(self.connection)


def _connect(path: Path) -> sqlite3.Connection:
    drop_stale_log(path)
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


def _set_busy_timeout(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")


# By path, and emptied in a forked child: a thread that it does not have may have held one.
_locks: dict[Path, threading.Lock] = {}


@contextmanager
def _alone_at(path: Path) -> Iterator[None]:
    """One thread at a time opens what is at this path. Raises `StoreUnavailable`.

    Several may build databases there, and `create_file` must not close a file that another just opened. Nor must one
    take over a file that was put in the place of another while others still open the old one.
    """
    lock = _locks.setdefault(path, threading.Lock())
    if not lock.acquire(timeout=BUSY_TIMEOUT):
        raise StoreUnavailable(f"{str(path)!r}: other threads could not open it either, for {BUSY_TIMEOUT:.0f} seconds")
    try:
        yield
    finally:
        lock.release()


_databases: weakref.WeakSet[Database] = weakref.WeakSet()

#: Every open connection, with the mark of its database and the path. They are kept here, outside anything that could
#: become garbage, so that a connection is always closed before it is collected.
_open: dict[sqlite3.Connection, tuple[object, Path]] = {}

#: The connections that a forked child found open. They are kept for ever, because the child must not close them.
_inherited: list[sqlite3.Connection] = []

#: The process that all of this is about.
_process = os.getpid()

#: What was open at a fork that was not announced. What this process wrote there could be lost, so it uses none of it.
_without_locks: set[Path] = set()

_noticing = threading.Lock()


def _close(connection: sqlite3.Connection) -> None:
    _, path = _open.pop(connection, (None, None))
    connection.close()
    if path is not None:
        unmark_log(path)


def _before_fork() -> None:
    """Close what can be closed, so that the child starts clean.

    SQLite counts its locks per process, and a child believes that it holds its parent's. It would work without any
    lock, and lose what it wrote once the parent closed the file. (The connections of other threads may be in use, so
    they stay open.)
    """
    for database in list(_databases):
        database._before_fork()


def _notice_fork() -> None:
    """For servers written in C that fork without running Python's hooks, such as uWSGI: nothing was closed before."""
    with _noticing:
        if os.getpid() != _process:
            _without_locks.update(path for _, path in _open.values())
            _after_fork()


def _after_fork() -> None:
    global _process
    _locks.clear()
    _inherited.extend(_open)
    _open.clear()
    for database in list(_databases):
        database._after_fork()
    _process = os.getpid()  # last: until then, other threads wait for their turn to notice


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
