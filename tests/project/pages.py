"""The Python blocks of the pages, as their tests run them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

BLOCK = re.compile(
    r"(?P<marks>(?:^ *<!--[^\n]*-->\n)*)^(?P<indent> *)(?P<fence>```+)python\n(?P<code>.*?)^ *(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)
NOT_RUN = re.compile(r"<!-- not run\b:?(?P<reason>.*?)-->")


class Block(NamedTuple):
    line: int
    code: str
    not_run: str | None  # the reason


def blocks(text: str) -> Iterator[Block]:
    """The Python blocks of a page, in order."""
    for match in BLOCK.finditer(text):
        mark = NOT_RUN.search(match["marks"])
        yield Block(
            line=text.count("\n", 0, match.start("code")) + 1,
            code=textwrap.dedent(match["code"]),
            not_run=mark["reason"].strip() if mark else None,
        )
