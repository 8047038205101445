"""Forgotten passwords: a link that is good for one use, and the new password that it lets its holder set.

Several links to one account may be good at a time, because mails overtake each other, and because otherwise anybody who
asks for another link would spoil the one that the account's owner is about to follow. The first one that is used makes
all others void, as any change of the account does: they are bound to its name, its session version and its password.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from hmac import compare_digest

from .._hidden import Hidden, HiddenText
from ..errors import ConfigError, TokenInvalid
from ..usernames import MAX_CHARACTERS, username_key
from .endings import AccountSessions
from .new_passwords import NewPasswords
from .outbox import Job, Letter, Outbox
from .throttling.lanes import Lanes
from .users.base import User, Users, check_account
from .verify import name_tried
from .where import Where

#: Seconds that a link is good for. NIST SP 800-63B-4 §4.2 allows a day for one that comes by mail.
RESET_SECONDS = 3600

_PURPOSE = "reset"


class Recovery:
    """Lets the owners of accounts choose a new password without the old one."""

    def __init__(
        self, users: Users, new: NewPasswords, sessions: AccountSessions, outbox: Outbox, lanes: Lanes
    ) -> None:
        self._users = users
        self._lanes = lanes
        self._new = new
        self._sessions = sessions
        self._outbox = outbox

    def request(self, where: Where, username: str) -> None:
        """Send a link to whoever has this name. What happens before this returns is the same for every name.

        Raises `Throttled` and `StoreUnavailable`.
        """
        if not self._outbox.is_open:
            raise ConfigError("request_reset() needs a way to send the link: write Auth(users, send=…).")
        self._lanes.enter_reset(where, name_tried(username, username_key(username)))
        typed = Hidden(username[: MAX_CHARACTERS + 1])  # as much as shows that it is too long to be a name
        del username
        later = where.afterwards()
        self._outbox.put(Job(later, "reset", lambda: self._letter(later, typed)))

    def token_for(self, where: Where, username: str) -> str | None:
        """A new token for the account with this name; None if there is none that may have one."""
        typed = Hidden(username)
        del username
        user = self._find(typed)
        if user is None or _why_not(user):
            return None
        where.emit("account.reset_requested", user, **where.actor().told())
        return self._issue(where, user)

    def reset(self, where: Where, token: Hidden[str], new: Hidden[str]) -> User:
        """Set a new password by a token, which is used up by that. The account as it is then.

        If the table of accounts fails after the token was used up, the old password stays, and its owner has to ask for
        another link. The other way round, a token would be good for two passwords.
        """
        if not isinstance(token.value, str):
            raise TypeError(f"a token must be text, not {type(token.value).__name__}")
        claim = where.manager._one_time.find(_PURPOSE, token)
        if claim is None:
            raise self._invalid(where, None, "unknown, used or expired")
        user = self._holder(where, claim.subject, claim.state)
        self._new.check_alone(new, user.username)  # a password that is rejected leaves the token good
        self._new.check_breaches(new, where)
        stored = self._new.hashed(new)
        if not where.manager._one_time.spend(claim):
            raise self._invalid(where, user, "used by another request at the same moment")
        if not self._users.set_password(user.id, stored, expect=user.password_hash, ends_sessions=True):
            raise self._invalid(where, user, "the account was changed at the same moment")
        user = replace(user, password_hash=stored, session_version=user.session_version + 1)
        where.emit("account.reset", user)
        self._outbox.notify(where, "password_changed", user)
        self._sessions.end_all(where.manager, where.session, user.id, "password")
        return user

    # Small steps

    def _letter(self, where: Where, typed: Hidden[str]) -> Letter | None:
        """The message with the link, if there is anybody to send it to. Called when the answer is out."""
        user = self._find(typed)
        why_not = "unknown" if user is None else _why_not(user)
        if user is None:
            key = username_key(typed.value)
            digest = where.manager._account_digest(typed.value[:MAX_CHARACTERS] if key is None else key)
            where.emit("account.reset_requested", account=digest, detail=why_not)
            return None
        where.emit("account.reset_requested", user, detail=why_not)
        return None if why_not else Letter("reset", user, HiddenText(f"/reset?token={self._issue(where, user)}"))

    def _issue(self, where: Where, user: User) -> HiddenText:
        return where.manager._one_time.issue(_PURPOSE, user.id, _state(user), RESET_SECONDS)

    def _find(self, typed: Hidden[str]) -> User | None:
        key = username_key(typed.value)
        user = None if key is None else self._users.find_by_key(key)
        if user is not None:
            check_account(user)
        return user

    def _holder(self, where: Where, user_id: str, state: bytes) -> User:
        """The account that a token is for, if it has not changed since. Raises `TokenInvalid`."""
        user = self._users.get(user_id)
        if user is None:
            raise self._invalid(where, None, "the account is gone")
        check_account(user, user_id)
        if not compare_digest(_state(user), state):
            raise self._invalid(where, user, "the account has changed since")
        if why_not := _why_not(user):
            raise self._invalid(where, user, why_not)
        return user

    def _invalid(self, where: Where, user: User | None, why: str) -> TokenInvalid:
        where.emit("login.failed", user, detail=f"reset_password(): {why}")
        return TokenInvalid()


def _state(user: User) -> bytes:
    """What changes with the account. With the hash in it, no other table's account of the same id has the same."""
    parts = HiddenText("\0".join([user.key, str(user.session_version), user.password_hash or ""]))
    return sha256(parts.encode("utf-8", "surrogatepass")).digest()


def _why_not(user: User) -> str:
    """Why nobody may choose a new password for this account; empty if somebody may."""
    if not user.is_active:
        return "inactive"
    return "" if user.password_hash is not None else "an account without a password"
