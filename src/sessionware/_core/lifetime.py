"""Every rule about time: how long a session lives, and which differences in time matter.

Functions of whole seconds. Nothing here knows the store or a request. A session gets the shorter of what it was granted
and what is set now, so that limits which a deploy shortens hold for the sessions that exist already.

| session | idle limit | deadline, counted from the login, else from its creation |
|---|---|---|
| anonymous | `anonymous` | `anonymous_lifetime` |
| logged in | `idle` | `lifetime` |
| remembered | none | the seconds of `remember()`, at most `remember` |
| remembered, sliding | the seconds of `remember()`, at most `remember` | `remember_lifetime` |
"""

from __future__ import annotations

import time
from typing import NamedTuple

from ..timeouts import Timeouts, _whole_seconds
from .envelope import OWN_LIMITS, Envelope

HOUR = 3600

#: Seconds for which an ended session, or a replaced token, is remembered as such.
GRACE = 60


class Limits(NamedTuple):
    """`Timeouts` as plain numbers of seconds."""

    idle: int
    lifetime: int
    remember: int
    remember_lifetime: int
    anonymous: int
    anonymous_lifetime: int
    unconfirmed: int
    explain: int


def limits_of(timeouts: Timeouts) -> Limits:
    """The limits that a site set."""
    return Limits._make(_whole_seconds(getattr(timeouts, name)) for name in Limits._fields)


def own_limits(timeouts: Timeouts | None) -> list[int] | None:
    """What a login's own limits are kept as. Raises `TypeError` for anything but a `Timeouts`."""
    if timeouts is None:
        return None
    if not isinstance(timeouts, Timeouts):
        raise TypeError(f"timeouts must be a Timeouts, not {type(timeouts).__name__}")
    limits = limits_of(timeouts)
    return [limits.idle, limits.lifetime, limits.remember, limits.remember_lifetime]


def limits_for(envelope: Envelope, limits: Limits) -> Limits:
    """The limits that hold for this session: the site's, unless its login was given its own."""
    own = envelope.own_limits if envelope.extra else None
    if own is None:
        return limits
    idle, lifetime, remember, remember_lifetime = own
    return limits._replace(idle=idle, lifetime=lifetime, remember=remember, remember_lifetime=remember_lifetime)


def system_clock() -> float:
    """Seconds since the epoch. `time.time` is looked up at the call, so that tests that replace it are believed."""
    return time.time()


def bounds(envelope: Envelope, limits: Limits) -> tuple[int, int | None]:
    """When the session ends however active it is, and its idle limit in seconds, if it has one."""
    if OWN_LIMITS in envelope.extra:
        limits = limits_for(envelope, limits)
    began_at, idle = envelope.began_at, envelope.idle
    if idle is not None:
        is_visitors = envelope.authenticated_at is None
        most, set_now = (limits.anonymous_lifetime, limits.anonymous) if is_visitors else (limits.lifetime, limits.idle)
        return min(envelope.deadline, began_at + most), min(idle, set_now)
    sliding = envelope.sliding
    if sliding is None:
        return min(envelope.deadline, began_at + limits.remember), None
    return min(envelope.deadline, began_at + limits.remember_lifetime), min(sliding, limits.remember)


def is_cut(expires_at: int, envelope: Envelope, limits: Limits) -> bool:
    """Whether what is set now is less than what the session was granted."""
    # Every look at a session comes through here, so the usual case is decided in one go.
    created_at, authenticated_at, deadline, _, _, _, idle, _, _, _, extra, _ = envelope
    if idle is None or OWN_LIMITS in extra:
        most, idle_now = bounds(envelope, limits)
        return expires_at > most or deadline > most or idle_now != envelope.granted_idle
    if authenticated_at is None:
        most, set_now = created_at + limits.anonymous_lifetime, limits.anonymous
    else:
        most, set_now = authenticated_at + limits.lifetime, limits.idle
    return expires_at > deadline or deadline > most or idle > set_now


def end_of(expires_at: int, envelope: Envelope, limits: Limits) -> int:
    """When the session ends if nobody uses it again, by what is stored and by what is set now."""
    (deadline, idle), granted = bounds(envelope, limits), envelope.granted_idle
    end = min(expires_at, deadline)
    if granted is None or idle is None or idle >= granted or expires_at >= envelope.deadline:
        return end
    last_used = expires_at - granted
    # Before its creation nobody used it: then it is the cap on new sessions that shortened its life, and ends it.
    return end if last_used < envelope.created_at else min(end, last_used + idle)


def used(envelope: Envelope, limits: Limits, now: int) -> tuple[Envelope, int]:
    """The session used at `now`: with the limits that hold now, and when it ends if nobody uses it again."""
    # Every write comes through here, and the usual case is the first.
    created_at, authenticated_at, deadline, _, _, _, idle, _, _, _, extra, _ = envelope
    if idle is not None and OWN_LIMITS not in extra:
        if authenticated_at is None:
            most, set_now = created_at + limits.anonymous_lifetime, limits.anonymous
        else:
            most, set_now = authenticated_at + limits.lifetime, limits.idle
        if deadline <= most and idle <= set_now:
            end = now + idle
            return envelope, end if end < deadline else deadline
    return _used_by(bounds(envelope, limits), envelope, now)


def _used_by(bounds: tuple[int, int | None], envelope: Envelope, now: int) -> tuple[Envelope, int]:
    deadline, idle = bounds
    if deadline < envelope.deadline:
        envelope = envelope._replace(deadline=deadline)
    if idle is None:
        return envelope, deadline
    if idle != envelope.granted_idle:
        envelope = envelope.with_extra(sl=idle) if envelope.is_remembered else envelope._replace(idle=idle)
    return envelope, min(now + idle, deadline)


def is_capped(envelope: Envelope) -> bool:
    """Whether the session ends early until its cookie has come back once: floods of new ones must stay small."""
    return envelope.authenticated_at is None and not envelope.is_remembered


def capped_end(end: int, now: int, granted: int, limits: Limits) -> int:
    """When such a session ends; never before the end that an earlier save of the same request has `granted`."""
    return min(end, max(now + limits.unconfirmed, granted))


def remembered_until(envelope: Envelope, seconds: int, limits: Limits, now: int, *, is_new: bool) -> int | None:
    """The deadline of a session remembered for so many seconds, counted from the login, else from its creation.

    Never earlier than the end that it has anyway, unless it `is_new`. None if it may not be remembered for that long.
    """
    began_at, most = envelope.began_at, limits_for(envelope, limits).remember
    until = began_at + min(seconds, most)
    if is_new:
        return until
    _, has = used(envelope, limits, now)
    until = min(max(until, has), began_at + most)
    return until if until >= has else None


def is_settled(expires_at: int, idle: int | None, now: int) -> bool:
    """Whether a look at a session needs no second thought, because it was used a moment ago: the usual case."""
    if idle is None:
        return False
    gain, interval = now + idle - expires_at, idle // 20
    return -GRACE <= gain < (interval if interval < HOUR else HOUR)


def is_recent(moment: int, now: int) -> bool:
    """Whether so little time has passed since then that an earlier request may still be on its way (rule 7).

    A moment that lies ahead, because the clock was set back, is not recent.
    """
    return -GRACE <= now - moment <= GRACE


def touch_is_worth_it(end: int, stored_end: int, idle: int | None, now: int) -> bool:
    """Whether an unchanged session should be written, because it now ends later than the store knows.

    Since the use that the store knows of, a twentieth of the idle limit must have passed, or an hour if that is less.
    What is gained does not matter: near its deadline it is little, but without it the idle limit would end the session
    of somebody who is there. Without an idle limit (a remembered session) a gain can occur only once.
    """
    if idle is None:
        return end > stored_end
    passed = now + idle - stored_end
    return end > stored_end and (passed >= idle // 20 or passed >= HOUR)


def is_too_late(stored_end: int, end: int) -> bool:
    """Whether a use now would keep the session for less long: a limit was shortened, or the clock set back."""
    return stored_end - end > GRACE


def is_over_unless_remembered(envelope: Envelope, limits: Limits, now: int) -> bool:
    """Whether the usual deadline of a remembered session has passed."""
    limits = limits_for(envelope, limits)
    usual = limits.anonymous_lifetime if envelope.authenticated_at is None else limits.lifetime
    return envelope.is_remembered and envelope.began_at + usual <= now


def cookie_max_age(expires_at: int, envelope: Envelope, limits: Limits, now: int) -> int | None:
    """Seconds for which the browser should keep the cookie: as long as the record. None means until it is closed."""
    return max(end_of(expires_at, envelope, limits) - now, 0) if envelope.is_remembered else None


def last_used_at(expires_at: int, envelope: Envelope) -> int | None:
    """When a session was last used, give or take a twentieth of its idle limit. None if it ends at a fixed time."""
    idle = envelope.granted_idle
    return None if idle is None else max(expires_at - idle, envelope.began_at)
