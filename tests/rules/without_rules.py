"""The library with one of its rules taken out, and two policies of other libraries: what would go wrong, and where.

Each is a context in which the interleaving checker can run (`sessionware.testing`). None of this is for use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from sessionware import StoreUnavailable
from sessionware._core import lookup, transaction
from sessionware._core.envelope import Stored
from sessionware._core.header import UNCHANGED, HeaderChanges
from sessionware._core.lookup import Found, Standing
from sessionware._core.origins import Origins
from sessionware._core.records import Lost, Records
from sessionware._core.response import Response
from sessionware._core.transaction import Transaction
from sessionware._seals import Keys
from sessionware.stores.base import Record
from sessionware.testing.interleaving.world import Tables

Policy = Callable[[], AbstractContextManager[object]]


class Without(NamedTuple):
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
        self._replace(stored)

    with patch.object(Transaction, "_keep_alive", keep_alive):
        yield


@contextmanager
def touch_any_version() -> Iterator[None]:
    def touch(self: Tables, id: bytes, version: int, expires_at: int) -> None:
        if id in self.records:
            self.records[id] = self.records[id]._replace(expires_at=expires_at)

    with patch.object(Tables, "touch", touch):
        yield


def _trying_again_with(next_base: Callable[[Stored, Stored | None], Stored]) -> Policy:
    """`Records.newest`, where this function says what the changes are put on once another request got in between."""

    def newest(self: Records, keys: Keys, base: Stored, now: int) -> Iterator[Stored]:
        yield base
        while True:
            yield next_base(base, self.load(keys, base.record.id, now))

    return lambda: patch.object(Records, "newest", newest)


def _unless_lost(base: Stored, found: Stored | None) -> Stored:
    if found is None or found.envelope.is_tombstone or found.envelope.epoch != base.envelope.epoch:
        raise Lost(found)
    return found


def _stale_copy(base: Stored, found: Stored | None) -> Stored:
    return _unless_lost(base, found)._replace(envelope=base.envelope)


def _back_from_the_dead(base: Stored, found: Stored | None) -> Stored:
    if found is not None and found.envelope.is_tombstone:
        return found._replace(envelope=base.envelope)
    return _unless_lost(base, found)


def _stale_header(base: Stored, found: Stored | None) -> Stored:
    fresh = _unless_lost(base, found)
    return fresh._replace(envelope=base.envelope._replace(data=fresh.envelope.data))


def _any_epoch(_base: Stored, found: Stored | None) -> Stored:
    if found is None or found.envelope.is_tombstone:
        raise Lost(found)
    return found


@contextmanager
def login_keeps_token() -> Iterator[None]:
    with patch.object(HeaderChanges, "needs_token", property(lambda self: self.renews)):
        yield


@contextmanager
def losing_login_gives_up() -> Iterator[None]:
    def lose(self: Transaction, found: Stored | None) -> None:
        self.stored, self._other = None, found
        self._discard("")
        self._begin(Standing.DETACHED)

    with patch.object(Transaction, "_lose", lose):
        yield


def nobody_checks_the_login() -> AbstractContextManager[object]:
    return patch.object(Transaction, "_check_login", lambda self, login: None)


@contextmanager
def written_token_is_kept_back() -> Iterator[None]:
    finish = Transaction.finish

    def keeps_back(self: Transaction, *, failed: bool) -> Any:
        self.issued = None if failed else self.issued
        return finish(self, failed=failed)

    with patch.object(Transaction, "finish", keeps_back):
        yield


def no_grace() -> AbstractContextManager[object]:
    return patch.object(lookup, "is_recent", lambda moment, now: False)


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
    deliver = Response.deliver

    def early(self: Response, body: Any, *, as_it_is: bool) -> Any:
        changes = self._transaction
        if not changes.accessed or changes.stored is None or changes.header is not UNCHANGED or self._status is None:
            return deliver(self, body, as_it_is=as_it_is)
        self.is_sent, changes.phase = True, transaction.HEADERS_SENT
        self._start_response(self._status, self._headers)
        return deliver(self, body, as_it_is=False)

    with patch.object(Response, "deliver", early):
        yield


def late_changes_are_lost() -> AbstractContextManager[object]:
    return patch.object(Response, "close", lambda self, *, failed: self.shut())


@contextmanager
def errors_save() -> Iterator[None]:
    finish = Transaction.finish
    with patch.object(Transaction, "finish", lambda self, *, failed: finish(self, failed=False)):
        yield


@contextmanager
def outage_is_empty() -> Iterator[None]:
    look_up: Callable[..., Found] = getattr(transaction, "look_up")  # noqa: B009 (a name that it imports)

    def forgiving(*args: Any) -> Found:
        try:
            return look_up(*args)
        except StoreUnavailable:
            return Standing.NEW, None, None, None

    with patch.object(transaction, "look_up", forgiving):
        yield


def everybody_is_at_home() -> AbstractContextManager[object]:
    return patch.object(Origins, "is_foreign", lambda self, environ: False)


#: Every rule of docs/guarantees.md, in its parts.
MISSING = (
    Without(1, "a request that only reads writes", reading_writes, "writer and reader"),
    Without(1, "a touch looks at no version", touch_any_version, "touch and login"),
    Without(
        2, "tries again with the copy that it loaded", _trying_again_with(_stale_copy), "two writers, different keys"
    ),
    Without(3, "writes into a session that was ended", _trying_again_with(_back_from_the_dead), "logout and write"),
    Without(4, "writes who and until when from its own copy", _trying_again_with(_stale_header), "remember and write"),
    Without(5, "looks at no epoch", _trying_again_with(_any_epoch), "login as somebody else, and write"),
    Without(6, "a login keeps the token", login_keeps_token, "login and write"),
    Without(6, "a login that loses gives up", losing_login_gives_up, "login and login (double click)"),
    Without(6, "no second look at the account", nobody_checks_the_login, "account disabled, and login"),
    Without(
        6, "a 5xx keeps a stored token back", written_token_is_kept_back, "login saved by hand before a 5xx, and read"
    ),
    Without(7, "an old cookie counts as none at once", no_grace, "login and write"),
    Without(8, "the id in the cookie is used again", ids_are_adopted, "writers with a cookie long gone"),
    Without(9, "saved after the first byte", first_byte_first, "write, then read"),
    Without(10, "what comes after the headers is lost", late_changes_are_lost, "late write and write"),
    Without(11, "errors save", errors_save, "failed request and write"),
    Without(12, "a store that fails counts as empty", outage_is_empty, "writer and reader, and the store fails once"),
    Without(13, "other origins have the session", everybody_is_at_home, "another origin writes, and write"),
)

#: Simpler policies, for the table.
SIMPLER: dict[str, Policy] = {
    "blob upsert": blob_upsert,
    "… rewrites on read": rewrite_on_read,
    "delta, no epoch": _trying_again_with(_any_epoch),
    "no detached rule": no_grace,
}
