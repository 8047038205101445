"""The command line: `python -m sessionware WORD`, also installed as `sessionware`.

What a program might read goes to standard output. An error is one line on standard error. The exit code is 0 for
success, 1 for failure and 2 for a command that is not understood.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ._core.records import prune_all
from ._version import __version__
from .errors import ConfigError, SessionwareError
from .stores import open_existing_store

PROGRAM = "sessionware"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Without `arguments`, take those of the process."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (SessionwareError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description="Sessions for WSGI applications.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    words = parser.add_subparsers(metavar="WORD", required=True)

    secret = words.add_parser("secret", help="print a fresh server secret", description="Print a fresh server secret.")
    secret.add_argument(
        "--file", metavar="PATH", type=Path, help="keep it in this file, unless the file is there already"
    )
    secret.set_defaults(run=_secret)

    prune = words.add_parser(
        "prune", help="remove expired sessions", description="Remove expired sessions, and print how many there were."
    )
    prune.add_argument(
        "url", metavar="URL", help="the store, such as sqlite:///sessions.db or file:///var/lib/sessions"
    )
    prune.set_defaults(run=_prune)
    return parser


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; argparse would print the usage above it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{PROGRAM}: {message} (try --help)\n")


def _secret(options: argparse.Namespace) -> None:
    """Print 256 random bits, as 43 characters that need no quoting in a shell, an ini file or a URL."""
    secret = secrets.token_urlsafe(32)
    print(secret if options.file is None else _kept(secret, options.file), flush=True)


def _kept(secret: str, file: Path) -> str:
    """Write the secret into a new file that only its owner can read. One that is there stays: sessions depend on it."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileNotFoundError:
        raise ConfigError(f"{file} cannot be made. Create the directory {file.parent} first.") from None
    except FileExistsError:
        if not file.is_file():
            raise ConfigError(f"{file} is not a file. Give the path of one that does not exist yet.") from None
        if not file.stat().st_size:
            raise ConfigError(f"{file} is empty. Remove it, and run this again.") from None
        return f"{file} is there already, and stays as it is."
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(secret + "\n")
    return f"{file} holds a new secret. Keep it: no session can be opened without it."


def _prune(options: argparse.Namespace) -> None:
    print(prune_all(open_existing_store(options.url), int(time.time())), flush=True)
