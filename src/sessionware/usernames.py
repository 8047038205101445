"""User names: which texts can be one, and when two are the same account."""

from __future__ import annotations

from unicodedata import normalize

MAX_CHARACTERS = 128

#: Unicode counts these as letters, marks or signs, and shows nothing for them (DerivedCoreProperties,
#: Default_Ignorable_Code_Point, and the blank Braille pattern): a second "alice" that nobody can tell from the first.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0").union(
    map(chr, range(0xFE00, 0xFE10)), map(chr, range(0xE0100, 0xE01F0))
)


def username_key(name: str) -> str | None:
    """The key under which an account is looked up: the same for every spelling of a name; None if it can be no name.

    Case, width and Unicode composition do not matter. The name is shown as it was typed; only the key is compared.
    A key is its own key. Raises `TypeError` for what is no text.
    """
    if not isinstance(name, str):
        raise TypeError(f"a user name is text, not {type(name).__name__}")
    # The length comes first: normalising a long run of combining marks takes time that grows with its square.
    if not 0 < len(name) <= MAX_CHARACTERS or not _is_visible(name):
        return None
    # Unicode's own case-insensitive comparison (Unicode 3.13, D145) with NFKC; doing it twice changes nothing more.
    key = normalize("NFKC", normalize("NFKC", name).casefold())
    # An accent that stands alone becomes a space with an accent, and one sign may become several letters.
    return key if len(key) <= MAX_CHARACTERS and _is_visible(key) else None


def _is_visible(text: str) -> bool:
    """Whether there is no control, format, surrogate, private or unassigned character in it, and no white space."""
    return text.isprintable() and " " not in text and _INVISIBLE.isdisjoint(text)
