"""Stores that break one promise each, and the test of the contract that has to say so."""

from __future__ import annotations

import threading
import time
from typing import Any

from sessionware.stores.base import Record
from sessionware.stores.memory import MemoryStore
from sessionware.testing.store_cases import NOW


class CreateOverwrites(MemoryStore):
    """An upsert, the bug that brings ended sessions back."""

    def create(self, record: Record) -> bool:
        self.delete(record.id)
        return super().create(record)


class CreateReusesExpiredIds(MemoryStore):
    def create(self, record: Record) -> bool:
        self.prune(record.expires_at)
        return super().create(record)


class CreateChecksThenActs(MemoryStore):
    """All threads look before the first of them writes."""

    looked = threading.Barrier(16)

    def create(self, record: Record) -> bool:
        is_there = record.id in [other.id for other in self.scan()]
        self.looked.wait(10)
        return not is_there and (super().create(record) or True)


class LoadShowsTheLastSecond(MemoryStore):
    def load(self, id: bytes, now: int) -> Record | None:
        return super().load(id, now - 1)


class LoadHidesTheLastSecond(MemoryStore):
    def load(self, id: bytes, now: int) -> Record | None:
        return super().load(id, now + 1)


class LoadRemovesExpired(MemoryStore):
    def load(self, id: bytes, now: int) -> Record | None:
        record = super().load(id, now)
        if record is None:
            self.delete(id)
        return record


class LoadReturnsRows(MemoryStore):
    def load(self, id: bytes, now: int) -> Record | None:
        record = super().load(id, now)
        return record and tuple(record)  # type: ignore[return-value]


class LoadForgetsThatThereIsNoOwner(MemoryStore):
    def load(self, id: bytes, now: int) -> Record | None:
        record = super().load(id, now)
        return record and record._replace(owner=record.owner or b"")


class PayloadEndsAtAZero(MemoryStore):
    def create(self, record: Record) -> bool:
        return super().create(record._replace(payload=record.payload.rstrip(b"\0").split(b"\0")[0]))


class PayloadIsCutAt64KiB(MemoryStore):
    """What a BLOB column of MySQL does when nobody looks."""

    def create(self, record: Record) -> bool:
        return super().create(record._replace(payload=record.payload[: 2**16 - 1]))


class TimesHave32Bits(MemoryStore):
    def create(self, record: Record) -> bool:
        return super().create(record._replace(expires_at=record.expires_at % 2**32))


class ReplaceCreates(MemoryStore):
    def replace(self, record: Record) -> bool:
        return super().replace(record) or self.create(record)


class ReplaceIgnoresTheVersion(MemoryStore):
    def replace(self, record: Record) -> bool:
        return self.delete(record.id) and self.create(record)


class ReplaceChecksThenActs(MemoryStore):
    """All threads look before the first of them writes."""

    looked = threading.Barrier(16)

    def replace(self, record: Record) -> bool:
        has_version = self.scan()[0].version == record.version - 1
        self.looked.wait(10)
        return has_version and self.delete(record.id) | self.create(record) | True


class ReplaceForgetsTheExpiry(MemoryStore):
    def replace(self, record: Record) -> bool:
        old = {other.id: other for other in self.scan()}.get(record.id, record)
        return super().replace(record._replace(expires_at=old.expires_at))


class ReplaceKeepsTheOldOwnersIndex(MemoryStore):
    def replace(self, record: Record) -> bool:
        self.former = {record.owner for record in self.scan()}
        return super().replace(record)

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        former = [record for record in self.scan() if owner in self.former]
        return super().owned_by(owner, now) or former


class ReplaceWritesInTwoSteps(MemoryStore):
    """Between the two, others read."""

    def __init__(self) -> None:
        super().__init__()
        self.was_read = threading.Event()

    def load(self, id: bytes, now: int) -> Record | None:
        self.was_read.set()
        return super().load(id, now)

    def replace(self, record: Record) -> bool:
        old = self.scan()[0]
        is_replaced = super().replace(record._replace(payload=old.payload))
        self.was_read.clear()
        self.was_read.wait(0.01)
        self.delete(record.id)
        return is_replaced and self.create(record)


class TouchShortens(MemoryStore):
    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        record = self.load(id, 0)
        if record and record.version == version:
            self.delete(id)
            self.create(record._replace(expires_at=expires_at))


class TouchIgnoresTheVersion(MemoryStore):
    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        record = self.load(id, 0)
        super().touch(id, record.version if record else version, expires_at)


class TouchCountsAsAChange(MemoryStore):
    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        record = self.load(id, 0)
        if record:
            self.replace(record._replace(version=version + 1, expires_at=expires_at))


class TouchCreates(MemoryStore):
    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        self.create(Record(id, version, expires_at, None, b""))
        super().touch(id, version, expires_at)


class TouchWritesBackWhatItRead(MemoryStore):
    """Between the two, others write."""

    looked = threading.Barrier(15)

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        record = self.load(id, 0)
        self.looked.wait(10)
        if record and record.version == version:
            self.delete(id)
            self.create(record._replace(expires_at=expires_at))


class PruneForgetsTouches(MemoryStore):
    """Prunes by the time at which the record was to expire when it was created."""

    def create(self, record: Record) -> bool:
        self.first = record.expires_at
        return super().create(record)

    def prune(self, now: int, limit: int = 1000) -> int:
        return sum(self.delete(record.id) for record in self.scan()[:limit] if self.first <= now)


class DeleteIsAlwaysTrue(MemoryStore):
    def delete(self, id: bytes) -> bool:
        return super().delete(id) or True


class DeleteChecksThenActs(MemoryStore):
    """All threads look before the first of them removes."""

    looked = threading.Barrier(16)

    def delete(self, id: bytes) -> bool:
        is_there = id in [record.id for record in self.scan()]
        self.looked.wait(10)
        return is_there and (super().delete(id) or True)


class DeleteLeavesAMark(MemoryStore):
    """A soft delete: the record is not shown, and its id is taken for ever."""

    def delete(self, id: bytes) -> bool:
        record = self.load(id, 0)
        return bool(record and record.expires_at and self.replace(Record(id, record.version + 1, 0, None, b"")))

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        return [record for record in super().scan(after, limit) if record.expires_at]


class PruneRemovesTheLastSecond(MemoryStore):
    def prune(self, now: int, limit: int = 1000) -> int:
        return sum(self.delete(record.id) for record in self.scan()[:limit] if record.expires_at <= now + 1)


class PruneIgnoresTheLimit(MemoryStore):
    def prune(self, now: int, *_: Any, **__: Any) -> int:
        return super().prune(now)


class PruneDoesNotCount(MemoryStore):
    def prune(self, now: int, limit: int = 1000) -> int:
        super().prune(now, limit)
        return 0


class PruneLeavesEverything(MemoryStore):
    def prune(self, *_: Any, **__: Any) -> int:
        return 0


class PruneCountsWhatWasDeleted(MemoryStore):
    """An index of what expires, from which `delete` takes nothing out."""

    deleted = 0

    def delete(self, id: bytes) -> bool:
        self.deleted += super().delete(id)
        return True

    def prune(self, now: int, limit: int = 1000) -> int:
        return super().prune(now, limit) + self.deleted


class PruneGoesOnWhereItWas(MemoryStore):
    """Remembers how far it has come, and looks at what is later only."""

    done = 0

    def prune(self, now: int, limit: int = 1000) -> int:
        due = [record for record in self.scan() if self.done < record.expires_at <= now][:limit]
        self.done = max([record.expires_at for record in due], default=self.done)
        return sum(self.delete(record.id) for record in due)


class OwnedByShowsExpired(MemoryStore):
    def owned_by(self, owner: bytes, *_: Any, **__: Any) -> list[Record]:
        return super().owned_by(owner, 0)


class OwnedByIsInAnyOrder(MemoryStore):
    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        return super().owned_by(owner, now)[::-1]


class OwnedByGoesByTime(MemoryStore):
    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        return sorted(super().owned_by(owner, now), key=lambda record: record.expires_at)


class NamespacesRunTogether(MemoryStore):
    """Joins the names by what may stand in a name."""

    prefix = ""
    root: dict[str, MemoryStore]

    def namespace(self, name: str) -> MemoryStore:
        super().namespace(name)
        root: dict[str, MemoryStore] = self.__dict__.setdefault("root", {})
        full = f"{self.prefix}{name}"
        sibling = root.setdefault(full, type(self)())
        sibling.prefix, sibling.root = f"{full}__", root  # type: ignore[attr-defined]
        return sibling


class ScanRepeatsTheLast(MemoryStore):
    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        return [record for record in super().scan() if after is None or record.id >= after][:limit]


class ScanHidesExpired(MemoryStore):
    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        now = NOW
        return [record for record in super().scan(after, limit) if record.expires_at > now]


class ScanSortsSignedBytes(MemoryStore):
    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        return sorted(super().scan(after, limit), key=lambda record: record.id[0] ^ 0x80)


class ScanCountsPages(MemoryStore):
    """Goes on by position, so that it skips one for each that was removed before it."""

    visited = 0

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        page = super().scan()[self.visited : self.visited + limit]
        self.visited += len(page)
        return page


class NamespaceIsTheStore(MemoryStore):
    def namespace(self, name: str) -> MemoryStore:
        super().namespace(name)
        return self


class NamespaceIsForgotten(MemoryStore):
    def namespace(self, name: str) -> MemoryStore:
        super().namespace(name)
        return MemoryStore()


class PathIsForgotten(MemoryStore):
    def namespace(self, name: str) -> MemoryStore:
        sibling = super().namespace(name)
        sibling._path = ()
        return sibling


class PathIsALine(MemoryStore):
    @property
    def path(self) -> tuple[str, ...]:
        return "/".join(super().path)  # type: ignore[return-value]


class CreateBeginsAtOne(MemoryStore):
    def create(self, record: Record) -> bool:
        return super().create(record._replace(version=1))


class NamespacesAreFlat(MemoryStore):
    def namespace(self, name: str) -> MemoryStore:
        sibling = super().namespace(name)
        sibling.namespace = self.namespace
        return sibling


class NamespaceTakesAnyName(MemoryStore):
    def namespace(self, name: str) -> MemoryStore:
        return super().namespace("x" + name.encode().hex()[:31])


class NamespaceTakesALineBreak(MemoryStore):
    """What `re.match(... "$")` lets pass."""

    def namespace(self, name: str) -> MemoryStore:
        return super().namespace(name.removesuffix("\n"))


class OwnerIndexBeforeTheRecord(MemoryStore):
    """Enters every owner who tries, and believes the index."""

    def __init__(self) -> None:
        super().__init__()
        self.index: dict[bytes, set[bytes]] = {}

    def create(self, record: Record) -> bool:
        self.index.setdefault(record.owner or b"", set()).add(record.id)
        return super().create(record)

    def replace(self, record: Record) -> bool:
        self.index.setdefault(record.owner or b"", set()).add(record.id)
        return super().replace(record)

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        return [record for record in self.scan() if record.id in self.index.get(owner, ())]


class OwnerIndexOutlivesTheRecord(MemoryStore):
    """A replace that comes too late leaves its owner behind."""

    former: Record | None = None

    def replace(self, record: Record) -> bool:
        self.former = record
        return super().replace(record)

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        late = [self.former] if self.former and self.former.owner == owner else []
        return super().owned_by(owner, now) or late


class OwnerIndexIsAllWrong(MemoryStore):
    """Shows every record that anybody ever meant to write, until something is pruned. All but `owned_by` is right."""

    def __init__(self) -> None:
        super().__init__()
        self.index: dict[tuple[bytes | None, bytes], Record] = {}
        self.siblings: dict[str, OwnerIndexIsAllWrong] = {}

    def create(self, record: Record) -> bool:
        self.index[record.owner, record.id] = record
        return super().create(record)

    def replace(self, record: Record) -> bool:
        self.index[record.owner, record.id] = record
        return super().replace(record)

    def prune(self, now: int, limit: int = 1000) -> int:
        self.index.clear()
        return super().prune(now, limit)

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        entries = list(self.index.items())
        return sorted(record for (other, _), record in entries if other == owner and record.expires_at > now)

    def namespace(self, name: str) -> MemoryStore:
        path = super().namespace(name).path
        sibling = self.siblings.setdefault(name, OwnerIndexIsAllWrong())
        sibling._path = path
        return sibling


class LetsOthersIn(MemoryStore):
    """Waits, where it is told to, until another thread has changed something."""

    def __init__(self) -> None:
        super().__init__()
        self._has_changed = threading.Event()

    def create(self, record: Record) -> bool:
        self._has_changed.set()
        return super().create(record)

    def replace(self, record: Record) -> bool:
        is_replaced = super().replace(record)
        self._has_changed.set()
        time.sleep(0.0005)  # so that the changes are not over before anybody has looked
        return is_replaced

    def _let_others_in(self) -> None:
        self._has_changed.clear()
        self._has_changed.wait(0.02)


class OwnedByLooksThenLoads(LetsOthersIn):
    """Looks the ids up, and does not look at the owner again when it loads the records."""

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        ids = [record.id for record in super().owned_by(owner, now)]
        self._let_others_in()
        return [record for id in ids if (record := self.load(id, now))]


class ReplaceLeavesTheIndexForAMoment(MemoryStore):
    """Takes the record out and puts it in again."""

    def replace(self, record: Record) -> bool:
        with self._changing:
            old = {other.id: other for other in self.scan()}.get(record.id)
            if old is None or old.version != record.version - 1:
                return False
            self.delete(record.id)
            time.sleep(0.0001)
            return self.create(record)

    def __init__(self) -> None:
        super().__init__()
        self._changing = threading.Lock()


class OwnersInASetOfTheirOwn(LetsOthersIn):
    """Keeps the index of owners apart from the records."""

    def __init__(self) -> None:
        super().__init__()
        self.index: set[tuple[bytes | None, bytes]] = set()

    def create(self, record: Record) -> bool:
        self.index.add((record.owner, record.id))
        return super().create(record)

    def replace(self, record: Record) -> bool:
        self.index.add((record.owner, record.id))
        return super().replace(record)

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        return [record for record in super().owned_by(owner, now) if (owner, record.id) in self.index]


class OldOwnerIsForgottenTooLate(OwnersInASetOfTheirOwn):
    """Takes the old owner's entry out when the record may be that one's again."""

    def replace(self, record: Record) -> bool:
        old = self.load(record.id, 0)
        is_replaced = super().replace(record)
        if old and is_replaced and old.owner != record.owner:
            self._let_others_in()
            self.index.discard((old.owner, record.id))
        return is_replaced


class DeletedOwnerIsForgottenTooLate(OwnersInASetOfTheirOwn):
    """Takes a deleted record's entry out when there may be a new record of that id."""

    def delete(self, id: bytes) -> bool:
        old = self.load(id, 0)
        is_deleted = super().delete(id)
        if old and is_deleted:
            for _ in range(50):
                if self.load(id, 0) is None:
                    time.sleep(0.0005)
            self.index.discard((old.owner, id))
        return is_deleted


class TouchLooksThenWrites(MemoryStore):
    """Each thread looks before the first of them writes, and writes what it was asked for."""

    looked = threading.Barrier(16)

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        record = self.load(id, 0)
        self.looked.wait(10)
        if record and record.expires_at < expires_at:
            self.delete(id)
            self.create(record._replace(expires_at=expires_at))


class PruneLooksThenRemoves(MemoryStore):
    """Between the two, a record gets a new life."""

    def prune(self, now: int, limit: int = 1000) -> int:
        due = [record for record in self.scan() if record.expires_at <= now][:limit]
        time.sleep(0.001)
        return sum(self.delete(record.id) for record in due)


class TouchBringsBack(MemoryStore):
    """Between its look and its work, the record is pruned."""

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        record = self.load(id, 0)
        time.sleep(0.001)
        if record:
            self.create(record._replace(expires_at=expires_at))
        super().touch(id, version, expires_at)


class PruneCountsWhatItFound(MemoryStore):
    """Also what another one removed at the same moment."""

    def prune(self, now: int, limit: int = 1000) -> int:
        due = [record for record in self.scan() if record.expires_at <= now][:limit]
        time.sleep(0.001)
        for record in due:
            self.delete(record.id)
        return len(due)


class ScanGoesOnByPosition(LetsOthersIn):
    """As an OFFSET does: whatever is added or removed before the position shifts what comes next."""

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        position = sum(record.id <= after for record in super().scan()) if after is not None else 0
        self._let_others_in()
        return super().scan()[position : position + limit]


class NamespaceChecksThenActs(MemoryStore):
    """Those who ask at once get one each."""

    def namespace(self, name: str) -> MemoryStore:
        if name in self._namespaces:
            return super().namespace(name)
        sibling = MemoryStore()
        sibling._path = (*self.path, name)
        time.sleep(0.001)
        self._namespaces[name] = sibling
        return sibling


CAUGHT_BY = [
    (CreateOverwrites, "create_changes_nothing_if_the_id_is_there"),
    (CreateReusesExpiredIds, "create_changes_nothing_if_an_expired_record_has_the_id"),
    (CreateChecksThenActs, "create_race_has_one_winner"),
    (LoadShowsTheLastSecond, "load_shows_a_record_until_the_second_before_it_expires"),
    (LoadHidesTheLastSecond, "load_shows_a_record_until_the_second_before_it_expires"),
    (LoadRemovesExpired, "load_changes_nothing"),
    (LoadReturnsRows, "load_returns_the_types_that_were_stored"),
    (LoadForgetsThatThereIsNoOwner, "load_returns_the_types_that_were_stored"),
    (PayloadEndsAtAZero, "every_byte_comes_back"),
    (PayloadIsCutAt64KiB, "a_large_payload_comes_back"),
    (TimesHave32Bits, "times_after_2106_come_back"),
    (ReplaceCreates, "replace_never_creates"),
    (ReplaceIgnoresTheVersion, "replace_changes_nothing_unless_the_version_is_the_next"),
    (ReplaceChecksThenActs, "replace_race_has_one_winner"),
    (ReplaceForgetsTheExpiry, "replace_changes_every_field"),
    (ReplaceKeepsTheOldOwnersIndex, "owned_by_follows_a_replace"),
    (ReplaceWritesInTwoSteps, "a_reader_never_sees_half_a_replace"),
    (TouchShortens, "touch_never_shortens_a_life"),
    (TouchIgnoresTheVersion, "touch_of_another_version_does_nothing"),
    (TouchCountsAsAChange, "touch_lets_a_record_live_longer"),
    (TouchCreates, "touch_never_creates"),
    (TouchWritesBackWhatItRead, "touch_race_with_replace_undoes_nothing"),
    (DeleteIsAlwaysTrue, "delete_returns_true_once"),
    (DeleteChecksThenActs, "delete_race_has_one_winner"),
    (DeleteLeavesAMark, "delete_makes_room_for_the_id"),
    (PruneForgetsTouches, "prune_knows_what_touch_did"),
    (PruneRemovesTheLastSecond, "prune_never_removes_a_live_record"),
    (PruneIgnoresTheLimit, "prune_removes_no_more_than_its_limit"),
    (PruneDoesNotCount, "prune_removes_what_expired_two_hours_ago"),
    (PruneLeavesEverything, "prune_removes_what_expired_two_hours_ago"),
    (PruneCountsWhatWasDeleted, "prune_knows_what_delete_did"),
    (PruneGoesOnWhereItWas, "prune_works_again_and_again"),
    (OwnedByShowsExpired, "owned_by_leaves_out_expired_records"),
    (OwnedByGoesByTime, "owned_by_lists_one_owner_in_id_order"),
    (OwnedByIsInAnyOrder, "owned_by_lists_one_owner_in_id_order"),
    (OwnerIndexBeforeTheRecord, "replace_race_has_one_winner"),
    (OwnerIndexOutlivesTheRecord, "replace_race_with_delete_brings_nothing_back"),
    (OwnedByLooksThenLoads, "owned_by_is_right_while_owners_change"),
    (OldOwnerIsForgottenTooLate, "owned_by_keeps_up_with_owners_that_come_back"),
    (DeletedOwnerIsForgottenTooLate, "owned_by_finds_what_was_made_anew"),
    (ReplaceLeavesTheIndexForAMoment, "owned_by_is_right_while_owners_change"),
    (TouchLooksThenWrites, "touch_race_ends_with_the_latest_time"),
    (PruneLooksThenRemoves, "prune_race_with_replace_removes_nothing_alive"),
    (TouchBringsBack, "prune_race_with_touch_brings_nothing_back"),
    (PruneCountsWhatItFound, "prune_race_counts_each_record_once"),
    (ScanGoesOnByPosition, "scan_while_others_write_visits_what_stays_once"),
    (ScanRepeatsTheLast, "scan_begins_right_behind_an_id"),
    (ScanHidesExpired, "scan_shows_every_record_in_id_order"),
    (ScanSortsSignedBytes, "scan_shows_every_record_in_id_order"),
    (ScanCountsPages, "scan_page_by_page_visits_every_record_once"),
    (NamespaceIsTheStore, "a_namespace_keeps_its_records_apart"),
    (NamespaceIsForgotten, "a_namespace_of_the_same_name_has_the_same_records"),
    (ScanRepeatsTheLast, "scan_while_others_write_visits_what_stays_once"),
    (NamespacesRunTogether, "a_namespace_in_a_namespace_is_apart"),
    (NamespacesAreFlat, "a_namespace_in_a_namespace_is_apart"),
    (PathIsForgotten, "a_store_knows_the_path_that_leads_to_it"),
    (PathIsALine, "a_store_knows_the_path_that_leads_to_it"),
    (CreateBeginsAtOne, "create_stores_whatever_version_the_record_has"),
    (NamespaceChecksThenActs, "a_namespace_that_several_ask_for_at_once_is_one"),
    (NamespaceTakesAnyName, "a_namespace_is_named_like_an_identifier"),
    (NamespaceTakesALineBreak, "a_namespace_is_named_like_an_identifier"),
]
