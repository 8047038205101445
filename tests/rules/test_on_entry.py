"""A request is read once, when it comes in: PEP 3333 lets the application change its environ, and many do.

Dispatchers move path parts, method overrides turn POST into DELETE, and a ProxyFix inside changes scheme, host and
address. None of it may change what the response says about the session, else a cookie would go out under another name
than the one that came in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any, NamedTuple

from sessionware import Event, MemoryStore, Session, SessionManager, StoreUnavailable, get_session
from tests.support.auth_kit import ADDRESS, PASSWORD, AuthSite
from tests.support.fixed import SECRET, Clock
from tests.support.wsgi import Started

Environ = dict[str, Any]
Change = Callable[[Environ], object]

TEXTS = (
    "",
    "/",
    "GET",
    "HEAD",
    "POST",
    "http",
    "https",
    "1",
    "prefetch",
    "cross-site",
    "other.example",
    "sid=x; sid=y",
)

#: What a request is made of, and what an application might put in the place of each.
OTHER_VALUES: dict[str, tuple[object, ...]] = {
    "REQUEST_METHOD": ("GET", "HEAD", "POST", "DELETE", "override"),
    "wsgi.url_scheme": ("http", "https", ""),
    "wsgi.multiprocess": (True, 1),
    "wsgi.input": (None,),
    "wsgi.file_wrapper": (list, None),
    **dict.fromkeys(
        (
            *("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "HTTP_HOST"),
            *("HTTP_COOKIE", "HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_SEC_PURPOSE", "HTTP_X_SESSION_PASSIVE"),
            *("HTTP_UPGRADE", "HTTP_X_FORWARDED_PROTO", "HTTP_FORWARDED", "REMOTE_ADDR", "HTTP_USER_AGENT"),
        ),
        TEXTS,
    ),
}


def putting(values: Mapping[str, object]) -> Change:
    return lambda environ: environ.update(values)


def removing(key: str) -> Change:
    return lambda environ: environ.pop(key, None)


#: One key after the other is removed, and takes every other value.
ONE_KEY = [removing(key) for key in OTHER_VALUES] + [
    putting({key: value}) for key, values in OTHER_VALUES.items() for value in values
]

#: Nothing stays as it is.
EVERY_KEY: list[Change] = [
    lambda environ: environ.clear(),
    lambda environ: environ.update(dict.fromkeys(environ, "other")),
    *(putting({key: values[n % len(values)] for key, values in OTHER_VALUES.items()}) for n in range(0, len(TEXTS), 2)),
]


def login(session: Session) -> None:
    session.username = "ada"


def fail(session: Session) -> None:
    session.get("n")
    raise StoreUnavailable("the disk is gone")


ACTS: dict[str, Callable[[Session], object]] = {
    "read": lambda session: session.get("n"),
    "write": lambda session: session.update(n=2),
    "flash": lambda session: session.pop_flash(),
    "login": login,
    "invalidate": lambda session: session.invalidate(),
    "form": lambda session: session.check_csrf(session.csrf_token),
    "outage": fail,
}


class Case(NamedTuple):
    """One request."""

    act: str
    method: str = "GET"
    scheme: str = "http"
    cookie: str = "live"
    headers: tuple[tuple[str, str], ...] = ()


#: What differs most in what is read of the environ.
SOME_CASES = [
    Case("write", cookie="none"),
    Case("flash"),
    Case("invalidate", scheme="https"),
    Case("read", cookie="twins"),
    Case("outage", "HEAD"),
    Case("form", "POST", cookie="none", headers=(("HTTP_ORIGIN", "http://www.example.com"),)),
    Case("login", "POST", headers=(("HTTP_ORIGIN", "https://evil.example"),)),
    Case("read", headers=(("HTTP_X_SESSION_PASSIVE", "1"),)),
]

CASES = [
    *SOME_CASES,
    *(Case(*each) for each in product(ACTS, ("GET", "HEAD", "POST"), ("http", "https"), ("none", "live", "twins"))),
    *(Case(act, "POST", headers=(("HTTP_ORIGIN", "https://evil.example"),)) for act in ACTS),
    *(Case(act, headers=(("HTTP_X_SESSION_PASSIVE", "1"),)) for act in ACTS),
    *(Case(act, headers=(("HTTP_X_FORWARDED_PROTO", "https"),), cookie="none") for act in ACTS),
    *(Case(act, cookie="junk") for act in ACTS),
]


class Outcome(NamedTuple):
    """All that a request led to, without what is random."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    events: list[tuple[object, ...]]
    stored: list[tuple[int, int]]


def outcome(case: Case, before: Change | None = None, after: Change | None = None) -> Outcome:
    """Serve one request to an application that changes its environ before or after it uses the session."""
    events: list[Event] = []
    clock, store = Clock(), MemoryStore()
    manager = SessionManager(
        SECRET, store, clock=clock, on_event=events.append, client_address=lambda environ: environ["REMOTE_ADDR"]
    )
    environ = request(manager, case)
    events.clear()
    clock.tick(3 * 3600)

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        session = get_session(environ)
        if before is not None:
            before(environ)
        result = ACTS[case.act](session)
        start_response("200 OK", [("Content-Type", "text/plain")])
        if after is not None:
            after(environ)
        return iter([repr(bool(result)).encode()])

    starts: list[Any] = []
    body = manager.wrap(app)(environ, lambda *arguments: starts.append(arguments) or starts.append)
    chunks = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    (status, headers), *_ = starts
    return Outcome(
        status,
        [(name, re.sub(r"[\w-]{64};", "a ticket;", value)) for name, value in headers],
        chunks,
        [(event.name, event.keys, event.user_id, event.client_address, event.detail) for event in events],
        sorted((record.version, record.expires_at) for record in store.scan()),
    )


def request(manager: SessionManager, case: Case) -> Environ:
    """The environ of a case, and the sessions that its cookies name."""
    is_https = case.scheme == "https"
    environ: Environ = {
        "REQUEST_METHOD": case.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": "/page",
        "SERVER_NAME": "www.example.com",
        "SERVER_PORT": "443" if is_https else "80",
        "HTTP_HOST": "www.example.com",
        "REMOTE_ADDR": "192.0.2.7",
        "wsgi.url_scheme": case.scheme,
        "wsgi.multiprocess": False,
        **dict(case.headers),
    }
    cookies = {"none": 0, "junk": 0, "live": 1, "twins": 2}[case.cookie]
    sent = [manager.login_cookie("ada", https=is_https, data={"n": 1}) for _ in range(cookies)]
    for which, (name, value) in enumerate(sent):
        opened = manager.open({"wsgi.url_scheme": case.scheme, "HTTP_COOKIE": f"{name}={value}", "REMOTE_ADDR": ""})
        if which == 0:
            opened.session.flash("hello")
        else:
            opened.session.invalidate()  # of twins, one is dead
        opened.finish()
        opened.close()
    pairs = [*sent, ("sid", "J" * 64)] if case.cookie == "junk" else sent
    if pairs:
        environ["HTTP_COOKIE"] = "; ".join(f"{name}={value}" for name, value in pairs)
    return environ


def differences(cases: Iterable[Case], changes: Iterable[Change]) -> list[tuple[Case, Outcome, Outcome]]:
    """The cases in which a change made a difference: what it should be, and what it was."""
    made = list(changes)
    expected = {case: outcome(case) for case in cases}
    tried = (
        (case, expected[case], outcome(case, **{moment: change}))
        for case, change, moment in product(expected, made, ("before", "after"))
    )
    return [each for each in tried if each[1] != each[2]]


def test_application_that_changes_one_key_of_its_environ_changes_nothing_else() -> None:
    """Whichever key, whatever the value, before the session is used or after it."""
    assert differences(SOME_CASES, ONE_KEY) == []


def test_application_that_changes_its_whole_environ_changes_nothing_else() -> None:
    """Whatever the request: response, events and store are as if it had left everything alone."""
    assert differences(CASES, EVERY_KEY) == []


def test_cases_differ_from_one_another() -> None:
    """Else the tests above would find everything equal."""
    outcomes = {case: outcome(case) for case in CASES}

    assert {each.status for each in outcomes.values()} == {"200 OK", "503 Service Unavailable"}
    assert len({repr(each) for each in outcomes.values()}) > 40
    names = {
        value.partition("=")[0] for each in outcomes.values() for name, value in each.headers if name == "Set-Cookie"
    }
    assert names == {"sid", "__Host-sid"}
    assert any("Domain=www.example.com" in repr(each.headers) for each in outcomes.values())


def test_events_of_accounts_name_the_client_that_came() -> None:
    """Not the one that something inside takes it for: a throttle, or whoever reads the log, needs one answer."""
    site = AuthSite()
    site.register("Ada")

    def act(environ: Environ) -> object:
        environ["REMOTE_ADDR"] = environ["HTTP_HOST"] = "other.example"
        environ["HTTP_ORIGIN"] = "https://other.example"
        return site.auth.login(environ, "Ada", PASSWORD)

    site.browser().do(act)

    assert {event.name for event in site.events} >= {"login.succeeded", "session.login"}
    assert {event.client_address for event in site.events} == {ADDRESS}


def test_functions_of_the_site_get_the_environ_as_it_came() -> None:
    """`passive=` and `client_address=` too, however late they are asked."""
    seen: list[Environ] = []

    def noted(environ: Environ) -> str:
        seen.append(environ)
        return ""

    manager = SessionManager(SECRET, on_event=lambda event: None, passive=noted, client_address=noted)
    name, value = manager.login_cookie("ada")

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        session = get_session(environ)
        environ.clear()
        session["n"] = 1
        start_response("200 OK", [])
        return []

    came = {"HTTP_COOKIE": f"{name}={value}", "REMOTE_ADDR": "192.0.2.7", "an extension's": "own"}
    manager.wrap(app)(dict(came), Started())

    assert len(seen) >= 1
    assert [environ for environ in seen if environ != came] == []
