"""Accounts in a PostgreSQL, MariaDB or MySQL database, or in SQLite through SQLAlchemy.

Each method is one statement, which commits by itself. MariaDB and MySQL get every text as the bytes of its UTF-8:
collations there take "ann" and "ANN" for one name, or "ann" and "ann ", and a connection's character set may change
what is stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from operator import index
from types import MappingProxyType
from typing import Any, NamedTuple

from ..._hidden import Hidden, HiddenBytes, HiddenText
from ..._repr import shown_half_built
from ...databases.sql import SQLDatabase
from ...databases.sql_tables import Table
from ...errors import StoreUnavailable, UsernameTaken
from ...usernames import KEY_RULE
from .base import User, Users, check_hash, check_key_rule, checked_name, data_text, new_user, sought

# The sizes for MariaDB and MySQL are those that `base` allows. A server that is not strict cuts off what is longer.
_TABLE = Table(
    "sessionware_users",
    1,
    ("id", "key", "key_rule", "username", "password_hash", "session_version", "is_active", "data"),
    {
        "postgresql": (
            """
            CREATE TABLE sessionware_users (
                id text COLLATE "C" NOT NULL PRIMARY KEY,
                key text COLLATE "C" NOT NULL UNIQUE,
                key_rule integer NOT NULL,
                username text COLLATE "C" NOT NULL,
                password_hash text COLLATE "C",
                session_version bigint NOT NULL,
                is_active boolean NOT NULL,
                data text NOT NULL
            )
            """,
            "COMMENT ON TABLE sessionware_users IS '<mark>'",
        ),
        "mysql": (
            """
            CREATE TABLE sessionware_users (
                id VARBINARY(64) NOT NULL PRIMARY KEY,
                `key` VARBINARY(512) NOT NULL UNIQUE,
                key_rule INTEGER NOT NULL,
                username VARBINARY(512) NOT NULL,
                password_hash VARBINARY(8192),
                session_version BIGINT NOT NULL,
                is_active BOOLEAN NOT NULL,
                data BLOB NOT NULL
            ) ENGINE = InnoDB COMMENT = '<mark>'
            """,
        ),
        "sqlite": (
            """
            CREATE TABLE sessionware_users ( /* <mark> */
                id TEXT NOT NULL PRIMARY KEY,
                key TEXT NOT NULL UNIQUE,
                key_rule INTEGER NOT NULL,
                username TEXT NOT NULL,
                password_hash TEXT,
                session_version INTEGER NOT NULL,
                is_active INTEGER NOT NULL,
                data TEXT NOT NULL
            ) WITHOUT ROWID
            """,
        ),
    },
    keys=(("id",), ("key",)),
    has_names=True,
)


class _Dialect(NamedTuple):
    """What the engines say differently."""

    key: str
    """The column of this name, which is a word of its own in some."""
    equals: str
    """What compares with NULL, too."""
    unless_taken: str
    """How an INSERT ends that does nothing if the key is there. The others report that as an error, to no effect."""
    keeps_bytes: bool


_DIALECTS = {
    "postgresql": _Dialect("key", "IS NOT DISTINCT FROM", " ON CONFLICT (key) DO NOTHING", keeps_bytes=False),
    "mysql": _Dialect("`key`", "<=>", "", keeps_bytes=True),  # INSERT IGNORE also ignores that something is too long
    "sqlite": _Dialect("key", "IS", " ON CONFLICT (key) DO NOTHING", keeps_bytes=False),
}


class _Statements:
    """The text of each, in one dialect."""

    def __init__(self, dialect: _Dialect) -> None:
        key, table = dialect.key, "sessionware_users"
        columns = f"id, {key}, key_rule, username, password_hash, session_version, is_active, data"
        select = f"SELECT {columns} FROM {table} WHERE "  # noqa: S608  (all of these are written above)
        update = f"UPDATE {table} SET "  # noqa: S608
        self.find_by_key = f"{select}{key} = :key"
        self.get = f"{select}id = :id"
        self.add = (
            f"INSERT INTO {table} ({columns}) VALUES "  # noqa: S608
            "(:id, :key, :key_rule, :username, :password_hash, :session_version, :is_active, :data)"
            f"{dialect.unless_taken}"
        )
        self.set_password = (
            f"{update}password_hash = :password_hash, session_version = session_version + :more "
            f"WHERE id = :id AND password_hash {dialect.equals} :expect"
        )
        self.set_active = f"{update}is_active = :is_active, session_version = session_version + :more WHERE id = :id"
        self.rename = (
            f"{update}{key} = :key, key_rule = :key_rule, username = :username, "
            "session_version = session_version + 1 WHERE id = :id"
        )
        self.delete = f"DELETE FROM {table} WHERE id = :id"  # noqa: S608


@shown_half_built
class SQLUsers(Users):
    """Accounts in the table `sessionware_users` of a database, which may also be the application's or the sessions'.

    Args:
        where: The database's URL, such as "postgresql://app:password@db.example.org/shop", or the application's own
            `sqlalchemy.Engine`.
        create_table: Make the table if it is missing. Without it, a migration does that; see `ddl`.
        timeout: How many seconds the server may take to answer; and to give a connection, where none is free.
        pool_size: How many connections each process keeps at most. That of an engine counts in its place.

    Raises `ConfigError` for what cannot work, such as a table that is missing and may not be made. A server that is
    away is none: it may come back.
    """

    def __init__(
        self,
        where: object,
        *,
        create_table: bool = True,
        timeout: float = 2.0,
        pool_size: int = 5,
    ) -> None:
        given = Hidden(where)
        del where  # it has a password in it
        self._database = SQLDatabase(
            given.value, [_TABLE], create_table=create_table, timeout=timeout, pool_size=pool_size
        )
        dialect = _DIALECTS[self._database.dialect]
        self._sql = _Statements(dialect)
        self._keeps_bytes = dialect.keeps_bytes

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._database.server!r}>"

    @staticmethod
    def ddl(dialect: str) -> list[str]:
        """The statements that make the table, for those who run migrations.

        `dialect` is "postgresql", "mariadb", "mysql" or "sqlite".
        """
        return _TABLE.ddl(dialect)

    def close(self) -> None:
        """Close all connections. No thread may be using one. A later use opens them again."""
        self._database.close()

    def find_by_key(self, key: str) -> User | None:
        return self._user(self._sql.find_by_key, key=self._kept(sought(key)))

    def get(self, id: str) -> User | None:
        return self._user(self._sql.get, id=self._kept(sought(id)))

    def add(self, key: str, username: str, password_hash: str | None, data: Mapping[str, Any]) -> User:
        user = new_user(key, username, password_hash, data)
        row = {
            "id": self._kept(user.id),
            "key": self._kept(user.key),
            "key_rule": KEY_RULE,
            "username": self._kept(user.username),
            "password_hash": self._kept(user.password_hash),
            "session_version": user.session_version,
            "is_active": user.is_active,
            "data": self._kept(data_text(user.data)),
        }
        if not self._changes(self._sql.add, row):
            raise UsernameTaken
        return user

    def set_password(self, id: str, password_hash: str | None, *, expect: str | None, ends_sessions: bool) -> bool:
        check_hash(password_hash)
        if expect is not None and sought(expect) is None:
            return False
        hashes = {"password_hash": self._kept(password_hash), "expect": self._kept(expect)}
        if self._changes(self._sql.set_password, {**hashes, "more": int(ends_sessions), "id": self._kept(sought(id))}):
            return True
        if ends_sessions or password_hash != expect:
            return False
        return (user := self.get(id)) is not None and user.password_hash == expect  # see _changes

    def set_active(self, id: str, is_active: bool) -> bool:
        change = {"is_active": bool(is_active), "more": int(not is_active), "id": self._kept(sought(id))}
        if self._changes(self._sql.set_active, change):
            return True
        return is_active and self.get(id) is not None  # see _changes

    def rename(self, id: str, key: str, username: str) -> bool:
        key, username = checked_name(key, "a key"), checked_name(username, "a username")
        names = {"key": self._kept(key), "username": self._kept(username)}
        if self._changes(self._sql.rename, {**names, "key_rule": KEY_RULE, "id": self._kept(sought(id))}):
            return True
        if self.get(id) is None:
            return False
        raise UsernameTaken

    def delete(self, id: str) -> bool:
        return self._changes(self._sql.delete, {"id": self._kept(sought(id))})

    def _changes(self, statement: str, parameters: Mapping[str, Any]) -> bool:
        """Whether an account was added or changed. One whose key is another's is not.

        On MariaDB and MySQL, False may also mean that the account had these values already: what an application's own
        engine counts is up to its connections' flags.
        """
        return self._database.changes(statement, parameters) == 1

    def _user(self, statement: str, **parameters: str | bytes | None) -> User | None:
        rows = Hidden(self._database.rows(statement, parameters))
        if not rows.value:
            return None
        check_key_rule(rows.value[0][2])
        if (user := _whole(Hidden(rows.value[0]))) is None:
            raise StoreUnavailable(f"the account {_shown(rows.value[0][0])} is damaged: a value in its row is wrong")
        return user

    def _kept(self, text: str | None) -> str | bytes | None:
        """The text as the table keeps it. It shows nothing, as it goes through other people's code."""
        if text is None:
            return None
        return HiddenBytes(text.encode()) if self._keeps_bytes else HiddenText(text)


def _whole(row: Hidden[tuple[Any, ...]]) -> User | None:
    """The account of this row; None if it is damaged."""
    try:
        return User(
            id=_text(row.value[0]),
            key=_text(row.value[1]),
            username=_text(row.value[3]),
            password_hash=None if row.value[4] is None else _text(row.value[4]),
            session_version=index(row.value[5]),
            is_active={0: False, 1: True}[row.value[6]],
            data=MappingProxyType({**json.loads(_text(row.value[7]))}),
        )
    except (ValueError, TypeError, LookupError):
        return None  # the error would show what is in the row


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else str(value, "utf-8")


def _shown(id: object) -> str:
    return repr(id.decode(errors="backslashreplace") if isinstance(id, bytes) else id)
