"""The library with one of its rules taken out, and two policies of other libraries: what would go wrong, and where.

Each is a context in which the interleaving checker can run (`sessionware.testing`). None of this is for use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from sessionware import StoreUnavailable, standing, transaction
from sessionware.envelope import Envelope, Stored
from sessionware.intents import NO_INTENTS, Intents
from sessionware.origins import Origins
from sessionware.records import Lost, Records
from sessionware.reply import Reply
from sessionware.standing import Found, Standing
from sessionware.stores.base import Record
from sessionware.testing.world import Tables
from sessionware.transaction import Transaction

Policy = Callable[[], AbstractContextManager[object]]


class Missing(NamedTuple):
    """A rule's number, what happens without it, the context, and a scenario that must go wrong there."""

    rule: int
    what: str
    policy: Policy
    scenario: str

    def __str__(self) -> str:
        return f"rule {self.rule}: {self.what}"


# Other libraries' policies ------------------------------------------------------------------------------------------


@contextmanager
def blob_upsert() -> Iterator[None]:
    """Each request writes the whole session as it sees it, whatever is there and whether anything is."""

    def put(self: Tables, record: Record) -> bool:
        self.records[record.id] = record
        return True

    with patch.object(Tables, "replace", put):
        yield


@contextmanager
def rewrite_on_read() -> Iterator[None]:
    """The same, and a request that only read writes the session as well."""
    with blob_upsert(), reading_writes():
        yield


# Rules taken out ----------------------------------------------------------------------------------------------------


@contextmanager
def reading_writes() -> Iterator[None]:
    def keep_alive(self: Transaction, stored: Stored) -> None:
        self.settings.records.replace(stored, lambda fresh: fresh, self.settings.records.now())

    with patch.object(Transaction, "_keep_alive", keep_alive):
        yield


@contextmanager
def touch_any_version() -> Iterator[None]:
    def touch(self: Tables, id: bytes, version: int, expires_at: int) -> None:
        if id in self.records:
            self.records[id] = self.records[id]._replace(expires_at=expires_at)

    with patch.object(Tables, "touch", touch):
        yield


Editing = Callable[[Envelope], Envelope]


def _replacing(next_base: Callable[[Stored, Stored | None], Stored | Lost]) -> Policy:
    """`Records.replace`, where this function decides what the changes are put on after another request got in."""

    def replace(self: Records, base: Stored, edit: Editing, now: int, *, lives: int | None = None) -> Stored | Lost:
        current: Stored | Lost = base
        while isinstance(current, Stored):
            stored = self._successor(current, edit(current.envelope), now, lives)
            if self.store.replace(stored.record):
                return stored
            current = next_base(base, self.load(base.record.id, now))
        return current

    return lambda: patch.object(Records, "replace", replace)


def _is_lost(base: Stored, found: Stored | None) -> bool:
    return found is None or found.envelope.is_tombstone or found.envelope.epoch != base.envelope.epoch


def _stale_copy(base: Stored, found: Stored | None) -> Stored | Lost:
    return Lost(found) if found is None or _is_lost(base, found) else found._replace(envelope=base.envelope)


def _back_from_the_dead(base: Stored, found: Stored | None) -> Stored | Lost:
    if found is not None and found.envelope.is_tombstone:
        return found._replace(envelope=base.envelope)
    return Lost(found) if found is None or _is_lost(base, found) else found


def _stale_header(base: Stored, found: Stored | None) -> Stored | Lost:
    if found is None or _is_lost(base, found):
        return Lost(found)
    return found._replace(envelope=base.envelope._replace(data=found.envelope.data))


def _any_epoch(base: Stored, found: Stored | None) -> Stored | Lost:
    return Lost(found) if found is None or found.envelope.is_tombstone else found


@contextmanager
def login_keeps_token() -> Iterator[None]:
    with patch.object(Intents, "needs_token", property(lambda self: self.rotates)):
        yield


@contextmanager
def losing_login_gives_up() -> Iterator[None]:
    def lose(self: Transaction, lost: Lost) -> None:
        self.stored, self._other = None, lost.found
        self._discard("")
        self._begin(Standing.DETACHED)

    with patch.object(Transaction, "_lose", lose):
        yield


def nobody_checks_the_login() -> AbstractContextManager[object]:
    return patch.object(Transaction, "_check_login", lambda self, login: setattr(self, "intents", NO_INTENTS))


@contextmanager
def written_token_is_kept_back() -> Iterator[None]:
    finish = Transaction.finish

    def keeps_back(self: Transaction, *, failed: bool) -> Any:
        self._issues = None if failed else self._issues
        return finish(self, failed=failed)

    with patch.object(Transaction, "finish", keeps_back):
        yield


def no_grace() -> AbstractContextManager[object]:
    return patch.object(standing, "GRACE", -1)


@contextmanager
def ids_are_adopted() -> Iterator[None]:
    new_id = Transaction.id

    def id(self: Transaction) -> bytes:
        return self._ticket.id if self._ticket is not None else new_id.__get__(self)

    with patch.object(Transaction, "id", property(id)):
        yield


@contextmanager
def first_byte_first() -> Iterator[None]:
    """Whatever needs no cookie is saved when the body is closed."""
    deliver = Reply.deliver

    def early(self: Reply, body: Any, *, as_it_is: bool) -> Any:
        changes = self._transaction
        if (
            changes is None
            or not changes.is_seen
            or changes.stored is None
            or changes.intents != NO_INTENTS
            or self._status is None
        ):
            return deliver(self, body, as_it_is=as_it_is)
        self.is_sent = True
        self._start_response(self._status, self._headers)
        return deliver(self, body, as_it_is=False)

    with patch.object(Reply, "deliver", early):
        yield


def late_changes_are_lost() -> AbstractContextManager[object]:
    return patch.object(Reply, "close", lambda self, *, failed: self.shut())


@contextmanager
def errors_save() -> Iterator[None]:
    finish = Transaction.finish
    with patch.object(Transaction, "finish", lambda self, *, failed: finish(self, failed=False)):
        yield


@contextmanager
def outage_is_empty() -> Iterator[None]:
    find = transaction.find

    def forgiving(*args: Any) -> Found:
        try:
            return find(*args)
        except StoreUnavailable:
            return Standing.NEW, None, None

    with patch.object(transaction, "find", forgiving):
        yield


def everybody_is_at_home() -> AbstractContextManager[object]:
    return patch.object(Origins, "is_foreign", lambda self, environ: False)


#: Every rule of docs/guarantees.md, in its parts.
MISSING = (
    Missing(1, "a request that only reads writes", reading_writes, "writer and reader"),
    Missing(1, "a touch looks at no version", touch_any_version, "touch and login"),
    Missing(2, "tries again with the copy that it loaded", _replacing(_stale_copy), "two writers, different keys"),
    Missing(3, "writes into a session that was ended", _replacing(_back_from_the_dead), "logout and write"),
    Missing(4, "writes who and until when from its own copy", _replacing(_stale_header), "remember and write"),
    Missing(5, "looks at no epoch", _replacing(_any_epoch), "login as somebody else, and write"),
    Missing(6, "a login keeps the token", login_keeps_token, "login and write"),
    Missing(6, "a login that loses gives up", losing_login_gives_up, "login and login (double click)"),
    Missing(6, "no second look at the account", nobody_checks_the_login, "account disabled, and login"),
    Missing(
        6, "a 5xx keeps a stored token back", written_token_is_kept_back, "login saved by hand before a 5xx, and read"
    ),
    Missing(7, "an old cookie counts as none at once", no_grace, "login and write"),
    Missing(8, "the id in the cookie is used again", ids_are_adopted, "writers with a cookie long gone"),
    Missing(9, "saved after the first byte", first_byte_first, "write, then read"),
    Missing(10, "what comes after the headers is lost", late_changes_are_lost, "late write and write"),
    Missing(11, "errors save", errors_save, "failed request and write"),
    Missing(12, "a store that fails counts as empty", outage_is_empty, "writer and reader, and the store fails once"),
    Missing(13, "other origins have the session", everybody_is_at_home, "another origin writes, and write"),
)

#: Simpler policies, for the table.
SIMPLER: dict[str, Policy] = {
    "blob upsert": blob_upsert,
    "… rewrites on read": rewrite_on_read,
    "delta, no epoch": _replacing(_any_epoch),
    "no detached rule": no_grace,
}
