"""What differs from one driver to another: how it connects, how long it waits, and how a connection is made ours.

A connection of ours commits each statement by itself. No call on it takes longer than the timeout.
"""

from __future__ import annotations

import functools
import math
import select
import time
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

#: Seconds between two looks at the clock while psycopg waits for an answer.
_LOOK_EVERY = 0.05

#: Seconds after which the system asks whether an idle connection's other end is still there.
_KEEPALIVE = 30


def _connect(dialect: Any, arguments: Any, keywords: dict[str, Any]) -> Any:
    return dialect.connect(*arguments, **keywords)


class Driver(NamedTuple):
    """A driver, and what it takes to use it as we do."""

    dialect: str
    """postgresql, mysql (which is MariaDB, too) or sqlite."""
    package: str
    """What to install."""
    title: str
    arguments: Callable[[float], dict[str, Any]]
    """What to connect with, so that it takes no longer than that many seconds."""
    adopt: Callable[[Any, float], None]
    """Makes a new connection one of ours."""
    descriptor: Callable[[Any], int] | None
    """The connection's socket."""
    oldest: tuple[int, ...] = ()
    """The release from which on it works."""
    connect: Callable[[Any, Any, dict[str, Any]], Any] = _connect
    """Connects as SQLAlchemy's dialect does, with these arguments and keywords."""
    is_late: bool = False
    """Whether a connection cannot be told how long it may wait once it is there."""


# PostgreSQL


_PSYCOPG_SETTINGS = (
    "SELECT set_config('default_transaction_isolation', 'read committed', false), set_config('lock_timeout', %s, false)"
)


def _psycopg_arguments(timeout: float) -> dict[str, Any]:
    # Not `options`, by which the server could be told of timeouts: PgBouncer refuses it.
    return {"connect_timeout": math.ceil(timeout), "keepalives_idle": _KEEPALIVE, "client_encoding": "utf8"}


def _adopt_psycopg(connection: Any, timeout: float) -> None:
    import psycopg
    from psycopg.rows import tuple_row

    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        connection.commit()  # what the application's engine told the server of itself
    # Its class is changed, and not chosen before: an engine's creator makes connections of whatever class it likes.
    connection.__class__ = _timed(type(connection))  # type: ignore[arg-type]
    connection.sessionware_timeout = timeout
    connection.autocommit = True
    connection.row_factory, connection.cursor_factory = tuple_row, psycopg.Cursor
    sql = "SELECT pg_backend_pid()"
    (backend,) = connection.execute(sql).fetchone()
    if backend != connection.info.backend_pid:
        # Somebody in between, such as PgBouncer, may give each statement to another session of the server. There,
        # what was prepared is missing or is another's, and what is set would be set for others.
        connection.prepare_threshold = None
        return
    # A single statement needs no more than READ COMMITTED. Under more, it would fail where it now waits for the others.
    # And a statement that waits for a lock has to hear that it did nothing, before we give it up.
    lock_timeout = str(math.ceil(timeout * 750))
    connection.execute(_PSYCOPG_SETTINGS, (lock_timeout,))


@functools.cache
def _timed(kind: Any) -> Any:
    """The class of a psycopg connection, with a deadline for each of its calls.

    The server's own timeouts do not help where it answers nothing at all, and those of TCP see a system that is alive.
    """

    from psycopg import waiting

    class Timed(kind):  # type: ignore[misc]
        sessionware_timeout: float

        def wait(self, gen: Any, *_args: Any, **_kwargs: Any) -> Any:
            # Not by the one of the superclass. When something interrupts it, such as Ctrl-C, that asks the server to
            # cancel the statement, and waits for it to do so.
            try:
                return waiting.wait(_limited(self, gen), self.pgconn.socket, _LOOK_EVERY)
            except BaseException as error:
                if not isinstance(error, Exception):
                    self.pgconn.finish()
                raise

    Timed.__name__ = Timed.__qualname__ = kind.__name__
    return Timed


def _limited(connection: Any, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    import psycopg

    deadline = time.monotonic() + connection.sessionware_timeout
    try:
        awaited = next(steps)
        while True:
            ready = yield awaited
            if not ready and time.monotonic() >= deadline:
                connection.pgconn.finish()
                raise psycopg.OperationalError(f"no answer within {connection.sessionware_timeout:g} s")
            awaited = steps.send(ready)
    except StopIteration as end:
        return end.value


# MariaDB and MySQL

# Strict, because else what is too long for a column is cut. Without a limit, which would hide rows. The wait for a lock
# has to be shorter than ours, so that a statement that did nothing says so. Not READ COMMITTED: a server that logs
# statements then refuses every write.
_MYSQL_SETTINGS = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', sql_safe_updates = 0, "
    "sql_quote_show_create = 1, sql_select_limit = 18446744073709551615, innodb_lock_wait_timeout = %d"
)


#: PyMySQL up to 1.2.0 escapes a quote by a backslash. In GBK, Big5 and Shift JIS that can be the second byte of a
#: letter, and the quote ends the text: a user's name could bring in SQL. In UTF-8 no byte of a letter is a backslash.
_CHARSET = "utf8mb4"


def _pymysql_arguments(timeout: float) -> dict[str, Any]:
    return {
        "connect_timeout": timeout,
        "read_timeout": timeout,
        "write_timeout": timeout,
        "binary_prefix": True,
        "charset": _CHARSET,
    }


def _connect_pymysql(_dialect: Any, arguments: Any, keywords: dict[str, Any]) -> Any:
    """With the password in UTF-8, as servers have it. PyMySQL would make Latin-1 of it, or an error that shows it."""
    for name in ("password", "passwd"):
        if isinstance(keywords.get(name), str):
            keywords[name] = keywords[name].encode()
    return _sharing()(*arguments, **keywords)


@functools.cache
def _sharing() -> Any:
    """The class of a PyMySQL connection, of which those that have no settings for TLS share the context for it.

    PyMySQL makes one for each, also where the server has no TLS. That takes many milliseconds, before any timeout
    counts. (A later PyMySQL may call the method otherwise. Then it makes its own again, and all else is the same.)
    """
    from pymysql.connections import Connection

    class Sharing(Connection):  # type: ignore[misc]
        sessionware_context: Any = None

        def _create_ssl_ctx(self, sslp: Any) -> Any:
            if sslp:
                return super()._create_ssl_ctx(sslp)
            if Sharing.sessionware_context is None:
                Sharing.sessionware_context = super()._create_ssl_ctx(sslp)
            return Sharing.sessionware_context

    Sharing.__name__ = Sharing.__qualname__ = Connection.__name__
    return Sharing


def _mysqldb_arguments(timeout: float) -> dict[str, Any]:
    seconds = math.ceil(timeout)
    return {
        "connect_timeout": seconds,
        "read_timeout": seconds,
        "write_timeout": seconds,
        "binary_prefix": True,
        "charset": _CHARSET,
    }


def _adopt_pymysql(connection: Any, timeout: float) -> None:
    from pymysql.cursors import Cursor

    connection.cursorclass = Cursor
    connection._read_timeout = connection._write_timeout = timeout  # of an engine whose creator connects by itself
    _settle_mysql(connection, timeout)


def _adopt_mysqldb(connection: Any, timeout: float) -> None:
    from MySQLdb.cursors import Cursor

    connection.cursorclass = Cursor
    _settle_mysql(connection, timeout)


def _settle_mysql(connection: Any, timeout: float) -> None:
    # Whatever the URL, the application's engine or the server's init_connect says. See _CHARSET.
    connection.set_character_set(_CHARSET)
    connection.autocommit(True)
    cursor = connection.cursor()
    cursor.execute(_MYSQL_SETTINGS % max(1, math.floor(timeout * 0.75)))
    cursor.close()


# SQLite


def _sqlite_arguments(timeout: float) -> dict[str, Any]:
    return {"timeout": timeout, "check_same_thread": False}  # a pool lends a connection to one thread after another


def _adopt_sqlite(connection: Any, _timeout: float) -> None:
    connection.isolation_level = None
    connection.row_factory = None


_MYSQL_TITLE = "MariaDB or MySQL"

DRIVERS = {
    "psycopg": Driver(
        "postgresql",
        "psycopg[binary]",
        "PostgreSQL",
        _psycopg_arguments,
        _adopt_psycopg,
        lambda c: int(c.fileno()),
        oldest=(3, 2, 11),  # earlier ones never look at the clock while they wait, and hang
    ),
    "pymysql": Driver(
        "mysql",
        "PyMySQL",
        _MYSQL_TITLE,
        _pymysql_arguments,
        _adopt_pymysql,
        lambda c: int(c._sock.fileno()),
        connect=_connect_pymysql,
    ),
    "mysqldb": Driver(
        "mysql",
        "mysqlclient",
        _MYSQL_TITLE,
        _mysqldb_arguments,
        _adopt_mysqldb,
        lambda c: int(c.fileno()),
        is_late=True,
    ),
    "pysqlite": Driver("sqlite", "", "SQLite", _sqlite_arguments, _adopt_sqlite, None),
}


def readable_by(descriptor: int) -> Callable[[], Any]:
    """A function that says, without waiting, whether there is anything to read.

    On a connection that is idle there never is, unless the server has closed it.
    """
    if not hasattr(select, "poll"):
        return lambda: select.select([descriptor], [], [], 0)[0]
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP | select.POLLERR)
    return functools.partial(poll.poll, 0)
