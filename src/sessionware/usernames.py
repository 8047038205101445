"""User names: which texts can be one, and when two are the same account."""

from __future__ import annotations

from unicodedata import category, normalize

MAX_CHARACTERS = 128

#: Control, format (zero-width and right-to-left marks), surrogate, private use, unassigned; and white space.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"})


def username_key(name: str) -> str | None:
    """The key under which an account is looked up: the same for every spelling of a name; None if it can be no name.

    Case, width and Unicode composition do not matter. The name is shown as it was typed; only the key is compared.
    """
    if not isinstance(name, str):
        raise TypeError(f"a user name is text, not {type(name).__name__}")
    # The length comes first: normalising a long run of combining marks takes time that grows with its square.
    if not 0 < len(name) <= MAX_CHARACTERS:
        return None
    if any(category(character) in _REFUSED_CATEGORIES for character in name):
        return None
    # Unicode's own case-insensitive comparison (Unicode 3.13, D145) with NFKC; doing it twice changes nothing more.
    key = normalize("NFKC", normalize("NFKC", name).casefold())
    return None if any(category(character) in _REFUSED_CATEGORIES for character in key) else key
