"""Accounts in this process's memory: for tests, and for trying things out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...errors import UsernameTaken
from .base import User, Users, check_hash, checked_name, frozen_data, new_user


class MemoryUsers(Users):
    """Accounts in this process's memory: for tests, and for trying things out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[str, User] = {}
        self._ids: dict[str, str] = {}

    def find_by_key(self, key: str) -> User | None:
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
            return replace(user, data=frozen_data(user.data))

    def set_password(self, id: str, password_hash: str | None, *, expect: str | None, ends_sessions: bool) -> bool:
        check_hash(password_hash)
        with self._lock:
            user = self._by_id.get(id)
            if user is None or user.password_hash != expect:
                return False
            self._put(replace(user, password_hash=password_hash, session_version=user.session_version + ends_sessions))
            return True

    def set_active(self, id: str, is_active: bool) -> bool:
        with self._lock:
            user = self._by_id.get(id)
            if user is None:
                return False
            self._put(replace(user, is_active=is_active, session_version=user.session_version + (not is_active)))
            return True

    def rename(self, id: str, key: str, username: str) -> bool:
        key, username = checked_name(key, "a key"), checked_name(username, "a username")
        with self._lock:
            user = self._by_id.get(id)
            if user is None:
                return False
            if self._ids.get(key, id) != id:
                raise UsernameTaken
            del self._ids[user.key]
            self._put(replace(user, key=key, username=username, session_version=user.session_version + 1))
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
    """A copy to hand out. Changes that its reader makes inside the data stay out of the table, as with other tables."""
    return None if user is None else replace(user, data=frozen_data(user.data))
