"""Every pair of acts, in every context."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement, product
from typing import Any

from ..interleaving.engine import Scenario
from ..interleaving.site import Request
from .acts.act import Act
from .contexts import Context


def overlapping(context: Context, *acts: Act, **options: Any) -> Scenario:
    """These acts at once. In a context of two browsers, the first is done in hers."""
    return Scenario(
        f"{context.name}: {', '.join(act.name for act in acts)}",
        "",
        tuple(_requests(context, acts)),
        before=context.before,
        wait=context.wait,
        session_limit=context.session_limit,
        when_full=context.when_full,
        **options,
    )


def _requests(context: Context, acts: tuple[Act, ...]) -> Iterator[Request]:
    names: list[str] = []
    for number, act in enumerate(acts):
        times = names.count(act.name)
        names.append(act.name)
        yield act.request(f"{act.name} {times + 1}" if times else act.name, browser=context.browsers[min(number, 1)])


def pair(context: Context, one: Act, other: Act, **options: Any) -> Scenario:
    """Two acts at once."""
    return overlapping(context, one, other, **options)


def pairs(context: Context, acts: tuple[Act, ...], **options: Any) -> Iterator[Scenario]:
    """Every act beside every act. In two browsers, it makes a difference who does which."""
    is_in_one = context.browsers[0] == context.browsers[1]
    both = combinations_with_replacement(acts, 2) if is_in_one else product(acts, acts)
    return (pair(context, one, other, **options) for one, other in both)


def pairs_with(context: Context, core: tuple[Act, ...], acts: tuple[Act, ...], **options: Any) -> Iterator[Scenario]:
    """Every act beside each of the core."""
    seen = set()
    for one, other in product(core, acts):
        if frozenset((one.name, other.name)) not in seen:
            seen.add(frozenset((one.name, other.name)))
            yield pair(context, one, other, **options)
