"""What sessionware promises about requests that overlap. `explore` runs each scenario in every order.

`python -m sessionware.testing` runs them all. docs/guarantees.md shows the table, and how it would look without each of
the rules that keep the promises.
"""

from __future__ import annotations

from ..interleaving.engine import Scenario
from .accounts import OF_ACCOUNTS
from .limits import OF_LIMITS
from .sessions import OF_SESSIONS

SCENARIOS: tuple[Scenario, ...] = (*OF_SESSIONS, *OF_LIMITS, *OF_ACCOUNTS)
"""Everything that sessionware promises about requests that overlap."""
