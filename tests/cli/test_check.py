"""`check`: tries a store, and says what is wrong."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

import sessionware
from sessionware import FileStore, MemoryStore, Record, SQLiteStore, Store
from sessionware.auth import MemoryUsers
from sessionware.cli._command import CommandFailed
from sessionware.cli.check import tried, tried_accounts
from sessionware.testing import FaultyStore
from sessionware.usernames import username_key
from tests.cli.kit import FileSite, run, run_json


@pytest.fixture(params=["sqlite:///", "file://"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = tmp_path / "sessions"
    _ = SQLiteStore(path) if request.param == "sqlite:///" else FileStore(path)
    return f"{request.param}{path}"


def test_check_of_a_good_store(capsys: pytest.CaptureFixture[str], url: str) -> None:
    """It tells versions and times, and leaves nothing behind."""
    found = run_json(capsys, "check", url)

    assert found["ok"] is True
    assert (found["store"], found["namespace"], found["problem"], found["warnings"]) == (url, "", None, [])
    assert found["versions"]["sessionware"] == sessionware.__version__
    assert min(found["milliseconds"].values()) > 0
    assert sessionware.open_store(url).scan() == []


def test_check_for_people(capsys: pytest.CaptureFixture[str], url: str) -> None:
    """The same, a line each."""
    code, out, err = run(capsys, "check", url)

    assert (code, err) == (0, "")
    assert re.search(rf"^store +{re.escape(url)}$", out, re.MULTILINE)
    assert re.search(r"^replace +[\d.]+ ms$", out, re.MULTILINE)


def test_check_makes_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A misspelt path is what it is there to find."""
    code, out, err = run(capsys, "check", f"sqlite:///{tmp_path}/typo.db", "--json")
    found = json.loads(out)

    assert code == 1
    assert found["ok"] is False
    assert "typo.db" in found["problem"]
    assert "typo.db" in err
    assert list(tmp_path.iterdir()) == []


def test_check_tells_what_the_library_warns_of(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """As a part of its result."""
    (site.directory / "site.db").chmod(0o664)
    (warning,) = run_json(capsys, "check", site.url)["warnings"]

    assert "is open to other users" in warning


@pytest.mark.parametrize("names", [[], ["shop"]])
def test_check_tells_that_a_copy_is_under_way(
    capsys: pytest.CaptureFixture[str], site: FileSite, names: list[str]
) -> None:
    """A site that uses the store before the last pass would lose what it writes. A namespace may be a copy's target."""
    shop = site.store.namespace("shop")
    asked = ["check", site.url, *(f"--namespace={name}" for name in names)]
    assert run_json(capsys, *asked)["warnings"] == []

    target = shop if names else site.store
    target.namespace("copy").create(Record(b"sessionware copy", 1, 2**40, None, b"mark"))
    (warning,) = run_json(capsys, *asked)["warnings"]
    assert "--final" in warning


def test_check_prints_json_whatever_is_wrong(
    capsys: pytest.CaptureFixture[str], site: FileSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system that is read-only, for example."""

    def read_only(path: Any, *arguments: Any, **settings: Any) -> int:
        if str(path).endswith("-sessionware"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return opened(path, *arguments, **settings)

    opened = os.open
    monkeypatch.setattr(os, "open", read_only)
    code, out, err = run(capsys, "check", site.url, "--json")

    assert code == 1
    assert json.loads(out)["ok"] is False
    assert re.search("Read-only file system.*-sessionware", json.loads(out)["problem"])
    assert err.count("\n") == 1


def test_check_shows_no_password(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output is what people send to others."""
    monkeypatch.setenv("SESSIONWARE_STORE", "postgresql+psycopg2://ann:hunter2@host/app")
    code, out, err = run(capsys, "check")

    assert code == 1
    assert "host/app" in out
    assert "hunter2" not in out + err


class Odd(MemoryStore):
    """A store that answers wrongly to one call."""

    def __init__(self, method: str, answer: object) -> None:
        super().__init__()
        setattr(self, method, lambda *_args, **_kwargs: answer)


@pytest.mark.parametrize(
    ("method", "answer"),
    [("create", False), ("load", None), ("replace", False), ("owned_by", []), ("delete", False)],
)
def test_check_finds_wrong_answers(method: str, answer: Any) -> None:
    """Of each call, by its name."""
    with pytest.raises(CommandFailed, match=method):
        list(tried(Odd(method, answer), 1_700_000_000, lambda: 0.0))


def test_check_leaves_nothing_for_long(tmp_path: Path) -> None:
    """If the store fails in between, what it has written expires soon."""
    inner = MemoryStore()
    store: Store = FaultyStore(inner)
    calls = tried(store, 1_700_000_000, lambda: 0.0)
    next(calls)

    assert [record.expires_at - 1_700_000_000 for record in inner.scan()] == [60]
    list(calls)
    assert inner.scan() == []


def test_check_tries_the_accounts_too(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """If it is asked to, and it leaves none behind."""
    assert "accounts" not in run_json(capsys, "check", site.url)

    for where in ([], [f"sqlite:///{site.directory}/site.db"]):
        found = run_json(capsys, "check", site.url, "--users", *where)
        assert found["ok"] is True
        assert min(found["accounts"].values()) > 0
    assert re.search(r"^accounts: add +[\d.]+ ms$", run(capsys, "check", site.url, "--users")[1], re.MULTILINE)
    assert site.users._database.execute("SELECT count(*) FROM sessionware_users") == [(0,)]


def test_check_of_accounts_that_are_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It makes none, and what is well with the sessions is told nevertheless."""
    SQLiteStore(tmp_path / "sessions.db")
    code, out, _ = run(capsys, "check", f"sqlite:///{tmp_path}/sessions.db", "--users", "--json")
    found = json.loads(out)

    assert code == 1
    assert "no accounts" in found["problem"]
    assert "milliseconds" in found


class OddUsers(MemoryUsers):
    """Accounts that answer wrongly to one call."""

    def __init__(self, method: str, answer: object) -> None:
        super().__init__()
        setattr(self, method, lambda *_args, **_kwargs: answer)


@pytest.mark.parametrize(
    ("method", "answer"), [("find_by_key", None), ("set_active", False), ("get", None), ("delete", False)]
)
def test_check_finds_wrong_answers_about_accounts(method: str, answer: Any) -> None:
    """Of each call, by its name."""
    with pytest.raises(CommandFailed, match=method):
        list(tried_accounts(OddUsers(method, answer), lambda: 0.0))


def test_nobody_can_log_in_as_the_account_that_is_tried() -> None:
    """Its key is none of a name, and it has no password, should it ever be left behind."""
    users = MemoryUsers()
    calls = tried_accounts(users, lambda: 0.0)
    next(calls)
    (account,) = users._by_id.values()

    assert username_key(account.username) is None
    assert account.password_hash is None
