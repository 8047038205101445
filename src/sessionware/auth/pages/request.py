"""What the functions of a page get: one request, what the site's owner set, and the ways to answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, quote

from ..._hidden import HiddenText
from ..._request import get_session
from ..._types import Environ
from ...errors import AuthError, NotFresh, PasswordRejected, StoreError
from ...session import Session
from ..auth import Auth
from ..passwords import MAX_CHARACTERS
from ..users.base import User
from .answers import Response, brief, data, document, redirect
from .forms import Form, read_form
from .html import markup
from .messages import link_id, name_of
from .own_fields import FieldRejected
from .owner import OtherOwner
from .page import Field, Link, Page
from .redirects import safe_next
from .settings import PageFile, Settings

__all__ = ["PageRequest", "Response"]

_IN_PATH = "/!$&'()*+,;=:@~"  # what stands for itself in a path (RFC 3986 §3.3)


class PageRequest:
    """One request for a page. It has an `environ`, so `Auth` accepts it as a request.

    Args:
        environ: The request's.
        page: The page that is asked for, or that is shown in the place of another.
        settings: The arguments of `AuthPages`.
        back: Where to go afterwards, if the request itself does not say so.
    """

    def __init__(self, environ: Environ, page: PageFile, settings: Settings, *, back: str = "") -> None:
        self.environ = environ
        self.settings = settings
        self.auth: Auth = settings.auth
        self._page = page
        self._back = back
        self._form = Form()
        self._known: dict[str, str] = {}

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
        """A parameter of the query; empty if there is none. Hidden, because it may be a token."""
        query = HiddenText(self.environ.get("QUERY_STRING", ""))
        return HiddenText(parse_qs(query).get(name, [""])[0])

    def read_form(self) -> Form:
        """What was posted. If the page is shown again, it shows what was typed. Raises `BadForm`.

        It does not show what another site sent, or people would add a password to a name that they have not typed.
        """
        ours = [field for field in self.fields if field in self._page.FIELDS]
        form = read_form(self.environ, ours, self.own_fields)
        if not self.session.is_foreign:
            self._form = form
        return form

    def take_end_reason(self) -> str:
        """Why the visitor's session is over, once: the cookie that names it is removed. Empty if it is not.

        A request that shows nobody the page, such as a prefetch or a script's, does not take it.
        """
        session = self.session
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
    def session(self) -> Session:
        """The session that the pages work on."""
        return get_session(self.environ, self.auth.environ_key)

    @property
    def now(self) -> int:
        """Seconds since the epoch, by the clock of the site's sessions."""
        return self.session.manager._now()

    @property
    def _is_seen(self) -> bool:
        """Whether a person will see the page, as far as the browser says."""
        environ = self.environ
        is_ahead = any(f"HTTP_{name}" in environ for name in ("SEC_PURPOSE", "PURPOSE", "X_MOZ", "X_SESSION_PASSIVE"))
        is_framed = environ.get("HTTP_SEC_FETCH_DEST", "document") != "document"  # no frame shows a page of ours
        return environ["REQUEST_METHOD"] == "GET" and self.is_navigation and not is_ahead and not is_framed

    # Where things are

    @property
    def home(self) -> str:
        """Where to go if nothing else was asked for."""
        return self._base + self.settings.home

    @property
    def next(self) -> str:
        """Where the visitor asked to go afterwards; empty for home, another site, and a page such as /login."""
        asked = self.parameter("next") if self.is_reading else self._form["next"]
        wanted = safe_next(self._back or asked, "")
        path = re.split("[?#]", wanted)[0].removeprefix(self._base)
        return "" if wanted == self.home or path in self.settings.no_destinations else wanted

    @property
    def destination(self) -> str:
        """Where to go after a login."""
        return self.next or self.home

    def path_to(self, page: str, **query: str) -> str:
        """The path to another page by its `PATH`, with those parameters of the query that are not empty."""
        return self.path_of_site(f"{self.settings.prefix}{page}", **query)

    def path_of_site(self, path: str, **query: str) -> str:
        """The same for a path that the site's owner set, which no prefix goes before."""
        filled = "&".join(f"{name}={quote(value, safe='/')}" for name, value in query.items() if value)
        mark = "&" if "?" in path else "?"
        return f"{self._base}{path}" + (f"{mark}{filled}" if filled else "")

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

    # What is on the page

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of its form, with those that the site's owner has added."""
        return self.settings.fields_of(self._page)

    @property
    def own_fields(self) -> tuple[Field, ...]:
        """Those that the site's owner has added."""
        return tuple(field for field in self.fields if field not in self._page.FIELDS)

    def text(self, id: str, **values: object) -> str:
        """One of the page's `MESSAGES`, in the site's words."""
        return self.settings.messages.say(f"{self._name}.{id}", **values)

    def password_rejections(self, username: str, password: HiddenText) -> list[AuthError]:
        """What is wrong with a new password, to be said with what else is wrong."""
        try:
            self.auth._check_new_password(username, password)
        except PasswordRejected as error:
            return [error]
        return []

    def know(self, **values: str) -> None:
        """Fill in fields that the visitor does not, whatever was posted for them."""
        self._known.update(values)

    def links_to(self, *paths: str) -> tuple[Link, ...]:
        """Its links to these pages alone, or, by an empty path, to the site's home."""
        found = (link for link in self._page.LINKS if link.href in paths and link.href in ("", *self.settings.there))
        return tuple(map(self._link, found))

    # How to answer

    def show(self, *, notice: str = "", **changes: Any) -> Response:
        """The page, with other things on it than its file says, if they are given by the names that `Page` has."""
        return self._render(replace(self._filled_in(), notice=notice, **changes))

    def show_done(self, notice: str, *links: Link) -> Response:
        """The page without its form, because there is nothing to do (any more): with a way on, and others."""
        onwards = Link(self.settings.messages.say("page.continue"), self.destination)
        return self.show(notice=notice, fields=(), submit="", links=(onwards, *links))

    def show_logged_in(self, notice: str) -> Response:
        """The page without its form, for somebody who is logged in already: with a way on, and one out."""
        return self.show_done(notice, Link(self.settings.messages.say("page.log_out"), self.path_to("/logout")))

    def refuse(self, error: AuthError, *others: AuthError, **changes: Any) -> Response:
        """The page again, saying what went wrong and marking the fields that it is about."""
        page = replace(self._filled_in((error, *others)), status=error.status, **changes)
        response = self._render(page)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    def refuse_briefly(self, error: AuthError) -> Response:
        """A few words for a script, which can make nothing of a page."""
        as_json = any("json" in media_type for media_type in self._accepted or ())
        methods = (error.methods or ("password",)) if isinstance(error, NotFresh) else ()
        return brief(error.reason, self._words(error), error.status, as_json=as_json, methods=methods)

    def tell(self, **values: object) -> Response:
        """Data for a script."""
        return data(values)

    def redirect(self, path: str) -> Response:
        """Go on to a path."""
        return redirect(path)

    def _render(self, page: Page) -> Response:
        whole = replace(page, document_title=self._document_title(page), html=HiddenText(markup(page)))
        try:
            html = self.settings.render(whole, self)
        except AuthError as error:  # or it would look like a refusal of the page's own, and lead to this page again
            name = type(error).__name__
            raise RuntimeError(f"render() raised {name}: ask who is logged in by auth.user(request)") from error
        if not isinstance(html, str):
            raise TypeError(f"render(page, request) has to return the page's HTML as text, not {type(html).__name__}")
        return document(html, page.status)

    def _document_title(self, page: Page) -> str:
        say = self.settings.messages.say
        title = page.title
        if page.site_name:
            title = say("page.document_title", title=title, site_name=page.site_name)
        return say("page.document_title_of_error", title=title) if page.error else title

    def _filled_in(self, errors: tuple[AuthError, ...] = ()) -> Page:
        fields = [self._field(field, errors) for field in self.fields]
        first = next((index for index, field in enumerate(fields) if field.is_invalid), None)
        if first is not None:
            fields[first] = replace(fields[first], has_focus=True)
        settings = self.settings
        return Page(
            name=self._name,
            title=settings.messages.say_or(f"{self._name}.title", self._page.TITLE),
            action=self.path_to(self._page.PATH),
            submit=settings.messages.say_or(f"{self._name}.submit", self._page.SUBMIT),
            home=self.home,
            fields=tuple(fields),
            links=self.links_to(*(link.href for link in self._page.LINKS)),
            next=self.next,
            error=" ".join(map(self._words, errors)),
            site_name=settings.site_name,
            stylesheet=settings.stylesheet and self._base + settings.stylesheet,
            lang=settings.messages.say("lang"),
            dir=settings.messages.say("dir"),
        )

    @property
    def _name(self) -> str:
        return name_of(self._page)

    def _field(self, field: Field, errors: tuple[AuthError, ...]) -> Field:
        about = [error for error in errors if _is_about(error, field)]
        own = [self._words(error) for error in about if sum(_is_about(error, each) for each in self.fields) == 1]
        say_or, id = self.settings.messages.say_or, f"{self._name}.{field.name}"
        return replace(
            field,
            label=say_or(f"{id}.label", field.label),
            hint=say_or(f"{id}.hint", field.hint, minimum_length=self.auth.policy.minimum_length),
            value=self._known.get(field.name, "" if field.kind in ("password", "hidden") else self._form[field.name]),
            is_invalid=bool(about),
            error=" ".join(own),
        )

    def _words(self, error: AuthError) -> str:
        values: Mapping[str, object] = {
            "minimum_length": self.auth.policy.minimum_length,
            "maximum_length": MAX_CHARACTERS,
            "username": error.username if isinstance(error, OtherOwner) else "",
            "max_length": error.field.max_length if isinstance(error, FieldRejected) else "",
        }
        return self.settings.messages.of_error(self._name, error, **values)

    def _link(self, link: Link) -> Link:
        say_or, id = self.settings.messages.say_or, f"{self._name}.{link_id(link.href)}"
        return replace(
            link,
            label=say_or(id, link.label),
            question=say_or(f"{id}.question", link.question),
            href=self.path_to(link.href, next=self.next) if link.href else self.home,
        )


def _is_about(error: AuthError, field: Field) -> bool:
    if isinstance(error, FieldRejected):
        return error.field.name == field.name
    return isinstance(error, field.errors)
