"""What wrong logins cost: memory and waiting while many come at once, and what their time tells of an account.

Each load is in a process of its own, where so many server threads try one wrong password after the other. Each of them
tries at least five times, because in the first round everybody comes at once.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from itertools import combinations
from pathlib import Path
from statistics import NormalDist, median, quantiles
from typing import Any, NamedTuple

from sessionware import Busy, LoginFailed, SessionManager
from sessionware.auth import Argon2Hasher, Auth, MemoryUsers

from .children import in_child

SECRET = "the secret of a benchmark, and of nothing else"
PASSWORD = "correct horse battery staple"

logging.getLogger("sessionware").addHandler(logging.NullHandler())  # or each event would be printed

#: Costs (passes, KiB, lanes) of hashes that were made before the costs were raised to today's default.
OLDER_COSTS = {
    "half the memory": (2, 9728, 1),
    "one pass": (1, 19456, 1),
    "12 MiB, three passes": (3, 12288, 1),
    "very cheap": (1, 64, 1),
}

#: How often each thread tries at least.
ROUNDS = 5

#: All cases together may be told apart by chance this often.
LEVEL = 0.05


class Plan(NamedTuple):
    """How many threads try, how many logins there are, and how often each case is timed."""

    threads: tuple[int, ...]
    logins: int
    timed: int
    seed: int


def measure(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    return {
        "load": [in_child(load, threads, max(plan.logins, ROUNDS * threads)) for threads in plan.threads],
        "timing": in_child(timing, plan.timed, plan.seed),
    }


# ---- many at once --------------------------------------------------------------------------------------------------


def load(threads: int, logins: int) -> dict[str, Any]:
    """So many threads share out so many logins. Memory is what the process has beyond what it had before."""
    auth = Auth(_accounts({"ada": Argon2Hasher().hash(PASSWORD)}))
    manager = SessionManager(SECRET)
    _refused(auth, manager, "ada")  # the first one measures, and is not measured
    started_at = time.perf_counter()
    before = _resident_mib("VmRSS")
    _forget_peak()
    remaining, waits, busy = iter(range(logins)), list[float](), list[float]()
    barrier = threading.Barrier(threads)

    def serve() -> None:
        barrier.wait()
        while next(remaining, None) is not None:
            begun_at = time.perf_counter()
            was_busy = _refused(auth, manager, "ada")
            (busy if was_busy else waits).append(time.perf_counter() - begun_at)

    servers = [threading.Thread(target=serve) for _ in range(threads)]
    for server in servers:
        server.start()
    for server in servers:
        server.join()
    return {
        "threads": threads,
        "logins": logins,
        "peak_mib": round(_resident_mib("VmHWM") - before, 1),
        "kept_mib": round(_resident_mib("VmRSS") - before, 1),
        "p50_ms": round(median(waits) * 1000, 1),
        "p99_ms": round(quantiles(waits, n=100, method="inclusive")[-1] * 1000, 1),
        "max_ms": round(max(waits) * 1000, 1),
        "busy": len(busy),
        "per_second": round(logins / (time.perf_counter() - started_at)),
    }


def _accounts(hashes: dict[str, str | None]) -> MemoryUsers:
    """A table with these accounts."""
    users = MemoryUsers()
    for name, stored in hashes.items():
        users.add(name, name, stored, {})
    return users


def _refused(auth: Auth, manager: SessionManager, name: str, password: str = "wrong") -> bool:
    """Try to log in. True if the server was too busy to look."""
    try:
        auth.authenticate(manager, name, password)
    except Busy:
        return True
    except LoginFailed:
        return False
    raise AssertionError("a wrong password is right")


def _resident_mib(field: str) -> float:
    """A figure about this process's memory, as Linux gives it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


# ---- what time tells -----------------------------------------------------------------------------------------------


def timing(count: int, seed: int) -> list[dict[str, Any]]:
    """Refusals of every kind, timed in turns; and each kind's least p-value against the others."""
    cases, users = _cases()
    auth, manager = Auth(users), SessionManager(SECRET)
    times: dict[str, list[float]] = {name: [] for name in cases}
    rng = random.Random(seed)
    _refused(auth, manager, "nobody")
    for _ in range(count):
        for name in rng.sample(list(cases), len(cases)):
            username, password = cases[name]
            begun_at = time.perf_counter()
            _refused(auth, manager, username, password)
            times[name].append(time.perf_counter() - begun_at)
    pairs = list(combinations(cases, 2))
    p_values = {frozenset(pair): mann_whitney(times[pair[0]], times[pair[1]]) for pair in pairs}
    return [_timing_row(name, times[name], p_values, LEVEL / len(pairs)) for name in cases]


def _cases() -> tuple[dict[str, tuple[str, str]], MemoryUsers]:
    """The name and the password that are typed in each case, and the accounts that there are."""
    older = {name: Argon2Hasher(*costs).hash(PASSWORD) for name, costs in OLDER_COSTS.items()}
    current = Argon2Hasher().hash(PASSWORD)
    users = _accounts({"ada": current, "passwordless": None, "unusable": "!"})
    users.set_active(users.add("disabled", "disabled", current, {}).id, False)
    for number, stored in enumerate(older.values()):
        users.add(f"older{number}", f"older{number}", stored, {})
    cases = {
        "unknown name": ("nobody", PASSWORD),
        "today's costs": ("ada", "wrong"),
        **{f"older: {name}": (f"older{number}", "wrong") for number, name in enumerate(older)},
        "without a password": ("passwordless", "wrong"),
        "unusable hash": ("unusable", "wrong"),
        "disabled": ("disabled", "wrong"),
        "disabled, right password": ("disabled", PASSWORD),
        "too long": ("ada", "x" * 1025),
        "too long, unknown name": ("nobody", "x" * 1025),
    }
    return cases, users


def _timing_row(name: str, times: list[float], p_values: dict[frozenset[str], float], least: float) -> dict[str, Any]:
    own = {next(iter(pair - {name})): p for pair, p in p_values.items() if name in pair}
    nearest = min(own, key=lambda other: own[other])
    return {
        "case": name,
        "median_ms": round(median(times) * 1000, 2),
        "p95_ms": round(quantiles(times, n=20)[-1] * 1000, 2),
        "least_p": f"{own[nearest]:.2g}",
        "against": nearest,
        "told_apart": sum(p < least for p in own.values()),
    }


def mann_whitney(one: list[float], other: list[float]) -> float:
    """How likely two samples of one distribution differ this much: the two-sided rank test, by its normal limit."""
    both = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    rank_sum = _rank_sum(both)
    n, m = len(one), len(other)
    mean, deviation = n * (n + m + 1) / 2, (n * m * (n + m + 1) / 12) ** 0.5
    return 2 * (1 - NormalDist().cdf(abs(rank_sum - mean) / deviation))


def _rank_sum(both: list[tuple[float, int]]) -> float:
    """The sum of the ranks of the first sample. Equal values share the mean of their ranks."""
    total, index = 0.0, 0
    while index < len(both):
        end = index
        while end < len(both) and both[end][0] == both[index][0]:
            end += 1
        shared = (index + 1 + end) / 2
        total += shared * sum(sample == 0 for _value, sample in both[index:end])
        index = end
    return total
