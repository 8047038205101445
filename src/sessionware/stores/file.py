"""Sessions as files in one directory, on Linux and macOS: nothing to install, and each record is a file of its own.

A record's file is named after its id and written in place (`_file_format` says how), under a lock. This is several
times faster than the usual way (a new file renamed over the old one), and just as safe if the process is killed.

Owners are found by empty files, `owners/<owner>/<id>`. There may be too many of these, never too few: they are created
before the record is written, and what they point to is verified when it is read.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import TypeVar

from .._hidden import Hidden
from .._repr import shown_half_built
from .._urls import check_is_path
from ..databases.replaced import ReplacedHook, log_replaced
from ..errors import ConfigError, StoreUnavailable
from ._file_directory import check_marked, claimed, mark_of, sync_directory
from ._file_format import Slots, capacity_for, is_ours, packed
from ._file_sweep import LOOKS, Walk, ids_among, remove_if_abandoned
from .base import Record, Store, checked_name

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


_OWNERS = "owners"

#: Seconds for which a touch waits for another writer, in steps.
_TOUCH_PATIENCE, _TOUCH_STEP = 0.05, 0.005

#: Seconds between two looks whether the directory is still the same.
_LOOK_EVERY = 1.0

_Function = TypeVar("_Function", bound=Callable[..., object])


def _medium(method: _Function) -> _Function:
    """Look at the directory from time to time, and turn every failure of the file system into `StoreUnavailable`."""

    @wraps(method)
    def guarded(self: FileStore, *args: object, **kwargs: object) -> object:
        try:
            if time.monotonic() >= self._looks_at:
                self._look()
            return method(self, *args, **kwargs)
        except OSError as error:
            raise StoreUnavailable(f"{error.strerror}: {error.filename or self!r}") from error

    return guarded  # type: ignore[return-value]


def _release(file: int) -> None:
    """Unlock and close. Closing alone would leave the lock with a child that was forked meanwhile."""
    fcntl.flock(file, fcntl.LOCK_UN)
    os.close(file)


@shown_half_built
class FileStore(Store):
    """A store in the directory at `path`. It is created (mode 0700) if it does not exist; its parent must exist.

    A directory that exists must be empty, or a FileStore's already: a file in it, `sessionware-store`, says so. Nothing
    is ever removed from a directory without that mark.

    All threads and processes of one machine share it. It is not for network drives. Killing a process loses nothing
    that was saved. A power cut may undo the last half minute, including logouts. With `fsync=True` each change waits
    until the disk has it, and a power cut undoes none. Raises `ConfigError` if the path cannot be used, or on Windows.
    """

    def __init__(self, path: str | os.PathLike[str], *, fsync: bool = False) -> None:
        if fcntl is None:
            raise ConfigError("FileStore needs the file locks of Linux or macOS. Use SQLiteStore(path) here.")
        given = Hidden(path)  # it may be a URL with a password by mistake
        del path
        if not os.fspath(given.value):
            raise ConfigError(
                "FileStore('') would be the current directory: give the path of a directory that nothing else uses."
            )
        check_is_path(given, "a directory")
        self._path = claimed(Path(given.value).absolute())
        self._directory = str(self._path) + "/"
        self._fsync = fsync
        self._names: tuple[str, ...] = ()
        self._walk = Walk(self._directory)
        self._mark = mark_of(self._path)
        self._looks_at = time.monotonic() + _LOOK_EVERY
        self._tell: ReplacedHook = log_replaced

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self._path)!r}>"

    @property
    def path(self) -> tuple[str, ...]:
        return self._names

    def when_replaced(self, tell: ReplacedHook) -> None:
        """From now on, `tell` what happened when another directory is found in the place of this one."""
        self._tell = tell

    @_medium
    def create(self, record: Record) -> bool:
        if record.owner is not None:
            self._add_to_owner(record.owner, record.id)
        try:
            file = os.open(self._file(record.id), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return False
        try:
            self._write(file, 0, capacity_for(record.payload), record)
            self._sync_directory()
        except OSError:
            os.unlink(self._file(record.id))
            raise
        finally:
            os.close(file)
        if record.owner is not None:
            self._add_to_owner(record.owner, record.id)  # again: an earlier deletion of this id may end only now
        return True

    @_medium
    def load(self, id: bytes, now: int) -> Record | None:
        record = self._read(id)
        if record is None:
            self._look()  # at once: if the directory is gone, nobody knows whether there is such a session
            record = self._read(id)
        return record if record is not None and record.expires_at > now else None

    @_medium
    def replace(self, record: Record) -> bool:
        file = self._open_locked(record.id)
        if file is None:
            return False
        try:
            slots = Slots.read(record.id, file)
            old = slots.record
            if old is None or old.version != record.version - 1:
                return False
            if record.owner is not None and record.owner != old.owner:
                self._add_to_owner(record.owner, record.id)
            self._write(file, *slots.place_for(record.payload), record)
            if old.owner is not None and old.owner != record.owner:
                self._remove_from_owner(old.owner, record.id)  # while nobody else can give the record back
        finally:
            _release(file)
        return True

    @_medium
    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        with self._locked(id, patience=_TOUCH_PATIENCE) as file:
            if file is None:
                return
            slots = Slots.read(id, file)
            old = slots.record
            if old is not None and old.version == version and old.expires_at < expires_at:
                self._write(file, *slots.place_for(old.payload), old._replace(expires_at=expires_at))

    @_medium
    def delete(self, id: bytes) -> bool:
        with self._locked(id) as file:
            if file is None or not is_ours(file):
                return False
            record = Slots.read(id, file).record
            os.unlink(self._file(id))
            self._sync_directory()
        self._forget_owner(record)
        return record is not None

    @_medium
    def prune(self, now: int, limit: int = 1000) -> int:
        """As every store does. Looks at a few files for each that it may remove, from where the last call stopped."""
        self._look()  # nothing is removed from a directory that was put in the place of ours
        removed = 0
        for id in ids_among(self._walk.next_names(LOOKS * limit)):
            if self._prune_one(id, now):
                removed += 1
                if removed == limit:
                    break
        return removed

    @_medium
    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        folder = self._owner_folder(owner)
        try:
            ids = sorted(ids_among(os.listdir(folder)))
        except FileNotFoundError:
            return []
        records = []
        for id in ids:
            record = self._read(id)
            if record is None or record.owner != owner:
                self._remove_stale_entry(owner, id)
            elif record.expires_at > now:
                records.append(record)
        return records

    @_medium
    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        last = "" if after is None else after.hex()
        names = sorted(name for name in os.listdir(self._directory) if name > last)
        records: list[Record] = []
        for id in ids_among(names):
            if len(records) == limit:
                break
            record = self._read(id)
            if record is not None:
                records.append(record)
        return records

    def namespace(self, name: str) -> FileStore:
        sibling = FileStore(self._path / _folder_of(name), fsync=self._fsync)
        sibling._names = (*self._names, name)
        sibling._tell = self._tell
        return sibling

    def has_namespace(self, name: str) -> bool:
        """Whether this namespace has a directory, which `namespace` would make."""
        return (self._path / _folder_of(name)).exists()

    # The directory

    def _look(self) -> None:
        """See that the directory is there. Another one in its place is used from now on, as after a restart."""
        try:
            check_marked(self._path)
            mark = mark_of(self._path)
        except ConfigError as error:
            raise StoreUnavailable(f"{error} Put it back, or restart to begin with an empty one.") from error
        self._looks_at = time.monotonic() + _LOOK_EVERY
        if mark != self._mark:
            self._mark = mark
            self._walk = Walk(self._directory)
            self._tell(f"{str(self._path)!r} is another directory than before. What was stored there is not used.")

    # One record's file

    def _file(self, id: bytes) -> str:
        return self._directory + id.hex()

    def _read(self, id: bytes) -> Record | None:
        """The record. A torn slot may be in the middle of a write, so it is read again while nobody writes."""
        try:
            file = os.open(self._file(id), os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            slots = Slots.read(id, file)
            if slots.is_torn:
                fcntl.flock(file, fcntl.LOCK_SH)
                slots = Slots.read(id, file)
        finally:
            os.close(file)
        return slots.record

    @contextmanager
    def _locked(self, id: bytes, patience: float | None = None) -> Iterator[int | None]:
        """The record's file, open and locked against other writers; None if there is none."""
        file = self._open_locked(id, patience)
        try:
            yield file
        finally:
            if file is not None:
                _release(file)

    def _open_locked(self, id: bytes, patience: float | None = None) -> int | None:
        """The same, but the caller must close it.

        With `patience`, it is `BlockingIOError` if the lock is not free within so many seconds.

        Each call opens the file again, and `flock` belongs to the open file, so it keeps threads apart as well.
        """
        try:
            file = os.open(self._file(id), os.O_RDWR)
        except (FileNotFoundError, IsADirectoryError):
            return None
        is_there = False
        try:
            _lock(file, patience)
            is_there = os.fstat(file).st_nlink > 0  # else the previous holder of the lock deleted it
        finally:
            if not is_there:
                os.close(file)
        return file if is_there else None

    def _write(self, file: int, offset: int, capacity: int, record: Record) -> None:
        slot = packed(capacity, record)
        if os.pwrite(file, slot, offset) != len(slot):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file(record.id))
        if self._fsync:
            os.fsync(file)

    # Owners

    def _owner_folder(self, owner: bytes) -> str:
        return f"{self._directory}{_OWNERS}/{owner.hex()}"

    def _add_to_owner(self, owner: bytes, id: bytes) -> None:
        folder = self._owner_folder(owner)
        while True:
            try:
                os.close(os.open(f"{folder}/{id.hex()}", os.O_CREAT | os.O_WRONLY, 0o600))
                return
            except FileNotFoundError:  # the folder is not there yet, or was just removed because it was empty
                for missing in (f"{self._directory}{_OWNERS}", folder):
                    with suppress(FileExistsError):
                        os.mkdir(missing, 0o700)

    def _remove_from_owner(self, owner: bytes, id: bytes) -> None:
        folder = self._owner_folder(owner)
        with suppress(OSError):  # the entry may be gone, the folder may not be empty; a leftover does no harm
            os.unlink(f"{folder}/{id.hex()}")
            os.rmdir(folder)

    def _forget_owner(self, record: Record | None) -> None:
        """Remove a deleted record from its owner's list, unless another one has been created in its place."""
        if record is not None and record.owner is not None:
            self._remove_from_owner(record.owner, record.id)
            successor = self._read(record.id)
            if successor is not None and successor.owner == record.owner:
                self._add_to_owner(record.owner, record.id)

    def _remove_stale_entry(self, owner: bytes, id: bytes) -> None:
        """Remove an entry that has long led to nothing, under the record's lock, because it may just become valid."""
        with self._locked(id) as file:
            record = None if file is None else Slots.read(id, file).record
            if record is None or record.owner != owner:
                remove_if_abandoned(f"{self._owner_folder(owner)}/{id.hex()}")

    # Sweeping

    def _prune_one(self, id: bytes, now: int) -> bool:
        record = self._read(id)
        if record is None:
            remove_if_abandoned(self._file(id))
            return False
        if record.expires_at > now:
            return False
        with self._locked(id) as file:
            record = None if file is None else Slots.read(id, file).record
            if record is None or record.expires_at > now:
                return False
            os.unlink(self._file(id))
        self._forget_owner(record)
        return True

    def _sync_directory(self) -> None:
        """Write the directory's entries to the disk too: a file that has no name there is lost."""
        if self._fsync:
            sync_directory(self._directory)


def _lock(file: int, patience: float | None) -> None:
    """Lock the open file against others."""
    if patience is None:
        fcntl.flock(file, fcntl.LOCK_EX)
        return
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise BlockingIOError(error.errno, "Another writer is in the way") from error
            time.sleep(_TOUCH_STEP)


def check_exists(path: str, names: tuple[str, ...] = ()) -> None:
    """Raise `ConfigError` unless there is a FileStore at this path already, with the namespace of these names."""
    check_marked(Path(path))
    folder = Path(path, *(_folder_of(name) for name in names))
    if not folder.exists():
        raise ConfigError(f"{path!r} has no namespace {'/'.join(names)!r}.")


def _folder_of(name: str) -> str:
    return f"in_{checked_name(name)}"
