"""The records with which the contract of stores works. All expire within some hours of the present."""

from __future__ import annotations

import time
from typing import Any

from ..stores.base import Record

HOUR = 3600
DAY = 24 * HOUR

#: For so long a store may leave an expired record.
SLACK = 2 * HOUR

#: The real present: a store that lets its medium expire records, with slack, goes by the real clock as well.
NOW = int(time.time())

ALICE = b"alice".ljust(16, b"\0")
BOB = b"bob".ljust(16, b"\0")


def id_of(number: int) -> bytes:
    """Ids are in the order of their numbers."""
    return number.to_bytes(16, "big")


def a_record(number: int = 1, **fields: Any) -> Record:
    """A record that expires in an hour, with these fields instead."""
    return Record(id_of(number), 1, NOW + HOUR, None, b"payload")._replace(**fields)
