"""At rest: what is in the store is worthless without the secret, and opens only in its own record."""

from __future__ import annotations

import pytest
from conftest import SECRET, Clock
from kit import Browser, Site

from sessionware import Keyring, MemoryStore
from sessionware.envelope import EnvelopeSealer
from sessionware.values import encode

NEW = "another secret, that is long enough too"


@pytest.fixture
def site(clock: Clock) -> Site:
    return Site(clock=clock)


@pytest.fixture
def browser(site: Site) -> Browser:
    browser = site.browser()
    browser.visit(lambda session: (session.update(n=1), session.log_in("ada", user_id="7")))
    return browser


def change(site, **fields):
    """Write other things into the one record, as somebody with access to the database could."""
    record = site.store.records[0]
    site.store.behind.delete(record.id)
    site.store.behind.create(record._replace(**fields))


def test_record_shows_nothing(site, browser):
    """Neither values nor names, neither the token nor anything of the cookie."""
    browser.visit(lambda session: session.update(pin="4711-4711-4711"))
    record = site.store.records[0]
    stored = record.id + record.owner + record.payload

    assert b"4711" not in stored
    assert b"ada" not in stored
    assert browser.cookies["session"].encode()[:12] not in stored


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
def test_damaged_record_is_told_deleted_and_no_session(site, browser, damage):
    """The visitor starts afresh, with a new id; nobody gets an error page for ever."""
    id = site.store.records[0].id
    change(site, payload=damage(site.store.records[0].payload))

    assert browser.visit(lambda session: (session.username, session.copy())).result == (None, {})
    assert site.store.records == []
    browser.visit(lambda session: session.update(n=2))
    assert site.told("corrupt")
    assert [record.id == id for record in site.store.records] == [False]


@pytest.mark.parametrize("content", ["nonsense", [1, 2, 3], {}, None])
def test_record_that_opens_onto_something_else_is_told_and_deleted(site, browser, content):
    """Sealed by the right secret, for this record, and still no session: as corrupt as any other."""
    record = site.store.records[0]
    sealer = Keyring(SECRET).tagged_sealer("record", b"\x01")
    context = b"\x01" + record.id + record.version.to_bytes(8, "big") + record.owner
    change(site, payload=sealer.seal(encode(content), context))

    assert browser.visit(lambda session: session.username).result is None
    assert site.store.records == []
    assert site.told("corrupt")


def test_corrupt_record_that_cannot_be_deleted_is_no_outage(site, browser):
    """It is in nobody's way."""
    change(site, payload=b"\x01")
    site.store.broken.add("delete")

    assert browser.visit(lambda session: session.username).response.status_int == 200


@pytest.mark.parametrize("fields", [{"owner": b"x" * 16}, {"owner": None}, {"version": 1}])
def test_record_with_swapped_owner_or_version_does_not_open(site, browser, fields):
    """What the store could change is authenticated with the rest."""
    browser.visit(lambda session: session.update(n=2))
    change(site, **fields)

    assert browser.visit(lambda session: session.username).result is None
    assert site.told("corrupt")


def test_record_copied_onto_another_id_does_not_open(site, browser):
    """Nobody gets into an account by copying its row over their own."""
    eve = site.browser()
    eve.visit(lambda session: session.update(n=1))
    ada, own = sorted(site.store.records, key=lambda record: record.owner is None)
    site.store.behind.delete(own.id)
    site.store.behind.create(ada._replace(id=own.id))

    assert eve.visit(lambda session: session.username).result is None
    assert site.told("corrupt")


@pytest.mark.parametrize("prefix", [b"\x02", b"\xff"])
def test_newer_format_is_left_alone(site, browser, prefix):
    """An older server in a rolling deploy must not log out whom a newer one let in."""
    change(site, payload=prefix + site.store.records[0].payload[1:])

    assert browser.visit(lambda session: session.username).result is None
    assert len(site.store.records) == 1
    assert site.told("unknown_key")


def test_record_sealed_by_an_unknown_secret_is_left_alone(clock):
    """The same for a server that does not have the new secret yet."""
    store = MemoryStore()
    both, old = Site(store, clock, secret=[SECRET, NEW]), Site(store, clock)
    browser = both.browser()
    browser.visit(lambda session: session.update(n=1))
    newest = Site(store, clock, secret=[NEW, SECRET])
    Browser(newest, browser.client.cookiejar).visit(lambda session: session.update(n=2))

    assert Browser(old, browser.client.cookiejar).read() == {}
    assert len(store.scan()) == 1
    assert old.told("unknown_key")
    assert Browser(newest, browser.client.cookiejar).read() == {"n": 2}


def test_secret_is_rotated_in_three_deploys_without_logging_anyone_out(clock):
    """Cookie and record are sealed anew when a reader comes by, so that the old secret can be dropped."""
    store = MemoryStore()
    deploys = [Site(store, clock, secret=secret) for secret in (SECRET, [SECRET, NEW], [NEW, SECRET], NEW)]
    browser = deploys[0].browser()
    browser.visit(lambda session: (session.update(n=1), setattr(session, "username", "ada")))
    seen = []
    for deploy in deploys:
        browser = Browser(deploy, browser.client.cookiejar)
        seen.append(browser.visit(lambda session: (session.username, session["n"])).result)

    assert seen == [("ada", 1)] * 4


@pytest.mark.parametrize(("old", "new"), [(0, 1), (1, 2), (2, 3)])
def test_old_and_new_workers_serve_one_browser_side_by_side(clock, old, new):
    """In the middle of each deploy of a rotation, whichever worker a request meets: logged in, and no write lost."""
    store = MemoryStore()
    secrets = [SECRET, [SECRET, NEW], [NEW, SECRET], NEW]
    sites = [Site(store, clock, secret=secret) for secret in secrets]
    browser = sites[0].browser()
    browser.visit(lambda session: (session.update(n=0), session.log_in("ada", user_id="7")))
    for site in sites[: old + 1]:  # the deploys before were finished, and the browser came by
        browser = Browser(site, browser.client.cookiejar)
        browser.read()

    seen = []
    for turn in range(12):
        browser = Browser(sites[(old, new)[turn % 3 == 0 or turn % 5 == 0]], browser.client.cookiejar)
        seen.append(browser.visit(lambda session: (session.username, session.modify("n", lambda n: n + 1))).result)
        if turn == 6:
            browser.visit(lambda session: session.regenerate_id())

    assert seen == [("ada", turn + 1) for turn in range(12)]


class NextRelease(EnvelopeSealer):
    """A release that reads a format of its own beside today's, and writes it once it is told to."""

    def __init__(self, keyring, *, writes_next):
        super().__init__(keyring)
        self.writes_next = writes_next

    def seal(self, envelope, id, version, owner):
        payload = super().seal(envelope, id, version, owner)
        return b"\x02" + payload if self.writes_next else payload

    def open(self, record):
        return super().open(record._replace(payload=record.payload.removeprefix(b"\x02")))


def release(store, clock, *, next_format=None):
    """A site of today's release, or of the next one, which reads the next format and perhaps writes it."""
    site = Site(store, clock)
    if next_format is not None:
        site.middleware._settings.records._sealer = NextRelease(Keyring(SECRET), writes_next=next_format == "writes")
    return site


@pytest.mark.interpreted
def test_format_is_changed_reader_first_and_nobody_is_logged_out(clock):
    """Today's release beside one that reads the next format; then that one beside one that writes it."""
    store = MemoryStore()
    today, reads, writes = (release(store, clock, next_format=how) for how in (None, "reads", "writes"))
    browser = today.browser()
    browser.visit(lambda session: (session.update(n=0), session.log_in("ada", user_id="7")))

    seen = []
    for turn, site in enumerate([today, reads, today, reads, reads, writes, reads, writes, writes, reads]):
        browser = Browser(site, browser.client.cookiejar)
        seen.append(browser.visit(lambda session: (session.username, session.modify("n", lambda n: n + 1))).result)
        assert store.scan()[0].payload[0] == (2 if site is writes else 1), turn

    assert seen == [("ada", turn + 1) for turn in range(10)]


@pytest.mark.interpreted
def test_format_that_is_written_too_early_is_left_alone_by_older_releases(clock):
    """They see no session, and delete none: with the next release the visitor is logged in again."""
    store = MemoryStore()
    today, writes = release(store, clock), release(store, clock, next_format="writes")
    browser = writes.browser()
    browser.visit(lambda session: session.log_in("ada", user_id="7"))

    assert Browser(today, browser.client.cookiejar).visit(lambda session: session.username).result is None
    assert today.told("unknown_key")
    assert browser.visit(lambda session: session.username).result == "ada"


def tabs_of_a_rotated_site(clock):
    """The site under a new secret, and two tabs whose cookie and session the old one sealed."""
    store = MemoryStore()
    browser = Site(store, clock).browser()
    browser.visit(lambda session: session.update(n=1))
    rotated = Site(store, clock, secret=[NEW, SECRET])
    return rotated, *(Browser(rotated, browser.client.cookiejar) for _ in range(2))


def test_reader_that_loses_to_a_login_does_not_send_its_old_token_again(clock):
    """The cookie that it would seal anew is not the newest any more: sent late, it would log the browser out."""
    rotated, slow, quick = tabs_of_a_rotated_site(clock)
    rotated.store.before["replace"] = lambda: quick.visit(lambda session: setattr(session, "username", "ada"))

    visit = slow.visit(lambda session: session["n"])

    assert (visit.result, visit.set_cookies) == (1, [])
    assert quick.visit(lambda session: session.username).result == "ada"


def test_resealing_happens_once(clock):
    """The next reader finds nothing to do."""
    store = MemoryStore()
    browser = Site(store, clock).browser()
    browser.visit(lambda session: (session.update(n=1), setattr(session, "username", "ada")))
    rotated = Site(store, clock, secret=[NEW, SECRET])
    browser = Browser(rotated, browser.client.cookiejar)
    visits = [browser.visit(lambda session: session["n"]) for _ in range(2)]

    assert [len(visit.set_cookies) for visit in visits] == [1, 0]
    assert rotated.store.calls == ["load", "replace", "load"]


@pytest.mark.parametrize("is_sealed_anew", [True, False])
@pytest.mark.parametrize("status", ["200 OK", "500 Oops"])
def test_response_under_way_does_not_send_the_token_from_before_a_login(clock, is_sealed_anew, status):
    """Whether it fails or not, and whether another tab has sealed the record anew already."""
    _, slow, quick = tabs_of_a_rotated_site(clock)
    if is_sealed_anew:
        quick.visit(lambda session: session["n"])

    def view(session):
        assert session["n"] == 1
        quick.visit(lambda other: setattr(other, "username", "ada"))

    assert slow.visit(view, status=status).set_cookies == []


def test_cookie_of_a_record_that_was_sealed_anew_is_sealed_anew(clock):
    """A browser that comes with the old cookie later gets the new one, though nothing else is left to do."""
    _, first, second = tabs_of_a_rotated_site(clock)
    first.visit(lambda session: session["n"])

    assert [len(second.visit(lambda session: session["n"]).set_cookies) for _ in range(2)] == [1, 0]
