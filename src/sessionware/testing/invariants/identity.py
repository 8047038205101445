"""Logged out stays logged out: who is logged in, by which cookie, and until when."""

from __future__ import annotations

from collections.abc import Iterator

from ..._core.envelope import SHORT_HASH_BYTES, Envelope
from ..interleaving.ending import Ending, Save, Served, browsers_of
from ..interleaving.world import FAILS
from .judging import Breach, Invariant

#: What a request says that may end a session, if only its own that was refused.
ENDS_ONE = ("ends", "clears", "tries to log in", "logs in", "forgets", "proves")


def by(end: Ending, save: Save) -> Served:
    return end.served[end.trace[save.at].place]


def tried_to_log_in(served: Served) -> bool:
    """Whether it did or not."""
    return bool(served.did("logs in") or served.did("tries to log in"))


def fits(end: Ending, cookie: str, envelope: Envelope | None) -> bool:
    """Whether a cookie opens a session as it was at some moment."""
    ticket = end.site.ticket(cookie)
    if ticket is None or envelope is None:
        return False
    short, fitting = ticket[1][:SHORT_HASH_BYTES], envelope.fitting
    return short in [fitting[at : at + SHORT_HASH_BYTES] for at in range(0, len(fitting), SHORT_HASH_BYTES)]


def named_by(end: Ending, cookie: str, at: int) -> Envelope | None:
    """The session that a cookie opens at some moment; None if it opens none."""
    ticket = end.site.ticket(cookie)
    record = None if ticket is None else end.record_at(ticket[0], at)
    envelope = end.envelope(record)
    is_alive = record is not None and record.expires_at > end.time_at(at)
    return envelope if is_alive and fits(end, cookie, envelope) else None


def opened_when_saved(end: Ending, served: Served) -> Envelope | None:
    """The session that a response's cookie opened at the moment in which the request had saved it."""
    cookie = "" if served.reply is None else served.reply.cookie or ""
    own = [end.envelope(save.after) for save in served.saves]
    opened = named_by(end, cookie, served.sent_at)
    return next((envelope for envelope in reversed(own) if fits(end, cookie, envelope)), opened)


def turns(end: Ending, id: bytes) -> list[Save]:
    """The moments at which a record got a new token, or an end."""
    return [save for save in end.saves if save.id == id and is_turn(end, save)]


def was_alive(end: Ending, save: Save) -> bool:
    """Whether what was changed had not expired by then."""
    return save.before is not None and save.before.expires_at > end.time_at(save.at)


def is_turn(end: Ending, save: Save) -> bool:
    before, after = end.envelope(save.before), end.envelope(save.after)
    return before is None or after is None or before.epoch != after.epoch


def ended_stays_ended(end: Ending) -> Iterator[Breach]:
    over: dict[bytes, int] = {}
    for save in end.saves:
        before, after = end.envelope(save.before), end.envelope(save.after)
        if before is not None and after is None:
            over[save.id] = save.at
        elif after is not None and save.id in over:
            yield Breach(f"{by(end, save).name} brings back a session that was over", by(end, save))
    for served in end.served:
        for deed in served.progress.deeds:
            id = bytes.fromhex(deed.session_id or "")
            if over.get(id, len(end.trace)) < served.sent_at:
                yield Breach(f"{served.name} sees a session that was over", served)


def failed_calls(served: Served) -> set[str]:
    """The names of the calls of a request that failed."""
    return {call.name for call, answer in served.calls if answer is FAILS}


def only_who_says_so_ends(end: Ending) -> Iterator[Breach]:
    for save in end.saves:
        before = end.envelope(save.before)
        if before is None or end.envelope(save.after) is not None:
            continue
        served = by(end, save)
        is_own = any(each.id == save.id and each.before is None and by(end, each) is served for each in end.saves)
        if "get" in failed_calls(served) and not is_own and not served.did("ends"):
            yield Breach(f"{served.name} could not ask the accounts, and ends a session", served)
        meant = {deed.about for deed in served.did("ends")}
        if not any(served.did(what) for what in ENDS_ONE) or (meant and not meant & {"", before.user_id}):
            yield Breach(f"{served.name} ends a session of {before.user_id}'s", served)


def cookies_open_nothing_after_them(end: Ending) -> Iterator[Breach]:
    for cookie in end.cookies:
        seen = end.site.sees(cookie, end.world)
        if seen.id is None:
            continue
        id = bytes.fromhex(seen.id)
        last = turns(end, id)[-1:]
        issuers = [served for served in end.served if served.reply is not None and served.reply.cookie == cookie]
        saves = [save for served in issuers for save in served.saves if save.id == id]
        if last and not any(save.at >= last[0].at for save in saves):
            yield Breach(f"a cookie from before {by(end, last[0]).name} opens the session after it")


def requests_see_nothing_after_their_cookie(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        own = {save.id.hex() for save in served.saves}
        opened = named_by(end, served.cookie, served.sent_at)
        ticket = end.site.ticket(served.cookie)
        for deed in served.progress.deeds:
            if deed.session_id is None or tried_to_log_in(served):
                continue
            is_its = ticket is not None and ticket[0].hex() == deed.session_id and opened is not None
            if not is_its and deed.session_id not in own:
                yield Breach(f"{served.name} sees a session that its cookie did not open when it was sent", served)
            elif is_its and opened is not None and deed.user_id != opened.user_id:
                yield Breach(f"{served.name} sees {deed.user_id}, who was not logged in when it was sent", served)


def late_requests_set_no_cookie(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        ticket = end.site.ticket(served.cookie)
        if served.reply is None or served.reply.cookie is None or ticket is None:
            continue
        if tried_to_log_in(served) or served.did("ends") or served.did("clears"):
            continue
        others = [save for save in turns(end, ticket[0]) if by(end, save) is not served and was_alive(end, save)]
        saved_at = served.saves[-1].at if served.saves else len(end.trace)
        if any(save.at < saved_at for save in others) and _issued_before(end, served.cookie, others[0]):
            yield Breach(f"{served.name} sets a cookie, though {by(end, others[0]).name} replaced its own", served)


def _issued_before(end: Ending, cookie: str, save: Save) -> bool:
    return fits(end, cookie, end.envelope(save.before))


def logins_have_a_session(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        for deed in served.did("logs in")[-1:]:
            if not served.is_acknowledged:
                continue
            if served.did("ends") or served.did("is refused"):
                continue
            if served.told("session.ended") or was_ended_since(end, served, deed.about):
                continue  # the account said no when it was asked once more
            opened = opened_when_saved(end, served)
            if opened is None or opened.user_id != deed.about:
                yield Breach(f"{served.name} was acknowledged, and has no session", served)


def was_ended_since(end: Ending, served: Served, who: str) -> bool:
    """Whether the session that a login had stored was ended by then."""
    stored = [save for save in served.saves if (after := end.envelope(save.after)) and after.user_id == who]
    return any(
        save.at > own.at and save.id == own.id and end.envelope(save.after) is None
        for own in stored
        for save in end.saves
    )


def last_login_holds(end: Ending) -> Iterator[Breach]:
    """Unless something ended it, or replaced its token, after it was saved."""
    for browser in {request.browser for request in end.requests}:
        arrived = [served for served in end.served if served.browser == browser and served.arrived_at is not None]
        last = max(arrived, key=lambda served: served.arrived_at or 0, default=None)
        if last is None or not last.did("logs in") or not last.is_acknowledged or last.did("ends"):
            continue
        if "username" in last.keys_told("session.write_discarded") or last.did("is refused") or not last.saves:
            continue
        if last.told("session.ended"):
            continue
        save = last.saves[-1]
        if save.after is None or save.after.expires_at <= end.site.now:
            continue
        is_ended = any(turn.at > save.at and by(end, turn) is not last for turn in turns(end, save.id))
        if not is_ended and end.in_browser(browser).user_id is None:
            yield Breach(f"{last.name} arrived last, and nobody is logged in", last)


def whoever_is_logged_in_did_log_in(end: Ending) -> Iterator[Breach]:
    for browser in {request.browser for request in end.requests}:
        who = end.in_browser(browser).user_id
        if who is None:
            continue
        logins = {deed.about for served in end.served if served.browser == browser for deed in served.did("logs in")}
        cookie = end.before.cookies[browsers_of(end.requests).index(browser)]
        was = named_by(end, cookie, 0)
        if who not in logins and (was is None or was.user_id != who):
            yield Breach(f"{who} is logged in in a browser in which she never logged in")


def cookies_are_of_what_is_stored(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        if served.reply is None or not served.reply.cookie:
            continue
        if opened_when_saved(end, served) is None:
            yield Breach(f"{served.name} sets a cookie that opens nothing", served)


def logouts_end_their_session(end: Ending) -> Iterator[Breach]:
    """Also by a cookie that was replaced meanwhile: a logout that is ignored would be worse."""
    for served in end.served:
        opened, ticket = named_by(end, served.cookie, served.sent_at), end.site.ticket(served.cookie)
        for deed in served.did("logs out"):
            if ticket is None or opened is None or not served.is_acknowledged or end.has_passed_since(served.sent_at):
                continue
            is_meant = deed.about != "if logged in" or opened.user_id is not None
            if is_meant and end.envelope(end.record_at(ticket[0], len(end.trace))) is not None:
                yield Breach(f"{served.name} was acknowledged, and its session is still there", served)


def logins_join_only_logins(end: Ending) -> Iterator[Breach]:
    """Of the same user: a double click. Who has the cookie from before a renewal has proved nothing."""
    for save in end.saves:
        before, after = end.envelope(save.before), end.envelope(save.after)
        if before is None or after is None or len(after.siblings) <= len(before.siblings):
            continue
        last = [turn for turn in turns(end, save.id) if turn.at < save.at][-1:]
        if not last or not tried_to_log_in(by(end, last[0])):
            yield Breach(f"{by(end, save).name} joins what is no login", by(end, save), save.id.hex())


def no_login_is_left_behind(end: Ending) -> Iterator[Breach]:
    for stored in end.sessions:
        last = turns(end, stored.record.id)[-1:]
        if stored.envelope.user_id is None or not last or not by(end, last[0]).is_acknowledged:
            continue
        browser = by(end, last[0]).browser
        if not fits(end, end.cookie_in(browser), stored.envelope):
            what = f"what {by(end, last[0]).name} logged in to is left, and its browser does not have it"
            yield Breach(what, by(end, last[0]), stored.record.id.hex(), browser)


def written_tokens_are_sent(end: Ending) -> Iterator[Breach]:
    """If the application raises, the server answers in its place. If a call fails, nobody knows what was written."""
    for served in end.served:
        if served.reply is None or served.did("crashes") or served.has_met_failure or served.is_dead:
            continue
        for save in [save for save in served.saves if is_turn(end, save)][-1:]:
            after = end.envelope(save.after)
            is_over = any(each.id == save.id and end.envelope(each.after) is None for each in end.saves)
            if after is not None and not is_over and not fits(end, served.reply.cookie or "", after):
                yield Breach(f"{served.name} writes a token that it does not send", served, save.id.hex())


ENDED = Invariant("A session that has ended never answers again.", ended_stays_ended, needs_words=False)
ENDS = Invariant("Only a request that says so ends a session.", only_who_says_so_ends)
FENCED = Invariant(
    "A cookie from before a login or a renewal does not open the session after it.",
    cookies_open_nothing_after_them,
    needs_words=False,
)
SIGHT = Invariant(
    "A request sees the session that its cookie opened when it was sent, or none.",
    requests_see_nothing_after_their_cookie,
)
LATE = Invariant("A request whose cookie was replaced meanwhile sets none.", late_requests_set_no_cookie)
HAS = Invariant("A login that was acknowledged has a session.", logins_have_a_session)
HOLDS = Invariant("A browser whose last response was a login is logged in.", last_login_holds)
WHO = Invariant("Whoever is logged in has logged in, in this browser.", whoever_is_logged_in_did_log_in)
BACKED = Invariant(
    "A cookie that is set opens a session that is stored.",
    cookies_are_of_what_is_stored,
    needs_words=False,
)

SENT = Invariant("A token that was written is sent, also with a 5xx.", written_tokens_are_sent)

LOGOUT = Invariant("A logout that was acknowledged has ended its session.", logouts_end_their_session)
JOINED = Invariant("A login joins nothing but another login, of the same user.", logins_join_only_logins)
LEFT = Invariant("No session stays logged in that its browser does not have.", no_login_is_left_behind)

OF_IDENTITY = (SENT, LOGOUT, JOINED, LEFT, ENDED, ENDS, FENCED, SIGHT, LATE, HAS, HOLDS, WHO, BACKED)
