"""What a password comes down to, once that is gone which people add to a word that they use everywhere.

A password of fifteen characters is hardly ever on a list. What is on a list is the word that it was made of: doubled,
with a year or `123456789` at its end, with `@` for `a`, backwards, with a dot after each letter. So a password is
reduced to each word that it may be little more than, and these are looked up. It is always the whole of what is left
that is looked up: no password is refused because a word occurs in it (NIST SP 800-63B-4 §3.1.1.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Iterator
from itertools import groupby, product
from unicodedata import normalize

from .key_runs import effort, is_walk, pieces

#: What may be added to a word, by `effort`, without making a good password of it.
_CHEAP = 6

#: A password that takes no more than this for each of its characters, by `effort`, is nothing but runs.
_LEAST_EFFORT = 0.4

#: Of anything longer, only repetition is found. So the time that a password takes hardly grows with its length.
LONGEST = 128

#: So many places may look like the first repetition before the one that is, as in "abcabd abcabd".
_FALSE_STARTS = 8

#: How many runs may be woven into one, as in "1q2w3e4r" and "1qaz2wsx3edc4rfv".
_STRIDES = range(2, 6)

_SEPARATORS = " -_.,:;/|+*~"

#: Letters for the characters that stand for them. A one is an i or an l.
_LEET = [str.maketrans("0@43$578!|9(+1", f"oaaesstbilgct{one}") for one in "il"]

_long_run_of_one = re.compile(r"(.)\1{8,}", re.DOTALL)


def plain(text: str) -> str:
    """The text without regard to case and width, and with no character more than eight times in a row."""
    return _long_run_of_one.sub(lambda run: run[1] * 8, normalize("NFKC", normalize("NFKC", text).casefold()))


def repeated_part(text: str) -> str:
    """What the text is a repetition of, also if the last one is cut off. The text itself if it is none."""
    at = 0
    for _ in range(_FALSE_STARTS):
        at = text.find(text[:2], at + 1)
        if not 0 < at <= len(text) // 2:
            break
        if text[at:] == text[:-at]:
            return text[:at]
    return text


def is_run(text: str) -> bool:
    """Whether it is nothing but characters in order, or keys side by side."""
    most = len(text) * _LEAST_EFFORT
    return is_walk(text) or _is_woven(text) or any(effort(order) <= most for order in _orders(text))


def spellings(text: str) -> set[str]:
    """The text, and what it is without the characters between its parts."""
    found = {text, _kept(text, lambda character: character not in _SEPARATORS), _kept(text, str.isalnum)}
    return found | {_undoubled(spelling) for spelling in found}


def cores(text: str) -> set[str]:
    """Each word that the text may be little more than: as it stands, with leet spelling undone, and reversed."""
    found: set[str] = set()
    letters = _kept(text, str.isalpha)
    for spelling in spellings(text) | {letters, _undoubled(letters)}:
        _add_cores(repeated_part(spelling), found)
    return found | {core[::-1] for core in found}


def is_made_of(core: str, words: Collection[str], common: Container[str]) -> bool:
    """Whether the core is made of some of these words, and of nothing else but one word at most that is common."""
    within = [word for word in words if word in core]
    if not within:
        return False
    begins = _reached(core, within)
    ends = {len(core) - length for length in _reached(core[::-1], [word[::-1] for word in within])}
    if len(core) in begins:
        return True
    spans = ((begin, end) for begin, end in product(begins, ends) if 0 < end - begin < len(core))
    return any(core[begin:end] in common for begin, end in spans)


def is_pair(core: str, words: Container[str]) -> bool:
    """Whether the core is two of these words."""
    return any(core[:at] in words and core[at:] in words for at in range(1, len(core)))


def _reached(core: str, words: Collection[str]) -> set[int]:
    """The places up to which the core is made of the words."""
    reached = {0}
    for at in range(len(core)):
        if at in reached:
            reached |= {at + len(word) for word in words if core.startswith(word, at)}
    return reached


def _orders(text: str) -> Iterator[str]:
    """The text as it stands, with each character once in a row, and with what separates its runs at its end."""
    yield text
    yield "".join(character for character, _ in groupby(text))
    for kind in str.isalnum, str.isalpha:
        yield "".join(sorted(text, key=lambda character: not kind(character)))


def _is_woven(text: str) -> bool:
    """Whether it is some runs at once, a character of each in turn."""
    strides = (stride for stride in _STRIDES if len(text) >= 3 * stride)
    return any(all(effort(text[first::stride]) <= 2 for first in range(stride)) for stride in strides)


def _kept(text: str, kind: Callable[[str], bool]) -> str:
    """The characters of this kind, unless the others are too much to be left out."""
    kept, others = "".join(filter(kind, text)), "".join(character for character in text if not kind(character))
    return kept if effort(others) <= _CHEAP and len(kept) >= len(others) else text


def _undoubled(text: str) -> str:
    """The text once, if each of its characters stands there twice."""
    return text[::2] if text[::2] == text[1::2] else text


def _add_cores(text: str, found: set[str]) -> None:
    for core in _without_affixes(text):
        for reading in _readings(core) - found:
            found.add(reading)
            part = repeated_part(reading)
            if part != reading:
                _add_cores(part, found)


def _readings(core: str) -> set[str]:
    """The core, and what it means in leet. Where there are few letters, any digits could mean something."""
    if 3 * sum(map(str.isalpha, core)) < len(core):
        return {core}
    return {core, *(core.translate(letters) for letters in _LEET)}


def _without_affixes(text: str) -> Iterator[str]:
    """What is left of the text without a cheap beginning, a cheap end, or both."""
    for (begin, before), (end, after) in product(_affixes(text), _affixes(text[::-1])):
        if before + after <= _CHEAP and begin + end < len(text):
            yield text[begin : len(text) - end]


def _affixes(text: str) -> list[tuple[int, int]]:
    """How many of the first characters may have been added to a word, and their effort. None of them always may."""
    found = [(0, 0)]
    length = total = 0
    for piece in pieces(text):
        is_run = len(piece) > 1
        total += 2 if is_run else 1
        if total > _CHEAP or (piece.isalpha() and not is_run):  # letters may be the word
            break
        length += len(piece)
        found.append((length, total))
        if is_run:  # whose last character may be the word's, as in "000trustno1111"
            found.append((length - 1, total))
    return found
