"""The records that the contract of stores works with. Most expire within a few hours of the present."""

from __future__ import annotations

import time
from typing import Any

from ..stores.base import Record

HOUR = 3600
DAY = 24 * HOUR

#: Seconds for which a store may keep an expired record.
SLACK = 2 * HOUR

#: The real present, because a store that lets its medium expire records, with slack, goes by the real clock as well.
NOW = int(time.time())

ALICE = b"alice".ljust(16, b"\0")
BOB = b"bob".ljust(16, b"\0")


def id_of(number: int) -> bytes:
    """Ids are in the order of their numbers."""
    return number.to_bytes(16, "big")


def owner_of(number: int) -> bytes:
    """One owner for each number, as long as every owner is."""
    return (b"owner %d" % number).ljust(16, b"\0")


def a_record(number: int = 1, **fields: Any) -> Record:
    """A record that expires in an hour, with these fields instead."""
    return Record(id_of(number), 1, NOW + HOUR, None, b"payload")._replace(**fields)
