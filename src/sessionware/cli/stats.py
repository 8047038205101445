"""`stats`: count the sessions."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ._arguments import add_json, add_namespace, add_secret, add_url, manager_in
from ._command import Command
from ._output import say_json, say_table
from ._progress import progress
from ._sealed import tell_unopened


def _add_arguments(parser: ArgumentParser) -> None:
    add_url(parser)
    add_secret(parser)
    add_namespace(parser)
    add_json(parser)


def _run(options: Namespace) -> None:
    manager = manager_in(options)
    with progress(options, "records read") as tell:
        counts = manager.stats(progress=tell)
    tell_unopened(counts["unknown_key"], counts["live"] + counts["tombstones"])
    if options.json:
        say_json(counts)
    else:
        width = max(len(f"{count:,}") for count in counts.values())
        say_table([(name.replace("_", " "), f"{count:,}".rjust(width)) for name, count in counts.items()])


COMMAND = Command(
    name="stats",
    summary="count the sessions",
    description=(
        "Count the sessions, by reading all of them: the live ones, how many of those are logged in and how many were\n"
        "sealed by a secret that was not given (unknown key), those that have expired and were not removed yet, and\n"
        "what is left for a moment of ended ones (tombstones). Throttle and tokens are records that the library keeps\n"
        "beside the sessions. Bytes are those of all payloads."
    ),
    examples=(
        "stats sqlite:////var/lib/mysite/sessions.db --secret-file /etc/mysite/secret",
        "stats postgresql://mysite@localhost/mysite --json",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
