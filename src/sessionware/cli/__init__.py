"""The command line: `python -m sessionware COMMAND`, also installed as `sessionware`.

Each command is a module with a `COMMAND`, and what they share begins with an underscore. What a program might read goes
to standard output. An error is one line on standard error. The exit code is 0 for success, 1 for failure, 2 for a
command that is not understood or lacks something, and 130 after Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from ..errors import SessionwareError
from . import check, copy, ddl, prune, revoke, secret, sessions, stats
from ._command import CommandFailed, UsageError, parser
from ._output import note, warnings_as_notes

#: As `--help` lists them. A new command is a module and a word here.
COMMANDS = tuple(module.COMMAND for module in (secret, check, ddl, stats, prune, sessions, revoke, copy))

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Without `arguments`, take those of the process."""
    _open_what_is_closed()
    try:
        try:
            with warnings_as_notes() as told:
                return _run(arguments, told)
        finally:
            sys.stdout.flush()  # here, where it can still be an error that the output does not fit on the disk
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        _drop_output()
        return 1
    except OSError as error:
        _drop_output()
        note(str(error))
        return 1


def _run(arguments: Sequence[str] | None, told: Collection[str]) -> int:
    options = parser(COMMANDS).options_in(arguments)
    try:
        with ExitStack() as options.at_end:
            return options.run(options) or 0
    except UsageError as error:
        note(f"{error} (try --help)")
        return 2
    except (SessionwareError, CommandFailed) as error:
        if str(error) not in told:  # a store that cannot be reached warns of that, and then fails in use
            note(str(error))
        return 1


def _open_what_is_closed() -> None:
    """Let output go nowhere that was closed by `>&-`. Else a database could be opened in its place."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the process ends


def _drop_output() -> None:
    """What is still to be printed goes nowhere, or Python would try again at its end, and complain a second time."""
    with suppress(OSError, ValueError):  # a test's standard output is not a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
