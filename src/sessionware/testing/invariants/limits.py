"""Where the invariants end: the sentences of docs/guarantees.md, each with what it explains, and nothing more.

Most are about browsers, which keep the cookie of whatever response arrives last.
"""

from __future__ import annotations

from ..interleaving.ending import Ending, Served
from .answers import HONEST, SHOWN
from .forms import FORMS, MESSAGES
from .identity import BACKED, HAS, HOLDS, LATE, LEFT, LOGOUT, SIGHT, by, named_by, turns
from .judging import Breach, Limit
from .time import EXPIRED, UPPER
from .writes import ERRORS, INHERITED, REACHED, TOLD


def keeper(end: Ending, browser: str) -> Served | None:
    """The request by whose response the browser has the cookie that it has, or none."""
    said = [
        served
        for served in end.served
        if served.browser == browser
        and served.arrived_at is not None
        and served.reply is not None
        and served.reply.cookie is not None
    ]
    return max(said, key=lambda served: served.arrived_at or 0, default=None)


def overlap(one: Served, other: Served) -> bool:
    """Whether each was sent before the other's response arrived."""
    return all(a.arrived_at is None or b.sent_at < a.arrived_at for a, b in ((one, other), (other, one)))


def turned_last(end: Ending, breach: Breach) -> Served | None:
    """Who gave the session that is out of reach its token."""
    last = turns(end, bytes.fromhex(breach.about))[-1:]
    return by(end, last[0]) if last else None


def had_no_cookie(end: Ending, breach: Breach) -> bool:
    """Two requests of one browser began a session, and neither had brought a cookie that was good."""
    kept = keeper(end, breach.browser)
    ticket = None if kept is None or kept.reply is None else end.site.ticket(kept.reply.cookie or "")
    ids = {bytes.fromhex(breach.about), b"" if ticket is None else ticket[0]}
    begun = [by(end, save) for save in end.saves if save.before is None and save.id in ids]
    return len([each for each in begun if named_by(end, each.cookie, each.sent_at) is None]) == len(ids) > 1


def sent_its_old_cookie_again(end: Ending, breach: Breach) -> bool:
    """What the browser has is a token that was sent to it for the second time."""
    kept = keeper(end, breach.browser)
    if kept is None or kept.reply is None or not kept.reply.cookie:
        return False
    return end.site.ticket(kept.reply.cookie) == end.site.ticket(kept.cookie)


def ended_beside_another(end: Ending, breach: Breach) -> bool:
    """What the browser has is of a response that was overtaken, and one of the two was a logout."""
    kept = keeper(end, breach.browser)
    return kept is not None and any(
        other is not kept
        and other.browser == kept.browser
        and overlap(kept, other)
        and any(each.did(word) for each in (kept, other) for word in ("ends", "clears"))
        for other in end.served
    )


def logged_in_beside_a_renewal(end: Ending, breach: Breach) -> bool:
    """A login that was taken back counts as a renewal: the session goes on under a new token."""
    hers = [served for served in end.served if served.browser == breach.browser]
    return any(
        one is not other and overlap(one, other) and other.did("logs in")
        for one in hers
        if one.did("renews") or one.told("session.renewed")
        for other in hers
    )


def logged_in_at_once(end: Ending, breach: Breach) -> bool:
    """Two logins of different people, or on different terms, overlap."""
    logins = [each for each in end.served if each.browser == breach.browser and each.did("logs in")]
    return any(
        one is not other and overlap(one, other) and _terms(one) != _terms(other) for one in logins for other in logins
    )


def _terms(served: Served) -> list[tuple[str, object]]:
    """Who logged in, and how."""
    return [(deed.about, deed.value) for deed in served.did("logs in")]


def popped_twice(end: Ending, breach: Breach) -> bool:
    """Two requests that overlap have both shown this message."""
    shown = [
        served
        for served in end.served
        if any(breach.about == "|".join(mark) for deed in served.did("shows") for mark in deed.value)
    ]
    return any(one is not other and overlap(one, other) for one in shown for other in shown)


def token_never_arrived(end: Ending, breach: Breach) -> bool:
    turned = turned_last(end, breach)
    return turned is not None and (turned.arrived_at is None or turned.status == 503)


def was_slow(end: Ending, breach: Breach) -> bool:
    """Time passed while the request was under way, or one that had to do with what it missed."""
    passed_at = end.first(-1, "time passes")
    concerned = [served for served in end.served if served.browser == breach.browser]
    return any(
        served.sent_at < passed_at and (_arrived(end, served) > passed_at or served.run.times[-1] > 0)
        for served in concerned
    )


def _arrived(end: Ending, served: Served) -> int:
    return len(end.trace) if served.arrived_at is None else served.arrived_at


def was_not_confirmed(_end: Ending, breach: Breach) -> bool:
    """A call of it failed, and it said so: by a 503 or, after the headers, by an event."""
    served = breach.by
    return served is not None and served.has_met_failure and (served.status == 503 or served.request.late is not None)


def has_no_secret_for_it(end: Ending, breach: Breach) -> bool:
    """One of this browser's requests left something under a secret that the server of another one does not have."""
    rings = end.site.rings
    hers = [served for served in end.served if served.browser == breach.browser]
    left = {rings[each.request.server][0] for each in hers if each.saves or (each.reply and each.reply.cookie)}
    return any(secret not in rings[each.request.server] for secret in left for each in hers)


LIMITS: tuple[Limit, ...] = (
    Limit("Two `pop_flash()` at once may both show a message.", (MESSAGES,), popped_twice),
    Limit(
        "Logins in one browser that overlap and do not join have a session each, and the browser keeps the one whose "
        "response arrives last.",
        (LEFT, REACHED),
        logged_in_at_once,
    ),
    Limit(
        "If a logout overlaps another request, the browser keeps what the last response to arrive says, because that "
        "is how browsers work.",
        (REACHED, HOLDS, LEFT),
        ended_beside_another,
    ),
    Limit(
        "A login beside a `renew_token()` has a session of its own, and the browser keeps the cookie that arrives "
        "last.",
        (REACHED, HOLDS, LEFT),
        logged_in_beside_a_renewal,
    ),
    Limit(
        "Two first requests without any cookie make two sessions, because nothing says that they belong together.",
        (REACHED, LEFT),
        had_no_cookie,
    ),
    Limit(
        "If the response of a login or a `renew_token()` never arrives, nobody may have the session's token.",
        (REACHED, LEFT),
        token_never_arrived,
    ),
    Limit(
        "`remember()`, a session that slides, a change of the secret, and the removal of a cookie's twin send the "
        "cookie again with the token that it had.",
        (REACHED, HOLDS, LATE, LEFT),
        sent_its_old_cookie_again,
    ),
    Limit(
        "A request that takes longer than a minute may be late to a login without being recognised as such. One that "
        "takes longer than the session may lie idle may save what is over by then.",
        (REACHED, LATE, INHERITED, HAS, BACKED, SIGHT, EXPIRED, UPPER, LEFT, LOGOUT),
        was_slow,
    ),
    Limit(
        "A 503 says that a change was not confirmed, not that it was not made.",
        (ERRORS, HONEST, TOLD),
        was_not_confirmed,
    ),
    # Servers with different secrets
    Limit(
        "A server that does not have the secret of a cookie, or of a record, sees no session there.",
        (REACHED, HOLDS, SHOWN, LATE, INHERITED, FORMS, LEFT, LOGOUT),
        has_no_secret_for_it,
    ),
)
