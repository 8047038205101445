"""Usernames: which texts can be one, and which spellings name the same account.

The rule is RFC 8265's UsernameCaseMapped, less what people could not tell apart (docs/decisions/0013).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from precis_i18n.profile import Profile

MAX_CHARACTERS = 128

KEY_RULE = 1
"""The number of the rule below. Tables of accounts keep it beside each key, so that another rule can find its way."""

#: Characters that the RFC lets through in some places, although they may paint nothing there: the two joiners, two
#: viramas that fonts leave blank, and the dot above, which an i has already. Where a dot is part of a
#: letter (ż), it is composed with it.
_UNSEEN = frozenset("\u200c\u200d\u0307\U00011d45\U00011d97")

#: A dotless i or j looks like the other one under any mark above it.
_has_mark_on_dotless = re.compile("[\u0131\u0237][\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]").search

#: What the names of characters begin with, where that is not their script.
_SCRIPTS = {"CJK": "HAN", "IDEOGRAPHIC": "HAN", "HENTAIGANA": "HIRAGANA", "EXTENDED": "ARABIC", "TURNED": "LATIN"}

#: The scripts of marks whose names begin with "COMBINING". The others go with any script.
_SCRIPTS_OF_MARKS = frozenset({"CYRILLIC", "DEVANAGARI", "GLAGOLITIC", "GRANTHA", "GREEK", "OLD"})

#: Scripts that are written together (UTS #39, "highly restrictive").
_TOGETHER = (
    frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "BOPOMOFO"}),
    frozenset({"LATIN", "HAN", "HANGUL"}),
)


def username_key(name: str) -> str | None:
    """The key under which an account is looked up, the same for every spelling of a name; None if it cannot be a name.

    A name has up to 128 letters, digits and ASCII signs, without spaces, and its letters are of one script. Case, width
    and Unicode composition do not matter. The name is shown as it was typed; only the key is compared. The key of a key
    is the key itself. Raises `TypeError` for anything but text.
    """
    if not isinstance(name, str):
        raise TypeError(f"a username must be text, not {type(name).__name__}")
    # The length comes first: normalising a long run of combining marks takes time that grows with its square.
    if not 0 < len(name) <= MAX_CHARACTERS:
        return None
    try:
        key = _profile().enforce(name)
    except UnicodeEncodeError:  # how the package says that a text is not allowed
        return None
    # A capital may become two characters, so the key's length counts too.
    if len(key) > MAX_CHARACTERS or not _UNSEEN.isdisjoint(key) or _has_mark_on_dotless(key):
        return None
    return key if _is_of_one_script(key) else None


@cache
def _profile() -> Profile:
    from precis_i18n import get_profile  # imported when it is used, because sites without accounts need no names

    return get_profile("UsernameCaseMapped")


def _is_of_one_script(key: str) -> bool:
    """Whether all letters are of one script, or of scripts that are written together."""
    scripts = {script for character in key if (script := _script_of(character)) is not None}
    return len(scripts) <= 1 or any(scripts <= together for together in _TOGETHER)


def _script_of(character: str) -> str | None:
    """A character's script; None if it goes with any.

    It is the first word of the character's name, as in "CYRILLIC SMALL LETTER A". Unicode never changes a name.
    """
    if character.isascii():
        return "LATIN" if character.isalpha() else None
    word, second, *_ = [*unicodedata.name(character, "").replace("-", " ").split(" ", 2), ""]
    if word in ("COMBINING", "MODIFIER"):
        return second if second in _SCRIPTS_OF_MARKS else None
    return _SCRIPTS.get(word, word)
