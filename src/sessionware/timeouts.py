"""How long sessions live."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple

from .errors import ConfigError

HOUR = 3600
DAY = 24 * HOUR

#: A record whose cookie has not come back yet: floods of requests without cookies must stay small.
UNCONFIRMED = HOUR


@dataclass(frozen=True)
class Timeouts:
    """How long a session lives, in seconds or as `timedelta`.

    `idle` ends a logged-in session that nobody uses, `lifetime` ends it counted from the last login, whatever its
    activity (ASVS 5.0 7.3.1 and 7.3.2). `remember` is the most that `session.remember()` grants. `anonymous` ends a
    session that nobody uses and in which nobody is logged in. Raises `ConfigError`.
    """

    idle: int | timedelta = 12 * HOUR
    lifetime: int | timedelta = 7 * DAY
    remember: int | timedelta = 30 * DAY
    anonymous: int | timedelta = DAY

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            try:
                whole_seconds(value)
            except (TypeError, ValueError):
                raise ConfigError(
                    f"Timeouts({field.name}={value!r}): write a number of seconds from 1 on, or a timedelta."
                ) from None

    def in_seconds(self) -> Lifetimes:
        """The same as plain numbers."""
        return Lifetimes(*(whole_seconds(getattr(self, field.name)) for field in fields(self)))


class Lifetimes(NamedTuple):
    """`Timeouts` in whole seconds."""

    idle: int
    lifetime: int
    remember: int
    anonymous: int


def whole_seconds(duration: int | timedelta) -> int:
    """A duration as whole seconds. Raises `TypeError`, and `ValueError` for less than one second."""
    if isinstance(duration, timedelta):
        duration = int(duration.total_seconds())
    if not isinstance(duration, int) or isinstance(duration, bool):
        raise TypeError(f"a duration is a whole number of seconds or a timedelta, not {type(duration).__name__}")
    if duration < 1:
        raise ValueError(f"a duration is at least one second, not {duration}")
    return duration


@lru_cache
def touch_interval(idle: int | None) -> int:
    """How many seconds longer a touch must let a session live to be worth a write.

    A twentieth of its idle limit, at most an hour; without one (a remembered session) any difference is worth it,
    since it can come up only once.
    """
    return 1 if idle is None else max(min(idle // 20, HOUR), 1)
