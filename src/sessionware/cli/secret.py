"""`secret`: make the secret that sessions are sealed with."""

from __future__ import annotations

import os
import secrets
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..errors import ConfigError
from ._command import Command
from ._output import say


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--file", metavar="PATH", type=Path, help="keep it in this file, unless the file is there already"
    )


def _run(options: Namespace) -> None:
    """Print 256 random bits, as 43 characters that need no quoting in a shell, an ini file or a URL."""
    secret = secrets.token_urlsafe(32)
    say(secret if options.file is None else _kept(secret, options.file))


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


COMMAND = Command(
    name="secret",
    summary="print a fresh server secret",
    description="Print a fresh server secret, or keep one in a file.",
    examples=("secret", "secret --file session-secret"),
    add_arguments=_add_arguments,
    run=_run,
)
