"""The responses of the pages, with the headers that keep them private and harmless."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256

from webob import Response

from .html import STYLE

__all__ = ["Response", "brief", "data", "document", "redirect"]

_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()

# No form-action: Chromium holds every redirect that follows a form to it, so nobody could log in where the site leads
# on to another origin, as sign-in services do. The page would just stay. Nor can anybody inject a form that it would
# stop, because everything on the page is escaped.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'self' 'sha256-{_STYLE_HASH}'; img-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Cookie, Sec-Fetch-Site, Sec-Fetch-Mode, Origin, Accept",
}


def document(html: str, status: int) -> Response:
    """A page."""
    return _response(html, "text/html", status)


def brief(reason: str, message: str, status: int, *, as_json: bool, methods: tuple[str, ...] = ()) -> Response:
    """A few words for a script, which can make nothing of a page. The methods are those that have to be proved."""
    if as_json:
        missing = {"methods": methods} if methods else {}
        return data({"error": reason, "message": message, **missing}, status)
    return _response(f"{message}\n", "text/plain", status)


def data(values: Mapping[str, object], status: int = 200) -> Response:
    """JSON."""
    return _response(f"{json.dumps(values)}\n", "application/json", status)


def redirect(path: str) -> Response:
    """A redirect to a path, and not to an absolute address, which would depend on the Host header."""
    response = _response("", "text/plain", 303)
    response.headers["Location"] = path
    return response


def _response(text: str, content_type: str, status: int) -> Response:
    response = Response(status=status, content_type=content_type, charset="utf-8")
    response.text = text
    response.headers.update(list(_HEADERS.items()))
    return response
