"""Backing up and restoring as docs/deployment.md says, with the commands that stand there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import dev
from sessionware import FileStore, Record, SQLiteStore
from sessionware.auth import SQLiteUsers
from tests.support.prerequisites import require

PAGE = (dev.ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def commands(first: str) -> str:
    """The commands of the one block of the section on backups in which one begins like this."""
    section = PAGE.split("\n## Backups\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    (found,) = [block for block in blocks if f"$ {first}" in block]
    return "\n".join(line.removeprefix("$ ") for line in found.splitlines())


def run(folder: Path, first: str) -> None:
    subprocess.run(["sh", "-ec", commands(first)], cwd=folder, check=True)


def record(number: int) -> Record:
    return Record(number.to_bytes(16, "big"), 1, 2**40, b"ann".ljust(16), b"payload")


@pytest.fixture
def users(tmp_path: Path) -> SQLiteUsers:
    """Accounts and sessions in one file, in use."""
    require("sqlite3")
    SQLiteStore(tmp_path / "app.db").close()
    users = SQLiteUsers(tmp_path / "app.db")
    users.add("ann", "ann", None, {})
    return users


def names(users: SQLiteUsers) -> str:
    return " ".join(name for name in ("ann", "bob") if users.find_by_key(name))


def test_accounts_are_restored_under_a_running_site(tmp_path: Path, users: SQLiteUsers) -> None:
    """They are as they were, sessions are gone, and what is stored next stays."""
    store = SQLiteStore(tmp_path / "app.db")
    store.create(record(1))
    run(tmp_path, 'sqlite3 app.db "VACUUM INTO')
    users.add("bob", "bob", None, {})
    assert (names(users), store.scan()) == ("ann bob", [record(1)])

    run(tmp_path, "test -s app-backup.db")

    assert (names(users), store.scan()) == ("ann", [])
    assert store.create(record(2))
    users.add("bob", "bob", None, {})
    users.close()
    store.close()
    assert (names(SQLiteUsers(tmp_path / "app.db")), SQLiteStore(tmp_path / "app.db").scan()) == (
        "ann bob",
        [record(2)],
    )


def test_a_lost_database_is_put_back_while_nothing_runs(tmp_path: Path, users: SQLiteUsers) -> None:
    """A log that a killed server has left does not get into it, and nobody else can read it."""
    run(tmp_path, 'sqlite3 app.db "VACUUM INTO')
    users.add("bob", "bob", None, {})
    log = (tmp_path / "app.db-wal").read_bytes()
    users.close()
    (tmp_path / "app.db-wal").write_bytes(log)

    run(tmp_path, "rm -f app.db")

    assert names(SQLiteUsers(tmp_path / "app.db")) == "ann"
    assert {oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {"0o600"}


def test_a_directory_of_sessions_is_copied_as_a_whole(tmp_path: Path) -> None:
    """With its mark and its owners, for its owner only."""
    store = FileStore(tmp_path / "sessions")
    store.create(record(1))
    store.namespace("a").create(record(2))

    run(tmp_path, "tar -cf")

    again = FileStore(tmp_path / "sessions")
    assert again.scan() == again.owned_by(b"ann".ljust(16), 0) == [record(1)]
    assert again.namespace("a").scan() == [record(2)]
    assert (tmp_path / "sessions").stat().st_mode & 0o777 == 0o700


def test_the_copy_is_for_its_owner_only(tmp_path: Path, users: SQLiteUsers) -> None:
    """It has the password hashes in it."""
    assert names(users) == "ann"
    run(tmp_path, 'sqlite3 app.db "VACUUM INTO')

    assert (tmp_path / "app-backup.db").stat().st_mode & 0o777 == 0o600
