"""/reset?token=…: a new password for whoever has got the link. It works once, for an hour, and never logs in."""

from __future__ import annotations

from dataclasses import replace

from ..._hidden import HiddenText
from ...errors import AuthError, CrossOriginRefused, TokenInvalid
from .forms import NEW_PASSWORD
from .page import Field, Link
from .request import PageRequest, Response

PATH = "/reset"
TITLE = "Choose a new password"
SUBMIT = "Save password"
FIELDS: tuple[Field, ...] = (
    Field("token", "", kind="hidden"),
    replace(NEW_PASSWORD, label="New password"),
)
LINKS: tuple[Link, ...] = (
    Link("Ask for a new link", "/forgot"),
    Link("Back to the login", "/login"),
)
MESSAGES = {
    "error.TokenInvalid": (
        "This link is no longer valid. If you have just used it, log in with the new password; if not, please ask for "
        "a new one."
    ),
}
IS_DESTINATION = False


def get(request: PageRequest) -> Response:
    """The form. The token is not looked at: mail scanners fetch every link, and must not use it up."""
    token = request.parameter("token")
    if not token:
        return _refused(request, TokenInvalid())
    request.know(token=token)
    response = request.show(links=())
    # Not "same-origin" as elsewhere, because the token is in this address. Not "no-referrer", because then the browser
    # calls the form's origin "null".
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


def post(request: PageRequest) -> Response:
    """Set the password, and go on to the login. A password that is refused leaves the link as it is."""
    form = request.read_form()
    try:
        request.auth.reset_password(request, form.hidden("token"), form["password"])
    except (TokenInvalid, CrossOriginRefused) as error:  # another site's token may be for that site's own account here
        return _refused(request, error)
    except AuthError as error:
        request.know(token=form.hidden("token"))
        return request.refuse(error)
    return request.redirect(request.path_to("/login", reset="1"))


def _refused(request: PageRequest, error: AuthError) -> Response:
    """Without the form, which can do nothing any more."""
    request.know(token=HiddenText(""))
    return request.refuse(error, fields=(), submit="")
