"""What one request did to a session's data, kept per key, so that it can be done again on fresher data.

Two requests that run at the same time both load the session. The one that saves second finds its base out of date.
`Changes.rebase` applies what this request did, and only that, to whatever is stored now, so no write is lost.

An error report shows the variables of every frame. Where a function of the application is called, and may fail, no
frame here keeps a session's values in plain variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..errors import NotStorable
from .envelope import Envelope
from .values import IMMUTABLE, Data, decode, encode


class Missing:
    """No value, and no default either."""

    def __repr__(self) -> str:
        return "MISSING"


class Removed:
    """What a function given to `modify` returns to delete the key."""

    def __repr__(self) -> str:
        return "REMOVED"


#: How many former values are watched, the latest ones: a stream of events may save for hours.
MOST_FORMER = 100

MISSING = Missing()
REMOVED = Removed()


class Step:
    """One step of a `modify`, from bytes to bytes, so that each run gets its own value to change as it likes."""

    def __init__(self, key: str, fn: Callable[[Any], Any], default: object) -> None:
        self._key = key
        self._fn = fn
        self._default = None if isinstance(default, Missing) else _encode(key, default)

    def run(self, current: bytes | None) -> bytes | None:
        """What the key holds after this step."""
        before = self._default if current is None else current
        if before is None:
            return None
        try:
            after = self._fn(decode(before))
        except BaseException:
            current = before = None  # hidden from error reports
            raise
        return None if isinstance(after, Removed) else _encode(self._key, after)


Steps = tuple[Step, ...]

Change = bytes | None | Steps
"""What was done to a key: set to these bytes, whatever it held before; removed; or computed, by steps in order."""

InHand = tuple[str, Any, "bytes | None"]
"""A value that the application may still hold: its key, the value, and how it was last seen encoded."""


class Changes:
    """The data as one request sees it, over the base that it loaded."""

    __slots__ = ("_base", "_by_key", "_cleared", "_former", "_now", "_objects", "_overwritten", "_unstorable")

    def __init__(self, base: Data) -> None:
        self._base = self._now = base
        self._by_key: dict[str, Change] = {}
        self._cleared = False
        self._objects: dict[str, Any] = {}
        self._former: list[InHand] = []
        self._overwritten: tuple[str, ...] = ()
        self._unstorable: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[str]:
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)

    def __contains__(self, key: object) -> bool:
        return key in self._now

    def get(self, key: Any, default: Any = None) -> Any:
        """The value, the same object each time, so that changes inside it are noticed."""
        if key in self._objects:
            return self._objects[key]
        encoded = self._now.get(key)
        if encoded is None:
            return default
        value = self._objects[key] = decode(encoded)
        return value

    def set(self, key: str, value: object) -> None:
        """Set the key to this value. One that equals the base's, byte for byte, changes nothing."""
        self._put(key, _encode(key, value))
        self._let_go(key)
        self._objects[key] = value

    def delete(self, key: object) -> None:
        """Remove the key. Raises `KeyError`, also for what cannot be a key."""
        if not isinstance(key, str) or key not in self._now:
            raise KeyError(key)
        self._remove(key)
        self._let_go(key)

    def modify(self, key: str, fn: Callable[[Any], Any], default: object = MISSING) -> Any:
        """Set the key to `fn(current value)`, computed again if the value has changed by the time this is saved.

        Without a default, a missing key is a `KeyError` now; one that another request removes meanwhile stays removed.
        """
        self._notice(key)
        step = Step(key, fn, default)
        if isinstance(default, Missing) and key not in self._now:
            raise KeyError(key)
        after = step.run(self._now.get(key))
        change = self._by_key.get(key, ())
        if isinstance(change, tuple) and (change or not self._cleared):
            self._see(key, after)
            self._by_key[key] = (*change, step)
        elif after is None:
            self._remove(key)
        else:
            self._put(key, after)
        self._objects.pop(key, None)
        self._let_go(key)
        return None if after is None else self.get(key)

    def clear(self) -> None:
        """Remove every key, including those that another request may add before this one is saved."""
        self._cleared = True
        self._now = {}
        self._by_key = {}
        self._objects = {}
        self._former = []

    def collect(self) -> bool:
        """Notice changes inside the values that were handed out. Raises `TypeError`, once it has noticed all others.

        True if the data differs from what was loaded, or if keys that others may add must be removed.
        """
        failure: TypeError | None = None
        self._unstorable = ()
        for key in list(self._objects):  # a thread of the application may still be reading
            try:
                self._notice(key)
            except TypeError as error:
                self._unstorable, failure = (*self._unstorable, key), failure or error
        for former in list(self._former):
            try:
                self._notice_former(former)
            except TypeError as error:
                self._unstorable, failure = (*self._unstorable, former[0]), failure or error
        if failure is not None:
            raise failure
        return self._cleared or (self._now is not self._base and self._now != self._base)

    @property
    def base(self) -> Data:
        """The data that was loaded."""
        return self._base

    @property
    def changed_keys(self) -> tuple[str, ...]:
        """The names of the keys that were changed, for events."""
        lost = tuple(self._base) if self._cleared else ()
        return tuple(dict.fromkeys((*self._by_key, *lost, *self._unstorable)))

    def rebase(self, fresh: Envelope, *, is_joining: bool = False) -> tuple[Envelope, tuple[str, ...]]:
        """The `fresh` envelope with these changes, and the keys where they replaced what another request wrote.

        Functions given to `modify` run again if its data is not the base. `clear` removes every key or, if a login
        `is_joining` another one's session, those that were loaded.
        """
        if fresh.data is self._base:
            return fresh.with_data(self._now), self._overwritten
        data, overwritten = self._rebased(fresh.data, is_joining=is_joining)
        return fresh.with_data(data), overwritten

    def _rebased(self, fresh: Data, *, is_joining: bool) -> tuple[Data, tuple[str, ...]]:
        data = dict(fresh)
        if self._cleared:
            for key in self._base if is_joining else fresh:
                data.pop(key, None)
        try:
            for key, change in self._by_key.items():
                _put_into(data, key, _run(change, data.get(key)) if isinstance(change, tuple) else change)
        except BaseException:  # from a function of the application
            fresh = data = {}  # hidden from error reports
            raise
        blind = tuple(key for key in self._blind_keys(fresh) if self._overwrites(key, fresh, data))
        return data, (*blind, *(key for key in self._overwritten if key not in blind))

    def settle(self, saved: Data) -> None:
        """Continue from what was saved. Objects that were handed out stay in use, unless saving changed their value.

        Those are still watched, because whoever holds one may go on changing it.
        """
        if saved is not self._now:
            kept = {key: value for key, value in self._objects.items() if saved.get(key) == self._now.get(key)}
            dropped = [each for each in self._handed_out() if each[0] not in kept]
            self._former = [*self._former, *dropped][-MOST_FORMER:]
            self._objects = kept
        self._base = self._now = saved
        self._by_key = {}
        self._overwritten = ()
        self._cleared = False

    def watch(self, dropped: Changes) -> None:
        """Notice changes inside the values of those that were dropped, although the session does not show them."""
        self._former = [*dropped._former, *dropped._handed_out()]

    def let_go_of_all(self) -> None:
        """Watch no former values any more."""
        self._former = []

    def _handed_out(self) -> list[InHand]:
        return [
            (key, value, self._now.get(key)) for key, value in self._objects.items() if type(value) not in IMMUTABLE
        ]

    def _notice_former(self, former: InHand) -> None:
        """Write what was changed inside a former value over what another request has put in its place."""
        key = former[0]
        encoded = _encode(key, former[1])
        if encoded == former[2]:
            return
        others = [each for each in self._former if each is not former]
        self._former = others + [each for each in self._handed_out() if each[0] == key]
        if self._now.get(key) != encoded:
            self._overwritten = (*self._overwritten, key)
        self._put(key, encoded)
        self._objects[key] = former[1]

    def _let_go(self, key: str) -> None:
        """The application has replaced or removed the key itself, so it means none of the former values."""
        if self._former:
            self._former = [each for each in self._former if each[0] != key]

    def _blind_keys(self, fresh: Data) -> list[str]:
        """Keys that were changed without regard to the value that is there now: set, deleted, cleared."""
        blind = [key for key, change in self._by_key.items() if not isinstance(change, tuple)]
        return [*blind, *(key for key in fresh if key not in self._by_key)] if self._cleared else blind

    def _overwrites(self, key: str, fresh: Data, data: Data) -> bool:
        return fresh.get(key) not in (self._base.get(key), data.get(key))

    def _notice(self, key: str) -> None:
        if type(self._objects.get(key)) not in IMMUTABLE:
            encoded = _encode(key, self._objects[key])
            if encoded != self._now.get(key):
                self._put(key, encoded)

    def _put(self, key: str, encoded: bytes) -> None:
        self._see(key, encoded)
        if encoded == self._base.get(key) and not self._cleared:
            self._by_key.pop(key, None)
        else:
            self._by_key[key] = encoded

    def _remove(self, key: str) -> None:
        self._see(key, None)
        self._objects.pop(key, None)
        if key in self._base and not self._cleared:
            self._by_key[key] = None
        else:
            self._by_key.pop(key, None)

    def _see(self, key: str, encoded: bytes | None) -> None:
        """Show the value from now on. The base is copied at the first change, because most requests make none."""
        if self._now is self._base:
            self._now = dict(self._base)
        _put_into(self._now, key, encoded)


def _encode(key: str, value: object) -> bytes:
    try:
        return encode(value)
    except NotStorable as error:
        value = None  # hidden from error reports
        raise TypeError(f"session[{key!r}] cannot hold {error}") from None


def _run(steps: Steps, current: bytes | None) -> bytes | None:
    try:
        for step in steps:
            current = step.run(current)
    except BaseException:
        current = None  # hidden from error reports
        raise
    return current


def _put_into(data: Data, key: str, encoded: bytes | None) -> None:
    if encoded is None:
        data.pop(key, None)
    else:
        data[key] = encoded
