"""`revoke`: ends somebody's sessions, or one."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from tests.cli.kit import FileSite, run, run_json


def test_revoke_ends_all_of_an_accounts_sessions(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """And nobody else's; it prints how many."""
    ada, bob = site.account("ada"), site.account("bob")
    for who in (ada, ada, bob):
        site.log_in(who)

    assert run(capsys, "revoke", site.url, "--user-id", ada.id, *site.secret) == (0, "2\n", "")
    assert (len(site.manager.of(ada)), len(site.manager.of(bob))) == (0, 1)


def test_revoke_by_name(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """With the accounts, those of the account; without, those of the name alone, and it says so."""
    site.log_in(site.account("ada"))
    site.log_in("ada")
    words = ["revoke", site.url, "--username", "ada", *site.secret]
    code, out, err = run(capsys, *words)

    assert (code, out) == (0, "1\n")
    assert "--users" in err
    assert site.manager.stats()["live"] == 1
    assert run_json(capsys, *words, "--users", site.url) == {"ended": 1}
    assert site.manager.stats()["live"] == 0


def test_revoke_one_session(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """By the id that stands in logs. One that is over already is none."""
    site.log_in("ada")
    site.log_in("ada")
    id = site.store.scan()[0].id.hex()

    assert run(capsys, "revoke", site.url, "--id", id, *site.secret) == (0, "1\n", "")
    assert run(capsys, "revoke", site.url, "--id", id, *site.secret) == (
        0,
        "0\n",
        "sessionware: there is no such session\n",
    )
    assert site.manager.stats()["live"] == 1


def test_revoke_tells_why(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """The browser hears that an administrator did it."""
    _name, value = site.manager.login_cookie("ada")
    run(capsys, "revoke", site.url, "--username", "ada", *site.secret)
    session = site.manager.open(cookie=value).session

    assert session.ended_because == "admin"


def test_revoke_what_is_older(capsys: pytest.CaptureFixture[str], site: FileSite) -> None:
    """In seconds, or as a calendar has it, with an offset or in this machine's zone."""
    site.log_in("ada")
    (info,) = site.manager.of(username="ada")
    at = info.authenticated_at
    utc = datetime.fromtimestamp(at, timezone.utc)
    words = ["revoke", site.url, "--username", "ada", *site.secret]

    for time in (str(at), utc.isoformat(), utc.isoformat().replace("+00:00", "Z"), utc.astimezone().isoformat()[:19]):
        assert run_json(capsys, *words, "--before", time) == {"ended": 0}
    assert run_json(capsys, *words, "--before", datetime.fromtimestamp(at + 1).isoformat()) == {"ended": 1}
