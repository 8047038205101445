"""Overlapping requests, in every order: the promises hold, each rule is needed, and the checker can tell."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import comb
from typing import Any

import pytest

from sessionware import get_session
from sessionware.testing import SCENARIOS, Request, Scenario, Verdict, explore
from sessionware.testing.interleaving.ending import Ending
from sessionware.testing.invariants import INVARIANTS, LIMITS
from tests.rules import interleavings
from tests.rules.without_rules import MISSING, SIMPLER, Without

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@cache
def explored(name: str) -> Verdict:
    """What comes out with all rules in place. It takes a while, so it is remembered for those who ask again."""
    return explore(BY_NAME[name])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_promise_holds_in_every_order(scenario: Scenario) -> None:
    """No order breaks the scenario's promise, and the page says how many there are."""
    verdict = explored(scenario.name)

    assert verdict.bad == 0, f"{scenario.promise} Not so after: {'; '.join(verdict.example)}"
    assert verdict.orders >= 10


@pytest.mark.interpreted
@pytest.mark.parametrize("missing", MISSING, ids=str)
def test_each_rule_is_needed(missing: Without) -> None:
    """With this rule taken out, an invariant finds it in a pair of acts; the page shows in how many orders."""
    with missing.policy():
        verdict = explore(missing.scenario)

    assert 0 < verdict.bad <= verdict.orders
    if not isinstance(missing.where, str):
        assert missing.where.invariant.sentence in verdict.broken
    row = f"| {missing} | {verdict.bad} of {verdict.orders} |"
    assert row in interleavings.PAGE.read_text(encoding="utf-8"), "run: python3 dev.py docs"


@pytest.mark.interpreted
@pytest.mark.parametrize("name", SIMPLER)
def test_simpler_policies_break_promises(name: str) -> None:
    """What other libraries do goes wrong in one of these."""
    with SIMPLER[name]():
        verdicts = [explore(BY_NAME[scenario]) for scenario in ("login and write", "two counters")]

    assert any(verdict.bad for verdict in verdicts)


def test_page_shows_every_scenario() -> None:
    """The table has today's scenarios and numbers of orders."""
    page = interleavings.PAGE.read_text(encoding="utf-8")

    for name, verdicts in interleavings.grouped([explored(scenario.name) for scenario in SCENARIOS]).items():
        assert f"| {name} | {interleavings.orders(verdicts)} | 0 |" in page, "run: python3 dev.py docs"


def test_rules_are_all_taken_out() -> None:
    """Each of the fifteen rules has its turn, and at least thirty are found by what always holds."""
    assert {missing.rule for missing in MISSING} == set(range(1, 16))
    assert sum(not isinstance(missing.where, str) for missing in MISSING) >= 30


@pytest.mark.parametrize("missing", [missing for missing in MISSING if not isinstance(missing.where, str)], ids=str)
def test_nothing_is_bad_where_rules_are_taken_out(missing: Without) -> None:
    """The pair in which a rule is missed has no bad order with it."""
    verdict = explore(missing.scenario)

    assert (verdict.bad, dict(verdict.broken)) == (0, {}), verdict.example


def test_page_has_every_sentence() -> None:
    """What always holds, and where it ends, is what the page says, word by word."""
    page = " ".join(interleavings.PAGE.read_text(encoding="utf-8").split())
    where_they_end = page.partition("## Where they end")[2].partition("## What a failover may undo")[0]

    assert [each.sentence for each in INVARIANTS if each.sentence not in page] == []
    assert [each.sentence for each in LIMITS if each.sentence.rstrip(".") not in where_they_end] == []


def visits(count: int, holds: Callable[..., Any] = lambda ending: True) -> Scenario:
    """First visits, each of four steps: sent, create, first byte out, arrives."""
    requests = tuple(
        Request(f"visit {number}", lambda environ: get_session(environ).update(n=1), browser=f"browser {number}")
        for number in range(count)
    )
    return Scenario("visits", "Anything.", requests, holds)


def test_every_order_is_counted_once() -> None:
    """Requests of three steps that do not meet have as many orders as there are ways to mix them."""
    assert explore(visits(1)).orders == 1
    assert explore(visits(2)).orders == comb(6, 3)
    assert explore(visits(3)).orders == comb(9, 3) * comb(6, 3)


def test_bad_orders_are_counted_and_shown() -> None:
    """An order that breaks the promise is counted, and the first of them is told step by step."""
    verdict = explore(visits(2, holds=lambda ending: ending.arrived_last == "visit 1"))

    assert (verdict.orders, verdict.bad) == (20, 10)
    assert verdict.example[-2:] == ("visit 0: arrives", "so this does not hold: Anything.")
    assert sorted(verdict.example[:-1]) == [
        f"visit {number}: {step}" for number in range(2) for step in ("arrives", "create", "sent")
    ]


def test_failures_come_at_every_call_and_after_it() -> None:
    """One call that fails: at any of the calls, before its work or after it, or at none."""
    scenario = Scenario("one", "", visits(1).requests, lambda ending: True, failures=1)

    statuses: list[int] = []

    def noted(ending: Ending) -> bool:
        statuses.append(ending.reply("visit 0").status)
        return True

    explore(Scenario("one", "", scenario.requests, noted, failures=1))

    assert explore(scenario).orders == 3
    assert sorted(statuses) == [200, 503, 503]


def test_time_passes_once_at_every_moment() -> None:
    """Before any step of one request, and after the last."""
    times: list[tuple[int, int | None, bool]] = []

    def view(environ: dict[str, Any]) -> int | None:
        session = get_session(environ)
        session.update(n=1)
        session.commit()
        return session.created_at

    def noted(ending: Ending) -> bool:
        created_at: int | None = ending.reply("visit").result
        times.append((ending.began_at, created_at, ending.came_late("visit")))
        return True

    assert explore(Scenario("one", "", (Request("visit", view),), noted, passes=60)).orders == 4
    assert sorted((created - began, late) for began, created, late in times if created is not None) == [
        (0, False),  # after its call, before the response arrives
        (0, False),  # after that
        (0, True),  # the clock was read before, and the call was answered after
        (60, True),
    ]


def test_secret_changes_before_the_requests() -> None:
    """What was sealed before opens, and is sealed anew."""
    before = (Request("begin", lambda environ: get_session(environ).update(n=1)),)
    read = Request("read", lambda environ: get_session(environ)["n"])
    scenario = Scenario(
        "rotation",
        "",
        (read,),
        lambda end: end.reply("read").result == 1 and bool(end.reply("read").cookie) and end.writers == ["read"],
        before,
        rings=((1, 0),),
    )

    assert explore(scenario)[:3] == (1, 0, ())


def test_form_of_another_site_comes_without_the_cookie() -> None:
    """The browser keeps its cookie back, and still takes what the response sets."""
    before = (Request("begin", lambda environ: get_session(environ).update(n=1)),)
    write = Request("write", lambda environ: get_session(environ).update(p=1), is_without_cookie=True)

    assert explore(Scenario("no cookie", "", (write,), lambda end: end.now.data == {"p": 1}, before))[:2] == (1, 0)


def test_what_an_application_catches_is_not_the_checker() -> None:
    """A view that catches every exception still waits at its calls."""

    def careless(environ: dict[str, Any]) -> Any:
        try:
            return get_session(environ).get("n")
        except Exception:
            return "caught"

    before = (Request("begin", lambda environ: get_session(environ).update(n=1)),)
    scenario = Scenario("careless", "", (Request("read", careless),), lambda end: end.reply("read").result == 1, before)

    assert explore(scenario).bad == 0


def test_mistake_in_a_view_is_not_taken_for_a_good_order() -> None:
    """What a view raises rises, unless it is one of sessionware's own errors, for which a server answers 500."""
    with pytest.raises(ZeroDivisionError):
        explore(Scenario("mistake", "", (Request("view", lambda environ: 1 / 0),), lambda end: True))

    late = Request("late", lambda environ: None, late=lambda environ: get_session(environ).invalidate())
    scenario = Scenario("too late", "", (late,), lambda end: end.reply("late").status == 200)
    assert explore(scenario).bad == 0


def test_names_are_handles() -> None:
    """Two requests of one name, and a name that no request has, are mistakes that are told."""
    visit = visits(1).requests[0]
    with pytest.raises(ValueError, match="same name: visit 0, visit 0"):
        Scenario("twins", "", (visit, visit), lambda end: True)
    with pytest.raises(ValueError, match="no request is called 'visit 7'; there are visit 0"):
        explore(Scenario("typo", "", (visit,), lambda end: end.reply("visit 7").status == 200))
