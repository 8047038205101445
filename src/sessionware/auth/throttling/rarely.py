"""Events that a flood causes: told so rarely that they can be read, and so often that none is missed."""

from __future__ import annotations

import threading
from collections.abc import Hashable

#: Seconds between two events about the same.
_PAUSE = 60

#: How many different things may be told of in that time. A flood of more is one that the others have told of.
_MOST = 1000


class Rarely:
    """Counts what happens, and says when it should be told: at once, and then once a minute, each process by itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[Hashable, tuple[int, int]] = {}

    def count(self, about: Hashable, now: int) -> int:
        """How often it has happened since it was told, this time included. 0 if it need not be told again yet."""
        with self._lock:
            told_at, untold = self._told.get(about, (None, 0))
            if told_at is not None and 0 <= now - told_at < _PAUSE:
                self._told[about] = told_at, untold + 1
                return 0
            if told_at is None and len(self._told) >= _MOST and not self._make_room(now):
                return 0
            self._told[about] = now, 0
            return untold + 1

    def _make_room(self, now: int) -> bool:
        self._told = {about: told for about, told in self._told.items() if 0 <= now - told[0] < _PAUSE}
        return len(self._told) < _MOST
