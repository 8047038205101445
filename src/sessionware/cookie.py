"""The session's cookie: its attributes, how it is found in a request, and the Set-Cookie line.

The rules of reading and of prefixes are those of RFC 6265bis (draft-ietf-httpbis-rfc6265bis).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .errors import ConfigError
from .keyring import Keyring
from .ticket import SEALED_CHARACTERS, Ticket, TicketSealer

#: More cookies of one name than any browser would send for good reasons; each costs a decryption to look into.
MAX_CANDIDATES = 8

_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII).fullmatch  # RFC 9110 §5.6.2
_is_attribute_text = re.compile(r"[\x20-\x3a\x3c-\x7e]*").fullmatch  # no control character, no semicolon
_is_domain = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*").fullmatch


@dataclass(frozen=True)
class Cookie:
    """The session cookie's attributes. `HttpOnly` is always set.

    `secure="auto"` sets Secure whenever the request came by https, as the server or `X-Forwarded-Proto` tells. A Secure
    cookie is sent as `__Host-name`, or as `__Secure-name` if a `domain` or another `path` is set, and only that name is
    read. Raises `ConfigError` for what browsers refuse.
    """

    name: str = "session"
    path: str = "/"
    domain: str | None = None
    secure: bool | Literal["auto"] = "auto"
    samesite: Literal["Lax", "Strict", "None"] = "Lax"
    partitioned: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_path(self.path)
        _check_domain(self.domain)
        if self.secure not in (True, False, "auto"):
            raise ConfigError(f'Cookie(secure={self.secure!r}): write True, False or "auto".')
        if self.samesite not in ("Lax", "Strict", "None"):
            raise ConfigError(f'Cookie(samesite={self.samesite!r}): write "Lax", "Strict" or "None".')
        if self.secure is not True and (self.samesite == "None" or self.partitioned):
            setting = "partitioned=True" if self.partitioned else 'samesite="None"'
            raise ConfigError(f"Cookie({setting}): browsers take such a cookie only if it is Secure. Add secure=True.")

    def wire_name(self, secure: bool) -> str:
        """The name that browsers see, with the prefix that makes them enforce where it comes from."""
        if not secure:
            return self.name
        return f"__Secure-{self.name}" if self.domain or self.path != "/" else f"__Host-{self.name}"

    def set_cookie(self, value: str, *, secure: bool, max_age: int | None = None) -> str:
        """The value of a Set-Cookie header. Without `max_age` (seconds) the browser forgets it when it is closed."""
        return "".join(
            (
                f"{self.wire_name(secure)}={value}; Path={self.path}; HttpOnly; SameSite={self.samesite}",
                "; Secure" if secure else "",
                f"; Domain={self.domain}" if self.domain else "",
                "; Partitioned" if self.partitioned else "",
                f"; Max-Age={max_age}" if max_age is not None else "",
            )
        )

    def expire(self, *, secure: bool) -> str:
        """The Set-Cookie value that removes the cookie: every attribute again, else browsers keep what they have."""
        return self.set_cookie("", secure=secure, max_age=0) + "; Expires=Thu, 01 Jan 1970 00:00:00 GMT"


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


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not _is_token(name):
        raise ConfigError(f'Cookie(name={name!r}): use letters, digits, "-" and "_" only.')
    if name.lower().startswith(("__host-", "__secure-", "__http-", "__host-http-")):
        raise ConfigError(
            f"Cookie(name={name!r}): leave out the prefix. It is added by itself whenever the cookie is Secure: "
            "__Host- normally, __Secure- if a domain or another path is set."
        )


def _check_path(path: str) -> None:
    if not isinstance(path, str) or not path.startswith("/") or not _is_attribute_text(path):
        raise ConfigError(f'Cookie(path={path!r}): begin with "/", without ";" and control characters.')


def _check_domain(domain: str | None) -> None:
    if domain is not None and not (isinstance(domain, str) and _is_domain(domain)):
        raise ConfigError(f'Cookie(domain={domain!r}): write a host name such as "example.com", or leave it out.')
