"""The file under an SQLite database: where it may be, how it is made, and whether it is still the same one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError
from .permissions import warn_of_others

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be replaced
    fcntl = None  # type: ignore[assignment]

_BESIDE = ("-wal", "-shm")


class Files(NamedTuple):
    """Which files a database consists of: two that are equal are the same files."""

    database: tuple[int, int] | None
    beside: tuple[tuple[int, int] | None, ...]
    """The log, and its index."""


def files_at(path: Path) -> Files:
    """The files that are there now."""
    return Files(file_id(path), tuple(file_id(Path(f"{path}{suffix}")) for suffix in _BESIDE))


def file_id(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file, or None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def remove_logs_of(former: Sequence[Files], path: Path) -> None:
    """Remove a log that belongs to another database, which was at this path before.

    SQLite finds a log by its name alone, and would copy what is in it into the database that is there now. `former` are
    open: the number of a file that is not could be another one's by now. Others may do the same at this moment, and the
    first of them makes a new log, so they take turns.
    """
    with _turn(path.parent):
        for number, suffix in enumerate(_BESIDE):
            beside = Path(f"{path}{suffix}")
            found = file_id(beside)
            if found is not None and any(files.beside[number] == found for files in former):
                beside.unlink()


@contextmanager
def _turn(directory: Path) -> Iterator[None]:
    """Only one process at a time makes databases in a directory, or removes logs from it."""
    if fcntl is None:
        yield
        return
    file = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def warn_of_exposure(path: Path) -> None:
    """Log a warning if other users can get at the database, or could put another one in its place."""
    for file in (path, *(Path(f"{path}{suffix}") for suffix in _BESIDE)):
        with suppress(FileNotFoundError):
            warn_of_others(file, mode=0o600)
    warn_of_others(path.parent, mode=0o775, may_root_share=True)


def checked_path(path: str | os.PathLike[str]) -> Path:
    """The absolute path (servers change the current directory later), if a database can be there."""
    if os.fspath(path) in ("", ":memory:"):
        raise ConfigError(
            f"{path!r} would be a different database in each thread: give the path of a file, "
            "or use MemoryStore() (for accounts, MemoryUsers())."
        )
    absolute = Path(path).absolute()
    problem = _problem_with(absolute)
    if problem:
        raise ConfigError(f"{str(absolute)!r} {problem}.")
    return absolute


def _problem_with(path: Path) -> str | None:
    if path.is_dir():
        return "is a directory: give the path of a file in it"
    if not path.parent.is_dir():
        return f"cannot be created: create the directory {str(path.parent)!r} first"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"cannot be used: SQLite creates files beside it, so let this process write to {str(path.parent)!r}"
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return "cannot be used: let this process read and write the file"
    return None


def create_file(path: Path) -> None:
    """Create the file, readable by its owner only. SQLite gives the files beside it the same mode.

    A file that exists is not even opened: closing it again would drop the locks that this process has on it. A log that
    is there without a database is what a lost one has left, and SQLite would take it for that of the new one.
    """
    try:
        with _turn(path.parent):
            if path.exists():
                return
            for suffix in _BESIDE:
                Path(f"{path}{suffix}").unlink(missing_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be created ({error.strerror}): give another path.") from error
