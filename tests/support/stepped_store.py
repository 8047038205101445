"""A store that lets a test act between any two calls, in all of its namespaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sessionware import Store, StoreUnavailable
from sessionware.testing import FaultyStore

Step = Callable[[str, Callable[[], Any]], Any]
"""Is given a method's name, and what makes the call. What it returns is the answer."""


class SteppedStore(FaultyStore):
    """Hands every call to `step`, which makes it, or does something before it, or does not make it at all."""

    def __init__(self, store: Store, step: Step) -> None:
        super().__init__(store)
        self._step = step

    def namespace(self, name: str) -> SteppedStore:
        return SteppedStore(self.behind.namespace(name), self._step)

    def _call(self, method: str, *arguments: Any) -> Any:
        return self._step(method, lambda: getattr(self.behind, method)(*arguments))


class Outage:
    """Fails at the nth call and at all that follow, the first of them before or after it has done its work."""

    def __init__(self, at: int, *, is_deaf: bool = False) -> None:
        self._at = at
        self._is_deaf = is_deaf
        self.calls = 0

    def __call__(self, method: str, call: Callable[[], Any]) -> Any:
        self.calls += 1
        if self.calls < self._at:
            return call()
        if self.calls == self._at and self._is_deaf:
            call()
        raise StoreUnavailable(f"{method} was told to fail")
