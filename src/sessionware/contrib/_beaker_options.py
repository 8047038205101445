"""What Beaker's options mean here. `sessionware.contrib.beaker` has the sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from sessionware import (
    ConfigError,
    Cookie,
    FileStore,
    Keyring,
    MemoryStore,
    Opened,
    SessionManager,
    Timeouts,
    open_store,
)

_PREFIXES = ("beaker.session.", "session.")
_USED: tuple[str, ...] = (
    *("auto", "cookie_domain", "cookie_expires", "cookie_path", "data_dir", "environ_key", "httponly", "key"),
    *("samesite", "save_accessed_time", "secret", "secure", "store", "timeout", "type", "url", "validate_key"),
    "webtest_varname",
)

#: How Beaker encrypts, packs, locks and logs, and whether TurboGears has sessions. None of that has to be said here.
_NOT_NEEDED: frozenset[str] = frozenset(
    (
        *("crypto_type", "data_serializer", "enabled", "encrypt_key", "encrypt_nonce_bits", "invalidate_corrupt"),
        *("lock_dir", "log_file", "memcache_module", "optimistic", "sa_opts", "schema_name", "table_name"),
    )
)

#: What an option says anyway.
_DEFAULTS = {"key": "beaker.session.id", "environ_key": "beaker.session"}

_FLAGS = {
    **dict.fromkeys(("true", "yes", "on", "t", "y"), True),
    **dict.fromkeys(("false", "no", "off", "f", "n"), False),
}
_FOREVER = 400 * 24 * 3600  # no browser keeps a cookie for longer
_USUAL = Timeouts()


class Options(dict[str, Any]):
    """Options without their prefix, which nobody changes. Their values, among which is the secret, are never shown."""

    def __repr__(self) -> str:
        return f"Options({', '.join(self)})"

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self))


class Site:
    """What the sessions with one set of options share. Raises `ConfigError`."""

    manager: SessionManager
    environ_key: str
    """Where our own session is in the environ. Sessions that are side by side have one each."""
    cookie: Cookie
    timeout: int | None
    remember: int | None
    """How long the cookie outlives the browser; None for not at all."""
    saves_always: bool

    def __init__(self, given: Options) -> None:
        _check_names(given)
        self.timeout = _seconds(given, "timeout")
        if self.timeout is not None and not _flag(given, "save_accessed_time", default=True):
            raise ConfigError("session.timeout counts from the last use: remove session.save_accessed_time = false.")
        self.remember = remembered(given, self.timeout)
        self.saves_always = _flag(given, "auto")
        self.cookie = _cookie(given)
        self.environ_key = f"sessionware.{given['environ_key']}" if "environ_key" in given else "sessionware.session"
        keyring, timeouts = _keyring(given), _timeouts(self.timeout, self.remember)
        self.manager = SessionManager(keyring, _store(given), cookie=self.cookie, timeouts=timeouts)

    def open(self, id: str | None) -> Opened:
        """Open a session by its id, which is a cookie's value, or a new one."""
        opened = self.manager.open(cookie=id)
        if id is None or not opened.session.is_new:
            return opened
        prefix = "__Secure-" if self.cookie.domain or self.cookie.path != "/" else "__Host-"
        secure = {"wsgi.url_scheme": "https", "HTTP_COOKIE": f"{prefix}{self.cookie.name}={id}"}
        return self.manager.open(secure)  # values of Secure cookies are sealed for their own name


_sites: dict[Options, Site] = {}
_lock = Lock()


def site_of(options: Options) -> Site:
    """The site of these options. Libraries hand all of them over at each request, and the store must stay the same.

    Those that say nothing make no other site, because libraries add some of their own.
    """
    given = Options(
        (name, value)
        for name, value in options.items()
        if name not in _NOT_NEEDED and value not in (None, "", _DEFAULTS.get(name))
    )
    with _lock:
        site = _sites.get(given)
        if site is None:
            site = _sites[given] = Site(given)
        return site


def options_of(config: Mapping[str, Any], options: Mapping[str, Any], environ_key: str) -> Options:
    """Those with a prefix, and all that were passed by keyword. If there are none, `config` may hold options alone."""
    found = {_name_of(name): value for name, value in config.items() if name.startswith(_PREFIXES)}
    found |= {_name_of(name): value for name, value in options.items()}
    given = config if not found and config.keys() & {"secret", "validate_key"} else found
    return Options(given, environ_key=environ_key)


def _name_of(name: str) -> str:
    return name.removeprefix("beaker.").removeprefix("session.")


def _check_names(options: Iterable[str]) -> None:
    unknown = sorted(set(options) - set(_USED))
    if unknown:
        raise ConfigError(
            f"session.{', session.'.join(unknown)}: there is no such option, or it has no meaning without Beaker's own "
            f"storage. Correct or remove it. The options are {', '.join(_USED)}."
        )


def _flag(options: Options, name: str, *, default: bool = False) -> bool:
    value = options.get(name, default)
    flag = value if isinstance(value, bool) else _FLAGS.get(str(value).strip().lower())
    if flag is None:
        raise ConfigError(f"session.{name} = {value!r}: write true or false.")
    return flag


def _seconds(options: Options, name: str) -> int | None:
    value = options.get(name)
    if isinstance(value, timedelta):
        value = int(value.total_seconds())
    elif isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise ConfigError(f"session.{name} = {value!r}: write a number of seconds, 1 or more, as in session.{name} = 3600.")


def remembered(options: Options, timeout: int | None) -> int | None:
    """How long the cookie is to outlive the browser, from the last use; None for not at all."""
    value = options.get("cookie_expires", True)
    if isinstance(value, bool) or str(value).strip().lower() in _FLAGS:
        seconds = None if _flag(options, "cookie_expires", default=True) else _FOREVER
    else:
        seconds = _seconds(options, "cookie_expires")
    return seconds if seconds is None or timeout is None else min(seconds, timeout)


def _timeouts(timeout: int | None, remember: int | None) -> Timeouts:
    limits: dict[str, int] = {}
    if timeout is not None:
        limits |= {"idle": timeout, "anonymous": timeout}
        limits |= {name: max(_usual(name), timeout) for name in ("lifetime", "anonymous_lifetime")}
    if remember is not None:
        limits |= {name: max(_usual(name), remember) for name in ("remember", "remember_lifetime")}
    return Timeouts(**limits)


def _usual(name: str) -> int:
    seconds: int = getattr(_USUAL, name)
    return seconds


def _cookie(options: Options) -> Cookie:
    if not _flag(options, "httponly", default=True):
        raise ConfigError("session.httponly = false: the cookie is always HttpOnly. Remove the option.")
    secure, samesite = _flag(options, "secure"), options.get("samesite", "Lax")
    if samesite == "None" and not secure:
        raise ConfigError("session.samesite = None: browsers take only Secure cookies so. Add session.secure = true.")
    return Cookie(
        name=options.get("key", _DEFAULTS["key"]),
        path=options.get("cookie_path", "/"),
        domain=str(options["cookie_domain"]).removeprefix(".") if "cookie_domain" in options else None,
        secure=secure or "auto",
        samesite=samesite,
    )


def _keyring(options: Options) -> Keyring:
    """The secret; or several, one per line and the newest first."""
    name = "secret" if "secret" in options or "validate_key" not in options else "validate_key"
    try:
        return Keyring(_lines(options.get(name, ())))
    except ConfigError as error:
        raise ConfigError(f"session.{name}: {error} In an ini file, write session.{name} = that text.") from None


def _lines(text: Any) -> Any:
    return [line.strip() for line in text.splitlines() if line.strip()] if isinstance(text, str) else text


def _store(options: Options) -> Any:
    """The one that was passed or that a URL names; without one, what is nearest to Beaker's."""
    store = options.get("store")
    if store is not None and not isinstance(store, str):
        return store
    kind = options.get("type") or ("file" if "data_dir" in options else "memory")
    return _opened_store(store, kind, options.get("data_dir"), options.get("url"))


@cache
def _opened_store(store: str | None, kind: str, data_dir: str | None, url: str | None) -> Any:
    if store is not None:
        return open_store(store)
    if kind == "memory":
        return MemoryStore()
    if kind in ("file", "dbm") and data_dir:
        directory = Path(data_dir)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"session.data_dir = {data_dir}: {error.strerror}. Name a directory to write in."
            ) from None
        return FileStore(directory / "sessionware")
    if kind == "ext:database" and str(url).startswith("sqlite:"):
        return open_store(str(url))
    raise ConfigError(
        f"session.type = {kind}: sessions are kept in one of our stores, on the server. Write, for example, "
        "session.store = sqlite:////var/lib/app/sessions.db, or pass store=SQLiteStore(…)."
    )
