"""SQLStore beside an application's own engine: it connects as that one does, and changes nothing about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pymysql
import pytest
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.pool import NullPool

from sessionware import SQLStore, StoreUnavailable
from tests.servers.sql_sites import DRIVERS, NOW, RECORD, Site, opened, site_of
from tests.support import database_servers as servers
from tests.support.database_servers import wait_for


@pytest.fixture(params=DRIVERS)
def site(request: pytest.FixtureRequest) -> Site:
    return site_of(request.param, request)


@pytest.fixture
def engine(site: Site) -> Iterator[sqlalchemy.Engine]:
    engine = site.engine()
    yield engine
    engine.dispose()


def test_an_engine_connects_for_the_store_as_for_itself(site: Site, engine: sqlalchemy.Engine) -> None:
    """With the listeners of the application, such as those that fetch a password that changes by the hour."""
    engine = sqlalchemy.create_engine(site.url.replace(servers.PASSWORD, "changed"))
    seen: list[Any] = []

    @event.listens_for(engine, "do_connect")
    def fetch(_dialect: Any, _record: Any, _arguments: Any, keywords: dict[str, Any]) -> None:
        keywords[next(name for name in ("password", "passwd") if name in keywords)] = servers.PASSWORD

    event.listen(engine, "connect", lambda connection, _record: seen.append(connection))
    with opened(engine) as store:
        assert store.create(RECORD)
        assert store.load(RECORD.id, NOW) == RECORD
        assert seen
    engine.dispose()


def test_what_the_application_does_goes_on_in_transactions(site: Site, engine: sqlalchemy.Engine) -> None:
    """The store commits each statement. The application's connections still commit when they are told to."""
    with opened(engine) as store:
        store.create(RECORD)
        with engine.connect() as connection:
            connection.exec_driver_sql("DELETE FROM sessionware_sessions")
            connection.rollback()

        assert store.load(RECORD.id, NOW) == RECORD


def test_an_application_connects_with_its_own_timeouts(site: Site, engine: sqlalchemy.Engine) -> None:
    """A report may take longer than a session's page may wait."""
    sql = "SELECT pg_sleep(1.5)" if site.driver == "psycopg" else "SELECT sleep(1.5)"
    with opened(engine, timeout=1) as store, engine.connect() as connection:
        store.create(RECORD)

        assert connection.exec_driver_sql(sql).fetchall()


def test_an_engine_without_a_pool_gives_one_connection_for_each_call(site: Site) -> None:
    """It is what the application asked for."""
    engine = sqlalchemy.create_engine(site.url, poolclass=NullPool)
    with opened(engine) as store:
        store.create(RECORD)
        assert store.load(RECORD.id, NOW) == RECORD
        wait_for(lambda: site.connections() == 0, lambda: "a connection stays open")
    engine.dispose()


def test_engine_is_listened_to_once(engine: sqlalchemy.Engine) -> None:
    """However many stores are made of it, as by the tests of an application."""
    stores = [SQLStore(engine) for _ in range(3)]

    assert len(list(engine.dialect.dispatch.do_connect)) == 1
    for store in stores:
        store.close()


@pytest.mark.parametrize("driver", ["psycopg", "pymysql"])
def test_an_engine_with_a_creator_of_its_own_has_the_timeout_too(driver: str) -> None:
    """Once it is connected. How long connecting takes is up to what it calls."""
    kind: type[servers.Postgres | servers.MariaDB] = servers.Postgres if driver == "psycopg" else servers.MariaDB
    with kind() as server:
        name = server.new_database()
        given: dict[str, Any] = {"host": server.host, "port": server.port, "user": "sw", "password": servers.PASSWORD}

        def connect() -> Any:
            if driver == "psycopg":
                return psycopg.connect(dbname=name, connect_timeout=2, **given)
            return pymysql.connect(database=name, connect_timeout=1, read_timeout=2, **given)

        engine = sqlalchemy.create_engine(f"{server.url(name, driver).split('://', maxsplit=1)[0]}://", creator=connect)
        with opened(engine, timeout=1) as store:
            store.create(RECORD)
            server.pause()
            try:
                with pytest.raises(StoreUnavailable):
                    store.load(RECORD.id, NOW)
            finally:
                server.resume()
            assert store.load(RECORD.id, NOW) == RECORD
        engine.dispose()


def test_a_closed_store_opens_again(site: Site, engine: sqlalchemy.Engine) -> None:
    """As often as one likes, with as many connections as before."""
    store = SQLStore(site.url, pool_size=1, timeout=1)
    for _ in range(5):
        store.create(RECORD)
        assert store.load(RECORD.id, NOW) == RECORD
        store.close()
