"""A proxy that hands everything on, and fails where it is told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from sessionware import StoreUnavailable
from sessionware.testing import FaultyProxy
from sessionware.testing.store_cases import NOW, a_record
from tests.support.toy_server import ToyServer, ToyStore, as_line

LARGE = a_record(payload=bytes(range(256)) * 4096)


@pytest.fixture
def server() -> Iterator[ToyServer]:
    server = ToyServer()
    yield server
    server.close()


@pytest.fixture
def proxy(server: ToyServer) -> Iterator[FaultyProxy]:
    with FaultyProxy(server.address) as proxy:
        yield proxy


@pytest.fixture
def store(proxy: FaultyProxy) -> Iterator[ToyStore]:
    store = ToyStore(*proxy.address)
    yield store
    store.close()


def test_it_hands_everything_on(store: ToyStore) -> None:
    """Requests and answers of any length arrive as they were sent."""
    assert store.create(LARGE) is True
    assert store.load(LARGE.id, NOW) == LARGE


def test_it_loses_one_answer(server: ToyServer, proxy: FaultyProxy, store: ToyStore) -> None:
    """The server has done what it was asked for, the client hears nothing of it, and what comes later is handed on."""
    proxy.lose_answer()

    with pytest.raises(StoreUnavailable, match="closed the connection"):
        store.create(a_record())
    assert server.store.scan() == store.scan() == [a_record()]
    assert proxy.lost == 1


def test_it_loses_the_answer_that_was_meant(server: ToyServer, proxy: FaultyProxy, store: ToyStore) -> None:
    """With a condition, answers are handed on until it is true."""
    proxy.lose_answer(when=lambda: len(server.store.scan()) == 2)

    assert store.create(a_record(1)) is True
    assert store.scan() == [a_record(1)]
    with pytest.raises(StoreUnavailable):
        store.create(a_record(2))
    assert store.delete(a_record(2).id) is True
    assert store.create(a_record(2)) is True
    assert proxy.lost == 1


def test_it_cuts_connections(server: ToyServer, proxy: FaultyProxy, store: ToyStore) -> None:
    """Those that there are; nothing gets through them any more. New ones work."""
    store.scan()

    proxy.cut()

    with pytest.raises(StoreUnavailable):
        store.create(a_record())
    assert server.store.scan() == []
    assert store.create(a_record()) is True


def test_it_closes_everything(server: ToyServer) -> None:
    """Nobody listens afterwards, no thread is left, and whoever is connected sees the end."""
    before = threading.enumerate()
    with FaultyProxy(server.address) as proxy, socket.create_connection(proxy.address, 20) as client:
        client.sendall(as_line(((), "scan", ())))
        assert client.recv(100) == as_line([])
        assert len(threads_of_the_proxy(before)) == 3

        proxy.close()

        assert client.recv(100) == b""
        with pytest.raises(ConnectionError):
            socket.create_connection(proxy.address, 20)
        assert threads_of_the_proxy(before) == []


def threads_of_the_proxy(before: list[threading.Thread]) -> list[threading.Thread]:
    """Those that have begun since; but for the server's, which are not daemons."""
    return [thread for thread in threading.enumerate() if thread.daemon and thread not in before]


def test_a_server_that_is_away_is_away_for_its_clients(server: ToyServer, store: ToyStore) -> None:
    """A connection that leads nowhere ends, in place of hanging."""
    server.close()

    with pytest.raises(StoreUnavailable):
        store.scan()
