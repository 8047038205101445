# ruff: noqa: S101  (a part of test suites: it asserts)
"""Threads that begin at the same moment, to test promises about races."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

_PATIENCE = 60  # seconds after which a thread counts as hanging

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def race(call: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """What `call(item)` returns for each item, called at the same moment, each in its own thread."""
    start = threading.Barrier(len(items))
    results: dict[int, _Result] = {}
    errors: list[BaseException] = []

    def run(number: int, item: _Item) -> None:
        try:
            start.wait(_PATIENCE)
            results[number] = call(item)
        except BaseException as error:  # an assertion too: it has to fail the test, not just this thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in enumerate(items)]
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads that take turns every 5 ms would hardly ever meet in a store in memory
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_PATIENCE)
    finally:
        sys.setswitchinterval(usual)
    if errors:
        raise errors[0]
    assert len(results) == len(items), f"a thread is still waiting after {_PATIENCE} seconds"
    return [results[number] for number in range(len(items))]


@contextmanager
def raises(expected: type[BaseException]) -> Iterator[None]:
    """The block must raise this."""
    try:
        yield
    except expected:
        return
    raise AssertionError(f"{expected.__name__} was not raised")
