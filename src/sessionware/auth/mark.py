"""Whether a request asked for a login in vain. `Auth` leaves the mark, and `AuthPages` looks for it.

Frameworks make a response with status 500 of an exception that they do not know, so `NotLoggedIn` itself may never
reach `AuthPages`.
"""

from __future__ import annotations

from .._types import Environ


class LoginMark:
    """An object of its own and not a value in the environ, because frameworks may copy the environ, or empty it."""

    __slots__ = ("is_set",)

    def __init__(self) -> None:
        self.is_set: bool = False


def set_mark(environ: Environ, key: str, is_set: bool) -> None:
    """Set the mark or take it back. Without `AuthPages` there is none, and nobody to look for it."""
    mark = environ.get(key)
    if isinstance(mark, LoginMark):
        mark.is_set = is_set
