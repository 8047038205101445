"""The small rules of time: what is late, what is worth a write, and what a site can set.

How long sessions of every kind live is in tests/rules/test_time_table.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import timedelta

import pytest

from sessionware import ConfigError, Timeouts
from sessionware._core import lifetime
from sessionware._core.envelope import Envelope, blank

NOW = 1_700_000_000
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600

ANONYMOUS = blank(NOW - DAY, b"", 14 * DAY, 90 * DAY, {})
LOGGED_IN = ANONYMOUS._replace(authenticated_at=NOW - HOUR, idle=12 * HOUR, deadline=NOW + 7 * DAY)
REMEMBERED = LOGGED_IN._replace(idle=None, deadline=NOW + 20 * DAY)
SLIDING = REMEMBERED.with_extra(sl=5 * DAY)._replace(deadline=NOW + 300 * DAY)


@pytest.mark.parametrize(
    ("situation", "rule", "given", "follows"),
    [
        # Late requests: the moment, and now
        ("just replaced", lifetime.is_recent, (NOW, NOW), True),
        ("a minute ago", lifetime.is_recent, (NOW - 60, NOW), True),
        ("more than a minute ago", lifetime.is_recent, (NOW - 61, NOW), False),
        ("by another server's clock", lifetime.is_recent, (NOW + 60, NOW), True),
        ("before the clock was set back", lifetime.is_recent, (NOW + 61, NOW), False),
        # Touches: end, end in the store, idle
        ("nothing gained", lifetime.touch_is_worth_it, (NOW + 12 * HOUR, NOW + 12 * HOUR, 12 * HOUR, NOW), False),
        (
            "less than a twentieth",
            lifetime.touch_is_worth_it,
            (NOW + 2159, NOW, 12 * HOUR, NOW + 2159 - 12 * HOUR),
            False,
        ),
        ("a twentieth", lifetime.touch_is_worth_it, (NOW + 2160, NOW, 12 * HOUR, NOW + 2160 - 12 * HOUR), True),
        (
            "an hour is always worth it",
            lifetime.touch_is_worth_it,
            (NOW + HOUR, NOW, 99 * DAY, NOW + HOUR - 99 * DAY),
            True,
        ),
        (
            "a little less is not",
            lifetime.touch_is_worth_it,
            (NOW + HOUR - 1, NOW, 99 * DAY, NOW + HOUR - 1 - 99 * DAY),
            False,
        ),
        ("short limits: a second", lifetime.touch_is_worth_it, (NOW + 1, NOW, 5, NOW - 4), True),
        ("short limits: nothing gained", lifetime.touch_is_worth_it, (NOW, NOW, 5, NOW - 5), False),
        ("up to the deadline: a second", lifetime.touch_is_worth_it, (NOW + 1, NOW, 12 * HOUR, NOW - HOUR), True),
        ("at the deadline: no gain", lifetime.touch_is_worth_it, (NOW, NOW, 12 * HOUR, NOW - HOUR), False),
        ("remembered: any gain", lifetime.touch_is_worth_it, (NOW + 1, NOW, None, NOW - DAY), True),
        ("remembered: no gain", lifetime.touch_is_worth_it, (NOW, NOW, None, NOW - DAY), False),
        ("it would end earlier", lifetime.touch_is_worth_it, (NOW - DAY, NOW, 5, NOW - DAY - 5), False),
        # Shortened limits: end in the store, end by a use now
        ("a use would grant as much", lifetime.is_too_late, (NOW, NOW), False),
        ("clocks of servers differ", lifetime.is_too_late, (NOW + 60, NOW), False),
        ("a use would grant less", lifetime.is_too_late, (NOW + 61, NOW), True),
        # When it was last used: end in the store
        ("an idle limit ago", lifetime.last_used_at, (NOW + 11 * HOUR, LOGGED_IN), NOW - HOUR),
        ("not before the login", lifetime.last_used_at, (NOW, LOGGED_IN), NOW - HOUR),
        ("not before its creation", lifetime.last_used_at, (NOW, ANONYMOUS), NOW - DAY),
        ("sliding: by the seconds of a use", lifetime.last_used_at, (NOW + 5 * DAY, SLIDING), NOW),
        ("remembered: not known", lifetime.last_used_at, (NOW + 20 * DAY, REMEMBERED), None),
    ],
)
def test_rule_of_time(situation: str, rule: Callable[..., object], given: tuple[object, ...], follows: object) -> None:
    """Each line of the table."""
    assert rule(*given) == follows, situation


@pytest.mark.parametrize(
    ("envelope", "seconds"),
    [(ANONYMOUS, None), (LOGGED_IN, None), (REMEMBERED, 5 * DAY), (SLIDING, 5 * DAY)],
    ids=["anonymous", "logged in", "remembered", "sliding"],
)
def test_browser_keeps_the_cookie_of_a_remembered_session(envelope: Envelope, seconds: int | None) -> None:
    """As long as the record is kept. Any other cookie goes when the browser is closed."""
    assert lifetime.cookie_max_age(NOW + 5 * DAY, envelope, lifetime.limits_of(Timeouts()), NOW) == seconds


def test_cookie_of_a_session_that_is_over_has_no_negative_age() -> None:
    """The session may end while the response is made."""
    assert lifetime.cookie_max_age(NOW + DAY, REMEMBERED, lifetime.limits_of(Timeouts()), NOW + 2 * DAY) == 0


def test_limits_of_a_login_take_the_place_of_the_sites() -> None:
    """Longer or shorter. What concerns visitors stays."""
    limits = lifetime.limits_of(Timeouts())
    own = LOGGED_IN.with_extra(li=[MINUTE, 30 * DAY, HOUR, 999 * DAY])

    assert lifetime.limits_for(own, limits) == limits._replace(
        idle=MINUTE, lifetime=30 * DAY, remember=HOUR, remember_lifetime=999 * DAY
    )
    assert lifetime.limits_for(LOGGED_IN, limits) == limits


# What a site sets ---------------------------------------------------------------------------------------------------


def test_limits_that_nobody_sets() -> None:
    """As the documentation says."""
    assert asdict(Timeouts()) == {
        "idle": 12 * HOUR,
        "lifetime": 7 * DAY,
        "remember": 30 * DAY,
        "remember_lifetime": 365 * DAY,
        "anonymous": 14 * DAY,
        "anonymous_lifetime": 90 * DAY,
        "unconfirmed": HOUR,
        "explain": DAY,
    }


def test_limits_are_plain_seconds() -> None:
    """However they were set."""
    timeouts = Timeouts(idle=timedelta(hours=1), lifetime=timedelta(days=1, milliseconds=900), remember=7)
    limits = lifetime.limits_of(timeouts)

    assert (limits.idle, limits.lifetime, limits.remember) == (HOUR, DAY, 7)
    assert {type(value) for value in limits} == {int}


@pytest.mark.parametrize(
    "value",
    [0, -1, 1.5, "3600", None, True, timedelta(0), timedelta(milliseconds=999), timedelta(-1), timedelta(days=36_601)],
)
@pytest.mark.parametrize("name", [field.name for field in fields(Timeouts)])
def test_wrong_timeout_is_said_at_once(name: str, value: object) -> None:
    """And the text says what to write instead."""
    with pytest.raises(ConfigError, match=rf"Timeouts\({name}=.*1 or more"):
        Timeouts(**{name: value})  # type: ignore[arg-type]
