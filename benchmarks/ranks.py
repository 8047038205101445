"""Whether two samples of durations can be told apart: the rank test of Mann and Whitney, for every pair of them."""

from __future__ import annotations

from itertools import combinations, groupby
from statistics import NormalDist, median, quantiles
from typing import Any

#: All pairs together may be told apart by chance this often.
LEVEL = 0.05


def told_apart(times: dict[str, list[float]]) -> list[dict[str, Any]]:
    """A row for each case: how long it took, and how far it can be told from the others.

    `least_p` is the least p-value against any other case, which `against` names. `told_apart` counts the cases from
    which it differs at `LEVEL` divided by the number of pairs (Bonferroni).
    """
    pairs = list(combinations(times, 2))
    p_values = {frozenset(pair): mann_whitney(times[pair[0]], times[pair[1]]) for pair in pairs}
    return [_row(name, times[name], p_values, LEVEL / len(pairs)) for name in times]


def _row(name: str, times: list[float], p_values: dict[frozenset[str], float], least: float) -> dict[str, Any]:
    own = {next(iter(pair - {name})): p for pair, p in p_values.items() if name in pair}
    nearest = min(own, key=lambda other: own[other])
    return {
        "case": name,
        "median_ms": round(median(times) * 1000, 3),
        "p95_ms": round(quantiles(times, n=20)[-1] * 1000, 3),
        "least_p": f"{own[nearest]:.2g}",
        "against": nearest,
        "told_apart": sum(p < least for p in own.values()),
    }


def mann_whitney(one: list[float], other: list[float]) -> float:
    """How likely two samples of one distribution differ this much: two-sided, by the normal limit, with ties."""
    both = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    rank_sum, ties = _ranked(both)
    n, m = len(one), len(other)
    count = n + m
    mean = n * (count + 1) / 2
    variance = n * m / 12 * (count + 1 - ties / (count * (count - 1)))
    if variance == 0:  # all of them are equal
        return 1.0
    return 2 * (1 - NormalDist().cdf(abs(rank_sum - mean) / variance**0.5))


def _ranked(both: list[tuple[float, int]]) -> tuple[float, int]:
    """The sum of the ranks of the first sample, where equal values share the mean of theirs; and how much is equal."""
    rank_sum, ties, before = 0.0, 0, 0
    for _value, group in groupby(both, key=lambda pair: pair[0]):
        samples = [sample for _, sample in group]
        size = len(samples)
        rank_sum += (before + (size + 1) / 2) * samples.count(0)
        ties += size**3 - size
        before += size
    return rank_sum, ties
