"""Every rule about time: how long a session lives, and which differences in time matter.

Pure functions of whole seconds. Nothing here knows the clock, the store or a request.
"""

from __future__ import annotations

from typing import NamedTuple

from ..timeouts import Timeouts, _whole_seconds

HOUR = 3600

#: Seconds for which an ended session, or a replaced token, is remembered as such.
GRACE = 60

#: Seconds that a record may live before its cookie comes back: floods of requests without cookies must stay small.
UNCONFIRMED = HOUR


class Limits(NamedTuple):
    """`Timeouts` as plain numbers of seconds."""

    idle: int
    lifetime: int
    remember: int
    anonymous: int


def limits_of(timeouts: Timeouts) -> Limits:
    """The limits that a site set."""
    return Limits(
        _whole_seconds(timeouts.idle),
        _whole_seconds(timeouts.lifetime),
        _whole_seconds(timeouts.remember),
        _whole_seconds(timeouts.anonymous),
    )


def ends_at(idle: int | None, deadline: int | None, now: int) -> int:
    """When a session ends if nobody uses it after `now`: at its deadline, or when it has been idle for too long.

    Without an idle limit it is remembered, until its deadline.
    """
    if idle is None:
        return now if deadline is None else deadline
    idle_until = now + idle
    return idle_until if deadline is None or idle_until < deadline else deadline


def capped_in_first_hour(end: int, now: int, granted: int) -> int:
    """When a session ends if its cookie has not come back yet.

    Never before the end that an earlier save, a login or a touch has already `granted`.
    """
    return min(end, max(now + UNCONFIRMED, granted))


def remembered_until(began_at: int, seconds: int, limits: Limits) -> int:
    """The deadline of a session remembered for so many seconds, counted from the login, else from its creation."""
    return began_at + min(seconds, limits.remember)


def is_over(deadline: int | None, now: int) -> bool:
    """Whether the session has reached its deadline, however active it was."""
    return deadline is not None and deadline <= now


def is_recent(moment: int, now: int) -> bool:
    """Whether so little time has passed since then that an earlier request may still be on its way (rule 7)."""
    return now - moment <= GRACE


def touch_is_worth_it(end: int, stored_end: int, idle: int | None) -> bool:
    """Whether an unchanged session should be written, because it now ends enough later than the store knows.

    The gain must be at least a twentieth of its idle limit, or an hour if that is less. Without an idle limit (a
    remembered session) any gain is worth it, because it can occur only once.
    """
    gain = end - stored_end
    return gain >= 1 and (idle is None or gain >= idle // 20 or gain >= HOUR)


def cookie_max_age(idle: int | None, deadline: int | None, now: int) -> int | None:
    """Seconds for which the browser should keep the cookie. None means until it is closed."""
    if idle is not None or deadline is None:
        return None
    return max(deadline - now, 0)


def last_used_at(end: int, idle: int | None, began_at: int) -> int | None:
    """When a session was last used, give or take a twentieth of its idle limit. None if it is remembered."""
    return None if idle is None else max(end - idle, began_at)
