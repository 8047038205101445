# ruff: noqa: S101  (this is a test suite: it asserts)
"""What a store promises to callers at the same moment: the part of `StoreContract` that needs threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from ..stores.base import Record, Store
from .races import race
from .store_cases import ALICE, BOB, DAY, HOUR, NOW, SLACK, a_record, id_of, owner_of

THREADS = 16
ROUNDS = THREADS  # a race is run again and again, because a wrong store may be lucky
RIVALS = [owner_of(thread) for thread in range(THREADS)]  # each thread writes for an owner of its own

_Seen = TypeVar("_Seen")

_LONG_AGO = NOW - SLACK - HOUR

#: Alive, and of an owner whose other records are pruned.
_BYSTANDER = a_record(1000, owner=ALICE)


def check_owners(store: Store) -> None:
    """Whoever owns a live record finds it as it is stored, and nobody finds anything else."""
    stored = store.scan()
    for owner in (ALICE, BOB, *RIVALS):
        theirs = [record for record in stored if record.owner == owner and record.expires_at > NOW]
        assert store.owned_by(owner, NOW) == theirs, f"owned_by({owner!r}) is not what scan() shows of this owner"


class StoreRaces:
    """The tests of `StoreContract` in which several threads use a store.

    In all of them the records have owners, who are asked afterwards: an index goes wrong where writers meet.
    """

    def make_store(self) -> Store:
        """A store with nothing in it."""
        raise NotImplementedError("define make_store(self) so that it returns an empty store")

    # create, replace, delete

    def test_create_race_has_one_winner(self) -> None:
        """Of several callers that race to create one id, exactly one gets True."""
        store = self.make_store()
        for number in range(ROUNDS):
            rivals = [a_record(number, owner=owner, payload=owner) for owner in RIVALS]

            won = race(store.create, rivals)

            assert won.count(True) == 1
            assert store.load(id_of(number), NOW) == rivals[won.index(True)]
            check_owners(store)

    def test_replace_race_has_one_winner(self) -> None:
        """Of several callers that race to replace one version, exactly one gets True.

        Callers that lose leave no trace among the owners, and the previous owner no longer has the record.
        """
        store = self.make_store()
        for number in range(ROUNDS):
            store.create(a_record(number, owner=ALICE))
            rivals = [a_record(number, version=2, owner=owner, payload=owner) for owner in RIVALS]

            won = race(store.replace, rivals)

            assert won.count(True) == 1
            assert store.load(id_of(number), NOW) == rivals[won.index(True)]
            check_owners(store)

    def test_replace_race_with_delete_brings_nothing_back(self) -> None:
        """It never creates, whoever deletes at the same moment. Nobody owns what is gone."""
        store = self.make_store()
        for number in range(ROUNDS):
            new = a_record(number, version=2, owner=ALICE)
            store.create(a_record(number, owner=BOB))

            _race_among(number, partial(store.delete, new.id), partial(store.replace, new))

            assert store.load(id_of(number), NOW) is None
            check_owners(store)

    def test_no_increment_is_lost(self) -> None:
        """The point of it all: to load, change and replace, again if that was False, adds up exactly."""
        store = self.make_store()
        store.create(a_record(owner=ALICE, payload=b"0"))

        race(partial(_count_and_pass_on, store, 1), [5] * THREADS)

        total = 5 * THREADS
        assert store.load(id_of(1), NOW) == a_record(version=total + 1, owner=ALICE, payload=b"%d" % total)
        check_owners(store)

    def test_a_reader_never_sees_half_a_replace(self) -> None:
        """Owner, expiry and payload change together or not at all."""
        store = self.make_store()
        first, *faces = [_face(version) for version in range(1, 101)]
        store.create(first)

        seen = _seen_during(lambda: [store.replace(face) for face in faces], lambda: store.load(id_of(1), NOW))

        assert set(seen) <= {first, *faces}
        check_owners(store)

    def test_delete_race_has_one_winner(self) -> None:
        """True only for the one call that removed it."""
        store = self.make_store()
        for number in range(ROUNDS):
            store.create(a_record(number, owner=ALICE))

            assert race(store.delete, [id_of(number)] * THREADS).count(True) == 1
            check_owners(store)

    # touch

    def test_touch_race_with_replace_undoes_nothing(self) -> None:
        """A touch of the old version neither brings back the old payload nor lengthens the new life."""
        store = self.make_store()
        for number in range(ROUNDS):
            new = a_record(number, version=2, owner=BOB, payload=b"new", expires_at=NOW + 9)
            store.create(a_record(number, owner=ALICE))

            _race_among(number, partial(store.replace, new), partial(store.touch, new.id, 1, NOW + DAY))

            assert store.load(id_of(number), NOW) == new
            check_owners(store)

    def test_touch_race_ends_with_the_latest_time(self) -> None:
        """Of several that extend the life of one record, the one that grants most wins, whoever comes last."""
        store = self.make_store()
        for number in range(ROUNDS):
            store.create(a_record(number, owner=ALICE))

            race(partial(store.touch, id_of(number), 1), [NOW + HOUR + thread for thread in range(THREADS)][::-1])

            latest = NOW + HOUR + THREADS - 1
            assert store.load(id_of(number), NOW) == a_record(number, owner=ALICE, expires_at=latest)
            check_owners(store)

    # owned_by

    def test_owned_by_is_right_while_owners_change(self) -> None:
        """It shows no record of another owner, and misses none that was the owner's all the time."""
        store = self.make_store()
        hers, shared = a_record(1, owner=ALICE), a_record(2, owner=ALICE)
        store.create(hers)
        store.create(shared)

        def change() -> None:
            for version in range(2, 60):
                store.replace(hers._replace(version=version))
                store.replace(shared._replace(version=version, owner=BOB if version % 2 == 0 else ALICE))

        for found in _seen_during(change, lambda: store.owned_by(ALICE, NOW)):
            assert [each.owner for each in found] == [ALICE] * len(found)
            assert hers.id in [each.id for each in found]
        check_owners(store)

    def test_owned_by_keeps_up_with_owners_that_come_back(self) -> None:
        """The owner who has a record after many changes back and forth finds it, and the other does not."""
        store = self.make_store()
        for number in range(ROUNDS):
            store.create(a_record(number, owner=ALICE, payload=b"0"))

            race(partial(_count_and_pass_on, store, number), [5] * 4)

            check_owners(store)

    def test_owned_by_finds_what_was_made_anew(self) -> None:
        """An id that many delete and create again at once is its last owner's if it is there in the end."""
        store = self.make_store()

        def make_or_delete(turn: int) -> None:
            owner = ALICE if turn < 2 else BOB
            for count in range(20):
                if (count + turn) % 2:
                    store.create(a_record(owner=owner))
                else:
                    store.delete(id_of(1))

        for _ in range(ROUNDS):
            race(make_or_delete, range(4))

            check_owners(store)

    # prune and scan

    def test_prune_race_with_replace_removes_nothing_alive(self) -> None:
        """What a replace has given a new life stays. What prune has removed is not found by replace."""
        self._prune_race(lambda store, number: store.replace(a_record(number, version=2, owner=BOB)))

    def test_prune_race_with_touch_brings_nothing_back(self) -> None:
        """What prune has removed does not come back, however long a touch would let it live."""
        self._prune_race(lambda store, number: store.touch(id_of(number), 1, NOW + HOUR))

    def test_prune_race_counts_each_record_once(self) -> None:
        """Several callers that prune at once count each record that they remove once."""
        store = self.make_store()
        for number in range(200):
            store.create(a_record(number, expires_at=_LONG_AGO, owner=ALICE))
        store.create(_BYSTANDER)

        counts = race(lambda _: [store.prune(NOW, 10) for _ in range(4)], range(THREADS))

        left = store.scan()
        assert sum(map(sum, counts)) + len(left) == 200 + 1
        assert _BYSTANDER in left
        check_owners(store)

    def test_scan_while_others_write_visits_what_stays_once(self) -> None:
        """Page by page, every record that was there all the time exactly once, and none twice."""
        store = self.make_store()
        staying = [id_of(number) for number in range(0, 60, 2)]
        for number in range(0, 60, 2):
            store.create(a_record(number, owner=ALICE))

        def come_and_go() -> None:
            for version in range(2, 8):
                for number in range(1, 60, 2):
                    store.create(a_record(number, owner=ALICE))
                    store.replace(a_record(number - 1, version=version, owner=BOB))
                    store.delete(id_of(number))

        for visited in _seen_during(come_and_go, lambda: _walk(store)):
            assert visited == sorted(set(visited))
            assert [id for id in visited if id in staying] == staying
        check_owners(store)

    def test_a_namespace_that_several_ask_for_at_once_is_one(self) -> None:
        """The same name always means the same records, even for callers that use it first and at once."""
        store = self.make_store()
        for number in range(ROUNDS):
            name = f"name_{number}"

            siblings = race(store.namespace, [name] * THREADS)

            assert {sibling.path for sibling in siblings} == {(*store.path, name)}
            rivals = [a_record(owner=owner) for owner in RIVALS]
            won = [sibling.create(rival) for sibling, rival in zip(siblings, rivals, strict=True)]
            assert won.count(True) == 1
            assert store.namespace(name).load(id_of(1), NOW) == rivals[won.index(True)]
            check_owners(store.namespace(name))

    def _prune_race(self, revive: Callable[[Store, int], object]) -> None:
        store = self.make_store()
        store.create(_BYSTANDER)
        for number in range(ROUNDS):
            store.create(a_record(number, owner=ALICE, expires_at=_LONG_AGO))

            calls: list[Callable[[], Any]] = [partial(store.prune, NOW)] * 4
            calls.insert(number % 5, partial(revive, store, number))

            removed = race(lambda call: call(), calls)
            answer = removed.pop(number % 5)

            found = store.load(id_of(number), NOW)
            assert sum(removed) == (found is None)
            assert answer in (None, found is not None)
            assert store.prune(NOW) == 0
            assert store.load(id_of(number), NOW) == found
            check_owners(store)
            store.delete(id_of(number))


def _face(version: int) -> Record:
    """A record in which every field shows the version."""
    owner = (ALICE, BOB, None)[version % 3]
    return a_record(version=version, expires_at=NOW + version, owner=owner, payload=b"%d" % version)


def _count_and_pass_on(store: Store, number: int, times: int) -> None:
    """Add one to what the record holds and give it to the other owner, `times` times."""
    while times:
        found = store.load(id_of(number), NOW)
        assert found is not None
        other = BOB if found.owner == ALICE else ALICE
        payload = b"%d" % (int(found.payload) + 1)
        times -= store.replace(found._replace(version=found.version + 1, owner=other, payload=payload))


def _walk(store: Store) -> list[bytes]:
    """The ids that a scan visits, in small pages."""
    visited: list[bytes] = []
    while page := store.scan(visited[-1] if visited else None, 4):
        assert not visited or page[0].id > visited[-1], "a page begins after the id that it was asked to begin after"
        visited += [each.id for each in page]
    return visited


def _race_among(position: int, one: Callable[[], Any], many: Callable[[], Any]) -> None:
    """Call `one()` once and `many()` 15 times. The one starts in this position, as threads tend to run in order."""
    calls = [many] * THREADS
    calls[position % THREADS] = one
    race(lambda call: call(), calls)


def _seen_during(work: Callable[[], object], look: Callable[[], _Seen]) -> list[_Seen]:
    """What `look()` returned to several threads, again and again until `work()` was done."""
    seen: list[_Seen] = []
    is_done = threading.Event()

    def watch() -> None:
        while not is_done.is_set():
            seen.append(look())

    def run() -> None:
        try:
            work()
        finally:
            is_done.set()

    race(lambda call: call(), [watch, watch, watch, run])
    return [*seen, look()]
