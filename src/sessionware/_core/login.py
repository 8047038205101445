"""A login, and what it may take over from the session that it missed (rules 5 and 6).

A login that finds no record to log in to, because another request was faster, is on its own: its credentials were just
checked, so it is not dropped. If the other request was the same person's login (a double click), it joins that session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .envelope import MAX_SIBLINGS, SHORT_HASH_BYTES, Envelope, blank, holds_hash, lasting
from .lifetime import Limits, is_recent


class Login(NamedTuple):
    """Who logs in.

    `check` is called once the login is stored. If it returns something false, the session is ended; if it raises, the
    login is taken back.
    """

    username: str
    user_id: str | None = None
    session_version: int | None = None
    check: Callable[[], object] | None = None
    own_limits: list[int] | None = None
    """As `Envelope.own_limits`."""


def may_join(login: Login, token_hash: bytes, other: Envelope, now: int) -> bool:
    """Whether a login of the same user may join this session, with a token of its own beside the one that is there.

    It may if that login was made a moment ago, on the same terms, and replaced the very token that this one came with.
    A renewal leaves no such proof, because it may have come with more rights than the password gives.
    """
    return (
        other.authenticated_at is not None
        and is_recent(other.authenticated_at, now)
        and (login.session_version, login.own_limits) == (other.session_version, other.own_limits)
        and len(other.siblings) < MAX_SIBLINGS * SHORT_HASH_BYTES
        and holds_hash(other.replaced, token_hash)
    )


def emptied(envelope: Envelope, now: int, limits: Limits) -> Envelope:
    """What is left of another user's session: nobody's, and without data."""
    empty = blank(now, b"", limits.anonymous, limits.anonymous_lifetime, {})
    return empty._replace(extra=lasting(envelope.extra))


def taken_back(before: Envelope, epoch: int, token_hash: bytes, now: int) -> Envelope:
    """The session as it was before a login of this epoch, with a new token."""
    if before.extra:
        before = before.with_extra(si=None, pt=None)
    return before._replace(epoch=epoch + 1, token_hash=token_hash, rotated_at=now)


#: What no token's hash is: that of a session whose first login was taken back, while another one had joined it.
NO_TOKEN = bytes(32)


def without_joined(envelope: Envelope, token_hash: bytes) -> Envelope:
    """The session without one of the tokens that joined it."""
    size, own = SHORT_HASH_BYTES, token_hash[:SHORT_HASH_BYTES]
    hashes = (envelope.siblings[at : at + size] for at in range(0, len(envelope.siblings), size))
    return envelope.with_extra(si=b"".join(each for each in hashes if each != own) or None)
