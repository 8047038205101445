"""Real servers, each in processes of its own on loopback, and a client that says exactly what they sent.

    with running("waitress", tmp_path) as server:
        answer = server.get("/generator")
        assert server.stored(answer.cookie) == {"n": 1, "late": 2}

What they serve is `probe`. docs/servers.md says how users run them.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

import dev
from sessionware import SessionManager, SQLiteStore
from tests.support.fixed import SECRET, Clock
from tests.support.kit import SessionSite
from tests.support.prerequisites import require

PATIENCE = 10.0  # seconds, for anything that should take milliseconds

_BIN = Path(sys.executable).parent
_SITE = "tests.support.probe:site()"
_PROBE = [sys.executable, "-m", "tests.support.probe"]
_GUNICORN = [
    *[sys.executable, "-m", "gunicorn", _SITE, "--bind=fd://{fd}"],
    *["--workers=2", "--graceful-timeout=5", "--log-level=warning"],
]
_UWSGI = [
    *[str(_BIN / "uwsgi"), f"--module={_SITE}", "--http-socket=fd://{fd}", f"--binary-path={sys.executable}"],
    *["--master", "--processes=2", "--threads=2", "--need-app", "--die-on-term", "--disable-logging"],
]
_MOD_WSGI = [
    *[str(_BIN / "mod_wsgi-express"), "start-server", "{directory}/probe.wsgi", f"--working-directory={dev.ROOT}"],
    *["--host=127.0.0.1", "--port={port}", "--processes=2", "--server-root={directory}/apache"],
    *["--locale=C.UTF-8", "--log-to-terminal"],
]

#: Apache serves no pages as root. So where the tests run as root it is somebody else, who may read what root may.
_NOBODY = [
    *["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--securebits=+no_setuid_fixup"],
    *["--inh-caps=+dac_override", "--ambient-caps=+dac_override"],
]
AS_NOBODY = _NOBODY if os.geteuid() == 0 else []


class Kind(NamedTuple):
    """A server, and how it is run. Those that can have several processes have two."""

    command: list[str]
    """Gets `{fd}`, a socket that listens already, or `{port}`, where nobody listens yet."""
    package: str | None = None
    """What it is installed by. None: by Python."""
    preload: tuple[str, ...] = ()
    """What makes it load the application first and then fork as Python forks, if it can and does not do so anyway."""
    reload: signal.Signals | str | None = None
    """What makes it replace its processes amid requests, if it can: a signal, or a file that changes."""


KINDS = {
    "wsgiref": Kind([*_PROBE, "wsgiref", "{fd}"]),
    "waitress": Kind([*_PROBE, "waitress", "{fd}"], "waitress"),
    "cheroot": Kind([*_PROBE, "cheroot", "{fd}"], "cheroot"),
    "gunicorn sync": Kind([*_GUNICORN, "--worker-class=sync"], "gunicorn", ("--preload",), signal.SIGHUP),
    "gunicorn gthread": Kind(
        [*_GUNICORN, "--worker-class=gthread", "--threads=4"], "gunicorn", ("--preload",), signal.SIGHUP
    ),
    "gunicorn gevent": Kind([*_GUNICORN, "--worker-class=gevent"], "gevent", ("--preload",), signal.SIGHUP),
    "uWSGI": Kind(_UWSGI, "pyuwsgi", ("--py-call-uwsgi-fork-hooks",), signal.SIGHUP),
    "mod_wsgi": Kind([*AS_NOBODY, *_MOD_WSGI], "mod_wsgi", reload="probe.wsgi"),
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

    def __init__(self, name: str, directory: Path, process: Process) -> None:
        self.name = name
        self._directory = directory
        self._process = process
        self.address = ("127.0.0.1", process.port)
        self.store = SQLiteStore(directory / "sessions.db")
        self.manager = SessionManager(SECRET, self.store)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=PATIENCE)

    @property
    def log(self) -> str:
        """What an operator would read."""
        return self._process.log.read_text(errors="replace")

    def get(self, path: str, cookie: str = "", method: str = "GET", **headers: str) -> Answer:
        """One request on a connection of its own."""
        with closing(self.connect()) as connection:
            return ask(connection, path, cookie, method, **headers)

    def raw(self, path: str, method: str = "GET") -> bytes:
        """All that the server sends, to the last byte."""
        with socket.create_connection(self.address, PATIENCE) as connection:
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def hang_up(self, path: str, cookie: str) -> None:
        """Ask, read on for a while, and be gone without so much as a farewell."""
        with socket.create_connection(self.address, PATIENCE) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
            with connection.makefile("rb") as stream:
                assert len(stream.read(100_000)) == 100_000
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    @contextmanager
    def answering(self, cookie: str) -> Iterator[Callable[[], Answer]]:
        """While a request is being answered: its first chunk is there. What this gives lets it go on to its end."""
        go_on = self._directory / f"go-on-{token_hex(8)}"
        with closing(self.connect()) as connection, ExitStack() as at_last:
            at_last.callback(go_on.touch)
            connection.request("GET", f"/held?{go_on.name}", headers={"Cookie": cookie})
            response = connection.getresponse()
            first = response.read(1)

            def finish() -> Answer:
                go_on.touch()
                return _answer(response, first)

            yield finish

    def cut_off(self, path: str, cookie: str) -> None:
        """Send half of a form, and be gone."""
        with socket.create_connection(self.address, PATIENCE) as connection:
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nContent-Length: 20\r\n\r\n"
            connection.sendall(f"{head}half a form".encode())

    def reload(self) -> None:
        """Tell it to replace its processes."""
        how = KINDS[self.name].reload
        assert how is not None
        if isinstance(how, str):
            (self._directory / how).touch()
        else:
            self._process.itself.send_signal(how)

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
    return _answer(connection.getresponse())


def _answer(response: http.client.HTTPResponse, begun: bytes = b"") -> Answer:
    try:
        body = begun + response.read()
    except http.client.IncompleteRead as broken_off:
        body = begun + broken_off.partial
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
def running(name: str, directory: Path, *options: str, secret: str = SECRET, **settings: Any) -> Iterator[Server]:
    """Run a server, with what `probe.settings` knows of settings."""
    if name == "mod_wsgi":
        require(name)
    shutil.copy(dev.ROOT / "tests" / "support" / "probe.wsgi", directory)
    told = {
        "SESSION_SECRET": secret,
        "SESSIONWARE_TEST_PROBE": str(directory),
        "SESSIONWARE_TEST_SETTINGS": json.dumps(settings),
    }
    with started([*KINDS[name].command, *options], directory, dev.ROOT, **told) as process:
        yield Server(name, directory, process)


class Process(NamedTuple):
    """A server's first process, which ends all others when it ends."""

    itself: subprocess.Popen[bytes]
    port: int
    log: Path


@contextmanager
def started(command: list[str], directory: Path, cwd: Path, **variables: str) -> Iterator[Process]:
    """Start a server with `{fd}`, `{port}` and `{directory}` filled in. It is stopped by its own process id."""
    inherits = "{fd}" in " ".join(command)
    with ExitStack() as stack, _listener() if inherits else _reserved() as ours:
        port = ours.getsockname()[1]
        log = directory / f"log-{port}"
        process = subprocess.Popen(
            [part.format(fd=ours.fileno(), port=port, directory=directory) for part in command],
            cwd=cwd,
            env={**os.environ, **variables},
            pass_fds=[ours.fileno()] if inherits else [],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stack.enter_context(log.open("wb")),
        )
        if not inherits:
            eventually(lambda: _is_served(port) or process.poll() is not None)
    # Ours is closed: should the server fail to start, connections are refused instead of waiting for nobody.
    try:
        yield Process(process, port, log)
    finally:
        end_process(process)


def _listener() -> socket.socket:
    """For a server that inherits its socket: no port to find, no start to wait for."""
    return socket.create_server(("127.0.0.1", 0))


def _reserved() -> socket.socket:
    """For a server that is told its port. Nobody else is given it as long as this socket has it too."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


def _is_served(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def end_process(process: subprocess.Popen[bytes]) -> None:
    """End a server by its own id, by force if it does not go."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
