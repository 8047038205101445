"""SessionMiddleware gives each request its session. When it is saved is in `transaction`, how it is sent in `reply`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from .cookie import Cookie
from .cookie_reader import CookieReader, is_https, is_loopback
from .errors import ConfigError
from .events import Event, Events
from .keyring import Keyring
from .origins import Origins
from .records import MAX_BYTES, Records
from .reply import Reply
from .session import ENVIRON_KEY, Session
from .settings import Settings
from .stores.base import Store
from .stores.memory import MemoryStore
from .timeouts import Timeouts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

logger = logging.getLogger("sessionware")

_NO_FILES: list[object] = []

#: Bodies that are there as a whole, so that nothing happens while the server goes through them.
_WHOLE = frozenset({list, tuple})

_STORE_METHODS = ("create", "load", "replace", "touch", "delete", "prune", "owned_by", "scan", "namespace")


class SessionMiddleware:
    """Wraps a WSGI application so that each of its requests has a session.

    `secret` is text of at least 32 characters, or several with the newest first (see `Keyring`). Without a `store`,
    sessions live in this process's memory, for trying things out. `trusted_origins` are other sites whose forms may act
    in a session; `cross_origin="allow"` lets all of them. `on_event` is called with each `Event`. `max_bytes` limits
    one session's data, encoded. Raises `ConfigError`.
    """

    def __init__(
        self,
        app: WSGIApplication,
        secret: str | bytes | Sequence[str | bytes],
        store: Store | None = None,
        *,
        cookie: Cookie = Cookie(),
        timeouts: Timeouts = Timeouts(),
        trusted_origins: Iterable[str] = (),
        cross_origin: Literal["isolate", "allow"] = "isolate",
        environ_key: str = ENVIRON_KEY,
        max_bytes: int = MAX_BYTES,
        on_event: Callable[[Event], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        store = MemoryStore() if store is None else store
        _check(app, store, cookie, timeouts, cross_origin, environ_key, max_bytes, on_event, clock)
        keyring, events = Keyring(secret), Events(on_event, clock)
        origins = Origins(trusted_origins)
        self._app = app
        self._environ_key = environ_key
        self._is_per_process = isinstance(store, MemoryStore)
        self._warned: set[str] = set()
        self._settings = Settings(
            records=Records(store, keyring, events=events, max_bytes=max_bytes, clock=clock),
            keyring=keyring,
            lifetimes=timeouts.in_seconds(),
            events=events,
            cookies=CookieReader(cookie, keyring),
            is_foreign=origins.is_foreign if cross_origin == "isolate" else lambda _environ: False,
            check_setup=self._check_setup,
        )

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        if self._environ_key in environ and isinstance(environ[self._environ_key], Session):
            return self._pass_through(environ, start_response)
        reply = Reply(self._settings, environ, start_response)
        environ[self._environ_key] = Session(reply.begin)
        wrapper = environ.get("wsgi.file_wrapper")
        files = _NO_FILES if wrapper is None or isinstance(wrapper, type) else _watched_files(environ, wrapper)
        try:
            body = self._app(environ, reply.start)
        except BaseException as error:
            if not reply.recover(error):
                reply.shut()
                raise
            body = ()
        return reply.deliver(body, as_it_is=type(body) in _WHOLE or _is_file(body, environ, files))

    def _pass_through(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        self._warn_once(
            "twice",
            f"The application is wrapped in SessionMiddleware twice under {self._environ_key!r}; the inner one does "
            "nothing. Remove one, or give it another environ_key and Cookie(name=...) for a second, separate session.",
        )
        return self._app(environ, start_response)

    def _check_setup(self, environ: Mapping[str, Any]) -> None:
        """Warn, once, of a set-up in which the cookie that is about to be sent will be of no use."""
        if self._is_per_process and environ.get("wsgi.multiprocess"):
            self._warn_once(
                "memory",
                "Sessions are kept in a MemoryStore, and the server runs several processes: each has sessions of its "
                'own. Use one that they share, such as store=SQLiteStore("sessions.db").',
            )
        if self._settings.cookies.cookie.secure is True and not is_https(environ) and not is_loopback(environ):
            self._warn_once(
                "secure",
                "The session cookie is Secure and the page came over plain http: browsers drop the cookie, and logins "
                'fail silently. Serve it over https, or write Cookie(secure="auto"). If a proxy does serve it over '
                "https, let it say so: X-Forwarded-Proto (docs/deployment.md).",
            )

    def _warn_once(self, topic: str, text: str) -> None:
        if topic not in self._warned:
            self._warned.add(topic)
            logger.warning(text)


def _watched_files(environ: dict[str, Any], wrapper: Callable[..., object]) -> list[object]:
    """What the server's `wsgi.file_wrapper` is about to make: as it is a function, that can be known only by seeing it.

    Such bodies have to reach the server as they are. What a class made can be told afterwards (`_is_file`).
    """
    made: list[object] = []

    def watched(*args: Any) -> Any:
        made.append(wrapper(*args))
        return made[-1]

    environ["wsgi.file_wrapper"] = watched
    return made


def _is_file(body: object, environ: Mapping[str, Any], made: list[object]) -> bool:
    """Whether the server's own `wsgi.file_wrapper` made this body."""
    wrapper = environ.get("wsgi.file_wrapper")
    return (isinstance(wrapper, type) and isinstance(body, wrapper)) or any(body is each for each in made)


def _check(
    app: object,
    store: object,
    cookie: object,
    timeouts: object,
    cross_origin: object,
    environ_key: object,
    max_bytes: object,
    hook: object,
    clock: object,
) -> None:
    """Raise `ConfigError` for an argument of the wrong kind, now rather than at the first request."""
    if not callable(app):
        raise ConfigError(f"SessionMiddleware(app, …): app is a WSGI application, not {type(app).__name__}.")
    if isinstance(store, type) or not all(callable(getattr(store, name, None)) for name in _STORE_METHODS):
        raise ConfigError(
            f'store={store!r} is no store. Pass an object such as SQLiteStore("sessions.db"), or open_store(url).'
        )
    if not isinstance(cookie, Cookie):
        raise ConfigError(f'cookie={cookie!r}: write cookie=Cookie(name="session", …).')
    if not isinstance(timeouts, Timeouts):
        raise ConfigError(f"timeouts={timeouts!r}: write timeouts=Timeouts(idle=3600, …).")
    if cross_origin not in ("isolate", "allow"):
        raise ConfigError(f'cross_origin={cross_origin!r}: write "isolate" or "allow".')
    if not isinstance(environ_key, str) or not environ_key:
        raise ConfigError(f'environ_key={environ_key!r}: write a text such as "sessionware.session".')
    if not isinstance(max_bytes, int) or max_bytes < 1024:
        raise ConfigError(f"max_bytes={max_bytes!r}: write a number of bytes, at least 1024.")
    if hook is not None and not callable(hook):
        raise ConfigError(f"on_event={hook!r}: pass a function that takes an Event.")
    if not callable(clock):
        raise ConfigError(f"clock={clock!r}: pass a function that returns seconds, such as time.time.")
