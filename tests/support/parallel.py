"""Two requests that overlap: both have read the session before either saves it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

PATIENCE = 10.0  # seconds, for what should take milliseconds


class Meeting:
    """Where two requests wait for each other. A view calls `wait` after it has read its session."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(2)

    def wait(self) -> None:
        self._barrier.wait(PATIENCE)


def lost_writes(write: Callable[[str], Any], read: Callable[[], Any], pairs: int = 100) -> int:
    """How many of `2 * pairs` writes are gone after pairs of overlapping requests.

    Args:
        write: Sends a request of one browser whose view reads the session, waits at the `Meeting`, and then puts
            `True` under the key that it is given. It is called in two threads at once.
        read: Returns the session as a mapping, or at least its keys.
        pairs: How many times two requests overlap.
    """
    keys = [f"{side}{number}" for number in range(pairs) for side in ("a", "b")]
    failures: list[BaseException] = []

    def send(key: str) -> None:
        try:
            write(key)
        except BaseException as failure:
            failures.append(failure)

    for pair in zip(keys[::2], keys[1::2], strict=True):
        threads = [threading.Thread(target=send, args=[key]) for key in pair]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
    kept = read()
    return sum(key not in kept for key in keys)
