"""How far a command has come: shown on a terminal, and nowhere else."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from sessionware import Record, open_store

#: The command line, with or without tqdm.
PROGRAM = {
    "tqdm": "import sys; from sessionware.cli import main; sys.exit(main())",
    "plain": "import sys; sys.modules['tqdm'] = None; from sessionware.cli import main; sys.exit(main())",
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/sessions.db"
    store = open_store(url)
    for each in range(30):
        store.create(Record(each.to_bytes(16, "big"), 1, 10, None, b""))
    return url


def on_a_terminal(kind: str, *arguments: str) -> tuple[str, str]:
    """What the command prints to standard output, a pipe, and what it paints on its terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    try:
        command = [sys.executable, "-c", PROGRAM[kind], *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True, timeout=60)
        os.write(theirs, b"end")
        painted = b""
        while not painted.endswith(b"end"):
            painted += os.read(ours, 1000)
    finally:
        os.close(ours)
        os.close(theirs)
    return done.stdout, painted.decode().removesuffix("end")


def test_a_terminal_shows_how_far_it_is(url: str) -> None:
    """With tqdm. At the end the line is empty again, and the result stands alone."""
    out, painted = on_a_terminal("tqdm", "prune", url)

    assert out == "30\n"
    assert "records removed" in painted
    assert painted.rsplit("\r", 1)[-1].replace("\x1b[K", "").strip() == ""


@pytest.mark.parametrize("kind", PROGRAM)
def test_output_for_programs_comes_without_progress(kind: str, url: str) -> None:
    """Even on a terminal."""
    out, painted = on_a_terminal(kind, "prune", url, "--json")

    assert '"removed": 30' in out
    assert painted == ""


@pytest.mark.parametrize("kind", PROGRAM)
def test_a_pipe_gets_no_progress(kind: str, url: str) -> None:
    """It would fill a log."""
    command = [sys.executable, "-c", PROGRAM[kind], "prune", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert (done.stdout, done.stderr) == ("30\n", "")


def test_a_terminal_without_tqdm_shows_the_result_alone(url: str) -> None:
    """A line of our own would be wrong on many terminals."""
    assert on_a_terminal("plain", "prune", url) == ("30\n", "")
