"""README's first lines, typed into a shell as they stand: on the first day, and on the days after."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from webtest import TestApp

import dev
from sessionware import cli
from tests.project.pages import blocks

README = (dev.ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = [block.code for block in blocks(README)]
MINIMAL = PROGRAMS[0]

#: Every example that reads a secret.
EXAMPLES = sorted(path.stem for path in (dev.ROOT / "examples").glob("*_app.py") if path.stem != "notes_app")


def first_lines() -> list[str]:
    """What the first console block tells people to type, without the installation, which pip's users know."""
    console = re.search(r"```console\n(.*?)```", README, re.DOTALL)
    assert console is not None
    typed = [line.removeprefix("$ ") for line in console[1].splitlines() if line.startswith("$ ")]
    assert typed.pop(0) == "pip install sessionware"
    return typed


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty directory with README's program in it."""
    (tmp_path / "minimal.py").write_text(MINIMAL, encoding="utf-8")
    return tmp_path


@contextmanager
def new_shell(home: Path, lines: list[str]) -> Iterator[str]:
    """Types the lines into a shell that knows nothing of earlier ones. Yields the address that the last one prints."""
    *before, last = lines
    script = "\n".join(["set -e", *before, f"exec {last} 0"])  # any free port
    variables = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(home)}
    shell = subprocess.Popen(["sh", "-c", script], cwd=home, env=variables, stdout=subprocess.PIPE, text=True)
    assert shell.stdout is not None
    try:
        address = next((match[0] for line in shell.stdout if (match := re.search(r"http://\S+/", line))), "")
        assert address, "it has not started"
        yield address
    finally:
        shell.terminate()
        shell.communicate(timeout=10)


def visit(address: str, cookie: str = "") -> tuple[str, str]:
    """What a browser with this cookie is shown, and the cookie that it has afterwards."""
    with urlopen(Request(address, headers={"Cookie": cookie} if cookie else {}), timeout=10) as answer:
        return answer.read().decode(), (answer.headers["Set-Cookie"] or cookie).partition(";")[0]


@pytest.mark.parametrize("forgotten", [0, 1], ids=["everything again", "only the start"])
def test_first_lines_survive_a_second_day(home: Path, forgotten: int) -> None:
    """In a new shell, with all lines typed again or only the last, yesterday's session goes on."""
    with new_shell(home, first_lines()) as address:
        text, cookie = visit(address)
    assert text == "Visits so far: 1\n"

    with new_shell(home, first_lines()[forgotten:]) as address:
        assert visit(address, cookie) == ("Visits so far: 2\n", cookie)
    assert stat.S_IMODE((home / "session-secret").stat().st_mode) == 0o600


@pytest.mark.parametrize("program", EXAMPLES)
def test_missing_secret_is_told_with_the_command_that_makes_it(tmp_path: Path, program: str) -> None:
    """By every program that reads one, and before it has made anything else."""
    command = [sys.executable, "-c", f"import {program}; getattr({program}, 'wrapped', int)()"]
    variables = {**os.environ, "PYTHONPATH": str(dev.ROOT / "examples")}
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)

    assert done.returncode == 1
    assert "No such file or directory: 'session-secret'" in done.stderr
    assert "python -m sessionware secret --file session-secret" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_taken_port_is_one_line(home: Path) -> None:
    """Which says what to type instead."""
    with new_shell(home, first_lines()) as address:
        port = re.findall(r":(\d+)/", address)[0]
        done = subprocess.run([sys.executable, "minimal.py", port], cwd=home, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"Port {port}: .+ python minimal\.py {int(port) + 1}\n", done.stderr)


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], dict[str, Any]]:
    """Puts one of README's programs in the place of the first one's functions, as it says, and returns all names."""
    monkeypatch.chdir(home)
    assert shlex.split(first_lines()[0], comments=True)[:3] == ["python", "-m", "sessionware"]
    cli.main(shlex.split(first_lines()[0], comments=True)[3:])

    def run(number: int) -> dict[str, Any]:
        namespace: dict[str, Any] = {"__name__": "minimal"}
        exec(MINIMAL, namespace)
        exec(PROGRAMS[number], namespace)
        return namespace

    return run


def test_session_page_shows_what_its_lines_have_done(run: Callable[[int], dict[str, Any]]) -> None:
    """At the second look all of it."""
    visitor = TestApp(run(1)["wrapped"]())
    visitor.get("/")

    assert visitor.get("/").text == "2 visits, ['tea', 'tea'], ['Welcome back!']\n"


def test_login_page_leads_through_a_registration(run: Callable[[int], dict[str, Any]]) -> None:
    """And greets the new account."""
    visitor = TestApp(run(2)["wrapped"]())
    form = visitor.get("/").follow().click(href="/register").form
    form["username"], form["password"] = "Ada", "seven quiet lanterns drift"

    assert form.submit().follow().text == "Hello Ada. You log out at /logout.\n"


def test_programs_that_serve_nothing_print_something(
    run: Callable[[int], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A login without a browser, and Ada's sessions, before there is one and afterwards."""
    run(3)
    run(4)
    TestApp(run(2)["wrapped"]()).post("/register", {"username": "Ada", "password": "seven quiet lanterns drift"})
    run(4)

    logged_in, nobody, sessions, export, ended = capsys.readouterr().out.splitlines()
    assert (logged_in, nobody, ended) == ("Ada", "Nobody has registered as Ada.", "1")
    assert sessions.startswith("[SessionInfo(")
    assert "'Ada'" in export
