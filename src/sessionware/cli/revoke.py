"""`revoke`: end somebody's sessions, or one."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import datetime

from ._arguments import add_json, add_namespace, add_secret, add_url, manager_in
from ._command import Command, UsageError
from ._output import note, say, say_json
from ._sealed import check_secret
from ._who import add_who, check_who, owner


def _add_arguments(parser: ArgumentParser) -> None:
    add_url(parser)
    add_who(parser)
    parser.add_argument(
        "--before",
        metavar="TIME",
        type=_time,
        help="only sessions whose login is older than this: seconds since the epoch, or 2030-01-31T12:00:00",
    )
    add_secret(parser)
    add_namespace(parser)
    add_json(parser)


def _run(options: Namespace) -> None:
    check_who(options)
    if options.id is not None and options.before is not None:
        raise UsageError("--before is for all of somebody's sessions, not for one --id")
    manager = manager_in(options)
    check_secret(manager)
    if options.id is not None:
        ended = int(manager.end(options.id))
    else:
        ended = manager.end_all(**owner(options), before=options.before)
    if options.id is not None and not ended:
        note("there is no such session")
    if options.json:
        say_json({"ended": ended})
    else:
        say(str(ended))


def _time(text: str) -> int:
    """Seconds since the epoch. A time without an offset is this machine's, as `sessions` prints them."""
    if text.isascii() and text.isdigit() and len(text) < 12:
        return int(text)
    try:
        return int(datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone().timestamp())
    except (ValueError, OverflowError, OSError):
        raise ArgumentTypeError(
            f"{text!r} is not a time: write seconds since the epoch, or 2030-01-31T12:00:00"
        ) from None


COMMAND = Command(
    name="revoke",
    summary="log somebody out",
    description=(
        "End all of somebody's sessions, or one, and print how many there were. Their browsers are told that an\n"
        "administrator ended them. Nothing else changes: whoever knows the password can log in again."
    ),
    examples=(
        "revoke sqlite:////var/lib/mysite/sessions.db --user-id 7 --secret-file /etc/mysite/secret",
        "revoke postgresql://mysite@localhost/mysite --username ada --users --before 2030-01-31T12:00:00",
        "revoke sqlite:////var/lib/mysite/sessions.db --id 00112233445566778899aabbccddeeff",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
