"""The sessions of one account, as its owner may look through them and end them."""

from __future__ import annotations

from dataclasses import dataclass

from ..envelope import Stored
from ..records import Records
from .users import User


@dataclass(frozen=True)
class UserSession:
    """One place where somebody is logged in. Times are in seconds since the epoch."""

    id: str
    """The handle, by which it can be ended. No credential."""
    authenticated_at: int
    """When it was logged in to."""
    seen_at: int | None
    """When it was used last, give or take a twentieth of its idle limit; None for one that is remembered."""
    expires_at: int
    is_current: bool
    """Whether it is the one that is asking."""


def sessions_of(user: User, records: Records, current_id: str | None) -> list[UserSession]:
    """Where this user is logged in, the latest login first. Those from before its present version are over."""
    alive = (stored for stored in records.owned_by(user_id=user.id) if stored.envelope.user_version == user.version)
    listed = [_user_session(stored, current_id) for stored in alive]
    return sorted(listed, key=lambda session: session.authenticated_at, reverse=True)


def _user_session(stored: Stored, current_id: str | None) -> UserSession:
    record, envelope = stored.record, stored.envelope
    id = record.id.hex()
    seen_at = record.expires_at - envelope.idle if envelope.idle is not None else None
    began_at = envelope.authenticated_at or envelope.created_at
    return UserSession(id, began_at, seen_at and max(seen_at, began_at), record.expires_at, id == current_id)
