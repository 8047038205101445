"""The records of sessions: sealed and opened, created, replaced by compare-and-swap, ended.

Here is where rules 2, 3 and 5 of commit meet the store. What a request wants is not known here.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from .envelope import Envelope, EnvelopeSealer, Stored, Unreadable
from .errors import SessionConflict, SessionTooLarge, StoreError, StoreUnavailable
from .events import Events
from .keyring import Keyring
from .stores.base import Record, Store
from .ticket import new_id
from .usernames import username_key

MAX_BYTES = 256 * 1024

#: Seconds for which an ended session, or a replaced token, is remembered as such.
GRACE = 60

#: Seconds of real time for which a save is tried again while other requests keep changing the session.
PATIENCE = 2.0

#: So many ids that are taken are no coincidence.
_NEW_IDS = 8

#: One in so many creations prunes, and so many records at most.
PRUNE_EVERY = PRUNE_LIMIT = 100


class Lost(NamedTuple):
    """A replace that must not happen: the session was ended, or its epoch moved. What is there now, if it opens."""

    found: Stored | None


def jitter(attempt: int) -> None:
    """Wait a moment at random, up to twice as long each time, so that writers who collided do not collide again."""
    time.sleep(random.random() * min(0.02, 0.0005 * 2**attempt))  # noqa: S311  (nothing secret about it)


class Records:
    """The sessions' records in one store, under one keyring."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        *,
        events: Events | None = None,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.time,
        pause: Callable[[int], None] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.store: Any = store  # so that compiled code takes what a store says as Python does: 1 for True
        self._keyring = keyring
        self._sealer = EnvelopeSealer(keyring)
        self._events = events or Events(clock=clock)
        self._max_bytes = max_bytes
        self._clock = clock
        self._pause = pause or jitter
        self._patience = patience
        self._creations = itertools.count(random.randrange(PRUNE_EVERY))  # noqa: S311

    def now(self) -> int:
        """Whole seconds since the epoch."""
        return int(self._clock())

    def load(self, id: bytes, now: int) -> Stored | None:
        """The record, opened; None if it is gone, expired or unreadable, which is told. Raises `StoreUnavailable`."""
        record = self.store.load(id, now)
        return None if record is None else self._opened(record)

    def create(self, id: bytes, envelope: Envelope, now: int, *, lives: int | None = None) -> Stored:
        """Store a new record. If the id is taken, which 128 random bits make a curiosity, it gets another one.

        `lives` as for `replace`. Raises `StoreUnavailable` and `SessionTooLarge`.
        """
        owner = self.owner(envelope.username, envelope.user_id)
        for _attempt in range(_NEW_IDS):
            stored = self._sealed(id, 1, owner, envelope, now, lives)
            if self.store.create(stored.record):
                self._prune_sometimes()
                return stored
            id = new_id()
        raise StoreUnavailable(f"The store says of {_NEW_IDS} random ids that they are taken: its create() is wrong.")

    def replace(
        self, base: Stored, edit: Callable[[Envelope], Envelope], now: int, *, lives: int | None = None
    ) -> Stored | Lost:
        """Store what `edit` makes of the envelope, done again on fresh ones for as long as others get in between.

        The record lives on as its envelope says, or for `lives` seconds from now if that is less. Raises
        `StoreUnavailable`, `SessionConflict` and `SessionTooLarge`.
        """
        stored = self._successor(base, edit(base.envelope), now, lives)
        if self.store.replace(stored.record):
            return stored
        for _attempt in self._attempts():
            current = self.load(base.record.id, now)
            if current is None or current.envelope.is_tombstone or current.envelope.epoch != base.envelope.epoch:
                return Lost(current)
            stored = self._successor(current, edit(current.envelope), now, lives)
            if self.store.replace(stored.record):
                return stored
        self._events.tell("conflict", session_id=base.record.id.hex())
        raise SessionConflict(f"Other requests kept changing session {base.record.id.hex()}; nothing was saved.")

    def touch(self, stored: Stored, expires_at: int) -> None:
        """Let an unchanged session live on."""
        self.store.touch(stored.record.id, stored.record.version, expires_at)

    def end(self, id: bytes) -> bool:
        """End a session now, however many others write to it. False if it had ended already.

        What stays for a while is a tombstone without data or owner. It tells "ended" from "never heard of", so that
        a request sent with the old cookie does not replace the newer one that is on its way to the browser.
        """
        for _attempt in self._attempts():
            record = self.store.load(id, self.now())
            if record is None:
                return False
            stored = self._opened(record)
            if stored is not None and stored.envelope.is_tombstone:
                return False
            if self.store.replace(self._tombstone(record)):
                return True
        return bool(self.store.delete(id))

    def owned_by(self, *, username: str | None = None, user_id: str | None = None) -> list[Stored]:
        """All live sessions of a user, those too that were stored under an older secret."""
        found = (self.store.owned_by(owner, self.now()) for owner in self.owners(username, user_id))
        opened = (self._opened(record) for record in itertools.chain.from_iterable(found))
        return [stored for stored in opened if stored is not None]

    def owner(self, username: str | None, user_id: str | None) -> bytes | None:
        """The digest under which a user's sessions are indexed; None for nobody."""
        return None if username is None and user_id is None else self.owners(username, user_id)[0]

    def owners(self, username: str | None, user_id: str | None) -> list[bytes]:
        """The user's digest under every secret, newest first."""
        if user_id is not None:
            identity = b"id\0" + user_id.encode()
        elif username is not None:
            identity = b"name\0" + (username_key(username) or username).encode()
        else:
            return []
        return [digest[:16] for digest in self._keyring.digests("owner", identity)]

    def _opened(self, record: Record) -> Stored | None:
        opened = self._sealer.open(record)
        if isinstance(opened, Stored):
            return opened
        self._events.tell(opened.value, session_id=record.id.hex())
        if opened is Unreadable.CORRUPT:
            with suppress(StoreError):  # it is in nobody's way: if it cannot be deleted, the next reader tries again
                self.store.delete(record.id)
        return None

    def _successor(self, current: Stored, envelope: Envelope, now: int, lives: int | None) -> Stored:
        (id, version, lived_until, owner, _), before, is_stale = current
        if lives is not None:
            lives = max(lives, lived_until - now)  # a login or a touch has granted it that long
        if is_stale or envelope.username != before.username or envelope.user_id != before.user_id:
            owner = self.owner(envelope.username, envelope.user_id)
        return self._sealed(id, version + 1, owner, envelope, now, lives)

    def _sealed(
        self, id: bytes, version: int, owner: bytes | None, envelope: Envelope, now: int, lives: int | None
    ) -> Stored:
        expires_at = envelope.expires_at(now)
        if lives is not None:
            expires_at = min(expires_at, now + lives)
        payload = self._sealer.seal(envelope, id, version, owner)
        if len(payload) > self._max_bytes:
            raise SessionTooLarge(
                f"The session takes {len(payload)} bytes, more than max_bytes={self._max_bytes}. "
                "Keep large things in the application's own storage, and their key in the session."
            )
        return Stored(Record(id, version, expires_at, owner, payload), envelope)

    def _tombstone(self, record: Record) -> Record:
        now = self.now()
        envelope = Envelope(now, None, None, 0, b"", now, GRACE, None, None, None, {})
        return self._sealed(record.id, record.version + 1, None, envelope, now, None).record

    def _attempts(self) -> Iterator[int]:
        """Counts attempts with a random wait in between, until patience is at its end."""
        gives_up_at = time.monotonic() + self._patience
        for attempt in itertools.count():
            yield attempt
            if time.monotonic() >= gives_up_at:
                return
            self._pause(attempt)

    def _prune_sometimes(self) -> None:
        if next(self._creations) % PRUNE_EVERY:
            return
        try:
            self.store.prune(self.now(), PRUNE_LIMIT)
        except StoreError as error:
            # The session is stored; that the sweep failed is nothing to bother its visitor with.
            self._events.tell("store_unavailable", detail=f"prune: {error}")
