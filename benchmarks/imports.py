"""How long `import sessionware` takes, and how much of it is its own modules rather than what it depends on."""

from __future__ import annotations

import re
import subprocess
import sys
from statistics import median
from typing import Any

_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)")


def measure(runs: int = 5) -> dict[str, Any]:
    """Medians over fresh processes, in milliseconds."""
    subprocess.check_call([sys.executable, "-c", "import sessionware"])  # so that everything is compiled
    own, total = zip(*(_one_run() for _ in range(runs)), strict=True)
    return {
        "runs": runs,
        "total_ms": round(median(total) / 1000, 1),
        "own_ms": round(median(own) / 1000, 1),
        "own_share": round(median(mine / all for mine, all in zip(own, total, strict=True)), 3),
    }


def _one_run() -> tuple[int, int]:
    """Microseconds in our own modules, and in all that the import caused."""
    command = [sys.executable, "-X", "importtime", "-c", "import sessionware"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    own = total = 0
    for self_time, cumulative, _indent, name in _LINE.findall(report):
        if name == "sessionware":
            total = int(cumulative)
        if name.partition(".")[0] == "sessionware":
            own += int(self_time)
    return own, total
