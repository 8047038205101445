"""Accounts in an SQLite file, which may be that of the sessions or another."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..._hidden import Hidden
from ...databases.schema import Schema
from ...databases.sqlite import Database, has_schema
from ...errors import ConfigError, StoreUnavailable, UsernameTaken
from ...usernames import KEY_RULE
from .base import User, Users, check_hash, check_key_rule, checked_name, data_text, new_user, sought

_SCHEMA = Schema(
    "sessionware_users",
    2,
    (
        """
        CREATE TABLE sessionware_users (
            id TEXT PRIMARY KEY,
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
)

_SELECT = (
    "SELECT key_rule, id, key, username, password_hash, session_version, is_active, data FROM sessionware_users WHERE "
)


class SQLiteUsers(Users):
    """Accounts in the SQLite file at `path`. It is created (mode 0600) if it does not exist; its directory must exist.

    Raises `ConfigError` if the path cannot hold a database.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        given = Hidden(path)  # it may be a URL with a password by mistake
        del path
        self._database = Database(given.value, _SCHEMA)

    def close(self) -> None:
        """Close the file. No thread may be using it. A later use opens it again."""
        self._database.close()

    def find_by_key(self, key: str) -> User | None:
        return _user(Hidden(self._database.execute(_SELECT + "key = ?", (sought(key),))))

    def get(self, id: str) -> User | None:
        return _user(Hidden(self._database.execute(_SELECT + "id = ?", (sought(id),))))

    def add(self, key: str, username: str, password_hash: str | None, data: Mapping[str, Any]) -> User:
        user = new_user(key, username, password_hash, data)
        state = (password_hash, user.session_version, user.is_active, data_text(user.data))
        sql = "INSERT INTO sessionware_users VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"
        if not self._database.changes(sql, (user.id, key, KEY_RULE, username, *state)):
            raise UsernameTaken
        return user

    def set_password(self, id: str, password_hash: str | None, *, expect: str | None, ends_sessions: bool) -> bool:
        check_hash(password_hash)
        if expect is not None and sought(expect) is None:
            return False
        change = "password_hash = ?, session_version = session_version + ? WHERE id = ? AND password_hash IS ?"
        return self._update(change, (password_hash, ends_sessions, sought(id), expect))

    def set_active(self, id: str, is_active: bool) -> bool:
        change = "is_active = ?, session_version = session_version + ? WHERE id = ?"
        return self._update(change, (is_active, not is_active, sought(id)))

    def rename(self, id: str, key: str, username: str) -> bool:
        key, username = checked_name(key, "a key"), checked_name(username, "a username")
        change = "key = ?, key_rule = ?, username = ?, session_version = session_version + 1 WHERE id = ?"
        if self._update(change, (key, KEY_RULE, username, sought(id))):
            return True
        if self.get(id) is None:
            return False
        raise UsernameTaken

    def delete(self, id: str) -> bool:
        return self._database.changes("DELETE FROM sessionware_users WHERE id = ?", (sought(id),)) == 1

    def _update(self, change: str, parameters: tuple[Any, ...]) -> bool:
        """Whether an account was changed. A change that would give two accounts one key changes nothing."""
        sql = f"UPDATE OR IGNORE sessionware_users SET {change}"  # noqa: S608  (all of it is written above)
        return self._database.changes(sql, parameters) == 1


def _user(rows: Hidden[list[Any]]) -> User | None:
    if not rows.value:
        return None
    check_key_rule(rows.value[0][0])
    try:
        data = MappingProxyType(json.loads(rows.value[0][7]))
        is_active = {0: False, 1: True}[rows.value[0][6]]
        "".join((*rows.value[0][1:4], rows.value[0][4] or ""))  # a TypeError for what is no text
    except (ValueError, TypeError, LookupError):
        raise StoreUnavailable(f"the account {rows.value[0][1]!r} is damaged: a value in its row is wrong") from None
    return User(*(*rows.value[0][1:6], is_active, data))


def check_exists(path: str) -> None:
    """Raise `ConfigError` unless there is an SQLiteUsers at this path already."""
    if not has_schema(Path(path).absolute(), _SCHEMA.name):
        raise ConfigError(f"{path!r} holds no accounts: there is no such file, or no {_SCHEMA.name!r} in it.")
