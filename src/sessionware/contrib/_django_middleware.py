"""What has to be done to Django's responses: 503 while the store is down, and no cookie without need."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.signals import got_request_exception
from django.http import HttpResponse
from django.utils.deprecation import MiddlewareMixin

from sessionware import StoreError


class SessionwareMiddleware(MiddlewareMixin):  # type: ignore[misc]  # Django has no types
    """Answers 503 where Django says 500 because the store is down. Put it first in `MIDDLEWARE`.

    It also leaves out the session's cookie where the browser has that already: a page that takes long would replace the
    cookie of a login that was faster.
    """

    def __call__(self, request: Any) -> Any:
        """Answer, also where the page for server errors fails because it looks at the session itself."""
        try:
            return super().__call__(request)
        except StoreError:
            if settings.DEBUG:
                raise
            return _unavailable()

    async def __acall__(self, request: Any) -> Any:
        """The same for async sites."""
        try:
            return await super().__acall__(request)
        except StoreError:
            if settings.DEBUG:
                raise
            return _unavailable()

    def process_response(self, request: Any, response: Any) -> Any:
        """Replace the page of a server error, unless it is the one for developers."""
        if response.status_code == 500 and not settings.DEBUG and getattr(request, "_sessionware_is_down", False):
            return _unavailable()
        name, is_known = settings.SESSION_COOKIE_NAME, getattr(getattr(request, "session", None), "is_known", None)
        if name in response.cookies and is_known is not None and is_known(request.COOKIES.get(name)):
            del response.cookies[name]
        return response


def _unavailable() -> HttpResponse:
    text = "The service is unavailable for a moment. Please try again.\n"
    headers = {"Content-Type": "text/plain; charset=utf-8", "Retry-After": "5", "Cache-Control": "no-store"}
    return HttpResponse(text, status=503, headers=headers)


def _note_outage(request: Any = None, **_: Any) -> None:
    if request is not None and isinstance(sys.exc_info()[1], StoreError):
        request._sessionware_is_down = True


got_request_exception.connect(_note_outage)
