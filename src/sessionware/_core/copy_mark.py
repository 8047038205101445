"""The mark that a copy leaves in its target, until the last pass: it says whose the target is, and what is copied."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..errors import ConfigError, StoreError
from ..stores.base import Record, Store

#: The namespace that holds the mark. Nothing else may be kept in it.
MARK_NAMESPACE = "copy"

_ID = b"sessionware copy"

#: The end of the year 9999.
_EXPIRES_AT = 253_402_300_799

#: How old the last look at the mark may be when something is written, in seconds and in calls. A pass that was stopped
#: with its process, and goes on after the move, would put back what the site has changed since. A clock that tells it
#: at once may have been stopped as well, with a virtual machine.
_SECONDS, _CALLS = 1, 100

_OVERTAKEN = (
    "another copy to this store has begun, or has ended, so this one stops. Let one finish, then make another pass to "
    "be sure."
)

#: The path of a namespace.
Names = tuple[str, ...]


class Begun(NamedTuple):
    """What a mark says of the passes before."""

    origin: str
    """What the source was called, if it was called something."""
    path: Names
    """The source's path."""
    names: list[Names]
    """The roots that were copied, below the two stores."""


class CopyMark:
    """The mark, as one pass finds it, puts its own in its place, and keeps looking at it."""

    def __init__(self, source: Store, target: Store, clock: Callable[[], float]) -> None:
        self._store: Any = target.namespace(MARK_NAMESPACE)  # Any, so that compiled code accepts 1 for True
        self._source: Any = source.namespace(MARK_NAMESPACE)
        self._clock = clock
        self._found: Record | None = None
        self._ours: Record | None = None
        self._looked_at = 0.0
        self._calls = 0

    def is_in_source(self) -> bool:
        """Whether the source is the target of a copy; after `put`, whether it is the target itself."""
        return self._load(self._source) is not None

    def found(self) -> Begun | None:
        """What the passes before have left. Raises `ConfigError` if that is no mark."""
        self._found = self._load(self._store)
        if self._found is None:
            return None
        try:
            said = json.loads(self._found.payload)
            return Begun(str(said["from"]), tuple(said["path"]), [tuple(names) for names in said["names"]])
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                "The namespace 'copy' of the store to copy to has something that no copy has left there. Give an empty "
                "store."
            ) from None

    def put(self, begun: Begun) -> None:
        """Take the target over. Raises `StoreError` if another copy does at the same moment."""
        said = {"from": begun.origin, "path": begun.path, "names": begun.names, "pass": secrets.token_hex(8)}
        version = 1 if self._found is None else self._found.version + 1
        self._ours = Record(_ID, version, _EXPIRES_AT, None, json.dumps(said).encode())
        put = self._store.create if self._found is None else self._store.replace
        if not put(self._ours):
            raise StoreError(_OVERTAKEN)

    def check(self) -> None:
        """Another copy that has taken over may already be further on: raises `StoreError`. Nothing locks it out."""
        self._looked_at, self._calls = self._clock(), 0
        if self._load(self._store) != self._ours:
            raise StoreError(_OVERTAKEN)

    def check_before_a_call(self) -> None:
        """The same, if the last look is too old."""
        self._calls += 1
        if self._calls > _CALLS or not 0 <= self._clock() - self._looked_at < _SECONDS:
            self.check()

    def remove(self) -> None:
        """Release the target."""
        self._store.delete(_ID)

    def _load(self, store: Any) -> Record | None:
        found: Record | None = store.load(_ID, int(self._clock()))
        return found


def abandon(target: Store, now: int) -> bool:
    """Release the target as it is, whatever its mark says. False if there is no mark."""
    store: Any = target.namespace(MARK_NAMESPACE)
    return store.load(_ID, now) is not None and bool(store.delete(_ID))


def is_marked(store: Store, now: int) -> bool:
    """Whether the store belongs to a copy, by what is in its namespace for marks."""
    return store.load(_ID, now) is not None


def shown(names: Sequence[str]) -> str:
    """A path in an error."""
    return f"the namespace {'/'.join(names)}" if names else "the root"
