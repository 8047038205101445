"""Sessions and logins for any WSGI application: safe by default, and no write is lost.

    app = SessionMiddleware(app, secret=os.environ["SESSION_SECRET"], store=SQLiteStore("sessions.db"))

    session = get_session(environ)

Logins are in `sessionware.auth`, what store authors need to test with in `sessionware.testing`. What is named in
neither is the library's own business.
"""

from __future__ import annotations

from .cookie import Cookie
from .errors import (
    AuthError,
    Busy,
    ConfigError,
    CrossOriginRefused,
    LoginFailed,
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
    UsernameRejected,
    UsernameTaken,
)
from .events import Event
from .keyring import Keyring
from .middleware import SessionMiddleware
from .session import Session, get_session
from .stores import open_store
from .stores.base import Record, Store
from .stores.file import FileStore
from .stores.memory import MemoryStore
from .stores.sqlite import SQLiteStore
from .timeouts import Timeouts

__all__ = [
    "AuthError",
    "Busy",
    "ConfigError",
    "Cookie",
    "CrossOriginRefused",
    "Event",
    "FileStore",
    "Keyring",
    "LoginFailed",
    "MemoryStore",
    "NotLoggedIn",
    "PasswordRejected",
    "Record",
    "SQLiteStore",
    "Session",
    "SessionClosed",
    "SessionConflict",
    "SessionMiddleware",
    "SessionTooLarge",
    "SessionwareError",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "Throttled",
    "Timeouts",
    "TokenInvalid",
    "UsernameRejected",
    "UsernameTaken",
    "get_session",
    "open_store",
]
