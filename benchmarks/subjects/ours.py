"""sessionware, with each of its stores and nothing else set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from sessionware import FileStore, MemoryStore, SessionMiddleware, SQLiteStore, Store, get_session

from .base import BARE, PLENTY, SECRET, App, Pages, Subject, wsgi_app

STORES: dict[Literal["memory", "file", "sqlite"], Callable[[Path], Store]] = {
    "memory": lambda _directory: MemoryStore(max_records=PLENTY),
    "file": lambda directory: FileStore(directory / "sessions"),
    "sqlite": lambda directory: SQLiteStore(directory / "sessions.db"),
}


def _log_in(session: Any, name: str) -> None:
    session.username = name


def _user(session: Any) -> str:
    return str(session.username)


def application(store: Store, **settings: Any) -> SessionMiddleware:
    """The pages with sessions in this store."""
    pages = Pages(get_session, log_in=_log_in, user=_user)
    return SessionMiddleware(wsgi_app(pages), SECRET, store, **settings)


def _builder(make: Callable[[Path], Store]) -> Callable[[Path], App]:
    return lambda directory: application(make(directory))


SUBJECTS = [
    BARE,
    *(
        Subject(f"sessionware-{store}", store, "ours", _builder(make), skips=frozenset())
        for store, make in STORES.items()
    ),
]
