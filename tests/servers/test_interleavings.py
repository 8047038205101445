"""The scenarios of overlapping requests, on real servers.

The checker's store is a value, so that it can go back to any moment. What the scenarios do to it, in all orders
together, is some hundred different calls on some hundred different contents. A store that answers each of them as that
value does, and holds the same afterwards, ends every order as the checker saw it end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sessionware import FileStore, MemoryStore, Record, RedisStore, SQLiteStore, SQLStore, Store
from sessionware.testing import SCENARIOS, explore
from sessionware.testing.interleaving.world import Call, World
from tests.servers.matrix import IS_WHOLE

#: What of a world's calls goes to the store. Others go to the table of accounts.
METHODS = {"create", "load", "replace", "touch", "delete", "owned_by", "scan"}


KINDS = [
    *("memory", "sqlite", "file", "sqlalchemy", "postgresql", "mariadb", "redis"),
    *(["valkey", "cluster"] if IS_WHOLE else []),
]


class Step(NamedTuple):
    """One call: what is stored before it, what it answers, and what is stored after it."""

    before: frozenset[Record]
    call: Call
    answer: Any
    after: frozenset[Record]


@cache
def all_steps() -> list[Step]:
    """Each different call that any order of any scenario makes."""
    steps: dict[tuple[frozenset[Record], Call], Step] = {}
    unwatched = World.after

    def watched(world: World, call: Call) -> tuple[Any, World]:
        answer, after = unwatched(world, call)
        is_of_accounts = call.arguments and isinstance(call.arguments[0], str)
        if call.name in METHODS and not call.namespace and not is_of_accounts:
            step = Step(world.records, call, answer, after.records)
            steps[world.records, call] = step
        return answer, after

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(World, "after", watched)
        for scenario in SCENARIOS:
            explore(scenario)
    return list(steps.values())


@pytest.fixture
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """How to open an empty store of each kind."""
    with ExitStack() as stack:

        def closed(store: Any) -> Store:
            stack.callback(store.close)
            return store  # type: ignore[no-any-return]

        def on(server: str) -> Any:
            return request.getfixturevalue(server)

        yield {
            "memory": MemoryStore,
            "sqlite": lambda: closed(SQLiteStore(tmp_path / "app.db")),
            "file": lambda: FileStore(tmp_path / "sessions"),
            "sqlalchemy": lambda: closed(SQLStore(f"sqlite+pysqlite:///{tmp_path / 'sql.db'}")),
            "postgresql": lambda: closed(SQLStore(on("postgres").url(on("postgres").new_database()))),
            "mariadb": lambda: closed(SQLStore(on("mariadb").url(on("mariadb").new_database()))),
            "redis": lambda: closed(RedisStore(on("redis_server").url).namespace("orders")),
            "valkey": lambda: closed(RedisStore(on("valkey").url).namespace("orders")),
            "cluster": lambda: closed(RedisStore(on("redis_cluster").url).namespace("orders")),
        }


@pytest.mark.parametrize("kind", KINDS)
def test_every_order_ends_on_a_server_as_the_checker_saw_it(kind: str, places: dict[str, Any]) -> None:
    """Each call of each scenario, on what is stored at that moment, has the answer and the effect of the model."""
    store = places[kind]()
    has: dict[bytes, Record] = {record.id: record for record in store.scan()}

    for before, call, answer, after in all_steps():
        bring(store, has, before)
        got = getattr(store, call.name)(*call.arguments)

        assert (tuple(got) if isinstance(got, list) else got) == answer, f"{call} on {sorted(before)}"
        has = {record.id: record for record in store.scan()}
        assert frozenset(has.values()) == after, f"{call} on {sorted(before)}"


def bring(store: Store, has: dict[bytes, Record], wanted: frozenset[Record]) -> None:
    """Let the store hold this and nothing else."""
    for record in has.values():
        if record not in wanted:
            store.delete(record.id)
    for record in wanted:
        if has.get(record.id) != record:
            assert store.create(record)


def test_there_is_something_to_try() -> None:
    """The calls come from all scenarios, and each of the methods that requests use is among them."""
    assert len(all_steps()) > 500
    assert {step.call.name for step in all_steps()} >= METHODS - {"scan"}
