"""`secret`: makes the secret that sessions are sealed with."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sessionware import Keyring
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
