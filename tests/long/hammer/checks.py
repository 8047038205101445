"""What is left in the end: compared with the book, for browsers, in the store, and on the disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from math import inf
from typing import Any

from sessionware import SessionManager, Store
from sessionware._core.envelope import Stored
from sessionware._core.values import decode
from sessionware.stores import open_store
from tests.long.hammer.book import Book, HammerTicket
from tests.long.hammer.pounding import Hammer
from tests.support.fixed import SECRET


def check(hammer: Hammer) -> None:
    """Compare what the book says with what is there: for browsers, in the store, and on the disk."""
    hammer.book.settle()
    hammer.server.restart()
    hammer.server.restarts -= 1
    _check_cookies(hammer)
    hammer.server.kill()
    store = open_store(hammer.medium.url)
    manager = SessionManager(SECRET, store)
    check_records(hammer.book, manager)
    hammer.book.faults += [*record_faults(manager), *hammer.medium.faults(store)]


def _check_cookies(hammer: Hammer) -> None:
    """Each cookie that ever was, sent to a fresh server: the dead see nothing, the others all that must be there."""
    book = hammer.book
    with closing(hammer.server.connect()) as connection:
        for ticket in book.tickets:
            if hammer.is_late():
                return
            answer = hammer.read(connection, ticket)
            if answer is None or answer.status != 200:
                book.faults.append(f"the fresh server did not answer for session {ticket.handle.id}: {answer}")
            elif _must_open(ticket) and answer.told["is_new"]:
                book.lost.append(f"session {ticket.handle.id} is gone: its cookie gets {answer.told}")


def _must_open(ticket: HammerTicket) -> bool:
    is_unsure = ticket.may_be_dead or ticket.handle.may_be_over or ticket.story.may_be_over
    return not is_unsure and not ticket.is_dead(time.monotonic())


def check_records(book: Book, manager: SessionManager) -> None:
    """Each story against its record, whether or not any cookie leads there still."""
    for story in book.stories:
        stored = stored_as(story.handle.id, manager)
        is_there = stored is not None and not stored.envelope.is_tombstone
        if story.handle.ended_at < inf:
            if is_there:
                book.revived.append(f"session {story.handle.id} was ended and its record is there: {stored}")
        elif not is_there:
            if not (story.handle.may_be_over or story.is_over or story.may_be_over):
                book.lost.append(f"session {story.handle.id} is gone: its record is {stored}")
        elif stored is not None and not (story.is_over or story.may_be_over):
            data = _data(stored)
            book.lost += [f"in session {story.handle.id} {what}" for what in story.missing(data)]
            book.faults += [f"in session {story.handle.id} {what}" for what in story.surplus(data)]


def stored_as(handle: str, manager: SessionManager) -> Stored | None:
    """The record of a session, opened, a tombstone too."""
    site = manager._site
    return site.records.load(site.keys, bytes.fromhex(handle), site.now())


def _data(stored: Stored) -> dict[str, Any]:
    return {key: decode(value) for key, value in stored.envelope.data.items()}


def record_faults(manager: SessionManager) -> Iterator[str]:
    """Each record opens, and is found under its owner."""
    store, now = manager._site.records.store, manager._site.now()
    for record in [record for record in _all(store) if record.expires_at > now]:
        if stored_as(record.id.hex(), manager) is None:
            yield f"session {record.id.hex()} does not open: {record}"
        elif record.owner is not None and record not in store.owned_by(record.owner, now):
            yield f"session {record.id.hex()} is not found under its owner"


def _all(store: Store) -> list[Any]:
    return store.scan(limit=10**9)
