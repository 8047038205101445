"""`ddl`: print the statements that make the tables, for a database in which the site itself may not make any."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from difflib import get_close_matches

from .._hidden import Hidden
from .._urls import POSTGRESQL, SQL_SCHEMES, near_miss, scheme_of, shown
from ..errors import ConfigError
from ._arguments import add_json, add_url, url_in
from ._command import Command
from ._output import say_json, say_statement

_DIALECTS = ("postgresql", "mysql", "mariadb", "sqlite")
_TABLES = ("sessions", "users")


def _add_arguments(parser: ArgumentParser) -> None:
    add_url(parser, also=f"; or {', '.join(_DIALECTS)} alone")
    parser.add_argument("--only", choices=_TABLES, help="one of the two tables")
    add_json(parser)


def _run(options: Namespace) -> None:
    dialect = options.url if options.url in _DIALECTS else _dialect_of(Hidden(url_in(options.url)))
    statements = _statements(dialect, [options.only] if options.only else _TABLES)
    if options.json:
        say_json({"dialect": dialect, "statements": statements})
        return
    if dialect == POSTGRESQL:  # all or nothing: a table without its indexes would pass for made
        statements = ["BEGIN", *statements, "COMMIT"]
    for statement in statements:
        say_statement(statement)


def _statements(dialect: str, tables: Sequence[str]) -> list[str]:
    from ..auth.users.sql import SQLUsers  # here, so that other commands need no database's packages
    from ..stores.sql import SQLStore

    ddl_of = {"sessions": SQLStore.ddl, "users": SQLUsers.ddl}
    return [statement for table in tables for statement in ddl_of[table](dialect)]


def _dialect_of(url: Hidden[str]) -> str:
    scheme = scheme_of(url)
    if scheme not in SQL_SCHEMES:
        if advice := _advice(url):
            raise ConfigError(f"{shown(url)} is not a database: {advice}.")
        raise ConfigError(
            f"{shown(url)} needs no tables that you have to make: give the URL of a database server, or one of "
            f"{', '.join(_DIALECTS)}."
        )
    return SQL_SCHEMES[scheme][0]


def _advice(url: Hidden[str]) -> str | None:
    """What to write instead of what is misspelt."""
    near = get_close_matches(url.value, _DIALECTS, 1, 0.8)
    if near:
        return f"write {near[0]}"
    advice = near_miss(url)
    return advice if advice or "://" in url.value else f"give a URL, or {', '.join(_DIALECTS[:-1])} or {_DIALECTS[-1]}"


COMMAND = Command(
    name="ddl",
    summary="print the statements that make the tables",
    description=(
        "Print the statements that make the tables of sessions and of accounts, for migrations, or for a site that\n"
        "may not make any itself. Nothing is run."
    ),
    examples=(
        "ddl postgresql",
        "ddl mariadb --only sessions",
        "ddl postgresql://mysite@localhost/mysite --json",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
