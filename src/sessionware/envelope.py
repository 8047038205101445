"""What is inside a record's payload: the session's header fields and its data, sealed.

    payload = format version (1 byte) ‖ key id (4 bytes) ‖ AES-SIV(msgpack, bound to id, version and owner)

A payload opens only in the record for which it was sealed: one that was copied onto another id, put back from an
older version, or given another owner does not open.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from .changes import Data
from .keyring import Keyring, UnknownKey
from .stores.base import Record
from .values import decode, encode

FORMAT_VERSION = 1
_FORMAT_BYTE = bytes([FORMAT_VERSION])


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
        ends = [now + self.idle] if self.idle is not None else []
        return min([*ends, self.deadline] if self.deadline is not None else ends)

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


class Unsealed(NamedTuple):
    """An opened envelope, and whether an old secret sealed it."""

    envelope: Envelope
    is_stale: bool


class EnvelopeSealer:
    """Puts envelopes into payloads and takes them out."""

    def __init__(self, keyring: Keyring) -> None:
        self._sealer = keyring.sealer("record")

    def seal(self, envelope: Envelope, id: bytes, version: int, owner: bytes | None) -> bytes:
        """The payload for the record with this id, version and owner."""
        packed = encode(list(envelope))
        return _FORMAT_BYTE + self._sealer.seal_tagged(packed, *_context(id, version, owner))

    def open(self, record: Record) -> Unsealed | Unreadable:
        """The envelope in a record, or why there is none to be had. Nothing is parsed before it is authenticated."""
        payload = record.payload
        if payload[:1] != _FORMAT_BYTE:
            return Unreadable.UNKNOWN_KEY if payload[:1] > _FORMAT_BYTE else Unreadable.CORRUPT
        try:
            opened = self._sealer.open_tagged(payload[1:], *_context(record.id, record.version, record.owner))
        except UnknownKey:
            return Unreadable.UNKNOWN_KEY
        if opened is None:
            return Unreadable.CORRUPT
        try:
            return Unsealed(Envelope._make(decode(opened.plaintext)), opened.is_stale)
        except (ValueError, TypeError):
            return Unreadable.CORRUPT


def _context(id: bytes, version: int, owner: bytes | None) -> tuple[bytes, ...]:
    return _FORMAT_BYTE, id, version.to_bytes(8, "big"), owner or b""
