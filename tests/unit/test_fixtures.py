"""What releases wrote is opened for good: records, cookies, files and rows. tests/fixtures says how to add to them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionware import FileStore, MemoryStore, Record, Session, SessionManager, SQLiteStore, Store
from sessionware._core.envelope import FORMAT_VERSION, Envelope, Stored, open_record
from sessionware._core.values import encode
from tests import fixtures
from tests.fixtures.make import CASES, UNKNOWN, header_of, inside, what_is_seen
from tests.support.fixed import Clock

RELEASES = sorted(Path(str(fixtures.__file__)).parent.glob("release-*.json"))
EVERY = [
    pytest.param(path, name, id=f"{path.stem}: {name}")
    for path in RELEASES
    for name in json.loads(path.read_text(encoding="utf-8"))["cases"]
]
each_case = pytest.mark.parametrize(("path", "name"), EVERY)


class Case:
    """One session as a release wrote it."""

    def __init__(self, path: Path, name: str) -> None:
        release = json.loads(path.read_text(encoding="utf-8"))
        found = release["cases"][name]
        self.secrets, self.clock, self.path = release["secrets"], Clock(found["now"]), tuple(found["path"])
        self.cookies, self.https_cookies = found["cookies"], found["https_cookies"]
        self.header, self.found, self.sees = found["header"], found["found"], found["sees"]
        self.file, self.row = bytes.fromhex(found["file"]), found["row"]
        fields: dict[str, Any] = found["record"]
        self.record = Record(
            bytes.fromhex(fields["id"]),
            fields["version"],
            fields["expires_at"],
            None if fields["owner"] is None else bytes.fromhex(fields["owner"]),
            bytes.fromhex(fields["payload"]),
        )

    def manager(self, store: Store) -> SessionManager:
        return SessionManager(self.secrets, store, clock=self.clock)

    def in_memory(self, _directory: Path) -> Store:
        """A store that was given the record."""
        store = inside(MemoryStore(), self.path)
        assert store.create(self.record)
        return store

    def in_a_file(self, directory: Path) -> Store:
        """A store in whose directory the file was put."""
        store = inside(FileStore(directory / "sessions"), self.path)
        inner = directory.joinpath("sessions", *(f"in_{each}" for each in self.path))
        (inner / self.record.id.hex()).write_bytes(self.file)
        return store

    def in_a_table(self, directory: Path) -> Store:
        """A store into whose table the row was put."""
        store = inside(SQLiteStore(directory / "sessions.db"), self.path)
        table = "$".join(["sessionware_sessions", *self.path])
        with closing(sqlite3.connect(directory / "sessions.db", isolation_level=None)) as connection:
            connection.execute(self.row.replace('"sessionware_sessions"', f'"{table}"'))
        return store


each_medium = pytest.mark.parametrize(
    "put", [Case.in_memory, Case.in_a_file, Case.in_a_table], ids=["record", "file", "row"]
)


def test_there_is_a_file_for_each_format_that_was_ever_written() -> None:
    """The one that is written now among them."""
    assert [path.name for path in RELEASES] == [f"release-{number}.json" for number in range(1, FORMAT_VERSION + 1)]
    assert {str(param.id).partition(": ")[2] for param in EVERY} == set(CASES)


def test_every_name_that_this_release_writes_into_the_header_is_in_a_case() -> None:
    """What no case has would change unnoticed."""
    written = {name for param in EVERY for name in Case(*param.values).header["extra"]}  # type: ignore[arg-type]

    assert written == {"pt", "si", "sl", "li", "cs", "wh", *UNKNOWN}


@each_medium
@each_case
def test_record_is_what_it_was(path: Path, name: str, put: Callable[[Case, Path], Store], tmp_path: Path) -> None:
    """Field by field, from whatever medium it comes."""
    case = Case(path, name)
    store = put(case, tmp_path)
    record = store.load(case.record.id, int(case.clock()))

    assert record == case.record
    assert header_of(case.manager(store), record) == case.header


@each_medium
@each_case
def test_each_cookie_opens_it(path: Path, name: str, put: Callable[[Case, Path], Store], tmp_path: Path) -> None:
    """Over http and over https, where it has a name of its own and so a seal of its own."""
    case = Case(path, name)
    manager = case.manager(put(case, tmp_path))
    requests = [{"HTTP_COOKIE": f"sid={cookie}"} for cookie in case.cookies]
    requests += [{"HTTP_COOKIE": f"__Host-sid={cookie}", "wsgi.url_scheme": "https"} for cookie in case.https_cookies]

    assert [what_is_seen(manager.open(environ).session) for environ in requests] == [case.sees] * len(requests)


@each_case
def test_session_lives_on(path: Path, name: str) -> None:
    """It is read, written and read again, unless it was over."""
    case = Case(path, name)
    manager = case.manager(case.in_memory(path))
    opened = manager.open(cookie=case.cookies[0])
    opened.session["visited"] = True
    opened.finish()

    is_live = case.header["token_hash"] != ""
    assert ("visited" in manager.open(cookie=opened.cookie).session) is is_live


@each_case
def test_owner_is_found(path: Path, name: str) -> None:
    """By the digest of the account or of the name, under either secret."""
    case = Case(path, name)
    manager = case.manager(case.in_memory(path))

    assert [len(manager.of(user_id="7")), len(manager.of(username="grace"))] == case.found


@each_case
def test_row_that_moves_to_another_store_opens_there(path: Path, name: str, tmp_path: Path) -> None:
    """Nothing of a store is in the seal but the namespace."""
    case = Case(path, name)
    record = case.in_a_table(tmp_path).load(case.record.id, int(case.clock()))
    assert record is not None

    for store in (FileStore(tmp_path / "files"), MemoryStore()):
        assert inside(store, case.path).create(record)
        session = case.manager(inside(store, case.path)).open(cookie=case.cookies[0]).session
        assert what_is_seen(session) == case.sees


@each_case
def test_no_bit_can_be_changed(path: Path, name: str) -> None:
    """Of the payload, or of the id, version and owner that it is bound to: nothing opens."""
    case = Case(path, name)
    manager = case.manager(inside(MemoryStore(), case.path))
    sealer, where = manager._site.keys.record, manager._site.records.path
    id, version, expires_at, owner, payload = case.record
    changed = [Record(id, version, expires_at, owner, flipped) for flipped in flips(payload)]
    changed += [Record(flipped, version, expires_at, owner, payload) for flipped in flips(id)]
    changed += [Record(id, version ^ (1 << bit), expires_at, owner, payload) for bit in range(63)]
    changed += [Record(id, version, expires_at, flipped, payload) for flipped in flips(owner or b"")]
    changed += [Record(id, version, expires_at, other, payload) for other in (None, b"", b"x" * 16) if other != owner]

    opened = [each for each in changed if isinstance(open_record(sealer, each, where), Stored)]
    assert isinstance(open_record(sealer, case.record, where), Stored)
    assert (len(opened), len(changed)) == (0, 8 * len(payload) + 8 * 16 + 63 + (128 + 3 if owner else 2))


@each_case
def test_row_opens_in_its_own_namespace_only(path: Path, name: str) -> None:
    """Neither in one above nor in one below, nor where the names run together in the same way."""
    case = Case(path, name)
    manager = case.manager(inside(MemoryStore(), case.path))
    places = ["", "shop", "de", "shop/de", "de/shop", "shopde", "shop/de/", "shop/de/de"]

    opens = [
        place
        for place in places
        if isinstance(open_record(manager._site.keys.record, case.record, place.encode()), Stored)
    ]
    assert opens == ["/".join(case.path)]


@each_case
def test_no_character_of_the_cookie_can_be_changed(path: Path, name: str) -> None:
    """Nobody is logged in by any of them, and nobody is told why the session is over."""
    case = Case(path, name)
    manager = case.manager(case.in_memory(path))
    others = [
        cookie[:at] + ("A" if cookie[at] != "A" else "B") + cookie[at + 1 :]
        for cookie in case.cookies
        for at in range(64)
    ]

    seen = [what_is_seen(manager.open(cookie=other).session) for other in others]
    assert seen == [[None, {}, None]] * 64 * len(case.cookies)


def flips(content: bytes) -> list[bytes]:
    """The same with one bit changed, for each bit."""
    number, size = int.from_bytes(content, "big"), len(content)
    return [(number ^ (1 << bit)).to_bytes(size, "big") for bit in range(8 * size)]


# What the next release writes ---------------------------------------------------------------------------------------


class LaterSite:
    """A site whose one session has names in its header that this release does not know."""

    def __init__(self) -> None:
        self.case = Case(RELEASES[-1], "of a later release")
        self.store = self.case.in_memory(RELEASES[-1])
        self.manager = self.case.manager(self.store)
        self.extra = self.envelope().extra
        self.cookie = self.case.cookies[0]

    def envelope(self) -> Envelope:
        (record,) = self.store.scan()
        stored = open_record(self.manager._site.keys.record, record, b"")
        assert isinstance(stored, Stored)
        return stored.envelope

    def visit(self, act: Callable[[Session], object]) -> None:
        opened = self.manager.open(cookie=self.cookie)
        act(opened.session)
        opened.finish()
        self.cookie = opened.cookie or self.cookie

    def rotate(self) -> None:
        """Put a newer secret before those that there are."""
        self.case.secrets = ["a secret of the day after, and nobody's either", *self.case.secrets]
        self.manager = self.case.manager(self.store)


@pytest.fixture
def later() -> LaterSite:
    return LaterSite()


def test_unknown_names_ride_along_through_a_write(later: LaterSite) -> None:
    """They come back whole, with those that are known."""
    later.visit(lambda session: session.update(n=1))

    assert later.extra.keys() == {"si", "pt", *UNKNOWN}
    assert later.envelope().extra == later.extra


def test_unknown_names_ride_along_through_a_touch(later: LaterSite) -> None:
    """It does not even look at them."""
    (before,) = later.store.scan()
    later.case.clock.tick(7200)
    later.visit(lambda session: session.get("n"))

    (after,) = later.store.scan()
    assert after.expires_at == before.expires_at + 7200
    assert later.envelope().extra == later.extra


def test_unknown_names_ride_along_through_a_rotation_of_the_secret(later: LaterSite) -> None:
    """The record is sealed anew, by the new secret."""
    later.rotate()
    later.visit(lambda session: session.get("n"))
    later.case.secrets = later.case.secrets[:1]
    later.manager = later.case.manager(later.store)

    assert later.envelope().extra == later.extra


def test_renewal_keeps_all_but_what_concerns_the_old_tokens(later: LaterSite) -> None:
    """Those of other logins, and those that the last login replaced."""
    later.visit(lambda session: session.renew_token())

    assert later.envelope().extra == UNKNOWN


def test_export_shows_unknown_names(later: LaterSite) -> None:
    """As bytes if they cannot be read."""
    (exported,) = later.manager.export(user_id="7")

    assert exported["extra"].items() >= {"dv": "Firefox", "_keep": 5, "zz": UNKNOWN["zz"]}.items()


def test_login_keeps_of_them_only_what_is_marked(later: LaterSite) -> None:
    """Everything else belongs to the login that wrote it. It adds the hashes of the tokens that it replaced."""
    fitting = later.envelope().fitting
    later.visit(lambda session: session.login("Ada", user_id="7"))

    assert len(fitting) == 32
    assert later.envelope().extra == {"_keep": encode(5), "pt": encode(fitting)}


@pytest.mark.parametrize(
    ("end", "adds"),
    [
        (lambda later: later.visit(lambda session: session.invalidate()), set()),
        (lambda later: later.manager.end(later.store.scan()[0].id.hex()), {"wh"}),
    ],
    ids=["logout", "by an administrator"],
)
def test_end_keeps_of_them_only_what_is_marked(
    later: LaterSite, end: Callable[[LaterSite], object], adds: set[str]
) -> None:
    """It adds the reason, if somebody gave one."""
    end(later)

    assert later.envelope().extra.keys() == {"_keep", *adds}
    assert later.envelope().extra["_keep"] == encode(5)
