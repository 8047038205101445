"""/login: for somebody who has an account. What is said after a refusal is in `errors`."""

from __future__ import annotations

from .forms import CURRENT_PASSWORD, USERNAME
from .html import Field, Link
from .request import PageRequest, Response

PATH = "/login"
TITLE = "Log in"
SUBMIT = "Log in"
FIELDS: tuple[Field, ...] = (USERNAME, CURRENT_PASSWORD)
LINKS: tuple[Link, ...] = (Link("Create one", "/register", question="No account yet?"),)
IS_DESTINATION = False

LOGGED_IN = "You are logged in as {username}."
ACCOUNT_IS_READY = "Your account is ready. Please log in."

WHY_ENDED = {
    "expired": "Your session has expired. Please log in.",
    "elsewhere": "You were logged out from another device or browser. Please log in again.",
    "limit": "You were logged out because you logged in on too many devices. Please log in again.",
    "password": "You were logged out because your password was changed. Please log in again.",
    "disabled": "You were logged out because your account was disabled.",
    "admin": "Your session was ended by an administrator. Please log in.",
}


def get(request: PageRequest) -> Response:
    """The form. It also says why somebody is here: an account that is ready, or a session that is over."""
    visitor = request.visitor
    if visitor is not None:
        return request.show_logged_in(LOGGED_IN.format(username=visitor.username))
    if request.parameter("registered"):
        return request.show(notice=ACCOUNT_IS_READY)
    return request.show(notice=WHY_ENDED.get(request.take_end_reason(), ""))


def post(request: PageRequest) -> Response:
    """Log in, and go on to what was asked for."""
    form = request.read_form()
    request.auth.login(request, form["username"], form["password"])
    return request.redirect(request.destination)
