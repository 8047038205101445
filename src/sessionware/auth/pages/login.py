"""/login: for somebody who has an account. What is said after a refusal is in `errors`."""

from __future__ import annotations

from .forms import CURRENT_PASSWORD, REMEMBER, USERNAME
from .page import Field, Link
from .request import PageRequest, Response

PATH = "/login"
TITLE = "Log in"
SUBMIT = "Log in"
FIELDS: tuple[Field, ...] = (USERNAME, CURRENT_PASSWORD, REMEMBER)
LINKS: tuple[Link, ...] = (
    Link("Forgot your password?", "/forgot"),
    Link("Create one", "/register", question="No account yet?"),
)
MESSAGES = {
    "logged_in": "You are logged in as {username}.",
    "registered": "Your account is ready. Please log in.",
    "reset": "Your password was changed. Please log in.",
    "error.NotLoggedIn.perhaps_changed": "Please log in. If you have just changed your password, use the new one.",
    "ended.expired": "Your session has expired. Please log in.",
    "ended.elsewhere": "You were logged out from another device or browser. Please log in again.",
    "ended.limit": "You were logged out because you logged in on too many devices. Please log in again.",
    "ended.password": "You were logged out because your password was changed. Please log in again.",
    "ended.disabled": "You were logged out because your account was disabled.",
    "ended.admin": "Your session was ended by an administrator. Please log in.",
}
IS_DESTINATION = False


def get(request: PageRequest) -> Response:
    """The form. It also says why somebody is here: what was done just now, or a session that is over."""
    visitor = request.visitor
    if visitor is not None:
        return request.show_logged_in(request.text("logged_in", username=visitor.username))
    for done in ("registered", "reset"):
        if request.parameter(done):
            return request.show(notice=request.text(done))
    reason = request.take_end_reason()
    return request.show(notice=request.text(f"ended.{reason}") if reason else "")


def post(request: PageRequest) -> Response:
    """Log in, and go on to what was asked for."""
    form = request.read_form()
    request.auth.login(request, form["username"], form["password"], remember=bool(form["remember"]))
    return request.redirect(request.destination)
