"""Accounts: registering people and logging them in with a password, on top of sessions.

auth = Auth(SQLiteUsers("app.db"))
app = SessionMiddleware(AuthPages(app, auth), secret=secret, store=SQLiteStore("app.db"))
"""

from __future__ import annotations

import typing

from ..usernames import username_key
from .auth import Auth
from .devices import describe_browser
from .pages.page import Field, Link, Page, Place
from .pages.redirects import safe_next
from .passwords import Argon2Hasher, Hasher, Verified, hash_password, verify_password
from .policy.policy import PasswordPolicy, validate_password
from .throttling.throttle import Rate, Throttle
from .users.base import User, Users
from .users.memory import MemoryUsers
from .users.sqlite import SQLiteUsers

__all__ = [
    "Argon2Hasher",
    "Auth",
    "AuthPages",
    "Field",
    "Hasher",
    "Link",
    "MemoryUsers",
    "Page",
    "PasswordPolicy",
    "Place",
    "Rate",
    "SQLUsers",
    "SQLiteUsers",
    "Throttle",
    "User",
    "Users",
    "Verified",
    "describe_browser",
    "hash_password",
    "safe_next",
    "username_key",
    "validate_password",
    "verify_password",
]

if typing.TYPE_CHECKING:
    from .pages.app import AuthPages
    from .users.sql import SQLUsers


def __getattr__(name: str) -> object:
    """Load on first use what needs a package that takes longer to load than all the rest, or that not all have."""
    if name == "AuthPages":
        from .pages.app import AuthPages

        return AuthPages
    if name == "SQLUsers":
        from .users.sql import SQLUsers

        return SQLUsers
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
