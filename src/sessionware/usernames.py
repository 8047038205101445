"""Usernames: which texts can be one, and when two of them name the same account."""

from __future__ import annotations

from unicodedata import normalize

MAX_CHARACTERS = 128

#: Unicode counts these as letters, marks or symbols, yet they are invisible (DerivedCoreProperties,
#: Default_Ignorable_Code_Point, and the blank Braille pattern). A second "alice" would look just like the first.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0").union(
    map(chr, range(0xFE00, 0xFE10)), map(chr, range(0xE0100, 0xE01F0))
)


def username_key(name: str) -> str | None:
    """The key under which an account is looked up, the same for every spelling of a name; None if it cannot be a name.

    Case, width and Unicode composition do not matter. The name is shown as it was typed; only the key is compared.
    The key of a key is the key itself. Raises `TypeError` for anything but text.
    """
    if not isinstance(name, str):
        raise TypeError(f"a username must be text, not {type(name).__name__}")
    # The length comes first: normalising a long run of combining marks takes time that grows with its square.
    if not 0 < len(name) <= MAX_CHARACTERS or not _is_visible(name):
        return None
    # Unicode's own case-insensitive comparison (Unicode 3.13, D145) with NFKC; doing it twice changes nothing more.
    key = normalize("NFKC", normalize("NFKC", name).casefold())
    # A standalone accent becomes a space with an accent, and one symbol may become several letters.
    return key if len(key) <= MAX_CHARACTERS and _is_visible(key) else None


def _is_visible(text: str) -> bool:
    """Whether it has no control, format, surrogate, private, unassigned or invisible character, and no white space."""
    return text.isprintable() and " " not in text and _INVISIBLE.isdisjoint(text)
