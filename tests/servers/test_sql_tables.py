"""How SQLStore finds its table, makes it, and refuses one that is not its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest

from sessionware import ConfigError, SQLStore, StoreUnavailable
from sessionware.auth import SQLUsers
from tests.servers.places import KINDS, Place, new_place
from tests.servers.sql_sites import DRIVERS, NOW, RECORD, Site, opened, site_of
from tests.support import database_servers as servers

MARK = {
    "psycopg": "COMMENT ON TABLE sessionware_sessions IS '{}'",
    "pymysql": "ALTER TABLE sessionware_sessions COMMENT = '{}'",
    "mysqldb": "ALTER TABLE sessionware_sessions COMMENT = '{}'",
}


@pytest.fixture(params=DRIVERS)
def site(request: pytest.FixtureRequest) -> Site:
    return site_of(request.param, request)


def test_twelve_processes_make_the_table_at_once(site: Site) -> None:
    """As the workers of a server do that starts for the first time: each finds a store that works."""
    program = (
        "import sys; from sessionware import SQLStore; sys.stdin.read(1); "
        f"print(SQLStore({site.url!r}, timeout=20).scan())"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(12)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.close()

    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.read() == "[]\n"
        worker.stdout.close()
        assert worker.wait(60) == 0


def test_a_lock_that_another_process_holds_for_long_is_not_waited_for(mariadb: servers.MariaDB) -> None:
    """The site starts, and makes the table when it is used. A lock of another database's is none of ours."""
    name, other = mariadb.new_database(), mariadb.new_database()
    given: dict[str, Any] = {"host": mariadb.host, "port": mariadb.port, "user": servers.ROLE, "database": name}
    with closing(pymysql.connect(password=servers.PASSWORD, **given)) as holder:
        holder.cursor().execute("SELECT get_lock(concat('sessionware ', md5(database())), 0)")
        with opened(mariadb.url(other)) as store:
            assert store.scan() == []
        store = SQLStore(mariadb.url(name))
        with pytest.raises(StoreUnavailable, match="by another process"):
            store.load(RECORD.id, NOW)
    with closing(store):
        assert store.create(RECORD)


def test_the_statements_of_ddl_make_the_table(site: Site) -> None:
    """They are for those who run migrations, and the site may then do without the right to create tables."""
    for statement in SQLStore.ddl("postgresql" if site.driver == "psycopg" else "mariadb"):
        site.execute(statement)
    if site.driver == "psycopg":
        site.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON sessionware_sessions TO sw")

    with opened(site.url, create_table=False) as store:
        assert store.create(RECORD)
        assert store.load(RECORD.id, NOW) == RECORD


def test_a_table_that_is_missing_is_not_made_against_the_will(site: Site) -> None:
    """The error names the command that prints how to make it."""
    with pytest.raises(ConfigError, match="python -m sessionware ddl"):
        SQLStore(site.url, create_table=False)


def test_a_table_that_is_missing_takes_the_right_to_make_it(site: Site) -> None:
    """The error names the command that prints how to make it."""
    if site.driver == "psycopg":
        site.execute("ALTER SCHEMA public OWNER TO postgres")
        site.execute(f"ALTER DATABASE {site.database} OWNER TO postgres")
    else:
        site.execute(f"REVOKE CREATE ON {site.database}.* FROM 'sw'@'%'")

    with pytest.raises(ConfigError, match="python -m sessionware ddl"):
        SQLStore(site.url)


def test_a_table_that_may_not_be_used_is_refused_at_the_start(site: Site) -> None:
    """The error names the rights."""
    SQLStore(site.url).close()
    if site.driver == "psycopg":
        site.execute("ALTER TABLE sessionware_sessions OWNER TO postgres")
        site.execute("GRANT SELECT, INSERT ON sessionware_sessions TO sw")
    else:
        site.execute(f"REVOKE UPDATE, DELETE ON {site.database}.* FROM 'sw'@'%'")

    with pytest.raises(ConfigError, match="GRANT SELECT, INSERT, UPDATE, DELETE"):
        SQLStore(site.url)


def test_a_table_of_somebody_else_is_refused(site: Site) -> None:
    """It stays as it is."""
    site.execute("CREATE TABLE sessionware_sessions (id integer)")

    with pytest.raises(ConfigError, match="not what sessionware made"):
        SQLStore(site.url)
    assert site.execute("SELECT id FROM sessionware_sessions") == []


def test_the_table_of_another_release_is_refused(site: Site) -> None:
    """A layout with another number may mean something else by the same columns."""
    SQLStore(site.url).close()
    site.execute(MARK[site.driver].format("sessionware_sessions, layout 12"))

    with pytest.raises(ConfigError, match="another release"):
        SQLStore(site.url)


def test_a_dump_without_comments_is_good(site: Site) -> None:
    """What tells releases apart is a comment on the table. Without it, the columns have to do."""
    with opened(site.url) as store:
        store.create(RECORD)
    site.execute(MARK[site.driver].format(""))

    with opened(site.url) as store:
        assert store.scan() == [RECORD]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with new_place(request.param, request, tmp_path) as place:
        yield place


TABLES: dict[str, type[SQLStore | SQLUsers]] = {"sessionware_sessions": SQLStore, "sessionware_users": SQLUsers}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_was_copied_without_its_keys_is_refused(place: Place, table: str) -> None:
    """Two accounts could have one name, and a session be created twice. `CREATE TABLE … AS SELECT` copies so."""
    TABLES[table](place.url)
    place.execute(f"CREATE TABLE copied AS SELECT * FROM {table}")
    place.execute(f"DROP TABLE {table}")
    place.execute(f"ALTER TABLE copied RENAME TO {table}")
    if place.kind == "postgresql":
        place.execute(f"ALTER TABLE {table} OWNER TO sw")

    with pytest.raises(ConfigError, match=rf"{table}.*no unique key.*python -m sessionware ddl"):
        TABLES[table](place.url)


def test_a_table_whose_key_is_not_unique_is_refused(place: Place) -> None:
    """Though it has our mark, all the columns, and an index by which rows are found."""
    statements = [re.sub(r"\bUNIQUE\b", "", each) for each in SQLUsers.ddl(place.kind)]
    key = "`key`" if place.kind == "mariadb" else "key"
    for statement in [*statements, f"CREATE INDEX accounts ON sessionware_users ({key})"]:
        place.execute(statement)

    with pytest.raises(ConfigError, match=r"no unique key \(key\)"):
        SQLUsers(place.url)


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_a_table_that_was_made_in_part_is_refused(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Of the statements of `ddl`, somebody ran the first. Without the others, each `prune` reads all there is."""
    with new_place(kind, request, tmp_path) as place:
        place.execute(SQLStore.ddl(kind)[0])

        with pytest.raises(ConfigError, match=r"no index.*python -m sessionware ddl"):
            SQLStore(place.url)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_of_an_engine_without_transactions_is_refused(mariadb: servers.MariaDB, table: str) -> None:
    """MyISAM does not survive a crash, and locks the whole table."""
    name, of = mariadb.new_database(), TABLES[table]
    for statement in of.ddl("mariadb"):
        mariadb.execute(statement.replace("InnoDB", "MyISAM"), name)

    with pytest.raises(ConfigError, match="MyISAM and not InnoDB"):
        of(mariadb.url(name))


def test_a_table_is_known_whatever_else_the_operator_has_added(place: Place) -> None:
    """An index of theirs, or ours by another name."""
    place.store().close()
    place.execute("DROP INDEX sessionware_sessions_owner" + " ON sessionware_sessions" * (place.kind == "mariadb"))
    place.execute("CREATE INDEX mine ON sessionware_sessions (owner, expires_at)")

    assert place.store().scan() == []


@pytest.mark.parametrize("kind", [servers.Postgres, servers.MariaDB])
def test_a_server_that_is_down_at_the_start_is_found_later(kind: type[servers.Postgres | servers.MariaDB]) -> None:
    """Until then each use is an outage. Then the table is made."""
    with kind() as server:
        url = server.url(server.new_database())
        server.kill()
        with opened(url) as store:
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                store.load(RECORD.id, NOW)
            server.start()

            assert store.create(RECORD)
            assert store.scan() == [RECORD]
