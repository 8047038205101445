"""Debuggers and error reporters ask for a repr at any time, even of an object whose constructor has just raised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_Class = TypeVar("_Class", bound=type)


def shown_half_built(cls: _Class) -> _Class:
    """Let `repr()` of the class say "half built" where an attribute is missing, instead of raising."""
    whole: Callable[[Any], str] = vars(cls)["__repr__"]

    def __repr__(self: Any) -> str:
        try:
            return whole(self)
        except AttributeError:
            return f"<{type(self).__name__}, half built>"

    __repr__.__doc__ = whole.__doc__
    cls.__repr__ = __repr__  # type: ignore[assignment]
    return cls
