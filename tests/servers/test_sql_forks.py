"""SQLStore in a process that forks, as servers do that build the application first: no connection has two users."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy
from sqlalchemy.pool import NullPool

from sessionware import SQLStore, StoreUnavailable
from sessionware.testing.races import race
from tests.servers.sql_sites import DRIVERS, NOW, RECORD, Site, opened, site_of
from tests.support.database_servers import wait_for

RECORDS = [RECORD._replace(id=bytes([number]) * 16, payload=bytes([number]) * 999) for number in range(8)]


@pytest.fixture(params=DRIVERS)
def site(request: pytest.FixtureRequest) -> Site:
    return site_of(request.param, request)


def mistakes(store: SQLStore) -> int:
    """How many of the answers that several threads get are wrong, or none."""

    def ask(number: int) -> int:
        try:
            return sum(store.load(RECORDS[number].id, NOW) != RECORDS[number] for _ in range(25))
        except StoreUnavailable:
            return 1000

    return sum(race(ask, range(len(RECORDS))))


#: Seconds after which a child is taken to hang.
PATIENCE = 60

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


@pytest.mark.parametrize("has_engine", [False, True])
def test_a_fork_with_open_connections_mixes_no_answers_up(site: Site, has_engine: bool) -> None:
    """Child and parent go on at once, each with what is its own.

    No other thread has used the store before it forks: one that ends at that moment leaves OpenSSL locked in the child.
    """
    with opened(site.engine() if has_engine else site.url) as store:
        for record in RECORDS:
            store.create(record)
        children = [child(lambda: mistakes(store)) for _ in range(4)]

        assert mistakes(store) == 0
        assert [ending_of(each) for each in children] == [0] * 4
        assert mistakes(store) == 0


def test_a_fork_waits_for_threads_that_are_connecting(site: Site) -> None:
    """A connection that was being made would leave locks of OpenSSL's in the child, which then could not connect."""
    engine = sqlalchemy.create_engine(site.url, poolclass=NullPool)  # so that each call connects
    with opened(engine) as store, others_use(store):
        endings = [ending_of(child(lambda: store.scan(limit=1))) for _ in range(8)]
    engine.dispose()

    assert endings == [0] * 8


@contextmanager
def others_use(store: SQLStore) -> Iterator[None]:
    """Meanwhile, threads use the store again and again."""
    is_over = threading.Event()

    def use() -> None:
        while not is_over.is_set():
            store.scan(limit=1)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def child(act: Callable[[], object]) -> int:
    """A child process that does this, and ends well if nothing was wrong."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            signal.alarm(PATIENCE)
            code = 1 if act() else 0
        finally:
            os._exit(code)
    return process


def ending_of(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def test_nothing_is_open_before_the_first_use(site: Site) -> None:
    """A server builds the application and then forks."""
    with opened(site.url):
        wait_for(lambda: site.connections() == 0, lambda: "a connection is still open")
