"""SessionMiddleware gives each request its session. How it is loaded and saved is in `_core`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Literal

from ._bodies import NO_FILES, WHOLE, is_file, watched_files
from ._checks import check_environ_key
from ._core.lifetime import system_clock
from ._core.records import MAX_BYTES
from ._core.response import Response
from ._core.transaction import Transaction
from ._deploy import arguments_from_environment, arguments_from_settings
from ._hidden import Hidden
from ._request import ENVIRON_KEY, is_under_way
from ._types import Environ, StartResponse, WSGIApplication
from .cookie import Cookie
from .errors import ConfigError
from .events import Event
from .keyring import Keyring
from .manager import SessionManager, remote_address
from .session import Session
from .stores.base import Store
from .timeouts import Timeouts


class SessionMiddleware:
    """Wraps a WSGI application so that each of its requests has a session.

    Args:
        app: The WSGI application.
        secret: Text of at least 32 characters, or several with the newest first, or a `Keyring`.
        store: Where sessions live. Without one, they live in this process's memory, for trying things out.
        cookie: The cookie's name and attributes.
        timeouts: How long sessions live.
        trusted_origins: Other sites whose forms may act in a session, such as `"https://partner.example"`.
        cross_origin: `"isolate"` gives requests from other sites no session; `"allow"` lets all of them in.
        environ_key: Where the session is kept in the environ.
        max_bytes: The maximum size of one session's data, encoded.
        passive: Says whether a request, by its environ, was sent by a script and not by a person, so that it does not
            keep anybody logged in. Requests can say so themselves by the header `X-Session-Passive: 1`.
        on_event: Called with each `Event`.
        client_address: Returns the client's address for an environ, for events and for `Throttle`.
        clock: Returns seconds since the epoch, as `time.time` does.

    Raises:
        ConfigError: An argument is wrong; the message says what to write instead.
    """

    def __init__(
        self,
        app: WSGIApplication,
        secret: str | bytes | Sequence[str | bytes] | Keyring,
        store: Store | None = None,
        *,
        cookie: Cookie = Cookie(),
        timeouts: Timeouts = Timeouts(),
        trusted_origins: Iterable[str] = (),
        cross_origin: Literal["isolate", "allow"] = "isolate",
        environ_key: str = ENVIRON_KEY,
        max_bytes: int = MAX_BYTES,
        passive: Callable[[Environ], object] | None = None,
        on_event: Callable[[Event], None] | None = None,
        client_address: Callable[[Environ], str] = remote_address,
        clock: Callable[[], float] = system_clock,
    ) -> None:
        given = Hidden(secret)
        del secret
        manager = SessionManager(
            given.value,
            store,
            cookie=cookie,
            timeouts=timeouts,
            trusted_origins=trusted_origins,
            cross_origin=cross_origin,
            max_bytes=max_bytes,
            passive=passive,
            on_event=on_event,
            client_address=client_address,
            clock=clock,
        )
        self._put_around(app, manager, environ_key)

    @classmethod
    def from_environ(cls, app: WSGIApplication, variables: Mapping[str, str] | None = None) -> SessionMiddleware:
        """Wrap an application with settings from environment variables: `SESSIONWARE_SECRET`, `SESSIONWARE_STORE`, …

        docs/deployment.md lists the variables. Any other that begins with `SESSIONWARE_` is a `ConfigError`, so that a
        misspelt name does not go unnoticed.
        """
        given = Hidden(variables)
        del variables
        return cls(app, **arguments_from_environment(given.value))

    @classmethod
    def _around(cls, app: WSGIApplication, manager: SessionManager, environ_key: str) -> SessionMiddleware:
        middleware = cls.__new__(cls)
        middleware._put_around(app, manager, environ_key)
        return middleware

    def _put_around(self, app: WSGIApplication, manager: SessionManager, environ_key: str) -> None:
        if not callable(app):
            raise ConfigError(f"SessionMiddleware(app, …): app must be a WSGI application, not {type(app).__name__}.")
        if iscoroutinefunction(app) or iscoroutinefunction(app.__call__):  # type: ignore[operator]
            raise ConfigError(
                f"SessionMiddleware(app, …): this {type(app).__name__} is asynchronous (ASGI). Sessions are for WSGI "
                "applications: pass one of these, such as falcon.App() for falcon.asgi.App()."
            )
        check_environ_key(environ_key)
        self._app = app
        self._manager = manager
        self._site = manager._site
        self._environ_key = environ_key

    @property
    def manager(self) -> SessionManager:
        """The `SessionManager` that lists, ends and exports this site's sessions."""
        return self._manager

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        if self._environ_key in environ and is_under_way(environ[self._environ_key]):
            self._manager._warn_of_second(environ[self._environ_key], self._environ_key)
            return self._app(environ, start_response)
        transaction = Transaction(self._site, environ.copy())  # as it is now, whatever the application does to it
        environ[self._environ_key] = Session(transaction)
        response = Response(transaction, start_response)
        wrapper = environ.get("wsgi.file_wrapper")
        files = NO_FILES if wrapper is None or isinstance(wrapper, type) else watched_files(environ, wrapper)
        try:
            body = self._app(environ, response.start)
        except BaseException as error:
            if not response.recover(error):
                response.shut()
                raise
            body = ()
        return response.deliver(body, as_it_is=type(body) in WHOLE or is_file(body, wrapper, files))


def paste_filter(app: WSGIApplication, global_conf: Mapping[str, str], **settings: str) -> SessionMiddleware:
    """Wrap an application with settings from an ini file, for Paste Deploy: `use = egg:sessionware`.

    The settings are those of `SessionMiddleware.from_environ`, in lower case and without the prefix. `global_conf` is
    ignored, because other parts of the site share it.
    """
    given = Hidden(settings)
    del global_conf, settings
    return SessionMiddleware(app, **arguments_from_settings(given.value))
