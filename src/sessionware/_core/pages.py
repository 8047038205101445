"""All records of a store, in pages that weigh little however large the records are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..stores.base import Record

#: What a page may weigh. Several of them are in memory at a time.
_BYTES = 4 * 1024 * 1024

#: Records in the first page, of which nobody knows yet what they weigh.
_FIRST = 100

_MOST = 1000


class Pages:
    """Reads pages of a store. Ids are random, so the records of a page weigh what those of the page before did."""

    def __init__(self, store: Any, most: int = _MOST) -> None:  # Any, because compiled code refuses what is no record
        self.store = store
        self._most = most
        self._limit = min(_FIRST, most)

    def after(self, id: bytes | None) -> list[Record]:
        """The next records behind this id; none at the end."""
        page: list[Record] = self.store.scan(id, self._limit)
        if page:
            weight = sum(_weight(record) for record in page) / len(page)
            self._limit = max(1, min(self._most, int(_BYTES / max(weight, 1))))
        return page

    def __iter__(self) -> Iterator[list[Record]]:
        after: bytes | None = None
        while page := self.after(after):
            yield page
            after = page[-1].id


def _weight(record: Any) -> int:
    return len(record[-1]) if isinstance(record[-1], (bytes, str)) else 0
