"""Stores: where records live. `base` says what one has to do; each other module here is one."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import ConfigError
from .base import Store, checked_name

__all__ = ["checked_name", "open_existing_store", "open_store"]


def open_store(url: str) -> Store:
    """The store that a URL names: for ini files, environment variables and the command line; code passes objects.

    `memory://` · `sqlite:///sessions.db` (relative) · `sqlite:////var/lib/app/sessions.db` (absolute) ·
    `file:///var/lib/app/sessions` (always absolute). Raises `ConfigError`.
    """
    scheme, path = _parsed(url)
    return _OPENERS[scheme](path)


def open_existing_store(url: str) -> Store:
    """The same, but nothing is made: raises `ConfigError` too where no file or directory is there yet."""
    scheme, path = _parsed(url)
    place = Path(path[1:] if scheme == "sqlite" else path)
    if scheme != "memory" and not place.exists():
        raise ConfigError(f"{url!r}: there is no {str(place)!r}. Look for a misspelt path.")
    return _OPENERS[scheme](path)


def _parsed(url: str) -> tuple[str, str]:
    """Scheme and path."""
    scheme, place, path, query, fragment = urlsplit(url) if isinstance(url, str) else ("", "", "", "", "")
    if scheme not in _OPENERS or place or query or fragment or (scheme == "memory") != (path in ("", "/")):
        raise ConfigError(
            f"{url!r} names no store: write memory://, sqlite:///relative.db, sqlite:////absolute.db or file:///directory."
        )
    return scheme, unquote(path)


# Each is imported only when it is asked for, so that nobody pays for the others.


def _memory(_path: str) -> Store:
    from .memory import MemoryStore

    return MemoryStore()


def _sqlite(path: str) -> Store:
    from .sqlite import SQLiteStore

    return SQLiteStore(path[1:])


def _file(path: str) -> Store:
    from .file import FileStore

    return FileStore(path)


_OPENERS = {"memory": _memory, "sqlite": _sqlite, "file": _file}
