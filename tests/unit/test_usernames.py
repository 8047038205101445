"""Usernames: what can be one, and which spellings are one account."""

from __future__ import annotations

import subprocess
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


@pytest.mark.parametrize(("one", "other"), [("adm\u0131n", "admin"), ("stra\u00dfe", "strasse"), ("zoe", "zo\u00eb")])
def test_different_letters_are_different_accounts(one: str, other: str) -> None:
    """The dotless i is not an i, and a sharp s is one letter."""
    assert None not in {username_key(one), username_key(other)}
    assert username_key(one) != username_key(other)


# The examples of RFC 8265 §3.5, in the order of its table, with what UsernameCaseMapped makes of them.
EXAMPLES_OF_THE_RFC = [
    ("juliet@example.com", "juliet@example.com"),
    ("fussball", "fussball"),
    ("fu\u00dfball", "fu\u00dfball"),
    ("\u03c0", "\u03c0"),
    ("\u03a3", "\u03c3"),
    ("\u03c3", "\u03c3"),
    ("\u03c2", "\u03c2"),
    ("foo bar", None),
    ("", None),
    ("henry\u2163", None),
    ("\u221e", None),
]


@pytest.mark.parametrize(("name", "key"), EXAMPLES_OF_THE_RFC, ids=[ascii(name) for name, _ in EXAMPLES_OF_THE_RFC])
def test_keys_are_those_of_the_standard(name: str, key: str | None) -> None:
    """RFC 8265, UsernameCaseMapped."""
    assert username_key(name) == key


@pytest.mark.parametrize(
    "name",
    [
        "ada@example.org",
        "ada.lovelace+notes_1815",
        "O'Brien",
        "a",
        "<b>",
        "1815",
        "\u0141ukasz",
        "Nguy\u1ec5n",
        "K\u0101nehekili\u02bb",  # Hawaiian, with an okina
        "\u1ecd\u0300y\u1ecd\u0301",  # Yoruba, whose marks compose with nothing
        "\u039d\u03af\u03ba\u03bf\u03c2",
        "\u041e\u043b\u044c\u0433\u0430",
        "\u5c71\u7530",
        "\u5c71\u7530taro",
        "\u3055\u304f\u3089\u30fc\u30b5\u30af\u30e9",
        "\uae40minsu",
        "\u05d3\u05d5\u05d3",
        "\u0639\u0644\u06cc1",
        "\u0928\u092e\u0938\u094d\u0924\u0947",
        "\u0e2a\u0e21\u0e0a\u0e32\u0e22",
    ],
    ids=ascii,
)
def test_names_of_all_kinds_are_names(name: str) -> None:
    """Mail addresses, other scripts, scripts that are written together, ASCII signs: what people go by."""
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
        "alice\ufffc",  # the place of an object, which paints nothing
        "ada\u2800",  # Braille without a dot
        "ali\u0307ce",  # a dot above the i, which has one
        "\u0130brahim",  # whose small letters are an i with that dot
        "\u0131\u0307pek",  # an i in two pieces
        "\u0645\u06cc\u200c\u062e",  # a non-joiner
        "\u0915\u094d\u200d\u0937",  # a joiner
        "\U0001f642",
        "ada\u2603",
        "a\u05d0",  # both directions
        "\u0661\u06f1",  # digits of two kinds that look alike
    ],
    ids=ascii,
)
def test_what_cannot_be_seen_or_told_apart_is_no_name(name: str) -> None:
    """White space, controls, marks of direction, private and unassigned characters, signs beyond ASCII, and what shows
    nothing at all."""
    assert username_key(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "\u0430lice",  # a Cyrillic a
        "alic\u0435",
        "\u03b1lice",
        "p\u0430yp\u0430l",
        "\u0431\u03c9",
        "\u0431\u5c71",
        "\u3042\uae40",  # kana and Hangul
        "a\u2de0",  # a Cyrillic letter above a Latin one
        "a\u0342",  # a Greek accent on it
    ],
    ids=ascii,
)
def test_letters_of_several_scripts_make_no_name(name: str) -> None:
    """Most names that are made to look like another one are put together so."""
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


@given(st.text(min_size=1, max_size=20) | st.text(alphabet=_RESTLESS + _MARKS, min_size=1, max_size=8))
def test_the_key_of_a_key_is_itself_for_whole_names(name: str) -> None:
    """Marks that change places, or join with the letter before them, make no difference either."""
    key = username_key(name)

    assert key is None or username_key(key) == key


def test_the_longest_name_has_128_characters() -> None:
    """Counted before anything else is done to it, and once more at the end: some letters are taken apart."""
    assert username_key("a" * 128) == "a" * 128
    assert username_key("a" * 129) is None
    assert username_key("\u0958" * 64) == "\u0915\u093c" * 64
    assert username_key("\u0958" * 65) is None


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


@given(st.text(min_size=1, max_size=12))
def test_no_text_is_a_surprise(name: str) -> None:
    """Every text has a key or has none. No other error, and no key that could not be stored."""
    key = username_key(name)

    assert key is None or (0 < len(key) <= 128 and key.encode().decode() == key)


def test_the_standard_is_loaded_by_those_who_use_names() -> None:
    """Importing the module does not import the package."""
    code = "import sys, sessionware.usernames; print('precis_i18n' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("mark", ["\u0301", "\u0302", "\u0305", "\u030a", "\u1ab0", "\u1dc4", "\u20d0"])
@pytest.mark.parametrize("dotless", ["\u0131", "\u0237"])
def test_mark_on_a_dotless_letter_is_refused(dotless: str, mark: str) -> None:
    """Under a mark, an i loses its dot: the two would look the same."""
    assert username_key(f"mar{dotless}a") is not None
    assert username_key(f"mar{dotless}{mark}a") is None


@pytest.mark.parametrize("name", ["\U00011d10\U00011d11\U00011d45", "\U00011d6a\U00011d97"])
def test_virama_that_fonts_leave_blank_is_refused(name: str) -> None:
    """In its own script, nobody would see it."""
    assert username_key(name) is None
    assert username_key(name[:-1]) is not None
