"""Names for what WSGI passes around. They exist at run time too, so that annotations can be resolved."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, Union

Environ = dict[str, Any]
"""A WSGI environ (PEP 3333)."""

StartResponse = Callable[..., Callable[[bytes], object]]
"""What a server passes to an application: `start_response(status, headers, exc_info=None)`."""

WSGIApplication = Callable[[Environ, StartResponse], Iterable[bytes]]
"""Any WSGI application."""

#: RFC 9110 §9.2.1: these do not ask for any change, so a link, an image or another site may send them.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

Headers = list[tuple[str, str]]
"""A response's headers, as `start_response` takes them."""


class _HasEnviron(Protocol):
    """A request of WebOb, Flask, Werkzeug, Bottle or Pyramid."""

    @property
    def environ(self) -> Any: ...


class _HasEnv(Protocol):
    """A request of Falcon."""

    @property
    def env(self) -> Any: ...


class _HasWSGIEnviron(Protocol):
    """A request of CherryPy."""

    @property
    def wsgi_environ(self) -> Any: ...


class _HasMeta(Protocol):
    """A request of Django."""

    @property
    def META(self) -> Any: ...


Request = Union[Environ, _HasEnviron, _HasEnv, _HasWSGIEnviron, _HasMeta]  # noqa: UP007  (an alias, needed at run time)
"""An environ, or a framework's request object that carries one."""
