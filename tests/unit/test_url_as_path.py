"""A URL where a path belongs: the commonest slip of a site that moves to a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sessionware import ConfigError, FileStore, SQLiteStore
from sessionware.auth import SQLiteUsers
from tests.support.frames import frames_that_show

each_class = pytest.mark.parametrize("build", [SQLiteStore, SQLiteUsers, FileStore])


@each_class
@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("postgresql://ann:hunter2@host/app", "SQLStore"),
        ("postgres+asyncpg://ann:hunter2@host/app", "SQLStore"),
        ("mysql://ann:hun/ter2@host/app", "SQLStore"),
        ("redis://:hunter2@host/0", "RedisStore"),
        ("rediss://host/0?password=hunter2", "RedisStore"),
        ("sqlite:///a.db", "open_store"),
        ("file:///srv/sessions", "open_store"),
        (Path("postgresql://ann:hunter2@host/app"), "SQLStore"),
    ],
)
def test_a_url_is_no_path(
    build: Callable[[object], object], url: object, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what takes it, and shows no password. Nothing is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=advice) as caught:
        build(url)

    assert "ter2" not in str(caught.value)
    assert "path" in str(caught.value)
    assert frames_that_show("ter2", caught.value) == []
    assert list(tmp_path.iterdir()) == []


@each_class
def test_a_path_may_have_a_colon(build: Callable[[object], object], tmp_path: Path) -> None:
    """In names that are no scheme."""
    (tmp_path / "c:").mkdir()
    build(tmp_path / "c:" / "sessions")
