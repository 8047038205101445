"""What an SQL server's error means, and what an operator can do about it.

Of what a driver says, only what it says about connecting is passed on. The rest may quote what somebody stored. SQLite
connects to nothing, so of what it says only texts that are known are.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: How an operator makes the tables by hand.
BY_HAND = "create it with the statements that `python -m sessionware ddl URL` prints"

#: A code of an error: PostgreSQL's are five letters, MariaDB's are numbers.
Code = str | int | None


class Meaning(NamedTuple):
    """What an error is about."""

    text: str
    """What is wrong with the server, and what to do. It goes on after the server's name."""
    is_setting: bool = False
    """Whether waiting does not help, as with a wrong password."""


class Unconnectable(Exception):
    """The driver or the engine did not even get to the server. It says why, without a word of what it was given."""

    def __init__(self, text: str, *, is_setting: bool) -> None:
        super().__init__(text)
        self.is_setting = is_setting


_PGBOUNCER = (
    "does not know a statement that was prepared. PgBouncer in transaction mode is in between: end the URL with "
    "?prepare_threshold=none, or give your engine connect_args={'prepare_threshold': None}"
)

_MEANINGS: dict[tuple[Code, ...], Meaning] = {
    ("42P01", "3F000", 1146): Meaning(f"has no table of ours: {BY_HAND}", is_setting=True),
    ("42501", 1142, 1143, 1227): Meaning(
        "refuses permission<said>. A site needs GRANT SELECT, INSERT, UPDATE, DELETE on the table; if it is not there "
        f"yet, somebody who may create it: {BY_HAND}",
        is_setting=True,
    ),
    (1044,): Meaning(
        "has no such database, or this user has no rights in it<said>: end the URL with /name, "
        "or GRANT SELECT, INSERT, UPDATE, DELETE on its tables",
        is_setting=True,
    ),
    ("28P01", "28000", 1045, 1130, 1698): Meaning("refuses the user or the password", is_setting=True),
    ("3D000", 1046, 1049): Meaning("has no such database<said>: end the URL with /name", is_setting=True),
    ("25006", 1290, 1792, 1836): Meaning("is read-only. If it is a replica, give the address of the primary"),
    ("55P03", 1205): Meaning("waited in vain for a row that another transaction holds"),
    ("57014", 1317, 1969, 3024): Meaning("cancelled the statement: it took longer than the server allows"),
    ("53300", 1040, 1203, 1226): Meaning(
        "has no connections left: raise its limit, or lower pool_size (each process has that many)"
    ),
    ("26000", "08P01", "42P05"): Meaning(_PGBOUNCER),
    ("57P01", "57P02", "57P03", 1047, 1053, 1927, 2006, 2013, 2055, 4031): Meaning(
        "ended the connection, is starting, or did not answer in time"
    ),
    ("53100", 1021, 1114): Meaning("has no space left on its disk"),
    ("40001", "40P01", 1213, 1020): Meaning("is so busy with the same rows that it gave up, again and again"),
    (1153,): Meaning("takes no packets of this size: raise max_allowed_packet"),
}
_BY_CODE = {code: meaning for codes, meaning in _MEANINGS.items() for code in codes}

#: The server rolled the statement back, so it may be sent again. 1020 is what MariaDB's snapshot isolation says.
_ROLLED_BACK = frozenset({"40001", "40P01", 1213, 1020})

#: What PostgreSQL says if a statement was prepared by somebody else, and not as ours was.
_PREPARED = re.compile("bind message|prepared statement|portal")

#: MariaDB's drivers could not connect. What they say of it names the host, a file or a plugin, and quotes no row.
_UNCONNECTED = frozenset({2002, 2003, 2005, 2012, 2019, 2026, 2054, 2058, 2059, 2061})

#: Of these, what no server that comes back would change: a character set or a way to log in that the driver lacks.
_LACKING = frozenset({2019, 2054, 2058, 2059, 2061})

#: Somebody else has the row, and the statement was not to wait, or no longer.
_IN_THE_WAY = frozenset({"55P03", 1205})

#: What drivers raise if it is not the server that says what is wrong.
_NO_ANSWER = frozenset({"OperationalError", "InterfaceError"})

#: The connection is of no use after these: it leads to a server that is going away or may only be read, or what was
#: prepared on it is no longer good.
_LAST_WORDS = frozenset({"25006", "26000", "42P05", "0A000", "UNUSABLE", 1047, 1053, 1290, 1792, 1836, 1927, 4031})

#: A unique key is taken.
_TAKEN = frozenset({"23505", 1062, "UNIQUE"})

#: PostgreSQL has no codes for what goes wrong while connecting.
_REFUSALS = [
    (re.compile("authentication failed|no password supplied|no pg_hba.conf entry|is not permitted to log in"), "28P01"),
    (re.compile('FATAL: +role ".*" does not exist'), "28P01"),
    (re.compile('FATAL: +(no such database|database ".*" does not exist)'), "3D000"),
    (re.compile("permission denied for database"), "42501"),
    (re.compile("too many (clients|connections)|remaining connection slots"), "53300"),
]

#: SQLite has codes that Python 3.10 does not show. Each text is known from its first word: further on, some quote rows.
_SQLITE = [
    (re.compile("no such table: "), "42P01"),
    (re.compile("database (table |schema )?is locked"), "55P03"),
    (re.compile("attempt to write a readonly database$"), "25006"),
    (re.compile("database or disk is full$"), "53100"),
    (re.compile("UNIQUE constraint failed: "), "UNIQUE"),
    (
        re.compile(
            "unable to open database file$|disk I/O error$|file is not a database$|database disk image is malformed$"
        ),
        "UNUSABLE",
    ),
]


def code_of(error: BaseException) -> Code:
    """The server's code for this error, or None if it is not the server that says it."""
    if isinstance(error, OSError):
        return None  # its number is the system's
    if error.args and type(error.args[0]) is int:
        return error.args[0]
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(sqlstate, str):
        return sqlstate
    if _is_sqlites(error):
        return next((code for text, code in _SQLITE if text.match(str(error))), None)
    return next((code for text, code in _REFUSALS if text.search(str(error))), None)


def _is_sqlites(error: BaseException) -> bool:
    return any(kind.__module__ == "sqlite3" for kind in type(error).__mro__)


def meaning_of(error: BaseException) -> Meaning:
    code = code_of(error)
    if code == "08P01" and not _PREPARED.search(str(error)):
        code = None  # PgBouncer's own word for a server behind it that it cannot reach
    if code in _BY_CODE:
        text, is_setting = _BY_CODE[code]
        return Meaning(text.replace("<said>", f" ({_said(error)})"), is_setting)
    kind = type(error)
    if isinstance(error, Unconnectable):
        return Meaning(str(error), error.is_setting)
    if kind.__name__ == "TimeoutError" and kind.__module__.startswith("sqlalchemy."):
        return Meaning("kept all connections of pool_size busy for too long: is it slow, or are there more threads?")
    if code == "UNUSABLE" or code in _UNCONNECTED or (code is None and _is_about_connecting(error)):
        return Meaning(f"cannot be reached ({_said(error)})", is_setting=code in _LACKING)
    return Meaning(" ".join(filter(None, ["reports", kind.__name__, str(code or "")])))


def _said(error: BaseException) -> str:
    """What the server or the driver says, as one line."""
    line = str(error.args[-1] if error.args else error).strip().partition("\n")[0]
    return line.rpartition("FATAL: ")[2].strip()


def _is_about_connecting(error: BaseException) -> bool:
    """Whether an error without a code is one of connecting, or says that no answer came."""
    if _is_sqlites(error):
        return False
    return (
        isinstance(error, OSError)
        or code_of(error) == "08P01"
        or any(kind.__name__ in _NO_ANSWER for kind in type(error).__mro__)
    )


def may_quote(error: BaseException) -> bool:
    """Whether the error's text may quote a row, as PostgreSQL's do when a constraint refuses one."""
    code = code_of(error)
    if _is_sqlites(error):
        return code is None
    return code is not None and code not in _BY_CODE and not (isinstance(code, int) and 2000 <= code < 3000)


def is_refused_by_driver(error: BaseException) -> bool:
    """Whether connecting failed before anything was sent: psycopg does not know a setting, or not its value."""
    if code_of(error) is not None or _is_sqlites(error):
        return False
    return type(error).__name__ == "ProgrammingError" or str(error).startswith("connection is bad: invalid ")


def was_rolled_back(error: BaseException) -> bool:
    """Whether the server says that it did nothing, and would do it if it was asked again."""
    return code_of(error) in _ROLLED_BACK


def is_in_the_way(error: BaseException) -> bool:
    """Whether another transaction holds a row."""
    return code_of(error) in _IN_THE_WAY


def is_missing(error: BaseException) -> bool:
    """Whether there is no such table."""
    return code_of(error) in ("42P01", 1146)


def is_taken(error: BaseException) -> bool:
    """Whether another row has this key."""
    return code_of(error) in _TAKEN


def has_ended(error: BaseException) -> bool:
    """Whether the connection is of no use: nobody knows what it would answer next, or it leads to the wrong server.

    It stays only if the server itself reports an error: MariaDB's drivers number their own from 2000 to 2999.
    """
    code = code_of(error)
    if code is None or code in _LAST_WORDS:
        return True
    return code.startswith(("57P", "08")) if isinstance(code, str) else 2000 <= code < 3000
