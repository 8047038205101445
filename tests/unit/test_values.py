"""What a session can hold: what goes in comes out equal and of the same type."""

from __future__ import annotations

import enum
import subprocess
import sys
import textwrap
from collections import Counter, OrderedDict, defaultdict, namedtuple
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

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
    VAST = 2**80


class Word(str, enum.Enum):
    HELLO = "hello"


Point = namedtuple("Point", "x y")


class Says:
    """What a subclass may have redefined, to say something else than it is."""

    def __str__(self) -> Any:
        return "not this"

    isoformat: Any = __str__
    __format__: Any = __str__
    __repr__ = __bytes__ = __int__ = __float__ = __str__


def lying(base: type) -> Any:
    return type(f"Lying{base.__name__}", (Says, base), {})


SUBCLASSES = {base: lying(base) for base in (str, int, float, bytes, list, dict, tuple, set, date, Decimal, UUID)}


class LyingDatetime(Says, datetime):
    pass


def disguised(value: Any) -> Any:
    """The same value made of subclasses, all the way down."""
    if isinstance(value, datetime):
        moment = (value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond)
        return LyingDatetime(*moment, tzinfo=value.tzinfo, fold=value.fold)
    if isinstance(value, date):
        return SUBCLASSES[date](value.year, value.month, value.day)
    if isinstance(value, UUID):
        return SUBCLASSES[UUID](int=value.int)
    if isinstance(value, dict):
        return SUBCLASSES[dict]({disguised(key): disguised(inner) for key, inner in value.items()})
    if isinstance(value, (list, tuple, set)):
        return SUBCLASSES[type(value)](disguised(inner) for inner in value)
    return SUBCLASSES[type(value)](value) if type(value) in SUBCLASSES else value


@given(values)
def test_subclasses_come_back_as_their_base_types(value: object) -> None:
    """Of every base, at every size and depth, whatever they say that they are."""
    again = decode(encode(disguised(value)))

    assert again == value
    assert types_of(again) == types_of(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, 3),
        (Colour.VAST, 2**80),
        (Word.HELLO, "hello"),
        (SUBCLASSES[int](-(2**63) - 1), -(2**63) - 1),
        (SUBCLASSES[int](2**64), 2**64),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (Counter("aab"), {"a": 2, "b": 1}),
        (Point(1, 2), (1, 2)),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        ({Colour.RED: {Word.HELLO: Point(1, Colour.VAST)}}, {3: {"hello": (1, 2**80)}}),
    ],
)
def test_subclass_comes_back_as_its_base_type(value: object, expected: object) -> None:
    """Those that people use."""
    again = decode(encode([value]))[0]

    assert again == expected
    assert types_of(again) == types_of(expected)


def test_markup_stays_markup() -> None:
    """Wherever it is in a value, so that a template does not escape it; and text that looks like it stays text."""
    value = {"list": [Markup("<b>saved</b>"), "<b>typed</b>"], "tuple": (Markup(""),), "set": {Markup("é")}}

    again = decode(encode(value))

    assert again == value
    assert types_of(again) == types_of(value)


def test_markup_of_another_library_is_known_by_what_it_says() -> None:
    """Django's, for example, comes back as the type that most templates use."""
    again = decode(encode([mark_safe("<b>saved</b>")]))[0]

    assert (again, type(again)) == ("<b>saved</b>", Markup)


def test_text_that_escapes_itself_is_no_markup() -> None:
    """What a template would have shown as text must not come back as HTML."""

    class Typed(str):
        def __html__(self) -> str:
            return "&lt;b&gt;"

    again = decode(encode(Typed("<b>")))

    assert (again, type(again)) == ("<b>", str)


def test_markup_without_markupsafe_is_still_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates that have no such type ask for `__html__`."""
    encoded = encode(mark_safe("<b>saved</b>"))
    monkeypatch.setitem(sys.modules, "markupsafe", None)

    again = decode(encoded)

    assert (again, again.__html__()) == ("<b>saved</b>", "<b>saved</b>")
    assert not hasattr(again + "<b>", "__html__")


def test_markup_that_cannot_be_written_is_refused() -> None:
    """As text is."""
    with pytest.raises(TypeError, match="lone surrogate"):
        encode([Markup("<b>\ud800</b>")])


def nested(levels: int) -> tuple[Any, ...]:
    value: tuple[Any, ...] = ()
    for _ in range(levels - 1):
        value = (value,)
    return value


def itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        object(),
        1j,
        frozenset(),
        timedelta(1),
        lambda: None,
        memoryview(b"xyz")[::2],
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


def test_the_hour_that_clocks_repeat_comes_back_as_the_same_moment() -> None:
    """With the offset of its second pass. (Python calls the two unequal: PEP 495.)"""
    twice = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    again = decode(encode(twice))

    assert again.timestamp() == twice.timestamp()
    assert again.utcoffset() == timedelta(hours=1)


HOLDS_ON = """
    import resource, sys
    from sessionware._core.values import encode

    def resident():
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()

    encode({{"small": ({value}[:1],)}})
    before = resident()
    for _ in range(3):
        encode({{"large": {wrapped}}})
    print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for the process's memory")
@pytest.mark.parametrize("wrapped", ["{value}", "({value},)", "({value}, ({value},))", "[{value}]"])
def test_a_large_value_leaves_no_large_buffer_behind(wrapped: str) -> None:
    """However deep in tuples it was: what `max_bytes` then refuses must not cost its memory for good."""
    value = '("x" * 40_000_000)'
    script = textwrap.dedent(HOLDS_ON.format(value=value, wrapped=wrapped.format(value=value)))

    kept = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert int(kept) < 10_000_000
