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
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from .base import Record

SMALLEST_CAPACITY = 256

_MAGIC = b"sw1\0"
_FRAME = Struct(">4sII")  # magic, capacity, checksum of both
_STATE = Struct(">IQqB16sI")  # checksum, version, expires_at, owner's length, owner, payload's length
_HEAD = _FRAME.size + _STATE.size

_READ = 8192


class Slot(NamedTuple):
    """A place in a file, and the state of the record that it holds, if it is whole."""

    offset: int
    capacity: int
    record: Record | None


def read_slots(id: bytes, file: int) -> list[Slot]:
    """The slots of an open file, up to its end or to one whose frame was not written to the end."""
    content = _content(file)
    slots, offset = [], 0
    while offset + _FRAME.size <= len(content):
        magic, capacity, checksum = _FRAME.unpack_from(content, offset)
        if magic != _MAGIC or checksum != crc32(content[offset : offset + 8]):
            break
        slots.append(Slot(offset, capacity, _state(id, content, offset + _FRAME.size)))
        offset += _HEAD + capacity
    return slots


def current(slots: list[Slot]) -> Record | None:
    """The record as it counts, or None."""
    records = [slot.record for slot in slots if slot.record is not None]
    return max(records, key=lambda record: (record.version, record.expires_at), default=None)


def place_for(record: Record, slots: list[Slot]) -> tuple[int, int]:
    """Offset and capacity of the slot to write: the smallest that is large enough and does not count, or a new one."""
    counts, needed = current(slots), len(record.payload)
    free = [slot for slot in slots if slot.capacity >= needed and (slot.record is None or slot.record is not counts)]
    if free:
        slot = min(free, key=lambda slot: slot.capacity)
        return slot.offset, slot.capacity
    end = slots[-1].offset + _HEAD + slots[-1].capacity if slots else 0
    return end, _capacity_for(needed)


def packed(capacity: int, record: Record) -> bytes:
    """A slot as it is written."""
    frame = _FRAME.pack(_MAGIC, capacity, crc32(_MAGIC + capacity.to_bytes(4, "big")))
    owner = record.owner or b""
    state = (record.version, record.expires_at, len(owner), owner, len(record.payload))
    checksum = crc32(_STATE.pack(0, *state) + record.id + record.payload)
    return frame + _STATE.pack(checksum, *state) + record.payload


def _state(id: bytes, content: bytes, offset: int) -> Record | None:
    """The record as a slot has it, or None if the slot is torn."""
    if offset + _STATE.size > len(content):
        return None
    checksum, version, expires_at, owner_length, owner, length = _STATE.unpack_from(content, offset)
    start = offset + _STATE.size
    payload = content[start : start + length]
    if checksum != crc32(b"\0\0\0\0" + content[offset + 4 : start] + id + payload):
        return None
    return Record(id, version, expires_at, owner[:owner_length] if owner_length else None, payload)


def _content(file: int) -> bytes:
    content = os.pread(file, _READ, 0)
    if len(content) < _READ:
        return content
    return content + os.pread(file, os.fstat(file).st_size - _READ, _READ)


def _capacity_for(size: int) -> int:
    """Room for a payload, and for some growth: the next power of two."""
    capacity = SMALLEST_CAPACITY
    while capacity < size:
        capacity *= 2
    return capacity
