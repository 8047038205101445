"""Why a password is easy to guess, although it is long enough."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from enum import Enum
from itertools import chain

from .common_passwords import common, most_used
from .reduction import LONGEST, cores, is_made_of, is_pair, is_run, plain, repeated_part, spellings

#: A name of fewer characters does not make a password easy to guess.
LEAST_NAME = 3


class Weakness(Enum):
    """What to tell the person. Most helpful first, because a password may have several."""

    CONTEXT = "This password is made of your username or of this site's name."
    REPEATED = "This password is one short part repeated."
    RUN = "This password is made of characters in order, or of neighbouring keys."
    COMMON = "This password is made of common words or passwords, which are tried first by those who guess."


def weakness(password: str, names: Collection[str], least_length: int) -> Weakness | None:
    """Why it is easy to guess by who knows these names, as `names_in` gives them. None if it is not.

    What is typed again makes a password longer, but no better. So a part that is repeated counts once, and has to have
    the least length by itself.
    """
    text = plain(password)
    if text in names:
        return Weakness.CONTEXT
    part = repeated_part(text)
    if len(part) > LONGEST:
        return None
    found = cores(part)
    if any(is_made_of(core, names, common()) for core in found):
        return Weakness.CONTEXT
    if any(_is_short_repetition(spelling, least_length) for spelling in {text, *spellings(part)}):
        return Weakness.REPEATED
    if is_run(part):
        return Weakness.RUN
    if any(core in common() or is_pair(core, most_used()) for core in found):
        return Weakness.COMMON
    return None


def _is_short_repetition(text: str, least_length: int) -> bool:
    part = repeated_part(text)
    return part != text and len(part) < least_length


def names_in(text: str) -> Iterator[str]:
    """The names in a username, an address or a title: its parts, each without its digits, and the whole."""
    parts = re.findall(r"[^\W_]+", plain(text))
    without_digits = (re.sub(r"\d", "", part) for part in parts)
    return (name for name in chain(parts, without_digits, _wholes(plain(text))) if len(name) >= LEAST_NAME)


def _wholes(name: str) -> Iterator[str]:
    """The name as it stands, what comes before an @, and both without signs: its parts may be too short to be names."""
    for whole in (name, name.partition("@")[0]):
        yield whole
        yield repeated_part(whole)
        yield "".join(filter(str.isalnum, whole))
