"""`python -m sessionware.testing` runs requests that overlap in every order, and asks in each what always holds.

Without arguments, it takes less than a minute. With `--all`, it takes about an hour on one processor.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .table import Row, as_json, rows

_NOTE = """\
Orders are counted: what can happen from a state on does not depend on how it was reached, so each state is explored
once. The requests were really run, by the real middleware. "Explained" are orders in which a limit that
docs/guarantees.md states makes the difference."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each part. Return 1 if anything did not hold in any order, else 0."""
    options = _parser().parse_args(arguments)
    table = rows(is_quick=not options.all, jobs=options.jobs, progress=_progress())
    width = max(len(row.part) for row in table)
    print(
        f"{'':{width}} {'scenarios':>9} {'orders':>15} {'bad':>9} {'explained':>13} {'states':>11} {'requests run':>12}"
    )
    for row in table:
        print(_line(row, row.part, width))
        for found in row.examples:
            print(f"    {found.scenario}, in {found.orders:,} orders, for example:")
            print("".join(f"        {step}\n" for step in found.example), end="")
    print(_line(_total(table), "all", width))
    print("", *_explanations(table), _NOTE, sep="\n")
    if options.json is not None:
        options.json.write_text(json.dumps(as_json(table), indent=1) + "\n", encoding="utf-8")
    return 1 if any(row.bad for row in table) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sessionware.testing", description=__doc__)
    parser.add_argument("--all", action="store_true", help="run the whole table")
    parser.add_argument("--jobs", type=_count, default=os.cpu_count() or 1, help="how many processes to use")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what came out to this file, too")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes; write 1 or more")
    return int(text)


def _line(row: Row, name: str, width: int) -> str:
    figures = f"{row.scenarios:9,} {row.orders:15,} {row.bad:9,} {row.limited:13,} {row.states:11,} {row.runs:12,}"
    return f"{name:{width}} {figures}"


def _total(table: list[Row]) -> Row:
    total = Row("all", "")
    for row in table:
        total.add(row)
    return total


def _explanations(table: list[Row]) -> list[str]:
    explained = _total(table).explained
    return [f"{orders:15,} explained by: {sentence}" for sentence, orders in explained.most_common()]


def _progress() -> Callable[[str], object]:
    """Say how far it is, where somebody looks."""
    if not sys.stderr.isatty():
        return lambda _text: None
    return lambda text: print(f"\r{text:60}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
