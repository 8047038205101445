"""The operations that are broken off, and the stores that do them."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from sessionware import FileStore, Record, SQLiteStore, Store

ID, NEIGHBOUR_ID, SCRATCH_ID = b"i" * 16, b"n" * 16, b"s" * 16
ADA, BOB, EVE = OWNERS = (b"a" * 16, b"b" * 16, b"e" * 16)
NOW, LATER = 1_000, 2_000


def record(version: int = 1, payload: bytes = b"payload", owner: bytes | None = None) -> Record:
    """A state of the record that the operation is about."""
    return Record(ID, version, LATER, owner, payload)


NEIGHBOUR = Record(NEIGHBOUR_ID, 1, LATER, EVE, b"neighbour")


class Start(Enum):
    """What the process finds and has done before the operation begins."""

    WARM = "its store is open and in use"
    COLD = "another process was killed; the operation includes opening the store"
    NOWHERE = "there is no store yet; the operation includes making it"


class Case(NamedTuple):
    """One operation, and the record before and after it, which is None where there is none."""

    name: str
    old: Record | None
    new: Record | None
    act: Callable[[Store], object]
    start: Start = Start.WARM

    @property
    def neighbours(self) -> list[Record]:
        return [] if self.start is Start.NOWHERE else [NEIGHBOUR]


def creates(name: str, new: Record, start: Start = Start.WARM) -> Case:
    return Case(name, None, new, lambda store: store.create(new), start)


def replaces(name: str, old: Record, new: Record, start: Start = Start.WARM) -> Case:
    return Case(name, old, new, lambda store: store.replace(new), start)


def touches(name: str, old: Record) -> Case:
    new = old._replace(expires_at=LATER + 500)
    return Case(name, old, new, lambda store: store.touch(ID, new.version, new.expires_at))


def deletes(name: str, old: Record) -> Case:
    return Case(name, old, None, lambda store: store.delete(ID))


BIG = b"x" * 20_000

CASES = (
    creates("create", record()),
    creates("create, first of its owner", record(owner=ADA)),
    creates("create, one more of its owner", record(owner=EVE)),
    replaces("replace, first time", record(), record(2, b"changed")),
    replaces("replace, same owner", record(3, owner=ADA), record(4, b"changed", ADA)),
    replaces("replace, owner changed", record(3, owner=ADA), record(4, b"changed", BOB)),
    replaces("replace, owner added", record(3), record(4, b"changed", ADA)),
    replaces("replace, owner removed", record(3, owner=ADA), record(4, b"changed")),
    replaces("replace, outgrown", record(3, owner=ADA), record(4, BIG, ADA)),
    touches("touch, first time", record()),
    touches("touch", record(3, owner=ADA)),
    deletes("delete", record(3)),
    deletes("delete, owned", record(3, owner=ADA)),
    replaces("open, replace", record(3, owner=ADA), record(4, b"changed", BOB), Start.COLD),
    creates("make store, create", record(owner=ADA), Start.NOWHERE),
)


class Kind(NamedTuple):
    """A store to put to the test."""

    name: str
    open: Callable[[Path], Store]
    """Open it, or make it, in a directory."""
    writes_by_pwrite: bool
    """Through `os.pwrite`, so that its writes can be cut short."""


def file_kind(store: type[FileStore] = FileStore) -> Kind:
    return Kind(store.__name__, lambda path: store(path / "sessions"), writes_by_pwrite=True)


def sqlite_kind(store: type[SQLiteStore] = SQLiteStore) -> Kind:
    return Kind(store.__name__, lambda path: store(path / "sessions.db"), writes_by_pwrite=False)


class CheckpointingStore(SQLiteStore):
    """Copies every change from the log into the database at once, as happens once in a thousand pages otherwise."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._database.execute("PRAGMA wal_autocheckpoint=1")


KINDS = {"file": [file_kind()], "sqlite": [sqlite_kind(), sqlite_kind(CheckpointingStore)]}
