"""What a call of SQLStore costs the server, by the server's own counters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pymysql
import pytest

from tests.servers.sql_sites import CALLS, DRIVERS, Site, opened, site_of
from tests.support import database_servers as servers


@pytest.fixture(params=DRIVERS)
def site(request: pytest.FixtureRequest) -> Site:
    return site_of(request.param, request)


@contextmanager
def counter(site: Site) -> Iterator[Callable[[], int]]:
    """Says how many statements the server has run so far; on MariaDB, with this one. It keeps one connection."""
    if site.driver == "psycopg":
        site.execute("CREATE EXTENSION pg_stat_statements")
        sql = (
            "SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements JOIN pg_roles ON pg_roles.oid = userid "
            f"WHERE rolname = 'sw' AND dbid = (SELECT oid FROM pg_database WHERE datname = '{site.database}')"
        )
        yield lambda: int(str(site.execute(sql)[0][0]))
        return
    given: dict[str, Any] = {"host": site.server.host, "port": site.server.port, "user": servers.ROLE}
    with closing(pymysql.connect(password=servers.PASSWORD, **given)) as connection, connection.cursor() as cursor:

        def count() -> int:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
            return int(cursor.fetchall()[0][1])

        yield count


@pytest.mark.parametrize("has_engine", [False, True])
def test_a_call_is_one_statement(site: Site, has_engine: bool) -> None:
    """Through a URL of our own and through an application's engine: no BEGIN, COMMIT, ROLLBACK, SET or ping."""
    with counter(site) as statements, opened(site.engine() if has_engine else site.url) as store:
        store.scan()
        idle = statements()
        idle = statements() - idle  # what counting costs
        for name, call in CALLS.items():
            before = statements()
            call(store)

            assert statements() - before - idle == 1, name
