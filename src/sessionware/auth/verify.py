"""Username and password, checked at the same cost for any name, with the reason for a refusal given to the operator.

Nothing here may return early for a name that does not exist: the time that an answer takes must not reveal whether an
account exists (ASVS 5.0 6.3.8).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from .._checks import shown, takes
from .._hidden import Hidden, HiddenText, raised_where
from ..errors import Busy, ConfigError, LoginFailed, PasswordRejected, StoreError
from ..events import EventName
from ..usernames import MAX_CHARACTERS, username_key
from ._hashing_threads import compute
from .passwords import Hasher, Verified, hashable
from .throttling.known_devices import KnownDevices
from .throttling.lanes import Attempt, Lanes
from .users.base import User, Users
from .where import Where

VerifyLegacy = Callable[[str, str], "bool | None"]
"""Takes a stored hash and a password. None if it does not know that kind of hash."""

# How many accounts with an unusable hash are remembered, so that each is told once, however often somebody tries it.
_REMEMBERED = 1000


class FailureEvent(NamedTuple):
    """The event that reports a refusal."""

    name: EventName
    session_id: str | None = None
    advice: str = ""
    """What an operator can make of it, after the reason."""


LOGIN_FAILED = FailureEvent("login.failed")


def confirm_failed(session_id: str | None) -> FailureEvent:
    """Of a password that was asked for once more, in the session with this handle."""
    advice = "; if there are several in this session, end it: somebody else is at its browser, or has its cookie"
    return FailureEvent("login.confirm_failed", session_id, advice)


class Verifier:
    """Checks who somebody is against one table of accounts."""

    def __init__(
        self,
        users: Users,
        hasher: Hasher,
        verify_legacy: VerifyLegacy | None,
        lanes: Lanes,
        known_devices: KnownDevices,
    ) -> None:
        if verify_legacy is not None and not (callable(verify_legacy) and takes(verify_legacy, 2)):
            raise ConfigError(
                f"verify_legacy={shown(verify_legacy)}: pass a function that takes a stored hash and a password, and "
                "returns True, False, or None for a hash that it does not know."
            )
        self._users = users
        self._hasher = hasher
        self._verify_legacy = verify_legacy
        self._lanes = lanes
        self._known_devices = known_devices
        self._told_unusable: deque[str] = deque(maxlen=_REMEMBERED)

    def authenticate(
        self, where: Where, username: str, typed: Hidden[str], *, told_as: FailureEvent = LOGIN_FAILED
    ) -> User:
        """The account that name and password belong to.

        Raises `LoginFailed`, whatever is wrong, `Throttled` before anything is looked at, and `Busy`.
        """
        _check_text(type(username), type(typed.value))
        key = username_key(username)
        name = name_tried(username, key)
        attempt, user = self._looked_up(where, name, key)
        with attempt.given_back_if_it_fails():
            verified = self._checked(user, typed, where)
        if user is None or not verified or not user.is_active:
            if user is not None and verified.reason == "bad_hash":
                self._tell_unusable(user, where)
            where.emit(
                told_as.name,
                session_id=told_as.session_id,
                user_id=user.id if user is not None else None,
                account=_account(where, username, key, user),
                detail=f"{_reason(key, user, verified)}{told_as.advice}",
            )
            raise LoginFailed
        attempt.succeeded()
        return self._rehashed(user, verified, where)

    def _looked_up(self, where: Where, name: str, key: str | None) -> tuple[Attempt, User | None]:
        """The attempt, once it has passed its lanes, and the account."""
        known = self._known_devices.find(where, name)
        attempt = self._lanes.enter(where, name, None if known is None else known.device)
        with attempt.given_back_if_it_fails():
            user = self._users.find_by_key(key) if key is not None else None
        if known is not None and not known.is_of(user):
            # It knew another account of this name, or this one when it had another password. Whoever knew that one
            # may have made himself known as often as he liked, and has no lanes of his own any more.
            attempt.give_back()
            attempt = self._lanes.enter(where, name, None)
        return attempt, user

    def _checked(self, user: User | None, typed: Hidden[str], where: Where) -> Verified:
        stored = Hidden(user.password_hash if user is not None else None)
        try:
            is_right = self._asked_legacy(user, typed, where)
            if is_right is None:
                return self._hasher.verify(stored.value, typed.value)
            return Verified(True, self._new_hash(typed)) if is_right else Verified(False, reason="mismatch")
        except Busy:
            where.emit("login.busy", detail="more logins at once than there is memory for their hashes: an attack?")
            raise

    def _asked_legacy(self, user: User | None, typed: Hidden[str], where: Where) -> bool | None:
        """What `verify_legacy` says. None if it is not asked, or does not know."""
        if self._verify_legacy is None or user is None or not _is_legacy(user.password_hash) or not _is_sound(typed):
            return None
        stored = Hidden(str(user.password_hash))
        answer = compute(partial(_ask, self._verify_legacy, stored, typed))
        if isinstance(answer, _Failed):
            where.emit("login.legacy_failed", user, detail=answer.why)
            return False
        return answer

    def _new_hash(self, typed: Hidden[str]) -> str | None:
        try:
            return self._hasher.hash(typed.value)
        except Busy:  # it can wait for the next login; this one is right
            return None

    def _tell_unusable(self, user: User, where: Where) -> None:
        """Report, once, an account that nobody can log in to."""
        if user.id not in self._told_unusable:
            self._told_unusable.append(user.id)
            where.emit("login.unusable_hash", user, detail=self._why_unusable(user))

    def _why_unusable(self, user: User) -> str:
        if not _is_legacy(user.password_hash):
            return "stored hash is cut off, or asks for more memory, passes or lanes than the hasher allows"
        if self._verify_legacy is None:
            return "stored hash is not argon2id; pass verify_legacy= to Auth"
        return "stored hash is not argon2id, and verify_legacy does not know it either"

    def _rehashed(self, user: User, verified: Verified, where: Where) -> User:
        """The user with a hash by today's settings, unless the password was changed meanwhile.

        The login holds either way. No session ends because of it.
        """
        if verified.rehash is None:
            return user
        try:
            fresh, expected = HiddenText(verified.rehash), user.password_hash
            if not self._users.set_password(user.id, fresh, expect=expected, ends_sessions=False):
                return user
        except StoreError as error:
            where.emit("store.unavailable", user_id=user.id, detail=f"rehash: {error}")
            return user
        where.emit("account.rehashed", user)
        rehashed = replace(user, password_hash=fresh)
        self._known_devices.follow(where, user, rehashed)
        return rehashed


class _Failed(NamedTuple):
    """`verify_legacy` gave no answer."""

    why: str


def _ask(verify_legacy: VerifyLegacy, stored: Hidden[str], typed: Hidden[str]) -> bool | _Failed | None:
    try:
        answer: object = verify_legacy(stored.value, typed.value)
    except Exception as error:
        return _Failed(f"verify_legacy raised {raised_where(error)}")
    if answer is True or answer is False or answer is None:
        return answer
    # Nothing else lets anybody in: a coroutine, or a tuple of False and a reason, is true as well.
    return _Failed(f"verify_legacy returned an object of type {type(answer).__name__}, not True, False or None")


def _is_legacy(stored: str | None) -> bool:
    """Whether what is stored was not made by argon2, but by something else."""
    return isinstance(stored, str) and not stored.startswith("$argon2")


def _is_sound(typed: Hidden[str]) -> bool:
    """Whether an account could have this password, so that it is worth asking for."""
    try:
        hashable(typed)
    except PasswordRejected:
        return False
    return True


def _check_text(*types: type) -> None:
    """Raise `TypeError` for anything but text: a list of names must not get as far as a look-up."""
    for kind in types:
        if not issubclass(kind, str):
            raise TypeError(f"username and password must be text, not {kind.__name__}")


def name_tried(username: str, key: str | None) -> str:
    """What attempts at a name are counted under: the same for all spellings, and for what cannot be a name as well."""
    return key if key is not None else username[:MAX_CHARACTERS]


def _account(where: Where, username: str, key: str | None, user: User | None) -> str:
    """What events call an account. People type passwords into the name field, so only a name that exists is shown."""
    if user is not None:
        return user.key
    return where.manager._account_digest(name_tried(username, key))


def _reason(key: str | None, user: User | None, verified: Verified) -> str:
    """Why a login failed. This is for the operator only, never for the visitor."""
    if verified:
        return "inactive"
    if key is None or verified.reason == "bad_input":
        return "bad_input"
    return "unknown" if user is None else verified.reason
