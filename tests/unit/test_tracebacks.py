"""What an error reporter gets to see: tracebacks with the local variables of every frame, as Sentry keeps them.

Whatever fails, and wherever, no frame of the library shows a token, a session's value or a server's secret. What the
application passes in is in the frame of that very call, as it is in the application's own; and the environ, with the
cookie in it, is in the frames of every WSGI server and application.
"""

from __future__ import annotations

import logging
import sys
import traceback
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

import sessionware
from sessionware import MemoryStore, Session, SessionManager, SessionMiddleware, Timeouts, get_session
from sessionware._core.records import Chance
from sessionware.middleware import paste_filter
from tests.support.fixed import Clock

pytestmark = pytest.mark.interpreted  # compiled frames have no local variables to show

LIBRARY = str(Path(sessionware.__file__).parent)

SERVER_SECRET = "kaxuF6Xw9mB3yVtq_planted_G2vZ7pQe4LrN8sHc"
OLD_SECRET = "T5nJq8_planted_too_WcY2rKd7Lz4GmXb9VhSf3Pe6"
TOKEN = b"planted-token-"
VALUE = "a value, planted"

PLANTED = {
    "a token": [TOKEN.decode(), TOKEN.hex(), b64encode(TOKEN).decode()[:16], urlsafe_b64encode(TOKEN).decode()[:16]],
    "a session's value": [VALUE],
    "a server's secret": [SERVER_SECRET[:30], OLD_SECRET],
}


class Tripped(BaseException):
    """What nothing catches on its way to the server."""


class Trip:
    """Counts calls that leave the library, and raises at one of them."""

    def __init__(self, at: int | None, error: Callable[[], BaseException]) -> None:
        self.at = at
        self.error = error
        self.calls = 0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls - 1 == self.at:
                raise self.error()
            return function(*args, **kwargs)

        return called

    def all_of(self, target: Any, *names: str) -> Any:
        for name in names:
            setattr(target, name, self.around(getattr(target, name)))
        return target


#: What the application passes in: the functions that it calls, and their arguments.
PASSED_IN = {("__setitem__", "value"), ("flash", "message"), ("login_cookie", "data")}

STORE_CALLS = ("create", "load", "replace", "touch", "delete", "prune", "owned_by", "scan")


class Site:
    """A site whose every way out is tripped, and its visitor."""

    def __init__(self, trip: Trip, store: MemoryStore, clock: Clock, *, old: bool = False) -> None:
        self.trip = trip
        self.clock = clock
        self.cookies: list[str] = []
        self.tokens = 0
        self.manager = SessionManager(
            [OLD_SECRET] if old else [SERVER_SECRET, OLD_SECRET],
            store,
            clock=trip.around(clock),
            client_address=trip.around(lambda environ: "192.0.2.7"),
            on_event=trip.around(lambda event: None),
            passive=trip.around(lambda environ: False),
            timeouts=Timeouts(idle=3600, anonymous=3600),
            _chance=Chance(random_bytes=trip.around(self.random_bytes), pause=lambda attempt: None, patience=0.05),
        )

    def random_bytes(self, count: int) -> bytes:
        """A token, or the id of a record, which is no secret."""
        self.tokens += 1
        caller = sys._getframe(2).f_code.co_name
        return (TOKEN if caller == "new_token" else b"some-record-id") + b"%02d" % self.tokens

    def visit(
        self, view: Callable[[Session], object], *, late: Callable[[Session], object] | None = None, **environ: Any
    ) -> None:
        """One request, as a server would serve it; the browser keeps its cookies."""

        def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
            session = get_session(environ)
            view(session)
            start_response("200 OK", [])
            yield b"first"
            if late is not None:
                late(session)
            yield b"second"

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            self.cookies += [value.partition(";")[0] for name, value in headers if name == "Set-Cookie"]

        request: dict[str, Any] = {"HTTP_COOKIE": "; ".join(self.cookies[-1:]), **environ}
        setup_testing_defaults(request)
        body = self.manager.wrap(application)(request, start_response)
        try:
            list(body)
        finally:
            body.close()  # type: ignore[attr-defined]


def writes(session: Session) -> None:
    session["text"] = VALUE
    session["list"] = [VALUE]


def write_nested(session: Session) -> None:
    session.setdefault("list", []).append(VALUE)


def compute(session: Session) -> None:
    session.modify("list", lambda values: [*values, VALUE], default=[])


def several(*views: Callable[[Session], object]) -> Callable[[Session], None]:
    def view(session: Session) -> None:
        for each in views:
            each(session)

    return view


def login(session: Session) -> None:
    session.login("ada", user_id="7", check=lambda: True)


def commit(session: Session) -> None:
    session.commit()


def first_visit(site: Site) -> None:
    site.visit(writes)


def reading(site: Site) -> None:
    site.visit(writes)
    site.visit(lambda session: session["text"])
    site.clock.tick(1800)
    site.visit(lambda session: session["list"])


def writing(site: Site) -> None:
    site.visit(writes)
    site.visit(several(write_nested, compute, commit, write_nested))
    site.visit(several(lambda session: session.pop("list"), lambda session: session.update(other=VALUE)))
    site.visit(lambda session: session.clear())


def writing_late(site: Site) -> None:
    site.visit(writes)
    site.visit(lambda session: session["text"], late=write_nested)
    site.visit(lambda session: None, late=lambda session: session["text"])


def overlapping(site: Site) -> None:
    site.visit(writes)
    add = site.trip.around(lambda values: [*values, VALUE])
    site.visit(several(lambda session: session.modify("list", add), lambda session: site.visit(compute)))


def losing(site: Site) -> None:
    site.visit(writes)
    site.visit(several(write_nested, lambda session: site.visit(lambda session: session.invalidate())))


def logging_in(site: Site) -> None:
    site.visit(writes)
    site.visit(several(login, write_nested, commit, compute))
    site.visit(several(write_nested, lambda session: session.remember(60), lambda session: session.renew_token()))
    site.visit(lambda session: session.login("bob"))
    site.visit(lambda session: session.invalidate())


def clicking_twice(site: Site) -> None:
    site.visit(writes)
    site.visit(several(lambda session: session["text"], lambda session: site.visit(login), write_nested, login))


def refuse() -> bool:
    raise ValueError("cannot ask")


def logging_in_unchecked(site: Site) -> None:
    site.visit(writes)
    site.visit(lambda session: session.login("ada", check=lambda: False))
    site.visit(writes)
    try:
        site.visit(several(write_nested, lambda session: session.login("ada", check=refuse)))
    except ValueError:
        site.visit(lambda session: session["text"])


def messages_and_forms(site: Site) -> None:
    site.visit(lambda session: session.flash(VALUE))
    site.visit(several(lambda session: session.check_csrf(session.csrf_token), lambda session: session.renew_csrf()))
    site.visit(lambda session: session.pop_flash())
    site.visit(lambda session: session.reload())


def coming_late(site: Site) -> None:
    site.visit(writes)
    old = site.cookies[-1]
    site.visit(login)
    site.visit(several(writes, compute), HTTP_COOKIE=old)
    site.visit(lambda session: session.clear(), HTTP_COOKIE=old)


def with_several_cookies(site: Site) -> None:
    site.visit(writes)
    old = site.cookies[-1]
    site.visit(login)
    site.visit(write_nested, HTTP_COOKIE=f"{old}; {site.cookies[-1]}; sid={'x' * 64}")


def after_a_rotation(site: Site) -> None:
    site.visit(writes)
    site.manager = Site(site.trip, site.manager._site.records.store, site.clock).manager
    site.visit(lambda session: session["text"])
    site.visit(write_nested)


def without_a_request(site: Site) -> None:
    site.visit(several(writes, login))
    manager = site.manager
    manager.login_cookie("ada", data={"text": VALUE})
    manager.export(user_id="7")
    manager.of(user_id="7")
    manager.stats()
    manager.end(manager.of(user_id="7")[0].id)
    manager.end_all(username="ada")
    manager.prune()
    opened = manager.open()
    writes(opened.session)
    opened.finish()
    opened.headers([])
    opened.close()


SCENES = [
    first_visit, reading, writing, writing_late, overlapping, losing, logging_in, clicking_twice, logging_in_unchecked,
    messages_and_forms, coming_late, with_several_cookies, after_a_rotation, without_a_request,
]  # fmt: skip


def shown_by(tb: TracebackType | None, error: BaseException) -> list[str]:
    """Where a frame of the library shows something planted."""
    found = []
    told = traceback.TracebackException(type(error), error, tb, capture_locals=True)
    while told is not None:
        for frame in told.stack:
            if not frame.filename.startswith(LIBRARY):
                continue
            for name, text in (frame.locals or {}).items():
                found += [
                    f"{Path(frame.filename).name}:{frame.name} shows {what} in {name}: {text[:200]}"
                    for what, texts in PLANTED.items()
                    if any(planted in text for planted in texts)
                    and name != "environ"
                    and (frame.name, name) not in PASSED_IN
                ]
        told = told.__cause__ or (None if told.__suppress_context__ else told.__context__)  # type: ignore[assignment]
    return found


class Reports(logging.Handler):
    """What the log says with a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.found += shown_by(record.exc_info[2], record.exc_info[1])


def play(scene: Callable[[Site], None], trip: Trip) -> list[str]:
    """What is shown while the scene is played."""
    store = trip.all_of(MemoryStore(), *STORE_CALLS)
    try:
        scene(Site(trip, store, Clock(), old=scene is after_a_rotation))
    except (Tripped, Exception):
        error = sys.exc_info()[1]
        assert error is not None
        return shown_by(error.__traceback__, error)
    return []


def fails_to_compute(site: Site) -> None:
    site.visit(writes)
    site.visit(lambda session: session.modify("list", lambda values: values[7]))


def fails_to_compute_again(site: Site) -> None:
    def only_one(values: list[str]) -> list[str]:
        (value,) = values
        return [value, VALUE]

    site.visit(writes)
    site.visit(several(lambda session: session.modify("list", only_one), lambda session: site.visit(write_nested)))


def holds_no_plain_value(site: Site) -> None:
    site.visit(writes)
    site.visit(lambda session: session["list"].append(object()))


def is_too_large(site: Site) -> None:
    site.visit(writes)
    site.visit(lambda session: session.update(list=[VALUE * 100_000]))


SHORT = SERVER_SECRET[:30]


def builds(secret: Any) -> list[Callable[[Path], object]]:
    """Every way to make a site with a secret, each with something else that is wrong if the secret is good."""
    wrong: dict[str, Any] = {} if secret == SHORT else {"clock": 7}
    odd = {} if secret == SHORT else {"timeout_idle": "soon"}
    wrong_store: Any = 7
    odd_variables = {f"SESSIONWARE_{name.upper()}": value for name, value in odd.items()}

    def from_file(folder: Path) -> object:
        Path(folder, "secret").write_text(secret)
        return paste_filter(app, {}, secret_file=str(folder / "secret"), **odd)

    return [
        lambda _: SessionManager(secret, **wrong),
        lambda _: SessionManager([secret, OLD_SECRET], **wrong),
        lambda _: SessionManager(secret.encode(), **wrong),
        lambda _: SessionMiddleware(app, secret, **wrong),
        lambda _: SessionMiddleware(app, secret, store=wrong_store),
        lambda _: SessionMiddleware.from_environ(app, {"SESSIONWARE_SECRET": secret, **odd_variables}),
        lambda _: SessionMiddleware.from_environ(app, {"SESSIONWARE_SECRET_FILE": secret}),
        lambda _: paste_filter(app, {}, secret=secret, **odd),
        from_file,
    ]


def app(environ: Any, start_response: Any) -> list[bytes]:
    return []


@pytest.mark.parametrize("number", range(len(builds(SHORT))))
@pytest.mark.parametrize("secret", [SHORT, SERVER_SECRET], ids=["poor", "good"])
def test_constructor_that_fails_shows_no_secret(secret: str, number: int, tmp_path: Path) -> None:
    """Neither one that is refused, which may be a part of the real one, nor a good one beside another mistake."""
    with pytest.raises(sessionware.ConfigError) as failed:
        builds(secret)[number](tmp_path)

    assert shown_by(failed.value.__traceback__, failed.value) == []
    assert SHORT not in str(failed.value)


@pytest.mark.parametrize(
    "scene",
    [fails_to_compute, fails_to_compute_again, holds_no_plain_value, is_too_large],
    ids=lambda scene: str(scene.__name__),
)
def test_error_of_the_applications_making_shows_nothing_either(scene: Callable[[Site], None]) -> None:
    """The application reads its own values in its own frames."""
    with pytest.raises((LookupError, ValueError, TypeError, sessionware.SessionTooLarge)) as failed:
        scene(Site(Trip(None, Tripped), MemoryStore(), Clock()))

    assert shown_by(failed.value.__traceback__, failed.value) == []


@pytest.mark.parametrize("error", [Tripped, lambda: sessionware.StoreUnavailable("on fire")], ids=["any", "outage"])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: str(scene.__name__))
def test_no_frame_shows_what_is_planted(scene: Callable[[Site], None], error: Callable[[], BaseException]) -> None:
    """Each call of the store, the clock, the random source and each function of the application fails once."""
    whole = Trip(None, error)
    assert play(scene, whole) == [], "the scene itself fails"
    reports = Reports()
    logging.getLogger("sessionware").addHandler(reports)
    found = [each for at in range(whole.calls) for each in play(scene, Trip(at, error))]
    logging.getLogger("sessionware").removeHandler(reports)

    assert sorted({*found, *reports.found}) == []
