"""The checker's steps, its memory, and its command: what else may happen in an order, and how often each is counted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sessionware import get_session
from sessionware.testing import Request, Scenario, explore
from sessionware.testing.__main__ import main
from sessionware.testing.interleaving.ending import Ending
from sessionware.testing.interleaving.engine import Explorer
from sessionware.testing.interleaving.quiet import quiet
from sessionware.testing.interleaving.states import State
from sessionware.testing.scenarios.acts import ACTS
from sessionware.testing.scenarios.contexts import CONTEXTS
from sessionware.testing.scenarios.pairs import pair
from tests.rules.interleavings import RESULT

ACT = {act.name: act for act in ACTS}
CONTEXT = {context.name: context for context in CONTEXTS}


def begins(name: str = "begin", **options: Any) -> Request:
    return Request(name, lambda environ: get_session(environ).update(n=1), **options)


def endings(scenario: Scenario) -> list[Ending]:
    """Every order's ending, each as often as the checker looks at it."""
    found: list[Ending] = []

    def noted(ending: Ending) -> bool:
        found.append(ending)
        return True

    explore(Scenario(**{**vars(scenario), "holds": noted}))
    return found


def test_second_chunk_and_end_of_a_body_are_steps() -> None:
    """Another request gets in between the first byte, the second, and the end."""
    late = Request("late", lambda environ: None, late=lambda environ: get_session(environ).update(late=1))
    steps: list[str] = []
    explorer = Explorer(Scenario("late", "", (late,), before=(begins(),)))
    with quiet():
        state = explorer.prepared()
        while moves := list(explorer.moves(state)):
            what, state = moves[0]
            steps.append(what)

    assert steps == [
        "late: sent",
        "late: second chunk",
        "late: load",
        "late: close",
        "late: replace",
        "late: arrives",
    ]


def test_lost_response_leaves_the_browser_as_it_was() -> None:
    """What it would have set is not there, though the session is."""
    found = endings(Scenario("lost", "", (begins(),), losses=1))

    assert sorted((ending.cookie == "", len(ending.sessions)) for ending in found) == [(False, 1), (True, 1)]


def test_process_dies_before_a_call_or_right_after_it() -> None:
    """Nothing is sent; what was stored stays."""
    found = endings(Scenario("dead", "", (begins(),), deaths=1))

    dead = [ending for ending in found if ending.served[0].is_dead]
    assert sorted(len(ending.sessions) for ending in dead) == [0, 1]
    assert {ending.cookie for ending in dead} == {""}
    assert len(found) == 3


def test_client_tries_again_after_a_503() -> None:
    """Once, with the cookie that its browser has by then."""
    found = endings(Scenario("again", "", (begins(),), failures=1, retries=1))

    assert Counter(tuple(served.status for served in ending.served) for ending in found) == {(200,): 1, (503, 200): 2}
    assert {ending.served[-1].name for ending in found} == {"begin", "begin again"}


def test_servers_have_secrets_of_their_own() -> None:
    """A server without the secret of a cookie sees no session."""
    read = [
        Request(f"read {server}", lambda environ: get_session(environ).get("n"), server=server) for server in (0, 1)
    ]
    found = endings(Scenario("rings", "", tuple(read), before=(begins(),), rings=((0, 1), (1,))))

    assert {(ending.reply("read 0").result, ending.reply("read 1").result) for ending in found} == {(1, None)}


def test_each_browser_has_its_own_cookie() -> None:
    """Requests of one browser never carry the other one's."""
    requests = (begins("hers"), begins("his", browser="his"))
    found = endings(Scenario("two", "", requests))

    assert all(ending.cookie_in("hers") != ending.cookie_in("his") for ending in found)


@pytest.mark.parametrize(
    "scenario",
    [
        pair(CONTEXT["visitor"], ACT["login"], ACT["set"]),
        pair(CONTEXT["visitor"], ACT["set"], ACT["modify"], failures=1),
        pair(CONTEXT["visitor"], ACT["renew"], ACT["set"], losses=1),
        pair(CONTEXT["visitor"], ACT["renew"], ACT["set"], deaths=1),
        pair(CONTEXT["visitor"], ACT["renew"], ACT["set"], passes=61),
        pair(CONTEXT["no cookie"], ACT["set"], ACT["login"], failures=1, retries=1),
    ],
    ids=lambda scenario: f"{scenario.name} {scenario.failures}{scenario.losses}{scenario.deaths}{scenario.passes}",
)
def test_counting_by_states_counts_every_order(scenario: Scenario) -> None:
    """One after the other, without remembering any state, there are as many orders, and the same holds in them."""
    explorer = Explorer(scenario)
    with quiet():
        begin = explorer.prepared()
        each = [explorer.judged(state) for state in _ends(explorer, begin)]
    verdict = explore(scenario)

    assert verdict.orders == len(each)
    assert verdict.bad == sum(one.bad for one in each)
    assert verdict.explained == sum((Counter(one.explained) for one in each), Counter())


def _ends(explorer: Explorer, state: State) -> Any:
    moves = list(explorer.moves(state))
    if not moves:
        yield state
    for _what, after in moves:
        yield from _ends(explorer, after)


def test_command_says_what_it_ran(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Nothing is bad in any part of the quick table, each part is there, and it is what docs/guarantees.md shows."""
    path = tmp_path / "orders.json"

    assert main(["--json", str(path)]) == 0

    shown, table = capsys.readouterr().out, json.loads(path.read_text(encoding="utf-8"))
    assert all(row["bad"] == 0 and row["orders"] > 0 for row in table)
    assert all(row["part"] in shown for row in table)
    assert table == json.loads(RESULT.read_text(encoding="utf-8")), "write what is new: --json tests/rules/orders.json"
    assert sum(row["runs"] for row in table) < sum(row["orders"] for row in table)
    assert "each state is explored" in shown


@pytest.mark.parametrize("jobs", ["0", "two", "-1"])
def test_command_refuses_a_wrong_number_of_processes(jobs: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what to write."""
    with pytest.raises(SystemExit) as refusal:
        main(["--jobs", jobs])

    assert refusal.value.code == 2
    assert "write 1 or more" in capsys.readouterr().err
