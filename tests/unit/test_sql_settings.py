"""What SQLStore and SQLUsers take as their database, and what they say about what they do not. No server is needed."""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from sessionware import ConfigError, SQLStore, StoreUnavailable
from sessionware.auth import SQLUsers
from tests.support.frames import frames_that_show

PASSWORD = "planted-Zq7-password"
SECRETS = (PASSWORD, "planted-value")

#: Nobody listens at port 1.
NOWHERE = f"ann:{PASSWORD}@127.0.0.1:1/app"

#: mysqlclient is compiled where it is installed, so not everybody has it.
MYSQLCLIENT = ["mariadb+mysqldb"] if importlib.util.find_spec("MySQLdb") else []

OPENERS: list[Callable[..., Any]] = [SQLStore, SQLUsers]


def assert_shows_nothing(error: BaseException) -> None:
    """Neither the error nor what it came from, by its text, its arguments or the library's frames."""
    link: BaseException | None = error
    while link is not None:
        for secret in SECRETS:
            assert secret not in f"{link} {link!r} {link.args} {vars(link)}"
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    assert [frames_that_show(secret, error) for secret in SECRETS] == [[], []]


@pytest.mark.parametrize("open_it", OPENERS)
@pytest.mark.parametrize(
    ("where", "advice"),
    [
        (f"postgresql+psycopg2://{NOWHERE}", "psycopg 3"),
        (f"postgresql+asyncpg://{NOWHERE}", "psycopg 3"),
        (f"postgresql+pg8000://{NOWHERE}", "psycopg 3"),
        (f"mysql+aiomysql://{NOWHERE}", "PyMySQL or mysqlclient"),
        (f"mariadb+mariadbconnector://{NOWHERE}", "lets nobody see whether the server has closed"),
        (f"oracle://{NOWHERE}", "postgresql://"),
        ("sqlite:///app.db", r"sqlite\+pysqlite:///"),
        ("sqlite+pysqlite://", r"sqlite\+pysqlite:///"),
        ("sqlite+pysqlite:///:memory:", r"sqlite\+pysqlite:///"),
        (f"postgresql://ann:planted-value/{NOWHERE}", "%2F"),
        (f"postgresql://ann:{PASSWORD}@127.0.0.1:port/app", "PORT"),
        (f"mariadb://ann:{PASSWORD}@127.0.0.1:1", "name the database"),
        (PASSWORD, "postgresql://"),
        (f"redis://:{PASSWORD}@127.0.0.1:1/0", r"RedisStore\(url\)"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_what_to_write(
    open_it: Callable[..., Any], where: str, advice: str
) -> None:
    """And not shown, since a password may stand anywhere in it."""
    with pytest.raises(ConfigError, match=advice) as refused:
        open_it(where)
    assert_shows_nothing(refused.value)


@pytest.mark.parametrize("where", [None, 5, b"postgresql://localhost/app", Path("app.db")])
def test_what_is_neither_a_url_nor_an_engine_is_refused(where: object) -> None:
    """With what to pass instead."""
    with pytest.raises(ConfigError, match="URL"):
        SQLStore(where)


@pytest.mark.parametrize("open_it", OPENERS)
@pytest.mark.parametrize(
    "settings",
    [
        *({"timeout": wrong} for wrong in (-1, 0, None, "2", True, float("nan"), float("inf"))),
        *({"pool_size": wrong} for wrong in (-1, 0, None, "5", True, 2.5)),
    ],
    ids=str,
)
def test_a_setting_of_the_wrong_kind_is_refused(open_it: Callable[..., Any], settings: dict[str, Any]) -> None:
    """By its name, when it is built."""
    with pytest.raises(ConfigError, match=next(iter(settings))):
        open_it(f"postgresql://{NOWHERE}", **settings)


WRONG_SETTINGS = [
    ("mariadb", "foo=planted-value"),
    ("mariadb", "connect_timeout=planted-value"),
    ("mariadb", "port=planted-value"),
    ("mariadb", "local_infile=planted-value"),
    ("mariadb", "ssl_check_hostname=planted-value"),
    *((scheme, f"{name}=planted-value") for scheme in MYSQLCLIENT for name in ("foo", "local_infile")),
    ("postgresql", "foo=planted-value"),
    ("postgresql", "port=1&port=2"),
    ("postgresql", "sslmode=planted-value"),
    ("postgresql", "prepare_threshold=often"),
]


@pytest.mark.parametrize(("scheme", "query"), WRONG_SETTINGS)
def test_a_wrong_setting_in_a_url_is_refused_by_its_name(scheme: str, query: str) -> None:
    """Whether SQLAlchemy finds it out or the driver, and without their frames, in which the password stands."""
    with pytest.raises(ConfigError, match=query.partition("=")[0]) as refused:
        SQLStore(f"{scheme}://{NOWHERE}?{query}")
    assert_shows_nothing(refused.value)


def test_an_engine_that_is_asynchronous_is_refused() -> None:
    """A WSGI application waits for its answers."""
    engine = sqlalchemy.create_engine("postgresql+psycopg_async://localhost/app")

    with pytest.raises(ConfigError, match="asynchronous"):
        SQLStore(engine)


def test_an_engine_over_sqlite_in_memory_is_refused() -> None:
    """Each of its connections is another database."""
    with pytest.raises(ConfigError, match=r"MemoryStore\(\)"):
        SQLStore(sqlalchemy.create_engine("sqlite://"))


class TokenRefused(Exception):
    """What a cloud's library raises while it fetches a password."""


def failing_engine(scheme: str) -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(f"{scheme}://{NOWHERE}")

    @sqlalchemy.event.listens_for(engine, "do_connect")
    def fetch(*_: object) -> None:
        raise TokenRefused("no route to the token service")

    return engine


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "mysql+pymysql", *MYSQLCLIENT])
def test_what_an_application_raises_while_it_connects_is_an_outage(
    scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As a server that is down is: the site starts, and each use says what was raised."""
    with caplog.at_level(logging.WARNING, logger="sessionware"):
        store = SQLStore(failing_engine(scheme))
    assert "TokenRefused" in caplog.text

    with pytest.raises(StoreUnavailable, match="TokenRefused") as failed:
        store.load(b"0123456789abcdef", 0)
    assert isinstance(failed.value.__cause__, Exception)
    assert isinstance(failed.value.__cause__.__cause__, TokenRefused)
    assert_shows_nothing(failed.value)


@pytest.mark.parametrize("open_it", OPENERS)
@pytest.mark.parametrize("scheme", ["postgresql", "mariadb", *MYSQLCLIENT])
def test_a_server_that_is_down_is_named_without_the_password(
    open_it: Callable[..., Any], scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no error at the start. In use, it is an outage."""
    with caplog.at_level(logging.WARNING, logger="sessionware"):
        opened = open_it(f"{scheme}://{NOWHERE}?charset=utf8mb4" if scheme != "postgresql" else f"{scheme}://{NOWHERE}")
    assert "127.0.0.1:1/app cannot be reached" in caplog.text
    assert f"{open_it.__name__} " in repr(opened)
    assert "127.0.0.1:1/app" in repr(opened)
    assert PASSWORD not in caplog.text + repr(opened)

    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1/app cannot be reached") as failed:
        opened.load(b"0123456789abcdef", 0) if open_it is SQLStore else opened.get("0" * 32)
    assert_shows_nothing(failed.value)


@pytest.mark.parametrize(
    ("package", "scheme", "advice"),
    [
        ("sqlalchemy", "postgresql", "sessionware[sql]"),
        ("psycopg", "postgresql", "psycopg[binary]"),
        ("pymysql", "mariadb", "PyMySQL"),
        ("MySQLdb", "mariadb+mysqldb", "mysqlclient"),
    ],
)
def test_a_package_that_is_missing_is_named(package: str, scheme: str, advice: str) -> None:
    """With what to install. What the error shows of the URL is no password."""
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from sessionware import ConfigError, SQLStore\n"
        "try:\n"
        f"    SQLStore({f'{scheme}://{NOWHERE}'!r})\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert advice in said.stdout
    assert PASSWORD not in said.stdout


@pytest.mark.parametrize(
    ("release", "is_good"), [("3.2.10", False), ("3.1", False), ("3.2.11", True), ("3.10.0", True)]
)
def test_a_psycopg_that_would_hang_is_refused(release: str, is_good: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier releases wait for an answer without ever looking at the clock. The error says what to install."""
    monkeypatch.setattr("psycopg.__version__", release)
    url = f"postgresql://{NOWHERE}"
    if is_good:
        SQLStore(url)
        return
    with pytest.raises(ConfigError, match=r"psycopg\[binary\]>=3\.2\.11"):
        SQLStore(url)


def test_nothing_of_sql_is_imported_before_it_is_used() -> None:
    """A site on another store does not pay for it."""
    program = (
        "import sys, sessionware, sessionware.auth\n"
        "print({'sqlalchemy', 'psycopg', 'pymysql', 'MySQLdb'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert said.stdout == "set()\n"


@pytest.mark.parametrize("of", [SQLStore, SQLUsers])
def test_ddl_is_the_same_for_mysql_and_mariadb_and_has_no_semicolons(of: type[SQLStore | SQLUsers]) -> None:
    """Each text is one statement, for tools that take one at a time."""
    assert of.ddl("mysql") == of.ddl("mariadb")
    for dialect in ("postgresql", "mysql", "sqlite"):
        statements = of.ddl(dialect)

        assert statements[0].startswith("CREATE TABLE sessionware_")
        assert not any(";" in each or "<mark>" in each for each in statements)
        assert sum("layout 1" in each for each in statements) == 1
    with pytest.raises(ConfigError, match=r"'postgresql'.*'mysql'.*'mariadb'.*'sqlite'"):
        of.ddl("mssql")


def test_the_names_of_nested_namespaces_have_room_for_200_characters(tmp_path: Path) -> None:
    """A server that is not strict would cut off what is longer, and two namespaces would be one."""
    with closing(SQLStore(f"sqlite+pysqlite:///{tmp_path}/app.db")) as store:
        inner = store
        for _ in range(6):  # 197 characters, with the dots
            inner = inner.namespace("n" * 32)
        assert inner.namespace("nn").scan() == []

        with pytest.raises(ConfigError, match="200 characters"):
            inner.namespace("nnn")
