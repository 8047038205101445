"""What is typed wrongly, or set to nothing: the error says what was meant, and shows nothing that may be secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sessionware import ConfigError, open_store
from sessionware._hidden import HiddenText
from tests.cli.kit import FileSite, run


@pytest.mark.parametrize(
    ("url", "shown", "advice"),
    [
        ("postgresq://ann:hunter2@host/app", "postgresq://…@host/app", "write postgresql://"),
        ("mariabd://ann:hunter2@host/app", "mariabd://…@host/app", "write mariadb://"),
        ("reddis://host", "reddis://host", "write redis://"),
        ("postgresql//ann:hunter2@host/app", "'postgresql…'", "write postgresql://"),
        ("postgresql:/ann:hunter2@host/app", "'postgresql…'", "write "),
        ("sessions.db", "'sessions.db'", "sqlite:///relative.db"),
        ("hunter2-and-more", "(text without ://)", "sqlite:///relative.db"),
    ],
)
def test_a_misspelt_url_gets_the_right_one(url: str, shown: str, advice: str) -> None:
    """What was typed is shown as far as no password can be in it."""
    with pytest.raises(ConfigError, match=re.escape(advice)) as caught:
        open_store(HiddenText(url))  # as the command line passes it

    assert shown in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["postgresl"], "postgresql"),
        (["maria"], "mariadb"),
        (["postgresql//ann:hunter2@host/app"], "write postgresql://"),
        (["oracle"], "postgresql, mysql, mariadb or sqlite"),
    ],
)
def test_ddl_of_a_misspelt_database(capsys: pytest.CaptureFixture[str], words: list[str], advice: str) -> None:
    """It does not claim that there is nothing to make."""
    code, out, err = run(capsys, "ddl", *words)

    assert (code, out) == (1, "")
    assert advice in err
    assert "no tables" not in err
    assert "hunter2" not in err


@pytest.mark.parametrize(
    ("words", "variable"),
    [
        (["prune"], "SESSIONWARE_STORE"),
        (["prune", "env:MY_STORE"], "MY_STORE"),
        (["prune", ""], "the URL"),
        (["stats", "{url}"], "SESSIONWARE_SECRET_FILE"),
    ],
)
def test_what_is_set_to_nothing_is_called_empty(
    capsys: pytest.CaptureFixture[str],
    site: FileSite,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    variable: str,
) -> None:
    """As by a line of a settings file that nobody has filled in."""
    monkeypatch.setenv(variable.replace("the URL", "MY_STORE"), "")
    code, out, err = run(capsys, *(word.replace("{url}", site.url) for word in words))

    assert (code, out) == (2, "")
    assert f"{variable} is empty" in err


@pytest.mark.parametrize("is_told", [True, False])
def test_a_secret_file_that_is_not_there(
    capsys: pytest.CaptureFixture[str], site: FileSite, monkeypatch: pytest.MonkeyPatch, is_told: bool, tmp_path: Path
) -> None:
    """A new secret would open nothing, so none is advised. The path is not shown: it may be the secret by mistake."""
    name, words = ("--secret-file", ["--secret-file", "hunter2"]) if is_told else ("SESSIONWARE_SECRET_FILE", [])
    if not is_told:
        monkeypatch.setenv(name, str(tmp_path / "hunter2"))
    code, out, err = run(capsys, "stats", site.url, *words)

    assert (code, out) == (1, "")
    assert re.search(f"{name}: there is no such file.*the site", err)
    assert "hunter2" not in err
    assert "sessionware secret" not in err


@pytest.mark.parametrize("command", [["stats"], ["sessions", "--user-id", "42"], ["revoke", "--user-id", "42"]])
@pytest.mark.parametrize("name", ["throttle", "tokens"])
def test_no_sessions_are_looked_for_among_the_librarys_own_records(
    capsys: pytest.CaptureFixture[str], site: FileSite, command: list[str], name: str
) -> None:
    """No secret opens those as sessions, so the secret must not be blamed."""
    code, out, err = run(capsys, command[0], site.url, *command[1:], "--namespace", name)

    assert (code, out) == (2, "")
    assert f"{name}: throttle, tokens, copy are the library's own, and cannot be named" in err
