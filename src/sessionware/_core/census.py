"""How many sessions there are, by reading all of them."""

from __future__ import annotations

from collections import Counter
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
    counts, read = Counter(live=0, logged_in=0, expired=0, tombstones=0, bytes=0), 0
    for page in _pages(records):
        for record in page:
            kinds = _kinds(record, open_record(keys.record, record, records.path), limits, now)
            counts.update(kinds)
            counts["bytes"] += len(record.payload) if kinds else 0
        read += len(page)
        if progress is not None:
            progress(read)
    return dict(counts)


def _pages(records: Records) -> Iterator[list[Record]]:
    after: bytes | None = None
    while page := records.store.scan(after, _PAGE):
        yield page
        after = page[-1].id


def _kinds(record: Record, opened: Stored | Unreadable, limits: Limits, now: int) -> tuple[str, ...]:
    """What the record counts as. A damaged one counts as nothing: it may not even be a record."""
    if opened is Unreadable.CORRUPT:
        return ()
    end = end_of(record.expires_at, opened.envelope, limits) if isinstance(opened, Stored) else record.expires_at
    if end <= now:
        return ("expired",)
    if isinstance(opened, Stored) and opened.envelope.is_tombstone:
        return ("tombstones",)
    return ("live",) if record.owner is None else ("live", "logged_in")
