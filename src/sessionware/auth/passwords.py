"""Passwords: hashed by argon2id, and checked at the same cost whatever was sent and whoever was meant.

The one rule behind this file: an answer must not tell, by its time, whether an account exists (ASVS 5.0 6.3.8). So
`verify_password` spends exactly one argon2 computation on every refusal: for an unknown user, for an account without
a password, for a stored hash that is none, for a password that no account can have.
"""

from __future__ import annotations

import re
import secrets
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol
from unicodedata import category, normalize

import argon2
from argon2.exceptions import VerificationError, VerifyMismatchError

from ..errors import Busy, ConfigError, PasswordRejected

#: Code points. NIST SP 800-63B-4 §3.1.1.2 asks for at least 64 to be allowed; a bound keeps normalising cheap.
MAX_CHARACTERS = 1024

#: Code points. ASVS 5.0 6.2.1: no policy may ask for less.
LEAST_MINIMUM_LENGTH = 8

MIB = 1024 * 1024

#: Seconds to wait for memory to check a password in.
PATIENCE = 5.0

# What a stored hash may ask for beside memory. Somebody may have written a row to keep this server busy.
_MAX_TIME_COST = 16
_MAX_PARALLELISM = 16
_MAX_STORED_CHARACTERS = 512

_is_phc = re.compile(
    r"\$argon2(id|i|d)\$v=[0-9]{1,3}\$m=[0-9]{1,10},t=[0-9]{1,5},p=[0-9]{1,3}\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
).fullmatch


class Verified(NamedTuple):
    """Whether the password is right: use it as a truth value.

    `rehash` is a new hash to store in the place of the old one, where that was made by other settings; else None.
    `reason` says for the operator's log, never for the visitor, why it is not right: "mismatch", "no_hash" (None was
    stored), "bad_hash" (what was stored is no hash, or asks for too much) or "bad_input".
    """

    is_right: bool
    rehash: str | None = None
    reason: str = ""

    def __bool__(self) -> bool:
        return self.is_right

    def __repr__(self) -> str:
        """Without the hash, for it may be logged."""
        return f"Verified(is_right={self.is_right}, reason={self.reason!r})"


class Hasher(Protocol):
    """What hashes and checks passwords for `Auth`: an `Argon2`, or something around one."""

    def hash(self, password: str) -> str:
        """The hash to store. Raises `PasswordRejected` for what cannot be hashed."""

    def verify(self, stored: str | None, password: str) -> Verified:
        """Whether the password fits. Never raises for what was typed or stored, and always costs the same."""


class _UnusableHash(Exception):
    """What is stored costs nothing to refuse, so the cost has to be spent elsewhere."""


@dataclass(frozen=True)
class Argon2:
    """How passwords are hashed: argon2id, at the least costs of OWASP and of ASVS 5.0, appendix C.

    `memory_cost` is in KiB. Checks that run at once share `memory_budget` bytes; one that has to wait longer than five
    seconds for its share raises `Busy`, so that a flood of logins cannot eat the server's memory. A stored hash made at
    other costs, higher or lower, is replaced at its user's next login; till then a check takes as long as it says.
    Raises `ConfigError`.
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
                raise ConfigError(f"Argon2({name}={value!r}): write a whole number from {least} on.")
        if self.memory_cost < 8 * self.parallelism:
            raise ConfigError(f"Argon2(memory_cost={self.memory_cost}): argon2 needs 8 KiB for each lane.")
        if self.memory_budget < self.memory_cost * 1024:
            raise ConfigError(
                f"Argon2(memory_budget={self.memory_budget}): one check takes {self.memory_cost * 1024} bytes."
            )
        object.__setattr__(self, "_memory", _Memory(self.memory_budget))

    def hash(self, password: str) -> str:
        """The password's hash, to be stored: a PHC string with its own random salt.

        Raises `PasswordRejected` for what cannot be hashed, `Busy`, and `TypeError` for what is no text.
        """
        return self._hash(_hashable(password))

    def verify(self, stored: str | None, password: str) -> Verified:
        """Whether `stored` is this password's hash. Raises `TypeError` for what is no text, and `Busy`; nothing else.

        Pass None for a user who does not exist: the answer is no, after the same time.
        """
        try:
            text = _hashable(password)
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
            except VerificationError:  # argon2 refused to begin: a salt too short, a digest that is no base64
                raise _UnusableHash from None

    def _refuse(self, reason: str) -> Verified:
        """No, after the computation that every other no has cost."""
        with self._memory.hold(self.memory_cost * 1024), suppress(VerifyMismatchError):
            self._hasher.verify(self._decoy, b"no account has this password")
        return Verified(False, reason=reason)

    def _rehash(self, stored: str, text: bytes) -> str | None:
        if argon2.extract_parameters(stored) == argon2.extract_parameters(self._decoy):
            return None
        try:
            return self._hash(text)
        except Busy:  # it can wait for the next login; this one has been found to be right
            return None

    def _hash(self, text: bytes) -> str:
        with self._memory.hold(self.memory_cost * 1024):
            return self._hasher.hash(text)

    @cached_property
    def _hasher(self) -> argon2.PasswordHasher:
        return argon2.PasswordHasher(self.time_cost, self.memory_cost, self.parallelism, type=argon2.Type.ID)

    @cached_property
    def _decoy(self) -> str:
        """A hash that no password has, made up of random bytes: it costs nothing to make, and all to check."""
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
        """Keep so much of it while the block runs. Raises `Busy` if it is not to be had in time."""
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


@dataclass(frozen=True)
class PasswordPolicy:
    """What a new password has to be: at least `minimum_length` code points long. Old ones are not asked.

    15 is what NIST SP 800-63B-4 §3.1.1.2 demands of a password that is the only factor. Raises `ConfigError` below 8.
    No rules of composition (digits, capitals): the same standard forbids them.
    """

    minimum_length: int = 15

    def __post_init__(self) -> None:
        length = self.minimum_length
        if not isinstance(length, int) or not LEAST_MINIMUM_LENGTH <= length <= MAX_CHARACTERS:
            raise ConfigError(
                f"PasswordPolicy(minimum_length={length!r}): write 15, or down to {LEAST_MINIMUM_LENGTH} if there is a "
                "second factor too (NIST SP 800-63B-4)."
            )

    def check(self, password: str) -> None:
        """Raise `PasswordRejected` if this cannot be a new password; its `reason` is too_short, too_long or invalid."""
        _hashable(password)
        if any(category(character) == "Cc" for character in password):  # which no log-in form lets anybody type
            raise PasswordRejected("Please choose a password without tabs or line breaks.", reason="invalid")
        if len(normalize("NFC", password)) < self.minimum_length:
            raise PasswordRejected(
                f"Please choose a password of at least {self.minimum_length} characters. Several words are fine.",
                reason="too_short",
            )


#: What everybody shares who asks for nothing else: above all, one memory budget for the whole process.
DEFAULT_HASHER = Argon2()
DEFAULT_POLICY = PasswordPolicy()


def hash_password(password: str) -> str:
    """The password's hash, to be stored. Raises `PasswordRejected` for what cannot be hashed; see `check_password`."""
    return DEFAULT_HASHER.hash(password)


def verify_password(stored: str | None, password: str) -> Verified:
    """Whether `stored` is this password's hash; None is the hash of a user who does not exist, and takes as long.

    Never raises for what was typed or stored. If it is true and `.rehash` is not None, store that instead, unless the
    stored hash changed meanwhile. Raises `Busy` after five seconds without the memory it takes.
    """
    return DEFAULT_HASHER.verify(stored, password)


def check_password(password: str) -> None:
    """Raise `PasswordRejected`, with a text for people, if this is not good enough for a new password."""
    DEFAULT_POLICY.check(password)


def _hashable(password: str) -> bytes:
    """The password as the bytes that are hashed. Only NFC is applied (NIST SP 800-63B-4), no trimming, no folding."""
    if not isinstance(password, str):
        raise TypeError(f"a password is text, not {type(password).__name__}")
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
