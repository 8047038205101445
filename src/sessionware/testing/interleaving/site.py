"""A site whose requests can be run as far as they get: the real middleware over a stage at which they wait.

What a request does depends only on the cookie it was sent with and the answers it got so far. So one that has to wait
at a call is thrown away, and run again later with one more answer.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any, NamedTuple

from ..._core.envelope import Stored, open_record
from ..._core.lifetime import Limits, limits_of
from ..._core.records import PATIENCE, Chance
from ..._repr import shown_half_built
from ..._request import get_session
from ...auth.auth import Auth
from ...auth.passwords import Verified
from ...auth.session_limit import WhenFull
from ...auth.users.base import User
from ...cookie import Cookie
from ...errors import SessionwareError
from ...events import Event
from ...manager import SessionManager
from ...timeouts import Timeouts
from .world import Call, Stage, Waits, World

_SECRET = "a secret of the checker, long enough to be one"  # noqa: S105  (it protects nothing)
_NEW_SECRET = "the next secret of the checker, as long as the first"  # noqa: S105
_START = 1_800_000_000
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
    has_own_browser: bool = False
    """Sent by another browser, without a cookie."""
    is_without_cookie: bool = False
    """Sent without the cookie, as browsers do for another site's form, though they keep what the response sets."""


class Reply(NamedTuple):
    """A response on its way, and what the request did."""

    status: int
    cookie: str | None
    """What the browser keeps from now on, which is a cookie, none (""), or whatever it has (None)."""
    result: Any
    """What the view returned."""


class Progress(NamedTuple):
    """How far a request has got: the call that it waits for, and its reply once the first byte is out."""

    call: Call | None
    reply: Reply | None
    events: tuple[Event, ...]


class Seen(NamedTuple):
    """What a request that reads finds."""

    id: str | None
    is_new: bool
    username: str | None
    data: dict[str, Any]
    user: User | None
    """What `Auth.user` returns."""
    ended_because: str | None
    """Why the session that the cookie names is over."""


class PlainHasher:
    """Hashes nothing, since each order checks passwords anew."""

    def hash(self, password: str) -> str:
        return f"$argon2 of {password}"

    def verify(self, stored: str | None, password: str) -> Verified:
        return Verified(stored == self.hash(password), reason="mismatch")


class Site:
    """The middleware under test, over a store at which requests wait."""

    def __init__(self, timeouts: Timeouts, limit: tuple[int | None, WhenFull]) -> None:
        self.began_at: int = _START
        """When the first of all requests was served."""
        self._began_at = _START
        self.limits: Limits = limits_of(timeouts)
        self._stage = Stage()
        self._events: list[Event] = []
        self._random_bytes = _stream("")
        self._timeouts = timeouts
        self._open([_SECRET])
        with quiet():  # without a throttle, it warns
            self._auth = Auth(
                self._stage, hasher=PlainHasher(), throttle=None, session_limit=limit[0], when_full=limit[1]
            )
        self._phase = "before"
        self._times: tuple[int, ...] = ()
        self._known: dict[tuple[str, str, tuple[Any, ...], tuple[int, ...]], Progress] = {}
        self.time: int = 0
        """Seconds since the requests began, for what is looked at in the end."""

    @property
    def now(self) -> int:
        """The time on the clock."""
        return self._began_at + self.time

    def begin(self, *, after: int, is_rotated: bool) -> None:
        """Let time pass. Requests from now on draw other random bytes than those before."""
        self._began_at += after
        self._phase = "now"
        if is_rotated:
            self._open([_NEW_SECRET, _SECRET])

    def _open(self, secrets: list[str]) -> None:
        self._manager = SessionManager(
            secrets,
            self._stage,
            timeouts=self._timeouts,
            trusted_origins=[PARTNER],
            on_event=self._events.append,
            clock=self._clock,
            _chance=Chance(lambda size: self._random_bytes(size), lambda _attempt: None, PATIENCE),
        )
        self._middleware = self._manager.wrap(_application)

    def run(self, request: Request, cookie: str, answers: tuple[Any, ...], times: tuple[int, ...]) -> Progress:
        """How far the request gets with these answers, and at these times."""
        key = (request.name, cookie, answers, times)
        if key not in self._known:
            self._known[key] = self._run(request, cookie, answers, times)
        return self._known[key]

    def serve(self, request: Request, cookie: str, world: World) -> tuple[Reply, World]:
        """Run the request from beginning to end, alone."""
        return self._alone(lambda answers: self._run(request, cookie, answers), world)

    def _alone(self, run: Callable[[tuple[Any, ...]], Progress], world: World) -> tuple[Reply, World]:
        answers: tuple[Any, ...] = ()
        while True:
            progress = run(answers)
            if progress.call is None:
                assert progress.reply is not None  # noqa: S101  (for the type checker: what is over has a reply)
                return progress.reply, world
            answer, world = world.after(progress.call)
            answers = (*answers, answer)

    def sees(self, cookie: str, world: World) -> Seen:
        """What a request with this cookie finds."""
        # Many endings look alike to a cookie, so what is found in one is remembered for the others.
        times = (self.time,)
        seen: Seen = self._alone(lambda answers: self.run(_LOOK, cookie, answers, times), world)[0].result
        return seen

    def asks(self, view: View, cookie: str, world: World) -> Any:
        """What this view returns for a request with this cookie."""
        return self.serve(Request("look", view), cookie, world)[0].result

    def sessions(self, world: World) -> list[Stored]:
        """Every live record that is not a tombstone, opened."""
        sealer = self._manager._site.keys.record
        found = [open_record(sealer, record, b"") for record in world.records if record.expires_at > self.now]
        return [stored for stored in found if isinstance(stored, Stored) and not stored.envelope.is_tombstone]

    def _clock(self) -> float:
        """While a request runs again: when it got its last answer."""
        return self._began_at + (
            self._times[min(self._stage.given, len(self._times) - 1)] if self._times else self.time
        )

    def _run(self, request: Request, cookie: str, answers: tuple[Any, ...], times: tuple[int, ...] = ()) -> Progress:
        self._stage.rewind(answers)
        self._times = times
        self._events.clear()
        self._random_bytes = _stream(f"{self._phase} {request.name}")
        environ = _environ(request, cookie) | {"testing.auth": self._auth, "testing.users": self._stage}
        response = _Response(environ)
        call = None
        try:
            response.take(self._middleware(environ, response.start))
        except Waits as waits:
            call = waits.call
        except SessionwareError:  # a server answers it with a 500; anything else is a mistake in the view
            response.fail()
        return Progress(call, response.reply, tuple(self._events))


class _Response:
    """What the server makes of one response."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self._environ = environ
        self._status = 500
        self._cookie: str | None = None
        self._is_out = False

    def start(self, status: str, headers: list[tuple[str, str]], *_exc_info: Any) -> Callable[[bytes], object]:
        """What the middleware calls as `start_response`."""
        self._status = int(status[:3])
        texts = [value for name, value in headers if name == "Set-Cookie"]
        if texts:
            self._cookie = texts[-1].partition("=")[2].partition(";")[0]
        return lambda _chunk: None

    def take(self, body: Any) -> None:
        """Send the body, chunk by chunk."""
        chunks = iter(body)
        next(chunks, None)
        self._is_out = True
        for _chunk in chunks:
            pass
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
    found = session.id, session.is_new, session.username, session.copy()
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


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what this thread does out of the log. Other threads log as always."""
    logger, me = logging.getLogger("sessionware"), get_ident()

    def is_of_another(record: logging.LogRecord) -> bool:
        return record.thread != me

    logger.addFilter(is_of_another)
    try:
        yield
    finally:
        logger.removeFilter(is_of_another)
