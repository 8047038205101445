"""Accounts: what one is, and what a table of them must do."""

from __future__ import annotations

import json
import secrets
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from ..._hidden import HiddenText
from ..._repr import shown_half_built
from ..._storable import checked_id, checked_text
from ...errors import ConfigError, StoreUnavailable
from ...usernames import KEY_RULE


@shown_half_built
@dataclass(frozen=True)
class User:
    """One account, as it was when it was read."""

    id: str
    """Random and permanent, because a name may change and be given to somebody else later."""
    key: str
    """What the name is looked up by (`username_key`)."""
    username: str
    """The name as it was typed."""
    password_hash: str | None = field(repr=False)
    """None if nobody can log in with a password."""
    session_version: int = 1
    """Goes up when all sessions of earlier logins must end."""
    is_active: bool = True
    data: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False, hash=False)
    """Whatever else was given at the registration, as it comes back from JSON."""

    def __post_init__(self) -> None:
        if isinstance(self.password_hash, str):
            object.__setattr__(self, "password_hash", HiddenText(self.password_hash))


class Users(Protocol):
    """A table of accounts. Many threads may use it at once.

    Every failure of the medium is `StoreUnavailable`. A call that names an account that is not there changes nothing.
    """

    @abstractmethod
    def find_by_key(self, key: str) -> User | None:
        """The account with this key, or None."""

    @abstractmethod
    def get(self, id: str) -> User | None:
        """The account with this id, or None."""

    @abstractmethod
    def add(self, key: str, username: str, password_hash: str | None, data: Mapping[str, Any]) -> User:
        """Add an account under a new random id. Of several callers that race for one key, one wins.

        Raises `UsernameTaken` if the key is there, `TypeError` for data that is not JSON, and `ValueError` for a name
        that cannot be written, because it has a lone surrogate.
        """

    @abstractmethod
    def set_password(self, id: str, password_hash: str | None, *, expect: str | None, ends_sessions: bool) -> bool:
        """Change the hash if it is still `expect`. False if it was another.

        With `ends_sessions` the session version goes up, so that nobody stays logged in by the old password.
        """

    @abstractmethod
    def set_active(self, id: str, is_active: bool) -> bool:
        """Let the account log in, or not. False if there is no such account.

        Disabling it raises the session version, so that enabling it again does not bring its sessions back (ASVS 5.0
        7.4.2).
        """

    @abstractmethod
    def rename(self, id: str, key: str, username: str) -> bool:
        """Give the account another name. False if there is no such account.

        Raises `UsernameTaken`, and `ValueError` for a name that cannot be written.

        The session version goes up, because sessions carry the name of their login, which may soon be somebody else's.
        """

    @abstractmethod
    def delete(self, id: str) -> bool:
        """Erase the account. True only for the one call that did it."""


def new_user(key: str, username: str, password_hash: str | None, data: Mapping[str, Any]) -> User:
    """An account that is not in any table yet, with a random id of 128 bits.

    Raises `TypeError` for data that is not JSON, and `ValueError` for a name that cannot be written.
    """
    key, username = checked_text(key, "a key"), checked_text(username, "a username")
    check_hash(password_hash)
    try:
        frozen = frozen_data(data)
    except UnicodeEncodeError:
        raise TypeError("data kept with an account must be JSON: a text in it has a lone surrogate") from None
    except (TypeError, ValueError) as error:
        raise TypeError(f"data kept with an account must be JSON: {error}") from None
    return User(secrets.token_hex(16), key, username, password_hash, data=frozen)


def check_key_rule(key_rule: int) -> None:
    """Raise `StoreUnavailable` for an account whose key was made by a rule that this release does not know.

    To go on would look names up under other keys than that rule gives them, and let in a second Ada.
    """
    if key_rule != KEY_RULE:
        raise StoreUnavailable(
            f"an account's key was made by rule {key_rule}, and this release knows rule {KEY_RULE} alone: install the "
            "release that wrote the account"
        )


def frozen_data(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data as it comes back from JSON, sharing nothing with what was given."""
    # Without `ensure_ascii`, so that a lone surrogate is not hidden by an escape that other tables cannot keep.
    return MappingProxyType(json.loads(json.dumps(dict(data), allow_nan=False, ensure_ascii=False).encode()))


def check_hash(password_hash: object) -> None:
    """Raise `TypeError` for what cannot be a stored hash, such as the bytes that bcrypt makes."""
    if password_hash is not None and not isinstance(password_hash, str):
        raise TypeError(f"a password hash must be text or None, not {type(password_hash).__name__}")


def check_account(user: User, id: str | None = None) -> None:
    """Raise `ConfigError` for an account that nobody could be told apart by, before it gets into a session.

    `id` is what it was asked for by, if it was.
    """
    for name in ("id", "username"):
        value = getattr(user, name, None)
        try:
            checked_id(value, name)
        except (TypeError, ValueError):
            raise ConfigError(
                f"This table of accounts has a user whose {name} is {value!r}: it must be text, and not empty."
            ) from None
    version = getattr(user, "session_version", None)
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        raise ConfigError(
            f"This table of accounts has a user whose session_version is {version!r}: it must be a whole number, "
            "which goes up when all earlier sessions must end."
        )
    if id is not None and user.id != id:
        raise ConfigError("get() of this table of accounts gives another account than the one it was asked for.")
