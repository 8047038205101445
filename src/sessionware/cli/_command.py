"""What a command is, and the parser that finds it."""

from __future__ import annotations

import argparse
import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from .._hidden import Hidden
from .._urls import shown
from .._version import __version__

PROGRAM = "sessionware"


class UsageError(Exception):
    """Something is missing on the command line, or two things there do not go together: exit code 2."""


class CommandFailed(Exception):
    """What was asked could not be done: exit code 1."""


class Command(NamedTuple):
    """One word of the command line."""

    name: str
    summary: str
    """A few words for the list of commands."""
    description: str
    examples: tuple[str, ...]
    """What to write behind `sessionware`. Tests run every one of them."""
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int | None]
    """Does it, and returns the exit code, or None for 0."""


def parser(commands: Sequence[Command]) -> _Parser:
    """The parser for all of the command line."""
    top = _Parser(prog=PROGRAM, description="Sessions for WSGI applications.", allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    words = top.add_subparsers(metavar="COMMAND", required=True)
    for command in commands:
        one = words.add_parser(
            command.name,
            help=command.summary,
            description=command.description,
            epilog=_shown(command.examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_arguments(one)
        one.set_defaults(run=command.run)
    return top


def _shown(examples: Sequence[str]) -> str:
    return textwrap.indent("\n".join(f"{PROGRAM} {example}" for example in examples), "  ", lambda _: True).join(
        ("examples:\n", "")
    )


class _Parser(ArgumentParser):
    """Says what is wrong in one line; argparse would print the usage above it, and words that may hold a password."""

    def options_in(self, arguments: Sequence[str] | None) -> Namespace:
        """What the arguments say, or the end of the process. Without `arguments`, those of the process."""
        options, rest = self.parse_known_args(arguments)
        if rest:
            self._refuse(f"unrecognized arguments: {' '.join(map(_masked, ['', *rest], rest))}")
        return options

    def error(self, message: str) -> NoReturn:
        start, is_url, _ = message.partition("://")  # where it ends cannot be told
        self._refuse(f"{start}{is_url and '://…'}")

    def _refuse(self, message: str) -> NoReturn:
        self.exit(2, f"{PROGRAM}: {message} (try --help)\n")


def _masked(before: str, word: str) -> str:
    """A word that is one too many, without what may be secret: an option's value, or a login in a URL."""
    if word.startswith("-"):
        return word.partition("=")[0] if word.startswith("--") else word[:2]
    if before.startswith("-") or ("@" in word and "://" not in word):
        return "…"
    return shown(Hidden(word)) if "://" in word else word
