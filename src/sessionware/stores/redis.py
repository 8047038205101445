"""Sessions in Redis, Redis Cluster or Valkey, for any number of machines.

`_redis_format` says what is stored, `_redis_scripts` how it changes, and `_redis_link` how that gets to the server.
"""

from __future__ import annotations

import copy
import os
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from typing import Any

from .._hidden import Hidden
from .._repr import shown_half_built
from ..errors import StoreUnavailable
from ._redis_format import Keys, packed_owner, packed_time, packed_version, unpacked
from ._redis_link import Link
from ._redis_listing import Listing
from ._redis_package import Redis, RedisCluster
from ._redis_scripts import CLAIM, CLAIMED, CREATE, DELETE, PRUNE, REPLACE, TOUCH, UNCLAIM, Script
from ._redis_settings import settings_of
from .base import Record, Store, checked_name

#: Until when a claim is good, and when it was made; twice "" for none.
_Claimed = tuple[int, int] | tuple[str, str]

#: What a script answers if its record has to be claimed for its owner first.
_CLAIM_FIRST = 2

#: How often that is done. One claim is good for half a minute.
_CLAIMS = 3

#: Ids that one script works through, so that others wait a few milliseconds at most.
_BATCH = 500

#: Records that one command reads, as each may take 256 KiB.
_RECORDS = 100

#: What `prune` looks at beyond its limit: ids whose records the server has removed.
_LOOKS = 10_000


@shown_half_built
class RedisStore(Store):
    """A store in Redis (6.2 or newer), Redis Cluster or Valkey.

    Where that is, says a URL or a client: `redis://user:password@host:6379/0`, `rediss://…` (TLS), `unix:///path`,
    `redis+cluster://host:6379,other:6379`, a `redis.Redis`, also one of Sentinel, or a `redis.RedisCluster`. The store
    makes connections of its own by the client's settings, because a client sends a write again when its answer is lost.

    A failover may undo the last moments. What a restart leaves is up to the server: with `appendfsync everysec`, up to
    two seconds are undone, logouts among them; with `always`, nothing. Raises `ConfigError` if the server cannot hold
    sessions. One that is down is no error here: each use is `StoreUnavailable` until it is back.

    Args:
        where: URL or client.
        timeout: Seconds that one command may take. A URL says it as `?socket_timeout=1.0`.
    """

    def __init__(self, where: str | Redis | RedisCluster, *, timeout: float = 1.0) -> None:
        hidden: Hidden[object] = Hidden(where)
        del where  # from here on, no frame shows a password
        keys = Keys()
        self._names: tuple[str, ...] = ()
        self._link = Link(settings_of(hidden, timeout), keys.prefix + b"?")
        self._use(keys)
        self._link.open()

    def _use(self, keys: Keys) -> None:
        self._keys = keys
        self._listing = Listing(self._link, keys)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._link.settings.shown} {self._keys.prefix.decode()}>"

    @property
    def server_version(self) -> str:
        """What the server is, such as "Redis 7.0.15". Raises `StoreUnavailable`."""
        return self._link.server_version()

    def close(self) -> None:
        """Close all connections, also for the namespaces. No thread may be using it. A later use opens new ones."""
        self._link.close()

    @property
    def path(self) -> tuple[str, ...]:
        return self._names

    def create(self, record: Record) -> bool:
        return self._store(CREATE, record)

    def load(self, id: bytes, now: int) -> Record | None:
        key = self._keys.record(id)
        value = self._link.read(key, "GET", key)
        if value is None:
            return None
        record = unpacked(id, value)
        return record if record.expires_at > now else None

    def replace(self, record: Record) -> bool:
        if record.version < 1:
            return False
        return self._store(REPLACE, record, packed_version(record.version - 1))

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        keys = [self._keys.record(id), self._keys.index(id)]
        fixed = (id, packed_version(version), packed_time(expires_at))
        owner: bytes | None = None
        claimed: _Claimed = ("", "")
        for _ in range(_CLAIMS):
            answer = self._link.run(TOUCH, keys, *fixed, packed_owner(owner), *claimed)
            if not isinstance(answer, bytes):
                return
            owner = answer
            claimed = self._claim(id, owner, expires_at)
        raise self._too_slow()

    def delete(self, id: bytes) -> bool:
        return bool(self._link.run(DELETE, [self._keys.record(id), self._keys.index(id)], id))

    def prune(self, now: int, limit: int = 1000) -> int:
        removed, looks = 0, limit + _LOOKS
        while removed < limit and looks > 0:
            found = self._expired(now, min(limit - removed, looks))
            if not found:
                break
            looks -= sum(map(len, found.values()))
            calls = [([index, *(index + tail for tail in tails)], (now, *tails)) for index, tails in found.items()]
            removed += sum(self._link.run_all(PRUNE, calls))
        return removed

    def _expired(self, now: int, most: int) -> dict[bytes, list[bytes]]:
        """What to prune: indexes, each with ids without their first byte. Any comes first, so none is always last."""
        start = os.urandom(1)[0]
        indexes = [*self._keys.indexes[start:], *self._keys.indexes[:start]]
        counts = self._link.read_all([(index, ("ZCOUNT", index, "-inf", now)) for index in indexes])
        asked: list[tuple[bytes, tuple[Any, ...]]] = []
        for index, count in zip(indexes, counts, strict=True):
            if taken := min(count, most, _BATCH):
                asked.append((index, ("ZRANGEBYSCORE", index, "-inf", now, "LIMIT", 0, taken)))
                most -= taken
        tails = self._link.read_all(asked)
        return {index: each for (index, _), each in zip(asked, tails, strict=True) if each}

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        key = self._keys.owner(owner)
        claims = self._link.run(CLAIMED, [key])
        scores = dict(zip(claims[::2], claims[1::2], strict=True))
        theirs = [record for record in self._records(scores) if record.owner == owner]
        stale = scores.keys() - {record.id for record in theirs}
        self._take_back(key, [(id, scores[id]) for id in stale if scores[id]])
        return sorted(record for record in theirs if record.expires_at > now)

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        found: list[Record] = []
        for ids in self._listing.pages(after or b"", limit):
            while ids and len(found) < limit:
                page, ids = ids[: limit - len(found)], ids[limit - len(found) :]
                found += self._records(page)
            if len(found) == limit:
                self._listing.keep(found[-1].id, ids)
                break
        return found

    def namespace(self, name: str) -> RedisStore:
        sibling = copy.copy(self)
        sibling._names = (*self._names, checked_name(name))
        sibling._use(self._keys.inside(name))
        return sibling

    def _store(self, script: Script, record: Record, *old_version: bytes) -> bool:
        """Run a script that stores the record. In a cluster, it may have to be claimed for its owner before."""
        id, version, expires_at, owner, payload = record
        keys = [self._keys.record(id), self._keys.index(id)]
        claimed: _Claimed = ("", "")
        if owner is not None and self._link.spans_slots:
            keys.append(self._keys.owner(owner))
        elif owner is not None and script is CREATE:
            claimed = self._claim(id, owner, expires_at)
        fixed = (id, packed_version(version), packed_time(expires_at), packed_owner(owner), payload)
        for _ in range(_CLAIMS):
            answer = self._link.run(script, keys, *fixed, *claimed, *old_version)
            if answer != _CLAIM_FIRST or owner is None:
                return bool(answer)
            claimed = self._claim(id, owner, expires_at)
        raise self._too_slow()

    def _claim(self, id: bytes, owner: bytes, expires_at: int) -> _Claimed:
        good_until, now = self._link.run(CLAIM, [self._keys.owner(owner)], id, packed_time(expires_at))
        return good_until, now

    def _too_slow(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"Redis at {self._link.settings.shown}: half a minute passed between two commands, or the clocks of its "
            "nodes differ by that much. Let them keep the time (NTP)."
        )

    def _take_back(self, key: bytes, claims: list[tuple[bytes, bytes]]) -> None:
        for start in range(0, len(claims), _BATCH):
            self._link.run(UNCLAIM, [key], *chain.from_iterable(claims[start : start + _BATCH]))

    def _records(self, ids: Iterable[bytes]) -> list[Record]:
        """Those of these records that are there, expired ones too."""
        groups = defaultdict(list)
        for id in ids:
            groups[id[0]].append(id)
        pages = [group[at : at + _RECORDS] for group in groups.values() for at in range(0, len(group), _RECORDS)]
        keys = [list(map(self._keys.record, page)) for page in pages]
        values = self._link.read_all([(each[0], ("MGET", *each)) for each in keys])
        pairs = zip(chain.from_iterable(pages), chain.from_iterable(values), strict=True)
        return [unpacked(id, value) for id, value in pairs if value is not None]
