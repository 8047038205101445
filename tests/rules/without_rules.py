"""The library with one of its rules taken out, and two policies of other libraries: what would go wrong, and where.

Each is a context in which the interleaving checker can run (`sessionware.testing`). None of this is for use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, NamedTuple
from unittest.mock import patch

from sessionware import NotLoggedIn, StoreUnavailable
from sessionware._core import commit, csrf, lookup, response, transaction
from sessionware._core.envelope import Envelope, Stored
from sessionware._core.header import UNCHANGED, HeaderChanges
from sessionware._core.login import Login
from sessionware._core.lookup import Found, Site, Standing
from sessionware._core.origins import Origins
from sessionware._core.records import Lost, Records
from sessionware._core.response import Response
from sessionware._core.transaction import HEADERS_SENT, Transaction
from sessionware._core.values import Data
from sessionware._seals import Keys
from sessionware.auth import Auth
from sessionware.auth.endings import AccountSessions
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
    with patch.object(commit, "_keep_alive", commit._replace):
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
    def lose(transaction: Transaction, found: Stored | None) -> None:
        transaction.stored, transaction.missed = None, found
        transaction.discard("")
        transaction.begin(Standing.DETACHED)

    with patch.object(commit, "_lose", lose):
        yield


def nobody_checks_the_login() -> AbstractContextManager[object]:
    return patch.object(commit, "_check_login", lambda transaction, login: None)


def no_login_joins() -> AbstractContextManager[object]:
    return patch.object(transaction, "may_join", lambda login, token_hash, other, now: False)


@contextmanager
def any_login_joins() -> Iterator[None]:
    """Without the proof that the other login replaced the very token that this one came with."""

    def may_join(login: Login, token_hash: bytes, other: Envelope, now: int) -> bool:
        return other.authenticated_at is not None

    with patch.object(transaction, "may_join", may_join):
        yield


@contextmanager
def nothing_is_inherited_from_visitors() -> Iterator[None]:
    inherited = commit._inherited

    def inherits(transaction: Transaction) -> Data:
        missed = transaction.missed
        return {} if missed is not None and missed.record.owner is None else inherited(transaction)

    with patch.object(commit, "_inherited", inherits):
        yield


@contextmanager
def unchecked_login_is_ended() -> Iterator[None]:
    def end(transaction: Transaction, stored: Stored, *, is_joined: bool) -> None:
        transaction.forget()
        commit._end(transaction, stored.record.id)

    with patch.object(commit, "_take_back_login", end):
        yield


@contextmanager
def clear_is_no_logout() -> Iterator[None]:
    with patch.object(Transaction, "is_late_to_user", property(lambda self: False)):
        yield


@contextmanager
def an_expired_base_is_saved() -> Iterator[None]:
    newest = Records.newest

    def never_expired(self: Records, keys: Keys, base: Stored, now: int) -> Iterator[Stored]:
        alive = base.record._replace(expires_at=max(base.record.expires_at, now + 1))
        return newest(self, keys, base._replace(record=alive), now)

    with patch.object(Records, "newest", never_expired):
        yield


@contextmanager
def cookie_slides_by_itself() -> Iterator[None]:
    """The cookie is sent again whether or not the record could be written."""
    lose = commit._lose

    def slides(transaction: Transaction, found: Stored | None) -> None:
        ticket, stored = transaction.ticket, transaction.stored
        lose(transaction, found)
        if transaction.standing is Standing.DETACHED:
            transaction.issued, transaction.stored = ticket, stored

    with patch.object(commit, "_lose", slides):
        yield


def nobody_is_passive() -> AbstractContextManager[object]:
    return patch.object(Site, "is_passive", lambda self, request: False)


def first_visits_come_from_anywhere() -> AbstractContextManager[object]:
    return patch.object(lookup, "is_kept_back", lambda site, environ: False)


def visitors_forms_end_with_the_login() -> AbstractContextManager[object]:
    return patch.object(csrf, "_takes_visitors", lambda transaction: transaction.standing is not Standing.DETACHED)


def forms_end_with_the_login() -> AbstractContextManager[object]:
    return patch.object(csrf, "_tokens_before", lambda transaction, missed: [])


@contextmanager
def written_token_is_kept_back() -> Iterator[None]:
    finish = commit.finish

    def keeps_back(transaction: Transaction, *, failed: bool) -> Any:
        transaction.issued = None if failed else transaction.issued
        return finish(transaction, failed=failed)

    with patch.object(response, "finish", keeps_back):
        yield


def no_grace() -> AbstractContextManager[object]:
    return patch.object(lookup, "is_recent", lambda moment, now: False)


@contextmanager
def ids_are_adopted() -> Iterator[None]:
    new_id = Transaction.id

    def id(self: Transaction) -> bytes:
        return self.ticket.id if self.ticket is not None else new_id.__get__(self)

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


@contextmanager
def late_loss_is_silent() -> Iterator[None]:
    abandon = commit.abandon

    def silent(transaction: Transaction, why: str) -> None:
        if transaction.phase is not HEADERS_SENT:
            abandon(transaction, why)

    with patch.object(commit, "abandon", silent):
        yield


@contextmanager
def whoever_is_there_is_ended() -> Iterator[None]:
    end = Records.end

    def any_owner(self: Records, keys: Keys, id: bytes, *, owners: Any = None, **options: Any) -> bool:
        return end(self, keys, id, **options)

    with patch.object(Records, "end", any_owner):
        yield


@contextmanager
def late_everywhere_is_here() -> Iterator[None]:
    """A logout everywhere that does not know whose session it is ends this one, and says that all is well."""
    logout = Auth.logout

    def quiet(self: Auth, request: Any, *, everywhere: bool = False) -> None:
        with suppress(NotLoggedIn):
            logout(self, request, everywhere=everywhere)

    with patch.object(Auth, "logout", quiet):
        yield


def repeated_end_ends_nothing() -> AbstractContextManager[object]:
    return patch.object(AccountSessions, "_end_refused", lambda self, session, user_id: True)


def lost_remember_is_not_told() -> AbstractContextManager[object]:
    return patch.object(HeaderChanges, "names", property(lambda self: ()))


def late_changes_are_lost() -> AbstractContextManager[object]:
    return patch.object(Response, "close", lambda self, *, failed: self.shut())


@contextmanager
def errors_save() -> Iterator[None]:
    finish = commit.finish
    with patch.object(response, "finish", lambda transaction, *, failed: finish(transaction, failed=False)):
        yield


@contextmanager
def outage_is_empty() -> Iterator[None]:
    look_up: Callable[..., Found] = getattr(transaction, "look_up")  # noqa: B009 (a name that it imports)

    def forgiving(*args: Any) -> Found:
        try:
            return look_up(*args)
        except StoreUnavailable:
            return Standing.NEW, None, None, None, None

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
    Without(3, "saves what has expired", an_expired_base_is_saved, "write and read, and the session expires"),
    Without(4, "writes who and until when from its own copy", _trying_again_with(_stale_header), "remember and write"),
    Without(5, "looks at no epoch", _trying_again_with(_any_epoch), "login as somebody else, and write"),
    Without(
        5, "ends whoever is logged in there by now", whoever_is_there_is_ended, "all of ann's ended, and login as bob"
    ),
    Without(5, "remember() is dropped in silence", lost_remember_is_not_told, "remember and renew the token"),
    Without(6, "a login keeps the token", login_keeps_token, "login and write"),
    Without(6, "a login that loses gives up", losing_login_gives_up, "login and login (double click)"),
    Without(6, "no second look at the account", nobody_checks_the_login, "account disabled, and login"),
    Without(
        6, "a 5xx keeps a stored token back", written_token_is_kept_back, "login saved by hand before a 5xx, and read"
    ),
    Without(6, "no login joins another", no_login_joins, "login and login (double click)"),
    Without(6, "a login joins without proof", any_login_joins, "login again and renew the token"),
    Without(6, "nothing is inherited from a visitor", nothing_is_inherited_from_visitors, "login and renew the token"),
    Without(
        6,
        "a login that cannot be checked is ended",
        unchecked_login_is_ended,
        "login and write, and the store fails once",
    ),
    Without(7, "an old cookie counts as none at once", no_grace, "login and write"),
    Without(7, "a late clear is no logout", clear_is_no_logout, "renew the token, and clear as a logout"),
    Without(7, "a login's form is refused at the second click", forms_end_with_the_login, "login and login, by a form"),
    Without(
        7,
        "a visitor's form is refused at the second click",
        visitors_forms_end_with_the_login,
        "login and login, by a form of a visitor without a session",
    ),
    Without(7, "a late logout everywhere ends one", late_everywhere_is_here, "renew the token, and end all"),
    Without(
        7,
        "a repeated logout everywhere ends one",
        repeated_end_ends_nothing,
        "end all, and again, and the store fails once",
    ),
    Without(8, "the id in the cookie is used again", ids_are_adopted, "writers with a cookie long gone"),
    Without(9, "saved after the first byte", first_byte_first, "write, then read"),
    Without(10, "what comes after the headers is lost", late_changes_are_lost, "late write and write"),
    Without(
        10,
        "what cannot be saved after the headers is dropped in silence",
        late_loss_is_silent,
        "late write and write, and the store fails once",
    ),
    Without(11, "errors save", errors_save, "failed request and write"),
    Without(12, "a store that fails counts as empty", outage_is_empty, "writer and reader, and the store fails once"),
    Without(13, "other origins have the session", everybody_is_at_home, "another origin writes, and write"),
    Without(
        13,
        "a first visit from another site sets a cookie",
        first_visits_come_from_anywhere,
        "a partner's form without the cookie, and write",
    ),
    Without(14, "passive requests count", nobody_is_passive, "passive read and touch"),
    Without(14, "a cookie slides without its record", cookie_slides_by_itself, "slide and login"),
)

#: Simpler policies, for the table.
SIMPLER: dict[str, Policy] = {
    "blob upsert": blob_upsert,
    "… rewrites on read": rewrite_on_read,
    "delta, no epoch": _trying_again_with(_any_epoch),
    "no detached rule": no_grace,
}
