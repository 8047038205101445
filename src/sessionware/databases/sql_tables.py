"""The tables in an SQL database: which are ours, in which layout, and how several processes make them at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import ConfigError
from .sql_errors import BY_HAND, Unconnectable, is_missing

#: Runs a statement on one and the same connection, and returns its rows, if it has any.
Run = Callable[..., list[Any]]

_DIALECTS = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql", "sqlite": "sqlite"}

# What the server knows of a table: the mark that was left on it, its columns, and the columns of each of its indexes,
# of which some are unique. All of it survives a dump. A copy by `CREATE TABLE … AS SELECT` has the columns alone.
_LOOK = {
    "postgresql": """
        SELECT obj_description(c.oid, 'pg_class'),
            (SELECT string_agg(a.attname, ',') FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
            (SELECT string_agg(
                    CASE WHEN i.indisunique AND i.indimmediate AND i.indpred IS NULL THEN 'unique ' ELSE '' END || (
                        SELECT string_agg(a.attname, ',' ORDER BY k.place)
                        FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place)
                        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                        WHERE k.place <= i.indnkeyatts
                    ), ';')
                FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indexprs IS NULL)
        FROM pg_class c WHERE c.oid = to_regclass(:name)
        """,
    # Not information_schema: for that, MariaDB makes a table of its own, and 10.11 has crashed where it drops it.
    "mysql": "SHOW CREATE TABLE <table>",
    "sqlite": """
        SELECT m.sql, (SELECT group_concat(c.name) FROM pragma_table_info(m.name) c),
            (SELECT group_concat(
                    CASE WHEN l."unique" AND NOT l.partial THEN 'unique ' ELSE '' END || (
                        SELECT group_concat(i.name)
                        FROM (SELECT name FROM pragma_index_info(l.name) ORDER BY seqno) i
                    ), ';')
                FROM pragma_index_list(m.name) l)
        FROM sqlite_master m WHERE m.name = :name
        """,
}


class _Alone(NamedTuple):
    """Statements before and after the tables are made, so that one process does it and the others wait and look again.

    If it fails, the connection is closed, which ends the transaction and gives the lock back.
    """

    begin: str
    lock: str
    end: str


_LOCK = "concat('sessionware ', md5(database()))"  # the names of locks are the server's
_ALONE = {
    "postgresql": _Alone("BEGIN", "SELECT 1 FROM pg_advisory_xact_lock(7310580118923144)", "COMMIT"),
    "mysql": _Alone("DO 0", f"SELECT get_lock({_LOCK}, 1)", f"DO release_lock({_LOCK})"),
    "sqlite": _Alone("BEGIN IMMEDIATE", "SELECT 1", "COMMIT"),
}

#: What a site does with a table. The server says if it may not, and does nothing.
_USES = (
    "INSERT INTO <table> SELECT * FROM <table> WHERE 1 = 0",
    "UPDATE <table> SET <column> = <column> WHERE 1 = 0",
    "DELETE FROM <table> WHERE 1 = 0",
)


@dataclass(frozen=True)
class Table:
    """A table of ours, with the version of its layout, and the statements that make it, for each kind of server.

    In a statement, `<mark>` stands for what a later release knows this layout by.
    """

    name: str
    layout: int
    columns: tuple[str, ...]
    statements: Mapping[str, tuple[str, ...]]
    keys: tuple[tuple[str, ...], ...]
    """Columns of which no two rows have the same. The server sees to that, and `create` counts on it."""
    indexes: tuple[tuple[str, ...], ...] = ()
    """Columns by which rows are found."""
    has_names: bool = False
    """Whether there are people's names in it, in any alphabet."""

    @property
    def mark(self) -> str:
        return f"{self.name}, layout {self.layout}"

    def ddl(self, dialect: str) -> list[str]:
        """The statements that make the table. Raises `ConfigError`."""
        if dialect not in _DIALECTS:
            raise ConfigError(f"ddl({dialect!r}): write one of {', '.join(map(repr, _DIALECTS))}.")
        return [_tidy(statement.replace("<mark>", self.mark)) for statement in self.statements[_DIALECTS[dialect]]]


def _tidy(statement: str) -> str:
    """Without the margin that it has in our source."""
    lines = statement.strip("\n").splitlines()
    margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "\n".join(line[margin:] for line in lines).strip()


def install(run: Run, dialect: str, tables: Sequence[Table], *, may_create: bool, server: str) -> None:
    """Make the tables that are missing, and see that the others are ours and can be used. Raises `ConfigError`."""
    if dialect == "postgresql" and any(table.has_names for table in tables):
        _check_encoding(run, server)
    missing = [table for table in tables if not _is_there(run, dialect, table, server)]
    if missing and not may_create:
        raise ConfigError(f"{server} has no table {missing[0].name!r}: {BY_HAND}.")
    if missing:
        _create(run, dialect, missing, server)
    if dialect != "sqlite":  # where there are no rights, and even this would wait for a writer
        for table in tables:
            _try_out(run, table)


def _check_encoding(run: Run, server: str) -> None:
    """Raise `ConfigError` for a database that could keep some people's names, and would fail for others."""
    encoding = run("SELECT current_setting('server_encoding')")[0][0]
    if encoding not in ("UTF8", "SQL_ASCII"):  # the latter keeps whatever it gets
        raise ConfigError(
            f"{server} has the encoding {encoding}, which lacks most letters: make a database with ENCODING 'UTF8'."
        )


def _is_there(run: Run, dialect: str, table: Table, server: str) -> bool:
    """Whether the table is there. Raises `ConfigError` if it is another one of the same name."""
    found = _look(run, dialect, table.name)
    if found is None:
        return False
    layout = re.search(rf"{table.name}, layout (\d+)", found.mark)
    if layout and int(layout[1]) != table.layout:
        raise ConfigError(
            f"{table.name!r} in {server} was made by another release of sessionware: install that release, or migrate."
        )
    if sorted(found.columns) != sorted(table.columns):  # a dump without comments takes the mark away
        raise ConfigError(
            f"{table.name!r} in {server} is not what sessionware made: rename it, or give the URL of another database."
        )
    if (lacking := _lacking(table, found)) is not None:
        raise ConfigError(
            f"{table.name!r} in {server} has {lacking}: it was copied without it, or made in part. "
            f"Rename it, {BY_HAND}, and copy its rows into that."
        )
    return True


def _lacking(table: Table, found: _Found) -> str | None:
    """What the table has to have besides its columns and has not. Without a key, two people could have one name."""
    if found.engine not in ("", "InnoDB"):
        return f"ENGINE={found.engine} and not InnoDB, whose changes are whole"
    for key in table.keys:
        if ("unique", key) not in found.indexes:
            return f"no unique key ({', '.join(key)})"
    for columns in table.indexes:
        if not any(index[: len(columns)] == columns for _, index in found.indexes):
            return f"no index ({', '.join(columns)})"
    return None


class _Found(NamedTuple):
    """What the server knows of a table."""

    mark: str
    columns: list[str]
    indexes: list[tuple[str, tuple[str, ...]]]
    """Of each, `unique` or nothing, and its columns."""
    engine: str = ""
    """InnoDB or another one, in MariaDB and MySQL."""


def _look(run: Run, dialect: str, name: str) -> _Found | None:
    """The table of this name. None if it is not there."""
    try:
        found = run(_LOOK[dialect].replace("<table>", name), {"name": name})
    except Exception as error:
        if is_missing(error):
            return None
        raise
    if not found:
        return None
    texts = [str(each or "") for each in found[0]]
    if dialect == "mysql":
        return _read(texts[1])
    mark, columns, indexes = texts
    parts = [index.rpartition(" ") for index in indexes.split(";")]
    return _Found(mark, columns.split(","), [(kind, tuple(names.split(","))) for kind, _, names in parts])


def _read(statement: str) -> _Found:
    """What MariaDB would make the table by. An index on the first letters of a column has their number: it is none."""
    columns = re.findall(r"^ +`(\w+)`", statement, re.MULTILINE)
    keys = re.findall(r"^ +(PRIMARY |UNIQUE |)KEY (?:`[^`]+` )?\(((?:`\w+`,?)+)\)", statement, re.MULTILINE)
    indexes = [("unique" if kind else "", tuple(re.findall(r"\w+", names))) for kind, names in keys]
    engine = re.search(r"^\).*?\bENGINE=(\w+)", statement, re.MULTILINE)
    return _Found(statement, columns, indexes, engine[1] if engine else "unknown")


def _create(run: Run, dialect: str, tables: Sequence[Table], server: str) -> None:
    alone = _ALONE[dialect]
    run(alone.begin)
    if int(run(alone.lock)[0][0] or 0) != 1:
        raise Unconnectable("is just being given its tables by another process, which takes long", is_setting=False)
    for table in tables:
        if not _is_there(run, dialect, table, server):
            for statement in table.ddl(dialect):
                run(statement)
    run(alone.end)


def _try_out(run: Run, table: Table) -> None:
    for use in _USES:
        run(use.replace("<table>", table.name).replace("<column>", table.columns[-1]))
