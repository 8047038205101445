"""How a request stands to the session that its cookie names: the first look at the store, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from hmac import compare_digest
from typing import Any, NamedTuple

from .records import GRACE, Stored
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


class Found(NamedTuple):
    """The standing, the ticket that the request brought, and the record that it named (also if it does not open it)."""

    standing: Standing
    ticket: Ticket | None = None
    stored: Stored | None = None


def find(settings: Settings, environ: Mapping[str, Any]) -> Found:
    """Look for the request's session. Raises `StoreUnavailable`."""
    if settings.is_foreign(environ):
        settings.events.tell("cross_origin")
        return Found(Standing.FOREIGN)  # rule 13
    ticket = settings.read_ticket(environ)
    if ticket is None:
        return Found(Standing.NEW)
    stored = settings.records.load(ticket.id)
    if stored is not None and ticket.rivals:
        ticket = _fitting(ticket, stored)
    standing = _standing(settings, ticket, stored)
    # Rule 8: an id is never adopted, so what is not to be used further is not passed on.
    return Found(standing, ticket, stored if standing is not Standing.NEW else None)


def _fitting(ticket: Ticket, stored: Stored) -> Ticket:
    """The ticket whose token the record has. A cookie from before a login, planted or left over, must not hide it."""
    return next((each for each in (ticket, *ticket.rivals) if _opens(each, stored)), ticket)


def _opens(ticket: Ticket, stored: Stored) -> bool:
    return compare_digest(stored.envelope.token_hash, token_hash(ticket.token))


def _standing(settings: Settings, ticket: Ticket, stored: Stored | None) -> Standing:
    now = settings.records.now()
    if stored is None or (stored.envelope.deadline is not None and stored.envelope.deadline <= now):
        settings.events.tell("expired", session_id=ticket.id.hex())
        return Standing.NEW
    if _opens(ticket, stored):
        return Standing.STORED
    if now - stored.envelope.rotated_at <= GRACE:
        return Standing.DETACHED  # rule 7
    settings.events.tell("token_replayed", session_id=ticket.id.hex())
    return Standing.NEW
