"""Events: what happened to a session or an account, told to one callable and to the logger `sessionware`.

No event carries a secret, a cookie, a password, a token or a stored value; keys are named, their values are not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger("sessionware")

#: What an operator should look at; every other event is logged as information.
WARNINGS = frozenset(
    {
        "conflict",
        "cookie_conflict",
        "corrupt",
        "cross_origin",
        "late_read",
        "store_unavailable",
        "token_replayed",
        "unknown_key",
        "write_discarded",
        "csrf.blocked",
        "login.busy",
        "login.throttled",
    }
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    `session_id` is the handle (hex), never the cookie. `keys` are names of session keys. `account` is a user name's
    key if the account exists, else a digest; `client` is an address. `at` is in whole seconds since the epoch.
    """

    name: str
    at: int
    session_id: str | None = None
    keys: tuple[str, ...] = ()
    user_id: str | None = None
    account: str | None = None
    client: str | None = None
    detail: str = ""


class Events:
    """Tells events to the application's hook, if there is one, and to the log."""

    def __init__(self, on_event: Callable[[Event], None] | None = None, clock: Callable[[], float] = time.time) -> None:
        self._hook = on_event
        self._clock = clock

    def tell(
        self,
        name: str,
        *,
        session_id: str | None = None,
        keys: tuple[str, ...] = (),
        user_id: str | None = None,
        account: str | None = None,
        client: str | None = None,
        detail: str = "",
    ) -> None:
        """Tell that `name` happened. Never raises: a hook that fails is logged, for telling changes no outcome."""
        level = logging.WARNING if name in WARNINGS else logging.INFO
        if self._hook is None and not logger.isEnabledFor(level):
            return
        event = Event(name, int(self._clock()), session_id, keys, user_id, account, client, detail)
        logger.log(level, "%s", _line(event))
        if self._hook is not None:
            try:
                self._hook(event)
            except Exception:
                logger.exception("on_event failed for %r", name)


def _line(event: Event) -> str:
    """One log line. Values are written as by `ascii`, so that no line break in one can forge a second line."""
    fields = ("session_id", "keys", "user_id", "account", "client", "detail")
    told = ((field, getattr(event, field)) for field in fields)
    return " ".join([event.name, *(f"{field}={value!a}" for field, value in told if value)])
