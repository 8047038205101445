"""Connections to an SQL database, by SQLAlchemy: its URLs, its dialects, and a pool that is ours alone.

Beside an application's engine there is a pool of our own, too. Its connections are made by that engine, with all that
the application has told it. But each is used in autocommit mode from its first day to its last, so that a call is one
statement and one round trip, where a connection that is shared would have to be switched back and forth.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import URL, Dialect, Engine
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import NullPool, PoolProxiedConnection, QueuePool

from .._hidden import Hidden
from .._urls import REDIS_SCHEMES, SQL_SCHEMES, near_miss, scheme_of, shown, sql_url
from ..errors import ConfigError
from .sql_drivers import DRIVERS, Driver, readable_by
from .sql_errors import Unconnectable, is_refused_by_driver
from .sql_forks import no_fork

#: Seconds after which a connection is made anew, before what stands between us and the server forgets it.
RECYCLE = 1800

_logger = logging.getLogger("sessionware")

_USE = "write postgresql://…, mariadb://…, mariadb+mysqldb://… or sqlite+pysqlite:///…"

_NO_MARIADB = (
    "the driver called mariadb lets nobody see whether the server has closed a connection: use PyMySQL or mysqlclient"
)


class Compiled:
    """A statement as the driver takes it, and the order of its parameters, if it wants them by position."""

    __slots__ = ("names", "text")

    def __init__(self, statement: str, dialect: Dialect) -> None:
        compiled: Any = sqlalchemy.text(statement).compile(dialect=dialect)
        self.text: str = compiled.string
        self.names: list[str] | None = compiled.positiontup

    def values(self, parameters: Mapping[str, Any]) -> Any:
        if self.names is None:
            return parameters
        return [parameters[name] for name in self.names]


class Source:
    """Where connections come from: a URL, or an application's engine."""

    def __init__(self, where: Hidden[Any], timeout: float) -> None:
        self.timeout: float = timeout
        self.engine: Engine | None = where.value if isinstance(where.value, Engine) else None
        self.url: URL = _url(where) if self.engine is None else self.engine.url
        scheme = self.url.drivername if self.engine is None else _scheme_of(self.engine.dialect)
        driver, name = _named(scheme.lower(), is_async=self.engine is not None and self.engine.dialect.is_async)
        self.url = self.url.set(drivername=name)
        self.driver: Driver = driver
        self.server: str = f"{driver.title} at {_address(self.url)}"
        self.arguments: dict[str, Any] = {**driver.arguments(timeout), **self._taken_out()}
        self.dialect: Dialect = _dialect(name, driver)
        self.errors: tuple[type[Exception], ...] = (
            *(self.dialect.loaded_dbapi.Error, SQLAlchemyError, OSError),
            Unconnectable,
        )
        self._open: Callable[[], Any] = self._connector()

    def pool(self, size: int) -> Pool:
        return Pool(self, size)

    def connect(self) -> Any:
        """Open a connection, and make it one of ours. Raises one of the `errors`."""
        with no_fork:
            try:
                return self._adopted(self._open())
            except self.errors as error:
                if not is_refused_by_driver(error):
                    raise
                wrong: Exception = error
            except Exception as error:
                wrong = error
            problem = self._problem(wrong)
            del wrong
        raise problem  # not where it was caught: the frames of a driver show what it was given

    def _adopted(self, connection: Any) -> Any:
        try:
            self.driver.adopt(connection, self.timeout)
        except BaseException:
            connection.close()
            raise
        return connection

    def _problem(self, error: Exception) -> Exception:
        """What stands in the way of connecting, if it is neither the server nor the network."""
        if isinstance(error, (RuntimeError, ImportError)):  # PyMySQL's, for a package that it needs
            return Unconnectable(f"cannot be reached ({error})", is_setting=True)
        if self.engine is None:
            return Unconnectable(f"cannot be reached: {self._wrong_settings()}", is_setting=True)
        may_quote = isinstance(error, (TypeError, ValueError, AttributeError, LookupError))
        text = f"cannot be reached: connecting by this engine raises {type(error).__name__}"
        problem = Unconnectable(text, is_setting=may_quote)
        problem.__cause__ = None if may_quote else error  # what an application raises that cannot get a password
        return problem

    def _wrong_settings(self) -> str:
        names = ", ".join(sorted(self.url.query)) or "user, password"
        return f"{self.driver.package or self.driver.title} does not take the URL's settings as they are ({names})"

    def _taken_out(self) -> dict[str, Any]:
        """What only the driver's Python understands, of what the URL says. It is no longer in the URL."""
        if self.driver.dialect == "sqlite" and self.url.database in (None, "", ":memory:"):
            raise ConfigError("an SQLite database in memory is not shared: use MemoryStore(), or name a file.")
        threshold = self.url.query.get("prepare_threshold")
        if self.driver.dialect != "postgresql" or threshold is None:
            return {}
        if not isinstance(threshold, str) or not re.fullmatch("none|[0-9]{1,9}", threshold, re.IGNORECASE):
            raise ConfigError("prepare_threshold in the URL: write none, or a number.")
        self.url = self.url.difference_update_query(["prepare_threshold"])
        return {"prepare_threshold": None if threshold.lower() == "none" else int(threshold)}

    def _connector(self) -> Callable[[], Any]:
        if self.engine is not None:
            return _FromEngine(self.engine, self.driver, self.arguments)
        try:
            given: Hidden[Any] | None = Hidden(self.dialect.create_connect_args(self.url))
        except Exception:
            given = None
        if given is None:  # not from what was raised: its frames show the password
            raise ConfigError(f"{self.server}: {self._wrong_settings()}.")
        found = given
        return lambda: self.driver.connect(self.dialect, found.value[0], {**found.value[1], **self.arguments})


class Pool:
    """Connections that are kept open."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self._broken_at = 0.0
        self._compiled: dict[str, Compiled] = {}
        self.errors: tuple[type[Exception], ...] = source.errors
        settings: dict[str, Any] = {"recycle": RECYCLE, "reset_on_return": None, "dialect": source.dialect}
        if source.engine is None or isinstance(source.engine.pool, QueuePool):
            if source.engine is not None:
                size = source.engine.pool.size()  # type: ignore[attr-defined]
            # The last one that was returned is lent first, so that a site at night does not keep all of them alive.
            settings.update(pool_size=size or 5, max_overflow=0, timeout=source.timeout, use_lifo=True)
            self._pool: Any = QueuePool(source.connect, **settings)
        else:
            self._pool = NullPool(source.connect, **settings)
        event.listen(self._pool, "connect", self._note)
        if source.driver.descriptor is not None:
            event.listen(self._pool, "checkout", self._look)

    def connect(self) -> PoolProxiedConnection:
        return self._pool.connect()  # type: ignore[no-any-return]

    def compiled(self, statement: str) -> Compiled:
        """The statement for this driver. Each is compiled once."""
        try:
            return self._compiled[statement]
        except KeyError:
            return self._compiled.setdefault(statement, Compiled(statement, self._source.dialect))

    def discard(self, connection: PoolProxiedConnection) -> None:
        """Close a connection that broke. Those that were there before are taken for broken, too."""
        self._broken_at = time.monotonic()
        connection.invalidate()

    def close(self) -> None:
        """Close all that are not in use."""
        closed, self._pool = self._pool, self._pool.recreate()  # one that was disposed of lends fewer than before
        closed.dispose()

    def _note(self, connection: Any, record: Any) -> None:
        driver = self._source.driver
        record.info["made_at"] = time.monotonic()
        if driver.descriptor is not None:
            record.info["readable"] = readable_by(driver.descriptor(connection))

    def _look(self, _connection: Any, record: Any, _proxy: Any) -> None:
        """See that the server has not closed it. That costs no round trip, as a question to the server would."""
        info = record.info
        if info["made_at"] < self._broken_at or info["readable"]():
            raise DisconnectionError("closed by the server")


class _FromEngine:
    """Connections that an application's engine makes and gives away, as it would make them for itself."""

    def __init__(self, engine: Engine, driver: Driver, arguments: dict[str, Any]) -> None:
        self._arguments = arguments
        self._engine = engine
        self._driver = driver
        self._is_new = True
        event.listen(engine, "do_connect", _connect_in_time)  # once for each engine, as SQLAlchemy sees to

    def __call__(self) -> Any:
        _this.connecting, _this.is_told = self, False
        try:
            connection = self._given_away()
            if not _this.is_told:
                self._check_creator(connection)
        finally:
            _this.connecting = None
        return connection

    def in_time(self, dialect: Dialect, arguments: Any, keywords: dict[str, Any]) -> Any:
        """Connect with our timeouts."""
        _this.is_told = True
        return self._driver.connect(dialect, arguments, {**keywords, **self._arguments})

    def _given_away(self) -> Any:
        # Of a pool of its own, since a connection that a pool gives away leaves it room for another one.
        lent = self._engine.pool.recreate().connect()
        connection = lent.dbapi_connection
        lent.detach()
        return connection

    def _check_creator(self, connection: Any) -> None:
        """Raise `Unconnectable` if what makes connections, which is the application's, lends those that it uses."""
        if getattr(connection, "_pool", None) is not None:  # psycopg_pool's
            connection.close()  # with close_returns, this gives it back
            raise _lent()
        if not self._is_new:
            return
        other = self._given_away()
        if other is connection:  # and stays open
            raise _lent()
        other.close()
        self._is_new = False
        if self._driver.is_late:
            _logger.warning(
                "%s: this engine's creator connects by itself, so the timeout is up to it: give it connect_timeout, "
                "read_timeout and write_timeout. Without them, a server that does not answer is waited for.",
                self._driver.package,
            )


class _This(threading.local):
    """What this thread is connecting for, by an application's engine."""

    connecting: _FromEngine | None = None
    is_told = False
    """Whether SQLAlchemy has asked our listener to connect. It does not if the engine's creator connects by itself."""


_this: _This = _This()


def _connect_in_time(dialect: Dialect, _record: Any, arguments: Any, keywords: dict[str, Any]) -> Any:
    """What the application connects for itself goes its own way."""
    ours = _this.connecting
    return None if ours is None else ours.in_time(dialect, arguments, keywords)


def _lent() -> Unconnectable:
    return Unconnectable(
        "cannot be used by this engine: its creator lends connections that the application uses, and ours commit each "
        "statement. Give SQLStore or SQLUsers a URL, or an engine whose creator opens a new one each time",
        is_setting=True,
    )


def _url(where: Hidden[Any]) -> URL:
    if isinstance(where.value, URL):
        return where.value
    if not isinstance(where.value, str):
        raise ConfigError(f"({type(where.value).__name__}) is not a database: pass its URL, or an sqlalchemy.Engine.")
    scheme = scheme_of(where)
    if "://" not in where.value and scheme not in SQL_SCHEMES:
        raise ConfigError(f"{shown(where)} is not the URL of a database: {_USE}.")
    if scheme not in SQL_SCHEMES:
        raise _no_driver(scheme)
    checked = sql_url(where)
    try:
        return sqlalchemy.make_url(checked.value)
    except (ArgumentError, ValueError):
        raise ConfigError(f"{shown(where)}: percent-encode @ : / # and % in a password.") from None


def _scheme_of(dialect: Dialect) -> str:
    return f"{dialect.name}+{dialect.driver}"


def _named(scheme: str, *, is_async: bool) -> tuple[Driver, str]:
    """The driver, and what SQLAlchemy calls it. MariaDB is used by MySQL's dialect: no statement of ours differs."""
    if is_async:
        raise ConfigError(f"{scheme} is asynchronous, and a WSGI application is not: {_USE}.")
    if scheme not in SQL_SCHEMES:
        raise _no_driver(scheme)
    name = SQL_SCHEMES[scheme][1]
    return DRIVERS[name], f"{DRIVERS[name].dialect}+{name}"


def _no_driver(scheme: str) -> ConfigError:
    if scheme.endswith("+mariadbconnector"):
        return ConfigError(f"{scheme}: {_NO_MARIADB}.")
    if scheme in REDIS_SCHEMES:
        return ConfigError(f"{scheme!r} is not a database's: write RedisStore(url).")
    advice = near_miss(Hidden(f"{scheme}://")) or _USE
    return ConfigError(f"{scheme!r} does not name a driver that is supported: {advice}.")


def _dialect(name: str, driver: Driver) -> Dialect:
    kind = URL.create(name).get_dialect()
    try:
        module = kind.import_dbapi()
    except ImportError as error:
        raise ConfigError(f"{name} needs a package that is missing: pip install {driver.package!r}") from error
    installed = getattr(module, "__version__", "")
    if driver.oldest and tuple(map(int, re.findall("[0-9]+", installed)[:3])) < driver.oldest:
        wanted = f"{driver.package}>={'.'.join(map(str, driver.oldest))}"
        raise ConfigError(f"{name}: release {installed} never gives up waiting for an answer: pip install {wanted!r}")
    return kind(dbapi=module)  # type: ignore[call-arg]


def _address(url: URL) -> str:
    """Where the server is, as an error may show it: without user, password and settings."""
    shown = (url.host or "") if url.host is None or ":" not in url.host else f"[{url.host}]"
    port = f":{url.port}" if url.port else ""
    return f"{shown}{port}/{url.database or ''}" if shown else (url.database or "this machine")
