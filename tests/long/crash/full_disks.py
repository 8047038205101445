"""Disks without room, by a limit on the size of files or by a small file system that is full."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from sessionware import StoreUnavailable
from tests.long.crash.aftermath import CrashResult, CrashVerdict, judged, state_of
from tests.long.crash.cases import (
    Case,
    Kind,
)
from tests.long.crash.processes import emptied, forked, prepared

#: Room for a store with a few records, and soon full.
DISK_SIZE = "2m"

#: The exit status of a child that reports the first `CrashVerdict`; the second is one more, and so on.
VERDICT_CODE = 100


def limited(kind: Kind, case: Case, workplace: Path, every: int = 1) -> Iterator[CrashResult]:
    """What an operation does when no file may grow beyond a size, for sizes up to the one that would be enough."""
    with emptied(workplace) as path:
        case.act(prepared(kind, case, path))
        enough = max(file.stat().st_size for file in path.rglob("*") if file.is_file())
    limits = {enough * part // 4 for part in range(4)} | {max(enough - 4_097, 0), enough - 1}
    for limit in sorted(limits, reverse=True)[::every]:
        with emptied(workplace) as path:
            verdict = starved(kind, case, path, no_file_larger_than(limit))
            yield CrashResult(kind.name, f"{case.name} (limit)", f"no file beyond {limit} bytes", verdict)


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Writes beyond this fail, or are short, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def filled(kind: Kind, case: Case, disk: Path) -> Iterator[CrashResult]:
    """What an operation does on a disk without a free byte."""
    with emptied(disk) as path:
        verdict = starved(kind, case, path, no_room_on(disk))
        yield CrashResult(kind.name, f"{case.name} (full)", "not a byte free", verdict)


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


def starved(kind: Kind, case: Case, path: Path, full_disk: AbstractContextManager[object]) -> CrashVerdict:
    """Do the operation while the disk is full, in a process of its own, and then again if it was refused.

    Refused it counts as old, if the old record is there all the time and the new one in the end.
    """
    pid = forked(lambda: starve(kind, case, path, full_disk))
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < VERDICT_CODE:
        raise RuntimeError(f"the child was to report a verdict, but its exit status is {code}")
    verdict = list(CrashVerdict)[code - VERDICT_CODE]
    if verdict.is_bad:
        return verdict
    in_the_end = judged(kind, case, path)
    if in_the_end is CrashVerdict.OLD:
        return CrashVerdict.STUCK
    return in_the_end if in_the_end.is_bad else verdict


def starve(kind: Kind, case: Case, path: Path, full_disk: AbstractContextManager[object]) -> NoReturn:
    """The child's part of `starved`; its exit status is the verdict."""
    store = prepared(kind, case, path)
    with full_disk:
        expected = CrashVerdict.NEW
        try:
            case.act(store)
        except StoreUnavailable:
            expected = CrashVerdict.OLD
        verdict = state_of(store, case)
    if not verdict.is_bad and verdict is not expected:
        verdict = CrashVerdict.HALF_WRITTEN  # it said one thing and did the other
    if verdict is CrashVerdict.OLD:
        with suppress(StoreUnavailable):
            case.act(store)
    os._exit(VERDICT_CODE + list(CrashVerdict).index(verdict))
