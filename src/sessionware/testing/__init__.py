"""For authors of stores, of tables of accounts and of applications: what says whether yours is right.

pytest is not imported here. To see the values in an assertion that failed, let it rewrite these modules, by a line in
your `conftest.py`: `pytest.register_assert_rewrite("sessionware.testing")`.
"""

from __future__ import annotations

from .ending import Ending
from .faulty_store import FaultyStore
from .interleavings import Scenario, Verdict, explore
from .scenarios import SCENARIOS
from .site import Request
from .store_contract import StoreContract
from .users_contract import UsersContract

__all__ = [
    "SCENARIOS",
    "Ending",
    "FaultyStore",
    "Request",
    "Scenario",
    "StoreContract",
    "UsersContract",
    "Verdict",
    "explore",
]
