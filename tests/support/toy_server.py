"""A server for sessions that fits on one screen, and a store that talks to it over TCP.

A request is a line with a path, a method and its arguments; the answer is a line too. Both are pickled, in base64: the
two trust each other, as only a test may.
"""

from __future__ import annotations

import base64
import pickle
import socket
import socketserver
import threading
from contextlib import suppress
from typing import Any

from sessionware import StoreUnavailable
from sessionware.stores.base import Record, Store, checked_name
from sessionware.stores.memory import MemoryStore

_PATIENCE = 20  # seconds


class ToyServer(socketserver.ThreadingTCPServer):
    """Serves a `MemoryStore` in a thread for each connection."""

    request_queue_size = 128  # the races connect all at once

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.store = MemoryStore()
        self.connections: list[socket.socket] = []
        self._serving = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._serving.start()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.socket.getsockname()
        return host, port

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, client = super().get_request()
        self.connections.append(connection)
        return connection, client

    def close(self) -> None:
        self.shutdown()
        self._serving.join(_PATIENCE)
        for connection in self.connections:
            with suppress(OSError):  # it has ended
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Conversation(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: ToyServer

    def handle(self) -> None:
        with suppress(ConnectionError):  # nobody waits for this answer any more
            for line in self.rfile:
                self.wfile.write(as_line(self._answer(*read(line))))

    def _answer(self, path: tuple[str, ...], method: str, arguments: tuple[Any, ...]) -> object:
        store = self.server.store
        for name in path:
            store = store.namespace(name)
        return getattr(store, method)(*arguments)


def as_line(value: object) -> bytes:
    return base64.b64encode(pickle.dumps(value)) + b"\n"


def read(line: bytes) -> Any:
    return pickle.loads(base64.b64decode(line))


class ToyStore(Store):
    """Keeps connections that are idle for those who come next. When anything goes wrong on one, it closes all."""

    def __init__(self, host: str, port: int, path: tuple[str, ...] = ()) -> None:
        self._address = (host, port)
        self._path = path
        self._idle: list[socket.socket] = []

    @property
    def path(self) -> tuple[str, ...]:
        return self._path

    def create(self, record: Record) -> bool:
        return bool(self._call("create", record))

    def load(self, id: bytes, now: int) -> Record | None:
        found: Record | None = self._call("load", id, now)
        return found

    def replace(self, record: Record) -> bool:
        return bool(self._call("replace", record))

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        self._call("touch", id, version, expires_at)

    def delete(self, id: bytes) -> bool:
        return bool(self._call("delete", id))

    def prune(self, now: int, limit: int = 1000) -> int:
        return int(self._call("prune", now, limit))

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        return list(self._call("owned_by", owner, now))

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        return list(self._call("scan", after, limit))

    def namespace(self, name: str) -> ToyStore:
        sibling = type(self)(*self._address, (*self._path, checked_name(name)))
        sibling._idle = self._idle
        return sibling

    def close(self) -> None:
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:  # another thread has just taken the last
                return

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return self._ask(as_line((self._path, method, arguments)))
        except OSError as error:
            raise StoreUnavailable(f"{method}: {error}") from error

    def _ask(self, request: bytes) -> Any:
        """The server's answer to this request, which is sent once."""
        connection = self._connection()
        try:
            connection.sendall(request)
            with connection.makefile("rb") as answers:
                line = answers.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError("the server has closed the connection")
        except BaseException:
            connection.close()
            self._close_others()
            raise
        self._idle.append(connection)
        return read(line)

    def _close_others(self) -> None:
        """A server that has closed one has probably closed the others too."""
        self.close()

    def _connection(self) -> socket.socket:
        try:
            return self._idle.pop()
        except IndexError:
            connection = socket.create_connection(self._address, _PATIENCE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
