"""No kill and no full disk damages a record: a short run of the long test, and the proof that it would find some.

All of FileStore's points, and a fixed choice of SQLiteStore's; `python3 dev.py crash` runs them all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sessionware import FileStore, Record, SQLiteStore
from sessionware.stores._file_format import Slots
from tests.long.crash import __main__ as command
from tests.long.crash.aftermath import CrashResult, CrashVerdict
from tests.long.crash.cases import CASES, Case, CheckpointingStore, Kind, Start, file_kind, sqlite_kind
from tests.long.crash.full_disks import limited
from tests.long.crash.kills import CannotTrace, SystemCall, check_place, kills
from tests.long.crash.runs import bad, run, table
from tests.long.crash.torn_writes import torn
from tests.support.prerequisites import require

#: In memory, where there is such a place: for a killed process it is as good as a disk, and the tests do not wait.
PLACE = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None

WARM = [case for case in CASES if case.start is Start.WARM]
COLD = [case for case in CASES if case.start is not Start.WARM]


@pytest.fixture(scope="module", autouse=True)
def _strace() -> None:
    require("strace")


def case_named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def check(results: list[CrashResult], cases: list[Case]) -> None:
    """Nothing is bad, and each operation was killed before it took effect as well as after."""
    assert not bad(results), table(results)
    for case in cases:
        assert {each.verdict for each in results if each.operation == case.name} == {CrashVerdict.OLD, CrashVerdict.NEW}


def refused(results: list[CrashResult], operation: str) -> int:
    return sum(each.operation == operation and each.verdict is CrashVerdict.OLD for each in results)


def test_file_store_survives_every_kill_and_a_full_disk() -> None:
    """Before every call, with every write cut short, and on disks without room."""
    results = list(run(file_kind(), place=PLACE))

    check(results, list(CASES))
    for operation in ("create", "replace, first time", "replace, same owner", "replace, outgrown", "touch"):
        assert refused(results, f"{operation} (torn)") >= 5
        assert refused(results, f"{operation} (limit)") >= 4


def test_sqlite_store_survives_kills_and_a_full_disk() -> None:
    """Before every third call of every second operation, and on disks with some of the room, or none."""
    cases = WARM[::2]
    results = list(run(sqlite_kind(), cases, every=3, place=PLACE))

    check(results, cases)
    for case in cases:
        assert refused(results, f"{case.name} (limit)") == 2


def test_sqlite_store_survives_kills_while_it_is_opened_and_made() -> None:
    """Before every twentieth call: opening reads what another killed process left, and makes one's own files."""
    check(list(run(sqlite_kind(), COLD, every=20, place=PLACE)), COLD)


def test_sqlite_store_survives_kills_while_it_copies_its_log() -> None:
    """Before every third call."""
    cases = [case_named("replace, owner changed")]

    check(list(run(sqlite_kind(CheckpointingStore), cases, every=3, place=PLACE)), cases)


# ---- stores that must be caught ------------------------------------------------------------------------------------


class InPlace(FileStore):
    """Writes into the slot that counts."""

    def _write(self, file: int, offset: int, capacity: int, record: Record) -> None:
        counts = Slots.read(record.id, file)._counts
        if counts is not None and counts[3] >= len(record.payload):
            _, _, offset, capacity = counts
        super()._write(file, offset, capacity, record)


class Truncating(FileStore):
    """Empties the file and writes it anew."""

    def _write(self, file: int, offset: int, capacity: int, record: Record) -> None:
        os.ftruncate(file, 0)
        super()._write(file, 0, capacity, record)


class OwnerLast(FileStore):
    """Adds the owner's entry after the record."""

    _late: tuple[bytes, bytes] | None = None

    def _add_to_owner(self, owner: bytes, id: bytes) -> None:
        self._late = owner, id

    def _write(self, file: int, offset: int, capacity: int, record: Record) -> None:
        super()._write(file, offset, capacity, record)
        if self._late is not None:
            super()._add_to_owner(*self._late)


class LockFile(FileStore):
    """Locks by a file that nobody removes once its maker is dead."""

    def _write(self, file: int, offset: int, capacity: int, record: Record) -> None:
        lock = self._file(record.id) + ".lock"
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
        super()._write(file, offset, capacity, record)
        Path(lock).unlink()


class NeverFrees(FileStore):
    """Leaves the ids of killed creations taken."""

    def prune(self, now: int, limit: int = 1000) -> int:
        return 0


class Careless(FileStore):
    """Does not look how much was written."""

    def _write(self, file: int, offset: int, capacity: int, record: Record) -> None:
        whole, os.pwrite = os.pwrite, lambda file, data, offset: whole(file, data, offset) and memoryview(data).nbytes
        try:
            super()._write(file, offset, capacity, record)
        finally:
            os.pwrite = whole


class TwoStatements(SQLiteStore):
    """Replaces by removing and adding."""

    def replace(self, record: Record) -> bool:
        return self.delete(record.id) and self.create(record)


Way = Callable[[Kind, Case, Path], Iterator[CrashResult]]


@pytest.mark.parametrize(
    ("kind", "name", "way", "verdict"),
    [
        (file_kind(InPlace), "replace, first time", torn, CrashVerdict.GONE),
        (file_kind(InPlace), "touch", torn, CrashVerdict.GONE),
        (file_kind(Truncating), "replace, same owner", kills, CrashVerdict.GONE),
        (file_kind(Truncating), "touch", kills, CrashVerdict.GONE),
        (file_kind(OwnerLast), "create, first of its owner", kills, CrashVerdict.GONE),
        (file_kind(OwnerLast), "replace, owner changed", kills, CrashVerdict.GONE),
        (file_kind(LockFile), "replace, same owner", kills, CrashVerdict.STUCK),
        (file_kind(NeverFrees), "create", kills, CrashVerdict.STUCK),
        (file_kind(Careless), "replace, outgrown", limited, CrashVerdict.HALF_WRITTEN),
        (sqlite_kind(TwoStatements), "replace, owner changed", kills, CrashVerdict.GONE),
    ],
    ids=lambda value: getattr(value, "name", getattr(value, "__name__", value)),
)
def test_broken_stores_are_caught(kind: Kind, name: str, way: Way, verdict: CrashVerdict, tmp_path: Path) -> None:
    """By some point of the way that is meant for them."""
    kind.open(tmp_path)

    assert verdict in {result.verdict for result in way(kind, case_named(name), tmp_path)}


def test_kill_comes_before_its_call(tmp_path: Path) -> None:
    """The call itself is not made: a record whose `unlink` was to come is there."""
    kind, case = file_kind(), case_named("delete")
    verdicts = {result.point.split("(")[0]: result.verdict for result in kills(kind, case, tmp_path)}

    assert verdicts["before unlink"] is CrashVerdict.OLD
    assert verdicts["after the last call"] is CrashVerdict.NEW


def test_kill_in_another_place_is_an_error() -> None:
    """An operation that makes other calls from time to time cannot be killed at each of them."""
    planned = [SystemCall("openat", 1, "openat(…)"), SystemCall("close", 1, "close(…)")]

    check_place(planned, planned)
    with pytest.raises(RuntimeError, match="other calls"):
        check_place(planned, planned[:1])


def test_strace_that_may_not_trace_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container: the line says what to do."""
    forbidden = tmp_path / "strace"
    forbidden.write_text("#!/bin/sh\necho 'ptrace(PTRACE_SEIZE): Operation not permitted' >&2\nexit 1\n")
    forbidden.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    with pytest.raises(CannotTrace, match=r"SYS_PTRACE.*not permitted"):
        list(kills(file_kind(), case_named("delete"), tmp_path))


@pytest.mark.parametrize(
    ("verdict", "status"), [(CrashVerdict.OLD, 0), (CrashVerdict.GONE, 1), (CrashVerdict.STUCK, 1)]
)
def test_exit_status_says_whether_anything_is_bad(
    verdict: CrashVerdict, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the table is followed by each bad point."""
    monkeypatch.setattr(command, "run", lambda kind: [CrashResult(kind.name, "replace", "before close(3)", verdict)])

    assert command.main(["--store", "file"]) == status
    assert ("before close(3)" in capsys.readouterr().out) is bool(status)
