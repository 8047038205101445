"""The sealed store: sessions loaded, created, swapped, ended, and found by their owner.

Rules 2, 3 and 5 of commit meet the store here. What a request wants is not known in this module.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from .._seals import Keys, digests
from ..errors import SessionConflict, SessionTooLarge, StoreError, StoreUnavailable
from ..events import Events
from ..stores.base import Record, Store, listen
from ..usernames import username_key
from . import lifetime
from .envelope import NO_EXTRA, Envelope, Stored, Unreadable, open_record, seal_envelope, tombstone
from .tickets import ID_BYTES, TOKEN_BYTES, Token
from .upkeep import Upkeep
from .values import Data

MAX_BYTES = 256 * 1024

#: What a record may take beside its data.
HEADER_BYTES = 8 * 1024

#: What `extra` may take of that: names and encoded values.
EXTRA_BYTES = 2 * 1024

#: What a session that may be ended whatever it is by now has to be.
NOTHING: Mapping[str, object] = {}

#: No limit is lower than this.
_SURELY_FITS = 1024

#: Seconds of real time during which a save is retried while other requests keep changing the session.
PATIENCE = 2.0

#: This many ids in a row cannot all be taken by coincidence.
_NEW_IDS = 8

_UNKNOWN_KEY = (
    "no secret of this process opens this record: was the secret changed out of order, or is this an old release?"
)
_CORRUPT = "not what was stored under this id, so it was deleted: did the disk fail, or somebody write to the store?"


class Lost(Exception):
    """A save that must not happen, because the session was ended or its epoch moved.

    `found` is the record as it is now, if it opens.
    """

    def __init__(self, found: Stored | None) -> None:
        self.found = found


def jitter(attempt: int) -> None:
    """Wait a random moment, up to twice as long each time, so that writers that collided do not collide again."""
    time.sleep(random.random() * min(0.02, 0.0005 * 2**attempt))  # noqa: S311  (nothing secret about it)


class Chance(NamedTuple):
    """Randomness and patience. They are arguments, so that a checker can repeat an order of requests exactly."""

    random_bytes: Callable[[int], bytes] = os.urandom
    pause: Callable[[int], None] = jitter
    patience: float = PATIENCE


CHANCE = Chance()


class Records:
    """The records of one store's sessions."""

    def __init__(
        self, store: Store, events: Events, *, max_bytes: int, clock: Callable[[], float], chance: Chance
    ) -> None:
        self.path: bytes = "/".join(store.path).encode()
        self.store: Any = store  # Any, so that compiled code accepts what Python does: 1 for True
        self._events = events
        self._max_bytes = max_bytes
        self._clock = clock
        self._chance = chance
        listen(store, lambda detail: events.emit("store.replaced", detail=detail))
        self._upkeep = Upkeep(store, events, clock)

    @property
    def pause(self) -> Callable[[int], None]:
        """Waits a moment, as a save does that lost to another."""
        return self._chance.pause

    def random_bytes(self, size: int) -> bytes:
        """So many of them, for whatever nobody may guess."""
        return self._chance.random_bytes(size)

    def new_id(self) -> bytes:
        """A random record id, 128 bits as ASVS 5.0 7.2.3 asks."""
        return self._chance.random_bytes(ID_BYTES)

    def new_token(self) -> Token:
        """A random token."""
        return Token(self._chance.random_bytes(TOKEN_BYTES))

    def load(self, keys: Keys, id: bytes, now: int) -> Stored | None:
        """The record, opened; None if it is gone, expired or, with an event, unreadable. Raises `StoreUnavailable`."""
        found = self.find(keys, id, now)
        return found if isinstance(found, Stored) else None

    def find(self, keys: Keys, id: bytes, now: int) -> Stored | Unreadable | None:
        """The record, opened; None if it is gone or expired; with an event, why it is unreadable."""
        record = self.store.load(id, now)
        if record is None:
            return None
        opened = open_record(keys.record, record, self.path)
        return opened if isinstance(opened, Stored) else self._dismissed(record, opened)

    def create(self, keys: Keys, id: bytes, envelope: Envelope, expires_at: int) -> Stored:
        """Store a new record. If its id is taken, which is next to impossible with 128 random bits, it gets another.

        Raises `StoreUnavailable` and `SessionTooLarge`.
        """
        owner = self.owner(keys, envelope.username, envelope.user_id)
        for _attempt in range(_NEW_IDS):
            stored = self._sealed(keys, Record(id, 1, expires_at, owner, b""), envelope)
            if self.store.create(stored.record):
                self._upkeep.after_creation()
                return stored
            id = self.new_id()
        raise StoreUnavailable(f"The store says that {_NEW_IDS} random ids in a row are taken: its create() is wrong.")

    def newest(self, keys: Keys, base: Stored, now: int) -> Iterator[Stored]:
        """What to apply changes to: the record as it was loaded, then as it is now, until one of them is swapped.

        Ends when patience runs out. Raises `Lost` and `StoreUnavailable`.
        """
        yield base
        for _attempt in self._attempts():
            current = self.load(keys, base.record.id, now)
            if current is None or current.envelope.is_tombstone or current.envelope.epoch != base.envelope.epoch:
                raise Lost(current)
            yield current

    def swap(self, keys: Keys, current: Stored, envelope: Envelope, expires_at: int) -> Stored | None:
        """Store the envelope in place of `current`; None if somebody else was first.

        Raises `StoreUnavailable` and `SessionTooLarge`.
        """
        (id, version, _, owner, _), before, is_stale, _ = current
        if is_stale or envelope.username != before.username or envelope.user_id != before.user_id:
            owner = self.owner(keys, envelope.username, envelope.user_id)
        stored = self._sealed(keys, Record(id, version + 1, expires_at, owner, b""), envelope)
        return stored if self.store.replace(stored.record) else None

    def conflict(self, stored: Stored) -> SessionConflict:
        """The error to raise when others have kept changing the session for too long."""
        handle, seconds = stored.record.id.hex(), self._chance.patience
        return SessionConflict(
            f"Other requests kept changing session {handle} for {seconds:g} seconds. Nothing was saved."
        )

    def touch(self, stored: Stored, expires_at: int) -> None:
        """Extend the life of an unchanged session."""
        self.store.touch(stored.record.id, stored.record.version, expires_at)

    def end(
        self,
        keys: Keys,
        id: bytes,
        *,
        owners: list[bytes] | None = None,
        expected: Mapping[str, object] = NOTHING,
        reason: str | None = None,
        keep: int = lifetime.GRACE,
        detail: str = "",
        client_address: str | None = None,
    ) -> bool:
        """End a session now, however many others write to it.

        False if it had already ended, is none of `owners`, or has other header fields than `expected` by now.

        A tombstone without data or owner stays for `keep` seconds. It distinguishes "ended" from "never heard of", so
        that a request sent with the old cookie does not replace the newer cookie that is on its way to the browser. It
        also has the `reason` to tell whoever holds a cookie that was good until now.
        """
        user_id = None
        for _attempt in self._attempts():
            record = self.store.load(id, self._now())
            if record is None:
                # What has expired is removed, so that no server whose clock is late takes it for a live one.
                self.store.delete(id)
                return False
            if owners is not None and record.owner not in owners:
                return False
            opened = open_record(keys.record, record, self.path)
            if isinstance(opened, Stored):
                if opened.envelope.is_tombstone:
                    return False
                envelope, user_id = opened.envelope, opened.envelope.user_id
                if any(getattr(envelope, name) != value for name, value in expected.items()):
                    return False
            else:
                self._emit_unreadable(record, opened)
                if opened is Unreadable.CORRUPT:
                    break  # there is nothing that a tombstone could take the place of
                envelope = None
            if self.store.replace(self._tombstone(keys, record, envelope, reason, keep)):
                return self._told_ended(id, user_id, detail or reason or "", client_address)
        else:
            found = self.load(keys, id, self._now())
            if found is not None and found.envelope.is_tombstone:
                return False  # whoever was faster has said why it ended, which must stay to be told
        return bool(self.store.delete(id)) and self._told_ended(id, user_id, detail or reason or "", client_address)

    def owned_by(self, keys: Keys, username: str | None, user_id: str | None) -> list[Stored]:
        """All live sessions of a user, including those that were stored under an older secret."""
        now = self._now()
        # The oldest secret first: a session that is sealed anew meanwhile goes to the newest, so it is found there.
        found = (self.store.owned_by(owner, now) for owner in reversed(self.owners(keys, username, user_id)))
        opened = (self._opened(keys, record) for record in itertools.chain.from_iterable(found))
        return list({stored.record.id: stored for stored in opened if stored is not None}.values())

    def owner(self, keys: Keys, username: str | None, user_id: str | None) -> bytes | None:
        """The digest under which a user's sessions are indexed; None if nobody is logged in."""
        return None if username is None and user_id is None else self.owners(keys, username, user_id)[0]

    def owners(self, keys: Keys, username: str | None, user_id: str | None) -> list[bytes]:
        """The user's digest under every secret, newest first."""
        if user_id is not None:
            identity = b"id\0" + user_id.encode()
        elif username is not None:
            identity = b"name\0" + (username_key(username) or username).encode()
        else:
            return []
        return [digest[:16] for digest in digests(keys.owner, identity)]

    def _opened(self, keys: Keys, record: Any) -> Stored | None:
        opened = open_record(keys.record, record, self.path)
        if isinstance(opened, Stored):
            return opened
        self._dismissed(record, opened)
        return None

    def _dismissed(self, record: Any, why: Unreadable) -> Unreadable:
        """Report a record that does not open, and delete it if it never will."""
        self._emit_unreadable(record, why)
        if why is Unreadable.CORRUPT:
            # If it cannot be deleted, the next reader tries again. Its id may be of any type, or missing.
            with suppress(StoreError, TypeError, LookupError, AttributeError):
                self.store.delete(record.id)
        return why

    def _emit_unreadable(self, record: Any, why: Unreadable) -> None:
        # Any, because a row that is not a record may have an id of any type, which compiled code would refuse to read.
        id = getattr(record, "id", None)
        handle = id.hex() if isinstance(id, bytes) else None
        if why is Unreadable.UNKNOWN_KEY:
            self._events.emit("record.unknown_key", session_id=handle, detail=_UNKNOWN_KEY)
        else:
            self._events.emit("record.corrupt", session_id=handle, detail=_CORRUPT)

    def _sealed(self, keys: Keys, record: Record, envelope: Envelope) -> Stored:
        """The record with the envelope as its payload."""
        payload = seal_envelope(keys.record, envelope, record, self.path)
        if len(payload) > _SURELY_FITS:
            self._check_sizes(envelope, len(payload))
        return Stored(Record(record.id, record.version, record.expires_at, record.owner, payload), envelope)

    def _check_sizes(self, envelope: Envelope, size: int) -> None:
        """Raise `SessionTooLarge` if the session must not be stored. What is left of one that was ended always fits."""
        if envelope.is_tombstone:
            return
        if size > self._max_bytes:
            _check_size(_size_of(envelope.data), self._max_bytes)
        if size > self._max_bytes + HEADER_BYTES or _size_of(envelope.extra) > EXTRA_BYTES:
            raise SessionTooLarge("The session's header, such as the username, is too large.")

    def _tombstone(self, keys: Keys, record: Record, ended: Envelope | None, reason: str | None, keep: int) -> Record:
        now = self._now()
        envelope = tombstone(now, keep, NO_EXTRA if ended is None else ended.extra)
        if reason is not None and ended is not None:
            envelope = envelope.with_extra(wh=[reason, ended.fitting])
        fresh = Record(record.id, record.version + 1, now + keep, None, b"")
        return self._sealed(keys, fresh, envelope).record

    def _told_ended(self, id: bytes, user_id: str | None, detail: str, client_address: str | None) -> bool:
        self._events.emit(
            "session.ended", session_id=id.hex(), user_id=user_id, client_address=client_address, detail=detail
        )
        return True

    def _attempts(self) -> Iterator[int]:
        """Count attempts, with a random wait between them, until patience runs out."""
        gives_up_at = time.monotonic() + self._chance.patience
        for attempt in itertools.count():
            yield attempt
            if time.monotonic() >= gives_up_at:
                return
            self._chance.pause(attempt)

    def _now(self) -> int:
        return int(self._clock())


def _check_size(size: int, most: int) -> None:
    """Raise `SessionTooLarge` for too much data. The header does not count, so that a full session can log in."""
    if size > most:
        raise SessionTooLarge(
            f"The session's data take {size} bytes, more than max_bytes={most}. Keep large data in the application's "
            "own storage, and its key in the session."
        )


def _size_of(data: Data) -> int:
    return sum(len(key.encode()) + len(value) for key, value in data.items())
