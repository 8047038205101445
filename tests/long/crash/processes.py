"""Processes that prepare a store, do one operation, and end before their time."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from sessionware import Record, Store
from tests.long.crash.cases import (
    ADA,
    BOB,
    LATER,
    NEIGHBOUR,
    SCRATCH_ID,
    Case,
    Kind,
)

#: Options of Linux's prctl: who else may trace this process (some systems let in parents only, which strace is not),
#: and the signal that it gets when its parent dies (so that an interrupted run leaves no stopped child).
PR_SET_PTRACER, PR_SET_PDEATHSIG = 0x59616D61, 1


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


def expect_killed(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        raise RuntimeError(f"the child was to die of SIGKILL, but its wait status is {status}")


@contextmanager
def emptied(workplace: Path) -> Iterator[Path]:
    """An empty directory in this one."""
    path = workplace / "place"
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path)
