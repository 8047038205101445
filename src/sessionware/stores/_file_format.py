"""What is inside a record's file: slots, of which one counts.

    file     slot, slot, …                          slot     head, payload, room up to the capacity
    head     magic, capacity, checksum of both │ checksum of the rest, version, expires_at, owner, payload's length

Each slot has a fixed capacity and holds one state of the record. The valid slot with the highest version counts (of two
with the same version, the one that expires later). A change is written in place, into another slot than that one, so
the older state is still whole whenever the process is killed. A record that outgrows its slots gets a larger one at the
end. A file without a valid slot holds no record: somebody is about to create it, or was killed while doing so.
"""

from __future__ import annotations

import os
from functools import lru_cache
from struct import Struct
from zlib import crc32

from .base import Record

SMALLEST_CAPACITY = 256

_MAGIC = b"sw1\0"
_FRAME = Struct(">4sII")  # magic, capacity, checksum of both
_STATE = Struct(">IQqB16sI")  # checksum, version, expires_at, owner's length, owner, payload's length
_CLAIM = Struct(">4xI8xQq")  # what it takes of both to know which slot counts: capacity, version, expires_at
_HEAD = _FRAME.size + _STATE.size
_NO_CHECKSUM = crc32(b"\0\0\0\0")  # the checksum's own field counts as zero

_READ = 8192


Claim = tuple[int, int, int, int]
"""A slot's version, expires_at, offset and capacity. The larger claim is the newer state."""


class Slots:
    """The slots of a record's file, parsed no further than it takes to know which one counts."""

    def __init__(self, id: bytes, content: bytes) -> None:
        self._claims = sorted(_claims(content), reverse=True)
        self._counts: Claim | None = None
        self.record: Record | None = None
        """The state that counts; None if no slot is whole."""
        for claim in self._claims:
            _, _, offset, _ = claim
            self.record = _state(id, content, offset)
            if self.record is not None:
                self._counts = claim
                break
        self.is_torn = self._counts is None or self._counts is not self._claims[0]
        """Whether the slot that claims to be the newest is not whole: half written by a crash, or being written now."""

    @classmethod
    def read(cls, id: bytes, file: int) -> Slots:
        """The slots of an open file. Something else that lies there, such as a directory, has none."""
        try:
            content = os.pread(file, _READ, 0)
        except IsADirectoryError:
            content = b""
        if len(content) == _READ:
            content += os.pread(file, os.fstat(file).st_size - _READ, _READ)
        return cls(id, content)

    def place_for(self, payload: bytes) -> tuple[int, int]:
        """Offset and capacity of the slot to write: the smallest that fits and does not count, or a new one."""
        size, counts = len(payload), self._counts
        others = (claim for claim in self._claims if claim is not counts)
        free = [(capacity, offset) for _, _, offset, capacity in others if capacity >= size]
        if free:
            capacity, offset = min(free)
            return offset, capacity
        end = max((offset + _HEAD + capacity for _, _, offset, capacity in self._claims), default=0)
        return end, capacity_for(payload)


def is_ours(file: int) -> bool:
    """Whether an open file was made by a store: it is empty, or begins as a slot does, as far as it goes."""
    try:
        return _MAGIC.startswith(os.pread(file, len(_MAGIC), 0))
    except IsADirectoryError:
        return False


def capacity_for(payload: bytes) -> int:
    """Room for the payload, and for some growth: the next power of two."""
    return max(SMALLEST_CAPACITY, 1 << (len(payload) - 1).bit_length())


def packed(capacity: int, record: Record) -> bytes:
    """A slot as it is written."""
    id, version, expires_at, owner, payload = record
    state = (version, expires_at, 0 if owner is None else len(owner), owner or b"", len(payload))
    checksum = crc32(_STATE.pack(0, *state) + id + payload)
    return _frame(capacity) + _STATE.pack(checksum, *state) + payload


@lru_cache
def _frame(capacity: int) -> bytes:
    return _FRAME.pack(_MAGIC, capacity, crc32(_MAGIC + capacity.to_bytes(4, "big")))


def _claims(content: bytes) -> list[Claim]:
    """What the slots say about themselves, up to the end or to one whose frame is incomplete."""
    claims, offset, padded = [], 0, content + bytes(_HEAD)
    while offset + _FRAME.size <= len(content):
        capacity, version, expires_at = _CLAIM.unpack_from(padded, offset)
        if not content.startswith(_frame(capacity), offset):
            break
        claims.append((version, expires_at, offset, capacity))
        offset += _HEAD + capacity
    return claims


def _state(id: bytes, content: bytes, offset: int) -> Record | None:
    """The record as the slot here has it, or None if the slot is torn."""
    if offset + _HEAD > len(content):
        return None
    start = offset + _HEAD
    head = content[offset + _FRAME.size : start]
    checksum, version, expires_at, owner_length, owner, length = _STATE.unpack(head)
    payload = content[start : start + length]
    if checksum != crc32(payload, crc32(id, crc32(head[4:], _NO_CHECKSUM))):
        return None
    return Record(id, version, expires_at, owner[:owner_length] if owner_length else None, payload)
