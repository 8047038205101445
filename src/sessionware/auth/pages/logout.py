"""/logout: ends the session, but never by a link alone."""

from __future__ import annotations

from .html import Field, Link
from .request import PageRequest, Response

PATH = "/logout"
TITLE = "Log out"
SUBMIT = "Log out"
FIELDS: tuple[Field, ...] = ()
LINKS: tuple[Link, ...] = (Link("Stay logged in", href=""),)
IS_DESTINATION = False


def get(request: PageRequest) -> Response:
    """The question. A link, or an image on another site, must not log anybody out."""
    return request.show()


def post(request: PageRequest) -> Response:
    """Log out and go home. The body is not read, so a script can do this with an empty POST."""
    request.auth.logout(request)
    response = request.redirect(request.home)
    response.headers["Clear-Site-Data"] = '"cache"'  # what the browser kept of the pages seen before
    return response
