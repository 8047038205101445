"""Real database servers, each in processes of its own, in a temporary directory and at a free port of this machine.

    with Postgres() as postgres:
        store = SQLStore(postgres.url(postgres.new_database()))
        postgres.kill()
        postgres.start()

They can be killed, paused and started again on the same data. Nothing of what a machine runs already is touched. They
end with the test's process, whatever becomes of that.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from typing_extensions import Self

from tests.support.prerequisites import require

PATIENCE = 30.0  # seconds, for anything that should take two at most

#: The role of applications in Postgres, MariaDB and PgBouncer, which owns the databases, and its password.
ROLE, PASSWORD = "sw", "sesame"


class Server:
    """One server process, with its children."""

    host = "127.0.0.1"
    runs_as: str | None = None
    """Who runs it where the tests run as root, which some servers refuse."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="sessionware-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self.directory / "server.log"
        try:
            self._make()
            self._hand_over()
            self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def start(self) -> None:
        """Start it, on what it has stored, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user(), *self._command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_for(self._answers, lambda: f"{type(self).__name__} does not start:\n{self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End all of its processes at once, as a power cut does."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(PATIENCE)
        self._process = None

    def pause(self) -> None:
        """Stop its processes where they are. Connections stay open, and new ones are even accepted."""
        self._signal(signal.SIGSTOP)
        wait_for(self._stands_still, lambda: f"{type(self).__name__} does not stop")  # it may answer for a moment yet

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _make(self) -> None:
        """Write what it needs into `directory`."""

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        """Whether it answers. Raises `OSError` or an error of the driver if it does not yet."""
        raise NotImplementedError

    def _as_user(self) -> list[str]:
        """What a command begins with, so that it runs as the right user and never longer than this process."""
        if shutil.which("setpriv") is None:
            return []
        user = ["--reuid", self.runs_as, "--regid", self.runs_as, "--init-groups"] if self._is_handed_over else []
        return ["setpriv", *filter(None, user), "--pdeathsig", "KILL"]

    @property
    def _is_handed_over(self) -> bool:
        return self.runs_as is not None and os.geteuid() == 0

    def _hand_over(self) -> None:
        if self._is_handed_over and self.runs_as is not None:
            for path in [self.directory, *self.directory.rglob("*")]:
                shutil.chown(path, self.runs_as, self.runs_as)

    def _run(self, *command: str) -> None:
        """Run a program of the server's, as its user."""
        self._hand_over()
        done = subprocess.run([*self._as_user(), *command], capture_output=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")

    def _stands_still(self) -> bool:
        family = self._family()
        return all(state.startswith("T") for process, _, state in _processes() if process in family)

    def _family(self) -> list[int]:
        """Its process, and those that this one has started."""
        if self._process is None or self._process.poll() is not None:
            return []
        return [self._process.pid, *descendants(self._process.pid)]

    def _signal(self, number: signal.Signals) -> None:
        family = self._family()
        for process in family:
            with suppress(ProcessLookupError):
                os.kill(process, number)
        if number == signal.SIGKILL:
            wait_for(lambda: not any(map(is_running, family[1:])), lambda: f"{family} do not end")


class Postgres(Server):
    """PostgreSQL. Its superuser needs no password here, and applications log in as `ROLE`.

    Args:
        settings: Further lines of postgresql.conf, such as `default_transaction_isolation="serializable"`.
    """

    runs_as = "postgres"

    def __init__(self, **settings: str | int) -> None:
        self._settings: Mapping[str, str | int] = settings
        self._programs = Path(require("postgresql")).parent
        super().__init__()
        self.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement as the superuser, and return its rows."""
        with psycopg.connect(self._dsn(database), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return [] if cursor.description is None else cursor.fetchall()

    def new_database(self) -> str:
        """The name of an empty database, which belongs to `ROLE`."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} OWNER {ROLE}")
        return name

    def url(self, database: str, driver: str = "psycopg") -> str:
        """For applications."""
        return f"postgresql+{driver}://{ROLE}:{PASSWORD}@{self.host}:{self.port}/{database}"

    def admin_url(self, database: str = "postgres") -> str:
        """For the superuser."""
        return f"postgresql+psycopg://postgres@{self.host}:{self.port}/{database}"

    def end_connections(self, database: str) -> None:
        """End all connections to this database, as a restart does."""
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")

    def _dsn(self, database: str) -> str:
        return f"host={self.host} port={self.port} user=postgres dbname={database} connect_timeout=5"

    def _make(self) -> None:
        data = self.directory / "data"
        self._run(
            str(self._programs / "initdb"),
            *["-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"],
        )
        settings = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": self.directory,
            "max_connections": 200,
            "shared_preload_libraries": "pg_stat_statements",
            "fsync": "off",  # a killed process loses nothing by it, and the tests make many databases
            **self._settings,
        }
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        (data / "pg_hba.conf").write_text(
            "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )

    def _command(self) -> list[str]:
        return [str(self._programs / "postgres"), "-D", str(self.directory / "data")]

    def _answers(self) -> bool:
        return bool(self.execute("SELECT 1"))


class MariaDB(Server):
    """MariaDB. Applications log in as `ROLE`, which may do everything in the databases that are made here.

    Args:
        options: Further options of mariadbd, such as `"--sql-mode="`.
    """

    runs_as = "mysql"

    def __init__(self, *options: str) -> None:
        self._options = options
        self._program = require("mariadb")
        super().__init__()
        self.execute(f"CREATE USER '{ROLE}'@'%' IDENTIFIED BY '{PASSWORD}'")

    def execute(self, sql: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run a statement as root, and return its rows."""
        with (
            closing(
                pymysql.connect(user="root", unix_socket=str(self._socket), database=database, autocommit=True)
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)
            return list(cursor.fetchall())

    def new_database(self) -> str:
        """The name of an empty database, in which `ROLE` may do everything."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        self.execute(f"GRANT ALL ON {name}.* TO '{ROLE}'@'%'")
        return name

    def url(self, database: str, driver: str = "pymysql") -> str:
        """For applications."""
        return f"mysql+{driver}://{ROLE}:{PASSWORD}@{self.host}:{self.port}/{database}"

    def end_connections(self, database: str) -> None:
        """End all connections to this database, as a restart does."""
        rows = self.execute(f"SELECT id FROM information_schema.processlist WHERE db = '{database}'")
        for (id,) in rows:
            with suppress(pymysql.err.OperationalError):  # it has just ended
                self.execute(f"KILL {id}")

    @property
    def _socket(self) -> Path:
        return self.directory / "socket"

    def _make(self) -> None:
        installer = shutil.which("mariadb-install-db") or "mysql_install_db"
        self._run(
            # A server that starts removes what it takes for left over in its temporary directory: others' tables, too.
            *[installer, "--no-defaults", f"--datadir={self.directory / 'data'}", f"--tmpdir={self.directory}"],
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        )

    def _command(self) -> list[str]:
        return [
            *[self._program, "--no-defaults", f"--datadir={self.directory / 'data'}", f"--tmpdir={self.directory}"],
            f"--socket={self._socket}",
            *[f"--port={self.port}", f"--bind-address={self.host}", f"--pid-file={self.directory / 'pid'}"],
            *["--skip-name-resolve", "--max-connections=200", "--innodb-flush-log-at-trx-commit=2", *self._options],
        ]

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self._socket))  # PyMySQL leaves its socket open where nobody listens
        return bool(self.execute("SELECT 1"))


class Redis(Server):
    """Redis, which keeps what it has stored when it is killed.

    Args:
        options: Further options of redis-server, such as `"--maxmemory", "10mb"`.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        self._program = self._find()
        super().__init__()

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def client(self) -> redis.Redis:
        """A client for the test itself."""
        return redis.Redis(host=self.host, port=self.port, socket_timeout=5, retry=Retry(NoBackoff(), 0))

    def empty(self) -> None:
        """Remove all that is stored."""
        with self.client() as client:
            client.flushall()

    def _find(self) -> str:
        return require("redis")

    def _command(self) -> list[str]:
        return [
            *[self._program, "--port", str(self.port), "--bind", self.host, "--dir", str(self.directory)],
            *["--save", "", "--appendonly", "yes", "--appendfsync", "everysec", *self._options],
        ]

    def _answers(self) -> bool:
        with self.client() as client:
            return bool(client.ping())


class Valkey(Redis):
    """Valkey."""

    def _find(self) -> str:
        return require("valkey")


class RedisCluster:
    """Six nodes of Redis: three primaries, each with a replica.

    Args:
        options: Further options of each node, such as `"--cluster-node-timeout", "1500"`.
    """

    def __init__(self, *options: str) -> None:
        self.nodes: list[_ClusterNode] = []
        try:
            self.nodes += [_ClusterNode(*options) for _ in range(6)]
            self._join()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> tuple[str, int]:
        return self.nodes[0].address

    @property
    def url(self) -> str:
        host, port = self.address
        return f"redis+cluster://{host}:{port}"

    def primaries(self) -> list[_ClusterNode]:
        """The nodes that are primaries now."""
        return [node for node in self.nodes if node.is_primary()]

    def empty(self) -> None:
        """Remove all that is stored."""
        for node in self.primaries():
            node.empty()

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    def _join(self) -> None:
        addresses = [f"{node.host}:{node.port}" for node in self.nodes]
        done = subprocess.run(
            ["redis-cli", "--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes"],
            capture_output=True,
            timeout=2 * PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode()
        wait_for(lambda: all(node.is_joined() for node in self.nodes), lambda: "the cluster's nodes do not join")


class _ClusterNode(Redis):
    def __init__(self, *options: str) -> None:
        super().__init__("--cluster-enabled", "yes", "--cluster-node-timeout", "1500", *options)

    def is_primary(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.execute_command("ROLE")[0] == b"master")
        except redis.RedisError:
            return False

    def is_joined(self) -> bool:
        with self.client() as client:
            role, state = client.execute_command("ROLE"), client.execute_command("CLUSTER", "INFO")
        # A replica that is still copying from its primary could not follow it yet.
        return b"cluster_state:ok" in _as_bytes(state) and (role[0] == b"master" or role[3] == b"connected")

    def _make(self) -> None:
        while not has_bus_port(self.port):  # not at each start: the others know it by its port
            self.port = free_port()


class PgBouncer(Server):
    """PgBouncer, in transaction mode, in front of a PostgreSQL server."""

    runs_as = "postgres"

    def __init__(self, postgres: Postgres) -> None:
        self._program = require("pgbouncer")
        self._postgres = postgres
        super().__init__()

    def url(self, database: str, driver: str = "psycopg") -> str:
        """For applications."""
        return f"postgresql+{driver}://{ROLE}:{PASSWORD}@{self.host}:{self.port}/{database}"

    def _make(self) -> None:
        users = self.directory / "users.txt"
        users.write_text(f'"{ROLE}" "{PASSWORD}"\n"postgres" ""\n')
        (self.directory / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={self._postgres.host} port={self._postgres.port}\n"
            f"[pgbouncer]\nlisten_addr = {self.host}\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = md5\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = 4\n"
            "max_client_conn = 200\n"
        )

    def _command(self) -> list[str]:
        return [self._program, str(self.directory / "pgbouncer.ini")]

    def _answers(self) -> bool:
        socket.create_connection(self.address, 1).close()
        return True


def free_port() -> int:
    """One at which nobody listens, and below those that the system gives to clients, so that none takes it first."""
    while True:
        port = 10000 + secrets.randbelow(20000)
        if is_free(port):
            return port


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def has_bus_port(port: int) -> bool:
    """A node of a cluster listens at this port and at the one 10000 above it."""
    return is_free(port) and is_free(port + 10000)


def wait_for(condition: Callable[[], bool], complaint: Callable[[], str]) -> None:
    """Wait until it is true; what it raises meanwhile counts as false."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError, psycopg.Error, pymysql.err.Error, redis.RedisError):
            if condition():
                return
        if time.monotonic() > deadline:
            raise AssertionError(complaint())
        time.sleep(0.01)


def descendants(process: int) -> list[int]:
    """The processes that it has started, and theirs."""
    parents = {process: parent for process, parent, _ in _processes()}
    found = [process]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found[1:]


def is_running(process: int) -> bool:
    """Whether it is there, and not only waiting for somebody to hear that it has ended."""
    return any(each == process for each, _, _ in _processes())


def _processes() -> Iterator[tuple[int, int, str]]:
    """Every process that has not ended, with its parent and its state as `ps` calls it."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        process, parent, state = line.split()[:3]
        if not state.startswith("Z"):
            yield int(process), int(parent), state


def _as_bytes(answer: Any) -> bytes:
    """What a client makes of CLUSTER INFO differs between releases."""
    if isinstance(answer, dict):
        return b" ".join(b"%s:%s" % (_text(key), _text(value)) for key, value in answer.items())
    return bytes(answer)


def _text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def main() -> None:
    """Run one until it is interrupted, and say where: `python -m tests.support.database_servers Postgres`."""
    kind = {"Postgres": Postgres, "MariaDB": MariaDB, "Redis": Redis, "Valkey": Valkey, "RedisCluster": RedisCluster}
    with kind[sys.argv[1]](*sys.argv[2:]) as server, suppress(KeyboardInterrupt):
        print(*server.address, flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
