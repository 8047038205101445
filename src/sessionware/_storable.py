"""What will be stored, checked where it is given. Later, the mistake would cost the request's other changes."""

from __future__ import annotations

from collections.abc import Sequence

#: What a session's header has room for.
MAX_METHODS = 8
_MAX_METHOD_CHARACTERS = 32


def checked_text(value: object, name: str = "this") -> str:
    """The text, as plain `str`. Raises `TypeError` for anything else, and `ValueError` for a lone surrogate."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, not {type(value).__name__}")
    text = str.__str__(value)  # a subclass may say something else by str()
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name} has a lone surrogate, which no encoding can write") from None
    return text


def checked_id(value: object, name: str) -> str:
    """The text, which must not be empty: everybody whose id is empty would be one person."""
    if not (text := checked_text(value, name)):
        raise ValueError(f"{name} must not be empty; leave it out where there is none")
    return text


def checked_version(value: object) -> int | None:
    """A session version, or None. Raises `TypeError`, and `ValueError` for a number of more than 64 bits."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"session_version must be a whole number, not {type(value).__name__}")
    if not -(2**63) <= value < 2**63:
        raise ValueError("session_version must fit into 64 bits")
    return int(value)


def checked_methods(methods: Sequence[str]) -> tuple[str, ...]:
    """How somebody proved who it is. Raises `TypeError`, and `ValueError` for a name that is empty or long."""
    if isinstance(methods, (str, bytes)):
        raise TypeError('methods must be several names: write methods=("password",), with the comma')
    names = tuple(dict.fromkeys(checked_id(name, "a method") for name in methods))
    if len(names) > MAX_METHODS or any(len(name) > _MAX_METHOD_CHARACTERS for name in names):
        raise ValueError(f"at most {MAX_METHODS} methods, each a name of at most {_MAX_METHOD_CHARACTERS} characters")
    return names
