"""What the tests of the command line share: a site that is looked after, and the command as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sessionware import SessionManager, Store, open_store
from sessionware.auth import SQLiteUsers, User
from sessionware.cli import main
from tests.support.fixed import SECRET

OTHER_SECRET = "another secret, which is not the one that this site has"


class FileSite:
    """A site whose sessions and accounts are in one SQLite file, unless it is given another store."""

    def __init__(self, directory: Path, url: str | None = None) -> None:
        self.directory = directory
        self.url = url or f"sqlite:///{directory}/site.db"
        self.store: Store = open_store(self.url)
        self.users = SQLiteUsers(directory / "site.db")
        self.manager = SessionManager(SECRET, self.store)
        self.secret_file = directory / "secret"
        self.secret_file.write_text(SECRET)
        self.other_secret_file = directory / "other-secret"
        self.other_secret_file.write_text(OTHER_SECRET)

    @property
    def secret(self) -> list[str]:
        return ["--secret-file", str(self.secret_file)]

    @property
    def other_secret(self) -> list[str]:
        return ["--secret-file", str(self.other_secret_file)]

    def account(self, name: str) -> User:
        return self.users.add(name, name, None, {})

    def log_in(self, who: User | str) -> None:
        self.manager.login_cookie(who)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process: its exit code, and what it printed to each side."""
    capsys.readouterr()
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    return code, *capsys.readouterr()


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Run a command with `--json`, which must succeed, and return what it printed."""
    code, out, _ = run(capsys, *arguments, "--json")
    assert code == 0
    return json.loads(out)


def process(*arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own."""
    return subprocess.run(
        command(*arguments), **{"capture_output": True, "text": True, "check": False, "timeout": 60, **settings}
    )


def process_without(package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command where this package is not installed."""
    program = "import sys; sys.modules[sys.argv.pop(1)] = None; from sessionware.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", program, package, *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sessionware", *arguments]


def environment(**variables: str) -> Mapping[str, str]:
    """The environment of this process, with these variables."""
    return {**os.environ, **variables}
