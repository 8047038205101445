"""Where a `RedisStore` can be: every form of URL and of client leads to the same records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.credentials import CredentialProvider
from redis.sentinel import Sentinel

from sessionware import ConfigError, RedisStore, StoreUnavailable
from sessionware.testing.store_cases import ALICE, NOW, a_record, id_of
from tests.support import database_servers as servers
from tests.support.tls import Certificate, make_certificate

RECORD = a_record(owner=ALICE)


class _Everywhere(servers.Redis):
    """One that is reached by TCP, by a Unix socket and by TLS, with a record in it."""

    def __init__(self, certificate: Certificate) -> None:
        self.tls_port = servers.free_port()
        super().__init__(
            *["--unixsocket", "socket", "--tls-port", str(self.tls_port), "--tls-auth-clients", "no"],
            *["--tls-cert-file", str(certificate.public), "--tls-key-file", str(certificate.private)],
            *["--tls-ca-cert-file", str(certificate.public)],
        )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def everywhere(certificate: Certificate) -> Iterator[_Everywhere]:
    with _Everywhere(certificate) as server:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "si:te", "on", ">se/s@me?", "+@all", "~*")
        RedisStore(server.url).create(RECORD)
        yield server


def has_the_record(store: RedisStore) -> bool:
    try:
        return store.load(id_of(1), NOW) == RECORD
    finally:
        store.close()


def test_a_url_may_have_every_form_that_redis_py_knows(everywhere: _Everywhere, certificate: Certificate) -> None:
    """A Unix socket, TLS, a user and a password with any characters, the number of a database."""
    host, port, path = everywhere.host, everywhere.port, everywhere.directory / "socket"

    for url in [
        f"redis://{host}:{port}",
        f"REDIS://{host}:{port}/0?protocol=3&health_check_interval=3",
        f"redis://si%3Ate:se%2Fs%40me%3F@{host}:{port}/0",
        f"rediss://{host}:{everywhere.tls_port}/0?ssl_ca_certs={certificate.public}",
        f"unix://{path}?db=0",
    ]:
        assert has_the_record(RedisStore(url)), url
    assert not has_the_record(RedisStore(f"redis://{host}:{port}/3"))


def test_tls_checks_who_answers(everywhere: _Everywhere) -> None:
    """A certificate that nobody vouches for is an outage, because that may pass."""
    store = RedisStore(f"rediss://{everywhere.host}:{everywhere.tls_port}/0")

    with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        store.load(id_of(1), NOW)


def test_a_client_is_asked_where_it_leads(everywhere: _Everywhere, certificate: Certificate) -> None:
    """Host, user, TLS and database are its own. The store closes none of its connections."""
    host, port = everywhere.address
    clients = [
        redis.Redis(host, port),
        redis.Redis(host, port, protocol=3, username="si:te", password="se/s@me?"),
        redis.Redis(host, everywhere.tls_port, ssl=True, ssl_ca_certs=str(certificate.public)),
        redis.Redis(unix_socket_path=str(everywhere.directory / "socket")),
        redis.Redis.from_url(everywhere.url, max_connections=3),
    ]
    for client in clients:
        connection = client.client_id()
        assert has_the_record(RedisStore(client))
        assert client.client_id() == connection
        client.close()


class _Sentinel(servers.Redis):
    """A Sentinel that watches a server."""

    def __init__(self, watched: servers.Redis) -> None:
        self._watched = watched
        super().__init__()

    def _make(self) -> None:
        host, port = self._watched.address
        (self.directory / "sentinel.conf").write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.directory}\nsentinel monitor site {host} {port} 1\n"
        )

    def _command(self) -> list[str]:
        return [self._program, str(self.directory / "sentinel.conf"), "--sentinel"]


def test_sentinel_says_where_the_primary_is(everywhere: _Everywhere) -> None:
    """A client of Sentinel is asked each time that a connection is made. One that reads from replicas is refused."""
    with _Sentinel(everywhere) as sentinel:
        clients = Sentinel([sentinel.address], socket_timeout=5)
        store = RedisStore(clients.master_for("site"))

        assert repr(store) == "<RedisStore redis://(primary of site) sw>"
        assert has_the_record(store)
        with pytest.raises(ConfigError, match="master_for"):
            RedisStore(clients.slave_for("site"))


def test_sentinels_that_are_away_are_an_outage_within_the_timeout(everywhere: _Everywhere) -> None:
    """Whatever the client's own timeouts and retries are. The error says what to look at, and shows no object."""
    with _Sentinel(everywhere) as sentinel:
        clients = Sentinel([("127.0.0.1", servers.free_port()), sentinel.address])
        sentinel.pause()
        try:
            store = RedisStore(clients.master_for("site"), timeout=0.1)
            with pytest.raises(StoreUnavailable, match="no Sentinel names one") as caught:
                store.load(id_of(1), NOW)
        finally:
            sentinel.resume()
        assert "<" not in f"{caught.value} {caught.value.__cause__}"
        servers.wait_for(lambda: _is_told(clients), lambda: "Sentinel does not answer")
        store = RedisStore(clients.master_for("site"), timeout=10)
        assert has_the_record(store)
        with pytest.raises(StoreUnavailable, match="no Sentinel names one"):
            RedisStore(clients.master_for("other")).load(id_of(1), NOW)


def _is_told(clients: Sentinel) -> bool:
    try:
        return bool(clients.discover_master("site"))
    except redis.ConnectionError:
        return False


def test_passwords_that_cannot_be_had_are_an_outage(everywhere: _Everywhere) -> None:
    """A provider of credentials asks somebody else for them, who may be down."""
    store = RedisStore(redis.Redis(*everywhere.address, credential_provider=_Broken()))

    with pytest.raises(StoreUnavailable, match="cannot be reached: something failed with KeyError"):
        store.load(id_of(1), NOW)


class _Broken(CredentialProvider):
    def get_credentials(self) -> tuple[str, str]:
        raise KeyError("hunter2")


def test_a_cluster_is_found_by_any_node(redis_cluster: servers.RedisCluster) -> None:
    """Its URL names several, with commas between them, in case one is down. A client knows them all."""
    redis_cluster.empty()
    host, port = redis_cluster.address
    url = f"redis+cluster://127.0.0.1:{servers.free_port()},{host}:{port}"
    assert RedisStore(url).create(RECORD)

    for node in redis_cluster.nodes:
        assert has_the_record(RedisStore(f"redis+cluster://{node.host}:{node.port}"))
    with redis.RedisCluster(host, port) as client:
        assert has_the_record(RedisStore(client))
    assert repr(RedisStore(redis_cluster.url)) == f"<RedisStore redis+cluster://{host}:{port} sw>"


def test_where_is_a_url_or_a_client(tmp_path: Path) -> None:
    """Anything else is a `ConfigError` that shows examples, and not what was given."""
    for wrong in (None, b"redis://127.0.0.1", tmp_path, redis.Redis, 6379):
        with pytest.raises(ConfigError, match=r"pass redis://127\.0\.0\.1:6379/0"):
            RedisStore(wrong)  # type: ignore[arg-type]
