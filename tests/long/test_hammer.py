"""Servers killed under load: a short run of `python3 dev.py hammer`, and the proof that it would find something."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from sessionware import SessionManager
from sessionware.stores import open_store
from tests.long.hammer import server
from tests.long.hammer.book import Book, HammerTicket
from tests.long.hammer.checks import check_records, record_faults, stored_as
from tests.long.hammer.medium import MEDIA, Medium
from tests.long.hammer.plan import Plan
from tests.long.hammer.runs import report, run
from tests.long.hammer.server import HammerAnswer
from tests.long.hammer.site import site
from tests.support.fixed import SECRET


@pytest.mark.parametrize("store", ["sqlite", "file"])
def test_killed_servers_lose_nothing_and_revive_nothing(store: str) -> None:
    """Three workers are killed, and once all of them: every answer that came holds, at once and in the end."""
    plan = Plan(store, requests=600, kills=3, seed=time.time_ns() % 10**9, patience=60)
    result = run(plan)
    print(report(plan, result))

    assert (result.lost, result.revived, result.faults) == ((), (), ())
    assert (result.kills, result.restarts) == (3, 1)
    assert result.acknowledged > 500
    assert result.retries > 0
    assert result.ended > 0


@pytest.mark.parametrize("store", ["postgresql", "mariadb", "redis"])
def test_killed_database_servers_lose_nothing_and_revive_nothing(store: str) -> None:
    """Workers are killed, and the database server too, and then all connections to it are ended."""
    plan = Plan(store, requests=500, kills=2, strikes=2, seed=time.time_ns() % 10**9, patience=60)
    result = run(plan)
    print(report(plan, result))

    assert (result.lost, result.revived, result.faults) == ((), (), ())
    assert (result.kills, result.strikes) == (2, 2)
    assert result.outages + result.unknown > 0
    assert result.acknowledged > 300


class Visitor:
    """Visits the site without any server, and enters the answers in a book."""

    def __init__(self, medium: Medium) -> None:
        self.site = site()
        self.medium = medium
        self.book = Book()
        self.store: Any = open_store(medium.url)
        self.manager = SessionManager(SECRET, self.store)

    def send(self, page: str, ticket: HammerTicket | None = None, **fields: Any) -> HammerTicket:
        """One request of a browser. Returns the ticket that it then has."""
        given = self._enter(page, ticket, **fields) or ticket
        assert given is not None
        return given

    def revoke(self, name: str) -> None:
        """End every session of a user, by a request that has no session of its own."""
        self._enter("revoke", None, name=name)

    def _enter(self, page: str, ticket: HammerTicket | None, **fields: Any) -> HammerTicket | None:
        sent = self.book.about_to_send(page, ticket, **fields)
        return self.book.enter(sent, self._answer(page, ticket, **fields))

    def _answer(self, page: str, ticket: HammerTicket | None, **fields: Any) -> HammerAnswer:
        started: list[Any] = []
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": f"/{page}",
            "QUERY_STRING": urlencode({"linger": 0, **fields}),
            "wsgi.url_scheme": "http",
            "HTTP_COOKIE": f"sid={ticket.cookie}" if ticket else "",
        }
        body = b"".join(self.site(environ, lambda *start: started.extend(start)))
        cookie = dict(started[1]).get("Set-Cookie", "")
        return HammerAnswer(int(started[0][:3]), cookie.partition(";")[0].partition("=")[2], json.loads(body))

    def found(self) -> tuple[int, int, int]:
        """Look at what is left: how many cases are lost, revived, and otherwise wrong."""
        check_records(self.book, self.manager)
        self.book.faults += [*record_faults(self.manager), *self.medium.faults(self.store)]
        return len(self.book.lost), len(self.book.revived), len(self.book.faults)

    def record(self, ticket: HammerTicket) -> Any:
        return self.store.load(bytes.fromhex(ticket.handle.id), 0)

    def rewrite(self, ticket: HammerTicket, edit: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
        """Change the session's data behind its back."""
        site, stored = self.manager._site, stored_as(ticket.handle.id, self.manager)
        assert stored is not None
        envelope = stored.envelope.with_data(edit(stored.envelope.data))
        assert site.records.swap(site.keys, stored, envelope, stored.record.expires_at)


@pytest.fixture(params=["sqlite", "file"])
def visitor(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visitor]:
    medium = MEDIA[request.param](tmp_path)
    monkeypatch.setenv("SESSIONWARE_TEST_HAMMER_STORE", medium.url)
    monkeypatch.setenv("SESSION_SECRET", SECRET)
    logger = logging.getLogger("sessionware")
    level = logger.level
    yield Visitor(medium)
    logger.setLevel(level)
    medium.close()


def written(visitor: Visitor) -> HammerTicket:
    """A session with a key and a counter, in which somebody is logged in."""
    ticket = visitor.send("put", key="k1", value=7)
    visitor.send("add", ticket, key="n0")
    return visitor.send("login", ticket, name="ada")


def test_what_is_right_passes(visitor: Visitor) -> None:
    """Writes, a key that was taken away, a logout, another user, and cookies that are dead."""
    first = written(visitor)
    visitor.send("put", first, key="k2", value=8)
    visitor.send("drop", first, key="k2")
    second = visitor.send("login", first, name="bob")
    for ticket in (first, second, visitor.send("rotate", second)):
        visitor.send("read", ticket)
    visitor.send("logout", written(visitor))
    visitor.revoke("ada")

    assert visitor.found() == (0, 0, 0)


def test_login_that_joins_another_one_lets_both_cookies_live(visitor: Visitor) -> None:
    """They die together, by the next renewal."""
    before = visitor.send("put", key="k1", value=7)
    first, second = (visitor.send("login", before, name="ada") for _ in range(2))
    for ticket in (first, second):
        visitor.send("add", ticket, key="n0")
    visitor.send("read", first)
    visitor.send("rotate", second)
    for ticket in (before, first, second):
        visitor.send("read", ticket)

    assert first.handle is second.handle
    assert visitor.found() == (0, 0, 0)


def test_cookie_of_a_login_that_outlives_a_renewal_is_found(visitor: Visitor) -> None:
    """The record is as it was while two logins shared it, and both of their cookies open it again."""
    before = visitor.send("put", key="k1", value=7)
    first, second = (visitor.send("login", before, name="ada") for _ in range(2))
    record = visitor.record(first)
    visitor.send("rotate", second)
    visitor.store.delete(record.id)
    visitor.store.create(record)
    for ticket in (first, second):
        visitor.send("add", ticket, key="n1")

    assert len(visitor.book.revived) == 2


def test_lost_write_is_found(visitor: Visitor) -> None:
    """A key and an increment that were acknowledged and are not there: in the record, and for whoever reads it."""
    ticket = written(visitor)
    visitor.rewrite(ticket, lambda _data: {})
    visitor.send("read", ticket)

    assert visitor.found() == (4, 0, 0)


def test_write_that_was_refused_is_found(visitor: Visitor) -> None:
    """A key that came back, and a counter that counts what nobody asked for."""
    ticket = written(visitor)
    visitor.send("drop", ticket, key="k1")
    visitor.rewrite(ticket, lambda data: {**data, "k1": b"\x07", "n0": b"\x02"})

    assert visitor.found() == (0, 0, 2)


def test_session_that_is_gone_is_found(visitor: Visitor) -> None:
    """Nobody ended it."""
    ticket = written(visitor)
    visitor.store.delete(bytes.fromhex(ticket.handle.id))

    assert visitor.found()[0] == 1


@pytest.mark.parametrize("end", ["logout", "revoke"])
def test_session_that_came_back_is_found(visitor: Visitor, end: str) -> None:
    """Its cookie opens it again, and its record is there."""
    ticket = written(visitor)
    record = visitor.record(ticket)
    if end == "logout":
        visitor.send("logout", ticket)
    else:
        visitor.revoke("ada")
    visitor.store.delete(record.id)
    visitor.store.create(record)
    visitor.send("read", ticket)

    assert visitor.found()[:2] == (0, 2)


def test_token_from_before_a_login_that_opens_is_found(visitor: Visitor) -> None:
    """The record is as it was before the login, and the cookie from then opens it."""
    ticket = written(visitor)
    record = visitor.record(ticket)
    visitor.send("login", ticket, name="ada")
    visitor.store.delete(record.id)
    visitor.store.create(record)
    visitor.send("add", ticket, key="n1")

    assert len(visitor.book.revived) == 1


def test_requests_that_broke_off_may_count_or_not(visitor: Visitor) -> None:
    """An increment widens the bounds, a logout leaves everything open; after a 503 a write must not be there."""
    ticket = written(visitor)
    visitor.book.enter(visitor.book.about_to_send("add", ticket, key="n0"), None)
    assert visitor.found() == (0, 0, 0)
    visitor.rewrite(ticket, lambda data: {**data, "n0": b"\x02", "k2": b"\x02"})
    assert visitor.found() == (0, 0, 0)
    visitor.book.enter(visitor.book.about_to_send("put", ticket, key="k2", value=2), HammerAnswer(503, None, {}))
    assert visitor.found() == (0, 0, 1)

    visitor.book.enter(visitor.book.about_to_send("logout", ticket), None)
    visitor.store.delete(bytes.fromhex(ticket.handle.id))
    assert visitor.found() == (0, 0, 1)


def test_owner_that_does_not_lead_to_the_session_is_found(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry too few."""
    written(visitor)
    monkeypatch.setattr(visitor.store, "owned_by", lambda owner, now: [])

    assert any("not found under its owner" in fault for fault in record_faults(visitor.manager))


@pytest.mark.parametrize("visitor", ["sqlite"], indirect=True)
def test_damaged_database_is_found(visitor: Visitor) -> None:
    """A row that its table does not allow."""
    visitor.send("put", key="k1", value=7)
    with closing(sqlite3.connect(visitor.store._database.path)) as connection, connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'owner BLOB', 'owner BLOB NOT NULL')")

    assert visitor.found()[2] == 1


@pytest.mark.parametrize("visitor", ["file"], indirect=True)
def test_files_that_nobody_clears_away_are_found(visitor: Visitor) -> None:
    """A stray file and an entry that leads nowhere; but what is cleared away in time is none."""
    ticket = written(visitor)
    root = visitor.store._path
    (root / ("0" * 32)).write_bytes(b"sw1")
    (next((root / "owners").iterdir()) / ("1" * 32)).write_bytes(b"")
    assert visitor.found() == (0, 0, 0)

    (root / f"{ticket.handle.id}.tmp").write_bytes(b"")
    (next((root / "owners").iterdir()) / "x").write_bytes(b"")
    assert visitor.found() == (0, 0, 2)


def test_record_that_does_not_open_is_found(visitor: Visitor) -> None:
    """Whole, as the store sees it, and sealed by nobody."""
    visitor.store.create(visitor.record(written(visitor))._replace(id=os.urandom(16)))

    assert visitor.found()[2] == 1


def test_run_that_takes_too_long_stops_and_says_so() -> None:
    """It is not a good one, whatever it found until then."""
    result = run(Plan("file", requests=50, kills=0, patience=0.0))

    assert result.faults == ("stopped after 0 seconds",)


def test_server_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it said last, and without waiting for an answer."""
    monkeypatch.setattr(server, "SECRET", "too short")

    with pytest.raises(RuntimeError, match="does not serve"):
        run(Plan("file", requests=50, kills=0))
