"""A missing program skips its tests, and fails them where it was demanded."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.support.prerequisites import DEMAND, require


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with nothing on PATH but this directory, where nothing is demanded."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SESSIONWARE_TEST_CHROMIUM", raising=False)
    monkeypatch.delenv(DEMAND, raising=False)
    return tmp_path


def program(path: Path) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def outcome(name: str) -> tuple[str, str]:
    """What `require` does, as a value: a skip that got out would end the test here quietly, too."""
    try:
        return "found", require(name)
    except pytest.skip.Exception as skipped:
        return "skipped", str(skipped)
    except pytest.fail.Exception as failed:
        return "failed", str(failed)


def test_a_missing_program_skips_in_one_line_that_says_how_to_get_it(bare_machine: Path) -> None:
    """Without Chromium and without a demand, the test is skipped with advice."""
    what, why = outcome("chromium")

    assert what == "skipped"
    assert "apt-get install chromium" in why
    assert "SESSIONWARE_TEST_CHROMIUM" in why
    assert "\n" not in why


@pytest.mark.parametrize("demand", ["all", "chromium", " chromium ,"])
def test_a_missing_program_fails_where_it_is_demanded(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch, demand: str
) -> None:
    """A demand, by name or by "all", turns the skip into a failure."""
    monkeypatch.setenv(DEMAND, demand)
    what, why = outcome("chromium")

    assert what == "failed"
    assert "apt-get install chromium" in why


def test_a_demand_for_something_unknown_is_refused(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt demand does not pass for no demand, nor for one that is met."""
    program(bare_machine / "chromium")
    monkeypatch.setenv(DEMAND, "chromum")

    with pytest.raises(pytest.UsageError, match="chromum"):
        outcome("chromium")


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_chromium_is_found_under_each_of_its_names(bare_machine: Path, name: str) -> None:
    """Distributions name the program differently; each name is found on PATH."""
    installed = program(bare_machine / name)

    assert outcome("chromium") == ("found", str(installed))


def test_an_explicit_chromium_comes_first(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SESSIONWARE_TEST_CHROMIUM wins over what is on PATH, and what it names must be there."""
    program(bare_machine / "chromium")
    mine = program(bare_machine / "mine")

    monkeypatch.setenv("SESSIONWARE_TEST_CHROMIUM", str(mine))
    assert outcome("chromium") == ("found", str(mine))

    monkeypatch.setenv("SESSIONWARE_TEST_CHROMIUM", str(bare_machine / "gone"))
    assert outcome("chromium")[0] == "skipped"
