"""Accounts: what one is, what a table of them has to do, and one in memory."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

from ..errors import UsernameTaken


@dataclass(frozen=True)
class User:
    """One account, as it was when it was read."""

    id: str
    """Random, for good: a name may change, and may be given to somebody else later."""
    key: str
    """What the name is looked up by (`username_key`)."""
    username: str
    """The name as it was typed."""
    password_hash: str | None = field(repr=False)
    """None: nobody can log in by a password."""
    version: int = 1
    """Goes up when all sessions that were logged in to before have to end."""
    is_active: bool = True
    data: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False, hash=False)
    """Whatever else was given at the registration, as JSON gives it back."""


class Users(Protocol):
    """A table of accounts. Safe to be used by many threads at once.

    Every failure of the medium is `StoreUnavailable`. What names an account that is not there changes nothing.
    """

    def find(self, key: str) -> User | None:
        """The account with this key."""

    def get(self, id: str) -> User | None:
        """The account with this id."""

    def add(self, key: str, username: str, password_hash: str | None, data: Mapping[str, Any]) -> User:
        """Add an account under a new random id. Raises `UsernameTaken` if the key is there: of several, one wins.

        Raises `TypeError` for data that is no JSON.
        """

    def set_password(self, id: str, password_hash: str | None, *, expect: str | None, bump: bool) -> bool:
        """Change the hash if it still is `expect`, and with `bump` the version too. False if it was another."""

    def set_active(self, id: str, is_active: bool) -> bool:
        """Let the account log in, or not. False if there is no such account.

        Disabling it raises the version, so that enabling it again does not bring its sessions back (ASVS 5.0 7.4.2).
        """

    def rename(self, id: str, key: str, username: str) -> bool:
        """Give the account another name. Raises `UsernameTaken`. False if there is no such account.

        The version goes up: sessions carry the name of their login, which may be somebody else's soon.
        """

    def delete(self, id: str) -> bool:
        """Erase the account. True only for the one call that did."""


def new_user(key: str, username: str, password_hash: str | None, data: Mapping[str, Any]) -> User:
    """An account that is not in any table yet, with a random id of 128 bits. Raises `TypeError` for what is no JSON."""
    try:
        return User(secrets.token_hex(16), key, username, password_hash, data=_frozen(data))
    except (TypeError, ValueError) as error:
        raise TypeError(f"what is kept with an account has to be JSON: {error}") from None


def _frozen(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data as JSON gives it back, sharing nothing with what was given."""
    return MappingProxyType(json.loads(json.dumps(dict(data), allow_nan=False)))


class MemoryUsers:
    """Accounts in this process's memory: for tests, and for trying things out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[str, User] = {}
        self._ids: dict[str, str] = {}

    def find(self, key: str) -> User | None:
        with self._lock:
            return _copy(self._by_id.get(self._ids.get(key, "")))

    def get(self, id: str) -> User | None:
        with self._lock:
            return _copy(self._by_id.get(id))

    def add(self, key: str, username: str, password_hash: str | None, data: Mapping[str, Any]) -> User:
        user = new_user(key, username, password_hash, data)
        with self._lock:
            if key in self._ids:
                raise UsernameTaken
            self._put(user)
            return replace(user, data=_frozen(user.data))

    def set_password(self, id: str, password_hash: str | None, *, expect: str | None, bump: bool) -> bool:
        with self._lock:
            user = self._by_id.get(id)
            if user is None or user.password_hash != expect:
                return False
            self._put(replace(user, password_hash=password_hash, version=user.version + bump))
            return True

    def set_active(self, id: str, is_active: bool) -> bool:
        with self._lock:
            user = self._by_id.get(id)
            if user is None:
                return False
            self._put(replace(user, is_active=is_active, version=user.version + (not is_active)))
            return True

    def rename(self, id: str, key: str, username: str) -> bool:
        with self._lock:
            user = self._by_id.get(id)
            if user is None:
                return False
            if self._ids.get(key, id) != id:
                raise UsernameTaken
            del self._ids[user.key]
            self._put(replace(user, key=key, username=username, version=user.version + 1))
            return True

    def delete(self, id: str) -> bool:
        with self._lock:
            user = self._by_id.pop(id, None)
            if user is None:
                return False
            del self._ids[user.key]
            return True

    def _put(self, user: User) -> None:
        self._by_id[user.id] = user
        self._ids[user.key] = user.id


def _copy(user: User | None) -> User | None:
    """An account to give away. What its reader does within its data stays out of the table, as with any other table."""
    return None if user is None else replace(user, data=_frozen(user.data))
