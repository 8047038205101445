"""The warning before the idle end: the script and the dialog of docs/idle-warning.md, in Chromium.

Two clocks are moved: the site's, and the browser's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

import dev
from sessionware import MemoryStore, Timeouts
from sessionware.auth import AuthPages
from sessionware.testing import FaultyStore
from tests.support.auth_kit import PASSWORD, AuthSite
from tests.support.axe import violations
from tests.support.browsers import Site, chromium, served

SCRIPT = (dev.ROOT / "examples" / "idle_warning.js").read_bytes()
HOUR = 3600
IDLE, LIFETIME = 12 * HOUR, 7 * 24 * HOUR  # as Timeouts has them

DOCS = (dev.ROOT / "docs" / "idle-warning.md").read_text(encoding="utf-8")
(DIALOG,) = re.findall(r"( *<dialog.*?</script>)", DOCS, re.DOTALL)


class Reader:
    """Ada, who has opened a page of the site and reads it."""

    def __init__(self, accounts: AuthSite, store: FaultyStore, site: Site, context: BrowserContext) -> None:
        self.accounts, self.store, self.site, self.context = accounts, store, site, context
        context.set_default_timeout(10_000)
        context.clock.install(time=accounts.clock.now)
        self.complaints: list[str] = []
        self.page = self.open_tab("/login?next=/read")
        self.page.get_by_label("Username").fill("Ada")
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        with self.page.expect_response("**/session"):
            self.page.locator("main button").click()

    def open_tab(self, path: str) -> Page:
        page = self.context.new_page()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(self.site.url + path)
        return page

    def let_pass(self, seconds: int, *pages: Page) -> None:
        """Let time pass, for the site and for these tabs, in which each second's work is done."""
        self.accounts.clock.tick(seconds)
        for page in pages or (self.page,):
            page.clock.fast_forward(1000 * seconds)

    def sleep(self, seconds: int) -> None:
        """Close the lid: time passes, and then no timer has counted it."""
        self.accounts.clock.tick(seconds)
        self.page.clock.set_system_time(self.accounts.clock.now)
        self.page.clock.run_for(1000)

    def requests(self, method: str) -> int:
        return sum(line.startswith(f'"{method} /session ') for line in self.site.log)

    @property
    def lives_for(self) -> int:
        """The seconds that the session has left, as the manager says."""
        (info,) = self.accounts.manager.of(self.accounts.users.find_by_key("ada"))
        return int(info.expires_at - self.accounts.clock.now)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def reader(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Reader]:
    lang, dialog, *idle = getattr(request, "param", ("en", DIALOG))
    store = FaultyStore(MemoryStore())
    accounts = AuthSite(store=store, timeouts=Timeouts(*idle))
    accounts.register("Ada")

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        if path == "/static/idle_warning.js":
            start_response("200 OK", [("Content-Type", "text/javascript")])
            return [SCRIPT]
        if path == "/read":
            accounts.auth.require_user(environ)
        policy = "default-src 'none'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", policy)])
        page = f'<!DOCTYPE html><html lang="{lang}"><title>A long text</title><main><h1>A long text</h1></main>{dialog}'
        return [page.encode()]

    with served(accounts.wrapped(AuthPages(app, accounts.auth))) as site, closing(browser.new_context()) as context:
        yield Reader(accounts, store, site, context)


def warning(page: Page) -> Any:
    return page.get_by_role("alertdialog", name="You are about to be logged out")


def test_warns_two_minutes_before_the_end(reader: Reader) -> None:
    """And not earlier. The button has the focus, so that the space bar is enough; a screen reader reads both texts."""
    reader.let_pass(IDLE - 125)
    expect(warning(reader.page)).to_be_hidden()
    reader.let_pass(6)

    expect(warning(reader.page)).to_be_visible()
    expect(reader.page.get_by_role("button", name="Stay logged in")).to_be_focused()
    expect(warning(reader.page)).to_have_accessible_description(re.compile(r"^This happens in 2 minutes, to protect"))
    assert reader.complaints == []


@pytest.mark.parametrize(
    "reader",
    [
        ("en_US", DIALOG),
        ("no tag of any language", DIALOG),
        ("en", DIALOG.replace("<dialog", '<dialog data-warning="2 min"')),
    ],
    indirect=True,
)
def test_odd_language_or_setting_does_not_cost_the_warning(reader: Reader) -> None:
    """Many a template writes en_US, which browsers do not mind and their formats of numbers refuse."""
    reader.let_pass(IDLE - 119)

    expect(warning(reader.page)).to_be_visible()
    expect(reader.page.locator(".left")).to_have_text("2 minutes")
    assert reader.complaints == []


def test_answer_from_before_a_new_cookie_is_asked_for_again(reader: Reader) -> None:
    """While another tab logs in or confirms, the old cookie names nobody for a moment. What was typed stays there."""
    old = '{"logged_in": false, "idle_in": null, "ends_in": null}'
    reader.page.route("**/session", lambda route: route.fulfill(body=old, content_type="application/json"), times=1)

    reader.let_pass(IDLE - 100)

    expect(warning(reader.page)).to_be_visible()
    assert reader.page.url.endswith("/read")


def test_press_keeps_the_session(reader: Reader) -> None:
    """Twelve times, of which WCAG wants ten. Then nobody is in the way any more."""
    for _ in range(12):
        reader.let_pass(IDLE - 60)
        expect(warning(reader.page)).to_be_visible()
        reader.page.keyboard.press("Space")
        expect(warning(reader.page)).to_be_hidden()

    assert reader.lives_for == IDLE
    assert reader.requests("POST") == 12


def test_waiting_keeps_nothing(reader: Reader) -> None:
    """A tab that asks again and again is logged out when the idle time is over, and the login page says why."""
    for _ in range(12):
        reader.let_pass(HOUR - 1)
        with reader.page.expect_response("**/session"):
            reader.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    with reader.page.expect_navigation(url="**/login?next=%2Fread"):
        reader.let_pass(20)

    expect(reader.page.get_by_text("Your session has expired.")).to_be_visible()
    assert reader.requests("POST") == 0
    assert reader.requests("GET") > 12


def test_closing_the_warning_keeps_nothing(reader: Reader) -> None:
    """Escape is heard once, and not argued with."""
    reader.let_pass(IDLE - 100)
    expect(warning(reader.page)).to_be_visible()
    reader.page.keyboard.press("Escape")
    expect(warning(reader.page)).to_be_hidden()
    reader.let_pass(90)
    with reader.page.expect_response("**/session"):
        reader.page.clock.run_for(5000)
    expect(warning(reader.page)).to_be_hidden()

    with reader.page.expect_navigation(url="**/login?*"):
        reader.let_pass(20)


def test_work_in_another_tab_counts(reader: Reader) -> None:
    """A tab asks before it warns."""
    reader.let_pass(IDLE - HOUR)
    other = reader.open_tab("/read")
    with reader.page.expect_response("**/session") as response:
        reader.let_pass(HOUR - 60)

    assert response.value.json()["idle_in"] == IDLE - HOUR + 60
    expect(warning(reader.page)).to_be_hidden()
    expect(warning(other)).to_be_hidden()


def test_press_in_one_tab_is_enough(reader: Reader) -> None:
    """The warning goes away in the others by itself."""
    other = reader.open_tab("/read")
    reader.let_pass(IDLE - 100, reader.page, other)
    expect(warning(other)).to_be_visible()
    expect(warning(reader.page)).to_be_visible()

    other.get_by_role("button", name="Stay logged in").click()
    expect(warning(other)).to_be_hidden()
    reader.let_pass(6)
    expect(warning(reader.page)).to_be_hidden()


def test_logout_in_another_tab(reader: Reader) -> None:
    """A tab that comes into view again asks, and shows nobody else what was there."""
    with reader.page.expect_response("**/session"):
        reader.page.reload()
    other = reader.open_tab("/logout")
    other.locator("main button").click()

    with reader.page.expect_navigation(url="**/login?*"):
        reader.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_sleep(reader: Reader) -> None:
    """Timers do not count while a computer sleeps, so the first second after it looks at the clock."""
    with reader.page.expect_navigation(url="**/login?*"):
        reader.sleep(IDLE + 10)


def test_nap(reader: Reader) -> None:
    """One that ends in time leaves what is left of it."""
    reader.sleep(IDLE - 45)

    expect(warning(reader.page)).to_have_accessible_description(re.compile("^This happens in 4[0-5] seconds"))


def test_clock_that_is_set_back(reader: Reader) -> None:
    """The page asks at once, instead of warning an hour too late."""
    reader.page.clock.set_system_time(reader.accounts.clock.now - HOUR)
    with reader.page.expect_response("**/session"):
        reader.page.clock.run_for(1000)
    reader.let_pass(IDLE - 100)

    expect(warning(reader.page)).to_be_visible()


def test_network_that_is_gone(reader: Reader) -> None:
    """The warning comes in time; a press that is lost says so; the page stays, whatever the time; then all is well."""
    reader.context.set_offline(True)
    reader.let_pass(IDLE - 60)
    expect(warning(reader.page)).to_be_visible()
    reader.page.keyboard.press("Enter")
    expect(reader.page.get_by_role("alert")).to_have_text(
        "That did not work. Please check your connection, and try again."
    )
    reader.page.clock.run_for(3 * 60_000)
    assert reader.page.url.endswith("/read")

    reader.context.set_offline(False)
    reader.page.keyboard.press("Enter")
    expect(warning(reader.page)).to_be_hidden()
    assert reader.lives_for == IDLE


def test_store_that_is_down(reader: Reader) -> None:
    """An outage is not a logout."""
    reader.store.broken.add("load")
    with reader.page.expect_response("**/session") as response:
        reader.let_pass(IDLE - 60)
    assert response.value.status == 503

    expect(warning(reader.page)).to_be_visible()
    reader.page.clock.run_for(3 * 60_000)
    assert reader.page.url.endswith("/read")


def test_end_that_no_press_moves(reader: Reader) -> None:
    """A week after the login. There is nothing to press but OK, which closes the warning for good."""
    for _ in range(15):
        reader.let_pass(11 * HOUR)
        with reader.page.expect_response("**/session"):
            reader.page.goto(f"{reader.site.url}/read")
    reader.let_pass(LIFETIME - 15 * 11 * HOUR - 100)

    expect(warning(reader.page)).to_be_visible()
    expect(reader.page.get_by_role("button", name="Stay logged in")).to_be_hidden()
    expect(reader.page.get_by_text("You logged in a long time ago.")).to_be_visible()
    reader.page.get_by_role("button", name="OK").press("Enter")
    expect(warning(reader.page)).to_be_hidden()
    with reader.page.expect_response("**/session"):
        reader.let_pass(10)
    expect(warning(reader.page)).to_be_hidden()


def test_nobody_logged_in(reader: Reader) -> None:
    """A page that everybody may see is left alone, however long it stays open."""
    reader.context.clear_cookies()
    page = reader.open_tab("/")
    reader.let_pass(2 * IDLE, page)
    with page.expect_response("**/session"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.clock.run_for(60_000)

    assert page.url == f"{reader.site.url}/"
    expect(warning(page)).to_be_hidden()


GERMAN = DIALOG.replace("This happens in", "Dies geschieht in").replace("<dialog", '<dialog data-warning="300"')


@pytest.mark.parametrize("reader", [("de", GERMAN)], indirect=True)
def test_words_and_time_are_the_sites(reader: Reader) -> None:
    """In the language of the page, and as early as the page says."""
    reader.let_pass(IDLE - 290)

    expect(warning(reader.page)).to_have_accessible_description(re.compile(r"^Dies geschieht in 5 Minuten"))


@pytest.mark.parametrize(
    "reader", [("en", DIALOG.replace("<dialog", '<dialog data-login="/login?next=/"'))], indirect=True
)
def test_page_says_where_to_go_afterwards(reader: Reader) -> None:
    """One that answers a form is nothing to come back to."""
    with reader.page.expect_navigation(url="**/login?next=/"):
        reader.let_pass(IDLE + 1)


@pytest.mark.parametrize("reader", [("en", DIALOG, 120)], indirect=True)
def test_short_idle_limit_is_half_left_in_peace(reader: Reader) -> None:
    """As at a kiosk. A warning that came at once could not be closed by any press."""
    reader.let_pass(55)
    expect(warning(reader.page)).to_be_hidden()
    reader.let_pass(10)
    expect(warning(reader.page)).to_be_visible()
    reader.page.keyboard.press("Space")
    expect(warning(reader.page)).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("reader", [("en", '<meta name="color-scheme" content="light dark">' + DIALOG)], indirect=True)
def test_axe_finds_nothing(reader: Reader, scheme: Any) -> None:
    """While it is shown, in both colour schemes, on a phone."""
    reader.page.set_viewport_size({"width": 390, "height": 800})
    reader.page.emulate_media(color_scheme=scheme)
    reader.let_pass(IDLE - 60)
    expect(warning(reader.page)).to_be_visible()

    assert violations(reader.page) == []
