"""What a session costs per request, in one process without a server.

Rounds are interleaved: each goes through every subject and scenario in an order of its own. A subject's cost is its
time less that of the same application without sessions, which has its turn right before it in every round, so that a
machine which runs slower for a while slows both. For the same reason what a subject is compared with has its turn right
after it: the floor after one of ours, ours after a peer.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from .scenarios import SCENARIOS, Answer, Browser, Scenario, WrongAnswer, begun
from .subjects.base import App, Subject

#: Browsers that take turns, so that no store is asked for one and the same record all the time.
BROWSERS = 20

#: The first requests of a batch, which find the caches full of somebody else's things: not timed.
UNTIMED = 3


#: Each store's floor. That of files writes in place, as FileStore does.
FLOORS = {"memory": "floor-memory", "file": "floor-file-twoslot", "sqlite": "floor-sqlite"}


class Plan(NamedTuple):
    """How much is measured."""

    rounds: int
    batch: int
    """Requests of one subject and scenario in one round."""
    seed: int


class Cell(NamedTuple):
    """One subject in one scenario."""

    subject: str
    scenario: str


@dataclass
class Times:
    """Nanoseconds, round by round."""

    rounds: list[list[int]] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    """Of each round: the median less that of the bare application right before."""
    ratios: list[float] = field(default_factory=list)
    """Of each round: the cost over that of what the subject is compared with, right after."""
    cookies_sent: int = 0

    @property
    def all(self) -> list[int]:
        return [time for times in self.rounds for time in times]


class Site:
    """A subject that runs, and its browsers."""

    def __init__(self, subject: Subject, directory: Path, rng: random.Random) -> None:
        directory.mkdir()
        self.subject = subject
        self.app: App = subject.build(directory)
        self.small = [begun(self.app) for _ in range(BROWSERS)]
        self.big = [] if "G1" in subject.skips else [begun(self.app, "/fill") for _ in range(BROWSERS)]
        self.forged = [browser.forged(rng) for browser in self.small]

    def visitors(self, scenario: Scenario, count: int) -> list[Browser]:
        """The browsers of a batch. None of them is made while the clock runs."""
        if scenario.cookie == "none":
            return [Browser(self.app) for _ in range(count)]
        if scenario.cookie == "fresh":
            return [begun(self.app) for _ in range(count)]
        kept = {"small": self.small, "big": self.big, "forged": self.forged}[scenario.cookie]
        visitors = [kept[turn % len(kept)] for turn in range(count)]
        # Some subjects take a forged cookie away; the forger comes with it again.
        return [visitor.copy() for visitor in visitors] if scenario.cookie == "forged" else visitors

    def batch(self, scenario: Scenario, count: int) -> list[Answer]:
        """So many requests, each checked for what it answers."""
        answers, is_bare = [], self.subject.kind == "bare"
        for visitor in self.visitors(scenario, count):
            answers.append(visitor.visit(scenario.page, writes=scenario.writes))
            visitor.n += scenario.counts
            if not is_bare:
                check(scenario, visitor, answers[-1].body)
        return answers


def check(scenario: Scenario, visitor: Browser, body: str) -> None:
    """Raise `WrongAnswer` unless the page said what this visitor's session makes it say."""
    if scenario.letter == "L":
        expected = visitor.visit("/who").body
    elif scenario.page == "/untouched":
        expected = "untouched"
    elif scenario.letter == "E":
        expected = visitor.visit("/read").body
    elif scenario.letter == "G1":
        expected = "1"
    else:
        expected = "None" if scenario.cookie == "forged" else str(visitor.n)
    if body != expected:
        raise WrongAnswer(f"scenario {scenario.letter}: {body!r} instead of {expected!r}")


def measure(subjects: Iterable[Subject], plan: Plan, directory: Path) -> list[dict[str, Any]]:
    """Measure all of them, and give one row for each subject and scenario."""
    rng = random.Random(plan.seed)
    sites = {subject.name: Site(subject, directory / subject.name, rng) for subject in subjects}
    work = [(site, scenario) for site in sites.values() for scenario in _scenarios(site.subject)]
    for site, scenario in work:  # to warm up
        site.batch(scenario, plan.batch)
    times = {Cell(site.subject.name, scenario.letter): Times() for site, scenario in work}
    gc.collect()
    gc.freeze()
    for _ in range(plan.rounds):
        for site, scenario in rng.sample(work, len(work)):
            own = times[Cell(site.subject.name, scenario.letter)]
            _turn(site, sites, scenario, plan.batch, own)
    gc.unfreeze()
    return [_row(site.subject, scenario.letter, times) for site, scenario in work]


def _turn(site: Site, sites: dict[str, Site], scenario: Scenario, count: int, times: Times) -> None:
    """One round of a subject, and of what it is compared with."""
    cost, answers = _cost(site, sites, scenario, count)
    times.costs.append(cost)
    times.rounds.append([answer.duration for answer in answers])
    times.cookies_sent += sum(bool(answer.set_cookies) for answer in answers)
    other = sites.get(compared_with(site.subject) or "")
    if other is not None:
        # Floors have no `modify`; counting is the same work.
        same = SCENARIOS["D"] if scenario.letter in other.subject.skips else scenario
        beside, _ = _cost(other, sites, same, count)
        if beside > 0:
            times.ratios.append(cost / beside)


def _cost(site: Site, sites: dict[str, Site], scenario: Scenario, count: int) -> tuple[float, list[Answer]]:
    """One round of a subject, with one of its bare application right before."""
    without = sites[site.subject.bare].batch(scenario, count + UNTIMED)[UNTIMED:]
    answers = site.batch(scenario, count + UNTIMED)[UNTIMED:]
    return median(answer.duration for answer in answers) - median(answer.duration for answer in without), answers


def compared_with(subject: Subject) -> str | None:
    """The subject that this one is a multiple of."""
    if subject.kind == "ours":
        return FLOORS.get(subject.store)
    return f"sessionware-{subject.store}" if subject.kind == "peer" and subject.store != "cookie" else None


def _scenarios(subject: Subject) -> list[Scenario]:
    return [scenario for letter, scenario in SCENARIOS.items() if letter not in subject.skips]


def _row(subject: Subject, letter: str, times: dict[Cell, Times]) -> dict[str, Any]:
    own = times[Cell(subject.name, letter)]
    return {
        "subject": subject.name,
        "store": subject.store,
        "kind": subject.kind,
        "is_default": subject.is_default,
        "scenario": letter,
        "median_us": _us(median(own.all)),
        "p95_us": _us(quantiles(own.all, n=20)[-1]),
        "cost_us": _us(median(own.costs)),
        "cost_spread_us": [_us(value) for value in _quartiles(own.costs)],
        "ratio": round(median(own.ratios), 3) if own.ratios else None,
        "sends_cookie": round(own.cookies_sent / len(own.all), 2),
    }


def _quartiles(values: list[float]) -> tuple[float, float]:
    """The lower and the upper quartile of the rounds: how far the cost is to be trusted."""
    first, _, third = quantiles(values, n=4) if len(values) > 1 else values * 3
    return first, third


def _us(nanoseconds: float) -> float:
    return round(nanoseconds / 1000, 3)
