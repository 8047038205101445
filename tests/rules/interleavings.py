#!/usr/bin/env python3
"""The tables of docs/guarantees.md: every scenario in every order, under our rules, without each, and under others'.

`python3 dev.py docs` writes them into the page.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import dev
from sessionware.testing import SCENARIOS, Verdict, explore
from sessionware.testing.invariants import INVARIANTS
from sessionware.testing.scenarios.sessions import OF_SESSIONS
from tests.rules.without_rules import MISSING, SIMPLER, Pair, Policy, Without

PAGE = dev.ROOT / "docs" / "guarantees.md"
RESULT = dev.ROOT / "tests" / "rules" / "orders.json"
BEGIN_ORDERS = "<!-- generated: orders -->\n"
BEGIN, END = "<!-- generated: interleavings -->\n", "<!-- end of what is generated -->\n"


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    fresh = with_tables(text)
    if fresh != text:
        PAGE.write_text(fresh, encoding="utf-8")
        print(f"updated {PAGE.name}")


def with_tables(page: str) -> str:
    """The page, with the tables as they come out today."""
    return replaced(replaced(page, BEGIN_ORDERS, orders_tables()), BEGIN, tables())


def replaced(page: str, begin: str, block: str) -> str:
    """The page, with this block behind a mark."""
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(END)
    return head + begin + "\n" + block + "\n" + END + tail


def tables() -> str:
    ours = [explore(scenario) for scenario in SCENARIOS]
    return "\n".join((*policies(ours), "", *rules()))


def orders_tables() -> str:
    """What came out of all pairs, as `python3 dev.py orders` has left it."""
    table = json.loads(RESULT.read_text(encoding="utf-8"))
    return "\n".join((*invariants(), "", *parts(table), "", *shares(table)))


def policies(ours: list[Verdict]) -> Iterator[str]:
    """A row for each scenario, and a column for each policy where that says something.

    Other libraries' policies say nothing about accounts, and nothing about limits.
    """
    others = [grouped(each_under(policy)) for policy in SIMPLER.values()]
    yield f"| overlapping requests | orders | sessionware | {' | '.join(SIMPLER)} |"
    yield "|---|--:|" + "--:|" * (1 + len(SIMPLER))
    for name, verdicts in grouped(ours).items():
        cells = [share(verdicts), *(share(other[name]) if name in other else "" for other in others)]
        yield f"| {name} | {orders(verdicts)} | {' | '.join(cells)} |"
    yield f"| **all** | **{orders(ours)}** | **{share(ours)}** |{' |' * len(SIMPLER)}"


def each_under(policy: Policy) -> list[Verdict]:
    with policy():
        return [explore(scenario) for scenario in OF_SESSIONS]


def grouped(verdicts: list[Verdict]) -> dict[str, list[Verdict]]:
    """The verdicts by row: those on another origin share one."""
    rows: dict[str, list[Verdict]] = {}
    for scenario, verdict in zip(SCENARIOS, verdicts, strict=False):  # a policy has the first ones alone
        is_afar = scenario.name.startswith("another origin")
        rows.setdefault("another origin, and anything" if is_afar else scenario.name, []).append(verdict)
    return rows


def orders(verdicts: list[Verdict]) -> str:
    return f"{sum(verdict.orders for verdict in verdicts):,}"


def share(verdicts: list[Verdict]) -> str:
    """The share of bad orders. Not their number: a policy that tries again less often has fewer orders."""
    bad, all_orders = (sum(column) for column in list(zip(*verdicts, strict=True))[:2][::-1])
    return f"**{100 * bad / all_orders:.3g} %**" if bad else "0"


def rules() -> Iterator[str]:
    """A row for each rule that is taken out."""
    yield "| without | bad in | where | what does not hold there |"
    yield "|---|--:|---|---|"
    for missing in MISSING:
        with missing.policy():
            verdict = explore(missing.scenario)
        found = missing.where.invariant.sentence if isinstance(missing.where, Pair) else missing.scenario.promise
        where = f"{missing.scenario.name}{_besides(missing)}"
        yield f"| {missing} | {verdict.bad} of {verdict.orders} | {where} | {found} |"


def _besides(missing: Without) -> str:
    """What else happens in each order."""
    options = missing.where.options if isinstance(missing.where, Pair) else {}
    return "".join(f", {_BESIDES[name]}" for name in options)


_BESIDES = {
    "passes": "and time passes",
    "failures": "and a call fails",
    "rings": "under a new secret",
}


def invariants() -> Iterator[str]:
    """What always holds, as a list."""
    return (f"* {invariant.sentence}" for invariant in INVARIANTS)


def parts(table: list[dict[str, Any]]) -> Iterator[str]:
    """A row for each part of the table, as `python3 dev.py orders` has left it."""
    yield "| part | scenarios | orders | bad | explained | states | requests run |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for row in table:
        figures = " | ".join(f"{row[name]:,}" for name in ("scenarios", "orders", "bad", "limited", "states", "runs"))
        yield f"| {row['part']} | {figures} |"
    totals = (sum(row[name] for row in table) for name in ("scenarios", "orders", "bad", "limited", "states", "runs"))
    yield f"| **all** | {' | '.join(f'**{total:,}**' for total in totals)} |"


def shares(table: list[dict[str, Any]]) -> Iterator[str]:
    """A row for each limit, with how many orders it explains."""
    orders = sum(row["orders"] for row in table)
    explained = sum((Counter(row["explained"]) for row in table), Counter[str]())
    yield "| what is stated under [where they end](#where-they-end) | orders | of all |"
    yield "|---|--:|--:|"
    for sentence, count in explained.most_common():
        yield f"| {sentence} | {count:,} | {100 * count / orders:.2g} % |"


if __name__ == "__main__":
    main()
