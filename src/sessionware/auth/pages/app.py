"""AuthPages: serves the pages in front of an application, and leads to the login where the application asks for one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from ..._types import Environ, StartResponse, WSGIApplication
from ...errors import AuthError, NotFresh, NotLoggedIn
from ..auth import Auth
from . import confirm, forgot, login, logout, password, register, reset, sessions, time_left
from .asking import Asking
from .checks import check_arguments, check_paths, check_render, check_step_up, check_without
from .forms import REMEMBER, BadForm
from .html import render_page
from .messages import Messages
from .own_fields import check_own_fields
from .page import Field, Page
from .passage import Answer, Passage
from .request import PageRequest, Response
from .settings import PageFile, Settings

#: Every page there is. A new one is a file beside this one, and a line here.
PAGES: tuple[PageFile, ...] = (
    login,
    register,
    logout,
    password,
    sessions,
    confirm,
    forgot,
    reset,
    time_left,
)


class AuthPages:
    """Serves the pages for accounts, and passes every other request on to the application.

    They are /login, /register, /logout, /password, /sessions, /confirm and /reset, /forgot if the `Auth` has a `send`,
    and /session for scripts. Where the application raises `NotLoggedIn`, the visitor is sent to the login page and
    back, and by `NotFresh` to /confirm and back.

    Args:
        app: The WSGI application behind the pages.
        auth: The accounts and sessions that the pages work on.
        prefix: What goes before their paths, such as "/account". The path that the application is mounted under goes
            before every path, those below too.
        home: The path to go to if nothing else was asked for.
        login_after_register: Whether registering logs in too. If not, it leads to the login page.
        remember_me: Whether the login page offers to stay logged in when the browser is closed.
        site_name: The name of the site, which the pages show.
        stylesheet: The path of a style sheet that gives the pages the site's colours.
        fields: Fields of your own at the registration. What is typed is kept in the account's `data`.
        without: The names of pages that your application serves itself, at the same paths, such as `("login",)`.
            Redirects and links lead there as before.
        step_up: Pages of your own that prove something else than the password, by the method's name, such as
            `{"totp": "/second-factor"}`. They get `next`, where to go afterwards.
        render: Takes a `Page` and the request, which has an `environ`, and returns HTML. Style sheets and images must
            come from this site.
        messages: Words of your own, or of another language, by the ids in docs/reference.md.

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
        remember_me: bool = True,
        site_name: str = "",
        stylesheet: str = "",
        fields: Sequence[Field] = (),
        without: Collection[str] = (),
        step_up: Mapping[str, str] | None = None,
        render: Callable[[Page, Any], str] = render_page,
        messages: Mapping[str, str] | None = None,
    ) -> None:
        check_arguments(app, auth, login_after_register=login_after_register, remember_me=remember_me)
        check_paths(prefix, home, stylesheet)
        check_render(render)
        left_out = check_without(without, PAGES)
        served = [page for page in PAGES if page.PATH not in left_out and (page is not forgot or auth.can_send)]
        there = left_out.union(page.PATH for page in served)
        self._app = app
        self._pages = {prefix + page.PATH: page for page in served}
        self._settings = Settings(
            auth=auth,
            prefix=prefix,
            home=home,
            login_after_register=login_after_register,
            site_name=site_name,
            stylesheet=stylesheet,
            step_up=check_step_up({} if step_up is None else step_up),
            render=render,
            messages=Messages.of(PAGES, {} if messages is None else messages),
            fields=_fields(fields, remember_me),
            there=there,
            left_out=left_out,
            no_destinations=frozenset(
                prefix + page.PATH for page in PAGES if page.PATH in there and not page.IS_DESTINATION
            ),
        )
        self._asking = Asking(self._settings)

    @property
    def messages(self) -> Mapping[str, str]:
        """Every text of the pages by its id, in the words that they are shown in."""
        return self._settings.messages.texts

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
        except (NotLoggedIn, NotFresh) as error:
            # A page of ours can be come back to, also from what was posted to it.
            back = request.next if not page.IS_DESTINATION else "" if request.is_reading else request.own_path
            return self._asking.answer(environ, error, back=back)
        except AuthError as error:
            return request.refuse(error)
        response = _refuse_method(request, page)
        response.headers["Allow"] = "GET, HEAD, POST"
        return response

    def _pass_on(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The application's own response, or the way on if it refuses the visitor before it has sent anything."""
        auth = self._settings.auth
        # A copy, because an application may change the environ: a dispatcher moves parts of the path, for example.
        entry = environ.copy()
        passage = Passage(
            start_response,
            refused=auth._watch_login(environ),
            is_meant=lambda error: error.environ_key in (None, auth.environ_key),
            answer=lambda error, is_500: _answer(self._asking.answer(entry, error, is_500=is_500), entry),
        )
        return passage.serve(self._app, environ)


def _fields(own: Sequence[Field], remember_me: bool) -> dict[str, tuple[Field, ...]]:
    """The fields of the pages on which the site's owner has changed any."""
    checked = check_own_fields(own, taken=[field.name for field in register.FIELDS])
    changed = {register.PATH: (*register.FIELDS, *checked)}
    if not remember_me:
        changed[login.PATH] = tuple(field for field in login.FIELDS if field is not REMEMBER)
    return changed


def _refuse_method(request: PageRequest, page: PageFile) -> Response:
    error = BadForm(405, "method")
    return request.refuse(error) if page.TITLE else request.refuse_briefly(error)


def _answer(response: Response, environ: Environ) -> Answer:
    """For plain WSGI. WebOb's own way to send a response would make `Location` absolute."""
    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else response.body
    return Answer(response.status, response.headerlist, body)
