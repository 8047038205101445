"""How a `RedisStore` names its keys, and what the value of a record is made of.

A record is one string: a head of 49 bytes, and the payload. A packed string takes 250 bytes less than a hash, and a
`load` is one GET. Its key begins with the key of its index, `sw{5c}`, and goes on with the rest of its id. What stands
in braces decides in which slot of a cluster a key lies. So a record and its index share one, and one script changes
both.
"""

from __future__ import annotations

import struct

from ..errors import StoreUnavailable
from .base import Record

#: Indexes in a store: one for each first byte of an id.
INDEXES = 256

#: The first two hexadecimal digits of an id, and so the name of its index and of its slot.
_TAGS = [b"{%02x}" % number for number in range(INDEXES)]

#: version · expires_at · prune_at · owner_until · format and owner's length · owner
_HEAD = struct.Struct(">QQQQB16s")
_VERSION = struct.Struct(">Q")

#: This format. It stands in the upper half of a byte, and the owner's length, at most 16, in the lower one.
_FORMAT = 0x20
_OWNER_BYTES = 16

#: Scripts compute with times, and Lua's numbers are exact up to 2**53. They add twice the time that is left to them.
_LAST_SECOND = 2**50

#: A value that is not ours has no times of its own.
_NEVER = 2**40


class Keys:
    """The names of what a namespace stores. No two namespaces share one, because no namespace's name has a `.`."""

    def __init__(self, prefix: bytes = b"sw") -> None:
        self.prefix = prefix
        self.indexes: list[bytes] = [prefix + tag for tag in _TAGS]

    def inside(self, name: str) -> Keys:
        """The keys of the namespace of this name."""
        return Keys(b"%b.%b" % (self.prefix, name.encode()))

    def index(self, id: bytes) -> bytes:
        """The sorted set of the ids that begin as this one."""
        return self.indexes[id[0]]

    def record(self, id: bytes) -> bytes:
        return self.indexes[id[0]] + id[1:]

    def owner(self, owner: bytes) -> bytes:
        """The sorted set of the ids that may be this owner's."""
        return b"%b@%b" % (self.prefix, owner)


def packed_version(version: int) -> bytes:
    """The version as it stands in the head. Scripts compare it byte by byte, so it may take all of 64 bits."""
    try:
        return _VERSION.pack(version)
    except struct.error as error:
        raise StoreUnavailable(f"A RedisStore holds versions from 0 to 2**64 - 1, not {version}.") from error


def packed_time(seconds: int) -> int:
    """The time, if scripts can compute with it."""
    if not 0 <= seconds <= _LAST_SECOND:
        raise StoreUnavailable(f"A RedisStore holds times from 0 to {_LAST_SECOND}, not {seconds}.")
    return seconds


def packed_owner(owner: bytes | None) -> bytes:
    """The owner as it stands in the head, behind the byte that says how long it is."""
    if owner is None:
        owner = b""
    elif not 0 < len(owner) <= _OWNER_BYTES:
        raise StoreUnavailable(f"A RedisStore holds owners of 1 to {_OWNER_BYTES} bytes, not of {len(owner)}.")
    return bytes([_FORMAT | len(owner)]) + owner.ljust(_OWNER_BYTES, b"\0")


def unpacked(id: bytes, value: bytes) -> Record:
    """The record that is stored as this value.

    A value that somebody else wrote counts as a payload without a head. It does not open, so the session is over, and
    an event tells about it.
    """
    if len(value) >= _HEAD.size:
        version, expires_at, _prune_at, _owner_until, mark, owner = _HEAD.unpack_from(value)
        length = mark - _FORMAT
        if 0 <= length <= _OWNER_BYTES:
            return Record(id, version, expires_at, owner[:length] if length else None, value[_HEAD.size :])
    return Record(id, 1, _NEVER, None, value)
