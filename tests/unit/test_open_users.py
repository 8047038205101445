"""Tables of accounts by URL, for the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sessionware import ConfigError, SQLiteStore
from sessionware.auth import SQLiteUsers, SQLUsers
from sessionware.auth.users import open_existing_users, open_users
from tests.support.frames import frames_that_show


def test_url_names_a_table_of_accounts(tmp_path: Path) -> None:
    """In a file, by SQLAlchemy, or on a server, which need not be up."""
    assert isinstance(open_users(f"sqlite:///{tmp_path}/a.db"), SQLiteUsers)
    assert isinstance(open_users(f"sqlite+pysqlite:///{tmp_path}/b.db"), SQLUsers)
    assert isinstance(open_users("postgresql://ann:hunter2@localhost:1/app"), SQLUsers)
    assert isinstance(open_users("mariadb://ann:hunter2@127.0.0.1:1/app"), SQLUsers)


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite"])
def test_what_is_no_table_yet_is_not_made_one(scheme: str, tmp_path: Path) -> None:
    """`open_existing_users` is for those who only look somebody up."""
    path = tmp_path / "a.db"
    url = f"{scheme}:///{path}"
    with pytest.raises(ConfigError, match="no such file"):
        open_existing_users(url)
    assert not path.exists()

    SQLiteStore(path)
    with pytest.raises(ConfigError, match="sessionware_users"):
        open_existing_users(url)
    open_users(url)
    open_existing_users(url)


@pytest.mark.parametrize(
    "url",
    [
        "app.db",
        "sqlite://a.db",
        "file:///tmp/users",
        "memory://",
        "redis://ann:hunter2@localhost",
        "postgresql+psycopg2://ann:hunter2@localhost/app",
        "postgresql://ann:hunter2@localhost",
    ],
)
def test_url_that_names_none_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what can be written instead, and without a password."""
    monkeypatch.chdir(tmp_path)
    for open_it in (open_users, open_existing_users):
        with pytest.raises(ConfigError, match=re.compile("postgresql://")) as raised:
            open_it(url)

        assert "hunter2" not in str(raised.value)
        assert frames_that_show("hunter2", raised.value) == []
    assert list(tmp_path.iterdir()) == []
