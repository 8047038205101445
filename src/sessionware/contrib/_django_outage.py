"""What a Django site answers while its store is down."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.signals import got_request_exception
from django.http import HttpResponse
from django.utils.deprecation import MiddlewareMixin

from sessionware import StoreError


class OutageMiddleware(MiddlewareMixin):  # type: ignore[misc]
    """Answers 503 where Django says 500 because the store is down. Put it first in `MIDDLEWARE`."""

    def process_response(self, request: Any, response: Any) -> Any:
        """Replace the page of a server error, unless it is the one for developers."""
        if response.status_code != 500 or settings.DEBUG or not getattr(request, "_sessionware_is_down", False):
            return response
        text = "This site is having a short break. Please try again in a few seconds."
        return HttpResponse(text, status=503, headers={"Retry-After": "5"}, content_type="text/plain; charset=utf-8")


def _note_outage(request: Any = None, **_: Any) -> None:
    if request is not None and isinstance(sys.exc_info()[1], StoreError):
        request._sessionware_is_down = True


got_request_exception.connect(_note_outage)
