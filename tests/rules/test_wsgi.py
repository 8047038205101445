"""Rule 9, and the life of a response: every way in which WSGI (PEP 3333) lets an application answer."""

from __future__ import annotations

import gc
import io
import sys
from _io import BytesIO
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, nullcontext, suppress
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
from webtest import TestApp

from sessionware import (
    Cookie,
    Event,
    MemoryStore,
    Session,
    SessionClosed,
    SessionMiddleware,
    SessionTooLarge,
    get_session,
)
from tests.support.fixed import SECRET
from tests.support.kit import SessionSite

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


class CallingServer:
    """Calls an application as a server does, and notes what it is given."""

    def __init__(self, app: Callable[..., Any], **environ: Any) -> None:
        self.environ = {**environ}
        setup_testing_defaults(self.environ)
        self.starts: list[tuple[str, list[tuple[str, str]], Any]] = []
        self.written: list[bytes] = []
        self.body: Any = app(self.environ, self.start_response)

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        self.starts.append((status, headers, exc_info))
        return self.written.append

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.starts[-1][1])


def wrapped(
    app: Callable[..., Any] | SessionMiddleware, store: MemoryStore | None = None, **settings: Any
) -> SessionMiddleware:
    return SessionMiddleware(app, SECRET, store or MemoryStore(), **settings)


def write(environ: dict[str, Any], **data: bytes | int | list[Any]) -> None:
    get_session(environ).update(data or {"n": 1})


def start(start_response: StartResponse, *headers: tuple[str, str]) -> Callable[[bytes], object]:
    return start_response("200 OK", [("Content-Type", "text/plain"), *headers])


@pytest.mark.parametrize("body", [[b"a", b"b"], (b"a",)])
def test_rule_09_list_or_tuple_reaches_the_server_as_it_is(body: list[bytes] | tuple[bytes]) -> None:
    """The server can count its chunks and set Content-Length; the session is saved before it is returned."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start(start_response)
        write(environ)
        return body

    server = CallingServer(wrapped(app))

    assert server.body is body
    assert "Set-Cookie" in server.headers


def function_wrapper(file: BytesIO, size: int = 8192) -> FileWrapper:
    """A file wrapper that is a function, as some servers have it."""
    return FileWrapper(file, size)


@pytest.mark.parametrize("wrapper", [FileWrapper, function_wrapper])
def test_rule_09_file_reaches_the_server_as_it_is(wrapper: Callable[..., Any] | type[FileWrapper]) -> None:
    """What `wsgi.file_wrapper` made can be sent by the operating system only if the server gets it itself."""
    made = []

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start(start_response)
        write(environ)
        wrapped_file: Iterable[bytes] = environ["wsgi.file_wrapper"](io.BytesIO(b"file"))
        made.append(wrapped_file)
        return wrapped_file

    server = CallingServer(wrapped(app), **{"wsgi.file_wrapper": wrapper})

    assert server.body is made[0]
    assert "Set-Cookie" in server.headers


def test_rule_09_headers_wait_for_the_first_chunk_of_a_generator() -> None:
    """What runs before the first chunk can still log in, although `start_response` was called before."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start(start_response)
        write(environ)
        yield b"a"
        yield b"b"

    server = CallingServer(wrapped(app))
    assert server.starts == []

    assert next(server.body) == b"a"
    assert "Set-Cookie" in server.headers
    assert next(server.body) == b"b"
    assert len(server.starts) == 1


def test_rule_09_an_empty_first_chunk_counts() -> None:
    """A chunk is a chunk: the headers go with it, and what comes later is late."""
    late = []

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start(start_response)
        yield b""
        late.append(len(server.starts))
        yield b"a"

    server = CallingServer(wrapped(app))
    list(server.body)

    assert late == [1]


def test_rule_09_body_without_any_chunk_is_saved_at_its_end() -> None:
    """The end of an empty body is the last moment."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start(start_response)
        write(environ)
        yield from ()

    server = CallingServer(wrapped(app))

    assert list(server.body) == []
    assert "Set-Cookie" in server.headers


def test_rule_09_write_sends_the_headers() -> None:
    """At the first `write()` the session is saved; what is changed afterwards still is, at the end."""
    store = MemoryStore()

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        write_chunk = start(start_response)
        write(environ)
        write_chunk(b"a")
        get_session(environ)["late"] = True
        return [b"b"]

    server = CallingServer(wrapped(app, store))

    assert (server.written, server.body) == ([b"a"], [b"b"])
    assert "Set-Cookie" in server.headers
    assert store.scan()[0].version == 2


def test_rule_09_second_start_response_before_the_first_byte_takes_the_place_of_the_first() -> None:
    """With `exc_info` the headers are computed anew: none of the first remain, none are doubled."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start(start_response, ("X-First", "yes"))
        write(environ)
        try:
            raise RuntimeError
        except RuntimeError:
            start_response("404 Not Found", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"gone"]

    response = TestApp(validator(wrapped(app))).get("/", status=404)

    assert "X-First" not in response.headers
    assert len(response.headers.getall("Set-Cookie")) == 1


def test_rule_09_second_start_response_after_an_empty_chunk_keeps_the_cookie() -> None:
    """The server has not sent anything for b"" yet; the cookie that was written has to be in the new headers."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start(start_response)
        write(environ)
        yield b""
        try:
            raise RuntimeError("too late?")
        except RuntimeError:
            start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        yield b"oops"

    server = CallingServer(wrapped(app))
    list(server.body)

    assert [status for status, _, _ in server.starts] == ["200 OK", "500 Oops"]
    assert server.starts[1][2][0] is RuntimeError
    assert server.headers["Set-Cookie"] == dict(server.starts[0][1])["Set-Cookie"]


def test_second_start_response_without_exc_info_is_an_error() -> None:
    """PEP 3333: an application must not do this, and a held-back first call must not hide it."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start(start_response)
        start(start_response)
        return [b""]

    with pytest.raises(AssertionError, match="exc_info"):
        CallingServer(wrapped(app))


def test_body_that_was_never_iterated_commits() -> None:
    """A client hung up before the first chunk: what the application did holds."""
    store = MemoryStore()

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start(start_response)
        write(environ)
        return iter([b"a"])

    server = CallingServer(wrapped(app, store))
    server.body.close()

    assert len(store.scan()) == 1
    assert server.starts == []


def test_client_that_hangs_up_in_the_middle_saves_what_was_done() -> None:
    """What was changed until then is saved when the server closes the body."""
    store = MemoryStore()

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start(start_response)
        write(environ)
        yield b"a"
        get_session(environ)["late"] = True
        yield b"b"

    server = CallingServer(wrapped(app, store))
    next(server.body)
    next(server.body)
    server.body.close()

    assert store.scan()[0].version == 2


class ClosableBody:
    """A body that notes whether it was closed."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[Any]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed += 1


def test_body_is_closed_once() -> None:
    """The application's `close()` runs, whoever iterates."""
    body = ClosableBody(b"a")

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start(start_response)
        write(environ)
        return body

    response = TestApp(validator(wrapped(app))).get("/")

    assert (response.body, body.closed) == (b"a", 1)


def test_what_cannot_be_stored_rises_to_the_server_and_the_body_is_closed() -> None:
    """A value that went bad inside a list is a TypeError at commit, naming the key."""
    body = ClosableBody(b"a")

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start(start_response)
        write(environ, cart=[])
        get_session(environ)["cart"].append(object())
        return body

    server = CallingServer(wrapped(app))
    with pytest.raises(TypeError, match=r"session\['cart'\]"):
        next(server.body)
    server.body.close()

    assert (server.starts, body.closed) == ([], 1)


@pytest.mark.parametrize("as_a_list", [True, False])
def test_what_cannot_be_saved_is_named_once(as_a_list: bool) -> None:
    """Whatever kind of body: the server answers 500, and an event tells which keys are lost and why."""
    events: list[Event] = []

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start(start_response)
        write(environ, large=b"x" * 4096)
        return [b"ok"] if as_a_list else iter([b"ok"])

    def serve() -> None:
        body = CallingServer(wrapped(app, max_bytes=2048, on_event=events.append)).body
        try:
            list(body)
        finally:
            if not as_a_list:
                body.close()

    with pytest.raises(SessionTooLarge):
        serve()

    assert [(event.name, event.keys, event.detail) for event in events] == [
        ("session.write_discarded", ("large",), "it could not be saved")
    ]


def test_application_that_returns_nothing_leaves_nothing_behind() -> None:
    """The server gets Python's own error; the session is over for whoever still has it."""
    kept: list[Session] = []

    def app(environ: dict[str, Any], start_response: StartResponse) -> None:
        kept.append(get_session(environ))

    with pytest.raises(TypeError):
        CallingServer(wrapped(app))
    with pytest.raises(SessionClosed):
        kept[0]["n"] = 1


def test_environ_that_is_served_twice_gets_a_second_session(caplog: pytest.LogCaptureFixture) -> None:
    """As by a layer outside that tries once more; the first run's session is over, and no warning is due."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start(start_response)
        write(environ)
        return [b"ok"]

    middleware = wrapped(app)
    server = CallingServer(middleware)
    middleware(server.environ, server.start_response)

    assert [dict(headers).keys() >= {"Set-Cookie"} for _, headers, _ in server.starts] == [True, True]
    assert caplog.records == []


def test_untouched_body_that_is_never_read_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """A client hung up before the first chunk, and nobody had looked at the session."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start(start_response)
        yield b"never asked for"

    CallingServer(wrapped(app)).body.close()

    assert caplog.records == []


def test_session_that_is_too_large_rises_to_the_server() -> None:
    """Nothing is written and no cookie set; the text says what to do instead."""
    store = MemoryStore()

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start(start_response)
        write(environ, blob=b"x" * 2048)
        return [b""]

    with pytest.raises(SessionTooLarge, match="max_bytes=2048"):
        CallingServer(wrapped(app, store, max_bytes=2048))

    assert store.scan() == []


def test_default_limit_is_256_kib() -> None:
    """Just below it fits; above it does not."""
    browser = SessionSite().browser()
    browser.visit(lambda session: session.update(blob=b"x" * 262_000))
    assert len(browser.read()["blob"]) == 262_000

    with pytest.raises(SessionTooLarge, match="262144"):
        browser.visit(lambda session: session.update(blob=b"x" * 262_144))
    assert len(browser.read()["blob"]) == 262_000


def test_outage_while_streaming_replaces_the_response() -> None:
    """The save before the first chunk fails: a 503 goes out, and the application's body is closed unread."""
    site = SessionSite()
    site.store.broken.add("create")
    body = ClosableBody(b"secret")

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start(start_response)
        write(environ)
        return body

    site.middleware._app = app
    response = site.browser().client.get("/", status=503)

    assert b"secret" not in response.body
    assert body.closed == 1


@pytest.mark.parametrize("kind", [list, iter])
def test_outage_at_the_first_write_replaces_the_response(kind: Callable[..., Any] | type[list[Any]]) -> None:
    """The same for `write()`: nothing of the application's goes out, and the 503 has its whole body."""
    site = SessionSite()
    site.store.broken.add("create")

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        write_chunk = start(start_response)
        write(environ)
        write_chunk(b"secret")
        return kind([b"secret"])

    server = CallingServer(_with_app(site, app))

    assert server.starts[-1][0].startswith("503")
    assert server.written == []
    assert b"".join(server.body) == b"The service is unavailable for a moment. Please try again.\n"


def test_outage_inside_a_generator_is_a_503() -> None:
    """Let out while the first chunk is made, it is no different."""
    site = SessionSite()
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))
    site.store.broken.add("load")

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start(start_response)
        yield get_session(environ)["n"]

    site.middleware._app = app

    assert browser.client.get("/", status=503).headers["Retry-After"] == "5"


def test_outage_that_the_application_wrapped_is_a_503() -> None:
    """An exception of the application's own, raised while handling the store's, is the store's all the same."""
    site = SessionSite()
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))
    site.store.broken.add("load")

    def view(session: Session) -> None:
        try:
            session["n"]
        except Exception as error:
            raise KeyError("no cart") from error

    assert browser.visit(view).response.status_int == 503


def _with_app(site: SessionSite, app: Callable[..., Any]) -> SessionMiddleware:
    site.middleware._app = app
    return site.middleware


# What the headers say to caches ---------------------------------------------------------------------------------------


def caching(site: SessionSite, view: Callable[..., Any], *headers: tuple[str, str]) -> tuple[list[str], list[str]]:
    response = site.browser().visit(view, respond=list(headers)).response
    return response.headers.getall("Cache-Control"), response.headers.getall("Vary")


READ = {"view": lambda session: session.get("n")}
WRITE = {"view": lambda session: session.update(n=1)}


@pytest.mark.parametrize(
    ("look", "own", "expected"),
    [
        (READ, (), ["private, no-cache"]),
        (READ, (("Cache-Control", "public, max-age=60"),), ["public, max-age=60"]),
        (WRITE, (), ["no-store"]),
        (WRITE, (("Cache-Control", "public, max-age=60"),), ["no-store"]),
        (WRITE, (("Cache-Control", "Private, max-age=60"),), ["Private, max-age=60"]),
        (WRITE, (("cache-control", "no-store"),), ["no-store"]),
    ],
)
def test_response_with_a_session_is_kept_from_shared_caches(
    look: dict[str, Callable[..., Any]], own: tuple[Any, ...], expected: list[str]
) -> None:
    """One that sets the cookie is not stored; one that was only looked at is private, unless the application says."""
    assert caching(SessionSite(), look["view"], *own)[0] == expected


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ((), ["Cookie"]),
        ((("Vary", "Accept"),), ["Accept, Cookie"]),
        ((("Vary", "Accept"), ("vary", "Origin")), ["Accept, Origin, Cookie"]),
        ((("Vary", "Accept"), ("Vary", "Cookie")), ["Accept, Cookie"]),
        ((("Vary", ""),), ["Cookie"]),
        ((("vary", "Accept, cookie"),), ["Accept, cookie"]),
        ((("Vary", "*"),), ["*"]),
    ],
)
def test_response_with_a_session_varies_by_cookie(own: tuple[Any, ...], expected: list[str]) -> None:
    """In one line with what the application says, because some caches read only the last one."""
    assert caching(SessionSite(), READ["view"], *own)[1] == expected


def test_list_of_headers_is_the_applications_own() -> None:
    """An application may send the same list for every response, so it is never added to."""
    headers = [("Content-Type", "text/plain")]

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        write(environ)
        start_response("200 OK", headers)
        return [b""]

    CallingServer(wrapped(app))

    assert headers == [("Content-Type", "text/plain")]


# Wrapped twice ------------------------------------------------------------------------------------------------------


def test_wrapped_twice_the_inner_one_does_nothing_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """One session, one cookie, one warning."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start(start_response)
        write(environ)
        return [b""]

    client = TestApp(validator(wrapped(wrapped(app))))
    for _ in range(2):
        response = client.get("/")

    assert len(response.headers.getall("Set-Cookie")) <= 1
    assert caplog.text.count("twice") == 1


def test_under_another_key_it_is_a_second_session() -> None:
    """Two sessions beside each other, each with a cookie of its own."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start(start_response)
        write(environ)
        get_session(environ, "other.session")["n"] = 2
        return [b""]

    inner = wrapped(app)
    outer = wrapped(inner, environ_key="other.session", cookie=Cookie(name="other"))
    client = TestApp(validator(outer))

    assert len(client.get("/").headers.getall("Set-Cookie")) == 2
    assert sorted(client.cookies) == ["other", "sid"]


def test_exception_that_is_its_own_cause_rises() -> None:
    """`raise error from error` makes a circle of causes, in which nothing may run for ever."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> None:
        error = RuntimeError("mine")
        raise error from error

    with pytest.raises(RuntimeError, match="mine"):
        CallingServer(wrapped(app))


# What is left of a request --------------------------------------------------------------------------------------------


def untouched(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start(start_response)
    return [b"x"]


def writes(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    write(environ)
    return untouched(environ, start_response)


def raises(environ: dict[str, Any], start_response: StartResponse) -> None:
    raise RuntimeError


def looks_and_raises(environ: dict[str, Any], start_response: StartResponse) -> None:
    write(environ)
    raise RuntimeError


def streams(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
    start(start_response)
    write(environ)
    yield b"a"
    write(environ, n=2)
    yield b"b"


def shows_while_streaming(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
    start(start_response)
    yield b"a"
    yield repr(get_session(environ)).encode()


def raises_in_generator(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
    start(start_response)
    yield str(1 // 0).encode()


def uses_write(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start(start_response)(b"a")
    return []


def serve(app: SessionMiddleware) -> None:
    """One whole request on a server that keeps the environ beside the method that is its start_response."""
    with suppress(RuntimeError, ZeroDivisionError):
        body = CallingServer(app).body
        with closing(body) if hasattr(body, "close") else nullcontext():
            for _ in body:
                pass


PAGES = [untouched, writes, raises, looks_and_raises, streams, shows_while_streaming, raises_in_generator, uses_write]


@pytest.mark.parametrize("broken", [(), ("create", "load")], ids=["works", "outage"])
@pytest.mark.parametrize("page", PAGES)
def test_request_leaves_nothing_for_the_garbage_collector(page: Callable[..., Any], broken: tuple[Any, ...]) -> None:
    """A circle of environ, session and server would stay until a sweep, with the request's body and all."""
    site = SessionSite()
    site.store.broken.update(broken)
    app = _with_app(site, page)
    serve(app)
    gc.collect()
    gc.disable()
    try:
        serve(app)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_session_that_nobody_looked_at_cannot_be_read_after_the_response() -> None:
    """Whoever kept it is told, and does not take "over" for "nobody is logged in"."""
    site, kept = SessionSite(), []
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        kept.append(get_session(environ))
        return shows_while_streaming(environ, start_response)

    site.middleware._app = app
    browser.client.get("/")

    assert repr(kept[0]) == "<Session unloaded>"
    with pytest.raises(SessionClosed):
        kept[0].copy()


def test_write_after_a_503_is_refused() -> None:
    """Nothing is saved any more, and whoever tries is told."""
    site, kept = SessionSite(), []
    site.store.broken.add("create")

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        kept.append(get_session(environ))
        return writes(environ, start_response)

    CallingServer(_with_app(site, app))

    with pytest.raises(SessionClosed):
        kept[0]["n"] = 2
