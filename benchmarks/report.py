"""Turns the figures into tables and charts: `python -m benchmarks.report results.json --page docs/performance.md`.

The tables go between the page's marks `<!-- generated: performance -->` and `<!-- end -->`, the charts into
`images/` beside the page. Without --page the tables are printed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .charts import charts
from .figures import DEFAULTS, STORES, Micro
from .scenarios import SCENARIOS
from .targets import compared

_MARKED = re.compile(r"(<!-- generated: performance -->\n).*?(<!-- end -->)", re.DOTALL)

DASH, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"

Row = dict[str, Any]


def as_markdown(results: Row) -> str:
    """All tables of which there are figures."""
    sections: dict[str, Callable[[Any], str]] = {
        "micro": micro_section,
        "interpreted": interpreted_section,
        "growth": growth_section,
        "macro": macro_section,
        "contention": contention_section,
        "import": import_section,
        "logins": logins_section,
    }
    parts = [machine_line(results)]
    parts += [section(results[name]) for name, section in sections.items() if results.get(name)]
    return "\n\n".join(parts) + "\n"


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


def machine_line(results: Row) -> str:
    machine = results["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    build = "sessionware compiled" if machine["is_compiled"] else "sessionware as plain Python"
    quick = " A quick run: for a look, not for quoting." if results["quick"] else ""
    return (
        f"Measured on {machine['date']} on {machine['cores']} cores of {machine['cpu']}, {machine['system']}, "
        f"{machine['file_system']}, Python {machine['python']}, SQLite {machine['sqlite']}, {packages}; {build}.{quick}"
    )


# ---- micro ---------------------------------------------------------------------------------------------------------


def micro_section(rows: list[Row]) -> str:
    micro = Micro(rows)
    legend = " · ".join(f"**{letter}** {scenario.text}" for letter, scenario in SCENARIOS.items())
    return "\n\n".join(
        (
            "### Cost of a session per request, µs",
            legend,
            _cost_table(micro),
            "### How many times the floor, and how many times faster than the peers",
            _ratio_table(micro),
            "### What was aimed at",
            table(["store", "scenario", "aim", "measured", ""], compared(micro)),
            "### The applications without sessions, whole request, µs",
            _bare_table(micro),
        )
    )


def interpreted_section(rows: list[Row]) -> str:
    micro = Micro(rows)
    head = ["store", *SCENARIOS]
    own = [[store, *(_beside_floor(micro, store, letter) for letter in SCENARIOS)] for store in STORES]
    return "### The same library as plain Python, µs, and how many times the floor in that run\n\n" + table(head, own)


def _beside_floor(micro: Micro, store: str, letter: str) -> str:
    own = micro.ours(store, letter)
    return f"{number(own)} ({times(micro.times_floor(store, letter))})"


def _cost_table(micro: Micro) -> str:
    """Per subject the cost, and in brackets the 95th percentile of the whole request."""
    rows = []
    for name in micro.names("ours", "floor", "peer"):
        found = [micro.row(name, letter) for letter in SCENARIOS]
        mark = "" if micro.is_default(name) else " *"
        cells = [f"{number(row['cost_us'])} ({number(row['p95_us'])})" if row else DASH for row in found]
        rows.append([name + mark, micro.store(name), *cells])
    note = "\\* not how the package comes, but its fastest configuration."
    return table(["", "store", *SCENARIOS], rows) + "\n\n" + note


def _ratio_table(micro: Micro) -> str:
    head = ["store", "scenario", "sessionware µs", "floor µs", "÷ floor", "fastest peer", "faster", "Beaker", "Django"]
    rows = []
    for store in STORES:
        for letter in SCENARIOS:
            own, floor, peer = micro.ours(store, letter), micro.floor(store, letter), micro.fastest(store, letter)
            name = f"{number(peer['cost_us'])} {peer['subject']}" if peer else DASH
            fastest = micro.ratio(peer["subject"], letter) if peer else None
            rivals = (fastest, *(micro.faster_than(each, store, letter) for each in DEFAULTS))
            against_floor, *faster = map(times, (micro.times_floor(store, letter), *rivals))
            rows.append([store, letter, number(own), number(floor), against_floor, name, *faster])
    return table(head, rows)


def _bare_table(micro: Micro) -> str:
    rows = [
        [name, *(number((micro.row(name, letter) or {}).get("median_us")) for letter in SCENARIOS)]
        for name in micro.names("bare")
    ]
    return table(["", *SCENARIOS], rows)


# ---- the others ----------------------------------------------------------------------------------------------------


def growth_section(figures: dict[str, list[Row]]) -> str:
    return "\n\n".join(
        (
            "### Growth: the same request among more sessions",
            _rows_table(figures["lookups"], {"ratio": times}),
            "### Memory of a session in a MemoryStore",
            _rows_table(figures["memory"]),
            "### New sessions while expired ones are swept",
            _rows_table(figures["sweep"]),
        )
    )


def macro_section(rows: list[Row]) -> str:
    shares = {"share_of_bare": lambda share: f"{share:.0%}"}
    return "### Behind gunicorn\n\n" + _rows_table(rows, shares)


def contention_section(rows: list[Row]) -> str:
    return "### Many clients at once\n\n" + _rows_table(rows)


def import_section(figures: Row) -> str:
    return (
        "### Import\n\n"
        f"`import sessionware` takes {figures['total_ms']} ms, of which {figures['own_ms']} ms "
        f"({figures['own_share']:.0%}) are its own modules and the rest what they depend on."
    )


def logins_section(figures: dict[str, list[Row]]) -> str:
    return "\n\n".join(
        (
            "### Wrong logins, many at once",
            _rows_table(figures["load"]),
            "### What the time of a refusal tells",
            _rows_table(figures["timing"]),
        )
    )


def _rows_table(rows: list[Row], formats: Row | None = None) -> str:
    """The rows as they are, with the fields' names as the head."""
    formats = formats or {}
    head = [name.replace("_us", ", µs").replace("_ms", ", ms").replace("_", " ") for name in rows[0]]
    return table(head, [[formats.get(name, _plain)(value) for name, value in row.items()] for row in rows])


def _plain(value: object) -> str:
    return f"{value:,}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


# ---- the command ---------------------------------------------------------------------------------------------------


def with_tables(page: str, markdown: str) -> str:
    """The page, with the tables between its marks. Raises `ValueError` if it has none."""
    fresh, count = _MARKED.subn(lambda marks: f"{marks[1]}\n{markdown}\n{marks[2]}", page)
    if count != 1:
        raise ValueError(f"the page has {count} places for the tables instead of one")
    return fresh


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.report", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--page", type=Path, help="the page that shows the tables")
    options = parser.parse_args(arguments)
    results = json.loads(options.results.read_text(encoding="utf-8"))
    if options.page is None:
        print(as_markdown(results))
        return 0
    page = options.page.read_text(encoding="utf-8")
    options.page.write_text(with_tables(page, as_markdown(results)), encoding="utf-8")
    images = options.page.parent / "images"
    images.mkdir(exist_ok=True)
    for name, svg in charts(Micro(results.get("micro", []))).items():
        (images / name).write_text(svg, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
