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

ACCOUNT_IS_READY = "Your account is ready. Please log in."


def get(request: PageRequest) -> Response:
    """The form. After a registration that did not log in, it says that the registration worked."""
    return request.show(notice=ACCOUNT_IS_READY if request.parameter("registered") else "")


def post(request: PageRequest) -> Response:
    """Log in, and go on to what was asked for."""
    form = request.read_form()
    request.auth.login(request, form["username"], form["password"])
    return request.redirect(request.destination)
