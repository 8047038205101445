"""What the hammer is to do, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Plan:
    """What to do."""

    store: str = "sqlite"
    requests: int = 20_000
    kills: int = 50
    strikes: int = 0
    """How often the database server is killed, or its connections are ended."""
    seed: int = 1
    threads: int = 12
    workers: int = 3
    patience: float = 600.0
    """Seconds after which it stops, and says so."""


class HammerResult(NamedTuple):
    """What was done, and what went wrong: each case with all that it takes to look into it."""

    store: str
    requests: int
    acknowledged: int
    unknown: int
    conflicts: int
    """Requests that were answered with a 503, after which a write must not be there."""
    outages: int
    """Requests that were answered with a 503 because the store failed, after which a write may be there."""
    retries: int
    """How often an increment was computed again because another request got in between."""
    overtaken: int
    """Writes that were dropped, as their page said, because of a login or an end."""
    sessions: int
    ended: int
    kills: int
    restarts: int
    strikes: int
    seconds: float
    lost: tuple[str, ...]
    """Acknowledged and not there."""
    revived: tuple[str, ...]
    """Ended, or behind an older token, and seen again."""
    faults: tuple[str, ...]
    """All else that is not as it should be."""
    astray: tuple[str, ...]
    """Outages while the database server was there. On a machine that is too busy, there are some."""

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.revived or self.faults)
