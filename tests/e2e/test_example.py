"""The bundled example, as its visitors use it, without a browser. test_browser.py has one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from webtest import TestApp, TestResponse
from webtest.forms import Form

import dev
from tests.support.fixed import SECRET

EXAMPLES = dev.ROOT / "examples"
PASSWORD = "correct horse battery staple"


@pytest.fixture
def make_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Makes the notebook; each call is another process of it, so to speak."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setitem(sys.modules, "notes_pages", __import__("notes_pages"))
    make_app = importlib.import_module("notes_app").make_app

    return lambda: validator(make_app(tmp_path / "data", SECRET))


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


def test_theme_is_kept_in_the_session(visitor: TestApp) -> None:
    """For every page, those of the login too, since they have the same style sheets."""
    assert "color-scheme" not in visitor.get("/theme.css")
    form_to(visitor.get("/"), "/theme").submit("theme", value="dark").follow()

    assert "dark" in visitor.get("/theme.css")
    assert "/theme.css" in visitor.get("/login")


def test_other_themes_are_refused(visitor: TestApp) -> None:
    """What comes from outside is checked before it is kept."""
    visitor.post("/theme", {"theme": "url(evil)"})

    assert visitor.get("/theme.css").text == ""


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


def test_style_sheet_does_not_touch_the_session(visitor: TestApp) -> None:
    """It can be kept by any cache."""
    headers = visitor.get("/style.css").headers

    assert headers["Cache-Control"] == "public, max-age=300"
    assert not {"Set-Cookie", "Vary"} & set(headers)


def test_every_field_has_a_label_and_every_page_a_policy(visitor: TestApp) -> None:
    """For screen readers, and against scripts."""
    register(visitor, "Ada")
    for path in ("/", "/account", "/login", "/register", "/logout", "/nothing"):
        page = visitor.get(path, status="*")
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        labelled = {label["for"] for label in page.html.find_all("label")}
        fields = page.html.select("input:not([type=hidden]), textarea")
        assert {field["id"] for field in fields} == labelled
        assert page.html.html["lang"] == "en"
        assert len(page.html.find_all("h1")) == 1
