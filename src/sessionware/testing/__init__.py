"""For authors of stores and of tables of accounts: tests that say whether yours is right.

pytest is not imported here. To see the values in an assertion that failed, let it rewrite these modules, by a line in
your `conftest.py`: `pytest.register_assert_rewrite("sessionware.testing")`.
"""

from __future__ import annotations

from .store_contract import StoreContract
from .users_contract import UsersContract

__all__ = ["StoreContract", "UsersContract"]
