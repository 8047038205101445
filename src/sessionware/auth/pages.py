"""AuthPages: the pages /login, /register and /logout in front of an application."""

from __future__ import annotations

import re
import sys
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import parse_qs, parse_qsl, quote

from webob import Request, Response

from ..errors import (
    AuthError,
    ConfigError,
    LoginFailed,
    NotLoggedIn,
    PasswordRejected,
    UsernameRejected,
    UsernameTaken,
)
from .login import Auth
from .page_html import STYLE, Kind, Page, render_page
from .redirects import safe_next

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

MAX_FORM_BYTES = 16 * 1024
_MAX_FIELDS = 16

_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'self' 'sha256-{_STYLE_HASH}'; img-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Cookie, Sec-Fetch-Site, Origin",
}

_IN_PATH = "/!$&'()*+,;=:@~"  # what stands in a path for itself (RFC 3986 §3.3)

_is_prefix = re.compile(r"(/[A-Za-z0-9._~-]+)*").fullmatch


class BadForm(AuthError):
    """What was posted is not what the form would have sent."""

    reason = "bad_form"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Form(NamedTuple):
    """What was typed."""

    username: str = ""
    password: str = ""
    next: str = ""

    def __repr__(self) -> str:
        """Without the password, for a report of an error may show it."""
        return f"Form(username={self.username!r}, next={self.next!r})"


class AuthPages:
    """Serves /login, /register and /logout, and passes every other request on to the application.

    Where the application raises `NotLoggedIn`, the visitor is sent to the login page and back. `prefix` goes before the
    three paths, `home` is where to go when nothing else is asked for, `site` the name that the pages show. After
    registering one is logged in, or, with `after_register="redirect"`, sent to the login page. `stylesheet` is the path
    of a style sheet that gives the pages the site's colours. `render` takes a `Page` and returns its HTML; its style
    sheets and images have to come from this site. Raises `ConfigError`.
    """

    def __init__(
        self,
        app: WSGIApplication,
        auth: Auth,
        *,
        prefix: str = "",
        home: str = "/",
        after_register: Literal["login", "redirect"] = "login",
        site: str = "",
        stylesheet: str = "",
        render: Callable[[Page], str] = render_page,
    ) -> None:
        _check(app, auth, after_register, render)
        _check_paths(prefix, home, stylesheet)
        self._app = app
        self._auth = auth
        self._prefix = prefix
        self._home = home
        self._logs_in_after_register = after_register == "login"
        self._site = site
        self._stylesheet = stylesheet
        self._render = render
        self._kinds: dict[str, Kind] = {
            f"{prefix}/login": "login",
            f"{prefix}/register": "register",
            f"{prefix}/logout": "logout",
        }

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        kind = self._kinds.get(environ.get("PATH_INFO", ""))
        if kind is None:
            return self._pass_on(environ, start_response)
        return _send(self._serve(kind, Request(environ)), environ, start_response)

    # In front of the application

    def _pass_on(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """The application's own response, or, where it asks for a login before it has begun to send, the way to one."""
        has_started = False

        def start(*args: Any, **kwargs: Any) -> Any:
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

    def _ask_for_login(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Called while `NotLoggedIn` is handled: the server raises it again if it has sent headers already."""
        request = Request(environ)
        if request.method in ("GET", "HEAD"):
            response = _redirect(self._path(request, "login", next=safe_next(_own_address(request), "")))
        else:
            # What was posted would be lost on the way there and back, so this is no place to come back to.
            response = self._respond(self._page("login", request, error=NotLoggedIn.message), NotLoggedIn.status)
        return _send(response, environ, start_response, sys.exc_info())

    # The pages

    def _serve(self, kind: Kind, request: Request) -> Response:
        if request.method in ("GET", "HEAD"):
            is_new = kind == "login" and _parameter(request, "registered")
            notice = "Your account is ready. Please log in." if is_new else ""
            return self._respond(self._page(kind, request, next=_parameter(request, "next"), notice=notice), 200)
        if request.method != "POST":
            response = self._respond(self._page(kind, request, error="This page takes forms by POST."), 405)
            response.headers["Allow"] = "GET, HEAD, POST"
            return response
        return self._log_out(request) if kind == "logout" else self._take_form(kind, request)

    def _log_out(self, request: Request) -> Response:
        """Nothing has to be posted for it, so that a script can do it too."""
        try:
            self._auth.logout(request)
        except AuthError as error:
            return self._refuse("logout", request, Form(), error)
        response = _redirect(_base(request) + self._home)
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    def _take_form(self, kind: Kind, request: Request) -> Response:
        form = Form()
        try:
            form = _read_form(request)
            if kind == "login":
                self._auth.login(request, form.username, form.password)
                return _redirect(self._destination(request, form.next))
            self._auth.register(request, form.username, form.password, login=self._logs_in_after_register)
        except AuthError as error:
            return self._refuse(kind, request, form, error)
        if self._logs_in_after_register:
            return _redirect(self._destination(request, form.next))
        return _redirect(self._path(request, "login", registered="1", next=safe_next(form.next, "")))

    def _refuse(self, kind: Kind, request: Request, form: Form, error: AuthError) -> Response:
        page = self._page(
            kind,
            request,
            username=form.username,
            next=form.next,
            error=error.message,
            invalid=_invalid_fields(error),
        )
        response = self._respond(page, error.status)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    def _page(self, kind: Kind, request: Request, *, next: str = "", **shown: Any) -> Page:
        destination, home = self._destination(request, next), _base(request) + self._home
        elsewhere = "" if destination == home else destination
        return Page(
            kind=kind,
            action=self._path(request, kind),
            login_path=self._path(request, "login", next=elsewhere),
            register_path=self._path(request, "register", next=elsewhere),
            home=home,
            site=self._site,
            next=elsewhere,
            minimum_length=self._auth.policy.minimum_length,
            stylesheet=self._stylesheet,
            **shown,
        )

    def _respond(self, page: Page, status: int) -> Response:
        response = Response(text=self._render(page), status=status, content_type="text/html", charset="utf-8")
        response.headers.update(list(_HEADERS.items()))
        return response

    # Where things are

    def _path(self, request: Request, kind: Kind, **query: str) -> str:
        """The path of one of the pages, with what is not empty of the query."""
        filled = "&".join(f"{name}={quote(value, safe='/')}" for name, value in query.items() if value)
        return f"{_base(request)}{self._prefix}/{kind}" + (f"?{filled}" if filled else "")

    def _destination(self, request: Request, wanted: str) -> str:
        """Where to go after a login: to what was asked for, unless it is on another site or one of these pages."""
        base = _base(request)
        destination = safe_next(wanted, base + self._home)
        path = re.split("[?#]", destination)[0]
        return base + self._home if path.removeprefix(base) in self._kinds else destination


class _Guarded:
    """The body of an application that does its work, and may ask for a login, when its first chunk is fetched."""

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


def _redirect(path: str) -> Response:
    """Go on to a path; not to an absolute address, which would have to believe the Host header."""
    response = Response(status=303, content_type="text/plain", charset="utf-8")
    response.headers.update([*_HEADERS.items(), ("Location", path)])
    return response


def _send(
    response: Response, environ: dict[str, Any], start_response: StartResponse, exc_info: Any = None
) -> Iterable[bytes]:
    """Answer by WSGI. WebOb's own way would make `Location` absolute."""
    if exc_info is None:
        start_response(response.status, response.headerlist)
    else:
        start_response(response.status, response.headerlist, exc_info)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else response.body]


def _base(request: Request) -> str:
    """The path that the application is mounted under. Some servers let clients name it, so it has to be one."""
    return safe_next(_quoted(request, "SCRIPT_NAME").rstrip("/"), "")


def _own_address(request: Request) -> str:
    """Path and query as they were asked for. Not by WebOb, which wants them to be UTF-8."""
    query = request.environ.get("QUERY_STRING", "")
    return _base(request) + _quoted(request, "PATH_INFO") + (f"?{query}" if query else "")


def _quoted(request: Request, name: str) -> str:
    return quote(request.environ.get(name, "").encode("latin-1"), safe=_IN_PATH)


def _parameter(request: Request, name: str) -> str:
    """A parameter of the query, or an empty text."""
    query: str = request.environ.get("QUERY_STRING", "")
    return parse_qs(query).get(name, [""])[0]


def _read_form(request: Request) -> Form:
    """The form's fields. Raises `BadForm` for whatever no browser would send."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise BadForm(415, "Please send this form as the page does.")
    length = request.content_length
    if length is None or length < 0:
        raise BadForm(411, "The form came without its length.")
    if length > MAX_FORM_BYTES:
        raise BadForm(413, "The form is too large.")
    fields = _parse(request.body_file_raw.read(length), length)
    if len(fields) != len(dict(fields)):
        raise BadForm(400, "A field of the form came twice.")
    form = Form(**{name: value for name, value in fields if name in Form._fields})
    # Phones put a space after a word that they suggested. Nothing is ever taken from a password.
    return form._replace(username=form.username.strip())


def _parse(body: bytes, length: int) -> list[tuple[str, str]]:
    if len(body) != length or re.search(rb"%(?![0-9A-Fa-f]{2})", body):
        raise BadForm(400, "The form came incomplete.")
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise BadForm(400, "The form could not be read.") from None


def _invalid_fields(error: AuthError) -> frozenset[str]:
    """Which fields an error is about. A failed login names both, for it must not tell which one is wrong."""
    if isinstance(error, (UsernameTaken, UsernameRejected)):
        return frozenset({"username"})
    if isinstance(error, PasswordRejected):
        return frozenset({"password"})
    return frozenset({"username", "password"}) if isinstance(error, LoginFailed) else frozenset()


def _check(app: object, auth: object, after_register: str, render: object) -> None:
    if not callable(app):
        raise ConfigError(f"AuthPages(app, auth): app is a WSGI application, not {type(app).__name__}.")
    if not isinstance(auth, Auth):
        raise ConfigError(f"AuthPages(app, auth): auth is an Auth, not {type(auth).__name__}.")
    if after_register not in ("login", "redirect"):
        raise ConfigError(f'after_register={after_register!r}: write "login" or "redirect".')
    if not callable(render):
        raise ConfigError(f"render={render!r}: pass a function that takes a Page and returns HTML.")


def _check_paths(prefix: str, home: str, stylesheet: str) -> None:
    if not isinstance(prefix, str) or not _is_prefix(prefix):
        raise ConfigError(f'prefix={prefix!r}: write a path such as "/account", without a slash at its end.')
    if not home or safe_next(home, "") != home:
        raise ConfigError(f'home={home!r}: write a path of this site, such as "/".')
    if stylesheet and safe_next(stylesheet, "") != stylesheet:
        raise ConfigError(f'stylesheet={stylesheet!r}: write a path of this site, such as "/static/login.css".')
