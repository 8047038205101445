"""The passwords and words that people use most. Their file is read when the first password is set, not before.

Where they come from is in NOTICE; `python3 -m tests.fixtures.make_common_passwords` makes the file.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from functools import cache
from itertools import islice
from pathlib import Path

FILE = Path(__file__).with_name("common_passwords.txt")

#: So many at the head of the file count as the most used. Two of these in a row are not a good password either.
MOST_USED = 4000


class Words:
    """A set of words that takes little more memory than their letters: sorted texts, one for each length.

    A set of Python's would take ten times as much, in each process.
    """

    def __init__(self, words: Iterable[str]) -> None:
        by_length: dict[int, list[str]] = {}
        for word in words:
            by_length.setdefault(len(word), []).append(word)
        self._texts = {length: "".join(sorted(found)) for length, found in by_length.items()}

    def __contains__(self, word: object) -> bool:
        if not isinstance(word, str) or len(word) not in self._texts:
            return False
        length, text = len(word), self._texts[len(word)]
        starts = range(0, len(text), length)
        at = bisect_left(starts, word, key=lambda start: text[start : start + length])
        return at < len(starts) and text.startswith(word, starts[at])


@cache
def common() -> Words:
    """All of them."""
    return Words(_lines())


@cache
def most_used() -> frozenset[str]:
    """Those that are used most."""
    return frozenset(islice(_lines(), MOST_USED))


def _lines() -> Iterable[str]:
    return FILE.read_text(encoding="ascii").split()
