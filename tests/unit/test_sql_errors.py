"""What the errors of databases mean, for those that a test cannot have a server say. They are the drivers' own."""

from __future__ import annotations

import importlib
import importlib.util
import sqlite3
from typing import Any

import psycopg
import pymysql
import pytest
import sqlalchemy.exc
from psycopg.errors import lookup

from sessionware.databases.sql_errors import has_ended, may_quote, meaning_of, was_rolled_back

#: mysqlclient, or PyMySQL, whose errors are alike, where it is not installed.
MySQLdb: Any = importlib.import_module("MySQLdb") if importlib.util.find_spec("MySQLdb") else pymysql.err

#: An error, and what an operator reads of it.
MEANINGS: list[tuple[Exception, str]] = [
    (lookup("53100")("could not extend file"), "no space left"),
    (lookup("53300")("too many"), "no connections left"),
    (lookup("57P03")("the database system is starting up"), "is starting"),
    (lookup("3F000")("no schema"), "ddl URL"),
    (psycopg.OperationalError("FATAL:  sorry, too many clients already"), "no connections left"),
    (psycopg.errors.ConnectionTimeout("connection timeout expired"), "cannot be reached (connection timeout expired)"),
    (psycopg.OperationalError("the connection is closed"), "cannot be reached (the connection is closed)"),
    (lookup("08P01")("server login has been failing, try again later"), "cannot be reached (server login"),
    (lookup("08P01")("bind message supplies 3 parameters, but prepared statement requires 8"), "PgBouncer"),
    (lookup("26000")('prepared statement "_pg3_0" does not exist'), "PgBouncer"),
    (pymysql.err.OperationalError(1040, "Too many connections"), "no connections left"),
    (pymysql.err.OperationalError(1020, "Record has changed since last read in table"), "again and again"),
    (pymysql.err.InternalError(1153, "Got a packet bigger than 'max_allowed_packet' bytes"), "max_allowed_packet"),
    (pymysql.err.OperationalError(3024, "Query execution was interrupted"), "longer than the server allows"),
    (pymysql.err.OperationalError(1021, "Disk full"), "no space left"),
    (pymysql.err.OperationalError(2003, "Can't connect to MySQL server on 'db'"), "cannot be reached (Can't connect"),
    (MySQLdb.OperationalError(2026, "TLS/SSL error: certificate mismatch"), "reached (TLS/SSL error: certificate"),
    (MySQLdb.OperationalError(2059, "Authentication plugin 'x' cannot be loaded"), "(Authentication plugin 'x'"),
    (sqlite3.OperationalError("database is locked"), "another transaction holds"),
    (sqlite3.OperationalError("disk I/O error"), "cannot be reached (disk I/O error)"),
    (sqlite3.DatabaseError("file is not a database"), "cannot be reached (file is not a database)"),
    (sqlite3.OperationalError("database or disk is full"), "no space left"),
    (sqlalchemy.exc.TimeoutError("QueuePool limit"), "pool_size"),
    (FileNotFoundError(2, "No such file or directory"), "cannot be reached (No such file or directory)"),
]


@pytest.mark.parametrize(
    ("error", "text"), MEANINGS, ids=[f"{type(error).__name__} {text}" for error, text in MEANINGS]
)
def test_an_error_says_what_is_wrong_with_the_server(error: Exception, text: str) -> None:
    """And what can be done about it, where anything can."""
    assert text in meaning_of(error).text


QUOTING = [
    lookup("23514")("new row violates a check: Failing row contains (planted)"),
    lookup("22021")("invalid byte sequence for encoding: planted"),
    pymysql.err.DataError(1406, "Data too long: planted"),
    MySQLdb.IntegrityError(4025, "CONSTRAINT planted"),
    sqlite3.OperationalError("Could not decode to UTF-8 column 'password_hash' with text 'planted'"),
    sqlite3.OperationalError("Could not decode to UTF-8 column 'username' with text 'planted database is locked'"),
    sqlite3.IntegrityError("planted"),
]


@pytest.mark.parametrize("error", QUOTING, ids=str)
def test_what_may_quote_a_row_is_not_passed_on(error: Exception) -> None:
    """An operator reads the kind of error, and its code."""
    meaning = meaning_of(error)

    assert may_quote(error)
    assert meaning.text.startswith(f"reports {type(error).__name__}")
    assert "planted" not in meaning.text


@pytest.mark.parametrize(
    "error",
    [
        lookup("57P01")("terminating connection"),
        lookup("25006")("cannot execute INSERT in a read-only transaction"),
        lookup("0A000")("cached plan must not change result type"),
        psycopg.OperationalError("server closed the connection unexpectedly"),
        pymysql.err.OperationalError(2013, "Lost connection"),
        pymysql.err.OperationalError(1290, "--read-only"),
        sqlite3.OperationalError("disk I/O error"),
        ConnectionResetError(104, "reset"),
    ],
    ids=str,
)
def test_a_connection_that_may_lead_nowhere_is_given_up(error: Exception) -> None:
    """Or to the wrong server: after a failover, the address is another's."""
    assert has_ended(error)


@pytest.mark.parametrize(
    "error",
    [lookup("55P03")("lock"), lookup("23505")("key"), pymysql.err.OperationalError(1205, "lock"), lookup("40001")("")],
    ids=str,
)
def test_a_connection_whose_server_answered_is_kept(error: Exception) -> None:
    """What it says next is the answer to the next question."""
    assert not has_ended(error)


ROLLED_BACK = [
    lookup("40001")("could not serialize access"),
    lookup("40P01")("deadlock detected"),
    pymysql.err.OperationalError(1213, "Deadlock found"),
    MySQLdb.OperationalError(1020, "Record has changed"),
]
PERHAPS_DONE = [
    psycopg.OperationalError("no answer within 2 s"),
    lookup("57P01")("terminating connection"),
    pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query"),
    MySQLdb.OperationalError(2006, "MySQL server has gone away"),
    pymysql.err.OperationalError(1205, "Lock wait timeout exceeded"),
    OSError(32, "Broken pipe"),
]


@pytest.mark.parametrize("error", [*ROLLED_BACK, *PERHAPS_DONE], ids=str)
def test_only_what_the_server_rolled_back_is_sent_again(error: Exception) -> None:
    """Whatever else went wrong, the change may have been made."""
    assert was_rolled_back(error) == (error in ROLLED_BACK)
