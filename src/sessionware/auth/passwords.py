"""Passwords: hashed by argon2id, and checked at the same cost whatever was sent and whoever was meant.

The one rule behind this file: an answer must not tell, by its time, whether an account exists (ASVS 5.0 6.3.8). So
`verify_password` spends exactly one argon2 computation on every call: for an unknown user, for an account without a
password, for a stored hash that is none, for a password that no account can have.
"""

from __future__ import annotations

import re
import secrets
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple
from unicodedata import normalize

import argon2

from ..errors import Busy, ConfigError, PasswordRejected

#: Code points. NIST SP 800-63B-4 §3.1.1.2 asks for at least 64 to be allowed; a bound keeps normalising cheap.
MAX_CHARACTERS = 1024

MIB = 1024 * 1024

#: Seconds to wait for memory to check a password in.
PATIENCE = 5.0

# What a stored hash may ask for. A row that claims more (somebody wrote it) must not make this server allocate it.
_MAX_MEMORY_COST = 1024 * 1024  # KiB
_MAX_TIME_COST = 16
_MAX_PARALLELISM = 16


class Verified(NamedTuple):
    """Whether the password is right: use it as a truth value.

    `rehash` is a new hash to store in the place of the old one, where that was made by other settings; else None.
    `reason` says for the operator's log, never for the visitor, why it is not: "unknown", "mismatch", "bad_hash" or
    "bad_input".
    """

    is_right: bool
    rehash: str | None = None
    reason: str = ""

    def __bool__(self) -> bool:
        return self.is_right


@dataclass(frozen=True)
class Argon2:
    """How passwords are hashed: argon2id, at the costs that OWASP and ASVS 5.0 (appendix C) give as the least.

    `memory_cost` is in KiB. Checks that run at once share `memory_budget` bytes; one that has to wait longer than five
    seconds for its share raises `Busy`, so that a flood of logins cannot eat the server's memory. Raises `ConfigError`.
    """

    time_cost: int = 2
    memory_cost: int = 19456
    parallelism: int = 1
    memory_budget: int = 256 * MIB
    _gate: threading.BoundedSemaphore = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, least in (("time_cost", 1), ("memory_cost", 8), ("parallelism", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ConfigError(f"Argon2({name}={value!r}): write a whole number from {least} on.")
        if self.memory_cost < 8 * self.parallelism:
            raise ConfigError(f"Argon2(memory_cost={self.memory_cost}): argon2 needs 8 KiB for each lane.")
        in_flight = self.memory_budget // (self.memory_cost * 1024)
        if in_flight < 1:
            raise ConfigError(
                f"Argon2(memory_budget={self.memory_budget}): one check takes {self.memory_cost * 1024} bytes."
            )
        object.__setattr__(self, "_gate", threading.BoundedSemaphore(in_flight))

    def hash(self, password: str) -> str:
        """The password's hash, to be stored: a PHC string with its own random salt.

        Raises `PasswordRejected` for what cannot be hashed, `Busy`, and `TypeError` for what is no text.
        """
        return self._hash(_hashable(password))

    def verify(self, stored: str | None, password: str) -> Verified:
        """Whether `stored` is this password's hash. Always one argon2 computation; raises `TypeError` and `Busy` only.

        Pass None for a user who does not exist: the answer is no, after the same time.
        """
        try:
            text, bad_input = _hashable(password), False
        except PasswordRejected:
            text, bad_input = b"no account has this password", True
        bad_hash = stored is not None and not _is_sound(stored)
        if stored is None or bad_input or bad_hash:
            self._matches(self._decoy, text)
            return Verified(False, None, "bad_input" if bad_input else "bad_hash" if bad_hash else "unknown")
        if not self._matches(stored, text):
            return Verified(False, None, "mismatch")
        is_current = argon2.extract_parameters(stored) == argon2.extract_parameters(self._decoy)
        return Verified(True, None if is_current else self._hash(text))

    def _hash(self, text: bytes) -> str:
        with self._memory():
            return self._hasher.hash(text)

    def _matches(self, stored: str, text: bytes) -> bool:
        with self._memory():
            try:
                return self._hasher.verify(stored, text)
            except argon2.exceptions.VerificationError:
                return False

    @contextmanager
    def _memory(self) -> Iterator[None]:
        """Hold the memory for one computation while it lasts."""
        if not self._gate.acquire(timeout=PATIENCE):
            raise Busy(retry_after=int(PATIENCE))
        try:
            yield
        finally:
            self._gate.release()

    @property
    def _hasher(self) -> argon2.PasswordHasher:
        return _hasher(self.time_cost, self.memory_cost, self.parallelism)

    @property
    def _decoy(self) -> str:
        return _decoy(self.time_cost, self.memory_cost, self.parallelism)


@dataclass(frozen=True)
class PasswordPolicy:
    """What a new password has to be: at least `minimum_length` code points long. Old ones are not asked.

    15 is what NIST SP 800-63B-4 §3.1.1.2 demands of a password that is the only factor. Raises `ConfigError` below 8.
    No rules of composition (digits, capitals): the same standard forbids them.
    """

    minimum_length: int = 15

    def __post_init__(self) -> None:
        if not isinstance(self.minimum_length, int) or not 8 <= self.minimum_length <= MAX_CHARACTERS:
            raise ConfigError(
                f"PasswordPolicy(minimum_length={self.minimum_length!r}): write 15, or down to 8 if there is a second "
                "factor too (NIST SP 800-63B-4)."
            )

    def check(self, password: str) -> None:
        """Raise `PasswordRejected` if this cannot be a new password; its `reason` is too_short, too_long or invalid."""
        _hashable(password)
        if len(normalize("NFC", password)) < self.minimum_length:
            raise PasswordRejected(
                f"Please choose a password of at least {self.minimum_length} characters. Several words are fine.",
                reason="too_short",
            )


def hash_password(password: str) -> str:
    """The password's hash, to be stored. Raises `PasswordRejected` for what cannot be hashed; see `check_password`."""
    return _default().hash(password)


def verify_password(stored: str | None, password: str) -> Verified:
    """Whether `stored` is this password's hash; None is the hash of a user who does not exist, and takes as long.

    Never raises for what was typed or stored. If it is true and `.rehash` is not None, store that instead.
    """
    return _default().verify(stored, password)


def check_password(password: str) -> None:
    """Raise `PasswordRejected`, with a text for people, if this is not good enough for a new password."""
    PasswordPolicy().check(password)


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


_is_phc = re.compile(
    r"\$argon2(id|i|d)\$v=\d{1,3}\$m=\d{1,10},t=\d{1,5},p=\d{1,3}\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
).fullmatch


def _is_sound(stored: str) -> bool:
    """Whether this is an argon2 hash that costs no more than is reasonable."""
    if not isinstance(stored, str) or not _is_phc(stored):
        return False
    try:
        parameters = argon2.extract_parameters(stored)
    except argon2.exceptions.InvalidHashError:
        return False
    return (
        parameters.memory_cost <= _MAX_MEMORY_COST
        and parameters.time_cost <= _MAX_TIME_COST
        and parameters.parallelism <= _MAX_PARALLELISM
    )


@lru_cache
def _hasher(time_cost: int, memory_cost: int, parallelism: int) -> argon2.PasswordHasher:
    return argon2.PasswordHasher(time_cost, memory_cost, parallelism, type=argon2.Type.ID)


@lru_cache
def _decoy(time_cost: int, memory_cost: int, parallelism: int) -> str:
    """A hash that no password has, made up of random bytes: it costs nothing to make, and all to check."""
    salt, digest = (b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={memory_cost},t={time_cost},p={parallelism}${salt}${digest}"


@lru_cache
def _default() -> Argon2:
    return Argon2()
