"""Killed when a write has reached the file in part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.long.crash.aftermath import CrashResult, judged
from tests.long.crash.cases import (
    Case,
    Kind,
)
from tests.long.crash.processes import die, emptied, expect_killed, forked, prepared

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer


def torn(kind: Kind, case: Case, workplace: Path) -> Iterator[CrashResult]:
    """What each write of an operation leaves when it is cut short at several lengths, and the process killed."""
    for nth, length in enumerate(lengths_written(kind, case, workplace)):
        for kept in sorted({0, 1, 12, 30, length // 2, length - 1}):
            with emptied(workplace) as path:
                expect_killed(forked(partial(tear, kind, case, path, nth, kept)))
                point = f"{kept} of the {length} bytes of write {nth + 1}"
                yield CrashResult(kind.name, f"{case.name} (torn)", point, judged(kind, case, path))


def lengths_written(kind: Kind, case: Case, workplace: Path) -> list[int]:
    """How many bytes each write of the operation has."""
    lengths = []
    whole = os.pwrite

    def noted(file: int, data: Buffer, offset: int, /) -> int:
        lengths.append(memoryview(data).nbytes)
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

    def cut_short(file: int, data: Buffer, offset: int, /) -> int:
        if next(earlier, None) is not None:
            return whole(file, data, offset)
        whole(file, memoryview(data)[:kept], offset)
        return die()

    os.pwrite = cut_short
    case.act(store)
