"""/logout: ends the session, but never by a link alone."""

from __future__ import annotations

from ...errors import StoreError
from .page import Field, Link
from .request import PageRequest, Response

PATH = "/logout"
TITLE = "Log out"
SUBMIT = "Log out"
FIELDS: tuple[Field, ...] = ()
LINKS: tuple[Link, ...] = (Link("Stay logged in", href=""),)
MESSAGES = {"logged_out": "You are logged out."}
IS_DESTINATION = False


def get(request: PageRequest) -> Response:
    """The question, if there is anybody to ask. A link, or an image on another site, must not log anybody out."""
    return request.show() if _may_be_logged_in(request) else request.show_done(request.text("logged_out"))


def post(request: PageRequest) -> Response:
    """Log out and go home. The body is not read, so a script can do this with an empty POST."""
    request.auth.logout(request)
    response = request.redirect(request.home)
    response.headers["Clear-Site-Data"] = '"cache"'  # what the browser kept of the pages seen before
    return response


def _may_be_logged_in(request: PageRequest) -> bool:
    """Also if it cannot be found out. Asked of the session, because it may be that of an account that is no more."""
    try:
        return request.session.username is not None
    except StoreError:
        return True
