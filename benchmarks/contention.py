"""Many clients at once: on one session, and on many sessions of one file.

Each client has an application of its own over the shared store, and does exact counting (`modify`) as fast as it can.
What is counted at the end must be what was answered, to the last one.
"""

from __future__ import annotations

import tempfile
import threading
import time
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from sessionware import Record, Store

from .scenarios import ask, begun
from .subjects.ours import STORES, application

Barrier = Any  # a threading or a multiprocessing one


class Plan(NamedTuple):
    """How many clients, and for how long."""

    clients: tuple[int, ...]
    seconds: float


class Tally(NamedTuple):
    """What one client did."""

    answered: int
    conflicts: int
    replaces: int
    refused: int
    seconds: float
    durations: list[int]


class CountingStore:
    """A store that counts how often `replace` was refused, because another request got in between."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.replaces = self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def replace(self, record: Record) -> bool:
        is_done = self._store.replace(record)
        self.replaces += 1
        self.refused += not is_done
        return is_done


def measure(plan: Plan) -> list[dict[str, Any]]:
    """One row for each store, kind of client, their number, and one or many sessions."""
    rows = [_row(store, "threads", clients, False, plan) for store in STORES for clients in plan.clients]
    on_disk = [store for store in STORES if store != "memory"]
    rows += [_row(store, "processes", clients, False, plan) for store in on_disk for clients in plan.clients]
    return rows + [_row(store, "processes", clients, True, plan) for store in on_disk for clients in plan.clients]


def _row(store: str, kind: str, clients: int, has_own: bool, plan: Plan) -> dict[str, Any]:
    """Let them loose, and sum up. With `has_own`, each client has a session of its own."""
    with tempfile.TemporaryDirectory() as directory:
        shared = STORES[store](Path(directory))  # type: ignore[index]
        app = application(shared)
        browsers = [begun(app) for _ in range(clients)] if has_own else [begun(app)] * clients
        run = _in_threads if kind == "threads" else _in_processes
        tallies = run(shared, store, directory, [browser.cookie for browser in browsers], plan.seconds)
        counted = sum(int(browser.visit("/read").body) - 1 for browser in set(browsers))
    return {
        "store": store,
        "clients": clients,
        "kind": kind,
        "sessions": "one each" if has_own else "one for all",
        **_summary(tallies),
        "lost": sum(tally.answered for tally in tallies) - counted,
    }


def _summary(tallies: list[Tally]) -> dict[str, Any]:
    durations = [duration / 1000 for tally in tallies for duration in tally.durations]
    answered = sum(tally.answered for tally in tallies)
    return {
        "per_second": round(answered / max(tally.seconds for tally in tallies)),
        "retries_per_commit": round(sum(tally.refused for tally in tallies) / max(answered, 1), 3),
        "conflicts": sum(tally.conflicts for tally in tallies),
        "median_us": round(median(durations), 1),
        "p99_us": round(quantiles(durations, n=100)[-1], 1),
    }


def hammer(store: Store, cookie: str, seconds: float, barrier: Barrier) -> Tally:
    """Count in one session until the time is up."""
    counting = CountingStore(store)
    app = application(counting)
    ask(app, "/read", cookie)  # to be warm before the others start
    barrier.wait()
    begin = time.perf_counter()
    answers = []
    while time.perf_counter() - begin < seconds:
        answers.append(ask(app, "/modify", cookie, writes=True))
    elapsed = time.perf_counter() - begin
    done = sum(answer.status.startswith("200") for answer in answers)
    durations = [answer.duration for answer in answers]
    return Tally(done, len(answers) - done, counting.replaces, counting.refused, elapsed, durations)


def _in_threads(store: Store, _name: str, _directory: str, cookies: list[str], seconds: float) -> list[Tally]:
    tallies: list[Tally] = []
    barrier = threading.Barrier(len(cookies))

    def work(cookie: str) -> None:
        tallies.append(hammer(store, cookie, seconds, barrier))

    threads = [threading.Thread(target=work, args=(cookie,)) for cookie in cookies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tallies


def _in_processes(_store: Store, name: str, directory: str, cookies: list[str], seconds: float) -> list[Tally]:
    context = get_context("spawn")
    barrier, results = context.Barrier(len(cookies)), context.SimpleQueue()
    processes = [
        context.Process(target=_process, args=(name, directory, cookie, seconds, barrier, results))
        for cookie in cookies
    ]
    for process in processes:
        process.start()
    tallies = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return tallies


def _process(name: str, directory: str, cookie: str, seconds: float, barrier: Barrier, results: Any) -> None:
    results.put(hammer(STORES[name](Path(directory)), cookie, seconds, barrier))  # type: ignore[index]
