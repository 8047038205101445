"""A site whose requests can be run as far as they get: the real middleware over a stage at which they wait.

What a request does depends only on the cookie it was sent with and the answers it got so far. So one that has to wait
at a call is thrown away, and run again later with one more answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from ..._core.envelope import Stored, open_record
from ..._core.lifetime import Limits, limits_of
from ..._core.records import PATIENCE, Chance
from ..._core.tickets import CookieValue, token_hash
from ..._core.values import decode
from ..._repr import shown_half_built
from ..._request import get_session
from ...auth.auth import Auth
from ...auth.session_limit import WhenFull
from ...auth.users.base import User
from ...cookie import Cookie
from ...errors import SessionwareError
from ...events import Event
from ...manager import SessionManager
from ...stores.base import Record
from ...timeouts import Timeouts
from .hasher import PlainHasher
from .quiet import quiet
from .world import CLOSE, SECOND_CHUNK, Call, Stage, Waits, World

_SECRETS = ("a secret of the checker, long enough to be one", "the next secret of the checker, as long as the first")
_START = 4_000_000_000  # far ahead, for servers that expire by a clock of their own
_COOKIE = Cookie()

PARTNER = "https://partner.example"
"""An origin that the site trusts."""

View = Callable[[dict[str, Any]], object]
"""What an application does with a request: a function of its environ. It may use `get_session` and `auth_of`."""


def auth_of(environ: Mapping[str, Any]) -> Auth:
    """The `Auth` of a scenario's site."""
    auth: Auth = environ["testing.auth"]
    return auth


def users_of(environ: Mapping[str, Any]) -> Any:
    """The table of accounts of a scenario's site."""
    return environ["testing.users"]


@shown_half_built
@dataclass(frozen=True)
class Request:
    """One request: a view, and perhaps what it does `late`, after the first byte of its body."""

    name: str
    view: View
    late: View | None = None
    status: str = "200 OK"
    environ: Mapping[str, str] = field(default_factory=dict)
    """More of the environ, such as headers that the browser sends."""
    browser: str = "hers"
    """Who sends it. Each browser has a cookie of its own, and none at first."""
    says_what_it_does: bool = False
    """Whether the view tells (`Visit.says`), so that all invariants can be asked."""
    server: int = 0
    """Which of the site's servers answers it."""
    is_without_cookie: bool = False
    """Sent without the cookie, as browsers do for another site's form, though they keep what the response sets."""


class Reply(NamedTuple):
    """A response on its way, and what the request did."""

    status: int
    cookie: str | None
    """What the browser keeps from now on, which is a cookie, none (""), or whatever it has (None)."""
    result: Any
    """What the view returned."""


class Deed(NamedTuple):
    """Something that a request did or saw, as it says itself."""

    what: str
    about: str = ""
    """Such as the key, or who."""
    value: Any = None
    session_id: str | None = None
    user_id: str | None = None
    """Whose session it was at that moment."""
    at: int = 0
    """Seconds since the requests began."""


class Progress(NamedTuple):
    """How far a request has got: the call that it waits for, and its reply once the first byte is out."""

    call: Call | None
    reply: Reply | None
    events: tuple[Event, ...]
    deeds: tuple[Deed, ...]
    calls: tuple[Call, ...]
    """Those that were answered."""


class Run:
    """A request as far as it has got: how it was sent, and the answers to its calls so far.

    What it does next depends on nothing else, so it is run once for all orders that get here. Runs that are alike are
    one object, because each is made once, by the one before it.
    """

    def __init__(
        self, site: Site, request: Request, cookie: str, answers: tuple[Any, ...], times: tuple[int, ...]
    ) -> None:
        self.request: Request = request
        self.cookie: str = cookie
        self.answers: tuple[Any, ...] = answers
        self.times: tuple[int, ...] = times
        """When it was sent, and when it got each answer: seconds since the requests began."""
        self._site = site
        self._next: dict[tuple[Any, int], Run] = {}

    @cached_property
    def progress(self) -> Progress:
        """How far it gets."""
        return self._site.run(self)

    def after(self, answer: Any, time: int) -> Run:
        """The same request with one more answer, which it gets at this time."""
        if (answer, time) not in self._next:
            answers, times = (*self.answers, answer), (*self.times, time)
            self._next[answer, time] = Run(self._site, self.request, self.cookie, answers, times)
        return self._next[answer, time]


class Seen(NamedTuple):
    """What a request that reads finds."""

    id: str | None
    is_new: bool
    username: str | None
    user_id: str | None
    data: dict[str, Any]
    user: User | None
    """What `Auth.user` returns."""
    ended_because: str | None
    """Why the session that the cookie names is over."""


class Crash(Exception):
    """What an application raises that has a mistake in it."""


class Site:
    """The middleware under test, over a store at which requests wait.

    `rings` are the secrets of each of its servers, the newest first. All that was before is sealed by the first secret.
    """

    def __init__(
        self, timeouts: Timeouts, limit: tuple[int | None, WhenFull], rings: tuple[tuple[int, ...], ...] = ((0,),)
    ) -> None:
        self.began_at: int = _START
        """When the first of all requests was served."""
        self.began: int = _START
        """When the requests began that overlap."""
        self.limits: Limits = limits_of(timeouts)
        self.session_limit: int | None = limit[0]
        self._stage = Stage()
        self._events: list[Event] = []
        self._deeds: list[Deed] = []
        self._kept: dict[tuple[str, str], str] = {}
        self._random_bytes = _stream("")
        self._timeouts = timeouts
        self._first = self._manager((0,))
        self._first_server = self._first.wrap(_application)
        self.rings = rings
        self._managers = [self._manager(ring) for ring in rings]
        self._servers = [manager.wrap(_application) for manager in self._managers]
        with quiet():  # without a throttle, it warns
            self._auth = Auth(
                self._stage, hasher=PlainHasher(), throttle=None, session_limit=limit[0], when_full=limit[1]
            )
        self._phase = "before"
        self._times: tuple[int, ...] = ()
        self._sent: dict[tuple[str, str, int], Run] = {}
        self._opened: dict[Record, Stored | None] = {}
        self._tickets: dict[str, tuple[bytes, bytes] | None] = {}
        self.runs: int = 0
        """How often a request was run, from its beginning to the point at which it waits."""
        self.time: int = 0
        """Seconds since the requests began, for what is looked at in the end."""

    @property
    def now(self) -> int:
        """The time on the clock."""
        return self.began + self.time

    def begin(self, *, after: int) -> None:
        """Let time pass. From now on, requests draw other random bytes, and are served by the rings."""
        self.began += after
        self._phase = "now"

    def _manager(self, ring: tuple[int, ...]) -> SessionManager:
        return SessionManager(
            [_SECRETS[number] for number in ring],
            self._stage,
            timeouts=self._timeouts,
            trusted_origins=[PARTNER],
            on_event=self._note,
            clock=self._clock,
            _chance=Chance(lambda size: self._random_bytes(size), lambda _attempt: None, PATIENCE),
        )

    def _note(self, event: Event) -> None:
        if not self._stage.is_waiting:
            self._events.append(event)

    def send(self, request: Request, cookie: str, time: int) -> Run:
        """A request that is sent with this cookie at this time."""
        key = (request.name, cookie, time)
        if key not in self._sent:
            self._sent[key] = Run(self, request, cookie, (), (time,))
        return self._sent[key]

    def serve(self, request: Request, cookie: str, world: World) -> tuple[Reply, World]:
        """Run the request from beginning to end, alone."""
        return self._alone(Run(self, request, cookie, (), (self.time,)), world)

    def _alone(self, run: Run, world: World) -> tuple[Reply, World]:
        while run.progress.call is not None:
            answer, world = world.after(run.progress.call)
            run = run.after(answer, self.time)
        assert run.progress.reply is not None  # noqa: S101  (for the type checker: what is over has a reply)
        return run.progress.reply, world

    def sees(self, cookie: str, world: World) -> Seen:
        """What a request with this cookie finds."""
        # Many endings look alike to a cookie, so what is found in one is remembered for the others.
        seen: Seen = self._alone(self.send(_LOOK, cookie, self.time), world)[0].result
        return seen

    def asks(self, view: View, cookie: str, world: World) -> Any:
        """What this view returns for a request with this cookie."""
        return self.serve(Request("look", view), cookie, world)[0].result

    def sessions(self, world: World) -> list[Stored]:
        """Every live record that is not a tombstone, opened."""
        found = [self.opened(record) for record in world.records if record.expires_at > self.now]
        return [stored for stored in found if stored is not None and not stored.envelope.is_tombstone]

    def opened(self, record: Record) -> Stored | None:
        """What is inside a record; None if none of the secrets opens it."""
        if record not in self._opened:
            each = [open_record(manager._site.keys.record, record, b"") for manager in (self._first, *self._managers)]
            stored = next((stored for stored in each if isinstance(stored, Stored)), None)
            if stored is not None:
                data = {key: decode(value) for key, value in stored.envelope.data.items()}
                stored = stored._replace(envelope=stored.envelope._replace(data=data))
            self._opened[record] = stored
        return self._opened[record]

    def ticket(self, cookie: str) -> tuple[bytes, bytes] | None:
        """The record that a cookie names, and the hash of its token; None if none of the secrets opens it."""
        if cookie not in self._tickets:
            managers = (self._first, *self._managers)
            found = (manager._site.tickets.sent(manager._site.keys, CookieValue(cookie)) for manager in managers)
            named = ((ticket.id, token_hash(ticket.token)) for ticket in found if ticket is not None)
            self._tickets[cookie] = next(named, None)
        return self._tickets[cookie]

    def _clock(self) -> float:
        """While a request runs again: when it got its last answer."""
        return self.began + (self._times[min(self._stage.given, len(self._times) - 1)] if self._times else self.time)

    def run(self, run: Run) -> Progress:
        """How far a request gets, run from its beginning."""
        self.runs += 1
        self._stage.rewind(run.answers)
        self._times = run.times
        self._events.clear()
        self._deeds.clear()
        self._random_bytes = _stream(f"{self._phase} {run.request.name}")
        environ = _environ(run.request, run.cookie) | {
            "testing.auth": self._auth,
            "testing.users": self._stage,
            "testing.deeds": self._deeds,
            "testing.seconds": lambda: int(self._clock()) - self.began,
            "testing.kept": self._kept if self._phase == "before" else dict(self._kept),
        }
        server = self._servers[run.request.server] if self._phase == "now" else self._first_server
        response, call = _Response(environ, self._stage), None
        try:
            response.take(server(environ, response.start))
        except Waits as waits:
            call = waits.call
        except (SessionwareError, Crash):  # a server answers it with a 500; anything else is a mistake in the view
            response.fail()
        return Progress(call, response.reply, tuple(self._events), tuple(self._deeds), self._stage.answered)


class _Response:
    """What the server makes of one response."""

    def __init__(self, environ: dict[str, Any], stage: Stage) -> None:
        self._environ = environ
        self._stage = stage
        self._status = 500
        self._cookie: str | None = None
        self._is_out = False

    def start(self, status: str, headers: list[tuple[str, str]], *_exc_info: Any) -> Callable[[bytes], object]:
        """What the middleware calls as `start_response`."""
        self._status = int(status[:3])
        for name, value in headers:
            if name == "Set-Cookie" and value.startswith(f"{_COOKIE.name}="):  # not the one that known devices have
                self._cookie = value.partition("=")[2].partition(";")[0]
        return lambda _chunk: None

    def take(self, body: Any) -> None:
        """Send the body, chunk by chunk."""
        chunks = iter(body)
        next(chunks, None)
        self._is_out = True
        # Of a body of one chunk, the rest is over in the moment in which the first is out.
        is_longer = self._environ["testing.request"].late is not None
        try:
            if is_longer:
                self._stage.answer(SECOND_CHUNK)
            for _chunk in chunks:
                pass
        finally:
            if is_longer:
                self._stage.answer(CLOSE)
            if hasattr(body, "close"):
                body.close()

    def fail(self) -> None:
        """The application raised."""
        self._status = self._status if self._is_out else 500
        self._is_out = True

    @property
    def reply(self) -> Reply | None:
        """None until the first byte is out."""
        return Reply(self._status, self._cookie, self._environ.get("testing.result")) if self._is_out else None


def _application(environ: dict[str, Any], start_response: Any) -> Any:
    request: Request = environ["testing.request"]
    environ["testing.result"] = request.view(environ)
    start_response(request.status, [("Content-Type", "text/plain")])
    return [b"done"] if request.late is None else _late_body(environ, request.late)


def _late_body(environ: dict[str, Any], late: View) -> Iterator[bytes]:
    yield b"first"
    late(environ)
    yield b"last"


def _look(environ: dict[str, Any]) -> Seen:
    session = get_session(environ)
    found = session.id, session.is_new, session.username, session.user_id, session.copy()
    return Seen(*found, auth_of(environ).user(environ), session.ended_because)


_LOOK = Request("look at what there is in the end", _look)


def _environ(request: Request, cookie: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "HTTP_HOST": "example.com",
        "wsgi.url_scheme": "http",
        "HTTP_COOKIE": f"{_COOKIE.name}={cookie}" if cookie else "",
        "testing.request": request,
        **request.environ,
    }


def _stream(seed: str) -> Callable[[int], bytes]:
    """Random bytes, the same ones each time this request runs."""
    count = iter(range(1_000_000))
    return lambda size: hashlib.sha512(f"{seed} {next(count)}".encode()).digest()[:size]
