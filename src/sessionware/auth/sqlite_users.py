"""Accounts in an SQLite file: the same one as the sessions', or another."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..errors import StoreUnavailable, UsernameTaken
from ..sqlitedb import Database, Schema
from .users import User, new_user_id

_SCHEMA = Schema(
    "sessionware_users",
    1,
    (
        """
        CREATE TABLE sessionware_users (
            id TEXT PRIMARY KEY,
            key TEXT NOT NULL UNIQUE,
            username TEXT NOT NULL,
            password_hash TEXT,
            version INTEGER NOT NULL,
            is_active INTEGER NOT NULL,
            data TEXT NOT NULL
        ) WITHOUT ROWID
        """,
    ),
)

_SELECT = "SELECT id, key, username, password_hash, version, is_active, data FROM sessionware_users WHERE "


class SQLiteUsers:
    """Accounts in the SQLite file at `path`, which is made (mode 0600) if it is not there; its directory has to be.

    What a registration gives beside name and password has to be JSON. Raises `ConfigError` if the path cannot hold a
    database.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._database = Database(path, _SCHEMA)

    def close(self) -> None:
        """Close the file, once no thread is at work here. A later use opens it again."""
        self._database.close()

    def find(self, key: str) -> User | None:
        return _user(self._database.execute(_SELECT + "key = ?", (key,)))

    def get(self, id: str) -> User | None:
        return _user(self._database.execute(_SELECT + "id = ?", (id,)))

    def add(self, key: str, username: str, password_hash: str | None, data: Mapping[str, Any]) -> User:
        user = User(new_user_id(), key, username, password_hash, data=MappingProxyType(dict(data)))
        row = (user.id, key, username, password_hash, user.version, user.is_active, _json(data))
        sql = "INSERT INTO sessionware_users VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"
        if not self._database.changes(sql, row):
            raise UsernameTaken
        return user

    def set_password(self, id: str, password_hash: str | None, *, expect: str | None, bump: bool) -> bool:
        return self._update(
            "password_hash = ?, version = version + ? WHERE id = ? AND password_hash IS ?",
            (password_hash, bump, id, expect),
        )

    def set_active(self, id: str, is_active: bool) -> bool:
        return self._update("is_active = ?, version = version + 1 WHERE id = ?", (is_active, id))

    def rename(self, id: str, key: str, username: str) -> bool:
        try:
            return self._update("key = ?, username = ? WHERE id = ?", (key, username, id))
        except StoreUnavailable as error:
            if isinstance(error.__cause__, sqlite3.IntegrityError):
                raise UsernameTaken from None
            raise

    def delete(self, id: str) -> bool:
        return self._database.changes("DELETE FROM sessionware_users WHERE id = ?", (id,)) == 1

    def _update(self, change: str, parameters: tuple[Any, ...]) -> bool:
        return self._database.changes(f"UPDATE sessionware_users SET {change}", parameters) == 1  # noqa: S608


def _user(rows: list[Any]) -> User | None:
    if not rows:
        return None
    id, key, username, password_hash, version, is_active, data = rows[0]
    return User(id, key, username, password_hash, version, bool(is_active), MappingProxyType(json.loads(data)))


def _json(data: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(data), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"what is registered with an account has to be JSON: {error}") from None
