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
def redis_server() -> Iterator[servers.Redis]:
    with servers.Redis() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[servers.Valkey]:
    with servers.Valkey() as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[servers.RedisCluster]:
    with servers.RedisCluster() as server:
        yield server


@pytest.fixture(scope="session")
def pgbouncer(postgres: servers.Postgres) -> Iterator[servers.PgBouncer]:
    with servers.PgBouncer(postgres) as server:
        yield server
