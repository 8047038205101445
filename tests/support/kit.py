"""A site and its visitors: small WSGI applications under the protocol checker, driven by WebTest.

    site = SessionSite(clock=clock)
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))

A view is a function of the session; what it returns is the visit's `result`. Requests that overlap need no threads: a
view that visits the site by itself, with another tab, lets that request happen in its midst.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from http.cookiejar import Cookie
from typing import Any, NamedTuple
from wsgiref.validate import validator

from webtest import TestApp, TestResponse

from sessionware import Event, MemoryStore, Session, SessionMiddleware, Store, get_session
from sessionware.testing import FaultyStore
from tests.support.fixed import SECRET, Clock

View = Callable[[Session], object]


class SiteAnswer(NamedTuple):
    """What a view returned, and the response."""

    result: Any
    response: TestResponse

    @property
    def set_cookies(self) -> list[str]:
        lines: list[str] = self.response.headers.getall("Set-Cookie")
        return lines


class SessionSite:
    """One application, its store and what it told."""

    def __init__(self, store: Store | None = None, clock: Clock | None = None, **settings: Any) -> None:
        self.store = WatchedStore(store or MemoryStore())
        self.clock = clock or Clock()
        self.events: list[Event] = []
        settings.setdefault("secret", SECRET)
        self.middleware = SessionMiddleware(
            _application, store=self.store, clock=self.clock, on_event=self.events.append, **settings
        )
        self.app = validator(self.middleware)

    def browser(self) -> SiteBrowser:
        return SiteBrowser(self)

    def told(self, *names: str) -> list[Event]:
        """The events of these names, in order."""
        return [event for event in self.events if event.name in names]


class SiteBrowser:
    """One tab. A tab of the same browser has the cookies that the browser has by now."""

    def __init__(self, site: SessionSite, cookies: Iterable[Cookie] = ()) -> None:
        self.site = site
        self.client = TestApp(site.app)
        for cookie in cookies:
            self.client.cookiejar.set_cookie(copy(cookie))

    def tab(self) -> SiteBrowser:
        return SiteBrowser(self.site, self.client.cookiejar)

    @property
    def cookies(self) -> dict[str, str]:
        return dict(self.client.cookies)

    def visit(
        self,
        view: View,
        *,
        method: str = "GET",
        status: str = "200 OK",
        headers: Mapping[str, str] | None = None,
        respond: list[tuple[str, str]] | None = None,
        scheme: str = "http",
    ) -> SiteAnswer:
        """One request. `respond` are headers that the application sends of its own."""
        visit: dict[str, Any] = {"view": view, "status": status, "headers": respond or [], "result": None}
        response = self.client.request(
            "/",
            method=method,
            headers=dict(headers or {}),
            environ={"test.visit": visit, "wsgi.url_scheme": scheme},
            expect_errors=True,
        )
        return SiteAnswer(visit["result"], response)

    def read(self) -> dict[str, Any]:
        """What the session holds."""
        found: dict[str, Any] = self.visit(lambda session: session.copy()).result
        return found


def _application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    visit = environ["test.visit"]
    visit["result"] = visit["view"](get_session(environ))
    start_response(visit["status"], [("Content-Type", "text/plain"), *visit["headers"]])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"done"]


class WatchedStore(FaultyStore):
    """A store whose calls and contents tests look at."""

    def taken(self) -> list[str]:
        """The calls since this was asked last."""
        calls, self.calls = self.calls, []
        return calls

    @property
    def records(self) -> list[Any]:
        return list(self.behind.scan())
