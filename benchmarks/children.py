"""Work in a process of its own, so that nothing measured before it is in its memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns, called in a fresh Python."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()
