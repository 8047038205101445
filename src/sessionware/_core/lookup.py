"""What the requests of a site share, and how one request stands to the session that its cookie names."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from enum import Enum, auto
from hmac import compare_digest

from .._seals import Keys, digests
from .._types import SAFE_METHODS, Environ
from ..events import EventName, Events
from .envelope import SIBLINGS, Envelope, Stored, holds_hash
from .environ import is_passive, where_from
from .lifetime import Limits, end_of, is_cut, is_recent, system_clock
from .origins import Origins
from .records import Records
from .setup_warnings import SetupWarnings
from .shelf import Shelf
from .tickets import ID_BYTES, SEALED_CHARACTERS, CookieConflict, CookieValue, Ticket, Tickets, token_hash

logger = logging.getLogger("sessionware")


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
        client_address: Callable[[Environ], str],
        passive: Callable[[Environ], object] | None,
        manager: object,
    ) -> None:
        self.keys = keys
        self.records = records
        self.tickets = tickets
        self.origins = origins
        self.limits = limits
        self.events = events
        self.warnings = warnings
        self._clock = None if clock is system_clock else clock  # which saves each request a few calls
        self._client_address = client_address
        self._passive = passive
        self._told_unknown_at = 0
        self._shelves: dict[str, Shelf] = {}
        self.manager = manager
        """What a session returns as its `manager`. Nothing in this package knows what that is."""

    def now(self) -> int:
        """Whole seconds since the epoch."""
        return int(time.time() if self._clock is None else self._clock())

    def shelf(self, name: str) -> Shelf:
        """The library's own records of one kind, in a reserved namespace. It is opened when it is first needed."""
        found = self._shelves.get(name)
        if found is None:  # two threads may make one each: it counts its creations, and that is all that it knows
            found = self._shelves[name] = Shelf(self.records.store, name, self.events, self.now, self.records.pause)
        return found

    def lane_id(self, *about: str) -> bytes:
        """What a record about clients and accounts is called, so that nobody can tell from it whom it is about."""
        parts = [part.encode("utf-8", "surrogatepass") for part in about]
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return digests(self.keys.throttle[:1], message)[0][:ID_BYTES]

    def is_passive(self, request: Environ | CookieValue) -> bool:
        """Whether no person is behind the request, so that it prolongs nothing (rule 14)."""
        if self._passive is None and "HTTP_X_SESSION_PASSIVE" not in request and "HTTP_SEC_PURPOSE" not in request:
            return False  # the usual case
        if isinstance(request, CookieValue):
            return False
        return is_passive(request) or (self._passive is not None and self._asks(self._passive, request))

    def _asks(self, passive: Callable[[Environ], object], request: Environ) -> bool:
        try:
            return bool(passive(request))
        except Exception:
            logger.exception("passive= failed, so the request counts as the person's")
            return False

    def client_address(self, request: Environ | CookieValue) -> str | None:
        """Where the request came from, if that is known. Raises what the application's own function raises."""
        address: object = None if isinstance(request, CookieValue) else self._client_address(request)
        if isinstance(address, bytes):  # a function of the application's may return anything, and an event is text
            return address.decode("latin-1")
        return None if address is None else str(address)

    def told_address(self, request: Environ | CookieValue) -> str | None:
        """The client's address for an event, which changes no results."""
        try:
            return self.client_address(request)
        except Exception:
            logger.exception("client_address= failed, so an event does not name the client")
            return None

    def tell(
        self,
        request: Environ | CookieValue,
        name: EventName,
        *,
        session_id: str | None = None,
        keys: tuple[str, ...] = (),
        user_id: str | None = None,
        detail: str = "",
    ) -> None:
        """Report what happened in a request."""
        if self.events.are_heard(name):
            address = self.told_address(request)
            self.events.emit(
                name, session_id=session_id, keys=keys, user_id=user_id, client_address=address, detail=detail
            )

    def why_foreign(self, request: Environ | CookieValue) -> str:
        """Why a request counts as another site's (rule 13), and what an operator can do if it is not."""
        if isinstance(request, CookieValue):
            return ""
        return f"another site sent this ({where_from(request)}); {self._advice(request)}"

    def _advice(self, request: Environ) -> str:
        if not self.origins.is_foreign(request):
            return _KEPT_BACK
        return _IF_OWN_AND_UNNAMED if self.origins.is_unnamed(request) else _IF_OWN

    def tell_unknown_cookie(self, request: Environ | CookieValue) -> None:
        """Report a cookie that no secret opens: at most once a minute, because junk is cheap to send."""
        now = self.now()
        if is_recent(self._told_unknown_at, now):
            return
        self._told_unknown_at = now
        self.tell(
            request,
            "cookie.unknown_key",
            detail="no secret of this process opens a cookie that has a session cookie's name and length: do all "
            "processes have the same secrets, and is another site's cookie of the same name in the way?",
        )


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


Found = tuple[Standing, "Ticket | None", "Stored | None", "Stored | None", "str | None"]
"""What a look-up found.

The standing; the ticket that the request carried; the record that it opens; the record that it names but no longer has
a right to; why the session that it names is over. The first record is not None if, and only if, the standing is STORED.
(A named tuple would make reads a fortieth slower.)
"""

#: What an operator can do if it is the site's own page that counts as another's.
_IF_OWN = (
    "if it was a page of this site, let the proxy pass on the Host that the browser asked for; if that other site may "
    "act in sessions, add its origin to trusted_origins"
)
_IF_OWN_AND_UNNAMED = (
    "if it was a page of this site, it is served with Referrer-Policy: no-referrer, and browsers then do not say over "
    "plain http whose page it is: write same-origin in its place, or serve the site over https"
)
_KEPT_BACK = "the browser may have kept the cookie back (SameSite), so what looks like a first visit may be none"

_NO_RECORD = "the store has no such record: it expired and was removed, or this process has another store than the rest"

_NOTHING: Found = (NEW, None, None, None, None)


def look_up(site: Site, keys: Keys, request: Environ | CookieValue) -> Found:
    """Look for the request's session. Raises `StoreUnavailable`."""
    if isinstance(request, CookieValue):
        ticket = site.tickets.sent(keys, request)
        if ticket is not None:
            return present(site, keys, request, ticket)
        if request.value is not None and len(request.value) == SEALED_CHARACTERS:
            site.tell_unknown_cookie(request)
        return _NOTHING
    if site.origins.is_foreign(request):
        site.tell(request, "session.cross_origin", detail=site.why_foreign(request))
        return FOREIGN, None, None, None, None  # rule 13
    try:
        ticket = site.tickets.read(keys, request)
        if ticket is None:
            return _without_ticket(site, keys, request)
        return _meant(site, keys, request, ticket) if ticket.rivals else present(site, keys, request, ticket)
    except CookieConflict as conflict:
        site.tell(request, "session.cookie_conflict", detail=f"{conflict.detail}, so none of them is used")
        return _NOTHING


def present(site: Site, keys: Keys, request: Environ | CookieValue, ticket: Ticket) -> Found:
    """Look up the ticket's record. Raises `StoreUnavailable`."""
    now = site.now()
    stored = site.records.find(keys, ticket.id, now)
    if not isinstance(stored, Stored):
        why = "expired" if stored is None else None
        return _over(site, request, ticket, None, why, _NO_RECORD if stored is None else "its record is unreadable")
    envelope = stored.envelope
    if fits(ticket, envelope):
        expires_at = stored.record.expires_at
        if is_cut(expires_at, envelope, site.limits):
            stored = stored._replace(is_cut=True)
            expires_at = end_of(expires_at, envelope, site.limits)
        if expires_at > now:
            return STORED, ticket, stored, None, None
        return _over(site, request, ticket, None, "expired", "a limit that this process has is shorter than its own")
    why = envelope.reason_for(token_hash(ticket.token)) if envelope.is_tombstone else None
    if is_recent(envelope.rotated_at, now):
        return DETACHED, ticket, None, stored, why  # rule 7
    if envelope.is_tombstone:
        return _over(site, request, ticket, stored, why, "it was ended")
    site.tell(
        request,
        "session.token_replayed",
        session_id=ticket.id.hex(),
        user_id=envelope.user_id,
        detail=f"a login or renewal replaced this cookie {max(now - envelope.rotated_at, 0)} s ago: its browser missed "
        "the new one, or somebody has copied the old one",
    )
    return NEW, ticket, None, None, None


def fits(ticket: Ticket, envelope: Envelope) -> bool:
    """Whether the ticket's token is the record's, or that of a login that joined it (rule 6)."""
    hashed = token_hash(ticket.token)
    if compare_digest(envelope.token_hash, hashed):
        return True
    return SIBLINGS in envelope.extra and holds_hash(envelope.siblings, hashed)


def is_kept_back(site: Site, environ: Environ) -> bool:
    """Whether another site sent the request, so that the browser may have kept our cookie back (rule 13).

    What looks like a first visit is none then, and a new cookie would replace the one that the browser has.
    """
    samesite = site.tickets.samesite
    is_unsafe = environ.get("REQUEST_METHOD", "GET") not in SAFE_METHODS
    return (samesite == "Strict" or (samesite == "Lax" and is_unsafe)) and site.origins.is_cross_site(environ)


def _without_ticket(site: Site, keys: Keys, environ: Environ) -> Found:
    if site.tickets.are_unknown(environ):
        site.tell_unknown_cookie(environ)
    elif site.tickets.are_out_of_reach(keys, environ):
        site.warnings.warn_of_scheme()
    return (FOREIGN, None, None, None, None) if is_kept_back(site, environ) else _NOTHING


def _over(
    site: Site,
    request: Environ | CookieValue,
    ticket: Ticket,
    tombstone: Stored | None,
    why: str | None,
    detail: str,
) -> Found:
    """The cookie names a session that ended long ago. Rule 8: its id is never adopted."""
    site.tell(request, "session.expired", session_id=ticket.id.hex(), detail=detail)
    return NEW, ticket, None, tombstone, why


def _meant(site: Site, keys: Keys, request: Environ, ticket: Ticket) -> Found:
    """What was found for the one of several cookies that can be meant: the only one of a live session.

    A cookie from before a login, planted or left over, must not hide it. Raises `CookieConflict`.
    """
    found = [present(site, keys, request, each) for each in (ticket, *ticket.rivals)]
    live = [each for each in found if each[2] is not None]
    ids = sorted({each[1].id.hex() for each in live if each[1] is not None})
    if len(ids) > 1:
        raise CookieConflict(f"cookies of the live sessions {' and '.join(ids)} came at once")
    if not live:
        return next((each for each in found if each[0] is DETACHED), found[0])
    standing, own, stored, other, why = live[0]
    return standing, own and own._replace(rivals=(ticket, *ticket.rivals)), stored, other, why
