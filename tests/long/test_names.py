"""A short run of `tests.long.names`."""

from __future__ import annotations

from pathlib import Path

from sessionware import SQLiteStore
from tests.long.names import tried


def test_the_table_is_bounded_and_empty_after_all(tmp_path: Path) -> None:
    """It holds what was tried in the last hours, and then nothing."""
    *grown, last = tried(SQLiteStore(tmp_path / "sessions.db"), 3000, pace=1)  # one a second, for fifty minutes

    assert max(each.records for each in grown) <= 3 * 3000
    assert last.records == 0
