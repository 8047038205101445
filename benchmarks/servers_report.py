"""The tables of what was measured on database servers."""

from __future__ import annotations

from .scenarios import SCENARIOS
from .servers.operations import CALLS
from .servers.pages import LETTERS
from .tables import DASH, Row, number, plain, rows_table, table, times
from .targets import compared_on_servers


def servers_section(figures: Row) -> str:
    """All of it, for docs/performance.md."""
    load = ", ".join(f"{part} {load}" for part, load in figures["load"].items())
    legend = " · ".join(f"**{letter}** {SCENARIOS[letter].text}" for letter in LETTERS)
    parts = [
        f"Load of the machine at the end of each part, which counts those who wait for a core or the disk: {load}.",
        "### On database servers: one call of a store, µs",
        table(["server", "version", "what may undo an acknowledged write"], map(dict.values, figures["servers"])),
        "\n".join(f"Not measured: {line}" for line in figures["missing"]),
        operations_table(figures["operations"]),
        "### On database servers: cost of a session per request, µs",
        legend,
        pages_table(figures["pages"]["rows"]),
        "\n".join(f"Left out: {peer['peer']} ({peer['why']})" for peer in figures["pages"]["left_out"]),
        "### Bytes of a session",
        sizing_table(figures["sizing"]),
        "### Pruning beside traffic",
        prune_table(figures["prune"]),
        "### What was aimed at on database servers",
        table(["", "aim", "measured", ""], compared_on_servers(figures)),
    ]
    return "\n\n".join(filter(None, parts))


def operations_table(rows: list[Row]) -> str:
    """For each subject the median of each call, and in brackets what it costs over the floor above it."""
    found: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in rows:
        key = (row["server"], row["driver"], "yes" if row["waits"] else "no", row["what"])
        found.setdefault(key, {})[row["call"]] = row
    head = ["server", "driver", "waits for the disk", "", *CALLS]
    return table(head, [[*key, *(_operation(calls[call]) for call in CALLS)] for key, calls in found.items()])


def _operation(row: Row) -> str:
    if row["over_floor_us"] is None:
        return number(row["median_us"])
    over = times(row["ratio"]) if row["what"] == "RedisStore" else f"{row['over_floor_us']:+.0f}"
    return f"{number(row['median_us'])} ({over})"


def pages_table(rows: list[Row]) -> str:
    """For each subject the cost, and in brackets how many times that of ours on the same server."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row["kind"] != "bare":
            found.setdefault(row["subject"], {})[row["scenario"]] = row
    order = ["postgresql", "mariadb", "redis"]
    names = sorted(found, key=lambda name: (order.index(found[name]["C"]["store"]), found[name]["C"]["kind"]))
    lines = []
    for name in names:
        mark = "" if found[name]["C"]["is_default"] else " *"
        lines.append([name + mark, found[name]["C"]["store"], *(_page(found[name][letter]) for letter in LETTERS)])
    note = "\\* not how the package comes, but its fastest configuration."
    return table(["", "server", *LETTERS], lines) + "\n\n" + note


def _page(row: Row) -> str:
    cost = number(row["cost_us"])
    return cost if row["ratio"] is None else f"{cost} ({times(row['ratio'])})"


def sizing_table(rows: list[Row]) -> str:
    """Also for docs/sizing.md."""
    formats = {"logged in": lambda is_owned: "yes" if is_owned else "no", "indexes": _or_dash}
    return rows_table(rows, formats)


def prune_table(rows: list[Row]) -> str:
    """Times in milliseconds, but of the whole in seconds; before it and during it."""
    head = [
        "store",
        "expired",
        "live",
        "pruned in",
        "batch, median",
        "longest",
        "median turn",
        "p99",
        "worst",
        "errors",
    ]
    lines = []
    for row in rows:
        sizes = [f"{row['expired']:,}", f"{row['live']:,}"]
        batches = [f"{row['seconds']:,.0f} s", number(row["batch_median_ms"]), number(row["batch_longest_ms"])]
        turns = [
            f"{number(row[f'before_{what}'])} → {number(row[f'during_{what}'])}"
            for what in ("median_ms", "p99_ms", "worst_ms")
        ]
        lines.append([row["store"], *sizes, *batches, *turns, row["errors"]])
    return table(head, lines)


def _or_dash(value: object) -> str:
    return DASH if value is None else plain(value)
