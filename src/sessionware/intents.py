"""What a request wants of the session itself, beyond its data: a login, a new token, a longer life.

These are the header fields of the envelope, and only what was asked for here changes them (rule 4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .envelope import Envelope
from .ticket import token_hash
from .timeouts import Lifetimes


class Login(NamedTuple):
    """Who logs in. `check` is asked once the login is stored; if it says no, the session is ended again."""

    username: str
    user_id: str | None = None
    user_version: int | None = None
    check: Callable[[], object] | None = None


class Intents(NamedTuple):
    """A request's wishes, until they are saved."""

    login: Login | None = None
    rotates: bool = False
    remember: int | None = None
    """Seconds."""
    creates: bool = False
    """Store the session even if it holds no data."""

    @property
    def needs_token(self) -> bool:
        """Whether the session gets a new token, and its epoch moves."""
        return self.login is not None or self.rotates

    def apply(self, envelope: Envelope, now: int, token: bytes | None, lifetimes: Lifetimes) -> Envelope:
        """The envelope as it is wanted, with the new token if there is one."""
        if token is not None and self.needs_token:
            envelope = envelope._replace(token_hash=token_hash(token), rotated_at=now, epoch=envelope.epoch + 1)
        if self.login is not None:
            envelope = envelope._replace(
                username=self.login.username,
                user_id=self.login.user_id,
                user_version=self.login.user_version,
                authenticated_at=now,
                deadline=now + lifetimes.lifetime,
                idle=lifetimes.idle,
            )
        if self.remember is not None:
            begins_at = envelope.created_at if envelope.authenticated_at is None else envelope.authenticated_at
            envelope = envelope._replace(deadline=begins_at + self.remember, idle=None)
        return envelope


NO_INTENTS = Intents()
