"""docs/own-users.md is all that somebody with a table of accounts needs: the class that is shown keeps the contract."""

from __future__ import annotations

from typing import Any

import dev
from tests.project.pages import blocks

PAGE = dev.ROOT / "docs" / "own-users.md"


def shown_there(name: str) -> Any:
    """What the page's first two blocks define."""
    namespace: dict[str, Any] = {"__name__": "own_users"}
    for block in list(blocks(PAGE.read_text(encoding="utf-8")))[:2]:
        exec(compile(block.code, str(PAGE), "exec"), namespace)
    return namespace[name]


TestCustomers = shown_there("TestCustomers")
