"""What `flask.session` is, where `contrib.flask` makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from flask import Flask
from flask.sessions import SessionMixin

from sessionware import Opened, Session

#: Where Flask keeps the messages of `flash`, where our session keeps its own, and the queue of Flask's among those.
_FLASHES, _OUR_FLASHES, _QUEUE = "_flashes", "_flash_", "flask"


class FlaskSession(SessionMixin):
    """The data of `sessionware`, which is our session, with Flask's words for the rest.

    Differences go to our session at once, so that nothing is saved but what a request has changed. There are no more
    public names than needed, because in a template each would hide a key: `session.end` is the data's.
    """

    def __init__(self, opened: Opened) -> None:
        self.sessionware: Session = opened.session
        self._opened = opened
        self._says_modified = self._becomes_permanent = False

    # The mapping

    def __getitem__(self, key: str) -> Any:
        is_flashes = key == _FLASHES and _OUR_FLASHES in self.sessionware
        return self.sessionware.peek_flash(_QUEUE) if is_flashes else self.sessionware[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if key != _FLASHES:
            self.sessionware[key] = value
            return
        before = self.sessionware.peek_flash(_QUEUE)
        if value[: len(before)] != before:
            self.sessionware.pop_flash(_QUEUE)
            before = []
        for message in value[len(before) :]:  # and not the whole list: another request may leave a message meanwhile
            self.sessionware.flash(message, _QUEUE)

    def __delitem__(self, key: str) -> None:
        if key == _FLASHES and _OUR_FLASHES in self.sessionware:
            self.sessionware.pop_flash(_QUEUE)
        else:
            del self.sessionware[key]

    def __iter__(self) -> Iterator[str]:
        return (_FLASHES if key == _OUR_FLASHES else key for key in self.sessionware)

    def __len__(self) -> int:
        return len(self.sessionware)

    def clear(self) -> None:
        """End the session. What is written afterwards begins another one."""
        self.sessionware.invalidate()

    def copy(self) -> dict[str, Any]:
        """The data, in a new plain dict."""
        return dict(self)

    def popitem(self) -> tuple[str, Any]:
        """Remove the key that was set last, and return it with its value. Raises `KeyError` if there is none."""
        for key in reversed(self):
            return key, self.pop(key)
        raise KeyError("popitem(): the session holds no data")

    def __reversed__(self) -> Iterator[str]:
        return iter([*self][::-1])

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**self, **other}

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**other, **self}

    def __ior__(self, other: Any) -> FlaskSession:  # type: ignore[misc]  # unlike `|`, it takes pairs too
        self.update(other)
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        # What copy and pickle ask for. A copy would be the same session, and putting it back would empty that.
        raise TypeError("a session belongs to its request and cannot be copied or pickled: use session.copy(), a dict")

    # Flask's words

    @property
    def new(self) -> bool:  # type: ignore[override]
        """Whether nothing is stored yet."""
        return self.sessionware.is_new

    @property
    def modified(self) -> bool:
        """Whether there are changes. There is no need to set it: changes inside values are noticed."""
        return self._says_modified or self._opened.modified

    @modified.setter
    def modified(self, value: bool) -> None:
        self._says_modified = value

    @property
    def permanent(self) -> bool:
        """Whether it outlives the browser, until nobody has used it for `PERMANENT_SESSION_LIFETIME`."""
        return self._becomes_permanent or bool(self.get("_permanent", False))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        was_permanent, is_unused = self.permanent, self.sessionware.is_new and not self.sessionware
        # Many applications set it before each request. That alone must not store a session for every robot.
        self._becomes_permanent = bool(value) and is_unused
        if value and not is_unused:
            self["_permanent"] = True
        elif was_permanent and not value:
            self.pop("_permanent", None)
            self.sessionware.remember(None)

    def remember_if_permanent(self, app: Flask) -> None:
        """Before it is saved: let our session know."""
        if self._becomes_permanent and (self.sessionware or self.sessionware.username is not None):
            self["_permanent"] = True
        if not self.get("_permanent", False):
            return
        if self.modified:
            self.sessionware.remember(app.permanent_session_lifetime, sliding=True)
        elif not app.config["SESSION_REFRESH_EACH_REQUEST"]:
            self.sessionware.keep_alive = False
