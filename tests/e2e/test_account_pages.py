"""What people do with their accounts, on the pages of AuthPages, in Chromium: several browsers, mails, and time.

Nothing here looks inside. What is true is what is on a page, in a mail, or in what the server received.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, expect
from webtest import TestApp

from sessionware import Event, MemoryStore, SessionManager
from sessionware.auth import Auth, AuthPages, MemoryUsers, User
from tests.support.auth_kit import CHEAP, PASSWORD
from tests.support.browsers import Site, chromium, served
from tests.support.fixed import SECRET, Clock
from tests.support.prerequisites import require
from tests.support.tls import CHROMIUM_ARGUMENTS

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
HOME, OFFICE = "192.0.2.1", "198.51.100.7"
OTHER_PASSWORD = "another horse, another staple"

WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)


class Mail(NamedTuple):
    purpose: str
    username: str
    path: str | None


class Shop:
    """A site with accounts. It has a page for everybody, one for who is logged in, and one to leave for good."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.events: list[Event] = []
        self.mails: Queue[Mail] = Queue()
        self.received: list[dict[str, str]] = []
        """What the server got: of each request its method, target and Referer."""
        self.partner = ""
        """The address at another origin that /authorize leads on to."""
        self.manager = SessionManager(
            SECRET,
            MemoryStore(),
            clock=self.clock,
            on_event=self.events.append,
            client_address=lambda environ: environ.get("HTTP_X_TEST_ADDRESS", ""),
        )
        self.auth = Auth(MemoryUsers(), hasher=CHEAP, send=self.send)
        self.pages = self.manager.wrap(AuthPages(self.app, self.auth, site_name="Tea & Co"))

    def send(self, purpose: str, user: User, path: str | None) -> None:
        self.mails.put(Mail(purpose, user.username, path))

    def mailed(self, purpose: str) -> Mail:
        """The next mail of this kind, as soon as it is there."""
        while (mail := self.mails.get(timeout=10)).purpose != purpose:
            pass
        return mail

    def register(self, username: str, password: str = PASSWORD) -> None:
        self.auth.register(self.manager, username, password, login=False)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        target = environ["PATH_INFO"] + "?" + environ["QUERY_STRING"]
        self.received.append(
            {"method": environ["REQUEST_METHOD"], "target": target, "referer": environ.get("HTTP_REFERER", "")}
        )
        return self.pages(environ, start_response)

    def app(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path == "/authorize":
            self.auth.require_user(environ)
            start_response("303 See Other", [("Location", self.partner)])
            return [b""]
        text = "Nothing here"
        if path == "/":
            user = self.auth.user(environ)
            text = f"Hello {user.username if user else 'stranger'}"
        elif path == "/members":
            text = f"Members only, {self.auth.require_user(environ).username}"
        elif path == "/leave":
            user = self.auth.require_user(environ, fresh=15 * MINUTE)
            text = "Delete your account"
            if method == "POST":
                self.auth.erase(environ, user.id)
                text = "Your account is gone"
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        form = '<form method="post"><button>Delete it</button></form>' if text.startswith("Delete") else ""
        return [f'<!DOCTYPE html><html lang="en"><title>x</title><h1>{text}</h1>{form}'.encode()]


class Person:
    """Somebody at a browser."""

    def __init__(self, context: BrowserContext, site: Site, address: str) -> None:
        self.context, self.site = context, site
        context.set_default_timeout(10_000)
        context.set_extra_http_headers({"X-Test-Address": address})
        self.page = context.new_page()

    def open(self, path: str) -> None:
        self.page.goto(self.site.url + path)

    def fill_in(self, **typed: str) -> None:
        """Type into fields by their labels: `new_password` is "New password"."""
        for name, value in typed.items():
            self.page.get_by_label(name.replace("_", " ").capitalize(), exact=True).fill(value)

    def press(self, button: str | Locator) -> None:
        if isinstance(button, str):
            button = self.page.get_by_role("button", name=button, exact=True)
        with self.page.expect_navigation():
            button.click()

    def follow(self, link: str) -> None:
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=link).click()

    def log_in(self, password: str = PASSWORD, *, username: str = "Ada", path: str = "/login") -> None:
        self.open(path)
        self.fill_in(username=username, password=password)
        self.press("Log in")

    def is_at(self, path: str) -> None:
        expect(self.page).to_have_url(re.compile(re.escape(self.site.url + path) + "([?]|$)"))

    def reads(self, text: str) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible()

    @property
    def places(self) -> Locator:
        """The entries of /sessions."""
        return self.page.get_by_role("main").get_by_role("listitem")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.register("Ada")
    return shop


@pytest.fixture
def site(shop: Shop) -> Iterator[Site]:
    with served(shop) as site:
        yield site


Meet = Callable[..., Person]


@pytest.fixture
def meet(browser: Browser, site: Site) -> Iterator[Meet]:
    """Makes somebody with a browser, at an address of theirs; `settings` are the browser's."""
    contexts: list[BrowserContext] = []

    def meet(address: str = HOME, **settings: Any) -> Person:
        contexts.append(browser.new_context(**settings))
        return Person(contexts[-1], site, address)

    yield meet
    for context in contexts:
        context.close()


# The way on ---------------------------------------------------------------------------------------------------------


def test_login_leads_on_to_another_origin(shop: Shop, meet: Meet) -> None:
    """As it does where the page behind the login is that of a sign-in service, or of a payment."""

    def partner(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"Welcome at the partner's"]

    person = meet()
    with served(partner) as elsewhere:
        shop.partner = elsewhere.url + "/welcome"
        person.log_in(path="/authorize")
        person.page.wait_for_url(shop.partner)
        person.reads("Welcome at the partner's")


# Passwords ----------------------------------------------------------------------------------------------------------


def test_password_is_changed(shop: Shop, meet: Meet) -> None:
    """A generated one by another; the second browser is out at its next click, and is told why; the news are mailed."""
    generated, other = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    desk, phone = meet(), meet(OFFICE)
    desk.open("/register")
    desk.fill_in(username="Grace", password=generated)
    desk.press("Create account")
    phone.log_in(generated, username="Grace", path="/members")
    phone.reads("Members only, Grace")

    desk.open("/password")
    desk.fill_in(current_password=generated, new_password=other)
    desk.press("Change password")
    desk.reads("Your password was changed. You were logged out everywhere else.")
    desk.open("/members")
    desk.reads("Members only, Grace")

    phone.page.reload()
    phone.is_at("/login")
    phone.reads("You were logged out because your password was changed.")
    phone.log_in(generated, username="Grace")
    phone.reads("Incorrect username or password.")
    phone.log_in(other, username="Grace", path="/members")
    phone.reads("Members only, Grace")
    assert shop.mailed("password_changed") == ("password_changed", "Grace", None)


def test_password_is_reset(shop: Shop, meet: Meet, site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """By a link that works once. All browsers are out, and the one that has set the password has to log in too.

    The server's log has the link where it was opened, since it notes the query; nothing else ever names the token: no
    other request, no Referer, no event and no line of ours.
    """
    caplog.set_level(logging.DEBUG)
    laptop, phone = meet(), meet(OFFICE)
    laptop.log_in()
    phone.open("/login")
    phone.follow("Forgot your password?")
    phone.fill_in(username="ada")
    phone.press("Send a link")
    phone.reads("a message with a link is on its way")

    mail = shop.mailed("reset")
    assert mail.username == "Ada"
    assert mail.path is not None
    token = mail.path.partition("token=")[2]
    phone.open(mail.path)
    phone.fill_in(new_password="short")
    phone.press("Save password")
    phone.reads("Please choose a password of at least")
    phone.fill_in(new_password=OTHER_PASSWORD)
    phone.press("Save password")
    phone.is_at("/login")
    phone.reads("Your password was changed. Please log in.")
    laptop.open("/members")
    laptop.reads("You were logged out because your password was changed.")
    phone.log_in(OTHER_PASSWORD, path="/members")
    phone.reads("Members only, Ada")

    phone.open(mail.path)
    phone.fill_in(new_password="a third horse, a third staple")
    phone.press("Save password")
    phone.reads("Ask for a new link")
    laptop.log_in(OTHER_PASSWORD, path="/members")
    laptop.reads("Members only, Ada")

    assert [one["method"] for one in shop.received if token in one["target"]] == ["GET", "GET"]
    assert not any(token in one["referer"] for one in shop.received)
    assert any(one["referer"] for one in shop.received)  # so that the line above says something
    assert len([line for line in site.log if token in line]) == 2
    assert not any(token in repr(event) for event in shop.events)
    assert not any(token in record.getMessage() for record in caplog.records)


def test_nobody_learns_who_has_an_account(shop: Shop, meet: Meet) -> None:
    """/forgot says the same for a name that nobody has, and mails nothing."""
    visitor = meet()
    said = []
    for name in ("nobody", "ada"):
        visitor.open("/forgot")
        visitor.fill_in(username=name)
        visitor.press("Send a link")
        said.append((visitor.page.url, visitor.page.locator("main").inner_text()))

    assert said[0] == said[1]
    assert shop.mailed("reset").username == "Ada"
    assert shop.mails.empty()


# Where somebody is logged in ----------------------------------------------------------------------------------------


def test_devices_are_told_apart_and_one_is_ended(meet: Meet, shop: Shop) -> None:
    """Each with its browser, its address and its times; the one that is ended is out at its next click."""
    desk, phone = meet(user_agent=WINDOWS), meet(OFFICE, user_agent=IPHONE)
    phone.log_in(path="/members")
    shop.clock.tick(3 * HOUR)
    desk.log_in(path="/sessions")

    expect(desk.places).to_have_count(2)
    expect(desk.places.first).to_contain_text("Chrome on Windows")
    expect(desk.places.first).to_contain_text("This browser")
    expect(desk.places.first).to_contain_text(HOME)
    expect(desk.places.last).to_contain_text("on iPhone")
    expect(desk.places.last).to_contain_text(OFFICE)
    expect(desk.places.last).to_contain_text("about 3 hours ago")

    desk.press(desk.places.last.get_by_role("button"))
    desk.reads("That browser was logged out.")
    expect(desk.places).to_have_count(1)
    phone.page.reload()
    phone.is_at("/login")
    phone.reads("You were logged out from another device or browser.")


def test_all_others_are_ended(meet: Meet) -> None:
    """But not the browser that asks."""
    desk, *others = meet(), meet(OFFICE), meet(OFFICE)
    for each in (desk, *others):
        each.log_in(path="/sessions")

    desk.page.reload()
    desk.press("Log out everywhere else")
    desk.reads("You were logged out everywhere else.")
    for each in others:
        each.page.reload()
        each.is_at("/login")
    desk.page.reload()
    expect(desk.places).to_have_count(1)


def test_somebody_at_an_open_browser_ends_nothing(meet: Meet, shop: Shop) -> None:
    """After fifteen minutes, ending a session elsewhere takes the password; then the list is there again."""
    desk, phone = meet(), meet(OFFICE)
    phone.log_in(path="/members")
    desk.log_in(path="/sessions")
    shop.clock.tick(16 * MINUTE)

    desk.press("Log out everywhere else")
    desk.reads("Confirm that it is you")
    phone.page.reload()
    phone.reads("Members only, Ada")
    desk.fill_in(password=PASSWORD)
    desk.press("Confirm")
    desk.is_at("/sessions")
    desk.press("Log out everywhere else")
    phone.page.reload()
    phone.is_at("/login")


# Once more, before something that cannot be undone --------------------------------------------------------------------


def test_account_is_deleted_after_the_password_was_given_once_more(meet: Meet, shop: Shop) -> None:
    """A login of a quarter of an hour ago is not enough. A wrong password leads nowhere; the name is fixed."""
    ada, phone = meet(), meet(OFFICE)
    phone.log_in(path="/members")
    ada.log_in()
    shop.clock.tick(16 * MINUTE)

    ada.open("/leave")
    ada.is_at("/confirm")
    expect(ada.page.get_by_label("Username")).to_have_value("Ada")
    expect(ada.page.get_by_label("Username")).not_to_be_editable()
    ada.fill_in(password=OTHER_PASSWORD)
    ada.press("Confirm")
    ada.reads("This is not your password.")
    ada.fill_in(password=PASSWORD)
    ada.press("Confirm")
    ada.is_at("/leave")
    ada.press("Delete it")
    ada.reads("Your account is gone")

    phone.page.reload()
    phone.is_at("/login")
    phone.log_in()
    phone.reads("Incorrect username or password.")


def test_form_that_is_sent_too_late_is_not_sent_by_itself(meet: Meet, shop: Shop) -> None:
    """What was posted is not repeated after the password: whoever confirms presses the button again."""
    ada = meet()
    ada.log_in(path="/leave")
    shop.clock.tick(16 * MINUTE)
    ada.press("Delete it")
    ada.reads("Confirm that it is you")
    ada.fill_in(password=PASSWORD)
    ada.press("Confirm")

    ada.open("/members")
    ada.reads("Members only, Ada")


# Attempts -----------------------------------------------------------------------------------------------------------


def test_throttled_page_says_when_to_come_back(meet: Meet, shop: Shop) -> None:
    """In words, and with the name still in its field. By then, the right password works."""
    ada = meet()
    ada.open("/login")
    for _ in range(6):
        ada.fill_in(username="Ada", password=OTHER_PASSWORD)
        with ada.page.expect_response("**/login") as answer:
            ada.press("Log in")

    assert answer.value.status == 429
    wait = int(answer.value.headers["retry-after"])
    assert 0 < wait <= 30
    expect(ada.page.get_by_role("alert")).to_contain_text(f"Please try again in {wait} seconds.")
    expect(ada.page.get_by_label("Username")).to_have_value("Ada")
    ada.fill_in(password=PASSWORD)
    ada.press("Log in")
    ada.reads("Please try again in")
    shop.clock.tick(wait + 30)
    ada.log_in(path="/members")
    ada.reads("Members only, Ada")


def test_known_browser_logs_in_while_strangers_attack(meet: Meet, shop: Shop) -> None:
    """It has logged in before, and logged out since. A new browser has to wait, as long as the attack lasts."""
    ada, new = meet(), meet(OFFICE)
    ada.log_in()
    ada.open("/logout")
    ada.press("Log out")
    attack(shop)

    new.log_in()
    new.reads("Please try again in")
    ada.log_in(path="/members")
    ada.reads("Members only, Ada")


def attack(shop: Shop) -> None:
    """Wrong passwords for Ada's account, each from another address, until no more are looked at."""
    attacker = TestApp(shop)
    for number in range(60):
        fields = {"username": "Ada", "password": f"{OTHER_PASSWORD} {number}"}
        answer = attacker.post("/login", fields, headers={"X-Test-Address": f"203.0.113.{number}"}, status="*")
        if answer.status_int == 429:
            return
    pytest.fail("nothing stops the attack")


# What browsers and password managers do -----------------------------------------------------------------------------


def test_remember_me_survives_a_restart(shop: Shop, site: Site, browser: Browser, tmp_path: Path) -> None:
    """Of the browser, with the same profile. Without the tick, the login ends with the browser."""
    launch, path = browser.browser_type.launch_persistent_context, require("chromium")
    greetings = []
    for remember in (True, False):
        profile = tmp_path / f"remember-{remember}"
        for visit in ("first", "second"):
            with closing(launch(profile, executable_path=path, args=CHROMIUM_ARGUMENTS)) as context:
                ada = Person(context, site, HOME)
                if visit == "first":
                    ada.open("/login")
                    ada.fill_in(username="Ada", password=PASSWORD)
                    ada.page.get_by_label("Remember me").set_checked(remember)
                    ada.press("Log in")
                ada.open("/")
                greetings.append(ada.page.locator("h1").inner_text())

    assert greetings == ["Hello Ada", "Hello Ada", "Hello Ada", "Hello stranger"]


#: What a password manager has to be told: of each page the fields that it may fill in.
AUTOCOMPLETE = {
    "/login": {"username": "username", "password": "current-password"},
    "/register": {"username": "username", "password": "new-password"},
    "/password": {"username": "username", "password": "current-password", "new_password": "new-password"},
    "/confirm": {"username": "username", "password": "current-password"},
    "/forgot": {"username": "username"},
    "/reset?token=x": {"password": "new-password"},
}


@pytest.mark.parametrize("path", AUTOCOMPLETE)
def test_password_managers_know_what_to_fill_in(meet: Meet, path: str) -> None:
    """Every field is named for them (WCAG 2.2, 1.3.5), takes what is pasted, and never says what to be filled with."""
    ada = meet()
    if path in ("/password", "/confirm"):
        ada.log_in()
    ada.open(path)
    fields = ada.page.locator("input:not([type=hidden], [type=checkbox])")

    assert dict(fields.evaluate_all("them => them.map(it => [it.name, it.autocomplete])")) == AUTOCOMPLETE[path]
    for field in fields.all():
        assert field.get_attribute("onpaste") is None
        assert field.get_attribute("maxlength") is None  # which would cut what is pasted, in silence
        if field.get_attribute("readonly") is None and field.get_attribute("type") == "password":
            expect(field).to_have_value("")


def test_keyboard_is_enough(meet: Meet, shop: Shop) -> None:
    """Log in and be remembered, change the password, end another session: by Tab, Space and Enter alone."""
    phone = meet(OFFICE)
    phone.log_in(path="/members")
    ada = meet()
    ada.open("/login")
    keys = ada.page.keyboard

    def tab_to(name: str) -> None:
        for _ in range(20):
            keys.press("Tab")
            if ada.page.locator(":focus").evaluate(LABEL) == name:
                return
        pytest.fail(f"Tab does not reach {name}")

    def type_into(name: str, text: str) -> None:
        tab_to(name)
        keys.type(text)

    type_into("Username", "Ada")
    type_into("Password", PASSWORD)
    tab_to("Remember me")
    keys.press("Space")
    keys.press("Enter")
    ada.reads("Hello Ada")

    ada.open("/sessions")
    tab_to("Log out")
    keys.press("Enter")
    ada.reads("That browser was logged out.")

    ada.open("/password")
    type_into("Current password", PASSWORD)
    type_into("New password", OTHER_PASSWORD)
    keys.press("Enter")
    ada.reads("Your password was changed.")
    phone.page.reload()
    phone.is_at("/login")


LABEL = "it => (it.labels?.[0] ?? it).innerText.trim()"


def test_everything_works_without_javascript(meet: Meet, shop: Shop) -> None:
    """Register, change the password, see the sessions, confirm, log out, and reset the password."""
    grace = meet(java_script_enabled=False)
    grace.open("/register?next=/members")
    grace.fill_in(username="Grace", password=PASSWORD)
    grace.press("Create account")
    grace.reads("Members only, Grace")
    grace.open("/password")
    grace.fill_in(current_password=PASSWORD, new_password=OTHER_PASSWORD)
    grace.press("Change password")
    grace.follow("Where you are logged in")
    expect(grace.places).to_have_count(1)
    shop.clock.tick(16 * MINUTE)
    grace.open("/leave")
    grace.fill_in(password=OTHER_PASSWORD)
    grace.press("Confirm")
    grace.is_at("/leave")
    grace.open("/logout")
    grace.press("Log out")
    grace.open("/forgot")
    grace.fill_in(username="Grace")
    grace.press("Send a link")
    grace.open(shop.mailed("reset").path or "")
    grace.fill_in(new_password="a third horse, a third staple")
    grace.press("Save password")
    grace.log_in("a third horse, a third staple", username="Grace", path="/login?next=/members")
    grace.reads("Members only, Grace")
