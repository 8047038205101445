"""Username and password, checked at the same cost for any name, with the reason for a refusal given to the operator.

Nothing here may return early for a name that does not exist: the time that an answer takes must not reveal whether an
account exists (ASVS 5.0 6.3.8).
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import Busy, LoginFailed, StoreError
from ..usernames import MAX_CHARACTERS, username_key
from .passwords import Hasher, Verified
from .users.base import User, Users
from .where import Where


class Verifier:
    """Checks who somebody is against one table of accounts."""

    def __init__(self, users: Users, hasher: Hasher) -> None:
        self._users = users
        self._hasher = hasher

    def authenticate(self, where: Where, username: str, password: str) -> User:
        """The account that name and password belong to. Raises `LoginFailed`, whatever is wrong, and `Busy`."""
        _check_text(username, password)
        key = username_key(username)
        user = self._users.find_by_key(key) if key is not None else None
        verified = self._checked(user, password, where)
        if user is None or not verified or not user.is_active:
            where.emit(
                "login.failed",
                user_id=user.id if user is not None else None,
                account=_account(where, username, key, user),
                detail=_reason(key, user, verified),
            )
            raise LoginFailed
        return self._rehashed(user, verified, where)

    def _checked(self, user: User | None, password: str, where: Where) -> Verified:
        try:
            return self._hasher.verify(user.password_hash if user is not None else None, password)
        except Busy:
            where.emit("login.busy", detail="more logins at once than there is memory for their hashes: an attack?")
            raise

    def _rehashed(self, user: User, verified: Verified, where: Where) -> User:
        """The user with a hash by today's settings, unless the password was changed meanwhile.

        The login holds either way. No session ends because of it.
        """
        if verified.rehash is None:
            return user
        expected = user.password_hash
        try:
            if not self._users.set_password(user.id, verified.rehash, expect=expected, ends_sessions=False):
                return user
        except StoreError as error:
            where.emit("store.unavailable", user_id=user.id, detail=f"rehash: {error}")
            return user
        where.emit("account.rehashed", user)
        return replace(user, password_hash=verified.rehash)


def _check_text(*values: object) -> None:
    """Raise `TypeError` for anything but text: a list of names must not get as far as a look-up."""
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"username and password must be text, not {type(value).__name__}")


def _account(where: Where, username: str, key: str | None, user: User | None) -> str:
    """What events call an account. People type passwords into the name field, so only a name that exists is shown."""
    if user is not None:
        return user.key
    return where.manager._account_digest(key if key is not None else username[:MAX_CHARACTERS])


def _reason(key: str | None, user: User | None, verified: Verified) -> str:
    """Why a login failed. This is for the operator only, never for the visitor."""
    if verified:
        return "inactive"
    if key is None or verified.reason == "bad_input":
        return "bad_input"
    return "unknown" if user is None else verified.reason
