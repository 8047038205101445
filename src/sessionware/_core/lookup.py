"""What the requests of a site share, and how one request stands to the session that its cookie names."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from hmac import compare_digest

from .._seals import Keys
from .._types import Environ
from ..events import Events
from .envelope import Stored
from .lifetime import Limits, is_over, is_recent
from .origins import Origins
from .records import Records
from .setup_warnings import SetupWarnings
from .tickets import CookieConflict, CookieValue, Ticket, Tickets, token_hash


class Site:
    """Everything that the requests of one site share."""

    def __init__(
        self,
        *,
        keys: Keys,
        records: Records,
        tickets: Tickets,
        origins: Origins,
        limits: Limits,
        events: Events,
        warnings: SetupWarnings,
        clock: Callable[[], float],
        manager: object,
    ) -> None:
        self.keys = keys
        self.records = records
        self.tickets = tickets
        self.origins = origins
        self.limits = limits
        self.events = events
        self.warnings = warnings
        self._clock = clock
        self.manager = manager
        """What a session returns as its `manager`. Nothing in this package knows what that is."""

    def now(self) -> int:
        """Whole seconds since the epoch."""
        return int(self._clock())


class Standing(Enum):
    """What a session is to a request."""

    UNLOADED = auto()
    """Not looked up yet, or the store failed when it was."""
    NEW = auto()
    """There is no record; the first write makes one, under a new id."""
    STORED = auto()
    """The cookie opened a record."""
    DETACHED = auto()
    """The session was ended, or its token replaced, a moment ago. It looks empty, and what is written is dropped."""
    FOREIGN = auto()
    """The request comes from another origin. For it there is no session, and there can be none."""


#: On Python 3.11 and older, `Standing.NEW` searches Enum's metaclass, and a request would do so a dozen times.
UNLOADED, NEW, STORED = Standing.UNLOADED, Standing.NEW, Standing.STORED
DETACHED, FOREIGN = Standing.DETACHED, Standing.FOREIGN


Found = tuple[Standing, "Ticket | None", "Stored | None", "Stored | None"]
"""What a look-up found.

The standing; the ticket that the request carried; the record that it opens; the record that it names but no longer has
a right to. The first record is not None if, and only if, the standing is STORED. (A named tuple would make reads a
fortieth slower.)
"""


def look_up(site: Site, keys: Keys, request: Environ | CookieValue) -> Found:
    """Look for the request's session. Raises `StoreUnavailable`."""
    if isinstance(request, CookieValue):
        ticket = site.tickets.sent(keys, request)
    elif site.origins.is_foreign(request):
        site.events.emit("session.cross_origin")
        return FOREIGN, None, None, None  # rule 13
    else:
        try:
            ticket = site.tickets.read(keys, request)
        except CookieConflict:
            site.events.emit("session.cookie_conflict")
            return NEW, None, None, None
    return (NEW, None, None, None) if ticket is None else _present(site, keys, ticket)


def _present(site: Site, keys: Keys, ticket: Ticket) -> Found:
    """Look up the ticket's record."""
    now = site.now()
    stored = site.records.load(keys, ticket.id, now)
    if stored is None:
        return _expired(site, ticket)
    if ticket.rivals:
        ticket = _fitting(ticket, stored)
    envelope = stored.envelope
    if is_over(envelope.deadline, now):
        return _expired(site, ticket)
    if _fits(ticket, stored):
        return STORED, ticket, stored, None
    if is_recent(envelope.rotated_at, now):
        return DETACHED, ticket, None, stored  # rule 7
    site.events.emit("session.token_replayed", session_id=ticket.id.hex())
    return NEW, ticket, None, None


def _expired(site: Site, ticket: Ticket) -> Found:
    """The cookie names a session that ended long ago. Rule 8: its id is never adopted."""
    site.events.emit("session.expired", session_id=ticket.id.hex())
    return NEW, ticket, None, None


def _fitting(ticket: Ticket, stored: Stored) -> Ticket:
    """The ticket whose token the record has. A cookie from before a login, planted or left over, must not hide it."""
    return next((each for each in (ticket, *ticket.rivals) if _fits(each, stored)), ticket)


def _fits(ticket: Ticket, stored: Stored) -> bool:
    return compare_digest(stored.envelope.token_hash, token_hash(ticket.token))
