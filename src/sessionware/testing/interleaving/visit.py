"""What a request of the checker's has in hand, and how it says what it does, for the invariants to hold it to."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from ..._request import get_session
from ...auth.auth import Auth
from ...session import Session
from .site import Deed, auth_of, users_of

NOBODY = "-"


class Mark(NamedTuple):
    """Who wrote a value: each value that a request writes says so itself."""

    request: str
    user_id: str
    """Whose session it was; `NOBODY` for a visitor's."""
    browser: str
    number: str
    """One request may write several values."""


@lru_cache(maxsize=10_000)
def mark_of(value: str) -> Mark | None:
    """The mark that a value is."""
    parts = value.split("|")
    return Mark(*parts) if len(parts) == len(Mark._fields) else None


def marks_in(value: object) -> list[Mark]:
    """All marks in a value, however deep."""
    if isinstance(value, str):
        mark = mark_of(value)
        return [] if mark is None else [mark]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [mark for each in inside for mark in marks_in(each)]


class Visit:
    """One request's session and what goes with it."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.session: Session = get_session(environ)
        self.auth: Auth = auth_of(environ)
        self.users: Any = users_of(environ)
        self._deeds: list[Deed] = environ["testing.deeds"]
        self._seconds: Callable[[], int] = environ["testing.seconds"]
        self._kept: dict[tuple[str, str], str] = environ["testing.kept"]
        self._browser: str = environ["testing.request"].browser

    def says(self, what: str, about: str = "", value: Any = None) -> None:
        """Note what the request does, or sees. What may be refused is noted once it is done."""
        self._deeds.append(Deed(what, about, value, self.session.id, self._who(), self._seconds()))

    def mark(self) -> str:
        """A value that says who wrote it."""
        request = self.environ["testing.request"]
        return "|".join((request.name, self._who() or NOBODY, request.browser, str(len(self._deeds))))

    def _who(self) -> str | None:
        """Ids, because people may get another name."""
        return self.session.user_id or self.session.username

    def keeps(self, what: str, value: str) -> None:
        """Remember something for requests that come later, such as a form. Of those that overlap, none does."""
        self._kept[self._browser, what] = value

    def kept(self, what: str) -> str | None:
        """What a request of this browser has kept before."""
        return self._kept.get((self._browser, what))

    def sees(self) -> None:
        """Note all that the session shows."""
        self.says("sees", value=self.session.copy())
