"""docs/stores.md is all that a store author needs: the store that is written there keeps the contract."""

from __future__ import annotations

from typing import Any

import dev
from tests.project.pages import blocks

PAGE = dev.ROOT / "docs" / "stores.md"
MOST_LINES = 60


def written_there(name: str) -> Any:
    """What the page's first blocks define."""
    namespace: dict[str, Any] = {"__name__": "stores"}
    for block in list(blocks(PAGE.read_text(encoding="utf-8")))[:2]:
        exec(compile(block.code, str(PAGE), "exec"), namespace)
    return namespace[name]


TestJSONStore = written_there("TestJSONStore")


def test_it_is_short() -> None:
    """A whole store takes no more than 60 lines."""
    code = next(blocks(PAGE.read_text(encoding="utf-8"))).code

    assert len([line for line in code.splitlines() if line.strip()]) <= MOST_LINES
