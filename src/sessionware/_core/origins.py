"""Which requests come from another site, and so must not act in the visitor's session.

Browsers report the origin themselves: `Sec-Fetch-Site` (Fetch Metadata) counts first, then `Origin` is compared with
`Host`. A request with neither was not sent by a page in a browser, so it cannot abuse a browser's cookie. This needs no
token in forms, and it works for the login form, before there is a session.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from .._types import SAFE_METHODS, Environ
from ..errors import ConfigError
from .environ import is_https

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host and port. The port is always given."""

    scheme: str
    host: str
    port: int


class Origins:
    """Distinguishes foreign requests from those of this site and of trusted origins.

    `trusted` are origins such as `"https://partner.example"`. With `allow_all`, no request is foreign. Raises
    `ConfigError`.
    """

    def __init__(self, trusted: Iterable[str] = (), *, allow_all: bool = False) -> None:
        if isinstance(trusted, str) or not isinstance(trusted, Iterable):
            raise ConfigError(f'trusted_origins={trusted!r}: write a list, such as ["https://partner.example"].')
        self._trusted = frozenset(_trusted(origin) for origin in trusted)
        self._allow_all = allow_all

    def is_foreign(self, environ: Environ) -> bool:
        """Whether the request would change something, or open a websocket, on behalf of another origin's page."""
        if environ.get("REQUEST_METHOD", "GET") in SAFE_METHODS and not (
            "HTTP_UPGRADE" in environ and _is_websocket(environ)
        ):
            return False
        return not self._allow_all and self._is_from_elsewhere(environ)

    @property
    def are_asked(self) -> bool:
        """Whether requests from other origins are told apart at all."""
        return not self._allow_all

    def is_own(self, environ: Environ) -> bool | None:
        """Whether the browser says that the request comes from a page of this origin; None if it says nothing.

        A trusted origin is not our own.
        """
        site, origin = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN")
        if site is not None:
            return site in ("same-origin", "none")
        if origin is None:
            return None
        parsed = _parse(origin)
        return parsed is not None and _is_own(parsed, environ)

    def is_unnamed(self, environ: Environ) -> bool:
        """Whether the browser does not say whose page the request comes from, which is what Origin "null" means."""
        return environ.get("HTTP_ORIGIN") == "null" and "HTTP_SEC_FETCH_SITE" not in environ

    def is_cross_site(self, environ: Environ) -> bool:
        """Whether the request comes from another site, so that browsers may keep a SameSite cookie back."""
        site = environ.get("HTTP_SEC_FETCH_SITE")
        return site == "cross-site" if site is not None else self.is_own(environ) is False

    def _is_from_elsewhere(self, environ: Environ) -> bool:
        site, origin = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN")
        if site in ("same-origin", "none"):
            return False
        if site is None and origin is None:
            return False
        parsed = _parse(origin or "")
        if parsed is None:
            return True
        return parsed not in self._trusted and (site is not None or not _is_own(parsed, environ))


def _is_websocket(environ: Environ) -> bool:
    """Whether this GET opens a websocket, which no same-origin policy guards (RFC 6455 §10.2)."""
    return str(environ["HTTP_UPGRADE"]).strip().lower() == "websocket"


def _is_own(origin: Origin, environ: Environ) -> bool:
    if origin.scheme != "https" and is_https(environ):
        return False
    # Not every proxy says that the browser uses https, so the default port is that of the origin's scheme.
    host = environ.get("HTTP_HOST") or f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"
    return _parse(f"{origin.scheme}://{host}") == origin


def _parse(text: str) -> Origin | None:
    """An origin as browsers write it, or None: also for "null", which a sandboxed page sends."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.username is not None:
        return None
    if parts.path or parts.query or parts.fragment:
        return None
    return Origin(parts.scheme, parts.hostname.lower(), port or _DEFAULT_PORTS[parts.scheme])


def _trusted(text: str) -> Origin:
    origin = _parse(text) if isinstance(text, str) else None
    if origin is None or "*" in origin.host:
        raise ConfigError(
            f'trusted_origins: {text!r} is not an origin. Write scheme and host, such as "https://partner.example", '
            "without a path or a wildcard."
        )
    return origin
