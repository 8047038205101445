"""Runs: characters in order, and keys side by side. They fill a password, and hardly anybody has to guess them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise

#: Characters in order. A nine is followed by a zero.
_ORDERS = ("01234567890", "abcdefghijklmnopqrstuvwxyz", "абвгдежзийклмнопрстуфхцчшщъыьэюя")

#: Rows of keys, the upper ones first. A key touches two of the row above it.
_KEYBOARD = ("1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./")

#: Rows of other keyboards: German, French, Russian.
_OTHER_ROWS = (
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "йцукенгшщзхъ",
    "фывапролджэ",
    "ячсмитьбю",
)

#: The key of a character that takes the shift key. Letters are lower case by then.
_KEYS = str.maketrans('!@#$%^&*()_+{}:"<>?', "1234567890-=[];',./")

#: From left to right, or the other way round.
_is_year = re.compile("(?:19|20)[0-9]{2}|[0-9]{2}(?:91|02)").match


def effort(text: str) -> int:
    """How much there is to guess in a lower-case text: 2 for a run or a year, however long, 1 for other characters."""
    return sum(1 if len(piece) == 1 else 2 for piece in pieces(text))


def pieces(text: str) -> Iterator[str]:
    """What a lower-case text consists of: runs of at least three characters, years, and single characters."""
    keys = text.translate(_KEYS)
    start = 0
    while start < len(text):
        end = _run_end(keys, start)
        if end == start + 1 and _is_year(keys, start):
            end = start + 4
        yield text[start:end]
        start = end


def is_walk(text: str) -> bool:
    """Whether a finger can walk through the text from key to key, in whatever directions."""
    keys = text.translate(_KEYS)
    return all(one == other or one + other in _touching() for one, other in pairwise(keys))


def _run_end(keys: str, start: int) -> int:
    """Where the run ends that begins here. It is one character if there are not three in a row."""
    step = keys[start : start + 2]
    if step[0] == step[-1]:
        end = len(keys) - len(keys[start:].lstrip(step[0]))
    else:
        end = max((_end(keys, start, steps) for steps in _directions() if step in steps), default=start)
    return end if end - start >= 3 else start + 1


def _end(keys: str, start: int, steps: frozenset[str]) -> int:
    """Where a run of these steps ends, the first of which is taken."""
    end = start + 2
    while keys[end - 1 : end + 1] in steps:
        end += 1
    return end


@cache
def _directions() -> tuple[frozenset[str], ...]:
    """The steps that a run may be made of, each set for one direction."""
    forwards = (_steps(_ORDERS), _steps((*_KEYBOARD, *_OTHER_ROWS)))
    return (*forwards, *map(_backwards, forwards))


@cache
def _touching() -> frozenset[str]:
    """Keys that touch, in both orders."""
    across = {
        upper[column + shift] + key
        for upper, lower in pairwise(_KEYBOARD)
        for column, key in enumerate(lower)
        for shift in (0, 1)
        if column + shift < len(upper)
    }
    touching = _steps(_KEYBOARD) | across
    return touching | _backwards(touching)


def _steps(rows: Iterable[str]) -> frozenset[str]:
    return frozenset(one + other for row in rows for one, other in pairwise(row))


def _backwards(steps: Iterable[str]) -> frozenset[str]:
    return frozenset(step[::-1] for step in steps)
