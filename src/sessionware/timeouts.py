"""How long sessions live: what a site sets. The rules that follow from it are in `_core.lifetime`."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import timedelta

from .errors import ConfigError

_HOUR = 3600
_DAY = 24 * _HOUR
_MOST = 100 * 366 * _DAY


@dataclass(frozen=True)
class Timeouts:
    """How long a session lives, in seconds or as `timedelta`.

    Args:
        idle: Ends a logged-in session that nobody uses (ASVS 5.0 7.3.1).
        lifetime: Ends a logged-in session, counted from the last login, however active it is (ASVS 5.0 7.3.2).
        remember: The longest time that `session.remember()` grants, from the login or, if it slides, from each use.
        remember_lifetime: Ends a session whose `remember()` slides, counted from the login, however active it is.
        anonymous: Ends a session that nobody uses and in which nobody is logged in. Forms that a visitor got without
            a session are good for as long.
        anonymous_lifetime: Ends a session in which nobody is logged in, counted from its creation, however active it
            is.
        unconfirmed: Ends a new session in which nobody is logged in, until its cookie has come back once. It keeps
            floods of requests without cookies small. `session.remember()` lifts it.
        explain: How long `session.ended_because` can say why a session was ended from elsewhere.

    A session that exists already gets the shorter of what it was granted and what is set now.

    Raises:
        ConfigError: A duration is neither a whole number of seconds nor a `timedelta`, or is less than one second. Or
            one was set that is longer than the one that ends the session all the same, such as `idle` longer than
            `lifetime`.
    """

    idle: int | timedelta = 12 * _HOUR
    lifetime: int | timedelta = 7 * _DAY
    remember: int | timedelta = 30 * _DAY
    remember_lifetime: int | timedelta = 365 * _DAY
    anonymous: int | timedelta = 14 * _DAY
    anonymous_lifetime: int | timedelta = 90 * _DAY
    unconfirmed: int | timedelta = _HOUR
    explain: int | timedelta = _DAY

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            try:
                _whole_seconds(value)
            except (TypeError, ValueError):
                raise ConfigError(
                    f"Timeouts({field.name}={value!r}): write a whole number of seconds, 1 or more and at most a"
                    f" hundred years' worth, or a timedelta{_meant_by(field.name, value)}."
                ) from None
        for name, cap in _CAPS.items():
            self._check_cap(name, cap)

    def _check_cap(self, name: str, cap: str) -> None:
        seconds, most = _whole_seconds(getattr(self, name)), _whole_seconds(getattr(self, cap))
        # Whoever shortens the cap alone need not shorten what was never set.
        if seconds > most and seconds != getattr(type(self), name):
            raise ConfigError(
                f"Timeouts({name}={seconds}, {cap}={most}): {name} would never be reached, because {cap} ends the"
                f" session before. Write {cap}={seconds} or more, or {name}={most} or less."
            )


_CAPS = {
    "idle": "lifetime",
    "remember": "remember_lifetime",
    "anonymous": "anonymous_lifetime",
    "unconfirmed": "anonymous",
}
"""Each limit that another one ends, whatever happens."""

_UNITS = {"s": 1, "m": 60, "h": _HOUR, "d": _DAY, "w": 7 * _DAY}
_is_duration = re.compile(r"\s*(\d{1,9})(?:\.0*)?\s*([smhdw]?)[a-z]*\s*", re.IGNORECASE | re.ASCII).fullmatch


def _meant_by(name: str, value: object) -> str:
    """The number that a text such as "3600" or "30 days" means, as advice."""
    found = _is_duration(str(value)) if isinstance(value, (str, float)) else None
    seconds = int(found[1]) * _UNITS[found[2].lower() or "s"] if found else 0
    return f": {name}={seconds}" if 1 <= seconds <= _MOST else ""


def _whole_seconds(duration: int | timedelta) -> int:
    """A duration as whole seconds. Raises `TypeError`, and `ValueError` for less than one second."""
    if isinstance(duration, timedelta):
        duration = int(duration.total_seconds())
    if not isinstance(duration, int) or isinstance(duration, bool):
        raise TypeError(f"a duration must be a whole number of seconds or a timedelta, not {type(duration).__name__}")
    if not 1 <= duration <= _MOST:
        raise ValueError(f"a duration must be at least one second and at most a hundred years, not {duration}")
    return duration
