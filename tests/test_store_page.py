"""docs/stores.md is all that a store author needs: the store that is written there keeps the contract."""

from __future__ import annotations

import test_docs

import dev

PAGE = dev.ROOT / "docs" / "stores.md"
MOST_LINES = 60


def written_there(name: str) -> type:
    """What the page's first blocks define."""
    namespace: dict[str, object] = {"__name__": "stores"}
    for block in list(test_docs.blocks(PAGE.read_text(encoding="utf-8")))[:2]:
        exec(compile(block.code, str(PAGE), "exec"), namespace)
    return namespace[name]


TestJSONStore = written_there("TestJSONStore")


def test_it_is_short():
    """A whole store takes no more than 60 lines."""
    code = next(test_docs.blocks(PAGE.read_text(encoding="utf-8"))).code

    assert len([line for line in code.splitlines() if line.strip()]) <= MOST_LINES
