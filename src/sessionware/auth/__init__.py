"""Accounts: registering people and logging them in with a password, on top of sessions.

auth = Auth(SQLiteUsers("app.db"), secret=secret, store=store)
app = SessionMiddleware(AuthPages(app, auth), secret=secret, store=store)
"""

from __future__ import annotations

import typing

from ..usernames import username_key
from .login import Auth
from .page_html import Page
from .passwords import Argon2, PasswordPolicy, Verified, check_password, hash_password, verify_password
from .redirects import safe_next
from .sqlite_users import SQLiteUsers
from .user_sessions import UserSession
from .users import MemoryUsers, User, Users

__all__ = [
    "Argon2",
    "Auth",
    "AuthPages",
    "MemoryUsers",
    "Page",
    "PasswordPolicy",
    "SQLiteUsers",
    "User",
    "UserSession",
    "Users",
    "Verified",
    "check_password",
    "hash_password",
    "safe_next",
    "username_key",
    "verify_password",
]

if typing.TYPE_CHECKING:
    from .pages import AuthPages


def __getattr__(name: str) -> object:
    """AuthPages, once it is asked for: WebOb takes longer to load than all the rest, and only the pages need it."""
    if name == "AuthPages":
        from .pages import AuthPages

        return AuthPages
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
