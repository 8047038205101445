"""Processes that fork while a store is in use, as servers do that load the application first.

The database server is held up until every process has asked it something. Had two of them one connection, its answers
would come to whoever is faster.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import dev
from tests.servers import matrix
from tests.support.database_servers import Server
from tests.support.forked import CHILDREN, IDS, PATIENCE, record_of
from tests.support.servers import eventually, started

DRIVERS = ["psycopg", "pymysql", "redis", *(["mysqldb"] if matrix.IS_WHOLE else [])]

WORKERS, THREADS = 4, 4

_SITE = "tests.support.forked:site()"
# With as many connections as it has threads, a worker leaves the other ones something to do.
_GUNICORN = [
    *[sys.executable, "-m", "gunicorn", "--preload", f"--workers={WORKERS}", "--log-level=error", "--bind=fd://{fd}"],
    *[f"--worker-connections={THREADS}", _SITE],
]
_SERVERS = {
    "gunicorn": [*_GUNICORN, "--worker-class=gthread", f"--threads={THREADS}"],
    "uWSGI": [  # it forks without telling Python
        *[str(Path(sys.executable).parent / "uwsgi"), f"--module={_SITE}", "--http-socket=fd://{fd}", "--master"],
        *[f"--processes={WORKERS}", f"--threads={THREADS}", f"--binary-path={sys.executable}", "--need-app"],
        *["--die-on-term", "--disable-logging"],
    ],
}


class Place:
    """A database server, and what tells another process of a store there."""

    def __init__(self, server: Server, url: str, marks: Path) -> None:
        marks.mkdir()
        self._server: Server = server
        self._marks = marks
        self.told = {"SESSIONWARE_TEST_STORE": url, "SESSIONWARE_TEST_MARKS": str(marks)}

    @contextmanager
    def held_up(self, processes: int) -> Iterator[None]:
        """Hold the server up until so many processes are about to ask it something."""
        self._server.pause()
        try:
            yield
            assert eventually(lambda: len(list(self._marks.iterdir())) == processes)
        finally:
            self._server.resume()


@pytest.fixture(params=DRIVERS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    fixture = {"psycopg": "postgres", "redis": "redis_server"}.get(request.param, "mariadb")
    server = request.getfixturevalue(fixture)
    url = server.url if request.param == "redis" else server.url(server.new_database(), request.param)
    return Place(server, url, tmp_path / "marks")


def test_parent_and_children_use_a_store_at_once(place: Place) -> None:
    """Four children, and the parent goes on."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-m", "tests.support.forked"]
    with subprocess.Popen(command, cwd=dev.ROOT, env={**os.environ, **place.told}, text=True, **pipes) as process:
        said = process.stdout.readline() if process.stdout else ""
        with place.held_up(1 + CHILDREN):
            print(file=process.stdin, flush=True)
        result, errors = process.communicate(timeout=2 * PATIENCE)

    assert (said.strip(), result.strip(), errors) == ("forked", "[]", "")


@pytest.mark.parametrize("server", _SERVERS)
def test_workers_of_a_server_that_forks_with_a_store_in_use(server: str, place: Place, tmp_path: Path) -> None:
    """All threads of all workers ask at once, and then again. Each client is told what it asked for."""
    with started(_SERVERS[server], tmp_path, dev.ROOT, **place.told) as process, ThreadPoolExecutor(32) as clients:
        ask(process.port, IDS[0])  # it is there
        with place.held_up(WORKERS):
            first = clients.map(lambda id: ask(process.port, id), IDS)
        told = [
            *zip(IDS, first, strict=True),
            *zip(IDS, clients.map(lambda id: ask(process.port, id), IDS), strict=True),
        ]

    assert [(id.hex(), body) for id, body in told if body.split()[1:] != [record_of(id).payload.hex()]] == []
    assert len({body.split()[0] for _, body in told}) == WORKERS


def ask(port: int, id: bytes) -> str:
    """What a client is told who asks for this record."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2 * PATIENCE)) as connection:
        connection.request("GET", f"/?{id.hex()}")
        return connection.getresponse().read().decode()
