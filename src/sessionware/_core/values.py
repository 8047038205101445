"""Values as bytes: what a session can hold, encoded by msgpack. What goes in comes out equal and of the same type.

None, bool, int, float, str, bytes, list and dict are msgpack's own. tuple, set, datetime, date, Decimal, UUID and
integers over 64 bits are extension types, and so is markup: text that says by `__html__` that it is HTML. Other
subclasses come back as their base type, bytearray and memoryview as bytes. Anything else is a `TypeError` that names
the type. Never pickle: anyone who can write to a store that is read by pickle can run code in the server.

The same value gives the same bytes, so bytes serve as a value's fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from msgpack import ExtType, Packer, unpackb

from .._markup import is_markup, markup
from ..errors import NotStorable

Data = dict[str, bytes]
"""A session's data: each key with its value's own encoded bytes. Shared, so it must be copied before it is changed."""

#: Each level is a nested C call when decoding, so without a limit a hostile value would crash the process.
MAX_EXTENSION_DEPTH = 8

_TUPLE, _SET, _DATETIME, _DATE, _DECIMAL, _UUID, _BIG_INT, _MARKUP = range(1, 9)

#: Types whose values cannot change, so that one that was handed out need not be checked for changes.
IMMUTABLE = frozenset({type(None), bool, int, float, str, bytes, datetime, date, Decimal, UUID})


def encode(value: object, _depth: int = 0) -> bytes:
    """The value as bytes. Raises `NotStorable`, a `TypeError`."""
    # Take a packer that nobody else is using. Making one costs more than packing a small value.
    idle = _IDLE_PACKERS[_depth]
    try:
        packer = idle.pop()
    except IndexError:
        # strict_types sends subclasses and tuples to `default` instead of writing them as something they are not.
        packer = Packer(default=partial(_substitute, depth=_depth), strict_types=True)
    try:
        packed: bytes = packer.pack(value)
    except UnicodeEncodeError:
        raise NotStorable("text with a lone surrogate, which no encoding can write") from None
    except BufferError:
        raise NotStorable("a memoryview with gaps") from None
    except (ValueError, RecursionError):
        raise NotStorable("a value that is nested too deeply, or contains itself") from None
    if len(packed) <= _LARGEST_KEPT:  # and one that raised is not used again
        idle.append(packer)
    return packed


def decode(encoded: bytes, *, has_text_keys: bool = False) -> Any:
    """The value again, as a new object at each call. Raises `ValueError` for bytes that `encode` did not make.

    With `has_text_keys`, a dict with a key that is no text (or bytes) is such a value too.
    """
    try:
        return unpackb(encoded, ext_hook=_revive, strict_map_key=has_text_keys)
    except (TypeError, ArithmeticError, RecursionError) as error:  # unhashable keys; a Decimal of nonsense
        raise ValueError("not an encoded value") from error


def _substitute(value: object, *, depth: int) -> object:
    """What msgpack should write for a value that is not of one of its own types."""
    if isinstance(value, (tuple, set)):
        return _collection(value, depth + 1)
    for base, code, text in _AS_TEXT:
        if isinstance(value, base):
            return ExtType(code, text(value).encode())
    if isinstance(value, str) and is_markup(value):
        return ExtType(_MARKUP, str.__str__(value).encode())
    for kind, plain in _PLAIN:
        if isinstance(value, kind):
            return plain(value)
    raise NotStorable(
        f"an object of type {type(value).__qualname__}. Store plain data instead, such as a dict: the types are None, "
        "bool, int, float, str, bytes, list, dict, tuple, set, datetime, date, Decimal and UUID."
    )


# Bytes. A packer's buffer grows with what it packs and never shrinks, so one that had a large value is dropped with it.
_LARGEST_KEPT = 256 * 1024

_IDLE_PACKERS: list[list[Packer]] = [[] for _depth in range(MAX_EXTENSION_DEPTH + 1)]


def _collection(value: Any, depth: int) -> ExtType:
    if depth > MAX_EXTENSION_DEPTH:
        raise NotStorable(f"tuples or sets nested more than {MAX_EXTENSION_DEPTH} deep")
    items = [encode(item, depth) for item in value]
    if isinstance(value, set):
        return ExtType(_SET, _array(sorted(items)))
    return ExtType(_TUPLE, _array(items))


def _array(items: list[bytes]) -> bytes:
    header: bytes = Packer().pack_array_header(len(items))
    return header + b"".join(items)


def _revive(code: int, body: bytes) -> object:
    if code == _TUPLE:
        return tuple(decode(body))
    if code == _SET:
        return set(decode(body))
    if code in _FROM_TEXT:
        return _FROM_TEXT[code](body.decode())
    raise ValueError(f"unknown extension type {code}")


def _whole_number(value: int) -> object:
    number = int.__int__(value)
    return number if -(2**63) <= number < 2**64 else ExtType(_BIG_INT, hex(number).encode())


# The base type's own method, not the type's constructor or str(): a subclass may have redefined what those call.
_PLAIN: tuple[tuple[type | tuple[type, ...], Callable[[Any], object]], ...] = (
    (str, str.__str__),
    (int, _whole_number),
    (float, float.__float__),
    (list, list),
    (dict, dict),
    ((bytes, bytearray, memoryview), lambda value: memoryview(value).tobytes()),
)

_AS_TEXT: tuple[tuple[type, int, Callable[[Any], str]], ...] = (
    (datetime, _DATETIME, datetime.isoformat),  # before date, of which it is a subclass
    (date, _DATE, date.isoformat),
    (Decimal, _DECIMAL, Decimal.__str__),
    (UUID, _UUID, UUID.__str__),
)

_FROM_TEXT: dict[int, Callable[[str], object]] = {
    _DATETIME: datetime.fromisoformat,
    _DATE: date.fromisoformat,
    _DECIMAL: Decimal,
    _UUID: UUID,
    _BIG_INT: partial(int, base=16),
    _MARKUP: markup,
}
