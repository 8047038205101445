"""Sessions in the memory of one process: for tests, for trying things out, and for servers of a single process."""

from __future__ import annotations

import heapq
import threading
from collections import OrderedDict

from ..errors import ConfigError, StoreUnavailable
from .base import Record, checked_name

#: What is kept of a record beside its id: version, expires_at, owner, payload. A plain tuple and not a `Record`, since
#: the garbage collector does not keep visiting plain tuples of plain values.
_Entry = tuple[int, int, "bytes | None", bytes]


class MemoryStore:
    """A store in this process: gone when it ends, unknown to others.

    Holds at most `max_records`, in each namespace. When it is full, a new record takes the place of an expired one
    (known as such up to a minute late, by the last time that was passed in), else of the record without an owner
    that was longest not written or touched. If all belong to someone, `create` raises `StoreUnavailable`: a flood of
    new sessions logs nobody out.
    """

    def __init__(self, max_records: int = 100_000) -> None:
        if max_records < 1:
            raise ConfigError(f"MemoryStore(max_records={max_records!r}): give a number from 1 on.")
        self._max_records = max_records
        self._lock = threading.Lock()
        self._entries: dict[bytes, _Entry] = {}
        self._anonymous: OrderedDict[bytes, None] = OrderedDict()  # longest unwritten first
        self._owned: dict[bytes, set[bytes]] = {}
        self._expiring = _Minutes()
        self._now = 0
        self._namespaces: dict[str, MemoryStore] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._entries)} of {self._max_records} records>"

    def create(self, record: Record) -> bool:
        with self._lock:
            if record.id in self._entries:
                return False
            if len(self._entries) >= self._max_records:
                self._make_room()
            self._put(record, None)
        return True

    def load(self, id: bytes, now: int) -> Record | None:
        self._now = now
        entry = self._entries.get(id)  # needs no lock: an entry is never changed, only replaced
        return Record(id, *entry) if entry and entry[1] > now else None

    def replace(self, record: Record) -> bool:
        with self._lock:
            old = self._entries.get(record.id)
            if old is None or old[0] != record.version - 1:
                return False
            self._put(record, old)
        return True

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        with self._lock:
            old = self._entries.get(id)
            if old and old[0] == version and old[1] < expires_at:
                self._put(Record(id, version, expires_at, *old[2:]), old)

    def delete(self, id: bytes) -> bool:
        with self._lock:
            if id not in self._entries:
                return False
            self._remove(id)
        return True

    def prune(self, now: int, limit: int = 1000) -> int:
        with self._lock:
            self._now = now
            for count in range(limit):
                id = self._expiring.pop_before(now)
                if id is None:
                    return count
                self._remove(id)
        return limit

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        with self._lock:
            records = [Record(id, *self._entries[id]) for id in sorted(self._owned.get(owner, ()))]
        return [record for record in records if record.expires_at > now]

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        with self._lock:
            entries = self._entries.copy()
        ids = heapq.nsmallest(limit, (id for id in entries if after is None or id > after))
        return [Record(id, *entries[id]) for id in ids]

    def namespace(self, name: str) -> MemoryStore:
        with self._lock:
            return self._namespaces.setdefault(checked_name(name), MemoryStore(self._max_records))

    def _make_room(self) -> None:
        """Drop the one record that a new one may replace."""
        id = self._expiring.pop_before(self._now)
        if id is None:
            id = next(iter(self._anonymous), None)
        if id is None:
            raise StoreUnavailable(
                f"MemoryStore(max_records={self._max_records}) is full of sessions of people who are logged in."
            )
        self._remove(id)

    def _put(self, record: Record, old: _Entry | None) -> None:
        """Store the record, and move it in each index in which it stood elsewhere as `old`."""
        id, version, expires_at, owner, payload = record
        self._entries[id] = (version, expires_at, owner, payload)
        self._expiring.move(id, old[1] if old else None, expires_at)
        if old and old[2] != owner:
            self._disown(id, old[2])
        if owner is None:
            self._anonymous[id] = None
            self._anonymous.move_to_end(id)
        else:
            self._owned.setdefault(owner, set()).add(id)

    def _remove(self, id: bytes) -> None:
        _, expires_at, owner, _ = self._entries.pop(id)
        self._expiring.move(id, expires_at, None)
        self._disown(id, owner)

    def _disown(self, id: bytes, owner: bytes | None) -> None:
        if owner is None:
            del self._anonymous[id]
            return
        ids = self._owned[owner]
        ids.discard(id)
        if not ids:
            del self._owned[owner]


class _Minutes:
    """Which ids expire in which minute, so that expired ones are found without a look at the others."""

    def __init__(self) -> None:
        self._ids: dict[int, set[bytes]] = {}
        self._minutes: list[int] = []  # a heap of the keys of `_ids`

    def move(self, id: bytes, old: int | None, new: int | None) -> None:
        """The record expires at `new` (None: it is gone) and no more at `old` (None: it was not there)."""
        before = None if old is None else old // 60
        after = None if new is None else new // 60
        if before == after:
            return
        if before is not None:
            self._ids[before].discard(id)
        if after is not None:
            if after not in self._ids:
                self._ids[after] = set()
                heapq.heappush(self._minutes, after)
            self._ids[after].add(id)

    def pop_before(self, now: int) -> bytes | None:
        """Take out one id whose whole minute is over; None if there is none."""
        while self._minutes and self._minutes[0] < now // 60:
            ids = self._ids[self._minutes[0]]
            if ids:
                return ids.pop()
            del self._ids[heapq.heappop(self._minutes)]
        return None
