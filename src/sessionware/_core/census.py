"""How many sessions there are, by reading all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from .._seals import Keys
from ..stores.base import Record, Store
from .envelope import Stored, Unreadable, open_record
from .lifetime import Limits, end_of
from .pages import Pages
from .records import Records
from .shelf import with_library_namespaces


def count_all(
    records: Records, keys: Keys, limits: Limits, now: int, progress: Callable[[int], object] | None
) -> dict[str, int]:
    """As `SessionManager.stats` says."""
    counts = Counter(live=0, logged_in=0, expired=0, tombstones=0, unknown_key=0, throttle=0, tokens=0, bytes=0)
    read = 0
    for name, page in _pages(records.store):
        for record in page:
            kinds = (name,) if name else _kinds(record, open_record(keys.record, record, records.path), limits, now)
            counts.update(kinds)
            counts["bytes"] += len(record.payload) if kinds else 0
        read += len(page)
        if progress is not None:
            progress(read)
    return dict(counts)


def _pages(root: Store) -> Iterator[tuple[str, list[Record]]]:
    """All records: those of sessions, and those that the library keeps beside them, by the name of their namespace."""
    for store in with_library_namespaces(root):
        name = "" if store is root else store.path[-1]
        for page in Pages(store):
            yield name, page


def _kinds(record: Record, opened: Stored | Unreadable, limits: Limits, now: int) -> tuple[str, ...]:
    """What the record counts as. A damaged one counts as nothing: it may not even be a record."""
    if opened is Unreadable.CORRUPT:
        return ()
    end = end_of(record.expires_at, opened.envelope, limits) if isinstance(opened, Stored) else record.expires_at
    if end <= now:
        return ("expired",)
    if isinstance(opened, Stored) and opened.envelope.is_tombstone:
        return ("tombstones",)
    kinds = ("live",) if record.owner is None else ("live", "logged_in")
    return (*kinds, "unknown_key") if opened is Unreadable.UNKNOWN_KEY else kinds
