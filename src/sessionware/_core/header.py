"""What a request changes about the session itself, beyond its data: a login, a new token, a longer life.

These are the header fields of the envelope, and only what was asked for here changes them (rule 4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .envelope import Envelope, lasting
from .lifetime import Limits, remembered_until
from .tickets import token_hash


class Login(NamedTuple):
    """Who logs in. `check` is called once the login is stored; if it returns something false, the session is ended."""

    username: str
    user_id: str | None = None
    session_version: int | None = None
    check: Callable[[], object] | None = None


class HeaderChanges(NamedTuple):
    """What will be done to the header when this request is saved."""

    login: Login | None = None
    renews: bool = False
    """Replace the token."""
    remember: int | None = None
    """Seconds."""
    creates: bool = False
    """Store the session even if it holds no data."""

    @property
    def needs_token(self) -> bool:
        """Whether the session gets a new token, and its epoch moves."""
        return self.login is not None or self.renews

    def apply(self, envelope: Envelope, now: int, token: bytes | None, limits: Limits) -> Envelope:
        """The envelope with these changes, and with the new token if there is one."""
        if token is not None and self.needs_token:
            envelope = envelope._replace(token_hash=token_hash(token), rotated_at=now, epoch=envelope.epoch + 1)
        if self.login is not None:
            envelope = envelope._replace(
                username=self.login.username,
                user_id=self.login.user_id,
                session_version=self.login.session_version,
                authenticated_at=now,
                deadline=now + limits.lifetime,
                idle=limits.idle,
                extra=lasting(envelope.extra),
            )
        if self.remember is not None:
            envelope = envelope._replace(deadline=remembered_until(envelope.began_at, self.remember, limits), idle=None)
        return envelope


UNCHANGED = HeaderChanges()
