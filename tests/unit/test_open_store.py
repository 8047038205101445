"""Stores by URL, for whatever is configured in text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessionware import ConfigError, FileStore, MemoryStore, SQLiteStore, open_store


def test_url_names_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite paths as SQLAlchemy writes them, file URLs as RFC 8089 does."""
    monkeypatch.chdir(tmp_path)

    assert isinstance(open_store("memory://"), MemoryStore)
    assert isinstance(open_store("sqlite:///relative.db"), SQLiteStore)
    assert isinstance(open_store(f"sqlite:///{tmp_path}/absolute.db"), SQLiteStore)
    assert isinstance(open_store(f"file://{tmp_path}/my%20sessions"), FileStore)
    assert sorted(path.name for path in tmp_path.iterdir() if "-" not in path.name) == [
        "absolute.db",
        "my sessions",
        "relative.db",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sessions.db",
        "sqlite://",
        "sqlite:///",
        "sqlite://sessions.db",
        "sqlite:///:memory:",
        "file://",
        "file://host/dir",
        "memory://host",
        "memory:///path",
        "memory://?max=5",
        "sqlite:///s.db?mode=ro",
        "redis://localhost",
        "mysql://localhost/db",
        5,
        None,
    ],
)
def test_url_that_names_none_is_refused(url: Any) -> None:
    """With what can be written instead."""
    with pytest.raises(ConfigError, match="memory"):
        open_store(url)
