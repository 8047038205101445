"""The limit of sessions per account on real stores: ten logins at once, many times, and three sessions are left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sessionware import FileStore, MemoryStore, RedisStore, SQLiteStore, SQLStore, Store
from tests.servers.matrix import IS_WHOLE
from tests.support.parallel_logins import LIMIT, LOGINS, rounds

COUNT = 200 if IS_WHOLE else 5

Opened = Callable[[], Store]


@pytest.fixture
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Opened]]:
    """How to open an empty store of each kind."""
    with ExitStack() as stack:

        def closed(store: Any) -> Store:
            stack.callback(store.close)
            return store  # type: ignore[no-any-return]

        def on(server: str) -> Any:
            return request.getfixturevalue(server)

        yield {
            "memory": MemoryStore,
            "file": lambda: FileStore(tmp_path / "sessions"),
            "sqlite": lambda: closed(SQLiteStore(tmp_path / "app.db")),
            "postgresql": lambda: closed(SQLStore(on("postgres").url(on("postgres").new_database()))),
            "mariadb": lambda: closed(SQLStore(on("mariadb").url(on("mariadb").new_database()))),
            "redis": lambda: closed(RedisStore(on("redis_server").url)),
        }


@pytest.mark.parametrize("when_full", ["end_oldest", "refuse"])
@pytest.mark.parametrize("kind", ["memory", "file", "sqlite", "postgresql", "mariadb", "redis"])
def test_ten_logins_at_once_leave_three_sessions(kind: str, when_full: str, stores: dict[str, Opened]) -> None:
    """No more, and no fewer; and whoever was let in is logged in, or is told that there were too many."""
    results = rounds(stores[kind](), when_full, COUNT)

    assert {(result.alive, result.unexplained) for result in results} == {(LIMIT, 0)}
    assert all(result.let_in == LOGINS for result in results) == (when_full == "end_oldest")
