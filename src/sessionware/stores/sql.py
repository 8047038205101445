"""Sessions in an SQL database, by SQLAlchemy and a driver: PostgreSQL, MariaDB, MySQL; any number of machines."""

from __future__ import annotations

import copy
from operator import index
from typing import Any

from .._hidden import Hidden
from .._repr import shown_half_built
from ..databases.sql import SQLDatabase
from ..databases.sql_tables import Table
from ..errors import ConfigError, StoreUnavailable
from .base import Record, Store, checked_name

#: Seconds for which a record may stay after it has expired.
SLACK = 2 * 3600

#: Seconds for which a touch waits for another writer.
TOUCH_PATIENCE = 0.1

#: Characters of a namespace's path.
MAX_SPACE = 200

# One table for all namespaces: a table for each would need the right to create tables while the site is running, and
# the names of nested ones would be longer than PostgreSQL's may be, which cuts them without a word.
#
# `prune_at` is indexed and `expires_at` is not. It is set SLACK ahead, so after most changes of expires_at it is still
# good, and PostgreSQL does not touch the indexes. That needs room in the page, too: fillfactor.
_POSTGRESQL = (
    """
    CREATE TABLE sessionware_sessions (
        space text COLLATE "C" NOT NULL,
        id bytea NOT NULL,
        version bigint NOT NULL,
        expires_at bigint NOT NULL,
        prune_at bigint NOT NULL,
        owner bytea,
        payload bytea NOT NULL,
        PRIMARY KEY (space, id)
    ) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)
    """,
    # What is sealed cannot be compressed.
    "ALTER TABLE sessionware_sessions ALTER COLUMN payload SET STORAGE EXTERNAL",
    "CREATE INDEX sessionware_sessions_prune_at ON sessionware_sessions (space, prune_at)",
    "CREATE INDEX sessionware_sessions_owner ON sessionware_sessions (owner) WHERE owner IS NOT NULL",
    "COMMENT ON TABLE sessionware_sessions IS '<mark>'",
)
_MYSQL = (
    """
    CREATE TABLE sessionware_sessions (
        space VARBINARY(200) NOT NULL,
        id VARBINARY(16) NOT NULL,
        version BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        prune_at BIGINT NOT NULL,
        owner VARBINARY(16),
        payload MEDIUMBLOB NOT NULL,
        PRIMARY KEY (space, id),
        INDEX sessionware_sessions_prune_at (space, prune_at),
        INDEX sessionware_sessions_owner (owner)
    ) ENGINE = InnoDB COMMENT = '<mark>'
    """,
)
_SQLITE = (
    """
    CREATE TABLE sessionware_sessions ( /* <mark> */
        space TEXT NOT NULL,
        id BLOB NOT NULL,
        version INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        prune_at INTEGER NOT NULL,
        owner BLOB,
        payload BLOB NOT NULL,
        PRIMARY KEY (space, id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX sessionware_sessions_prune_at ON sessionware_sessions (space, prune_at)",
    "CREATE INDEX sessionware_sessions_owner ON sessionware_sessions (owner) WHERE owner IS NOT NULL",
)
_TABLE = Table(
    "sessionware_sessions",
    1,
    ("space", "id", "version", "expires_at", "prune_at", "owner", "payload"),
    {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "sqlite": _SQLITE},
    keys=(("space", "id"),),
    indexes=(("space", "prune_at"), ("owner",)),
)


@shown_half_built
class SQLStore(Store):
    """A store in an SQL database. `where` is its URL, or an application's `sqlalchemy.Engine`.

    `postgresql://user:password@host/name` · `mysql://…` and `mariadb://…`, by PyMySQL · `mysql+mysqldb://…`, by
    mysqlclient · `sqlite+pysqlite:///file.db`, for which `SQLiteStore` is faster.

    The table is created if it does not exist. A server that does not answer within `timeout` seconds is an outage. A
    call that has to wait for a free connection, and one that has to open one, may take as long again for that. Each
    process keeps up to `pool_size` connections; with an engine, as many as that has, in a pool of the store's own.
    Raises `ConfigError`.
    """

    def __init__(self, where: object, *, create_table: bool = True, timeout: float = 2.0, pool_size: int = 10) -> None:
        hidden = Hidden(where)
        del where
        self._names: tuple[str, ...] = ()
        self._database = SQLDatabase(
            hidden.value, [_TABLE], create_table=create_table, timeout=timeout, pool_size=pool_size
        )
        self._sql = _Statements(self._database.dialect)
        self._use(())

    @staticmethod
    def ddl(dialect: str) -> list[str]:
        """The statements that make the table, for those who run migrations.

        `dialect` is `postgresql`, `mysql`, `mariadb` or `sqlite`.
        """
        return _TABLE.ddl(dialect)

    def _use(self, names: tuple[str, ...]) -> None:
        self._names = names
        space = ".".join(names)
        if len(space) > MAX_SPACE:
            raise ConfigError(f"the names of a namespace within namespaces are longer than {MAX_SPACE} characters")
        self._space: str | bytes = space.encode() if self._database.dialect == "mysql" else space

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._database.server!r} {'.'.join(self._names)!r}>"

    def close(self) -> None:
        """Close the connections, also for the namespaces. No thread may be using it. A later use opens new ones."""
        self._database.close()

    @property
    def server_version(self) -> str:
        """What the server is, such as `PostgreSQL 15.18`. Raises `StoreUnavailable`."""
        return self._database.version()

    @property
    def path(self) -> tuple[str, ...]:
        return self._names

    def create(self, record: Record) -> bool:
        return self._database.changes(self._sql.create, self._row(record)) == 1

    def load(self, id: bytes, now: int) -> Record | None:
        rows = self._database.rows(self._sql.load, {"space": self._space, "id": id, "now": now})
        return _record(rows[0]) if rows else None

    def replace(self, record: Record) -> bool:
        row = self._row(record)
        row["before"] = record.version - 1
        return self._database.changes(self._sql.replace, row) == 1

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        row = {"space": self._space, "id": id, "version": version}
        row.update(expires_at=expires_at, latest=expires_at + SLACK)
        self._database.changes(self._sql.touch, row, patience=TOUCH_PATIENCE)

    def delete(self, id: bytes) -> bool:
        return self._database.changes(self._sql.delete, {"space": self._space, "id": id}) == 1

    def prune(self, now: int, limit: int = 1000) -> int:
        due = {"space": self._space, "now": now, "limit": limit}
        if self._database.dialect != "mysql":
            return self._database.changes(self._sql.prune, due)
        ids = sorted(bytes(id) for (id,) in self._database.rows(self._sql.due, due))
        if not ids:
            return 0
        count = 1 << (len(ids) - 1).bit_length()  # so that there are few statements of different lengths
        names = [f"id{number}" for number in range(count)]
        found = dict(zip(names, ids + ids[-1:] * (count - len(ids)), strict=True))
        statement = self._sql.prune.replace("<ids>", ", ".join(f":{name}" for name in names))
        return self._database.changes(statement, {"space": self._space, "now": now, **found})

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        rows = self._database.rows(self._sql.owned_by, {"space": self._space, "owner": owner, "now": now})
        return [_record(row) for row in rows]

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        rows = self._database.rows(self._sql.scan, {"space": self._space, "after": after or b"", "limit": limit})
        return [_record(row) for row in rows]

    def namespace(self, name: str) -> SQLStore:
        sibling = copy.copy(self)
        sibling._use((*self._names, checked_name(name)))
        return sibling

    def _row(self, record: Record) -> dict[str, Any]:
        id, version, expires_at, owner, payload = record
        return {
            "space": self._space,
            "id": id,
            "version": version,
            "expires_at": expires_at,
            "latest": expires_at + SLACK,
            "owner": owner,
            "payload": payload,
        }


def _record(row: tuple[Any, ...]) -> Record:
    id, version, expires_at, owner, payload = row
    try:
        return Record(
            _bytes(id), index(version), index(expires_at), None if owner is None else _bytes(owner), _bytes(payload)
        )
    except TypeError:
        raise StoreUnavailable("a row of sessionware_sessions is damaged: its columns have other types") from None


def _bytes(value: Any) -> bytes:
    return value if type(value) is bytes else bytes(memoryview(value))  # not bytes(7), which is seven zeros


_COLUMNS = "SELECT id, version, expires_at, owner, payload FROM sessionware_sessions WHERE space = :space AND "

# As it is while it is good: never earlier than expires_at, never more than SLACK later.
_PRUNE_AT = "prune_at = CASE WHEN prune_at BETWEEN :expires_at AND :latest THEN prune_at ELSE :latest END"

_INSERT = (
    "INSERT INTO sessionware_sessions (space, id, version, expires_at, prune_at, owner, payload) "
    "VALUES (:space, :id, :version, :expires_at, :latest, :owner, :payload)"
)
_TOUCH = (
    f"UPDATE sessionware_sessions SET expires_at = :expires_at, {_PRUNE_AT} "  # noqa: S608  (all of it is written here)
    "WHERE space = :space AND version = :version AND expires_at < :expires_at AND id = "
)


class _Statements:
    """The statements, for one kind of server."""

    load = f"{_COLUMNS} id = :id AND expires_at > :now"
    replace = (
        f"UPDATE sessionware_sessions SET version = :version, expires_at = :expires_at, {_PRUNE_AT}, owner = :owner, "  # noqa: S608
        "payload = :payload WHERE space = :space AND id = :id AND version = :before"
    )
    delete = "DELETE FROM sessionware_sessions WHERE space = :space AND id = :id"
    owned_by = f"{_COLUMNS} owner = :owner AND expires_at > :now ORDER BY id"
    scan = f"{_COLUMNS} id > :after ORDER BY id LIMIT :limit"
    due = "SELECT id FROM sessionware_sessions WHERE space = :space AND prune_at <= :now ORDER BY prune_at LIMIT :limit"

    def __init__(self, dialect: str) -> None:
        getattr(self, f"_for_{dialect}")()

    def _for_postgresql(self) -> None:
        self.create = f"{_INSERT} ON CONFLICT (space, id) DO NOTHING"
        # The row is locked first, and only if nobody else has it.
        self.touch = (
            f"{_TOUCH} (SELECT id FROM sessionware_sessions WHERE space = :space AND id = :id "  # noqa: S608
            "AND version = :version AND expires_at < :expires_at FOR NO KEY UPDATE NOWAIT)"
        )
        # An array, because it is made once. What stands behind IN may run again and again, and find others each time.
        self.prune = (
            "DELETE FROM sessionware_sessions WHERE space = :space AND prune_at <= :now "  # noqa: S608
            f"AND id = ANY (ARRAY ({self.due} FOR UPDATE SKIP LOCKED))"
        )

    def _for_mysql(self) -> None:
        # Not INSERT IGNORE, which would also cut what is too long.
        self.create = _INSERT
        # Only MariaDB reads what stands in this comment. MySQL waits for a lock as long as it does elsewhere.
        self.touch = f"/*M! SET STATEMENT innodb_lock_wait_timeout = 0 FOR */ {_TOUCH} :id"
        # By the primary key and in its order: no gaps are locked where others insert, and nobody waits in a circle.
        self.prune = "DELETE FROM sessionware_sessions WHERE space = :space AND prune_at <= :now AND id IN (<ids>)"

    def _for_sqlite(self) -> None:
        self.create = f"{_INSERT} ON CONFLICT (space, id) DO NOTHING"
        self.touch = f"{_TOUCH} :id"
        self.prune = f"DELETE FROM sessionware_sessions WHERE space = :space AND id IN ({self.due})"  # noqa: S608
