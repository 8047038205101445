"""AuthPages: serves the pages in front of an application, and leads to the login where the application asks for one."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from ..._types import Environ, StartResponse, WSGIApplication
from ...errors import AuthError, ConfigError, NotLoggedIn
from ..auth import Auth
from . import login, logout, register
from .forms import BadForm
from .html import Page, render_page
from .redirects import safe_next
from .request import PageFile, PageRequest, Response, Settings

#: Every page there is. A new one is a file beside this one, and a line here.
PAGES: tuple[PageFile, ...] = (
    login,
    register,
    logout,
)

_is_prefix = re.compile(r"(/[A-Za-z0-9._~-]+)*").fullmatch


class AuthPages:
    """Serves /login, /register and /logout, and passes every other request on to the application.

    Where the application raises `NotLoggedIn`, the visitor is sent to the login page and back.

    Args:
        app: The WSGI application behind the pages.
        auth: The accounts and sessions that the pages work on.
        prefix: What goes before the three paths, such as "/account".
        home: The path to go to if nothing else was asked for.
        login_after_register: Whether registering logs in too. If not, it leads to the login page.
        site_name: The name of the site, which the pages show.
        stylesheet: The path of a style sheet that gives the pages the site's colours.
        render: Takes a `Page` and returns its HTML. Style sheets and images must come from this site.

    Raises:
        ConfigError: An argument is wrong; the message says what to write instead.
    """

    def __init__(
        self,
        app: WSGIApplication,
        auth: Auth,
        *,
        prefix: str = "",
        home: str = "/",
        login_after_register: bool = True,
        site_name: str = "",
        stylesheet: str = "",
        render: Callable[[Page], str] = render_page,
    ) -> None:
        _check(app, auth, login_after_register, render)
        _check_paths(prefix, home, stylesheet)
        self._app = app
        self._pages = {prefix + page.PATH: page for page in PAGES}
        self._settings = Settings(
            auth=auth,
            prefix=prefix,
            home=home,
            login_after_register=login_after_register,
            site_name=site_name,
            stylesheet=stylesheet,
            render=render,
            no_destinations=frozenset(path for path, page in self._pages.items() if not page.IS_DESTINATION),
        )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        page = self._pages.get(environ.get("PATH_INFO", ""))
        if page is None:
            return self._pass_on(environ, start_response)
        return _send(self._serve(page, environ), environ, start_response)

    def _serve(self, page: PageFile, environ: Environ) -> Response:
        request = PageRequest(environ, page, self._settings)
        try:
            if request.is_reading:
                return page.get(request)
            if environ["REQUEST_METHOD"] == "POST":
                return page.post(request)
        except NotLoggedIn:
            return self._way_to_login(environ)
        except AuthError as error:
            return request.refuse(error)
        response = request.refuse(BadForm(405, "This page accepts forms sent by POST."))
        response.headers["Allow"] = "GET, HEAD, POST"
        return response

    def _way_to_login(self, environ: Environ) -> Response:
        """A redirect to the login page, or the login page itself."""
        request = PageRequest(environ, login, self._settings)
        if request.is_reading:
            return request.redirect(request.path_to(login.PATH, next=safe_next(request.own_address, "")))
        # What was posted would be lost on the way there and back, so this is not a place to come back to.
        return request.refuse(NotLoggedIn())

    # In front of the application

    def _pass_on(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The application's own response, or the way to the login if it asks for one before it has sent anything."""
        has_started = False

        def start(*args: Any, **kwargs: Any) -> Callable[[bytes], object]:
            nonlocal has_started
            has_started = True
            return start_response(*args, **kwargs)

        try:
            body = self._app(environ, start)
        except NotLoggedIn:
            return self._ask_for_login(environ, start_response)
        if has_started and not isinstance(body, Generator):
            return body
        return _Guarded(body, lambda: self._ask_for_login(environ, start_response))

    def _ask_for_login(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Called while `NotLoggedIn` is handled: the server raises it again if it has sent headers already."""
        return _send(self._way_to_login(environ), environ, start_response, sys.exc_info())


class _Guarded:
    """The body of an application that may ask for a login only when its first chunk is fetched."""

    def __init__(self, body: Iterable[bytes], ask_for_login: Callable[[], Iterable[bytes]]) -> None:
        self._body = body
        self._ask_for_login = ask_for_login
        self._chunks: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._chunks is not None:
            return next(self._chunks)
        try:
            self._chunks = iter(self._body)
            return next(self._chunks)
        except NotLoggedIn:
            self._chunks = iter(self._ask_for_login())
            return next(self._chunks)

    def close(self) -> None:
        """Close the application's body, if it can be closed."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


def _send(response: Response, environ: Environ, start_response: StartResponse, exc_info: Any = None) -> Iterable[bytes]:
    """Respond by plain WSGI. WebOb's own way would make `Location` absolute."""
    if exc_info is None:
        start_response(response.status, response.headerlist)
    else:
        start_response(response.status, response.headerlist, exc_info)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else response.body]


def _check(app: object, auth: object, login_after_register: object, render: object) -> None:
    if not callable(app):
        raise ConfigError(f"AuthPages(app, auth): app must be a WSGI application, not {type(app).__name__}.")
    if not isinstance(auth, Auth):
        raise ConfigError(f"AuthPages(app, auth): auth must be an Auth, not {type(auth).__name__}.")
    if not isinstance(login_after_register, bool):
        raise ConfigError(f"login_after_register={login_after_register!r}: write True or False.")
    if not callable(render):
        raise ConfigError(f"render={render!r}: pass a function that takes a Page and returns HTML.")


def _check_paths(prefix: str, home: str, stylesheet: str) -> None:
    if not isinstance(prefix, str) or not _is_prefix(prefix):
        raise ConfigError(f'prefix={prefix!r}: write a path such as "/account", without a slash at the end.')
    if not home or safe_next(home, "") != home:
        raise ConfigError(f'home={home!r}: write a path of this site, such as "/".')
    if stylesheet and safe_next(stylesheet, "") != stylesheet:
        raise ConfigError(f'stylesheet={stylesheet!r}: write a path of this site, such as "/static/login.css".')
