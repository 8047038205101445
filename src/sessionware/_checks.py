"""Arguments of the wrong kind, found when an object is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from .cookie import Cookie
from .errors import ConfigError
from .stores.base import Store, checked_name
from .timeouts import Timeouts

#: Namespaces in namespaces.
_DEEPEST = 64


def implements(value: object, protocol: type) -> bool:
    """Whether this is an object, not a class, with every method and property that the protocol requires.

    `isinstance` would not do: it does not see the methods of a proxy that forwards whatever it is asked for.
    """
    names: frozenset[str] = getattr(protocol, "__abstractmethods__", frozenset())
    return not isinstance(value, type) and all(_has(value, name, protocol) for name in names)


def _has(value: object, name: str, protocol: type) -> bool:
    found = getattr(value, name, None)
    return callable(found) or (found is not None and isinstance(getattr(protocol, name), property))


def shown(value: object) -> str:
    """A wrong argument as an error may show it. Not text: a secret may stand in the wrong place."""
    return f"({type(value).__name__})" if isinstance(value, (str, bytes, list, tuple, dict)) else repr(value)


def takes(function: Callable[..., object], count: int) -> bool:
    """Whether it can be called with so many arguments. One whose parameters Python does not know is believed."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def check_store(store: object) -> None:
    """Raise `ConfigError` unless this is a store."""
    if not implements(store, Store):
        raise ConfigError(
            f'store={shown(store)} is not a store. Pass an object such as SQLiteStore("sessions.db"), or '
            "open_store(url)."
        )
    path = store.path  # type: ignore[attr-defined]
    if not isinstance(path, tuple) or len(path) > _DEEPEST:
        raise ConfigError(f"store={shown(store)}: its path has to be a tuple of the names of its namespaces.")
    for name in path:
        checked_name(name)


def check_settings(*, cookie: object, timeouts: object, cross_origin: object, max_bytes: object) -> None:
    """Raise `ConfigError` for a setting of the wrong kind."""
    if not isinstance(cookie, Cookie):
        raise ConfigError(f'cookie={shown(cookie)}: write cookie=Cookie(name="sid", …).')
    if not isinstance(timeouts, Timeouts):
        raise ConfigError(f"timeouts={shown(timeouts)}: write timeouts=Timeouts(idle=3600, …).")
    if cross_origin not in ("isolate", "allow"):
        raise ConfigError(f'cross_origin={cross_origin!r}: write "isolate" or "allow".')
    if not isinstance(max_bytes, int) or max_bytes < 1024:
        raise ConfigError(f"max_bytes={shown(max_bytes)}: write a number of bytes, at least 1024.")


def check_functions(*, on_event: object, client_address: object, clock: object, passive: object) -> None:
    """Raise `ConfigError` for what cannot be called."""
    if on_event is not None and not callable(on_event):
        raise ConfigError(f"on_event={shown(on_event)}: pass a function that takes an Event.")
    if not callable(client_address):
        raise ConfigError(
            f"client_address={shown(client_address)}: pass a function that takes an environ and returns an address."
        )
    if passive is not None and not callable(passive):
        raise ConfigError(f"passive={shown(passive)}: pass a function that takes an environ and returns True or False.")
    if not callable(clock):
        raise ConfigError(f"clock={shown(clock)}: pass a function that returns seconds, such as time.time.")


def check_environ_key(environ_key: object) -> None:
    """Raise `ConfigError` unless this can be a key of an environ."""
    if not isinstance(environ_key, str) or not environ_key:
        raise ConfigError(f'environ_key={environ_key!r}: write text such as "sessionware.session".')
