"""Secrets, passwords and their hashes, kept out of what debuggers and error reporters show of a frame."""

from __future__ import annotations

from collections.abc import Iterator
from traceback import extract_tb
from typing import Generic, TypeVar

T = TypeVar("T")


class Hidden(Generic[T]):
    """A secret or a password on its way through the library: a local of this kind shows nothing in a traceback.

    Whatever has one as an argument begins with `typed = Hidden(password)` and `del password`. From there on it is
    passed as `typed`, and `typed.value` is never given a name.
    """

    __slots__: tuple[str, ...] = ("value",)

    def __init__(self, value: T) -> None:
        self.value: T = value

    def __repr__(self) -> str:
        return "<hidden>"


class HiddenText(str):
    """The same for text that goes on to other people's code, such as tables of accounts: it is text like any other."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"


class HiddenBytes(bytes):
    """The same for bytes, which is what some tables keep text as."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"


def raised_where(error: BaseException) -> str:
    """What an application's function raised, and where. Not the message, which may quote what it was given."""
    place = extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {place.name}, line {place.lineno}"


def without_frames(error: BaseException) -> list[BaseException]:
    """Take the frames off an error and off all that led to it, and return those: a driver's frames show passwords."""
    found = list(_chain(error))
    for each in found:
        each.__traceback__ = None
    return found


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__]
