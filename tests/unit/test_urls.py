"""What a URL names, without who logs in there: by this, a copy knows the store that it copied from before."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionware._hidden import Hidden
from sessionware._urls import place_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("postgresql://ann:hunter2@host/app", "postgres://bob@host/app"),
        ("postgresql://ann:hun/ter2@host/app", "postgresql+psycopg://host/app"),
        ("mariadb+mysqldb://ann:hunter2@host/app", "mariadb://host/app"),
        ("redis://:hunter2@host:6379/0?password=hunter2", "redis://host:6379/0?password=other"),
        ("sqlite:///a.db", "sqlite:///./b/../a.db"),
        ("sqlite:///a.db", "sqlite:///{here}/a.db"),
        ("sqlite:///link.db", "sqlite:///a.db"),
        ("file://{here}/a.db", "file://{here}/b/../a.db"),
    ],
)
def test_one_place_has_one_name(one: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever logs in, by whichever driver, and however a path is written. It shows no password."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.db").symlink_to("a.db")
    first, second = (place_of(Hidden(url.format(here=tmp_path))) for url in (one, other))

    assert first == second
    assert "ter2" not in first


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("postgresql://host/app", "postgresql://host/other"),
        ("postgresql://host/app", "postgresql://other/app"),
        ("redis://host/0", "redis://host/1"),
        ("redis://host/0", "redis+cluster://host/0"),
        ("sqlite:///a.db", "sqlite:///b.db"),
        ("sqlite:///a.db", "file:///a.db"),
        ("unix:///run/one.sock", "unix:///run/other.sock"),
    ],
)
def test_two_places_have_two_names(one: str, other: str) -> None:
    """As far as a URL tells."""
    assert place_of(Hidden(one)) != place_of(Hidden(other))
