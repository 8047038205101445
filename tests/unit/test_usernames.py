"""Usernames: what can be one, and which spellings are one account."""

from __future__ import annotations

import sys
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionware.auth import username_key


@pytest.mark.parametrize(
    "spelling", ["alice", "Alice", "ALICE", "\uff41\uff4c\uff49\uff43\uff45", "\uff21LIce"], ids=ascii
)
def test_case_and_width_do_not_matter(spelling: str) -> None:
    """Nobody registers as a second Alice by holding the shift key."""
    assert username_key(spelling) == "alice"


def test_the_ways_of_composing_a_letter_do_not_matter() -> None:
    """Keyboards differ in whether an accent is a character of its own."""
    assert username_key("Zo\u00eb") == username_key("Zoe\u0308") == username_key("ZO\u00cb")
    assert username_key("\u212aarl") == username_key("Karl") == "karl"  # the sign for kelvin
    assert username_key("Stra\u00dfe") == username_key("STRASSE")


def test_different_letters_are_different_accounts() -> None:
    """The dotless i is not an i, however alike they look."""
    assert username_key("adm\u0131n") != username_key("admin")


@pytest.mark.parametrize(
    "name", ["ada@example.org", "ada.lovelace", "O'Brien", "\u5c71\u7530", "a", "\U0001f642", "<b>"]
)
def test_names_of_all_kinds_are_names(name: str) -> None:
    """Mail addresses, other scripts, signs: what people go by."""
    assert username_key(name) is not None


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "ada lovelace",
        "ada ",
        "ada\n",
        "ada\x00",
        "\u00a0",
        "\u3000",
        "a\u200bda",  # zero-width space
        "a\u202eda",  # right-to-left override
        "\u2066ada",
        "ada\ufeff",
        "ada\ud800",
        "ada\ue000",
        "ada\U000fffff",
        "ada\u0378",  # unassigned
        "ada\ufe0f",  # variation selector
        "ada\u034f",
        "\u3164",  # Hangul filler
        "\u00b4",  # an accent by itself: a space carries it
        "\ufdfa",  # one character that stands for four words
    ],
    ids=ascii,
)
def test_what_cannot_be_seen_or_told_apart_is_no_name(name: str) -> None:
    """White space, controls, marks of direction, private and unassigned characters, and what shows nothing at all."""
    assert username_key(name) is None


def test_every_invisible_character_is_refused() -> None:
    """Each one on Unicode's list of characters to ignore, besides those that whole categories cover."""
    singles = [0x00AD, 0x034F, 0x061C, 0x3164, 0xFEFF, 0xFFA0]
    ranges = [(0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E)]
    ranges += [(0x2060, 0x206F), (0xFE00, 0xFE0F), (0xFFF0, 0xFFF8), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)]
    ignored = [*singles, *(number for first, last in ranges for number in range(first, last + 1))]

    assert [hex(number) for number in ignored if username_key(f"ada{chr(number)}") is not None] == []


def test_the_key_of_a_key_is_itself_for_every_character() -> None:
    """Otherwise one could register a name whose key becomes another's the second time (Spotify, 2013)."""
    keys = {key for n in range(sys.maxunicode + 1) if (key := username_key(chr(n))) is not None}

    assert len(keys) > 100_000
    assert {key for key in keys if username_key(key) != key} == set()


# Characters that change when they are folded or composed, and marks that change places.
_RESTLESS = "Aa\u0130\u0131\u00df\u1e9e\u03a3\u03c3\u03c2\u0345\u1fb4\u1f80\u0390\u01c5\ufb01\uff21\u212b\u00c5\u1e69"
_MARKS = "".join(chr(n) for n in range(0x300, 0x370) if unicodedata.combining(chr(n)))


@given(st.text(alphabet=_RESTLESS + _MARKS, min_size=1, max_size=8))
def test_the_key_of_a_key_is_itself_for_whole_names(name: str) -> None:
    """Marks that change places, or join with the letter before them, make no difference either."""
    key = username_key(name)

    assert key is None or username_key(key) == key


def test_the_longest_name_has_128_characters() -> None:
    """Counted before anything else is done to it, and once more at the end: some signs stand for several letters."""
    assert username_key("a" * 128) == "a" * 128
    assert username_key("a" * 129) is None
    assert username_key("\u00df" * 64) == "ss" * 64
    assert username_key("\u00df" * 65) is None
    assert username_key("\u3300" * 128) is None


def test_a_huge_name_costs_nothing() -> None:
    """Normalising marks out of order takes time that grows with the square: 100,000 would take ten seconds."""
    began = time.monotonic()

    assert username_key("a" + "\u0315\u0300" * 5_000_000) is None
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("value", [None, b"ada", 5, ["ada"], {"ada": 1}])
def test_what_is_no_text_is_a_mistake(value: Any) -> None:
    """A list of names, as some frameworks make of a repeated field, is not looked up."""
    with pytest.raises(TypeError, match="text"):
        username_key(value)
