"""What gunicorn serves in the macro measurements: the subject that the environment names."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from .subjects import named
from .subjects.base import App


def app() -> App:
    """The subject's application. Workers build it one after the other: some peers fail if two make their table."""
    directory = Path(os.environ["BENCHMARK_DIRECTORY"])
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return named(os.environ["BENCHMARK_SUBJECT"]).build(directory)
