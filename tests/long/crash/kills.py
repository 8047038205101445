"""Killed by strace right before each file-system call."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.long.crash.aftermath import CrashResult, judged
from tests.long.crash.cases import (
    Case,
    Kind,
    Start,
)
from tests.long.crash.processes import PR_SET_PTRACER, die, emptied, expect_killed, forked, prepared


class SystemCall(NamedTuple):
    """The nth call of this name, counted from the beginning of the operation."""

    name: str
    nth: int
    text: str


class CannotTrace(RuntimeError):
    """strace is here, but is not let do its work."""


def killed(kind: Kind, case: Case, path: Path, at: SystemCall | None = None) -> list[SystemCall]:
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


@contextmanager
def traced(pid: int, log: Path, at: SystemCall | None) -> Iterator[None]:
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


def calls_in(log: str) -> list[SystemCall]:
    """The calls of a log. An `mmap` for memory, without a file, is counted as strace counts it, but left out."""
    seen: Counter[str] = Counter()
    calls = []
    for line in log.splitlines():
        if found := re.match(r"(\w+)\(", line):
            name = found[1]
            seen[name] += 1
            if "MAP_ANONYMOUS" not in line:
                calls.append(SystemCall(name, seen[name], line[:100]))
    return calls


def kills(kind: Kind, case: Case, workplace: Path, every: int = 1) -> Iterator[CrashResult]:
    """What each kill of an operation leaves: before every call, or before every third and so on, and after the last."""
    with emptied(workplace) as path:
        plan = killed(kind, case, path)
        yield CrashResult(kind.name, case.name, "after the last call", judged(kind, case, path))
    for number, call in list(enumerate(plan, start=1))[::every]:
        with emptied(workplace) as path:
            came_to = killed(kind, case, path, call)
            check_place(plan[:number], came_to)
            yield CrashResult(kind.name, case.name, f"before {call.text}", judged(kind, case, path))


def check_place(planned: list[SystemCall], came_to: list[SystemCall]) -> None:
    """Without this a kill somewhere else would be counted as the one that was meant."""
    if [call[:2] for call in planned] != [call[:2] for call in came_to]:
        lines = "\n".join(call.text for call in came_to)
        raise RuntimeError(f"the operation made other calls than before, up to the {len(planned)}th:\n{lines}")
