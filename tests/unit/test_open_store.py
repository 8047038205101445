"""Stores by URL, for whatever is configured in text."""

from __future__ import annotations

import importlib.util
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionware import ConfigError, FileStore, MemoryStore, Record, SQLiteStore, open_store
from sessionware.stores import open_existing_store
from tests.support.frames import frames_that_show


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


REFUSED = [
    "",
    "sessions.db",
    "oracle://localhost/db",
    5,
    None,
    b"sqlite:///a.db",
    # slashes missing, or too many
    "sqlite:",
    "sqlite:a.db",
    "sqlite:/a.db",
    "sqlite:/{here}/a.db",
    "sqlite://",
    "sqlite://a.db",
    "sqlite:///",
    "sqlite:////",
    "sqlite:///a.db/",
    "sqlite:///a.db/.",
    "sqlite:///a.db//",
    "sqlite//a.db",
    "sqlite",
    ":///a.db",
    "file:",
    "file:a",
    "file:/a",
    "file:{here}/a",
    "file://",
    "file://a",
    "file:///",
    "file:////",
    "file:///{here}/a",
    "memory:",
    "memory",
    "memory:/",
    "memory:///",
    # hosts, queries, fragments
    "sqlite://host/a.db",
    "sqlite://user:pw@host/a.db",
    "sqlite://localhost/{here}/a.db",
    "file://host{here}/a",
    "file://localhost{here}/a",
    "memory://host",
    "memory:///path",
    "memory://?max=5",
    "memory://#x",
    "sqlite:///a.db?mode=ro",
    "sqlite:///a.db?",
    "sqlite:///?a.db",
    "sqlite:///a.db#x",
    "sqlite:///a.db#",
    "file://{here}/a?x",
    "file://{here}/a#x",
    # escapes that mean nothing, or two things
    "sqlite:///a%.db",
    "sqlite:///a%2.db",
    "sqlite:///a%zz.db",
    "sqlite:///a%00.db",
    "sqlite:///%2fa.db",
    "sqlite:///x%2Fa.db",
    "sqlite:///a%ff.db",
    "sqlite:///a%0A.db",
    "file://{here}/a%00",
    "file://{here}/%2e%2e%2fa",
    # characters that somebody did not mean
    "sqlite:///a\0.db",
    "sqlite:///a.db\n",
    "sqlite:///a\t.db",
    "sqlite:///a\n.db",
    " sqlite:///a.db",
    "sqlite :///a.db",
    "sqlite:// /a.db",
    "sqlite:///a.db ",
    "sqlite:/// a.db",
    "sqlite:///x\\a.db",
    "sqlite:\\\\\\a.db",
    "file://{here}\\a",
    "file://{here}/a ",
    "file://{here}/a\r\n",
    "sqlite:///\udce4.db",
    "sqlite:///:memory:",
]


@pytest.mark.parametrize("url", REFUSED)
def test_url_that_names_none_is_refused(url: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what can be written instead; and nothing is made anywhere."""
    monkeypatch.chdir(tmp_path)
    if isinstance(url, str):
        url = url.replace("{here}", str(tmp_path))

    for open_it in (open_store, open_existing_store):
        with pytest.raises(ConfigError, match="memory"):
            open_it(url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///a.db", "a.db"),
        ("SQLite:///a.db", "a.db"),
        ("sqlite:///./a.db", "a.db"),
        ("sqlite:///x/../a.db", "x/../a.db"),
        ("sqlite:///{here}/a.db", "a.db"),
        ("sqlite:///a b.db", "a b.db"),
        ("sqlite:///%20a%20", " a "),
        ("sqlite:///a%25.db", "a%.db"),
        ("sqlite:///a%2525", "a%25"),
        ("sqlite:///a%3Fb%23c%5Cd.db", "a?b#c\\d.db"),
        ("sqlite:///a+b.db", "a+b.db"),
        ("sqlite:///a@b:c.db", "a@b:c.db"),
        ("sqlite:///%C3%BC%c3%bc.db", "üü.db"),
        ("sqlite:///ünï.db", "ünï.db"),
        ("sqlite:///memory", "memory"),
        ("file://{here}/a", "a"),
        ("FILE://{here}/a", "a"),
        ("file://{here}/a/", "a"),
        ("file://{here}/a%3Fb", "a?b"),
        ("file://{here}/a;b&c=d", "a;b&c=d"),
    ],
)
def test_the_path_that_is_opened_is_the_one_in_the_url(
    url: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each character of it, with its escapes undone once."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    store = open_store(url.replace("{here}", str(tmp_path)))
    store.create(Record(bytes(16), 1, 2**40, None, b""))

    assert (tmp_path / path).exists()
    made = {
        file.name.removesuffix("-wal").removesuffix("-shm").removesuffix("-sessionware") for file in tmp_path.iterdir()
    } - {"x"}
    assert made == {Path(path).name}
    assert len(open_existing_store(url.replace("{here}", str(tmp_path))).scan()) == 1


@pytest.mark.parametrize("url", ["sqlite:///{here}/a", "file://{here}/a"])
@pytest.mark.parametrize("place", ["missing", "empty", "directory", "text", "database"])
def test_what_is_no_store_yet_is_not_made_one(url: str, place: str, tmp_path: Path) -> None:
    """`open_existing_store` is for those who only look after a store."""
    path = tmp_path / "a"
    if place == "directory":
        path.mkdir()
    elif place == "database":
        with closing(sqlite3.connect(path)) as application, application:
            application.execute("CREATE TABLE notes (text)")
    elif place != "missing":
        path.write_bytes(b"" if place == "empty" else b"Dear diary, " * 100)
    before = path.read_bytes() if path.is_file() else None

    with pytest.raises(ConfigError, match=re.escape(str(path))):
        open_existing_store(url.replace("{here}", str(tmp_path)))
    assert (path.read_bytes() if path.is_file() else None) == before
    assert [each.name for each in tmp_path.rglob("*")] == ([] if place == "missing" else ["a"])


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("postgresql://ann:hunter2@localhost:1/app", "SQLStore 'PostgreSQL"),
        ("postgres://ann@localhost:1/app", "SQLStore 'PostgreSQL"),
        ("postgresql+psycopg://localhost:1/app", "SQLStore 'PostgreSQL"),
        ("PostgreSQL://ann@[::1]:1/app", "SQLStore 'PostgreSQL"),
        ("postgresql:///app?host=/no/such/directory", "SQLStore 'PostgreSQL"),
        ("postgresql://ann:p%40ss%2F%3F%23@localhost:1/app?sslmode=require", "SQLStore 'PostgreSQL"),
        ("mysql://ann:hunter2@127.0.0.1:1/app", "SQLStore 'MariaDB"),
        ("mariadb://ann@127.0.0.1:1/app?charset=utf8mb4", "SQLStore 'MariaDB"),
        ("mysql+pymysql://127.0.0.1:1/app", "SQLStore 'MariaDB"),
        *[("mariadb+mysqldb://127.0.0.1:1/app", "SQLStore 'MariaDB")] * bool(importlib.util.find_spec("MySQLdb")),
        ("sqlite+pysqlite:///a.db", "SQLStore 'SQLite"),
        ("sqlite+pysqlite:////{here}/a.db", "SQLStore 'SQLite"),
        ("redis://localhost:1", "RedisStore"),
        ("redis://:hunter2@localhost:1/3", "RedisStore"),
        ("REDIS://localhost:1/0?protocol=3", "RedisStore"),
        ("rediss://ann:hunter2@localhost:1/", "RedisStore"),
        ("unix:///no/such/socket?db=2", "RedisStore"),
        ("redis+cluster://localhost:1", "RedisStore"),
        ("rediss+cluster://localhost:1/0", "RedisStore"),
        ("redis+cluster://ann:hunter2@localhost:1,[::1]:2", "RedisStore"),
    ],
)
def test_url_of_a_server_names_its_store(url: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is down is no error: it may be back before the first visitor."""
    monkeypatch.chdir(tmp_path)
    for open_it in (open_store, open_existing_store):
        store = open_it(url.replace("/{here}", str(tmp_path)))

        assert repr(store).startswith(f"<{kind}")
        assert "hunter2" not in repr(store)


@pytest.mark.parametrize("name", ["a b%c#d.db", "relative.db"])
def test_a_path_to_sqlalchemy_is_the_one_in_the_url(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the escapes of every other path, and without making anything where only a store that exists is meant."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite+pysqlite:///{name.replace('%', '%25').replace('#', '%23')}"
    with pytest.raises(ConfigError, match="there is no such file"):
        open_existing_store(url)
    assert list(tmp_path.iterdir()) == []

    open_store(url)
    assert (tmp_path / name).exists()
    open_existing_store(url)


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("postgresql+psycopg2://localhost/app", "psycopg 3.*postgresql://"),
        ("postgresql+asyncpg://localhost/app", "psycopg 3.*postgresql://"),
        ("postgres+psycopg://localhost/app", "postgresql://"),
        ("pgsql://localhost/app", "postgresql://"),
        ("mysql+mysqlconnector://localhost/app", "mariadb://"),
        ("mariadb+mariadbconnector://localhost/app", "mariadb://"),
        ("mysql+mysqlclient://localhost/app", r"mariadb\+mysqldb://"),
        ("redis+sentinel://localhost/app", r"RedisStore\(client\)"),
        ("redis-cluster://localhost", r"redis\+cluster://"),
        ("valkey://localhost", "redis://"),
        ("valkeys://localhost", "rediss://"),
        ("sqlite+aiosqlite:///a.db", "sqlite:///"),
        ("sqlite3:///a.db", "sqlite:///"),
        ("postgresql:///app", "host"),
        ("postgresql://localhost", "database"),
        ("mysql://localhost/", "database"),
        ("postgresql://localhost/app#x", "%23"),
        ("postgresql://ann:hunter2/x@localhost/app", "%2F"),
        ("postgresql://ann:hunter2@x@localhost/app", "%40"),
        ("postgresql://ann:hunter2%@localhost/app", "%25"),
        ("postgresql://ann:hunter2?x@localhost/app", "%3F"),
        ("postgresql://ann:hunter2#x@localhost/app", "%23"),
        ("postgresql://localhost:port/app", "PORT"),
        ("postgresql://localhost:0/app", "PORT"),
        ("postgresql://localhost:65536/app", "PORT"),
        ("postgresql://a:1,b:2/app", "host=one"),
        ("postgresql://localhost/app\n", "HOST"),
        ("postgresql://local host/app", "HOST"),
        ("postgresql:localhost/app", "HOST"),
        ("redis://", "host"),
        ("redis:///0", "host"),
        ("redis://localhost/app", "number"),
        ("redis://localhost/0/1", "number"),
        ("redis://localhost:1,localhost:2", r"redis\+cluster"),
        ("redis+cluster://localhost:1,", "host"),
        ("redis+cluster://localhost:1,localhost:0", "HOST"),
        ("redis+cluster://localhost/1", "one database"),
        ("unix://", "unix:///"),
        ("unix://host/socket", "unix:///"),
        ("sqlite+pysqlite:///a%3Fb.db", r"sqlite\+pysqlite:///"),
        ("sqlite+pysqlite:///:memory:", r"sqlite\+pysqlite:///"),
        ("sqlite+pysqlite://", r"sqlite\+pysqlite:///"),
    ],
)
def test_what_is_nearly_the_url_of_a_server_is_refused(
    url: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to write instead; and no part of a password shows, wherever the signs are that break it."""
    monkeypatch.chdir(tmp_path)
    for open_it in (open_store, open_existing_store):
        with pytest.raises(ConfigError, match=advice) as raised:
            open_it(url)

        assert "hunter2" not in str(raised.value)
        assert frames_that_show("hunter2", raised.value) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "oracle://ann:hunter2@host/1",
        "sqlite://ann:hunter2@host/a",
        "x://h?password=hunter2",
        "x://h?password=a@hunter2",
        "x://ann:a@hunter2@host",
        "x://ann:a/hunter2@host",
        "x://ann:a?hunter2@host",
        "x:///ann:hunter2@host",
        "x://ann:a\nhunter2@host",
        "ann:hunter2@host",
    ],
)
def test_a_refused_url_shows_no_password(url: str) -> None:
    """The error goes into logs."""
    with pytest.raises(ConfigError) as raised:
        open_store(url)

    assert "hunter2" not in str(raised.value)
    assert frames_that_show("hunter2", raised.value) == []
