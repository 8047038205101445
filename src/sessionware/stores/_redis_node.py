"""One server: the connections to it, and what goes over them.

redis-py has pools and clients, but when something from outside cuts a call short, such as a signal's handler or
gevent's timeout, they use the connection again, and the next one is told what another asked. Here a connection is used
again only after all its answers have been read, and nothing that is lost on the way stays lost.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import StoreUnavailable
from ._redis_package import exceptions
from ._redis_settings import Settings

#: A command, and what goes with it.
Command = tuple[Any, ...]


class Node:
    """A server, and at most `max_connections` to it. Many threads use it."""

    def __init__(self, settings: Settings, **where: Any) -> None:
        self._settings = settings
        self._where = where
        self._turns = Turns(settings.max_connections)
        self._idle: deque[Any] = deque()

    def ask(self, command: Command) -> Any:
        """Send a command, once. Raises the answer if it is an error."""
        [answer] = self.ask_all([command])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands, once, in one round trip. An answer may be an exception."""
        turn = self._turn()
        try:
            connection = self._connection()
            answers = _exchanged(connection, commands)
            self._idle.append(connection)
            self._sign(answers)
            return answers
        except (exceptions.RedisError, OSError) as error:
            self._sign([error])
            raise
        finally:
            self._turns.put(turn)
            del turn  # a frame may live as long as an error does, and is not to hold what is another's by then

    def _sign(self, answers: list[Any]) -> None:
        """Write into errors which node of a cluster they come from."""
        if self._where:
            for answer in answers:
                if isinstance(answer, Exception):
                    vars(answer)["node"] = "{host}:{port}".format(**self._where)

    def close_idle(self) -> None:
        """Close the connections that nobody uses. What is sent later opens new ones."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread has taken the last one
                return
            connection.disconnect()

    def _turn(self) -> _Turn:
        try:
            return self._turns.get(self._settings.timeout)
        except queue.Empty as error:
            raise StoreUnavailable(
                f"All {self._settings.max_connections} connections to Redis at {self._settings.shown} are in use: "
                "allow more with ?max_connections=… in the URL, or run fewer threads."
            ) from error

    def _connection(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return self._settings.connection(**self._where)


class _Turn:
    """The right to use a connection."""

    __slots__ = ("__weakref__",)


class Turns:
    """So many turns, and never fewer.

    What comes from outside may come at any moment, also before whoever has been given a turn can see to it that it is
    given back. Such a turn is watched: when nothing holds it any more, there is a new one for it. And `put` is one call
    in C that waits for nothing, which a semaphore of `threading` is not.
    """

    def __init__(self, count: int) -> None:
        self._free: queue.SimpleQueue[_Turn] = queue.SimpleQueue()
        self._watches: set[weakref.ref[_Turn]] = set()
        self._lost: deque[weakref.ref[_Turn]] = deque()
        self._replacing = threading.Lock()
        self.put: Callable[[_Turn], None] = self._free.put
        for _ in range(count):
            self._add()

    def get(self, timeout: float) -> _Turn:
        """A turn, as soon as there is one. Raises `queue.Empty`."""
        if self._lost:
            self._replace_lost()
        return self._free.get(timeout=timeout)

    def _replace_lost(self) -> None:
        with self._replacing:
            while self._lost:
                self._add()
                self._watches.discard(self._lost.pop())

    def _add(self) -> None:
        turn = _Turn()
        self._watches.add(weakref.ref(turn, self._lost.append))
        self.put(turn)


def _exchanged(connection: Any, commands: Sequence[Command]) -> list[Any]:
    """Send commands and read their answers. Afterwards the connection is ready for others, or closed."""
    try:
        _make_ready(connection)
        connection.send_packed_command(connection.pack_commands(map(_without_numbers, commands)))
        return [_answer(connection) for _ in commands]
    except BaseException:
        connection.disconnect()
        raise


def _without_numbers(command: Command) -> Command:
    """The command as text and bytes. hiredis ends the process if a signal's handler raises while it packs a number."""
    return tuple([str(each) if each.__class__ is int else each for each in command])


def _make_ready(connection: Any) -> None:
    """Connect, also if the server has closed the connection meanwhile. It is then readable, which no idle one is."""
    _connect(connection)
    try:
        is_dead = connection.can_read()
    except (exceptions.ConnectionError, exceptions.TimeoutError, OSError):
        is_dead = True
    if is_dead:
        connection.disconnect()
        _connect(connection)


def _connect(connection: Any) -> None:
    try:
        connection.connect()
    except (exceptions.RedisError, OSError):
        raise
    except Exception as error:  # an application's own code may be asked for the password, and may ask others for it
        raise exceptions.ConnectionError(f"something failed with {type(error).__name__}") from error


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except exceptions.ResponseError as error:
        return error
