"""Where to go after a login: only ever to a path of this site."""

from __future__ import annotations

import re

MAX_CHARACTERS = 2048

# No second slash or backslash at the beginning, because browsers read "/\host" as "//host", and no backslash, white
# space, control or non-ASCII character anywhere. Nothing is parsed and no host is compared: that is where others went
# wrong.
_is_path = re.compile(r"/(?!/)[!-\[\]-~]*").fullmatch


def safe_next(value: object, default: str = "/") -> str:
    """The path to go on to if it is one of this site, else the default.

    Meant for a `next` parameter, which anybody can set.
    """
    if isinstance(value, str) and len(value) <= MAX_CHARACTERS and _is_path(value):
        return value
    return default
