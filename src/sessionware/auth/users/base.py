"""Accounts: what one is, and what a table of them must do."""

from __future__ import annotations

import json
import secrets
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType
from typing import Any, Protocol

from ..._hidden import HiddenText
from ..._repr import shown_half_built
from ..._storable import checked_id, checked_text
from ...errors import ConfigError, StoreUnavailable
from ...usernames import KEY_RULE

#: What every table can keep, in bytes of UTF-8. Those of a database would otherwise take less than those in memory that
#: an application is tested with, or cut off what is too long. A name of 128 characters has up to 512 bytes.
MAX_NAME_BYTES = 512
MAX_HASH_BYTES = 8192
MAX_DATA_BYTES = 65_535


@shown_half_built
@dataclass(frozen=True)
class User:
    """One account, as it was when it was read."""

    id: str
    """Permanent, and never anybody else's, because a name may change and be given to somebody else later.

    In our tables it is random, too."""
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
        if isinstance(self.data, dict):  # from a table of somebody's own
            object.__setattr__(self, "data", MappingProxyType(self.data))


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

        Raises `UsernameTaken` if the key is there, `TypeError` for data that is not JSON, and `ValueError` for what not
        every table could keep: a name or a hash with a lone surrogate or a null character, a name of more than 512
        bytes, a hash of more than 8192, or data that has more than 65,535 as JSON.
        """

    @abstractmethod
    def set_password(self, id: str, password_hash: str | None, *, expect: str | None, ends_sessions: bool) -> bool:
        """Change the hash if it is still `expect`. False if it was another. Raises `ValueError` as `add` does.

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

        Raises `UsernameTaken`, and `ValueError` as `add` does.

        The session version goes up, because sessions carry the name of their login, which may soon be somebody else's.
        """

    @abstractmethod
    def delete(self, id: str) -> bool:
        """Erase the account. True only for the one call that did it."""


def new_user(key: str, username: str, password_hash: str | None, data: Mapping[str, Any]) -> User:
    """An account that is not in any table yet, with a random id of 128 bits.

    Raises `TypeError` and `ValueError` as `Users.add` does.
    """
    key, username = checked_name(key, "a key"), checked_name(username, "a username")
    check_hash(password_hash)
    try:
        frozen = frozen_data(data)
    except UnicodeEncodeError:
        raise TypeError("data kept with an account must be JSON: a text in it has a lone surrogate") from None
    except (TypeError, ValueError) as error:
        raise TypeError(f"data kept with an account must be JSON: {error}") from None
    if len(data_text(frozen)) > MAX_DATA_BYTES:
        raise ValueError(f"data kept with an account must be at most {MAX_DATA_BYTES:,} bytes of JSON")
    return User(secrets.token_hex(16), key, username, password_hash, data=frozen)


def checked_name(value: str, name: str) -> str:
    """The key or username. Raises `ValueError` for one that not every table could keep."""
    text = checked_text(value, name)
    if fault := fault_of(text, MAX_NAME_BYTES):
        raise ValueError(f"{name} {fault}")
    return text


def sought(text: str) -> str | None:
    """What to look up. Text that no table can have becomes None, which is equal to nothing in SQL."""
    return None if fault_of(text) else text


def fault_of(text: str, max_bytes: float = inf) -> str | None:
    """What keeps this text out of some table; None if nothing does."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "has a lone surrogate, which no encoding can write"
    if "\0" in text:
        return "has a null character, which not every database can keep"
    return f"must be at most {max_bytes} bytes of UTF-8" if size > max_bytes else None


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


def data_text(data: Mapping[str, Any]) -> str:
    """The data as tables keep it: ASCII, whatever is in it, so that no encoding of a database can change it."""
    return json.dumps(dict(data))


def check_hash(password_hash: object) -> None:
    """Raise `TypeError` for what cannot be a stored hash, such as the bytes that bcrypt makes.

    Raises `ValueError` for one that not every table could keep.
    """
    if password_hash is None:
        return
    if not isinstance(password_hash, str):
        raise TypeError(f"a password hash must be text or None, not {type(password_hash).__name__}")
    if fault := fault_of(password_hash, MAX_HASH_BYTES):
        raise ValueError(f"a password hash {fault}")


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
