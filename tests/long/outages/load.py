"""Threads that load and replace without a pause, and know what must be there."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from sessionware import Record, Store, StoreUnavailable

THREADS, RECORDS = 4, 8  # each thread has records of its own
PATIENCE = 60.0  # seconds, for what should take one after an outage


class StoreCall(NamedTuple):
    """One call of a store."""

    began: float
    ended: float
    error: str
    """Empty if it was answered."""
    is_unavailable: bool = False


class OneRecord:
    """A record that only one thread writes, so that it knows what is stored, but for writes that failed."""

    def __init__(self, store: Store, expires_at: int) -> None:
        self._store = store
        self.stored = Record(os.urandom(16), 1, expires_at, os.urandom(16), os.urandom(300))
        self._unsure: set[bytes] = set()
        """What was written and not confirmed since the last confirmed write."""
        self.lost: list[str] = []
        assert store.create(self.stored)

    def load(self) -> None:
        """Load it, and compare it with what was acknowledged."""
        found = self._store.load(self.stored.id, 0)
        if found is None:
            self._lose("it is gone")
        elif found.version < self.stored.version:
            self._lose(f"version {self.stored.version} was acknowledged, and {found.version} is there", found)
        elif found != self.stored and found.payload not in self._unsure:
            self._lose("it holds what was never written", found)
        else:
            self.stored = found

    def replace(self) -> None:
        """Write what was never written before."""
        record = self.stored._replace(version=self.stored.version + 1, payload=os.urandom(300))
        self._unsure.add(record.payload)
        is_written = self._store.replace(record)  # False if an earlier one got through late, which `load` then sees
        if is_written:
            self.stored, self._unsure = record, set()
        elif len(self._unsure) == 1:
            self._lose("replace() said False although nobody else writes")

    def _lose(self, what: str, found: Record | None = None) -> None:
        self.lost.append(f"record {self.stored.id.hex()}: {what}")
        if found is None:
            self.stored = self.stored._replace(version=1)
            self._store.create(self.stored)
        else:
            self.stored = found


class Load:
    """The threads."""

    def __init__(self, store: Store) -> None:
        self.calls: list[StoreCall] = []
        self._stopping = False
        expires_at = int(time.time()) + 36_000
        self.records = [[OneRecord(store, expires_at) for _ in range(RECORDS)] for _ in range(THREADS)]
        self._threads = [threading.Thread(target=self._work, args=(own,), daemon=True) for own in self.records]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        for thread in self._threads:
            thread.join(PATIENCE)

    @property
    def lost(self) -> list[str]:
        return [what for own in self.records for record in own for what in record.lost]

    def wait_for_success(self, since: float, count: int = 200) -> None:
        """Wait until so many calls that began since then were answered."""
        deadline = time.monotonic() + PATIENCE
        while sum(call.began >= since and not call.error for call in self.calls[-4 * count :]) < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the store does not come back: {self.calls[-1].error}")
            time.sleep(0.01)

    def _work(self, own: list[OneRecord]) -> None:
        while not self._stopping:
            for record in own:
                if self._timed(record.load):
                    self._timed(record.replace)

    def _timed(self, call: Callable[[], None]) -> bool:
        began, error, is_unavailable = time.monotonic(), "", False
        try:
            call()
        except StoreUnavailable as unavailable:
            error, is_unavailable = _in_short(unavailable), True
        except Exception as unexpected:  # which a store may not raise
            error = _in_short(unexpected)
        self.calls.append(StoreCall(began, time.monotonic(), error, is_unavailable))
        if error:
            time.sleep(0.005)  # so that a server that is refused at once is not asked a million times
        return not error


def _in_short(error: BaseException) -> str:
    cause = error.__cause__ or error
    cause = getattr(cause, "orig", None) or cause
    return f"{type(cause).__module__}.{type(cause).__name__}: {str(error)[:150]}"
