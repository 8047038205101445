"""A site moves from store to store while people use it: `python3 -m tests.long.moving --sessions 100000`.

Ada's browser adds to a number all the time, while `sessionware copy` makes its passes in a process of its own. Between
the passes somebody logs out, and somebody logs in. Then the site stops, the last pass is made, and the site goes on in
the new store: nobody may have been logged out, nobody may be back, and not one of Ada's additions may be missing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from copy import copy
from http.cookiejar import CookieJar
from itertools import pairwise, zip_longest
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, NamedTuple
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from sessionware import Record, SessionManager, SessionMiddleware, Store, get_session, open_store
from tests.support import database_servers as servers
from tests.support.fixed import SECRET

#: What is in a session, beside what Ada's browser counts: 400 bytes, sealed.
DATA = {"cart": [f"article {number}" for number in range(15)]}


class Passed(NamedTuple):
    """One pass, by what it printed and what it took."""

    seconds: float
    read: int
    written: int
    unchanged: int
    removed: int
    peak_mib: float


class Hop(NamedTuple):
    """One move from a store to the next."""

    source: str
    target: str
    passes: list[Passed]
    additions: int
    """How many of Ada's were answered during this move."""


class Site:
    """The site, on one store, served over HTTP."""

    def __init__(self, url: str) -> None:
        self.store = open_store(url)
        app = SessionMiddleware(application, secret=SECRET, store=self.store)
        self._server = make_server("127.0.0.1", 0, app, _Server, _Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        close(self.store)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = False  # so that closing it waits for every answer


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """`/add`, `/login/NAME`, `/logout`, and `/`, which says who is logged in and what the number is."""
    session = get_session(environ)
    _, act, *name = environ["PATH_INFO"].split("/")
    if act == "add":
        session.modify("n", lambda n: n + 1, default=0)
    elif act == "login":
        session.username = name[0]
        session.update(DATA)
    elif act == "logout":
        session.username = None
    body = f"{session.username} {session.get('n', 0)}".encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


class Browser:
    """It keeps its cookies when the site moves."""

    def __init__(self, site: Site, name: str) -> None:
        self.jar = CookieJar()
        self.name = name
        self.visit(site, f"/login/{name}")

    def visit(self, site: Site, path: str = "/") -> str:
        opener = build_opener(HTTPCookieProcessor(self.jar), ProxyHandler({}))
        with opener.open(Request(site.address + path, method="GET" if path == "/" else "POST"), timeout=30) as answer:
            return str(answer.read().decode())

    def twin(self) -> Browser:
        """Another one with the same cookies, which does not hear of a logout."""
        other = copy(self)
        other.jar = CookieJar()
        for cookie in self.jar:
            other.jar.set_cookie(copy(cookie))
        return other


class Ada:
    """Somebody who never rests while the site runs."""

    def __init__(self, site: Site) -> None:
        self.browser = Browser(site, "ada")
        self.additions = 0

    @contextmanager
    def at_work(self, site: Site) -> Iterator[None]:
        stop = threading.Event()

        def add() -> None:
            while not stop.is_set():
                self.browser.visit(site, "/add")
                self.additions += 1
                stop.wait(0.01)

        thread = threading.Thread(target=add)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def check(self, site: Site) -> None:
        assert self.browser.visit(site) == f"ada {self.additions}"


def moved(urls: Sequence[str], sessions: int, tell: Callable[[Hop], object] = lambda _hop: None) -> list[Hop]:
    """Move a site with so many sessions from each store to the next. Raises `AssertionError` if anything is lost."""
    with opened(urls[0]) as store:
        fill(store, sessions)
    with Site(urls[0]) as site:
        ada = Ada(site)
    hops = []
    for source, target in pairwise(urls):
        hops.append(one_move(source, target, ada))
        tell(hops[-1])
    return hops


@contextmanager
def opened(url: str) -> Iterator[Store]:
    store = open_store(url)
    try:
        yield store
    finally:
        close(store)


def close(store: Any) -> None:
    """End its connections, if it has any."""
    getattr(store, "close", lambda: None)()


def fill(store: Store, sessions: int) -> None:
    manager = SessionManager(SECRET, store)
    for number in range(sessions):
        manager.login_cookie(f"user {number}", data=DATA)


def one_move(source: str, target: str, ada: Ada) -> Hop:
    began_with = ada.additions
    with Site(source) as site:
        ada.check(site)
        leaver, stays = Browser(site, "leaver"), [Browser(site, "early")]
        with ada.at_work(site):
            passes = [copied(source, target)]
        twin = leaver.twin()
        leaver.visit(site, "/logout")
        stays.append(Browser(site, "between"))
        with ada.at_work(site):
            passes.append(copied(source, target))
        stays.append(Browser(site, "late"))
    passes.append(copied(source, target, "--final"))
    with opened(source) as one, opened(target) as other:
        check_equal(one, other)
    with Site(target) as site:
        ada.check(site)
        assert twin.visit(site) == "None 0"
        for browser in stays:
            assert browser.visit(site) == f"{browser.name} 0"
    return Hop(source, target, passes, ada.additions - began_with)


def copied(source: str, target: str, *words: str) -> Passed:
    """Make one pass, in a process of its own."""
    command = [sys.executable, "-m", "sessionware", "copy", "env:FROM", "env:TO", "--json", *words]
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "FROM": source, "TO": target}, text=True
    )
    with started:
        assert started.stdout is not None
        out = started.stdout.read()
        _, status, usage = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
    assert started.returncode == 0, command
    done = json.loads(out)
    assert done["finished"] is ("--final" in words)
    assert not any(each["unreadable"] or each["newer"] for each in done["namespaces"])
    root = done["namespaces"][0]
    counts = {name: root[name] for name in ("read", "written", "unchanged", "removed")}
    return Passed(seconds=done["seconds"], peak_mib=usage.ru_maxrss / 1024, **counts)


def check_equal(source: Store, target: Store) -> None:
    """Not by what `copy` says."""
    now = time.time()
    for one, other in zip_longest(live(source, now), live(target, now)):
        assert one == other


def live(store: Store, now: float) -> Iterator[Record]:
    after = None
    while page := store.scan(after):
        yield from (record for record in page if record.expires_at > now + 60)
        after = page[-1].id


@contextmanager
def every_store() -> Iterator[list[str]]:
    """SQLite, PostgreSQL, MariaDB, Redis, files: one URL each, all of them empty."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = stack.enter_context(servers.Postgres())
        mariadb = stack.enter_context(servers.MariaDB())
        redis = stack.enter_context(servers.Redis())
        yield [
            f"sqlite:///{directory}/sessions.db",
            postgres.url(postgres.new_database()),
            mariadb.url(mariadb.new_database()),
            redis.url,
            f"file://{directory}/sessions",
        ]


def print_hop(hop: Hop) -> None:
    source, target = (url.partition(":")[0] for url in (hop.source, hop.target))
    print(f"{source} -> {target}, {hop.additions} additions meanwhile")
    for name, each in zip(("first", "second", "last"), hop.passes, strict=True):
        print(
            f"  {name:8}{each.seconds:8.1f} s  read {each.read}, written {each.written}, unchanged {each.unchanged}, "
            f"removed {each.removed}, peak {each.peak_mib:.0f} MiB"
        )
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("urls", nargs="*", help="stores to move through; without any, one of each kind")
    options = parser.parse_args()
    with every_store() if not options.urls else nullcontext(options.urls) as urls:
        moved(urls, options.sessions, print_hop)
