# ruff: noqa: S101  (this is a test suite: it asserts)
"""`StoreContract` says whether a store keeps every promise of `sessionware.stores.base`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import ConfigError
from ..stores.base import Record, Store
from .races import race

_HOUR = 3600
_DAY = 24 * _HOUR
_SLACK = 2 * _HOUR  # for so long a store may leave an expired record
_THREADS = 16
_ROUNDS = _THREADS  # a race is run again and again, since a wrong store may be lucky

# The real present: a store that lets its medium expire records, with slack, goes by the real clock as well.
_NOW = int(time.time())

_ALICE = b"alice".ljust(16, b"\0")
_BOB = b"bob".ljust(16, b"\0")


class StoreContract:
    """One test for each promise that a store makes. Subclass it, say how to make an empty store, and run pytest:

    >>> from sessionware import MemoryStore
    >>> from sessionware.testing import StoreContract
    >>> class TestMyStore(StoreContract):
    ...     def make_store(self):
    ...         return MemoryStore()

    Each test calls `make_store` once and must not find what others left. What it needs, a directory or a server, comes
    from a fixture with `autouse=True`, as in any test class. All records expire within some hours of the present.

    One promise is left to you, for only you can break your medium: that every failure of it is `StoreUnavailable`.
    """

    def make_store(self) -> Store:
        """A store with nothing in it."""
        raise NotImplementedError("define make_store(self) so that it returns an empty store")

    def _with(self, *records: Record) -> Store:
        store = self.make_store()
        for record in records:
            assert store.create(record) is True
        return store

    # create

    def test_create_stores_every_field(self) -> None:
        """Add a new record."""
        store = self.make_store()
        record = _record(version=7, owner=_ALICE)

        assert store.create(record) is True
        assert store.load(record.id, _NOW) == record

    def test_create_changes_nothing_if_the_id_is_there(self) -> None:
        """False, and nothing changed, if a record of this id is there."""
        store = self._with(_record(owner=_ALICE))

        assert store.create(_record(owner=_BOB, payload=b"other", version=2, expires_at=_NOW + 9)) is False
        assert store.scan() == [_record(owner=_ALICE)]
        assert store.owned_by(_BOB, _NOW) == []

    def test_create_changes_nothing_if_an_expired_record_has_the_id(self) -> None:
        """False, and nothing changed, be that record expired or not."""
        store = self._with(_record(expires_at=_NOW - 1))

        assert store.create(_record(payload=b"other")) is False
        assert store.scan() == [_record(expires_at=_NOW - 1)]

    def test_create_race_has_one_winner(self) -> None:
        """Of several that race to create one id, exactly one gets True."""
        store = self.make_store()
        for number in range(_ROUNDS):
            rivals = [_record(number, payload=b"%d" % thread) for thread in range(_THREADS)]

            won = race(store.create, rivals)

            assert won.count(True) == 1
            assert store.load(_id(number), _NOW) == rivals[won.index(True)]

    # load

    def test_load_of_an_unknown_id_is_none(self) -> None:
        """None if it is not there."""
        store = self._with(_record(1))

        assert store.load(_id(2), _NOW) is None

    def test_load_shows_a_record_until_the_second_before_it_expires(self) -> None:
        """None if `expires_at <= now`, and not earlier."""
        store = self._with(_record(expires_at=_NOW + 100))

        assert store.load(_id(1), _NOW + 99) is not None
        assert store.load(_id(1), _NOW + 100) is None
        assert store.load(_id(1), _NOW + 101) is None

    def test_load_changes_nothing(self) -> None:
        """Changes nothing, though it finds the record expired."""
        store = self._with(_record())

        store.load(_id(1), _NOW + 2 * _HOUR)

        assert store.load(_id(1), _NOW) == _record()

    def test_load_returns_the_types_that_were_stored(self) -> None:
        """A `Record` of bytes and ints, not of what a database driver makes of them; no owner is None."""
        store = self._with(_record(1, owner=_ALICE), _record(2))

        for number, owner in [(1, bytes), (2, type(None))]:
            record = store.load(_id(number), _NOW)
            assert type(record) is Record
            assert [type(field) for field in record] == [bytes, int, int, owner, bytes]

    def test_every_byte_comes_back(self) -> None:
        """Ids, owners and payloads are bytes of any value; nothing is text, nothing ends at a zero."""
        every = bytes(range(256))
        parts = [every[start : start + 16] for start in range(0, 256, 16)]
        records = [_record(id=part, owner=part, payload=every + part) for part in parts]
        store = self._with(*records)

        assert [store.load(record.id, _NOW) for record in records] == records
        assert [store.owned_by(part, _NOW) for part in parts] == [[record] for record in records]

    def test_a_large_payload_comes_back(self) -> None:
        """A session has up to 256 KiB, and is a little larger when it is sealed."""
        record = _record(payload=bytes(range(256)) * 1030)
        store = self._with(record)

        assert store.load(record.id, _NOW) == record

    def test_times_after_2106_come_back(self) -> None:
        """Whole seconds since the epoch, however many bits that takes."""
        store = self._with(_record(expires_at=2**32 + 1))

        assert store.load(_id(1), _NOW) == _record(expires_at=2**32 + 1)

    # replace

    def test_replace_changes_every_field(self) -> None:
        """Owner, expiry and payload change together."""
        store = self._with(_record())
        record = _record(version=2, expires_at=_NOW + 9, owner=_ALICE, payload=b"other")

        assert store.replace(record) is True
        assert store.load(_id(1), _NOW) == record

    def test_replace_changes_nothing_unless_the_version_is_the_next(self) -> None:
        """False, and nothing changed, if there is none with version `record.version - 1`."""
        store = self._with(_record(version=5))

        for version in (1, 4, 5, 7):
            assert store.replace(_record(version=version, owner=_BOB, payload=b"other", expires_at=_NOW + 9)) is False
        assert store.scan() == [_record(version=5)]
        assert store.owned_by(_BOB, _NOW) == []

    def test_replace_never_creates(self) -> None:
        """Neither a record that never was, nor one that was deleted."""
        store = self._with(_record(1))
        store.delete(_id(1))

        assert store.replace(_record(1, version=2)) is False
        assert store.replace(_record(2, version=1)) is False
        assert store.scan() == []

    def test_replace_race_has_one_winner(self) -> None:
        """Of several that race to replace one version, exactly one gets True."""
        store = self._with(_record())
        for version in range(2, _ROUNDS + 2):
            rivals = [_record(version=version, payload=b"%d" % thread) for thread in range(_THREADS)]

            won = race(store.replace, rivals)

            assert won.count(True) == 1
            assert store.load(_id(1), _NOW) == rivals[won.index(True)]

    def test_replace_race_with_delete_brings_nothing_back(self) -> None:
        """Never creates, whoever deletes at the same moment."""
        store = self.make_store()
        for number in range(_ROUNDS):
            new = _record(number, version=2)
            store.create(_record(number))

            _race_among(number, partial(store.delete, new.id), partial(store.replace, new))

            assert store.load(_id(number), _NOW) is None

    def test_no_increment_is_lost(self) -> None:
        """The point of it all: load, change and replace, again if it was False, adds up exactly."""
        store = self._with(_record(payload=b"0"))

        race(lambda times: _increment(store, times), [5] * _THREADS)

        assert store.load(_id(1), _NOW) == _record(version=5 * _THREADS + 1, payload=b"%d" % (5 * _THREADS))

    def test_a_reader_never_sees_half_a_replace(self) -> None:
        """Owner, expiry and payload change together or not at all."""
        first, *faces = [_face(version) for version in range(1, 101)]
        store = self._with(first)

        _, *seen = _race_among(
            0, lambda: [store.replace(face) for face in faces], lambda: [store.load(_id(1), _NOW) for _ in faces]
        )

        assert {record for records in seen for record in records} <= {first, *faces}

    # touch

    def test_touch_lets_a_record_live_longer(self) -> None:
        """Until `expires_at`. Nothing else changes, its version neither."""
        store = self._with(_record(owner=_ALICE))

        store.touch(_id(1), 1, _NOW + _DAY)

        assert store.load(_id(1), _NOW + _DAY - 1) == _record(owner=_ALICE, expires_at=_NOW + _DAY)
        assert store.load(_id(1), _NOW + _DAY) is None

    def test_touch_never_shortens_a_life(self) -> None:
        """Only if it would end earlier."""
        store = self._with(_record())

        store.touch(_id(1), 1, _NOW + 9)

        assert store.load(_id(1), _NOW) == _record()

    def test_touch_of_another_version_does_nothing(self) -> None:
        """Only if it has this version."""
        store = self._with(_record(version=5))

        for version in (4, 6):
            store.touch(_id(1), version, _NOW + _DAY)

        assert store.load(_id(1), _NOW) == _record(version=5)

    def test_touch_never_creates(self) -> None:
        """A record that is not there stays away."""
        store = self.make_store()

        store.touch(_id(1), 1, _NOW + _HOUR)

        assert store.scan() == []

    def test_touch_race_with_replace_undoes_nothing(self) -> None:
        """A touch of the old version neither brings back the old payload nor lengthens the new life."""
        store = self.make_store()
        for number in range(_ROUNDS):
            new = _record(number, version=2, payload=b"new", expires_at=_NOW + 9)
            store.create(_record(number))

            _race_among(number, partial(store.replace, new), partial(store.touch, new.id, 1, _NOW + _DAY))

            assert store.load(_id(number), _NOW) == new

    # delete

    def test_delete_removes_the_record_whatever_its_version(self) -> None:
        """Whatever its version, and nothing else."""
        store = self._with(_record(1, version=5, owner=_ALICE), _record(2))

        assert store.delete(_id(1)) is True
        assert store.scan() == [_record(2)]
        assert store.owned_by(_ALICE, _NOW) == []

    def test_delete_returns_true_once(self) -> None:
        """True only for the one call that removed it; never for what was not there."""
        store = self._with(_record(1))

        assert [store.delete(_id(1)), store.delete(_id(1)), store.delete(_id(2))] == [True, False, False]

    def test_delete_makes_room_for_the_id(self) -> None:
        """Removed is removed: the id can be created again."""
        store = self._with(_record(owner=_ALICE))
        store.delete(_id(1))

        assert store.create(_record(payload=b"again")) is True
        assert store.scan() == [_record(payload=b"again")]

    def test_delete_race_has_one_winner(self) -> None:
        """True only for the one call that removed it."""
        store = self.make_store()
        for number in range(_ROUNDS):
            store.create(_record(number))

            assert race(store.delete, [_id(number)] * _THREADS).count(True) == 1

    # prune

    def test_prune_removes_what_expired_two_hours_ago(self) -> None:
        """Remove records with `expires_at <= now`, two hours late at most, and return how many."""
        live = _record(9, expires_at=_NOW + _DAY)
        store = self._with(live, *(_record(number, expires_at=_NOW + number, owner=_ALICE) for number in range(3)))

        assert store.prune(_NOW + 2 + _SLACK) == 3
        assert store.scan() == [live]

    def test_prune_never_removes_a_live_record(self) -> None:
        """Not even in its last second."""
        store = self._with(_record(expires_at=_NOW + 9))

        assert store.prune(_NOW + 8) == 0
        assert store.load(_id(1), _NOW + 8) is not None

    def test_prune_removes_no_more_than_its_limit(self) -> None:
        """Up to `limit`; going on until it returns 0 removes them all."""
        store = self._with(*map(_record, range(5)))

        assert [store.prune(_NOW + _HOUR + _SLACK, limit=2) for _ in range(4)] == [2, 2, 1, 0]
        assert store.scan() == []

    def test_prune_knows_what_touch_did(self) -> None:
        """A record that was touched again and again is live until the last of these times, and no longer."""
        store = self._with(_record())
        for minutes in range(0, 600, 7):
            store.touch(_id(1), 1, end := _NOW + _HOUR + 60 * minutes)
            assert store.prune(end - 1) == 0

        assert store.load(_id(1), end - 1) == _record(expires_at=end)
        assert store.prune(end + _SLACK) == 1

    def test_prune_knows_what_replace_did(self) -> None:
        """The new expiry counts, be it later or earlier."""
        store = self._with(_record(1), _record(2, expires_at=_NOW + _DAY))
        store.replace(_record(1, version=2, expires_at=_NOW + _DAY))
        store.replace(_record(2, version=2, expires_at=_NOW + 9))

        assert store.prune(_NOW + _HOUR + _SLACK) == 1
        assert store.scan() == [_record(1, version=2, expires_at=_NOW + _DAY)]

    def test_prune_knows_what_delete_did(self) -> None:
        """What is gone is neither counted nor stumbled over."""
        store = self._with(_record(1), _record(2))
        store.delete(_id(1))

        assert store.prune(_NOW + _HOUR + _SLACK) == 1

    def test_prune_works_again_and_again(self) -> None:
        """Also for records that expire at a time for which it has been through."""
        store = self.make_store()
        for number in range(3):
            store.create(_record(number))

            assert store.prune(_NOW + _HOUR + _SLACK) == 1

    # owned_by

    def test_owned_by_lists_one_owner_in_id_order(self) -> None:
        """All records of this owner, in id order."""
        owners = {3: _ALICE, 200: _ALICE, 1: _ALICE, 2: _BOB, 4: None}
        store = self._with(*(_record(number, owner=owner) for number, owner in owners.items()))

        assert store.owned_by(_ALICE, _NOW) == [_record(number, owner=_ALICE) for number in (1, 3, 200)]
        assert store.owned_by(_BOB, _NOW) == [_record(2, owner=_BOB)]
        assert store.owned_by(b"nobody".ljust(16, b"\0"), _NOW) == []

    def test_owned_by_leaves_out_expired_records(self) -> None:
        """Only records that have not expired."""
        earlier, later = (_record(number, owner=_ALICE, expires_at=_NOW + number) for number in (1, 2))
        store = self._with(earlier, later)

        assert store.owned_by(_ALICE, _NOW) == [earlier, later]
        assert store.owned_by(_ALICE, _NOW + 1) == [later]

    def test_owned_by_follows_a_replace(self) -> None:
        """After a login, a change of user and a logout, the record is found under the new owner alone."""
        store = self._with(_record())
        for version, owner in enumerate([_ALICE, _BOB, _ALICE, None], 2):
            store.replace(_record(version=version, owner=owner))

            for each in (_ALICE, _BOB):
                expected = [_record(version=version, owner=owner)] if each == owner else []
                assert store.owned_by(each, _NOW) == expected

    # scan

    def test_scan_shows_every_record_in_id_order(self) -> None:
        """In id order (as unsigned bytes), expired ones too."""
        ids = [bytes([first]) * 16 for first in (0x80, 0x00, 0xFF, 0x7F, 0x41, 0x61)]
        records = [_record(id=id, expires_at=_NOW - 1 + number) for number, id in enumerate(ids)]
        store = self._with(*records)

        assert store.scan() == sorted(records)

    def test_scan_begins_right_behind_an_id(self) -> None:
        """Right behind `after`, which need not be there."""
        store = self._with(_record(1), _record(3), _record(5))

        assert store.scan(after=_id(3)) == [_record(5)]
        assert store.scan(after=_id(2)) == [_record(3), _record(5)]
        assert store.scan(after=_id(5)) == []

    def test_scan_page_by_page_visits_every_record_once(self) -> None:
        """Every record that was there all the time exactly once, though others come and go between the pages."""
        store = self._with(*map(_record, range(0, 40, 2)))
        visited: list[Record] = []
        while page := store.scan(after=visited[-1].id if visited else None, limit=3):
            assert len(page) <= 3
            visited += page
            store.delete(page[0].id)
            store.delete(page[-1].id)
            store.create(page[0]._replace(id=_id(page[0].id[-1] + 1)))

        assert [record.id for record in visited if record.id[-1] % 2 == 0] == [_id(n) for n in range(0, 40, 2)]
        assert len(set(visited)) == len(visited)

    # namespace

    def test_a_namespace_keeps_its_records_apart(self) -> None:
        """What one store does, the other does not see, though both have a record of the same id and owner."""
        store = self.make_store()
        sibling = store.namespace("sibling")
        store.create(_record(owner=_ALICE))

        assert sibling.load(_id(1), _NOW) is None
        assert sibling.scan() == sibling.owned_by(_ALICE, _NOW) == []
        assert sibling.create(_record(owner=_ALICE, payload=b"other")) is True
        assert sibling.replace(_record(version=2, payload=b"other")) is True
        assert sibling.prune(_NOW + _HOUR + _SLACK) == 1
        assert sibling.delete(_id(1)) is False
        assert store.scan() == store.owned_by(_ALICE, _NOW) == [_record(owner=_ALICE)]

    def test_a_namespace_of_the_same_name_has_the_same_records(self) -> None:
        """The same name, the same records; another name, others."""
        store = self.make_store()
        store.namespace("one").create(_record())

        assert store.namespace("one").load(_id(1), _NOW) == _record()
        assert store.namespace("two").load(_id(1), _NOW) is None

    def test_a_namespace_in_a_namespace_is_apart(self) -> None:
        """Apart from this one's, also where this one is a namespace itself; and names do not run together."""
        store = self.make_store()
        store.namespace("a").create(_record())

        for sibling in (store.namespace("a").namespace("a"), store.namespace("a_a"), store.namespace("aa")):
            assert sibling.create(_record()) is True

    def test_a_namespace_is_named_like_an_identifier(self) -> None:
        """1 to 32 lower-case letters, digits and `_`, beginning with a letter; else `ConfigError`."""
        store = self.make_store()
        for name in ("a", "z" * 32, "x_1_", "select"):
            assert store.namespace(name).create(_record()) is True

        for name in ("", "z" * 33, "A", "aB", "1a", "_a", "a-b", "a.b", "a b", "a/b", "../a", "é", "a\n", 'a"', "a٣"):
            assert _refuses(store, name), f"namespace({name!r}) was not refused"


def _id(number: int) -> bytes:
    """Ids are in the order of their numbers."""
    return number.to_bytes(16, "big")


def _record(number: int = 1, **fields: Any) -> Record:
    """A record that expires in an hour, with these fields instead."""
    return Record(_id(number), 1, _NOW + _HOUR, None, b"payload")._replace(**fields)


def _face(version: int) -> Record:
    """A record in which every field tells the version."""
    owner = _ALICE if version % 2 else None
    return _record(version=version, expires_at=_NOW + version, owner=owner, payload=b"%d" % version)


def _increment(store: Store, times: int) -> None:
    while times:
        record = store.load(_id(1), _NOW)
        assert record is not None
        new = record._replace(version=record.version + 1, payload=b"%d" % (int(record.payload) + 1))
        times -= store.replace(new)


def _refuses(store: Store, name: str) -> bool:
    try:
        store.namespace(name)
    except ConfigError:
        return True
    return False


def _race_among(position: int, one: Callable[[], Any], many: Callable[[], Any]) -> list[Any]:
    """What `one()` and 15 times `many()` return. The one starts in this position, for threads tend to run in order."""
    calls = [many] * _THREADS
    calls[position % _THREADS] = one
    return race(lambda call: call(), calls)
