"""How a request's work on its session is saved: the rules of commit (docs/guarantees.md), from top to bottom.

A comment names each rule where it is kept. What a request did and wants is in `transaction`; who may still write, and
what is stored, in `lookup` and `records`.
"""

from __future__ import annotations

import logging

from ..errors import AuthError, SessionConflict, SessionTooLarge, StoreError, StoreUnavailable
from . import lifetime
from .changes import Changes
from .envelope import SLIDING, Envelope, Stored, blank
from .header import UNCHANGED
from .login import NO_TOKEN, VISITORS_NO_TOKEN, Login, emptied, given_back, left_to_others, taken_back, without_joined
from .lookup import DETACHED, FOREIGN, NEW, STORED, UNLOADED, Standing
from .place import moved
from .records import Lost
from .tickets import CookieValue, Ticket, Token, token_hash
from .transaction import HEADERS_SENT, NO_DATA, OPEN, Transaction
from .values import Data

logger = logging.getLogger("sessionware")

#: In the place of a session's end.
REWRITE = -1

#: Why what a detached request asked for was not done (rule 7).
_LATE = "the session ended, or its cookie was replaced, less than a minute ago"


def commit(transaction: Transaction) -> None:
    """Save what was done. Raises `StoreUnavailable`, `SessionConflict`, `SessionTooLarge` and `TypeError`."""
    if transaction.standing is UNLOADED:
        return
    if not transaction.changes.collect() and transaction.header is UNCHANGED:
        return
    if transaction.standing in (DETACHED, FOREIGN):
        is_detached, site = transaction.standing is DETACHED, transaction.site
        why = _LATE if is_detached else site.why_foreign(transaction.request)
        _drop(transaction, transaction.standing, why)
        return
    login = transaction.header.login
    try:
        _save(transaction)
    except (StoreUnavailable, SessionConflict) as error:
        transaction.note(error)
        raise
    if login is not None:
        _check_login(transaction, login)


def _drop(transaction: Transaction, standing: Standing, why: str) -> None:
    """Drop what was done. Changes that are made later inside values in hand cannot be saved either, but are told."""
    dropped = transaction.changes
    transaction.discard(why)
    transaction.begin(standing)
    transaction.changes.watch(dropped)


def save(transaction: Transaction) -> None:
    """Save what was done or, if the session was only read, extend its life."""
    if transaction.accessed:
        commit(transaction)
        if transaction.stored is not None and not transaction.has_written:
            _keep_alive(transaction, transaction.stored)


def is_due(transaction: Transaction) -> bool:
    """Whether a session that was only read should be written all the same, to extend its life or to seal it anew."""
    stored = transaction.stored if transaction.accessed else None
    return stored is not None and not transaction.has_written and _due_end(transaction, stored) is not None


def finish(transaction: Transaction, *, failed: bool) -> None:
    """Save before the headers go out. After a 5xx (`failed`) nothing is saved (rule 11)."""
    try:
        if failed:
            abandon(transaction, "the response is a server error")
        else:
            save(transaction)
    finally:
        if transaction.phase is OPEN:
            transaction.phase = HEADERS_SENT  # also if it raises: some response goes out all the same


def close(transaction: Transaction, *, failed: bool) -> None:
    """Save late changes (rule 10), unless the application failed. Logs errors, and never raises."""
    try:
        if transaction.phase is OPEN:
            # Nobody took the response, because the client hung up. What the application did counts all the same.
            finish(transaction, failed=failed)
        elif failed:
            abandon(transaction, "the body failed")
        else:
            commit(transaction)
    except Exception:
        logger.exception("Changes made to the session after the response's headers could not be saved")
        abandon(transaction, "it could not be saved after the headers")
    transaction.shut()


def abandon(transaction: Transaction, why: str) -> None:
    """Drop what is not saved yet, and report the names of the keys (rule 11)."""
    if transaction.standing is UNLOADED:
        return
    try:
        transaction.changes.collect()
    except TypeError as error:
        logger.warning("Dropped with the rest: %s", error)
    transaction.discard(why)


def _save(transaction: Transaction) -> None:
    login = transaction.header.login
    if transaction.stored is not None:
        _replace(transaction, transaction.stored)
    elif login is not None:
        _log_in_apart(transaction, login)
    elif transaction.header.creates or len(transaction.changes):
        _create(transaction)


def _create(transaction: Transaction) -> None:
    site, now, token = transaction.site, transaction.site.now(), transaction.site.records.new_token()
    limits = site.limits
    base = blank(now, token_hash(token.secret), limits.anonymous, limits.anonymous_lifetime, _inherited(transaction))
    envelope, _ = transaction.changes.rebase(base)
    envelope = transaction.placed(transaction.header.apply(envelope, now, token, limits, is_new=True))
    envelope, end = lifetime.used(envelope, limits, now)
    if lifetime.is_capped(envelope):
        end = lifetime.capped_end(end, now, 0, limits)
    stored = site.records.create(transaction.keys, transaction.id, envelope, end)
    transaction.tell(
        "session.created", stored, detail=transaction.created_by or site.tickets.look_alikes(transaction.request)
    )
    transaction.before_login, transaction.begins = None, True
    _saved(transaction, stored, token)


def _inherited(transaction: Transaction) -> Data:
    """The data that a login starts from if it missed its session: the same user's, or an anonymous visitor's."""
    login, other, site = transaction.header.login, transaction.missed, transaction.site
    if login is None or other is None:
        return NO_DATA
    if lifetime.end_of(other.record.expires_at, other.envelope, site.limits) <= site.now():
        return NO_DATA
    owner = other.record.owner
    if owner is None:
        is_own = not transaction.drops_base
    else:
        is_own = owner in site.records.owners(transaction.keys, login.username, login.user_id)
    return other.envelope.data if is_own else NO_DATA


def _replace(transaction: Transaction, stored: Stored, *, is_upkeep: bool = False) -> None:
    token = transaction.site.records.new_token() if transaction.header.needs_token else None
    try:
        swapped = _swap(transaction, stored, token, is_upkeep=is_upkeep)
    except Lost as lost:
        _lose(transaction, lost.found)
    else:
        _saved(transaction, swapped, token)


def _swap(transaction: Transaction, stored: Stored, token: Token | None, *, is_upkeep: bool) -> Stored:
    """Apply the changes to what is stored now, until nobody else gets in between (rule 2). Raises `Lost`.

    `is_upkeep` says that there are none: the session is only kept alive, or sealed anew.
    """
    site, now, header = transaction.site, transaction.site.now(), transaction.header
    is_passive = _is_passive(transaction) and not header.is_activity
    keeps_end = is_passive or (not transaction.is_confirmed and lifetime.is_capped(stored.envelope))
    for fresh in site.records.newest(transaction.keys, stored, now):
        granted, slides = fresh.record.expires_at, False
        if fresh is stored and (keeps_end or granted <= now):
            continue  # a touch, which leaves no trace in its version, may have prolonged it meanwhile
        is_cut = fresh.is_cut or (fresh is not stored and lifetime.is_cut(granted, fresh.envelope, site.limits))
        if is_cut and lifetime.end_of(granted, fresh.envelope, site.limits) <= now:
            raise Lost(None)
        base = fresh.envelope.with_data(NO_DATA) if transaction.drops_base else fresh.envelope
        (envelope, overwritten), end = transaction.changes.rebase(base), granted
        if header is not UNCHANGED:
            envelope = header.apply(envelope, now, token, site.limits, is_new=transaction.begins)
        if not is_passive:
            envelope = transaction.placed(envelope)
        if not is_passive and transaction.is_confirmed and SLIDING not in envelope.extra:
            envelope, end = lifetime.used(envelope, site.limits, now)
        elif not is_passive:
            envelope, end, slides = _prolonged(transaction, envelope, granted, now)
        if is_upkeep and fresh is not stored and not fresh.is_stale and (envelope, end) == (fresh.envelope, granted):
            return fresh  # another request has done the same
        swapped = site.records.swap(transaction.keys, fresh, envelope, end)
        if swapped is not None:
            _note_swap(transaction, fresh.envelope, swapped, overwritten)
            if slides:
                transaction.issued = transaction.issued or transaction.ticket
            return swapped._replace(is_cut=True) if is_cut and is_passive else swapped
    raise _conflict(transaction, stored)


def _conflict(transaction: Transaction, stored: Stored) -> SessionConflict:
    """Report that others have kept changing the session for too long, and make the error to raise."""
    error = transaction.site.records.conflict(stored)
    transaction.tell("store.conflict", stored, detail=str(error))
    return error


def _note_swap(transaction: Transaction, before: Envelope, swapped: Stored, overwritten: tuple[str, ...]) -> None:
    """Report what came with a write. Of a login, remember what there was before."""
    if overwritten:
        transaction.tell("session.overwritten", swapped, keys=overwritten)
    if transaction.header.login is not None:
        _note_before(transaction, before)
    elif move := moved(before, swapped.envelope):
        transaction.tell("session.moved", swapped, detail=move)


def _note_before(transaction: Transaction, before: Envelope) -> None:
    """Remember what there was before this login, in case that it cannot be checked."""
    site, is_others = transaction.site, transaction.drops_base and before.authenticated_at is not None
    transaction.before_login = emptied(before, site.now(), site.limits) if is_others else before
    transaction.begins = True


def _prolonged(transaction: Transaction, envelope: Envelope, granted: int, now: int) -> tuple[Envelope, int, bool]:
    """The session as it is used now, when it ends if nobody uses it again, and whether its cookie slides."""
    remember = transaction.header.remember
    envelope, end = lifetime.used(envelope, transaction.site.limits, now)
    if not transaction.is_confirmed and lifetime.is_capped(envelope):
        end = lifetime.capped_end(end, now, granted if remember is None else 0, transaction.site.limits)
    if SLIDING not in envelope.extra or remember is not None:
        return envelope, end, False
    # The cookie must live as long as the record, so both slide together or not at all.
    slides = transaction.phase is OPEN and lifetime.touch_is_worth_it(end, granted, envelope.sliding, now)
    return envelope, end if slides else min(end, granted), slides


def _saved(transaction: Transaction, stored: Stored, token: Token | None, detail: str = "") -> None:
    login = transaction.header.login
    if token is not None:
        # Rule 6: a token that was written is always sent, whatever happens to the rest of the request.
        transaction.issued = Ticket(stored.record.id, token.secret)
    elif transaction.header.remember is not None or transaction.is_stale_ticket:
        # Sent again: the record had this token until this very moment.
        transaction.issued = transaction.issued or transaction.ticket
    if login is not None:
        transaction.tell(
            "session.login", stored, detail="; ".join(part for part in (detail, _proved(transaction)) if part)
        )
    elif transaction.header.renews:
        # Somebody who is not logged in has proved nothing (another event says so).
        is_somebody = stored.envelope.authenticated_at is not None
        transaction.tell("session.renewed", stored, detail=_proved(transaction) if is_somebody else "")
    if transaction.header is not UNCHANGED:
        transaction.is_active = transaction.is_active or transaction.header.is_activity
    transaction.stored, transaction.standing = stored, STORED
    transaction.changes.settle(stored.envelope.data)
    transaction.header, transaction.drops_base, transaction.has_written = UNCHANGED, False, True
    transaction.joins = transaction.ended_because = None


def _proved(transaction: Transaction) -> str:
    return ", ".join(transaction.header.proves)


def _lose(transaction: Transaction, found: Stored | None) -> None:
    """The session is over (rule 3), or somebody logged in or out of it (rule 5), while this request worked."""
    transaction.stored, transaction.missed, transaction.twin_cookies = None, found, ()
    login, ticket = transaction.header.login, transaction.ticket
    if login is not None:
        transaction.standing = NEW
        _log_in_apart(transaction, login)
        return
    is_over = found is None or found.envelope.is_tombstone
    what = "the session was ended" if is_over else "a login or a renewal replaced its cookie"
    _drop(transaction, DETACHED, f"{what} meanwhile")
    if found is not None and found.envelope.is_tombstone and ticket is not None:
        transaction.ended_because = found.envelope.reason_for(token_hash(ticket.token))


# Logging in without a record to log in to (rule 6)


def _log_in_apart(transaction: Transaction, login: Login) -> None:
    """Join the session of another login or, if that is not possible, begin one."""
    while transaction.missed is not None and transaction.may_join(login, transaction.missed):
        if _join(transaction, login, transaction.missed):
            return
    transaction.joins = None
    _create(transaction)


def _join(transaction: Transaction, login: Login, other: Stored) -> bool:
    """Add a token to the other login's session, and apply the changes to it. If False, `missed` is another now."""
    site, now, token = transaction.site, transaction.site.now(), transaction.site.records.new_token()
    wishes = transaction.header._replace(login=None)
    try:
        for fresh in site.records.newest(transaction.keys, other, now):
            transaction.missed = fresh
            if not transaction.may_join(login, fresh):
                return False
            envelope, overwritten = transaction.changes.rebase(fresh.envelope, is_joining=True)
            envelope = envelope.with_sibling(token_hash(token.secret))
            envelope = wishes.apply(envelope, now, None, site.limits)
            envelope, end = lifetime.used(envelope, site.limits, now)
            swapped = site.records.swap(transaction.keys, fresh, envelope, end)
            if swapped is not None:
                if overwritten:
                    transaction.tell("session.overwritten", swapped, keys=overwritten)
                transaction.has_joined = True
                _saved(transaction, swapped, token, "joined the session of another login")
                return True
    except Lost as lost:
        transaction.missed = lost.found
        return False
    raise _conflict(transaction, other)


def _check_login(transaction: Transaction, login: Login) -> None:
    """Now that a login is stored, check that it still holds: the account may have been disabled or logged out."""
    is_joined, transaction.has_joined = transaction.has_joined, False
    stored = transaction.stored
    if login.check is None or stored is None:
        return
    try:
        holds = bool(login.check())
    except BaseException as error:
        if isinstance(error, StoreError):
            transaction.note(error)
        if transaction.stored is not None:
            why = "was refused" if isinstance(error, AuthError) else "could not be checked"
            _take_back_login(transaction, stored, why, is_joined=is_joined)
        raise
    if not holds and transaction.stored is not None:  # the check itself may have ended the session
        _drop_login(transaction, stored)


def _drop_login(transaction: Transaction, stored: Stored) -> None:
    """End the session of a login that does not hold. If another one was missed, its cookie must survive (rule 7)."""
    missed = transaction.missed
    transaction.forget()  # first, so that the token is not sent even if the store fails now
    if missed is not None and not missed.envelope.is_tombstone and missed.record.id != stored.record.id:
        transaction.begin(DETACHED)
        transaction.missed, transaction.expires_cookie = missed, False
    _end(transaction, stored.record.id)


def _end(transaction: Transaction, id: bytes) -> None:
    site = transaction.site
    try:
        site.records.end(transaction.keys, id, client_address=site.told_address(transaction.request))
    except StoreUnavailable as error:
        transaction.note(error)
        raise


def _take_back_login(transaction: Transaction, stored: Stored, why: str, *, is_joined: bool) -> None:
    """Undo a login that was refused, or could not be checked. That is no "no", so what was there before stays."""
    ticket, before = transaction.issued, transaction.before_login
    transaction.issued = None
    try:
        if is_joined and ticket is not None:
            _leave(transaction, stored, token_hash(ticket.token), why)
        elif before is not None:
            _swap_back(transaction, stored, before, why)
        else:
            _drop_login(transaction, stored)
    except (StoreError, Lost):
        transaction.begin(DETACHED)  # nothing is sent, and the session ends when it has been idle for too long
        transaction.expires_cookie = False


def _leave(transaction: Transaction, stored: Stored, hashed: bytes, why: str) -> None:
    """Take back a login that had joined another one's session, which stays that one's.

    If all of its logins were taken back, it is over, or goes back to the visitor whose it was before.
    """
    site, now, token = transaction.site, transaction.site.now(), transaction.site.records.new_token()
    for fresh in site.records.newest(transaction.keys, stored, now):
        envelope = without_joined(fresh.envelope, hashed)
        is_visitors = envelope.token_hash == VISITORS_NO_TOKEN and not envelope.siblings
        if envelope.token_hash == NO_TOKEN and not envelope.siblings:
            transaction.begin(DETACHED)
            return _end(transaction, stored.record.id)
        if is_visitors:
            envelope = given_back(envelope, token_hash(token.secret), now, site.limits)
        swapped = site.records.swap(transaction.keys, fresh, *lifetime.used(envelope, site.limits, now))
        if swapped is not None:
            return _go_on_without(transaction, swapped, token if is_visitors else None, why)
    raise _conflict(transaction, stored)


def _swap_back(transaction: Transaction, stored: Stored, before: Envelope, why: str) -> None:
    """Go back to what was there before the login. If another login has joined it, only this one's token is dropped."""
    site, now, token = transaction.site, transaction.site.now(), transaction.site.records.new_token()
    for fresh in site.records.newest(transaction.keys, stored, now):
        is_shared = bool(fresh.envelope.siblings)
        if is_shared:
            envelope = left_to_others(fresh.envelope, before)
        else:
            envelope = taken_back(before, fresh.envelope.epoch, token_hash(token.secret), now)
        swapped = site.records.swap(transaction.keys, fresh, *lifetime.used(envelope, site.limits, now))
        if swapped is not None:
            return _go_on_without(transaction, swapped, None if is_shared else token, why)
    raise _conflict(transaction, stored)


def _go_on_without(transaction: Transaction, stored: Stored, token: Token | None, why: str) -> None:
    """Continue after a login was taken back: with a new token or, if the session is others' now, with none."""
    transaction.begin(DETACHED)
    if token is not None:
        transaction.stored, transaction.standing = stored, STORED
        transaction.changes = Changes(stored.envelope.data)
        transaction.issued = Ticket(stored.record.id, token.secret)
        transaction.tell("session.renewed", stored, detail=f"the login before {why}, and was taken back")


# Staying alive (rules 1 and 14)


def _keep_alive(transaction: Transaction, stored: Stored) -> None:
    """Extend the life of a session that was only read. A failure is an event: the visitor has the page."""
    try:
        end = _due_end(transaction, stored)
        if end == REWRITE or (end is not None and transaction.placed(stored.envelope) is not stored.envelope):
            _replace(transaction, stored, is_upkeep=True)
            if isinstance(transaction.request, CookieValue) and transaction.stored is not None:
                transaction.issued = transaction.issued or transaction.ticket  # the framework is to send it again
        elif end is not None:
            transaction.site.records.touch(stored, end)
    except StoreError as error:
        transaction.tell("store.unavailable", stored, detail=f"touch: {error}")
    except SessionTooLarge as error:
        detail = f"it could not be sealed anew, and ends when its old secret does: {error}"
        transaction.tell("session.write_discarded", stored, detail=detail)


def _due_end(transaction: Transaction, stored: Stored) -> int | None:
    """When a session that was only read should end now, if that is worth a write.

    `REWRITE` if more than that has to be written: an old secret sealed the record or its cookie, its life gets shorter,
    or its cookie slides. Also if a framework is about to send the cookie, which must not replace one from a login: a
    touch does not notice that there was one.
    """
    record, envelope, is_stale, is_cut = stored
    now = transaction.site.now()
    if is_stale or transaction.is_stale_ticket:
        return REWRITE
    if not is_cut and lifetime.is_settled(record.expires_at, envelope.idle, now):
        return None
    _, end = lifetime.used(envelope, transaction.site.limits, now)
    is_shorter = is_cut or lifetime.is_too_late(record.expires_at, end)
    if not is_shorter and not lifetime.touch_is_worth_it(end, record.expires_at, envelope.granted_idle, now):
        return None
    if record.expires_at <= now or _is_passive(transaction):
        return None
    needs_write = is_shorter or SLIDING in envelope.extra or isinstance(transaction.request, CookieValue)
    return REWRITE if needs_write else end


def _is_passive(transaction: Transaction) -> bool:
    if transaction.keep_alive and not transaction.site.is_passive(transaction.request):
        return False
    return not transaction.is_active
