"""What every test may use: a clock that stands still, and a secret."""

from __future__ import annotations

import hypothesis
import pytest

SECRET = "correct horse battery staple, and then some more of it"

# How long an example takes depends on the machine, so no test fails for it.
hypothesis.settings.register_profile("sessionware", deadline=None)
hypothesis.settings.load_profile("sessionware")


class Clock:
    """A clock that moves only when told to. Called, it gives the time, as `time.time` does."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        """Let this much time pass."""
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()
