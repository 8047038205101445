"""/confirm: the password once more, before something that a thief at an open browser must not do."""

from __future__ import annotations

from dataclasses import replace

from .forms import CURRENT_PASSWORD, OWN_USERNAME
from .owner import OWNER, check_owner
from .page import Field, Link
from .request import PageRequest, Response

PATH = "/confirm"
TITLE = "Confirm that it is you"
SUBMIT = "Confirm"
FIELDS: tuple[Field, ...] = (
    OWNER,
    OWN_USERNAME,
    replace(CURRENT_PASSWORD, hint="You logged in a while ago. Please enter your password once more."),
)
LINKS: tuple[Link, ...] = (
    Link("Forgot your password?", "/forgot"),
    Link("Cancel", href=""),
)
MESSAGES = {
    "error.LoginFailed": "This is not your password.",
    "error.NotFresh.not_fresh": "Please confirm that it is you, and then do it again.",
    "missing": "This needs another proof that it is you: {methods}. It cannot be given on this page.",
}
IS_DESTINATION = False


def get(request: PageRequest) -> Response:
    """The form."""
    user = request.auth.require_user(request)
    request.know(username=user.username, owner=user.id)
    return request.show()


def post(request: PageRequest) -> Response:
    """Check the password, and go on to what was asked for."""
    form = request.read_form()  # first, so that whoever is logged out by now is led on to what was asked for
    user = request.auth.require_user(request)
    request.know(username=user.username, owner=user.id)
    check_owner(form, user)
    request.auth.confirm(request, form["password"])
    return request.redirect(request.destination)
