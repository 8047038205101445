"""Sessions for Pyramid: `request.session` is one of ours. In the ini file:

    pyramid.includes = sessionware.contrib.pyramid
    sessionware.secret_file = %(here)s/session-secret
    sessionware.store = sqlite:///%(here)s/app.db

A `SessionManager` that is made in code can be the setting `sessionware.manager` instead.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Generator, Iterator, MutableMapping
from typing import Any

from pyramid.config import Configurator
from pyramid.interfaces import ICSRFStoragePolicy, ISession, ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from zope.interface import implementer

from sessionware import ConfigError, Opened, Session, SessionManager, StoreError, get_session

PREFIX, MANAGER = "sessionware.", "sessionware.manager"


def includeme(config: Configurator) -> None:
    """Set the session factory, the storage policy for CSRF tokens, and the view while the store is down."""
    registry = config.registry  # whose settings are no local name here, so that no traceback shows the secret
    names = sorted(name for name in registry.settings if name.startswith(PREFIX))
    if MANAGER in names and len(names) > 1:
        raise ConfigError(f"{', '.join(names)}: set the manager or the others, which its SessionManager(…) can take.")
    if MANAGER not in names:
        registry.settings[MANAGER] = SessionManager.from_settings(registry.settings, prefix=PREFIX)
    factory = session_factory(registry.settings[MANAGER])
    config.set_session_factory(factory)
    config.set_csrf_storage_policy(CSRFStoragePolicy())
    config.add_exception_view(unavailable, context=StoreError)

    def check_factory() -> None:
        if registry.getUtility(ISessionFactory) is not factory:
            raise ConfigError("Remove the other set_session_factory(…), or session_factory=…, which replaces this one.")

    config.action(includeme, check_factory, order=sys.maxsize)  # when all of the application is set up


def session_factory(manager: SessionManager) -> Callable[[Request], PyramidSession]:
    """For `config.set_session_factory`, if you don't want all that the include does. Then `StoreError` is yours."""
    if not isinstance(manager, SessionManager):
        raise ConfigError(f"{MANAGER} must be a SessionManager(secret, store), not {type(manager).__name__}.")

    def sessionware_factory(request: Request) -> PyramidSession:
        opened = manager.open(request.environ)
        ending = _Ending(opened)  # inside SessionMiddleware it does nothing, because there `opened` does nothing
        request.add_response_callback(ending.answer)
        request.add_finished_callback(ending.finish)
        return PyramidSession(opened.session)

    return sessionware_factory


def unavailable(_error: StoreError, _request: Request) -> Response:
    """The page while the store is down: 503, and nobody is logged out."""
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", "5"), ("Cache-Control", "no-store")]
    return Response(b"The service is unavailable for a moment. Please try again.\n", 503, headers)


@implementer(ISession)
class PyramidSession(MutableMapping[str, Any]):
    """A dict with the methods of Pyramid's `ISession`. Its `sessionware` is our own `Session`, which can do more."""

    __slots__ = ("__weakref__", "sessionware")

    def __init__(self, session: Session) -> None:
        self.sessionware: Session = session

    def __getitem__(self, k: str) -> Any:
        return self.sessionware[k]

    def __setitem__(self, k: str, value: Any) -> None:
        self.sessionware[k] = value

    def __delitem__(self, k: str) -> None:
        del self.sessionware[k]

    def __iter__(self) -> Iterator[str]:
        return iter(self.sessionware)

    def __len__(self) -> int:
        return len(self.sessionware)

    def clear(self) -> None:
        """Drop all data, and log out if somebody is logged in."""
        self.sessionware.clear()

    @property
    def created(self) -> int:
        """When it was first stored, in seconds since the epoch; now, if it is new."""
        return self.sessionware.created_at or int(time.time())

    @property
    def new(self) -> bool:
        """Whether nothing is stored yet."""
        return self.sessionware.is_new

    def invalidate(self) -> None:
        """End the session now. Writing afterwards starts a new one."""
        self.sessionware.invalidate()

    def changed(self) -> None:
        """Nothing: changes inside values are noticed without it."""

    def flash(self, msg: Any, queue: str = "", allow_duplicate: bool = True) -> None:
        """Leave a message for the next page that asks for it."""
        if allow_duplicate or msg not in self.peek_flash(queue):
            self.sessionware.flash(msg, queue)

    def pop_flash(self, queue: str = "") -> list[Any]:
        """The messages of the queue, which are then removed."""
        return self.sessionware.pop_flash(queue)

    def peek_flash(self, queue: str = "") -> list[Any]:
        """The messages of the queue. They stay."""
        return self.sessionware.peek_flash(queue)

    def new_csrf_token(self) -> str:
        """Give the session another token for forms, and return it. Forms made until now are refused."""
        self.sessionware.renew_csrf()
        return self.get_csrf_token()

    def get_csrf_token(self) -> str:
        """The session's token for forms. Reading it stores the session, so that it is the same when it is compared."""
        if self.new:
            self.sessionware.commit()
        # From another site, or with a replaced cookie, there is only the visitor's, which anybody can get and compare.
        return secrets.token_urlsafe() if self.new else self.sessionware.csrf_token


@implementer(ICSRFStoragePolicy)
class CSRFStoragePolicy:
    """Tokens for forms, made and checked by our own `Session`, so that a visitor's form stores nothing."""

    def new_csrf_token(self, request: Request) -> str:
        """Give the session another token, and return it. Forms made until now are refused."""
        get_session(request).renew_csrf()
        return self.get_csrf_token(request)

    def get_csrf_token(self, request: Request) -> str:
        """The token for a form."""
        return get_session(request).csrf_token

    def check_csrf_token(self, request: Request, supplied_token: object) -> bool:
        """Whether this is the token of a form that was made for this visitor. A file that was sent as one is not."""
        return isinstance(supplied_token, str) and get_session(request).check_csrf(supplied_token)


class _Ending:
    """What is done with one request's session when its response is there."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._has_waited = self._is_answered = self._is_streamed = False

    def answer(self, request: Request, response: Response) -> None:
        if not self._has_waited and any(each != self.answer for each in request.response_callbacks):
            self._has_waited = True
            request.add_response_callback(self.answer)  # callbacks that were added later may still write
            return
        try:
            self._opened.finish(failed=response.status_int >= 500)
        except StoreError:
            _replace(response, request.invoke_exception_view(reraise=True))
        self._is_answered, self._is_streamed = True, isinstance(response.app_iter, Generator)
        response.headerlist = self._opened.headers(response.headerlist)
        if self._is_streamed:
            response.app_iter = _streamed(response.app_iter, self._opened)

    def finish(self, _request: Request) -> None:
        if not self._is_streamed:
            self._opened.close(failed=not self._is_answered)


def _streamed(body: Generator[bytes, None, None], opened: Opened) -> Iterator[bytes]:
    """A body that is made while it is sent. What it writes to the session is saved when it is through."""
    try:
        yield from body
    except Exception:
        opened.close(failed=True)
        raise
    finally:
        opened.close()


def _replace(response: Response, other: Response) -> None:
    """Send another response in the place of the first, whose object Pyramid has in its hands already."""
    if hasattr(response.app_iter, "close"):
        response.app_iter.close()
    response.status, response.headerlist, response.app_iter = other.status, other.headerlist, other.app_iter
