"""The URLs of stores and of tables of accounts: taken literally, and never shown with a password.

A URL that could be meant in two ways is refused. The database's own driver says what is wrong with the rest of one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

from ._hidden import Hidden
from .errors import ConfigError

POSTGRESQL = "postgresql"
MYSQL = "mysql"
MARIADB = "mariadb"
SQLITE = "sqlite"

#: Schemes of databases, with the dialect and the driver that each stands for.
SQL_SCHEMES = {
    "postgresql": (POSTGRESQL, "psycopg"),
    "postgres": (POSTGRESQL, "psycopg"),
    "postgresql+psycopg": (POSTGRESQL, "psycopg"),
    "mysql": (MYSQL, "pymysql"),
    "mysql+pymysql": (MYSQL, "pymysql"),
    "mysql+mysqldb": (MYSQL, "mysqldb"),
    "mariadb": (MARIADB, "pymysql"),
    "mariadb+pymysql": (MARIADB, "pymysql"),
    "mariadb+mysqldb": (MARIADB, "mysqldb"),
    "sqlite+pysqlite": (SQLITE, "pysqlite"),
}

REDIS_SCHEMES = frozenset({"redis", "rediss", "redis+cluster", "rediss+cluster", "unix"})

_POSTGRESQL_ALONE = "PostgreSQL is used through psycopg 3: write postgresql://…"
_MARIADB_ALONE = "MariaDB and MySQL are used through PyMySQL or mysqlclient: write mariadb://… or mariadb+mysqldb://…"

#: What people write who mean something that there is, or ask for what there is not.
_NEAR_MISSES = (
    (r"(postgres|postgresql|pgsql|psql|pg)(\+.*)?", _POSTGRESQL_ALONE),
    (r"(mysql|mariadb|mysql2)(\+.*)?", _MARIADB_ALONE),
    (r"redis-cluster|rediscluster|valkey\+cluster", "write redis+cluster://host:port"),
    (r"(rediss?|valkeys?)\+sentinel|sentinel", "Redis Sentinel has no URL: pass RedisStore(client) one of its clients"),
    (r"valkey", "for Valkey, write redis://…"),
    (r"valkeys", "for Valkey, write rediss://…"),
    (r"sqlite\+.*|sqlite3", "write sqlite:///relative.db, or sqlite:////absolute.db"),
)

#: Schemes of servers.
_SERVERS = sorted({scheme for scheme, (dialect, _) in SQL_SCHEMES.items() if dialect != SQLITE} | REDIS_SCHEMES)

_WORD = re.compile(r"[A-Za-z+]+")

#: What is surely no password.
_FILE_NAME = re.compile(r"[\w./-]+\.(db|sqlite3?)")

_DIRECTORY = re.compile(r"//(/.*)")

_SQLITE_PATH = re.compile(r"///(.*[^/])(?<!/\.)")

#: A path as a URL may have it. A backslash is meant for a slash, and an escaped slash for none: neither is guessed at.
_PATH = re.compile(r"(?:[^%?#\\]|%(?!2[Ff])[0-9A-Fa-f]{2})*")

_SERVER = re.compile(r"[^:]*://(?:[^/?#@]*@)?(?P<hosts>[^/?#@]*)(?P<path>/[^?#@]*)?(?P<query>\?[^#]*)?")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^:\[\],]*)(?::(?P<port>[0-9]{1,5}))?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def scheme_of(url: Hidden[str]) -> str:
    """What stands before the colon, in lower case; nothing for what is not text."""
    return url.value.partition(":")[0].lower() if isinstance(url.value, str) else ""


def shown(url: Hidden[str]) -> str:
    """The URL as an error may show it: without the parts in which a password may stand, or all of what is not a URL."""
    if not isinstance(url.value, str):
        return f"({type(url.value).__name__})"
    if "://" not in url.value:
        if _FILE_NAME.fullmatch(url.value):
            return repr(str(url.value))  # not that of a HiddenText
        word = _first_word(url)
        return repr(f"{word}…") if word in _SERVERS else "(text without ://)"
    scheme, _, rest = url.value.partition("://")
    before, has_query, query = rest.partition("?")
    if "@" in query:  # in the query's password, or is it a login with a question mark in its password?
        return repr(f"{scheme}://…")
    *_login, after = before.rpartition("@")
    return repr(f"{scheme}://{'…@' * ('@' in before)}{after}{has_query and '?…'}")


def place_of(url: Hidden[str]) -> str:
    """What the URL names, without who logs in there: what differs is another place, or the same one by another name."""
    scheme = scheme_of(url)
    path = path_in(url, _DIRECTORY) if scheme == "file" else sqlite_path(url) if scheme.startswith(SQLITE) else None
    if path is not None:
        return f"{scheme}://{os.path.realpath(path)}"
    place = shown(url).strip("'").replace("…@", "").partition(":")[2]
    return f"{SQL_SCHEMES[scheme][0] if scheme in SQL_SCHEMES else scheme}:{place}"


def check_is_path(given: Hidden[str | os.PathLike[str]], takes: str) -> None:
    """Raise `ConfigError` for a URL where the path of `takes`, "a file", belongs. A `Path` has lost a slash of it."""
    url = Hidden(os.fsdecode(given.value))
    scheme = scheme_of(url)
    is_scheme = scheme in {*SQL_SCHEMES, *REDIS_SCHEMES, "sqlite", "file", "memory"} or near_miss(url)
    if "://" not in url.value and not (is_scheme and url.value[len(scheme) :].startswith(":/")):
        return
    what = shown(url) if "://" in url.value else f"'{scheme}:…'"
    takers = "RedisStore(url)" if scheme.startswith(("redis", "valkey", "unix")) else "SQLStore(url) or SQLUsers(url)"
    advice = f"{takers}, or open_store(url)" if scheme not in ("sqlite", "file", "memory") else "open_store(url)"
    raise ConfigError(f"{what} is a URL, and this takes the path of {takes}. For a URL, write {advice}.")


def near_miss(url: Hidden[str]) -> str | None:
    """What to write instead, if it can be told what somebody means."""
    scheme = scheme_of(url)
    if (word := _first_word(url)) in _SERVERS and "://" not in url.value:
        return f"write {_pattern(word)}"
    advice = next((advice for pattern, advice in _NEAR_MISSES if re.fullmatch(pattern, scheme)), None)
    if advice is not None or scheme in _SERVERS:
        return advice
    from difflib import get_close_matches  # here, because only mistakes need it

    near = get_close_matches(scheme, _SERVERS, 1, 0.8)
    return f"write {_pattern(near[0])}" if near else None


def _pattern(scheme: str) -> str:
    return f"{scheme}://" + (
        "user@host/database" if scheme in SQL_SCHEMES else "/path" if scheme == "unix" else "host:6379"
    )


def _first_word(url: Hidden[str]) -> str:
    found = _WORD.match(url.value) if isinstance(url.value, str) else None
    return found[0].lower() if found else ""


def path_in(url: Hidden[str], pattern: re.Pattern[str]) -> str | None:
    """The path exactly as the URL says, or None if anything in it could be meant in another way.

    The pattern is for what comes behind the scheme's colon. Not `urlsplit`, which mends what is wrong.
    """
    found = pattern.fullmatch(url.value.partition(":")[2])
    path = found[1] if found else None
    if path is None or not _PATH.fullmatch(path) or path != path.strip():
        return None
    try:
        text = unquote(path, errors="strict")
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def sqlite_path(url: Hidden[str]) -> str | None:
    """The path in a URL such as `sqlite:///relative.db`; None if it is not like that."""
    path = path_in(url, _SQLITE_PATH)
    return None if path == ":memory:" else path


def sql_url(url: Hidden[str]) -> Hidden[str]:
    """The URL of a database as SQLAlchemy takes it, with its driver. Raises `ConfigError`."""
    dialect, driver = SQL_SCHEMES[scheme_of(url)]
    if dialect == SQLITE:
        path = sqlite_path(url)
        if path is None or "?" in path:  # SQLAlchemy has no escape for it
            raise _wrong(url, "write sqlite+pysqlite:///relative.db, or sqlite+pysqlite:////absolute.db")
        return Hidden(f"{dialect}+{driver}:///{path}")
    parts = _server_parts(url)
    if "," in parts["hosts"]:
        raise _wrong(url, "name one host; psycopg takes several as ?host=one:5432&host=other:5432")
    if not parts["hosts"] and not parts["query"]:
        raise _wrong(url, "name the host, such as localhost; for a Unix socket see the driver's manual")
    if not parts["path"].strip("/") and not parts["query"]:
        raise _wrong(url, "name the database, behind the host and a slash")
    return Hidden(f"{dialect}+{driver}:{url.value.partition(':')[2]}")


def check_file_exists(url: Hidden[str]) -> None:
    """Raise `ConfigError` if SQLite would make a file for this URL of a database, or if it cannot be one."""
    sql_url(url)
    if SQL_SCHEMES[scheme_of(url)][0] == SQLITE and not Path(str(sqlite_path(url))).is_file():
        raise _wrong(url, "there is no such file")


def redis_url(url: Hidden[str]) -> Hidden[str]:
    """The URL of a Redis server, checked. Raises `ConfigError`."""
    parts, scheme = _server_parts(url), scheme_of(url)
    if scheme == "unix":
        if parts["hosts"] or not parts["path"].strip("/"):
            raise _wrong(url, "write unix:///path/of/the/socket")
    elif not all(parts["hosts"].split(",")):
        raise _wrong(url, "name the host, such as localhost")
    elif scheme.endswith("cluster") and parts["path"].strip("/") not in ("", "0"):
        raise _wrong(url, "a cluster has one database: leave its number out")
    elif not scheme.endswith("cluster") and "," in parts["hosts"]:
        raise _wrong(url, "name one host; a cluster is redis+cluster://one:6379,other:6379")
    elif not re.fullmatch(r"(/[0-9]{0,9})?", parts["path"]):
        raise _wrong(url, "behind the host comes a slash and the database's number, or nothing")
    return Hidden(f"{scheme}:{url.value.partition(':')[2]}")


def _server_parts(url: Hidden[str]) -> dict[str, str]:
    """The parts behind the login: `hosts`, `path`, and whether there is a `query`, which may hold a password."""
    found = Hidden(_SERVER.fullmatch(url.value))
    is_plain = url.value.isprintable() and " " not in url.value and not _BAD_ESCAPE.search(url.value)
    if found.value is None or not is_plain or not all(map(_is_host, found.value["hosts"].split(","))):
        raise _wrong(
            url,
            "write SCHEME://USER:PASSWORD@HOST:PORT/NAME. In a user name or a password, write %3A, %2F, %3F, %23, %40 "
            "and %25 for : / ? # @ and %",
        )
    return {"hosts": found.value["hosts"], "path": found.value["path"] or "", "query": "?" * bool(found.value["query"])}


def _is_host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return found is not None and (found["port"] is None or 0 < int(found["port"]) < 65536)


def _wrong(url: Hidden[str], advice: str) -> ConfigError:
    return ConfigError(f"{shown(url)}: {advice}.")
