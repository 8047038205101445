"""What a broken operation has left, as whoever opens the store afterwards finds it."""

from __future__ import annotations

import os
import time
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from sessionware import ConfigError, FileStore, Record, SQLiteStore, Store, StoreError
from tests.long.crash.cases import (
    BOB,
    EVE,
    ID,
    NOW,
    OWNERS,
    Case,
    Kind,
    record,
)

#: After this time prune takes a file that nobody finished for abandoned.
AN_HOUR = 3_600


AGAIN = record(1, b"made again", EVE)


class CrashVerdict(Enum):
    OLD = "old"
    NEW = "new"
    HALF_WRITTEN = "half-written"
    GONE = "gone"
    STUCK = "stuck"

    @property
    def is_bad(self) -> bool:
        return self not in (CrashVerdict.OLD, CrashVerdict.NEW)


class CrashResult(NamedTuple):
    """What one kill, or one full disk, left behind."""

    store: str
    operation: str
    point: str
    verdict: CrashVerdict


def judged(kind: Kind, case: Case, path: Path) -> CrashVerdict:
    """What a process that comes later finds, and whether it can work with it."""
    try:
        store = kind.open(path)
    except (ConfigError, StoreError):
        return CrashVerdict.HALF_WRITTEN
    try:
        verdict = state_of(store, case)
        if isinstance(store, SQLiteStore) and store._database.execute("PRAGMA integrity_check") != [("ok",)]:
            verdict = CrashVerdict.HALF_WRITTEN
        return verdict if verdict.is_bad or goes_on(store, case.neighbours) else CrashVerdict.STUCK
    except StoreError:
        return CrashVerdict.STUCK
    finally:
        if isinstance(store, SQLiteStore):
            store.close()


def state_of(store: Store, case: Case) -> CrashVerdict:
    """What the store shows, by every way to look."""
    try:
        found = store.load(ID, NOW)
        views = {owner: store.owned_by(owner, NOW) for owner in OWNERS}
        stored = store.scan()
    except StoreError:
        return CrashVerdict.HALF_WRITTEN
    if found not in (case.old, case.new):
        return CrashVerdict.GONE if found is None else CrashVerdict.HALF_WRITTEN
    expected = sorted([*case.neighbours, *([found] if found else [])])
    differences = [difference(stored, expected)]
    for owner, shown in views.items():
        differences.append(difference(shown, [each for each in expected if each.owner == owner]))
    return next(filter(None, differences), CrashVerdict.NEW if found == case.new else CrashVerdict.OLD)


def difference(shown: list[Record], expected: list[Record]) -> CrashVerdict | None:
    """Gone, if the store does not show a record that is there; half-written, if it shows what is not."""
    if {each.id for each in expected} - {each.id for each in shown}:
        return CrashVerdict.GONE
    return None if shown == expected else CrashVerdict.HALF_WRITTEN


def goes_on(store: Store, neighbours: list[Record]) -> bool:
    """Whether the record, if there is one, can be changed and removed, and one made anew under its id."""
    found = store.load(ID, NOW)
    if found is not None:
        changed = found._replace(version=found.version + 1, payload=b"changed again", owner=BOB)
        if not (store.replace(changed) and store.load(ID, NOW) == changed and store.delete(ID)):
            return False
    if not (store.create(AGAIN) or (frees_abandoned(store) and store.create(AGAIN))):
        return False
    return store.owned_by(EVE, NOW) == sorted([AGAIN, *neighbours]) and store.owned_by(BOB, NOW) == []


def frees_abandoned(store: Store) -> bool:
    """Whether prune frees the id that a killed `create` of a FileStore took: after an hour, and not before."""
    if not isinstance(store, FileStore) or store.load(ID, NOW) is not None:
        return False
    file = Path(store._file(ID))
    store.prune(NOW)
    if not file.exists():
        return False
    an_hour_ago = time.time() - AN_HOUR - 60
    os.utime(file, (an_hour_ago, an_hour_ago))
    store.prune(NOW)
    return not file.exists()
