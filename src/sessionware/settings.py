"""What all requests of one middleware share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .events import Events
from .keyring import Keyring
from .records import Records
from .ticket import Ticket
from .timeouts import Lifetimes


@dataclass(frozen=True)
class Settings:
    """The parts that a `SessionMiddleware` is built of, as its sessions need them."""

    records: Records
    keyring: Keyring
    lifetimes: Lifetimes
    events: Events
    read_ticket: Callable[[Mapping[str, Any]], Ticket | None]
    is_foreign: Callable[[Mapping[str, Any]], bool]
