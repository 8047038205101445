"""What every warning tells the operator: who, from where, why, and what to do; and never a secret."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest

from sessionware import (
    Busy,
    CrossOriginRefused,
    Event,
    EventName,
    LoginFailed,
    MemoryStore,
    SessionConflict,
    SessionManager,
    SQLiteStore,
    StoreUnavailable,
    Throttled,
    get_session,
)
from sessionware._core.records import Chance
from sessionware.auth import Auth
from sessionware.databases import sqlite as sqlite_module
from sessionware.events import WARNINGS
from sessionware.testing import FaultyStore
from tests.support.auth_kit import ADDRESS, PASSWORD, AuthBrowser, AuthSite
from tests.support.fixed import SECRET

OTHER_SECRET = "Tr0ub4dor&3 and a horse of quite another colour"
VALUE = "planted-value"
MOST_CHARACTERS = 600

#: What anybody may send, to confuse a log or whoever reads it.
HOSTILE = "https://evil.example\r\nsession.login user_id='admin'\x1b[31m\u202e" + "x" * 5000


class Visited:
    """A site where Ada is logged in, and whatever else a situation needs."""

    def __init__(self) -> None:
        self.store = FaultyStore(MemoryStore())
        self.site = AuthSite(store=self.store)
        self.ada = self.site.register("Ada")
        self.browser = self.site.logged_in("Ada")
        self.browser.do(lambda environ: get_session(environ).update(kept=VALUE))
        self.old = self.browser.copied()
        self.site.events.clear()

    @property
    def cookie(self) -> str:
        return self.browser.cookies["sid"]

    def asks(self, browser: AuthBrowser, **headers: str) -> None:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        browser.do(lambda environ: get_session(environ).get("kept"), method="GET", headers=sent)


def write_discarded(visited: Visited) -> None:
    visited.browser.do(lambda environ: get_session(environ).update(lost=VALUE), status="500 Oops")


def token_replayed(visited: Visited) -> None:
    visited.browser.do(lambda environ: get_session(environ).renew_token())
    visited.site.clock.tick(3600)
    visited.asks(visited.old)


def cookie_conflict(visited: Visited) -> None:
    other = visited.site.logged_in("Ada").cookies["sid"]
    visited.asks(visited.site.browser(), Cookie=f"sid={visited.cookie}; sid={other}")


def cookies_beyond_number(visited: Visited) -> None:
    junk = "; ".join(f"sid={number:064}" for number in range(50))
    visited.asks(visited.site.browser(), Cookie=junk)


def cross_origin(visited: Visited) -> None:
    visited.browser.do(lambda environ: get_session(environ).get("kept"), headers={"Origin": "https://evil.example"})


def cross_origin_by_a_hostile_client(visited: Visited) -> None:
    environ = hostile_environ(visited)
    opened = visited.site.manager.open(environ)
    opened.session["lost"] = VALUE
    opened.finish()


def csrf_blocked(visited: Visited) -> None:
    with suppress(CrossOriginRefused):
        visited.browser.do(
            lambda environ: visited.site.auth.login(environ, "Ada", PASSWORD),
            headers={"Origin": "https://evil.example"},
        )


def csrf_blocked_for_a_hostile_client(visited: Visited) -> None:
    environ = hostile_environ(visited)
    visited.site.manager.open(environ)
    with suppress(CrossOriginRefused):
        visited.site.auth.login(environ, "Ada", PASSWORD)


def hostile_environ(visited: Visited) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "HTTP_ORIGIN": HOSTILE,
        "HTTP_HOST": HOSTILE,
        "HTTP_SEC_FETCH_SITE": HOSTILE,
        "HTTP_COOKIE": f"sid={visited.cookie}",
        "REMOTE_ADDR": ADDRESS,
    }


def late_read(visited: Visited) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b""
        get_session(environ).get("kept")

    environ = {"HTTP_COOKIE": f"sid={visited.cookie}", "REMOTE_ADDR": ADDRESS}
    body: Iterable[bytes] = visited.site.manager.wrap(app)(environ, lambda *_: len)
    list(body)


def record_corrupt(visited: Visited) -> None:
    (record,) = visited.store.behind.scan()
    visited.store.behind.replace(record._replace(version=record.version + 1, payload=record.payload[:-1] + b"?"))
    visited.asks(visited.browser)


def record_unknown_key(visited: Visited) -> None:
    ahead = AuthSite(store=visited.store, secret=[OTHER_SECRET, SECRET])
    visited.asks(AuthBrowser(ahead, visited.browser.client.cookiejar))
    visited.asks(visited.browser)


def cookie_unknown_key(visited: Visited) -> None:
    visited.asks(visited.site.browser(), Cookie="sid=" + "A" * 64)


def store_unavailable(visited: Visited) -> None:
    visited.store.broken.add("load")
    visited.asks(visited.browser)


def touch_unavailable(visited: Visited) -> None:
    visited.store.broken.add("touch")
    visited.site.clock.tick(3 * 3600)
    visited.asks(visited.browser)


def store_conflict(visited: Visited) -> None:
    visited.site.manager._site.records._chance = Chance(patience=0.01)
    visited.store.behind.replace = lambda record: False
    with suppress(SessionConflict):
        visited.browser.do(lambda environ: get_session(environ).update(n=1))


def store_replaced(visited: Visited) -> None:
    with TemporaryDirectory() as folder, patch.object(sqlite_module, "LOOK_EVERY", -1.0):
        one, other = SQLiteStore(Path(folder, "one.db")), SQLiteStore(Path(folder, "other.db"))
        SessionManager(SECRET, one, on_event=visited.site.events.append)
        one.scan()
        other.close()
        Path(folder, "other.db").replace(Path(folder, "one.db"))
        one.scan()
        one.close()


def login_busy(visited: Visited) -> None:
    def out_of_memory() -> None:
        raise Busy(retry_after=5)

    visited.site.hasher.after_verify = out_of_memory
    with suppress(Busy):
        visited.site.browser().do(lambda environ: visited.site.auth.login(environ, "Ada", PASSWORD))


def login_throttled(visited: Visited) -> None:
    for _ in range(9):
        with suppress(LoginFailed, Throttled):
            visited.site.browser().do(lambda environ: visited.site.auth.login(environ, "Ada", VALUE))


def login_of_an_old_account(visited: Visited, verify_legacy: Callable[[str, str], bool] | None) -> None:
    site = visited.site
    site.users.add("eve", "Eve", "pbkdf2_sha256$1$salt$" + VALUE, {})
    auth = Auth(site.users, hasher=site.hasher, verify_legacy=verify_legacy)
    with suppress(LoginFailed):
        site.browser().do(lambda environ: auth.login(environ, "Eve", PASSWORD))


def login_unusable_hash(visited: Visited) -> None:
    login_of_an_old_account(visited, None)


def login_legacy_failed(visited: Visited) -> None:
    def verify_legacy(stored: str, password: str) -> bool:
        raise ValueError(stored + password)

    login_of_an_old_account(visited, verify_legacy)


SITUATIONS: list[tuple[EventName, Callable[[Visited], object]]] = [
    ("session.write_discarded", write_discarded),
    ("session.write_discarded", cross_origin_by_a_hostile_client),
    ("session.token_replayed", token_replayed),
    ("session.cookie_conflict", cookie_conflict),
    ("session.cookie_conflict", cookies_beyond_number),
    ("session.cross_origin", cross_origin),
    ("session.cross_origin", cross_origin_by_a_hostile_client),
    ("csrf.blocked", csrf_blocked),
    ("csrf.blocked", csrf_blocked_for_a_hostile_client),
    ("session.late_read", late_read),
    ("record.corrupt", record_corrupt),
    ("record.unknown_key", record_unknown_key),
    ("cookie.unknown_key", cookie_unknown_key),
    ("store.unavailable", store_unavailable),
    ("store.unavailable", touch_unavailable),
    ("store.conflict", store_conflict),
    ("store.replaced", store_replaced),
    ("login.throttled", login_throttled),
    ("login.busy", login_busy),
    ("login.unusable_hash", login_unusable_hash),
    ("login.legacy_failed", login_legacy_failed),
]

#: Warnings of the store, which does not know on whose behalf it is asked.
OF_THE_STORE = {"record.corrupt", "record.unknown_key", "store.replaced"}


def told_by(name: EventName, act: Callable[[Visited], object]) -> tuple[Visited, Event]:
    """The site, and the one warning of this name."""
    visited = Visited()
    with suppress(StoreUnavailable):
        act(visited)
    (event,) = visited.site.told(name)
    return visited, event


def test_every_warning_has_a_situation() -> None:
    """So that none is left out below. Those that are not here are in the tests of the events of accounts."""
    assert WARNINGS - {name for name, _ in SITUATIONS} == {
        "login.confirm_failed",
        "policy.unavailable",
        "send.dropped",
        "send.failed",
    }


@pytest.mark.parametrize(("name", "act"), SITUATIONS)
def test_warning_says_why_and_from_where(name: EventName, act: Callable[[Visited], object]) -> None:
    """In one printable line of some length at most, with the client's address wherever there is a client."""
    _, event = told_by(name, act)

    assert len(event.detail) > 20
    assert len(event.detail) <= MOST_CHARACTERS
    assert event.detail.isascii()
    assert event.detail.isprintable()
    assert event.client_address == (None if name in OF_THE_STORE else ADDRESS)


@pytest.mark.parametrize(("name", "act"), SITUATIONS)
def test_warning_reveals_nothing(
    name: EventName, act: Callable[[Visited], object], caplog: pytest.LogCaptureFixture
) -> None:
    """No secret, cookie, password or value, whatever led to it, and in no other event of the same request."""
    visited, _ = told_by(name, act)

    told = caplog.text + repr(visited.site.events)
    planted = (SECRET, OTHER_SECRET, PASSWORD, VALUE, *visited.old.cookies.values(), *visited.browser.cookies.values())
    assert [text for text in planted if text in told] == []


@pytest.mark.parametrize(
    "name", ["session.write_discarded", "session.token_replayed", "store.conflict", "store.unavailable"]
)
def test_warning_about_somebodys_session_says_whose(name: EventName) -> None:
    """By the account's id, and by the session's handle."""
    acts = {**dict(reversed(SITUATIONS)), "store.unavailable": touch_unavailable}

    visited, event = told_by(name, acts[name])

    assert event.user_id == visited.ada.id
    assert event.session_id == visited.site.manager.of(visited.ada)[0].id


@pytest.mark.parametrize(("name", "act"), [("session.cross_origin", cross_origin), ("csrf.blocked", csrf_blocked)])
def test_warning_of_another_site_says_what_to_do_if_it_is_ones_own(
    name: EventName, act: Callable[[Visited], object]
) -> None:
    """What was compared is named: Origin, Host and scheme as this server saw them."""
    _, event = told_by(name, act)

    for word in ("Origin 'https://evil.example'", "Host 'localhost:80'", "scheme http", "proxy", "trusted_origins"):
        assert word in event.detail


@pytest.mark.parametrize("sends_metadata", [False, True])
def test_warning_of_a_page_that_hides_its_origin_names_the_policy(sends_metadata: bool) -> None:
    """Without a referrer, and over plain http, a site's own forms count as another's. No proxy is to blame for that."""
    metadata = {"Sec-Fetch-Site": "cross-site"} if sends_metadata else {}

    def sent(visited: Visited) -> None:
        headers = {"Origin": "null", **metadata}
        visited.browser.do(lambda environ: get_session(environ).get("kept"), headers=headers)

    _, event = told_by("session.cross_origin", sent)

    assert ("Referrer-Policy: no-referrer" in event.detail) is not sends_metadata
    assert ("proxy" in event.detail) is sends_metadata


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda session: session.update(n=1), "session.created"),
        (lambda session: session.login("Bob", user_id="7"), "session.login"),
    ],
)
def test_other_events_of_a_session_name_the_client_too(act: Callable[[Any], object], expected: EventName) -> None:
    """Created and logged in to, renewed and ended: who did it, and from where."""
    site = AuthSite()
    browser = site.browser()

    browser.do(lambda environ: act(get_session(environ)))
    browser.do(lambda environ: get_session(environ).renew_token())
    browser.do(lambda environ: get_session(environ).invalidate())

    assert [event.name for event in site.events if event.name == expected]
    assert {event.client_address for event in site.events} == {ADDRESS}
    user_id = "7" if expected == "session.login" else None
    assert {event.user_id for event in site.events} == {user_id}


def test_client_address_that_fails_is_logged_and_fails_no_request(caplog: pytest.LogCaptureFixture) -> None:
    """Events change no results."""
    site = AuthSite(client_address=lambda environ: environ["HTTP_X_REAL_IP"])

    site.browser().do(lambda environ: get_session(environ).update(n=1))

    assert [(event.name, event.client_address) for event in site.events] == [("session.created", None)]
    assert "HTTP_X_REAL_IP" in caplog.text
