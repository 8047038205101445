"""Everything that is done to a store, and the table of what came of it."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.long.crash.aftermath import CrashResult, CrashVerdict
from tests.long.crash.cases import (
    CASES,
    Case,
    Kind,
    Start,
)
from tests.long.crash.full_disks import filled, limited, small_disk
from tests.long.crash.kills import kills
from tests.long.crash.torn_writes import torn


def run(
    kind: Kind, cases: Iterable[Case] = CASES, *, every: int = 1, place: Path | None = None
) -> Iterator[CrashResult]:
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


def bad(results: Iterable[CrashResult]) -> list[CrashResult]:
    return [result for result in results if result.verdict.is_bad]


def table(results: list[CrashResult]) -> str:
    """One line for each operation, and their sum."""
    head = f"{'store':20}{'operation':40}{'points':>8}" + "".join(f"{verdict.value:>14}" for verdict in CrashVerdict)
    operations = list(dict.fromkeys((result.store, result.operation) for result in results))
    lines = [_line(*names, [each for each in results if each[:2] == names]) for names in operations]
    return "\n".join([head, *lines, _line("total", "", results)])


def _line(store: str, operation: str, results: list[CrashResult]) -> str:
    counts = Counter(result.verdict for result in results)
    return f"{store:20}{operation:40}{len(results):>8}" + "".join(f"{counts[verdict]:>14}" for verdict in CrashVerdict)
