"""Who hears that the file or directory of a store is another one than before."""

from __future__ import annotations

import logging
from collections.abc import Callable

ReplacedHook = Callable[[str], None]

_logger = logging.getLogger("sessionware")


def log_replaced(detail: str) -> None:
    """For those that no `SessionManager` listens to, such as tables of accounts."""
    _logger.warning("store.replaced detail=%a", detail)
