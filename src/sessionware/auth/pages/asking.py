"""What a visitor meets whom the application, or one of the pages, lets in only after a login or another proof of it."""

from __future__ import annotations

from ..._types import Environ
from ...errors import NotFresh
from ..login_mark import Refusal
from . import confirm, login
from .page import Link
from .redirects import safe_next
from .request import PageRequest, Response
from .settings import Settings


class Asking:
    """Leads to the login page, to /confirm, or to the page of the site's own that proves what is missing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def answer(self, environ: Environ, refusal: Refusal, *, is_500: bool = False, back: str = "") -> Response:
        """The response to a request that was refused, and an event, so that nobody wonders where a 500 has gone.

        Args:
            environ: The request's, as it came in.
            refusal: What it was refused for.
            is_500: Whether this takes the place of a response with status 500.
            back: Where to go afterwards. Without it, a page that was asked for is asked for again; what was posted
                would be lost on the way there and back, so that is not a place to come back to.
        """
        page = confirm if isinstance(refusal, NotFresh) else login
        request = PageRequest(environ, page, self._settings, back=back)
        self._tell(request, refusal, is_500)
        if not request.is_navigation:
            return request.refuse_briefly(refusal)
        if request.is_reading and not back:
            back = safe_next(request.own_address, "")
        if isinstance(refusal, NotFresh):
            return self._to_proof(request, refusal, back)
        if request.is_reading or login.PATH in self._settings.left_out:
            return self._lead_on(request, refusal, request.path_to(login.PATH, next=back))
        return request.refuse(refusal)

    def _to_proof(self, request: PageRequest, refusal: NotFresh, back: str) -> Response:
        others = [method for method in refusal.methods if method != "password"]
        if "password" in refusal.methods or not others:  # of several, the password comes first
            return self._to_confirm(request, refusal, back)
        own_page = self._settings.step_up.get(others[0])
        if own_page is not None:
            return self._lead_on(request, refusal, request.path_of_site(own_page, next=back))
        # Not a redirect to any page: none of ours could prove it, and would lead back here for ever.
        missing = NotFresh(
            request.text("missing", methods=", ".join(map(self._settings.messages.of_method, others))),
            reason="other_methods",
        )
        return request.refuse(missing, fields=(), submit="", links=request.links_to(""))

    def _lead_on(self, request: PageRequest, refusal: Refusal, path: str) -> Response:
        if request.is_reading:
            return request.redirect(path)
        # Not by a redirect, after which nobody would know that what was posted is lost.
        way = Link(request.settings.messages.say("page.continue"), path)
        return request.refuse(refusal, fields=(), submit="", links=(way, *request.links_to("")))

    def _to_confirm(self, request: PageRequest, refusal: NotFresh, back: str) -> Response:
        if request.is_reading or confirm.PATH in self._settings.left_out:
            return self._lead_on(request, refusal, request.path_to(confirm.PATH, next=back))
        visitor = request.visitor
        if visitor is not None:
            request.know(username=visitor.username, owner=visitor.id)
        return request.refuse(refusal)

    def _tell(self, request: PageRequest, refusal: Refusal, is_500: bool) -> None:
        missing = f", to prove once more: {', '.join(refusal.methods)}" if isinstance(refusal, NotFresh) else ""
        replaced = ", in place of status 500" if is_500 else ""
        self._settings.auth._tell_login_required(request.environ, f"{request.own_path}{missing}{replaced}")
