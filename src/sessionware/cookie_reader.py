"""The session's cookie on the wire: how it is found in a request, and written into a response.

The rules of reading are those of RFC 6265bis (draft-ietf-httpbis-rfc6265bis).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from .cookie import Cookie
from .keyring import Keyring
from .ticket import SEALED_CHARACTERS, Ticket, TicketSealer

#: More cookies of one name than any browser would send for good reasons; each costs a decryption to look into.
MAX_CANDIDATES = 8


class CookieConflict(Exception):
    """Several cookies of the name open to different sessions: somebody planted one, and nobody can tell which."""


class CookieReader:
    """Finds the session's ticket in a request, and writes tickets into responses."""

    def __init__(self, cookie: Cookie, keyring: Keyring) -> None:
        self.cookie = cookie
        self._secure = TicketSealer(keyring, cookie.wire_name(True))
        self._plain = TicketSealer(keyring, cookie.wire_name(False))
        self._is_secure = is_https if cookie.secure == "auto" else lambda _environ: bool(cookie.secure)

    def read(self, environ: Mapping[str, Any]) -> Ticket | None:
        """The ticket that the request carries, or None. Raises `CookieConflict`, and nothing else whatever was sent."""
        header = environ.get("HTTP_COOKIE")
        if not header:
            return None
        tickets = self._secure if self._is_secure(environ) else self._plain
        values = _values_of(tickets.cookie_name, header)
        if len(values) > 1:
            return _one_of([ticket for value in values if (ticket := tickets.open(value))])
        return tickets.open(values[0]) if values else None

    def issue(self, environ: Mapping[str, Any], id: bytes, token: bytes, max_age: int | None) -> str:
        """The Set-Cookie value that gives the browser this ticket."""
        secure = self._is_secure(environ)
        value = (self._secure if secure else self._plain).seal(id, token)
        return self.cookie.set_cookie(value, secure=secure, max_age=max_age)

    def expire(self, environ: Mapping[str, Any]) -> str:
        """The Set-Cookie value that takes the cookie away."""
        return self.cookie.expire(secure=self._is_secure(environ))


def _one_of(tickets: list[Ticket]) -> Ticket | None:
    """The first, with the others as its rivals. Raises `CookieConflict` if they are for different sessions."""
    if not tickets:
        return None
    first, *rivals = tickets
    if any(rival.id != first.id for rival in rivals):
        raise CookieConflict
    return first._replace(rivals=tuple(rivals))


def is_https(environ: Mapping[str, Any]) -> bool:
    """Whether the browser seems to talk https.

    `X-Forwarded-Proto` can be forged, so it is trusted only to make the cookie stricter.
    """
    if environ.get("wsgi.url_scheme") == "https":
        return True
    forwarded = environ.get("HTTP_X_FORWARDED_PROTO")
    return forwarded is not None and "https" in (part.strip(" \t").lower() for part in forwarded.split(","))


def is_loopback(environ: Mapping[str, Any]) -> bool:
    """Whether the request was made to this machine by one of its own names, where browsers take Secure over http."""
    host = str(environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")).lower()
    host = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _values_of(name: str, header: str) -> list[str]:
    """The different values of cookies with exactly this name that have a ticket's length, in order.

    Raises `CookieConflict` if there are too many to look into.

    Only space and tab are stripped: more (str.strip takes 25 kinds of white space) lets a browser's
    "\\xa0__Host-session", which carries none of the prefix's guarantees, pass for the real one. Quoted values are not
    unwrapped, for no ticket is ever sent in quotes.
    """
    values = []
    for pair in header.split(";"):
        if name not in pair:
            continue
        candidate, _, value = pair.strip(" \t").partition("=")
        if candidate == name and len(value) == SEALED_CHARACTERS and value not in values:
            values.append(value)
            if len(values) > MAX_CANDIDATES:
                raise CookieConflict
    return values
