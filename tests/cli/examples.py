"""The examples of the command line, in `--help` and on its page, and a site on which they can be run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import dev
from sessionware import SessionManager, open_store
from sessionware.auth import User
from sessionware.auth.users import open_users
from sessionware.cli import COMMANDS
from tests.cli.kit import environment
from tests.support.fixed import SECRET

PAGE = dev.ROOT / "docs" / "command-line.md"

Opened = TypeVar("Opened")

#: What the examples call the places of a site.
STATE, CONFIGURATION = "/var/lib/mysite", "/etc/mysite"


def in_help() -> list[str]:
    """All of `--help`, each as one line for a shell."""
    return [f"sessionware {example}" for command in COMMANDS for example in command.examples]


def on_page() -> str:
    """All of the page's, as one script."""
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return "".join(line.removeprefix("$ ") + "\n" for block in blocks for line in block.splitlines())


def make_site(directory: Path, *urls: str) -> None:
    """Sessions and accounts in each of these stores that can hold them, and a secret."""
    (directory / "secret").write_text(SECRET)
    databases = [url for url in urls if not url.startswith(("file:", "redis:"))]
    with ExitStack() as at_end:
        people = [User("7", "bob", "Bob", None)]
        for url in databases:
            people.append(opened(at_end, open_users(url)).add("ada", "Ada", None, {}))
        for url in urls:
            manager = SessionManager(SECRET, opened(at_end, open_store(url)))
            for person in people:
                manager.login_cookie(person)


def opened(at_end: ExitStack, thing: Opened) -> Opened:
    """A store or a table whose connections are closed in the end."""
    at_end.callback(getattr(thing, "close", lambda: None))
    return thing


def run(script: str, directory: Path, places: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a script with these places instead of those that it names, in a site's environment."""
    command = f"{shlex.quote(sys.executable)} -m sessionware"
    script = re.sub(r"^(python -m )?sessionware\b", command, script, flags=re.MULTILINE)
    for place, ours in {**places, STATE: str(directory), CONFIGURATION: str(directory)}.items():
        script = script.replace(place, ours)
    environ = environment(SESSIONWARE_SECRET_FILE=str(directory / "secret"))
    return subprocess.run(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", script],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
