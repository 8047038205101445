"""What Django's settings say of sessions, as a `SessionManager`."""

from __future__ import annotations

import hashlib
import warnings
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from sessionware import ConfigError, Cookie, Keyring, SessionManager, Timeouts, open_store

#: Those of `SessionManager` that mean something here. The cookie is set by Django.
_OPTIONS = ("secret", "store", "timeouts", "max_bytes", "on_event", "clock")
_YEAR = 365 * 24 * 3600


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
    names = list(getattr(settings, "SESSIONWARE", None) or ())
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
    """Of SECRET_KEY and SECRET_KEY_FALLBACKS. A fallback that is too poor has never sealed a session."""
    problem = _problem(settings.SECRET_KEY)
    if problem is not None and not settings.DEBUG:
        raise ConfigError(
            f"SECRET_KEY cannot seal sessions. {problem} That secret can be the SECRET_KEY, or one for sessions alone, "
            'as SESSIONWARE = {"secret": …}.'
        )
    if problem is not None:
        warnings.warn("SECRET_KEY is too poor to seal sessions, which without DEBUG is an error.", stacklevel=2)
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return Keyring([_derived(key) for key in keys if settings.DEBUG or _problem(key) is None])


def _problem(key: str) -> str | None:
    try:
        Keyring(key)
    except ConfigError as refused:
        return str(refused)
    return None


def _derived(key: str) -> str:
    """The key itself or, where it is too poor, one that is made of it."""
    return key if _problem(key) is None else hashlib.sha256(f"sessionware {key}".encode()).hexdigest()


def _forget_manager(**_: Any) -> None:
    """In tests, settings change."""
    get_manager.cache_clear()


setting_changed.connect(_forget_manager)
