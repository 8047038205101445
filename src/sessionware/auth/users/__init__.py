"""Accounts: `base` says what a table of them must do, and every other module here is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._hidden import Hidden
from ..._urls import SQL_SCHEMES, check_file_exists, near_miss, scheme_of, shown, sqlite_path
from ...errors import ConfigError

if TYPE_CHECKING:
    from .base import Users


def open_users(url: str) -> Users:
    """The table of accounts that a URL names: `sqlite:///app.db`, `postgresql://…`, `mariadb://…` and the like.

    It is made if it is not there. Raises `ConfigError`.
    """
    given = Hidden(url)
    del url
    return _opened(given, is_new=True)


def open_existing_users(url: str) -> Users:
    """The same, but nothing is created: also raises `ConfigError` if there are no accounts yet."""
    given = Hidden(url)
    del url
    return _opened(given, is_new=False)


def _opened(url: Hidden[str], *, is_new: bool) -> Users:
    scheme = scheme_of(url)
    if scheme == "sqlite" and (path := sqlite_path(url)):
        return _sqlite(path, is_new=is_new)
    if scheme in SQL_SCHEMES:
        return _sql(url, is_new=is_new)
    advice = near_miss(url) or (
        "accounts are in a file or a database: write sqlite:///relative.db, sqlite:////absolute.db, "
        "postgresql://user@host/database or mariadb://user@host/database"
    )
    raise ConfigError(f"{shown(url)} does not name a table of accounts: {advice}.")


def _sqlite(path: str, *, is_new: bool) -> Users:
    from .sqlite import SQLiteUsers, check_exists

    if not is_new:
        check_exists(path)
    return SQLiteUsers(path)


def _sql(url: Hidden[str], *, is_new: bool) -> Users:
    from .sql import SQLUsers

    if not is_new:
        check_file_exists(url)
    return SQLUsers(url.value, create_table=is_new)
