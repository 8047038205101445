"""`RedisStore` keeps the contract on Redis, on a cluster of six nodes and on Valkey."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from redis._parsers import _RESP2Parser

from sessionware.stores.base import Store
from sessionware.stores.redis import RedisStore
from sessionware.testing import ServerStoreContract
from sessionware.testing.store_cases import id_of
from tests.servers.matrix import in_whole_matrix
from tests.support import database_servers as servers


class RedisContract(ServerStoreContract):
    """On one server, by URL."""

    stores: list[RedisStore]

    def make_store_at(self, host: str, port: int) -> Store:
        return self.opened(RedisStore(f"redis://{host}:{port}/0"))

    def opened(self, store: RedisStore) -> RedisStore:
        self.stores.append(store)
        return store

    def use(self, server: servers.Redis) -> Iterator[None]:
        self.address, self.stores = server.address, []
        with server.client() as client:
            client.flushall()
        yield
        for store in self.stores:
            store.close()


class TestRedis(RedisContract):
    """Redis."""

    @pytest.fixture(autouse=True)
    def server(self, redis_server: servers.Redis) -> Iterator[None]:
        yield from self.use(redis_server)


class TestClient(RedisContract):
    """Redis, by an application's client, which would send a write again if its answer were lost."""

    @pytest.fixture(autouse=True)
    def server(self, redis_server: servers.Redis) -> Iterator[None]:
        yield from self.use(redis_server)

    def make_store_at(self, host: str, port: int) -> Store:
        return self.opened(RedisStore(redis.Redis(host, port)))


@in_whole_matrix
class TestPythonParser(RedisContract):
    """Redis, read without hiredis, by a client that speaks RESP3."""

    @pytest.fixture(autouse=True)
    def server(self, redis_server: servers.Redis) -> Iterator[None]:
        yield from self.use(redis_server)

    def make_store_at(self, host: str, port: int) -> Store:
        pool = redis.ConnectionPool(host=host, port=port, parser_class=_RESP2Parser, protocol=3)
        return self.opened(RedisStore(redis.Redis(connection_pool=pool)))


class TestValkey(RedisContract):
    """Valkey."""

    @pytest.fixture(autouse=True)
    def server(self, valkey: servers.Valkey) -> Iterator[None]:
        yield from self.use(valkey)


class TestCluster(ServerStoreContract):
    """A cluster, by a client whose way to one of the primaries breaks."""

    @pytest.fixture(autouse=True)
    def cluster(self, redis_cluster: servers.RedisCluster) -> Iterator[None]:
        redis_cluster.empty()
        self.nodes = redis_cluster
        self.stores: list[RedisStore] = []
        with redis.RedisCluster(*redis_cluster.address) as client:
            node = client.get_node_from_key(b"sw{%02x}" % id_of(1)[0])
        assert node is not None
        self.address = (node.host, node.port)
        yield
        for store in self.stores:
            store.close()

    def make_store_at(self, host: str, port: int) -> Store:
        def through(address: tuple[str, int]) -> tuple[str, int]:
            return (host, port) if address == self.address else address

        with redis.RedisCluster(*self.nodes.address, address_remap=through) as client:
            self.stores.append(RedisStore(client))
        return self.stores[-1]
