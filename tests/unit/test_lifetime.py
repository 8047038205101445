"""Every rule of time, as one table: what is granted, when it is asked, what follows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from sessionware import ConfigError, Timeouts
from sessionware._core import lifetime

NOW = 1_700_000_000
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
LIMITS = lifetime.limits_of(Timeouts(idle=12 * HOUR, lifetime=7 * DAY, remember=30 * DAY, anonymous=DAY))


@pytest.mark.parametrize(
    ("situation", "rule", "given", "follows"),
    [
        # When a session ends
        ("idle only", lifetime.ends_at, (DAY, None, NOW), NOW + DAY),
        ("idle ends before the deadline", lifetime.ends_at, (HOUR, NOW + DAY, NOW), NOW + HOUR),
        ("the deadline comes first", lifetime.ends_at, (DAY, NOW + HOUR, NOW), NOW + HOUR),
        ("both at the same second", lifetime.ends_at, (HOUR, NOW + HOUR, NOW), NOW + HOUR),
        ("remembered: only the deadline", lifetime.ends_at, (None, NOW + 30 * DAY, NOW), NOW + 30 * DAY),
        ("neither: it is over", lifetime.ends_at, (None, None, NOW), NOW),
        ("the deadline has passed", lifetime.ends_at, (HOUR, NOW - 1, NOW), NOW - 1),
        # A record whose cookie has not come back
        ("first visit: an hour", lifetime.capped_in_first_hour, (NOW + DAY, NOW, 0), NOW + HOUR),
        ("ends within the hour anyway", lifetime.capped_in_first_hour, (NOW + MINUTE, NOW, 0), NOW + MINUTE),
        ("a second write: an hour from now", lifetime.capped_in_first_hour, (NOW + DAY, NOW, NOW + 9), NOW + HOUR),
        ("what was granted stays", lifetime.capped_in_first_hour, (NOW + DAY, NOW, NOW + 7 * HOUR), NOW + 7 * HOUR),
        ("but not beyond its end", lifetime.capped_in_first_hour, (NOW + DAY, NOW, NOW + 7 * DAY), NOW + DAY),
        # Remembering
        ("as long as asked", lifetime.remembered_until, (NOW, DAY, LIMITS), NOW + DAY),
        ("no longer than is set", lifetime.remembered_until, (NOW, 99 * DAY, LIMITS), NOW + 30 * DAY),
        ("counted from the login", lifetime.remembered_until, (NOW - DAY, 2 * DAY, LIMITS), NOW + DAY),
        # The deadline
        ("none", lifetime.is_over, (None, NOW), False),
        ("a second before", lifetime.is_over, (NOW + 1, NOW), False),
        ("at that very second", lifetime.is_over, (NOW, NOW), True),
        ("later", lifetime.is_over, (NOW - 1, NOW), True),
        # Late requests
        ("just replaced", lifetime.is_recent, (NOW, NOW), True),
        ("a minute ago", lifetime.is_recent, (NOW - 60, NOW), True),
        ("more than a minute ago", lifetime.is_recent, (NOW - 61, NOW), False),
        # Touches: end, end in the store, idle
        ("nothing gained", lifetime.touch_is_worth_it, (NOW, NOW, 12 * HOUR), False),
        ("less than a twentieth", lifetime.touch_is_worth_it, (NOW + 2159, NOW, 12 * HOUR), False),
        ("a twentieth", lifetime.touch_is_worth_it, (NOW + 2160, NOW, 12 * HOUR), True),
        ("an hour is always worth it", lifetime.touch_is_worth_it, (NOW + HOUR, NOW, 99 * DAY), True),
        ("a little less is not", lifetime.touch_is_worth_it, (NOW + HOUR - 1, NOW, 99 * DAY), False),
        ("short limits: a second", lifetime.touch_is_worth_it, (NOW + 1, NOW, 5), True),
        ("short limits: nothing gained", lifetime.touch_is_worth_it, (NOW, NOW, 5), False),
        ("remembered: any gain", lifetime.touch_is_worth_it, (NOW + 1, NOW, None), True),
        ("remembered: no gain", lifetime.touch_is_worth_it, (NOW, NOW, None), False),
        ("it would end earlier", lifetime.touch_is_worth_it, (NOW - DAY, NOW, 5), False),
        # How long the browser keeps the cookie
        ("until it is closed", lifetime.cookie_max_age, (HOUR, NOW + DAY, NOW), None),
        ("an anonymous visitor's too", lifetime.cookie_max_age, (DAY, None, NOW), None),
        ("remembered: to the deadline", lifetime.cookie_max_age, (None, NOW + DAY, NOW), DAY),
        ("remembered, and over", lifetime.cookie_max_age, (None, NOW - 1, NOW), 0),
        # When it was last used
        ("an idle limit ago", lifetime.last_used_at, (NOW + HOUR, HOUR, NOW - DAY), NOW),
        ("not before it began", lifetime.last_used_at, (NOW + HOUR, DAY, NOW), NOW),
        ("remembered: not known", lifetime.last_used_at, (NOW + DAY, None, NOW), None),
    ],
)
def test_rule_of_time(situation: str, rule: Callable[..., object], given: tuple[object, ...], follows: object) -> None:
    """Each line of the table."""
    assert rule(*given) == follows, situation


def test_limits_are_plain_seconds() -> None:
    """However they were set."""
    timeouts = Timeouts(idle=timedelta(hours=1), lifetime=timedelta(days=1, milliseconds=900), remember=7)

    assert lifetime.limits_of(timeouts) == (3600, DAY, 7, DAY)


@pytest.mark.parametrize(
    "value", [0, -1, 1.5, "3600", None, True, timedelta(0), timedelta(milliseconds=999), timedelta(-1)]
)
@pytest.mark.parametrize("name", ["idle", "lifetime", "remember", "anonymous"])
def test_wrong_timeout_is_said_at_once(name: str, value: object) -> None:
    """And the text says what to write instead."""
    with pytest.raises(ConfigError, match=rf"Timeouts\({name}=.*1 or more"):
        Timeouts(**{name: value})  # type: ignore[arg-type]
