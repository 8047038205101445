"""The servers that other tests run on: they answer, keep what was stored when they are killed, and leave nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg
import pymysql
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support import database_servers as servers


def postgres_keeps() -> servers.Server:
    server = servers.Postgres()
    server.execute("CREATE TABLE kept AS SELECT 7 AS seven")
    server.kill()
    server.start()
    assert server.execute("SELECT seven FROM kept") == [(7,)]
    return server


def mariadb_keeps() -> servers.Server:
    server = servers.MariaDB()
    name = server.new_database()
    server.execute("CREATE TABLE kept AS SELECT 7 AS seven", name)
    server.kill()
    server.start()
    assert server.execute("SELECT seven FROM kept", name) == [(7,)]
    return server


def redis_keeps(kind: type[servers.Redis] = servers.Redis) -> servers.Server:
    server = kind("--appendfsync", "always")
    with server.client() as client:
        client.set("kept", 7)
    server.kill()
    server.start()
    with server.client() as client:
        assert client.get("kept") == b"7"
    return server


def valkey_keeps() -> servers.Server:
    return redis_keeps(servers.Valkey)


@pytest.mark.parametrize("keeps", [postgres_keeps, mariadb_keeps, redis_keeps, valkey_keeps])
def test_a_server_that_is_killed_keeps_what_it_has_stored_and_leaves_nothing_when_closed(
    keeps: Callable[[], servers.Server],
) -> None:
    """It starts again on its data; once closed, neither processes nor files are left."""
    server = keeps()
    process = server._process
    server.close()

    assert process is not None
    assert not servers.is_running(process.pid)
    assert not server.directory.exists()


def test_a_cluster_has_three_primaries(redis_cluster: servers.RedisCluster) -> None:
    """Six nodes, half of which are replicas."""
    assert len(redis_cluster.primaries()) == 3


def test_applications_need_their_password(postgres: servers.Postgres, mariadb: servers.MariaDB) -> None:
    """A wrong one is refused, as on a site's own servers."""
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=postgres.host, port=postgres.port, user=servers.ROLE, password="wrong", dbname="postgres")
    with pytest.raises(pymysql.err.OperationalError, match="denied"):
        pymysql.connect(host=mariadb.host, port=mariadb.port, user=servers.ROLE, password="wrong")


def test_pgbouncer_hands_on_to_postgres(postgres: servers.Postgres, pgbouncer: servers.PgBouncer) -> None:
    """An application's role gets through to its database."""
    url = pgbouncer.url(postgres.new_database()).replace("+psycopg", "")
    with closing(psycopg.connect(url, prepare_threshold=None)) as connection:
        assert connection.execute("SELECT current_user").fetchall() == [(servers.ROLE,)]


def test_a_paused_server_goes_on_where_it_was() -> None:
    """It says nothing until it is resumed."""
    with servers.Redis() as server, server.client() as client:
        client.set("kept", 7)
        server.pause()
        try:
            with pytest.raises(redis.TimeoutError):
                redis.Redis(port=server.port, socket_timeout=0.1, retry=Retry(NoBackoff(), 0)).ping()
        finally:
            server.resume()
        assert client.get("kept") == b"7"
