"""The command line of `python3 dev.py outages`."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from contextlib import closing

from tests.long.outages.runs import HEAD, LASTING, OutageResult, details, measure, row
from tests.long.outages.subjects import SUBJECTS


def main() -> int:
    parser = argparse.ArgumentParser(description="Let database servers fail under load, and measure what stores do.")
    parser.add_argument("--store", choices=list(SUBJECTS), action="append", help="several: once for each; else all")
    parser.add_argument("--quiet", action="store_true", help="do not print what the errors said")
    given = parser.parse_args()
    print(HEAD, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|", sep="\n", flush=True)
    is_good = True
    for name in given.store or available():
        for result in measured(name, is_quiet=given.quiet):
            is_good = is_good and result.is_good
    return 0 if is_good else 1


def available() -> list[str]:
    """All, but for a driver that is not here, because it has to be compiled."""
    return [name for name in SUBJECTS if name != "mysqlclient" or importlib.util.find_spec("MySQLdb")]


def measured(name: str, *, is_quiet: bool) -> list[OutageResult]:
    """Every outage of one store, printed as it comes."""
    results = []
    with closing(SUBJECTS[name]()) as subject:
        for case, blow in subject.cases().items():
            result = measure(subject, case, blow, LASTING.get(case, 0.0))
            print(row(name, subject.limit, result), flush=True)
            if not (is_quiet and result.is_good):
                print(*details(result), sep="\n", file=sys.stderr, flush=True)
            results.append(result)
    return results


if __name__ == "__main__":
    sys.exit(main())
