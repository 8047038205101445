"""The stores whose servers fail, and how each of them does."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable

from sessionware import Store
from sessionware.stores import open_store
from tests.long.hammer.medium import end_connections, forget_clients
from tests.support import database_servers as servers

#: Does something to a server, which lasts so many seconds, and returns the moment at which it was back.
Blow = Callable[[float], float]


class Subject:
    """A store and its server, in the state in which both work."""

    url: str
    limit: float
    """Seconds after which each of the store's calls ends, as its `timeout` says."""
    may_lose = False

    def store(self) -> Store:
        return open_store(self.url)

    def cases(self) -> dict[str, Blow]:
        return {"killed": self.kill, "paused": self.pause, "connections ended": self.end_connections}

    @abstractmethod
    def kill(self, seconds: float) -> float: ...

    @abstractmethod
    def pause(self, seconds: float) -> float: ...

    @abstractmethod
    def end_connections(self, seconds: float) -> float: ...

    @abstractmethod
    def close(self) -> None: ...


class OneServer(Subject):
    _server: servers.Server

    def kill(self, seconds: float) -> float:
        self._server.kill()
        time.sleep(seconds)
        self._server.start()
        return time.monotonic()

    def pause(self, seconds: float) -> float:
        self._server.pause()
        time.sleep(seconds)
        self._server.resume()
        return time.monotonic()

    def close(self) -> None:
        self._server.close()


class OnPostgres(OneServer):
    limit = 2.0

    def __init__(self) -> None:
        self._server: servers.Postgres = servers.Postgres()
        self.database = self._server.new_database()
        self.url = self._server.url(self.database)

    def end_connections(self, seconds: float) -> float:
        end_connections(self._server, self.database)
        return time.monotonic()


class OnPgBouncer(OneServer):
    """What fails is PgBouncer."""

    limit = 2.0

    def __init__(self) -> None:
        self._postgres = OnPostgres()
        try:
            self._server = servers.PgBouncer(self._postgres._server)
        except BaseException:
            self._postgres.close()
            raise
        self.url = self._server.url(self._postgres.database) + "?prepare_threshold=none"

    def end_connections(self, seconds: float) -> float:
        return self._postgres.end_connections(seconds)

    def close(self) -> None:
        self._server.close()
        self._postgres.close()


class OnMariaDB(OneServer):
    limit = 2.0

    def __init__(self, driver: str = "pymysql") -> None:
        self._server: servers.MariaDB = servers.MariaDB()
        self.database = self._server.new_database()
        self.url = self._server.url(self.database, driver)

    def end_connections(self, seconds: float) -> float:
        end_connections(self._server, self.database)
        return time.monotonic()


class OnMysqlclient(OnMariaDB):
    def __init__(self) -> None:
        super().__init__("mysqldb")


class OnRedis(OneServer):
    limit = 1.0

    def __init__(self) -> None:
        # Under `everysec`, Redis postpones what it writes to its log while the disk is busy, and a kill undoes that.
        self._server: servers.Redis = servers.Redis("--appendfsync", "always")
        self.url = self._server.url

    def end_connections(self, seconds: float) -> float:
        forget_clients(self._server)
        return time.monotonic()


class OnCluster(Subject):
    """What fails is one primary of three. It counts as back once a replica has taken its place."""

    limit = 1.0
    may_lose = True

    def __init__(self) -> None:
        self._servers = servers.RedisCluster()
        self.url = self._servers.url

    def cases(self) -> dict[str, Blow]:
        return {
            "a primary killed": self.kill,
            "a primary paused": self.pause,
            "connections ended": self.end_connections,
        }

    def kill(self, seconds: float) -> float:
        """However long it takes: it ends when a replica has taken over. Then the victim becomes a replica."""
        victim = self._servers.primaries()[0]
        victim.kill()
        others = [node for node in self._servers.nodes if node is not victim]
        servers.wait_for(
            lambda: len(self._servers.primaries()) == 3 and all(node.is_joined() for node in others),
            lambda: "no replica takes over",
        )
        back = time.monotonic()
        victim.start()
        servers.wait_for(victim.is_joined, lambda: "the cluster does not heal")
        return back

    def pause(self, seconds: float) -> float:
        victim = self._servers.primaries()[0]
        victim.pause()
        time.sleep(seconds)
        victim.resume()
        return time.monotonic()

    def end_connections(self, seconds: float) -> float:
        for node in self._servers.primaries():
            forget_clients(node)
        return time.monotonic()

    def close(self) -> None:
        self._servers.close()


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "psycopg": OnPostgres,
    "PgBouncer": OnPgBouncer,
    "PyMySQL": OnMariaDB,
    "mysqlclient": OnMysqlclient,
    "Redis": OnRedis,
    "cluster": OnCluster,
}
