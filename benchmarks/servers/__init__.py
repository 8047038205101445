"""The stores on database servers: what a call costs over the driver, what pages cost beside the peers', how large
sessions get, and what pruning a great many does to the traffic beside it.

The servers are started for it, and end with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import micro
from . import operations, pages, prune, sizing
from .running import running

#: As MariaDB comes, it keeps 128 MiB in memory. With two million sessions nearly every one would have to be read first.
_PRUNED = {"PostgreSQL": 1_000_000, "MariaDB": 200_000, "SQLiteStore": 1_000_000}


class Plan(NamedTuple):
    """How much is measured."""

    operations: operations.Plan
    pages: micro.Plan
    sizing: sizing.Plan
    prune: prune.Plan


def quick(seed: int) -> Plan:
    """A minute, to see that it works."""
    return Plan(
        operations.Plan(rounds=5, lives=5, seed=seed),
        micro.Plan(rounds=2, batch=4, seed=seed),
        sizing.Plan(sessions=2_000, seed=seed),
        prune.Plan(dict.fromkeys(_PRUNED, 5_000), before=1.0, seed=seed),
    )


def thorough(seed: int) -> Plan:
    """A quarter of an hour."""
    return Plan(
        operations.Plan(rounds=100, lives=10, seed=seed),
        micro.Plan(rounds=15, batch=12, seed=seed),
        sizing.Plan(sessions=100_000, seed=seed),
        prune.Plan(_PRUNED, before=15.0, seed=seed),
    )


def measure(plan: Plan) -> dict[str, Any]:
    """All four, on the same servers. `load` is what the system said about the last minute at the end of each."""
    figures: dict[str, Any] = {"load": {}}
    with running() as found:
        figures["servers"], figures["missing"] = found.described(), found.missing
        parts: dict[str, Callable[[], Any]] = {
            "operations": lambda: operations.measure(found, plan.operations),
            "pages": lambda: pages.measure(found, plan.pages),
            "sizing": lambda: sizing.measure(found, plan.sizing),
            "prune": lambda: prune.measure(found, plan.prune),
        }
        for name, part in parts.items():
            figures[name] = part()
            figures["load"][name] = round(os.getloadavg()[0], 1)
    return figures
