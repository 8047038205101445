"""What a request asked for in vain: a login, or another proof of it. `Auth` leaves the mark, and `AuthPages` looks.

Frameworks make a response with status 500 of an exception that they do not know, so `NotLoggedIn` and `NotFresh` may
never reach `AuthPages` themselves.
"""

from __future__ import annotations

from .._types import Environ
from ..errors import NotFresh, NotLoggedIn

Refusal = NotLoggedIn | NotFresh


class LoginMark:
    """An object of its own and not a value in the environ, because frameworks may copy the environ, or empty it."""

    __slots__ = ("refusal",)

    def __init__(self) -> None:
        self.refusal: Refusal | None = None
        """Like the error that was raised, and not the same one, which holds on to the frames that it went through."""


def set_mark(environ: Environ, key: str, refusal: Refusal | None) -> None:
    """Set the mark or, with None, take it back. Without `AuthPages` there is none, and nobody to look for it."""
    mark = environ.get(key)
    if isinstance(mark, LoginMark):
        mark.refusal = refusal
