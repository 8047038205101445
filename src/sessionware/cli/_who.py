"""Whose sessions a command is about."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any

from .._storable import checked_id
from ..auth.users import open_existing_users
from ..auth.users.base import User
from ..usernames import username_key
from ._arguments import closed_at_end, url_in
from ._command import CommandFailed, UsageError
from ._output import note


def add_who(parser: ArgumentParser) -> None:
    """One of three ways to say whose sessions, or which one."""
    ways = parser.add_mutually_exclusive_group(required=True)
    ways.add_argument("--user-id", metavar="ID", type=_text, help="those of the account with this id")
    ways.add_argument(
        "--username",
        metavar="NAME",
        type=_text,
        help="those of the account with this name, which --users finds; without --users, those logged in by name alone",
    )
    ways.add_argument("--id", metavar="ID", type=session_id, help="this session, by its id as it stands in logs")
    parser.add_argument(
        "--users",
        metavar="URL",
        nargs="?",
        const="",
        help="the table of accounts, such as sqlite:///app.db or env:NAME. Without a URL: that of the store",
    )


def check_who(options: Namespace) -> None:
    """Raise `UsageError` for what does not go together."""
    if options.users is not None and options.username is None:
        raise UsageError("--users finds the account of a --username, and there is none")


def account(options: Namespace) -> User | None:
    """The account with the name, if there is a table to look it up in. Raises `CommandFailed` if it is not there."""
    if options.users is None:
        return None
    key = username_key(options.username)
    users = closed_at_end(options, open_existing_users(url_in(options.users or options.url)))
    found = None if key is None else users.find_by_key(key)
    if found is None:
        raise CommandFailed(f"there is no account {options.username!r}")
    return found


def owner(options: Namespace) -> dict[str, Any]:
    """Whose sessions, as the methods of `SessionManager` take it."""
    if options.user_id is not None:
        return {"user_id": options.user_id}
    found = account(options)
    if found is not None:
        return {"user": found}
    note("without --users, only sessions logged in by name alone are found, and none of an account")
    return {"username": options.username}


def session_id(text: str) -> str:
    """A session's id as `SessionManager.end` takes it."""
    try:
        is_id = len(bytes.fromhex(text)) == 16
    except ValueError:
        is_id = False
    if not is_id:
        raise ArgumentTypeError(f"a session's id is 32 hexadecimal digits, not {text!r}")
    return text


def _text(text: str) -> str:
    try:
        return checked_id(text, "it")
    except (TypeError, ValueError) as error:
        raise ArgumentTypeError(str(error)) from None
