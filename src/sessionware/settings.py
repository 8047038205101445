"""What all requests of one middleware share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .cookie_reader import CookieReader
from .events import Events
from .keyring import Keyring
from .records import Records
from .timeouts import Lifetimes


@dataclass(frozen=True)
class Settings:
    """The parts that a `SessionMiddleware` is built of, as its sessions need them."""

    records: Records
    keyring: Keyring
    lifetimes: Lifetimes
    events: Events
    cookies: CookieReader
    is_foreign: Callable[[Mapping[str, Any]], bool]
    check_setup: Callable[[Mapping[str, Any]], None]
    """Called before a cookie is sent, to warn of what will keep it from coming back."""
