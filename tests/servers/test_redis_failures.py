"""What goes wrong with Redis while it is used is `StoreUnavailable`, and says what to do. All else works."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import redis
from webtest import TestApp

from sessionware import RedisStore, SessionMiddleware, StoreUnavailable, get_session
from sessionware.stores._redis_format import Keys
from sessionware.stores.base import Record
from sessionware.testing.races import race
from sessionware.testing.store_cases import ALICE, BOB, DAY, HOUR, NOW, SLACK, a_record, id_of
from tests.support import database_servers as servers

KEY = Keys().record(id_of(1))


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Redis]:
    """One that may be broken."""
    with servers.Redis("--enable-protected-configs", "yes") as server:
        yield server


@pytest.fixture
def admin(server: servers.Redis) -> Iterator[redis.Redis]:
    with server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
        client.flushall()
        yield client


@pytest.fixture
def store(server: servers.Redis, admin: redis.Redis) -> Iterator[RedisStore]:
    """One with a record that Alice owns."""
    store = RedisStore(server.url, timeout=5)
    store.create(a_record(owner=ALICE))
    yield store
    store.close()


def says(what: str, call: Callable[[], object]) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable, match=what) as caught:
        call()
    assert caught.value.__cause__ is not None
    return caught.value


def test_a_full_memory_lets_people_read_and_log_out(store: RedisStore, admin: redis.Redis) -> None:
    """Changes are refused, and nothing of them is stored."""
    admin.config_set("maxmemory", 1)
    try:
        says("no memory left", lambda: store.create(a_record(2, owner=BOB)))
        says("no memory left", lambda: store.replace(a_record(version=2, owner=BOB)))
        says("no memory left", lambda: store.touch(id_of(1), 1, NOW + 90 * DAY))
        assert store.scan() == store.owned_by(ALICE, NOW) == [a_record(owner=ALICE)]
        assert store.owned_by(BOB, NOW) == []
        assert store.delete(id_of(1))
    finally:
        admin.config_set("maxmemory", 0)


def test_a_full_memory_lets_sessions_become_smaller(store: RedisStore, admin: redis.Redis) -> None:
    """Ending a session stores less in its place, for a shorter time. One that grows is refused."""
    admin.config_set("maxmemory", 1)
    try:
        ended = a_record(version=2, payload=b"over", expires_at=NOW + 60)
        assert store.replace(ended)
        assert store.load(id_of(1), NOW) == ended
        assert store.replace(ended._replace(version=3, expires_at=NOW + DAY))
        says("no memory left", lambda: store.replace(a_record(version=4, payload=b"over and over")))
        assert store.prune(NOW + DAY + SLACK) == 1
    finally:
        admin.config_set("maxmemory", 0)


def test_a_full_memory_lets_people_log_out(server: servers.Redis, admin: redis.Redis) -> None:
    """By all of the ways, though each writes that the session has ended."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        session = get_session(environ)
        match environ["PATH_INFO"]:
            case "/login":
                session.username = "Ada"
                session["cart"] = ["apples"] * 20
            case "/invalidate":
                session.invalidate()
            case "/logout":
                session.username = None
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(session.username).encode()]

    site = SessionMiddleware(app, secret=secrets.token_hex(32), store=RedisStore(server.url))
    for way in ("/invalidate", "/logout"):
        browser = TestApp(site)
        browser.post("/login")
        assert browser.get("/").text == "Ada"
        admin.config_set("maxmemory", 1)
        try:
            browser.post(way)
            assert browser.get("/").text == "None"
        finally:
            admin.config_set("maxmemory", 0)


def test_a_store_that_meets_a_full_memory_first_can_read(server: servers.Redis, admin: redis.Redis) -> None:
    """An application that is started then shows its sessions."""
    admin.config_set("maxmemory", 1)
    try:
        assert RedisStore(server.url).load(id_of(1), NOW) is None
    finally:
        admin.config_set("maxmemory", 0)


def test_a_replica_is_said_to_be_one_and_left(store: RedisStore, admin: redis.Redis) -> None:
    """After a failover the address may lead elsewhere, so the next call connects anew. What it has is not shown."""
    admin.replicaof("127.0.0.1", "1")
    try:
        says("is a replica", lambda: store.replace(a_record(version=2)))
        assert len(admin.client_list()) == 1
        says("is a replica", lambda: store.load(id_of(1), NOW))
        assert len(admin.client_list()) == 1
    finally:
        admin.replicaof("NO", "ONE")
    assert store.replace(a_record(version=2))


def test_a_right_that_is_taken_away_is_named(admin: redis.Redis, server: servers.Redis) -> None:
    """In use, too, the error says what to run."""
    admin.execute_command("ACL", "SETUSER", "site", "reset", "on", ">sesame", "+@all", "~*")
    store = RedisStore(f"redis://site:sesame@{server.host}:{server.port}")
    admin.execute_command("ACL", "SETUSER", "site", "-evalsha")
    try:
        error = says("ACL SETUSER <user> ~sw", lambda: store.delete(id_of(1)))
    finally:
        admin.execute_command("ACL", "DELUSER", "site")
    assert "sesame" not in str(error)


def test_a_disk_that_is_full_is_told(store: RedisStore, admin: redis.Redis, server: servers.Redis) -> None:
    """Redis refuses writes when it could not save its data."""
    (server.directory / "in the way").mkdir()
    (server.directory / "in the way" / "file").touch()
    admin.config_set("dbfilename", "in the way")
    admin.config_set("save", "3600 1")
    try:
        admin.bgsave()
        servers.wait_for(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err", lambda: "no error")
        says("could not save its data", lambda: store.delete(id_of(1)))
        assert store.load(id_of(1), NOW) == a_record(owner=ALICE)
    finally:
        admin.config_set("save", "")


def test_a_server_that_runs_somebodys_script_is_told(
    store: RedisStore, admin: redis.Redis, server: servers.Redis
) -> None:
    """It answers everybody else that it is busy."""
    admin.config_set("busy-reply-threshold", 1)
    endless = threading.Thread(target=_run_for_ever, args=(server,))
    endless.start()
    try:
        servers.wait_for(lambda: _is_busy(admin), lambda: "the script does not run")
        says("is busy running another", lambda: store.load(id_of(1), NOW))
    finally:
        admin.script_kill()
        endless.join()


def _run_for_ever(server: servers.Redis) -> None:
    with server.client() as client, suppress(redis.RedisError):
        client.eval("while true do end", 0)


def _is_busy(admin: redis.Redis) -> bool:
    try:
        return not admin.ping()
    except redis.ResponseError:
        return True


def test_a_primary_without_its_replicas_is_told(store: RedisStore, admin: redis.Redis, server: servers.Redis) -> None:
    """It refuses writes. Sessions can be read, also by an application that is started then."""
    admin.config_set("min-replicas-to-write", 1)
    try:
        says("too few replicas follow it", lambda: store.replace(a_record(version=2)))
        says("too few replicas follow it", lambda: store.delete(id_of(1)))
        assert RedisStore(server.url).load(id_of(1), NOW) == a_record(owner=ALICE)
    finally:
        admin.config_set("min-replicas-to-write", 0)


def test_something_else_under_a_key_of_ours_is_told(store: RedisStore, admin: redis.Redis) -> None:
    """It is left as it is, and does not keep others from being listed."""
    admin.delete(KEY)
    admin.hset(KEY, "name", "value")
    store.create(a_record(2))

    says("something else under a key of ours", lambda: store.load(id_of(1), NOW))
    assert store.scan() == [a_record(2)]
    assert store.prune(NOW + HOUR + SLACK) == 1
    assert admin.hgetall(KEY) == {b"name": b"value"}


@pytest.mark.parametrize("value", [b"", b"x", bytes(49), b"\xff" * 100])
def test_a_value_that_somebody_else_wrote_is_a_damaged_record(
    store: RedisStore, admin: redis.Redis, value: bytes
) -> None:
    """It is shown, so that whoever opens it finds it damaged. It is pruned when its time has come."""
    admin.set(KEY, value)

    found = store.load(id_of(1), NOW)
    assert found is not None
    assert (found.payload, found.owner) == (value, None)
    assert store.scan() == [found]
    assert store.owned_by(ALICE, NOW) == []
    assert store.replace(a_record(version=2)) is False
    assert store.prune(NOW + HOUR + SLACK) == 1


def test_a_restart_forgets_the_scripts_and_nothing_else(store: RedisStore, server: servers.Redis) -> None:
    """Every method works again at once, though the connections are dead and the scripts unknown."""
    server.kill()
    says("cannot be reached|closed", lambda: store.replace(a_record(version=2)))
    server.start()

    assert store.replace(a_record(version=2, owner=BOB))
    assert store.owned_by(BOB, NOW) == [a_record(version=2, owner=BOB)]


def test_connections_that_the_server_closed_and_scripts_it_forgot_cost_nothing(
    store: RedisStore, admin: redis.Redis
) -> None:
    """No call fails."""
    for version in range(2, 20):
        admin.client_kill_filter(_type="normal", skipme=True)
        admin.script_flush()
        assert store.replace(a_record(version=version))


def test_a_server_that_does_not_answer_is_told(server: servers.Redis, admin: redis.Redis) -> None:
    """Within the timeout, once, whether or not it has been connected to."""
    store = RedisStore(server.url, timeout=0.05)
    store.load(id_of(1), NOW)
    server.pause()
    try:
        for _ in range(2):
            says(r"did not answer within 0\.05 s", lambda: store.load(id_of(1), NOW))
            says(r"did not answer within 0\.05 s", lambda: store.delete(id_of(1)))
    finally:
        server.resume()
    assert store.create(a_record())


def test_more_threads_than_connections_take_turns(server: servers.Redis, admin: redis.Redis) -> None:
    """Each gets its own answer, and there are never more connections than allowed."""
    store = RedisStore(f"{server.url}?max_connections=2&socket_timeout=30&client_name=store")

    def count(number: int) -> None:
        for version in range(1, 20):
            record = a_record(number, version=version, owner=ALICE, payload=b"%d" % number)
            assert store.create(record) if version == 1 else store.replace(record)
            assert store.load(record.id, NOW) == record

    race(count, range(16))
    assert [client["name"] for client in admin.client_list()].count("store") == 2
    store.close()


def test_a_thread_that_gets_no_connection_says_so(server: servers.Redis, admin: redis.Redis) -> None:
    """It waits no longer than for an answer."""
    store = RedisStore(f"{server.url}?max_connections=1&socket_timeout=0.5")
    store.load(id_of(1), NOW)
    server.pause()
    try:
        errors = race(lambda _: str(_error_of(lambda: store.load(id_of(1), NOW))), range(8))
    finally:
        server.resume()
    assert any("All 1 connections" in error and "max_connections" in error for error in errors)


def _error_of(call: Callable[[], object]) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as caught:
        call()
    return caught.value


def test_children_of_a_process_have_connections_of_their_own(store: RedisStore) -> None:
    """None gets another's answer, and neither does the parent, which goes on using its own."""
    children = [_forked(partial(_use, store, number)) for number in range(2, 6)]
    _use(store, 6)

    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4


def _use(store: RedisStore, number: int) -> None:
    for version in range(1, 100):
        record = a_record(number, version=version, payload=b"%d %d" % (number, version))
        assert store.create(record) if version == 1 else store.replace(record)
        assert store.load(record.id, NOW) == record


def _forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return child


@pytest.mark.parametrize(
    "record", [a_record(version=2**64), a_record(expires_at=2**60), a_record(expires_at=-1), a_record(owner=bytes(17))]
)
def test_what_does_not_fit_is_an_error_and_not_something_else(store: RedisStore, record: object) -> None:
    """No number is rounded."""
    assert isinstance(record, tuple)
    store.delete(id_of(1))
    with pytest.raises(StoreUnavailable, match="RedisStore holds"):
        store.create(record)  # type: ignore[arg-type]
    assert store.scan() == []


@pytest.mark.parametrize("version", [2**53 - 1, 2**53, 2**53 + 1, 2**64 - 2])
def test_versions_are_exact(store: RedisStore, version: int) -> None:
    """Though Lua's numbers are not, from 2**53 on."""
    store.delete(id_of(1))
    store.create(a_record(version=version))

    assert store.replace(a_record(version=version - 1)) is False
    assert store.replace(a_record(version=version + 2 - (version == 2**64 - 2))) is (version == 2**64 - 2)
    store.touch(id_of(1), version - 1, NOW + DAY)
    assert store.load(id_of(1), NOW + HOUR) is None or version == 2**64 - 2


def test_a_cluster_of_which_a_part_is_down_has_the_rest_of_the_sessions() -> None:
    """Also for an application that is started meanwhile. Another node takes over, and then it has all of them."""
    with servers.RedisCluster() as cluster:
        store = RedisStore(cluster.url)
        records = [a_record(id=bytes([number]) * 16, owner=ALICE) for number in range(32)]
        assert all(store.create(record) for record in records)
        [victim] = [node for node in cluster.primaries() if _has(node, 0)]
        seed = next(node for node in cluster.nodes if node is not victim)

        with victim.client() as client:
            client.set("written last{00}", 1)
            assert client.wait(1, 5000)  # its replica follows a moment later, and would not have all of them

        victim.kill()
        late = RedisStore(f"redis+cluster://{seed.host}:{seed.port}")
        for each in (store, late):
            found = [record for record in records if _found(each, record)]
            assert len(found) >= 16
        servers.wait_for(lambda: all(_found(late, record) for record in records), lambda: "nobody took over")
        servers.wait_for(lambda: _found(store, records[0]), lambda: "the new primary was not found")
        assert late.owned_by(ALICE, NOW) == store.owned_by(ALICE, NOW) == records


def _found(store: RedisStore, record: Record) -> bool:
    with suppress(StoreUnavailable):
        assert store.load(record.id, NOW) == record
        return True
    return False


def _has(node: servers.Redis, number: int) -> bool:
    with node.client() as client, suppress(redis.RedisError):
        return bool(client.exists(Keys().indexes[number]))
    return False
