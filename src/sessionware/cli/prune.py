"""`prune`: remove what has expired."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from contextlib import nullcontext
from itertools import accumulate, chain

from .._core.shelf import with_library_namespaces
from .._core.upkeep import prune_batches
from ._arguments import add_json, add_namespace, add_url, store_in
from ._command import Command
from ._output import say, say_json, warnings_kept
from ._progress import progress


def _add_arguments(parser: ArgumentParser) -> None:
    add_url(parser)
    add_namespace(parser)
    add_json(parser)
    parser.add_argument("--quiet", action="store_true", help="print nothing, unless it fails")


def _run(options: Namespace) -> None:
    with warnings_kept() if options.quiet else nullcontext():  # cron would mail them every day
        _prune(options)


def _prune(options: Namespace) -> None:
    store, began, total = store_in(options), time.monotonic(), 0
    batches = (prune_batches(each, int(time.time())) for each in with_library_namespaces(store))
    with progress(options, "records removed") as tell:
        for total in accumulate(chain.from_iterable(batches)):
            tell(total)
    if options.json:
        say_json({"removed": total, "seconds": round(time.monotonic() - began, 3)})
    elif not options.quiet:
        say(str(total))


COMMAND = Command(
    name="prune",
    summary="remove expired sessions",
    description=(
        "Remove expired sessions, and what the library keeps beside them, such as the counts of failed logins, and\n"
        "print how many records there were. The site may run meanwhile."
    ),
    examples=(
        "prune sqlite:////var/lib/mysite/sessions.db",
        "prune postgresql://mysite@localhost/mysite --json",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
