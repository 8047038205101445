"""What releases wrote is opened for good: records, cookies, files and rows. tests/fixtures says how to add to them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionware import FileStore, MemoryStore, Record, SessionManager, SQLiteStore, Store
from sessionware._core.envelope import FORMAT_VERSION, Envelope, Stored, open_record, seal_envelope
from sessionware._core.values import encode
from tests import fixtures
from tests.fixtures.make import CASES, header_of, inside
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
        self.secrets, self.clock = release["secrets"], Clock(release["now"])
        found = release["cases"][name]
        self.path, self.cookie, self.sees = tuple(found["path"]), found["cookie"], found["sees"]
        self.https_cookie, self.header, self.found = found["https_cookie"], found["header"], found["found"]
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

    def seen(self, store: Store, cookie: str | None = None) -> list[Any]:
        """Who is logged in and what is in the session, for a browser with this cookie."""
        opened = self.manager(store).open(cookie=cookie or self.cookie)
        sees = [opened.session.username, opened.session.copy()]
        opened.finish()
        return sees


def test_there_is_a_file_for_each_format_that_was_ever_written() -> None:
    """The one that is written now among them."""
    assert [path.name for path in RELEASES] == [f"release-{number}.json" for number in range(1, FORMAT_VERSION + 1)]
    assert {str(param.id).partition(": ")[2] for param in EVERY} == set(CASES)


@each_case
def test_record_opens(path: Path, name: str) -> None:
    """And goes on living: it is read, written and read again."""
    case = Case(path, name)
    store = inside(MemoryStore(), case.path)
    assert store.create(case.record)

    assert case.seen(store) == case.sees


@each_case
def test_header_is_what_it_was(path: Path, name: str) -> None:
    """Field by field; and whoever is logged in is found by the owner's digest, under either secret."""
    case = Case(path, name)
    store = inside(MemoryStore(), case.path)
    assert store.create(case.record)
    manager = case.manager(store)

    assert header_of(manager, case.record) == case.header
    assert [len(manager.of(user_id="7")), len(manager.of(username="grace"))] == case.found


@each_case
def test_cookie_of_https_opens(path: Path, name: str) -> None:
    """It has a name of its own, and so a seal of its own."""
    case = Case(path, name)
    store = inside(MemoryStore(), case.path)
    assert store.create(case.record)
    environ = {"wsgi.url_scheme": "https", "HTTP_COOKIE": f"__Host-sid={case.https_cookie}"}
    session = case.manager(store).open(environ).session

    assert [session.username, session.copy()] == case.sees


@each_case
def test_file_opens(path: Path, name: str, tmp_path: Path) -> None:
    """As `FileStore` wrote it."""
    case = Case(path, name)
    store = inside(FileStore(tmp_path / "sessions"), case.path)
    directory = tmp_path.joinpath("sessions", *(f"in_{each}" for each in case.path))
    (directory / case.record.id.hex()).write_bytes(case.file)

    assert store.load(case.record.id, int(case.clock())) == case.record
    assert case.seen(store) == case.sees


@each_case
def test_row_opens(path: Path, name: str, tmp_path: Path) -> None:
    """As `SQLiteStore` wrote it."""
    case = Case(path, name)
    store = inside(SQLiteStore(tmp_path / "sessions.db"), case.path)
    table = "$".join(["sessionware_sessions", *case.path])
    with closing(sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)) as connection:
        connection.execute(case.row.replace('"sessionware_sessions"', f'"{table}"'))

    assert store.load(case.record.id, int(case.clock())) == case.record
    assert case.seen(store) == case.sees


@each_case
def test_no_bit_can_be_changed(path: Path, name: str) -> None:
    """Of the payload, or of what it is bound to: nothing opens."""
    case = Case(path, name)
    manager = case.manager(inside(MemoryStore(), case.path))
    sealer, where = manager._site.keys.record, "/".join(case.path).encode()
    id, version, expires_at, owner, payload = case.record
    changed = [Record(id, version, expires_at, owner, flipped) for flipped in flips(payload)]
    changed += [Record(flipped, version, expires_at, owner, payload) for flipped in flips(id)]
    changed += [Record(id, version ^ (1 << bit), expires_at, owner, payload) for bit in range(63)]
    changed += [Record(id, version, expires_at, flipped, payload) for flipped in flips(owner or b"")]
    changed += [Record(id, version, expires_at, other, payload) for other in (None, b"", b"x" * 16) if other != owner]

    assert isinstance(open_record(sealer, case.record, where), Stored)
    assert not [each for each in changed if isinstance(open_record(sealer, each, where), Stored)]
    for elsewhere in ("", "shop", "de", "shop/de", "de/shop", "shopde", "shop/de/"):
        assert isinstance(open_record(sealer, case.record, elsewhere.encode()), Stored) is (elsewhere.encode() == where)


@each_case
def test_no_character_of_the_cookie_can_be_changed(path: Path, name: str) -> None:
    """Nobody is logged in by any of them."""
    case = Case(path, name)
    store = inside(MemoryStore(), case.path)
    store.create(case.record)
    others = [case.cookie[:at] + ("A" if case.cookie[at] != "A" else "B") + case.cookie[at + 1 :] for at in range(64)]

    assert [case.seen(store, other) for other in others] == [[None, {}]] * 64


def flips(content: bytes) -> list[bytes]:
    """The same with one bit changed, for each bit."""
    number, size = int.from_bytes(content, "big"), len(content)
    return [(number ^ (1 << bit)).to_bytes(size, "big") for bit in range(8 * size)]


# What the next release writes ---------------------------------------------------------------------------------------


class NextRelease:
    """A session whose header has names that this release does not know."""

    #: The last one is of a type that this release cannot read.
    extra: dict[str, bytes] = {"dv": encode("Firefox"), "_keep": encode(5), "zz": b"\xc7\x01\x14x"}  # noqa: RUF012

    def __init__(self) -> None:
        self.clock = Clock(1_800_000_000)
        self.store = MemoryStore()
        self.manager = self.site("a secret of the next release, and nobody's")
        opened = self.manager.open()
        opened.session.login("Ada", user_id="7")
        opened.finish()
        assert opened.cookie is not None
        self.cookie = opened.cookie
        (record,) = self.store.scan()
        envelope = self.envelope()._replace(extra=self.extra)
        following = record._replace(version=record.version + 1)
        payload = seal_envelope(self.manager._site.keys.record, envelope, following, b"")
        assert self.store.replace(following._replace(payload=payload))

    def site(self, *secrets: str) -> SessionManager:
        return SessionManager(secrets, self.store, clock=self.clock)

    def envelope(self) -> Envelope:
        (record,) = self.store.scan()
        stored = open_record(self.manager._site.keys.record, record, b"")
        assert isinstance(stored, Stored)
        return stored.envelope

    def visit(self, act: Any, manager: SessionManager | None = None) -> None:
        opened = (manager or self.manager).open(cookie=self.cookie)
        act(opened.session)
        opened.finish()
        self.cookie = opened.cookie or self.cookie


def test_unknown_names_ride_along() -> None:
    """Through a write, a touch, a renewal of the token and a change of the secret, and come back whole."""
    site = NextRelease()
    site.visit(lambda session: session.update(n=1))
    assert site.envelope().extra == site.extra

    site.clock.tick(7200)
    site.visit(lambda session: session.get("n"))
    site.visit(lambda session: session.renew_token())
    assert site.envelope().extra == site.extra

    rotated = site.site("a secret of the day after, and nobody's either", "a secret of the next release, and nobody's")
    site.visit(lambda session: session.get("n"), rotated)
    site.manager = rotated
    assert site.envelope().extra == site.extra
    exported = {"dv": "Firefox", "_keep": 5, "zz": site.extra["zz"]}
    assert rotated.export(user_id="7")[0]["extra"] == exported


def test_login_keeps_of_them_only_what_is_marked() -> None:
    """Everything else belongs to the login that wrote it."""
    site = NextRelease()
    site.visit(lambda session: session.login("Ada", user_id="7"))

    assert site.envelope().extra == {"_keep": encode(5)}


def test_end_keeps_of_them_only_what_is_marked() -> None:
    """The same holds for what is left of a session."""
    site = NextRelease()
    (info,) = site.manager.of(user_id="7")
    assert site.manager.end(info.id)

    assert site.envelope().extra == {"_keep": encode(5)}
