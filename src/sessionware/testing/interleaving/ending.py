"""How one order of requests ended, in the terms that promises ask for."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ..._core.envelope import Stored
from ..._core.lifetime import used
from .site import Progress, Reply, Request, Seen, Site, View
from .states import Before, State
from .world import World


class Ending:
    """How one order ended."""

    def __init__(self, site: Site, requests: tuple[Request, ...], state: State, before: Before) -> None:
        self.world: World = state.world
        self.cookie: str = state.cookie
        self.began_at: int = site.began_at
        """When the first of all requests was served."""
        self.before: Before = before
        self.requests: tuple[Request, ...] = requests
        self._site, self._state = site, state

    # What can be seen now

    @cached_property
    def now(self) -> Seen:
        """What the browser sees."""
        return self._site.sees(self.cookie, self.world)

    @cached_property
    def at_first(self) -> Seen:
        """What a request sees with the cookie that the browser had before the requests."""
        return self._site.sees(self.before.cookie, self.world)

    @cached_property
    def everywhere(self) -> list[Seen]:
        """What a request sees with each cookie that anybody ever had."""
        cookies = [*self.before.issued, *(reply.cookie for reply in self._replies if reply.cookie)]
        return [self._site.sees(cookie, self.world) for cookie in dict.fromkeys(cookies) if cookie]

    def seen_by(self, name: str) -> Seen:
        """What a request sees with the cookie that this request's response gave."""
        return self._site.sees(self.reply(name).cookie or "", self.world)

    def asks(self, view: View) -> Any:
        """What this view returns for one more request of the browser."""
        return self._site.asks(view, self.cookie, self.world)

    @cached_property
    def sessions(self) -> list[Stored]:
        """Every session that is stored and has neither ended nor expired."""
        return self._site.sessions(self.world)

    # What each request did

    def has(self, name: str) -> bool:
        """Whether the scenario has such a request."""
        return any(request.name == name for request in self.requests)

    def reply(self, name: str) -> Reply:
        """The response to this request."""
        return self._replies[self._number(name)]

    def told(self, name: str, event: str) -> bool:
        """Whether the request emitted this event."""
        return any(each.name == event for each in self._progress[self._number(name)].events)

    def is_done(self, name: str) -> bool:
        """Whether the request was acknowledged, and nothing of it was given up."""
        return self.reply(name).status < 500 and not self.told(name, "session.write_discarded")

    def came_after(self, name: str, other: str) -> bool:
        """Whether `name` was sent after the response to `other` had arrived."""
        return self._number(other) in self._state.places[self._number(name)].follows

    def came_late(self, name: str) -> bool:
        """Whether the request got its first answer after the time had passed."""
        return self._state.places[self._number(name)].times[1] > 0

    @property
    def writers(self) -> list[str]:
        """The names of the requests that changed something, in that order."""
        return [self.requests[number].name for number in self._state.writers]

    @property
    def arrived_last(self) -> str:
        """The request whose response was the last to reach the browser."""
        return self.requests[self._state.arrived[-1]].name

    # What holds in every scenario

    def keeps_what_always_holds(self) -> bool:
        """Ended sessions stay ended, and limits hold."""
        return self._ended_stay_ended() and self._limits_hold()

    def _ended_stay_ended(self) -> bool:
        ended = {event.session_id for each in self._progress for event in each.events if event.name == "session.ended"}
        return not any(stored.record.id.hex() in ended for stored in self.sessions)

    def _limits_hold(self) -> bool:
        """No session lives beyond its idle limit, counted from now, or beyond its deadline."""
        limits = self._site.limits
        idle = {True: limits.anonymous, False: limits.idle}
        return all(
            stored.record.expires_at <= used(stored.envelope, limits, self._site.now)[1]
            and stored.envelope.idle in (None, idle[stored.envelope.username is None])
            for stored in self.sessions
        )

    @cached_property
    def _progress(self) -> list[Progress]:
        pairs = zip(self.requests, self._state.places, strict=True)
        return [self._site.run(request, place.cookie or "", place.answers, place.times) for request, place in pairs]

    @property
    def _replies(self) -> list[Reply]:
        return [each.reply for each in self._progress if each.reply is not None]

    def _number(self, name: str) -> int:
        names = [request.name for request in self.requests]
        if name not in names:
            raise ValueError(f"no request is called {name!r}; there are {', '.join(names)}")
        return names.index(name)
