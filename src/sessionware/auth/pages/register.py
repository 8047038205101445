"""/register: for somebody who has no account yet."""

from __future__ import annotations

from ...errors import AuthError, PasswordRejected, UsernameRejected
from .forms import NEW_PASSWORD, NEW_USERNAME, Form
from .html import Field, Link
from .request import PageRequest, Response

PATH = "/register"
TITLE = "Create an account"
SUBMIT = "Create account"
FIELDS: tuple[Field, ...] = (NEW_USERNAME, NEW_PASSWORD)
LINKS: tuple[Link, ...] = (Link("Log in", "/login", question="Already have an account?"),)
IS_DESTINATION = False

LOGGED_IN = "You are logged in as {username}. To create another account, log out first."


def get(request: PageRequest) -> Response:
    """The form, unless there is no need for one."""
    visitor = request.visitor
    if visitor is not None:
        return request.show_logged_in(LOGGED_IN.format(username=visitor.username))
    return request.show()


def post(request: PageRequest) -> Response:
    """Create the account, and go on: logged in to what was asked for, or first to the login page."""
    form = request.read_form()
    logs_in = request.settings.login_after_register
    try:
        request.auth.register(request, form["username"], form["password"], login=logs_in)
    except UsernameRejected as error:  # it comes first, so the password has not been looked at
        return request.refuse(error, *_rejections(request, form))
    if logs_in:
        return request.redirect(request.destination)
    return request.redirect(request.path_to("/login", registered="1", next=request.next))


def _rejections(request: PageRequest, form: Form) -> list[AuthError]:
    try:
        request.auth.policy.validate(form["password"])
    except PasswordRejected as error:
        return [error]
    return []
