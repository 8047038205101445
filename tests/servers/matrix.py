"""Which of the combinations of engine, driver and isolation are tested.

The default run takes one of each engine. With `SESSIONWARE_TEST_SERVERS=all`, as `python3 dev.py servers` sets it, all
of them run. What is left out is not collected at all, so that no skipped test is taken for a missing program.
"""

from __future__ import annotations

import os

#: Whether everything runs.
IS_WHOLE = os.environ.get("SESSIONWARE_TEST_SERVERS") == "all"


def in_whole_matrix(kind: type) -> type:
    """For a class of tests that only the whole matrix runs."""
    if not IS_WHOLE:
        kind.__test__ = False  # type: ignore[attr-defined]
    return kind
