"""docs/servers.md tells the truth: its commands serve, its releases are real ones, its table is what the tests do."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from contextlib import closing
from http.client import HTTPConnection
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import dev
from sessionware import cli
from tests.e2e import test_servers
from tests.support.prerequisites import require
from tests.support.servers import AS_NOBODY, KINDS, PATIENCE, started

PAGE = (dev.ROOT / "docs" / "servers.md").read_text(encoding="utf-8")
PYPROJECT = (dev.ROOT / "pyproject.toml").read_text(encoding="utf-8")

#: Server, package, release and command.
ROW = re.compile(r"^\| ([\w -]+) \| ([\w-]+) ([\d.]+) \| `([^`]+)` \|$", re.MULTILINE)


class Row(NamedTuple):
    package: str
    release: str
    command: str


ROWS = {server: Row(*cells) for server, *cells in ROW.findall(PAGE)}

#: What the page leaves to the machine: where Apache puts its files, and that it serves nothing as root.
BEFORE = {"mod_wsgi": AS_NOBODY}
AFTER = {"mod_wsgi": ["--server-root={directory}/apache", "--locale=C.UTF-8", "--log-to-terminal"]}


def test_page_names_every_server_that_is_tested() -> None:
    """No more and no less, in one order, and each by the package that installs it."""
    packages = {server: row.package for server, row in ROWS.items()}

    assert packages == {server: kind.package or "Python" for server, kind in KINDS.items()}


@pytest.mark.parametrize("server", KINDS)
def test_command_on_the_page_serves(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands there, but for the port: a visitor is counted, and known when coming back."""
    if server == "mod_wsgi":
        require(server)
    monkeypatch.chdir(tmp_path)
    cli.main(["secret", "--file", "session-secret"])
    shutil.copy(dev.ROOT / "examples" / "minimal.py", tmp_path)
    (tmp_path / "mysite.py").write_text("from minimal import wrapped\n\napp = wrapped()\n")
    told = shlex.split(ROWS[server].command.replace("8000", "{port}"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    program = shutil.which(told[0], path=path)
    assert program is not None

    command = [*BEFORE.get(server, []), program, *told[1:], *AFTER.get(server, [])]
    with started(command, tmp_path, tmp_path, PATH=path) as process:
        first, cookie = visit(process.port)
        second, _ = visit(process.port, cookie)

    assert (first, second) == ("Visits so far: 1\n", "Visits so far: 2\n")


def visit(port: int, cookie: str = "") -> tuple[str, str]:
    """The page, and the cookie for the next visit."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("GET", "/", headers={"Cookie": cookie})
        response = connection.getresponse()
        return response.read().decode(), (response.getheader("Set-Cookie") or "").partition(";")[0]


@pytest.mark.parametrize("server", KINDS)
def test_release_on_the_page_is_one_that_is_tested(server: str) -> None:
    """Not older than the oldest that is ever installed, and not one that this machine has yet to see."""
    row = ROWS[server]
    oldest, newest = releases(row.package)

    assert oldest <= Version(row.release)
    assert newest is None or Version(row.release) <= newest


def releases(package: str) -> tuple[Version, Version | None]:
    """The oldest that is allowed, and the one that is here, if it is."""
    if package == "Python":
        return Version("3.10"), Version("3.13")
    named = re.search(rf'^    "({package}\b[^"]*)"', PYPROJECT, re.MULTILINE)
    oldest = next(iter(Requirement(named[1]).specifier)).version if named else "0"
    try:
        return Version(oldest), Version(version(package))
    except PackageNotFoundError:
        return Version(oldest), None


def test_table_is_what_the_tests_do() -> None:
    """Its rows are the tests' names, and where a server cannot do something it says why."""
    assert table() in PAGE, f"write into docs/servers.md:\n{table()}"


def table() -> str:
    lines = [["check", *KINDS], ["---"] * (len(KINDS) + 1)]
    lines += [[check.replace("_", " "), *(cell(f"test_{check}", server) for server in KINDS)] for check in checks()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def checks() -> list[str]:
    """The tests that each server is to pass, without their first word."""
    tests = {name: test for name, test in vars(test_servers).items() if name.startswith("test_")}
    return [name.removeprefix("test_") for name, test in tests.items() if "server" in signature(test).parameters]


def cell(check: str, server: str) -> str:
    silent = test_servers.SILENT.get(server, set())
    if ("error_before" in check and "fail" in silent) or ("saves_nothing" in check and silent):
        return "✓, no 500"
    return test_servers.CANNOT.get(check, {}).get(server, "✓")
