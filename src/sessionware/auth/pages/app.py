"""AuthPages: serves the pages in front of an application, and leads to the login where the application asks for one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ..._types import Environ, StartResponse, WSGIApplication
from ...errors import AuthError, ConfigError, NotLoggedIn
from ..auth import Auth
from . import login, logout, register
from .forms import BadForm
from .html import Page, render_page
from .passage import Answer, Passage
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
        answer = _answer(self._serve(page, environ), environ)
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _serve(self, page: PageFile, environ: Environ) -> Response:
        request = PageRequest(environ, page, self._settings)
        try:
            if request.is_reading:
                return page.get(request)
            if environ["REQUEST_METHOD"] == "POST":
                return page.post(request)
        except NotLoggedIn:
            return self._ask_for_login(environ)
        except AuthError as error:
            return request.refuse(error)
        response = request.refuse(BadForm(405, "This page accepts forms sent by POST."))
        response.headers["Allow"] = "GET, HEAD, POST"
        return response

    # In front of the application

    def _pass_on(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The application's own response, or the way to the login if it asks for one before it has sent anything."""
        auth = self._settings.auth
        # A copy, because an application may change the environ: a dispatcher moves parts of the path, for example.
        entry = environ.copy()
        passage = Passage(
            start_response,
            is_asked=auth._watch_login(environ),
            is_meant=lambda error: error.environ_key in (None, auth.environ_key),
            ask=lambda is_500: _answer(self._ask_for_login(entry, is_500), entry),
        )
        return passage.serve(self._app, environ)

    def _ask_for_login(self, environ: Environ, is_500: bool = False) -> Response:
        """The way to the login, and an event, so that the operator need not wonder where a 500 has gone."""
        path = PageRequest(environ, login, self._settings).own_path
        self._settings.auth._tell_login_required(environ, f"{path}, in place of status 500" if is_500 else path)
        return self._way_to_login(environ)

    def _way_to_login(self, environ: Environ) -> Response:
        """A redirect to the login page, the login page itself, or for a script a few words."""
        request = PageRequest(environ, login, self._settings)
        if not request.is_navigation:
            return request.refuse_briefly(NotLoggedIn())
        if request.is_reading:
            return request.redirect(request.path_to(login.PATH, next=safe_next(request.own_address, "")))
        # What was posted would be lost on the way there and back, so this is not a place to come back to.
        return request.refuse(NotLoggedIn())


def _answer(response: Response, environ: Environ) -> Answer:
    """For plain WSGI. WebOb's own way to send a response would make `Location` absolute."""
    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else response.body
    return Answer(response.status, response.headerlist, body)


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
