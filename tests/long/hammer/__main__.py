"""The command line of `python3 dev.py hammer`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.long.hammer.medium import MEDIA
from tests.long.hammer.plan import Plan
from tests.long.hammer.runs import report, run


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a server under load, and count what is left.")
    parser.add_argument("--store", choices=["both", *MEDIA], default="both", help="both: sqlite and file")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--strikes", type=int, help="of the database server, or the end of its connections; 20")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    given = parser.parse_args()
    stores = ["sqlite", "file"] if given.store == "both" else [given.store]
    is_good = True
    for store in stores:
        has_server = store not in ("sqlite", "file")
        strikes = (20 if given.strikes is None else given.strikes) if has_server else 0
        plan = Plan(store, given.requests, given.kills, strikes, given.seed)
        result = run(plan)
        print(report(plan, result), flush=True)
        is_good = is_good and result.is_good
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
