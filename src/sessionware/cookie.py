"""The attributes of the session's cookie, as a site sets them. How it looks on the wire is in `_core.tickets`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .errors import ConfigError

_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII).fullmatch  # RFC 9110 §5.6.2
_is_attribute_text = re.compile(r"[\x20-\x3a\x3c-\x7e]*").fullmatch  # no control character, no semicolon
_is_domain = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*").fullmatch

_PREFIXES = ("__host-http-", "__http-", "__host-", "__secure-")


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
        _check_secure(self.secure)
        _check_samesite(self.samesite)
        if not isinstance(self.partitioned, bool):
            raise ConfigError(f"Cookie(partitioned={self.partitioned!r}): write {_bool_meant_by(self.partitioned)}.")
        if self.secure is not True and (self.samesite == "None" or self.partitioned):
            setting = "partitioned=True" if self.partitioned else 'samesite="None"'
            raise ConfigError(f"Cookie({setting}): browsers accept this only if the cookie is Secure. Add secure=True.")


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not _is_token(name):
        raise ConfigError(f'Cookie(name={name!r}): use letters, digits, "-" and "_" only, as in name="sid".')
    prefix = next((prefix for prefix in _PREFIXES if name.lower().startswith(prefix)), None)
    if prefix is not None:
        meant = name[len(prefix) :] or "sid"
        raise ConfigError(
            f"Cookie(name={name!r}): leave out the prefix and write name={meant!r}. It is added automatically whenever "
            "the cookie is Secure: __Host- normally, __Secure- if a domain or another path is set."
        )


def _check_path(path: str) -> None:
    if isinstance(path, str) and path.startswith("/") and _is_attribute_text(path):
        return
    meant = f"/{path.strip('/')}" if isinstance(path, str) and _is_attribute_text(path) else "/"
    raise ConfigError(
        f'Cookie(path={path!r}): begin with "/", and use no ";" or control characters, as in path={meant!r}.'
    )


def _check_domain(domain: str | None) -> None:
    if domain is None or (isinstance(domain, str) and _is_domain(domain)):
        return
    # A leading dot is how it was written before RFC 6265. Schemes and ports come with whole URLs.
    host = re.sub(r"^\w+://|[:/].*$|\s", "", domain).strip(".*") if isinstance(domain, str) else ""
    meant = f"domain={host!r}" if host and _is_domain(host) else "a host name, as in domain='example.com'"
    raise ConfigError(
        f"Cookie(domain={domain!r}): write {meant}, which includes its subdomains, or leave it out (None)."
    )


def _check_secure(secure: object) -> None:
    if not isinstance(secure, bool) and secure != "auto":
        meant = f'{_bool_meant_by(secure)}, or "auto" for Secure whenever the request came over https'
        raise ConfigError(f"Cookie(secure={secure!r}): write {meant}.")


def _bool_meant_by(value: object) -> str:
    word = str(value).strip().lower()
    if word in ("true", "yes", "on", "1", "always"):
        return "True"
    return "False" if word in ("false", "no", "off", "0", "none", "never", "") else "True or False"


def _check_samesite(samesite: object) -> None:
    if samesite in ("Lax", "Strict", "None"):
        return
    meant = samesite.strip().capitalize() if isinstance(samesite, str) else ""
    if meant in ("Lax", "Strict", "None"):
        advice = f'write "{meant}"'
    elif samesite is None or samesite is False:  # Flask's and Django's word for "no such attribute"
        advice = (
            'write "Lax", as browsers do without the attribute, or "None" in quotes to have it sent from everywhere'
        )
    else:
        advice = 'write "Lax", "Strict" or "None"'
    raise ConfigError(f"Cookie(samesite={samesite!r}): {advice}.")
