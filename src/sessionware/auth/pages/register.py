"""/register: for somebody who has no account yet."""

from __future__ import annotations

from .forms import NEW_PASSWORD, USERNAME
from .html import Field, Link
from .request import PageRequest, Response

PATH = "/register"
TITLE = "Create an account"
SUBMIT = "Create account"
FIELDS: tuple[Field, ...] = (USERNAME, NEW_PASSWORD)
LINKS: tuple[Link, ...] = (Link("Log in", "/login", question="Already have an account?"),)
IS_DESTINATION = False


def get(request: PageRequest) -> Response:
    """The form."""
    return request.show()


def post(request: PageRequest) -> Response:
    """Create the account, and go on: logged in to what was asked for, or first to the login page."""
    form = request.read_form()
    logs_in = request.settings.login_after_register
    request.auth.register(request, form["username"], form["password"], login=logs_in)
    if logs_in:
        return request.redirect(request.destination)
    return request.redirect(request.path_to("/login", registered="1", next=request.next))
