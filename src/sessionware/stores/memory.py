"""Sessions in the memory of one process: for tests, for trying things out, and for servers of a single process.

Built for a million of them. Records are kept as plain bytes, which the garbage collector does not visit, in 256 small
tables, none of which takes long to grow. Expiry is tracked in slots of ten minutes.
"""

from __future__ import annotations

import heapq
import threading
from struct import Struct

from .._repr import shown_half_built
from ..errors import ConfigError, StoreUnavailable
from .base import Record, Store, checked_name

_ID_LENGTH = 16
_TABLES = 256  # one for each first byte of an id, which is random

#: Seconds: how precisely it is known which records have expired, and which have gone longest without a write.
_BUCKET = 600

#: How many ids of one owner are kept in one bytes object, of which each change makes a copy.
_FEW = 32

_HEAD = Struct(">QqB")  # version, expires_at, owner's length; then come owner and payload

#: What the indexes depend on: when a record expires, and who owns it.
_Indexed = tuple[int, "bytes | None"]
_NOWHERE: _Indexed = (-1, None)


@shown_half_built
class MemoryStore(Store):
    """A store in this process: gone when the process ends, unknown to others.

    Holds at most `max_records`, in each namespace. When it is full, a new record replaces an expired one. Expiry is
    noticed up to ten minutes late, and by the last time that was passed in. If none has expired, it replaces the record
    without an owner that would expire next. That is one whose cookie has not come back yet, or the one that has gone
    longest without a write or a touch. If all have owners, `create` raises `StoreUnavailable`, so that a flood of new
    sessions logs nobody out.
    """

    def __init__(self, max_records: int = 100_000) -> None:
        if not isinstance(max_records, int) or max_records < 1:
            raise ConfigError(f"MemoryStore(max_records={max_records!r}): give a number, 1 or more.")
        self._max_records = max_records
        self._path: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self._tables: list[dict[bytes, bytes]] = [{} for _ in range(_TABLES)]
        self._count = 0
        self._owners = _Owners()
        self._anonymous, self._owned = _Queue(), _Queue()
        self._now = 0
        self._namespaces: dict[str, MemoryStore] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._count} of {self._max_records} records>"

    @property
    def path(self) -> tuple[str, ...]:
        return self._path

    def create(self, record: Record) -> bool:
        with self._lock:
            if record.id in self._tables[record.id[0]]:
                return False
            if self._count >= self._max_records:
                self._make_room()
            self._count += 1
            self._put(record, _NOWHERE)
        return True

    def load(self, id: bytes, now: int) -> Record | None:
        self._now = now
        entry = self._tables[id[0]].get(id)  # needs no lock: an entry is never changed, only replaced
        record = None if entry is None else _record(id, entry)
        return record if record is not None and record.expires_at > now else None

    def replace(self, record: Record) -> bool:
        with self._lock:
            entry = self._tables[record.id[0]].get(record.id)
            if entry is None:
                return False
            version, old = _head(entry)
            if version != record.version - 1:
                return False
            self._put(record, old)
        return True

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        with self._lock:
            old = self._find(id)
            if old is not None and old.version == version and old.expires_at < expires_at:
                self._put(old._replace(expires_at=expires_at), (old.expires_at, old.owner))

    def delete(self, id: bytes) -> bool:
        with self._lock:
            old = self._find(id)
            if old is None:
                return False
            self._remove(old)
        return True

    def prune(self, now: int, limit: int = 1000) -> int:
        with self._lock:
            self._now = now
            for count in range(limit):
                record = self._expired()
                if record is None:
                    return count
                self._remove(record)
        return limit

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        with self._lock:
            found = [self._find(id) for id in self._owners.ids(owner)]
        return sorted(record for record in found if record is not None and record.expires_at > now)

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        records: list[Record] = []
        for table in self._tables[0 if after is None else after[0] :]:
            with self._lock:
                entries = table.copy()
            ids = sorted(id for id in entries if after is None or id > after)
            records += [_record(id, entries[id]) for id in ids[: limit - len(records)]]
            if len(records) == limit:
                break
        return records

    def namespace(self, name: str) -> MemoryStore:
        with self._lock:
            sibling = self._namespaces.setdefault(checked_name(name), MemoryStore(self._max_records))
            sibling._path = (*self._path, name)
            return sibling

    def _find(self, id: bytes) -> Record | None:
        entry = self._tables[id[0]].get(id)
        return None if entry is None else _record(id, entry)

    def _put(self, record: Record, old: _Indexed) -> None:
        """Store the record, and enter it in each index where its place has changed."""
        id, version, expires_at, owner, payload = record
        body = payload if owner is None else owner + payload
        self._tables[id[0]][id] = _HEAD.pack(version, expires_at, 0 if owner is None else len(owner)) + body
        ended_at, former = old
        if owner != former:
            self._owners.move(id, former, owner)
        if expires_at // _BUCKET != ended_at // _BUCKET or (owner is None) != (former is None):
            self._queue(owner).add(id, expires_at)

    def _remove(self, record: Record) -> None:
        """Remove the record. Its entries in the queues stay, and are skipped when their time comes."""
        del self._tables[record.id[0]][record.id]
        self._owners.move(record.id, record.owner, None)
        self._count -= 1

    def _queue(self, owner: bytes | None) -> _Queue:
        return self._anonymous if owner is None else self._owned

    def _make_room(self) -> None:
        """Drop the one record that a new one may replace."""
        record = self._expired() or self._next(self._anonymous, None)
        if record is None:
            raise StoreUnavailable(
                f"MemoryStore(max_records={self._max_records}) is full of sessions of people who are logged in."
            )
        self._remove(record)

    def _expired(self) -> Record | None:
        """Some record whose whole slot is over."""
        return self._next(self._anonymous, self._now) or self._next(self._owned, self._now)

    def _next(self, queue: _Queue, now: int | None) -> Record | None:
        """Take the next record out of this queue, skipping those that no longer belong where they stand."""
        while (entry := queue.pop(now)) is not None:
            slot, id = entry
            record = self._find(id)
            if record is not None and record.expires_at // _BUCKET == slot and self._queue(record.owner) is queue:
                return record
        return None


class _Queue:
    """Ids by the slot of time in which they expire, and within each slot in the order in which they came.

    Nothing is taken out when a record is changed or removed. The caller of `pop` checks if the id still belongs there.
    """

    def __init__(self) -> None:
        self._ids: dict[int, bytearray] = {}
        self._slots: list[int] = []  # a heap of the keys of `_ids`

    def add(self, id: bytes, expires_at: int) -> None:
        slot = expires_at // _BUCKET
        if slot not in self._ids:
            self._ids[slot] = bytearray()
            heapq.heappush(self._slots, slot)
        self._ids[slot] += id

    def pop(self, now: int | None) -> tuple[int, bytes] | None:
        """The next slot and id; with `now`, only if the whole slot is over by then."""
        while self._slots and (now is None or self._slots[0] < now // _BUCKET):
            slot = self._slots[0]
            ids = self._ids[slot]
            if ids:
                id = bytes(ids[:_ID_LENGTH])
                del ids[:_ID_LENGTH]
                return slot, id
            del self._ids[heapq.heappop(self._slots)]
        return None


class _Owners:
    """The ids that each owner has: a few one after the other in one bytes object, many as the keys of a dict."""

    def __init__(self) -> None:
        self._tables: list[dict[bytes, bytes]] = [{} for _ in range(_TABLES)]
        self._many: dict[bytes, dict[bytes, None]] = {}

    def ids(self, owner: bytes) -> list[bytes]:
        many = self._many.get(owner)
        return list(many) if many is not None else _split(self._tables[owner[0]].get(owner, b""))

    def move(self, id: bytes, before: bytes | None, after: bytes | None) -> None:
        """The id no longer belongs to `before`, but to `after`."""
        if before is not None:
            self._take(id, before)
        if after is not None:
            self._give(id, after)

    def _give(self, id: bytes, owner: bytes) -> None:
        many = self._many.get(owner)
        if many is not None:
            many[id] = None
            return
        table = self._tables[owner[0]]
        ids = table.get(owner, b"") + id
        if len(ids) <= _FEW * _ID_LENGTH:
            table[owner] = ids
        else:
            self._many[owner] = dict.fromkeys(_split(ids))
            table.pop(owner, None)

    def _take(self, id: bytes, owner: bytes) -> None:
        many = self._many.get(owner)
        if many is None:
            table = self._tables[owner[0]]
            left = b"".join(each for each in _split(table[owner]) if each != id)
            if left:
                table[owner] = left
            else:
                del table[owner]
        else:
            del many[id]
            if not many:
                del self._many[owner]


def _split(ids: bytes) -> list[bytes]:
    return [ids[start : start + _ID_LENGTH] for start in range(0, len(ids), _ID_LENGTH)]


def _head(entry: bytes) -> tuple[int, _Indexed]:
    """A record's version, and what its place in the indexes depends on."""
    version, expires_at, length = _HEAD.unpack_from(entry)
    return version, (expires_at, entry[_HEAD.size : _HEAD.size + length] or None)


def _record(id: bytes, entry: bytes) -> Record:
    version, expires_at, length = _HEAD.unpack_from(entry)
    start = _HEAD.size + length
    return Record(id, version, expires_at, entry[_HEAD.size : start] or None, entry[start:])
