"""Events: what happened to a session or an account, reported to one callable and to the logger `sessionware`.

No event carries a secret, a cookie, a password, a token or a stored value. Keys are named, but not their values.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ._repr import shown_half_built

_logger = logging.getLogger("sessionware")

EventName = Literal[
    "session.created",
    "session.login",
    "session.renewed",
    "session.ended",
    "session.expired",
    "session.overwritten",
    "session.write_discarded",
    "session.token_replayed",
    "session.cookie_conflict",
    "session.cross_origin",
    "session.late_read",
    "session.moved",
    "record.corrupt",
    "record.unknown_key",
    "cookie.unknown_key",
    "store.unavailable",
    "store.conflict",
    "store.replaced",
    "login.succeeded",
    "login.failed",
    "login.throttled",
    "login.busy",
    "login.required",
    "login.confirmed",
    "login.confirm_failed",
    "login.new_device",
    "login.ended",
    "login.legacy_failed",
    "login.unusable_hash",
    "account.registered",
    "account.name_taken",
    "account.rehashed",
    "account.password_changed",
    "account.renamed",
    "account.disabled",
    "account.enabled",
    "account.deleted",
    "account.reset_requested",
    "account.reset",
    "policy.unavailable",
    "send.failed",
    "send.dropped",
    "csrf.blocked",
]
"""Every event there is."""

#: Logged as warnings, because an operator should look at them. Every other event is logged as information.
WARNINGS: frozenset[EventName] = frozenset(
    {
        "session.write_discarded",
        "session.token_replayed",
        "session.cookie_conflict",
        "session.cross_origin",
        "session.late_read",
        "record.corrupt",
        "record.unknown_key",
        "cookie.unknown_key",
        "store.unavailable",
        "store.conflict",
        "store.replaced",
        "login.throttled",
        "login.busy",
        "login.confirm_failed",
        "login.legacy_failed",
        "login.unusable_hash",
        "policy.unavailable",
        "send.failed",
        "send.dropped",
        "csrf.blocked",
    }
)


@shown_half_built
@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Args:
        name: What happened.
        at: When it happened, in whole seconds since the epoch.
        session_id: The session's handle (hex), never the cookie.
        keys: Names of session keys.
        user_id: The id of the user.
        account: The username's key if the account exists, else a digest.
        client_address: The address of the client.
        detail: More about it.
    """

    name: EventName
    at: int
    session_id: str | None = None
    keys: tuple[str, ...] = ()
    user_id: str | None = None
    account: str | None = None
    client_address: str | None = None
    detail: str = ""


class Events:
    """Passes events to the application's hook, if there is one, and to the log."""

    def __init__(self, on_event: Callable[[Event], None] | None, clock: Callable[[], float]) -> None:
        self._hook = on_event
        self._clock = clock

    def are_heard(self, name: EventName) -> bool:
        """Whether anybody would learn of an event of this name."""
        return self._hook is not None or _logger.isEnabledFor(_level(name))

    def emit(
        self,
        name: EventName,
        *,
        session_id: str | None = None,
        keys: tuple[str, ...] = (),
        user_id: str | None = None,
        account: str | None = None,
        client_address: str | None = None,
        detail: str = "",
    ) -> None:
        """Report that `name` happened. Never raises: a hook that fails is logged, because events change no results."""
        if not self.are_heard(name):
            return
        event = Event(name, int(self._clock()), session_id, keys, user_id, account, client_address, detail)
        _logger.log(_level(name), "%s", _line(event))
        if self._hook is not None:
            try:
                self._hook(event)
            except Exception:
                _logger.exception("on_event failed for %r", name)


def _level(name: EventName) -> int:
    return logging.WARNING if name in WARNINGS else logging.INFO


def _line(event: Event) -> str:
    """One log line. Values are escaped as by `ascii`, so that a line break in one cannot forge a second line."""
    fields = ("session_id", "keys", "user_id", "account", "client_address", "detail")
    told = ((field, getattr(event, field)) for field in fields)
    return " ".join([event.name, *(f"{field}={value!a}" for field, value in told if value)])
