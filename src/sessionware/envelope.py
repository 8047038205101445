"""What is inside a record's payload: the session's header fields and its data, sealed.

    payload = format version (1 byte) ‖ key id (4 bytes) ‖ AES-SIV(msgpack, bound to format, id, version and owner)

A payload opens only in the record for which it was sealed: one that was copied onto another id, put back from an
older version, or given another owner does not open.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct
from typing import NamedTuple

from .changes import Data
from .keyring import Keyring
from .sealer import UnknownKey
from .stores.base import Record
from .values import decode, encode

FORMAT_VERSION = 1
_FORMAT_BYTE = bytes([FORMAT_VERSION])
_CONTEXT = Struct(">B16sQ")


class Envelope(NamedTuple):
    """A session's header fields and data. Times are whole seconds since the epoch; None is "none"."""

    created_at: int
    authenticated_at: int | None
    deadline: int | None
    """No activity keeps the session alive beyond this."""
    epoch: int
    """One more at each login, logout and change of token: nothing begun before one lands after it."""
    token_hash: bytes
    """SHA-256 of the token; empty in a tombstone, which no token fits."""
    rotated_at: int
    """When the token last changed."""
    idle: int | None
    """Seconds without a request after which the session ends; None while it is remembered until the deadline."""
    username: str | None
    user_id: str | None
    user_version: int | None
    data: Data

    def expires_at(self, now: int) -> int:
        """When the session ends if nobody uses it after `now`."""
        if self.idle is None:
            return now if self.deadline is None else self.deadline
        idles_until = now + self.idle
        return idles_until if self.deadline is None or idles_until < self.deadline else self.deadline

    def with_data(self, data: Data) -> Envelope:
        """The same header over other data. (`_replace` takes four times as long.)"""
        return Envelope._make((*self[:-1], data))

    @property
    def is_tombstone(self) -> bool:
        """Whether the session was ended; what is left says so to requests that are still on their way."""
        return not self.token_hash


class Unreadable(Enum):
    """Why an envelope could not be opened."""

    UNKNOWN_KEY = "unknown_key"
    """Sealed by a secret, or in a format, that this server does not know (yet). Not to be deleted."""
    CORRUPT = "corrupt"
    """Damaged, or not sealed for this record."""


class Stored(NamedTuple):
    """A record as it is in the store, opened."""

    record: Record
    envelope: Envelope
    is_stale: bool = False
    """An old secret sealed it."""


class EnvelopeSealer:
    """Puts envelopes into payloads and takes them out."""

    def __init__(self, keyring: Keyring) -> None:
        self._sealer = keyring.tagged_sealer("record", _FORMAT_BYTE)

    def seal(self, envelope: Envelope, id: bytes, version: int, owner: bytes | None) -> bytes:
        """The payload for the record with this id, version and owner."""
        return self._sealer.seal(encode(list(envelope)), _context(id, version, owner))

    def open(self, record: Record) -> Stored | Unreadable:
        """The record with its envelope, or why there is none. Nothing is parsed before it is authenticated."""
        id, version, _, owner, payload = record
        try:
            opened = self._sealer.open(payload, _context(id, version, owner))
        except UnknownKey:
            return Unreadable.UNKNOWN_KEY if payload[:1] >= _FORMAT_BYTE else Unreadable.CORRUPT
        if opened is None:
            return Unreadable.CORRUPT
        packed, is_stale = opened
        try:
            return Stored(record, Envelope._make(decode(packed)), is_stale)
        except (ValueError, TypeError):
            return Unreadable.CORRUPT


def _context(id: bytes, version: int, owner: bytes | None) -> bytes:
    """Format, id and version have fixed lengths, so none of them can be taken for a part of the next."""
    context = _CONTEXT.pack(FORMAT_VERSION, id, version)
    return context if owner is None else context + owner
