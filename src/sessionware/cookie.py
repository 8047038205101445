"""The session's cookie: its attributes, and the Set-Cookie line.

The rules of prefixes are those of RFC 6265bis (draft-ietf-httpbis-rfc6265bis).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .errors import ConfigError

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
