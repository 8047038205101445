"""Charts of the micro figures as SVG, written by hand: horizontal bars on a logarithmic scale, one chart per store.

Text and lines are mid-grey on nothing, so that a light page and a dark one can both show them.
"""

from __future__ import annotations

from html import escape
from math import ceil, floor, log10
from typing import NamedTuple

from .figures import STORES, Micro

LETTERS = {"C": "read one key", "D": "n += 1", "E": "new session", "G1": "read of 4 kB", "G2": "write in 4 kB"}

_INK = "#808080"
_LEFT, _WIDTH, _BAR, _GAP, _TOP = 130, 720, 13, 14, 56
_LABELS = 70  # room to the right of the longest bar for its number


class Series(NamedTuple):
    """One colour: whose bars it marks, and their lengths by scenario."""

    name: str
    colour: str
    costs: dict[str, float | None]


def charts(micro: Micro) -> dict[str, str]:
    """The files' names and what is in them; none without figures."""
    drawn = {store: series(micro, store) for store in STORES}
    return {
        f"cost-{store}.svg": chart(f"Session cost per request, µs, {store} store (shorter is better)", bars)
        for store, bars in drawn.items()
        if any(cost for one in bars for cost in one.costs.values())
    }


def series(micro: Micro, store: str) -> list[Series]:
    fastest = {letter: micro.fastest(store, letter) for letter in LETTERS}
    return [
        Series("sessionware", "#2a8fbd", {letter: micro.ours(store, letter) for letter in LETTERS}),
        Series("floor", "#9a9a9a", {letter: micro.floor(store, letter) for letter in LETTERS}),
        Series("fastest peer", "#4f9e4f", {letter: row["cost_us"] if row else None for letter, row in fastest.items()}),
        Series("Beaker", "#d08a2e", {letter: micro.default_of("beaker", store, letter) for letter in LETTERS}),
        Series("Django", "#b0568f", {letter: micro.default_of("django", store, letter) for letter in LETTERS}),
    ]


class Scale(NamedTuple):
    """Where a cost lies, between two powers of ten."""

    low: int
    high: int

    def x(self, cost: float) -> float:
        share = (log10(cost) - self.low) / (self.high - self.low)
        return _LEFT + share * (_WIDTH - _LEFT - _LABELS)


def chart(title: str, bars: list[Series]) -> str:
    """The whole picture."""
    scale = _scale([cost for one in bars for cost in one.costs.values() if cost and cost > 0])
    group = len(bars) * _BAR + _GAP
    bottom = _TOP + len(LETTERS) * group
    groups = [_group(letter, bars, scale, _TOP + index * group) for index, letter in enumerate(LETTERS)]
    body = [_text(0, 16, title, size=14, weight="bold"), _legend(bars), _grid(scale, bottom), *groups]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 20}" role="img" '
        f'aria-label="{escape(title)}" font-family="system-ui, sans-serif" fill="{_INK}">\n'
        f"<title>{escape(title)}</title>\n" + "\n".join(body) + "\n</svg>\n"
    )


def _scale(costs: list[float]) -> Scale:
    low = floor(log10(min(costs)))
    return Scale(low, max(ceil(log10(max(costs))), low + 1))


def _group(letter: str, bars: list[Series], scale: Scale, top: int) -> str:
    """One scenario's bars, with its name to the left of them."""
    middle = top + len(bars) * _BAR / 2 + 4
    parts = [_text(_LEFT - 8, middle, f"{letter}: {LETTERS[letter]}", anchor="end")]
    for index, one in enumerate(bars):
        cost, y = one.costs[letter], top + index * _BAR
        if cost is not None and cost > 0:
            end = scale.x(cost)
            parts.append(
                f'<rect x="{_LEFT}" y="{y + 1}" width="{end - _LEFT:.1f}" height="{_BAR - 2}" fill="{one.colour}"/>'
            )
            parts.append(_text(end + 4, y + _BAR - 3, _label(cost), size=10))
    return "\n".join(parts)


def _grid(scale: Scale, bottom: int) -> str:
    """A line and a number for each power of ten."""
    parts = []
    for power in range(scale.low, scale.high + 1):
        x = scale.x(10.0**power)
        ends = f'x1="{x:.1f}" y1="{_TOP - 4}" x2="{x:.1f}" y2="{bottom - _GAP}"'
        parts.append(f'<line {ends} stroke="{_INK}" stroke-opacity="0.35"/>')
        parts.append(_text(x, bottom + 2, f"{10.0**power:,g}", anchor="middle", size=10))
    return "\n".join(parts)


def _legend(bars: list[Series]) -> str:
    parts = []
    for index, one in enumerate(bars):
        x = index * 120
        parts.append(f'<rect x="{x}" y="28" width="11" height="11" fill="{one.colour}"/>')
        parts.append(_text(x + 16, 38, one.name))
    return "\n".join(parts)


def _label(cost: float) -> str:
    return f"{cost:,.0f}" if cost >= 100 else f"{cost:.1f}"


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )
