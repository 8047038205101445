"""What docs/guarantees.md says of a failover, with a primary and a replica."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from sessionware import ConfigError, RedisStore, SQLStore, StoreUnavailable
from sessionware.stores.base import Record
from sessionware.testing.store_cases import NOW, a_record
from tests.servers.matrix import in_whole_matrix
from tests.support import database_servers as servers
from tests.support.prerequisites import require


class Replica(servers.Server):
    """Follows a primary until it is promoted."""

    runs_as = "postgres"

    def __init__(self, primary: servers.Postgres) -> None:
        self._primary = primary
        self._programs = Path(require("postgresql")).parent
        super().__init__()

    def execute(self, sql: str) -> None:
        with closing(psycopg.connect(f"host={self.host} port={self.port} user=postgres", autocommit=True)) as to:
            to.execute(sql)

    def _make(self) -> None:
        source = f"host={self._primary.host} port={self._primary.port} user=postgres"
        copy = [str(self._programs / "pg_basebackup"), "-d", source, "-D", str(self.directory / "data")]
        self._run(*copy, "-R", "-X", "stream", "-c", "fast", "--no-sync")

    def _command(self) -> list[str]:
        place = [f"port={self.port}", f"unix_socket_directories={self.directory}"]
        options = [word for setting in place for word in ("-c", setting)]
        return [str(self._programs / "postgres"), "-D", str(self.directory / "data"), *options]

    def _answers(self) -> bool:
        self.execute("SELECT 1")
        return True


@pytest.fixture
def primary() -> Iterator[servers.Postgres]:
    with servers.Postgres() as primary:
        with (primary.directory / "data" / "pg_hba.conf").open("a") as file:
            file.write("host replication postgres 127.0.0.1/32 trust\n")
        primary.execute("SELECT pg_reload_conf()")
        yield primary


@pytest.fixture
def replica(primary: servers.Postgres) -> Iterator[Replica]:
    with Replica(primary) as replica:
        yield replica


def url_of_both(primary: servers.Postgres, replica: Replica, database: str) -> str:
    """As in docs/postgresql.md."""
    hosts = f"host={primary.host}:{primary.port}&host={replica.host}:{replica.port}"
    return f"postgresql://{servers.ROLE}:{servers.PASSWORD}@/{database}?{hosts}&target_session_attrs=read-write"


def synchronous(primary: servers.Postgres) -> list[tuple[object, ...]]:
    return primary.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")


def is_there(url: str) -> bool:
    try:
        SQLStore(url, create_table=False).close()
    except ConfigError:
        return False
    return True


@in_whole_matrix
class TestFailoverOfPostgreSQL:
    def test_a_synchronous_standby_has_all_that_was_acknowledged(
        self, primary: servers.Postgres, replica: Replica
    ) -> None:
        """The primary is killed behind its last answer. By a URL that names both, the store goes on at the replica."""
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        servers.wait_for(lambda: bool(synchronous(primary)), lambda: "no standby")
        with closing(SQLStore(url_of_both(primary, replica, primary.new_database()))) as store:
            record = a_record()
            assert store.create(record)
            while record.version < 100:
                record = record._replace(version=record.version + 1)
                assert store.replace(record)

            primary.kill()

            with pytest.raises(StoreUnavailable):
                store.load(record.id, NOW)
            replica.execute("SELECT pg_promote()")
            assert store.load(record.id, NOW) == record
            assert store.delete(record.id) is True

    def test_without_its_synchronous_standby_nothing_is_acknowledged(
        self, primary: servers.Postgres, replica: Replica
    ) -> None:
        """A write waits for it, and then says that it does not know."""
        with closing(SQLStore(primary.url(primary.new_database()), timeout=0.5)) as store:
            assert store.create(a_record(1))
            primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            primary.execute("SELECT pg_reload_conf()")
            servers.wait_for(lambda: bool(synchronous(primary)), lambda: "no standby")
            replica.kill()

            with pytest.raises(StoreUnavailable):
                store.create(a_record(2))
            assert store.load(a_record(1).id, NOW) == a_record(1)

    def test_an_asynchronous_replica_lacks_what_had_not_arrived(
        self, primary: servers.Postgres, replica: Replica
    ) -> None:
        """Among others a logout: the session is there again."""
        database = primary.new_database()
        with closing(SQLStore(primary.url(database))) as store:
            assert store.create(a_record())
            sent = primary.execute("SELECT pg_current_wal_lsn()")[0][0]
            servers.wait_for(
                lambda: bool(primary.execute(f"SELECT 1 FROM pg_stat_replication WHERE replay_lsn >= '{sent}'")),
                lambda: "the replica does not follow",
            )
            replica.kill()
            assert store.delete(a_record().id) is True
            primary.kill()

        replica.start()
        replica.execute("SELECT pg_promote()")
        url = f"postgresql://{servers.ROLE}:{servers.PASSWORD}@{replica.host}:{replica.port}/{database}"
        with closing(SQLStore(url)) as store:
            assert store.load(a_record().id, NOW) == a_record()

    def test_a_replica_is_refused_for_writing(self, primary: servers.Postgres, replica: Replica) -> None:
        """By a text that says what it is."""
        database = primary.new_database()
        SQLStore(primary.url(database)).close()
        url = f"postgresql://{servers.ROLE}:{servers.PASSWORD}@{replica.host}:{replica.port}/{database}"
        servers.wait_for(lambda: is_there(url), lambda: "the table does not arrive")

        with closing(SQLStore(url, create_table=False)) as store, pytest.raises(StoreUnavailable, match="replica"):
            store.create(a_record())


@in_whole_matrix
class TestFailoverOfRedis:
    @pytest.mark.parametrize(("is_kept", "left"), [("yes", [a_record()]), ("no", [])])
    def test_a_primary_that_restarts_is_followed(self, is_kept: str, left: list[Record]) -> None:
        """If it keeps nothing, everything is gone there, and so it is on its replica: why each node needs a file."""
        with (
            servers.Redis("--appendonly", is_kept, "--repl-diskless-sync-delay", "0") as primary,
            servers.Redis("--replicaof", primary.host, str(primary.port)) as replica,
            replica.client() as client,
        ):
            servers.wait_for(lambda: client.role()[3] == b"connected", lambda: "the replica does not follow")
            with closing(RedisStore(primary.url)) as store:
                assert store.create(a_record())
            servers.wait_for(lambda: client.dbsize() == 2, lambda: "nothing arrives")

            primary.kill()
            primary.start()

            servers.wait_for(lambda: client.role()[3] == b"connected", lambda: "the replica does not follow")
            client.execute_command("REPLICAOF", "NO", "ONE")
            with closing(RedisStore(replica.url)) as store:
                assert store.scan() == left
