"""What an independent checker once found, put back one by one: each is found again, by what always holds.

It ran fewer orders than ours, asked more in each, and found twelve exceptions. Two of them are no rule: the eleventh is
a list of limits that were not stated, and the twelfth was our own checker, which asked too little.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from sessionware._core import lifetime
from sessionware.testing import Scenario, explore, invariants
from sessionware.testing.invariants import LIMITS, Limit
from sessionware.testing.invariants.time import LOWER
from sessionware.testing.scenarios.pairs import pair
from sessionware.testing.scenarios.parts import PARTS
from tests.rules.without_rules import ACT, CONTEXT, MISSING, Pair, Without


def at_once(context: str, one: str, other: str, **options: int) -> Scenario:
    return pair(CONTEXT[context], ACT[one], ACT[other], **options)


BY_WHAT = {missing.what: missing for missing in MISSING}


@contextmanager
def logins_are_capped_too() -> Iterator[None]:
    """The first hour, which keeps floods of visitors small, ends a session that is somebody's."""
    with patch.object(lifetime, "is_capped", lambda envelope: True):
        yield


FINDINGS = {
    1: BY_WHAT["nothing is inherited from a visitor"],
    2: BY_WHAT["no login joins another"],
    3: BY_WHAT["a late clear is no logout"],
    4: BY_WHAT["a repeated logout everywhere ends one"],
    5: BY_WHAT["ends whoever is logged in there by now"],
    6: BY_WHAT["saves what has expired"],
    7: BY_WHAT["remember() is dropped in silence"],
    8: BY_WHAT["a login that cannot be checked is ended"],
    9: BY_WHAT["what cannot be saved after the headers is dropped in silence"],
    10: Without(
        6, "a login ends with the first hour", logins_are_capped_too, Pair("no cookie", "login", "read", LOWER)
    ),
}

WRONG_ORDER = next(part for part in PARTS if part.name == "two servers: in the wrong order")

#: Where each limit is needed, in the order of `LIMITS`.
NEEDED = (
    at_once("visitor", "pop flash", "pop flash"),
    at_once("visitor", "login", "login by key"),
    at_once("logged in", "logout", "login"),
    at_once("visitor", "login", "renew"),
    at_once("no cookie", "set", "set"),
    at_once("visitor", "renew", "set", losses=1),
    at_once("visitor", "login", "remember"),
    at_once("visitor", "renew", "set", passes=61),
    at_once("visitor", "set", "modify", failures=1),
    next(WRONG_ORDER.scenarios(is_quick=True)),
)


@pytest.mark.interpreted
@pytest.mark.parametrize("number", FINDINGS)
def test_finding_is_found_again(number: int) -> None:
    """As it was before it was mended, some order is bad."""
    finding = FINDINGS[number]
    with finding.policy():
        verdict = explore(finding.scenario)

    assert verdict.bad > 0
    assert explore(finding.scenario).bad == 0


@pytest.mark.parametrize(("limit", "where"), list(zip(LIMITS, NEEDED, strict=True)), ids=range(len(LIMITS)))
def test_limit_is_needed(limit: Limit, where: Scenario) -> None:
    """If it were not stated (the eleventh finding), orders would be bad that are not."""
    others = tuple(each for each in LIMITS if each is not limit)
    with patch.object(invariants, "LIMITS", others):
        without = explore(where)
    with_it = explore(where)

    assert without.bad > 0
    assert (with_it.bad, with_it.explained[limit.sentence] >= without.bad) == (0, True)
