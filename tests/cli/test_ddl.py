"""`ddl`: prints the statements that make the tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from sessionware import SQLStore
from sessionware.auth import SQLUsers
from tests.cli.kit import FileSite, run, run_json

DIALECTS = ["postgresql", "mysql", "mariadb", "sqlite"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_ddl_prints_both_tables(capsys: pytest.CaptureFixture[str], dialect: str) -> None:
    """As statements that a client of the database reads."""
    code, out, err = run(capsys, "ddl", dialect)

    assert (code, err) == (0, "")
    statements = [*SQLStore.ddl(dialect), *SQLUsers.ddl(dialect)]
    if dialect == "postgresql":  # there, all of them or none
        statements = ["BEGIN", *statements, "COMMIT"]
    assert out == "".join(f"{each};\n" for each in statements)


@pytest.mark.parametrize(("only", "table"), [("sessions", SQLStore), ("users", SQLUsers)])
def test_ddl_prints_one_table(capsys: pytest.CaptureFixture[str], only: str, table: type[SQLStore | SQLUsers]) -> None:
    """For those who have accounts of their own, or no sessions there."""
    found = run_json(capsys, "ddl", "postgresql", "--only", only)

    assert found == {"dialect": "postgresql", "statements": table.ddl("postgresql")}


@pytest.mark.parametrize(
    ("url", "dialect"),
    [
        ("postgres://ann@no.such.host/app", "postgresql"),
        ("postgresql+psycopg://ann@no.such.host/app", "postgresql"),
        ("mysql://ann@no.such.host/app", "mysql"),
        ("mariadb+mysqldb://ann@no.such.host/app", "mariadb"),
        ("sqlite+pysqlite:///no/such/directory/a.db", "sqlite"),
    ],
)
def test_ddl_takes_the_url_and_connects_to_nothing(capsys: pytest.CaptureFixture[str], url: str, dialect: str) -> None:
    """What is printed may be run where the server cannot be reached from here."""
    assert run_json(capsys, "ddl", url)["dialect"] == dialect


def test_ddl_takes_the_sites_store(
    capsys: pytest.CaptureFixture[str], site: FileSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its environment."""
    monkeypatch.setenv("SESSIONWARE_STORE", "mariadb://ann@no.such.host/app")

    assert run_json(capsys, "ddl")["dialect"] == "mariadb"


@pytest.mark.parametrize("url", ["sqlite:///a.db", "file:///tmp", "redis://ann:hunter2@localhost", "memory://"])
def test_ddl_of_what_has_no_tables_to_make_is_a_failure(capsys: pytest.CaptureFixture[str], url: str) -> None:
    """It says so, instead of printing nothing."""
    code, out, err = run(capsys, "ddl", url)

    assert (code, out) == (1, "")
    assert "needs no tables" in err
    assert "hunter2" not in err


def test_what_ddl_prints_is_what_a_site_makes(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """So a site that may not make tables finds those that it needs."""
    _, out, _ = run(capsys, "ddl", "sqlite")
    with closing(sqlite3.connect(site.directory / "made.db")) as connection:
        connection.executescript(out)
    url = f"sqlite+pysqlite:///{site.directory}/made.db"

    assert run_json(capsys, "check", url)["ok"] is True
    assert run_json(capsys, "stats", url, *site.secret)["live"] == 0
    assert run(capsys, "sessions", url, "--username", "ada", "--users", *site.secret)[0] == 1
