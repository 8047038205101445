"""What a FileStore does to find what may be removed: it walks through the directory, and knows what a crash left."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ._file_format import is_ours

_NAME_LENGTH = 32

#: Seconds after which a file without a valid slot, or an entry without a record, must be left from a killed process.
_ABANDONED = 3600

#: Files that `prune` looks at for each record that it may remove.
LOOKS = 5


class Walk:
    """A walk through a directory, a few names at a time, that starts again after the end."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._entries: os._ScandirIterator[str] | None = None
        self._lock = threading.Lock()

    def next_names(self, count: int) -> list[str]:
        """The next names, at most `count`; fewer at the end of the directory."""
        with self._lock:
            names = self._take(count)
            return names if names else self._begin()._take(count)

    def _begin(self) -> Walk:
        self._entries = os.scandir(self._directory)
        return self

    def _take(self, count: int) -> list[str]:
        return [entry.name for entry in itertools.islice(self._entries or (), count)]

    def __del__(self) -> None:
        if self._entries is not None:
            self._entries.close()


def ids_among(names: list[str]) -> Iterator[bytes]:
    """The ids among file names, which all have the same length."""
    for name in names:
        if len(name) == _NAME_LENGTH:
            with suppress(ValueError):
                id = bytes.fromhex(name)
                if id.hex() == name:  # `fromhex` takes capitals and spaces too
                    yield id


def remove_if_abandoned(path: str) -> None:
    """Remove a file that a killed process left: empty, or begun as ours are, and untouched for long."""
    with suppress(FileNotFoundError, IsADirectoryError):
        file = os.open(path, os.O_RDONLY)
        try:
            # The system's clock, because it is compared with the file system's time: when this file was created.
            # One that lies ahead, because a clock was set back, is left alone: somebody may be writing it right now.
            if is_ours(file) and time.time() - os.fstat(file).st_mtime > _ABANDONED:
                Path(path).unlink()
        finally:
            os.close(file)
