"""Who is the primary, by what Sentinels say.

redis-py's own manager asks them with clients of the application's, which wait as long, and try as often, as their
defaults say: a minute and more, if they do not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ._redis_package import exceptions, sentinel

_DOWN = {b"s_down", b"o_down"}


class Watched(NamedTuple):
    """What is asked for, and when an answer counts."""

    name: str
    min_others: int = 0
    """How many other Sentinels one has to know of to be believed."""
    host: str | None = None
    """Where the primary is from here, whatever they say."""


class Primary:
    """Asks Sentinels where the primary is. A connection of redis-py's asks it whenever it connects, as its pool.

    Args:
        watched: Which primary.
        connections: For each Sentinel, what makes a connection to it.
    """

    is_master = True
    check_connection = False

    def __init__(self, watched: Watched, connections: Sequence[Callable[[], Any]]) -> None:
        self._watched = watched
        self._connections = list(connections)

    @property
    def service_name(self) -> str:
        return self._watched.name

    def get_master_address(self) -> tuple[str, int]:
        for make in list(self._connections):
            found = self._told(make)
            if found is not None:
                self._connections = [make, *(each for each in self._connections if each is not make)]
                return found
        raise sentinel.MasterNotFoundError("no Sentinel names one")

    def _told(self, make: Callable[[], Any]) -> tuple[str, int] | None:
        """What this one says. It is asked over a connection of its own, because it is asked rarely."""
        connection = make()
        try:
            connection.connect()
            connection.send_command("SENTINEL", "MASTERS")
            rows = connection.read_response()
        except (exceptions.RedisError, OSError):
            return None
        finally:
            connection.disconnect()
        for row in rows:
            fields = dict(zip(row[::2], row[1::2], strict=True))
            if fields[b"name"] == self._watched.name.encode() and self._counts(fields):
                return self._watched.host or fields[b"ip"].decode(), int(fields[b"port"])
        return None

    def _counts(self, fields: dict[bytes, bytes]) -> bool:
        flags = set(fields[b"flags"].split(b","))
        others = int(fields[b"num-other-sentinels"])
        return b"master" in flags and not flags & _DOWN and others >= self._watched.min_others
