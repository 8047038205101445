"""Whose account it is: who was shut out stays out, and no account has more sessions than it may have."""

from __future__ import annotations

from collections.abc import Iterator

from ..interleaving.ending import Ending
from .identity import by, named_by
from .judging import Breach, Invariant


def shut_out_stays_out(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        for deed in (*served.did("shuts out"), *served.did("shuts out others")):
            if not served.is_acknowledged:
                continue
            opened = named_by(end, served.cookie, served.sent_at)
            who = deed.about or ("" if opened is None else opened.user_id)
            own = {save.id for save in served.saves} if deed.what == "shuts out others" else set()
            changed_at = end.first(end.served.index(served), "changes an account")
            if changed_at < 0:
                continue  # there was nothing to change
            for id in accepted(end, who or ""):
                if id not in own and logged_in_at(end, id) < changed_at:
                    yield Breach(f"{served.name} shut out {who}, who is still logged in", served)


def accepted(end: Ending, user_id: str) -> set[bytes]:
    """The sessions of this user that `Auth` accepts, by whatever cookie."""
    seen = [each for each in end.everywhere if each.user is not None and each.user.id == user_id]
    return {bytes.fromhex(each.id) for each in seen if each.id is not None}


def logged_in_at(end: Ending, id: bytes) -> int:
    """When somebody logged in to this session for the last time; -1 if that was before."""
    logins = [save.at for save in end.saves if save.id == id and by(end, save).did("logs in")]
    return max(logins, default=-1)


def old_passwords_are_out(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        arrived_at = served.arrived_at
        if arrived_at is None or not served.did("changes password") or not served.is_acknowledged:
            continue
        for other in end.served:
            if other.sent_at > arrived_at and other.did("types") and other.did("logs in"):
                yield Breach(f"{other.name} logs in by the password from before {served.name}", other)


def closed_accounts_are_nobodys(end: Ending) -> Iterator[Breach]:
    open_ones = {user.id for user in end.world.users if user.is_active}
    for seen in end.everywhere:
        if seen.user is not None and seen.user.id not in open_ones:
            yield Breach(f"{seen.user.id} is disabled or deleted, and logged in")


def limits_of_sessions_hold(end: Ending) -> Iterator[Breach]:
    """It is `Auth` that keeps them, so `session.login()` does not count."""
    if any(served.did("by hand") for served in end.served):
        return
    most = end.site.session_limit
    owners = [stored.envelope.user_id for stored in end.sessions if stored.envelope.user_id is not None]
    for owner in set(owners):
        if most is not None and owners.count(owner) > most:
            yield Breach(f"{owner} has {owners.count(owner)} sessions")


def limits_leave_the_latest(end: Ending) -> Iterator[Breach]:
    """Whoever logs in at once, one of them is logged in, if nothing else ends a session."""
    if end.site.session_limit is None or any(served.did(word) for served in end.served for word in _ENDING):
        return
    who = {deed.about for served in end.served if served.is_acknowledged for deed in served.did("logs in")}
    there = {stored.envelope.user_id for stored in end.sessions}
    for one in who - there:
        yield Breach(f"{one} logged in, and has no session at all")


#: What a request says that may end sessions other than by their number.
_ENDING = ("ends", "clears", "proves", "is foreign", "by hand")

SHUT = Invariant("Whoever was logged out everywhere is, whatever was under way.", shut_out_stays_out)
PASSWORD = Invariant("Nobody logs in by a password that was changed before.", old_passwords_are_out)
CLOSED = Invariant(
    "Nobody is logged in to an account that is disabled or deleted.",
    closed_accounts_are_nobodys,
    needs_words=False,
)
LIMIT = Invariant("No account has more sessions than it may have.", limits_of_sessions_hold)

LATEST = Invariant("A limit of sessions never leaves none.", limits_leave_the_latest)

OF_ACCOUNTS = (LATEST, SHUT, PASSWORD, CLOSED, LIMIT)
