"""One SQL database, shared by any number of machines: what `SQLStore` and `SQLUsers` have in common.

A call is one statement on a connection that commits by itself, run on the driver's own cursor. A statement that changes
something is sent once. It is sent again only after the server has answered that it did nothing. Any error while in use
is `StoreUnavailable`.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._hidden import Hidden, without_frames
from .._repr import shown_half_built
from ..errors import ConfigError, StoreUnavailable
from .sql_errors import code_of, has_ended, is_in_the_way, is_taken, may_quote, meaning_of, was_rolled_back
from .sql_tables import Table, install

if TYPE_CHECKING:
    from .sql_pool import Pool

#: How often a statement is sent that the server rolls back, because of others who want the same rows.
_TRIES = 10

#: Seconds of the first pause between two of these, at most. Each pause may be longer than the last one.
_PAUSE = 0.004

_NOTHING: Mapping[str, Any] = {}

_logger = logging.getLogger("sessionware")


@shown_half_built
class SQLDatabase:
    """A database with these tables. They are created if they do not exist, unless `create_table` is False.

    `where` is a URL, or an application's `sqlalchemy.Engine`. A server that is down is no error here: each use is
    `StoreUnavailable` until it is there. Raises `ConfigError` if it refuses us, or if the tables are not ours.
    """

    def __init__(
        self, where: object, tables: Sequence[Table], *, create_table: bool, timeout: float, pool_size: int
    ) -> None:
        hidden = Hidden(where)
        del where
        _check(timeout, pool_size)
        try:
            from .sql_pool import Source
        except ImportError as error:
            raise ConfigError('SQLAlchemy is not installed: pip install "sessionware[sql]"') from error
        self._tables = tuple(tables)
        self._may_create = create_table
        source = Source(hidden, timeout)
        self._source = source
        self._size = pool_size
        self.server: str = source.server
        """What errors call it. Shows no password."""
        self.dialect: str = source.driver.dialect
        """`postgresql`, `mysql` (MariaDB too) or `sqlite`."""
        self._lock = threading.Lock()
        self._pool: Pool = source.pool(pool_size)
        self._is_checked = False
        _databases.add(self)
        self._start()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.server!r}>"

    def _start(self) -> None:
        """Look at the tables, if the server is there."""
        try:
            self._install(self._pool)
            self._is_checked = True
        except self._pool.errors as error:
            meaning = meaning_of(error)
            if meaning.is_setting:
                raise ConfigError(f"{self.server} {meaning.text}.") from _bare(error)
            # A server process that cannot start would answer nothing at all, and would not notice that it is back.
            _logger.warning("%s %s.", self.server, meaning.text)
        finally:
            self._pool.close()  # servers build the application and then fork, so nothing stays open here

    def rows(self, statement: str, parameters: Mapping[str, Any] = _NOTHING) -> list[tuple[Any, ...]]:
        """Run one statement and return all its rows. It has `:names` for the parameters."""
        return self._run(statement, parameters, returns_rows=True)  # type: ignore[no-any-return]

    def changes(self, statement: str, parameters: Mapping[str, Any] = _NOTHING, *, patience: float = 0.0) -> int:
        """Run one INSERT, UPDATE or DELETE and return how many rows it changed: none, if another one has a unique key.

        A statement that does not wait for the locks of others is tried again for some seconds of `patience`.
        """
        return self._run(statement, parameters, returns_rows=False, patience=patience)  # type: ignore[no-any-return]

    def version(self) -> str:
        """What the server is, such as `PostgreSQL 15.18` or `MariaDB 10.11.19`."""
        if self.dialect == "sqlite":
            return f"SQLite {self.rows('SELECT sqlite_version()')[0][0]}"
        (said,) = self.rows("SELECT version()")[0]
        if self.dialect == "postgresql":
            return " ".join(str(said).split()[:2])
        return f"{'MariaDB' if 'MariaDB' in str(said) else 'MySQL'} {str(said).partition('-')[0]}"

    def close(self) -> None:
        """Close the connections. None may be in use. A later use opens new ones."""
        if os.getpid() != _process:
            _notice_fork()
        self._pool.close()

    def _run(self, statement: str, parameters: Mapping[str, Any], *, returns_rows: bool, patience: float = 0.0) -> Any:
        if os.getpid() != _process:
            _notice_fork()
        if not self._is_checked:
            self._check()
        pool = self._pool
        compiled = pool.compiled(statement)
        values = compiled.values(parameters)
        tries, deadline = 1, 0.0
        while True:
            try:
                return _sent(pool, compiled.text, values, returns_rows)
            except pool.errors as error:
                if is_taken(error) and not returns_rows:
                    return 0
                deadline = deadline or time.monotonic() + patience
                may_wait = is_in_the_way(error) and time.monotonic() < deadline
                if not may_wait and not (was_rolled_back(error) and tries < _TRIES):
                    raise self._unavailable(error) from _bare(error)
            time.sleep(random.random() * _PAUSE * tries)  # noqa: S311  (so that they do not meet again)
            tries += 1

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"{self.server} {meaning_of(error).text}.")

    def _check(self) -> None:
        """Make the tables, or see that they are there: the server was down when this was built."""
        if not self._lock.acquire(timeout=self._source.timeout):
            raise StoreUnavailable(f"{self.server} has not answered yet.")
        try:
            if not self._is_checked:
                self._install(self._pool)
                self._is_checked = True
        except ConfigError as error:
            raise StoreUnavailable(str(error)) from None
        except self._pool.errors as error:
            raise self._unavailable(error) from _bare(error)
        finally:
            self._lock.release()

    def _install(self, pool: Pool) -> None:
        connection = pool.connect()
        try:

            def run(statement: str, parameters: Mapping[str, Any] = _NOTHING) -> list[Any]:
                compiled = pool.compiled(statement)
                cursor = connection.cursor()
                try:
                    cursor.execute(compiled.text, compiled.values(parameters))
                    return list(cursor.fetchall()) if cursor.description else []
                finally:
                    cursor.close()

            install(run, self.dialect, self._tables, may_create=self._may_create, server=self.server)
        except BaseException:
            pool.discard(connection)  # which gives up a transaction and a lock, too
            raise
        connection.close()

    def _start_again(self) -> None:
        """In a child process: leave the connections to the parent."""
        _inherited.append(self._pool)
        self._lock = threading.Lock()
        self._pool = self._source.pool(self._size)


def _check(timeout: object, pool_size: object) -> None:
    """Raise `ConfigError` for settings of the wrong kind."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= 3600:
        raise ConfigError("timeout=…: write a number of seconds, such as 2.0.")
    if isinstance(pool_size, bool) or not isinstance(pool_size, int) or not 0 < pool_size <= 10_000:
        raise ConfigError("pool_size=…: write how many connections each process may keep, such as 10.")


def _sent(pool: Pool, text: str, values: Any, returns_rows: bool) -> Any:
    """Send one statement, and return its rows, or how many it changed."""
    connection = pool.connect()
    try:
        cursor = connection.cursor()
        cursor.execute(text, values)
        result = cursor.fetchall() if returns_rows else cursor.rowcount
        cursor.close()
    except BaseException as error:
        # Something may have come from outside, such as gevent's timeout, while the answer was still on its way.
        if not isinstance(error, pool.errors) or has_ended(error):
            pool.discard(connection)
        else:
            connection.close()
        raise
    connection.close()
    return result


def _bare(error: BaseException) -> BaseException:
    """The error without its frames: those of a driver show passwords and what is stored. Some texts do, too."""
    for seen in without_frames(error):
        for name in ("_pgconn", "_info"):  # psycopg's: with the password, and with the row that was refused
            if name in vars(seen):
                setattr(seen, name, None)
        if may_quote(seen):
            seen.args = code_of(seen), "(what the server says is left out, because it may quote what is stored)"
    return error


_databases: weakref.WeakSet[SQLDatabase] = weakref.WeakSet()
_process = os.getpid()

#: Pools of the parent process. If they were freed here, some drivers would say goodbye to the server in its name.
_inherited: list[Pool] = []

_noticing = threading.Lock()


def _notice_fork() -> None:
    """For servers written in C that fork without running Python's hooks, such as uWSGI."""
    with _noticing:
        if os.getpid() != _process:
            _after_fork()


def _after_fork() -> None:
    global _process, _noticing
    _noticing = threading.Lock()
    for database in list(_databases):
        database._start_again()
    _process = os.getpid()  # last: until then, other threads wait for their turn to notice


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
