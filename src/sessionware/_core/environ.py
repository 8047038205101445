"""What a request's environ says: whether it came over https, to a loopback address, or without a person behind it.

An application may change its environ (PEP 3333), as dispatchers and method overrides do. So everything in this package
reads a copy that was made on entry. Else the cookie that goes out might have another name than the one that came in.
"""

from __future__ import annotations

import ipaddress

from .._types import Environ

#: How much of a header goes into an event.
_MOST_CHARACTERS = 100


def is_https(environ: Environ) -> bool:
    """Whether the browser seems to use https.

    `X-Forwarded-Proto` can be forged, so it is trusted only to make things stricter. If several proxies wrote into it,
    the first is the one that the browser talked to.
    """
    if environ.get("wsgi.url_scheme") == "https":
        return True
    forwarded = environ.get("HTTP_X_FORWARDED_PROTO")
    return forwarded is not None and forwarded.lstrip(", \t").partition(",")[0].rstrip(" \t").lower() == "https"


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


def where_from(environ: Environ) -> str:
    """What the request says about where it comes from, for events. Anybody may have written it, so it is quoted."""
    headers = {"Origin": "HTTP_ORIGIN", "Sec-Fetch-Site": "HTTP_SEC_FETCH_SITE", "Host": "HTTP_HOST"}
    said = [f"{name} {_quoted(environ[key])}" if key in environ else f"no {name}" for name, key in headers.items()]
    return ", ".join([*said, f"scheme {'https' if is_https(environ) else 'http'}"])


def _quoted(value: object) -> str:
    """A header's value in quotes: cut short, and with every character escaped that could confuse a log's reader."""
    text = ascii(str(value)[:_MOST_CHARACTERS])
    return text if len(text) < _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}...{text[0]}"
