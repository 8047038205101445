"""Turns the figures into tables and charts: `python -m benchmarks.report results.json --page docs/performance.md`.

The tables go between the page's marks, of which each kind is there once at most, and stay as they are if the file has
no figures for them: `<!-- generated: performance -->`, or `servers`, `sizing` or `security` in its place, and
`<!-- end -->`. Charts go into `images/` beside the page. Without --page the tables are printed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from .charts import charts
from .figures import DEFAULTS, STORES, Micro
from .scenarios import SCENARIOS
from .servers_report import servers_section, sizing_table
from .tables import DASH, Row, number, rows_table, table, times
from .targets import compared


def as_markdown(results: Row) -> str:
    """All tables of which there are figures."""
    tables = by_mark(results)
    return "\n\n".join(tables[mark] for mark in ("performance", "servers", "security") if mark in tables) + "\n"


def by_mark(results: Row) -> dict[str, str]:
    """The tables of which there are figures, by the mark that they go to."""
    sections: dict[str, Callable[[Any], str]] = {
        "micro": micro_section,
        "interpreted": interpreted_section,
        "growth": growth_section,
        "macro": macro_section,
        "contention": contention_section,
        "import": import_section,
        "logins": logins_section,
    }
    found = {}
    if parts := [section(results[name]) for name, section in sections.items() if results.get(name)]:
        found["performance"] = "\n\n".join([machine_line(results), *parts])
    if servers := results.get("servers"):
        found["servers"] = f"{machine_line(results)} {servers_section(servers)}"
        found["sizing"] = f"{machine_line(results)}\n\n{sizing_table(servers['sizing'])}"
    if refusals := results.get("refusals"):
        found["security"] = f"{_short_machine_line(results)} {refusals_section(refusals)}"
    return found


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
            rows_table(figures["lookups"], {"ratio": times}),
            "### Memory of a session in a MemoryStore",
            rows_table(figures["memory"]),
            "### New sessions while expired ones are swept",
            rows_table(figures["sweep"]),
        )
    )


def macro_section(rows: list[Row]) -> str:
    shares = {"share_of_bare": lambda share: f"{share:.0%}"}
    return "### Behind gunicorn\n\n" + rows_table(rows, shares)


def contention_section(rows: list[Row]) -> str:
    return "### Many clients at once\n\n" + rows_table(rows)


def _short_machine_line(results: Row) -> str:
    machine = results["machine"]
    build = "compiled" if machine["is_compiled"] else "as plain Python"
    return (
        f"Measured on {machine['date']} on {machine['cores']} cores of {machine['cpu']}, Python {machine['python']}, "
        f"SQLite {machine['sqlite']}; sessionware {build}."
    )


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
            rows_table(figures["load"]),
            "### What the time of a refusal tells",
            rows_table(figures["timing"]),
        )
    )


def refusals_section(figures: Row) -> str:
    return "\n\n".join(
        (
            f"The machine's load was {figures['load']} when it began.",
            "At the login page, with the hasher as it comes:",
            rows_table(figures["login"]),
            "With one that costs nothing, so that all the rest shows:",
            rows_table(figures["login_cheap"]),
            "At /forgot, and at the login page right after it:",
            rows_table(figures["forgot"]),
        )
    )


# ---- the command ---------------------------------------------------------------------------------------------------


def with_tables(page: str, tables: dict[str, str]) -> str:
    """The page, with these tables between their marks. Raises `ValueError` if it has none of them, or one twice."""
    counts = {}
    for mark, markdown in tables.items():
        marked = rf"(<!-- generated: {mark} -->\n).*?(<!-- end -->)"
        fresh = partial(_between_marks, markdown)
        page, counts[mark] = re.subn(marked, fresh, page, flags=re.DOTALL)
    if not any(counts.values()) or max(counts.values()) > 1:
        raise ValueError(f"the page has places for the tables so many times: {counts or 'there are no figures'}")
    return page


def _between_marks(markdown: str, marks: re.Match[str]) -> str:
    return f"{marks[1]}\n{markdown}\n\n{marks[2]}"


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
    options.page.write_text(with_tables(page, by_mark(results)), encoding="utf-8")
    images = options.page.parent / "images"
    images.mkdir(exist_ok=True)
    for name, svg in charts(Micro(results.get("micro", []))).items():
        (images / name).write_text(svg, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
