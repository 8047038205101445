"""What SQLStore and SQLUsers do about rare errors of real servers: try again, give the connection up, quote nothing."""

from __future__ import annotations

import importlib
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pymysql
import pytest
import sqlalchemy

from sessionware import ConfigError, SQLStore, StoreUnavailable
from sessionware.auth import SQLUsers
from tests.auth.test_hidden_passwords import shown
from tests.servers.matrix import in_whole_matrix
from tests.servers.sql_sites import DRIVERS, NOW, RECORD, Site, opened, site_of
from tests.support import database_servers as servers


@pytest.fixture(params=DRIVERS)
def site(request: pytest.FixtureRequest) -> Site:
    return site_of(request.param, request)


# What the server rolled back is sent again.

#: Each statement that changes a row is rolled back by the server, until it has come so many times.
ROLLS_BACK = {
    "postgresql": [
        "CREATE SEQUENCE times",
        """
        CREATE FUNCTION roll_back() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('times') < {times} THEN
                RAISE EXCEPTION 'planted' USING ERRCODE = '{code}';
            END IF;
            RETURN coalesce(NEW, OLD);
        END $$
        """,
        "CREATE TRIGGER busy BEFORE {what} ON sessionware_sessions FOR EACH ROW EXECUTE FUNCTION roll_back()",
        "GRANT ALL ON SEQUENCE times TO PUBLIC",
    ],
    "mysql": [
        "CREATE SEQUENCE times",
        """
        CREATE TRIGGER busy BEFORE {what} ON sessionware_sessions FOR EACH ROW
            IF nextval(times) < {times} THEN
                SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'planted';
            END IF
        """,
    ],
}

WRITES: list[tuple[str, Any, Any]] = [
    ("INSERT", lambda store: store.create(RECORD._replace(id=b"f" * 16)), True),
    ("UPDATE", lambda store: store.replace(RECORD._replace(version=2)), True),
    ("DELETE", lambda store: store.delete(RECORD.id), True),
]


def roll_back(site: Site, what: str, times: int, code: str | int | None = None) -> None:
    kind = "postgresql" if site.driver == "psycopg" else "mysql"
    for statement in ROLLS_BACK[kind]:
        site.execute(statement.format(what=what, times=times, code=code or ("40001" if kind == "postgresql" else 1213)))


def times(site: Site) -> int:
    """How many times the statement came."""
    column = "last_value" if site.driver == "psycopg" else "next_not_cached_value"
    return int(str(site.execute(f"SELECT {column} FROM times")[0][0]))


@pytest.mark.parametrize(("what", "write", "answer"), WRITES)
def test_a_write_that_the_server_rolled_back_is_sent_again(site: Site, what: str, write: Any, answer: object) -> None:
    """A serialization failure or a deadlock did nothing. Its answer is never False."""
    with opened(site.url) as store:
        store.create(RECORD)
        roll_back(site, what, times=4)

        assert write(store) is answer


def test_a_server_that_always_rolls_back_is_an_outage(site: Site) -> None:
    """After a handful of times. A page has to end."""
    with opened(site.url) as store:
        store.create(RECORD)
        roll_back(site, "UPDATE", times=999)

        with pytest.raises(StoreUnavailable, match="again and again"):
            store.replace(RECORD._replace(version=2))
        if site.driver == "psycopg":
            assert 5 <= times(site) <= 20
        assert store.load(RECORD.id, NOW) == RECORD


@pytest.mark.parametrize("driver", ["psycopg"])
def test_of_a_deadlock_the_store_is_the_one_that_tries_again(driver: str, request: pytest.FixtureRequest) -> None:
    """As the server says: whoever was chosen as the victim did nothing."""
    site = site_of(driver, request)
    with opened(site.url) as store:
        store.create(RECORD)
        roll_back(site, "UPDATE", times=3, code="40P01")

        assert store.replace(RECORD._replace(version=2))


# What the server rarely says.


def test_a_server_that_is_full_of_connections_says_so(mariadb: servers.MariaDB) -> None:
    """Error 1040, which is for all users together."""
    name = mariadb.new_database()
    with opened(mariadb.url(name)) as store:
        store.create(RECORD)
        mariadb.end_connections(name)
        mariadb.execute("SET GLOBAL max_connections = 10")
        connect = partial(pymysql.connect, host=mariadb.host, port=mariadb.port, user="sw", password="sesame")
        others: list[Any] = []
        try:
            with suppress(pymysql.err.OperationalError):
                while True:
                    others.append(connect())
            with pytest.raises(StoreUnavailable, match="pool_size"):
                store.load(RECORD.id, NOW)
        finally:
            for other in others:
                other.close()
            mariadb.execute("SET GLOBAL max_connections = 200")


@pytest.mark.parametrize("driver", [each for each in DRIVERS if each != "psycopg"])
def test_a_packet_that_is_too_large_names_the_setting_or_the_connection(
    driver: str, request: pytest.FixtureRequest
) -> None:
    """The server answers so, or not at all: it cuts the connection while the packet is still coming."""
    site = site_of(driver, request)
    site.execute("SET GLOBAL max_allowed_packet = 16384")
    try:
        with opened(site.url, timeout=20) as store:
            with pytest.raises(StoreUnavailable, match=r"max_allowed_packet|ended the connection"):
                store.create(RECORD._replace(payload=b"x" * 300_000))

            assert store.create(RECORD)
    finally:
        site.execute("SET GLOBAL max_allowed_packet = 16777216")


def fill(store: SQLStore) -> None:
    for number in range(100):
        store.create(RECORD._replace(id=b"%016d" % number, payload=b"x" * 250_000))


@in_whole_matrix
class TestADisk:
    @pytest.mark.parametrize("driver", ["pymysql", "mysqldb"])
    def test_without_space_is_named(self, driver: str) -> None:
        """Nothing is stored, and what is there can be read."""
        limits = ["--innodb-data-file-path=ibdata1:12M:autoextend:max:14M", "--innodb-file-per-table=0"]
        with servers.MariaDB(*limits) as server, opened(server.url(server.new_database(), driver)) as store:
            store.create(RECORD)

            with pytest.raises(StoreUnavailable, match="no space left"):
                fill(store)
            assert store.load(RECORD.id, NOW) == RECORD


def test_a_disk_without_space_is_named_by_sqlite(tmp_path: Path) -> None:
    """As for a server. The number of pages stands for the size of the disk."""
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/app.db")
    sqlalchemy.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 40"))
    with opened(engine) as store:
        store.create(RECORD)

        with pytest.raises(StoreUnavailable, match="no space left"):
            store.create(RECORD._replace(id=b"f" * 16, payload=b"x" * 250_000))
        assert store.load(RECORD.id, NOW) == RECORD
    engine.dispose()


def test_a_table_that_was_altered_is_an_outage_for_one_call(postgres: servers.Postgres) -> None:
    """PostgreSQL refuses what was prepared for the columns as they were. A new connection prepares it anew."""
    name = postgres.new_database()
    with opened(postgres.url(name)) as store:
        store.create(RECORD)
        for _ in range(10):
            store.load(RECORD.id, NOW)
        postgres.execute("ALTER TABLE sessionware_sessions ALTER COLUMN version TYPE integer", name)

        with pytest.raises(StoreUnavailable, match="0A000"):
            store.load(RECORD.id, NOW)
        assert store.load(RECORD.id, NOW) == RECORD


def test_a_pooler_whose_server_is_away_says_so() -> None:
    """PgBouncer has a code for it that else means a wrong setting of the URL's."""
    with (
        servers.Postgres() as server,
        servers.PgBouncer(server) as pooler,
        opened(pooler.url(server.new_database())) as store,
    ):
        store.create(RECORD)
        server.kill()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match=r"cannot be reached|ended the connection"):
                store.load(RECORD.id, NOW)


def test_a_limit_of_rows_that_the_server_sets_hides_no_session(mariadb: servers.MariaDB) -> None:
    """Whoever ends all sessions of a user would leave some of them."""
    mariadb.execute("SET GLOBAL sql_select_limit = 2")
    try:
        with opened(mariadb.url(mariadb.new_database())) as store:
            for number in range(5):
                store.create(RECORD._replace(id=b"%016d" % number))

            assert RECORD.owner is not None
            assert len(store.owned_by(RECORD.owner, NOW)) == 5
    finally:
        mariadb.execute("SET GLOBAL sql_select_limit = DEFAULT")


# What is stored is not quoted.


def test_a_text_of_sqlite_that_is_not_text_is_not_quoted(tmp_path: Path) -> None:
    """It says which column it could not decode, with all that is in it."""
    users = SQLUsers(f"sqlite+pysqlite:///{tmp_path}/app.db")
    ada = users.add("ada", "Ada", "$argon2id$planted", {})
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection, connection:
        connection.execute("UPDATE sessionware_users SET password_hash = CAST(X'246172676f6e32696424ff' AS TEXT)")

    for call in (partial(users.get, ada.id), partial(users.find_by_key, "ada")):
        with pytest.raises(StoreUnavailable, match="OperationalError") as failed:
            call()
        assert [line for line in shown(failed.value) if "$argon2id$" in line] == []
    users.close()


@pytest.mark.parametrize(
    "damage", ["version = 'planted'", "expires_at = 4e9 + 0.5", "owner = 7", "payload = 'planted'"]
)
def test_a_damaged_row_is_an_outage_and_not_quoted(tmp_path: Path, damage: str) -> None:
    """SQLite keeps a value of any type in any column."""
    with opened(f"sqlite+pysqlite:///{tmp_path}/app.db") as store:
        store.create(RECORD)
        with closing(sqlite3.connect(tmp_path / "app.db")) as connection, connection:
            connection.execute(f"UPDATE sessionware_sessions SET {damage}")

        with pytest.raises(StoreUnavailable, match="damaged") as failed:
            store.load(RECORD.id, NOW)
        assert "planted" not in str(failed.value)


# Passwords and creators.


@pytest.mark.parametrize("driver", [each for each in DRIVERS if each != "psycopg"])
@pytest.mark.parametrize("password", ["gehäim", "geheim€wort", "日本 %:/@"])
@pytest.mark.parametrize("has_engine", [False, True])
def test_a_password_may_have_letters_of_any_alphabet(
    driver: str, password: str, has_engine: bool, request: pytest.FixtureRequest
) -> None:
    """Servers have it in UTF-8."""
    site = site_of(driver, request)
    site.execute(f"CREATE OR REPLACE USER odd IDENTIFIED BY '{password}'")
    site.execute(f"GRANT ALL ON {site.database}.* TO odd")
    url = site.url.replace("sw:sesame", f"odd:{quote(password, safe='')}")
    engine = sqlalchemy.create_engine(url)
    with opened(engine if has_engine else url) as store:
        assert store.create(RECORD)
    engine.dispose()


def connector(site: Site) -> Any:
    """What an application may give its engine as `creator`."""
    given: dict[str, Any] = {"host": site.server.host, "port": site.server.port, "user": "sw", "password": "sesame"}
    module: Any = importlib.import_module({"mysqldb": "MySQLdb"}.get(site.driver, site.driver))
    name = "dbname" if site.driver == "psycopg" else "database"
    return lambda: module.connect(**given, **{name: site.database})


@pytest.fixture
def one_connection(site: Site) -> Iterator[Any]:
    connection = connector(site)()
    yield connection
    connection.close()


def test_a_creator_that_lends_what_the_application_uses_is_refused(site: Site, one_connection: Any) -> None:
    """On a connection of ours, the application's own transactions would commit each statement."""
    scheme = site.url.partition(":")[0]
    engine = sqlalchemy.create_engine(f"{scheme}://", creator=lambda: one_connection)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE notes (text integer)")
        connection.commit()
        connection.exec_driver_sql("INSERT INTO notes VALUES (1)")
        with pytest.raises(ConfigError, match="opens a new one each time"):
            SQLStore(engine)
        connection.rollback()

        assert connection.exec_driver_sql("SELECT * FROM notes").fetchall() == []


class Pooled(psycopg.Connection[Any]):
    """One of psycopg_pool's: it gives itself back when it is closed."""

    _pool = "a pool"


def test_a_creator_that_asks_a_pool_is_refused(postgres: servers.Postgres) -> None:
    """psycopg_pool marks the connections that it lends."""
    url = postgres.url(postgres.new_database())
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: Pooled.connect(url.replace("+psycopg", ""))
    )
    with pytest.raises(ConfigError, match="opens a new one each time"):
        SQLStore(engine)


@in_whole_matrix
class TestMysqlclient:
    def test_a_creator_is_told_of_timeouts_once(
        self, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A connection of mysqlclient that is there cannot be given one."""
        site = site_of("mysqldb", request)
        engine = sqlalchemy.create_engine("mysql+mysqldb://", creator=connector(site))
        with caplog.at_level(logging.WARNING, logger="sessionware"), opened(engine) as store:
            store.create(RECORD)
            store.close()
            store.load(RECORD.id, NOW)
        engine.dispose()

        assert [record.getMessage().count("read_timeout") for record in caplog.records] == [1]
