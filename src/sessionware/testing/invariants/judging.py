"""How an order is judged: every invariant is asked, and what breaks one is bad unless a stated limit explains it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ..._repr import shown_half_built
from ..interleaving.ending import Ending, Served


class Breach(NamedTuple):
    """What is wrong in one order."""

    what: str
    """In a few words, for whoever reads the example."""
    by: Served | None = None
    """The request that it happened to, if it was one."""
    about: str = ""
    """Such as the key, or the session's id."""
    where: str = ""
    """The browser, if it is none of the request's."""

    @property
    def browser(self) -> str:
        """Whose browser it concerns; "" if it is nobody's."""
        return self.where or ("" if self.by is None else self.by.browser)


@shown_half_built
@dataclass(frozen=True)
class Invariant:
    """A sentence that holds in every order."""

    sentence: str
    breaches: Callable[[Ending], Iterable[Breach]]
    needs_words: bool = True
    """Whether it can be asked only of requests that say what they do."""


@shown_half_built
@dataclass(frozen=True)
class Limit:
    """A sentence of "Where they end", and what it explains."""

    sentence: str
    of: tuple[Invariant, ...]
    """The invariants that it limits."""
    explains: Callable[[Ending, Breach], bool]


class Judgement(NamedTuple):
    """What was found in one order."""

    broken: tuple[str, ...] = ()
    """The sentences of the invariants that do not hold."""
    explained: tuple[str, ...] = ()
    """The sentences of the limits that were needed."""
    breaches: tuple[str, ...] = ()
    """What is wrong, for whoever reads it."""


def judged_by(ending: Ending, invariants: Iterable[Invariant], limits: Iterable[Limit]) -> Judgement:
    """Ask every invariant, and of what breaks one every limit that it has."""
    broken: dict[str, None] = {}
    explained: dict[str, None] = {}
    breaches: list[str] = []
    is_said = all(request.says_what_it_does for request in ending.requests)
    for invariant in invariants:
        if invariant.needs_words and not is_said:
            continue
        for breach in invariant.breaches(ending):
            limit = next((each for each in limits if invariant in each.of and each.explains(ending, breach)), None)
            if limit is not None:
                explained[limit.sentence] = None
                continue
            broken[invariant.sentence] = None
            breaches.append(f"{breach.what} ({invariant.sentence})")
    return Judgement(tuple(broken), tuple(explained), tuple(breaches))
