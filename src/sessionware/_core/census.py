"""How many sessions there are, by reading all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .._seals import Keys
from ..stores.base import Record
from .envelope import Stored, Unreadable, open_record
from .lifetime import Limits, end_of
from .records import Records

_PAGE = 1000


def count_all(
    records: Records, keys: Keys, limits: Limits, now: int, progress: Callable[[int], object] | None
) -> dict[str, int]:
    """As `SessionManager.stats` says."""
    counts, read = dict.fromkeys(("live", "logged_in", "expired", "tombstones", "bytes"), 0), 0
    for page in _pages(records):
        for record in page:
            _count(record, records, keys, limits, now, counts)
        read += len(page)
        if progress is not None:
            progress(read)
    return counts


def _pages(records: Records) -> Iterator[list[Record]]:
    after: bytes | None = None
    while page := records.store.scan(after, _PAGE):
        yield page
        after = page[-1].id


def _count(record: Record, records: Records, keys: Keys, limits: Limits, now: int, counts: dict[str, int]) -> None:
    is_expired = isinstance(record.expires_at, int) and record.expires_at <= now
    opened = None if is_expired else open_record(keys.record, record, records.path)
    if isinstance(opened, Stored):
        is_expired = end_of(record.expires_at, opened.envelope, limits) <= now
    if opened is Unreadable.CORRUPT:
        return  # it may not even be a record
    counts["bytes"] += len(record.payload)
    if is_expired:
        counts["expired"] += 1
    elif isinstance(opened, Stored) and opened.envelope.is_tombstone:
        counts["tombstones"] += 1
    else:
        counts["live"] += 1
        counts["logged_in"] += record.owner is not None
