"""What becomes of sessionware when there are many sessions.

Lookups are paired: the small and the large store take turns in one process. The bulk of the sessions is filler, records
as large as real ones that are put into the store directly; those that are visited are real.
"""

from __future__ import annotations

import gc
import os
import random
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from sessionware import MemoryStore, Record, Store

from .children import in_child
from .scenarios import SCENARIOS, Answer, Browser, WrongAnswer, begun
from .subjects.base import App
from .subjects.ours import STORES, application

VISITED = 500
DAY = 86400


class Plan(NamedTuple):
    """How many sessions, and how much is measured with them."""

    sizes: dict[str, tuple[int, ...]]
    """For each store, the small number of sessions and the larger ones."""
    rounds: int
    batch: int
    creations: int
    """New sessions that are made while expired ones are swept."""
    seed: int


def measure(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """Each store in a process of its own."""
    stores = list(plan.sizes)
    return {
        "lookups": [row for store in stores for row in in_child(lookups, store, plan)],
        "memory": [in_child(footprint, is_owned, plan) for is_owned in (False, True)],
        "sweep": [in_child(sweep, store, plan) for store in stores],
    }


# ---- filling a store -----------------------------------------------------------------------------------------------


def fill(
    store: Store,
    count: int,
    rng: random.Random,
    *,
    expires_in: int = DAY,
    is_owned: bool = False,
    size: int | None = None,
) -> None:
    """Add so many sessions that nobody visits, whose ends are spread over a day. `size` is that of the payload."""
    now = int(time.time())
    size = small_payload_size() if size is None else size
    for _ in range(count):
        owner = rng.randbytes(16) if is_owned else None
        store.create(Record(rng.randbytes(16), 1, now + expires_in + rng.randrange(DAY), owner, rng.randbytes(size)))


def small_payload_size() -> int:
    """How many bytes a store keeps of the session that the scenarios use."""
    store = MemoryStore()
    begun(application(store))
    return len(store.scan()[0].payload)


# ---- lookups -------------------------------------------------------------------------------------------------------


class Populated(NamedTuple):
    """A store of so many sessions, and the browsers of some of them."""

    size: int
    app: App
    browsers: list[Browser]


def _populated(store: str, size: int, directory: Path, rng: random.Random) -> Populated:
    directory.mkdir()
    filled = STORES[store](directory)  # type: ignore[index]
    app = application(filled)
    fill(filled, (size - VISITED) // 2, rng)
    browsers = [begun(app) for _ in range(VISITED)]
    fill(filled, size - VISITED - (size - VISITED) // 2, rng)
    return Populated(size, app, browsers)


def lookups(store: str, plan: Plan) -> list[dict[str, Any]]:
    """Reading and counting at each size, as a multiple of the same at the smallest size."""
    rng = random.Random(plan.seed)
    with tempfile.TemporaryDirectory() as directory:
        sites = [_populated(store, size, Path(directory) / str(size), rng) for size in plan.sizes[store]]
        work = [(site, letter) for site in sites for letter in "CD"]
        times: dict[tuple[int, str], list[float]] = {(site.size, letter): [] for site, letter in work}
        gc.freeze()
        for _ in range(plan.rounds):
            for site, letter in rng.sample(work, len(work)):
                times[site.size, letter].append(_batch(site, letter, plan.batch, rng))
    smallest = plan.sizes[store][0]
    return [
        {
            "store": store,
            "scenario": letter,
            "sessions": site.size,
            "median_us": round(median(times[site.size, letter]), 2),
            "ratio": round(_paired_ratio(times[site.size, letter], times[smallest, letter]), 3),
        }
        for site, letter in work
    ]


def _batch(site: Populated, letter: str, count: int, rng: random.Random) -> float:
    """The median of some requests of random browsers, in microseconds."""
    scenario, answers = SCENARIOS[letter], []
    for browser in rng.choices(site.browsers, k=count):
        answers.append(browser.visit(scenario.page, writes=scenario.writes))
        browser.n += scenario.counts
        if answers[-1].body != str(browser.n):
            raise WrongAnswer(f"{answers[-1].body} instead of {browser.n}")
    return median(_microseconds(answers))


def _paired_ratio(large: list[float], small: list[float]) -> float:
    return median(one / other for one, other in zip(large, small, strict=True))


def _microseconds(answers: Iterable[Answer]) -> list[float]:
    return [answer.duration / 1000 for answer in answers]


# ---- memory --------------------------------------------------------------------------------------------------------


def footprint(is_owned: bool, plan: Plan) -> dict[str, Any]:
    """What a session in a MemoryStore adds to the process, and how long the garbage collector then looks at it all."""
    count, rng = max(plan.sizes["memory"]), random.Random(plan.seed)
    store = STORES["memory"](Path())
    small_payload_size()  # so that what the first session imports and caches is there before
    pause_before, before = _collection(), _resident_bytes()
    fill(store, count, rng, is_owned=is_owned)
    pause, added = _collection(), _resident_bytes() - before
    return {
        "sessions": count,
        "kind": "logged in" if is_owned else "anonymous",
        "payload_bytes": small_payload_size(),
        "bytes_per_session": round(added / count),
        "gc_collect_ms": round(pause, 2),
        "gc_collect_empty_ms": round(pause_before, 2),
    }


def _collection() -> float:
    """The milliseconds of the second of two full collections, which finds nothing left to free."""
    gc.collect()
    begin = time.perf_counter()
    gc.collect()
    return (time.perf_counter() - begin) * 1000


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# ---- sweeping ------------------------------------------------------------------------------------------------------


def sweep(store: str, plan: Plan) -> dict[str, Any]:
    """New sessions while a great many expired ones are there, and how fast `prune` then removes the rest."""
    count, rng = max(plan.sizes[store]), random.Random(plan.seed)
    with tempfile.TemporaryDirectory() as directory:
        for name in ("without", "with"):
            (Path(directory) / name).mkdir()
        quiet = _creations(STORES[store](Path(directory) / "without"), plan)  # type: ignore[index]
        filled = STORES[store](Path(directory) / "with")  # type: ignore[index]
        fill(filled, count, rng, expires_in=-3 * DAY)
        sweeping = _creations(filled, plan)
        begin = time.perf_counter()
        removed = _prune_all(filled)
        rate = removed / (time.perf_counter() - begin)
    return {
        "store": store,
        "expired": count,
        "swept_by_requests": count - removed,
        "worst_us": round(max(sweeping)),
        "p99_us": round(quantiles(sweeping, n=100)[-1], 1),
        "worst_without_us": round(max(quiet)),
        "p99_without_us": round(quantiles(quiet, n=100)[-1], 1),
        "pruned_per_second": round(rate),
    }


def _creations(store: Store, plan: Plan) -> list[float]:
    """The times of some new sessions, in microseconds."""
    app = application(store)
    return _microseconds(Browser(app).visit("/start", writes=True) for _ in range(plan.creations))


def _prune_all(store: Store) -> int:
    """Remove all that has expired, and say how many were left."""
    removed, now = 0, int(time.time())
    while count := store.prune(now):
        removed += count
    return removed
