"""What one request has, did and wants of one session, and how that is saved.

The thirteen rules of commit (docs/guarantees.md) are kept here and in `lookup`, `records` and `response`. A comment
names each rule where it is kept. Nothing is read from the store before the application accesses the session.
"""

from __future__ import annotations

import logging
from enum import Enum, auto
from typing import NamedTuple

from .._seals import Keys
from .._types import Environ
from ..errors import SessionClosed, SessionConflict, StoreError, StoreUnavailable
from . import lifetime
from .changes import Changes
from .envelope import Stored, blank
from .header import UNCHANGED, HeaderChanges, Login
from .lookup import DETACHED, FOREIGN, NEW, STORED, UNLOADED, Site, Standing, look_up
from .records import Lost
from .tickets import CookieValue, Ticket, token_hash
from .values import Data

logger = logging.getLogger("sessionware")

_NO_DATA: Data = {}

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

    # The rest exists from the first access on. Requests that never access the session do not pay for it.

    keys: Keys
    """What is derived from the secrets. It stays the same to the end of the request."""

    stored: Stored | None
    """The record that is worked on. It is not None if, and only if, the standing is STORED."""

    header: HeaderChanges
    """What will be done to the header."""

    issued: Ticket | None
    """The ticket that the response must carry."""

    expires_cookie: bool
    """Whether the browser should forget its cookie, unless a ticket is issued after all."""

    other_cookies: tuple[str, ...]
    """Set-Cookie lines other than the session cookie's own."""

    created_by: str
    """The detail of the event that reports a new session."""

    has_outage: bool
    """Whether the store failed during this request."""

    _changes: Changes

    _other: Stored | None
    """A record that is not worked on, because this request is detached from it or has lost it."""

    _ticket: Ticket | None
    """The ticket that the request carried."""

    _new_id: bytes | None
    _is_confirmed: bool
    """Whether the cookie of the record has come back."""

    _is_stale_ticket: bool
    """Whether an old secret sealed that cookie."""

    _has_written: bool
    _drops_base: bool
    """Whether the data that was loaded is another user's."""

    def __init__(self, site: Site, request: Environ | CookieValue) -> None:
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
        return self._changes

    @property
    def id(self) -> bytes:
        """The record's id; before there is a record, the one that it will have."""
        if self.stored is not None:
            return self.stored.record.id
        self._new_id = self._new_id or self.site.records.new_id()
        return self._new_id

    @property
    def epoch(self) -> int:
        """The epoch that the session will have once this request is saved."""
        return (self.stored.envelope.epoch if self.stored is not None else 0) + self.header.needs_token

    def has_changes(self) -> bool:
        """Whether there are changes, saved or not. Raises `TypeError` for a value that cannot be stored."""
        if self.standing is UNLOADED:
            return False
        is_told = self.issued is not None or self.expires_cookie
        return is_told or self._has_written or self.header is not UNCHANGED or self._changes.collect()

    def _look_up(self) -> None:
        if not self.accessed:
            self.accessed, self.keys = True, self.site.keys
            self.stored = self._other = self._ticket = self.issued = self._new_id = None
            self.header, self.other_cookies, self.created_by = UNCHANGED, (), ""
            self.has_outage = self.expires_cookie = self._has_written = False
            self._is_confirmed = self._is_stale_ticket = self._drops_base = False
        if self.phase is not OPEN:
            self._tell_late_read()
        try:
            self.standing, ticket, stored, self._other = look_up(self.site, self.keys, self.request)
        except StoreUnavailable as error:
            self._note(error)
            raise
        self._ticket, self.stored = ticket, stored
        if stored is None:
            self._changes = Changes(_NO_DATA)
        else:
            self._changes, self._is_confirmed = Changes(stored.envelope.data), True
            self._is_stale_ticket = ticket is not None and ticket.is_stale

    def _begin(self, standing: Standing) -> None:
        self.standing, self.stored = standing, None
        self._changes, self.header = Changes(_NO_DATA), UNCHANGED

    def _tell_late_read(self) -> None:
        self.site.events.emit("session.late_read")
        logger.warning(
            "The session was first accessed after the response's headers were sent, so they carry no 'Vary: Cookie'. "
            "Access it before the first chunk of the body."
        )

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

    def login(self, login: Login) -> None:
        """Log in at commit (rule 6). What an earlier user left behind is dropped."""
        self._load_while_open("It is too late to log in")
        if self.standing is FOREIGN:
            self._tell_discarded(("username",), "a login from another origin")
            return
        if self.standing is DETACHED:
            # Rule 7: the credentials were just checked, so this login gets a record of its own.
            self.standing = NEW
        elif self._belongs_to_other(login):
            self._changes, self._drops_base = Changes(_NO_DATA), True
        self.header = self.header._replace(login=login)

    def renew_token(self) -> None:
        """Replace the token at commit. This does nothing if there is no record, or if the request is detached."""
        self._load_while_open("It is too late to renew the session's token")
        if self.standing is STORED:
            self.header = self.header._replace(renews=True)

    def remember(self, seconds: int) -> None:
        """Keep the session, and the cookie, for so many seconds from the last authentication."""
        self._load_while_open("It is too late to remember the session")
        self.header = self.header._replace(remember=seconds)

    def end(self) -> None:
        """End the session now, and begin a new, empty one that is stored only if it is written to."""
        self._load_while_open("It is too late to end the session in this response")
        if self.standing is FOREIGN:
            self._tell_discarded((), "a request from another origin to end the session")
            return
        named = self._other if self.standing is DETACHED else self.stored
        if named is not None:
            self._end_record(named.record.id)
        self._forget()

    def _load_while_open(self, refusal: str) -> None:
        """Load the session, but refuse what would need a cookie in headers that are already out (rule 10)."""
        if self.phase is not OPEN:
            raise _too_late(refusal)
        self.load()

    def _belongs_to_other(self, login: Login) -> bool:
        """Whether the session is, or is about to be, another user's."""
        records, pending = self.site.records, self.header.login
        if pending is not None:
            owner = records.owner(self.keys, pending.username, pending.user_id)
        else:
            owner = self.stored.record.owner if self.stored is not None else None
        return owner is not None and owner not in records.owners(self.keys, login.username, login.user_id)

    def _end_record(self, id: bytes) -> None:
        try:
            self.site.records.end(self.keys, id)
        except StoreUnavailable as error:
            self._note(error)
            raise

    def _forget(self) -> None:
        """Continue as a request without a session. If the browser has a cookie, it should forget it."""
        self._begin(NEW)
        self._new_id, self._other, self.issued = None, None, None
        self._drops_base = self._is_confirmed = self._is_stale_ticket = False
        self.expires_cookie = self._ticket is not None

    # Saving

    def commit(self) -> None:
        """Save what was done. Raises `StoreUnavailable`, `SessionConflict`, `SessionTooLarge` and `TypeError`."""
        if self.standing is UNLOADED:
            return
        if not self._changes.collect() and self.header is UNCHANGED:
            return
        if self.standing in (DETACHED, FOREIGN):
            self._discard(f"the session is {self.standing.name.lower()}")
            return
        login = self.header.login
        try:
            self._save()
        except (StoreUnavailable, SessionConflict) as error:
            self._note(error)
            raise
        if login is not None:
            self._check_login(login)

    def finish(self, *, failed: bool) -> None:
        """Save before the headers go out. After a 5xx (`failed`) nothing is saved (rule 11)."""
        try:
            if failed:
                self.abandon("the response is a server error")
            elif self.accessed:
                self.commit()
                if self.stored is not None and not self._has_written:
                    self._keep_alive(self.stored)
        finally:
            if self.phase is OPEN:
                self.phase = HEADERS_SENT  # also if it raises: some response goes out all the same

    def close(self, *, failed: bool) -> None:
        """Save late changes (rule 10), unless the application failed. Logs errors, and never raises."""
        try:
            if self.phase is OPEN:
                # Nobody took the response, because the client hung up. What the application did counts all the same.
                self.finish(failed=failed)
            elif not failed:
                self.commit()
        except Exception:
            logger.exception("Changes made to the session after the response's headers could not be saved")
        self.shut()

    def abandon(self, why: str) -> None:
        """Drop what is not saved yet, and report the names of the keys (rule 11)."""
        if self.standing is UNLOADED:
            return
        try:
            self._changes.collect()
        except TypeError as error:
            logger.warning("Dropped with the rest: %s", error)
        self._discard(why)

    def shut(self) -> None:
        """The request is over: allow no more changes."""
        # The environ holds the session, which holds this. Break the cycle, so that no garbage collection has to.
        self.phase, self.request = CLOSED, _OVER

    def cookie(self) -> SetCookie | ExpireCookie | None:
        """What the response must tell the browser about the session's cookie, as things are now."""
        if not self.accessed:
            return None
        if self.issued is not None and self.stored is not None:
            envelope = self.stored.envelope
            return SetCookie(self.issued, lifetime.cookie_max_age(envelope.idle, envelope.deadline, self.site.now()))
        return EXPIRE_COOKIE if self.expires_cookie else None

    def cookie_value(self, request: Environ | CookieValue) -> str | None:
        """The value of the cookie that the browser of this request should have now."""
        ticket, told = None, self.cookie()
        if isinstance(told, SetCookie):
            ticket = told.ticket
        elif told is None and self.standing in (STORED, DETACHED):
            ticket = self._ticket
        elif told is None and self.standing in (UNLOADED, FOREIGN):
            ticket = self.site.tickets.sent(self.site.keys, request)  # nobody has looked: it stays whatever it is
        return None if ticket is None else self.site.tickets.value(self.site.keys, request, ticket)

    def _save(self) -> None:
        if self.stored is not None:
            self._replace(self.stored)
        elif self.header.login or self.header.creates or len(self._changes):
            self._create()

    def _create(self) -> None:
        site, now, token = self.site, self.site.now(), self.site.records.new_token()
        data, _ = self._changes.rebase(self._inherited())
        envelope = blank(now, token_hash(token), site.limits.anonymous, data)
        envelope = self.header.apply(envelope, now, token, site.limits)
        is_confirmed = self.header.login is not None
        stored = site.records.create(self.keys, self.id, envelope, now, is_confirmed=is_confirmed)
        site.events.emit("session.created", session_id=stored.record.id.hex(), detail=self.created_by)
        self._saved(stored, token)

    def _inherited(self) -> Data:
        """The data that a login starts from if it lost its session to another one: that one's, for the same user."""
        login, other = self.header.login, self._other
        if login is None or other is None or other.record.owner is None:
            return _NO_DATA
        is_same_user = other.record.owner in self.site.records.owners(self.keys, login.username, login.user_id)
        return other.envelope.data if is_same_user else _NO_DATA

    def _replace(self, stored: Stored) -> None:
        token = self.site.records.new_token() if self.header.needs_token else None
        try:
            swapped = self._swap(stored, token)
        except Lost as lost:
            self._lose(lost.found)
        else:
            self._saved(swapped, token)

    def _swap(self, stored: Stored, token: bytes | None) -> Stored:
        """Apply the changes to what is stored now, until nobody else gets in between (rule 2). Raises `Lost`."""
        site, now = self.site, self.site.now()
        is_confirmed = self._is_confirmed or self.header.login is not None
        for fresh in site.records.newest(self.keys, stored, now):
            data, overwritten = self._changes.rebase(_NO_DATA if self._drops_base else fresh.envelope.data)
            envelope = fresh.envelope.with_data(data)
            if self.header is not UNCHANGED:
                envelope = self.header.apply(envelope, now, token, site.limits)
            swapped = site.records.swap(self.keys, fresh, envelope, now, is_confirmed=is_confirmed)
            if swapped is not None:
                if overwritten:
                    site.events.emit("session.overwritten", session_id=swapped.record.id.hex(), keys=overwritten)
                return swapped
        raise site.records.conflict(stored)

    def _saved(self, stored: Stored, token: bytes | None) -> None:
        login, handle = self.header.login, stored.record.id.hex()
        if token is not None:
            # Rule 6: a token that was written is always sent, whatever happens to the rest of the request.
            self.issued = Ticket(stored.record.id, token)
        elif self.header.remember is not None or self._is_stale_ticket:
            self.issued = self.issued or self._ticket  # sent again: the record had this token until this very moment
        if login is not None:
            self.site.events.emit("session.login", session_id=handle, user_id=login.user_id)
        elif self.header.renews:
            self.site.events.emit("session.renewed", session_id=handle)
        self.stored, self.standing = stored, STORED
        self._changes.settle(stored.envelope.data)
        self.header, self._drops_base, self._has_written = UNCHANGED, False, True

    def _lose(self, found: Stored | None) -> None:
        """The session was ended (rule 3), or somebody logged in or out of it (rule 5), while this request worked."""
        self.stored, self._other = None, found
        if self.header.login is not None:
            self.standing = NEW
            self._create()  # rule 6
            return
        is_over = found is None or found.envelope.is_tombstone
        self._discard("the session was ended meanwhile" if is_over else "the session's epoch moved meanwhile")
        self._begin(DETACHED)

    def _check_login(self, login: Login) -> None:
        """Now that a login is stored, check that it still holds: the account may have been disabled or logged out."""
        if login.check is None or self.stored is None:
            return
        holds = False
        try:
            holds = bool(login.check())
        finally:
            if not holds:
                id = self.stored.record.id
                self._forget()  # first, so that the token is not sent even if the store fails now
                self._end_record(id)

    def _keep_alive(self, stored: Stored) -> None:
        """Extend the life of a session that was only read (rule 1).

        If an old secret sealed the session or its cookie, both are sealed again. A failure is an event and not an
        error, because the visitor got what they asked for.
        """
        envelope = stored.envelope
        try:
            if stored.is_stale or self._is_stale_ticket:
                self._replace(stored)
                return
            end = lifetime.ends_at(envelope.idle, envelope.deadline, self.site.now())
            if lifetime.touch_is_worth_it(end, stored.record.expires_at, envelope.idle):
                self.site.records.touch(stored, end)
        except StoreError as error:
            handle = stored.record.id.hex()
            self.site.events.emit("store.unavailable", session_id=handle, detail=f"touch: {error}")

    # Reporting

    def _discard(self, why: str) -> None:
        keys = self._changes.changed_keys + (("username",) if self.header.login is not None else ())
        if keys:
            self._tell_discarded(keys, why)
        self._changes, self.header = Changes(self._changes.base), UNCHANGED
        self._drops_base = False

    def _tell_discarded(self, keys: tuple[str, ...], why: str) -> None:
        named = self.stored or self._other
        handle = named.record.id.hex() if named is not None else None
        self.site.events.emit("session.write_discarded", session_id=handle, keys=keys, detail=why)

    def _note(self, error: StoreError) -> None:
        self.has_outage = True
        if isinstance(error, StoreUnavailable):
            self.site.events.emit("store.unavailable", detail=str(error))


def _too_late(refusal: str) -> SessionClosed:
    return SessionClosed(
        f"{refusal}, because the response's headers are out. Do it before the first chunk of the body is sent."
    )
