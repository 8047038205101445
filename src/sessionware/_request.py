"""Where a request carries its session: in its environ or, if a framework makes the session, on the framework's own."""

from __future__ import annotations

from collections.abc import Iterator

from ._core.transaction import CLOSED
from ._types import Environ, Request
from .errors import ConfigError
from .session import Session

ENVIRON_KEY = "sessionware.session"

#: Where request objects keep their environ: WebOb and most others, Falcon, CherryPy, Django.
_ENVIRON_ATTRIBUTES = ("environ", "env", "wsgi_environ", "META")


def get_session(request: Request, environ_key: str = ENVIRON_KEY) -> Session:
    """The session of a request, which may be an environ or any request object that carries one.

    Raises `ConfigError` if there is none because the application is not wrapped in `SessionMiddleware`, or because
    something else was passed.
    """
    session = request.get(environ_key) if isinstance(request, dict) else None
    return session if isinstance(session, Session) else environ_and_session(request, environ_key)[1]


def environ_and_session(request: Request, environ_key: str) -> tuple[Environ, Session]:
    """The request's WSGI environ, and its session. Raises `ConfigError` like `get_session`."""
    environs = list(_environs(request))
    found = [(environ, environ[environ_key]) for environ in environs if isinstance(environ.get(environ_key), Session)]
    if not found or not is_under_way(found[0][1]):
        # Django's sessions are made without the environ. Pyramid's are made when they are first asked for, also if an
        # environ is served again and still holds the session of the first time.
        of_framework = getattr(request, "session", None) if environs and environ_key == ENVIRON_KEY else None
        session = getattr(of_framework, "sessionware", None)
        if isinstance(session, Session):
            return environs[0], session
    if found:
        return found[0]
    if not environs:
        raise ConfigError(
            f"{type(request).__name__} is no request: pass the WSGI environ, or your framework's request object."
        )
    raise ConfigError(
        f"There is no session under {environ_key!r} in this request. Wrap the application where it is created, around "
        "everything that uses sessions: app = SessionMiddleware(app, secret=…, store=…). In Flask, Django and Pyramid, "
        "set up the adapter in sessionware.contrib instead; in Flask, set SECRET_KEY too."
    )


def _environs(request: Request) -> Iterator[Environ]:
    for candidate in (request, *(getattr(request, name, None) for name in _ENVIRON_ATTRIBUTES)):
        if isinstance(candidate, dict):
            yield candidate


def is_under_way(value: object) -> bool:
    """Whether this is the session of a request that the application is working on.

    A layer outside may serve an environ again, even before it closes the body of the first response, if it ever does.
    """
    return isinstance(value, Session) and not (value._transaction.is_paused or value._transaction.phase is CLOSED)
