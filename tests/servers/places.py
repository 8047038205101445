"""Databases of each kind, for tests of what has to be true in all of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from sessionware import SQLStore
from sessionware.auth import SQLUsers

KINDS = ["postgresql", "mariadb", "sqlite"]


@dataclass
class Place:
    """An empty database, and what was opened in it."""

    kind: str
    url: str
    execute: Callable[[str], list[tuple[Any, ...]]]
    """Runs a statement as the administrator."""
    server: Any = None
    name: str = ""
    opened: list[Callable[[], object]] = field(default_factory=list)
    """What closes it."""

    def users(self, where: Any = None, **options: Any) -> SQLUsers:
        users = SQLUsers(where or self.url, **options)
        self.opened.append(users.close)
        return users

    def store(self, where: Any = None, **options: Any) -> SQLStore:
        store = SQLStore(where or self.url, **options)
        self.opened.append(store.close)
        return store

    def engine(self, **options: Any) -> sqlalchemy.Engine:
        """An application's own."""
        engine = sqlalchemy.create_engine(self.url, **options)
        self.opened.append(engine.dispose)
        return engine


@contextmanager
def new_place(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    if kind == "sqlite":
        path = folder / "app.db"
        place = Place(kind, f"sqlite+pysqlite:///{path}", lambda sql: _in_file(path, sql))
    else:
        server: Any = request.getfixturevalue("postgres" if kind == "postgresql" else "mariadb")
        name = server.new_database()
        place = Place(kind, server.url(name), lambda sql: list(server.execute(sql, name)), server, name)
    yield place
    for close in place.opened:
        close()


def _in_file(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql).fetchall()
