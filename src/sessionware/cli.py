"""The command line: `python -m sessionware WORD`, also installed as `sessionware`.

What a program might read goes to standard output. An error is one line on standard error. The exit code is 0 for
success, 1 for failure and 2 for a command that is not understood.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from ._core.records import prune_all
from .errors import SessionwareError
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
    words = parser.add_subparsers(metavar="WORD", required=True)

    secret = words.add_parser("secret", help="print a fresh server secret", description="Print a fresh server secret.")
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


def _secret(options: argparse.Namespace) -> None:  # noqa: ARG001  (every command is called with the options)
    """Print 256 random bits, as 43 characters that need no quoting in a shell, an ini file or a URL."""
    print(secrets.token_urlsafe(32), flush=True)


def _prune(options: argparse.Namespace) -> None:
    print(prune_all(open_existing_store(options.url), int(time.time())), flush=True)
