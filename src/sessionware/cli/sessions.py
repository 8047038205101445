"""`sessions`: show where somebody is logged in."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from typing import Any

from .._core.envelope import Stored, open_record
from ..manager import SessionManager
from ..session_info import SessionInfo, info_of
from ._arguments import add_json, add_namespace, add_secret, add_url, manager_in
from ._command import Command
from ._output import local_time, note, say_json, say_table
from ._sealed import check_secret
from ._who import add_who, check_who, owner

_TIMES = ("authenticated_at", "last_used_at", "expires_at")


def _add_arguments(parser: ArgumentParser) -> None:
    add_url(parser)
    add_who(parser)
    add_secret(parser)
    add_namespace(parser)
    add_json(parser)


def _run(options: Namespace) -> None:
    check_who(options)
    manager = manager_in(options)
    check_secret(manager)
    infos = manager.of(**owner(options)) if options.id is None else _by_id(manager, bytes.fromhex(options.id))
    if options.json:
        say_json([_fields(info) for info in infos])
    elif infos:
        say_table([("id", *map(_title, _TIMES), "from"), *map(_row, infos)])
    else:
        note("there is no such session")


def _by_id(manager: SessionManager, id: bytes) -> list[SessionInfo]:
    site, now = manager._site, int(time.time())
    record = site.records.store.load(id, now)
    opened = None if record is None else open_record(site.keys.record, record, site.records.path)
    if not isinstance(opened, Stored) or opened.envelope.is_tombstone:
        return []
    info = info_of(opened, site.limits)
    return [info] if info.expires_at > now else []


def _title(name: str) -> str:
    return {"authenticated_at": "logged in", "last_used_at": "last used", "expires_at": "expires"}[name]


def _row(info: SessionInfo) -> list[Any]:
    place = ", ".join(filter(None, (info.device, info.client)))
    return [info.id, *(local_time(getattr(info, name)) for name in _TIMES), place]


def _fields(info: SessionInfo) -> dict[str, Any]:
    named = {name: getattr(info, name) for name in ("id", *_TIMES, "device", "client")}
    return {**named, "methods": dict(info.methods)}


COMMAND = Command(
    name="sessions",
    summary="show where somebody is logged in",
    description=(
        "Show where somebody is logged in, the latest login first. A session's id ends it (revoke), and opens nothing."
    ),
    examples=(
        "sessions sqlite:////var/lib/mysite/sessions.db --user-id 7 --secret-file /etc/mysite/secret",
        "sessions sqlite:////var/lib/mysite/sessions.db --username ada --users sqlite:////var/lib/mysite/app.db",
        "sessions postgresql://mysite@localhost/mysite --username ada --users --json",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
