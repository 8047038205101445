"""`python -m sessionware.testing` runs every scenario of overlapping requests in every order. Takes a few seconds."""

from __future__ import annotations

import sys

from .interleaving.engine import explore
from .scenarios import SCENARIOS


def main() -> int:
    """Print a line for each scenario. Return 1 if a promise was broken in any order of any of them, else 0."""
    verdicts = {scenario.name: explore(scenario) for scenario in SCENARIOS}
    width = max(map(len, verdicts))
    for name, verdict in verdicts.items():
        print(f"{name:{width}} {verdict.orders:10,} orders, {verdict.bad:,} bad")
        if verdict.bad:
            print("    for example:", "; ".join(verdict.example))
    orders, bad = (sum(column) for column in list(zip(*verdicts.values(), strict=True))[:2])
    print(f"{'all':{width}} {orders:10,} orders, {bad:,} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
