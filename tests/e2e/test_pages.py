"""Every page of AuthPages, in every state, in Chromium: light and dark, wide and narrow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from socketserver import ThreadingMixIn
from typing import Any, Literal, get_args
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from sessionware import Busy, UsernameRejected
from sessionware.auth import AuthPages
from sessionware.session import EndReason
from tests.support.auth_kit import PASSWORD, AuthSite
from tests.support.axe import violations
from tests.support.prerequisites import require

LONG_NAME = "a" * 128
SITE_NAME = "Tea, and everything that goes with it, & Co"

Scheme = Literal["light", "dark"]


class Threads(ThreadingMixIn, WSGIServer):
    """Browsers keep a connection in reserve; a server that waits for its request would answer no other meanwhile."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


class Visit:
    """A browser at a site that has an account of Ada's and one with the longest name there is."""

    def __init__(self, site: AuthSite, address: str, page: Page) -> None:
        self.site, self.address, self.page = site, address, page

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)

    def send(self, path: str, username: str = "Ada", password: str = PASSWORD) -> None:
        """Fill in the form and send it, whatever the browser thinks of it."""
        self.open(path)
        self.page.locator("form").evaluate("form => form.noValidate = true")
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(password)
        with self.page.expect_navigation():
            self.page.locator("button").click()

    def end(self, reason: EndReason) -> None:
        for name in ("ada", LONG_NAME):
            user = self.site.users.find_by_key(name)
            self.site.manager.end_all(user_id=user.id, reason=reason)


def ended(reason: EndReason) -> Callable[[Visit], None]:
    def state(visit: Visit) -> None:
        visit.send("/login")
        visit.end(reason)
        visit.open("/login")

    return state


def expired(visit: Visit) -> None:
    visit.send("/login")
    visit.site.clock.tick(13 * 3600)
    visit.open("/login")


def busy(visit: Visit) -> None:
    def refuse() -> None:
        raise Busy(retry_after=5)

    visit.site.hasher.after_verify = refuse
    visit.send("/login")


def logged_in(path: str, username: str = "Ada") -> Callable[[Visit], None]:
    def state(visit: Visit) -> None:
        visit.send("/login", username)
        visit.open(path)

    return state


def posted_as_a_stranger(visit: Visit) -> None:
    visit.open("/form")
    with visit.page.expect_navigation():
        visit.page.locator("button").click()


#: How each state is reached, and what has the focus then: a field, the message, or nothing in particular.
STATES: dict[str, tuple[Callable[[Visit], None], str | None]] = {
    "login": (lambda visit: visit.open("/login"), None),
    "login, asked for": (lambda visit: visit.open("/members"), None),
    "login, account is ready": (lambda visit: visit.open("/login?registered=1"), None),
    "login, failed": (lambda visit: visit.send("/login", password="not the password"), "username"),
    "login, busy": (busy, "error"),
    "login, for a form": (posted_as_a_stranger, "error"),
    "login, logged in": (logged_in("/login?next=/members"), None),
    "login, logged in by a long name": (logged_in("/login", LONG_NAME), None),
    "login, expired": (expired, None),
    **{f"login, ended: {reason}": (ended(reason), None) for reason in get_args(EndReason)},
    "register": (lambda visit: visit.open("/register"), None),
    "register, taken": (lambda visit: visit.send("/register"), "username"),
    "register, bad name": (lambda visit: visit.send("/register", "ada lovelace"), "username"),
    "register, long name": (lambda visit: visit.send("/register", "a" * 300), "username"),
    "register, bad password": (lambda visit: visit.send("/register", "Bob", "short"), "password"),
    "register, both": (lambda visit: visit.send("/register", "ada lovelace", "short"), "username"),
    "register, logged in": (logged_in("/register", LONG_NAME), None),
    "logout": (logged_in("/logout"), None),
    "logout, of nobody": (lambda visit: visit.open("/logout"), None),
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    executable = require("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def site() -> AuthSite:
    site = AuthSite()
    for name in ("Ada", LONG_NAME):
        site.register(name)
    return site


@pytest.fixture
def address(site: AuthSite) -> Iterator[str]:
    """The site, served on this machine."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/form":
            start_response("200 OK", [("Content-Type", "text/html")])
            return [b'<form method="post" action="/members"><button>Send</button></form>']
        user = site.auth.require_user(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [user.username.encode()]

    served = site.wrapped(AuthPages(app, site.auth, site_name=SITE_NAME))
    with make_server("127.0.0.1", 0, served, Threads, Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


@pytest.fixture
def visit(site: AuthSite, address: str, chromium: Browser) -> Iterator[Visit]:
    context = chromium.new_context()
    context.set_default_timeout(10_000)
    yield Visit(site, address, context.new_page())
    context.close()


#: Colours do not depend on the width, so each of both is seen, and not each pair.
SCREENS: list[tuple[Scheme, int]] = [("light", 1280), ("dark", 390), ("light", 320)]


@pytest.mark.parametrize(("state", "focus"), STATES.values(), ids=STATES)
def test_everybody_can_use_every_page(visit: Visit, state: Callable[[Visit], None], focus: str | None) -> None:
    """axe-core finds nothing, nothing has to be scrolled sideways, and the focus is where something went wrong."""
    state(visit)
    page = visit.page
    if focus is not None:
        expect(page.locator(f"#{focus}")).to_be_focused()  # which browsers do a moment after the page is there
    focused = page.evaluate("document.activeElement.id")
    found = []
    for scheme, width in SCREENS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        found += [f"{scheme}, {width}: {violation}" for violation in violations(page)]
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append(f"{scheme}, {width}: wider than the screen")

    assert found == []
    assert focused == (focus or "")
    assert page.title().startswith("Error: ") == (focus is not None)
    assert page.title().endswith(SITE_NAME)


def test_axe_finds_what_is_wrong(visit: Visit) -> None:
    """So that finding nothing says something."""
    visit.open("/login")
    visit.page.evaluate("document.querySelector('label').remove(); document.documentElement.removeAttribute('lang')")

    assert {line.partition(":")[0] for line in violations(visit.page)} == {"html-has-lang", "label"}


def test_message_is_read_with_its_field(visit: Visit) -> None:
    """A screen reader says label, rule and what is wrong, in one go."""
    visit.send("/register", "ada lovelace", "short")
    field = visit.page.get_by_label("Username")

    described = field.evaluate(
        "field => field.getAttribute('aria-describedby').split(' ').map(id => document.getElementById(id).innerText)"
    )
    assert (len(described), described[-1]) == (2, UsernameRejected.message)


def test_typing_begins_where_something_is_wrong(site: AuthSite, address: str, chromium: Browser) -> None:
    """Without a script: the browser itself puts the focus there, so that the keyboard is enough."""
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/register")
    page.get_by_label("Username").fill("Grace")
    page.get_by_label("Password").fill("short")
    page.keyboard.press("Enter")
    page.locator("#password-error").wait_for()

    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/")
    context.close()

    assert site.users.find_by_key("grace") is not None
