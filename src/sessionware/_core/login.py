"""A login, and what it may take over from the session that it missed (rules 5 and 6).

A login that finds no record to log in to, because another request was faster, is on its own: its credentials were just
checked, so it is not dropped. If the other request was the same person's login (a double click), it joins that session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .._storable import checked_text
from .envelope import MAX_SIBLINGS, SHORT_HASH_BYTES, Envelope, blank, holds_hash, lasting
from .lifetime import Limits, is_recent
from .values import decode, encode

#: What `extra` has room for beside everything else that goes into it.
_MAX_NOTE_BYTES = 512


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
    methods: tuple[str, ...] = ()
    """How the user proved who it is."""
    note: dict[str, Any] | None = None


class Renewal(NamedTuple):
    """A new token for the session of somebody who is logged in, and what is written with it in one go."""

    username: str | None = None
    session_version: int | None = None
    methods: tuple[str, ...] = ()
    """What was proved just now."""
    reauthenticates: bool = False
    """Whether that was enough to count as a login of its own: its lifetime begins anew (NIST SP 800-63B-4 §5.2)."""
    what: str = "renew_token()"
    """The call that asked for it, for events."""

    def beside(self, earlier: Renewal | None) -> Renewal:
        """Both in one, if the same request asked for another before."""
        if earlier is None:
            return self
        return Renewal(
            self.username or earlier.username,
            earlier.session_version if self.session_version is None else self.session_version,
            (*earlier.methods, *self.methods),
            self.reauthenticates or earlier.reauthenticates,
            ", ".join(dict.fromkeys((earlier.what, self.what))),
        )


def checked_note(note: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A login's note, as it will come back. Raises `TypeError`, and `ValueError` for one that is too large."""
    if note is None:
        return None
    if not isinstance(note, Mapping):
        raise TypeError(f"a note must be a mapping, not {type(note).__name__}")
    encoded = encode({checked_text(key, "a note's key"): value for key, value in note.items()})
    if len(encoded) > _MAX_NOTE_BYTES:
        raise ValueError(f"a note must be at most {_MAX_NOTE_BYTES} bytes, encoded; this one has {len(encoded)}")
    kept: dict[str, Any] = decode(encoded)
    return kept


def may_join(login: Login, token_hash: bytes, other: Envelope, now: int) -> bool:
    """Whether a login of the same user may join this session, with a token of its own beside the one that is there.

    It may if that login was made a moment ago, on the same terms, and replaced the very token that this one came with.
    A renewal leaves no such proof, because it may have come with more rights than the password gives.
    """
    return (
        other.authenticated_at is not None
        and is_recent(other.authenticated_at, now)
        and (login.session_version, login.own_limits) == (other.session_version, other.own_limits)
        and set(login.methods) == set(other.methods)
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

#: The same if there was an anonymous visitor before, who gets the data back if the others are taken back as well.
VISITORS_NO_TOKEN = bytes(31) + b"\1"


def left_to_others(envelope: Envelope, before: Envelope) -> Envelope:
    """The session without the token of its first login, for those that joined it."""
    is_visitors = before.authenticated_at is None
    return envelope._replace(token_hash=VISITORS_NO_TOKEN if is_visitors else NO_TOKEN)


def given_back(envelope: Envelope, token_hash: bytes, now: int, limits: Limits) -> Envelope:
    """The session as the visitor's again, once none of its logins is left."""
    fresh = blank(now, token_hash, limits.anonymous, limits.anonymous_lifetime, envelope.data)
    fresh = fresh._replace(epoch=envelope.epoch + 1, extra=lasting(envelope.extra))
    return fresh.with_extra(cs=envelope.csrf_renewals) if envelope.csrf_renewals else fresh


def without_joined(envelope: Envelope, token_hash: bytes) -> Envelope:
    """The session without one of the tokens that joined it."""
    size, own = SHORT_HASH_BYTES, token_hash[:SHORT_HASH_BYTES]
    hashes = (envelope.siblings[at : at + size] for at in range(0, len(envelope.siblings), size))
    return envelope.with_extra(si=b"".join(each for each in hashes if each != own) or None)
