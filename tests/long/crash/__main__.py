"""The command line of `python3 dev.py crash`."""

from __future__ import annotations

import argparse
import shutil
import sys

from tests.long.crash.cases import (
    KINDS,
)
from tests.long.crash.kills import CannotTrace
from tests.long.crash.runs import bad, run, table


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
