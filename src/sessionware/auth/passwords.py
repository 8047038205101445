"""Passwords: hashed by argon2id, and checked at the same cost whatever was sent and whoever was meant.

There is one rule behind this file: the time that an answer takes must not reveal whether an account exists (ASVS 5.0
6.3.8). So `verify_password` spends exactly one argon2 computation on every refusal. That includes an unknown user, an
account without a password, a stored text that is not a hash, and a password that no account can have.
"""

from __future__ import annotations

import re
import secrets
import threading
from abc import abstractmethod
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol
from unicodedata import normalize

import argon2
from argon2.exceptions import VerificationError, VerifyMismatchError

from ..errors import Busy, ConfigError, PasswordRejected

#: Code points. NIST SP 800-63B-4 §3.1.1.2 requires at least 64 to be allowed. A limit keeps normalising cheap.
MAX_CHARACTERS = 1024

MIB = 1024 * 1024

#: Seconds to wait for memory to check a password in.
PATIENCE = 5.0

# What a stored hash may ask for besides memory. Somebody may have written a row to keep this server busy.
_MAX_TIME_COST = 16
_MAX_PARALLELISM = 16
_MAX_STORED_CHARACTERS = 512

_is_phc = re.compile(
    r"\$argon2(id|i|d)\$v=[0-9]{1,3}\$m=[0-9]{1,10},t=[0-9]{1,5},p=[0-9]{1,3}\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
).fullmatch


class Verified(NamedTuple):
    """Whether the password is right: use it as a truth value.

    `rehash` is a new hash to store in place of the old one, if that was made with other settings; else None. `reason`
    says why the password is not right: "mismatch", "no_hash" (None was stored), "bad_hash" (what was stored is not a
    hash, or asks for too much) or "bad_input". It is for the operator's log, and never for the visitor.
    """

    is_right: bool
    rehash: str | None = None
    reason: str = ""

    def __bool__(self) -> bool:
        return self.is_right

    def __repr__(self) -> str:
        """Without the hash, because this may be logged."""
        return f"Verified(is_right={self.is_right}, reason={self.reason!r})"


class Hasher(Protocol):
    """What hashes and checks passwords for `Auth`: an `Argon2Hasher`, or something around one."""

    @abstractmethod
    def hash(self, password: str) -> str:
        """The hash to store. Raises `PasswordRejected` for what cannot be hashed."""

    @abstractmethod
    def verify(self, stored: str | None, password: str) -> Verified:
        """Whether the password fits. Never raises for what was typed or stored, and always costs the same."""


class _UnusableHash(Exception):
    """What is stored costs nothing to refuse, so the cost must be spent elsewhere."""


@dataclass(frozen=True)
class Argon2Hasher:
    """Hashes passwords by argon2id, by default at the minimum costs of OWASP and of ASVS 5.0, appendix C.

    A stored hash made at other costs, higher or lower, is replaced at its user's next login. Until then, a check takes
    as long as the hash demands.

    Args:
        time_cost: The number of passes over the memory.
        memory_cost: The memory that one check takes, in KiB.
        parallelism: The number of lanes.
        memory_budget: The bytes that checks share if they run at once. One that has to wait longer than five seconds
            for its share raises `Busy`, so that a flood of logins cannot use up the server's memory.

    Raises:
        ConfigError: A cost is too low, or one check takes more than the budget.
    """

    time_cost: int = 2
    memory_cost: int = 19456
    parallelism: int = 1
    memory_budget: int = 256 * MIB
    _memory: _Memory = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, least in (("time_cost", 1), ("memory_cost", 8), ("parallelism", 1), ("memory_budget", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"Argon2Hasher({name}={value!r}): write a whole number, {least} or more.")
        if self.memory_cost < 8 * self.parallelism:
            raise ConfigError(f"Argon2Hasher(memory_cost={self.memory_cost}): argon2 needs 8 KiB for each lane.")
        if self.memory_budget < self.memory_cost * 1024:
            raise ConfigError(
                f"Argon2Hasher(memory_budget={self.memory_budget}): one check takes {self.memory_cost * 1024} bytes."
            )
        object.__setattr__(self, "_memory", _Memory(self.memory_budget))

    def hash(self, password: str) -> str:
        """The password's hash, to be stored: a PHC string with its own random salt.

        Raises `PasswordRejected` for what cannot be hashed, `TypeError` for anything but text, and `Busy`.
        """
        return self._hash(hashable(password))

    def verify(self, stored: str | None, password: str) -> Verified:
        """Whether `stored` is this password's hash. Raises only `Busy`, and `TypeError` for anything but text.

        Pass None for a user who does not exist: the answer is no, after the same time.
        """
        try:
            text = hashable(password)
            if not self._matches(stored, text):
                return Verified(False, reason="mismatch")
        except PasswordRejected:
            return self._refuse("bad_input")
        except _UnusableHash:
            return self._refuse("no_hash" if stored is None else "bad_hash")
        return Verified(True, self._rehash(str(stored), text))

    def _matches(self, stored: str | None, text: bytes) -> bool:
        memory_cost = _parameters(stored).memory_cost * 1024
        if memory_cost > self.memory_budget:
            raise _UnusableHash
        with self._memory.hold(memory_cost):
            try:
                return self._hasher.verify(str(stored), text)
            except VerifyMismatchError:
                return False
            except VerificationError:  # argon2 refused to begin: the salt is too short, or not base64
                raise _UnusableHash from None

    def _refuse(self, reason: str) -> Verified:
        """A refusal, after the same computation as every other refusal."""
        with self._memory.hold(self.memory_cost * 1024), suppress(VerifyMismatchError):
            self._hasher.verify(self._decoy, b"no account has this password")
        return Verified(False, reason=reason)

    def _rehash(self, stored: str, text: bytes) -> str | None:
        if argon2.extract_parameters(stored) == argon2.extract_parameters(self._decoy):
            return None
        try:
            return self._hash(text)
        except Busy:  # it can wait for the next login; this one is right
            return None

    def _hash(self, text: bytes) -> str:
        with self._memory.hold(self.memory_cost * 1024):
            return self._hasher.hash(text)

    @cached_property
    def _hasher(self) -> argon2.PasswordHasher:
        return argon2.PasswordHasher(self.time_cost, self.memory_cost, self.parallelism, type=argon2.Type.ID)

    @cached_property
    def _decoy(self) -> str:
        """A hash that no password has, made up of random bytes: nothing to make, and the full cost to check."""
        salt, digest = (b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
        costs = f"m={self.memory_cost},t={self.time_cost},p={self.parallelism}"
        return f"$argon2id$v=19${costs}${salt}${digest}"


class _Memory:
    """Memory, in bytes, that computations take turns to use."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Hold `size` bytes of it while the block runs. Raises `Busy` if they are not free in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._free >= size, PATIENCE):
                raise Busy(retry_after=int(PATIENCE))
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


#: Shared by everybody who does not pass another one, above all for one memory budget in the whole process.
DEFAULT_HASHER = Argon2Hasher()


def hash_password(password: str) -> str:
    """The password's hash, to be stored. Raises `PasswordRejected` for what cannot be hashed.

    `validate_password` says whether it is good enough for a new password.
    """
    return DEFAULT_HASHER.hash(password)


def verify_password(stored: str | None, password: str) -> Verified:
    """Whether `stored` is this password's hash. Pass None for a user who does not exist: that takes as long.

    Never raises for what was typed or stored. If the result is true and its `rehash` is not None, store that instead,
    unless the stored hash has changed meanwhile. Raises `Busy` after five seconds without the memory that it needs.
    """
    return DEFAULT_HASHER.verify(stored, password)


def hashable(password: str) -> bytes:
    """The password as the bytes to hash. Only NFC is applied (NIST SP 800-63B-4), without trimming or case folding."""
    if not isinstance(password, str):
        raise TypeError(f"a password must be text, not {type(password).__name__}")
    # The length comes first: normalising a long run of combining marks takes time that grows with its square.
    if len(password) > MAX_CHARACTERS:
        raise PasswordRejected(f"Please choose a password of at most {MAX_CHARACTERS} characters.", reason="too_long")
    if "\0" in password:
        raise PasswordRejected("Please choose a password without control characters.", reason="invalid")
    try:
        return normalize("NFC", password).encode()
    except UnicodeEncodeError:
        raise PasswordRejected("Please choose a password of ordinary characters.", reason="invalid") from None


def _parameters(stored: str | None) -> argon2.Parameters:
    """What a stored hash asks for, read before argon2 sees it. Raises `_UnusableHash`."""
    if not isinstance(stored, str) or len(stored) > _MAX_STORED_CHARACTERS or not _is_phc(stored):
        raise _UnusableHash
    parameters = argon2.extract_parameters(stored)
    if parameters.time_cost > _MAX_TIME_COST or parameters.parallelism > _MAX_PARALLELISM:
        raise _UnusableHash
    return parameters
