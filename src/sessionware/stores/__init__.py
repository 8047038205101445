"""Stores: where records live. `base` says what a store must do, and every other public module here is one."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import ConfigError
from .base import Store

__all__ = ["open_store"]


def open_store(url: str) -> Store:
    """The store that a URL names, for ini files, environment variables and the command line. Code passes objects.

    `memory://` · `sqlite:///sessions.db` (relative) · `sqlite:////var/lib/app/sessions.db` (absolute) ·
    `file:///var/lib/app/sessions` (always absolute). Raises `ConfigError`.
    """
    scheme, path = _parsed(url)
    return _OPENERS[scheme](path)


def open_existing_store(url: str) -> Store:
    """The same, but nothing is created: also raises `ConfigError` if there is no file or directory yet."""
    scheme, path = _parsed(url)
    place = Path(path[1:] if scheme == "sqlite" else path)
    if scheme != "memory" and not place.exists():
        raise ConfigError(f"{url!r}: {str(place)!r} does not exist. Check the spelling of the path.")
    return _OPENERS[scheme](path)


def _parsed(url: str) -> tuple[str, str]:
    """Scheme and path."""
    try:
        scheme, place, path, query, fragment = urlsplit(url) if isinstance(url, str) else ("", "", "", "", "")
    except ValueError:
        scheme, place, path, query, fragment = "", "", "", "", ""
    path = unquote(path)
    if (
        scheme not in _OPENERS
        or place
        or query
        or fragment
        or "\0" in path
        or (scheme == "memory") != (path in ("", "/"))
    ):
        raise ConfigError(
            f"{_shown(url)} does not name a store: write memory://, sqlite:///relative.db, sqlite:////absolute.db or file:///directory."
        )
    return scheme, path


def _shown(url: object) -> str:
    """The URL as an error may show it: without the part in which a password may stand."""
    return re.sub(r"//[^/]*@", "//…@", repr(url))


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
