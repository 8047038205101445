"""The servers that tests share: each is started when the first test asks for it, and lives as long as the process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import database_servers as servers


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Postgres]:
    with servers.Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[servers.MariaDB]:
    with servers.MariaDB() as server:
        yield server


@pytest.fixture(scope="session")
def running_redis() -> Iterator[servers.Redis]:
    with servers.Redis() as server:
        yield server


@pytest.fixture(scope="session")
def running_valkey() -> Iterator[servers.Valkey]:
    with servers.Valkey() as server:
        yield server


@pytest.fixture(scope="session")
def running_cluster() -> Iterator[servers.RedisCluster]:
    with servers.RedisCluster() as server:
        yield server


# These have no databases to make for each test, so they are emptied before it.


@pytest.fixture
def redis_server(running_redis: servers.Redis) -> servers.Redis:
    running_redis.empty()
    return running_redis


@pytest.fixture
def valkey(running_valkey: servers.Valkey) -> servers.Valkey:
    running_valkey.empty()
    return running_valkey


@pytest.fixture
def redis_cluster(running_cluster: servers.RedisCluster) -> servers.RedisCluster:
    running_cluster.empty()
    return running_cluster


@pytest.fixture(scope="session")
def pgbouncer(postgres: servers.Postgres) -> Iterator[servers.PgBouncer]:
    with servers.PgBouncer(postgres) as server:
        yield server
