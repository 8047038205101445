"""Removing records that have expired: a few now and then, while a site runs, or all of them."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import StoreError
from ..events import Events
from ..stores.base import Store

#: Records to remove in one call, if all are to go: so few that nobody has to wait for it for more than a moment.
_BATCH = 1000

#: The same once that many found nothing, because a FileStore looks at so many files for each that it may remove: enough
#: for it to look at a hundred thousand.
_LAST_BATCH = 20_000

#: One in this many creations prunes.
PRUNE_EVERY = 100

#: At most this many records. More than come in between, or what a flood leaves would stay for ever.
PRUNE_LIMIT = 2 * PRUNE_EVERY


class Upkeep:
    """Keeps one namespace small, so that nobody has to prune it."""

    def __init__(self, store: Store, events: Events, clock: Callable[[], float]) -> None:
        self._store: Any = store
        self._events = events
        self._clock = clock
        self._creations = itertools.count(random.randrange(PRUNE_EVERY))  # noqa: S311  (nothing secret about it)

    def after_creation(self) -> None:
        """Prune, if it is time."""
        if next(self._creations) % PRUNE_EVERY:
            return
        try:
            self._store.prune(int(self._clock()), PRUNE_LIMIT)
        except StoreError as error:
            # The record is stored, so whoever made it should not be bothered by a sweep that failed.
            self._events.emit("store.unavailable", detail=f"prune: {error}")


def prune_all(store: Store, now: int) -> int:
    """Remove all expired records, in batches, so that the application's own writes get their turn in between."""
    return sum(prune_batches(store, now))


def prune_batches(store: Store, now: int, pause: Callable[[float], object] = time.sleep) -> Iterator[int]:
    """Remove all expired records, and yield how many with each batch.

    After each there is a pause as long as it took, so that a site has at least half of its database for itself.
    """
    while True:
        began = time.monotonic()
        removed = store.prune(now, _BATCH) or store.prune(now, _LAST_BATCH)
        if not removed:
            return
        yield int(removed)
        pause(time.monotonic() - began)
