"""The ids in a `RedisStore`, in order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from ._redis_format import INDEXES, Keys
from ._redis_link import Link

#: Indexes whose sizes are asked for at once.
_STEP = 64

#: An index with more ids is read piece by piece, so that others need not wait for a long answer, and only once for all
#: pages of a scan. A store has one from 2.5 million sessions on.
_LARGE = 10_000

#: Ids in one piece.
_PIECE = 5_000

#: Seconds for which the rest of a large index is kept for the next page.
_KEPT = 60.0


class _Rest(NamedTuple):
    """What is left of a large index behind a page that ended with the id `after`."""

    after: bytes
    ids: list[bytes]
    is_old_at: float


class Listing:
    """Lists the ids of one namespace.

    An index is in the order in which records are to be pruned, so all of it has to be read to have its ids in order.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._rest: _Rest | None = None

    def pages(self, after: bytes, limit: int) -> Iterator[list[bytes]]:
        """The ids after this one in pages of about `limit`. Each page is asked for when it is needed."""
        number = after[0] if after else 0
        if kept := self._kept(after):
            number += 1
            yield kept
        while number < INDEXES:
            sizes = self._sizes(number)
            if sizes[0] > _LARGE:
                ids = self._pieces(number)
                number += 1
            else:
                count = _enough(sizes, limit)
                ids = self._whole(range(number, number + count))
                number += count
            yield sorted(id for id in ids if id > after)

    def keep(self, after: bytes, ids: list[bytes]) -> None:
        """Keep what is left of a page, if reading it again would take long. New ids are not found among these."""
        if len(ids) > _LARGE:
            self._rest = _Rest(after, ids, time.monotonic() + _KEPT)

    def _kept(self, after: bytes) -> list[bytes]:
        rest, self._rest = self._rest, None
        return rest.ids if rest is not None and rest.after == after and time.monotonic() < rest.is_old_at else []

    def _sizes(self, start: int) -> list[int]:
        indexes = self._keys.indexes[start : start + _STEP]
        return self._link.read_all([(index, ("ZCARD", index)) for index in indexes])

    def _whole(self, numbers: range) -> set[bytes]:
        indexes = [self._keys.indexes[number] for number in numbers]
        found = self._link.read_all([(index, ("ZRANGE", index, 0, -1)) for index in indexes])
        return {bytes([number]) + tail for number, tails in zip(numbers, found, strict=True) for tail in tails}

    def _pieces(self, number: int) -> set[bytes]:
        """Not by rank, because an id whose time moves meanwhile would be missed. ZSCAN finds all that stay."""
        index, cursor, ids = self._keys.indexes[number], 0, set[bytes]()
        while True:
            cursor, found = self._link.read(index, "ZSCAN", index, cursor, "COUNT", _PIECE)
            ids.update(bytes([number]) + tail for tail in found[::2])  # the others are scores
            if not int(cursor):
                return ids


def _enough(sizes: list[int], limit: int) -> int:
    """How many indexes it takes to fill a page, but without a large one."""
    total = 0
    for count, size in enumerate(sizes):
        if total >= limit or size > _LARGE:
            return count
        total += size
    return len(sizes)
