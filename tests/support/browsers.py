"""Chromium, and a site served to it from this process, so that a test can move the site's clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from playwright.sync_api import Browser, sync_playwright

from tests.support.prerequisites import require
from tests.support.tls import CHROMIUM_ARGUMENTS


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that looks for nothing outside this machine."""
    path = require("chromium")
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)) as browser,
    ):
        yield browser


class Site:
    """A WSGI application on a port of this machine.

    `url` is its address, and `log` what the server notes about each request, as servers do: with its query.
    """

    def __init__(self, port: int, log: list[str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = log


@contextmanager
def served(app: Any) -> Iterator[Site]:
    """Serve an application, in threads."""
    log: list[str] = []

    class Handler(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            log.append(format % args)

    with make_server("127.0.0.1", 0, app, _Threads, Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield Site(server.server_port, log)
        finally:
            server.shutdown()
            thread.join(10)


class _Threads(ThreadingMixIn, WSGIServer):
    """Browsers keep a connection in reserve; a server that waits for its request would answer no other meanwhile."""

    daemon_threads = True
