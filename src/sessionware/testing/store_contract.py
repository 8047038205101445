# ruff: noqa: S101  (this is a test suite: it asserts)
"""`StoreContract` tests whether a store keeps every promise of `sessionware.stores.base`."""

from __future__ import annotations

from ..errors import ConfigError
from ..stores.base import Record, Store
from .store_cases import ALICE, BOB, DAY, HOUR, NOW, SLACK, a_record, id_of
from .store_races import StoreRaces


class StoreContract(StoreRaces):
    """One test for each promise that a store makes. Subclass it, say how to make an empty store, and run pytest:

    >>> from sessionware import MemoryStore
    >>> from sessionware.testing import StoreContract
    >>> class TestMyStore(StoreContract):
    ...     def make_store(self):
    ...         return MemoryStore()

    Each test calls `make_store` once and must not find what other tests left. What it needs, such as a directory or a
    server, comes from a fixture with `autouse=True`, as in any test class. Most records expire within a few hours of
    the present.

    One promise is left to you, because only you can break your medium: that every failure of it is `StoreUnavailable`.
    """

    def _with(self, *records: Record) -> Store:
        store = self.make_store()
        for record in records:
            assert store.create(record) is True
        return store

    # create

    def test_create_stores_every_field(self) -> None:
        """Add a new record."""
        store = self.make_store()
        record = a_record(version=7, owner=ALICE)

        assert store.create(record) is True
        assert store.load(record.id, NOW) == record

    def test_create_stores_whatever_version_the_record_has(self) -> None:
        """Records that move here from another store keep theirs."""
        store = self.make_store()
        for version in (1, 2**40):
            assert store.create(a_record(version, version=version)) is True
            assert store.load(id_of(version), NOW) == a_record(version, version=version)
            assert store.replace(a_record(version, version=version + 1)) is True

    def test_create_changes_nothing_if_the_id_is_there(self) -> None:
        """False, with nothing changed, if there is a record with this id."""
        store = self._with(a_record(owner=ALICE))

        assert store.create(a_record(owner=BOB, payload=b"other", version=2, expires_at=NOW + 9)) is False
        assert store.scan() == [a_record(owner=ALICE)]
        assert store.owned_by(BOB, NOW) == []

    def test_create_changes_nothing_if_an_expired_record_has_the_id(self) -> None:
        """False, with nothing changed, whether that record is expired or not."""
        store = self._with(a_record(expires_at=NOW - 1))

        assert store.create(a_record(payload=b"other")) is False
        assert store.scan() == [a_record(expires_at=NOW - 1)]

    # load

    def test_load_of_an_unknown_id_is_none(self) -> None:
        """None if it is not there."""
        store = self._with(a_record(1))

        assert store.load(id_of(2), NOW) is None

    def test_load_shows_a_record_until_the_second_before_it_expires(self) -> None:
        """None if `expires_at <= now`, and not earlier."""
        store = self._with(a_record(expires_at=NOW + 100))

        assert store.load(id_of(1), NOW + 99) is not None
        assert store.load(id_of(1), NOW + 100) is None
        assert store.load(id_of(1), NOW + 101) is None

    def test_load_changes_nothing(self) -> None:
        """Changes nothing, even if it finds the record expired."""
        store = self._with(a_record())

        store.load(id_of(1), NOW + 2 * HOUR)

        assert store.load(id_of(1), NOW) == store.load(id_of(1), 0) == a_record()

    def test_load_returns_the_types_that_were_stored(self) -> None:
        """A `Record` of bytes and ints, not of what a database driver makes of them. Without an owner, that is None."""
        store = self._with(a_record(1, owner=ALICE), a_record(2))

        for number, owner in [(1, bytes), (2, type(None))]:
            record = store.load(id_of(number), NOW)
            assert type(record) is Record
            assert [type(field) for field in record] == [bytes, int, int, owner, bytes]

    def test_every_byte_comes_back(self) -> None:
        """Ids, owners and payloads are bytes of any value. None of them is text, and none ends at a zero."""
        every = bytes(range(256))
        parts = [every[start : start + 16] for start in range(0, 256, 16)]
        records = [a_record(id=part, owner=part, payload=every + part) for part in parts]
        store = self._with(*records)

        assert [store.load(record.id, NOW) for record in records] == records
        assert [store.owned_by(part, NOW) for part in parts] == [[record] for record in records]

    def test_a_large_payload_comes_back(self) -> None:
        """A session may take 256 KiB, and is a little larger when it is sealed."""
        record = a_record(payload=bytes(range(256)) * 1030)
        store = self._with(record)

        assert store.load(record.id, NOW) == record

    def test_times_after_2106_come_back(self) -> None:
        """Whole seconds since the epoch, however many bits that takes."""
        store = self._with(a_record(expires_at=2**32 + 1))

        assert store.load(id_of(1), NOW) == a_record(expires_at=2**32 + 1)

    # replace

    def test_what_has_expired_is_replaced_like_any_other(self) -> None:
        """As long as it is there."""
        assert self._with(a_record(expires_at=NOW - 1)).replace(a_record(version=2)) is True

    def test_replace_changes_every_field(self) -> None:
        """Owner, expiry and payload change together."""
        store = self._with(a_record())
        record = a_record(version=2, expires_at=NOW + 9, owner=ALICE, payload=b"other")

        assert store.replace(record) is True
        assert store.load(id_of(1), NOW) == record

    def test_replace_changes_nothing_unless_the_version_is_the_next(self) -> None:
        """False, with nothing changed, if there is none with version `record.version - 1`."""
        store = self._with(a_record(version=5))

        for version in (1, 4, 5, 7):
            assert store.replace(a_record(version=version, owner=BOB, payload=b"other", expires_at=NOW + 9)) is False
        assert store.scan() == [a_record(version=5)]
        assert store.owned_by(BOB, NOW) == []

    def test_replace_never_creates(self) -> None:
        """Neither a record that never existed, nor one that was deleted."""
        store = self._with(a_record(1))
        store.delete(id_of(1))

        assert store.replace(a_record(1, version=2)) is False
        assert store.replace(a_record(2, version=1)) is False
        assert store.scan() == []

    # touch

    def test_touch_lets_a_record_live_longer(self) -> None:
        """Until `expires_at`. Nothing else changes, not even its version."""
        store = self._with(a_record(owner=ALICE))

        store.touch(id_of(1), 1, NOW + DAY)

        assert store.load(id_of(1), NOW + DAY - 1) == a_record(owner=ALICE, expires_at=NOW + DAY)
        assert store.load(id_of(1), NOW + DAY) is None

    def test_touch_never_shortens_a_life(self) -> None:
        """Only if the record expires earlier."""
        store = self._with(a_record())

        store.touch(id_of(1), 1, NOW + 9)

        assert store.load(id_of(1), NOW) == a_record()

    def test_touch_of_another_version_does_nothing(self) -> None:
        """Only if it has this version."""
        store = self._with(a_record(version=5))

        for version in (4, 6):
            store.touch(id_of(1), version, NOW + DAY)

        assert store.load(id_of(1), NOW) == a_record(version=5)

    def test_touch_never_creates(self) -> None:
        """A record that is not there is not made."""
        store = self.make_store()

        store.touch(id_of(1), 1, NOW + HOUR)

        assert store.scan() == []

    # delete

    def test_delete_removes_the_record_whatever_its_version(self) -> None:
        """Whatever its version, and nothing else."""
        store = self._with(a_record(1, version=5, owner=ALICE), a_record(2))

        assert store.delete(id_of(1)) is True
        assert store.scan() == [a_record(2)]
        assert store.owned_by(ALICE, NOW) == []

    def test_delete_returns_true_once(self) -> None:
        """True only for the one call that removed it; never for what was not there."""
        store = self._with(a_record(1))

        assert [store.delete(id_of(1)), store.delete(id_of(1)), store.delete(id_of(2))] == [True, False, False]

    def test_delete_makes_room_for_the_id(self) -> None:
        """Removed is removed: the id can be created again."""
        store = self._with(a_record(owner=ALICE))
        store.delete(id_of(1))

        assert store.create(a_record(payload=b"again")) is True
        assert store.scan() == [a_record(payload=b"again")]

    # prune

    def test_prune_removes_what_expired_two_hours_ago(self) -> None:
        """Remove records with `expires_at <= now`, two hours late at most, and return how many."""
        live = a_record(9, expires_at=NOW + DAY)
        store = self._with(live, *(a_record(number, expires_at=NOW + number, owner=ALICE) for number in range(3)))

        assert store.prune(NOW + 2 + SLACK) == 3
        assert store.scan() == [live]

    def test_prune_never_removes_a_live_record(self) -> None:
        """Not even in its last second."""
        store = self._with(a_record(expires_at=NOW + 9))

        assert store.prune(NOW + 8) == 0
        assert store.load(id_of(1), NOW + 8) is not None

    def test_prune_removes_no_more_than_its_limit(self) -> None:
        """Up to `limit`. Continuing until it returns 0 removes them all."""
        store = self._with(*map(a_record, range(5)))

        assert [store.prune(NOW + HOUR + SLACK, limit=2) for _ in range(4)] == [2, 2, 1, 0]
        assert store.scan() == []

    def test_prune_knows_what_touch_did(self) -> None:
        """A record that was touched again and again is live until the last of these times, and no longer."""
        store = self._with(a_record())
        for minutes in range(0, 600, 7):
            store.touch(id_of(1), 1, end := NOW + HOUR + 60 * minutes)
            assert store.prune(end - 1) == 0

        assert store.load(id_of(1), end - 1) == a_record(expires_at=end)
        assert store.prune(end + SLACK) == 1

    def test_prune_knows_what_replace_did(self) -> None:
        """The new expiry counts, whether it is later or earlier."""
        store = self._with(a_record(1), a_record(2, expires_at=NOW + DAY))
        store.replace(a_record(1, version=2, expires_at=NOW + DAY))
        store.replace(a_record(2, version=2, expires_at=NOW + 9))

        assert store.prune(NOW + HOUR + SLACK) == 1
        assert store.scan() == [a_record(1, version=2, expires_at=NOW + DAY)]

    def test_prune_knows_what_delete_did(self) -> None:
        """What is gone is neither counted nor stumbled over."""
        store = self._with(a_record(1), a_record(2))
        store.delete(id_of(1))

        assert store.prune(NOW + HOUR + SLACK) == 1

    def test_prune_works_again_and_again(self) -> None:
        """Also for records that expire at a time that it has already been through."""
        store = self.make_store()
        for number in range(3):
            store.create(a_record(number))

            assert store.prune(NOW + HOUR + SLACK) == 1

    # owned_by

    def test_owned_by_lists_one_owner_in_id_order(self) -> None:
        """All records of this owner, in id order."""
        owners = {3: ALICE, 200: ALICE, 1: ALICE, 2: BOB, 4: None}
        records = {
            number: a_record(number, owner=owner, expires_at=NOW + HOUR - number, payload=b"%d" % (300 - number))
            for number, owner in owners.items()
        }
        store = self._with(*records.values())

        assert store.owned_by(ALICE, NOW) == [records[1], records[3], records[200]]
        assert store.owned_by(BOB, NOW) == [records[2]]
        assert store.owned_by(b"nobody".ljust(16, b"\0"), NOW) == []

    def test_owned_by_leaves_out_expired_records(self) -> None:
        """Only records that have not expired."""
        earlier, later = (a_record(number, owner=ALICE, expires_at=NOW + number) for number in (1, 2))
        store = self._with(earlier, later)

        assert store.owned_by(ALICE, NOW) == [earlier, later]
        assert store.owned_by(ALICE, NOW + 1) == [later]

    def test_owned_by_follows_a_replace(self) -> None:
        """After a login, a change of user and a logout, the record is found under the new owner alone."""
        store = self._with(a_record())
        for version, owner in enumerate([ALICE, BOB, ALICE, None], 2):
            store.replace(a_record(version=version, owner=owner))

            for each in (ALICE, BOB):
                expected = [a_record(version=version, owner=owner)] if each == owner else []
                assert store.owned_by(each, NOW) == expected

    # scan

    def test_scan_shows_every_record_in_id_order(self) -> None:
        """In id order (as unsigned bytes), expired ones too."""
        ids = [bytes([first]) * 16 for first in (0x80, 0x00, 0xFF, 0x7F, 0x41, 0x61)]
        records = [a_record(id=id, expires_at=NOW - 1 + number) for number, id in enumerate(ids)]
        store = self._with(*records)

        assert store.scan() == sorted(records)

    def test_scan_begins_right_behind_an_id(self) -> None:
        """Right after the id `after`, which need not be there."""
        store = self._with(a_record(1), a_record(3), a_record(5))

        assert store.scan(after=id_of(3)) == [a_record(5)]
        assert store.scan(after=id_of(2)) == [a_record(3), a_record(5)]
        assert store.scan(after=id_of(5)) == []

    def test_scan_page_by_page_visits_every_record_once(self) -> None:
        """Every record that was there all the time exactly once, even if others come and go between the pages."""
        store = self._with(*map(a_record, range(0, 40, 2)))
        visited: list[Record] = []
        while page := store.scan(after=visited[-1].id if visited else None, limit=3):
            assert len(page) <= 3
            assert page[0] not in visited
            visited += page
            store.delete(page[0].id)
            store.delete(page[-1].id)
            store.create(page[0]._replace(id=id_of(page[0].id[-1] + 1)))

        assert [record.id for record in visited if record.id[-1] % 2 == 0] == [id_of(n) for n in range(0, 40, 2)]
        assert len(set(visited)) == len(visited)

    # namespace

    def test_a_namespace_keeps_its_records_apart(self) -> None:
        """Neither store sees what the other does, even if both have a record with the same id and owner."""
        store = self.make_store()
        sibling = store.namespace("sibling")
        store.create(a_record(owner=ALICE))

        assert sibling.load(id_of(1), NOW) is None
        assert sibling.scan() == sibling.owned_by(ALICE, NOW) == []
        assert sibling.create(a_record(owner=ALICE, payload=b"other")) is True
        assert sibling.replace(a_record(version=2, payload=b"other")) is True
        assert sibling.prune(NOW + HOUR + SLACK) == 1
        assert sibling.delete(id_of(1)) is False
        assert store.scan() == store.owned_by(ALICE, NOW) == [a_record(owner=ALICE)]

    def test_a_namespace_of_the_same_name_has_the_same_records(self) -> None:
        """The same name always means the same records, and another name means others."""
        store = self.make_store()
        store.namespace("one").create(a_record())

        assert store.namespace("one").load(id_of(1), NOW) == a_record()
        assert store.namespace("two").load(id_of(1), NOW) is None

    def test_a_namespace_in_a_namespace_is_apart(self) -> None:
        """It has its own records, even if the store is a namespace itself. Names do not run together."""
        store = self.make_store()
        store.namespace("a").create(a_record())
        siblings = [store.namespace("a").namespace("a")]
        siblings += [store.namespace(name) for name in ("aa", "a_a", "a__a", "a_in_a", "in_a", "a_", "a__")]

        for sibling in siblings:
            assert sibling.create(a_record()) is True, "two namespaces of different names share their records"

    def test_a_store_knows_the_path_that_leads_to_it(self) -> None:
        """The names of its namespaces from the root, as a tuple of text. Opening one anew does not change it."""
        store = self.make_store()
        root = store.path
        child = store.namespace("a")

        assert type(root) is tuple
        assert all(type(name) is str for name in root)
        assert child.path == store.namespace("a").path == (*root, "a")
        assert child.namespace("b_1").path == (*root, "a", "b_1")
        assert store.path == root

    def test_a_namespace_is_named_like_an_identifier(self) -> None:
        """1 to 32 lower-case letters, digits and `_`, beginning with a letter. Anything else is a `ConfigError`."""
        store = self.make_store()
        for name in ("a", "z" * 32, "x_1_", "select"):
            assert store.namespace(name).create(a_record()) is True

        for name in ("", "z" * 33, "A", "aB", "1a", "_a", "a-b", "a.b", "a b", "a/b", "../a", "é", "a\n", 'a"', "a٣"):
            assert _refuses(store, name), f"namespace({name!r}) was not refused"


def _refuses(store: Store, name: str) -> bool:
    try:
        store.namespace(name)
    except ConfigError:
        return True
    return False
