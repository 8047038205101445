"""At rest: what is in the store is worthless without the secret, and opens only in its own record."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionware import FileStore, MemoryStore, Record, Session, SessionTooLarge, SQLiteStore, Store
from sessionware._core import records as records_module
from sessionware._core.envelope import Envelope, Stored, Unreadable, open_record, seal_envelope
from sessionware._core.values import encode
from sessionware._seals import TaggedSealer
from tests.support.fixed import SECRET, Clock
from tests.support.kit import SessionSite, SiteBrowser

NEW = "another secret, that is long enough too"


@pytest.fixture
def site(clock: Clock) -> SessionSite:
    return SessionSite(clock=clock)


@pytest.fixture
def browser(site: SessionSite) -> SiteBrowser:
    browser = site.browser()
    browser.visit(lambda session: (session.update(n=1), session.login("ada", user_id="7")))
    return browser


def change(site: SessionSite, **fields: bytes | int | None) -> None:
    """Write other things into the one record, as somebody with access to the database could."""
    record = site.store.records[0]
    site.store.behind.delete(record.id)
    site.store.behind.create(record._replace(**fields))


def test_record_shows_nothing(site: SessionSite, browser: SiteBrowser) -> None:
    """Neither values nor names, neither the token nor anything of the cookie."""
    browser.visit(lambda session: session.update(pin="4711-4711-4711"))
    record = site.store.records[0]
    stored = record.id + record.owner + record.payload

    assert b"4711" not in stored
    assert b"ada" not in stored
    assert browser.cookies["sid"].encode()[:12] not in stored


@pytest.mark.parametrize(
    "damage",
    [
        lambda payload: payload[:-1],
        lambda payload: payload[:20],
        lambda payload: payload[:-1] + bytes([payload[-1] ^ 1]),
        lambda payload: b"\x01" + payload[1:5],
        lambda payload: b"",
        lambda payload: b"\x00" + payload[1:],
    ],
)
def test_damaged_record_is_told_deleted_and_no_session(
    site: SessionSite, browser: SiteBrowser, damage: Callable[..., Any]
) -> None:
    """The visitor starts afresh, with a new id; nobody gets an error page for ever."""
    id = site.store.records[0].id
    change(site, payload=damage(site.store.records[0].payload))

    assert browser.visit(lambda session: (session.username, session.copy())).result == (None, {})
    assert site.store.records == []
    browser.visit(lambda session: session.update(n=2))
    assert site.told("record.corrupt")
    assert [record.id == id for record in site.store.records] == [False]


@pytest.mark.parametrize("content", ["nonsense", [1, 2, 3], {}, None])
def test_record_that_opens_onto_something_else_is_told_and_deleted(
    site: SessionSite, browser: SiteBrowser, content: dict[str, Any] | list[int] | str | None
) -> None:
    """Sealed by the right secret, for this record, and yet not a session: as corrupt as any other."""
    record = site.store.records[0]
    lengths = (0).to_bytes(2, "big") + (len(record.owner) + 1).to_bytes(1, "big")
    context = b"\x01" + record.id + record.version.to_bytes(8, "big") + lengths + record.owner
    change(site, payload=site.middleware._site.keys.record.seal(context + encode(content)))

    assert browser.visit(lambda session: session.username).result is None
    assert site.store.records == []
    assert site.told("record.corrupt")


def test_corrupt_record_that_cannot_be_deleted_is_no_outage(site: SessionSite, browser: SiteBrowser) -> None:
    """It is in nobody's way."""
    change(site, payload=b"\x01")
    site.store.broken.add("delete")

    assert browser.visit(lambda session: session.username).response.status_int == 200


@pytest.mark.parametrize("fields", [{"owner": b"x" * 16}, {"owner": None}, {"version": 1}])
def test_record_with_swapped_owner_or_version_does_not_open(
    site: SessionSite, browser: SiteBrowser, fields: dict[str, Any]
) -> None:
    """What the store could change is authenticated with the rest."""
    browser.visit(lambda session: session.update(n=2))
    change(site, **fields)

    assert browser.visit(lambda session: session.username).result is None
    assert site.told("record.corrupt")


def test_record_copied_onto_another_id_does_not_open(site: SessionSite, browser: SiteBrowser) -> None:
    """Nobody gets into an account by copying its row over their own."""
    eve = site.browser()
    eve.visit(lambda session: session.update(n=1))
    ada, own = sorted(site.store.records, key=lambda record: record.owner is None)
    site.store.behind.delete(own.id)
    site.store.behind.create(ada._replace(id=own.id))

    assert eve.visit(lambda session: session.username).result is None
    assert site.told("record.corrupt")


def test_record_of_another_namespace_does_not_open(clock: Clock) -> None:
    """`INSERT INTO …$admin SELECT * FROM …$shop`: a visitor of the shop must not be let in to the administration."""
    store = MemoryStore()
    shop, admin = (SessionSite(store.namespace(name), clock) for name in ("shop", "admin"))
    browser = shop.browser()
    browser.visit(lambda session: session.login("ada"))
    (record,) = store.namespace("shop").scan()
    assert store.namespace("admin").create(record)

    assert SiteBrowser(admin, browser.client.cookiejar).visit(lambda session: session.username).result is None
    assert admin.told("record.corrupt")
    assert browser.visit(lambda session: session.username).result == "ada"


def test_same_row_in_another_store_opens(clock: Clock, tmp_path: Path) -> None:
    """Sessions can be moved from one medium to another without logging anybody out."""
    stores: list[Store] = [MemoryStore(), SQLiteStore(tmp_path / "sessions.db"), FileStore(tmp_path / "sessions")]
    first, *others = [SessionSite(store.namespace("shop").namespace("de"), clock) for store in stores]
    browser = first.browser()
    browser.visit(lambda session: (session.update(n=1), session.login("ada")))
    (record,) = first.store.records

    for site in others:
        assert site.store.create(record)
        seen = SiteBrowser(site, browser.client.cookiejar).visit(lambda session: (session.username, session["n"]))
        assert seen.result == ("ada", 1)


#: What a row may hold that somebody else wrote. An id never changes here: it is what the row was asked for by.
ODD_FIELDS: list[dict[str, Any]] = [
    {"version": -1},
    {"version": 2**64},
    {"version": 1.0},
    {"version": "1"},
    {"version": None},
    {"expires_at": 4e9},
    {"expires_at": "9999999999"},
    {"owner": "ada"},
    {"owner": b"x" * 300},
    {"owner": b""},
    {"owner": 5},
    {"payload": 123},
    {"payload": "x"},
    {"payload": None},
    {"payload": bytearray(b"\x01")},
]


@pytest.mark.parametrize("id", ["abcdefghijklmnop", 5, 5.5])
def test_row_with_an_odd_id_keeps_nobody_logged_in(id: Any, clock: Clock, tmp_path: Path) -> None:
    """SQLite takes anything in a column. The row is told and deleted, and the person is logged out everywhere else."""
    store = SQLiteStore(tmp_path / "sessions.db")
    site = SessionSite(store, clock)
    site.browser().visit(lambda session: session.login("ada", user_id="7"))
    with closing(sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)) as connection:
        columns = "version, expires_at, prune_at, owner, payload"
        copy = f"INSERT INTO sessionware_sessions SELECT ?, {columns} FROM sessionware_sessions"
        connection.execute(copy, (id,))

        assert site.middleware.manager.end_all(user_id="7") == 1
        assert connection.execute("SELECT count(*) FROM sessionware_sessions").fetchone() == (1,)  # the tombstone
    assert site.told("record.corrupt")


def test_header_has_a_limit_too(clock: Clock) -> None:
    """An application may pass on a name that a visitor made up."""
    site = SessionSite(clock=clock, max_bytes=1024)
    with pytest.raises(SessionTooLarge, match="username"):
        site.browser().visit(lambda session: session.login("x" * 100_000))

    assert site.store.records == []


@pytest.mark.parametrize("fields", ODD_FIELDS, ids=str)
def test_row_that_is_no_record_is_corrupt(fields: dict[str, Any], clock: Clock) -> None:
    """Told and deleted as any other that does not open. The rest of a list goes on, and nothing raises."""
    site = SessionSite(clock=clock)
    for _ in range(2):
        site.browser().visit(lambda session: session.login("ada", user_id="7"))
    odd, good = site.store.records
    site.store.behind.owned_by = lambda owner, now: [odd._replace(**fields), good]

    assert [info.id for info in site.middleware.manager.of(user_id="7")] == [good.id.hex()]
    assert site.store.records == [good]
    assert site.told("record.corrupt")


@pytest.mark.parametrize("fields", ODD_FIELDS, ids=str)
def test_row_that_is_no_record_can_be_counted_and_ended(fields: dict[str, Any], clock: Clock) -> None:
    """By whoever looks after the site."""
    site = SessionSite(clock=clock)
    site.browser().visit(lambda session: session.login("ada", user_id="7"))
    (record,) = site.store.records
    odd = record._replace(**fields)
    site.store.behind.load = lambda id, now: odd
    site.store.behind.scan = lambda after=None, limit=1000: [odd] if after is None else []
    manager = site.middleware.manager

    assert set(manager.stats().values()) == {0}
    assert manager.end(record.id.hex())
    assert site.told("record.corrupt")
    assert site.told("session.ended")


def test_full_session_can_log_in(clock: Clock) -> None:
    """The limit counts the data alone, and neither the header nor the seal."""
    site = SessionSite(clock=clock, max_bytes=2048)
    browser = site.browser()
    browser.visit(lambda session: session.update(blob=b"x" * (2048 - len("blob") - 3)))
    browser.visit(lambda session: session.login("ada" * 40, user_id="7" * 100))

    assert browser.visit(lambda session: session.username).result == "ada" * 40
    with pytest.raises(SessionTooLarge, match="2049 bytes, more than max_bytes=2048"):
        browser.visit(lambda session: session.update(blob=b"x" * (2049 - len("blob") - 3)))


@pytest.mark.parametrize("prefix", [b"\x02", b"\xff"])
def test_newer_format_is_left_alone(site: SessionSite, browser: SiteBrowser, prefix: bytes) -> None:
    """An older server in a rolling deploy must not log out whom a newer one let in."""
    change(site, payload=prefix + site.store.records[0].payload[1:])

    assert browser.visit(lambda session: session.username).result is None
    assert len(site.store.records) == 1
    assert site.told("record.unknown_key")


def test_record_sealed_by_an_unknown_secret_is_left_alone(clock: Clock) -> None:
    """The same for a server that does not have the new secret yet."""
    store = MemoryStore()
    both, old = SessionSite(store, clock, secret=[SECRET, NEW]), SessionSite(store, clock)
    browser = both.browser()
    browser.visit(lambda session: session.update(n=1))
    newest = SessionSite(store, clock, secret=[NEW, SECRET])
    SiteBrowser(newest, browser.client.cookiejar).visit(lambda session: session.update(n=2))

    assert SiteBrowser(old, browser.client.cookiejar).read() == {}
    assert len(store.scan()) == 1
    assert old.told("record.unknown_key")
    assert SiteBrowser(newest, browser.client.cookiejar).read() == {"n": 2}


def test_secret_is_rotated_in_three_deploys_without_logging_anyone_out(clock: Clock) -> None:
    """Cookie and record are sealed anew when a reader comes by, so that the old secret can be dropped."""
    store = MemoryStore()
    deploys = [SessionSite(store, clock, secret=secret) for secret in (SECRET, [SECRET, NEW], [NEW, SECRET], NEW)]
    browser = deploys[0].browser()
    browser.visit(lambda session: (session.update(n=1), setattr(session, "username", "ada")))
    seen = []
    for deploy in deploys:
        browser = SiteBrowser(deploy, browser.client.cookiejar)
        seen.append(browser.visit(lambda session: (session.username, session["n"])).result)

    assert seen == [("ada", 1)] * 4


def test_page_that_only_reads_is_served_though_the_session_has_become_too_large(clock: Clock) -> None:
    """It cannot be sealed anew under the new secret, which is told, and is the operator's to mend."""
    store = MemoryStore()
    before, after = (
        SessionSite(store, clock),
        SessionSite(store, clock, secret=[NEW, SECRET], max_bytes=1024),
    )
    browser = before.browser()
    browser.visit(lambda session: session.update(text="x" * 2000))

    answer = SiteBrowser(after, browser.client.cookiejar).visit(lambda session: len(session["text"]))

    assert (answer.response.status_int, answer.result) == (200, 2000)
    assert not after.told("store.unavailable")
    assert [event.detail for event in after.told("session.write_discarded")] == [
        "it could not be sealed anew, and ends when its old secret does: The session's data take 2007 bytes, more than "
        "max_bytes=1024. Keep large data in the application's own storage, and its key in the session."
    ]


@pytest.mark.parametrize(("old", "new"), [(0, 1), (1, 2), (2, 3)])
def test_old_and_new_workers_serve_one_browser_side_by_side(clock: Clock, old: int, new: int) -> None:
    """In the middle of each deploy of a rotation, whichever worker a request meets: logged in, and no write lost."""
    store = MemoryStore()
    secrets = [SECRET, [SECRET, NEW], [NEW, SECRET], NEW]
    sites = [SessionSite(store, clock, secret=secret) for secret in secrets]
    browser = sites[0].browser()
    browser.visit(lambda session: (session.update(n=0), session.login("ada", user_id="7")))
    for site in sites[: old + 1]:  # the deploys before were finished, and the browser came by
        browser = SiteBrowser(site, browser.client.cookiejar)
        browser.read()

    seen = []
    for turn in range(12):
        browser = SiteBrowser(sites[(old, new)[turn % 3 == 0 or turn % 5 == 0]], browser.client.cookiejar)
        seen.append(browser.visit(lambda session: (session.username, session.modify("n", lambda n: n + 1))).result)
        if turn == 6:
            browser.visit(lambda session: session.renew_token())

    assert seen == [("ada", turn + 1) for turn in range(12)]


#: What the next release puts before a payload in a format of its own.
NEXT = b"\x02"


class Releases(dict[TaggedSealer, str]):
    """Which sites, known by their sealers, are of the next release: it reads its own format, and may write it."""

    def seal(self, sealer: TaggedSealer, envelope: Envelope, record: Record, path: bytes) -> bytes:
        payload = seal_envelope(sealer, envelope, record, path)
        return NEXT + payload if self.get(sealer) == "writes" else payload

    def open(self, sealer: TaggedSealer, record: Record, path: bytes) -> Stored | Unreadable:
        if sealer in self:
            record = record._replace(payload=record.payload.removeprefix(NEXT))
        return open_record(sealer, record, path)


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Callable[..., SessionSite]:
    """Makes a site of today's release, or of the next one, which reads the next format and perhaps writes it."""
    next_release = Releases()
    monkeypatch.setattr(records_module, "seal_envelope", next_release.seal)
    monkeypatch.setattr(records_module, "open_record", next_release.open)

    def make(store: MemoryStore, *, next_format: str | None = None) -> SessionSite:
        site = SessionSite(store, clock)
        if next_format is not None:
            next_release[site.middleware._site.keys.record] = next_format
        return site

    return make


@pytest.mark.interpreted
def test_format_is_changed_reader_first_and_nobody_is_logged_out(release: Callable[..., SessionSite]) -> None:
    """Today's release beside one that reads the next format; then that one beside one that writes it."""
    store = MemoryStore()
    today, reads, writes = (release(store, next_format=how) for how in (None, "reads", "writes"))
    browser = today.browser()
    browser.visit(lambda session: (session.update(n=0), session.login("ada", user_id="7")))

    seen = []
    for turn, site in enumerate([today, reads, today, reads, reads, writes, reads, writes, writes, reads]):
        browser = SiteBrowser(site, browser.client.cookiejar)
        seen.append(browser.visit(lambda session: (session.username, session.modify("n", lambda n: n + 1))).result)
        assert store.scan()[0].payload[0] == (2 if site is writes else 1), turn

    assert seen == [("ada", turn + 1) for turn in range(10)]


@pytest.mark.interpreted
def test_format_that_is_written_too_early_is_left_alone_by_older_releases(
    release: Callable[..., SessionSite],
) -> None:
    """They see no session, and delete none: with the next release the visitor is logged in again."""
    store = MemoryStore()
    today, writes = release(store), release(store, next_format="writes")
    browser = writes.browser()
    browser.visit(lambda session: session.login("ada", user_id="7"))

    assert SiteBrowser(today, browser.client.cookiejar).visit(lambda session: session.username).result is None
    assert today.told("record.unknown_key")
    assert browser.visit(lambda session: session.username).result == "ada"


def tabs_of_a_rotated_site(clock: Clock) -> tuple[SessionSite, SiteBrowser, SiteBrowser]:
    """The site under a new secret, and two tabs whose cookie and session the old one sealed."""
    store = MemoryStore()
    browser = SessionSite(store, clock).browser()
    browser.visit(lambda session: session.update(n=1))
    rotated = SessionSite(store, clock, secret=[NEW, SECRET])
    slow, quick = (SiteBrowser(rotated, browser.client.cookiejar) for _ in range(2))
    return rotated, slow, quick


def test_reader_that_loses_to_a_login_does_not_send_its_old_token_again(clock: Clock) -> None:
    """The cookie that it would seal anew is not the newest any more: sent late, it would log the browser out."""
    rotated, slow, quick = tabs_of_a_rotated_site(clock)
    rotated.store.before["replace"] = lambda: quick.visit(lambda session: setattr(session, "username", "ada"))

    visit = slow.visit(lambda session: session["n"])

    assert (visit.result, visit.set_cookies) == (1, [])
    assert quick.visit(lambda session: session.username).result == "ada"


def test_resealing_happens_once(clock: Clock) -> None:
    """The next reader finds nothing to do."""
    store = MemoryStore()
    browser = SessionSite(store, clock).browser()
    browser.visit(lambda session: (session.update(n=1), setattr(session, "username", "ada")))
    rotated = SessionSite(store, clock, secret=[NEW, SECRET])
    browser = SiteBrowser(rotated, browser.client.cookiejar)
    visits = [browser.visit(lambda session: session["n"]) for _ in range(2)]

    assert [len(visit.set_cookies) for visit in visits] == [1, 0]
    assert rotated.store.calls == ["load", "replace", "load"]


@pytest.mark.parametrize("is_sealed_anew", [True, False])
@pytest.mark.parametrize("status", ["200 OK", "500 Oops"])
def test_response_under_way_does_not_send_the_token_from_before_a_login(
    clock: Clock, is_sealed_anew: bool, status: str
) -> None:
    """Whether it fails or not, and whether another tab has sealed the record anew already."""
    _, slow, quick = tabs_of_a_rotated_site(clock)
    if is_sealed_anew:
        quick.visit(lambda session: session["n"])

    def view(session: Session) -> None:
        assert session["n"] == 1
        quick.visit(lambda other: setattr(other, "username", "ada"))

    assert slow.visit(view, status=status).set_cookies == []


def test_cookie_of_a_record_that_was_sealed_anew_is_sealed_anew(clock: Clock) -> None:
    """A browser that comes with the old cookie later gets the new one, though nothing else is left to do."""
    _, first, second = tabs_of_a_rotated_site(clock)
    first.visit(lambda session: session["n"])

    assert [len(second.visit(lambda session: session["n"]).set_cookies) for _ in range(2)] == [1, 0]
