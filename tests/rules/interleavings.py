#!/usr/bin/env python3
"""The tables of docs/guarantees.md: every scenario in every order, under our rules, without each, and under others'.

`python3 dev.py docs` writes them into the page.
"""

from __future__ import annotations

from collections.abc import Iterator

import dev
from sessionware.testing import SCENARIOS, Scenario, Verdict, explore
from sessionware.testing.scenarios.sessions import OF_SESSIONS
from tests.rules.without_rules import MISSING, SIMPLER, Policy

PAGE = dev.ROOT / "docs" / "guarantees.md"
BEGIN, END = "<!-- generated: interleavings -->\n", "<!-- end of what is generated -->\n"


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    fresh = with_tables(text)
    if fresh != text:
        PAGE.write_text(fresh, encoding="utf-8")
        print(f"updated {PAGE.name}")


def with_tables(page: str) -> str:
    """The page, with the tables as they come out today."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + "\n" + tables() + "\n" + END + tail


def tables() -> str:
    ours = [explore(scenario) for scenario in SCENARIOS]
    return "\n".join((*policies(ours), "", *rules()))


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
    yield "| without | bad in | scenarios | for example |"
    yield "|---|--:|--:|---|"
    for missing in MISSING:
        with missing.policy():
            tried = [scenario for scenario in SCENARIOS if is_quick(scenario) or scenario.name == missing.scenario]
            verdicts = {scenario.name: explore(scenario) for scenario in tried}
        broken = [name for name, verdict in verdicts.items() if verdict.bad]
        example = verdicts[missing.scenario]
        yield f"| {missing} | {example.bad} of {example.orders} | {len(broken)} | {missing.scenario} |"


def is_quick(scenario: Scenario) -> bool:
    return len(scenario.requests) == 2 and not (scenario.session_limit and scenario.passes)


if __name__ == "__main__":
    main()
