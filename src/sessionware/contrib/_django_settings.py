"""What Django's settings say of sessions, as a `SessionManager`."""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from sessionware import ConfigError, Cookie, Keyring, SessionManager, Timeouts, open_store

#: Those of `SessionManager` that mean something here. The cookie is set by Django.
_OPTIONS = ("secret", "store", "timeouts", "max_bytes", "on_event", "clock")
_YEAR = 365 * 24 * 3600

_logger = logging.getLogger("sessionware")


@cache
def get_manager() -> SessionManager:
    """The `SessionManager` of the settings: it lists and ends sessions. Raises `ConfigError`."""
    _check_options()
    store = settings.SESSIONWARE["store"]
    return SessionManager(
        **{
            **settings.SESSIONWARE,
            "secret": settings.SESSIONWARE.get("secret") or _keyring(),
            "store": _opened_url(store) if isinstance(store, str) else store,
            "cookie": Cookie(settings.SESSION_COOKIE_NAME.removeprefix("__Host-").removeprefix("__Secure-")),
            "timeouts": _timeouts(settings.SESSIONWARE.get("timeouts")),
        }
    )


def _check_options() -> None:
    given = getattr(settings, "SESSIONWARE", None)
    names = list(given) if isinstance(given, dict) else []
    unknown = sorted(str(name) for name in names if name not in _OPTIONS)
    if unknown:
        raise ConfigError(
            f"SESSIONWARE has {', '.join(unknown)}: there is no such option. The options are {', '.join(_OPTIONS)}. "
            "The cookie is set by Django's own SESSION_COOKIE_NAME, SESSION_COOKIE_DOMAIN and so on."
        )
    if "store" not in names:
        raise ConfigError('Write SESSIONWARE = {"store": SQLiteStore(BASE_DIR / "sessions.db")} into the settings.')


#: Opened once, whatever happens to other settings.
_opened_url = cache(open_store)


def _timeouts(given: Timeouts | None) -> Timeouts:
    """What is given; else Django's SESSION_COOKIE_AGE, counted from each use, and a year with `set_expiry`."""
    age = settings.SESSION_COOKIE_AGE
    if given is None:
        longest = max(age, _YEAR)
        limits = {"anonymous_lifetime": longest, "remember": longest, "remember_lifetime": longest}
        # A form whose token is in the session may be sent as late as with Django's own engines.
        return Timeouts(anonymous=age, **limits, **({"unconfirmed": age} if settings.CSRF_USE_SESSIONS else {}))
    if isinstance(given, Timeouts) and not settings.SESSION_EXPIRE_AT_BROWSER_CLOSE and age > seconds(given.remember):
        raise ConfigError(
            f"SESSION_COOKIE_AGE = {age}, but Timeouts ends sessions after {seconds(given.remember)} seconds: write "
            f"SESSION_COOKIE_AGE = {seconds(given.remember)}, or Timeouts(remember={age})."
        )
    return given


def seconds(duration: int | timedelta) -> int:
    """A duration of `Timeouts` as a number."""
    return int(duration.total_seconds()) if isinstance(duration, timedelta) else duration


def _keyring() -> Keyring:
    """Of SECRET_KEY and SECRET_KEY_FALLBACKS. None of them may be poor, except for debugging."""
    problem = _problem()
    if problem is None:
        return Keyring(_keys())
    if not settings.DEBUG:
        raise ConfigError(problem)
    _logger.warning("For debugging, and nothing else, this will do: %s", problem)
    return Keyring([hashlib.sha256(f"for debugging: {key!r}".encode()).hexdigest() for key in _keys()])


def _keys() -> list[str]:
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def _problem() -> str | None:
    """What is wrong with the first poor one of the secrets, and what to write instead."""
    for place, key in enumerate(_keys()):
        try:
            Keyring(key)
        except ConfigError as refused:
            setting = "SECRET_KEY_FALLBACKS" if place else "SECRET_KEY"
            return (
                f"{setting} cannot seal sessions: {refused} In Django, write it as the SECRET_KEY, or for sessions "
                'alone as SESSIONWARE = {"secret": Path("session-secret").read_text().splitlines(), …}.'
            )
    return None


def _forget_manager(**_: Any) -> None:
    """In tests, settings change."""
    get_manager.cache_clear()


setting_changed.connect(_forget_manager)
