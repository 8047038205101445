"""Sessions as files in one directory, on Linux and macOS: nothing to install, and each record can be looked at alone.

A record's file holds slots. Each slot has a fixed capacity, a checksum and one state of the record; the valid one with
the highest version (of two with the same, the one that lives longer) counts. A change is written into another slot
than that one, in place: whenever the process is killed, the older state is still whole. This is several times faster
than the usual way, a new file renamed over the old one. A record that outgrows its slots gets a larger one at the end.

    file     slot, slot, …                          slot     head, payload, room up to the capacity
    head     magic, capacity, checksum of both │ checksum of the rest, version, expires_at, owner, payload's length

A file in which no slot is valid counts as missing: somebody is about to create it, or was killed meanwhile.

Owners are found by empty files, `owners/<owner>/<id>`. These may be too many, never too few: they are made before the
record is written, and what they point to is verified when it is read.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from struct import Struct
from typing import NamedTuple, TypeVar
from zlib import crc32

from ..errors import ConfigError, StoreUnavailable
from .base import Record, checked_name

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_MAGIC = b"sw1\0"
_FRAME = Struct(">4sII")  # magic, capacity, checksum of both
_STATE = Struct(">IQqB16sI")  # checksum, version, expires_at, has an owner, owner, payload's length
_HEAD = _FRAME.size + _STATE.size

_SMALLEST = 256
_READ = 8192
_NAME_LENGTH = 32
_OWNERS = "owners"

#: Seconds after which a file without a valid slot, or an entry without a record, was left behind by a killed process.
_ABANDONED = 3600

#: Files that `prune` looks at for each record that it may remove.
_LOOKS = 5

_Function = TypeVar("_Function", bound=Callable[..., object])


class _Slot(NamedTuple):
    """A place in a file, and the state of the record that it holds, if it is whole."""

    offset: int
    capacity: int
    record: Record | None


def _medium(method: _Function) -> _Function:
    """Turn every failure of the file system into `StoreUnavailable`."""

    @wraps(method)
    def guarded(*args: object, **kwargs: object) -> object:
        try:
            return method(*args, **kwargs)
        except OSError as error:
            raise StoreUnavailable(f"{error.strerror}: {error.filename or args[0]!r}") from error

    return guarded  # type: ignore[return-value]


class FileStore:
    """A store in the directory at `path`, which is made (mode 0700) if it is not there; its parent has to be.

    Shared by all threads and processes of one machine; not for network drives. Killing a process loses nothing that was
    saved. A power cut may undo the last half minute, logouts among it; with `fsync=True` each change waits until the
    disk has it, and a power cut undoes none. Raises `ConfigError`, on Windows too.
    """

    def __init__(self, path: str | os.PathLike[str], *, fsync: bool = False) -> None:
        if fcntl is None:
            raise ConfigError("FileStore needs the file locks of Linux or macOS. Use SQLiteStore(path) here.")
        self._path = _made(Path(path).absolute())
        self._directory = str(self._path) + "/"
        self._fsync = fsync
        self._sweep: Iterator[os.DirEntry[str]] = iter(())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self._path)!r}>"

    @_medium
    def create(self, record: Record) -> bool:
        if record.owner is not None:
            self._add_to_owner(record.owner, record.id)
        try:
            file = os.open(self._file(record.id), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return False
        try:
            self._write(file, 0, _capacity_for(record), record)
            self._sync_directory()
        except OSError:
            os.unlink(self._file(record.id))
            raise
        finally:
            os.close(file)
        return True

    @_medium
    def load(self, id: bytes, now: int) -> Record | None:
        record = self._read(id)
        return record if record is not None and record.expires_at > now else None

    @_medium
    def replace(self, record: Record) -> bool:
        with self._locked(record.id) as file:
            slots = [] if file is None else _slots(record.id, _content(file))
            current = _current(slots)
            if file is None or current is None or current.version != record.version - 1:
                return False
            if record.owner is not None and record.owner != current.owner:
                self._add_to_owner(record.owner, record.id)
            self._put(file, slots, current, record)
        if current.owner is not None and current.owner != record.owner:
            self._remove_from_owner(current.owner, record.id)
        return True

    @_medium
    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        with self._locked(id) as file:
            slots = [] if file is None else _slots(id, _content(file))
            current = _current(slots)
            if file is not None and current and current.version == version and current.expires_at < expires_at:
                self._put(file, slots, current, current._replace(expires_at=expires_at))

    @_medium
    def delete(self, id: bytes) -> bool:
        with self._locked(id) as file:
            if file is None:
                return False
            record = _current(_slots(id, _content(file)))
            os.unlink(self._file(id))
            self._sync_directory()
        if record is not None and record.owner is not None:
            self._remove_from_owner(record.owner, id)
        return record is not None

    @_medium
    def prune(self, now: int, limit: int = 1000) -> int:
        """As every store's. Looks at a few files for each that it may remove, going on where the last call stopped."""
        removed = 0
        for id in self._next_ids(_LOOKS * limit):
            if self._prune_one(id, now):
                removed += 1
                if removed == limit:
                    break
        return removed

    @_medium
    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        folder = self._owner_folder(owner)
        try:
            ids = sorted(_ids(os.listdir(folder)))
        except FileNotFoundError:
            return []
        records = []
        for id in ids:
            record = self._read(id)
            if record is None or record.owner != owner:
                _remove_if_abandoned(f"{folder}/{id.hex()}")
            elif record.expires_at > now:
                records.append(record)
        return records

    @_medium
    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        ids = sorted(id for id in _ids(os.listdir(self._directory)) if after is None or id > after)
        records: list[Record] = []
        for id in ids:
            if len(records) == limit:
                break
            record = self._read(id)
            if record is not None:
                records.append(record)
        return records

    def namespace(self, name: str) -> FileStore:
        return FileStore(self._path / f"in_{checked_name(name)}", fsync=self._fsync)

    # One record's file

    def _file(self, id: bytes) -> str:
        return self._directory + id.hex()

    def _read(self, id: bytes) -> Record | None:
        """The record. A torn slot may be one that is being written, so then it is read again while nobody writes."""
        try:
            file = os.open(self._file(id), os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            slots = _slots(id, _content(file))
            if not slots or any(slot.record is None for slot in slots):
                fcntl.flock(file, fcntl.LOCK_SH)
                slots = _slots(id, _content(file))
        finally:
            os.close(file)
        return _current(slots)

    @contextmanager
    def _locked(self, id: bytes) -> Iterator[int | None]:
        """The record's file, open and locked against other writers; None if there is none.

        Each call opens the file anew, and `flock` belongs to the open file, so it keeps threads apart as well.
        """
        try:
            file = os.open(self._file(id), os.O_RDWR)
        except FileNotFoundError:
            yield None
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            is_deleted = os.fstat(file).st_nlink == 0  # by whoever had the lock before
            yield None if is_deleted else file
        finally:
            os.close(file)

    def _put(self, file: int, slots: list[_Slot], current: Record, record: Record) -> None:
        """Write into the smallest slot that is large enough and does not hold the current state, or into a new one."""
        needed = len(record.payload)
        free = [slot for slot in slots if slot.record is not current and slot.capacity >= needed]
        if free:
            slot = min(free, key=lambda slot: slot.capacity)
            self._write(file, slot.offset, slot.capacity, record)
        else:
            last = slots[-1]
            self._write(file, last.offset + _HEAD + last.capacity, _capacity_for(record), record)

    def _write(self, file: int, offset: int, capacity: int, record: Record) -> None:
        slot = _packed(capacity, record)
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
            except FileNotFoundError:  # the folder is not there yet, or somebody has just removed it, empty
                os.makedirs(folder, 0o700, exist_ok=True)

    def _remove_from_owner(self, owner: bytes, id: bytes) -> None:
        folder = self._owner_folder(owner)
        with suppress(OSError):  # the entry may be gone, the folder may not be empty; one too many does no harm
            os.unlink(f"{folder}/{id.hex()}")
            os.rmdir(folder)

    # Sweeping

    def _next_ids(self, count: int) -> Iterator[bytes]:
        """The next ids of a walk through the directory that begins again when it is through, once in each call."""
        has_begun_anew = False
        while count > 0:
            entry = next(self._sweep, None)
            if entry is None:
                if has_begun_anew:
                    return
                self._sweep, has_begun_anew = os.scandir(self._directory), True
                continue
            count -= 1
            yield from _ids([entry.name])

    def _prune_one(self, id: bytes, now: int) -> bool:
        record = self._read(id)
        if record is None:
            _remove_if_abandoned(self._file(id))
            return False
        if record.expires_at > now:
            return False
        with self._locked(id) as file:
            record = None if file is None else _current(_slots(id, _content(file)))
            if record is None or record.expires_at > now:
                return False
            os.unlink(self._file(id))
        if record.owner is not None:
            self._remove_from_owner(record.owner, id)
        return True

    def _sync_directory(self) -> None:
        """Let the disk know the directory's entries too: a file that is on it under no name is lost."""
        if not self._fsync:
            return
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _packed(capacity: int, record: Record) -> bytes:
    frame = _FRAME.pack(_MAGIC, capacity, crc32(_MAGIC + capacity.to_bytes(4, "big")))
    owner = record.owner or b""
    state = (record.version, record.expires_at, len(owner), owner, len(record.payload))
    checksum = crc32(_STATE.pack(0, *state) + record.id + record.payload)
    return frame + _STATE.pack(checksum, *state) + record.payload


def _slots(id: bytes, content: bytes) -> list[_Slot]:
    """The slots of a file, up to its end or to one whose frame was not written to the end."""
    slots, offset = [], 0
    while offset + _FRAME.size <= len(content):
        magic, capacity, checksum = _FRAME.unpack_from(content, offset)
        if magic != _MAGIC or checksum != crc32(content[offset : offset + 8]):
            break
        slots.append(_Slot(offset, capacity, _state(id, content, offset + _FRAME.size)))
        offset += _HEAD + capacity
    return slots


def _state(id: bytes, content: bytes, offset: int) -> Record | None:
    """The record as a slot has it, or None if the slot is torn."""
    if offset + _STATE.size > len(content):
        return None
    checksum, version, expires_at, owner_length, owner, length = _STATE.unpack_from(content, offset)
    start = offset + _STATE.size
    payload = content[start : start + length]
    if checksum != crc32(b"\0\0\0\0" + content[offset + 4 : start] + id + payload) or len(payload) != length:
        return None
    return Record(id, version, expires_at, owner[:owner_length] if owner_length else None, payload)


def _current(slots: list[_Slot]) -> Record | None:
    records = [slot.record for slot in slots if slot.record is not None]
    return max(records, key=lambda record: (record.version, record.expires_at), default=None)


def _content(file: int) -> bytes:
    """All of an open file."""
    content = os.pread(file, _READ, 0)
    if len(content) < _READ:
        return content
    return content + os.pread(file, os.fstat(file).st_size - _READ, _READ)


def _capacity_for(record: Record) -> int:
    """Room for the payload, and for some growth: the next power of two."""
    capacity = _SMALLEST
    while capacity < len(record.payload):
        capacity *= 2
    return capacity


def _ids(names: list[str]) -> Iterator[bytes]:
    """The ids among file names, which all have the same length."""
    for name in names:
        if len(name) == _NAME_LENGTH:
            with suppress(ValueError):
                yield bytes.fromhex(name)


def _remove_if_abandoned(path: str) -> None:
    with suppress(FileNotFoundError):
        # The file system's time, for it is compared with the file system's: when this file was made.
        if time.time() - os.stat(path).st_mtime > _ABANDONED:
            os.unlink(path)


def _made(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        raise ConfigError(f"{str(path)!r} is a file: give the path of a directory.") from None
    except FileNotFoundError:
        raise ConfigError(f"{str(path)!r} cannot be made: create {str(path.parent)!r} first.") from None
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be made ({error.strerror}): give another path.") from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(f"{str(path)!r} cannot be used: let this process read and write it.")
    return path
