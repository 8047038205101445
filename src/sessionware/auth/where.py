"""Where something happens to an account: in a request, or at a site without one, as in a shell or a job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from .._request import environ_and_session
from .._types import Request
from ..errors import StoreUnavailable
from ..events import EventName
from ..manager import SessionManager
from ..session import Session
from .users.base import User


class Where(NamedTuple):
    """A site, and the request if there is one."""

    manager: SessionManager
    client_address: str | None = None

    def emit(self, name: EventName, user: User | None = None, **fields: Any) -> None:
        """Report what happened here, and to which account."""
        if user is not None:
            fields = {"user_id": user.id, "account": user.key, **fields}
        self.manager._emit(name, client_address=self.client_address, **fields)


def where_of(request: Request | SessionManager, environ_key: str) -> Where:
    """The site, and the request's address. Raises `ConfigError` for a request without a session."""
    if isinstance(request, SessionManager):
        return Where(request)
    environ, session = environ_and_session(request, environ_key)
    transaction = session._transaction
    on_entry = transaction.request if isinstance(transaction.request, dict) else environ
    return Where(session.manager, transaction.site.client_address(on_entry))


def why_foreign(session: Session) -> str:
    """Why the request counts as another site's, for events."""
    return session._transaction.site.why_foreign(session._transaction.request)


def method_on_entry(session: Session) -> str | None:
    """The method that the browser used, whatever the application made of it; None if that is not known."""
    request = session._transaction.request
    return request.get("REQUEST_METHOD") if isinstance(request, dict) else None


def had_outage(session: object) -> bool:
    """Whether the store failed in the session's request."""
    return isinstance(session, Session) and session._transaction.accessed and session._transaction.has_outage


@contextmanager
def outages_noted(session: Session | None) -> Iterator[None]:
    """Report that the accounts, or the sessions of others, are out of reach, as if it were the request's own session.

    Then the response is a 503, also if a framework makes a 500 of the exception. Without a session there is none.
    """
    try:
        yield
    except StoreUnavailable as error:
        if session is not None and not had_outage(session):
            session._transaction.accessed = True  # a stranger's login fails before it looks at the session
            session._transaction.note(error)
        raise
