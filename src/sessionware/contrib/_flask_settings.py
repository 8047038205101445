"""A Flask application's configuration, as the `SessionManager` that it describes. `contrib.flask` uses it."""

from __future__ import annotations

import hashlib
import logging
import threading
from datetime import timedelta
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from sessionware import ConfigError, Cookie, Keyring, MemoryStore, SessionManager, Store, Timeouts, open_store

if TYPE_CHECKING:
    from flask import Flask

_logger = logging.getLogger("sessionware")

_ARGUMENTS = (
    *("timeouts", "trusted_origins", "cross_origin", "max_bytes"),
    *("passive", "on_event", "client_address", "clock"),
)
_OURS = ("SESSIONWARE_SECRET", "SESSIONWARE_STORE", *(f"SESSIONWARE_{name.upper()}" for name in _ARGUMENTS))
_COOKIE = ("name", "domain", "path", "secure", "httponly", "samesite", "partitioned")
_FLASKS = (
    *(f"SESSION_COOKIE_{name.upper()}" for name in _COOKIE),
    *("SECRET_KEY_FALLBACKS", "APPLICATION_ROOT", "PERMANENT_SESSION_LIFETIME"),
)

_ADVICE = 'app.config["SECRET_KEY"] = Path("session-secret").read_text().strip()'


class Unshown(list[Any]):
    """What is secret, or has secrets in it. Error reporters show the variables of every frame, but not these."""

    def __repr__(self) -> str:
        return "<not shown>"


class FlaskSite:
    """One application's manager, made anew when its configuration has changed, as that of tests does.

    What is set when this is made is checked at once. Raises `ConfigError`.
    """

    def __init__(self, app: Flask) -> None:
        self._lock = threading.Lock()
        self._read: list[object] = []
        self._store_setting: object = None
        self._store: Store = MemoryStore()
        self._has_warned = False
        if secrets_of(app):
            self.manager(app)
        else:
            SessionManager(token_hex(), **_arguments(app))

    def manager(self, app: Flask) -> SessionManager:
        """The manager for the configuration as it is now."""
        settings = (_copied(app.config.get(name)) for name in (*_OURS, *_FLASKS))
        read = Unshown([*settings, app.secret_key, app.testing, app.debug])
        with self._lock:
            if read != self._read:
                self._manager = SessionManager(self._keyring(app), self._opened_store(app), **_arguments(app))
                self._read = read
            return self._manager

    def _opened_store(self, app: Flask) -> Store:
        """The store, which stays as long as its own setting does: one in memory would lose its sessions."""
        setting = app.config.get("SESSIONWARE_STORE")
        if setting is not None and setting != self._store_setting:
            self._store = _opened(setting) if isinstance(setting, str) else setting
            self._store_setting = setting
        return self._store

    def _keyring(self, app: Flask) -> Keyring:
        secrets = secrets_of(app)
        try:
            return Keyring(secrets)
        except ConfigError as error:
            if not (app.debug or app.testing):
                raise ConfigError(f"SECRET_KEY: {error} In Flask: {_ADVICE}") from None
        if not self._has_warned:
            self._has_warned = True
            _logger.warning("SECRET_KEY will do for debugging and tests only. Elsewhere: %s", _ADVICE)
        return Keyring([hashlib.sha256(f"for debugging: {secret!r}".encode()).hexdigest() for secret in secrets])


def secrets_of(app: Flask) -> Unshown:
    """The secrets, newest first; none if none is set."""
    own = app.config.get("SESSIONWARE_SECRET")
    if own:
        return Unshown(own if isinstance(own, (list, tuple)) else [own])
    return Unshown([app.secret_key, *(app.config.get("SECRET_KEY_FALLBACKS") or ())] if app.secret_key else [])


def _opened(url: str) -> Store:
    try:
        return open_store(url)
    except ConfigError as error:
        raise ConfigError(f"SESSIONWARE_STORE: {error}") from None


def _arguments(app: Flask) -> dict[str, Any]:
    """What `SessionManager` takes besides secret and store."""
    unknown = sorted({name for name in app.config if name.startswith("SESSIONWARE_")} - {*_OURS})
    if unknown:
        raise ConfigError(f"{', '.join(unknown)}: there is no such setting. The settings are {', '.join(_OURS)}.")
    given = {name: app.config.get(f"SESSIONWARE_{name.upper()}") for name in _ARGUMENTS}
    arguments = {name: value for name, value in given.items() if value is not None}
    origins = arguments.get("trusted_origins")
    if isinstance(origins, str):  # as an environment variable gives it
        arguments["trusted_origins"] = origins.split()
    return {"timeouts": _timeouts(app.permanent_session_lifetime), **arguments, "cookie": _cookie(app)}


def _timeouts(permanent: timedelta) -> Timeouts:
    """The usual limits, but a permanent session lives for as long as Flask says: if that gets shorter, old ones too."""
    if permanent < timedelta(seconds=1):
        raise ConfigError(f"PERMANENT_SESSION_LIFETIME={permanent!r}: write at least one second.")
    return Timeouts(remember=permanent, remember_lifetime=max(permanent, timedelta(days=365)))


def _cookie(app: Flask) -> Cookie:
    given: dict[str, Any] = {name: app.config.get(f"SESSION_COOKIE_{name.upper()}") for name in _COOKIE}
    if not given["httponly"]:
        raise ConfigError("SESSION_COOKIE_HTTPONLY=False: leave it out. Only a thief's script wants the cookie.")
    try:
        return Cookie(
            name=given["name"],
            domain=given["domain"].removeprefix(".") if given["domain"] else None,
            path=given["path"] or app.config["APPLICATION_ROOT"],
            secure=bool(given["secure"]) or "auto",  # False is Flask's default, and no wish
            samesite=given["samesite"] or "Lax",
            partitioned=bool(given["partitioned"]),
        )
    except ConfigError as error:
        raise ConfigError(f"SESSION_COOKIE_…, here as the arguments of Cookie(…): {error}") from None


def _copied(setting: object) -> object:
    """A list or set that an application goes on to change in place is not equal to its copy any more."""
    return setting.copy() if isinstance(setting, (list, set)) else setting
