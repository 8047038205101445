"""What wrong logins cost: memory and waiting while many come at once, and what their time tells of an account.

Each load is in a process of its own, where so many server threads try one wrong password after the other. Each of them
tries at least five times, because in the first round everybody comes at once.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from sessionware import Busy, LoginFailed, SessionManager
from sessionware.auth import Argon2Hasher, Auth, MemoryUsers

from .children import in_child
from .ranks import told_apart

SECRET = "the secret of a benchmark, and of nothing else"
PASSWORD = "seven quiet lanterns drift"

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
    return told_apart(times)


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
