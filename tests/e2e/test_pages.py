"""Every page of AuthPages, in every state, in Chromium: light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

import pytest
from playwright.sync_api import Browser, Page, expect

from sessionware import Busy, UsernameRejected
from sessionware.auth import Auth, AuthPages, Field
from sessionware.session import EndReason
from tests.support.auth_kit import PASSWORD, POLICY, AuthSite
from tests.support.axe import violations
from tests.support.browsers import chromium as chromium_browser
from tests.support.browsers import served

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
LONG_NAME = "a" * 128
SITE_NAME = "Tea, and everything that goes with it, & Co"

Scheme = Literal["light", "dark"]


class Visit:
    """A browser at a site that has an account of Ada's and one with the longest name there is."""

    def __init__(self, site: AuthSite, address: str, page: Page) -> None:
        self.site, self.address, self.page = site, address, page
        self.complaints: list[str] = []
        """What the browser held against a page: something in it that its own policy forbids."""
        page.on("console", lambda message: self.hear(message.text))

    def hear(self, message: str) -> None:
        if "Content Security Policy" in message:
            self.complaints.append(message)

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)

    def send(self, path: str, username: str = "Ada", password: str = PASSWORD) -> None:
        """Fill in a form for a name and a password, and send it."""
        self.open(path)
        self.submit(username=username, password=password)

    def submit(self, **typed: str) -> None:
        """Fill in the page's form and send it, whatever the browser thinks of it."""
        form = self.page.locator("form").last
        form.evaluate("form => form.noValidate = true")
        for name, value in typed.items():
            form.locator(f"[name={name}]").fill(value)
        with self.page.expect_navigation():
            form.locator("button").click()

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


def posted(path: str, **typed: str) -> Callable[[Visit], None]:
    """The answer to a form of somebody who is logged in."""

    def state(visit: Visit) -> None:
        visit.send("/login")
        visit.open(path)
        visit.submit(**typed)

    return state


def posted_as_a_stranger(visit: Visit) -> None:
    visit.open("/form")
    visit.submit()


def posted_too_late(visit: Visit) -> None:
    visit.send("/login")
    visit.open("/form")
    visit.site.clock.tick(3600)
    visit.submit()


def throttled(visit: Visit) -> None:
    for _ in range(40):
        visit.send("/login", password="not the password")
        if visit.page.get_by_text("again in").count():
            return
    pytest.fail("nothing is throttled")


def logged_in_elsewhere(path: str) -> Callable[[Visit], None]:
    """In three browsers, one of which has sent no word about itself."""

    def state(visit: Visit) -> None:
        for agent in (FIREFOX, ""):
            visit.site.browser().do(
                lambda environ: visit.site.auth.login(environ, "ada", PASSWORD), headers={"User-Agent": agent}
            )
            visit.site.clock.tick(5 * 3600)
        logged_in(path)(visit)

    return state


def sent(path: str, **typed: str) -> Callable[[Visit], None]:
    """The answer to a form that needs no login."""

    def state(visit: Visit) -> None:
        visit.open(path)
        visit.submit(**typed)

    return state


def reset_to(password: str) -> Callable[[Visit], None]:
    """The answer to this password, by a link that is good."""

    def state(visit: Visit) -> None:
        token = visit.site.auth.reset_token(visit.site.manager, "ada")
        sent(f"/reset?token={token}", password=password)(visit)

    return state


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
    "login, password was reset": (lambda visit: visit.open("/login?reset=1"), None),
    "login, throttled": (throttled, "error"),
    "register": (lambda visit: visit.open("/register"), None),
    "register, taken": (lambda visit: visit.send("/register", password="the password of somebody else"), "username"),
    "register, bad name": (lambda visit: visit.send("/register", "ada lovelace"), "username"),
    "register, long name": (lambda visit: visit.send("/register", "a" * 300), "username"),
    "register, bad password": (lambda visit: visit.send("/register", "Bob", "short"), "password"),
    "register, both": (lambda visit: visit.send("/register", "ada lovelace", "short"), "username"),
    "register, logged in": (logged_in("/register", LONG_NAME), None),
    "register, with fields of its own": (lambda visit: visit.open("/shop/register"), None),
    "register, with nothing in them": (sent("/shop/register", username="Bob", password=PASSWORD), "email"),
    "logout": (logged_in("/logout"), None),
    "logout, of nobody": (lambda visit: visit.open("/logout"), None),
    "password": (logged_in("/password"), None),
    "password, of a long name": (logged_in("/password", LONG_NAME), None),
    "password, not the current one": (posted("/password", password="x", new_password="y" * 16), "password"),
    "password, too short": (posted("/password", password=PASSWORD, new_password="y"), "new_password"),
    "password, both": (posted("/password", password="x", new_password="y"), "password"),
    "password, changed": (posted("/password", password=PASSWORD, new_password="a new one, and long enough"), None),
    "sessions, this one": (logged_in("/sessions"), None),
    "sessions, several": (logged_in_elsewhere("/sessions"), None),
    "sessions, one was ended": (logged_in_elsewhere("/sessions?ended=1"), None),
    "confirm": (logged_in("/confirm"), None),
    "confirm, of a long name": (logged_in("/confirm", LONG_NAME), None),
    "confirm, not the password": (posted("/confirm", password="x"), "password"),
    "confirm, for a form": (posted_too_late, "error"),
    "confirm, another proof": (logged_in("/vault"), "error"),
    "forgot": (lambda visit: visit.open("/forgot"), None),
    "forgot, sent": (sent("/forgot", username="Ada"), None),
    "reset": (lambda visit: visit.open("/reset?token=x"), None),
    "reset, too short": (reset_to("x"), "password"),
    "reset, used": (sent("/reset?token=x", password="a new one, and long enough"), "error"),
    "reset, without a token": (lambda visit: visit.open("/reset"), "error"),
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with chromium_browser() as browser:
        yield browser


@pytest.fixture
def site() -> AuthSite:
    site = AuthSite()
    for name in ("Ada", LONG_NAME):
        site.register(name)
    site.auth = Auth(site.users, policy=POLICY, hasher=site.hasher, send=lambda *message: None)
    return site


#: Fields that a site adds to the registration, of every kind.
OWN_FIELDS = (
    Field("email", "E-mail", kind="email", autocomplete="email", hint="For the link by which you get in again."),
    Field("nickname", "What may we call you?", autocomplete="nickname", is_required=False),
    Field("terms", "I have read the terms of this site, and agree to all of them", kind="checkbox"),
)


@pytest.fixture
def address(site: AuthSite) -> Iterator[str]:
    """The site, served on this machine."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if (environ["PATH_INFO"], environ["REQUEST_METHOD"]) == ("/form", "GET"):
            start_response("200 OK", [("Content-Type", "text/html")])
            return [b'<form method="post"><button>Send</button></form>']
        methods = ("security key",) if environ["PATH_INFO"] == "/vault" else ()
        fresh = 900 if environ["PATH_INFO"] == "/form" else None
        user = site.auth.require_user(environ, methods=methods, fresh=fresh)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [user.username.encode()]

    pages = AuthPages(app, site.auth, site_name=SITE_NAME)
    site_with_fields = AuthPages(pages, site.auth, prefix="/shop", site_name=SITE_NAME, fields=OWN_FIELDS)
    with served(site.wrapped(site_with_fields)) as it:
        yield it.url


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

    assert found + visit.complaints == []
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
