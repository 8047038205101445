"""What is inside a record's payload: the session's header fields and its data, sealed.

    payload = format version (1 byte) ‖ key id (4 bytes) ‖ AES-SIV(msgpack, bound to format, id, version and owner)

A payload opens only in the record for which it was sealed. One that was copied to another id, put back from an older
version, or given another owner does not open.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct
from typing import NamedTuple

from .._seals import TaggedSealer, UnknownKey
from ..stores.base import Record
from .values import Data, decode, encode

FORMAT_VERSION = 1
FORMAT_BYTE = bytes([FORMAT_VERSION])
_CONTEXT = Struct(">B16sQ")


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


def seal_envelope(sealer: TaggedSealer, envelope: Envelope, id: bytes, version: int, owner: bytes | None) -> bytes:
    """The payload for the record with this id, version and owner."""
    return sealer.seal(encode(list(envelope)), _context(id, version, owner))


def open_record(sealer: TaggedSealer, record: Record) -> Stored | Unreadable:
    """The record with its envelope, or why there is none. Nothing is parsed before it is authenticated."""
    id, version, _, owner, payload = record
    try:
        opened = sealer.open(payload, _context(id, version, owner))
    except UnknownKey:
        return Unreadable.UNKNOWN_KEY if payload[:1] >= FORMAT_BYTE else Unreadable.CORRUPT
    if opened is None:
        return Unreadable.CORRUPT
    packed, is_stale = opened
    try:
        return Stored(record, Envelope._make(decode(packed)), is_stale)
    except (ValueError, TypeError):
        return Unreadable.CORRUPT


def _context(id: bytes, version: int, owner: bytes | None) -> bytes:
    """What a payload is bound to. All but the owner have fixed lengths, so no byte can move from one to the next."""
    context = _CONTEXT.pack(FORMAT_VERSION, id, version)
    return context if owner is None else context + owner
