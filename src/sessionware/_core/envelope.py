"""What is inside a record's payload: the session's header fields and its data, sealed.

    payload = format version (1 byte) ‖ key id (4 bytes) ‖ AES-SIV(context ‖ msgpack of the header fields and the data)
    context = format, id, version, the lengths of path and owner, path, owner

A payload opens only in the record for which it was sealed. One that was copied to another id or into another
namespace, put back from an older version, or given another owner does not open.
"""

from __future__ import annotations

from enum import Enum
from hmac import compare_digest
from struct import Struct
from struct import error as StructError
from typing import Any, NamedTuple

from .._seals import TaggedSealer, UnknownKey
from ..stores.base import Record
from .values import Data, decode, encode

FORMAT_VERSION = 1
FORMAT_BYTE = bytes([FORMAT_VERSION])
_ID_BYTES = 16

# The names in `extra` that this release writes. Each was first written by release 1.0.
SIBLINGS = "si"  # short hashes of the tokens that fit beside `token_hash`
REPLACED = "pt"  # short hashes of the tokens that the last login replaced
OWN_LIMITS = "li"  # idle limit, lifetime, and both while it is remembered, of a login with its own limits
SLIDING = "sl"  # seconds that each use grants a session whose `remember()` slides
CSRF_RENEWALS = "cs"  # how often the token for forms was renewed
METHODS = "me"  # how the user proved who it is, each with the time
DEVICE = "dv"  # a few words about the browser, for its owner to know it by
CLIENT = "cl"  # the address that it was last used from
NOTE = "no"  # whatever the application wrote beside the login
WHY_ENDED = "wh"  # in a tombstone: the reason, and the short hashes of the tokens that fitted until then

#: What lists of hashes keep of each: as many bits as a token has.
SHORT_HASH_BYTES = 16

#: How many tokens may fit beside the one that the last login or renewal made.
MAX_SIBLINGS = 4

_CONTEXT = Struct(">B16sQHB")  # format, id, version, length of the path, 0 for no owner or 1 more than its length

#: Makes a named tuple, as its own constructor does, but without a Python function. Each request makes several.
_new: Any = tuple.__new__

NO_EXTRA: Data = {}
"""Shared by all envelopes without any, so never changed."""


class Envelope(NamedTuple):
    """A session's header fields and data. Times are whole seconds since the epoch. None means that there is none."""

    created_at: int
    authenticated_at: int | None
    deadline: int
    """No activity keeps the session alive beyond this."""
    epoch: int
    """Goes up by one with each new token. Nothing begun before one is saved after it."""
    token_hash: bytes
    """SHA-256 of the token; empty in a tombstone, which no token matches."""
    rotated_at: int
    """When the token last changed."""
    idle: int | None
    """Seconds without a request after which the session ends; None while it is remembered."""
    username: str | None
    user_id: str | None
    session_version: int | None
    extra: Data
    """Whatever else the header has, each under a short name and as its value's own encoded bytes.

    What this release does not know rides along unread, through writes, touches and renewals, so that what the next
    release wrote comes back whole. The names that are in use stand above.
    """
    data: Data

    def __repr__(self) -> str:
        """Without any value, because an error report shows the variables of every frame."""
        return f"Envelope({', '.join(self.data)})"

    @property
    def began_at(self) -> int:
        """When somebody logged in, or, if nobody did, when it was created."""
        return self.created_at if self.authenticated_at is None else self.authenticated_at

    @property
    def is_remembered(self) -> bool:
        """Whether the browser keeps the cookie when it is closed."""
        return self.idle is None

    @property
    def sliding(self) -> int | None:
        """The seconds that each use grants a remembered session; None if it ends at a fixed time."""
        seconds: int | None = found_in(self.extra, SLIDING, int)
        return seconds

    @property
    def granted_idle(self) -> int | None:
        """The seconds that each use grants; None if it is remembered until a fixed time."""
        return self.idle if self.idle is not None else self.sliding

    @property
    def own_limits(self) -> list[int] | None:
        """Idle limit, lifetime, and the same two while it is remembered, if its login was given its own."""
        own: list[int] | None = found_in(self.extra, OWN_LIMITS, list)
        if own is None or len(own) < 4 or not all(isinstance(limit, int) for limit in own[:4]):
            return None
        return own[:4]

    @property
    def siblings(self) -> bytes:
        """The short hashes of the tokens that fit beside `token_hash`, one after the other."""
        hashes: bytes = found_in(self.extra, SIBLINGS, bytes) or b""
        return hashes

    @property
    def replaced(self) -> bytes:
        """The short hashes of the tokens that fitted right before the last login."""
        hashes: bytes = found_in(self.extra, REPLACED, bytes) or b""
        return hashes

    @property
    def fitting(self) -> bytes:
        """The short hashes of all tokens that fit."""
        return self.token_hash[:SHORT_HASH_BYTES] + self.siblings

    @property
    def csrf_renewals(self) -> int:
        """How often the token for forms was renewed."""
        times: int = found_in(self.extra, CSRF_RENEWALS, int) or 0
        return times if 0 <= times < 2**32 else 0

    @property
    def methods(self) -> dict[str, int]:
        """How the user proved who it is, each with the time."""
        proved: dict[object, object] = found_in(self.extra, METHODS, dict) or {}
        return {name: at for name, at in proved.items() if isinstance(name, str) and isinstance(at, int)}

    @property
    def device(self) -> str | None:
        """A few words about the browser."""
        words: str | None = found_in(self.extra, DEVICE, str)
        return words

    @property
    def client(self) -> str | None:
        """The address that it was last used from."""
        address: str | None = found_in(self.extra, CLIENT, str)
        return address

    @property
    def note(self) -> dict[str, Any]:
        """Whatever the application wrote beside the login."""
        note: dict[str, Any] = found_in(self.extra, NOTE, dict) or {}
        return note

    def reason_for(self, token_hash: bytes) -> str | None:
        """Why the session was ended, for a cookie that was good until then; None for any other."""
        reason, hashes, *_ = found_in(self.extra, WHY_ENDED, list) or (None, b"")
        return reason if isinstance(hashes, bytes) and holds_hash(hashes, token_hash) else None

    def with_sibling(self, token_hash: bytes) -> Envelope:
        """The same with one more token that fits."""
        return self.with_extra(si=self.siblings + token_hash[:SHORT_HASH_BYTES])

    def with_extra(self, **values: Any) -> Envelope:
        """The same with these names in `extra`, each in place of what it was. None removes a name."""
        extra = {name: value for name, value in self.extra.items() if name not in values}
        extra.update((name, encode(value)) for name, value in values.items() if value is not None)
        return self._replace(extra=extra or NO_EXTRA)

    def with_data(self, data: Data) -> Envelope:
        """The same header with other data. (`_replace` takes four times as long.)"""
        other: Envelope = _new(Envelope, (*self[:-1], data))
        return other

    @property
    def is_tombstone(self) -> bool:
        """Whether the session was ended. The tombstone says so to requests that are still on their way."""
        return not self.token_hash


_FIELDS, _EXTRA = len(Envelope._fields), Envelope._fields.index("extra")


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
    is_cut: bool = False
    """Whether what it was granted is more than the site's limits are now."""


def blank(now: int, token_hash: bytes, idle: int, lifetime: int, data: Data) -> Envelope:
    """The envelope of a session that begins now, and in which nobody is logged in."""
    return Envelope(now, None, now + lifetime, 0, token_hash, now, idle, None, None, None, NO_EXTRA, data)


def tombstone(now: int, keep: int, extra: Data) -> Envelope:
    """What is left, for so many seconds, of a session that ended now."""
    return Envelope(now, None, now + keep, 0, b"", now, keep, None, None, None, lasting(extra), {})


def found_in(extra: Data, name: str, type_: type) -> Any:
    """The value under this name; None if there is none, or if it is not of the type that this release writes."""
    encoded = extra.get(name)
    if encoded is None:
        return None
    try:
        value = decode(encoded)
    except (ValueError, TypeError):
        return None
    return value if type(value) is type_ else None


def holds_hash(hashes: bytes, token_hash: bytes) -> bool:
    """Whether a token's hash is among these short ones."""
    short, size = token_hash[:SHORT_HASH_BYTES], SHORT_HASH_BYTES
    return any(compare_digest(hashes[at : at + size], short) for at in range(0, len(hashes), size))


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
        if len(id) != _ID_BYTES or not isinstance(expires_at, int):
            return Unreadable.CORRUPT
        context = _context(id, version, owner, path)
        opened = sealer.open(payload)
        if opened is None or not opened[0].startswith(context):
            return Unreadable.CORRUPT
        plaintext, is_stale = opened
        fields = decode(plaintext[len(context) :], has_text_keys=True)
        if len(fields) != _FIELDS or not isinstance(fields[_EXTRA], dict):
            return Unreadable.CORRUPT
        stored: Stored = _new(Stored, (record, _new(Envelope, fields), is_stale, False))
        return stored
    except UnknownKey:
        is_later = isinstance(record.payload, bytes) and record.payload[:1] >= FORMAT_BYTE
        return Unreadable.UNKNOWN_KEY if is_later else Unreadable.CORRUPT
    except (ValueError, TypeError, LookupError, StructError):
        return Unreadable.CORRUPT


def _context(id: bytes, version: int, owner: bytes | None, path: bytes) -> bytes:
    """Lengths come first, so that no part can be taken for a piece of the next."""
    if owner is None:
        return _CONTEXT.pack(FORMAT_VERSION, id, version, len(path), 0) + path
    return _CONTEXT.pack(FORMAT_VERSION, id, version, len(path), len(owner) + 1) + path + owner
