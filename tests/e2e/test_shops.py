"""The tea shop of each framework in Chromium: each served in a process of its own, as its page says."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Cookie, Page, expect, sync_playwright

from sessionware import cli
from tests.support.prerequisites import require
from tests.support.servers import end_process
from tests.support.shops import SHOPS, Shop, environ
from tests.support.tls import CHROMIUM_ARGUMENTS, DAY

PASSWORD = "seven quiet lanterns drift"

#: The socket listens already: no port to find, no start to wait for.
SERVE = """
import importlib, socket, sys, waitress
waitress.serve(importlib.import_module(sys.argv[1]).app, sockets=[socket.socket(fileno=int(sys.argv[2]))])
"""


@pytest.fixture(scope="module", params=SHOPS, ids=lambda shop: shop.name)
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the shop is, in a directory that holds nothing but a secret before it starts."""
    shop: Shop = request.param
    directory = tmp_path_factory.mktemp(shop.name)
    cli.main(["secret", "--file", str(directory / "session-secret")])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = serve(shop, directory, listener.fileno())
    yield f"http://127.0.0.1:{port}"
    end_process(process)


def serve(shop: Shop, directory: Path, listener: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", SERVE, shop.example.stem, str(listener)]
    return subprocess.Popen(command, cwd=directory, env=environ(), pass_fds=[listener])


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = require("chromium")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS) as it,
    ):
        yield it


@pytest.fixture
def enter(chromium: Browser, address: str) -> Iterator[Callable[[], Shopper]]:
    """Each call is a browser of its own."""
    with ExitStack() as stack:
        yield lambda: Shopper(stack.enter_context(chromium.new_context(base_url=address)))


class Shopper:
    """A browser with one tab, and somebody who knows what to press."""

    def __init__(self, context: BrowserContext) -> None:
        context.set_default_timeout(10_000)
        self.context = context
        self.page: Page = context.new_page()

    def open(self, path: str) -> None:
        self.page.goto(path)

    def press(self, button: str) -> None:
        """Press a button, and wait for the page that it leads to."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=button, exact=True).click()

    def type(self, username: str, password: str) -> None:
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(password)

    def register(self, username: str) -> None:
        self.open("/register")
        self.type(username, PASSWORD)
        self.press("Register")

    def log_in(self, username: str, password: str = PASSWORD, *, remember: bool = False) -> None:
        self.open("/login")
        self.type(username, password)
        if remember:
            self.page.get_by_label("Remember me").check()
        self.press("Log in")

    def sees(self, selector: str, *texts: str) -> None:
        """These and no others."""
        expect(self.page.locator(selector)).to_have_text(list(texts))

    def is_at(self, path: str) -> None:
        expect(self.page).to_have_url(re.compile(rf"{path}(\?|$)"))

    @property
    def cookie(self) -> Cookie:
        """The session's. A framework may have one more for its forms."""
        cookies = self.context.cookies()
        (cookie,) = [each for each in cookies if "csrf" not in each["name"] and not each["name"].endswith("_known")]
        return cookie


def test_two_browsers_of_one_person(enter: Callable[[], Shopper]) -> None:
    """A stranger's cart, an account, a second browser that logs out both, and the way back."""
    first, second = enter(), enter()
    fill_the_cart(first)
    register_with_it(first)
    log_in_to_be_remembered(second)

    for browser in (first, second):
        browser.open("/account")
        browser.sees("#places", "Logged in at 2 places.")
    second.press("Log out everywhere")
    second.sees("[role=status]", "Goodbye.")
    second.sees("nav a", "Shop", "Log in", "Register")

    is_logged_out(first)
    come_back(first)


def fill_the_cart(browser: Shopper) -> None:
    """Each thing is told once, not again when the page is loaded again."""
    browser.open("/")
    browser.sees("#cart", "Cart: empty")
    browser.press("Add tea")
    browser.press("Add milk")
    browser.sees("[role=status]", "Added milk.")
    browser.page.reload()
    browser.sees("[role=status]")
    browser.sees("#cart", "Cart: tea, milk")


def register_with_it(browser: Shopper) -> None:
    """The session ends with the browser."""
    browser.register("Ada")
    browser.is_at("/account")
    browser.sees("#who", "Ada")
    browser.sees("[role=status]", "Welcome, Ada.")
    browser.sees("#places", "Logged in at 1 place.")
    browser.sees("#cart", "Cart: tea, milk")
    assert browser.cookie["expires"] == -1


def log_in_to_be_remembered(browser: Shopper) -> None:
    """The session outlives the browser, by thirty days."""
    browser.log_in("Ada", remember=True)
    browser.sees("[role=status]", "Welcome back, Ada.")
    assert browser.cookie["expires"] == pytest.approx(time.time() + 30 * DAY, abs=60)


def is_logged_out(browser: Shopper) -> None:
    """Also if it keeps the cookie that it had."""
    old = browser.cookie
    browser.open("/account")
    browser.is_at("/login")

    browser.context.clear_cookies()
    browser.context.add_cookies(
        [{"name": old["name"], "value": old["value"], "domain": old["domain"], "path": old["path"]}]
    )
    browser.open("/account")
    browser.is_at("/login")


def come_back(browser: Shopper) -> None:
    """A wrong password is told on the form, which can be sent again at once."""
    browser.open("/login")
    browser.type("Ada", "Tr0ub4dor&3")
    with browser.page.expect_response("**/login") as refused:
        browser.press("Log in")
    assert refused.value.status == 403
    browser.sees("[role=alert]", "Incorrect username or password.")

    browser.type("Ada", PASSWORD)
    browser.press("Log in")
    browser.is_at("/account")
    browser.sees("#who", "Ada")
    browser.sees("#places", "Logged in at 1 place.")


def test_name_with_html_in_it_is_text(enter: Callable[[], Shopper]) -> None:
    """Wherever it is shown."""
    name = "<img/src=x/onerror=document.title=1>"
    mallory = enter()
    mallory.register(name)

    mallory.sees("#who", name)
    mallory.sees("[role=status]", f"Welcome, {name}.")
    mallory.sees("img")
    expect(mallory.page).to_have_title("Account")
