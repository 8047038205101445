"""Real servers, each in processes of its own on loopback, and a client that says exactly what they sent.

    with running("waitress", tmp_path) as server:
        answer = server.get("/generator")
        assert server.stored(answer.cookie) == {"n": 1, "late": 2}

What they serve is `probe`.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import dev
from sessionware import SQLiteStore
from tests.support.fixed import SECRET, Clock
from tests.support.kit import SessionSite

PATIENCE = 10.0  # seconds, for anything that should take milliseconds

_GUNICORN = [sys.executable, "-m", "gunicorn", "--log-level=warning", "--graceful-timeout=2", "--bind=fd://{fd}"]
_PROBE = [sys.executable, "-m", "tests.support.probe"]

#: Each gets the file descriptor of a socket that listens already: no port to find, no start to wait for.
COMMANDS = {
    "wsgiref": [*_PROBE, "wsgiref", "{fd}"],
    "waitress": [*_PROBE, "waitress", "{fd}"],
    "gunicorn-sync": [*_GUNICORN, "--worker-class=sync", "tests.support.probe:site()"],
    "gunicorn-gthread": [*_GUNICORN, "--worker-class=gthread", "--threads=4", "tests.support.probe:site()"],
    # Its workers use the store in the thread that forked: the one in which their parent has the file open.
    "gunicorn-preload": [*_GUNICORN, "--preload", "--workers=2", "--worker-class=sync", "tests.support.probe:site()"],
}

#: Headers that are the server's own business.
_SERVERS_OWN = {"server", "date", "connection", "transfer-encoding", "content-length", "via"}


class Answer(NamedTuple):
    """A response as it came over the wire. `headers` are those that the application or the middleware sent, sorted."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def set_cookies(self) -> list[str]:
        return [value for name, value in self.headers if name == "Set-Cookie"]

    @property
    def cookie(self) -> str:
        """What the browser sends back, once it was given exactly one cookie."""
        (line,) = self.set_cookies
        return line.partition(";")[0]

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)


class Server:
    """A server that runs, and the sessions it has stored."""

    def __init__(self, name: str, port: int, directory: Path, log: Path) -> None:
        self.name = name
        self._log = log
        self.address = ("127.0.0.1", port)
        self.store = SQLiteStore(directory / "sessions.db")

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=PATIENCE)

    @property
    def log(self) -> str:
        """What an operator would read."""
        return self._log.read_text()

    def get(self, path: str, cookie: str = "", method: str = "GET", **headers: str) -> Answer:
        """One request on a connection of its own."""
        with closing(self.connect()) as connection:
            return ask(connection, path, cookie, method, **headers)

    def raw(self, path: str) -> bytes:
        """All that the server sends, to the last byte."""
        with socket.create_connection(self.address, PATIENCE) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def hang_up(self, path: str, cookie: str) -> None:
        """Ask, read on for a while, and be gone without so much as a farewell."""
        with socket.create_connection(self.address, PATIENCE) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
            with connection.makefile("rb") as stream:
                assert len(stream.read(100_000)) == 100_000
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def stored(self, cookie: str) -> dict[str, Any]:
        """What is in the session of this cookie, by somebody else who has the secret and the file."""
        browser = SessionSite(self.store, Clock(time.time())).browser()
        found: dict[str, Any] = browser.visit(lambda session: session.copy(), headers={"Cookie": cookie}).result
        return found

    def ids(self) -> set[bytes]:
        return {record.id for record in self.store.scan()}


def ask(
    connection: http.client.HTTPConnection, path: str, cookie: str = "", method: str = "GET", **headers: str
) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers={**sent, **({"Cookie": cookie} if cookie else {})})
    response = connection.getresponse()
    try:
        body = response.read()
    except http.client.IncompleteRead as broken_off:
        body = broken_off.partial
    received = [(name, value) for name, value in response.getheaders() if name.lower() not in _SERVERS_OWN]
    return Answer(f"{response.status} {response.reason}", sorted(received), body)


def eventually(condition: Callable[[], object]) -> bool:
    """Whether it becomes true. What a server does after the last byte is seen only by looking again."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@contextmanager
def running(name: str, directory: Path, *, secret: str = SECRET, **settings: Any) -> Iterator[Server]:
    """Run a server, with what `probe.settings` knows of settings. It is stopped by its own process id."""
    told = {"SESSION_SECRET": secret, "SESSIONWARE_TEST_SETTINGS": json.dumps(settings)}
    with ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        log = directory / f"log-{port}"
        process = subprocess.Popen(
            [part.format(fd=listener.fileno()) for part in COMMANDS[name]],
            cwd=dev.ROOT,
            env={**os.environ, **told, "SESSIONWARE_TEST_PROBE": str(directory)},
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=stack.enter_context(log.open("wb")),
        )
    # Ours is closed: should the server fail to start, connections are refused instead of waiting for nobody.
    try:
        yield Server(name, port, directory, log)
    finally:
        end_process(process)


def end_process(process: subprocess.Popen[bytes]) -> None:
    """End a server by its own id, by force if it does not go."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
