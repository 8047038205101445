"""What holds for every page, whoever sees it and whatever was sent to it."""

from __future__ import annotations

from string import Formatter
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webtest import TestApp, TestResponse

from sessionware.auth import Field, Page
from sessionware.auth.pages.app import PAGES
from tests.support.auth_kit import PASSWORD
from tests.support.frames import frames_that_show
from tests.support.pages_kit import FOREIGN, Elements, PagesSite, log_in, post

PATHS = [page.PATH for page in PAGES]
SHOWN = [page.PATH for page in PAGES if page.TITLE]
FORMS = [page.PATH for page in PAGES if page.FIELDS and page.PATH not in ("/login", "/register")]
LINK = {"/reset": "/reset?token=abc"}

each_path = pytest.mark.parametrize("path", PATHS)
each_page = pytest.mark.parametrize("path", SHOWN)


@pytest.fixture
def site() -> PagesSite:
    site = PagesSite(sends=True, site_name="Tea & Co")
    site.register("Ada")
    return site


def visitors(site: PagesSite) -> list[TestApp]:
    """One who is logged in, here and elsewhere, and one who is not."""
    site.logged_in_visitor()
    return [site.logged_in_visitor(), site.visitor()]


def seen(site: PagesSite, path: str) -> list[TestResponse]:
    """The page as it is at first, and as it is after nonsense, a foreign form and another method."""
    found = []
    for visitor in visitors(site):
        found.append(visitor.get(LINK.get(path, path)))
        found.append(post(visitor, path, "password=x&new_password=y&username=&token=z&id=5"))
        found.append(post(visitor, path, headers=FOREIGN))
        found.append(post(visitor, path, b"{}", type="application/json"))
        found.append(visitor.request(path, method="PUT", expect_errors=True))
    return found


@each_path
def test_no_cache_keeps_it_no_script_runs_and_no_frame_holds_it(site: PagesSite, path: str) -> None:
    """Also where it refuses, and where it leads elsewhere."""
    for answer in seen(site, path):
        policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
        assert (policy["default-src"], policy["frame-ancestors"], policy["base-uri"]) == ("'none'",) * 3
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert "script-src" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] in ("same-origin", "strict-origin")


@each_path
def test_nothing_is_a_server_error(site: PagesSite, path: str) -> None:
    """Whoever sends it."""
    assert [answer.status for answer in seen(site, path) if answer.status_code >= 500] == []


@each_page
def test_page_is_sound_html(site: PagesSite, path: str) -> None:
    """One heading above all others, a label for each field, ids that are there once, and descriptions that exist."""
    for answer in seen(site, path):
        if answer.content_type != "text/html":
            continue
        elements = Elements(answer)
        ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
        named = [name for _, each in elements.found for name in (each.get("aria-describedby") or "").split()]
        fields = [each for each in elements.all("input") if each.get("type") != "hidden"]
        assert len(elements.all("h1")) == len(elements.all("main")) == len(elements.all("title")) == 1
        assert elements.one("html")["lang"] == "en"
        assert len(ids) == len(set(ids))
        assert set(named) <= set(ids)
        assert [each["id"] for each in fields] == [label["for"] for label in elements.all("label")]
        assert {form["method"] for form in elements.all("form")} <= {"post"}
        assert elements.all("script") == []
        attributes = [name for _, each in elements.found for name in each]
        assert not any(name == "style" or name.startswith("on") for name in attributes)


@each_path
def test_head_is_get_without_the_body(site: PagesSite, path: str) -> None:
    """For whoever is logged in and whoever is not."""
    for visitor in visitors(site):
        address = LINK.get(path, path)
        shown, head = visitor.get(address), visitor.head(address)

        assert list(shown.headers.items()) == list(head.headers.items())
        assert head.body == b""


@each_page
def test_looking_changes_nothing(site: PagesSite, path: str) -> None:
    """No link, no image and no prefetch may (RFC 9110, 9.2.1)."""
    for visitor in visitors(site):
        before = (len(site.store.scan()), dict(visitor.cookies))
        visitor.get(LINK.get(path, path))

        assert (len(site.store.scan()), dict(visitor.cookies)) == before
    assert site.links() == []


@each_page
def test_it_is_never_in_a_language_of_its_own(path: str) -> None:
    """Every text of every page has an id: with all of them changed, no word of ours is left."""
    ours = PagesSite(sends=True)
    blank = {
        id: f"[{id}]" + "".join(f"{{{name}}}" for name in _names(text)) for id, text in ours.pages.messages.items()
    }
    site = PagesSite(sends=True, messages={**blank, "lang": "xx", "dir": "ltr"})
    site.register("Ada")
    for visitor in (site.visitor(), site.visitor()):
        for answer in (
            visitor.get(LINK.get(path, path)),
            post(visitor, path),
            post(visitor, path, "username=a b&id=1"),
        ):
            if answer.content_type == "text/html":
                texts = [text.strip() for text in answer.html.main.find_all(string=True)]
                assert [text for text in texts if text and not text.startswith("[")] == []
        visitor.post("/login", {"username": "Ada", "password": PASSWORD})


def _names(text: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(text) if name]


@each_page
def test_nothing_that_another_site_sent_stands_in_a_form(path: str) -> None:
    """Or somebody would add a password to a stranger's name, address and way on, and send it from here."""
    site = PagesSite(sends=True, fields=[Field("email", "E-mail"), Field("terms", "Terms", kind="checkbox")])
    site.register("Ada")
    evil = "username=evil&email=evil@evil.example&terms=on&remember=on&token=evil&id=evil&owner=evil&next=/evil"
    answer = post(site.visitor(), path, evil, headers=FOREIGN)

    assert answer.status_code in (403, 422)
    assert "evil" not in answer.text
    assert "checked" not in answer.text


def test_render_that_asks_for_a_login_is_an_error_of_the_site() -> None:
    """Nobody is sent round in circles from the login page to itself, and no error is hidden by that."""

    def render(page: Page, request: Any) -> str:
        return str(request.auth.require_user(request).username)

    visitor = PagesSite(render=render).visitor()
    for answer in (visitor.get, lambda path: post(visitor, path)):
        with pytest.raises(RuntimeError, match=r"render\(\).*NotLoggedIn.*auth\.user\(request\)"):
            answer("/login")


@pytest.mark.parametrize("path", ["/login", "/register", "/password", "/confirm", "/reset"])
def test_no_frame_of_a_page_shows_a_password(site: PagesSite, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Whatever fails below it, and whoever reports it."""
    visitor = site.visitor() if path in ("/login", "/register", "/reset") else site.logged_in_visitor()
    token = ""
    if path == "/reset":
        token = site.auth.reset_token(site.manager, "Ada") or ""
        monkeypatch.setattr(type(site.hasher), "hash", fail)
    elif path == "/register":
        monkeypatch.setattr(type(site.hasher), "hash", fail)
    else:
        monkeypatch.setattr(type(site.hasher), "verify", fail)
    typed = {"username": "Bob" if path == "/register" else "Ada", "password": PASSWORD, "token": token}
    new = PASSWORD[::-1]

    with pytest.raises(Failure) as raised:
        visitor.post(path, {**typed, "new_password": new, "password": new if path == "/reset" else PASSWORD})

    for secret in filter(None, [PASSWORD, new, token]):
        assert frames_that_show(secret, raised.value) == frames_that_show(quote(secret), raised.value) == []


class Failure(Exception):
    """What nobody expected."""


def fail(*_args: object) -> Any:
    raise Failure


def test_layout_that_fails_shows_no_token() -> None:
    """Of a link to a new password, which is in the form."""

    def render(page: Page, request: Any) -> str:
        raise Failure

    with pytest.raises(Failure) as raised:
        PagesSite(render=render).visitor().get("/reset?token=SECRET-TOKEN")

    shown = frames_that_show("SECRET-TOKEN", raised.value)
    assert [frame for frame in shown if not frame.endswith("shows environ")] == []


TYPED = st.text(max_size=30) | st.sampled_from(["others", "Ada", "ada", PASSWORD, "", "0" * 32])
BODIES = st.dictionaries(st.sampled_from(["username", "password", "new_password", "id", "token", "next"]), TYPED)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(FORMS), body=BODIES, is_logged_in=st.booleans())
def test_whatever_is_posted_is_answered(path: str, body: dict[str, str], is_logged_in: bool) -> None:
    """With a page or a path of this site, and never with an error of ours."""
    site = PagesSite(sends=True)
    site.register("Ada")
    visitor = site.logged_in_visitor() if is_logged_in else site.visitor()
    encoded = "&".join(f"{name}={quote(value, errors='replace')}" for name, value in body.items())
    answer = post(visitor, path, encoded)

    assert answer.status_code in (303, 400, 403, 422, 429)
    assert answer.headers.get("Location", "/").startswith("/")
    assert not answer.headers.get("Location", "/").startswith("//")


def test_name_of_any_length_is_shown_as_text(site: PagesSite) -> None:
    """On every page that says it."""
    name = "<i>" + "a" * 120
    site.users.add("x", name, None, {})
    user = site.users.find_by_key("x")

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        site.auth.login_user(environ, user)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    browser = TestApp(site.wrapped(app))
    browser.get("/")
    visitor = TestApp(site.served, cookiejar=browser.cookiejar)
    pages = [visitor.get(path) for path in ("/login", "/register", "/password", "/confirm", "/sessions")]

    assert all(Elements(page).all("i") == [] for page in pages)
    assert name in pages[0].html.main.text
    assert Elements(pages[2]).one("input", name="username")["value"] == name


def test_own_fields_change_no_other_page() -> None:
    """They belong to the registration."""
    site = PagesSite(fields=[Field("city", "City")])

    assert "City" not in site.visitor().get("/login").text
    assert log_in(site.visitor(), username="x").status_code == 403
