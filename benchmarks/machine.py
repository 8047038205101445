"""On what the figures were taken: the machine and the versions, and nothing that says whose machine it is."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sessionware._core import transaction

_PACKAGES = (
    "sessionware",
    "cryptography",
    "msgpack",
    "webob",
    "beaker",
    "cachelib",
    "flask",
    "flask-session",
    "flask-sqlalchemy",
    "sqlalchemy",
    "django",
    "pyramid",
    "msgspec",
    "gunicorn",
    "psycopg",
    "pymysql",
    "mysqlclient",
    "redis",
    "hiredis",
    "pyramid-session-redis",
)


def describe() -> dict[str, Any]:
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "file_system": _file_system(Path(tempfile.gettempdir()).resolve()),
        "system": platform.system(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "is_compiled": not (transaction.__file__ or "").endswith(".py"),
    }


def _cpu() -> str:
    """The model as the kernel names it, or at least the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _file_system(directory: Path) -> str:
    """The kind of file system that the scratch files are on."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    around = [(len(point), kind) for point, kind in mounts if directory.is_relative_to(point)]
    return max(around, default=(0, "unknown"))[1]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
