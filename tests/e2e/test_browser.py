"""End to end: the bundled example under waitress, used in Chromium as people use it."""

from __future__ import annotations

import base64
import http.client
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Cookie, Locator, Page, expect, sync_playwright

import dev
from tests.support.axe import violations
from tests.support.prerequisites import require

EXAMPLE = dev.ROOT / "examples" / "notes_app.py"
NAME, PASSWORD, NOTE = "Ada-of-the-planted-name", "seven quiet lanterns drift", "planted note: the engine weaves"

#: Nothing here may look for anything outside this machine.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Notebook:
    """The example as a process of its own, which can be stopped and started again."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = 0
        self.start()

    def start(self) -> None:
        command = [sys.executable, str(EXAMPLE), "--data", str(self.data), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()  # printed once it listens
        self.port = int(re.findall(r":(\d+)/", line)[0])

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=10)

    def mailed_link(self) -> str:
        """The next link that is printed."""
        assert self.process.stdout is not None
        return next(str(found[0]) for line in self.process.stdout if (found := re.findall(r"http://\S+", line)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, cookie: str = "") -> str:
        """What a plain client gets, which is not a browser."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", path, headers={"Cookie": f"sid={cookie}"} if cookie else {})
            return connection.getresponse().read().decode()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    executable = require("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Notebook]:
    notebook = Notebook(tmp_path / "data")
    yield notebook
    notebook.stop()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def press(page: Page, button: Locator) -> None:
    """Press a button, and wait for the page that it leads to."""
    with page.expect_navigation():
        button.click()


def fill_in(page: Page, url: str, name: str = NAME, password: str = PASSWORD) -> None:
    page.goto(url)
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    press(page, page.locator("main button"))


def register(page: Page, notebook: Notebook, name: str = NAME) -> None:
    fill_in(page, f"{notebook.url}/register", name)
    expect(page.locator("h1")).to_have_text(f"{name}'s notes")


def write(page: Page, text: str = NOTE) -> None:
    page.get_by_label("New note").fill(text)
    press(page, page.get_by_role("button", name="Save"))


def session_cookie(context: BrowserContext) -> Cookie:
    """The session's own, and not the one by which the notebook knows a browser again."""
    (cookie,) = (cookie for cookie in context.cookies() if cookie["name"] == "sid")
    return cookie


def test_the_whole_story(notebook: Notebook, context: BrowserContext, page: Page) -> None:
    """Register, write, restart the server, still be logged in, log out; the old cookie then finds nothing."""
    register(page, notebook)
    write(page)
    expect(page.get_by_role("status")).to_have_text("Your note is saved.")

    notebook.stop()
    notebook.start()
    page.reload()
    expect(page.locator("h1")).to_have_text(f"{NAME}'s notes")
    expect(page.locator("article")).to_contain_text(NOTE)

    cookie = session_cookie(context)["value"]
    assert NOTE in notebook.get("/", cookie)
    press(page, page.get_by_role("button", name="Log out"))
    expect(page.locator("h1")).to_have_text("A quiet place for your notes")
    answer = notebook.get("/", cookie)
    assert NOTE not in answer
    assert NAME not in answer

    fill_in(page, f"{notebook.url}/login")
    expect(page.locator("article")).to_contain_text(NOTE)


def test_scripts_see_no_cookie(notebook: Notebook, context: BrowserContext, page: Page) -> None:
    """It is there, and HttpOnly."""
    register(page, notebook)

    assert page.evaluate("document.cookie") == ""
    cookie = session_cookie(context)
    assert (cookie["httpOnly"], cookie["sameSite"], len(cookie["value"])) == (True, "Lax", 64)


def test_parallel_tabs_are_counted_exactly(notebook: Notebook, context: BrowserContext, page: Page) -> None:
    """Twenty loads at once are twenty visits."""
    page.goto(notebook.url)
    page.route("**/fetch-page", lambda route: route.fulfill(body="<!DOCTYPE html>", content_type="text/html"))
    page.goto(f"{notebook.url}/fetch-page")  # a page without the notebook's policy against scripts
    page.evaluate("Promise.all(Array.from({length: 20}, () => fetch('/').then(answer => answer.text())))")
    page.goto(notebook.url)

    expect(page.locator(".visits")).to_contain_text("22 times")


@contextmanager
def other_site(target: str) -> Iterator[str]:
    """A site of another origin, with forms that post to the notebook."""
    forms = {
        "theme": {"theme": "dark"},
        "notes": {"text": "forged"},
        "login": {"username": "Eve", "password": PASSWORD},
        "logout": {},
    }
    body = "".join(
        f'<form method="post" action="{target}/{path}">'
        + "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
        + f'<button id="{path}">Win a prize</button></form>'
        for path, fields in forms.items()
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: str) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_form_on_another_origin_changes_nothing(
    notebook: Notebook, context: BrowserContext, page: Page, host: str
) -> None:
    """On another port, or on another host: no theme, no note, no login, no logout."""
    register(page, notebook, "Eve")
    context.clear_cookies()
    register(page, notebook)
    before = session_cookie(context)["value"]

    with other_site(notebook.url) as evil:
        for form in ("theme", "notes", "login", "logout"):
            page.goto(evil.replace("127.0.0.1", host))
            page.locator(f"#{form}").click()
            page.wait_for_url(f"{notebook.url}/**")

    assert session_cookie(context)["value"] == before
    assert 'data-theme="auto"' in notebook.get("/", before)
    page.goto(notebook.url)
    expect(page.locator("h1")).to_have_text(f"{NAME}'s notes")
    expect(page.locator("article")).to_have_count(0)


def test_form_on_another_origin_cannot_log_a_stranger_in(
    notebook: Notebook, context: BrowserContext, page: Page
) -> None:
    """Who has no session gets none from somebody else's form: not even the attacker's."""
    register(page, notebook, "Eve")
    context.clear_cookies()

    with other_site(notebook.url) as evil:
        page.goto(evil)
        page.locator("#login").click()
        expect(page.get_by_role("alert")).to_contain_text("another website")

    assert context.cookies() == []


def test_everything_works_without_javascript(notebook: Notebook, chromium: Browser) -> None:
    """Register, choose a theme, write and delete a note."""
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    register(page, notebook)
    press(page, page.get_by_role("button", name="Dark"))
    write(page)
    expect(page.locator("article")).to_contain_text(NOTE)
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    press(page, page.get_by_role("button", name="Delete"))
    expect(page.locator("article")).to_have_count(0)
    context.close()


def test_login_works_by_keyboard_alone(notebook: Notebook, context: BrowserContext, page: Page) -> None:
    """Tab, type, Enter; the first stop is a way past the header."""
    register(page, notebook)
    context.clear_cookies()
    page.goto(f"{notebook.url}/login")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_id("username")
    page.keyboard.type(NAME)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")

    expect(page.locator("h1")).to_have_text(f"{NAME}'s notes")


def test_nothing_is_wider_than_a_phone(notebook: Notebook, chromium: Browser) -> None:
    """At 360 pixels no page scrolls sideways, whatever was written."""
    context = chromium.new_context(viewport={"width": 360, "height": 640})
    page = context.new_page()
    register(page, notebook, "a" * 100)
    write(page, "w" * 300)
    for path in ("/", "/account", "/sessions", "/password", "/login", "/register", "/nothing"):
        page.goto(notebook.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
    context.close()


CONTRAST = """() => {
  const rgba = colour => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => [r, g, b].map(part => part / 255)
    .map(part => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [.2126, .7152, .0722][index], 0);
  const behind = element => {
    const colour = rgba(getComputedStyle(element).backgroundColor);
    return colour[3] ? colour : element.parentElement ? behind(element.parentElement) : [255, 255, 255];
  };
  const texts = [...document.querySelectorAll('body *')].filter(element => element.getClientRects().length &&
    [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()));
  return texts.map(element => {
    const [one, two] = [luminance(rgba(getComputedStyle(element).color)), luminance(behind(element))];
    return [(Math.max(one, two) + .05) / (Math.min(one, two) + .05), element.outerHTML.slice(0, 80)];
  });
}"""


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_every_text_has_contrast(notebook: Notebook, page: Page, theme: str) -> None:
    """4.5 to 1 at least (WCAG 2.2, 1.4.3), in both themes, an error on a form included."""
    page.goto(notebook.url)
    press(page, page.get_by_role("button", name=theme))
    fill_in(page, f"{notebook.url}/register", "Ada", "short")
    expect(page.get_by_role("alert")).to_be_visible()
    measured = page.evaluate(CONTRAST)
    register(page, notebook)
    write(page)
    measured += page.evaluate(CONTRAST)
    page.goto(f"{notebook.url}/account")
    measured += page.evaluate(CONTRAST)

    assert len(measured) > 15
    assert [text for ratio, text in measured if ratio < 4.5] == []


SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]


def pages_of(notebook: Notebook, page: Page) -> Iterator[str]:
    """Leads the browser to every kind of page that the notebook has, and names it."""

    def go(path: str) -> str:
        page.goto(notebook.url + path)
        return path

    for path in ("/", "/nothing", "/login", "/register", "/logout", "/notes", "/forgot", "/reset?token=x"):
        yield go(path)
    fill_in(page, f"{notebook.url}/login", NAME, "something else, and long")
    yield "wrong password"
    fill_in(page, f"{notebook.url}/register", NAME, "short")
    yield "short password"
    register(page, notebook)
    yield "no notes"
    write(page, "")
    yield "empty note"
    write(page, "w" * 300)
    write(page, NOTE * 10)
    yield "notes"
    for path in ("/account", "/account/delete", "/sessions", "/password", "/confirm"):
        yield go(path)
    for path in ("/login", "/logout", "/nothing"):
        yield f"{go(path)} for somebody who is logged in"


def test_axe_finds_nothing_wrong(notebook: Notebook, page: Page) -> None:
    """On every page, in both themes, on a desk and on phones; and nothing is wider than these are."""
    wrong, seen = [], 0
    for name in pages_of(notebook, page):
        for width in (1280, 390, 320):
            page.set_viewport_size({"width": width, "height": 700})
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                wrong += [f"{name}, {width}, {scheme}: {line}" for line in violations(page)]
                seen += 1
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wrong.append(f"{name}, {width}: scrolls sideways")

    assert wrong == []
    assert seen == 21 * 6


def test_axe_finds_what_is_planted(page: Page) -> None:
    """A picture without a text, a field without a label, a text without contrast."""
    page.set_content(
        "<html lang=en><title>x</title><main><h1>x</h1><img src=x><input><p style='color:#bbb;background:#fff'>grey</p>"
    )

    assert {line.partition(":")[0] for line in violations(page)} == {"image-alt", "label", "color-contrast"}


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_header_is_one_row(notebook: Notebook, page: Page, width: int) -> None:
    """On a phone too, however long the name."""
    page.set_viewport_size({"width": width, "height": 700})
    for name in (NAME, "a" * 100):
        register(page, notebook, name)
        expect(page.get_by_role("button", name="Log out")).to_be_in_viewport(ratio=1)
        middles = page.locator("header .brand, header .who, header button").evaluate_all(
            "them => them.map(it => it.getBoundingClientRect()).map(box => (box.top + box.bottom) / 2)"
        )
        assert len(middles) == 3
        assert max(middles) - min(middles) < 4
        page.context.clear_cookies()


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_theme_is_switched_beside_a_note_that_is_half_written(
    notebook: Notebook, chromium: Browser, theme: str
) -> None:
    """The note is still there, the switch shows what was chosen, and it was not saved. Without JavaScript."""
    with closing(chromium.new_context(java_script_enabled=False)) as context:
        page = context.new_page()
        register(page, notebook)
        page.get_by_label("New note").fill("half a\nthought ")
        press(page, page.get_by_role("button", name=theme))

        expect(page.get_by_role("button", name=theme)).to_have_attribute("aria-pressed", "true")
        expect(page.locator("[aria-pressed=true]")).to_have_count(1)
        expect(page.get_by_label("New note")).to_have_value("half a\nthought")
        expect(page.locator("article")).to_have_count(0)
        press(page, page.get_by_role("button", name="Save"))
        expect(page.locator("article")).to_contain_text("thought")
        expect(page.get_by_label("New note")).to_have_value("")


def test_sessions_in_two_browsers(notebook: Notebook, chromium: Browser, page: Page) -> None:
    """The current one is marked; another can be ended, or all others; each is over at once."""
    register(page, notebook)
    others = [chromium.new_context() for _ in range(3)]
    pages = [other.new_page() for other in others]
    for each in pages:
        fill_in(each, f"{notebook.url}/login")
        expect(each.locator("h1")).to_have_text(f"{NAME}'s notes")

    page.goto(f"{notebook.url}/account")
    press(page, page.get_by_role("link", name="Where you are logged in"))
    places = page.get_by_role("main").get_by_role("listitem")
    expect(places).to_have_count(4)
    expect(page.get_by_text("This browser")).to_have_count(1)
    press(page, places.get_by_role("button").first)
    expect(places).to_have_count(3)
    still = []
    for each in pages:
        each.goto(f"{notebook.url}/account")
        still.append("/login" not in each.url)
    assert sorted(still) == [False, True, True]

    press(page, page.get_by_role("button", name="Log out everywhere else"))
    for each in pages:
        each.goto(f"{notebook.url}/account")
        assert "/login" in each.url
    page.reload()
    expect(places).to_have_count(1)
    for other in others:
        other.close()


def test_account_is_deleted_with_everything(
    notebook: Notebook, chromium: Browser, context: BrowserContext, page: Page
) -> None:
    """Notes, account and every session."""
    register(page, notebook)
    write(page)
    other = chromium.new_context()
    elsewhere = other.new_page()
    fill_in(elsewhere, f"{notebook.url}/login")

    page.goto(f"{notebook.url}/account")
    press(page, page.get_by_role("link", name="Delete your account"))
    press(page, page.get_by_role("button", name="Delete account"))
    expect(page.get_by_text("Your account and your notes are gone.")).to_be_visible()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()

    elsewhere.goto(notebook.url)
    expect(elsewhere.locator("h1")).to_have_text("A quiet place for your notes")
    fill_in(page, f"{notebook.url}/login")
    expect(page.get_by_role("alert")).to_contain_text("Incorrect username or password.")
    register(page, notebook)
    expect(page.locator("article")).to_have_count(0)
    other.close()


def test_forgotten_password(notebook: Notebook, page: Page) -> None:
    """The link is on the terminal, in the place of a mail, with the notebook's own address in front."""
    register(page, notebook)
    press(page, page.get_by_role("button", name="Log out"))
    page.goto(f"{notebook.url}/login")
    press(page, page.get_by_role("link", name="Forgot your password?"))
    page.get_by_label("Username").fill(NAME)
    press(page, page.locator("main button"))

    page.goto(notebook.mailed_link())
    page.get_by_label("New password").fill("another horse, another staple")
    press(page, page.locator("main button"))
    fill_in(page, f"{notebook.url}/login", password="another horse, another staple")
    expect(page.locator("h1")).to_have_text(f"{NAME}'s notes")


def test_note_that_is_half_written_survives_the_idle_end(notebook: Notebook, page: Page) -> None:
    """The page leaves for the login, but not before it has posted the note."""
    page.clock.install()
    register(page, notebook)
    page.get_by_label("New note").fill("Half a thought")
    with page.expect_response("**/session"):
        page.reload()
    page.get_by_label("New note").fill("Half a thought")
    page.context.clear_cookies()
    with page.expect_navigation():
        page.clock.fast_forward("12:00:00")

    page.get_by_label("Username").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, page.locator("main button"))
    expect(page.get_by_label("New note")).to_have_value("Half a thought")


# At rest --------------------------------------------------------------------------------------------------------------


def everything_in(database: Path) -> bytes:
    """What can be found in a database by whatever means: its dump, and the bytes of its files."""
    with closing(sqlite3.connect(database)) as connection:
        dump = "\n".join(connection.iterdump()).encode()
    files = sorted(database.parent.glob(database.name + "*"))
    return b"\n".join([dump, dump.lower(), *(file.read_bytes() for file in files)])


def traces_of(cookie: str) -> Iterator[bytes]:
    """Every part of a cookie that would give it away: of its text, and of its bytes as such and in hexadecimal."""
    raw = base64.urlsafe_b64decode(cookie)
    for start in range(len(cookie) - 11):
        yield cookie[start : start + 12].encode()
    for start in range(len(raw) - 7):
        yield raw[start : start + 8]
        yield raw[start : start + 8].hex().encode()


def found(content: bytes, secrets: list[bytes]) -> list[bytes]:
    return [secret for secret in secrets if secret in content]


def test_session_database_tells_nothing(
    notebook: Notebook, context: BrowserContext, page: Page, tmp_path: Path
) -> None:
    """After real use it holds no planted value, no username, no token and no part of any cookie."""
    steps: list[Callable[[], object]] = [
        lambda: page.goto(notebook.url),
        lambda: press(page, page.get_by_role("button", name="Dark")),
        lambda: register(page, notebook),
        lambda: write(page),
        lambda: press(page, page.get_by_role("button", name="Log out")),
        lambda: fill_in(page, f"{notebook.url}/login"),
        lambda: write(page),
    ]
    cookies = []
    for step in steps:
        step()
        cookies += [cookie["value"] for cookie in context.cookies()]
    assert len(set(cookies)) >= 3
    secrets = [text.encode() for text in (NAME, NAME.lower(), PASSWORD, NOTE, "Your note is saved", "visits", "dark")]
    secrets += [trace for cookie in set(cookies) for trace in traces_of(cookie)]

    sessions = notebook.data / "sessions.db"
    assert found(everything_in(sessions), secrets) == []

    # The search finds what is there: in the accounts the name, and in a copy whatever was planted in it.
    assert NAME.encode() in found(everything_in(notebook.data / "accounts.db"), secrets)
    copy = tmp_path / "copy.db"
    shutil.copy(sessions, copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        token = base64.urlsafe_b64decode(cookies[-1])[20:30]
        connection.execute("CREATE TABLE planted (value)")
        connection.executemany("INSERT INTO planted VALUES (?)", [("dark",), (token,), (cookies[0][5:20],)])
    assert len(found(everything_in(copy), secrets)) >= 3
