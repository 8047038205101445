"""For authors of stores, of tables of accounts and of applications, to test whether theirs are right.

pytest is not imported here. To see the values in a failed assertion, let it rewrite these modules by a line in your
`conftest.py`: `pytest.register_assert_rewrite("sessionware.testing")`.
"""

from __future__ import annotations

from .clients import MovableClock, log_in, session_of
from .faulty_proxy import FaultyProxy
from .faulty_store import FaultyStore
from .interleaving.ending import Ending
from .interleaving.engine import Scenario, Verdict, explore
from .interleaving.site import Reply, Request, Seen
from .scenarios import SCENARIOS
from .server_contract import ServerStoreContract
from .store_contract import StoreContract
from .users_contract import UsersContract

__all__ = [
    "SCENARIOS",
    "Ending",
    "FaultyProxy",
    "FaultyStore",
    "MovableClock",
    "Reply",
    "Request",
    "Scenario",
    "Seen",
    "ServerStoreContract",
    "StoreContract",
    "UsersContract",
    "Verdict",
    "explore",
    "log_in",
    "session_of",
]
