"""Records of the library's own beside the sessions, in reserved namespaces of their store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..events import Events
from ..stores.base import Record, Store, existing_namespace
from .pairs import is_record
from .upkeep import Upkeep

#: Where they are. What looks after a store looks after these too.
LIBRARY_NAMESPACES = ("throttle", "tokens")

_DAMAGED = "a record in the namespace {!r} is damaged, so it was deleted: did the disk fail, or somebody write there?"


class Shelf:
    """One of those namespaces. Its records are not sessions; who keeps them here knows what their payload means."""

    def __init__(
        self,
        store: Store,
        name: str,
        events: Events,
        clock: Callable[[], float],
        pause: Callable[[int], object],
    ) -> None:
        self._name = name
        self.pause = pause
        """Waits a moment, longer with each attempt (counted from 0), before a race that was lost is run again."""
        self._store: Any = store.namespace(name)  # Any, so that compiled code accepts what Python does: 1 for True
        self._events = events
        self._upkeep = Upkeep(self._store, events, clock)

    def load(self, id: bytes, now: int) -> Record | None:
        """The record, if it has not expired; with 0 for `now`, whether it has or not. Raises `StoreUnavailable`.

        What is not a record is deleted, with an event.
        """
        found: Record | None = self._store.load(id, now)
        if found is None or is_record(found):
            return found
        self.drop_damaged(id)
        return None

    def create(self, record: Record) -> bool:
        """As `Store.create`. Raises `StoreUnavailable`."""
        is_new = bool(self._store.create(record))
        if is_new:
            self._upkeep.after_creation()
        return is_new

    def replace(self, record: Record) -> bool:
        """As `Store.replace`. Raises `StoreUnavailable`."""
        return bool(self._store.replace(record))

    def delete(self, id: bytes) -> bool:
        """As `Store.delete`. Raises `StoreUnavailable`."""
        return bool(self._store.delete(id))

    def drop_damaged(self, id: bytes) -> None:
        """Delete a record that makes no sense, with an event. Raises `StoreUnavailable`."""
        self._store.delete(id)
        self._events.emit("record.corrupt", detail=_DAMAGED.format(self._name))


def with_library_namespaces(store: Store) -> Iterator[Store]:
    """The store, and those of the library's namespaces in it that there are."""
    yield store
    for name in LIBRARY_NAMESPACES:
        namespace = existing_namespace(store, name)
        if namespace is not None:
            yield namespace
