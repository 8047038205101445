"""/session: for a script that warns before the session ends. It shows nobody a page."""

from __future__ import annotations

from ...errors import CrossOriginRefused
from .page import Field, Link
from .request import PageRequest, Response

PATH = "/session"
TITLE = ""
SUBMIT = ""
FIELDS: tuple[Field, ...] = ()
LINKS: tuple[Link, ...] = ()
MESSAGES: dict[str, str] = {}
IS_DESTINATION = False


def get(request: PageRequest) -> Response:
    """How much time is left. Asking prolongs nothing, whatever the request's headers say."""
    request.session.keep_alive = False
    return _tell_time_left(request)


def post(request: PageRequest) -> Response:
    """Prolong it, because somebody is still there, and lead back to what is left. The body is not read.

    To look who is logged in is a use of the session, and that is all that prolongs it. It is saved with this response,
    so only the next one can tell how much time is left then.
    """
    if request.session.is_foreign:
        return request.refuse_briefly(CrossOriginRefused())
    request.auth.user(request)
    return request.redirect(request.path_to(PATH))


def _tell_time_left(request: PageRequest) -> Response:
    """In whole seconds: until it ends if nobody uses it again, and until it ends whatever happens."""
    session = request.session
    if request.auth.user(request) is None or session.expires_at is None or session.ends_at is None:
        return request.tell(logged_in=False, idle_in=None, ends_in=None)
    idle_in, ends_in = (max(0, end - request.now) for end in (session.expires_at, session.ends_at))
    return request.tell(logged_in=True, idle_in=idle_in, ends_in=ends_in)
