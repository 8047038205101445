"""What requests do that overlap: acts, in contexts, of which `parts` pairs each with each; and named scenarios.

`explore` runs a scenario in every order, and asks in each what always holds (`testing.invariants`). A named scenario
has a promise of its own besides. docs/guarantees.md has the tables, and what would not hold without each of the rules.
"""

from __future__ import annotations

from ..interleaving.engine import Scenario
from .accounts import OF_ACCOUNTS
from .limits import OF_LIMITS
from .sessions import OF_SESSIONS

SCENARIOS: tuple[Scenario, ...] = (*OF_SESSIONS, *OF_LIMITS, *OF_ACCOUNTS)
"""The named ones."""
