"""What is inside a record's file: slots, of which one counts.

    file     slot, slot, …                          slot     head, payload, room up to the capacity
    head     magic, capacity, checksum of both │ checksum of the rest, version, expires_at, owner, payload's length

Each slot has a capacity for good and holds one state of the record. The valid one with the highest version (of two with
the same, the one that lives longer) counts. A change is written into another slot than that one, in place: whenever
the process is killed, the older state is still whole. A record that outgrows its slots gets a larger one at the end.
A file in which no slot is valid holds no record: somebody is about to create it, or was killed meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from .base import Record

SMALLEST_CAPACITY = 256

_MAGIC = b"sw1\0"
_FRAME = Struct(">4sII")  # magic, capacity, checksum of both
_STATE = Struct(">IQqB16sI")  # checksum, version, expires_at, owner's length, owner, payload's length
_WHOLE_HEAD = Struct(">4sIIIQqB16sI")  # both
_HEAD = _WHOLE_HEAD.size
_NO_CHECKSUM = crc32(b"\0\0\0\0")  # the checksum's own place counts as empty

_READ = 8192


class Claim(NamedTuple):
    """A slot, and how new the state is that it claims to hold. The larger claim is the newer one."""

    version: int
    expires_at: int
    offset: int
    capacity: int


class Slots:
    """The slots of a record's file as they were read, looked at no closer than it takes to know which one counts."""

    def __init__(self, id: bytes, content: bytes) -> None:
        self._claims = sorted(_claims(content), reverse=True)
        self._counts: Claim | None = None
        self.record: Record | None = None
        """The state that counts; None if no slot is whole."""
        for claim in self._claims:
            self.record = _state(id, content, claim.offset)
            if self.record is not None:
                self._counts = claim
                break

    @classmethod
    def read(cls, id: bytes, file: int) -> Slots:
        """The slots of an open file."""
        content = os.pread(file, _READ, 0)
        if len(content) == _READ:
            content += os.pread(file, os.fstat(file).st_size - _READ, _READ)
        return cls(id, content)

    @property
    def is_torn(self) -> bool:
        """Whether what claims to be the newest state is not whole: half written before a crash, or just now."""
        return self._counts is None or self._counts is not self._claims[0]

    def place_for(self, payload: bytes) -> tuple[int, int]:
        """Offset and capacity of the slot to write: the smallest that will do and does not count, or a new one."""
        free = [claim for claim in self._claims if claim.capacity >= len(payload) and claim is not self._counts]
        if free:
            claim = min(free, key=lambda claim: claim.capacity)
            return claim.offset, claim.capacity
        last = max(self._claims, key=lambda claim: claim.offset, default=None)
        end = last.offset + _HEAD + last.capacity if last is not None else 0
        return end, _capacity_for(len(payload))


def packed(capacity: int, record: Record) -> bytes:
    """A slot as it is written."""
    frame = _FRAME.pack(_MAGIC, capacity, crc32(_MAGIC + capacity.to_bytes(4, "big")))
    owner = record.owner or b""
    state = (record.version, record.expires_at, len(owner), owner, len(record.payload))
    checksum = crc32(_STATE.pack(0, *state) + record.id + record.payload)
    return frame + _STATE.pack(checksum, *state) + record.payload


def _claims(content: bytes) -> Iterator[Claim]:
    """What the slots say of themselves, up to the end or to one whose frame was not written to the end."""
    offset = 0
    while offset + _FRAME.size <= len(content):
        head = content[offset : offset + _HEAD].ljust(_HEAD, b"\0")
        magic, capacity, checksum, _, version, expires_at, _, _, _ = _WHOLE_HEAD.unpack(head)
        if magic != _MAGIC or checksum != crc32(head[:8]):
            return
        yield Claim(version, expires_at, offset, capacity)
        offset += _HEAD + capacity


def _state(id: bytes, content: bytes, offset: int) -> Record | None:
    """The record as the slot here has it, or None if the slot is torn."""
    if offset + _HEAD > len(content):
        return None
    _, _, _, checksum, version, expires_at, owner_length, owner, length = _WHOLE_HEAD.unpack_from(content, offset)
    start = offset + _HEAD
    payload = content[start : start + length]
    head = crc32(content[offset + _FRAME.size + 4 : start], _NO_CHECKSUM)
    if checksum != crc32(payload, crc32(id, head)):
        return None
    return Record(id, version, expires_at, owner[:owner_length] if owner_length else None, payload)


def _capacity_for(size: int) -> int:
    """Room for a payload, and for some growth: the next power of two."""
    capacity = SMALLEST_CAPACITY
    while capacity < size:
        capacity *= 2
    return capacity
