"""Passwords: hashed by argon2id, and checked at the same cost whatever was sent and whoever was meant.

There is one rule behind this file: the time that an answer takes must not reveal whether an account exists (ASVS 5.0
6.3.8). So every refusal takes as long as one argon2 computation at today's costs. That includes an unknown user, an
account without a password, one whose hash was made at lower costs, a stored text that is not a hash, and a password
that no account can have. Only a stored hash made at higher costs than today's takes longer.
"""

from __future__ import annotations

import logging
import re
import secrets
from abc import abstractmethod
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property, partial
from time import perf_counter
from typing import NamedTuple, Protocol, TypeVar
from unicodedata import normalize

import argon2
from argon2.exceptions import HashingError, VerificationError, VerifyMismatchError

from .._hidden import Hidden
from ..errors import Busy, ConfigError, PasswordRejected
from ._hashing_threads import PATIENCE, Share, compute

T = TypeVar("T")

#: Code points. NIST SP 800-63B-4 §3.1.1.2 requires at least 64 to be allowed. A limit keeps normalising cheap.
MAX_CHARACTERS = 1024

MIB = 1024 * 1024

# What a stored hash may ask for besides memory. Somebody may have written a row to keep this server busy.
_MAX_TIME_COST = 16
_MAX_PARALLELISM = 16
_MAX_STORED_CHARACTERS = 512

# How many durations are kept for comparisons, and by how much one comparison corrects a share.
_REMEMBERED = 16
_FIRST_STEP = 0.05
_LEAST_STEP = 0.002

_is_phc = re.compile(
    r"\$argon2(id|i|d)\$v=[0-9]{1,3}\$m=[0-9]{1,10},t=[0-9]{1,5},p=[0-9]{1,3}\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
).fullmatch
_has_surrogate = re.compile("[\ud800-\udfff]").search

_logger = logging.getLogger("sessionware")


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

    A stored hash made at other costs, higher or lower, is replaced at its user's next login. Until then, a refusal
    takes as long as today's costs demand, or longer if those of the hash are higher.

    Computations run in a few threads of their own, at most one for each processor, first come, first served. One that
    has to wait longer than five seconds for its turn raises `Busy`.

    Args:
        time_cost: The number of passes over the memory.
        memory_cost: The memory that one check takes, in KiB.
        parallelism: The number of lanes.
        memory_budget: The bytes that checks share if they run at once, so that a flood of logins cannot use up the
            server's memory. Hashers with the same settings share one budget.

    Raises:
        ConfigError: A cost is too low, or one check takes more than the budget.
    """

    time_cost: int = 2
    memory_cost: int = 19456
    parallelism: int = 1
    memory_budget: int = 256 * MIB

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

    def hash(self, password: str) -> str:
        """The password's hash, to be stored: a PHC string with its own random salt.

        Raises `PasswordRejected` for what cannot be hashed, `TypeError` for anything but text, and `Busy`.
        """
        typed = Hidden(password)
        del password
        return self._compute(partial(self._hash, Hidden(hashable(typed))))

    def verify(self, stored: str | None, password: str) -> Verified:
        """Whether `stored` is this password's hash. Raises only `Busy`, and `TypeError` for anything but text.

        Pass None for a user who does not exist: the answer is no, after the same time.
        """
        hash, typed = Hidden(stored), Hidden(password)
        del stored, password
        try:
            text = Hidden(hashable(typed))
            memory_cost = _parameters(hash).memory_cost
            if memory_cost * 1024 > self.memory_budget:
                raise _UnusableHash
        except PasswordRejected:
            return self._compute(partial(self._refuse, "bad_input"))
        except _UnusableHash:
            return self._compute(partial(self._refuse, "no_hash" if hash.value is None else "bad_hash"))
        return self._compute(partial(self._check, Hidden(str(hash.value)), text), memory_cost)

    def _compute(self, function: Callable[[], T], memory_cost: int = 0) -> T:
        """Call it in a hashing thread, where it may take so many KiB, and in any case those of today's costs."""
        size = max(memory_cost, self.memory_cost) * 1024
        return compute(function, Share(size, self.memory_budget, whose=self))

    # What follows runs in a hashing thread.

    def _hash(self, text: Hidden[bytes]) -> str:
        try:
            return self._hasher.hash(text.value)
        except HashingError:  # there is no memory, or no thread for a lane
            raise Busy(retry_after=int(PATIENCE)) from None

    def _check(self, stored: Hidden[str], text: Hidden[bytes]) -> Verified:
        begun_at = perf_counter()
        try:
            self._hasher.verify(stored.value, text.value)
        except VerifyMismatchError:
            self._top_up(begun_at, stored)
            return Verified(False, reason="mismatch")
        except VerificationError:  # argon2 refused to begin: the salt is too short, or not base64
            return self._refuse("bad_hash")
        return Verified(True, None if self._is_current(stored) else self._hash(text))

    def _refuse(self, reason: str) -> Verified:
        """A refusal without any hash to check, after the same computation as every other refusal."""
        begun_at = perf_counter()
        self._waste(self.memory_cost)
        self._full.append(perf_counter() - begun_at)
        return Verified(False, reason=reason)

    def _top_up(self, begun_at: float, stored: Hidden[str]) -> None:
        """After a wrong password: do what a computation at today's costs would have done beyond this one."""
        costs = memory_cost, time_cost, _parallelism = _costs(stored)
        if costs == (self.memory_cost, self.time_cost, self.parallelism):
            self._full.append(perf_counter() - begun_at)
            return
        done = memory_cost * time_cost / (self.memory_cost * self.time_cost)
        rest = self._rests.setdefault(costs, _Rest(max(0.0, 1 - done)))
        self._waste(int(self.memory_cost * rest.share))
        with suppress(IndexError):
            rest.learn(perf_counter() - begun_at - self._full.pop())

    def _waste(self, memory_cost: int) -> None:
        """Do the work of a check with so much memory, of which nothing comes."""
        if memory_cost < 8 * self.parallelism:
            return
        try:
            self._hasher.verify(self._decoy(memory_cost), b"no account has this password")
        except VerifyMismatchError:
            pass
        except VerificationError:  # there is no memory, or no thread for a lane
            raise Busy(retry_after=int(PATIENCE)) from None

    def _decoy(self, memory_cost: int) -> str:
        """A hash that no password has, made up of random bytes: nothing to make, and the full cost to check."""
        salt, digest = (b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
        return f"$argon2id$v=19$m={memory_cost},t={self.time_cost},p={self.parallelism}${salt}${digest}"

    def _is_current(self, stored: Hidden[str]) -> bool:
        """Whether the hash was made at today's costs, by the same kind of argon2."""
        return argon2.extract_parameters(stored.value) == self._today

    @cached_property
    def _today(self) -> argon2.Parameters:
        return argon2.extract_parameters(self._decoy(self.memory_cost))

    @cached_property
    def _hasher(self) -> argon2.PasswordHasher:
        return argon2.PasswordHasher(self.time_cost, self.memory_cost, self.parallelism, type=argon2.Type.ID)

    @cached_property
    def _full(self) -> deque[float]:
        """How many seconds the latest computations at today's costs took, of which nothing was learned yet."""
        return deque(maxlen=_REMEMBERED)

    @cached_property
    def _rests(self) -> dict[tuple[int, int, int], _Rest]:
        """What is left to do after a computation at other costs than today's."""
        return {}


@dataclass
class _Rest:
    """What is left to do after a computation at lower costs: one at today's costs, but with this share of the memory.

    Memory times passes is a first guess. How long a pass takes depends on the processor's caches, so the share is
    learned from then on, until both together are as often longer as they are shorter than one computation at today's
    costs. (To wait until some average time instead would be seen: computations are late more often than early.)
    """

    share: float
    lessons: int = 0

    def learn(self, excess: float) -> None:
        """Correct it, by how much longer both took. Only the sign counts, and each lesson less than those before."""
        self.lessons += 1
        step = max(_FIRST_STEP / self.lessons**0.5, _LEAST_STEP)
        self.share = min(1.0, max(0.0, self.share - step if excess > 0 else self.share + step))


#: Shared by everybody who does not pass another one.
DEFAULT_HASHER = Argon2Hasher()


def hash_password(password: str) -> str:
    """The password's hash, to be stored. Raises `PasswordRejected` for what cannot be hashed.

    `validate_password` says whether it is good enough for a new password.
    """
    typed = Hidden(password)
    del password
    return DEFAULT_HASHER.hash(typed.value)


def verify_password(stored: str | None, password: str) -> Verified:
    """Whether `stored` is this password's hash. Pass None for a user who does not exist: that takes as long.

    Never raises for what was typed or stored. If the result is true and its `rehash` is not None, store that instead,
    unless the stored hash has changed meanwhile. Raises `Busy` after five seconds without a turn.
    """
    hash, typed = Hidden(stored), Hidden(password)
    del stored, password
    verified = DEFAULT_HASHER.verify(hash.value, typed.value)
    if verified.reason == "bad_hash":
        _warn_of_unusable_hash()
    return verified


@cache  # so that it is said once
def _warn_of_unusable_hash() -> None:
    _logger.warning(
        "verify_password(): a stored hash is not argon2id, so no password fits it. If the hashes are Django's, "
        "werkzeug's or bcrypt's, check them by that library, and store hash_password(password) once the password was "
        "right. This is said once."
    )


def hashable(typed: Hidden[str]) -> bytes:
    """The password as the bytes to hash. Only NFC is applied (NIST SP 800-63B-4), without trimming or case folding."""
    if not isinstance(typed.value, str):
        raise TypeError(f"a password must be text, not {type(typed.value).__name__}")
    # The length comes first: normalising a long run of combining marks takes time that grows with its square.
    if len(typed.value) > MAX_CHARACTERS:
        raise PasswordRejected(f"Please choose a password of at most {MAX_CHARACTERS} characters.", reason="too_long")
    if "\0" in typed.value:
        raise PasswordRejected("Please choose a password without control characters.", reason="invalid")
    if _has_surrogate(typed.value):  # asked beforehand, because a UnicodeEncodeError carries the whole text
        raise PasswordRejected("Please choose a password of ordinary characters.", reason="invalid")
    return normalize("NFC", typed.value).encode()


def _costs(stored: Hidden[str]) -> tuple[int, int, int]:
    parameters = argon2.extract_parameters(stored.value)
    return parameters.memory_cost, parameters.time_cost, parameters.parallelism


def _parameters(stored: Hidden[str | None]) -> argon2.Parameters:
    """What a stored hash asks for, read before argon2 sees it. Raises `_UnusableHash`."""
    if not isinstance(stored.value, str) or len(stored.value) > _MAX_STORED_CHARACTERS or not _is_phc(stored.value):
        raise _UnusableHash
    parameters = argon2.extract_parameters(stored.value)
    if parameters.time_cost > _MAX_TIME_COST or parameters.parallelism > _MAX_PARALLELISM:
        raise _UnusableHash
    return parameters
