"""What one request has, did and wants of one session. How that is saved is in `commit`.

Nothing is read from the store before the application accesses the session.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from .._seals import Keys
from .._types import Environ
from ..errors import SessionClosed, StoreError, StoreUnavailable
from ..events import EventName
from . import lifetime
from .changes import Changes
from .envelope import Envelope, Stored
from .header import UNCHANGED, HeaderChanges, Remember
from .login import Login, Renewal, may_join
from .lookup import DETACHED, FOREIGN, NEW, STORED, UNLOADED, Site, Standing, fits, look_up, present
from .place import Place, placed
from .tickets import CookieValue, Ticket, token_hash
from .values import Data

NO_DATA: Data = {}

#: What is left of a request that is over.
_OVER: Environ = {}


class Phase(Enum):
    """How far the response has got."""

    OPEN = auto()
    HEADERS_SENT = auto()
    CLOSED = auto()


OPEN, HEADERS_SENT, CLOSED = Phase.OPEN, Phase.HEADERS_SENT, Phase.CLOSED  # as in `lookup`


class SetCookie(NamedTuple):
    """The browser should take this ticket, and keep it for `max_age` seconds, or until it is closed."""

    ticket: Ticket
    max_age: int | None


class ExpireCookie:
    """The browser should forget its cookie."""


EXPIRE_COOKIE = ExpireCookie()


class Transaction:
    """One request's work on one session, from the first access to the last byte of the response."""

    phase: Phase

    standing: Standing
    """How the request stands to its session."""

    accessed: bool
    """Whether anybody has accessed the session, or tried to. If the store fails, the standing stays UNLOADED."""

    is_paused: bool = False
    """Whether the response waits for the server to ask for its next chunk, so that no code of the application runs."""

    keep_alive: bool = True
    """Whether this request counts as the person's activity, unless it says otherwise itself (rule 14)."""

    where: Callable[[], Place] | None = None
    """Tells where the request comes from, if that is to be kept. Asked only if the session is written anyway."""

    _place: Place | None = None
    """What it told."""

    # The rest exists from the first access on. Requests that never access the session do not pay for it.

    keys: Keys
    """What is derived from the secrets. It stays the same to the end of the request."""

    stored: Stored | None
    """The record that is worked on. It is not None if, and only if, the standing is STORED."""

    missed: Stored | None
    """A record that is not worked on, because this request is detached from it or has lost it."""

    joins: Stored | None = None
    """The session of another login that this one will join, unless it changes until then (rule 6)."""

    header: HeaderChanges
    """What will be done to the header."""

    issued: Ticket | None
    """The ticket that the response must carry."""

    expires_cookie: bool
    """Whether the browser should forget its cookie, unless a ticket is issued after all."""

    twin_cookies: tuple[str, ...]
    """Set-Cookie lines that remove twins of the session's cookie."""

    companions: dict[str, str]
    """Set-Cookie lines for the cookies beside it, by what their names add to its name."""

    created_by: str = ""
    """The detail of the event that reports a new session."""

    has_outage: bool
    """Whether the store failed during this request."""

    ended_because: str | None
    """Why the session that the cookie names is over."""

    changes: Changes
    """The data, and what was done to it."""

    ticket: Ticket | None
    """The ticket that the request carried."""

    is_confirmed: bool
    """Whether the cookie of the record has come back."""

    is_stale_ticket: bool
    """Whether an old secret sealed that cookie."""

    has_written: bool
    """Whether anything was saved."""

    drops_base: bool
    """Whether the data that was loaded is another user's."""

    is_active: bool = False
    """Whether something was saved that counts as the person's activity, whatever the request says (rule 14)."""

    begins: bool = False
    """Whether the session, or its login, is of this request."""

    has_joined: bool = False
    """Whether the login that was just saved joined another one's session."""

    before_login: Envelope | None = None
    """The session as it was before the login that was just saved, if there was one."""

    _new_id: bytes | None

    visitors_token: str | None = None
    """The token for forms that this request got without a session."""

    def __init__(self, site: Site, request: Environ | CookieValue) -> None:
        """`request` must be a copy of the environ, because the application may change its own."""
        self.site = site
        self.request: Environ | CookieValue = request
        self.phase = OPEN
        self.standing = UNLOADED
        self.accessed = False

    # Loading

    def load(self) -> Changes:
        """The session's data, looked up at the first access (rule 1). Raises `StoreUnavailable`."""
        if self.standing is UNLOADED:
            self._look_up()
        return self.changes

    @property
    def id(self) -> bytes:
        """The record's id; before there is a record, the one that it will have."""
        named = self.stored or self.joins
        if named is not None:
            return named.record.id
        self._new_id = self._new_id or self.site.records.new_id()
        return self._new_id

    @property
    def epoch(self) -> int:
        """The epoch that the session will have once this request is saved."""
        if self.stored is None:
            return int(self.header.needs_token) if self.joins is None else self.joins.envelope.epoch
        return self.stored.envelope.epoch + self.header.needs_token

    @property
    def is_logged_in(self) -> bool:
        """Whether somebody is logged in, or will be once this request is saved."""
        is_stored = self.stored is not None and self.stored.envelope.authenticated_at is not None
        return is_stored or self.header.login is not None

    @property
    def authenticated_at(self) -> int | None:
        """When that was, or will be, proved last."""
        if self.is_logged_in and self.header.is_proof:
            return self.site.now()
        return None if self.stored is None else self.stored.envelope.authenticated_at

    @property
    def is_late_to_user(self) -> bool:
        """Whether the request is detached from a session in which somebody is logged in."""
        return self.standing is DETACHED and self.missed is not None and self.missed.envelope.username is not None

    def has_changes(self) -> bool:
        """Whether there are changes, saved or not. Raises `TypeError` for a value that cannot be stored."""
        if self.standing is UNLOADED:
            return False
        is_told = self.issued is not None or self.expires_cookie
        return is_told or self.has_written or self.header is not UNCHANGED or self.changes.collect()

    def _look_up(self) -> None:
        if self.phase is CLOSED:
            raise SessionClosed("The request is over, and its session was never accessed, so it cannot be loaded now.")
        if not self.accessed:
            self.accessed, self.keys = True, self.site.keys
            self.stored = self.missed = self.ticket = self.issued = self._new_id = None
            self.header, self.twin_cookies, self.ended_because = UNCHANGED, (), None
            self.companions = {}
            self.has_outage = self.expires_cookie = self.has_written = False
            self.is_confirmed = self.is_stale_ticket = self.drops_base = False
        if self.phase is not OPEN:
            why = (
                "first accessed when the headers were out, which lack 'Vary: Cookie' now: do it before the first chunk"
            )
            self.tell("session.late_read", detail=why)
        try:
            found = look_up(self.site, self.keys, self.request)
        except StoreUnavailable as error:
            self.note(error)
            raise
        self.standing, ticket, stored, self.missed, self.ended_because = found
        self.ticket, self.stored = ticket, stored
        if stored is None or ticket is None:
            self.changes = Changes(NO_DATA)
            return
        self.changes, self.is_confirmed, self.is_stale_ticket = Changes(stored.envelope.data), True, ticket.is_stale
        if ticket.rivals:
            self._expire_twins(ticket)

    def _expire_twins(self, ticket: Ticket) -> None:
        """Leave the browser with one cookie. Which of them is the good one only this server knows."""
        self.issued = ticket
        if not isinstance(self.request, CookieValue):
            self.twin_cookies = tuple(self.site.tickets.expire_twins(self.request))

    def begin(self, standing: Standing) -> None:
        """Continue with another standing, as if nothing had been read or done."""
        self.standing, self.stored = standing, None
        self.changes, self.header = Changes(NO_DATA), UNCHANGED

    # Changing

    def writable(self) -> Changes:
        """The data, to be changed. Raises `SessionClosed` if it is too late (rule 10)."""
        changes = self.load()
        if self.phase is CLOSED or (self.phase is HEADERS_SENT and self.standing is NEW):
            raise _too_late("The session can no longer be changed")
        return changes

    def start(self) -> None:
        """Store the session even if nothing is written to it."""
        self.load()
        if self.standing is NEW:
            self.writable()
            self.header = self.header._replace(creates=True)

    def reload(self) -> None:
        """Forget what is not saved, and read the session afresh. Raises `StoreUnavailable` and `SessionClosed`."""
        if self.standing is UNLOADED:
            return
        if self.phase is CLOSED:
            raise SessionClosed("The request is over, so its session cannot be read again.")
        ticket, is_over = self.issued or self.ticket, self.issued is None and self.expires_cookie
        if ticket is None or is_over or self.standing is FOREIGN:
            self.begin(self.standing)
            return
        try:
            found = present(self.site, self.keys, self.request, ticket)
        except StoreUnavailable as error:
            self.note(error)
            raise
        self.standing, _, self.stored, self.missed, self.ended_because = found
        self.is_confirmed = self.is_confirmed and self.stored is not None
        self.changes, self.header = Changes(NO_DATA if self.stored is None else self.stored.envelope.data), UNCHANGED
        self.joins, self.drops_base = None, False

    def login(self, login: Login) -> None:
        """Log in at commit (rule 6). What an earlier user left behind is dropped."""
        self.load_while_open("It is too late to log in")
        if self.standing is FOREIGN:
            self.tell_discarded(("username",), "a login from another origin")
            return
        if self.standing is DETACHED:
            # Rule 7: the credentials were just checked, so it is not dropped. What is in hand may be another user's.
            self.standing = NEW
            self.changes.let_go_of_all()
        elif self._belongs_to_other(login):
            self.changes, self.drops_base = Changes(NO_DATA), True
            self.header = self.header._replace(remember=None)
        self.joins = self.missed if self.missed is not None and self.may_join(login, self.missed) else None
        self.header = self.header.logging_in(login)

    def may_join(self, login: Login, other: Stored) -> bool:
        """Whether the login of this request may join this session of another one (rule 6)."""
        return (
            self.ticket is not None
            and not self.header.renews  # whoever asks for that wants nobody else in
            and may_join(login, token_hash(self.ticket.token), other.envelope, self.site.now())
            and lifetime.end_of(other.record.expires_at, other.envelope, self.site.limits) > self.site.now()
            and other.record.owner in self.site.records.owners(self.keys, login.username, login.user_id)
        )

    def renew(self, renewal: Renewal) -> None:
        """Replace the token at commit. This does nothing if there is no record, and nobody logs in."""
        self.load_while_open("It is too late to renew the session's token")
        if renewal.methods and not self.is_logged_in and self.standing in (NEW, STORED):
            self.tell_discarded((), f"{renewal.what} noted no method, because nobody is logged in")
        if self.standing is not NEW or self.header.login is not None:
            self.header, self.joins = self.header._replace(renewal=renewal.beside(self.header.renewal)), None

    def placed(self, envelope: Envelope) -> Envelope:
        """The session as it is used from here. The same one if it was used from here last, or nobody is to know."""
        if self.where is None:
            return envelope
        if self._place is None:
            self._place = self.where()
        return placed(envelope, self._place)

    def renew_csrf(self) -> None:
        """Replace the token for forms at commit. Starts the session."""
        self.start()
        self.writable()
        self.header = self.header._replace(csrf_renewals=self.header.csrf_renewals + 1)

    def remember(self, wish: Remember) -> None:
        """Keep the session, and the cookie, for longer than the browser is open; or no longer."""
        self.load_while_open("It is too late to remember the session")
        stored = self.stored if wish.seconds is None and self.header.login is None else None
        if stored and lifetime.is_over_unless_remembered(stored.envelope, self.site.limits, self.site.now()):
            self.end("remember(None) after the session's lifetime")
            return
        self.header = self.header._replace(remember=wish)

    def end(self, detail: str = "") -> None:
        """End the session now, and begin a new, empty one that is stored only if it is written to."""
        self.load_while_open("It is too late to end the session in this response")
        if self.standing is FOREIGN:
            self.tell_discarded((), "a request from another origin to end the session")
            return
        try:
            self._end_named(detail)
        except StoreUnavailable as error:
            self.note(error)
            raise
        self.forget()

    def load_while_open(self, refusal: str) -> None:
        """Load the session, but refuse what would need a cookie in headers that are already out (rule 10)."""
        if self.phase is not OPEN:
            raise _too_late(refusal)
        self.load()

    def _belongs_to_other(self, login: Login) -> bool:
        """Whether the session is, or is about to be, another user's."""
        records, pending = self.site.records, self.header.login
        owner = self.stored.record.owner if self.stored is not None else None
        if pending is not None:
            owner = records.owner(self.keys, pending.username, pending.user_id)
        return owner is not None and owner not in records.owners(self.keys, login.username, login.user_id)

    def _end_named(self, detail: str) -> None:
        """End the session that the request's cookie names, whether or not the request may still write to it."""
        records, named = self.site.records, self.stored or self.missed
        address = self.site.told_address(self.request)
        if named is not None:
            records.end(self.keys, named.record.id, detail=detail, client_address=address)
        elif self.ticket is not None and self.ended_because == "expired":
            # For good: clocks differ, and limits may be raised again.
            found = records.find(self.keys, self.ticket.id, now=0)  # though it has expired
            if isinstance(found, Stored) and fits(self.ticket, found.envelope):
                records.end(self.keys, self.ticket.id, detail=detail, client_address=address)

    def forget(self) -> None:
        """Continue as a request without a session. If the browser has a cookie, it should forget it."""
        self.begin(NEW)
        self._new_id = self.missed = self.issued = self.joins = self.ended_because = None
        self.drops_base = self.is_confirmed = self.is_stale_ticket = False
        self.expires_cookie = self.ticket is not None

    # The response

    def shut(self) -> None:
        """The request is over: allow no more changes."""
        # The environ holds the session, which holds this. Break the cycle, so that no garbage collection has to.
        self.phase, self.request = CLOSED, _OVER
        if self.where is not None:
            self.where = None

    @property
    def other_cookies(self) -> tuple[str, ...]:
        """Set-Cookie lines other than the session cookie's own."""
        return (*self.twin_cookies, *self.companions.values())

    def cookie(self) -> SetCookie | ExpireCookie | None:
        """What the response must tell the browser about the session's cookie, as things are now."""
        if not self.accessed:
            return None
        if self.issued is not None and self.stored is not None:
            expires_at, envelope = self.stored.record.expires_at, self.stored.envelope
            max_age = lifetime.cookie_max_age(expires_at, envelope, self.site.limits, self.site.now())
            return SetCookie(self.issued, max_age)
        return EXPIRE_COOKIE if self.expires_cookie else None

    # Reporting

    def tell(self, name: EventName, about: Stored | None = None, keys: tuple[str, ...] = (), detail: str = "") -> None:
        """Report what happened in this request, and to which session."""
        handle, user_id = (None, None) if about is None else (about.record.id.hex(), about.envelope.user_id)
        self.site.tell(self.request, name, session_id=handle, keys=keys, user_id=user_id, detail=detail)

    def discard(self, why: str) -> None:
        """Drop what is not saved, and report it."""
        keys = self.changes.changed_keys + (("username",) if self.header.login is not None else ())
        names = self.header.names
        if keys or names:
            self.tell_discarded(keys, f"{', '.join(names)} did nothing: {why}" if names else why)
        self.changes, self.header = Changes(self.changes.base), UNCHANGED
        self.drops_base, self.joins = False, None

    def tell_discarded(self, keys: tuple[str, ...], why: str) -> None:
        """Report what was dropped, by the names of the keys."""
        self.tell("session.write_discarded", self.stored or self.missed, keys=keys, detail=why)

    def note(self, error: StoreError) -> None:
        """Report that the store failed."""
        self.has_outage = True
        if isinstance(error, StoreUnavailable):
            self.tell("store.unavailable", detail=str(error) or type(error).__name__)


def _too_late(refusal: str) -> SessionClosed:
    return SessionClosed(
        f"{refusal}, because the response's headers are out. Do it before the first chunk of the body is sent."
    )
