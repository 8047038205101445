"""Pyramid's signed cookie."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import Any

from pyramid.config import Configurator
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory

from .base import SECRET, App, Pages, Subject, plain_pages


def application(pages: Pages, **settings: Any) -> App:
    """The pages under Pyramid, which is configured with these settings."""
    table = pages.table

    def serve(request: Any) -> Response:
        return Response(table[request.path_info](request), content_type="text/plain")

    with Configurator(**settings) as config:
        config.add_route("page", "/{page:.*}")
        config.add_view(serve, route_name="page")
    return config.make_wsgi_app()  # type: ignore[no-any-return]


def _signed(_directory: Path) -> App:
    return application(Pages(attrgetter("session")), session_factory=SignedCookieSessionFactory(SECRET))


def _bare(_directory: Path) -> App:
    return application(plain_pages())


SUBJECTS = [
    Subject("pyramid-bare", "none", "bare", _bare, bare="pyramid-bare", skips=frozenset()),
    # Four kilobytes do not fit its cookie, and it holds no id that a login could change.
    Subject("pyramid-signed", "cookie", "peer", _signed, bare="pyramid-bare", skips=frozenset({"M", "L", "G1", "G2"})),
]
