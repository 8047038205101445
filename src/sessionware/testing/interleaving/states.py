"""How far an order of requests has got: what is stored, what the browser has, and where each request is."""

from __future__ import annotations

from typing import Any, NamedTuple

from .world import World


class Place(NamedTuple):
    """One request's place in an order."""

    cookie: str | None = None
    """None if it is not sent yet."""
    answers: tuple[Any, ...] = ()
    times: tuple[int, ...] = ()
    """When it was sent, and when it got each answer: seconds since the requests began."""
    follows: frozenset[int] = frozenset()
    """The requests whose responses had arrived when this one was sent."""


class Before(NamedTuple):
    """What there was when the requests began."""

    cookie: str
    """The browser's cookie; "" if it had none."""
    issued: tuple[str, ...]
    """Every cookie that anybody had been given by then."""
    ids: frozenset[bytes]
    """The records' ids."""


class State(NamedTuple):
    """Everything that the rest of an order depends on."""

    world: World
    cookie: str
    """The browser's cookie; "" if it has none."""
    places: tuple[Place, ...]
    writers: tuple[int, ...] = ()
    """The requests that changed something, in that order."""
    arrived: tuple[int, ...] = ()
    """The requests whose responses reached their browser, in that order."""
    failures: int = 0
    time: int = 0
    """Seconds since the requests began."""

    def moved(self, number: int, place: Place) -> State:
        """The state with this request at another place."""
        place = place._replace(times=(*place.times, self.time))
        return self._replace(places=(*self.places[:number], place, *self.places[number + 1 :]))
