"""Secrets, passwords and their hashes, kept out of what debuggers and error reporters show of a frame."""

from __future__ import annotations

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
