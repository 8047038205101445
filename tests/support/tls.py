"""Real servers on loopback, with TLS or behind nginx, and those who visit them: Chromium and a plain client.

    probe = Probe()
    with serve(probe, certificate) as port, chromium() as tab:
        tab.visit(f"https://127.0.0.1:{port}/")
        tab.press("login")

Servers run in threads, or in processes that are ended by their own id. Nothing is reached but this machine.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.validate import validator

import waitress.server
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Page, sync_playwright

import dev
from sessionware import Event, MemoryStore, SessionMiddleware, get_session
from tests.support.fixed import SECRET
from tests.support.prerequisites import require
from tests.support.servers import end_process

DAY = 86400
PATIENCE = 10  # seconds, for anything that should take milliseconds

CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.example.test 127.0.0.1",
]


# ---- the sites -----------------------------------------------------------------------------------------------------


class Probe:
    """A site that counts visits and lets people in and out; `events` are what its sessions told."""

    def __init__(self, **settings: Any) -> None:
        self.events: list[Event] = []
        self._app = validator(
            SessionMiddleware(probe_application, SECRET, MemoryStore(), on_event=self.events.append, **settings)
        )

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return self._app(environ, start_response)

    @property
    def told(self) -> set[str]:
        """The names of the events."""
        return {event.name for event in self.events}


def probe_application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Every GET is counted. The page says what the session holds, and has a button for each act."""
    session = get_session(environ)
    act = environ["PATH_INFO"].rpartition("/")[2] if environ["REQUEST_METHOD"] == "POST" else "count"
    if act == "count":
        session.modify("visits", lambda visits: visits + 1, default=0)
    if act in ("login", "remember"):
        session.username = "ada"
    if act == "remember":
        session.remember(DAY)
    if act == "logout":
        session.invalidate()
    state = {"visits": session.get("visits"), "username": session.username}
    start_response("200 OK", [("Content-Type", "text/html")])
    return [_PAGE.format(json.dumps(state)).encode()]


_PAGE = """<!doctype html><link rel=icon href="data:,"><output>{}</output><form method=post>
<button formaction=login>login</button><button formaction=remember>remember</button>
<button formaction=logout>logout</button></form>"""


def planter(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Another site, whose pages set whatever cookie their address asks for."""
    cookie = unquote(environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Type", "text/html"), ("Set-Cookie", cookie)])
    return [b'<!doctype html><link rel=icon href="data:,">']


# ---- servers -------------------------------------------------------------------------------------------------------


class Certificate(NamedTuple):
    """Files of a self-signed certificate for the names that the tests use."""

    public: Path
    private: Path


def make_certificate(directory: Path) -> Certificate:
    """A certificate that is its own authority, good for an hour."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sessionware tests")])
    names = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost"), x509.DNSName("*.example.test")]
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(directory / "certificate.pem", directory / "key.pem")
    made.public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up, as it does with sockets it opened in advance, is nothing to write about."""


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE

    def log_message(self, *args: object) -> None:
        """Keep the tests' output clean."""


@contextmanager
def serve(app: Any, certificate: Certificate | None = None) -> Iterator[int]:
    """Serve over https with this certificate, or over http, and give the port."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.set_app(app)
        if certificate is not None:
            server.base_environ["HTTPS"] = "on"  # from which wsgiref concludes the scheme
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            # Shaking hands at the first read, in the request's own thread, so that a slow client holds up nobody.
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        with _running(lambda: server.serve_forever(poll_interval=0.01), server.shutdown):
            yield server.server_port


@contextmanager
def serve_by_waitress(app: Any, **settings: Any) -> Iterator[int]:
    """Serve over http, as one would behind a proxy, and give the port."""
    server = waitress.server.create_server(app, host="127.0.0.1", port=0, threads=4, **settings)

    def stop() -> None:
        server.trigger.pull_trigger(server.close)  # in the loop's own thread, which would notice a second later
        server.task_dispatcher.shutdown()

    with _running(server.run, stop):
        yield int(server.effective_port)


@contextmanager
def serve_by_gunicorn() -> Iterator[int]:
    """Serve a probe by gunicorn over http, as it is without settings, and give the port."""
    port = _free_port()
    options = ["--bind", f"127.0.0.1:{port}", "--log-level", "error"]
    command = [sys.executable, "-m", "gunicorn", *options, "tests.support.tls:Probe()"]
    with _process(command, port, cwd=dev.ROOT):
        yield port


@contextmanager
def _running(run: Any, stop: Any) -> Iterator[None]:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(PATIENCE)


@contextmanager
def nginx(directory: Path, upstream: int, *lines: str, certificate: Certificate | None = None) -> Iterator[int]:
    """Run nginx in front of the server at a port, with further lines in its configuration, and give its own port."""
    program, port = require("nginx"), _free_port()
    config = directory / "nginx.conf"
    config.write_text(
        _NGINX.format(
            directory=directory,
            listen=f"127.0.0.1:{port} {_NGINX_TLS.format(*certificate) if certificate else ''}",
            upstream=upstream,
            lines=" ".join(f"{line};" for line in lines),
        )
    )
    errors = directory / "nginx-errors.log"
    with _process([program, "-p", str(directory), "-e", str(errors), "-c", str(config)], port):
        yield port


_NGINX_TLS = "ssl http2; ssl_certificate {}; ssl_certificate_key {}"

# One process, without a master, so that to end it is to end all of it.
_NGINX = """
daemon off; master_process off; pid {directory}/nginx.pid;
events {{ worker_connections 64; }}
http {{
    access_log off; server_tokens off;
    client_body_temp_path {directory}/1; proxy_temp_path {directory}/2; fastcgi_temp_path {directory}/3;
    uwsgi_temp_path {directory}/4; scgi_temp_path {directory}/5;
    proxy_cache_path {directory}/cache keys_zone=pages:1m;
    server {{ listen {listen}; location / {{ proxy_pass http://127.0.0.1:{upstream}; {lines} }} }}
}}
"""


@contextmanager
def _process(command: list[str], port: int, cwd: Path | None = None) -> Iterator[None]:
    """Run a server that will listen on this port. It is ended by its own id."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=cwd)
    try:
        _wait_for(process, port)
        yield
    finally:
        end_process(process)


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise AssertionError(f"{process.args!r} does not listen on port {port}; it ended with {process.poll()}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


# ---- visitors ------------------------------------------------------------------------------------------------------


class ProbeAnswer(NamedTuple):
    """What a plain client got: what the session holds, and the cookie that is set, if one is."""

    state: dict[str, Any]
    set_cookie: str | None

    @property
    def cookie(self) -> str:
        """The cookie to send the next time, as `name=value`."""
        return (self.set_cookie or "").partition(";")[0]


def fetch(
    address: str,
    method: str = "GET",
    *,
    headers: Mapping[str, str] | None = None,
    trusted: Certificate | None = None,
) -> ProbeAnswer:
    """One request by a client that is not a browser and trusts nobody but this certificate."""
    url = urlsplit(address)
    connection: http.client.HTTPConnection
    if url.scheme == "https":
        context = ssl.create_default_context(cafile=str(trusted.public) if trusted else None)
        connection = http.client.HTTPSConnection(url.netloc, timeout=PATIENCE, context=context)
    else:
        connection = http.client.HTTPConnection(url.netloc, timeout=PATIENCE)
    try:
        connection.request(method, url.path or "/", headers=dict(headers or {}))
        response = connection.getresponse()
        return ProbeAnswer(_state(response.read().decode()), response.getheader("Set-Cookie"))
    finally:
        connection.close()


class Tab:
    """A tab of Chromium in a profile of its own, which believes our certificate."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def visit(self, address: str) -> dict[str, Any]:
        """Go to a page, and say what the session there holds."""
        self._page.goto(address, wait_until="domcontentloaded")
        return _state(self._page.content())

    def press(self, button: str) -> dict[str, Any]:
        """Send the form of the page, and say what the session holds then."""
        with self._page.expect_navigation(wait_until="domcontentloaded"):
            self._page.click(f"text={button}")
        return _state(self._page.content())

    @property
    def cookies(self) -> dict[str, dict[str, Any]]:
        """Every cookie that the browser has, for whatever site, by name."""
        return {cookie["name"]: dict(cookie) for cookie in self._page.context.cookies()}

    def forget(self) -> Tab:
        """Be like new: without any cookie."""
        self._page.context.clear_cookies()
        return self


@contextmanager
def chromium() -> Iterator[Tab]:
    """A tab of the system's Chromium, for which *.example.test is this machine."""
    path = require("chromium")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS) as browser,
        browser.new_context(ignore_https_errors=True) as context,
    ):
        context.set_default_timeout(PATIENCE * 1000)
        yield Tab(context.new_page())


def _state(page: str) -> dict[str, Any]:
    found = re.search("<output>(.*?)</output>", page)
    state: dict[str, Any] = json.loads(found[1]) if found else {}
    return state
