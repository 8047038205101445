"""A call that something from outside cuts short, as a user's Ctrl-C, gunicorn's timeout or a killed greenlet.

The server's answer is still on its way then. Whoever got that connection next would be told what another one asked.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from types import FrameType

import pytest

import dev
from sessionware import Store
from sessionware.stores import open_store
from tests.servers import matrix
from tests.support.database_servers import Server
from tests.support.forked import IDS, record_of

#: The functions in which a driver waits for an answer.
_WAITING = {
    "psycopg": "wait",
    "pymysql": "_read_bytes",
    "mysqldb": "query",
    "redis": "read_response",
}
DRIVERS = ["psycopg", "pymysql", "redis", *(["mysqldb"] if matrix.IS_WHOLE else [])]


class Place:
    """A server, and the URL of a store there."""

    def __init__(self, driver: str, request: pytest.FixtureRequest) -> None:
        self.driver = driver
        fixtures = {"psycopg": "postgres", "redis": "redis_server"}
        self.server: Server = request.getfixturevalue(fixtures.get(driver, "mariadb"))
        server: object = self.server
        self.url: str = server.url if driver == "redis" else server.url(server.new_database(), driver)  # type: ignore[attr-defined]

    @contextmanager
    def store(self) -> Iterator[Store]:
        """With records in it, and a connection that is open."""
        store = open_store(self.url)
        with closing(store):  # type: ignore[type-var]
            for id in IDS:
                store.create(record_of(id))
            yield store

    @contextmanager
    def paused(self) -> Iterator[None]:
        self.server.pause()
        try:
            yield
        finally:
            self.server.resume()


@pytest.fixture(params=DRIVERS)
def place(request: pytest.FixtureRequest) -> Place:
    return Place(request.param, request)


class Cut(BaseException):
    """What no driver knows."""


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, Cut])
def test_connection_of_a_call_that_was_cut_is_not_used_again(place: Place, kind: type[BaseException]) -> None:
    """A signal's handler raises while the call waits. The next calls get their own answers."""
    with place.store() as store:
        with place.paused(), raised_in(place, kind), pytest.raises(kind):
            store.load(IDS[0], 0)

        for id in IDS[1:]:
            assert store.load(id, 0) == record_of(id)


@contextmanager
def raised_in(place: Place, kind: type[BaseException]) -> Iterator[None]:
    """Raise this in the main thread as soon as its driver waits for the server, and then let the server answer."""
    main, is_raised = threading.get_ident(), threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        is_raised.set()
        raise kind

    def watch() -> None:
        while _WAITING[place.driver] not in _called_by_load(main):
            pass
        signal.pthread_kill(main, signal.SIGUSR1)
        if not is_raised.wait(0.5):  # a driver in C may not let go before it has the answer
            place.server.resume()

    before = signal.signal(signal.SIGUSR1, handle)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        watcher.join()
        signal.signal(signal.SIGUSR1, before)


def _called_by_load(thread: int) -> list[str]:
    """The functions that a thread is in within `load`, if it is in one."""
    names = [frame.f_code.co_name for frame, _ in traceback.walk_stack(sys._current_frames().get(thread))]
    return names[: names.index("load")] if "load" in names else []


def test_killed_greenlet_leaves_no_answer_to_the_next_one(place: Place) -> None:
    """It is killed while it waits; the next calls get their own answers. mysqlclient lets no other go on meanwhile."""
    assert greenlets(place) == ("blocked, right" if place.driver == "mysqldb" else "others go on, right")


def greenlets(place: Place) -> str:
    """What `tests.support.greenlets` tells of a store whose server pauses."""
    command = [sys.executable, "-m", "gevent.monkey", "--module", "tests.support.greenlets", place.url]
    pipes: dict[str, int] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with place.store(), subprocess.Popen(command, cwd=dev.ROOT, text=True, **pipes) as process:  # type: ignore[call-overload]
        steps: list[Callable[[], None]] = [place.server.pause, place.server.resume]
        told = [process.stdout.readline().strip()]
        try:
            for step in steps:
                step()
                process.stdin.write("go on\n")
                process.stdin.flush()
                told.append(process.stdout.readline().strip())
        finally:
            place.server.resume()
            process.kill()
    assert told[0] == "ready"
    return ", ".join(told[1:])
