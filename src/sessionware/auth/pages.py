"""AuthPages: the pages /login, /register and /logout in front of an application."""

from __future__ import annotations

import re
import sys
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import parse_qsl, quote

from webob import Request, Response

from ..errors import AuthError, ConfigError, NotLoggedIn, PasswordRejected, UsernameRejected, UsernameTaken
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
        f"default-src 'none'; style-src 'self' 'sha256-{_STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Cookie, Sec-Fetch-Site, Origin",
}


class BadForm(Exception):
    """What was posted is not what the form would have sent."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Form(NamedTuple):
    """What was typed."""

    username: str = ""
    password: str = ""
    next: str = ""


class AuthPages:
    """Serves /login, /register and /logout, and passes every other request on to the application.

    Where the application raises `NotLoggedIn`, the visitor is sent to the login page and back. `prefix` goes before the
    three paths, `home` is where to go when nothing else is asked for, `site` the name that the pages show. After
    registering one is logged in, or, with `after_register="redirect"`, sent to the login page. `render` takes a `Page`
    and returns its HTML; style sheets of its own have to come from this site. Raises `ConfigError`.
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
        render: Callable[[Page], str] = render_page,
    ) -> None:
        _check(app, auth, prefix, home, after_register, render)
        self._app = app
        self._auth = auth
        self._prefix = prefix
        self._home = home
        self._logs_in_after_register = after_register == "login"
        self._site = site
        self._render = render
        self._kinds: dict[str, Kind] = {
            f"{prefix}/login": "login",
            f"{prefix}/register": "register",
            f"{prefix}/logout": "logout",
        }

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        kind = self._kinds.get(environ.get("PATH_INFO", ""))
        if kind is not None:
            return _send(self._serve(kind, Request(environ)), environ, start_response)
        try:
            body = self._app(environ, start_response)
        except NotLoggedIn:
            return self._ask_for_login(environ, start_response)
        return self._guarded(body, environ, start_response) if isinstance(body, Generator) else body

    def _guarded(
        self, body: Generator[bytes, Any, Any], environ: dict[str, Any], start_response: StartResponse
    ) -> Iterator[bytes]:
        """A generator's body; it runs, and may ask for a login, only when its first chunk is fetched."""
        has_begun = False
        try:
            for chunk in body:
                has_begun = True
                yield chunk
        except NotLoggedIn:
            if has_begun:
                raise
            yield from self._ask_for_login(environ, start_response)
        finally:
            body.close()

    def _ask_for_login(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """A way to the login page and back; a form that was posted cannot be posted again by a redirect."""
        request = Request(environ)
        if request.method in ("GET", "HEAD"):
            wanted = quote(request.path_qs.removeprefix(request.script_name), safe="/?=&%+,;:@!$'()*~-._")
            response = self._redirect(request, f"{self._prefix}/login?next={quote(wanted, safe='/')}")
        else:
            page = self._page("login", request, error="Please log in first.")
            response = self._respond(page, NotLoggedIn.status)
        return _send(response, environ, start_response, sys.exc_info())

    def _serve(self, kind: Kind, request: Request) -> Response:
        if request.method in ("GET", "HEAD"):
            notice = "Your account is ready. Please log in." if request.GET.get("registered") else ""
            page = self._page(kind, request, next=safe_next(request.GET.get("next"), ""), notice=notice)
            return self._respond(page, 200)
        if request.method != "POST":
            response = self._respond(self._page(kind, request, error="This page takes forms by POST."), 405)
            response.headers["Allow"] = "GET, HEAD, POST"
            return response
        form = Form()
        try:
            form = _read_form(request)
            return self._act(kind, request, form)
        except BadForm as error:
            return self._respond(self._page(kind, request, error=error.message), error.status)
        except AuthError as error:
            return self._refuse(kind, request, form, error)

    def _act(self, kind: Kind, request: Request, form: Form) -> Response:
        """Do what the form asks for, and go on from there."""
        if kind == "logout":
            self._auth.logout(request)
            response = self._redirect(request, self._home)
            response.headers["Clear-Site-Data"] = '"cache"'
            return response
        wanted = safe_next(form.next, self._home)
        if kind == "login":
            self._auth.login(request, form.username, form.password)
            return self._redirect(request, wanted)
        self._auth.register(request, form.username, form.password, login=self._logs_in_after_register)
        if self._logs_in_after_register:
            return self._redirect(request, wanted)
        return self._redirect(request, f"{self._prefix}/login?registered=1&next={quote(wanted, safe='/')}")

    def _refuse(self, kind: Kind, request: Request, form: Form, error: AuthError) -> Response:
        page = self._page(
            kind,
            request,
            username=form.username,
            next=safe_next(form.next, ""),
            error=error.message,
            invalid=_invalid_fields(error),
        )
        response = self._respond(page, error.status)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    def _page(self, kind: Kind, request: Request, **shown: Any) -> Page:
        """What to show. Where to go next is left out if it is the usual place, or one of these pages."""
        base = request.script_name + self._prefix
        if shown.get("next", "").partition("?")[0] in (self._home, *self._kinds):
            shown["next"] = ""
        query = f"?next={quote(shown['next'], safe='/')}" if shown.get("next") else ""
        return Page(
            kind=kind,
            action=f"{base}/{kind}",
            login_path=f"{base}/login{query}",
            register_path=f"{base}/register{query}",
            home=request.script_name + self._home,
            site=self._site,
            minimum_length=self._auth.policy.minimum_length,
            **shown,
        )

    def _respond(self, page: Page, status: int) -> Response:
        response = Response(text=self._render(page), status=status, content_type="text/html", charset="utf-8")
        response.headers.update(list(_HEADERS.items()))
        return response

    def _redirect(self, request: Request, path: str) -> Response:
        response = Response(status=303, content_type="text/plain", charset="utf-8")
        response.headers.update(list(_HEADERS.items()))
        # A path, never an absolute address: that would have to believe the Host header.
        response.headers["Location"] = request.script_name + path
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


def _read_form(request: Request) -> Form:
    """The form's fields. Raises `BadForm` for whatever no browser would send."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise BadForm(415, "Please send this form as the page does.")
    if request.content_length is None:
        raise BadForm(411, "The form came without its length.")
    if request.content_length > MAX_FORM_BYTES:
        raise BadForm(413, "The form is too large.")
    fields = _parse(request.body_file_raw.read(request.content_length), request.content_length)
    counts = [name for name, _ in fields if name in Form._fields]
    if len(counts) != len(set(counts)):
        raise BadForm(400, "A field of the form came twice.")
    return Form(**{name: value for name, value in fields if name in Form._fields})


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
    return frozenset({"username", "password"}) if error.reason == "invalid_credentials" else frozenset()


def _check(app: object, auth: object, prefix: str, home: str, after_register: str, render: object) -> None:
    if not callable(app):
        raise ConfigError(f"AuthPages(app, auth): app is a WSGI application, not {type(app).__name__}.")
    if not isinstance(auth, Auth):
        raise ConfigError(f"AuthPages(app, auth): auth is an Auth, not {type(auth).__name__}.")
    if prefix and (safe_next(prefix, "") != prefix or prefix.endswith("/")):
        raise ConfigError(f'prefix={prefix!r}: write a path such as "/account", without a slash at its end.')
    if safe_next(home, "") != home:
        raise ConfigError(f'home={home!r}: write a path of this site, such as "/".')
    if after_register not in ("login", "redirect"):
        raise ConfigError(f'after_register={after_register!r}: write "login" or "redirect".')
    if not callable(render):
        raise ConfigError(f"render={render!r}: pass a function that takes a Page and returns HTML.")
