"""How a request stands to the session that its cookie names: the first look at the store, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from hmac import compare_digest
from typing import Any

from .cookie_reader import CookieConflict
from .envelope import Stored
from .records import GRACE
from .settings import Settings
from .ticket import Ticket, token_hash


class Standing(Enum):
    """What a session is to a request."""

    UNSEEN = auto()
    """Nobody has looked yet."""
    NEW = auto()
    """There is no record; the first write makes one, under a new id."""
    STORED = auto()
    """The cookie opened a record."""
    DETACHED = auto()
    """The session was ended, or its token replaced, a moment ago: it looks empty, and what is written is dropped."""
    FOREIGN = auto()
    """The request comes from another origin: as if there were no session and could be none."""


#: On Python 3.11 and older, `Standing.NEW` is a search through Enum's metaclass; requests ask for it a dozen times.
UNSEEN, NEW, STORED = Standing.UNSEEN, Standing.NEW, Standing.STORED
DETACHED, FOREIGN = Standing.DETACHED, Standing.FOREIGN

Found = tuple[Standing, Ticket | None, Stored | None]
"""The standing, the ticket that the request brought, and the record that it names, unless it has no right to it."""


def find(settings: Settings, environ: Mapping[str, Any]) -> Found:
    """Look for the request's session. Raises `StoreUnavailable`."""
    if settings.is_foreign(environ):
        settings.events.tell("cross_origin")
        return FOREIGN, None, None  # rule 13
    try:
        ticket = settings.cookies.read(environ)
    except CookieConflict:
        settings.events.tell("cookie_conflict")
        return NEW, None, None
    if ticket is None:
        return NEW, None, None
    return _standing(settings, ticket)


def _standing(settings: Settings, ticket: Ticket) -> Found:
    """What the ticket's record says."""
    now = settings.records.now()
    stored = settings.records.load(ticket.id, now)
    if stored is None:
        return _over(settings, ticket)
    if ticket.rivals:
        ticket = _fitting(ticket, stored)
    deadline, rotated_at = stored.envelope.deadline, stored.envelope.rotated_at
    if deadline is not None and deadline <= now:
        return _over(settings, ticket)
    if _opens(ticket, stored):
        return STORED, ticket, stored
    if now - rotated_at <= GRACE:
        return DETACHED, ticket, stored  # rule 7
    settings.events.tell("token_replayed", session_id=ticket.id.hex())
    return NEW, ticket, None


def _over(settings: Settings, ticket: Ticket) -> Found:
    """The cookie names a session that ended long ago. Rule 8: its id is never adopted."""
    settings.events.tell("expired", session_id=ticket.id.hex())
    return NEW, ticket, None


def _fitting(ticket: Ticket, stored: Stored) -> Ticket:
    """The ticket whose token the record has. A cookie from before a login, planted or left over, must not hide it."""
    return next((each for each in (ticket, *ticket.rivals) if _opens(each, stored)), ticket)


def _opens(ticket: Ticket, stored: Stored) -> bool:
    return compare_digest(stored.envelope.token_hash, token_hash(ticket.token))
