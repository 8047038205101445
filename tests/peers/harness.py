"""Fetches a released source, runs its tests on an adapter, and compares what failed with what may."""

from __future__ import annotations

import fnmatch
import os
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import dev

DOWNLOADS = dev.ROOT / ".peers"

#: What became of each test, by its id: "passed", "skipped" or "failed".
Outcomes = Mapping[str, str]


class Peer(NamedTuple):
    """A project whose tests are run on one of our adapters.

    `run` gets the directory of the unpacked source. `exceptions` are the tests that may fail, by a pattern of their
    ids, each with the reason why it does not apply. One that passes after all is a mistake in the table.
    """

    name: str
    requirement: str
    """The released source, as pip knows it, with its exact version: `flask==3.1.3`."""
    run: Callable[[Path], Outcomes]
    exceptions: Mapping[str, str] = {}


class Report(NamedTuple):
    """What one peer's tests said."""

    run: int
    passed: int
    skipped: int
    excused: Mapping[str, list[str]]
    """The ids of tests that failed as the table says, by the reason."""
    unexpected: list[str]
    """Failures that no exception covers, and exceptions that cover none."""


def report_of(outcomes: Outcomes, exceptions: Mapping[str, str]) -> Report:
    """Compare what failed with what may."""
    failed = [id for id, outcome in outcomes.items() if outcome == "failed"]
    covering = {id: next((each for each in exceptions if fnmatch.fnmatchcase(id, each)), None) for id in failed}
    excused: dict[str, list[str]] = {}
    for id, pattern in covering.items():
        if pattern is not None:
            excused.setdefault(exceptions[pattern], []).append(id)
    unexpected = [id for id, pattern in covering.items() if pattern is None]
    stale = [f"no failure for the exception {pattern}" for pattern in exceptions if pattern not in covering.values()]
    counts = {what: sum(outcome == what for outcome in outcomes.values()) for what in ("passed", "skipped")}
    return Report(len(outcomes), counts["passed"], counts["skipped"], excused, unexpected + stale)


def source_of(peer: Peer) -> Path:
    """The directory of the unpacked released source, fetched once."""
    directory = DOWNLOADS / peer.requirement
    if not directory.exists():
        fetched = DOWNLOADS / "fetched" / peer.requirement
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*pip, "--dest", str(fetched), peer.requirement], check=True)
        (archive,) = fetched.glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            opened.extractall(directory, filter="data")
    (unpacked,) = directory.iterdir()
    return unpacked


def run_pytest(source: Path, *arguments: str, plugin: str) -> Outcomes:
    """Run a peer's tests with pytest. `plugin` is the module here that puts the adapter in place.

    The ids are `tests/test_file.py::test_name`, or with a class `tests/test_file.py::Class::test_name`.
    """
    found = source.parent.parent / f"{source.name}-{plugin}.xml"
    found.unlink(missing_ok=True)
    # Not `python -m pytest`, which looks into the peer's directory first: there may be a package `tests` in it too.
    pytest = str(Path(sys.executable).with_name("pytest"))
    command = [pytest, "-q", "-p", "no:cacheprovider", "-p", plugin, f"--junitxml={found}"]
    # The directory of the plugins as well, for those that must not import our package `tests`.
    paths = [dev.ROOT, dev.ROOT / "tests" / "peers", source]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    subprocess.run([*command, "-o", "junit_family=xunit1", *arguments], cwd=source, env=environment, check=False)
    return dict(_outcome(case) for case in ElementTree.parse(found).iter("testcase"))


def _outcome(case: ElementTree.Element) -> tuple[str, str]:
    file, name = case.get("file") or "", case.get("name") or ""
    in_class = (case.get("classname") or "").removeprefix(file.removesuffix(".py").replace("/", ".")).strip(".")
    kinds = {child.tag for child in case}
    outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
    return "::".join(filter(None, [file, in_class.replace(".", "::"), name])), outcome
