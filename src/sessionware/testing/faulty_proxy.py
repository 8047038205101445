"""A way to a server that breaks when it is told to, to see what a store does then."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

_PATIENCE = 60  # seconds after which a connection on which nothing happens, or a thread, is given up
_CHUNK = 2**16


class FaultyProxy:
    """Stands between clients and a server, hands everything on, and fails when it is told to.

    It listens on this machine, at a free port, until it is closed or its `with` block ends. It hands on bytes and knows
    no protocol, so it works for all that run over TCP, encrypted ones too.

    Args:
        server: host and port of the server.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._links: list[_Link] = []
        self._is_to_lose: Callable[[], bool] | None = None
        self._losing = threading.Lock()
        self._is_closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        """Host and port at which clients connect."""
        self.lost: int = 0
        """How many answers it has lost."""
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def __enter__(self) -> FaultyProxy:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def lose_answer(self, when: Callable[[], bool] = lambda: True) -> None:
        """Lose one answer of the server: the next, or the first that comes when `when()` is true.

        The request gets through and the server's answer is awaited. Then the client's connection is closed.
        """
        with self._losing:
            self._is_to_lose = when

    def cut(self) -> None:
        """Close the connections that there are, as a server does that restarts. New ones work."""
        for link in self._links:
            link.cut()

    def close(self) -> None:
        """Close everything. From then on nobody listens at `address`."""
        self._is_closed = True
        with suppress(OSError):  # of a second call
            socket.create_connection(self.address, _PATIENCE).close()  # no other way to end accept() works everywhere
        self._accepting.join(_PATIENCE)
        self._listener.close()
        for link in self._links:
            link.close()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._is_closed:
                client.close()
                return
            try:
                server = socket.create_connection(self._server, _PATIENCE)
            except OSError:  # to the client, it is the server that does not work
                client.close()
                continue
            link = _Link(client, server, self._loses_this)
            self._links.append(link)  # first, so that nothing passes by before `cut` can see it
            link.start()

    def _loses_this(self) -> bool:
        with self._losing:
            if self._is_to_lose is None or not self._is_to_lose():
                return False
            self._is_to_lose = None
            self.lost += 1
            return True


class _Link:
    """A client's connection and the one to the server that belongs to it. When one ends, so does the other."""

    def __init__(self, client: socket.socket, server: socket.socket, loses_this: Callable[[], bool]) -> None:
        self._ends = (client, server)
        self._threads = [
            threading.Thread(target=self._hand_on, args=way, daemon=True)
            for way in [(client, server, lambda: False), (server, client, loses_this)]
        ]
        for end in self._ends:
            end.settimeout(_PATIENCE)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def cut(self) -> None:
        for end in self._ends:
            with suppress(OSError):  # it is closed already
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_PATIENCE)
        for end in self._ends:
            end.close()

    def _hand_on(self, source: socket.socket, target: socket.socket, loses_this: Callable[[], bool]) -> None:
        try:
            while (data := source.recv(_CHUNK)) and not loses_this():
                target.sendall(data)
        except OSError:  # one of the two is gone
            pass
        finally:
            self.cut()
