"""What `RedisStore` promises beyond the contract: round trips, clean-up, and what a hundred million sessions take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from sessionware import RedisStore, StoreUnavailable
from sessionware.stores import _redis_listing
from sessionware.stores._redis_format import Keys
from sessionware.stores.base import Record
from sessionware.testing.store_cases import ALICE, BOB, DAY, HOUR, NOW, SLACK, a_record, id_of, owner_of
from tests.support import database_servers as servers

#: Commands that a store sends by itself. What scripts call is not among them.
_SENT = ("evalsha", "eval", "get", "mget", "zcard", "zscan", "zcount")


@pytest.fixture
def admin(redis_server: servers.Redis) -> Iterator[redis.Redis]:
    with redis_server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def store(redis_server: servers.Redis, admin: redis.Redis) -> Iterator[RedisStore]:
    store = RedisStore(redis_server.url)
    yield store
    store.close()


@pytest.fixture
def clustered(redis_cluster: servers.RedisCluster) -> Iterator[RedisStore]:
    redis_cluster.empty()
    store = RedisStore(redis_cluster.url)
    yield store
    store.close()


def spread(number: int, **fields: Any) -> Record:
    """A record whose id begins with any byte, so that they are in all indexes."""
    return a_record(id=bytes([number % 256]) + number.to_bytes(15, "big"), **fields)


# round trips


def sent_to(clients: list[redis.Redis]) -> int:
    stats = [client.info("commandstats") for client in clients]
    return sum(each[f"cmdstat_{name}"]["calls"] for each in stats for name in _SENT if f"cmdstat_{name}" in each)


def trips(clients: list[redis.Redis], call: Callable[[], object]) -> int:
    """How many commands the call took, by what the servers count."""
    before = sent_to(clients)
    call()
    return sent_to(clients) - before


def check_trips(store: RedisStore, clients: list[redis.Redis], *, login: int) -> None:
    for record in [a_record(9, owner=ALICE), a_record(9, version=2)]:  # from here on, the servers know the scripts
        assert store.create(record) or store.replace(record)
    store.touch(id_of(9), 2, NOW + HOUR + 1)
    store.delete(id_of(9))

    assert trips(clients, lambda: store.create(a_record())) == 1
    assert trips(clients, lambda: store.load(id_of(1), NOW)) == 1
    assert trips(clients, lambda: store.replace(a_record(version=2))) == 1
    assert trips(clients, lambda: store.replace(a_record(version=3, owner=ALICE))) <= login
    assert trips(clients, lambda: store.replace(a_record(version=4, owner=ALICE))) == 1
    assert trips(clients, lambda: store.touch(id_of(1), 4, NOW + HOUR + 60)) == 1
    assert trips(clients, lambda: store.delete(id_of(1))) == 1
    assert trips(clients, lambda: store.create(a_record(owner=ALICE))) <= login


def test_each_call_is_one_round_trip(store: RedisStore, admin: redis.Redis) -> None:
    """A login is one, too."""
    check_trips(store, [admin], login=1)


def test_in_a_cluster_a_login_takes_three_round_trips(
    clustered: RedisStore, redis_cluster: servers.RedisCluster
) -> None:
    """The owner's set is elsewhere. All other calls are one, as on a single server."""
    clients = [node.client() for node in redis_cluster.nodes]
    check_trips(clustered, clients, login=3)
    for client in clients:
        client.close()


# who cleans up


def test_prune_goes_through_all_indexes(store: RedisStore) -> None:
    """It removes as many as it may, wherever they are, and counts them. None is left behind the limit for ever."""
    for number in range(600):
        store.create(spread(number, expires_at=NOW - SLACK - HOUR, owner=ALICE))
    store.create(spread(600, owner=ALICE))

    assert [store.prune(NOW, 250) for _ in range(4)] == [250, 250, 100, 0]
    assert store.scan() == store.owned_by(ALICE, NOW) == [spread(600, owner=ALICE)]


def test_prune_reaches_every_index_however_full_another_is(store: RedisStore) -> None:
    """A flood of which there is always more to prune keeps nothing else from being pruned."""
    other = spread(200, expires_at=NOW - SLACK - HOUR)
    store.create(other)
    for number in range(200):
        store.create(spread(256 * number + 256, expires_at=NOW - SLACK - HOUR))
        assert store.prune(NOW, 1) == 1
        if store.load(other.id, NOW - DAY) is None:
            break
    else:
        pytest.fail("it was never pruned")


def test_prune_sweeps_what_the_server_removed(store: RedisStore, admin: redis.Redis) -> None:
    """Such records are not counted, because somebody else removed them. Nothing of them stays."""
    for number in range(50):
        store.create(a_record(number))
        admin.delete(Keys().record(id_of(number)))
    store.create(a_record(50))

    assert store.prune(NOW + HOUR + SLACK, 1) == 1
    assert admin.keys() == []


def test_prune_trusts_the_record_and_not_the_index(store: RedisStore, admin: redis.Redis) -> None:
    """An index that was restored from another day removes nobody's session, and is right again afterwards."""
    store.create(a_record())
    admin.zadd(Keys().indexes[0], {id_of(1)[1:]: 0})

    assert store.prune(NOW) == 0
    assert store.prune(NOW + HOUR + SLACK) == 1


def test_everything_goes_by_itself_when_nobody_prunes(store: RedisStore, admin: redis.Redis) -> None:
    """Records a day after their end at the earliest, and owners' sets after their records."""
    store.create(a_record(owner=ALICE))
    store.touch(id_of(1), 1, NOW + DAY)
    store.replace(a_record(version=2, owner=ALICE, expires_at=NOW + DAY + HOUR))

    record = admin.execute_command("EXPIRETIME", Keys().record(id_of(1)))
    owner = admin.execute_command("EXPIRETIME", Keys().owner(ALICE))
    assert NOW + 2 * DAY + HOUR <= record <= NOW + 2 * DAY + 4 * HOUR
    assert owner >= record


def test_a_record_that_ended_long_ago_is_stored_all_the_same(store: RedisStore) -> None:
    """The server would remove it at once, and say that it has stored it."""
    ended = a_record(expires_at=NOW - 30 * DAY, owner=ALICE)

    assert store.create(ended)
    assert store.scan() == [ended]


@pytest.mark.parametrize("behind", [HOUR, 3 * HOUR, 6 * HOUR, 23 * HOUR])
def test_an_application_whose_clock_is_behind_finds_an_owners_sessions(
    store: RedisStore, clustered: RedisStore, behind: int
) -> None:
    """As when the server's is set to a local time. A record that lives on, or is the owner's second, is among them."""
    now = NOW - behind
    first, second = (a_record(number, owner=ALICE, expires_at=now + HOUR // 2) for number in range(2))
    for each in (store, clustered):
        each.create(first)
        assert each.owned_by(ALICE, now) == [first]
        each.touch(first.id, 1, now + HOUR)
        each.create(second)
        each.create(a_record(2, owner=ALICE, expires_at=NOW + DAY))

        assert [record.id for record in each.owned_by(ALICE, now)] == [id_of(number) for number in range(3)]


# many


def test_an_owner_may_have_many_sessions(store: RedisStore, admin: redis.Redis) -> None:
    """All are found in a few round trips. Those that have become somebody else's are taken out of the set."""
    records = [spread(number, owner=ALICE) for number in range(3000)]
    for record in records:
        store.create(record)

    assert trips([admin], lambda: store.owned_by(ALICE, NOW)) <= 1 + 256
    assert store.owned_by(ALICE, NOW) == sorted(records)


def test_a_set_loses_those_that_are_not_the_owners(store: RedisStore, admin: redis.Redis) -> None:
    """But not before a minute has passed: somebody may be about to store one."""
    for number in range(3):
        store.create(a_record(number, owner=ALICE))
    store.replace(a_record(1, version=2, owner=BOB))
    store.delete(id_of(2))
    key = Keys().owner(ALICE)
    assert store.owned_by(ALICE, NOW) == [a_record(0, owner=ALICE)]
    assert admin.zcard(key) == 3

    for number in range(3):  # as if it had been claimed 61 seconds earlier
        admin.zincrby(key, -61 / 2**20, id_of(number))

    assert store.owned_by(ALICE, NOW) == [a_record(0, owner=ALICE)]
    assert admin.zrange(key, 0, -1) == [id_of(0)]


@pytest.mark.parametrize("limit", [1, 7, 100, 2000])
def test_scan_goes_through_large_indexes_in_pieces(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Every record once, in order, whatever the sizes of indexes and pages are."""
    monkeypatch.setattr(_redis_listing, "_LARGE", 40)
    monkeypatch.setattr(_redis_listing, "_PIECE", 10)
    ids = [number for number in range(300) if number % 3 == 0 or number % 256 in (4, 5, 255)]
    records = [spread(number) for number in ids]
    records += [
        a_record(id=bytes([first]) + number.to_bytes(15, "big")) for first in (0, 7, 255) for number in range(400, 900)
    ]
    for record in records:
        store.create(record)

    found: list[Record] = []
    while page := store.scan(found[-1].id if found else None, limit):
        assert len(page) <= limit
        found += page
    assert found == sorted(records)


def test_a_page_of_a_large_index_is_read_once(
    store: RedisStore, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages that follow go on with what was read, and another scan reads it anew."""
    monkeypatch.setattr(_redis_listing, "_LARGE", 40)
    for number in range(100):
        store.create(a_record(number))
    first = store.scan(limit=10)
    store.create(a_record(200))

    assert [record.id for record in store.scan(first[-1].id, 10)] == [id_of(number) for number in range(10, 20)]
    assert trips([admin], lambda: store.scan(id_of(19), 10)) == 1
    assert store.scan(id_of(99)) == [a_record(200)]


def test_namespaces_and_owners_have_keys_of_their_own(store: RedisStore, admin: redis.Redis) -> None:
    """Whatever an owner's bytes are."""
    owners = [b"{00}" + bytes(12), b"@" * 16, b"." * 16, *map(owner_of, range(3))]
    stores = [store, store.namespace("a"), store.namespace("a").namespace("a"), store.namespace("a_a")]
    for each in stores:
        for number, owner in enumerate(owners):
            assert each.create(a_record(number, owner=owner))

    for each in stores:
        assert [each.owned_by(owner, NOW) for owner in owners] == [[record] for record in each.scan()]
    assert len(admin.keys()) == len(stores) * (2 * len(owners) + 1)


# a cluster


def test_a_slot_that_has_moved_is_found(clustered: RedisStore, redis_cluster: servers.RedisCluster) -> None:
    """Also while it moves: what is there already is read there, and what must not be changed meanwhile says so."""
    store, (source, target, _) = clustered, redis_cluster.primaries()
    number = next(number for number in range(256) if _has(source, number))
    record = spread(number)
    records = [record, spread(number + 256)]
    for each in records:
        store.create(each)
    with source.client() as here, target.client() as there:
        slot = here.execute_command("CLUSTER", "KEYSLOT", Keys().index(record.id))
        names = [client.execute_command("CLUSTER", "MYID").decode() for client in (here, there)]
        there.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
        here.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
        here.execute_command("MIGRATE", target.host, target.port, Keys().record(record.id), 0, 5000)

        assert store.load(record.id, NOW) == record
        assert store.scan() == records
        with pytest.raises(StoreUnavailable, match="is moving"):
            store.replace(record._replace(version=2))

        here.execute_command("MIGRATE", target.host, target.port, Keys().index(record.id), 0, 5000)
        here.execute_command("MIGRATE", target.host, target.port, Keys().record(records[1].id), 0, 5000)
        assert store.replace(record._replace(version=2))
        for node in redis_cluster.primaries():
            with node.client() as client:
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", names[1])
        assert store.replace(record._replace(version=3))
        assert store.delete(record.id)


def _has(node: servers.Redis, number: int) -> bool:
    """Whether this primary has the records whose ids begin with this byte."""
    with node.client() as client:
        try:
            client.get(Keys().indexes[number] + b"x")
        except redis.RedisError:
            return False
    return True
