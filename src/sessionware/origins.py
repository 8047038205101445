"""Does this request come from another origin?

Browsers say so by themselves: `Sec-Fetch-Site` (Fetch Metadata) first, `Origin` against `Host` where it is missing. A
request with neither was not sent by a browser's page, so no browser's cookie can be abused by it. This needs no token
in forms, and works for the login form, before there is a session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .errors import ConfigError

#: RFC 9110 §9.2.1: these ask for nothing to be changed, so that a link from elsewhere may make them.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host and port, the port always spelt out."""

    scheme: str
    host: str
    port: int


class Origins:
    """Tells requests of this site, and of the origins that are trusted, from foreign ones.

    `trusted` are origins such as `"https://partner.example"`. Raises `ConfigError`.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        if isinstance(trusted, str):
            raise ConfigError(f"trusted_origins={trusted!r}: write a list, such as [{trusted!r}].")
        self._trusted = frozenset(_trusted(origin) for origin in trusted)

    def is_foreign(self, environ: Mapping[str, Any]) -> bool:
        """Whether the request would change something, or open a websocket, on behalf of another origin's page."""
        if environ.get("REQUEST_METHOD", "GET") in SAFE_METHODS and not (
            "HTTP_UPGRADE" in environ and _is_websocket(environ)
        ):
            return False
        site, origin = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN")
        if site in ("same-origin", "none"):
            return False
        if site is None and origin is None:
            return False
        parsed = _parse(origin or "")
        if parsed is None:
            return True
        return parsed not in self._trusted and (site is not None or not _is_own(parsed, environ))


def _is_websocket(environ: Mapping[str, Any]) -> bool:
    """Whether this GET opens a websocket, which no same-origin policy guards (RFC 6455 §10.2)."""
    return str(environ["HTTP_UPGRADE"]).strip().lower() == "websocket"


def _is_own(origin: Origin, environ: Mapping[str, Any]) -> bool:
    if environ.get("wsgi.url_scheme") == "https" and origin.scheme != "https":
        return False
    # The scheme of a site behind a proxy is not known here, so the port that goes without saying is the origin's.
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
    if origin is None:
        raise ConfigError(
            f'trusted_origins: {text!r} is not an origin. Write scheme and host, such as "https://partner.example", '
            "without a path."
        )
    return origin
