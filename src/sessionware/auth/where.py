"""Where something happens to an account: in a request, or at a site without one, as in a shell or a job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from .._request import environ_and_session
from .._types import Environ, Request
from ..errors import StoreUnavailable
from ..events import EventName
from ..manager import SessionManager
from ..session import Session
from .users.base import User

#: Seconds by which the clocks of a site's servers may differ. What is further ahead than that was noted before a clock
#: was set back, and would stay ahead for as long as that clock was wrong.
CLOCK_SKEW = 60


class Actor(NamedTuple):
    """Who does something to an account, which may be another one (ASVS 5.0 16.2.1)."""

    session_id: str | None
    shown: str

    def told(self, detail: str = "") -> dict[str, str | None]:
        """The fields of an event that say so."""
        return {"session_id": self.session_id, "detail": f"{detail}, {self.shown}" if detail else self.shown}


class Where(NamedTuple):
    """A site, and the request if there is one."""

    manager: SessionManager
    client_address: str | None = None
    session: Session | None = None
    """The request's, if there is a request."""

    @property
    def on_entry(self) -> Environ | None:
        """The request's environ as it came, if it is known. An adapter may have had the cookie's value alone."""
        request = None if self.session is None else self.session._transaction.request
        return request if isinstance(request, dict) else None

    def now(self) -> int:
        """Whole seconds since the epoch, by the site's clock."""
        return self.manager._site.now()

    def emit(self, name: EventName, user: User | None = None, **fields: Any) -> None:
        """Report what happened here, and to which account."""
        if user is not None:
            fields = {"user_id": user.id, "account": user.key, **fields}
        self.manager._emit(name, client_address=self.client_address, **fields)

    def afterwards(self) -> Where:
        """The same without the request's session, for what is done later: it may be large, and many jobs may wait."""
        return self._replace(session=None)

    def actor(self) -> Actor:
        """Who acts here. Ask before something is done, since that may end the session."""
        session = self.session
        if session is None:
            return Actor(None, "by a job")
        who = session.user_id or session.username
        return Actor(session.id, "by nobody who is logged in" if who is None else f"by {who}")

    def warn_of_client_list(self) -> None:
        """Warn, once, that the application says several addresses where it should say one."""
        self.manager._site.warnings.warn_of_client_list(self.client_address)

    def warn_of_hidden_clients(self) -> None:
        """Warn, once, if the request came through a proxy and yet seems to come from this machine."""
        request = self.on_entry
        if request is not None:
            self.manager._site.warnings.check_client(request, self.client_address)


def where_of(request: Request | SessionManager, environ_key: str) -> Where:
    """The site, and the request's address. Raises `ConfigError` for a request without a session."""
    if isinstance(request, SessionManager):
        return Where(request)
    environ, session = environ_and_session(request, environ_key)
    return Where(session.manager, session._transaction.site.client_address(on_entry(session, environ)), session)


def on_entry(session: Session, environ: Environ) -> Environ:
    """The environ as the request came in, whatever the application made of it."""
    request = session._transaction.request
    return request if isinstance(request, dict) else environ


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
