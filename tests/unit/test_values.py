"""What a session can hold: what goes in comes out equal and of the same type."""

from __future__ import annotations

import enum
from collections import OrderedDict, namedtuple
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionware import Session
from sessionware._core.values import MAX_EXTENSION_DEPTH, decode, encode
from tests.support.kit import SessionSite

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
    st.datetimes(timezones=st.none() | st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))),
    st.dates(),
    st.decimals(allow_nan=False),
    st.uuids(),
)
hashables = st.one_of(scalars, st.tuples(scalars, scalars))
values = st.recursive(
    st.one_of(scalars, st.sets(hashables)),
    lambda inner: st.lists(inner) | st.dictionaries(hashables, inner),
    max_leaves=12,
)


def types_of(value: Any) -> object:
    """The value's shape as types, all the way down. Sets and keys by sorted text, for they have no order to compare."""
    if isinstance(value, dict):
        return dict, sorted(str((type(key), types_of(inner))) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return type(value), [types_of(inner) for inner in value]
    if isinstance(value, set):
        return set, sorted(str(types_of(inner)) for inner in value)
    return type(value)


@given(values)
def test_what_goes_in_comes_out(value: object) -> None:
    """Equal, and of the same type, all the way down."""
    again = decode(encode(value))

    assert again == value
    assert types_of(again) == types_of(value)


@given(st.sets(hashables))
def test_equal_sets_are_equal_bytes(items: set[Any]) -> None:
    """Whatever order they were built in: the bytes are the fingerprint."""
    backwards = set()
    for item in sorted(items, key=repr, reverse=True):
        backwards.add(item)

    assert encode(items) == encode(backwards)


class Colour(enum.IntEnum):
    RED = 3


class Markup(str):
    def __str__(self) -> Any:
        return "not this"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, 3),
        (Markup("<b>"), "<b>"),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (type("L", (list,), {})([1]), [1]),
        (type("F", (float,), {})(1.5), 1.5),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
    ],
)
def test_subclass_comes_back_as_its_base_type(value: object, expected: object) -> None:
    """And not as what it says it is."""
    again = decode(encode([value]))[0]

    assert again == expected
    assert type(again) is type(expected)


def nested(levels: int) -> tuple[Any, ...]:
    value: tuple[Any, ...] = ()
    for _ in range(levels - 1):
        value = (value,)
    return value


def itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


Point = namedtuple("Point", "x")


@pytest.mark.parametrize(
    "value",
    [
        object(),
        1j,
        frozenset(),
        timedelta(1),
        lambda: None,
        Point(1),
        "\ud800",
        {"key": "\udfff"},
        {"deep": [{"er": object()}]},
        {object: 1},
        itself(),
        nested(MAX_EXTENSION_DEPTH + 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_stored_is_a_type_error_at_the_assignment(value: object) -> None:
    """It names the key, and the session stays as it was."""
    site = SessionSite()

    def view(session: Session) -> dict[str, Any]:
        with pytest.raises(TypeError, match=r"session\['k'\] cannot hold"):
            session["k"] = value
        return session.copy()

    assert site.browser().visit(view).result == {}


@pytest.mark.parametrize(("depth", "outcomes"), [(500, {"kept"}), (1000, {"kept", "refused"}), (2000, {"refused"})])
def test_lists_nest_some_hundred_deep(depth: int, outcomes: set[str]) -> None:
    """What is kept can be read again; what is deeper is refused at the assignment. The limit is msgpack's."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    browser = SessionSite().browser()

    def view(session: Session) -> str:
        try:
            session["k"] = value
        except TypeError as error:
            return "refused" if "nested too deeply" in str(error) else str(error)
        return "kept"

    outcome = browser.visit(view).result
    assert outcome in outcomes
    assert ("k" in browser.read()) is (outcome == "kept")


def test_tuples_nest_as_deep_as_is_said() -> None:
    """Eight levels of tuples and sets are fine."""
    value = nested(MAX_EXTENSION_DEPTH)

    assert decode(encode(value)) == value


@pytest.mark.parametrize("encoded", [b"", b"\xc1", b"\x93", b"\xc7\x01\x63x", b"\xc7\x02\x05no", b"\x81\x90\x01"])
def test_bytes_that_were_not_encoded_are_a_value_error(encoded: bytes) -> None:
    """Never another exception, whatever was stored."""
    with pytest.raises(ValueError):  # noqa: PT011  (the kind is all that is promised)
        decode(encoded)


@given(st.binary(max_size=60))
def test_no_bytes_make_decoding_fail_in_another_way(encoded: bytes) -> None:
    """A stored row can hold anything."""
    with suppress(ValueError):
        decode(encoded)


NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
EXAMPLES = [NOON, date(2026, 1, 1), Decimal("1.50"), UUID(int=5), 2**200, {1, (2,)}]


def test_time_in_a_zone_comes_back_with_the_offset_it_had() -> None:
    """The same moment; which rules lead to the offset is not kept. (In an hour that a clock change skips or repeats,
    Python calls times of two zones unequal, whatever they are: PEP 495.)"""
    noon = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    again = decode(encode(noon))

    assert again == noon
    assert again.utcoffset() == timedelta(hours=2)


def test_values_last_from_one_request_to_the_next() -> None:
    """Through the store, not only through the encoder."""
    browser = SessionSite().browser()
    browser.visit(lambda session: session.update(examples=EXAMPLES))

    assert browser.read() == {"examples": EXAMPLES}
