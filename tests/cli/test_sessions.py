"""`sessions`: shows where somebody is logged in."""

from __future__ import annotations

import re

import pytest

from sessionware import SessionManager
from sessionware.session import Place
from tests.cli.kit import OTHER_SECRET, FileSite, run, run_json

ROW = r"[0-9a-f]{32}(  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d){3}"


def test_sessions_of_an_account_by_its_id(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """What `SessionManager.of` gives, in seconds."""
    ada = site.account("ada")
    site.log_in(ada)
    site.log_in(site.account("bob"))
    (info,) = site.manager.of(ada)

    assert run_json(capsys, "sessions", site.url, "--user-id", ada.id, *site.secret) == [
        {
            "id": info.id,
            "authenticated_at": info.authenticated_at,
            "last_used_at": info.last_used_at,
            "expires_at": info.expires_at,
            "device": None,
            "client": None,
            "methods": {"password": info.authenticated_at},
        }
    ]


def test_sessions_say_where_they_are_used(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """The browser and the address, as far as they were noted."""
    ada = site.account("ada")
    session = site.manager.open({"REQUEST_METHOD": "POST"}).session
    session._seen_from(lambda: Place("Firefox on Windows", "192.0.2.7"))
    session.login("ada", user_id=ada.id, session_version=ada.session_version)
    session.commit()
    words = ["sessions", site.url, "--user-id", ada.id, *site.secret]

    assert run(capsys, *words)[1].endswith("  Firefox on Windows, 192.0.2.7\n")
    (found,) = run_json(capsys, *words)
    assert (found["device"], found["client"]) == ("Firefox on Windows", "192.0.2.7")


def test_sessions_for_people(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """A row for each, with times of this machine's zone."""
    ada = site.account("ada")
    site.log_in(ada)
    site.log_in(ada)
    code, out, err = run(capsys, "sessions", site.url, "--user-id", ada.id, *site.secret)
    title, *rows = out.splitlines()

    assert (code, err) == (0, "")
    assert title.split("  ")[0] == "id"
    assert len(rows) == 2
    assert all(re.fullmatch(ROW, row) for row in rows)


@pytest.mark.parametrize("where", [[], ["{url}"]])
def test_sessions_of_an_account_by_its_name(
    capsys: pytest.CaptureFixture[str], site: FileSite, where: list[str]
) -> None:
    """In any spelling. The table of accounts is where the sessions are, or elsewhere."""
    site.log_in(site.account("ada"))
    users = ["--users", *(word.replace("{url}", site.url) for word in where)]

    assert len(run_json(capsys, "sessions", site.url, "--username", "ADA", *users, *site.secret)) == 1


def test_sessions_by_a_name_alone(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """Those of applications without accounts. That an account's are not among them is told."""
    site.log_in("ada")
    site.log_in(site.account("ada"))
    code, out, err = run(capsys, "sessions", site.url, "--username", "ada", *site.secret)

    assert (code, len(out.splitlines())) == (0, 2)
    assert "--users" in err


def test_one_session_by_its_id(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """As long as it is one."""
    site.log_in("ada")
    (record,) = site.store.scan()
    words = ["sessions", site.url, "--id", record.id.hex(), *site.secret]

    assert [each["id"] for each in run_json(capsys, *words)] == [record.id.hex()]
    site.manager.end(record.id.hex())
    assert run_json(capsys, *words) == []


def test_nobody_is_a_note(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """And no row, and no failure."""
    code, out, err = run(capsys, "sessions", site.url, "--user-id", "7", *site.secret)

    assert (code, out) == (0, "")
    assert err == "sessionware: there is no such session\n"
    assert run_json(capsys, "sessions", site.url, "--user-id", "7", *site.secret) == []


def test_no_such_account_is_a_failure(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """A misspelt name does not look like somebody who is logged out."""
    for name in ("ada", "not a name"):
        code, out, err = run(capsys, "sessions", site.url, "--username", name, "--users", *site.secret)

        assert (code, out) == (1, "")
        assert repr(name) in err


def test_no_table_of_accounts_is_a_failure(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """And none is made."""
    url = f"sqlite:///{site.directory}/typo.db"
    code, _, err = run(capsys, "sessions", site.url, "--username", "ada", "--users", url, *site.secret)

    assert code == 1
    assert "typo.db" in err
    assert not (site.directory / "typo.db").exists()


@pytest.mark.parametrize("command", ["sessions", "revoke"])
def test_a_wrong_secret_does_not_look_like_nobody(
    capsys: pytest.CaptureFixture[str], site: FileSite, command: str
) -> None:
    """Somebody who is not found must not be taken for somebody who is logged out."""
    for number in range(3):
        site.log_in(f"user{number}")
    code, out, err = run(capsys, command, site.url, "--user-id", "7", *site.other_secret)

    assert (code, out) == (1, "")
    assert "opens none of the 3 records" in err
    assert site.manager.stats()["live"] == 3


def test_records_of_another_secret_are_noted(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """While secrets change, those under the other one are not found."""
    site.log_in("ada")
    SessionManager(OTHER_SECRET, site.store).login_cookie("ada")
    code, out, err = run(capsys, "sessions", site.url, "--username", "ada", *site.secret)

    assert (code, len(out.splitlines())) == (0, 2)
    assert "does not open 1 of the 2 records" in err
    site.secret_file.write_text(f"{site.secret_file.read_text()}\n{OTHER_SECRET}\n")
    assert len(run_json(capsys, "sessions", site.url, "--username", "ada", *site.secret)) == 2
