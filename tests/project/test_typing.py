"""What type checkers make of the library: mypy and pyright agree with tests/typing/api.py, and every type is known."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dev
from tests.support.prerequisites import require

API = dev.ROOT / "tests" / "typing" / "api.py"

#: A mistake that both checkers have to see, so that "no error" means that they looked.
MISTAKE = "\n\nassert_type(get_session({}).username, bytes)\n"


def mypy(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(file)]
    return subprocess.run(command, cwd=dev.ROOT, capture_output=True, text=True)


def pyright(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run where there is no `src`: as for a user, the library is what this Python has installed."""
    # By PATH, because what it is told by --pythonpath it forgets with --verifytypes.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [require("pyright"), *arguments]
    return subprocess.run(command, cwd=directory, env={**os.environ, "PATH": path}, capture_output=True, text=True)


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """The same file with a mistake at its end."""
    file = tmp_path / "wrong.py"
    file.write_text(API.read_text(encoding="utf-8") + MISTAKE, encoding="utf-8")
    return file


def test_mypy_agrees() -> None:
    """Every type is what the file says, and every mistake in it is one."""
    checked = mypy(API)

    assert checked.returncode == 0, checked.stdout


def test_mypy_sees_a_mistake(wrong: Path) -> None:
    """Its silence means something."""
    assert "error: Expression is of type" in mypy(wrong).stdout


def test_pyright_agrees(tmp_path: Path) -> None:
    """The same by the checker that editors use."""
    checked = pyright(tmp_path, str(API))

    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.startswith("0 errors, 0 warnings")


def test_pyright_sees_a_mistake(tmp_path: Path, wrong: Path) -> None:
    """Its silence means something."""
    assert 'error: "assert_type" mismatch' in pyright(tmp_path, str(wrong)).stdout


#: What derives from a class of a framework that has no types of its own.
UNTYPED = {"sessionware.contrib.django.SessionStore", "sessionware.contrib._django_middleware.SessionwareMiddleware"}


def test_every_public_type_is_known(tmp_path: Path) -> None:
    """Nothing that the library exports is left for a checker to guess, and so for each to guess in its own way."""
    report = pyright(tmp_path, "--verifytypes", "sessionware", "--ignoreexternal").stdout
    counts = re.findall(r"With (known|ambiguous|unknown) type: (\d+)", report)

    assert int(counts[0][1]) > 500, report
    assert {count for kind, count in counts if kind == "ambiguous"} == {"0"}, report
    assert set(re.findall(r"(\S+)\n +error: Type of metaclass unknown", report)) == UNTYPED, report
    assert set(re.findall(r"error: (.+)", report)) == {"Type of metaclass unknown", "Type of base class unknown"}, (
        report
    )
