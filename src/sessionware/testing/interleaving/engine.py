"""Every order in which requests of one browser can overlap, run through the real middleware.

    scenario = Scenario(
        "two writers of different keys",
        "Both values are there.",
        requests=(Request("a", view), Request("b", other_view)),
        holds=lambda ending: ending.now.data == {"a": 1, "b": 2},
    )
    verdict = explore(scenario)         # verdict.orders, verdict.bad, verdict.example

A request's steps are its sending, each of its calls to the store and to the table of accounts, and the arrival of its
response. It is sent with the cookie that the browser has then. Two requests of four steps have 70 orders, and three
have 34,650.

There are no threads. What a request does depends only on the cookie it was sent with and the answers it got so far. So
a request that has to wait at a call is thrown away, and run again later with one more answer. What can happen from a
state on does not depend on how it was reached, so each state is explored once and its orders are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ..._repr import shown_half_built
from ...auth.session_limit import WhenFull
from ...timeouts import Timeouts
from .ending import Ending
from .site import Request, Site, quiet
from .states import Before, Place, State
from .world import FAILS, Call, World


@shown_half_built
@dataclass(frozen=True)
class Scenario:
    """Requests that overlap, and what must be true in the end, whatever the order."""

    name: str
    promise: str
    """What `holds` says, in a sentence."""
    requests: tuple[Request, ...]
    holds: Callable[[Ending], bool]
    before: tuple[Request, ...] = ()
    """What happened first, one after the other."""
    wait: int = 0
    """Seconds between that and the requests."""
    passes: int = 0
    """Seconds that pass at once, at any one moment of each order."""
    failures: int = 0
    """How many calls fail in each order. Every call is tried, and it fails before its work, or right after it."""
    timeouts: Timeouts = Timeouts()
    session_limit: int | None = None
    """How many sessions an account may have, as `Auth` takes it."""
    when_full: WhenFull = "end_oldest"
    """As `Auth` takes it."""
    is_rotated: bool = False
    """Whether the site's secret is changed between that and the requests. The old one still opens."""

    def __post_init__(self) -> None:
        names = [request.name for request in self.requests]
        if len(set(names)) < len(names):
            raise ValueError(f"two requests of {self.name!r} have the same name: {', '.join(names)}")


class Verdict(NamedTuple):
    """How many orders there are, in how many of them the promise was broken, and the first of those."""

    orders: int
    bad: int
    example: tuple[str, ...] = ()


def explore(scenario: Scenario) -> Verdict:
    """Run the scenario in every order."""
    with quiet():
        return _Explorer(scenario).verdict()


class _Explorer:
    def __init__(self, scenario: Scenario) -> None:
        self._site = Site(scenario.timeouts, (scenario.session_limit, scenario.when_full))
        self._scenario = scenario
        self._from = lru_cache(maxsize=None)(self._count)

    def verdict(self) -> Verdict:
        return self._from(self._prepared())

    def _prepared(self) -> State:
        """The state in which the requests begin, with everything pruned that has expired until then."""
        scenario, world, cookie, issued = self._scenario, World(), "", []
        for request in scenario.before:
            reply, world = self._site.serve(request, "" if request.has_own_browser else cookie, world)
            issued += [reply.cookie] if reply.cookie else []
            if reply.cookie is not None and not request.has_own_browser:
                cookie = reply.cookie
        self._site.begin(after=scenario.wait, is_rotated=scenario.is_rotated)
        self._before = Before(cookie, tuple(issued), frozenset(record.id for record in world.records))
        alive = frozenset(record for record in world.records if record.expires_at > self._site.now)
        places = (Place(),) * len(scenario.requests)
        return State(world._replace(records=alive), cookie, places, failures=scenario.failures)

    def _count(self, state: State) -> Verdict:
        """The orders from here on."""
        orders, bad = 0, 0
        example: tuple[str, ...] = ()
        for what, after in self._moves(state):
            verdict = self._from(after)
            orders += verdict.orders
            if verdict.bad and not bad:
                example = (what, *verdict.example)
            bad += verdict.bad
        if orders:
            return Verdict(orders, bad, example)
        self._site.time = state.time
        ending = Ending(self._site, self._scenario.requests, state, self._before)
        return Verdict(1, int(not (ending.keeps_what_always_holds() and self._scenario.holds(ending))))

    def _moves(self, state: State) -> Iterator[tuple[str, State]]:
        if state.time < self._scenario.passes:
            yield f"{self._scenario.passes} seconds pass", state._replace(time=self._scenario.passes)
        for number, (request, place) in enumerate(zip(self._scenario.requests, state.places, strict=True)):
            if place.cookie is None:
                cookie = "" if request.has_own_browser or request.is_without_cookie else state.cookie
                yield f"{request.name}: sent", state.moved(number, Place(cookie, follows=frozenset(state.arrived)))
                continue
            progress = self._site.run(request, place.cookie, place.answers, place.times)
            if progress.call is not None:
                yield from self._calls(state, number, progress.call)
            if progress.reply is not None and number not in state.arrived:
                kept = None if request.has_own_browser else progress.reply.cookie
                cookie = state.cookie if kept is None else kept
                yield f"{request.name}: arrives", state._replace(cookie=cookie, arrived=(*state.arrived, number))

    def _calls(self, state: State, number: int, call: Call) -> Iterator[tuple[str, State]]:
        """The call as it succeeds and, if one may fail, as it fails before and after its work."""
        name, place = self._scenario.requests[number].name, state.places[number]
        answer, world = state.world.after(call)
        done = state._replace(writers=(*state.writers, number)) if world != state.world else state
        after = done.moved(number, place._replace(answers=(*place.answers, answer)))._replace(world=world)
        yield f"{name}: {call.name}", after
        if state.failures:
            failed, left = place._replace(answers=(*place.answers, FAILS)), state.failures - 1
            yield f"{name}: {call.name} fails", state.moved(number, failed)._replace(failures=left)
            if world != state.world:
                unheard = done.moved(number, failed)._replace(world=world, failures=left)
                yield f"{name}: {call.name} works, and its answer is lost", unheard
