"""What a request's environ says: whether it came over https, or to a loopback address."""

from __future__ import annotations

import ipaddress

from .._types import Environ


def is_https(environ: Environ) -> bool:
    """Whether the browser seems to use https.

    `X-Forwarded-Proto` can be forged, so it is trusted only to make the cookie stricter.
    """
    if environ.get("wsgi.url_scheme") == "https":
        return True
    forwarded = environ.get("HTTP_X_FORWARDED_PROTO")
    return forwarded is not None and "https" in (part.strip(" \t").lower() for part in forwarded.split(","))


def is_loopback(environ: Environ) -> bool:
    """Whether the request was made to a loopback name or address, where browsers accept Secure cookies over http."""
    host = str(environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")).lower()
    host = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
