"""The bundled example, as its visitors use it, without a browser. test_browser.py has one."""

from __future__ import annotations

import importlib
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from queue import Queue
from typing import Any
from wsgiref.validate import validator

import pytest
import time_machine
from webtest import TestApp, TestResponse
from webtest.forms import Form

import dev
from sessionware import MemoryStore
from sessionware.testing import FaultyStore
from tests.support.fixed import SECRET

EXAMPLES = dev.ROOT / "examples"
PASSWORD = "seven quiet lanterns drift"


@pytest.fixture
def make_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Makes the notebook; each call is another process of it, so to speak."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setitem(sys.modules, "notes_pages", __import__("notes_pages"))
    make_app = importlib.import_module("notes_app").make_app

    return lambda send=lambda *message: None: validator(make_app(tmp_path / "data", SECRET, send))


@pytest.fixture
def visitor(make_app: Callable[..., Any]) -> TestApp:
    return TestApp(make_app())


def form_to(page: TestResponse, action: str) -> Form:
    """The form on the page that is posted there."""
    return next(form for form in page.forms.values() if form.action == action)


def register(client: TestApp, name: str) -> TestResponse:
    form = form_to(client.get("/register"), "/register")
    form["username"], form["password"] = name, PASSWORD
    return form.submit().follow()


def write(page: TestResponse, text: str) -> TestResponse:
    form = form_to(page, "/notes")
    form["text"] = text
    return form.submit(status="*")


def test_visits_are_counted_without_an_account(visitor: TestApp) -> None:
    """From the first on; asking by HEAD does not count."""
    assert "for the first time" in visitor.get("/")
    visitor.head("/")
    assert "2 times" in visitor.get("/")


def pressed(page: TestResponse) -> list[str]:
    return [button["value"] for button in page.html.select('[aria-pressed="true"]')]


def test_theme_is_kept_in_the_session(visitor: TestApp) -> None:
    """For every page, those of the login too; the switch shows which one it is, and leads back to its page."""
    page = visitor.get("/nothing", status=404)
    assert (page.html.html["data-theme"], pressed(page)) == ("auto", ["auto"])
    page = form_to(page, "/theme").submit("theme", value="dark").follow(status=404)

    assert (page.request.path, page.html.html["data-theme"], pressed(page)) == ("/nothing", "dark", ["dark"])
    assert visitor.get("/login").html.html["data-theme"] == "dark"


def test_other_themes_are_refused(visitor: TestApp) -> None:
    """What comes from outside is checked before it is kept."""
    visitor.post("/theme", {"theme": "url(evil)"})

    assert visitor.get("/").html.html["data-theme"] == "auto"


def test_notes_are_private(make_app: Callable[..., Any]) -> None:
    """Each sees, and can delete, their own."""
    ada, eve = TestApp(make_app()), TestApp(make_app())
    page = write(register(ada, "Ada"), "Buy tea <b>&amp;").follow()
    id = page.html.select_one("button[name=id]")["value"]
    assert "Buy tea &lt;b&gt;&amp;amp;" in page

    register(eve, "Eve")
    assert "Buy tea" not in eve.get("/")
    eve.post("/notes/delete", {"id": id})
    assert "Buy tea" in ada.get("/")

    assert "Buy tea" not in form_to(ada.get("/"), "/notes/delete").submit("id").follow()


def test_message_is_shown_once(visitor: TestApp) -> None:
    """Flashed by one page, shown by the next, gone after."""
    page = write(register(visitor, "Ada"), "x").follow()

    assert "Your note is saved." in page
    assert "Your note is saved." not in visitor.get("/")


@pytest.mark.parametrize("text", ["", "   ", "x" * 2001])
def test_note_that_cannot_be_kept_is_an_error_on_the_form(visitor: TestApp, text: str) -> None:
    """Which says what is wrong and keeps what was typed."""
    page = write(register(visitor, "Ada"), text)

    assert page.status_int == 422
    assert 'role="alert"' in page
    assert form_to(page, "/notes")["text"].value == text.strip()
    assert page.html.title.text.startswith("Error")


def test_logging_out_leaves_a_stranger(visitor: TestApp) -> None:
    """No name, no notes, and the old cookie opens nothing."""
    write(register(visitor, "Ada"), "Buy tea")
    cookie = visitor.cookies["sid"]
    form_to(visitor.get("/"), "/logout").submit()

    for headers in ({}, {"Cookie": f"sid={cookie}"}):
        page = visitor.get("/", headers=headers)
        assert "Ada" not in page
        assert "Buy tea" not in page


@pytest.mark.parametrize("path", ["/notes", "/notes/delete"])
def test_notes_ask_for_a_login(visitor: TestApp, path: str) -> None:
    """With the login form, and 403 for what was posted."""
    page = visitor.post(path, {"text": "x"}, status=403)

    assert form_to(page, "/login")["password"].attrs["autocomplete"] == "current-password"


def test_odd_requests_have_plain_answers(visitor: TestApp) -> None:
    """In the notebook's clothes; none is a server error."""
    assert "Nothing here" in visitor.get("/nothing", status=404)
    assert visitor.get("/notes", status=405).headers["Allow"] == "POST"
    visitor.post("/theme", "x" * 70_000, status=413)
    visitor.get("/%ff", status=400)


PATHS = {
    "/": 200,
    "/account": 200,
    "/sessions": 200,
    "/login": 200,
    "/register": 200,
    "/logout": 200,
    "/nothing": 404,
    "/notes": 405,
}


def account_shown(page: TestResponse) -> list[str]:
    """What the page's header says about who is logged in."""
    return [link.text for link in page.html.select("header nav a, header nav button")]


@pytest.mark.parametrize("path", PATHS)
def test_header_tells_the_truth_on_every_page(visitor: TestApp, path: str) -> None:
    """Who is logged in is asked to log in nowhere, also on the pages of AuthPages and on those that say no."""
    assert set(account_shown(visitor.get(path, status="*").maybe_follow())) <= {"Log in"}
    register(visitor, "Ada")

    assert account_shown(visitor.get(path, status=PATHS[path])) == ["Ada", "Log out"]
    assert account_shown(visitor.post("/register", {"username": "Eve", "password": "short"}, status="*"))[0] == "Ada"


def elsewhere(make_app: Callable[..., Any], name: str) -> TestApp:
    """Another browser of the same person."""
    other = TestApp(make_app())
    log_in(other, name)
    return other


def log_in(client: TestApp, name: str) -> TestResponse:
    form = form_to(client.get("/login"), "/login")
    form["username"], form["password"] = name, PASSWORD
    return form.submit().follow()


def end_all_others(client: TestApp) -> None:
    client.post("/sessions", {"id": "others"}, status=303)


def test_deleting_the_account_asks_for_the_password(visitor: TestApp) -> None:
    """Once more, unless it was given a moment ago. Then account and notes are gone."""
    write(register(visitor, "Ada"), "Buy tea")
    with time_machine.travel(time.time() + 16 * 60):
        form = form_to(visitor.get("/account/delete").follow(), "/confirm")
        form["password"] = PASSWORD
        page = form.submit().follow()
        assert "Your account and your notes are gone." in form_to(page, "/account/delete").submit()

        assert account_shown(visitor.get("/")) == ["Log in"]
        assert "Buy tea" not in register(visitor, "Ada")


def test_account_is_deleted_by_its_owner_alone(visitor: TestApp) -> None:
    """Whoever has logged in since, in another tab of the same browser, keeps account and notes."""
    register(visitor, "Ada")
    form = form_to(visitor.get("/account/delete"), "/account/delete")
    visitor.post("/logout")
    write(register(visitor, "Eve"), "Buy coffee")

    assert "Nothing was deleted" in form.submit(status=409)
    assert "Buy coffee" in visitor.get("/")
    visitor.post("/logout")
    assert account_shown(log_in(visitor, "Ada"))[0] == "Ada"


def test_link_to_reset_a_password_has_the_notebooks_own_address(
    make_app: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """And not what the request calls the host: whoever asks for the link chooses that."""
    mail, sent = sys.modules["notes_app"].Mail(), Queue[str]()
    mail.origin = "https://notes.example"
    visitor = TestApp(make_app(lambda purpose, user, path: (mail.send(purpose, user, path), sent.put(purpose))))
    register(visitor, "Ada")
    visitor.post("/forgot", {"username": "Ada"}, headers={"Host": "evil.example", "Sec-Fetch-Site": "same-origin"})

    assert sent.get(timeout=10) == "reset"
    printed = capsys.readouterr().out
    assert "open https://notes.example/reset?token=" in printed
    assert "evil" not in printed


def forget_sessions(data: Path) -> None:
    """As if all of them had expired and been pruned."""
    with closing(sqlite3.connect(data / "sessions.db")) as connection, connection:
        assert connection.execute("DELETE FROM sessionware_sessions").rowcount > 0


@pytest.fixture(params=["in another browser", "in another tab", "by time"])
def open_form(request: pytest.FixtureRequest, visitor: TestApp, make_app: Callable[..., Any], tmp_path: Path) -> Form:
    """A note that Ada has begun, in a browser whose session has been ended in the meantime."""
    form = form_to(register(visitor, "Ada"), "/notes")
    form["text"] = "Half a thought"
    if request.param == "in another browser":
        end_all_others(elsewhere(make_app, "Ada"))
    elif request.param == "in another tab":
        visitor.post("/logout")
    else:
        forget_sessions(tmp_path / "data")
    return form


@pytest.mark.parametrize("button", [None, "theme"])
def test_note_survives_a_login_that_is_over(visitor: TestApp, open_form: Form, button: str | None) -> None:
    """Saving it asks for a login. After that, the note is in its form again; so it is after a change of the theme."""
    if button is None:
        assert form_to(open_form.submit(status=403), "/login")
    else:
        visitor.post("/theme", [*open_form.submit_fields(), ("theme", "dark")])
    page = log_in(visitor, "Ada")
    assert form_to(page, "/notes")["text"].value == "Half a thought"

    page = form_to(page, "/notes").submit().follow()
    assert "Half a thought" in page.html.article.text
    assert form_to(page, "/notes")["text"].value == ""


def test_note_is_for_its_author_alone(visitor: TestApp, make_app: Callable[..., Any], open_form: Form) -> None:
    """Whoever logs in next in this browser may be somebody else, and never sees it; nor is it kept any longer then."""
    register(TestApp(make_app()), "Eve")
    open_form.submit(status=403)
    assert "Half a thought" not in visitor.get("/")

    assert "Half a thought" not in log_in(visitor, "Eve")
    form_to(visitor.get("/"), "/logout").submit()
    assert "Half a thought" not in log_in(visitor, "Ada")


def test_note_of_a_page_that_is_left_open_is_not_saved_as_somebody_elses(visitor: TestApp) -> None:
    """Its author has logged out since, and somebody else is logged in. The answer gives the text back."""
    form = form_to(register(visitor, "Ada"), "/notes")
    form["text"] = "Half a thought"
    visitor.post("/logout")
    register(visitor, "Eve")

    page = form.submit(status=403)
    assert "Half a thought" in page.html.main.text
    assert visitor.get("/").html.article is None


@pytest.mark.parametrize(
    "path",
    [
        "/notes",
        "/notes/delete",
        "/theme",
        "/account/delete",
        "/sessions",
        "/password",
        "/login",
        "/logout",
    ],
)
def test_form_on_another_site_has_a_page_for_an_answer(visitor: TestApp, path: str) -> None:
    """In the notebook's clothes, and nothing has happened."""
    write(register(visitor, "Ada"), "Buy tea")
    fields = {"text": "forged", "theme": "dark", "username": "Ada", "password": PASSWORD}
    answer = visitor.post(path, fields, headers={"Sec-Fetch-Site": "cross-site"}, status="*")

    assert answer.status_int in (303, 403)
    assert answer.status_int == 303 or answer.html.h1
    page = visitor.get("/")
    assert (account_shown(page)[0], page.html.html["data-theme"]) == ("Ada", "auto")
    assert [note.text for note in page.html.select("article .text")] == ["Buy tea"]


def test_login_page_is_shown_while_the_store_is_down(
    make_app: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing about who is logged in, because nobody knows."""
    store = FaultyStore(MemoryStore())
    monkeypatch.setattr(sys.modules["notes_app"], "SQLiteStore", lambda path: store)
    visitor = TestApp(make_app())
    register(visitor, "Ada")
    store.broken.add("load")

    assert account_shown(visitor.get("/login")) == []
    visitor.get("/", status=503)


def start(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The notebook as a program that cannot start."""
    command = [sys.executable, str(EXAMPLES / "notes_app.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_taken_port_is_one_line(tmp_path: Path) -> None:
    """Which says what to write instead."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = start("--data", tmp_path, "--port", port)

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"Port {port}: .+ Try another one: --port {port + 1}, or 0 for any\.\n", done.stderr)


@pytest.mark.parametrize("arguments", [("--data", __file__), ("--data", "/proc/here"), ("--port", "-1")])
def test_place_that_is_not_there_is_one_line(tmp_path: Path, arguments: tuple[str, str]) -> None:
    """Which names the argument that is wrong."""
    done = start("--data", tmp_path, "--port", 0, *arguments)

    assert (done.returncode, done.stdout) == (1, "")
    assert " ".join(arguments) in done.stderr
    assert done.stderr.count("\n") == 1


def test_style_sheet_does_not_touch_the_session(visitor: TestApp) -> None:
    """It can be kept by any cache."""
    headers = visitor.get("/style.css").headers

    assert headers["Cache-Control"] == "public, max-age=300"
    assert not {"Set-Cookie", "Vary"} & set(headers)


def test_every_field_has_a_label_and_every_page_a_policy(visitor: TestApp) -> None:
    """For screen readers, and against scripts."""
    register(visitor, "Ada")
    for path in ("/", "/account", "/password", "/sessions", "/confirm", "/login", "/register", "/logout", "/nothing"):
        page = visitor.get(path, status="*")
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        labelled = {label["for"] for label in page.html.find_all("label")}
        fields = page.html.select("input:not([type=hidden]), textarea")
        assert {field["id"] for field in fields} == labelled
        assert page.html.html["lang"] == "en"
        assert len(page.html.find_all("h1")) == 1
