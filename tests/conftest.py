"""What holds for every test: how hypothesis works, and a clock to ask for."""

from __future__ import annotations

import hypothesis
import pytest

from tests.support.fixed import Clock

# How long an example takes depends on the machine, so no test fails for it.
hypothesis.settings.register_profile("sessionware", deadline=None)
hypothesis.settings.load_profile("sessionware")


@pytest.fixture
def clock() -> Clock:
    return Clock()
