"""A site with one page for each way in which WSGI lets an application answer. A server runs it in a process of its own.

    python -m tests.support.probe waitress 3 serves on the listening socket that is file descriptor 3
    gunicorn --bind fd://3 'tests.support.probe:site()'

SESSION_SECRET is set, SESSIONWARE_TEST_PROBE names the directory that its databases are in, and
SESSIONWARE_TEST_SETTINGS holds further settings as JSON. A page puts `n` into the session before the first byte, and
`late` after it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.util import FileWrapper

import cheroot.wsgi
import waitress

from sessionware import Cookie, SessionMiddleware, SQLiteStore, Store, StoreUnavailable, Timeouts, get_session
from sessionware.auth import hash_password, verify_password

Environ = dict[str, Any]
Page = Callable[[Environ, Any], Iterable[bytes]]

PASSWORD = "seven quiet lanterns drift"
FILE_SIZE = 20_000  # more than a server reads at once
MOST_CHUNKS = 4_000  # of 64 KiB: more than any buffer between here and a client who has gone


def start(environ: Environ, start_response: Any, status: str = "200 OK", **data: int) -> Callable[[bytes], object]:
    """Write to the session and start a response. 204 and 304 have no body, and so no type of one."""
    get_session(environ).update(data or {"n": 1})
    is_empty = status.startswith(("204", "304"))
    write: Callable[[bytes], object] = start_response(status, [] if is_empty else [("Content-Type", "text/plain")])
    return write


def late(environ: Environ) -> None:
    get_session(environ)["late"] = 2


def untouched(environ: Environ, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"same for all"]


def count(environ: Environ, start_response: Any) -> Iterable[bytes]:
    get_session(environ).modify("n", lambda n: n + 1, default=0)
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Worker", str(os.getpid()))])
    return [b"counted"]


def a_list(environ: Environ, start_response: Any) -> Iterable[bytes]:
    start(environ, start_response)
    return [b"ab"]


def generator(environ: Environ, start_response: Any) -> Iterator[bytes]:
    start(environ, start_response)
    yield b"a"
    late(environ)
    yield b"b"


def empty_first(environ: Environ, start_response: Any) -> Iterator[bytes]:
    start(environ, start_response)
    yield b""
    late(environ)
    yield b"ab"


def no_chunk(environ: Environ, start_response: Any) -> Iterator[bytes]:
    start(environ, start_response)
    yield from ()


def write(environ: Environ, start_response: Any) -> Iterable[bytes]:
    start(environ, start_response)(b"a")
    late(environ)
    return [b"b"]


def no_content(environ: Environ, start_response: Any) -> Iterable[bytes]:
    start(environ, start_response, "204 No Content")
    return []


def not_modified(environ: Environ, start_response: Any) -> Iterable[bytes]:
    start(environ, start_response, "304 Not Modified")
    return []


def file(environ: Environ, start_response: Any) -> Iterable[bytes]:
    start(environ, start_response)
    path = directory() / "file"
    path.write_bytes(b"x" * FILE_SIZE)
    wrapped: Iterable[bytes] = file_wrapper(environ)(path.open("rb"))
    return wrapped


def file_wrapper(environ: Environ) -> Callable[..., Iterable[bytes]]:
    """The server's, or Python's own, because a server need not have one."""
    wrapper: Callable[..., Iterable[bytes]] = environ.get("wsgi.file_wrapper", FileWrapper)
    return wrapper


def restart(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Changes its mind before the first byte."""
    start(environ, start_response)
    try:
        raise RuntimeError
    except RuntimeError:
        start_response("409 Conflict", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"ab"]


def restart_late(environ: Environ, start_response: Any) -> Iterator[bytes]:
    """Changes its mind after the first byte: no server can do anything but break off."""
    start(environ, start_response)
    yield b"a"
    late(environ)
    try:
        raise RuntimeError("this traceback is part of the test")
    except RuntimeError:
        start_response("409 Conflict", [("Content-Type", "text/plain")], sys.exc_info())
    yield b"b"


def fail(environ: Environ, start_response: Any) -> Iterable[bytes]:
    start(environ, start_response)
    raise RuntimeError("this traceback is part of the test")


def fail_in_generator(environ: Environ, start_response: Any) -> Iterator[bytes]:
    start(environ, start_response)
    if environ:
        raise RuntimeError("this traceback is part of the test")
    yield b""


def fail_late(environ: Environ, start_response: Any) -> Iterator[bytes]:
    start(environ, start_response)
    yield b"a"
    late(environ)
    raise RuntimeError("this traceback is part of the test")


def endless(environ: Environ, start_response: Any) -> Iterator[bytes]:
    start(environ, start_response)
    yield b"a"
    try:
        for _ in range(MOST_CHUNKS):
            yield b"x" * 65536
    finally:
        late(environ)


def held(environ: Environ, start_response: Any) -> Iterator[bytes]:
    """Goes on after its first chunk when there is a file of the name in the query."""
    start(environ, start_response)
    yield b"a"
    while not (directory() / environ["QUERY_STRING"]).exists():
        time.sleep(0.005)
    late(environ)
    yield b"b"


def upload(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Writes first and reads then. Some servers tell of a client who has gone by an exception, others by less data."""
    start(environ, start_response)
    size = int(environ["CONTENT_LENGTH"])
    if len(environ["wsgi.input"].read(size)) < size:
        raise OSError("this traceback is part of the test")
    return [b"ab"]


def password(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Hashes one, which is done in threads of the library's own."""
    is_right = bool(verify_password(hash_password(PASSWORD), PASSWORD))
    start(environ, start_response)
    return [str(is_right).encode()]


def swallow(environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Turns the outage into an error page of its own, as frameworks do."""
    try:
        return count(environ, start_response)
    except StoreUnavailable:
        start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
        return [b"a traceback with secrets in it"]


PAGES: dict[str, Page] = {
    function.__name__: function
    for function in (
        untouched, count, a_list, generator, empty_first, no_chunk, write, no_content, not_modified, file, restart,
        restart_late, fail, fail_in_generator, fail_late, endless, held, upload, password, swallow,
    )
}  # fmt: skip


def pages(environ: Environ, start_response: Any) -> Iterable[bytes]:
    return PAGES[environ["PATH_INFO"].rpartition("/")[2]](environ, start_response)


def directory() -> Path:
    return Path(os.environ["SESSIONWARE_TEST_PROBE"])


def site() -> Page:
    """All pages; under /outage with a store that is gone, under /function with a file wrapper that is a function."""
    secret, store = os.environ["SESSION_SECRET"], SQLiteStore(directory() / "sessions.db")
    lost = directory() / f"lost-{os.getpid()}.db"
    branches: dict[str, Page] = {
        "outage": SessionMiddleware(pages, secret, SQLiteStore(lost)),
        "function": with_function(SessionMiddleware(pages, secret, store)),
    }
    lost.unlink(missing_ok=True)  # a process that is loaded anew finds it gone
    root, told = settings(store)
    trunk: Page = SessionMiddleware(pages, secret, root, **told)

    def branch(environ: Environ, start_response: Any) -> Iterable[bytes]:
        return branches.get(environ["PATH_INFO"].split("/")[1], trunk)(environ, start_response)

    return branch


def settings(store: Store) -> tuple[Store, dict[str, Any]]:
    """What this process is told to do differently."""
    given = json.loads(os.environ.get("SESSIONWARE_TEST_SETTINGS", "{}"))
    logging.basicConfig(level=given.get("log", "WARNING"))
    if given.get("opens"):
        store.scan()  # so that a server which forks from here on does so with the file open
    if "namespace" in given:
        store = store.namespace(given["namespace"])
    return store, {"cookie": Cookie(**given.get("cookie", {})), "timeouts": Timeouts(**given.get("timeouts", {}))}


def with_function(app: Page) -> Page:
    """The site on a server whose `wsgi.file_wrapper` is a function."""

    def server(environ: Environ, start_response: Any) -> Iterable[bytes]:
        wrapper = file_wrapper(environ)
        return app({**environ, "wsgi.file_wrapper": lambda *args: wrapper(*args)}, start_response)

    return server


class InheritingServer(WSGIServer):
    """wsgiref's server, on a socket that listens already."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        super().__init__(listener.getsockname(), WSGIRequestHandler)

    def server_bind(self) -> None:
        self.socket.close()
        self.socket = self.listener
        self.server_name, self.server_port = self.listener.getsockname()
        self.setup_environ()


class InheritingCheroot(cheroot.wsgi.Server):
    """cheroot's server, on a socket that listens already."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        super().__init__(listener.getsockname(), site())

    def bind(self, *_args: Any, **_options: Any) -> socket.socket:
        self.socket = self.listener
        return self.listener


def serve(server: str, listener: socket.socket) -> None:
    if server == "waitress":
        waitress.serve(site(), sockets=[listener], threads=4)
    elif server == "cheroot":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        InheritingCheroot(listener).safe_start()
    else:
        wsgiref_server = InheritingServer(listener)
        wsgiref_server.set_app(site())
        wsgiref_server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
