"""Sessions for Pyramid: `request.session` is one of ours. In the ini file:

    pyramid.includes = sessionware.contrib.pyramid
    sessionware.secret_file = %(here)s/session-secret
    sessionware.store = sqlite:///%(here)s/app.db

A `SessionManager` that is made in code can be the setting `sessionware.manager` instead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound
from pyramid.interfaces import ICSRFStoragePolicy, IExecutionPolicy, ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from pyramid.router import default_execution_policy
from zope.interface import implementer

from sessionware import ConfigError, Opened, SessionManager, StoreError, StoreUnavailable, get_session

from ._pyramid_session import PyramidSession

__all__ = ["CSRFStoragePolicy", "PyramidSession", "includeme", "session_factory", "unavailable"]

_PREFIX, _MANAGER = "sessionware.", "sessionware.manager"

ExecutionPolicy = Callable[[dict[str, Any], Any], Response]


def includeme(config: Configurator) -> None:
    """Set the session factory, the storage policy for CSRF tokens, and what is answered while the store is down."""
    registry = config.registry  # whose settings are no local name here, so that no traceback shows the secret
    names = sorted(name for name in registry.settings if name.startswith(_PREFIX))
    if _MANAGER in names and len(names) > 1:
        raise ConfigError(f"{', '.join(names)}: set the manager or the others, which its SessionManager(…) can take.")
    if _MANAGER not in names:
        registry.settings[_MANAGER] = SessionManager.from_settings(registry.settings, prefix=_PREFIX)
    factory = session_factory(registry.settings[_MANAGER])
    config.set_session_factory(factory)
    config.set_csrf_storage_policy(CSRFStoragePolicy())
    config.add_exception_view(unavailable, context=StoreError)

    def complete() -> None:
        if registry.getUtility(ISessionFactory) is not factory:
            raise ConfigError("Remove the other set_session_factory(…), or session_factory=…, which replaces this one.")
        policy = registry.queryUtility(IExecutionPolicy, default=default_execution_policy)
        registry.registerUtility(_outages_answered(policy), IExecutionPolicy)

    config.action(includeme, complete, order=sys.maxsize)  # when all of the application is set up, pyramid_retry too


def session_factory(manager: SessionManager) -> Callable[[Request], PyramidSession]:
    """For `config.set_session_factory`, if you don't want all that the include does. Then `StoreError` is yours."""
    if not isinstance(manager, SessionManager):
        raise ConfigError(f"{_MANAGER} must be a SessionManager(secret, store), not {type(manager).__name__}.")

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


def _outages_answered(policy: ExecutionPolicy) -> ExecutionPolicy:
    """The policy, which also answers outages that meet a tween, a callback or an exception view: Pyramid would not."""

    def sessionware_policy(environ: dict[str, Any], router: Any) -> Response:
        try:
            return policy(environ, router)
        except StoreError as error:
            with router.request_context(environ) as request:  # a fresh one, as the other is finished
                with suppress(StoreError):  # of a view that needs the session for its layout, or for a permission
                    return request.invoke_exception_view(reraise=True)
                return unavailable(error, request)

    return sessionware_policy


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
        has_failed = response.status_int >= 500
        try:
            self._opened.finish(failed=has_failed)
        except Exception:
            _replace(response, request.invoke_exception_view(reraise=True))
        if has_failed and self._opened.has_outage and response.status_int != 503:
            outage = StoreUnavailable("The store failed, and the application answered that with another error.")
            with suppress(HTTPNotFound):  # if only the factory is set, there is no view
                _replace(response, request.invoke_exception_view((StoreUnavailable, outage, None)))
        self._is_answered, self._is_streamed = True, isinstance(response.app_iter, Generator)
        response.headerlist = self._opened.headers(response.headerlist)
        if self._is_streamed:
            response.app_iter = _Stream(response.app_iter, self._opened)

    def finish(self, _request: Request) -> None:
        if not self._is_streamed:
            self._opened.close(failed=not self._is_answered)


class _Stream:
    """A body that is made while it is sent. What it writes to the session is saved when it is through, or closed."""

    def __init__(self, body: Generator[bytes, None, None], opened: Opened) -> None:
        self._body, self._opened = body, opened

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._body)
        except BaseException as end:
            self._opened.close(failed=not isinstance(end, StopIteration))
            raise

    def close(self) -> None:
        has_failed = True
        try:
            self._body.close()
            has_failed = False
        finally:
            self._opened.close(failed=has_failed)


def _replace(response: Response, other: Response) -> None:
    """Send another response in the place of the first, whose object Pyramid has in its hands already."""
    if hasattr(response.app_iter, "close"):
        response.app_iter.close()
    response.status, response.headerlist, response.app_iter = other.status, other.headerlist, other.app_iter
