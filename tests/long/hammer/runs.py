"""A run from start to end, and what is told about it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.long.hammer.checks import check
from tests.long.hammer.medium import MEDIA
from tests.long.hammer.plan import HammerResult, Plan
from tests.long.hammer.pounding import Hammer

SHOWN = 10  # cases of each kind that are printed


def run(plan: Plan) -> HammerResult:
    """One run from start to end."""
    directory = Path(tempfile.mkdtemp(prefix="hammer-"))
    try:
        with closing(MEDIA[plan.store](directory)) as medium, Hammer(plan, directory, medium) as hammer:
            hammer.pound()
            check(hammer)
            result = hammer.result()
            if not result.is_good:
                print(hammer.server.last_words(), file=sys.stderr)
            return result
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def report(plan: Plan, result: HammerResult) -> str:
    """The figures as a small table, and the first cases of what went wrong."""
    told = result._asdict()
    cases = {kind: told.pop(kind) for kind in ("lost", "revived", "faults", "astray")}
    figures = {**told, "seconds": f"{result.seconds:.1f}", **{kind: len(found) for kind, found in cases.items()}}
    lines = [f"  {name:13}{figure:>9}" for name, figure in figures.items()]
    shown = [f"  {kind.upper()}: {case}" for kind, found in cases.items() for case in found[:SHOWN]]
    return "\n".join([f"hammer, seed {plan.seed}", *lines, *shown])
