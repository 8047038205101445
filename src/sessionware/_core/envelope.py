"""What is inside a record's payload: the session's header fields and its data, sealed.

    payload = format version (1 byte) ‖ key id (4 bytes) ‖ AES-SIV(context ‖ msgpack of the header fields and the data)
    context = format, id, version, the lengths of path and owner, path, owner

A payload opens only in the record for which it was sealed. One that was copied to another id or into another
namespace, put back from an older version, or given another owner does not open.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct
from struct import error as StructError
from typing import NamedTuple

from .._seals import TaggedSealer, UnknownKey
from ..stores.base import Record
from .values import Data, decode, encode

FORMAT_VERSION = 1
FORMAT_BYTE = bytes([FORMAT_VERSION])
_ID_BYTES = 16

_CONTEXT = Struct(">B16sQHB")  # format, id, version, length of the path, 0 for no owner or 1 more than its length

NO_EXTRA: Data = {}
"""Shared by all envelopes without any, so never changed."""


class Envelope(NamedTuple):
    """A session's header fields and data. Times are whole seconds since the epoch. None means that there is none."""

    created_at: int
    authenticated_at: int | None
    deadline: int | None
    """No activity keeps the session alive beyond this."""
    epoch: int
    """Goes up by one with each new token. Nothing begun before one is saved after it."""
    token_hash: bytes
    """SHA-256 of the token; empty in a tombstone, which no token matches."""
    rotated_at: int
    """When the token last changed."""
    idle: int | None
    """Seconds without a request after which the session ends; None while it is remembered until the deadline."""
    username: str | None
    user_id: str | None
    session_version: int | None
    extra: Data
    """Whatever else the header has, each under a short name and as its value's own encoded bytes.

    What this release does not know rides along unread, through writes, touches and renewals, so that what the next
    release wrote comes back whole. Names in use, and the release that began to write them: none yet.
    """
    data: Data

    @property
    def began_at(self) -> int:
        """When somebody logged in, or, if nobody did, when it was created."""
        return self.created_at if self.authenticated_at is None else self.authenticated_at

    def with_data(self, data: Data) -> Envelope:
        """The same header with other data. (`_replace` takes four times as long.)"""
        return Envelope._make((*self[:-1], data))

    @property
    def is_tombstone(self) -> bool:
        """Whether the session was ended. The tombstone says so to requests that are still on their way."""
        return not self.token_hash


class Unreadable(Enum):
    """Why an envelope could not be opened."""

    UNKNOWN_KEY = "unknown_key"
    """Sealed by a secret, or in a format, that this server does not know (yet). Must not be deleted."""
    CORRUPT = "corrupt"
    """Damaged, or not sealed for this record."""


class Stored(NamedTuple):
    """A record as it is in the store, opened."""

    record: Record
    envelope: Envelope
    is_stale: bool = False
    """Whether an old secret sealed it."""


def blank(now: int, token_hash: bytes, idle: int, data: Data) -> Envelope:
    """The envelope of a session that begins now, and in which nobody is logged in."""
    return Envelope(now, None, None, 0, token_hash, now, idle, None, None, None, NO_EXTRA, data)


def tombstone(now: int, idle: int, extra: Data) -> Envelope:
    """What is left of a session that ended now."""
    return Envelope(now, None, None, 0, b"", now, idle, None, None, None, lasting(extra), {})


def lasting(extra: Data) -> Data:
    """What outlives a login and an end: names that begin with an underscore. Others belong to the login before."""
    return {name: value for name, value in extra.items() if name.startswith("_")} if extra else NO_EXTRA


def seal_envelope(sealer: TaggedSealer, envelope: Envelope, record: Record, path: bytes) -> bytes:
    """The payload for a record with this id, version and owner, in the namespace with this path."""
    return sealer.seal(_context(record.id, record.version, record.owner, path) + encode(list(envelope)))


def open_record(sealer: TaggedSealer, record: Record, path: bytes) -> Stored | Unreadable:
    """The record with its envelope, or why there is none. Nothing is parsed before it is authenticated.

    A row that is not even a record, because somebody else wrote it, is corrupt like any other that does not open.
    """
    try:
        id, version, expires_at, owner, payload = record
        if len(id) != _ID_BYTES or not isinstance(expires_at, int) or not isinstance(payload, bytes):
            return Unreadable.CORRUPT
        context = _context(id, version, owner, path)
        opened = sealer.open(payload)
        if opened is None or not opened[0].startswith(context):
            return Unreadable.CORRUPT
        plaintext, is_stale = opened
        envelope = Envelope._make(decode(plaintext[len(context) :]))
        if envelope.extra and not all(isinstance(name, str) for name in dict(envelope.extra)):
            return Unreadable.CORRUPT
        return Stored(record, envelope, is_stale)
    except UnknownKey:
        return Unreadable.UNKNOWN_KEY if record.payload[:1] >= FORMAT_BYTE else Unreadable.CORRUPT
    except (ValueError, TypeError, StructError):
        return Unreadable.CORRUPT


def _context(id: bytes, version: int, owner: bytes | None, path: bytes) -> bytes:
    """Lengths come first, so that no part can be taken for a piece of the next."""
    if owner is None:
        return _CONTEXT.pack(FORMAT_VERSION, id, version, len(path), 0) + path
    return _CONTEXT.pack(FORMAT_VERSION, id, version, len(path), len(owner) + 1) + path + owner
