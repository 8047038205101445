"""A FileStore's directory. A mark in it says that it is one, so that no other directory is ever taken for a store's.

The mark is made before anything else. So a directory with something in it and without a mark is somebody else's, and an
incomplete mark is one that is being written, or whose writer was killed: whoever finds it writes the same again.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from ..databases.permissions import warn_of_others
from ..errors import ConfigError

MARK = "sessionware-store"
_TEXT = b"sessionware FileStore, format 1\n"


def claimed(path: Path) -> Path:
    """The directory, made (mode 0700) and marked if it is not there or empty. Raises `ConfigError`."""
    _make(path)
    try:
        if not is_marked(path):
            _check_empty(path)
            _mark(path)
        warn_of_others(path, mode=0o700)
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be used ({error.strerror}): give another path.") from error
    return path


def check_marked(path: Path) -> None:
    """Raise `ConfigError` unless this is a store's directory already."""
    if not path.is_dir():
        raise ConfigError(f"{str(path)!r} does not exist, or is no directory. Check the spelling of the path.")
    if not is_marked(path):
        raise ConfigError(f"{str(path)!r} is not a FileStore's directory: there is no {MARK!r} in it.")


def is_marked(path: Path) -> bool:
    """Whether the directory has the mark. Raises `ConfigError` if it is another release's."""
    try:
        text = (path / MARK).read_bytes()
    except FileNotFoundError:
        return False
    if not _TEXT.startswith(text):  # one that was cut short is completed
        raise ConfigError(
            f"{str(path)!r} was made by another release of sessionware ({MARK!r} in it does not say "
            f"{_TEXT.decode().strip()!r}): install that release, or give another path."
        )
    return text == _TEXT


def mark_of(path: Path) -> tuple[int, int]:
    """What tells this directory's mark from that of another directory at the same path."""
    status = (path / MARK).stat()
    return status.st_dev, status.st_ino


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700)
        with suppress(OSError):  # a directory that may not be read cannot be synced either
            sync_directory(path.parent)
    except FileExistsError:
        if not path.is_dir():
            raise ConfigError(f"{str(path)!r} is a file: give the path of a directory.") from None
    except FileNotFoundError:
        raise ConfigError(f"{str(path)!r} cannot be created: create {str(path.parent)!r} first.") from None
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be created ({error.strerror}): give another path.") from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(f"{str(path)!r} cannot be used: let this process read and write it.")


def _check_empty(path: Path) -> None:
    # What others put there, they put there after the mark. So if there is anything, the mark is looked for once more.
    if any(file.name != MARK for file in path.iterdir()) and not is_marked(path):
        raise ConfigError(
            f"{str(path)!r} is not empty, and not a FileStore's directory (there is no {MARK!r} in it): give the path "
            "of a new or an empty directory that nothing else uses."
        )


def _mark(path: Path) -> None:
    file = os.open(path / MARK, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        if os.pwrite(file, _TEXT, 0) != len(_TEXT):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(file)  # always: after a power cut, records without a mark would look like somebody else's files
    finally:
        os.close(file)
    sync_directory(path)


def sync_directory(path: str | Path) -> None:
    """Write the directory's entries to the disk: a file that has no name there is lost."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
