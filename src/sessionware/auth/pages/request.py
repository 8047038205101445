"""What the functions of a page get: one request, what the site's owner set, and the ways to answer."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol
from urllib.parse import parse_qs, quote

from webob import Response

from ..._request import get_session
from ..._types import Environ
from ...errors import AuthError, StoreError
from ..auth import Auth
from ..users.base import User
from .forms import Form, read_form
from .html import STYLE, Field, Link, Page
from .redirects import safe_next

__all__ = ["PageFile", "PageRequest", "Response", "Settings"]

_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'self' 'sha256-{_STYLE_HASH}'; img-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Cookie, Sec-Fetch-Site, Sec-Fetch-Mode, Origin, Accept",
}

_IN_PATH = "/!$&'()*+,;=:@~"  # what stands for itself in a path (RFC 3986 §3.3)


class PageFile(Protocol):
    """What the file of a page contains: first, as data, what the page is, then what it does.

    Its other messages are constants beside these. `get` and `post` may raise an `AuthError`, which is shown on the
    page: at a field if it is about that field alone, else above the form. `NotLoggedIn` leads to the login page.
    """

    PATH: str
    """Where it is, after the prefix."""
    TITLE: str
    SUBMIT: str
    """What its button says."""
    FIELDS: tuple[Field, ...]
    """The fields of its form. In a hint, `{minimum_length}` stands for the minimum length of a new password."""
    LINKS: tuple[Link, ...]
    """Links to other pages by their `PATH`, or to the site's home by an empty one."""
    IS_DESTINATION: bool
    """Whether a login may lead there."""

    def get(self, request: PageRequest, /) -> Response:
        """Show the page."""

    def post(self, request: PageRequest, /) -> Response:
        """Do what the form asks for."""


@dataclass(frozen=True)
class Settings:
    """The arguments of `AuthPages`, the same for every request."""

    auth: Auth
    prefix: str
    home: str
    login_after_register: bool
    site_name: str
    stylesheet: str
    render: Callable[[Page], str]
    no_destinations: frozenset[str]
    """The paths of the pages that no login leads to."""


class PageRequest:
    """One request for a page. It has an `environ`, so `Auth` accepts it as a request."""

    def __init__(self, environ: Environ, page: PageFile, settings: Settings) -> None:
        self.environ = environ
        self.settings = settings
        self.auth: Auth = settings.auth
        self._page = page
        self._form = Form()

    # What was asked

    @property
    def is_reading(self) -> bool:
        """Whether it only wants to see the page."""
        return self.environ["REQUEST_METHOD"] in ("GET", "HEAD")

    @property
    def is_navigation(self) -> bool:
        """Whether the browser asks for a page to show, and not a script for data. A request that says nothing does."""
        if self.environ.get("HTTP_SEC_FETCH_MODE", "navigate") != "navigate":
            return False
        accepted = self._accepted
        return accepted is None or "text/html" in accepted or "application/xhtml+xml" in accepted

    @property
    def _accepted(self) -> frozenset[str] | None:
        """The media types in the Accept header, None if there is none. `*/*` counts for nothing: scripts send it."""
        accept = self.environ.get("HTTP_ACCEPT")
        return None if accept is None else frozenset(part.split(";")[0].strip().lower() for part in accept.split(","))

    def parameter(self, name: str) -> str:
        """A parameter of the query; empty if there is none."""
        query: str = self.environ.get("QUERY_STRING", "")
        return parse_qs(query).get(name, [""])[0]

    def read_form(self) -> Form:
        """What was posted. If the page is shown again, it shows what was typed. Raises `BadForm`."""
        self._form = read_form(self.environ, self._page.FIELDS)
        return self._form

    def take_end_reason(self) -> str:
        """Why the visitor's session is over, once: the cookie that names it is removed. Empty if it is not.

        A request that shows nobody the page, such as a prefetch or a script's, does not take it.
        """
        session = get_session(self.environ, self.auth.environ_key)
        try:
            reason = session.ended_because
            if reason and self._is_seen:
                session.invalidate()
        except StoreError:  # without the store nobody can log in, but the page can be shown
            return ""
        return reason or ""

    @property
    def visitor(self) -> User | None:
        """Who is logged in. Nobody, if that cannot be found out: the page can be shown all the same."""
        try:
            return self.auth.user(self.environ)
        except StoreError:
            return None

    @property
    def _is_seen(self) -> bool:
        """Whether a person will see the page, as far as the browser says."""
        environ = self.environ
        is_ahead = "HTTP_SEC_PURPOSE" in environ or "HTTP_X_SESSION_PASSIVE" in environ
        return environ["REQUEST_METHOD"] == "GET" and self.is_navigation and not is_ahead

    # Where things are

    @property
    def home(self) -> str:
        """Where to go if nothing else was asked for."""
        return self._base + self.settings.home

    @property
    def next(self) -> str:
        """Where the visitor asked to go afterwards; empty for home, another site, and a page such as /login."""
        wanted = safe_next(self.parameter("next") if self.is_reading else self._form["next"], "")
        path = re.split("[?#]", wanted)[0].removeprefix(self._base)
        return "" if wanted == self.home or path in self.settings.no_destinations else wanted

    @property
    def destination(self) -> str:
        """Where to go after a login."""
        return self.next or self.home

    def path_to(self, page: str, **query: str) -> str:
        """The path to another page by its `PATH`, with those parameters of the query that are not empty."""
        filled = "&".join(f"{name}={quote(value, safe='/')}" for name, value in query.items() if value)
        return f"{self._base}{self.settings.prefix}{page}" + (f"?{filled}" if filled else "")

    @property
    def own_address(self) -> str:
        """Path and query as they were requested. Not by WebOb, which expects them to be UTF-8."""
        query = self.environ.get("QUERY_STRING", "")
        return self.own_path + (f"?{query}" if query else "")

    @property
    def own_path(self) -> str:
        """The path as it was requested."""
        return self._base + self._quoted("PATH_INFO")

    @property
    def _base(self) -> str:
        """The path that the application is mounted under. Some servers let clients set it, so it is checked."""
        return safe_next(self._quoted("SCRIPT_NAME").rstrip("/"), "")

    def _quoted(self, name: str) -> str:
        return quote(self.environ.get(name, "").encode("latin-1"), safe=_IN_PATH)

    # How to answer

    def show(self, *, notice: str = "") -> Response:
        """The page."""
        return self._render(self._filled_in(notice=notice), 200)

    def show_logged_in(self, notice: str) -> Response:
        """The page without its form, for somebody who is logged in already: with a way on, and one out."""
        links = (Link("Continue", self.destination), Link("Log out", self.path_to("/logout")))
        page = replace(self._filled_in(notice=notice), fields=(), submit="", links=links)
        return self._render(page, 200)

    def refuse(self, error: AuthError, *others: AuthError) -> Response:
        """The page again, saying what went wrong and marking the fields that it is about."""
        response = self._render(self._filled_in(errors=(error, *others)), error.status)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    def refuse_briefly(self, error: AuthError) -> Response:
        """A few words for a script, which can make nothing of a page."""
        if any("json" in media_type for media_type in self._accepted or ()):
            text, content_type = json.dumps({"error": error.reason, "message": error.message}), "application/json"
        else:
            text, content_type = error.message, "text/plain"
        response = Response(status=error.status, content_type=content_type, charset="utf-8")
        response.text = f"{text}\n"
        response.headers.update(list(_HEADERS.items()))
        return response

    def redirect(self, path: str) -> Response:
        """Redirect to a path, and not to an absolute address, which would depend on the Host header."""
        response = Response(status=303, content_type="text/plain", charset="utf-8")
        response.headers.update([*_HEADERS.items(), ("Location", path)])
        return response

    def _render(self, page: Page, status: int) -> Response:
        html = self.settings.render(page)
        response = Response(text=html, status=status, content_type="text/html", charset="utf-8")
        response.headers.update(list(_HEADERS.items()))
        return response

    def _filled_in(self, *, notice: str = "", errors: tuple[AuthError, ...] = ()) -> Page:
        page = self._page
        fields = [self._field(field, errors) for field in page.FIELDS]
        first = next((index for index, field in enumerate(fields) if field.is_invalid), None)
        if first is not None:
            fields[first] = replace(fields[first], has_focus=True)
        return Page(
            name=page.PATH.strip("/"),
            title=page.TITLE,
            action=self.path_to(page.PATH),
            submit=page.SUBMIT,
            home=self.home,
            fields=tuple(fields),
            links=tuple(map(self._link, page.LINKS)),
            next=self.next,
            error=" ".join(error.message for error in errors),
            notice=notice,
            site_name=self.settings.site_name,
            stylesheet=self.settings.stylesheet,
        )

    def _field(self, field: Field, errors: tuple[AuthError, ...]) -> Field:
        about = [error for error in errors if isinstance(error, field.errors)]
        own = [error.message for error in about if self._is_about_one_field(error)]
        return replace(
            field,
            hint=field.hint.format(minimum_length=self.auth.policy.minimum_length),
            value=self._form[field.name] if field.kind == "text" else "",
            is_invalid=bool(about),
            error=" ".join(own),
        )

    def _is_about_one_field(self, error: AuthError) -> bool:
        return sum(isinstance(error, field.errors) for field in self._page.FIELDS) == 1

    def _link(self, link: Link) -> Link:
        return replace(link, href=self.path_to(link.href, next=self.next) if link.href else self.home)
