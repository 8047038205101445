"""The file under an SQLite database: where it may be, how it is made, and whether it is still the same one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from .._hidden import Hidden
from .._urls import check_is_path
from ..errors import ConfigError
from .permissions import warn_of_others

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be replaced
    fcntl = None  # type: ignore[assignment]

_BESIDE = ("-wal", "-shm")

#: Beside the database, too: which log belongs to which database, for other processes and for later.
_MARK = "-sessionware"

FileId = tuple[int, int]
"""Device and inode."""


class Files(NamedTuple):
    """Which files a database consists of: two that are equal are the same files."""

    database: FileId | None
    log: FileId | None


def files_at(path: Path) -> Files:
    """The files that are there now."""
    return Files(file_id(path), file_id(_beside(path, "-wal")))


def file_id(path: Path) -> FileId | None:
    """Device and inode of the file, or None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def drop_stale_log(path: Path) -> None:
    """Remove a log that belongs to another database, which was at this path before. Call it before each opening.

    SQLite finds a log by its name alone, and would copy what is in it into the database that is there now. Only a log
    that the mark names is removed, and only if the mark names another database: one that came together with its
    database, as in a copy of the whole directory, is another file than the marked one.
    """
    with _turn(path, is_made=False) as mark:
        marked, found = _read(mark), files_at(path)
        if marked is None or found.database in (None, marked.database):  # a database that is gone may come back for it
            return
        if found.log is not None and found.log == marked.log:
            for suffix in _BESIDE:
                _beside(path, suffix).unlink(missing_ok=True)
        _write(mark, Files(found.database, None))


def mark_log(path: Path) -> Files:
    """Note which log the database has now that it is open. Returns the files."""
    with _turn(path, is_made=True) as mark:
        found = files_at(path)
        _write(mark, found)
    return found


def unmark_log(path: Path) -> None:
    """Note, after a connection was closed, that the log is gone if it is: the next one may get its number."""
    with suppress(OSError), _turn(path, is_made=False) as mark:
        marked, found = _read(mark), files_at(path)
        if marked is not None and marked.database == found.database and marked.log != found.log:
            _write(mark, found._replace(log=None))


def _beside(path: Path, suffix: str) -> Path:
    # SQLite puts its files beside the database itself, not beside a link to it.
    return Path(os.path.realpath(path) + suffix)


def _give_away(mark: int, path: Path) -> None:
    """Give the mark to whoever owns the database, as SQLite does with its log. Else root's would lock the site out."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        with suppress(OSError):  # there is no database yet
            owner = path.stat()
            os.fchown(mark, owner.st_uid, owner.st_gid)


@contextmanager
def _turn(path: Path, *, is_made: bool) -> Iterator[int | None]:
    """The mark, open, while no other process has it. None if there is none, and it `is_made` not here."""
    flags = os.O_RDWR | (os.O_CREAT if is_made else 0)
    try:
        file = os.open(_beside(path, _MARK), flags, 0o600)
    except FileNotFoundError:
        yield None
        return
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        if is_made:
            _give_away(file, path)
        yield file
    finally:
        os.close(file)


def _read(mark: int | None) -> Files | None:
    """What the mark says; None if there is none, or if no database was there yet when it was made."""
    numbers = _numbers(mark)
    if not numbers:
        return None
    device, inode, log_device, log_inode, _ = numbers
    return Files((device, inode), (log_device, log_inode) if log_inode else None)


def _had_database(mark: int | None) -> bool:
    """Whether the mark was written here, beside a database.

    It names itself too. So one that was copied here alone, as by a version control that leaves databases out, is none.
    """
    return mark is not None and _numbers(mark)[4:] == [os.fstat(mark).st_ino]


def _numbers(mark: int | None) -> list[int]:
    """Device and inode of the database and of its log, and the inode of the mark itself. Empty if it says nothing."""
    if mark is None:
        return []
    line, _, _ = os.pread(mark, 120, 0).partition(b"\n")
    try:
        numbers = [int(number) for number in line.split()]
    except ValueError:
        return []
    return numbers if len(numbers) == 5 else []


def _write(mark: int | None, files: Files) -> None:
    if mark is not None and files.database is not None:
        numbers = (*files.database, *(files.log or (0, 0)), os.fstat(mark).st_ino)
        line = " ".join(map(str, numbers)).encode() + b"\n"
        os.pwrite(mark, line, 0)  # before it is cut: a process that is killed in between leaves no empty mark
        os.ftruncate(mark, len(line))


def warn_of_exposure(path: Path) -> None:
    """Log a warning if other users can get at the database, or could put another one in its place."""
    for suffix in ("", *_BESIDE):
        with suppress(FileNotFoundError):
            warn_of_others(_beside(path, suffix), mode=0o600)
    for folder in dict.fromkeys((path.parent, _beside(path, "").parent)):
        warn_of_others(folder, mode=0o775, may_root_share=True)


def checked_path(given: Hidden[str | os.PathLike[str]]) -> Path:
    """The absolute path (servers change the current directory later), if a database can be there."""
    if os.fspath(given.value) in ("", ":memory:"):
        raise ConfigError(
            f"{given.value!r} would be a different database in each thread: give the path of a file, "
            "or use MemoryStore() (for accounts, MemoryUsers())."
        )
    check_is_path(given, "a file")
    absolute = Path(given.value).absolute()
    problem = _problem_with(absolute)
    if problem:
        raise ConfigError(f"{str(absolute)!r} {problem}.")
    return absolute


def _problem_with(path: Path) -> str | None:
    if path.is_symlink() and not path.exists() and not _is_lost(path):
        return "is a link to a file that does not exist: give the path of the file itself"
    if path.is_dir():
        return "is a directory: give the path of a file in it"
    if not path.parent.is_dir():
        return f"cannot be created: create the directory {str(path.parent)!r} first"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"cannot be used: SQLite creates files beside it, so let this process write to {str(path.parent)!r}"
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return "cannot be used: let this process read and write the file"
    return None


def _is_lost(path: Path) -> bool:
    """Whether there was a database that is gone: somebody moved or removed it, and may put it back."""
    with _turn(path, is_made=False) as mark:
        return _had_database(mark) and is_missing(path)


def is_missing(path: Path) -> bool:
    """Whether there is no database: no file, or an empty one, as of a copy that has just begun or that failed."""
    return not path.exists() or path.stat().st_size == 0


def how_to_go_on(path: Path) -> str:
    """What to do about a database that is gone."""
    return f"put it back. To begin with an empty one instead, remove {str(_beside(path, _MARK))!r} and restart."


def create_file(path: Path) -> bool:
    """Create the file, readable by its owner only. SQLite gives the files beside it the same mode.

    Returns False, and creates none, where there was a database that is gone: an empty one in its place would log
    everybody out and give their names to whoever registers first.

    A file that exists is not even opened: closing it again would drop the locks that this process has on it. A log that
    is there without a database is what a lost one has left, and SQLite would take it for that of the new one.
    """
    try:
        with _turn(path, is_made=not path.exists()) as mark:
            if _had_database(mark) and is_missing(path):
                return False
            if path.exists():
                return True
            for suffix in _BESIDE:
                _beside(path, suffix).unlink(missing_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            return True
    except FileExistsError:
        return True
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be created ({error.strerror}): give another path.") from error
