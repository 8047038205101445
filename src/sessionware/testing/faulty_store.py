"""A store that fails when it is told to, to see what your application does in an outage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import StoreUnavailable
from ..stores.base import Record, Store, listen


class FaultyStore(Store):
    """Passes every call on to another store, records it, and fails where it is told to.

    >>> from sessionware import MemoryStore
    >>> from sessionware.testing import FaultyStore
    >>> store = FaultyStore(MemoryStore())
    >>> store.broken.add("replace")           # every `replace` raises StoreUnavailable, and does nothing
    >>> store.deaf.add("create")              # every `create` does its work, and raises all the same
    >>> store.calls
    []

    Each of its namespaces is a `FaultyStore` too, with its own faults.
    """

    def __init__(self, store: Store) -> None:
        self.behind = store
        """The store that does the work."""
        self.broken: set[str] = set()
        """Methods that fail before they have done anything."""
        self.deaf: set[str] = set()
        """Methods that do their work but lose their answer, as if the connection breaks at that moment."""
        self.before: dict[str, Callable[[], object]] = {}
        """What to call once, right before the next call of a method."""
        self.calls: list[str] = []
        """The methods that were called, in order."""

    @property
    def path(self) -> tuple[str, ...]:
        return self.behind.path

    def create(self, record: Record) -> bool:
        return bool(self._call("create", record))

    def load(self, id: bytes, now: int) -> Record | None:
        found: Record | None = self._call("load", id, now)
        return found

    def replace(self, record: Record) -> bool:
        return bool(self._call("replace", record))

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        self._call("touch", id, version, expires_at)

    def delete(self, id: bytes) -> bool:
        return bool(self._call("delete", id))

    def prune(self, now: int, limit: int = 1000) -> int:
        return int(self._call("prune", now, limit))

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        return list(self._call("owned_by", owner, now))

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        return list(self._call("scan", after, limit))

    def when_replaced(self, tell: Callable[[str], None]) -> None:
        """Passed on, if the store behind can be asked for it."""
        listen(self.behind, tell)

    def namespace(self, name: str) -> FaultyStore:
        return FaultyStore(self._call("namespace", name))

    def _call(self, method: str, *arguments: Any) -> Any:
        self.before.pop(method, lambda: None)()
        self.calls.append(method)
        if method in self.broken:
            raise StoreUnavailable(f"{method} was told to fail")
        answer = getattr(self.behind, method)(*arguments)
        if method in self.deaf:
            raise StoreUnavailable(f"{method} was told to lose its answer")
        return answer
