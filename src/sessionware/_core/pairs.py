"""One namespace as it is in two stores: both read side by side, in little memory, and one made equal to the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import StoreError, StoreUnavailable
from ..stores.base import Record, Store
from .pages import Pages

#: Of ids, and of owners.
_ID_BYTES = 16

#: In 35 million years. Not every store holds later times.
_LATEST = 2**50


@dataclass
class Span:
    """All records of both stores behind the id `after`, up to `end`."""

    after: bytes | None
    end: bytes
    here: list[Record]
    there: list[Record]


class Pair:
    """One namespace, as it is in both stores."""

    def __init__(self, source: Store, target: Store, page: int, *, is_root: bool) -> None:
        self.target: Any = target  # Any, so that compiled code accepts 1 for True
        self.path = "/".join(target.path)
        self.name = self.path or "the root"
        self.is_root = is_root
        self._here, self._there = Pages(source, page), Pages(target, page)

    def spans(self) -> Iterator[Span]:
        """All records of both, a few at a time, in the order of ids."""
        after: bytes | None = None
        while True:
            here, there = _in_order(self._here, after), _in_order(self._there, after)
            ends = [page[-1].id for page in (here, there) if page]
            if not ends:
                return
            end = min(ends)  # the page that reaches further may lack some of the other one's, so its rest is read again
            yield Span(after, end, _up_to(end, here), _up_to(end, there))
            after = end

    def change(
        self, changed: list[Record], gone: list[bytes], there: dict[bytes, Record], check: Callable[[], None]
    ) -> None:
        """Write to the target. Room is made first. `check` is called before every call, and may raise."""
        for id in gone:
            self._delete(id, check)
        for record in changed:
            try:
                is_there = self._write(record, check, is_there=record.id in there)
            except StoreUnavailable as error:  # it may be this record that the store cannot take
                raise StoreUnavailable(f"{str(error).rstrip('.')}, at {record.id.hex()} in {self.name}.") from error
            if not is_there:
                raise StoreError(f"{record.id.hex()} appeared in {self.name} during the copy: somebody writes there.")

    def _write(self, record: Record, check: Callable[[], None], *, is_there: bool) -> bool:
        if is_there:  # not by `replace`, which would take several calls to get past more than one version
            self._delete(record.id, check)
        return self._create(record, check) or self._create_again(record, check)

    def _delete(self, id: bytes, check: Callable[[], None]) -> None:
        check()
        self.target.delete(id)

    def _create(self, record: Record, check: Callable[[], None]) -> bool:
        check()
        return bool(self.target.create(record))

    def _create_again(self, record: Record, check: Callable[[], None]) -> bool:
        """Of a `create` that was killed, a FileStore keeps what no `scan` shows, and yet is in the way."""
        self._delete(record.id, check)
        return self._create(record, check)

    def check_kept(self, span: Span, written: dict[bytes, Record], now: int) -> None:
        """Read what was just written, because a store that forgets, as a cache does, has not said no."""
        after, kept = span.after, list[Record]()
        while (after is None or after < span.end) and (page := _up_to(span.end, _in_order(self._there, after))):
            kept += page
            after = page[-1].id
        wrong = differences(written, {record.id: record for record in kept}, now)
        if wrong:
            raise StoreError(
                f"{wrong} records in {self.name} are not there as they were written: the store to copy to loses data, "
                "or somebody else writes to it."
            )


def _in_order(pages: Pages, after: bytes | None) -> list[Record]:
    """The next records. Out of order, they would make others look as if they were gone."""
    page = pages.after(after)
    last = after
    for record in page:
        if not isinstance(record.id, bytes) or (last is not None and record.id <= last):
            raise StoreError(f"scan() of {pages.store!r} is not in the order of ids, so this store cannot be copied.")
        last = record.id
    return page


def _up_to(end: bytes, page: list[Record]) -> list[Record]:
    return [record for record in page if record.id <= end]


def differences(here: dict[bytes, Record], there: dict[bytes, Record], now: int) -> int:
    """How many differ. One that has expired does not count, because either store may have removed it."""
    return sum(
        one != other and any(record is not None and record.expires_at > now for record in (one, other))
        for one, other in ((here.get(id), there.get(id)) for id in here.keys() | there.keys())
    )


def is_record(record: Any) -> bool:
    """Whether the row is a record at all, so that another store can keep it."""
    id, version, expires_at, owner, payload = record
    return (
        len(id) == _ID_BYTES
        and isinstance(version, int)
        and 0 < version < 2**63
        and isinstance(expires_at, int)
        and expires_at <= _LATEST
        and (owner is None or (isinstance(owner, bytes) and len(owner) == _ID_BYTES))
        and isinstance(payload, bytes)
    )
