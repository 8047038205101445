"""What sessionware set out to reach, and how near it came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .figures import Micro


class Target(NamedTuple):
    """At most so many times the floor in this scenario."""

    store: str
    scenario: str
    times_floor: float


TARGETS = [
    Target(store, scenario, times)
    for store, wanted in {
        "memory": {"C": 3, "D": 4.2, "E": 3.4, "F": 1.8, "G1": 3.8, "G2": 1.6},
        "file": {"C": 1.7, "D": 2, "E": 1.2, "F": 1.8, "G1": 2.5, "G2": 1.6},
        "sqlite": {"C": 2, "D": 2, "E": 2.1, "F": 1.8, "G1": 3.2, "G2": 1.6},
    }.items()
    for scenario, times in wanted.items()
]

#: On SQLite, at least so many times faster than the fastest peer that asks the database, and than these as they come.
FASTER = {"C": {"fastest": 9, "beaker": 20, "django": 20}, "D": {"fastest": 8, "beaker": 9, "django": 9}}


def compared(micro: Micro) -> Iterator[tuple[str, str, str, str, str]]:
    """Store, scenario, what was wanted, what was measured, and whether that will do."""
    for store in ("memory", "file", "sqlite"):
        own, beaker = micro.ours(store, "B"), micro.default_of("beaker", store, "B")
        if own and beaker:
            yield store, "B", "≤ 0.6 of Beaker", f"{own / beaker:.2f}", _verdict(own / beaker, 0.6)
    for store, scenario, wanted in TARGETS:
        own, floor = micro.ours(store, scenario), micro.floor(store, scenario)
        if own and floor:
            yield store, scenario, f"≤ {wanted} of the floor", f"{own / floor:.1f}", _verdict(own / floor, wanted)
    for scenario, rivals in FASTER.items():
        own = micro.ours("sqlite", scenario)
        for rival, wanted in rivals.items():
            cost = _cost_of(micro, rival, scenario)
            if own and cost:
                times, aim = cost / own, f"≥ {wanted} times faster than {rival}"
                yield "sqlite", scenario, aim, f"{times:.1f}", _verdict(wanted, times)


def _cost_of(micro: Micro, rival: str, scenario: str) -> float | None:
    if rival != "fastest":
        return micro.default_of(rival, "sqlite", scenario)
    row = micro.fastest("sqlite", scenario)
    return None if row is None else float(row["cost_us"])


def _verdict(value: float, limit: float) -> str:
    return "met" if value <= limit else f"short by a factor of {value / limit:.1f}"
