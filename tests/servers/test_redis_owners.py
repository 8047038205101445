"""Nobody's sessions are missed: the scripts that keep an owner's set, step by step, in every order that matters.

In a cluster a login takes several commands, and so does looking for an owner's sessions. Here each is a step of its
own, the real scripts run in a real server, and only the clock is told. After each step, an owner who has a live record
must have it in the set. Each rule that `_redis_scripts` gives is also taken away, to see that some order then misses a
session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, product

import pytest
import redis

from sessionware.stores import _redis_scripts as scripts
from sessionware.stores._redis_format import Keys, packed_owner, packed_version, unpacked
from sessionware.testing.store_cases import ALICE, BOB, DAY, HOUR, NOW, id_of
from tests.support import database_servers as servers

KEYS, ID = Keys(), id_of(1)
PAIR = [KEYS.record(ID), KEYS.index(ID)]

#: What a rule is in the scripts, and what is there without it.
WITHOUT = {
    "a claim is good for half a minute": ("CLAIM_IS_GOOD = 30", "CLAIM_IS_GOOD = math.huge"),
    "only old claims are taken back": ("PATIENCE = 60", "PATIENCE = -1"),
    "only unchanged claims are taken back": ("tonumber(score) == tonumber(ARGV[place + 1])", "true"),
    "a claim is good as long as any before": ("if before then", "if false then"),
    "a longer life is claimed first": ("owner_until < new_end", "false"),
    "a claim comes first": ("elseif claimed == ''", "elseif claimed == '' then claimed = '0' elseif claimed == ''"),
}


class World:
    """A server, the time that its scripts see, and the rule that they lack."""

    def __init__(self, client: redis.Redis, without: str | None = None) -> None:
        self._client = client
        self._change = WITHOUT[without] if without else ("", "")
        self.now = NOW
        client.flushall()

    def run(self, script: scripts.Script, keys: list[bytes], *arguments: object) -> object:
        ahead = self.now - self._client.time()[0]
        text = script.text.replace("redis.call('TIME')[1]", f"'{self.now}'").replace(*self._change)
        text = text.replace("redis.call('TTL', owner)", f"redis.call('TTL', owner) - {ahead}")
        return self._client.eval(text, len(keys), *keys, *arguments)  # type: ignore[arg-type]

    def claim(self, owner: bytes, expires_at: int, id: bytes = ID) -> list[int]:
        return self.run(scripts.CLAIM, [KEYS.owner(owner)], id, expires_at)  # type: ignore[return-value]

    def create(self, owner: bytes, expires_at: int, claim: object = ("", "")) -> object:
        return self.run(scripts.CREATE, PAIR, ID, packed_version(1), expires_at, packed_owner(owner), b"", *claim)  # type: ignore[misc]

    def replace(self, version: int, owner: bytes, expires_at: int, claim: list[int]) -> object:
        versions = packed_version(version), packed_version(version - 1)
        fixed = (ID, versions[0], expires_at, packed_owner(owner), b"", *claim)
        return self.run(scripts.REPLACE, PAIR, *fixed, versions[1])

    def touch(self, version: int, expires_at: int, owner: bytes | None = None, claim: object = ("", "")) -> object:
        fixed = (ID, packed_version(version), expires_at, packed_owner(owner))
        return self.run(scripts.TOUCH, PAIR, *fixed, *claim)  # type: ignore[misc]

    def misses_a_session(self) -> bool:
        """Whether a live record is of an owner who would not find it."""
        value = self._client.get(PAIR[0])
        record = unpacked(ID, value) if isinstance(value, bytes) else None
        if record is None or record.owner is None or record.expires_at <= self.now:
            return False
        key = KEYS.owner(record.owner)
        ends = self._client.execute_command("EXPIRETIME", key)
        return self._client.zscore(key, ID) is None or ends < record.expires_at


Step = Callable[[World], None]


class Login:
    """The record becomes the owner's: it is claimed, then replaced, and both again if the claim was too old."""

    def __init__(self, owner: bytes, *, version: int = 2, life: int = DAY) -> None:
        self._owner, self._version, self._life = owner, version, life

    def steps(self) -> list[Step]:
        return [self._claim, self._replace]

    def _claim(self, world: World) -> None:
        self._ends = world.now + self._life
        self._held = world.claim(self._owner, self._ends)

    def _replace(self, world: World) -> None:
        while world.replace(self._version, self._owner, self._ends, self._held) == 2:
            self._claim(world)


class Look:
    """Somebody lists an owner's sessions, and takes those out of the set that are not."""

    def __init__(self, owner: bytes) -> None:
        self._owner = owner

    def steps(self) -> list[Step]:
        return [self._list, self._verify, self._take_back]

    def _list(self, world: World) -> None:
        found = world.run(scripts.CLAIMED, [KEYS.owner(self._owner)])
        assert isinstance(found, list)
        self._scores = dict(zip(found[::2], found[1::2], strict=True))

    def _verify(self, world: World) -> None:
        value = world._client.get(PAIR[0])
        record = unpacked(ID, value) if isinstance(value, bytes) else None
        is_theirs = record is not None and record.owner == self._owner
        self._stale = [] if is_theirs or not self._scores.get(ID) else [ID, self._scores[ID]]

    def _take_back(self, world: World) -> None:
        world.run(scripts.UNCLAIM, [KEYS.owner(self._owner)], *self._stale)


@pytest.fixture
def client(redis_server: servers.Redis) -> Iterator[redis.Redis]:
    with redis_server.client() as client:
        yield client
        client.flushall()


def orders(one: list[Step], other: list[Step]) -> Iterator[list[Step]]:
    """All orders in which the steps of two can follow each other."""
    total = len(one) + len(other)
    for places in combinations(range(total), len(one)):
        steps = dict(zip(places, one, strict=True))
        rest = iter(other)
        yield [steps[place] if place in steps else next(rest) for place in range(total)]


def misses_some_login(client: redis.Redis, without: str | None = None) -> bool:
    """Alice logs in again where she logged in long ago, while somebody lists her sessions, at any pace."""
    for order in range(10):
        for pauses in product([0, 25, 70], repeat=4):
            world = World(client, without)
            world.now -= 1000
            world.create(ALICE, NOW + HOUR, world.claim(ALICE, NOW + HOUR))
            _log_in(world, BOB, 2)
            world.now += 1000
            steps = list(orders(Login(ALICE, version=3).steps(), Look(ALICE).steps()))[order]
            if _misses(world, steps, pauses):
                return True
    return False


def _log_in(world: World, owner: bytes, version: int) -> None:
    for step in Login(owner, version=version).steps():
        step(world)


def _misses(world: World, steps: list[Step], pauses: tuple[int, ...]) -> bool:
    for step, pause in zip(steps, (*pauses, 0), strict=True):
        step(world)
        if world.misses_a_session():
            return True
        world.now += pause
    return False


def test_no_order_of_a_login_and_a_look_misses_a_session(client: redis.Redis) -> None:
    """Whoever logs in is found from then on, at whatever pace the two go."""
    assert not misses_some_login(client)


@pytest.mark.parametrize(
    "rule",
    [
        "a claim is good for half a minute",
        "only old claims are taken back",
        "only unchanged claims are taken back",
    ],
)
def test_without_this_rule_some_order_misses_a_session(client: redis.Redis, rule: str) -> None:
    """The rule is there for a reason."""
    assert misses_some_login(client, without=rule)


def misses_a_long_life(client: redis.Redis, without: str | None = None) -> bool:
    """A session is touched for days, hour by hour, while its owner logs in elsewhere and so tidies up."""
    world = World(client, without)
    world.create(ALICE, world.now + HOUR, world.claim(ALICE, world.now + HOUR))
    for hour in range(72):
        world.now = NOW + hour * HOUR + 1800
        ends = world.now + HOUR
        answer = world.touch(1, ends)
        if isinstance(answer, bytes):
            assert world.touch(1, ends, answer, world.claim(answer, ends)) == 1
        world.claim(ALICE, ends, id_of(2))
        if world.misses_a_session():
            return True
    return False


def test_a_session_that_is_kept_alive_is_found_all_the_time(client: redis.Redis) -> None:
    """However long its life gets, and however often its owner's set is tidied up."""
    assert not misses_a_long_life(client)
    assert misses_a_long_life(client, without="a longer life is claimed first")


def misses_the_longer_of_two(client: redis.Redis, without: str | None = None) -> bool:
    """Two requests log the same person in, for three days and for an hour. The first one stores, and time goes by."""
    world = World(client, without)
    claims = [world.claim(ALICE, world.now + life) for life in (3 * DAY, HOUR)]
    assert world.create(ALICE, world.now + 3 * DAY, claims[0]) == 1
    world.now += 3 * DAY - HOUR
    world.claim(ALICE, world.now + HOUR, id_of(2))
    return world.misses_a_session()


def test_a_shorter_claim_does_not_shorten_another(client: redis.Redis) -> None:
    """The claim of a request that was too late counts for nothing."""
    assert not misses_the_longer_of_two(client)
    assert misses_the_longer_of_two(client, without="a claim is good as long as any before")


def test_no_record_is_stored_without_a_claim(client: redis.Redis) -> None:
    """A reader between the two would miss it."""
    world = World(client)
    assert world.create(ALICE, NOW + HOUR) == 2
    assert client.keys() == []

    world = World(client, without="a claim comes first")
    world.create(ALICE, NOW + HOUR)
    assert world.misses_a_session()


def test_claims_that_have_run_out_are_swept(client: redis.Redis) -> None:
    """Somebody who logs in every ten minutes and never lists the sessions has a set that does not grow for ever."""
    world = World(client)
    for number in range(600):
        world.now = NOW + 600 * number
        world.claim(ALICE, world.now + 60, id_of(number))

    assert client.zcard(KEYS.owner(ALICE)) <= 6 * (24 + 2) + 2  # a day, two hours and two minutes
