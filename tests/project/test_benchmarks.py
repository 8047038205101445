"""The benchmarks measure what they say: every subject's answers are checked, and wrong ones stop the run.

Nothing here depends on how long anything takes.
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Literal

import pytest

from benchmarks import contention, growth, logins, macro, micro, refusals
from benchmarks.figures import Micro
from benchmarks.ranks import mann_whitney, told_apart
from benchmarks.report import as_markdown, with_tables
from benchmarks.scenarios import SCENARIOS, WrongAnswer
from benchmarks.subjects import subjects
from benchmarks.subjects.base import BARE
from benchmarks.subjects.ours import STORES, SUBJECTS, application
from benchmarks.tables import DASH, TIMES
from sessionware import MemoryStore, Record

TINY = micro.Plan(rounds=1, batch=2, seed=1)
MACHINE = {
    "date": "",
    "cpu": "",
    "cores": 2,
    "file_system": "",
    "system": "",
    "python": "",
    "sqlite": "",
    "packages": {},
    "is_compiled": True,
}


class Forgetful(MemoryStore):
    """Says that it has replaced a record, and has not."""

    def replace(self, record: Record) -> bool:
        return True


def test_every_subject_of_ours_answers_rightly_in_every_scenario(tmp_path: Path) -> None:
    """One tiny round gives a row for each of our stores in each scenario."""
    rows = micro.measure(subjects(["ours"]), TINY, tmp_path)
    assert {(row["subject"], row["scenario"]) for row in rows} == {
        (subject.name, letter) for subject in SUBJECTS for letter in SCENARIOS
    }


@pytest.mark.parametrize("letter", ["D", "G2", "M", "L"])
def test_a_store_that_loses_writes_is_found_out(letter: str, tmp_path: Path) -> None:
    """A subject that answers before it has saved is not measured but refused."""
    skips = frozenset(SCENARIOS) - {letter, "G1"}
    broken = replace(SUBJECTS[1], build=lambda _directory: application(Forgetful()), skips=skips)
    with pytest.raises(WrongAnswer):
        micro.measure([BARE, broken], TINY, tmp_path)


def test_growth_visits_real_sessions_among_the_filler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filled store holds as many sessions as it says, and a visit among them is answered rightly."""
    store = MemoryStore()
    monkeypatch.setitem(STORES, "memory", lambda _directory: store)
    site = growth._populated("memory", growth.VISITED + 101, tmp_path / "store", random.Random(1))
    assert len(store.scan(limit=10_000)) == site.size == growth.VISITED + 101
    assert growth._batch(site, "D", 10, random.Random(1)) > 0


def test_contention_counts_what_was_lost() -> None:
    """Every count that was answered is in the session in the end."""
    row = contention._row("memory", "threads", 2, False, contention.Plan((2,), 0.05))
    assert (row["lost"], row["conflicts"]) == (0, 0)


def test_contention_notices_lost_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a store that forgets, the same row says how many are missing."""
    monkeypatch.setitem(STORES, "memory", lambda _directory: Forgetful())
    assert contention._row("memory", "threads", 2, False, contention.Plan((2,), 0.05))["lost"] > 0


def test_what_wrk_prints_is_understood() -> None:
    """Throughput, the 99th percentile in milliseconds, and every kind of failure."""
    report = """
      Latency Distribution
         50%  812.00us
         99%    1.92s
      100 requests in 1.00s, 1.00MB read
      Socket errors: connect 1, read 7, write 0, timeout 2
      Non-2xx or 3xx responses: 4
    Requests/sec:   4574.25
    """
    assert macro.parsed(report) == macro.Load(per_second=4574.25, p99_ms=1920.0, failures=7)


def test_ours_is_compared_with_the_floor_of_its_store_and_peers_with_ours() -> None:
    """What asks no store of ours, and a floor itself, is compared with nothing."""
    pairs: list[tuple[Literal["ours", "peer", "floor"], Literal["file", "cookie"]]] = [
        ("ours", "file"),
        ("peer", "file"),
        ("floor", "file"),
        ("peer", "cookie"),
    ]
    compared = {(kind, store): micro.compared_with(replace(BARE, kind=kind, store=store)) for kind, store in pairs}
    assert list(compared.values()) == ["floor-file-twoslot", "sessionware-file", None, None]


def test_a_ratio_is_that_of_pairs(tmp_path: Path) -> None:
    """Of `modify` too, which floors lack: counting is the same work."""
    memory = next(subject for subject in SUBJECTS if subject.name == "sessionware-memory")
    floor = replace(memory, name="floor-memory", kind="floor", skips=frozenset("M"))
    rows = micro.measure([BARE, memory, floor], TINY._replace(rounds=3), tmp_path)
    ratios = {(row["kind"], row["scenario"]): row["ratio"] for row in rows}
    assert [ratios["ours", letter] is not None for letter in "CDM"] == [True, True, True]
    assert ratios["floor", "C"] is None


def test_the_report_compares_with_floor_and_peers() -> None:
    """Ratios are those of pairs: twice the floor, and a peer that is three times slower."""
    cells = {
        "sessionware-memory": ("ours", 20.0, 2.0),
        "floor-memory": ("floor", 10.0, None),
        "beaker-memory": ("peer", 60.0, 3.0),
    }
    shared = {"store": "memory", "scenario": "C", "is_default": True, "p95_us": 99.0, "cost_spread_us": [9, 99]}
    rows = [
        {"subject": name, "kind": kind, "cost_us": cost, "ratio": ratio, **shared}
        for name, (kind, cost, ratio) in cells.items()
    ]
    micro_figures = Micro(rows)
    assert micro_figures.floor("memory", "C") == 10.0
    text = as_markdown({"machine": MACHINE, "quick": True, "micro": rows})
    twice, thrice = f"{TIMES}2.00", f"{TIMES}3.00"
    assert f"| memory | C | 20.0 | 10.0 | {twice} | 60.0 beaker-memory | {thrice} | {thrice} | {DASH} |" in text


def test_tables_replace_what_is_between_their_marks_and_nothing_else() -> None:
    """A page keeps its own words, and tables of which there are no figures; without any marks it is refused."""
    page = "before\n<!-- generated: performance -->\nold\n<!-- end -->\nafter\n"
    other = "<!-- generated: servers -->\nold\n<!-- end -->\n"
    fresh = with_tables(page + other, {"performance": "new"})
    assert fresh == "before\n<!-- generated: performance -->\n\nnew\n\n<!-- end -->\nafter\n" + other
    with pytest.raises(ValueError, match="'performance': 0"):
        with_tables("no marks", {"performance": "new"})


def test_the_rank_test_tells_apart_what_differs_and_nothing_else() -> None:
    """By the value of the textbook, and by samples of which it is known."""
    rng = random.Random(1)
    one, other = ([rng.gauss(20, 2) for _ in range(300)] for _ in range(2))
    shifted = [value + 1 for value in other]

    assert mann_whitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(0.00902, abs=1e-4)
    assert mann_whitney([1.0] * 50, [1.0] * 50) == 1
    assert mann_whitney(one, other) > 0.01
    assert mann_whitney(one, shifted) < 1e-3
    assert mann_whitney(one, shifted) == mann_whitney(shifted, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2, 3, 5, 8, 9, 12], [4, 6, 7, 10, 11, 13, 14]),
        ([1, 1, 2, 2, 3, 4, 4], [2, 3, 3, 4, 4, 5, 5]),
        ([1, 1, 1, 1, 1, 1, 2], [1, 1, 1, 2, 2, 2, 2]),
    ],
    ids=["no ties", "some", "many"],
)
def test_the_rank_test_comes_near_the_exact_answer(one: list[float], other: list[float]) -> None:
    """Which is found by dealing the values out in every way; those that differ as much as these count half (mid-p)."""
    both = one + other
    ranks = [sum(v < value for v in both) + (sum(v == value for v in both) + 1) / 2 for value in both]
    mean = len(one) * (len(both) + 1) / 2
    found = abs(sum(ranks[: len(one)]) - mean)
    deals = [abs(sum(dealt) - mean) for dealt in combinations(ranks, len(one))]
    exact = (sum(deal > found for deal in deals) + deals.count(found) / 2) / len(deals)

    assert mann_whitney(one, other) == pytest.approx(exact, abs=0.05)


def test_pairs_that_differ_are_counted() -> None:
    """Each case knows from how many others it can be told, and from which one best."""
    rng = random.Random(1)
    times = {name: [rng.gauss(mean, 0.1) for _ in range(300)] for name, mean in {"a": 1, "b": 1, "c": 2}.items()}

    rows = {row["case"]: row for row in told_apart(times)}

    assert [rows[name]["told_apart"] for name in "abc"] == [1, 1, 2]
    assert rows["a"]["against"] == rows["b"]["against"] == "c"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for the process's memory")
def test_a_load_of_logins_counts_all_of_them() -> None:
    """Each was refused for its password, or for want of time."""
    row = logins.load(4, 20)
    assert (row["threads"], row["logins"], row["busy"]) == (4, 20, 0)
    assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["max_ms"]


def test_every_kind_of_refusal_is_timed() -> None:
    """Against every other kind."""
    rows = logins.timing(3, seed=1)
    assert len(rows) == 12
    assert {row["against"] for row in rows} <= {row["case"] for row in rows}


def test_every_kind_of_refusal_is_timed_at_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of another kind would stop it, also one that was not slowed down where it should be."""
    monkeypatch.setattr(refusals, "WARM_UP", 0)

    rows = refusals.refusals(refusals.Plan(3, seed=1), refusals.CHEAP)

    assert [row["case"] for row in rows][-1] == "wrong, after a wait"
    assert len(rows) == 7


def test_links_are_timed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to each name, and to what is asked for next."""
    monkeypatch.setattr(refusals, "WARM_UP", 0)

    assert len(refusals.links(refusals.Plan(3, seed=1))) == 6
