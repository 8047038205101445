"""Stores: where records live. `base` says what a store must do, and every other public module here is one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote

from ..errors import ConfigError
from .base import Store

__all__ = ["open_store"]


def open_store(url: str) -> Store:
    """The store that a URL names, for ini files, environment variables and the command line. Code passes objects.

    `memory://` · `sqlite:///sessions.db` (relative) · `sqlite:////var/lib/app/sessions.db` (absolute) ·
    `file:///var/lib/app/sessions` (always absolute). In a path, `%3F`, `%23` and `%25` stand for `?`, `#` and `%`.
    Raises `ConfigError`.
    """
    kind, path = _parsed(url)
    return kind.open(path)


def open_existing_store(url: str) -> Store:
    """The same, but nothing is created: also raises `ConfigError` if there is no store yet."""
    kind, path = _parsed(url)
    kind.check_exists(path)
    return kind.open(path)


# Each is imported only when it is asked for, so that nobody pays for the others.


def _memory(_path: str) -> Store:
    from .memory import MemoryStore

    return MemoryStore()


def _sqlite(path: str) -> Store:
    from .sqlite import SQLiteStore

    return SQLiteStore(path)


def _check_sqlite(path: str) -> None:
    from .sqlite import check_exists

    check_exists(path)


def _file(path: str) -> Store:
    from .file import FileStore

    return FileStore(path)


def _check_file(path: str) -> None:
    from .file import check_exists

    check_exists(path)


class _Kind(NamedTuple):
    """What a scheme stands for."""

    rest: re.Pattern[str]
    """What may come behind the colon. Its group is the path, still with escapes."""
    open: Callable[[str], Store]
    check_exists: Callable[[str], None]


_KINDS = {
    "memory": _Kind(re.compile(r"//()"), _memory, lambda _path: None),
    "sqlite": _Kind(re.compile(r"///(.*[^/])(?<!/\.)"), _sqlite, _check_sqlite),
    "file": _Kind(re.compile(r"//(/[^/].*)"), _file, _check_file),
}

#: A path as a URL may have it. A backslash is meant for a slash, and an escaped slash for none: neither is guessed at.
_PATH = re.compile(r"(?:[^%?#\\]|%(?!2[Ff])[0-9A-Fa-f]{2})*")


def _parsed(url: object) -> tuple[_Kind, str]:
    """What the URL stands for, and the path exactly as it says. Not by `urlsplit`, which mends what is wrong."""
    scheme, _, rest = url.partition(":") if isinstance(url, str) else ("", "", "")
    kind = _KINDS.get(scheme.lower())
    found = kind and kind.rest.fullmatch(rest)
    path = _unescaped(found[1]) if found else None
    if kind is None or path is None:
        raise ConfigError(
            f"{_shown(url)} does not name a store: write memory://, sqlite:///relative.db, sqlite:////absolute.db or "
            "file:///directory. In a path, write %3F, %23 and %25 for ?, # and %."
        )
    return kind, path


def _unescaped(path: str) -> str | None:
    """The path, or None if anything in it could be meant in another way."""
    if not _PATH.fullmatch(path) or path != path.strip():
        return None
    try:
        text = unquote(path, errors="strict")
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def _shown(url: object) -> str:
    """The URL as an error may show it: without the parts in which a password may stand, or all of what is no URL."""
    if not isinstance(url, str) or "://" not in url:
        return f"({type(url).__name__})"
    return repr(re.sub(r"\?.*", "?…", re.sub(r"//[^/]*@", "//…@", url)))
