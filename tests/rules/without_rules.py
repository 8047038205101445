"""The library with one of its rules taken out, and two policies of other libraries: what would go wrong, and where.

Each is a context in which the interleaving checker can run (`sessionware.testing`). None of this is for use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any, NamedTuple
from unittest.mock import patch

from sessionware import (
    NotLoggedIn,
    Session,
    SessionInfo,
    SessionManager,
    StoreUnavailable,
    get_session,
)
from sessionware._core import commit, csrf, lookup, response, transaction
from sessionware._core.envelope import Envelope, Stored
from sessionware._core.header import UNCHANGED, HeaderChanges
from sessionware._core.login import NO_TOKEN, Login
from sessionware._core.lookup import Found, Site, Standing
from sessionware._core.origins import Origins
from sessionware._core.records import Lost, Records
from sessionware._core.response import Response
from sessionware._core.transaction import HEADERS_SENT, Transaction
from sessionware._core.values import Data
from sessionware._seals import Keys
from sessionware.auth import Auth, User
from sessionware.auth.endings import AccountSessions
from sessionware.auth.session_limit import SessionLimit
from sessionware.errors import TooManySessions
from sessionware.stores.base import Record
from sessionware.testing import SCENARIOS, Scenario
from sessionware.testing.interleaving.world import Tables
from sessionware.testing.invariants.accounts import LATEST, LIMIT, SHUT
from sessionware.testing.invariants.answers import FOREIGN, PASSIVE, SHOWN, WISHES
from sessionware.testing.invariants.forms import FORMS
from sessionware.testing.invariants.identity import ENDED, ENDS, HAS, JOINED, LATE, LEFT, LOGOUT, SENT
from sessionware.testing.invariants.judging import Invariant
from sessionware.testing.invariants.saving import FIRST, HEADER, NEW_ID, READ
from sessionware.testing.invariants.time import LOST
from sessionware.testing.invariants.writes import ERRORS, INHERITED, REACHED, STAYS, STORED
from sessionware.testing.scenarios.acts import ACTS
from sessionware.testing.scenarios.acts.act import DAY
from sessionware.testing.scenarios.contexts import CONTEXTS
from sessionware.testing.scenarios.pairs import pair

Policy = Callable[[], AbstractContextManager[object]]


class Pair(NamedTuple):
    """Two acts in a context, and the sentence of the invariant that finds what is wrong there."""

    context: str
    one: str
    other: str
    invariant: Invariant
    options: Mapping[str, Any] = {}

    @property
    def scenario(self) -> Scenario:
        """The two at once."""
        return pair(CONTEXT[self.context], ACT[self.one], ACT[self.other], **self.options)


class Without(NamedTuple):
    """A rule's number, what happens without it, the context, and where that must go wrong.

    `where` is a pair of acts, in which an invariant has to find it. Or it is the name of a scenario, whose own promise
    finds it.
    """

    rule: int
    what: str
    policy: Policy
    where: Pair | str

    def __str__(self) -> str:
        return f"rule {self.rule}: {self.what}"

    @property
    def scenario(self) -> Scenario:
        """Where it must go wrong."""
        return NAMED[self.where] if isinstance(self.where, str) else self.where.scenario


ACT = {act.name: act for act in ACTS}
CONTEXT = {context.name: context for context in CONTEXTS}
NAMED = {scenario.name: scenario for scenario in SCENARIOS}


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
def version_stays() -> Iterator[None]:
    """Nothing that changes an account makes it refuse the sessions from before."""

    def keeps(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Tables, id: str, *arguments: Any) -> Any:
            before, answer = self.users.get(id), method(self, id, *arguments)
            if before is not None and id in self.users:
                self.users[id] = replace(self.users[id], session_version=before.session_version)
            return answer

        return call

    with ExitStack() as stack:
        for name in ("set_password", "set_active", "rename"):
            stack.enter_context(patch.object(Tables, name, keeps(getattr(Tables, name))))
        yield


@contextmanager
def unchecked_login_is_ended() -> Iterator[None]:
    def end(transaction: Transaction, stored: Stored, why: str, *, is_joined: bool) -> None:
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


@contextmanager
def repeated_end_ends_nothing() -> Iterator[None]:
    """A session that its account refuses takes that as the end of all others."""
    end_others = AccountSessions.end_others

    def unless_refused(self: AccountSessions, session: Session) -> bool:
        user = self._account(session.user_id or "")
        is_refused = user is None or user.session_version != session.session_version
        return is_refused or end_others(self, session)

    with patch.object(AccountSessions, "end_others", unless_refused):
        yield


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


@contextmanager
def looks_before_it_stores() -> Iterator[None]:
    """Makes room before the login, as other libraries do."""
    log_in = Auth._login_user

    def makes_room(self: Auth, request: Any, where: Any, user: User, *terms: Any, **options: Any) -> None:
        limit, manager = self._limit, get_session(request).manager
        most, mine = limit.most_for(user), get_session(request).id
        others = [info for info in reversed(manager.of(user)) if info.id != mine]
        if most is not None and len(others) >= most:
            if limit.refuses:
                raise TooManySessions
            for info in others[: len(others) - most + 1]:
                manager._end_own(info.id, user.id, "limit")
        log_in(self, request, where, user, *terms, **options)

    with patch.object(Auth, "_login_user", makes_room), no_limit():
        yield


def no_limit() -> AbstractContextManager[object]:
    return patch.object(SessionLimit, "keep", lambda self, session, user, most: None)


def renewed_sessions_do_not_count() -> AbstractContextManager[object]:
    return patch.object(SessionLimit, "keep_renewed", lambda self, session, user: None)


@contextmanager
def ranks_by_who_looks() -> Iterator[None]:
    """Each login takes itself for the newest."""
    keep, beyond = SessionLimit.keep, SessionLimit._beyond

    def kept(self: SessionLimit, session: Session, user: User, most: int | None) -> None:
        def own_last(self: SessionLimit, manager: SessionManager, user: User, most: int) -> list[SessionInfo]:
            ranked = sorted(manager.of(user), key=lambda info: (info.id == session.id, info.authenticated_at, info.id))
            return ranked[most:] if self.refuses else ranked[:-most]

        with patch.object(SessionLimit, "_beyond", own_last):
            keep(self, session, user, most)

    with patch.object(SessionLimit, "keep", kept):
        yield
    assert SessionLimit._beyond is beyond


@contextmanager
def ends_what_it_saw() -> Iterator[None]:
    """Ends a session that was the oldest, whatever happened to it since."""
    end = Records.end

    def end_anyway(self: Records, keys: Keys, id: bytes, *, expected: Any = None, **options: Any) -> bool:
        return end(self, keys, id, **options)

    with patch.object(Records, "end", end_anyway):
        yield


@contextmanager
def looks_under_the_newest_secret_first() -> Iterator[None]:
    def owned_by(self: Records, keys: Keys, username: str | None, user_id: str | None) -> list[Stored]:
        records = [
            record
            for owner in self.owners(keys, username, user_id)
            for record in self.store.owned_by(owner, self._now())
        ]
        return [stored for record in records if (stored := self._opened(keys, record)) is not None]

    with patch.object(Records, "owned_by", owned_by):
        yield


def refused_with_one_that_left_is_ended() -> AbstractContextManager[object]:
    return patch.object(commit, "left_to_others", lambda envelope, before: envelope._replace(token_hash=NO_TOKEN))


@contextmanager
def refused_login_stays() -> Iterator[None]:
    """It is told that there are too many, and that is all."""
    take_back = commit._take_back_login

    def unless_refused(transaction: Transaction, stored: Stored, why: str, *, is_joined: bool) -> None:
        if why != "was refused":
            take_back(transaction, stored, why, is_joined=is_joined)

    with patch.object(commit, "_take_back_login", unless_refused):
        yield


#: Every rule of docs/guarantees.md, in its parts.
MISSING = (
    Without(1, "a request that only reads writes", reading_writes, Pair("visitor", "read", "set", READ)),
    Without(1, "a touch looks at no version", touch_any_version, Pair("two browsers, limit 1", "read", "login", READ)),
    Without(
        2,
        "tries again with the copy that it loaded",
        _trying_again_with(_stale_copy),
        Pair("visitor", "set", "set another", STAYS),
    ),
    Without(
        3,
        "writes into a session that was ended",
        _trying_again_with(_back_from_the_dead),
        Pair("visitor", "logout", "set", ENDED),
    ),
    Without(
        3,
        "saves what has expired",
        an_expired_base_is_saved,
        Pair("visitor", "set", "set", LOST, {"passes": 14 * DAY + 1}),
    ),
    Without(
        4,
        "writes who and until when from its own copy",
        _trying_again_with(_stale_header),
        Pair("visitor", "remember", "set", HEADER),
    ),
    Without(5, "looks at no epoch", _trying_again_with(_any_epoch), Pair("visitor", "login", "login", REACHED)),
    Without(
        5,
        "ends whoever is logged in there by now",
        whoever_is_there_is_ended,
        Pair("just logged in", "end all", "login as bob", ENDS),
    ),
    Without(
        5, "remember() is dropped in silence", lost_remember_is_not_told, Pair("visitor", "renew", "renew", WISHES)
    ),
    Without(6, "a login keeps the token", login_keeps_token, Pair("visitor", "login", "set", HAS)),
    Without(6, "a login that loses gives up", losing_login_gives_up, Pair("visitor", "login", "login", HAS)),
    Without(
        6,
        "no second look at the account",
        nobody_checks_the_login,
        Pair("two browsers, limit 1", "login", "login", LIMIT),
    ),
    Without(
        6,
        "a change of the account raises no version",
        version_stays,
        Pair("visitor", "reset password", "password login", SHUT),
    ),
    Without(
        6,
        "a 5xx keeps a stored token back",
        written_token_is_kept_back,
        Pair("visitor", "login, commit, 5xx", "set", SENT),
    ),
    Without(6, "no login joins another", no_login_joins, Pair("visitor", "login", "login", LEFT)),
    Without(6, "a login joins without proof", any_login_joins, Pair("logged in", "login", "renew", JOINED)),
    Without(
        6,
        "nothing is inherited from a visitor",
        nothing_is_inherited_from_visitors,
        Pair("visitor", "login", "renew", INHERITED),
    ),
    Without(
        6,
        "a login that cannot be checked is ended",
        unchecked_login_is_ended,
        Pair("visitor", "login", "set", ENDS, {"failures": 1}),
    ),
    Without(7, "an old cookie counts as none at once", no_grace, Pair("visitor", "login", "set", LATE)),
    Without(7, "a late clear is no logout", clear_is_no_logout, Pair("logged in", "clear", "renew", LOGOUT)),
    Without(
        7,
        "a login's form is refused at the second click",
        forms_end_with_the_login,
        Pair("visitor", "login by form", "login by form", FORMS),
    ),
    Without(
        7,
        "a visitor's form is refused at the second click",
        visitors_forms_end_with_the_login,
        Pair("no cookie", "login by form", "login by form", FORMS),
    ),
    Without(7, "a late logout everywhere ends one", late_everywhere_is_here, "renew the token, and end all"),
    Without(
        7,
        "a repeated logout everywhere ends one",
        repeated_end_ends_nothing,
        "end all, and again, and the store fails once",
    ),
    Without(8, "the id in the cookie is used again", ids_are_adopted, Pair("long gone", "set", "set", NEW_ID)),
    Without(9, "saved after the first byte", first_byte_first, Pair("visitor", "set", "set another", FIRST)),
    Without(
        10, "what comes after the headers is lost", late_changes_are_lost, Pair("visitor", "late set", "set", STORED)
    ),
    Without(
        10,
        "what cannot be saved after the headers is dropped in silence",
        late_loss_is_silent,
        Pair("visitor", "late set", "set", STORED, {"failures": 1}),
    ),
    Without(11, "errors save", errors_save, Pair("visitor", "5xx", "set", ERRORS)),
    Without(
        12,
        "a store that fails counts as empty",
        outage_is_empty,
        Pair("visitor", "read", "set", SHOWN, {"failures": 1}),
    ),
    Without(13, "other origins have the session", everybody_is_at_home, Pair("visitor", "foreign", "set", FOREIGN)),
    Without(
        13,
        "a first visit from another site sets a cookie",
        first_visits_come_from_anywhere,
        Pair("visitor", "partner, no cookie", "set", FOREIGN),
    ),
    Without(14, "passive requests count", nobody_is_passive, Pair("logged in", "passive", "read", PASSIVE)),
    Without(14, "a cookie slides without its record", cookie_slides_by_itself, Pair("visitor", "login", "set", LATE)),
    Without(
        15,
        "a login looks for others before it is stored",
        looks_before_it_stores,
        Pair("two browsers, limit 1", "login", "login", LIMIT),
    ),
    Without(
        15,
        "each login takes itself for the newest",
        ranks_by_who_looks,
        Pair("two browsers, limit 1", "login", "login", LATEST, {"passes": 1}),
    ),
    Without(
        15,
        "ends the one that was the oldest when it looked",
        ends_what_it_saw,
        Pair("two browsers, limit 1", "login", "login", LATEST, {"passes": 1}),
    ),
    Without(
        15,
        "a session that is renewed with another version does not look",
        renewed_sessions_do_not_count,
        Pair("two browsers, limit 1", "change password", "login", LIMIT),
    ),
    Without(
        15,
        "looks under the newest secret first",
        looks_under_the_newest_secret_first,
        Pair("two browsers, limit 1", "read", "login", LIMIT, {"rings": ((1, 0),)}),
    ),
    Without(
        15,
        "a login that was refused is not taken back",
        refused_login_stays,
        Pair("two browsers, limit 1, refusing", "login", "login", LIMIT),
    ),
    Without(
        15,
        "a double click that was refused takes the visitor's data with it",
        refused_with_one_that_left_is_ended,
        "limit 1, refusing: login and login (double click), another browser logged in",
    ),
)

#: Simpler policies, for the table.
SIMPLER: dict[str, Policy] = {
    "blob upsert": blob_upsert,
    "… rewrites on read": rewrite_on_read,
    "delta, no epoch": _trying_again_with(_any_epoch),
    "no detached rule": no_grace,
}
