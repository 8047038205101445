"""What `RedisStore` finds out when it is built: whether the server can hold sessions, and what it may lose."""

from __future__ import annotations

import logging
import re
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from sessionware import ConfigError, RedisStore, StoreUnavailable
from sessionware.testing.store_cases import ALICE, BOB, DAY, HOUR, NOW, SLACK, a_record, id_of
from tests.support import database_servers as servers
from tests.support.frames import frames_that_show


@pytest.fixture
def empty(redis_server: servers.Redis) -> Iterator[redis.Redis]:
    """The test's own client of an empty server."""
    with redis_server.client() as client:
        client.flushall()
        yield client


def url_of(server: servers.Redis, user: str = "") -> str:
    return f"redis://{user}{server.host}:{server.port}/0"


@contextmanager
def user_of(admin: redis.Redis, *rules: str) -> Iterator[str]:
    """A user with these rights, as it stands in a URL."""
    admin.execute_command("ACL", "SETUSER", "site", "reset", "on", ">sesame", *rules)
    try:
        yield "site:sesame@"
    finally:
        admin.execute_command("ACL", "DELUSER", "site")


def use_all(store: RedisStore) -> None:
    """Call every method, in ways that take every branch of the scripts."""
    assert store.create(a_record(owner=ALICE))
    assert store.replace(a_record(version=2, owner=BOB, expires_at=NOW + DAY))
    store.touch(id_of(1), 2, NOW + 90 * DAY)
    assert store.load(id_of(1), NOW) is not None
    assert store.owned_by(ALICE, NOW) == []
    assert len(store.owned_by(BOB, NOW)) == len(store.scan()) == 1
    assert store.create(a_record(2, expires_at=NOW - SLACK - HOUR))
    assert store.prune(NOW) == 1
    assert store.delete(id_of(1))


# what it refuses


def test_a_client_that_decodes_is_refused(redis_server: servers.Redis) -> None:
    """Records are bytes. The error says what to pass instead."""
    client = redis.Redis(*redis_server.address, decode_responses=True)
    with pytest.raises(ConfigError, match=r"decode_responses=True.*without it"):
        RedisStore(client)
    with pytest.raises(ConfigError, match="take decode_responses out"):
        RedisStore(url_of(redis_server) + "?decode_responses=yes")


@pytest.mark.parametrize("path", ["", "/0", "/1"])
def test_a_node_of_a_cluster_is_refused_without_the_word_cluster(
    redis_cluster: servers.RedisCluster, path: str
) -> None:
    """One node has a third of the sessions. The error says how to write the URL."""
    host, port = redis_cluster.address

    with pytest.raises(ConfigError, match=rf"Write:? redis\+cluster://{re.escape(host)}:{port}\b"):
        RedisStore(f"redis://{host}:{port}{path}")


def test_a_server_alone_is_refused_as_a_cluster(redis_server: servers.Redis) -> None:
    """The error says how to write the URL."""
    host, port = redis_server.address

    with pytest.raises(ConfigError, match=re.escape(f"is not a cluster. Write: redis://{host}:{port}")):
        RedisStore(f"redis+cluster://{host}:{port}")


def test_a_replica_is_refused(redis_server: servers.Redis) -> None:
    """Nothing can be written there. The error says what to give instead."""
    with (
        servers.Redis("--replicaof", f"{redis_server.host} {redis_server.port}") as replica,
        pytest.raises(ConfigError, match=r"is a replica.*give the address of the primary"),
    ):
        RedisStore(replica.url)


@pytest.mark.parametrize("user", ["", "default:wrong@", "nobody:wrong@"])
def test_a_wrong_password_is_told_and_not_shown(empty: redis.Redis, redis_server: servers.Redis, user: str) -> None:
    """Neither the error nor any frame of the library has it."""
    empty.config_set("requirepass", "sesame")
    try:
        with pytest.raises(ConfigError, match=r"refuses this user or password") as caught:
            RedisStore(url_of(redis_server, user))
    finally:
        empty.config_set("requirepass", "")
    assert "wrong" not in str(caught.value)
    assert not frames_that_show(":wrong@", caught.value)
    check_chain(caught.value)


def check_chain(error: BaseException) -> None:
    """What led to the error has no frames: redis-py's have the password."""
    cause = error.__cause__
    assert cause is not None
    while cause is not None:
        assert cause.__traceback__ is None
        cause = cause.__cause__ or cause.__context__


def test_a_password_that_was_changed_is_told_and_not_shown(empty: redis.Redis, redis_server: servers.Redis) -> None:
    """In use, too, no frame of what led to the error has it."""
    with user_of(empty, "+@all", "~*") as user:
        store = RedisStore(url_of(redis_server, user))
        empty.execute_command("ACL", "SETUSER", "site", "resetpass", ">other")
        with pytest.raises(StoreUnavailable, match="refuses this user or password") as caught:
            store.load(id_of(1), NOW)
    check_chain(caught.value)
    assert "sesame" not in repr(caught.value.__cause__)


@pytest.mark.parametrize("where", ["", "?db=3", "?client_name=shop", "?db=3&client_name=shop"])
def test_a_user_needs_no_more_than_what_the_error_says(
    empty: redis.Redis, redis_server: servers.Redis, where: str
) -> None:
    """Who runs the command that the error has can use the store, also if the URL asks for more."""
    with user_of(empty, "+@all", "~other*") as user, pytest.raises(ConfigError) as caught:
        RedisStore(url_of(redis_server, user) + where)
    rules = str(caught.value).partition("ACL SETUSER <user> ")[2].split()

    with user_of(empty, *rules) as user:
        use_all(RedisStore(url_of(redis_server, user) + where))


def test_a_user_of_a_cluster_needs_no_more_than_what_the_error_says(redis_cluster: servers.RedisCluster) -> None:
    """Who runs the command that the error has, on each node, can use the store."""
    host, port = redis_cluster.address
    redis_cluster.empty()
    clients = [node.client() for node in redis_cluster.nodes]
    for client in clients:
        client.execute_command("ACL", "SETUSER", "site", "reset", "on", ">sesame", "+cluster|slots")
    try:
        with pytest.raises(ConfigError) as caught:
            RedisStore(f"redis+cluster://site:sesame@{host}:{port}")
        rules = str(caught.value).partition("ACL SETUSER <user> ")[2].split()
        for client in clients:
            client.execute_command("ACL", "SETUSER", "site", *rules)
        use_all(RedisStore(f"redis+cluster://site:sesame@{host}:{port}"))
    finally:
        for client in clients:
            client.execute_command("ACL", "DELUSER", "site")
            client.close()


def test_a_user_whom_one_node_does_not_know_is_told_at_the_start(redis_cluster: servers.RedisCluster) -> None:
    """Nothing copies users from node to node. The error names the one that is to be mended."""
    *others, stranger = redis_cluster.primaries()
    clients = [node.client() for node in redis_cluster.nodes if node is not stranger]
    for client in clients:
        client.execute_command("ACL", "SETUSER", "site", "reset", "on", ">sesame", "+@all", "~*")
    try:
        seed = others[0]
        with pytest.raises(ConfigError, match=rf"\(node {stranger.host}:{stranger.port}\) refuses this user"):
            RedisStore(f"redis+cluster://site:sesame@{seed.host}:{seed.port}")
    finally:
        for client in clients:
            client.execute_command("ACL", "DELUSER", "site")
            client.close()


def test_each_right_that_the_error_names_is_needed(empty: redis.Redis, redis_server: servers.Redis) -> None:
    """Without any one of them, the application does not start, rather than fail at the first logout."""
    with user_of(empty) as user, pytest.raises(ConfigError) as caught:
        RedisStore(url_of(redis_server, user))
    rules = str(caught.value).partition("ACL SETUSER <user> ")[2].split()

    # TIME may be called by everybody inside a script, by releases before 7.2.
    for rule in [*filter(lambda rule: rule != "+time", rules)]:
        with user_of(empty, *(other for other in rules if other != rule)) as user, pytest.raises(ConfigError):
            RedisStore(url_of(redis_server, user))


@contextmanager
def a_server_that_says(*info: str) -> Iterator[str]:
    """The URL of one that says this of itself, and knows nothing else."""
    said = "\r\n".join(["role:master", "aof_enabled:1", *info]).encode()

    class _Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while header := self.rfile.readline():
                words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2).strip() for _ in range(int(header[1:]))]
                known = words == [b"INFO"]
                self.wfile.write(b"$%d\r\n%b\r\n" % (len(said), said) if known else b"-ERR unknown\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_an_old_server_is_refused() -> None:
    """SET with EXAT came with 6.2. The error says which release is needed."""
    with (
        a_server_that_says("redis_version:6.0.16") as url,
        pytest.raises(ConfigError, match=r"is release 6\.0\.16: sessions need 6\.2"),
    ):
        RedisStore(url)


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "http://:hunter2@127.0.0.1",
        "redis://:hunter2/hunter2@127.0.0.1",
        "redis://:a?hunter2=b@127.0.0.1",
        "redis+cluster://:hunter2@one:6379,two:port",
        "redis+cluster://:hunter2@one:6379/3",
        "redis://:hunter2@127.0.0.1?max_connections=0",
        "redis://:hunter2@127.0.0.1?socket_timeout=0",
        "redis://:hunter2@127.0.0.1?db=hunter2",
    ],
)
def test_what_is_no_url_is_refused_without_being_shown(url: str) -> None:
    """A password may stand anywhere in it."""
    with pytest.raises(ConfigError) as caught:
        RedisStore(url)
    assert "hunter2" not in str(caught.value)
    assert [shown for shown in frames_that_show("hunter2", caught.value) if "test_" not in shown] == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://127.0.0.1?ssl_ca_certs=/etc/passwd", "Write rediss://, with two s"),
        ("redis+cluster://127.0.0.1?ssl_cert_reqs=none", "Write rediss://, with two s"),
        ("rediss://127.0.0.1?ssl_ca_certs=/missing.pem", "no file that ssl_ca_certs"),
        ("rediss://127.0.0.1?ssl_cert_reqs=bogus", "not one that a connection can have"),
        ("redis://127.0.0.1?path=/x", "not one that a connection can have"),
        ("redis://127.0.0.1?credential_provider=x", "a setting that no connection has"),
        ("redis://127.0.0.1?timeout=2", "a setting that no connection has.*socket_timeout"),
        ("redis://127.0.0.1?socket_timeout=abc", "a value behind the . is of the wrong kind"),
        ("redis://127.0.0.1?db=x", "a value behind the . is of the wrong kind"),
        ("redis+cluster://127.0.0.1?max_connections=many", "a value behind the . is of the wrong kind"),
    ],
)
def test_a_wrong_setting_behind_the_question_mark_is_told(url: str, says: str) -> None:
    """Before anything is connected to, and without blaming the password."""
    with pytest.raises(ConfigError, match=says):
        RedisStore(url)


def test_the_store_says_what_the_server_is(redis_server: servers.Redis, valkey: servers.Valkey) -> None:
    """As operators know it."""
    assert re.fullmatch(r"Redis \d+\.\d+\.\d+", RedisStore(redis_server.url).server_version)
    assert re.fullmatch(r"Valkey \d+\.\d+\.\d+", RedisStore(valkey.url).server_version)


def test_a_server_that_is_down_at_the_start_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """By one line, because the application starts all the same."""
    RedisStore(f"redis://127.0.0.1:{servers.free_port()}")

    assert ["cannot be reached" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("timeout", [0, -1, True, "1"])
def test_a_timeout_is_a_number_of_seconds(redis_server: servers.Redis, timeout: float) -> None:
    """Anything else is a `ConfigError`."""
    with pytest.raises(ConfigError, match=r"a number of seconds, such as 1\.0"):
        RedisStore(redis_server.url, timeout=timeout)


def test_without_the_package_the_error_says_what_to_install() -> None:
    """The library can be imported, and everything else in it used."""
    program = (
        "import sys; sys.modules['redis'] = None\n"
        "from sessionware import *\n"
        "try: RedisStore('redis://127.0.0.1')\n"
        "except ConfigError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert 'pip install "sessionware[redis]"' in done.stdout


def test_the_package_is_loaded_when_it_is_needed() -> None:
    """Who stores sessions elsewhere does not pay for it."""
    program = "import sys, sessionware; assert 'redis' not in sys.modules; sessionware.RedisStore"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# what it warns of


def warnings_at(server: servers.Redis, caplog: pytest.LogCaptureFixture, rounds: int = 1) -> list[str]:
    with caplog.at_level(logging.WARNING, "sessionware"):
        for _ in range(rounds):
            RedisStore(server.url)
    return [record.getMessage() for record in caplog.records]


def test_a_server_that_evicts_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Sessions are removed without a word. The warning says what to set."""
    with servers.Redis("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as server:
        [warning] = warnings_at(server, caplog, rounds=3)

    assert "maxmemory-policy allkeys-lru" in warning
    assert warning.endswith("Set: maxmemory-policy noeviction")


def test_a_server_that_keeps_nothing_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A restart logs everybody out. The warning says what to set."""
    with servers.Redis("--appendonly", "no") as server:
        [warning] = warnings_at(server, caplog, rounds=3)

    assert warning.endswith("Set: appendonly yes")


@pytest.mark.parametrize(
    "options",
    [
        ("--maxmemory", "100mb"),
        ("--maxmemory-policy", "allkeys-lru"),
        ("--appendonly", "no", "--save", "60", "1"),
    ],
)
def test_other_servers_are_no_cause_for_a_warning(options: tuple[str, ...], caplog: pytest.LogCaptureFixture) -> None:
    """Noeviction is what sessions need, and no memory limit evicts nothing. Snapshots are some persistence."""
    with servers.Redis(*options) as server:
        assert warnings_at(server, caplog) == []


@pytest.mark.parametrize(
    ("ahead", "told"), [(5 * HOUR + 10, "300 min ahead of"), (-10 * 60 - 10, "10 min behind"), (50, ""), (-50, "")]
)
def test_a_clock_that_differs_is_told(ahead: int, told: str, caplog: pytest.LogCaptureFixture) -> None:
    """By more than a minute. Nothing else would show it."""
    microseconds = (int(time.time()) + ahead) * 1_000_000
    with a_server_that_says("redis_version:7.0.15", f"server_time_usec:{microseconds}") as url:
        RedisStore(url)

    assert [record.getMessage().partition(" is ")[2] for record in caplog.records] == (
        [f"{told} this machine's. Let both keep the time (NTP)."] if told else []
    )


# what is not there yet


def test_a_server_that_is_down_is_no_error_until_it_is_used() -> None:
    """An application that cannot start answers nothing at all."""
    with servers.Redis() as server:
        server.kill()
        store = RedisStore(server.url)
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            store.load(id_of(1), NOW)
        server.start()

        use_all(store)


def test_what_is_wrong_with_a_server_that_was_down_is_told_in_use() -> None:
    """It says what `ConfigError` would have said at the start."""
    with servers.Redis() as server:
        with server.client() as client:
            client.config_set("requirepass", "sesame")
        server.pause()
        store = RedisStore(server.url, timeout=0.05)
        server.resume()

        for _ in range(2):
            with pytest.raises(StoreUnavailable, match=r"refuses this user or password"):
                RedisStore.load(store, id_of(1), NOW)


def test_a_store_that_was_built_has_no_open_connection(empty: redis.Redis, redis_server: servers.Redis) -> None:
    """A server that forks its workers afterwards shares none with them."""
    before = len(empty.client_list())

    store = RedisStore(redis_server.url)

    assert len(empty.client_list()) == before
    store.load(id_of(1), NOW)
    assert len(empty.client_list()) == before + 1
    store.close()


def test_the_repr_shows_where_it_is_and_no_password(empty: redis.Redis, redis_server: servers.Redis) -> None:
    """The namespace, too."""
    with user_of(empty, "+@all", "~*") as user:
        store = RedisStore(url_of(redis_server, user)).namespace("tokens")

    host, port = redis_server.address
    assert repr(store) == f"<RedisStore redis://{host}:{port}/0 sw.tokens>"
