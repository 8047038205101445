"""One request's work on one session: what it found, what it did, and how that is saved.

The thirteen rules of commit (docs/guarantees.md) are kept here, in `standing`, `records` and `reply`; a comment names
each where it is kept. Nothing is read from the store before the application looks at the session.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, NamedTuple

from .changes import Changes, Data
from .envelope import Envelope, Stored
from .errors import SessionClosed, SessionConflict, StoreError, StoreUnavailable
from .intents import NO_INTENTS, Intents, Login
from .records import Lost
from .settings import Settings
from .standing import DETACHED, FOREIGN, NEW, STORED, UNSEEN, Standing, find
from .ticket import Ticket, new_id, new_token, token_hash
from .timeouts import UNCONFIRMED, touch_interval

logger = logging.getLogger("sessionware")

_NO_DATA: Data = {}


class Phase(Enum):
    """How far the response is."""

    OPEN = auto()
    HEADERS_SENT = auto()
    CLOSED = auto()


OPEN, HEADERS_SENT, CLOSED = Phase.OPEN, Phase.HEADERS_SENT, Phase.CLOSED  # as in `standing`


class Outcome(NamedTuple):
    """What the response has to tell the browser: to take this ticket, to forget its cookie, or nothing."""

    ticket: Ticket | None = None
    max_age: int | None = None
    expires: bool = False


NOTHING = Outcome()


class Transaction:
    """From the first look at a session to the last byte of the response.

    `is_seen` says whether anybody has looked, or tried to; `has_outage` whether the store failed it.
    `stored` is the record that is worked on, there if, and only if, the standing is STORED; `_other` is one that is
    not, or no longer, worked on: the one that this request is detached from, or lost.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, Any], phase: Phase) -> None:
        self.settings = settings
        self.phase = phase
        self.is_seen = False
        self.standing = UNSEEN
        self.has_outage = False
        self.stored: Stored | None = None
        self.intents = NO_INTENTS
        self._environ: Mapping[str, Any] | None = environ
        self._changes: Changes
        self._other: Stored | None = None
        self._ticket: Ticket | None = None
        self._is_stale_ticket = self._is_confirmed = False
        self._new_id: bytes | None = None
        self._drops_base = self._has_written = self._expires_cookie = False
        self._issues: Ticket | None = None

    # Looking

    def look(self) -> Changes:
        """The session's data, loaded at the first look (rule 1). Raises `StoreUnavailable`."""
        if self.standing is UNSEEN:
            self._load()
        return self._changes

    @property
    def id(self) -> bytes:
        """The record's id; before there is a record, the one that it will have."""
        if self.stored is not None:
            return self.stored.record.id
        self._new_id = self._new_id or new_id()
        return self._new_id

    @property
    def epoch(self) -> int:
        """The epoch that the session will have once this request is saved."""
        return (self.stored.envelope.epoch if self.stored is not None else 0) + self.intents.needs_token

    def _load(self) -> None:
        self.is_seen = True
        if self.phase is not OPEN:
            self._tell_late_read()
        try:
            self.standing, self._ticket, stored = find(self.settings, self._environ or {})
        except StoreUnavailable as error:
            self._note(error)
            raise
        if self.standing is STORED and stored is not None:
            self.stored, self._is_confirmed = stored, True
            self._changes = Changes(stored.envelope.data)
            self._is_stale_ticket = self._ticket is not None and self._ticket.is_stale
        else:
            self._other = stored
            self._changes = Changes(_NO_DATA)

    def _begin(self, standing: Standing) -> None:
        self.standing, self.stored = standing, None
        self._changes, self.intents = Changes(_NO_DATA), NO_INTENTS

    def _tell_late_read(self) -> None:
        self.settings.events.tell("late_read")
        logger.warning(
            "The session was looked at for the first time after the response's headers were sent, so these carry no "
            "'Vary: Cookie'. Look at it before the first chunk of the body."
        )

    # Doing

    def change(self) -> Changes:
        """The data, to be changed. Raises `SessionClosed` where it is too late (rule 10)."""
        changes = self.look()
        if self.phase is CLOSED or (self.phase is HEADERS_SENT and self.standing is NEW):
            raise _too_late("changed")
        return changes

    def start(self) -> None:
        """Store the session even if nothing is written to it."""
        self.look()
        if self.standing is NEW:
            self.change()
            self.intents = self.intents._replace(creates=True)

    def log_in(self, login: Login) -> None:
        """Log in at commit (rule 6). What an earlier user left behind is dropped."""
        self._look_while_open("logged in to")
        if self.standing is FOREIGN:
            self._tell_discarded(("username",), "a login from another origin")
            return
        if self.standing is DETACHED:
            # Rule 7: the credentials were just checked, so this login gets a record of its own.
            self.standing = NEW
        elif self._belongs_to_other(login):
            self._changes, self._drops_base = Changes(_NO_DATA), True
        self.intents = self.intents._replace(login=login)

    def rotate(self) -> None:
        """Replace the token at commit. Without a record there is nothing to replace, and detached it does nothing."""
        self._look_while_open("regenerated")
        if self.standing is STORED:
            self.intents = self.intents._replace(rotates=True)

    def remember(self, seconds: int) -> None:
        """Keep the session, and the cookie, for so long from the last authentication on."""
        self._look_while_open("remembered")
        self.intents = self.intents._replace(remember=min(seconds, self.settings.lifetimes.remember))

    def end(self) -> None:
        """End the session now, and begin a new, empty one that is stored only if it is written to."""
        self._look_while_open("ended")
        if self.standing is FOREIGN:
            self._tell_discarded((), "an end asked for by another origin")
            return
        named = self._other if self.standing is DETACHED else self.stored
        if named is not None:
            self._end_record(named.record.id)
        self._forget()

    def _look_while_open(self, done: str) -> None:
        """Look, and refuse what would have to send a cookie with headers that are out already (rule 10)."""
        if self.phase is not OPEN:
            raise _too_late(done)
        self.look()

    def _belongs_to_other(self, login: Login) -> bool:
        """Whether the session is, or is about to be, another user's."""
        records, pending = self.settings.records, self.intents.login
        if pending is not None:
            owner = records.owner(pending.username, pending.user_id)
        else:
            owner = self.stored.record.owner if self.stored is not None else None
        return owner is not None and owner not in records.owners(login.username, login.user_id)

    def _end_record(self, id: bytes) -> None:
        try:
            if self.settings.records.end(id):
                self.settings.events.tell("ended", session_id=id.hex())
        except StoreUnavailable as error:
            self._note(error)
            raise

    def _forget(self) -> None:
        """Go on as a request without a session; a cookie that the browser has is to be taken away."""
        self._begin(NEW)
        self._new_id, self._other, self._issues = None, None, None
        self._drops_base = self._is_confirmed = self._is_stale_ticket = False
        self._expires_cookie = self._ticket is not None

    # Saving

    def commit(self) -> None:
        """Save what was done. Raises `StoreUnavailable`, `SessionConflict`, `SessionTooLarge` and `TypeError`."""
        if self.standing is UNSEEN:
            return
        if not self._changes.collect() and self.intents is NO_INTENTS:
            return
        if self.standing in (DETACHED, FOREIGN):
            self._discard(f"the session is {self.standing.name.lower()}")
            return
        try:
            self._save()
        except (StoreUnavailable, SessionConflict) as error:
            self._note(error)
            raise
        if self.intents.login is not None:
            self._check_login(self.intents.login)

    def finish(self, *, failed: bool) -> Outcome:
        """Save before the headers go, and say what they have to tell.

        After a 5xx (`failed`) nothing is saved (rule 11).
        """
        if failed:
            self.abandon("the response is a server error")
        else:
            self.commit()
            if self.stored is not None and not self._has_written:
                self._keep_alive(self.stored)
        self.phase = HEADERS_SENT
        return self.outcome if self._issues is not None or self._expires_cookie else NOTHING

    def abandon(self, why: str) -> None:
        """Drop what was not saved yet, and tell the names of the keys (rule 11)."""
        if self.standing is UNSEEN:
            return
        try:
            self._changes.collect()
        except TypeError as error:
            logger.warning("Dropped with the rest: %s", error)
        self._discard(why)

    def shut(self) -> None:
        """Let nothing be changed from here on."""
        self.phase, self._environ = CLOSED, None

    @property
    def outcome(self) -> Outcome:
        """What the response has to tell the browser, as things are by now."""
        if self._issues is not None and self.stored is not None:
            return Outcome(self._issues, self._max_age(self.stored.envelope))
        return Outcome(expires=True) if self._expires_cookie else NOTHING

    def _max_age(self, envelope: Envelope) -> int | None:
        """Seconds for which the browser shall keep the cookie; None: until it is closed."""
        if envelope.idle is not None or envelope.deadline is None:
            return None
        return max(envelope.deadline - self.settings.records.now(), 0)

    def _save(self) -> None:
        if self.stored is not None:
            self._replace(self.stored)
        elif self.intents.login or self.intents.creates or len(self._changes):
            self._create()

    def _create(self) -> None:
        now, token, lifetimes = self.settings.records.now(), new_token(), self.settings.lifetimes
        data, _ = self._changes.rebase(self._inherited())
        fresh = Envelope(now, None, None, 0, token_hash(token), now, lifetimes.anonymous, None, None, None, data)
        envelope = fresh if self.intents is NO_INTENTS else self.intents.apply(fresh, now, token, lifetimes)
        lives = None if self.intents.login else UNCONFIRMED
        self._saved(self.settings.records.create(self.id, envelope, now, lives=lives), token)
        self.settings.events.tell("created", session_id=self.id.hex())

    def _inherited(self) -> Data:
        """What a login that lost its session to another one starts from: that one's data, if it is the same user's."""
        login, other = self.intents.login, self._other
        if login is None or other is None or other.record.owner is None:
            return _NO_DATA
        is_same_user = other.record.owner in self.settings.records.owners(login.username, login.user_id)
        return other.envelope.data if is_same_user else _NO_DATA

    def _replace(self, stored: Stored) -> None:
        """Put the changes on what is stored by now (rule 2)."""
        now, token = self.settings.records.now(), new_token() if self.intents.needs_token else None
        overwritten: tuple[str, ...] = ()

        def edit(fresh: Envelope) -> Envelope:
            nonlocal overwritten
            data, overwritten = self._changes.rebase(_NO_DATA if self._drops_base else fresh.data)
            edited, intents = fresh.with_data(data), self.intents
            return edited if intents is NO_INTENTS else intents.apply(edited, now, token, self.settings.lifetimes)

        lives = None if self._is_confirmed or self.intents.login else UNCONFIRMED
        result = self.settings.records.replace(stored, edit, now, lives=lives)
        if isinstance(result, Lost):
            self._lose(result)
            return
        if overwritten:
            self.settings.events.tell("overwritten", session_id=self.id.hex(), keys=overwritten)
        if token is not None:
            self.settings.events.tell("regenerated", session_id=self.id.hex())
        self._saved(result, token)

    def _saved(self, stored: Stored, token: bytes | None) -> None:
        self.stored, self.standing = stored, STORED
        if token is not None:
            # Rule 6: a token that was written is always sent, whatever becomes of the rest of the request.
            self._issues = Ticket(stored.record.id, token)
        elif self.intents.remember is not None or self._is_stale_ticket:
            self._issues = self._issues or self._ticket  # again: the record had this token until this very moment
        self._changes.settle(stored.envelope.data)
        self.intents = Intents(login=self.intents.login) if self.intents.login is not None else NO_INTENTS
        self._drops_base, self._has_written = False, True

    def _lose(self, lost: Lost) -> None:
        """The session was ended (rule 3), or somebody logged in or out of it (rule 5), while this request worked."""
        self.stored, self._other = None, lost.found
        if self.intents.login is not None:
            self.standing = NEW
            self._create()  # rule 6
            return
        is_over = lost.found is None or lost.found.envelope.is_tombstone
        self._discard("the session was ended meanwhile" if is_over else "the session's epoch moved meanwhile")
        self._begin(DETACHED)

    def _check_login(self, login: Login) -> None:
        """Ask, now that a login is stored, whether it still holds: nobody was disabled or signed out meanwhile."""
        self.intents = NO_INTENTS
        if login.check is None or self.stored is None:
            return
        holds = False
        try:
            holds = bool(login.check())
        finally:
            if not holds:
                id = self.stored.record.id
                self._forget()  # first, so that the token stays here even if the store fails now
                self._end_record(id)

    def _keep_alive(self, stored: Stored) -> None:
        """Let a session that was only read live on (rule 1); if an old secret sealed it or its cookie, seal both anew.

        A failure is an event and not an error, for the visitor has got what was asked for.
        """
        records, (record, envelope, is_stale), now = self.settings.records, stored, self.settings.records.now()
        expires_at = envelope.expires_at(now)
        try:
            if is_stale or self._is_stale_ticket:
                sealed_anew = records.replace(stored, lambda fresh: fresh, now)
                if isinstance(sealed_anew, Lost):
                    self._begin(DETACHED)
                else:
                    self._saved(sealed_anew, None)
            elif expires_at - record.expires_at >= touch_interval(envelope.idle):
                records.touch(stored, expires_at)
        except StoreError as error:
            self.settings.events.tell("store_unavailable", session_id=record.id.hex(), detail=f"touch: {error}")

    # Telling

    def _discard(self, why: str) -> None:
        keys = self._changes.keys + (("username",) if self.intents.login is not None else ())
        if keys:
            self._tell_discarded(keys, why)
        self._changes, self.intents = Changes(self._changes.base), NO_INTENTS
        self._drops_base = False

    def _tell_discarded(self, keys: tuple[str, ...], why: str) -> None:
        named = self.stored or self._other
        handle = named.record.id.hex() if named is not None else None
        self.settings.events.tell("write_discarded", session_id=handle, keys=keys, detail=why)

    def _note(self, error: StoreError) -> None:
        self.has_outage = True
        if isinstance(error, StoreUnavailable):
            self.settings.events.tell("store_unavailable", detail=str(error))


def _too_late(done: str) -> SessionClosed:
    return SessionClosed(
        f"The session cannot be {done} any more: the response's headers are out. Do it before the first chunk of the "
        "body is sent."
    )
