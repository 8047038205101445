"""`stats`: counts the sessions."""

from __future__ import annotations

import pytest

from sessionware import SessionManager
from tests.cli.kit import OTHER_SECRET, FileSite, run, run_json

KEYS = ["live", "logged_in", "expired", "tombstones", "unknown_key", "throttle", "tokens", "bytes"]


def test_stats_counts(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """As `SessionManager.stats` does."""
    site.log_in("ada")
    site.log_in("bob")
    site.manager.end_all(username="bob")
    counts = run_json(capsys, "stats", site.url, *site.secret)

    assert list(counts) == KEYS
    assert counts == site.manager.stats()
    assert (counts["live"], counts["tombstones"]) == (1, 1)


def test_stats_for_people(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """One count a line, with the digits one below the other."""
    site.log_in("ada")
    code, out, err = run(capsys, "stats", site.url, *site.secret)

    assert (code, err) == (0, "")
    assert [line.rsplit(maxsplit=1)[0] for line in out.splitlines()] == [key.replace("_", " ") for key in KEYS]
    assert len({len(line) for line in out.splitlines()}) == 1


def test_stats_under_a_wrong_secret_fail(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """Counts of what nobody could read would be guesses."""
    site.log_in("ada")
    code, out, err = run(capsys, "stats", site.url, *site.other_secret)

    assert (code, out) == (1, "")
    assert "opens none of the 1 records" in err


def test_stats_note_what_another_secret_sealed(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """As while a secret takes the place of another."""
    site.log_in("ada")
    SessionManager(OTHER_SECRET, site.store).login_cookie("bob")
    code, out, err = run(capsys, "stats", site.url, *site.secret)

    assert code == 0
    assert "unknown key" in out
    assert "does not open 1 of the 2 records" in err


def test_stats_of_an_empty_store_are_zeros(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """Whatever the secret: there is nothing that it could not open."""
    assert set(run_json(capsys, "stats", site.url, *site.other_secret).values()) == {0}


def test_stats_leave_damaged_records_out(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """And leave them alone."""
    site.log_in("ada")
    (record,) = site.store.scan()
    site.store.replace(record._replace(version=2, payload=record.payload[:-1] + b"?"))

    assert run_json(capsys, "stats", site.url, *site.secret)["live"] == 0
    assert len(site.store.scan()) == 1
