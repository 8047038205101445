"""Tables of Markdown, and how figures are written in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

DASH, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"

Row = dict[str, Any]


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table whose first column is text and whose others are numbers."""
    names = list(head)
    ruler = ["---", *["--:"] * (len(names) - 1)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in (names, ruler, *rows))


def number(value: float | None) -> str:
    """Three digits that count; a dash for nothing."""
    if value is None:
        return DASH
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def times(value: float | None) -> str:
    return DASH if value is None else f"{TIMES}{number(value)}"


def rows_table(rows: list[Row], formats: Row | None = None) -> str:
    """The rows as they are, with the fields' names as the head."""
    formats = formats or {}
    head = [name.replace("_us", ", µs").replace("_ms", ", ms").replace("_", " ") for name in rows[0]]
    return table(head, [[formats.get(name, plain)(value) for name, value in row.items()] for row in rows])


def plain(value: object) -> str:
    """With commas between thousands."""
    return f"{value:,}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
