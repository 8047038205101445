"""SQLStore keeps every promise of a store: on each server, by each driver, at each isolation level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import sqlalchemy

from sessionware import SQLStore, Store
from sessionware.testing import ServerStoreContract, StoreContract
from tests.servers.matrix import in_whole_matrix
from tests.support import database_servers as servers

DROP = "DROP TABLE IF EXISTS sessionware_sessions"


@pytest.fixture(scope="class")
def postgres_database(request: pytest.FixtureRequest, postgres: servers.Postgres) -> str:
    name = postgres.new_database()
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = '{request.cls.level}'")
    return name


@pytest.fixture(scope="class")
def mariadb_database(mariadb: servers.MariaDB) -> str:
    return mariadb.new_database()


class OnAServer(ServerStoreContract):
    """The tests of a class share a database, and each begins without a table. The stores are closed after it."""

    driver: str

    @pytest.fixture(autouse=True)
    def stores(self) -> Iterator[None]:
        self._stores: list[SQLStore] = []
        yield
        for store in self._stores:
            store.close()

    def use(self, address: tuple[str, int], url: str) -> None:
        self.address = address
        self._base = sqlalchemy.make_url(url)

    def url(self, host: str, port: int) -> sqlalchemy.URL:
        return self._base.set(host=host, port=port)

    def make_store_at(self, host: str, port: int) -> Store:
        store = self.open_store(self.url(host, port))
        self._stores.append(store)
        return store

    def open_store(self, url: sqlalchemy.URL) -> SQLStore:
        return SQLStore(url.render_as_string(hide_password=False))


class OnPostgres(OnAServer):
    level = "read committed"
    """What the database has been told to be its default."""

    @pytest.fixture(autouse=True)
    def server(self, postgres: servers.Postgres, postgres_database: str) -> None:
        postgres.execute(DROP, postgres_database)
        self.use(postgres.address, postgres.url(postgres_database))


class OnMariaDB(OnAServer):
    driver = "pymysql"

    @pytest.fixture(autouse=True)
    def server(self, mariadb: servers.MariaDB, mariadb_database: str) -> None:
        mariadb.execute(DROP, mariadb_database)
        self.use(mariadb.address, mariadb.url(mariadb_database, self.driver))


class WithAnEngine(OnAServer):
    """With an application's engine in the place of a URL."""

    @pytest.fixture(autouse=True)
    def engines(self) -> Iterator[None]:
        self._engines: list[sqlalchemy.Engine] = []
        yield
        for engine in self._engines:
            engine.dispose()

    def open_store(self, url: sqlalchemy.URL) -> SQLStore:
        self._engines.append(sqlalchemy.create_engine(url))
        return SQLStore(self._engines[-1])


class ThroughPgBouncer(OnPostgres):
    """In transaction mode, where each statement may meet another session of the server."""

    query: Mapping[str, str] = {}

    @pytest.fixture(autouse=True)
    def server(self, postgres: servers.Postgres, postgres_database: str, pgbouncer: servers.PgBouncer) -> None:
        postgres.execute(DROP, postgres_database)
        self.use(pgbouncer.address, pgbouncer.url(postgres_database))

    def url(self, host: str, port: int) -> sqlalchemy.URL:
        return super().url(host, port).update_query_dict(self.query)


class TestPsycopg(OnPostgres):
    pass


class TestPyMySQL(OnMariaDB):
    pass


@in_whole_matrix
class TestMysqlclient(OnMariaDB):
    driver = "mysqldb"


@in_whole_matrix
class TestPsycopgEngine(WithAnEngine, OnPostgres):
    pass


@in_whole_matrix
class TestPyMySQLEngine(WithAnEngine, OnMariaDB):
    pass


@in_whole_matrix
class TestMysqlclientEngine(WithAnEngine, OnMariaDB):
    driver = "mysqldb"


@in_whole_matrix
class TestRepeatableRead(OnPostgres):
    level = "repeatable read"


@in_whole_matrix
class TestSerializable(OnPostgres):
    level = "serializable"


@in_whole_matrix
class TestPgBouncer(ThroughPgBouncer):
    query: Mapping[str, str] = {"prepare_threshold": "none"}


@in_whole_matrix
class TestPgBouncerUntold(ThroughPgBouncer):
    """Nobody has said that there is one."""


@in_whole_matrix
class TestPgBouncerRepeatableRead(ThroughPgBouncer):
    level = "repeatable read"


@in_whole_matrix
class TestPgBouncerSerializable(ThroughPgBouncer):
    level = "serializable"


class TestSQLite(StoreContract):
    """It does not wait for the disk, which takes nearly all the time. What a power cut leaves is SQLite's business."""

    @pytest.fixture(autouse=True)
    def stores(self, tmp_path: Path) -> Iterator[None]:
        engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/sessions.db")
        sqlalchemy.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
        self._store = SQLStore(engine, timeout=20)  # one writes at a time
        yield
        self._store.close()
        engine.dispose()

    def make_store(self) -> Store:
        return self._store
