"""How one order of requests ended, in the terms that promises ask for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from ..._core.envelope import Envelope, Stored
from ..._core.lifetime import Limits, limits_for, used
from ...stores.base import Record
from .site import Deed, Progress, Reply, Request, Run, Seen, Site, View
from .states import Before, Place, State, Step
from .world import FAILS, Call, World


class Save(NamedTuple):
    """One change of a record."""

    at: int
    """Its place in the trace."""
    id: bytes
    before: Record | None
    after: Record | None
    asked_at: int
    """When the request made the call, in seconds since the epoch."""


class Served:
    """How one request went."""

    def __init__(self, request: Request, place: Place, number: int, ending: Ending) -> None:
        self.request: Request = request
        self.name: str = request.name
        self.browser: str = request.browser
        self.is_dead: bool = place.is_dead
        """Whether its process died."""
        self._run, self._number, self._ending = place.run, number, ending

    @property
    def run(self) -> Run:
        """As far as it got."""
        assert self._run is not None  # noqa: S101  (every order sends every request)
        return self._run

    @property
    def cookie(self) -> str:
        """What it was sent with; "" for none."""
        return self.run.cookie

    @property
    def progress(self) -> Progress:
        return self.run.progress

    @property
    def reply(self) -> Reply | None:
        """None if its process died before the first byte was out."""
        return self.progress.reply

    @property
    def status(self) -> int:
        """0 if there is none."""
        return 0 if self.reply is None else self.reply.status

    @property
    def is_acknowledged(self) -> bool:
        """Whether it was answered, and not by a server error."""
        return 0 < self.status < 500

    @property
    def is_served(self) -> bool:
        """Acknowledged, and its process lived to the end, in which late changes are saved."""
        return self.is_acknowledged and not self.is_dead

    @property
    def has_met_failure(self) -> bool:
        """Whether one of its calls failed."""
        return FAILS in self.run.answers

    @cached_property
    def sent_at(self) -> int:
        """Its place in the trace."""
        return self._ending.first(self._number, "sent")

    @cached_property
    def arrived_at(self) -> int | None:
        """None if the response was lost, or there was none."""
        at = self._ending.first(self._number, "arrives")
        return None if at < 0 else at

    @cached_property
    def saves(self) -> list[Save]:
        """The records that it changed, in that order."""
        return [save for save in self._ending.saves if self._ending.trace[save.at].place == self._number]

    def did(self, what: str, about: str | None = None) -> list[Deed]:
        """What it says that it did, of this kind."""
        return [deed for deed in self.progress.deeds if deed.what == what and about in (None, deed.about)]

    def told(self, event: str) -> bool:
        """Whether it emitted this event."""
        return any(each.name == event for each in self.progress.events)

    def keys_told(self, event: str) -> set[str]:
        """The keys that its events of this name have."""
        return {key for each in self.progress.events if each.name == event for key in each.keys}

    @cached_property
    def calls(self) -> list[tuple[Call, Any]]:
        """Its calls, with their answers."""
        return list(zip(self.progress.calls, self.run.answers, strict=True))


class Ending:
    """How one order ended."""

    def __init__(self, site: Site, requests: tuple[Request, ...], state: State, before: Before) -> None:
        self.world: World = state.world
        self.cookie: str = state.cookies[0]
        self.began_at: int = site.began_at
        """When the first of all requests was served."""
        self.before: Before = before
        self.requests: tuple[Request, ...] = requests
        self.trace: tuple[Step, ...] = state.trace.steps
        self.site: Site = site
        self._state = state

    # What can be seen now

    @cached_property
    def now(self) -> Seen:
        """What the browser sees."""
        return self.site.sees(self.cookie, self.world)

    @cached_property
    def at_first(self) -> Seen:
        """What a request sees with the cookie that the browser had before the requests."""
        return self.site.sees(self.before.cookies[0], self.world)

    @cached_property
    def cookies(self) -> list[str]:
        """Each cookie that anybody ever had."""
        replies = [served.reply for served in self.served]
        given = [reply.cookie for reply in replies if reply is not None and reply.cookie]
        return list(dict.fromkeys((*self.before.issued, *given)))

    @cached_property
    def everywhere(self) -> list[Seen]:
        """What a request sees with each cookie that anybody ever had."""
        return [self.site.sees(cookie, self.world) for cookie in self.cookies]

    def seen_by(self, name: str) -> Seen:
        """What a request sees with the cookie that this request's response gave."""
        return self.site.sees(self.reply(name).cookie or "", self.world)

    def in_browser(self, name: str) -> Seen:
        """What this browser sees."""
        return self.site.sees(self.cookie_in(name), self.world)

    def cookie_in(self, name: str) -> str:
        """The cookie that this browser has; "" for none."""
        return self._state.cookies[browsers_of(self.requests).index(name)]

    def asks(self, view: View) -> Any:
        """What this view returns for one more request of the browser."""
        return self.site.asks(view, self.cookie, self.world)

    @cached_property
    def sessions(self) -> list[Stored]:
        """Every session that is stored and has neither ended nor expired."""
        return self.site.sessions(self.world)

    # What happened

    @cached_property
    def served(self) -> list[Served]:
        """Each request, those that were sent again behind the others."""
        return [
            Served(self.requests[place.number] if place.run is None else place.run.request, place, number, self)
            for number, place in enumerate(self._state.places)
        ]

    @cached_property
    def saves(self) -> list[Save]:
        """All changes of records, in that order."""
        records = {record.id: record for record in self.before.world.records}
        saves = []
        for at, step in enumerate(self.trace):
            if step.what == "saves":
                before = records.pop(step.id, None)
                if step.record is not None:
                    records[step.id] = step.record
                saves.append(Save(at, step.id, before, step.record, self.site.began + step.asked_at))
        return saves

    def first(self, place: int, what: str) -> int:
        """When this happened to a request; -1 if it did not."""
        return next(
            (at for at, step in enumerate(self.trace) if step.place == place and step.what == what),
            -1,
        )

    def named_throughout(self, id: bytes, begin: int, end: int) -> list[Record | None]:
        """A record as it was at each moment from one place in the trace to another."""
        changed = [save.after for save in self.saves if save.id == id and begin <= save.at < end]
        return [self.record_at(id, begin), *changed]

    def time_at(self, at: int) -> int:
        """The time on the clock when the trace was at this place."""
        is_later = any(step.what == "time passes" for step in self.trace[: max(at, 0)])
        return self.site.began + (self._state.time if is_later else 0)

    def has_passed_since(self, at: int) -> bool:
        """Whether time has passed after that moment."""
        return any(step.what == "time passes" for step in self.trace[at:])

    def envelope(self, record: Record | None) -> Envelope | None:
        """What is inside; None if there is no record, or it is a tombstone."""
        stored = None if record is None else self.site.opened(record)
        return None if stored is None or stored.envelope.is_tombstone else stored.envelope

    def record_at(self, id: bytes, at: int) -> Record | None:
        """A record as it was when the trace was at this place, and before anything happened there."""
        record = next((each for each in self.before.world.records if each.id == id), None)
        for save in self.saves:
            if save.id == id and save.at < at:
                record = save.after
        return record

    # What each request did, for promises that are made for one scenario

    def has(self, name: str) -> bool:
        """Whether the scenario has such a request."""
        return any(request.name == name for request in self.requests)

    def reply(self, name: str) -> Reply:
        """The response to this request."""
        reply = self._served(name).reply
        assert reply is not None  # noqa: S101  (only requests whose process died have none)
        return reply

    def told(self, name: str, event: str) -> bool:
        """Whether the request emitted this event."""
        return self._served(name).told(event)

    def is_done(self, name: str) -> bool:
        """Whether the request was acknowledged, and nothing of it was given up."""
        return self.reply(name).status < 500 and not self.told(name, "session.write_discarded")

    def came_after(self, name: str, other: str) -> bool:
        """Whether `name` was sent after the response to `other` had arrived."""
        arrived_at = self._served(other).arrived_at
        return arrived_at is not None and arrived_at < self._served(name).sent_at

    def came_late(self, name: str) -> bool:
        """Whether the request got its first answer after the time had passed."""
        return self._served(name).run.times[1] > 0

    @property
    def writers(self) -> list[str]:
        """The names of the requests that changed something, in that order."""
        return [self.served[step.place].name for step in self.trace if step.what in ("saves", "changes an account")]

    @property
    def arrived_last(self) -> str:
        """The request whose response was the last to reach the browser."""
        return [self.served[step.place].name for step in self.trace if step.what == "arrives"][-1]

    # What holds in every scenario

    def keeps_what_always_holds(self) -> bool:
        """Ended sessions stay ended, and limits hold."""
        return self._ended_stay_ended() and self._limits_hold()

    def _ended_stay_ended(self) -> bool:
        ended = {event.session_id for event in self._events() if event.name == "session.ended"}
        return not any(stored.record.id.hex() in ended for stored in self.sessions)

    def _limits_hold(self) -> bool:
        """No session lives beyond its idle limit, counted from now, or beyond its deadline."""
        limits = self.site.limits
        return all(
            stored.record.expires_at <= used(stored.envelope, limits, self.site.now)[1]
            and stored.envelope.idle in (None, _idle(stored.envelope, limits))
            for stored in self.sessions
        )

    def _events(self) -> Iterator[Any]:
        return (event for served in self.served for event in served.progress.events)

    def _served(self, name: str) -> Served:
        found = next((served for served in self.served if served.name == name), None)
        if found is None:
            names = ", ".join(request.name for request in self.requests)
            raise ValueError(f"no request is called {name!r}; there are {names}")
        return found


def _idle(envelope: Envelope, limits: Limits) -> int:
    return limits.anonymous if envelope.username is None else limits_for(envelope, limits).idle


def browsers_of(requests: tuple[Request, ...]) -> list[str]:
    """Who sends requests. The first one is "hers", also if it sends none."""
    return list(dict.fromkeys(("hers", *(request.browser for request in requests))))
