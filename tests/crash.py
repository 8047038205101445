"""Stores whose process dies in the middle of an operation, or whose disk is full.

    python3 dev.py crash                           both stores, every point; a minute or two
    python tests/crash.py --store file             one of them

A process does one operation and is killed, once before each of its file-system calls and once after the last; strace
does the killing, so it has to be installed. FileStore's writes are cut short in the middle as well. The disk fills up
in two ways: by a limit on the size of files and, where one may be mounted, on a small file system of its own.

Whoever opens the store afterwards must find the record as it was before or as it was to be, in the list of its owner
and in no other, its neighbour untouched, and a store that goes on working. The table counts what was found:

    old, new        the record before the operation, or after it (on a full disk: refused, or done)
    half-written    something else, or nothing that can be read
    gone            missing, or missing from where it has to be listed
    stuck           whole, but it cannot be changed, removed or made again
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from enum import Enum
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn

from sessionware import ConfigError, FileStore, Record, SQLiteStore, Store, StoreError, StoreUnavailable

ID, NEIGHBOUR_ID, SCRATCH_ID = b"i" * 16, b"n" * 16, b"s" * 16
ADA, BOB, EVE = OWNERS = (b"a" * 16, b"b" * 16, b"e" * 16)
NOW, LATER = 1_000, 2_000

#: After this time prune takes a file that nobody finished for abandoned.
AN_HOUR = 3_600

#: Room for a store with a few records, and soon full.
DISK_SIZE = "2m"

#: Options of Linux's prctl: who else may trace this process (some systems let in parents only, which strace is not),
#: and the signal that it gets when its parent dies (so that an interrupted run leaves no stopped child).
PR_SET_PTRACER, PR_SET_PDEATHSIG = 0x59616D61, 1

#: The exit status of a child that reports the first `Verdict`; the second is one more, and so on.
VERDICT_CODE = 100


def record(version: int = 1, payload: bytes = b"payload", owner: bytes | None = None) -> Record:
    """A state of the record that the operation is about."""
    return Record(ID, version, LATER, owner, payload)


NEIGHBOUR = Record(NEIGHBOUR_ID, 1, LATER, EVE, b"neighbour")
AGAIN = record(1, b"made again", EVE)


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


class Verdict(Enum):
    OLD = "old"
    NEW = "new"
    HALF_WRITTEN = "half-written"
    GONE = "gone"
    STUCK = "stuck"

    @property
    def is_bad(self) -> bool:
        return self not in (Verdict.OLD, Verdict.NEW)


class Result(NamedTuple):
    """What one kill, or one full disk, left behind."""

    store: str
    operation: str
    point: str
    verdict: Verdict


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


# ---- the process that does the operation -----------------------------------------------------------------------------


def forked(work: Callable[[], object]) -> int:
    """The id of a child that does this work. One that comes to the end of it, or raises, exits with status 1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads that other tests left do not matter to this child
        pid = os.fork()
    if pid:
        return pid
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
        work()
        print("the child ended before its time", file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("survived SIGKILL")


def prepared(kind: Kind, case: Case, path: Path) -> Store:
    """The store as the operation is to find it, with every kind of call made once, so that all code is loaded."""
    store = kind.open(path)
    store.create(NEIGHBOUR)
    scratch = Record(SCRATCH_ID, 1, LATER, BOB, b"scratch")
    store.create(scratch)
    store.replace(scratch._replace(version=2, owner=ADA))
    store.touch(SCRATCH_ID, 2, LATER + 1)
    store.delete(SCRATCH_ID)
    if case.old is not None:
        first, *later = states_up_to(case.old)
        store.create(first)
        for state in later:
            store.replace(state)
    return store


def states_up_to(last: Record) -> list[Record]:
    """One for each version. Each earlier payload has another last byte than those of the cases.

    Otherwise a write that is short of its last byte only, over one that was the same, would be done and yet refused.
    """
    earlier = [last._replace(version=version, payload=b"state %d" % version) for version in range(1, last.version)]
    return [*earlier, last]


def rehearse(kind: Kind, case: Case, path: Path) -> None:
    """Do the operation and die. Stops once, right before the operation, so that strace can get hold of it."""
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1))
    store = prepared(kind, case, path) if case.start is Start.WARM else None
    os.kill(os.getpid(), signal.SIGSTOP)
    case.act(store or kind.open(path))
    die()


def leave_behind(kind: Kind, case: Case, path: Path) -> None:
    """What a killed process leaves for one that opens the store anew."""
    pid = forked(lambda: (prepared(kind, case, path), die()))
    expect_killed(pid)


def expect_killed(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        raise RuntimeError(f"the child was to die of SIGKILL, but its wait status is {status}")


# ---- kills -----------------------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """The nth call of this name, counted from the beginning of the operation."""

    name: str
    nth: int
    text: str


class CannotTrace(RuntimeError):
    """strace is here, but is not let do its work."""


def killed(kind: Kind, case: Case, path: Path, at: Call | None = None) -> list[Call]:
    """Kill a process right before this call of the operation, or after the last. All calls that it came to."""
    if case.start is Start.COLD:
        leave_behind(kind, case, path)
    pid = forked(lambda: rehearse(kind, case, path))
    _, status = os.waitpid(pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        raise RuntimeError(f"the child did not come to the operation: wait status {status}")
    log = path / "strace.log"
    with traced(pid, log, at):
        os.kill(pid, signal.SIGCONT)
        expect_killed(pid)
    return calls_in(log.read_text(errors="replace"))


@contextmanager
def traced(pid: int, log: Path, at: Call | None) -> Iterator[None]:
    """Let strace attach to a stopped process, and kill it when it enters this call, which then is not executed."""
    inject = [] if at is None else ["-e", f"inject={at.name}:signal=SIGKILL:when={at.nth}"]
    command = ["strace", "-o", str(log), "-e", "trace=%file,%desc", *inject, "-p", str(pid)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as strace:
        said = strace.stderr.readline() if strace.stderr else ""
        if "attached" not in said:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise CannotTrace(f"strace may not trace here (in a container: --cap-add=SYS_PTRACE): {said.strip()}")
        yield


def calls_in(log: str) -> list[Call]:
    """The calls of a log. Memory asked for by `mmap` without a file is counted, for strace does, but is no point."""
    seen: Counter[str] = Counter()
    calls = []
    for line in log.splitlines():
        if found := re.match(r"(\w+)\(", line):
            name = found[1]
            seen[name] += 1
            if "MAP_ANONYMOUS" not in line:
                calls.append(Call(name, seen[name], line[:100]))
    return calls


def kills(kind: Kind, case: Case, workplace: Path, every: int = 1) -> Iterator[Result]:
    """What each kill of an operation leaves: before every call, or before every third and so on, and after the last."""
    with emptied(workplace) as path:
        plan = killed(kind, case, path)
        yield Result(kind.name, case.name, "after the last call", judged(kind, case, path))
    for number, call in list(enumerate(plan, start=1))[::every]:
        with emptied(workplace) as path:
            came_to = killed(kind, case, path, call)
            check_place(plan[:number], came_to)
            yield Result(kind.name, case.name, f"before {call.text}", judged(kind, case, path))


def check_place(planned: list[Call], came_to: list[Call]) -> None:
    """Without this a kill somewhere else would be counted as the one that was meant."""
    if [call[:2] for call in planned] != [call[:2] for call in came_to]:
        lines = "\n".join(call.text for call in came_to)
        raise RuntimeError(f"the operation made other calls than before, up to the {len(planned)}th:\n{lines}")


@contextmanager
def emptied(workplace: Path) -> Iterator[Path]:
    """An empty directory in this one."""
    path = workplace / "place"
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path)


# ---- writes cut short ------------------------------------------------------------------------------------------------


def torn(kind: Kind, case: Case, workplace: Path) -> Iterator[Result]:
    """What each write of an operation leaves when it is cut short at several lengths, and the process killed."""
    for nth, length in enumerate(lengths_written(kind, case, workplace)):
        for kept in sorted({0, 1, 12, 30, length // 2, length - 1}):
            with emptied(workplace) as path:
                expect_killed(forked(partial(tear, kind, case, path, nth, kept)))
                point = f"{kept} of the {length} bytes of write {nth + 1}"
                yield Result(kind.name, f"{case.name} (torn)", point, judged(kind, case, path))


def lengths_written(kind: Kind, case: Case, workplace: Path) -> list[int]:
    """How many bytes each write of the operation has."""
    lengths = []
    whole = os.pwrite

    def noted(file: int, data: bytes, offset: int) -> int:
        lengths.append(len(data))
        return whole(file, data, offset)

    with emptied(workplace) as path:
        store = prepared(kind, case, path)
        os.pwrite = noted
        try:
            case.act(store)
        finally:
            os.pwrite = whole
    return lengths


def tear(kind: Kind, case: Case, path: Path, nth: int, kept: int) -> None:
    """Do the operation, of whose nth write only the first bytes reach the file before the process dies."""
    store = prepared(kind, case, path)
    whole = os.pwrite
    earlier = iter(range(nth))

    def cut_short(file: int, data: bytes, offset: int) -> int:
        if next(earlier, None) is not None:
            return whole(file, data, offset)
        whole(file, data[:kept], offset)
        die()

    os.pwrite = cut_short
    case.act(store)


# ---- full disks ------------------------------------------------------------------------------------------------------


def limited(kind: Kind, case: Case, workplace: Path, every: int = 1) -> Iterator[Result]:
    """What an operation does when no file may grow beyond a size, for sizes up to the one that would be enough."""
    with emptied(workplace) as path:
        case.act(prepared(kind, case, path))
        enough = max(file.stat().st_size for file in path.rglob("*") if file.is_file())
    limits = {enough * part // 4 for part in range(4)} | {max(enough - 4_097, 0), enough - 1}
    for limit in sorted(limits, reverse=True)[::every]:
        with emptied(workplace) as path:
            verdict = starved(kind, case, path, no_file_larger_than(limit))
            yield Result(kind.name, f"{case.name} (limit)", f"no file beyond {limit} bytes", verdict)


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Writes beyond this fail, or are short, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def filled(kind: Kind, case: Case, disk: Path) -> Iterator[Result]:
    """What an operation does on a disk without a free byte."""
    with emptied(disk) as path:
        verdict = starved(kind, case, path, no_room_on(disk))
        yield Result(kind.name, f"{case.name} (full)", "not a byte free", verdict)


@contextmanager
def no_room_on(disk: Path) -> Iterator[None]:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    yield
    filler.unlink()


@contextmanager
def small_disk(workplace: Path) -> Iterator[Path | None]:
    """A small file system of its own, or None where this may not be mounted."""
    disk = workplace / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", str(disk)]
    is_mounted = bool(shutil.which("mount")) and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield disk if is_mounted else None
    finally:
        if is_mounted:
            subprocess.run(["umount", str(disk)], check=True)
        disk.rmdir()


def starved(kind: Kind, case: Case, path: Path, full_disk: AbstractContextManager[object]) -> Verdict:
    """Do the operation while the disk is full, in a process of its own, and then again if it was refused.

    Refused it counts as old, if the old record is there all the time and the new one in the end.
    """
    pid = forked(lambda: starve(kind, case, path, full_disk))
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < VERDICT_CODE:
        raise RuntimeError(f"the child was to report a verdict, but its exit status is {code}")
    verdict = list(Verdict)[code - VERDICT_CODE]
    if verdict.is_bad:
        return verdict
    in_the_end = judged(kind, case, path)
    if in_the_end is Verdict.OLD:
        return Verdict.STUCK
    return in_the_end if in_the_end.is_bad else verdict


def starve(kind: Kind, case: Case, path: Path, full_disk: AbstractContextManager[object]) -> NoReturn:
    """The child's part of `starved`; its exit status is the verdict."""
    store = prepared(kind, case, path)
    with full_disk:
        expected = Verdict.NEW
        try:
            case.act(store)
        except StoreUnavailable:
            expected = Verdict.OLD
        verdict = state_of(store, case)
    if not verdict.is_bad and verdict is not expected:
        verdict = Verdict.HALF_WRITTEN  # it said one thing and did the other
    if verdict is Verdict.OLD:
        with suppress(StoreUnavailable):
            case.act(store)
    os._exit(VERDICT_CODE + list(Verdict).index(verdict))


# ---- what is left ----------------------------------------------------------------------------------------------------


def judged(kind: Kind, case: Case, path: Path) -> Verdict:
    """What a process that comes later finds, and whether it can work with it."""
    try:
        store = kind.open(path)
    except (ConfigError, StoreError):
        return Verdict.HALF_WRITTEN
    try:
        verdict = state_of(store, case)
        if isinstance(store, SQLiteStore) and store._database.execute("PRAGMA integrity_check") != [("ok",)]:
            verdict = Verdict.HALF_WRITTEN
        return verdict if verdict.is_bad or goes_on(store, case.neighbours) else Verdict.STUCK
    except StoreError:
        return Verdict.STUCK
    finally:
        if isinstance(store, SQLiteStore):
            store.close()


def state_of(store: Store, case: Case) -> Verdict:
    """What the store shows, by every way to look."""
    try:
        found = store.load(ID, NOW)
        views = {owner: store.owned_by(owner, NOW) for owner in OWNERS}
        stored = store.scan()
    except StoreError:
        return Verdict.HALF_WRITTEN
    if found not in (case.old, case.new):
        return Verdict.GONE if found is None else Verdict.HALF_WRITTEN
    expected = sorted([*case.neighbours, *([found] if found else [])])
    differences = [difference(stored, expected)]
    for owner, shown in views.items():
        differences.append(difference(shown, [each for each in expected if each.owner == owner]))
    return next(filter(None, differences), Verdict.NEW if found == case.new else Verdict.OLD)


def difference(shown: list[Record], expected: list[Record]) -> Verdict | None:
    """Gone, if the store does not show a record that is there; half-written, if it shows what is not."""
    if {each.id for each in expected} - {each.id for each in shown}:
        return Verdict.GONE
    return None if shown == expected else Verdict.HALF_WRITTEN


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


# ---- all together ----------------------------------------------------------------------------------------------------


def run(kind: Kind, cases: Iterable[Case] = CASES, *, every: int = 1, place: Path | None = None) -> Iterator[Result]:
    """Everything that is done to a store in a place; every third kill and limit only, if `every` is 3, and so on."""
    with tempfile.TemporaryDirectory(dir=place) as directory, small_disk(Path(directory)) as disk:
        workplace = Path(directory)
        kind.open(workplace)  # what is done only once in a process, however often it forks, is done before they fork
        for case in cases:
            yield from kills(kind, case, workplace, every)
        for case in (case for case in cases if case.start is Start.WARM):
            if kind.writes_by_pwrite:
                yield from torn(kind, case, workplace)
            yield from limited(kind, case, workplace, every)
            if disk is not None:
                yield from filled(kind, case, disk)


def bad(results: Iterable[Result]) -> list[Result]:
    return [result for result in results if result.verdict.is_bad]


def table(results: list[Result]) -> str:
    """One line for each operation, and their sum."""
    head = f"{'store':20}{'operation':40}{'points':>8}" + "".join(f"{verdict.value:>14}" for verdict in Verdict)
    operations = list(dict.fromkeys((result.store, result.operation) for result in results))
    lines = [_line(*names, [each for each in results if each[:2] == names]) for names in operations]
    return "\n".join([head, *lines, _line("total", "", results)])


def _line(store: str, operation: str, results: list[Result]) -> str:
    counts = Counter(result.verdict for result in results)
    return f"{store:20}{operation:40}{len(results):>8}" + "".join(f"{counts[verdict]:>14}" for verdict in Verdict)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Kill processes in the middle of what they do to a store.")
    parser.add_argument("--store", choices=[*KINDS, "both"], default="both")
    name = parser.parse_args(arguments).store
    if shutil.which("strace") is None:
        sys.exit("This needs strace: apt-get install strace.")
    kinds = [kind for each in (KINDS if name == "both" else [name]) for kind in KINDS[each]]
    try:
        results = [result for kind in kinds for result in run(kind)]
    except CannotTrace as error:
        sys.exit(str(error))
    print(table(results))
    if not any(result.operation.endswith("(full)") for result in results):
        print("No small file system may be mounted here, so no disk was filled; that takes root.")
    for result in bad(results):
        print(f"{result.verdict.value}: {result.store}, {result.operation}, {result.point}")
    return 1 if bad(results) else 0


if __name__ == "__main__":
    sys.exit(main())
