"""The attributes of the session's cookie, as a site sets them. How it looks on the wire is in `_core.tickets`."""

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

    A Secure cookie is sent as `__Host-name`, or as `__Secure-name` if a `domain` or another `path` is set. Only that
    name is read then.

    Args:
        name: The cookie's name, without a prefix.
        path: The path under which browsers send it.
        domain: A domain whose subdomains get it too. Without one, only the host that set it gets it.
        secure: Whether it is Secure. `"auto"` sets this whenever the request came over https, according to the server
            or `X-Forwarded-Proto`.
        samesite: Which requests from other sites carry it.
        partitioned: Whether browsers keep it apart for each site that embeds yours.

    Raises:
        ConfigError: Browsers refuse such a cookie.
    """

    name: str = "sid"
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
            raise ConfigError(f"Cookie({setting}): browsers accept this only if the cookie is Secure. Add secure=True.")


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not _is_token(name):
        raise ConfigError(f'Cookie(name={name!r}): use letters, digits, "-" and "_" only.')
    if name.lower().startswith(("__host-", "__secure-", "__http-", "__host-http-")):
        raise ConfigError(
            f"Cookie(name={name!r}): leave out the prefix. It is added automatically whenever the cookie is Secure: "
            "__Host- normally, __Secure- if a domain or another path is set."
        )


def _check_path(path: str) -> None:
    if not isinstance(path, str) or not path.startswith("/") or not _is_attribute_text(path):
        raise ConfigError(f'Cookie(path={path!r}): begin with "/", and use no ";" or control characters.')


def _check_domain(domain: str | None) -> None:
    if domain is not None and not (isinstance(domain, str) and _is_domain(domain)):
        raise ConfigError(f'Cookie(domain={domain!r}): write a host name such as "example.com", or leave it out.')
