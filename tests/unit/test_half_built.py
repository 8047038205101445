"""Objects that are not finished: a debugger shows them while their constructor raises."""

from __future__ import annotations

import dataclasses
import traceback
from typing import Any

import pytest

import sessionware
import sessionware.auth
import sessionware.testing
from sessionware import Cookie, Keyring, MemoryStore, SessionManager, SessionMiddleware, SQLiteStore, Timeouts
from sessionware.auth import Argon2Hasher, Auth, MemoryUsers, PasswordPolicy


def public_classes() -> list[type]:
    """What can be made, of all that the packages offer."""
    packages = (sessionware, sessionware.auth, sessionware.testing)
    found = {
        value for package in packages for name in package.__all__ if isinstance(value := getattr(package, name), type)
    }
    return sorted(
        (cls for cls in found if not getattr(cls, "__abstractmethods__", None)), key=lambda cls: cls.__qualname__
    )


CLASSES = public_classes()


def half_built(cls: Any) -> Any:
    """What there is when the constructor has not done anything yet."""
    if issubclass(cls, tuple):
        return tuple.__new__(cls, [None] * len(cls._fields))
    return cls.__new__(cls)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__qualname__)
def test_every_object_can_be_shown_before_it_is_built(cls: type) -> None:
    """By repr(), which never raises, and names the class."""
    assert cls.__name__ in repr(half_built(cls)) or issubclass(cls, Exception)


@pytest.mark.parametrize(
    "cls", [cls for cls in CLASSES if dataclasses.is_dataclass(cls)], ids=lambda cls: cls.__qualname__
)
def test_settings_and_accounts_can_be_shown_with_one_field_missing(cls: Any) -> None:
    """A constructor sets one after the other."""
    for missing in dataclasses.fields(cls):
        made = half_built(cls)
        for field in dataclasses.fields(cls):
            if field is not missing:
                object.__setattr__(made, field.name, None)

        assert cls.__name__ in repr(made)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Keyring("short"),
        lambda: Cookie(name=""),
        lambda: Timeouts(idle=0),
        lambda: MemoryStore(max_records=0),
        lambda: SQLiteStore("/nowhere/app.db"),
        lambda: SessionManager("short"),
        lambda: SessionMiddleware(None, "short"),  # type: ignore[arg-type]
        lambda: Argon2Hasher(time_cost=0),
        lambda: PasswordPolicy(minimum_length=1),
        lambda: Auth(MemoryUsers(), hasher=None),  # type: ignore[arg-type]
    ],
)
def test_traceback_of_a_constructor_shows_every_local(build: Any) -> None:
    """As error reporters take it, with the objects that are being built."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  (which, is not the question)
        build()

    for frame in traceback.walk_tb(caught.value.__traceback__):
        for value in frame[0].f_locals.values():
            repr(value)
