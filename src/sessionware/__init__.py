"""Sessions and logins for any WSGI application: safe by default, and no write is lost.

    secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
    app = SessionMiddleware(app, secret=secret, store=SQLiteStore("sessions.db"))

    session = get_session(environ)

Logins are in `sessionware.auth`, and the tests for authors of stores are in `sessionware.testing`. Anything that these
three do not export is private.
"""

from __future__ import annotations

import typing

from ._core.changes import REMOVED
from ._request import get_session
from ._version import __version__
from .cookie import Cookie
from .errors import (
    AuthError,
    Busy,
    ConfigError,
    CrossOriginRefused,
    LoginFailed,
    NotFresh,
    NotLoggedIn,
    PasswordRejected,
    SessionClosed,
    SessionConflict,
    SessionTooLarge,
    SessionwareError,
    StoreError,
    StoreUnavailable,
    Throttled,
    TokenInvalid,
    TooManySessions,
    UsernameRejected,
    UsernameTaken,
)
from .events import Event, EventName
from .keyring import Keyring
from .manager import Account, SessionManager
from .middleware import SessionMiddleware
from .opened import Opened
from .session import EndReason, Session
from .session_info import SessionInfo
from .stores import open_store
from .stores.base import Record, Store
from .stores.file import FileStore
from .stores.memory import MemoryStore
from .stores.sqlite import SQLiteStore
from .timeouts import Timeouts

__all__ = [
    "REMOVED",
    "Account",
    "AuthError",
    "Busy",
    "ConfigError",
    "Cookie",
    "CrossOriginRefused",
    "EndReason",
    "Event",
    "EventName",
    "FileStore",
    "Keyring",
    "LoginFailed",
    "MemoryStore",
    "NotFresh",
    "NotLoggedIn",
    "Opened",
    "PasswordRejected",
    "Record",
    "RedisStore",
    "SQLStore",
    "SQLiteStore",
    "Session",
    "SessionClosed",
    "SessionConflict",
    "SessionInfo",
    "SessionManager",
    "SessionMiddleware",
    "SessionTooLarge",
    "SessionwareError",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "Throttled",
    "Timeouts",
    "TokenInvalid",
    "TooManySessions",
    "UsernameRejected",
    "UsernameTaken",
    "__version__",
    "get_session",
    "open_store",
]

if typing.TYPE_CHECKING:
    from .stores.redis import RedisStore
    from .stores.sql import SQLStore


def __getattr__(name: str) -> object:
    """Load on first use what few sites need."""
    if name == "RedisStore":
        from .stores.redis import RedisStore

        return RedisStore
    if name == "SQLStore":
        from .stores.sql import SQLStore

        return SQLStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
