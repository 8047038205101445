"""Runs the measurements: `python3 dev.py bench [--quick] [--out FILE.json] [PART…]`.

Prints the tables, and with --out writes everything to a JSON file, from which `report.py` makes the published page.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from . import contention, growth, imports, logins, macro, micro, refusals, servers
from .machine import describe
from .report import as_markdown
from .subjects import FAMILIES, subjects

SEED = 20_261

_ALL = (1_000, 100_000, 1_000_000)
_GROWTH = growth.Plan(
    {"memory": _ALL, "file": _ALL[:2], "sqlite": _ALL}, rounds=40, batch=50, creations=10_000, seed=SEED
)
_FEW = (1_000, 20_000)
_QUICK_GROWTH = growth.Plan(dict.fromkeys(_GROWTH.sizes, _FEW), rounds=5, batch=20, creations=500, seed=SEED)


def run_micro(is_quick: bool, families: Iterable[str] = FAMILIES) -> Any:
    plan = micro.Plan(rounds=4, batch=6, seed=SEED) if is_quick else micro.Plan(rounds=25, batch=30, seed=SEED)
    with tempfile.TemporaryDirectory() as directory:
        return micro.measure(subjects(families), plan, Path(directory))


def run_interpreted(is_quick: bool) -> Any:
    """sessionware and the floors in a Python that does not find the compiled library, but the source."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory, "own.json")
        command = [sys.executable, "-m", "benchmarks.run", "own", "--out", str(out), *(["--quick"] if is_quick else [])]
        subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text(encoding="utf-8"))["own"]


def run_own(is_quick: bool) -> Any:
    return run_micro(is_quick, ("ours", "floors"))


def run_growth(is_quick: bool) -> Any:
    return growth.measure(_QUICK_GROWTH if is_quick else _GROWTH)


def run_macro(is_quick: bool) -> Any:
    few = macro.SHARED[:4]
    plan = macro.Plan(1, 1, ("sync",), few) if is_quick else macro.Plan(3, 2, ("sync", "gthread"))
    return macro.measure(plan)


def run_contention(is_quick: bool) -> Any:
    plan = contention.Plan((4,), 0.5) if is_quick else contention.Plan((2, 4, 8), 3.0)
    return contention.measure(plan)


def run_import(_is_quick: bool) -> Any:
    return imports.measure()


def run_logins(is_quick: bool) -> Any:
    plan = logins.Plan((4, 32), 100, 20, SEED) if is_quick else logins.Plan((4, 32, 64, 200), 300, 300, SEED)
    return logins.measure(plan)


def run_refusals(is_quick: bool) -> Any:
    return refusals.measure(refusals.Plan(20 if is_quick else 300, SEED))


def run_servers(is_quick: bool) -> Any:
    return servers.measure(servers.quick(SEED) if is_quick else servers.thorough(SEED))


#: All that there is to measure. What `run_interpreted` asks of its child is not asked for by itself.
PARTS: dict[str, Callable[[bool], Any]] = {
    "micro": run_micro,
    "interpreted": run_interpreted,
    "growth": run_growth,
    "macro": run_macro,
    "contention": run_contention,
    "import": run_import,
    "logins": run_logins,
    "refusals": run_refusals,
    "servers": run_servers,
}


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    warnings.simplefilter("ignore")  # what the peers' own dependencies regret is not what is measured
    print(f"seed {SEED}", file=sys.stderr)
    results: dict[str, Any] = {"machine": describe(), "quick": options.quick, "seed": SEED}
    for part in options.parts or PARTS:
        begin = time.monotonic()
        results[part] = {**PARTS, "own": run_own}[part](options.quick)
        print(f"{part}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
        if options.out:  # after each part, so that an interrupted run is not lost
            options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(as_markdown(results))
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under two minutes, to see that it works")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="keep the figures here")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; all if none is named")
    options = parser.parse_args(arguments)
    unknown = [part for part in options.parts if part not in (*PARTS, "own")]
    if unknown:
        parser.error(f"no part is called {unknown[0]!r}; there are {', '.join(PARTS)}")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
