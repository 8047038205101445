"""One pass from store to store: what it makes equal, what it refuses, and what it notices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionware import (
    ConfigError,
    FileStore,
    Keyring,
    MemoryStore,
    Record,
    SessionManager,
    Store,
    StoreError,
    StoreUnavailable,
)
from sessionware._core.copying import Reseal, SiteCopy, Tally
from tests.support.fixed import SECRET, Clock
from tests.support.stepped_store import SteppedStore

NOW = int(Clock().now)
OWNER = b"an owner of both"
OLD_SECRET = "an older secret than that, which nobody can guess, either"


def a_record(number: int = 1, **changes: Any) -> Record:
    return Record(number.to_bytes(16, "big"), 3, NOW + 1000, OWNER, b"sealed")._replace(**changes)


def filled(*records: Record) -> MemoryStore:
    store = MemoryStore()
    for record in records:
        store.create(record)
    return store


def passed(
    source: Store, target: Store, clock: Clock | None = None, *, same_source: bool = False, **settings: Any
) -> SiteCopy:
    copy = SiteCopy(source, target, clock=clock or Clock(), **settings)
    copy.begin(same_source=same_source)
    return copy


def tally(source: Store, target: Store, **settings: Any) -> Tally:
    """Make a pass; what it did with the sessions."""
    return passed(source, target, **settings).copy()[0]


@pytest.mark.parametrize(
    "other",
    [
        a_record(version=2),
        a_record(version=9),
        a_record(expires_at=NOW + 10),
        a_record(expires_at=NOW + 5000),
        a_record(expires_at=NOW - 10),
        a_record(owner=None),
        a_record(owner=b"an owner of none"),
        a_record(payload=b"other"),
    ],
    ids=str,
)
def test_the_source_wins_in_every_record(other: Record) -> None:
    """Whatever differs, and whichever of the two is newer: version, end, owner, payload."""
    source, target = filled(a_record()), MemoryStore()
    passed(source, target).copy()
    target.delete(other.id)
    target.create(other)
    passed(source, target).copy()

    assert target.scan() == [a_record()]
    assert target.owned_by(OWNER, NOW) == [a_record()]


def test_what_the_source_has_no_more_is_removed() -> None:
    """A session that was logged out between two passes is dead in the target."""
    source, target = filled(a_record(1), a_record(2)), MemoryStore()
    passed(source, target).copy()
    source.delete(a_record(1).id)

    assert tally(source, target).removed == 1
    assert target.scan() == [a_record(2)]


def test_what_has_expired_stays_behind() -> None:
    """No store would return it any more. It is removed from the target, too."""
    source, target = filled(a_record(1), a_record(2, expires_at=NOW)), MemoryStore()
    done = tally(source, target)

    assert (done.read, done.written, done.expired) == (2, 1, 1)
    assert target.scan() == [a_record(1)]
    passed(source, target, Clock(NOW + 1000)).copy()
    assert target.scan() == []


def test_sessions_come_with_what_the_library_keeps_beside_them() -> None:
    """Its own namespaces, at the root and in every namespace that is named; none that is not."""
    source, target = filled(a_record()), MemoryStore()
    paths = ("throttle", "tokens", "shop", "shop/throttle", "shop/tokens", "shop/eu", "other")
    for path in paths:
        inside(source, path).create(a_record())
    done = passed(source, target, names=[("shop",)]).copy()

    assert [each.namespace for each in done] == ["", "throttle", "tokens", "shop", "shop/throttle", "shop/tokens"]
    assert [path for path in paths if inside(target, path).scan()] == list(paths[:5])


def inside(store: Store, path: str) -> Store:
    for name in path.split("/"):
        store = store.namespace(name)
    return store


def test_a_namespace_that_was_named_once_is_copied_by_every_later_pass() -> None:
    """The last pass would otherwise leave what it had half an hour before."""
    source, target = MemoryStore(), MemoryStore()
    passed(source, target, names=[("shop",)]).copy()
    source.namespace("shop").create(a_record())
    last = passed(source, target)

    assert "shop" in [each.namespace for each in last.copy()]
    last.finish()
    assert target.namespace("shop").scan() == [a_record()]


@pytest.mark.parametrize("path", ["", "throttle", "tokens", "shop", "shop/tokens"])
def test_a_target_that_is_in_use_is_refused(path: str) -> None:
    """In any namespace that is to be copied. Nothing is changed."""
    source, target = filled(a_record(1)), MemoryStore()
    used = inside(target, path) if path else target
    used.create(a_record(2))

    with pytest.raises(ConfigError, match=path or "root"):
        passed(source, target, names=[("shop",)])
    assert used.scan() == [a_record(2)]
    assert target.namespace("copy").scan() == []


def test_a_namespace_in_use_is_refused_by_a_later_pass() -> None:
    """The mark speaks for what was copied before, and for nothing else."""
    source, target = MemoryStore(), MemoryStore()
    passed(source, target).copy()
    target.namespace("shop").create(a_record())

    with pytest.raises(ConfigError, match="shop"):
        passed(source, target, names=[("shop",)])


def test_the_last_pass_releases_the_target() -> None:
    """No mark is left, and from then on the target is in use."""
    source, target = filled(a_record()), MemoryStore()
    last = passed(source, target)
    last.copy()
    assert len(target.namespace("copy").scan()) == 1
    last.finish()

    assert target.namespace("copy").scan() == []
    with pytest.raises(ConfigError, match="already"):
        passed(source, target)


def test_the_wrong_way_round_is_refused() -> None:
    """What is half copied is nothing to copy from, and the site's own store has sessions."""
    site, new = filled(a_record()), MemoryStore()
    passed(site, new).copy()

    with pytest.raises(ConfigError, match="wrong way"):
        passed(new, site)
    with pytest.raises(ConfigError, match="wrong way"):
        passed(new, MemoryStore())
    assert site.scan() == [a_record()]


def test_a_store_is_not_copied_to_itself(tmp_path: Path) -> None:
    """Even if it is opened twice, and has nothing in it by which one could tell."""
    store = FileStore(tmp_path / "sessions")

    with pytest.raises(ConfigError, match="same"):
        passed(store, FileStore(tmp_path / "sessions"))
    assert store.namespace("copy").scan() == []


def test_of_two_copies_the_one_that_began_first_stops() -> None:
    """Before it writes again: the other one may be further on, or even finished."""
    source, target = filled(a_record(1)), MemoryStore()
    first = passed(source, target)
    second = passed(source, target)
    second.copy()
    source.create(a_record(2))

    with pytest.raises(StoreError, match="another copy"):
        first.copy()
    with pytest.raises(StoreError, match="another copy"):
        first.finish()
    second.copy()
    second.finish()
    source.create(a_record(3))
    with pytest.raises(StoreError, match="another copy"):
        first.copy()
    assert target.scan() == [a_record(1), a_record(2)]


@pytest.mark.parametrize(
    ("seconds", "at", "at_most"),
    [(3600, 300, 1), (-3600, 300, 1), (0, 300, 100), (0, 101, 1)],
    ids=["slept", "clock set back", "froze", "froze at the end of a page"],
)
def test_a_pass_that_was_stopped_does_not_go_on_after_the_move(seconds: float, at: int, at_most: int) -> None:
    """It looks at the mark before a call when time has passed, and after some calls if the clock stood still, too.

    Only the one call under way when it was stopped can still arrive, or a hundred if its clock was stopped with it.
    """

    def step(method: str, call: Callable[[], Any]) -> Any:
        calls.append(method)
        if calls.count("create") == at and method == "create":
            move()
        return call()

    def move() -> None:
        last = passed(source, target, clock)
        last.copy()
        last.finish()
        for record in target.scan(None, 5000):  # everybody is gone from where the site runs now
            target.delete(record.id)
        clock.tick(seconds)

    source, target, clock, calls = filled(*many(1000)), MemoryStore(), Clock(), list[str]()
    stopped = passed(source, SteppedStore(target, step), clock)
    with pytest.raises(StoreError, match="another copy"):
        stopped.copy()

    assert calls.count("create") >= at
    assert len(target.scan()) <= at_most


def test_a_pass_of_an_earlier_move_does_not_go_on_in_a_later_one() -> None:
    """Both moves began with an empty target, but their marks are not the same."""
    source, target = filled(a_record(1)), MemoryStore()
    stopped = passed(source, target)
    passed(MemoryStore(), target).finish()
    passed(MemoryStore(), target)

    with pytest.raises(StoreError, match="another copy"):
        stopped.copy()


def test_of_two_copies_that_begin_at_once_one_gets_the_target() -> None:
    """Both have seen it empty."""
    target = MemoryStore()

    def step(method: str, call: Callable[[], Any]) -> Any:
        if method == "create" and not others:
            others.append(passed(MemoryStore(), target))
        return call()

    others: list[SiteCopy] = []
    with pytest.raises(StoreError, match="another copy"):
        passed(MemoryStore(), SteppedStore(target, step))
    others[0].copy()


def test_a_copy_that_begins_during_the_last_look_is_not_cut_off() -> None:
    """Its mark is not that of the copy which ends."""

    def step(method: str, call: Callable[[], Any]) -> Any:
        if method == "scan" and is_ending and not others:
            others.append(passed(source, target))
        return call()

    source, target, others, is_ending = MemoryStore(), MemoryStore(), list[SiteCopy](), False
    last = passed(SteppedStore(source, step), target)
    last.copy()
    is_ending = True

    with pytest.raises(StoreError, match="another copy"):
        last.finish()
    assert len(target.namespace("copy").scan()) == 1
    others[0].finish()


def test_a_record_costs_one_call_and_a_page_of_equal_ones_none() -> None:
    """What is new is created at once; only what differs is deleted first."""

    def step(method: str, call: Callable[[], Any]) -> Any:
        calls.append(method)
        return call()

    def writes() -> list[str]:
        calls.clear()
        passed(source, SteppedStore(target, step)).copy()
        return [method for method in calls if method in ("create", "replace", "touch", "delete")]

    calls: list[str] = []
    source, target = filled(*map(a_record, range(10))), MemoryStore()
    assert writes() == ["create"] * 11  # and the mark
    assert writes() == ["replace"]
    source.touch(a_record().id, 3, NOW + 2000)
    assert writes() == ["replace", "delete", "create"]


def test_a_last_pass_that_finds_a_change_is_not_the_last() -> None:
    """The target keeps its mark, so that the next one can mend it."""
    source, target = filled(a_record(1)), MemoryStore()
    last = passed(source, target)
    last.copy()
    source.create(a_record(2))

    with pytest.raises(StoreError, match=r"1 records in the root differ.*stop"):
        last.finish()
    assert len(target.namespace("copy").scan()) == 1


def test_what_expires_during_the_last_pass_does_not_count() -> None:
    """Either store may have removed it by then."""
    source, target, clock = filled(a_record(1), a_record(2, expires_at=NOW + 5)), MemoryStore(), Clock()
    last = passed(source, target, clock)
    last.copy()
    clock.tick(5)
    source.delete(a_record(2).id)

    last.finish()


def test_a_target_that_forgets_is_noticed() -> None:
    """A cache says yes and evicts. Not even the first pass takes that for a copy."""

    def step(method: str, call: Callable[[], Any]) -> Any:
        answer = call()
        if method == "create" and target.scan():
            target.delete(target.scan()[0].id)
        return answer

    target = MemoryStore()
    with pytest.raises(StoreError, match="2 records in the root are not there"):
        passed(filled(a_record(1), a_record(2)), SteppedStore(target, step)).copy()


def test_a_target_that_a_site_uses_already_is_told() -> None:
    """By what the site did there: it wrote to a session, or kept it alive."""
    source, target = filled(a_record(1), a_record(2), a_record(3)), MemoryStore()
    passed(source, target).copy()
    target.replace(a_record(1, version=4))
    target.touch(a_record(2).id, 3, NOW + 2000)
    source.touch(a_record(3).id, 3, NOW + 2000)

    assert tally(source, target).newer == 2


def many(*numbers: int, **changes: Any) -> list[Record]:
    return [a_record(number, **changes) for number in range(*numbers)]


@pytest.mark.parametrize(
    ("there", "here", "is_refused"),
    [
        (many(3000), many(0), True),
        (many(3000), many(5000, 6000), True),
        (many(3000), many(1), True),
        (many(20), many(9), True),
        (many(20), many(10), False),
        (many(10), many(0), False),
        (many(20, expires_at=NOW), many(0), True),
        (many(20, expires_at=NOW), many(50, 60), False),
        (many(20), many(20, expires_at=NOW), True),
        (many(20, expires_at=NOW), many(20, expires_at=NOW), True),
        (many(0), many(20, expires_at=NOW), False),
    ],
    ids=[
        *["emptied", "another one", "all but one gone", "most gone", "half gone", "a handful", "all gone"],
        *["all expired and others came", "expired in the source", "expired by a wrong clock", "nothing there"],
    ],
)
def test_a_pass_does_not_remove_most_of_what_is_there(
    there: list[Record], here: list[Record], is_refused: bool
) -> None:
    """Unless it is told to: nearly always the source has lost what it had, or is another one, or the clock is wrong."""
    target = MemoryStore()
    passed(MemoryStore(), target).copy()
    for record in there:
        target.create(record)
    again = passed(filled(*here), target)

    if is_refused:
        with pytest.raises(StoreError, match=r"remove.*clock"):
            again.copy()
        assert len(target.scan(None, 5000)) >= len(there) - 10
    again.copy(allow_removals=True)
    assert target.scan(None, 5000) == [record for record in here if record.expires_at > NOW]


def test_what_the_library_keeps_may_go() -> None:
    """Counts of failed logins have a short life, and none of them is a session."""
    source, target = MemoryStore(), MemoryStore()
    for record in many(20):
        source.namespace("throttle").create(record)
    passed(source, target).copy()
    for record in many(20):
        source.namespace("throttle").delete(record.id)
    passed(source, target).copy()

    assert target.namespace("throttle").scan() == []


def test_another_source_is_refused() -> None:
    """What is not in it would be removed. It may be the same store by another name, if somebody says so."""
    source, target = filled(a_record()), MemoryStore()
    passed(source, target, origin="redis://one").copy()

    with pytest.raises(ConfigError, match=r"from redis://one.* from redis://other"):
        passed(MemoryStore(), target, origin="redis://other")
    assert target.scan() == [a_record()]
    passed(source, target, origin="redis://other", same_source=True).copy()
    passed(source, target, origin="redis://other").finish()


def test_a_copy_from_another_namespace_is_refused() -> None:
    """A pass that forgets which namespace the passes before have moved would put the root in its place."""
    store, target = MemoryStore(), MemoryStore()
    shop = SessionManager(SECRET, store.namespace("shop"), clock=Clock())
    shop.login_cookie("ada")
    resealed(shop, target).copy()
    there = target.scan()

    with pytest.raises(ConfigError, match=r"namespace shop.* the root.*--to-namespace"):
        passed(store, target, same_source=True)
    assert target.scan() == there
    resealed(shop, target).finish()


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b"null", b'{"from":"","path":"","names":[7]}', b"\xff"])
def test_a_mark_that_no_copy_left_is_refused(payload: bytes) -> None:
    """Nothing is known about a store whose mark is damaged."""
    target = MemoryStore()
    passed(MemoryStore(), target)
    mark = target.namespace("copy").scan()[0]
    target.namespace("copy").replace(mark._replace(version=2, payload=payload))

    with pytest.raises(ConfigError, match="'copy'"):
        passed(MemoryStore(), target)


def test_large_records_are_read_a_few_at_a_time() -> None:
    """A page weighs a few megabytes, whatever its records weigh, so that a small machine can copy them."""
    source, target = filled(*many(1000, payload=bytes(250_000))), MemoryStore()
    limits = list[int]()
    passed(Paged(source, limits), Paged(target, limits)).copy()

    assert target.scan() == source.scan()
    assert max(limits) == 100
    assert limits.count(16) > 3 * 900 / 16


def test_what_a_killed_copy_left_behind_is_not_in_the_way(tmp_path: Path) -> None:
    """A FileStore makes a file before it writes to it. No `scan` shows it, and yet `create` finds it."""
    target = FileStore(tmp_path / "sessions")
    passed(filled(), target).copy()
    (tmp_path / "sessions" / a_record().id.hex()).touch(0o600)
    passed(filled(a_record()), target).copy()

    assert target.scan() == [a_record()]


@pytest.mark.parametrize(
    "changes",
    [
        *[{"id": b"\0"}, {"version": "3"}, {"version": 0}, {"expires_at": None}, {"expires_at": 2**61}],
        *[{"owner": 7}, {"owner": bytes(20)}, {"owner": b""}, {"payload": "text"}],
    ],
    ids=str,
)
def test_a_row_that_is_no_record_is_left_out_and_counted(changes: dict[str, Any]) -> None:
    """Somebody else wrote it. The last pass does not go over it in silence."""
    source, target = filled(a_record(1)), MemoryStore()
    source.scan = lambda after=None, limit=1000: [] if after else [a_record(0, **changes), a_record(1)]
    last = passed(source, target)
    done = last.copy()[0]

    assert (done.read, done.written, done.unreadable) == (2, 1, 1)
    with pytest.raises(StoreError, match="1 records could not be read"):
        last.finish()
    last.finish(skip_unreadable=True)


def test_a_record_that_the_target_does_not_take_is_named() -> None:
    """It may be too large for it, and the copy would stop there each time."""

    def step(method: str, call: Callable[[], Any]) -> Any:
        if method == "create" and target.scan():
            raise StoreUnavailable("Packets are at most 16 MB.")
        return call()

    target = MemoryStore()
    with pytest.raises(
        StoreUnavailable, match=rf"^Packets are at most 16 MB, at {a_record(2).id.hex()} in the root\.$"
    ):
        passed(filled(a_record(1), a_record(2)), SteppedStore(target, step)).copy()


def test_a_store_that_is_out_of_order_is_refused() -> None:
    """What it has would look as if it were gone."""
    source, target = MemoryStore(), MemoryStore()
    source.scan = lambda after=None, limit=1000: [] if after else [a_record(2), a_record(1)]

    with pytest.raises(StoreError, match="order"):
        passed(source, target).copy()


def test_the_stores_need_not_be_read_at_once() -> None:
    """Page by page, with more in either of the two, and whichever ends first."""
    many = [a_record(number) for number in range(40)]
    for here, there in [(many, []), ([], many), (many[::3], many[::2]), (many[:9], many), (many, many[30:])]:
        source, target = filled(*here), MemoryStore()
        passed(source, target, page=4).copy()
        for record in there:
            target.create(record)
        most = list[int]()
        passed(Paged(source, most), Paged(target, most), page=4).copy(allow_removals=True)
        assert target.scan() == here
        assert max(most) <= 4


class Paged(SteppedStore):
    """Notes how many records were asked for."""

    def __init__(self, store: Store, limits: list[int]) -> None:
        super().__init__(store, lambda _method, call: call())
        self.limits = limits

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        self.limits.append(limit)
        return super().scan(after, limit)


# Into another namespace, where everything is sealed for another path


@pytest.fixture
def site() -> SessionManager:
    return SessionManager([SECRET, OLD_SECRET], MemoryStore(), clock=Clock())


def resealed(site: SessionManager, target: Store, *secrets: str) -> SiteCopy:
    source = site._site.records.store
    reseal = Reseal(Keyring(secrets or (SECRET, OLD_SECRET)), source, target, Clock())
    return passed(source, target, reseal=reseal)


def logged_in(manager: SessionManager, cookie: str) -> str | None:
    return manager.open(cookie=cookie).session.username


def test_another_path_takes_the_secret() -> None:
    """As it was sealed for the root, a record would count as damaged in a namespace, and be deleted."""
    with pytest.raises(ConfigError, match="secret"):
        SiteCopy(MemoryStore(), MemoryStore().namespace("shop"), clock=Clock())


def test_sessions_are_sealed_for_where_they_go(site: SessionManager) -> None:
    """The browser keeps its cookie, and is logged in with its data."""
    _, cookie = site.login_cookie("ada", data={"cart": ["tea"]})
    shop = MemoryStore().namespace("shop")
    last = resealed(site, shop)
    assert last.copy()[0].written == 1
    last.finish()
    there = SessionManager(SECRET, shop, clock=Clock())

    session = there.open(cookie=cookie).session
    assert (session.username, session["cart"]) == ("ada", ["tea"])
    assert [info.id for info in there.of(username="ada")] == [session.id]


def test_a_second_pass_finds_what_was_sealed_anew_unchanged(site: SessionManager) -> None:
    """Sealing is deterministic, so there is nothing to write."""
    site.login_cookie("ada")
    shop = MemoryStore().namespace("shop")
    resealed(site, shop).copy()

    done = resealed(site, shop).copy()[0]
    assert (done.written, done.unchanged) == (0, 1)


def test_sessions_of_an_old_secret_are_found_by_the_new_one(site: SessionManager) -> None:
    """They are sealed by the newest, so their owners are digests under that one. The old secret can be retired."""
    older = SessionManager(OLD_SECRET, site._site.records.store, clock=Clock())
    older.login_cookie("ada")
    shop = MemoryStore().namespace("shop")
    resealed(site, shop).copy()

    assert len(SessionManager(SECRET, shop, clock=Clock()).of(username="ada")) == 1


def test_sessions_that_no_secret_opens_are_left_out_and_counted(site: SessionManager) -> None:
    """The last pass does not go over them in silence: a secret may be missing in the list."""
    SessionManager(OLD_SECRET, site._site.records.store, clock=Clock()).login_cookie("bob")
    _, cookie = site.login_cookie("ada")
    shop = MemoryStore().namespace("shop")
    last = resealed(site, shop, SECRET)
    done = last.copy()[0]

    assert (done.written, done.unreadable) == (1, 1)
    with pytest.raises(StoreError, match="1 records could not be read"):
        last.finish()
    last.finish(skip_unreadable=True)
    assert logged_in(SessionManager(SECRET, shop, clock=Clock()), cookie) == "ada"


def test_a_secret_that_opens_nothing_is_a_wrong_one(site: SessionManager) -> None:
    """Nothing is written."""
    site.login_cookie("ada")
    shop = MemoryStore().namespace("shop")

    with pytest.raises(ConfigError, match="secret"):
        resealed(site, shop, "some other secret, of some other site, unknown here").copy()
    assert shop.scan() == []


def test_a_store_may_be_split_into_namespaces() -> None:
    """Within one store, too: the two roots have nothing in common."""
    store = MemoryStore()
    manager = SessionManager(SECRET, store, clock=Clock())
    _, cookie = manager.login_cookie("ada")
    last = resealed(manager, store.namespace("shop"))
    last.copy()
    last.finish()

    assert logged_in(SessionManager(SECRET, store.namespace("shop"), clock=Clock()), cookie) == "ada"
    assert logged_in(manager, cookie) == "ada"


@pytest.mark.parametrize("name", ["throttle", "tokens", "copy"])
def test_the_librarys_own_namespaces_are_no_sites(name: str) -> None:
    """They go with the root that they belong to."""
    with pytest.raises(ConfigError, match=name):
        SiteCopy(MemoryStore(), MemoryStore(), clock=Clock(), names=[("shop", name)])


def test_progress_counts_what_was_read() -> None:
    """Up to the number of all records, in all namespaces."""
    source, told = filled(*map(a_record, range(25))), list[int]()
    source.namespace("tokens").create(a_record())
    passed(source, MemoryStore(), page=10).copy(told.append)

    assert told == [10, 20, 25, 26]
