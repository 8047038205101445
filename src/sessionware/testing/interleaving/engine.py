"""Every order in which requests can overlap, run through the real middleware.

    scenario = Scenario(
        "two writers of different keys",
        "Both values are there.",
        requests=(Request("a", view), Request("b", other_view)),
        holds=lambda ending: ending.now.data == {"a": 1, "b": 2},
    )
    verdict = explore(scenario)         # verdict.orders, verdict.bad, verdict.example

A request's steps are its sending, each of its calls to the store and to the table of accounts, the second chunk and the
end of a longer body, and the arrival of its response. It is sent with the cookie that the browser has then. Two
requests of four steps have 70 orders, and three have 34,650.

There are no threads. What a request does depends only on the cookie it was sent with and the answers it got so far. So
a request that has to wait at a call is thrown away, and run again later with one more answer. What can happen from a
state on does not depend on how it was reached, so each state is explored once and its orders are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from ..._repr import shown_half_built
from ...auth.session_limit import WhenFull
from ...timeouts import Timeouts
from ..invariants import Judgement, judge
from .ending import Ending, browsers_of
from .quiet import quiet
from .site import Request, Run, Site
from .states import Before, Left, Place, State, Step, Trace
from .world import FAILS, Call, World


def anything(_ending: Ending) -> bool:
    """The promise of a scenario that has none of its own: what always holds is asked in any case."""
    return True


@shown_half_built
@dataclass(frozen=True)
class Scenario:
    """Requests that overlap, and what must be true in the end, whatever the order."""

    name: str
    promise: str
    """What `holds` says, in a sentence."""
    requests: tuple[Request, ...]
    holds: Callable[[Ending], bool] = anything
    before: tuple[Request, ...] = ()
    """What happened first, one after the other."""
    wait: int = 0
    """Seconds between that and the requests."""
    passes: int = 0
    """Seconds that pass at once, at any one moment of each order."""
    failures: int = 0
    """How many calls fail in each order. Every call is tried, and it fails before its work, or right after it."""
    losses: int = 0
    """How many responses never reach the browser. Every one is tried."""
    deaths: int = 0
    """How many processes die. Each dies at each of its calls, before its work, or right after it."""
    retries: int = 0
    """How many requests are sent again, with the cookie that the browser has then, after a 503."""
    timeouts: Timeouts = Timeouts()
    session_limit: int | None = None
    """How many sessions an account may have, as `Auth` takes it."""
    when_full: WhenFull = "end_oldest"
    """As `Auth` takes it."""
    rings: tuple[tuple[int, ...], ...] = ((0,),)
    """The secrets of each server, by number, the newest first. What was before is sealed by number 0."""

    def __post_init__(self) -> None:
        names = [request.name for request in self.requests]
        all_names = [*names, *(f"{name} again" for name in names if self.retries)]
        if len(set(all_names)) < len(all_names):
            raise ValueError(f"two requests of {self.name!r} have the same name: {', '.join(names)}")


class Verdict(NamedTuple):
    """What came out: in how many orders."""

    orders: int
    bad: int
    """In how many of them the promise, or an invariant, was broken."""
    example: tuple[str, ...] = ()
    """The first of those, step by step, and what was broken."""
    broken: Mapping[str, int] = {}
    """In how many each invariant was, by its sentence."""
    explained: Mapping[str, int] = {}
    """In how many a stated limit explains what would be bad without it, by its sentence."""
    limited: int = 0
    """In how many any limit does."""


def explore(scenario: Scenario) -> Verdict:
    """Run the scenario in every order."""
    with quiet():
        return Explorer(scenario).verdict()


class Explorer:
    """One scenario, as far as it has been explored."""

    def __init__(self, scenario: Scenario) -> None:
        self.site: Site = Site(scenario.timeouts, (scenario.session_limit, scenario.when_full), scenario.rings)
        self.scenario: Scenario = scenario
        self._browsers = browsers_of(scenario.requests)
        self._from = lru_cache(maxsize=None)(self._count)
        self._after = lru_cache(maxsize=None)(self._answered)
        self._worlds: dict[World, World] = {}

    @property
    def states(self) -> int:
        """How many different ones were explored."""
        return self._from.cache_info().currsize

    def verdict(self) -> Verdict:
        """What comes out of all orders."""
        return self._from(self.prepared())

    def prepared(self) -> State:
        """The state in which the requests begin, with everything pruned that has expired until then."""
        scenario, world, cookies, issued = self.scenario, World(), dict.fromkeys(self._browsers, ""), []
        for request in scenario.before:
            reply, world = self.site.serve(request, cookies.get(request.browser, ""), world)
            issued += [reply.cookie] if reply.cookie else []
            if reply.cookie is not None:
                cookies[request.browser] = reply.cookie
        self.site.begin(after=scenario.wait)
        alive = frozenset(record for record in world.records if record.expires_at > self.site.now)
        world = world._replace(records=alive)
        had = tuple(cookies[browser] for browser in self._browsers)
        self._before = Before(had, tuple(issued), world)
        places = tuple(Place(number) for number in range(len(scenario.requests)))
        left = Left(scenario.failures, scenario.losses, scenario.deaths, scenario.retries)
        return State(world, had, places, Trace(), left)

    def _count(self, state: State) -> Verdict:
        """The orders from here on."""
        orders = bad = limited = 0
        example: tuple[str, ...] = ()
        broken: Counter[str] = Counter()
        explained: Counter[str] = Counter()
        for what, after in self.moves(state):
            verdict = self._from(after)
            orders += verdict.orders
            if verdict.bad and not bad:
                example = (what, *verdict.example)
            bad += verdict.bad
            limited += verdict.limited
            if verdict.broken:
                broken.update(verdict.broken)
            if verdict.explained:
                explained.update(verdict.explained)
        if orders:
            return Verdict(orders, bad, example, broken, explained, limited)
        return self.judged(state)

    def judged(self, state: State) -> Verdict:
        """The verdict on one order."""
        ending = self.ending(state)
        holds = ending.keeps_what_always_holds() and self.scenario.holds(ending)
        judged: Judgement = judge(ending)
        broken_promise = () if holds else (f"so this does not hold: {self.scenario.promise}",)
        example = (*broken_promise, *(f"so: {what}" for what in judged.breaches))
        return Verdict(
            1,
            int(not holds or bool(judged.broken)),
            example,
            dict.fromkeys(judged.broken, 1),
            dict.fromkeys(judged.explained, 1),
            int(bool(judged.explained)),
        )

    def ending(self, state: State) -> Ending:
        """How an order ended that got here."""
        self.site.time = state.time
        return Ending(self.site, self.scenario.requests, state, self._before)

    def moves(self, state: State) -> Iterator[tuple[str, State]]:
        """What can happen next."""
        if state.time < self.scenario.passes:
            passed = state._replace(time=self.scenario.passes, trace=state.trace.then(Step("time passes")))
            yield f"{self.scenario.passes} seconds pass", passed
        for number, place in enumerate(state.places):
            request = self._request(place)
            browser = self._browsers.index(request.browser)
            if place.run is None:
                cookie = "" if request.is_without_cookie else state.cookies[browser]
                run = self.site.send(request, cookie, state.time)
                yield f"{request.name}: sent", state.at(number, run, Step("sent", number))
            elif not place.is_dead:
                progress = place.run.progress
                if progress.call is not None:
                    yield from self._calls(state, number, place.run, progress.call)
                if progress.reply is not None and not place.is_over:
                    yield from self._arrivals(state, number, browser)

    def _request(self, place: Place) -> Request:
        request = self.scenario.requests[place.number]
        return replace(request, name=f"{request.name} again") if place.is_again else request

    def _calls(self, state: State, number: int, run: Run, call: Call) -> Iterator[tuple[str, State]]:
        """The call as it succeeds and, if one may fail or a process die, also before and after its work."""
        name, left = run.request.name, state.left
        answer, world, steps = self._after(state.world, run, number)
        done = state._replace(world=world)
        yield f"{name}: {call.name}", done.at(number, run.after(answer, state.time), *steps)
        if left.failures and call.arguments:
            failed, less = run.after(FAILS, state.time), left._replace(failures=left.failures - 1)
            yield f"{name}: {call.name} fails", state.at(number, failed)._replace(left=less)
            if steps:
                unheard = done.at(number, failed, *steps)._replace(left=less)
                yield f"{name}: {call.name} works, and its answer is lost", unheard
        if left.deaths:
            yield f"{name}: dies before {call.name}", state.dead(number)
            if steps:
                yield f"{name}: dies after {call.name}", done.at(number, run, *steps).dead(number)

    def _answered(self, world: World, run: Run, number: int) -> tuple[Any, World, tuple[Step, ...]]:
        """What a request's next call answers, what the world is after it, and what of that others can notice."""
        assert run.progress.call is not None  # noqa: S101  (for the type checker: it is only asked for those)
        answer, after = world.after(run.progress.call)
        return answer, self._worlds.setdefault(after, after), tuple(_changes(number, run.times[-1], world, after))

    def _arrivals(self, state: State, number: int, browser: int) -> Iterator[tuple[str, State]]:
        """The response as it reaches the browser and, if one may get lost, as it does not."""
        place, left = state.places[number], state.left
        assert place.run is not None and place.run.progress.reply is not None  # noqa: S101, PT018
        name, reply = place.run.request.name, place.run.progress.reply
        there = state.having(browser, reply.cookie).answered(number, "arrives")
        if reply.status == 503 and left.retries and not place.is_again:
            again = (*there.places, Place(place.number, is_again=True))
            yield (
                f"{name}: arrives, and is sent again",
                there._replace(places=again, left=left._replace(retries=left.retries - 1)),
            )
        else:
            yield f"{name}: arrives", there
        if left.losses:
            lost = state.answered(number, "is lost")
            yield f"{name}: its response is lost", lost._replace(left=left._replace(losses=left.losses - 1))


def _changes(place: int, asked_at: int, before: World, after: World) -> Iterator[Step]:
    """What a call changed."""
    if after is before or after == before:
        return
    for record in after.records - before.records:
        yield Step("saves", place, record.id, record, asked_at)
    for id in {record.id for record in before.records} - {record.id for record in after.records}:
        yield Step("saves", place, id, None, asked_at)
    if after.users != before.users:
        yield Step("changes an account", place)
