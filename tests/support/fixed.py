"""What stays as it is: a secret that every test may use, and a clock that stands still until it is told to move."""

from __future__ import annotations

SECRET = "correct horse battery staple, and then some more of it"


class Clock:
    """A clock that moves only when told to. Called, it gives the time, as `time.time` does."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        """Let this much time pass."""
        self.now += seconds
