"""Names that are made up, one after the other: `python3 -m tests.long.names --names 1000000`.

Each is tried once, at a pace at which two processors can check passwords. What is counted about it must not stay: the
number of records is printed as it grows, and after all have been pruned.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sessionware import Store, open_store
from sessionware.auth import Throttle
from tests.support.attempts import WRONG, opened, outcome
from tests.support.auth_kit import AuthSite

#: Attempts in a second.
PACE = 90

#: Steps to report.
_STEPS = 20


class Grown(NamedTuple):
    """How many names were tried, and how many records there were then."""

    names: int
    records: int


def tried(store: Store, names: int, pace: int = PACE) -> Iterator[Grown]:
    """Try so many names, from as many addresses, and prune at last."""
    site = AuthSite(store=store, throttle=Throttle())
    for number in range(names):
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        outcome(site, opened(site, address), f"name{number}", WRONG)
        site.clock.tick(1 / pace)
        if (number + 1) % max(1, names // _STEPS) == 0:
            yield Grown(number + 1, site.manager.stats()["throttle"])
    site.clock.tick(3 * 3600)
    site.manager.prune()
    yield Grown(names, site.manager.stats()["throttle"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--pace", type=int, default=PACE, help="attempts in a second, by the site's clock")
    parser.add_argument("url", nargs="?", help="the store; without one, an SQLite file of its own")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        for grown in tried(open_store(options.url or f"sqlite:///{folder}/sessions.db"), options.names, options.pace):
            print(f"{grown.names:>9,} names tried  {grown.records:>9,} records", flush=True)
