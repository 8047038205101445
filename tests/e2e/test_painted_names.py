"""Usernames as people see them: Chromium paints every accepted character, and no two accounts look the same.

What cannot be painted is told by its picture: where no font has a character, the browser paints the same box as for a
code point that Unicode has not assigned. What looks alike all the same is on Unicode's list of confusable characters,
which stands in the package confusable_homoglyphs.
"""

from __future__ import annotations

import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

import pytest
from confusable_homoglyphs.confusables import confusables_data
from playwright.sync_api import Page, sync_playwright

from sessionware.auth import username_key
from tests.e2e.test_browser import ARGUMENTS
from tests.support.prerequisites import require

UNASSIGNED = "\u0378"
ROW = 64

#: Names in which a character is accepted beside certain others only, each with the name without it.
IN_CONTEXT = [("l\u00b7l", "ll"), ("\u0375\u03b1", "\u03b1"), ("\u05d0\u05f3", "\u05d0"), ("\u30ab\u30fb", "\u30ab")]

#: Fonts draw these letters of one script alike, too: the Arabic letters heh and ae, alef maksura and Farsi yeh, and the
#: Latin capitals open e and tresillo.
ALSO_ALIKE = ["\u0647\u06d5", "\u0649\u06cc", "\u0190\ua72a"]

# The position of a pixel counts, so that the picture of "ab" is not that of "ba".
PAINT = """([texts, width]) => {
    const canvas = Object.assign(document.createElement("canvas"), { width, height: 44 });
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.font = "20px sans-serif";
    return texts.map((text) => {
        pen.clearRect(0, 0, width, 44);
        pen.fillText(text, 24, 30);
        const pixels = new Uint32Array(pen.getImageData(0, 0, width, 44).data.buffer);
        let one = 2166136261, other = 5381;
        pixels.forEach((pixel, at) => {
            if (pixel) {
                one = Math.imul(one ^ pixel ^ at, 16777619);
                other = (Math.imul(other, 33) ^ pixel ^ (at * 7)) | 0;
            }
        });
        return `${one},${other}`;
    });
}"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    executable = require("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser.new_page()
        browser.close()


def pictures(page: Page, texts: list[str], width: int) -> dict[str, str]:
    """Each text with a digest of what it looks like."""
    painted: dict[str, str] = {}
    for start in range(0, len(texts), 5000):
        chunk = texts[start : start + 5000]
        painted.update(zip(chunk, page.evaluate(PAINT, [chunk, width]), strict=True))
    return painted


@cache
def accepted() -> list[str]:
    """Every character that is a name by itself."""
    return [chr(n) for n in range(sys.maxunicode + 1) if username_key(chr(n)) is not None]


def painted_by_some_font(page: Page) -> list[str]:
    """The accepted characters that do not come out as the box. Whole rows of boxes are told at one look."""
    rows = ["".join(accepted()[start : start + ROW]) for start in range(0, len(accepted()), ROW)]
    looks = pictures(page, [*rows, UNASSIGNED * ROW], 1024)
    mixed = [character for row in rows if looks[row] != looks[UNASSIGNED * ROW] for character in row]
    looks = pictures(page, [*mixed, UNASSIGNED], 72)
    return [character for character in mixed if looks[character] != looks[UNASSIGNED]]


def test_names_that_look_the_same_are_one_account(page: Page) -> None:
    """Each accepted character by itself, and before, in and behind a name that takes it: among all these spellings, and
    the name without it, equal pixels mean equal keys, but for letters that Unicode lists as look-alikes."""
    painted = painted_by_some_font(page)
    names = {spelling: name for character in painted for spelling, name in spellings(character)}
    names.update(pair for pair in IN_CONTEXT if all(map(username_key, pair)))
    boxes = {box: name for name in set(names.values()) for box in put_into(name, UNASSIGNED)}
    names.update((name, name) for name in set(names.values()))
    looks = pictures(page, [*names, *boxes], 170)
    unpainted = {(name, looks[box]) for box, name in boxes.items()}

    seen: dict[tuple[str, str], list[str]] = defaultdict(list)
    for spelling, name in names.items():
        seen[name, looks[spelling]].append(spelling)
    wrong = [alike for look, alike in seen.items() if look not in unpainted and not may_look_the_same(alike)]

    assert len(painted) > 500, "is there no font at all?"
    assert wrong == []


_names = ["alice"]


def spellings(character: str) -> Iterator[tuple[str, str]]:
    """Accepted names around the character, and what they are without it: "alice" or, for a character that is not
    written beside Latin letters, the first letter of its script."""
    around = ((name, tried) for name in _names if (tried := list(filter(username_key, put_into(name, character)))))
    name, found = next(around, ("", []))
    if not name:
        if character.isalpha():
            _names.append(character)
        return
    yield from ((spelling, name) for spelling in [character, *found])


def put_into(name: str, character: str) -> tuple[str, str, str]:
    """The name with this character behind, before and in it."""
    middle = len(name) // 2 + 1
    return name + character, character + name, name[:middle] + character + (name[middle:] or name)


def may_look_the_same(alike: list[str]) -> bool:
    """Whether these texts are one account, or differ in nothing but characters that are known to look alike."""
    first, *others = alike
    return all(
        username_key(first) == username_key(other)
        or (len(first) == len(other) and all(are_alike(one, two) for one, two in zip(first, other, strict=True)))
        for other in others
    )


def are_alike(one: str, other: str) -> bool:
    return one == other or other in confusable_with(one) or {one, other} in map(set, ALSO_ALIKE)


@cache
def confusable_with(character: str) -> frozenset[str]:
    """What Unicode's list leads to from here, in any number of steps."""
    found, new = {character}, {character}
    while new:
        new = {other for one in new for other in _pairs().get(one, ())} - found
        found |= new
    return frozenset(found)


@cache
def _pairs() -> dict[str, set[str]]:
    pairs: dict[str, set[str]] = defaultdict(set)
    for one, others in confusables_data.items():
        for other in others:
            pairs[one].add(other["c"])
            pairs[other["c"]].add(one)
    return pairs


EAST_ASIAN = ["Latin", "Han", "Hiragana", "Katakana", "Bopomofo", "Hangul"]


@pytest.mark.parametrize(
    ("letter", "own", "scripts"),
    [
        ("a", "Latin", EAST_ASIAN),
        ("\u5c71", "Han", EAST_ASIAN),
        ("\u0431", "Cyrillic", ["Cyrillic"]),
        ("\u03c9", "Greek", ["Greek"]),
        ("\u0915", "Devanagari", ["Devanagari"]),
    ],
    ids=["Latin", "Han", "Cyrillic", "Greek", "Devanagari"],
)
def test_letters_of_other_scripts_are_refused(page: Page, letter: str, own: str, scripts: list[str]) -> None:
    """Beside a letter, nothing is accepted that the browser knows to be of a script that is not written with its own,
    and everything of its own script is. (Modifier letters are left out: they go with any script, as apostrophes do.)"""
    classes = [rf"\p{{Script={name}}}" for name in [*scripts, "Common", "Inherited"]]
    letters = [
        each for each in accepted() if username_key(each) == each and (not is_one_of_many(each) or ord(each) % 99 == 0)
    ]
    others = matching(page, letters, f"[^{''.join(classes)}\\p{{Lm}}\\p{{Unassigned}}]")
    its_own = matching(page, letters, rf"(?=\p{{L}})(?!\p{{Lm}})\p{{Script={own}}}")

    beside = {character for character in letters if username_key(letter + character) is not None}
    assert sorted(beside & others) == []
    assert sorted(its_own - beside) == []


def is_one_of_many(character: str) -> bool:
    """Whether it belongs to a block of thousands, of which a sample will do."""
    return unicodedata.name(character, "").startswith(("CJK UNIFIED", "HANGUL SYLLABLE", "TANGUT", "NUSHU", "KHITAN"))


def matching(page: Page, characters: list[str], expression: str) -> set[str]:
    """The characters that the expression matches, by what the browser knows of Unicode."""
    script = "([all, one]) => { const fits = new RegExp(one, 'u'); return all.filter((c) => fits.test(c)); }"
    return set(page.evaluate(script, [characters, expression]))
