"""Stores: where records live. `base` says what a store must do, and every other public module here is one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .._hidden import Hidden
from .._urls import (
    REDIS_SCHEMES,
    SQL_SCHEMES,
    check_file_exists,
    near_miss,
    path_in,
    redis_url,
    scheme_of,
    shown,
    sqlite_path,
)
from ..errors import ConfigError
from .base import Store, inside

__all__ = ["open_store"]

_MEMORY = re.compile(r"//()")
_FILE = re.compile(r"//(/[^/].*)")


def open_store(url: str) -> Store:
    """The store that a URL names, for ini files, environment variables and the command line. Code passes objects.

    `memory://` · `sqlite:///sessions.db` (relative) · `sqlite:////var/lib/app/sessions.db` (absolute) ·
    `file:///var/lib/app/sessions` (always absolute) · `postgresql://user@host/database` · `mariadb://user@host/database`
    or `mysql://…` · `sqlite+pysqlite:///…` (through SQLAlchemy) · `redis://host:6379/0` · `rediss://…` · `unix://…` ·
    `redis+cluster://host:6379`. In a path, `%3F`, `%23` and `%25` stand for `?`, `#` and `%`. Raises `ConfigError`.
    """
    given = Hidden(url)
    del url
    return _opened(given)


def open_existing_store(url: str, names: Sequence[str] = ()) -> Store:
    """The same, or the namespace in it that these names lead to, but nothing is created.

    Also raises `ConfigError` if there is no store yet or, where that can be told, no such namespace.
    """
    given = Hidden(url)
    del url
    return inside(_opened(given, existing=tuple(names)), names)


def _opened(url: Hidden[str], existing: tuple[str, ...] | None = None) -> Store:
    """With `existing`, only if there is a namespace of these names. A class is imported when it is asked for."""
    scheme = scheme_of(url)
    if scheme == "sqlite" and (path := sqlite_path(url)):
        return _sqlite(path, existing)
    if scheme == "file" and (path := path_in(url, _FILE)):
        return _file(path, existing)
    if scheme == "memory" and path_in(url, _MEMORY) is not None:
        from .memory import MemoryStore

        return MemoryStore()
    if scheme in SQL_SCHEMES:
        return _sql(url, existing)
    if scheme in REDIS_SCHEMES:
        from .redis import RedisStore

        return RedisStore(redis_url(url).value)
    raise _no_store(url)


def _sqlite(path: str, existing: tuple[str, ...] | None) -> Store:
    from .sqlite import SQLiteStore, check_exists

    if existing is not None:
        check_exists(path, existing)
    return SQLiteStore(path)


def _file(path: str, existing: tuple[str, ...] | None) -> Store:
    from .file import FileStore, check_exists

    if existing is not None:
        check_exists(path, existing)
    return FileStore(path)


def _sql(url: Hidden[str], existing: tuple[str, ...] | None) -> Store:
    from .sql import SQLStore

    if existing is not None:
        check_file_exists(url)
    return SQLStore(url.value, create_table=existing is None)


def _no_store(url: Hidden[str]) -> ConfigError:
    advice = near_miss(url)
    if advice is not None:
        return ConfigError(f"{shown(url)} does not name a store: {advice}.")
    return ConfigError(
        f"{shown(url)} does not name a store: write memory://, sqlite:///relative.db, sqlite:////absolute.db, "
        "file:///directory, postgresql://user@host/database, mariadb://user@host/database, redis://host:6379/0 or "
        "redis+cluster://host:6379. In a path, write %3F, %23 and %25 for ?, # and %."
    )
