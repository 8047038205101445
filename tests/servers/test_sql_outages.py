"""What SQLStore says and does when its server fails, refuses or is slow. Real servers, in each of these states."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy

from sessionware import ConfigError, SQLStore, StoreUnavailable
from sessionware.testing.races import race
from tests.servers.matrix import IS_WHOLE
from tests.servers.sql_sites import CALLS, DRIVERS, NOW, RECORD, Site, opened, site_of
from tests.support import database_servers as servers


@pytest.fixture(params=DRIVERS)
def site(request: pytest.FixtureRequest) -> Site:
    return site_of(request.param, request)


@contextmanager
def a_transaction(site: Site) -> Iterator[Callable[[str], object]]:
    """A transaction of somebody else, which is rolled back in the end."""
    connection = sqlalchemy.create_engine(site.url).connect()
    try:
        yield lambda sql: connection.exec_driver_sql(sql)
    finally:
        connection.rollback()
        connection.close()
        connection.engine.dispose()


LOCK = "UPDATE sessionware_sessions SET version = version"


def test_connections_that_the_server_has_closed_cost_nothing(site: Site) -> None:
    """Each is looked at before it is used. No call fails, though nothing is sent twice."""
    with opened(site.url) as store:
        store.create(RECORD)
        race(lambda _: store.scan(), range(6))
        site.end_connections()

        assert race(lambda _: store.load(RECORD.id, NOW), range(6)) == [RECORD] * 6


@pytest.mark.parametrize("has_engine", [False, True] if IS_WHOLE else [False])
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_server_that_does_not_answer_is_an_outage(
    driver: str, has_engine: bool, request: pytest.FixtureRequest
) -> None:
    """Within the timeout, on a connection that is open, and on one that has yet to be made. It works again later."""
    kind = servers.Postgres if driver == "psycopg" else servers.MariaDB
    with kind() as server:
        site = Site(server, server.new_database(), driver)
        with opened(site.engine() if has_engine else site.url, timeout=1) as store:
            store.create(RECORD)
            server.pause()
            try:
                for _ in range(2):
                    with pytest.raises(StoreUnavailable, match=r"cannot be reached|did not answer in time"):
                        store.load(RECORD.id, NOW)
            finally:
                server.resume()

            assert store.load(RECORD.id, NOW) == RECORD


def connection_of(store: SQLStore) -> object:
    """What the server calls the connection that the next call uses."""
    is_postgres = store._database.dialect == "postgresql"
    return store._database.rows(f"SELECT {'pg_backend_pid()' if is_postgres else 'connection_id()'}")[0][0]


def open_several(store: SQLStore) -> set[object]:
    barrier = threading.Barrier(4, timeout=30)
    pool = store._database._pool

    def hold(_: int) -> None:
        connection = pool.connect()
        barrier.wait()
        connection.close()

    race(hold, range(4))
    return set(race(lambda _: connection_of(store), range(4)))


@pytest.mark.parametrize("driver", DRIVERS)
def test_one_connection_without_an_answer_takes_the_others_with_it(driver: str, request: pytest.FixtureRequest) -> None:
    """They go the same way. Each would cost somebody the timeout, where a firewall has forgotten them all."""
    kind = servers.Postgres if driver == "psycopg" else servers.MariaDB
    with kind() as server:
        site = Site(server, server.new_database(), driver)
        with opened(site.url, timeout=1) as store:
            before = open_several(store)
            server.pause()
            try:
                with pytest.raises(StoreUnavailable):
                    store.load(RECORD.id, NOW)
            finally:
                server.resume()

            assert not before & open_several(store)


def test_the_connection_that_was_used_last_is_used_first(site: Site) -> None:
    """So the others are idle, and end, where a night's traffic needs one."""
    with opened(site.url) as store:
        open_several(store)

        assert len({connection_of(store) for _ in range(8)}) == 1


def test_a_server_says_what_it_is(site: Site) -> None:
    """For `sessionware check`."""
    with opened(site.url) as store:
        name = "PostgreSQL" if site.driver == "psycopg" else "MariaDB"

        assert re.fullmatch(rf"{name} [0-9]+\.[0-9.]+", store.server_version)


def test_a_server_that_was_killed_works_again_when_it_is_back() -> None:
    """With what was stored before. Meanwhile, each call is an outage."""
    with servers.Postgres(fsync="on") as server, opened(server.url(server.new_database())) as store:
        store.create(RECORD)
        server.kill()
        for call in CALLS.values():
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                call(store)
        server.start()

        assert store.load(RECORD.id, NOW) == RECORD


def test_a_touch_does_not_wait_for_another_writer(site: Site) -> None:
    """It says so. A page that only reads would wait as well."""
    with opened(site.url, timeout=20) as store, a_transaction(site) as execute:
        store.create(RECORD)
        execute(LOCK)

        with pytest.raises(StoreUnavailable, match="another transaction holds"):
            store.touch(RECORD.id, 1, NOW + 7200)
        assert store.load(RECORD.id, NOW) == RECORD


def test_a_change_waits_for_another_writer_and_then_says_that_nothing_was_done(site: Site) -> None:
    """It hears so from the server, which does not do it later either."""
    with opened(site.url, timeout=2) as store:
        store.create(RECORD)
        with a_transaction(site) as execute:
            execute(LOCK)
            with pytest.raises(StoreUnavailable, match="another transaction holds"):
                store.replace(RECORD._replace(version=2))

        assert store.load(RECORD.id, NOW) == RECORD


def test_more_threads_than_connections_take_turns(site: Site) -> None:
    """A call takes a connection for a moment only."""
    with opened(site.url, pool_size=2, timeout=20) as store:
        store.create(RECORD)

        assert race(lambda _: store.load(RECORD.id, NOW), range(16)) == [RECORD] * 16


def test_a_pool_whose_connections_are_all_in_use_is_an_outage(site: Site) -> None:
    """The error names the setting."""
    with opened(site.url, pool_size=1, timeout=1) as store:
        lent = store._database._pool.connect()
        try:
            with pytest.raises(StoreUnavailable, match="pool_size"):
                store.delete(RECORD.id)
        finally:
            lent.close()

        assert store.create(RECORD)


def test_a_wrong_password_is_refused_at_the_start_and_not_shown(site: Site) -> None:
    """The setting is wrong, and stays so."""
    url = site.url.replace(servers.PASSWORD, "opensesame")

    with pytest.raises(ConfigError, match="refuses the user or the password") as caught:
        SQLStore(url)
    assert "opensesame" not in str(caught.value)


def test_a_database_that_is_not_there_is_refused_at_the_start(site: Site) -> None:
    """The error says where its name goes."""
    missing = site._replace(database="no_such_database")

    with pytest.raises(ConfigError, match=r"end the URL with /name|no such database"):
        SQLStore(missing.url)


def test_a_password_that_was_changed_is_an_outage(site: Site) -> None:
    """While the site runs, somebody may put it right."""
    if site.driver == "psycopg":
        site.execute("CREATE ROLE rotated LOGIN SUPERUSER PASSWORD 'old'")
        change, back = "ALTER ROLE rotated PASSWORD 'new'", "DROP ROLE rotated"
    else:
        site.execute("CREATE USER rotated IDENTIFIED BY 'old'")
        site.execute("GRANT ALL ON *.* TO rotated")
        change, back = "SET PASSWORD FOR rotated = PASSWORD('new')", "DROP USER rotated"
    try:
        with opened(site.url.replace("sw:sesame", "rotated:old")) as store:
            store.create(RECORD)
            site.execute(change)
            site.end_connections()

            with pytest.raises(StoreUnavailable, match="refuses the user or the password"):
                store.load(RECORD.id, NOW)
    finally:
        site.execute(f"DROP DATABASE {site.database}" if site.driver != "psycopg" else "DROP OWNED BY rotated")
        site.server.execute(back)


def test_a_server_that_only_lets_us_read_is_an_outage_that_names_replicas(site: Site) -> None:
    """And the connection is given up, because after a failover the same address leads to another server."""
    with opened(site.url) as store:
        store.create(RECORD)
        if site.driver == "psycopg":
            site.execute(f"ALTER DATABASE {site.database} SET default_transaction_read_only = on")
            site.end_connections()
        else:
            site.execute("SET GLOBAL read_only = 1")
        try:
            with pytest.raises(StoreUnavailable, match="replica"):
                store.replace(RECORD._replace(version=2))
            assert store.load(RECORD.id, NOW) == RECORD
        finally:
            if site.driver == "psycopg":
                site.server.execute(f"ALTER DATABASE {site.database} SET default_transaction_read_only = off")
            else:
                site.execute("SET GLOBAL read_only = 0")
            site.end_connections()

        assert store.replace(RECORD._replace(version=2))


def test_a_table_that_is_gone_is_an_outage_that_names_ddl(site: Site) -> None:
    """Nobody makes it anew in a request: it may be about to come back."""
    with opened(site.url) as store:
        store.create(RECORD)
        site.execute("DROP TABLE sessionware_sessions")

        with pytest.raises(StoreUnavailable, match="python -m sessionware ddl"):
            store.load(RECORD.id, NOW)


def test_rights_that_were_taken_away_are_an_outage_that_names_them(site: Site) -> None:
    """The error says what to grant."""
    with opened(site.url) as store:
        store.create(RECORD)
        if site.driver == "psycopg":
            site.execute("ALTER TABLE sessionware_sessions OWNER TO postgres")
        else:
            site.execute(f"REVOKE ALL ON {site.database}.* FROM 'sw'@'%'")
            site.end_connections()

        with pytest.raises(StoreUnavailable, match="GRANT SELECT"):
            store.load(RECORD.id, NOW)


def test_a_server_without_connections_left_is_an_outage_that_names_pool_size(site: Site) -> None:
    """Each process of each site takes as many."""
    with opened(site.url) as store:
        store.create(RECORD)
        if site.driver == "psycopg":
            site.execute(f"ALTER DATABASE {site.database} CONNECTION LIMIT 0")
        else:
            site.execute("GRANT USAGE ON *.* TO 'sw'@'%' WITH MAX_USER_CONNECTIONS 1")
        site.end_connections()
        try:
            if site.driver != "psycopg":
                lent = store._database._pool.connect()
            with pytest.raises(StoreUnavailable, match="pool_size"):
                store.load(RECORD.id, NOW)
        finally:
            if site.driver != "psycopg":
                lent.close()
                site.execute("GRANT USAGE ON *.* TO 'sw'@'%' WITH MAX_USER_CONNECTIONS 0")


def test_a_statement_that_the_server_gives_up_is_an_outage(site: Site) -> None:
    """By a limit that the operator has set for all."""
    with opened(site.url, timeout=20) as store:
        store.create(RECORD)
        if site.driver == "psycopg":
            site.execute(f"ALTER DATABASE {site.database} SET statement_timeout = 100")
        else:
            site.execute("SET GLOBAL max_statement_time = 0.1")
        site.end_connections()
        try:
            with a_transaction(site) as execute:
                execute(LOCK)
                with pytest.raises(StoreUnavailable, match="took longer than the server allows"):
                    store.delete(RECORD.id)
        finally:
            if site.driver != "psycopg":
                site.execute("SET GLOBAL max_statement_time = 0")


def test_a_pooler_in_transaction_mode_that_was_not_reckoned_with_is_named(
    postgres: servers.Postgres, pgbouncer: servers.PgBouncer
) -> None:
    """Told to prepare its statements all the same, a store runs into those of others. The error says what to change."""
    url = pgbouncer.url(postgres.new_database()) + "?prepare_threshold=0"
    with opened(url) as store, opened(url) as other:

        def use(number: int) -> Exception | None:
            try:
                for _ in range(20):
                    (store if number % 2 else other).load(RECORD.id, NOW)
                    (store if number % 2 else other).delete(RECORD.id)
            except StoreUnavailable as error:
                return error
            return None

        errors = [str(error) for error in race(use, range(8)) if error is not None]

    assert errors
    assert all("PgBouncer" in error and "?prepare_threshold=none" in error for error in errors), errors


def test_a_pooler_in_transaction_mode_needs_no_setting(
    postgres: servers.Postgres, pgbouncer: servers.PgBouncer
) -> None:
    """The store sees that it does not talk to the server itself, and prepares nothing."""
    with opened(pgbouncer.url(postgres.new_database())) as store:
        store.create(RECORD)

        def use(_: int) -> bool:
            return all(store.load(RECORD.id, NOW) == RECORD for _ in range(30))

        assert all(race(use, range(8)))


def test_a_pooler_gets_no_settings_for_its_other_clients(
    postgres: servers.Postgres, pgbouncer: servers.PgBouncer
) -> None:
    """What a store sets for itself on a direct connection would stay on one that is shared."""
    name = postgres.new_database()
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    with opened(pgbouncer.url(name)) as store:
        race(lambda _: store.scan(), range(8))

        url = pgbouncer.url(name).replace("+psycopg", "")
        with psycopg.connect(url, prepare_threshold=None, autocommit=True) as other:
            for setting, value in [("default_transaction_isolation", "serializable"), ("lock_timeout", "0")]:
                assert other.execute(f"SHOW {setting}").fetchall() == [(value,)]
