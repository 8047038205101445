"""/register: for somebody who has no account yet."""

from __future__ import annotations

from ...errors import AuthError, Busy, LoginFailed, Throttled, UsernameRejected, UsernameTaken
from ...usernames import username_key
from .forms import NEW_PASSWORD, NEW_USERNAME, Form
from .own_fields import rejections, values_of
from .page import Field, Link
from .request import PageRequest, Response

PATH = "/register"
TITLE = "Create an account"
SUBMIT = "Create account"
FIELDS: tuple[Field, ...] = (NEW_USERNAME, NEW_PASSWORD)
LINKS: tuple[Link, ...] = (Link("Log in", "/login", question="Already have an account?"),)
MESSAGES = {
    "logged_in": "You are logged in as {username}. To create another account, log out first.",
}
IS_DESTINATION = False


def get(request: PageRequest) -> Response:
    """The form, unless there is no need for one."""
    visitor = request.visitor
    if visitor is not None:
        return request.show_logged_in(request.text("logged_in", username=visitor.username))
    return request.show()


def post(request: PageRequest) -> Response:
    """Create the account, and go on: logged in to what was asked for, or first to the login page."""
    form = request.read_form()
    logs_in = request.settings.login_after_register
    wrong = rejections(request.own_fields, form)
    if wrong:  # asked first, because nothing may be created, and what else is wrong is said with it
        return request.refuse(*_about_name(form), *_about_password(request, form), *wrong)
    try:
        data = values_of(request.own_fields, form)
        request.auth.register(request, form["username"], form["password"], login=logs_in, data=data)
    except UsernameRejected as error:  # it comes first, so the password has not been looked at
        return request.refuse(error, *_about_password(request, form))
    except UsernameTaken:
        # Where the site has a login of its own, it may ask for more than the password.
        logs_in = logs_in and "/login" not in request.settings.left_out
        if not _is_their_own(request, form, logs_in=logs_in):
            raise
    if logs_in:
        return request.redirect(request.destination)
    return request.redirect(request.path_to("/login", registered="1", next=request.next))


def _is_their_own(request: PageRequest, form: Form, *, logs_in: bool) -> bool:
    """Whether the account that has the name is the visitor's, who is logged in then, if that is to be.

    After a double click on the button, the browser has given up the answer to the first, and the cookie with it. This
    tells nobody more than /login would, and counts as an attempt there.
    """
    try_password = request.auth.login if logs_in else request.auth.authenticate
    try:
        try_password(request, form["username"], form["password"])
    except (LoginFailed, Throttled, Busy):
        return False
    return True


def _about_name(form: Form) -> list[AuthError]:
    return [] if username_key(form["username"]) is not None else [UsernameRejected()]


def _about_password(request: PageRequest, form: Form) -> list[AuthError]:
    return request.password_rejections(form["username"], form.hidden("password"))
