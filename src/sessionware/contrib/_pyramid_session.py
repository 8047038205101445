"""What `request.session` is in Pyramid."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from pyramid.interfaces import ISession
from zope.interface import implementer

from sessionware import Session

if TYPE_CHECKING:
    from typing_extensions import Self


@implementer(ISession)
class PyramidSession(MutableMapping[str, Any]):
    """A dict with the methods of Pyramid's `ISession`. Its `sessionware` is our own `Session`, which can do more."""

    __slots__ = ("__weakref__", "sessionware")

    def __init__(self, session: Session) -> None:
        self.sessionware: Session = session

    def __getitem__(self, k: str) -> Any:
        return self.sessionware[k]

    def __setitem__(self, k: str, value: Any) -> None:
        self.sessionware[k] = value

    def __delitem__(self, k: str) -> None:
        del self.sessionware[k]

    def __iter__(self) -> Iterator[str]:
        return iter(self.sessionware)

    def __len__(self) -> int:
        return len(self.sessionware)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self.sessionware)

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return self.sessionware | other

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return other | self.sessionware

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc]  # unlike `|`, it takes pairs too
        self.update(other)
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.sessionware.__reduce_ex__(protocol)  # which refuses, because a copy would be the same session

    def copy(self) -> dict[str, Any]:
        """The data, in a new plain dict."""
        return self.sessionware.copy()

    def popitem(self) -> tuple[str, Any]:
        """Remove the key that was set last, and return it with its value. Raises `KeyError` if there is none."""
        return self.sessionware.popitem()

    @staticmethod
    def fromkeys(keys: Iterable[str], value: Any = None) -> dict[str, Any]:
        """A plain dict with these keys, as `dict.fromkeys` makes it."""
        return dict.fromkeys(keys, value)

    def clear(self) -> None:
        """Drop all data, and log out if somebody is logged in."""
        self.sessionware.clear()

    @property
    def created(self) -> int:
        """When it was first stored, in seconds since the epoch; now, if it is new."""
        return self.sessionware.created_at or int(time.time())

    @property
    def new(self) -> bool:
        """Whether nothing is stored yet."""
        return self.sessionware.is_new

    def invalidate(self) -> None:
        """End the session now. Writing afterwards starts a new one."""
        self.sessionware.invalidate()

    def changed(self) -> None:
        """Nothing: changes inside values are noticed without it."""

    def flash(self, msg: Any, queue: str = "", allow_duplicate: bool = True) -> None:
        """Leave a message for the next page that asks for it."""
        if allow_duplicate or msg not in self.peek_flash(queue):
            self.sessionware.flash(msg, queue)

    def pop_flash(self, queue: str = "") -> list[Any]:
        """The messages of the queue, which are then removed."""
        return self.sessionware.pop_flash(queue)

    def peek_flash(self, queue: str = "") -> list[Any]:
        """The messages of the queue. They stay."""
        return self.sessionware.peek_flash(queue)

    def new_csrf_token(self) -> str:
        """Give the session another token for forms, and return it. Forms made until now are refused."""
        self.sessionware.renew_csrf()
        return self.get_csrf_token()

    def get_csrf_token(self) -> str:
        """The session's token for forms. Reading it stores the session, so that it is the same when it is compared."""
        if self.new:
            self.sessionware.commit()
        # From another site, or with a replaced cookie, there is only the visitor's, which anybody can get and compare.
        return secrets.token_urlsafe() if self.new else self.sessionware.csrf_token
