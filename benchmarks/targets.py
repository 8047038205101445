"""What sessionware set out to reach, and how near it came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from .figures import Micro

Row = dict[str, Any]


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

#: At least so many times faster than the fastest peer that asks its store, and than these as they come.
FASTER = [
    ("sqlite", "C", "fastest", 9),
    ("sqlite", "C", "beaker", 20),
    ("sqlite", "C", "django", 20),
    ("sqlite", "D", "fastest", 8),
    ("sqlite", "D", "beaker", 9),
    ("sqlite", "D", "django", 9),
    ("memory", "C", "beaker", 5),
    ("memory", "C", "fastest", 1.9),
]


#: A call of SQLStore takes at most so many microseconds longer than the driver's own cursor; with commits that wait for
#: the disk nobody would see them.
OVER_CURSOR = {"load": 30, "replace": 30}

#: A call of RedisStore takes at most so many times as long as GET and SET.
TIMES_COMMAND = {"load": 1.25, "replace": 1.5}

#: A session takes at most so many bytes beside its payload: in Redis while nobody is logged in, elsewhere always.
OVER_PAYLOAD = {"PostgreSQL": 450, "MariaDB": 650, "Redis": 400}

#: Among fewer sessions, what a server keeps ready for more is too large a part of them.
ENOUGH = 100_000


def compared(micro: Micro) -> Iterator[tuple[str, str, str, str, str]]:
    """Store, scenario, what was wanted, what was measured, and whether that will do."""
    for store in ("memory", "file", "sqlite"):
        for scenario in ("A", "B"):
            beaker = micro.faster_than("beaker", store, scenario)
            if beaker:
                yield store, scenario, "≤ 0.6 of Beaker", f"{1 / beaker:.2f}", _verdict(1 / beaker, 0.6)
    for store, scenario, wanted in TARGETS:
        times = micro.times_floor(store, scenario)
        if times:
            yield store, scenario, f"≤ {wanted} of the floor", f"{times:.1f}", _verdict(times, wanted)
    for store, scenario, rival, least in FASTER:
        times = _times(micro, rival, store, scenario)
        if times:
            yield store, scenario, f"≥ {least} times faster than {rival}", f"{times:.1f}", _verdict(least, times)


def compared_on_servers(figures: Row) -> Iterator[tuple[str, str, str, str]]:
    """What it is about, what was wanted, what was measured, and whether that will do."""
    for row in figures["operations"]:
        call, what = row["call"], f"{row['what']}, {row['server']}, {row['driver']}: {row['call']}"
        if row["what"].startswith("SQLStore") and call in OVER_CURSOR and not row["waits"]:
            over, limit = row["over_floor_us"], OVER_CURSOR[call]
            yield what, f"≤ {limit} µs over the cursor", f"{over:.0f}", _within(over, limit)
        if row["what"] == "RedisStore" and call in TIMES_COMMAND:
            times, most = row["ratio"], TIMES_COMMAND[call]
            yield what, f"≤ {most} of {'GET' if call == 'load' else 'SET'}", f"{times:.2f}", _verdict(times, most)
    for row in figures["sizing"]:
        is_limited = row["store"] in OVER_PAYLOAD and row["sessions"] >= ENOUGH
        if is_limited and not (row["store"] == "Redis" and row["logged in"]):
            what = f"{row['store']}, {'logged in' if row['logged in'] else 'anonymous'}: bytes of a session"
            over, limit = row["over the payload"], OVER_PAYLOAD[row["store"]]
            yield what, f"≤ {limit} over the payload", str(over), _within(over, limit)


def _within(value: float, limit: float) -> str:
    return "met" if value <= limit else f"{value - limit:.0f} too many"


def _times(micro: Micro, rival: str, store: str, scenario: str) -> float | None:
    if rival != "fastest":
        return micro.faster_than(rival, store, scenario)
    row = micro.fastest(store, scenario)
    return None if row is None else micro.ratio(row["subject"], scenario)


def _verdict(value: float, limit: float) -> str:
    return "met" if value <= limit else f"short by a factor of {value / limit:.2f}"
