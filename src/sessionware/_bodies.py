"""Bodies that reach the server as they are, because no code of the application runs while it iterates over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._types import Environ

#: Bodies that are complete.
WHOLE = frozenset({list, tuple})

NO_FILES: list[object] = []


def watched_files(environ: Environ, wrapper: Callable[..., object]) -> list[object]:
    """Watch the server's `wsgi.file_wrapper`, and return a list of what it makes from now on.

    Such bodies must reach the server as they are. If the wrapper is a class, its type shows afterwards (`is_file`); if
    it is a function, this is the only way to know.
    """
    made: list[object] = []

    def watched(*args: Any) -> Any:
        made.append(wrapper(*args))
        return made[-1]

    environ["wsgi.file_wrapper"] = watched
    return made


def is_file(body: object, wrapper: object, made: list[object]) -> bool:
    """Whether the server's own `wsgi.file_wrapper` made this body."""
    return (isinstance(wrapper, type) and isinstance(body, wrapper)) or any(body is each for each in made)
