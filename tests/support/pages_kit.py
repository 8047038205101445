"""A site with `AuthPages` in front of it, its visitors, and what is on the pages that they get.

site = PagesSite()
site.register("Ada")
visitor = site.visitor()
log_in(visitor)
"""

from __future__ import annotations

from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any

from webtest import TestApp, TestResponse

from sessionware import Cookie, Store
from sessionware.auth import Argon2Hasher, Auth, AuthPages, PasswordPolicy, User
from tests.support.auth_kit import CHEAP, PASSWORD, AuthSite

FORM = "application/x-www-form-urlencoded"
LAX = Cookie()
FOREIGN = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


class PagesSite(AuthSite):
    """A site whose application greets who is logged in, asks for a login at /members, and says what it was asked."""

    def __init__(
        self,
        app: Any = None,
        minimum_length: int = 15,
        hasher: Argon2Hasher = CHEAP,
        trusted_origins: Iterable[str] = (),
        cookie: Cookie = LAX,
        store: Store | None = None,
        *,
        sends: bool = False,
        **settings: Any,
    ) -> None:
        policy = PasswordPolicy(minimum_length)
        super().__init__(hasher=hasher, policy=policy, trusted_origins=trusted_origins, cookie=cookie, store=store)
        self.mail: list[tuple[str, str, str | None]] = []
        if sends:
            self.auth = Auth(self.users, policy=policy, hasher=self.hasher, send=self._send)
        self.pages = AuthPages(app or self.greet, self.auth, **settings)
        self.served = self.wrapped(self.pages)

    def greet(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"].startswith("/members"):
            self.auth.require_user(environ)
        user = self.auth.user(environ)
        start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"Hello {user.username if user is not None else 'stranger'}".encode()]

    def visitor(self) -> TestApp:
        return TestApp(self.served)

    def logged_in_visitor(self, username: str = "Ada") -> TestApp:
        """Another browser of somebody who has an account."""
        visitor = self.visitor()
        assert log_in(visitor, username=username).status_code == 303
        return visitor

    def links(self) -> list[str]:
        """The paths of all links to a new password that were sent."""
        assert self.auth._outbox.join(10)
        return [path for purpose, _, path in self.mail if purpose == "reset" and path is not None]

    def _send(self, purpose: str, user: User, path: str | None) -> None:
        self.mail.append((purpose, user.username, path))


def log_in(visitor: TestApp, path: str = "/login", **typed: str) -> TestResponse:
    """Fill in the form as it is on the page, and send it. Without further words, as Ada."""
    form = visitor.get(path).form
    for name, value in {"username": "Ada", "password": PASSWORD, **typed}.items():
        form[name] = value
    return form.submit(expect_errors=True)


def post(visitor: TestApp, path: str, body: bytes | str = b"", type: str = FORM, **settings: Any) -> TestResponse:
    """Send whatever a browser might not."""
    body = body.encode() if isinstance(body, str) else body
    return visitor.post(path, body, content_type=type, expect_errors=True, **settings)


class Elements(HTMLParser):
    """All the elements of a page, each with its attributes."""

    def __init__(self, page: TestResponse | str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page if isinstance(page, str) else page.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str, **having: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag and having.items() <= attributes.items()]

    def one(self, tag: str, **having: str) -> dict[str, str | None]:
        (element,) = self.all(tag, **having)
        return element


def said(page: TestResponse) -> str | None:
    """What a screen reader says of itself when the page is there."""
    found = page.html.find(role="status")
    return None if found is None else str(found.text)
