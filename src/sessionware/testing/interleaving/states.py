"""How far an order of requests has got: what is stored, what each browser has, and where each request is."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ...stores.base import Record
from .site import Run
from .world import World

Happening = Literal["sent", "saves", "changes an account", "arrives", "is lost", "dies", "time passes"]


class Step(NamedTuple):
    """One thing that others can notice. Calls that only read are no steps of their own here."""

    what: Happening
    place: int = -1
    """The request's; -1 if it was none."""
    id: bytes = b""
    """Of the record that was saved."""
    record: Record | None = None
    """As it was saved; None if it is gone."""
    asked_at: int = 0
    """When the request made the call: seconds since the requests began."""


class Trace:
    """What has happened so far, in that order.

    Traces that are alike are one object, because each is made once, by the one before it. So a state, which has one, is
    compared at once.
    """

    def __init__(self, before: Trace | None = None, step: Step | None = None) -> None:
        self._before, self._step = before, step
        self._next: dict[Step, Trace] = {}

    def then(self, *steps: Step) -> Trace:
        """The trace with these steps at its end."""
        trace = self
        for step in steps:
            if step not in trace._next:
                trace._next[step] = Trace(trace, step)
            trace = trace._next[step]
        return trace

    @property
    def steps(self) -> tuple[Step, ...]:
        """All of them."""
        if self._before is None or self._step is None:
            return ()
        return (*self._before.steps, self._step)


class Place(NamedTuple):
    """One request's place in an order."""

    number: int
    """Which of the scenario's requests it is."""
    is_again: bool = False
    """Whether the client sends it for the second time, after a 503."""
    run: Run | None = None
    """None if it is not sent yet."""
    is_dead: bool = False
    """Whether the process died."""
    is_over: bool = False
    """Whether its response arrived or was lost."""


class Before(NamedTuple):
    """What there was when the requests began."""

    cookies: tuple[str, ...]
    """Each browser's; "" if it had none."""
    issued: tuple[str, ...]
    """Every cookie that anybody had been given by then."""
    world: World


class Left(NamedTuple):
    """What may still go wrong in an order, and how often."""

    failures: int = 0
    losses: int = 0
    deaths: int = 0
    retries: int = 0


class State(NamedTuple):
    """Everything that the rest of an order depends on."""

    world: World
    cookies: tuple[str, ...]
    """Each browser's; "" if it has none."""
    places: tuple[Place, ...]
    trace: Trace
    left: Left = Left()
    time: int = 0
    """Seconds since the requests began."""

    def at(self, place: int, run: Run, *steps: Step) -> State:
        """The state with this request as far as that."""
        moved = self.places[place]._replace(run=run)
        return self._replace(places=_with(self.places, place, moved), trace=self.trace.then(*steps))

    def answered(self, place: int, what: Happening) -> State:
        """The state once this request's response has arrived, or is lost."""
        over = self.places[place]._replace(is_over=True)
        return self._replace(places=_with(self.places, place, over), trace=self.trace.then(Step(what, place)))

    def having(self, browser: int, cookie: str | None) -> State:
        """The state once this browser has got a response; `cookie` is None if it said nothing about one."""
        return self if cookie is None else self._replace(cookies=_with(self.cookies, browser, cookie))

    def dead(self, place: int) -> State:
        """The state once this request's process has died."""
        gone = self.places[place]._replace(is_dead=True)
        left, trace = self.left._replace(deaths=self.left.deaths - 1), self.trace.then(Step("dies", place))
        return self._replace(places=_with(self.places, place, gone), left=left, trace=trace)


def _with(all: tuple, number: int, one: object) -> tuple:  # type: ignore[type-arg]
    return (*all[:number], one, *all[number + 1 :])
