"""`python -m sessionware`: what it prints, and how it fails."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sessionware
from sessionware import Keyring, Record, open_store
from sessionware.cli import main


def test_secret_prints_a_secret_that_the_keyring_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """43 characters that need no quoting, and nothing else."""
    assert main(["secret"]) == 0

    out, err = capsys.readouterr()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}\n", out)
    assert err == ""
    Keyring(out.strip())


def test_secret_prints_another_one_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    """It is fresh."""
    for _ in range(100):
        main(["secret"])

    assert len(set(capsys.readouterr().out.split())) == 100


def test_it_runs_as_a_module() -> None:
    """As the error about a missing secret tells people to run it."""
    command = [sys.executable, "-m", "sessionware", "secret"]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert len(done.stdout) == 44


def test_secret_is_kept_in_a_file_that_only_its_owner_reads(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Whatever the umask. It does not show what it keeps."""
    umask = os.umask(0)
    try:
        assert main(["secret", "--file", str(tmp_path / "secret")]) == 0
    finally:
        os.umask(umask)

    content = (tmp_path / "secret").read_text()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}\n", content)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert content.strip() not in capsys.readouterr().out


def test_secret_in_a_file_is_never_replaced(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The sessions of everybody depend on it; whoever runs the same line again loses nothing."""
    file = tmp_path / "secret"
    main(["secret", "--file", str(file)])
    content = file.read_bytes()
    capsys.readouterr()

    assert main(["secret", "--file", str(file)]) == 0
    assert file.read_bytes() == content
    assert capsys.readouterr().out == f"{file} is there already, and stays as it is.\n"


@pytest.mark.parametrize("name", ["empty", "nowhere/secret"])
def test_secret_that_cannot_be_kept_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    """An empty file, such as a full disk leaves behind, is not taken for one that holds a secret."""
    (tmp_path / "empty").touch()

    assert main(["secret", "--file", str(tmp_path / name)]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert str(tmp_path / name) in err


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """As every command says it."""
    with pytest.raises(SystemExit) as done:
        main(["--version"])

    assert done.value.code == 0
    assert capsys.readouterr().out == f"sessionware {sessionware.__version__}\n"


@pytest.mark.parametrize("scheme", ["sqlite:///", "file://"])
def test_prune_removes_what_has_expired(capsys: pytest.CaptureFixture[str], tmp_path: Path, scheme: str) -> None:
    """All of it, in batches, and nothing that is alive; it prints how many."""
    url = f"{scheme}{tmp_path}/sessions"
    store = open_store(url)
    for number in range(50):
        store.create(Record(number.to_bytes(16, "big"), 1, 10 if number % 5 else 2**40, None, b"payload"))

    assert main(["prune", url]) == 0
    assert capsys.readouterr().out == "40\n"
    assert len(store.scan()) == 10


@pytest.mark.parametrize("scheme", ["sqlite:///", "file://"])
def test_prune_makes_nothing_where_there_is_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, scheme: str
) -> None:
    """A misspelt path is an error and not an empty store."""
    assert main(["prune", f"{scheme}{tmp_path}/typo"]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert "typo" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["sessions.db", "sqlite:////no/such/directory/sessions.db", "redis://localhost"])
def test_prune_of_no_store_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str], url: str) -> None:
    """It says what a URL looks like, or what is wrong with the path, and makes nothing."""
    assert main(["prune", url]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"sessionware: .+\n", err)


@pytest.mark.parametrize("arguments", [[], ["scret"], ["secret", "more"], ["secret", "--more"], ["--more"]])
def test_a_wrong_command_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str], arguments: list[Any]) -> None:
    """It says what is wrong, and prints nothing that a program could take for a result."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)

    out, err = capsys.readouterr()
    assert stopped.value.code == 2
    assert out == ""
    assert re.fullmatch(r"sessionware: .+\n", err)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without room")
def test_a_command_that_fails_is_one_line_and_exit_code_1() -> None:
    """A secret that could not be written must not look like one that was."""
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "sessionware", "secret"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert done.returncode == 1
    assert re.fullmatch(r"sessionware: .*No space left.*\n", done.stderr)


def test_help_tells_every_word(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with what it does."""
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])

    assert stopped.value.code == 0
    assert re.search(r"secret +print a fresh server secret", capsys.readouterr().out)
