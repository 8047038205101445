"""What a request's environ says: whether it came over https, to a loopback address, or without a person behind it."""

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


def is_passive(environ: Environ) -> bool:
    """Whether a script or the browser's prefetching says that it sent the request by itself.

    Anybody may say so, because it can only make a session end earlier.
    """
    return environ.get("HTTP_X_SESSION_PASSIVE") == "1" or is_prefetch(environ)


def is_unseen(environ: Environ) -> bool:
    """Whether nobody will see the page, or perhaps nobody."""
    return environ.get("REQUEST_METHOD") == "HEAD" or is_prefetch(environ)


def is_prefetch(environ: Environ) -> bool:
    """Whether the browser fetches a page before anybody asks for it."""
    purpose = environ.get("HTTP_SEC_PURPOSE")  # "prefetch", or "prefetch;prerender"
    return purpose is not None and str(purpose).partition(";")[0].strip().lower() == "prefetch"
