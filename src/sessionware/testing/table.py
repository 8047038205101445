"""The table of all orders: each part's scenarios explored, on as many processors as there are, and added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from .._repr import shown_half_built
from .interleaving.engine import Explorer, Scenario
from .interleaving.quiet import quiet
from .scenarios.parts import PARTS, Part

#: So many scenarios go to a process at once.
_BATCH = 40


class Bad(NamedTuple):
    """A scenario in which something does not hold."""

    scenario: str
    orders: int
    example: tuple[str, ...]


@shown_half_built
@dataclass
class Row:
    """What came out of one part."""

    part: str
    sentence: str
    scenarios: int = 0
    orders: int = 0
    """All of them, counted."""
    states: int = 0
    """How many of the states that they lead through differ."""
    runs: int = 0
    """How often a request was really run, from its beginning to the point at which it waits."""
    bad: int = 0
    limited: int = 0
    """Orders in which a stated limit explains what would be bad without it."""
    broken: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    examples: list[Bad] = field(default_factory=list)

    def add(self, other: Row) -> None:
        """Count what another process has found."""
        for name in ("scenarios", "orders", "states", "runs", "bad", "limited"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.broken.update(other.broken)
        self.explained.update(other.explained)
        self.examples = [*self.examples, *other.examples][:10]


def explored(part: Part, scenarios: Iterable[Scenario]) -> Row:
    """What comes out of these scenarios of a part."""
    row = Row(part.name, part.sentence)
    with quiet():
        for scenario in scenarios:
            explorer = Explorer(scenario)
            verdict = explorer.verdict()
            found = [Bad(scenario.name, verdict.bad, verdict.example)] if verdict.bad else []
            row.add(
                Row(
                    part.name,
                    part.sentence,
                    1,
                    verdict.orders,
                    explorer.states,
                    explorer.site.runs,
                    verdict.bad,
                    verdict.limited,
                    Counter(verdict.broken),
                    Counter(verdict.explained),
                    found,
                )
            )
    return row


def rows(*, is_quick: bool, jobs: int = 1, progress: Callable[[str], object] = lambda _text: None) -> list[Row]:
    """The whole table, or as much of it as takes less than a minute."""
    table = {part.name: Row(part.name, part.sentence) for part in PARTS}
    tasks = [(part.name, at, is_quick) for part in PARTS for at in range(0, _count(part, is_quick), _BATCH)]
    for number, row in enumerate(_done(tasks, jobs), 1):
        table[row.part].add(row)
        progress(f"{number} of {len(tasks)}: {row.part}")
    return [row for row in table.values() if row.scenarios]


def _done(tasks: list[tuple[str, int, bool]], jobs: int) -> Iterator[Row]:
    if jobs == 1:
        yield from (_batch(*task) for task in tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        for future in as_completed([pool.submit(_batch, *task) for task in tasks]):
            yield future.result()


def _batch(name: str, at: int, is_quick: bool) -> Row:
    part = next(part for part in PARTS if part.name == name)
    return explored(part, islice(part.scenarios(is_quick), at, at + _BATCH))


def _count(part: Part, is_quick: bool) -> int:
    return sum(1 for _ in part.scenarios(is_quick))


def as_json(table: Iterable[Row]) -> list[Mapping[str, Any]]:
    """The table as plain values, from which documents are made."""
    return [
        {
            "part": row.part,
            "sentence": row.sentence,
            "scenarios": row.scenarios,
            "orders": row.orders,
            "states": row.states,
            "runs": row.runs,
            "bad": row.bad,
            "limited": row.limited,
            "broken": dict(row.broken),
            "explained": dict(row.explained),
        }
        for row in table
    ]
