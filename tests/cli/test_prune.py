"""`prune`: removes what has expired, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionware import Record, Store, open_store
from tests.cli.kit import run, run_json

each_scheme = pytest.mark.parametrize("scheme", ["sqlite:///", "file://"])


def filled(url: str, number: int = 50) -> Store:
    """A store of which four fifths have expired."""
    store = open_store(url)
    for each in range(number):
        store.create(Record(each.to_bytes(16, "big"), 1, 10 if each % 5 else 2**40, None, b"payload"))
    return store


@each_scheme
def test_prune_removes_what_has_expired(capsys: pytest.CaptureFixture[str], tmp_path: Path, scheme: str) -> None:
    """All of it, and nothing that is alive; it prints how many."""
    store = filled(url := f"{scheme}{tmp_path}/sessions")

    assert run(capsys, "prune", url) == (0, "40\n", "")
    assert len(store.scan()) == 10


def test_prune_for_programs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """How many, and how long it took."""
    filled(url := f"sqlite:///{tmp_path}/sessions")
    done = run_json(capsys, "prune", url)

    assert done["removed"] == 40
    assert set(done) == {"removed", "seconds"}


@each_scheme
def test_prune_makes_nothing_where_there_is_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, scheme: str
) -> None:
    """A misspelt path is an error and not an empty store."""
    code, out, err = run(capsys, "prune", f"{scheme}{tmp_path}/typo")

    assert (code, out) == (1, "")
    assert "typo" in err
    assert list(tmp_path.iterdir()) == []


def test_prune_says_nothing_to_a_mailer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """cron sends what a command prints. With --quiet that is nothing, unless it fails."""
    store = filled(url := f"sqlite:///{tmp_path}/sessions")

    (tmp_path / "sessions").chmod(0o644)  # of which a site is warned when it starts

    assert run(capsys, "prune", url, "--quiet") == (0, "", "")
    assert len(store.scan()) == 10
    code, out, err = run(capsys, "prune", f"sqlite:///{tmp_path}/typo", "--quiet")
    assert (code, out) == (1, "")
    assert "typo" in err
