"""`check`: see whether a store does what it should, from where the site runs."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .._core.copy_mark import MARK_NAMESPACE, is_marked
from .._hidden import Hidden
from .._urls import shown
from ..auth.users import open_existing_users
from ..auth.users.base import Users
from ..errors import ConfigError, SessionwareError
from ..stores import open_existing_store
from ..stores.base import Record, Store
from ._arguments import add_json, add_namespace, add_url, closed_at_end, store_in, url_in
from ._command import Command, CommandFailed
from ._output import note, say_json, say_table, warnings_kept
from ._versions import versions

#: Seconds for which the record stays if it cannot be removed.
_LIFE = 60

_MARKED = (
    "a copy into this store is under way: let no site use it before `sessionware copy FROM TO --final` has been run. "
    "If one uses it already and is to stay here, run `sessionware copy FROM TO --abandon`"
)


def _add_arguments(parser: ArgumentParser) -> None:
    add_url(parser)
    add_namespace(parser)
    parser.add_argument(
        "--users",
        metavar="URL",
        nargs="?",
        const="",
        help="try the table of accounts too; without a URL, that of the store",
    )
    add_json(parser)


def _run(options: Namespace) -> int:
    found: dict[str, Any] = {"ok": False, "store": shown(Hidden(url_in(options.url))).strip("'"), "problem": None}
    with warnings_kept() as warnings:
        try:
            _look(options, found, warnings)
            found["ok"] = True
        except (SessionwareError, CommandFailed, OSError) as error:  # OSError: a file system that is read-only
            found["problem"] = str(error)
    found["warnings"] = [text for text in warnings if text != found["problem"]]
    _tell(found, as_json=options.json)
    return 0 if found["ok"] else 1


def _look(options: Namespace, found: dict[str, Any], warnings: list[str]) -> None:
    store = store_in(options)
    found["namespace"] = "/".join(store.path)
    found["milliseconds"] = _in_milliseconds(tried(store, int(time.time()), time.perf_counter))
    found["versions"] = versions(Hidden(url_in(options.url)), store)
    if any(_is_marked(options, names) for names in {(), options.namespace}):
        warnings.append(_MARKED)
    if options.users is not None:
        users = closed_at_end(options, open_existing_users(url_in(options.users or options.url)))
        found["accounts"] = _in_milliseconds(tried_accounts(users, time.perf_counter))


def _in_milliseconds(calls: Iterable[tuple[str, float]]) -> dict[str, float]:
    return {name: round(1000 * seconds, 2) for name, seconds in calls}


def tried(store: Store, now: int, clock: Callable[[], float]) -> Iterator[tuple[str, float]]:
    """Do with one record what a site does, and yield each call's name and seconds.

    Raises `CommandFailed` at the first answer that is wrong, and whatever the store raises. The record's id is random,
    its payload means nothing, and in a minute it counts as expired.
    """
    first = Record(os.urandom(16), 1, now + _LIFE, os.urandom(16), os.urandom(400))
    second = first._replace(version=2, payload=os.urandom(400))
    calls: list[tuple[str, Callable[[], object], object]] = [
        ("create", lambda: store.create(first), True),
        ("load", lambda: store.load(first.id, now), first),
        ("replace", lambda: store.replace(second), True),
        ("load again", lambda: store.load(first.id, now), second),
        ("owned_by", lambda: store.owned_by(second.owner or b"", now), [second]),
        ("delete", lambda: store.delete(first.id), True),
        ("load at last", lambda: store.load(first.id, now), None),
    ]
    yield from _timed("the store", calls, clock)


def tried_accounts(users: Users, clock: Callable[[], float]) -> Iterator[tuple[str, float]]:
    """The same with one account. Its name is none that anybody could register, and it has no password."""
    name = f"sessionware check {os.urandom(8).hex()}"
    began = clock()
    account = users.add(name, name, None, {})
    yield "add", clock() - began
    calls: list[tuple[str, Callable[[], object], object]] = [
        ("find_by_key", lambda: users.find_by_key(name), account),
        ("set_active", lambda: users.set_active(account.id, False), True),
        ("get", lambda: (users.get(account.id) or account).is_active, False),
        ("delete", lambda: users.delete(account.id), True),
    ]
    yield from _timed("the table of accounts", calls, clock)


def _timed(
    of: str, calls: Iterable[tuple[str, Callable[[], object], object]], clock: Callable[[], float]
) -> Iterator[tuple[str, float]]:
    for name, call, expected in calls:
        began = clock()
        if call() != expected:
            raise CommandFailed(f"{name}() of {of} gave a wrong answer: does something else write to it?")
        yield name, clock() - began


def _is_marked(options: Namespace, names: tuple[str, ...]) -> bool:
    try:
        marks = open_existing_store(url_in(options.url), (*names, MARK_NAMESPACE))
        return is_marked(closed_at_end(options, marks), int(time.time()))
    except ConfigError:  # nothing was ever copied here
        return False


def _tell(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(found)
    else:
        rows = [("store", found["store"]), *found.get("versions", {}).items()]
        rows += [(name, f"{value} ms") for name, value in found.get("milliseconds", {}).items()]
        rows += [(f"accounts: {name}", f"{value} ms") for name, value in found.get("accounts", {}).items()]
        say_table(rows)
    if not as_json:
        for warning in found["warnings"]:
            note(f"warning: {warning}")
    if found["problem"] is not None:
        note(found["problem"])


COMMAND = Command(
    name="check",
    summary="try a store, and say what is wrong",
    description=(
        "Write, read, replace and delete one record, as a site would, and print how long each took, the versions of\n"
        "everything, and what a site should be warned of. Run it where the site runs, as the site's user."
    ),
    examples=(
        "check sqlite:////var/lib/mysite/sessions.db",
        "check postgresql://mysite@localhost/mysite --users",
        "check redis://localhost:6379/0 --json",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
