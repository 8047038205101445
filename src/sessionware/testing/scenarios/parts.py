"""The parts of the table: which requests overlap in each, and what else happens once in each order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from ..._repr import shown_half_built
from ..interleaving.engine import Scenario
from .accounts import OF_ACCOUNTS
from .acts import ACTS
from .acts.act import DAY, HOUR, Act
from .contexts import CONTEXTS, Context
from .limits import OF_LIMITS
from .pairs import pairs, pairs_with
from .sessions import OF_SESSIONS
from .triples import triples

#: A second more than a replaced token, or an ended session, is remembered as such.
PAST_GRACE = 61

#: A second more than each context's session may lie idle, and than it may live at all.
PAST_IDLE = {"visitor": 14 * DAY + 1, "logged in": 12 * HOUR + 1}
PAST_DEADLINE = {"visitor": 90 * DAY + 1, "logged in": 7 * DAY + 1}

BOTH = ("visitor", "logged in")

CORE_NAMES = ("read", "set", "modify", "login", "logout", "renew", "remember")

CORE = tuple(act for act in ACTS if act.name in CORE_NAMES)
"""Acts beside which every other one is run, where every pair would take too long."""

QUICK = tuple(act for act in ACTS if act.name in ("set", "modify", "login", "logout", "renew"))
"""Acts of which the quick table pairs each with each."""

NAMED = (*OF_SESSIONS, *OF_LIMITS, *OF_ACCOUNTS)

Pairs = Callable[[tuple[Act, ...]], Iterator[Scenario]]


@shown_half_built
@dataclass(frozen=True)
class Part:
    """Scenarios that have something in common, which is a row of the table."""

    name: str
    sentence: str
    """What happens in each order besides."""
    of: Pairs
    """The scenarios in which these acts are paired."""

    def scenarios(self, is_quick: bool = False) -> Iterator[Scenario]:
        """All of them, or the quick table's."""
        return self.of(QUICK if is_quick else ACTS)


def _context(name: str) -> Context:
    return next(context for context in CONTEXTS if context.name == name)


def _beside_core(contexts: Iterable[str], acts: tuple[Act, ...], **options: int) -> Iterator[Scenario]:
    core = CORE if acts is ACTS else acts
    return chain.from_iterable(pairs_with(_context(name), core, acts, **options) for name in contexts)


def _pairs_in(context: Context) -> Part:
    return Part(f"pairs: {context.name}", "Every act beside every act.", lambda acts: pairs(context, acts))


def _each(name: str, sentence: str, contexts: tuple[str, ...] = BOTH, **options: int) -> Part:
    return Part(name, sentence, lambda acts: _beside_core(contexts, acts, **options))


def _passing(name: str, sentence: str, seconds: dict[str, int]) -> Part:
    return Part(
        f"time: {name}",
        sentence,
        lambda acts: chain.from_iterable(_beside_core([each], acts, passes=seconds[each]) for each in seconds),
    )


def _rings(name: str, sentence: str, rings: tuple[tuple[int, ...], ...]) -> Part:
    """One request goes to each of two servers, which have these secrets."""
    return Part(
        f"two servers: {name}",
        sentence,
        lambda acts: (_on_two(each, rings, first) for each in _beside_core(BOTH, acts) for first in (0, 1)),
    )


def _on_two(scenario: Scenario, rings: tuple[tuple[int, ...], ...], first: int) -> Scenario:
    one, other = scenario.requests
    requests = (replace(one, server=first), replace(other, server=1 - first))
    return replace(scenario, name=f"{scenario.name}, server {first} first", requests=requests, rings=rings)


PARTS: tuple[Part, ...] = (
    *(_pairs_in(context) for context in CONTEXTS),
    Part("triples", "Three acts.", lambda acts: triples() if acts is ACTS else iter(())),
    Part("scenarios", "Each with a promise of its own.", lambda acts: iter(NAMED if acts is ACTS else ())),
    _passing("past grace", "A minute passes at any moment.", dict.fromkeys(BOTH, PAST_GRACE)),
    _passing("past the idle limit", "The session has been idle for too long.", PAST_IDLE),
    _passing("past the deadline", "The session's time is over.", PAST_DEADLINE),
    _each("a response is lost", "Any of them.", losses=1),
    _each("a process dies", "Before any of its calls, or right after it.", deaths=1),
    _each("a call fails", "Any of them, before its work or right after it.", failures=1),
    _each(
        "a call fails, and the client retries",
        "It sends the request again after a 503.",
        ("visitor",),
        failures=1,
        retries=1,
    ),
    _rings("both can read the new secret", "One of them seals by it already.", ((0, 1), (1, 0))),
    _rings("one can read the new secret", "Neither seals by it.", ((0,), (0, 1))),
    _rings("in the wrong order", "One seals by a secret that the other does not have.", ((0,), (1, 0))),
)
"""What `python -m sessionware.testing` runs."""
