"""/forgot: sends a link to whoever has forgotten the password. It never says whether there is such an account."""

from __future__ import annotations

from dataclasses import replace

from .forms import USERNAME
from .page import Field, Link
from .request import PageRequest, Response

PATH = "/forgot"
TITLE = "Forgot your password?"
SUBMIT = "Send a link"
FIELDS: tuple[Field, ...] = (
    replace(USERNAME, hint="We will send you a link by which you can choose a new password.", errors=()),
)
LINKS: tuple[Link, ...] = (Link("Back to the login", "/login"),)
MESSAGES = {
    "sent": (
        "If there is an account with this name, a message with a link is on its way. The link is good for one hour. "
        "If nothing arrives, look into your spam folder before you try again."
    ),
}
IS_DESTINATION = False


def get(request: PageRequest) -> Response:
    """The form, or the same words for everybody who has sent it."""
    if request.parameter("sent"):
        return request.show(notice=request.text("sent"), fields=(), submit="")
    return request.show()


def post(request: PageRequest) -> Response:
    """Ask for the link. The name is looked up later, so the answer takes the same time whether it is known."""
    form = request.read_form()
    request.auth.request_reset(request, form["username"])
    return request.redirect(request.path_to(PATH, sent="1"))
