"""Rows of an SQLite file with text in place of bytes, or text that is not UTF-8: what is in them is shown to nobody."""

from __future__ import annotations

import sqlite3
import traceback
from contextlib import closing
from pathlib import Path

import pytest

from sessionware import Record, SessionManager, SQLiteStore, StoreUnavailable
from sessionware.auth import SQLiteUsers
from tests.support.fixed import SECRET
from tests.support.frames import frames_that_show

IDS = [bytes([number]) * 16 for number in range(3)]
OWNER = b"o" * 16


def damaged(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


@pytest.fixture
def users(tmp_path: Path) -> SQLiteUsers:
    """With one account, whose password hash is not UTF-8."""
    users = SQLiteUsers(tmp_path / "a.db")
    users.add("ada", "ada", "hash", {})
    damaged(tmp_path / "a.db", "UPDATE sessionware_users SET password_hash = CAST(x'736573616d65ff' AS TEXT)")
    return users


def test_an_account_that_is_not_utf_8_is_a_failure_that_quotes_nothing(users: SQLiteUsers) -> None:
    """Neither does what led to it: sqlite3 quotes the text, which is a password hash here."""
    with pytest.raises(StoreUnavailable, match="not UTF-8") as caught:
        users.find_by_key("ada")

    assert "sesame" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is caught.value.__cause__ is None
    assert frames_that_show("sesame", caught.value) == []


@pytest.mark.parametrize("column", ["id", "username", "password_hash"])
def test_an_account_with_bytes_for_a_text_is_a_failure(tmp_path: Path, column: str) -> None:
    """As a program leaves it that writes bcrypt's bytes there. It is not handed to anybody, and not quoted."""
    users = SQLiteUsers(tmp_path / "a.db")
    users.add("ada", "ada", "hash", {})
    damaged(tmp_path / "a.db", f"UPDATE sessionware_users SET {column} = CAST('sesame' AS BLOB)")
    with pytest.raises(StoreUnavailable, match="is damaged") as caught:
        users.find_by_key("ada")

    assert column == "id" or "sesame" not in str(caught.value)
    assert column != "password_hash" or frames_that_show("sesame", caught.value) == []


@pytest.mark.parametrize("payload", ["'text'", "CAST(x'736573616d65ff' AS TEXT)"])
def test_a_session_that_is_text_counts_as_damaged(tmp_path: Path, payload: str) -> None:
    """The others are read, and it can be deleted."""
    store = SQLiteStore(tmp_path / "a.db")
    for id in IDS:
        store.create(Record(id, 1, 2**40, OWNER, b"payload"))
    damaged(tmp_path / "a.db", f"UPDATE sessionware_sessions SET payload = {payload} WHERE id = x'{IDS[1].hex()}'")

    assert [record.id for record in store.scan()] == [record.id for record in store.owned_by(OWNER, 0)] == IDS
    assert SessionManager(SECRET, store).stats()["live"] == 2
    assert store.delete(IDS[1])
