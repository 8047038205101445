"""/password: for somebody who is logged in and wants another password."""

from __future__ import annotations

from dataclasses import replace

from ...errors import LoginFailed, NotLoggedIn
from ..users.base import User
from .forms import CURRENT_PASSWORD, NEW_PASSWORD, OWN_USERNAME
from .owner import OWNER, check_owner
from .page import Field, Link
from .request import PageRequest, Response

PATH = "/password"
TITLE = "Change your password"
SUBMIT = "Change password"
FIELDS: tuple[Field, ...] = (
    OWNER,
    OWN_USERNAME,
    replace(CURRENT_PASSWORD, label="Current password"),
    replace(NEW_PASSWORD, name="new_password", label="New password"),
)
LINKS: tuple[Link, ...] = (
    Link("Forgot your password?", "/forgot"),
    Link("Where you are logged in", "/sessions"),
)
MESSAGES = {
    "changed": "Your password was changed. You were logged out everywhere else.",
    "error.LoginFailed": "This is not your current password.",
}
IS_DESTINATION = True


def get(request: PageRequest) -> Response:
    """The form, or that it was done."""
    user = request.auth.require_user(request)
    if request.parameter("changed"):
        return request.show_done(request.text("changed"), *request.links_to("/sessions"))
    request.know(username=user.username, owner=user.id)
    return request.show()


def post(request: PageRequest) -> Response:
    """Change it, and say so."""
    user = _owner(request)
    request.know(username=user.username, owner=user.id)
    form = request.read_form()
    check_owner(form, user)
    try:
        request.auth.change_password(request, form["password"], form["new_password"])
    except LoginFailed as error:
        return request.refuse(error, *request.password_rejections(user.username, form.hidden("new_password")))
    return request.redirect(request.path_to(PATH, changed="1", next=request.next))


def _owner(request: PageRequest) -> User:
    """Who is logged in. A double click may have changed the password, and left the browser without its new cookie."""
    try:
        return request.auth.require_user(request)
    except NotLoggedIn as error:
        if request.is_navigation:
            error.reason = "perhaps_changed"
        raise
