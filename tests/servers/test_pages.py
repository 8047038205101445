"""The commands on the pages about servers do what the pages say, section by section, against real servers.

They name servers that are not there, such as db.example. The programs are told where the real one is by their own
means: the environment, a file in the home directory, or a script in front of them.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import dev
from sessionware import ConfigError, RedisStore, SessionManager, SQLStore
from sessionware.auth import Auth, SQLUsers, User
from tests.support import database_servers as servers

BLOCK = re.compile(r"^```(?P<kind>console|sql)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
PATIENCE = 60
SECRET = "a secret of this test, which protects nothing"
PASSWORD = "seven quiet lanterns drift"


class Commands:
    """What a page says to run, in a directory of its own.

    Args:
        page: Its name in docs.
        sql: The program that reads SQL.
        instead: What stands on the page, and what is run in its place.
        environment: More variables.
    """

    def __init__(
        self, directory: Path, page: str, sql: str = "", instead: dict[str, str] | None = None, **environment: str
    ) -> None:
        self.directory = directory
        self._text = (dev.ROOT / "docs" / page).read_text(encoding="utf-8")
        self._sql, self._instead = sql, instead or {}
        (directory / "bin").mkdir()
        self.put("python", f'exec {shlex.quote(sys.executable)} "$@"')
        path = f"{directory / 'bin'}:{os.environ['PATH']}"
        self._environment = {**os.environ, "HOME": str(directory), "PATH": path, **environment}

    def put(self, name: str, script: str) -> None:
        """A program that comes before others of its name."""
        program = self.directory / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)

    def run(self, heading: str) -> str:
        """Run all that is in a section, and return what it printed."""
        return "".join([self._run(kind, code) for kind, code in self._in_section(heading)])

    def run_until(self, heading: str, last: str) -> Iterator[None]:
        """Run it, and stop for a moment before each command that begins with `last`."""
        for kind, code in self._in_section(heading):
            if code.startswith(last):
                yield
            self._run(kind, code)

    def _in_section(self, heading: str) -> Iterator[tuple[str, str]]:
        """Each command and each block of SQL. Nothing is installed: what it takes is here."""
        _, _, rest = self._text.partition(f"# {heading}\n")
        assert rest, f"there is no section {heading!r}"
        for block in BLOCK.finditer(re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]):
            if block["kind"] == "sql":
                yield "sql", block["code"]
            else:
                commands = [line[2:] for line in block["code"].splitlines() if line.startswith("$ ")]
                yield from (("console", command) for command in commands if not command.startswith("pip install"))

    def _run(self, kind: str, code: str) -> str:
        for old, new in self._instead.items():
            code = code.replace(old, new)
        done = subprocess.run(
            self._sql.split() if kind == "sql" else ["bash", "-euo", "pipefail", "-c", code],
            input=code if kind == "sql" else "",
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
        return done.stdout


def log_in(store: Any, users: Any) -> tuple[SessionManager, User]:
    """An account of Ada's, who is logged in."""
    manager = SessionManager(SECRET, store)
    ada = Auth(users).register(manager, "Ada", PASSWORD, login=False)
    manager.login_cookie(ada)
    assert len(manager.of(ada)) == 1
    return manager, ada


# PostgreSQL


@pytest.fixture
def postgresql_page(postgres: servers.Postgres, tmp_path: Path) -> Iterator[Commands]:
    yield Commands(
        tmp_path,
        "postgresql.md",
        "psql --no-psqlrc --set=ON_ERROR_STOP=1",
        {"@db.example/": f"@{postgres.host}:{postgres.port}/"},
        PGHOST=postgres.host,
        PGPORT=str(postgres.port),
        PGUSER="postgres",
    )
    for name in ("mysite", "mysite_restored"):
        postgres.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    postgres.execute("DROP ROLE IF EXISTS mysite")


def in_postgres(postgres: servers.Postgres, database: str = "mysite") -> str:
    return f"postgresql://mysite:sesame@{postgres.host}:{postgres.port}/{database}"


def count(postgres: servers.Postgres, table: str, database: str = "mysite") -> Any:
    return postgres.execute(f"SELECT count(*) FROM {table}", database)[0][0]


def test_postgresql_is_set_up(postgres: servers.Postgres, postgresql_page: Commands) -> None:
    """By the two statements. The table is made at the first start, and then `check` is content."""
    page = postgresql_page
    steps = page.run_until("A database and a role", "python -m sessionware check")

    next(steps)
    with closing(SQLStore(in_postgres(postgres))) as store, closing(SQLUsers(in_postgres(postgres))) as users:
        log_in(store, users)
    assert list(steps) == []


def test_postgresql_tables_are_made_by_somebody_else(postgres: servers.Postgres, postgresql_page: Commands) -> None:
    """A role that no longer owns the database, and is granted what the page says, can do everything but make them."""
    next(postgresql_page.run_until("A database and a role", "python -m sessionware check"))
    steps = postgresql_page.run_until("A role that may make no tables", "python -m sessionware ddl")

    next(steps)
    with pytest.raises(ConfigError, match="sessionware ddl"):
        SQLStore(in_postgres(postgres))
    assert list(steps) == []

    url = in_postgres(postgres)
    for settings in ({}, {"create_table": False}):
        with closing(SQLStore(url, **settings)) as store, closing(SQLUsers(url, **settings)) as users:
            _, ada = log_in(store, users)
            users.delete(ada.id)


def test_postgresql_settings_and_figures(postgres: servers.Postgres, postgresql_page: Commands) -> None:
    """The statements run as they stand there."""
    steps = postgresql_page.run_until("A database and a role", "python -m sessionware check")
    next(steps)
    with closing(SQLStore(in_postgres(postgres))) as store, closing(SQLUsers(in_postgres(postgres))) as users:
        log_in(store, users)

    postgresql_page.run("Settings")

    assert re.search(r"rows +\| +indexes", postgresql_page.run("Looking after it"))


def test_postgresql_backup_has_accounts_and_no_sessions(postgres: servers.Postgres, postgresql_page: Commands) -> None:
    """Restored to another database, or in the place of the accounts that are in use."""
    next(postgresql_page.run_until("A database and a role", "python -m sessionware check"))
    with closing(SQLStore(in_postgres(postgres))) as store, closing(SQLUsers(in_postgres(postgres))) as users:
        manager, ada = log_in(store, users)

        steps = postgresql_page.run_until("Backup and restore", "pg_restore --clean")
        next(steps)

        assert count(postgres, "sessionware_users", "mysite_restored") == 1
        assert count(postgres, "sessionware_sessions", "mysite_restored") == 0
        users.set_active(ada.id, False)
        rest = list(steps)
        assert rest == []
        assert users.get(ada.id) == ada
        assert manager.of(ada) == []  # the last statement has emptied the table
        manager.login_cookie(ada)
        assert len(manager.of(ada)) == 1
    restored = in_postgres(postgres, "mysite_restored")
    with closing(SQLStore(restored, create_table=False)) as store, closing(SQLUsers(restored)) as users:
        assert users.get(ada.id) == ada
        assert SessionManager(SECRET, store).of(ada) == []


def test_several_hosts_lead_to_the_one_that_can_be_written_to(postgres: servers.Postgres) -> None:
    """One of them is down."""
    name = postgres.new_database()
    away = servers.free_port()
    hosts = f"host={postgres.host}:{away}&host={postgres.host}:{postgres.port}"
    url = f"postgresql://{servers.ROLE}:{servers.PASSWORD}@/{name}?{hosts}&target_session_attrs=read-write"

    with closing(SQLStore(url)) as store:
        assert store.scan() == []


# MariaDB


@pytest.fixture
def mariadb_page(mariadb: servers.MariaDB, tmp_path: Path) -> Iterator[Commands]:
    (tmp_path / ".my.cnf").write_text(f"[client]\nsocket={mariadb.directory / 'socket'}\nuser=root\n")
    yield Commands(tmp_path, "mariadb.md", "mariadb", {"@db.example/": f"@{mariadb.host}:{mariadb.port}/"})
    for name in ("mysite", "mysite_restored"):
        mariadb.execute(f"DROP DATABASE IF EXISTS {name}")
    mariadb.execute("DROP USER IF EXISTS mysite")


def in_mariadb(mariadb: servers.MariaDB, database: str = "mysite") -> str:
    return f"mariadb://mysite:sesame@{mariadb.host}:{mariadb.port}/{database}"


def test_mariadb_is_set_up(mariadb: servers.MariaDB, mariadb_page: Commands) -> None:
    """By the three statements. The table is made at the first start, and then `check` is content."""
    steps = mariadb_page.run_until("A database and a user", "python -m sessionware check")

    next(steps)
    with closing(SQLStore(in_mariadb(mariadb))) as store, closing(SQLUsers(in_mariadb(mariadb))) as users:
        log_in(store, users)
    assert list(steps) == []
    mariadb_page.run("Looking after it")


@pytest.mark.parametrize("was_set_up", [True, False])
def test_mariadb_tables_are_made_by_somebody_else(
    was_set_up: bool, mariadb: servers.MariaDB, mariadb_page: Commands
) -> None:
    """A user who is granted what the page says can do everything but make them, whatever was granted before."""
    if was_set_up:
        next(mariadb_page.run_until("A database and a user", "python -m sessionware check"))
    else:
        mariadb.execute("CREATE DATABASE mysite")
        mariadb.execute("CREATE USER 'mysite'@'%' IDENTIFIED BY 'sesame'")

    mariadb_page.run("A user who may make no tables")

    url = in_mariadb(mariadb)
    with closing(SQLStore(url, create_table=False)) as store, closing(SQLUsers(url, create_table=False)) as users:
        log_in(store, users)


def test_mariadb_backup_has_accounts_and_no_sessions(mariadb: servers.MariaDB, mariadb_page: Commands) -> None:
    """Restored to another database, or in the place of the accounts that are in use."""
    next(mariadb_page.run_until("A database and a user", "python -m sessionware check"))
    with closing(SQLStore(in_mariadb(mariadb))) as store, closing(SQLUsers(in_mariadb(mariadb))) as users:
        manager, ada = log_in(store, users)

        steps = mariadb_page.run_until("Backup and restore", "mariadb mysite <")
        next(steps)

        assert mariadb.execute("SELECT count(*) FROM sessionware_users", "mysite_restored") == [(1,)]
        assert mariadb.execute("SELECT count(*) FROM sessionware_sessions", "mysite_restored") == [(0,)]
        users.set_active(ada.id, False)
        assert list(steps) == []
        assert users.get(ada.id) == ada
        assert manager.of(ada) == []  # the last statement has emptied the table
    restored = in_mariadb(mariadb, "mysite_restored")
    with closing(SQLStore(restored)) as store, closing(SQLUsers(restored)) as users:
        assert users.get(ada.id) == ada
        assert SessionManager(SECRET, store).of(ada) == []


# Redis


def redis_page(server: servers.Redis, directory: Path, **instead: str) -> Commands:
    address = {"@cache.example:6379/": f"@{server.host}:{server.port}/"}
    page = Commands(directory, "redis.md", instead=address | instead)
    program = shutil.which("redis-cli")
    page.put("redis-cli", f'case "$1" in -p) ;; *) set -- -p {server.port} "$@" ;; esac\nexec {program} "$@"')
    return page


def test_redis_is_set_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A cache is warned of, and no longer once it was changed as the page says."""
    with servers.Redis("--appendonly", "no", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as server:
        page = redis_page(server, tmp_path)
        RedisStore(server.url).close()
        assert re.findall(r"Set: (\S+)", caplog.text) == ["maxmemory-policy", "appendonly"]
        caplog.clear()

        page.run("How the server has to be set up")

        RedisStore(f"{server.url}?max_connections=7").close()
        assert caplog.text == ""
        page.run("A user of its own")
        page.run("Running on Redis, Redis Cluster and Valkey")
        assert "evicted_keys:0" in page.run("What happens when")


def test_redis_copy_is_restored(redis_server: servers.Redis, tmp_path: Path) -> None:
    """By a server that does not begin with `appendonly yes`, which would find nothing. Then it keeps what it has."""
    port = servers.free_port()
    page = redis_page(redis_server, tmp_path, **{"6390": str(port)})
    with redis_server.client() as client:
        client.flushall()
    with closing(RedisStore(redis_server.url)) as store:
        SessionManager(SECRET, store).login_cookie("Ada")
        stored = store.scan()
        assert len(stored) == 1

        steps = page.run_until("Backup and restore", "redis-cli FLUSHDB")
        next(steps)
        try:
            with closing(RedisStore(f"redis://127.0.0.1:{port}/0")) as copy:
                assert copy.scan() == stored
        finally:
            subprocess.run(["redis-cli", "-p", str(port), "shutdown"], check=True, timeout=PATIENCE)
        assert list(page.directory.glob("restored/appendonlydir/*"))

        assert list(steps) == []
        assert store.scan() == []


def test_redis_with_a_file_to_append_to_does_not_look_at_the_dump(tmp_path: Path) -> None:
    """As the page warns."""
    with servers.Redis("--appendonly", "no", "--save", "3600 1") as server:
        with server.client() as client:
            client.set("sw", "kept")
            client.save()
        dump = server.directory / "dump.rdb"
        assert dump.exists()
        shutil.copy(dump, tmp_path)

    with servers.Redis("--appendonly", "yes", "--dir", str(tmp_path)) as server, server.client() as client:
        assert client.dbsize() == 0
