"""AuthPages: what a visitor meets at /login, /register and /logout, and how the application sends them there."""

from __future__ import annotations

import importlib
import inspect
import io
import pkgutil
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from socketserver import ThreadingMixIn
from types import ModuleType
from typing import Any, Literal, get_args, get_type_hints
from urllib.parse import parse_qs, quote, urljoin, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser
from webtest import TestApp, TestResponse

from sessionware import Busy, ConfigError, Cookie, MemoryStore, NotLoggedIn, StoreUnavailable, Throttled
from sessionware._types import StartResponse
from sessionware.auth import Argon2Hasher, AuthPages, Field, Link, Page, _hashing_threads, safe_next
from sessionware.auth import pages as pages_package
from sessionware.auth.pages import app as pages_app
from sessionware.auth.pages import forms, login
from sessionware.auth.pages.forms import Form
from sessionware.auth.pages.html import STYLE, render_page
from sessionware.auth.pages.request import PageRequest, Response
from sessionware.auth.pages.settings import PageFile
from sessionware.session import EndReason
from sessionware.testing import FaultyStore
from tests.support.auth_kit import ADDRESS, PASSWORD, AuthSite, Crowd, together
from tests.support.pages_kit import FOREIGN, FORM, Elements, PagesSite, log_in, post, said
from tests.support.prerequisites import require
from tests.support.wsgi import Started

PARTNER = "https://partner.example"
NAMES = ["login", "register", "logout"]
EVIL_NAME = "\"><script>alert('x')</script>&amp;"

Reason = EndReason | Literal["expired"]

each_page = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def site() -> PagesSite:
    site = PagesSite()
    site.register("Ada")
    return site


@pytest.fixture
def visitor(site: PagesSite) -> TestApp:
    return site.visitor()


# The way in and out


def test_a_login_goes_home(site: PagesSite, visitor: TestApp) -> None:
    """By 303 to a path, with the session's cookie."""
    response = log_in(visitor)

    assert (response.status_code, response.headers["Location"]) == (303, "/")
    assert visitor.get("/").text == "Hello Ada"


def test_registering_logs_in_and_goes_home(site: PagesSite, visitor: TestApp) -> None:
    """With the name as it was typed."""
    response = log_in(visitor, "/register", username="Grace.Hopper")

    assert (response.status_code, response.headers["Location"]) == (303, "/")
    assert visitor.get("/").text == "Hello Grace.Hopper"


def test_registering_may_lead_to_the_login_page_instead() -> None:
    """Which says that the account is ready, without a session. From there one goes on to where one wanted."""
    site = PagesSite(login_after_register=False)
    visitor = site.visitor()

    response = log_in(visitor, "/register?next=/members")
    assert response.status_code == 303
    assert visitor.cookies == {}
    page = response.follow()
    assert "Your account is ready" in page.text
    assert Elements(page).one("p", role="status")
    page.form["username"], page.form["password"] = "Ada", PASSWORD

    assert page.form.submit().headers["Location"] == "/members"
    assert site.store.scan() != []
    assert "is ready" not in visitor.get("/register?registered=1").text


def test_a_logout_goes_home(site: PagesSite, visitor: TestApp) -> None:
    """The cookie is gone, and the browser forgets the pages that it kept (ASVS 5.0 14.3.1)."""
    log_in(visitor)

    response = visitor.get("/logout").form.submit()

    assert (response.status_code, response.headers["Location"]) == (303, "/")
    assert response.headers["Clear-Site-Data"] == '"cache"'
    assert set(visitor.cookies) == {"sid_known"}
    assert visitor.get("/").text == "Hello stranger"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_at_the_logout_page_logs_nobody_out(site: PagesSite, visitor: TestApp, method: str) -> None:
    """A link, or an image on another site, must not."""
    log_in(visitor)
    visitor.request("/logout", method=method)

    assert visitor.get("/").text == "Hello Ada"


def test_a_logout_needs_no_form(site: PagesSite, visitor: TestApp) -> None:
    """So that a script of the application can do it by an empty POST."""
    log_in(visitor)

    assert post(visitor, "/logout", type="").status_code == 303
    assert visitor.get("/").text == "Hello stranger"


def test_a_logout_of_nobody_goes_home_too(site: PagesSite, visitor: TestApp) -> None:
    """It asks for nothing that is not so already, and leaves no record."""
    assert post(visitor, "/logout").status_code == 303
    assert site.store.scan() == []


def test_head_has_no_body(visitor: TestApp) -> None:
    """Servers need not cut it off."""
    assert visitor.head("/login").body == b""


# Why somebody has to log in again


def logged_out(site: PagesSite, reason: Reason) -> TestApp:
    """A browser whose session is over."""
    visitor = site.visitor()
    log_in(visitor)
    if reason == "expired":
        site.clock.tick(12 * 3600)
    else:
        (info,) = site.manager.of(site.users.find_by_key("ada"))
        site.manager.end(info.id, reason=reason)
    return visitor


each_reason = pytest.mark.parametrize("reason", ["expired", *get_args(EndReason)])


@each_reason
def test_login_page_says_why_the_session_is_over(site: PagesSite, reason: Reason) -> None:
    """Once, because the cookie that names it is removed. Logging in works as ever."""
    visitor = logged_out(site, reason)

    first, second = visitor.get("/login"), visitor.get("/login")

    assert (said(first), said(second)) == (login.MESSAGES[f"ended.{reason}"], None)
    assert ["Max-Age=0" in line for line in first.headers.getall("Set-Cookie")] == [True]
    assert log_in(visitor).status_code == 303


@each_reason
def test_login_page_says_why_after_a_minute_too(site: PagesSite, reason: Reason) -> None:
    """When the session is not just over."""
    visitor = logged_out(site, reason)
    site.clock.tick(61)

    assert [said(visitor.get("/login")) for _ in range(2)] == [login.MESSAGES[f"ended.{reason}"], None]


def test_every_reason_has_a_sentence_of_its_own() -> None:
    """What is not known is not said."""
    sentences = {id: text for id, text in login.MESSAGES.items() if id.startswith("ended.")}

    assert sentences.keys() == {f"ended.{reason}" for reason in ("expired", *get_args(EndReason))}
    assert len(set(sentences.values())) == 6


@each_reason
@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("GET", {"Sec-Purpose": "prefetch"}),
        ("GET", {"Sec-Purpose": "prefetch;prerender"}),
        ("GET", {"X-Session-Passive": "1"}),
        ("GET", {"Sec-Fetch-Mode": "cors"}),
        ("GET", {"Accept": "application/json"}),
        ("GET", {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}),
        ("GET", {"Purpose": "prefetch"}),
        ("GET", {"X-Moz": "prefetch"}),
    ],
    ids=["head", "prefetch", "prerender", "passive", "script", "data", "frame", "Safari", "Firefox"],
)
def test_look_that_nobody_sees_does_not_take_the_reason(
    site: PagesSite, reason: Reason, method: str, headers: dict[str, str]
) -> None:
    """The person who comes afterwards is told."""
    visitor = logged_out(site, reason)

    unseen = visitor.request("/login", method=method, headers=headers)

    assert "Set-Cookie" not in unseen.headers
    assert said(visitor.get("/login")) == login.MESSAGES[f"ended.{reason}"]


def test_other_pages_do_not_take_the_reason(site: PagesSite) -> None:
    """/members leads to the login page, and that says it."""
    visitor = logged_out(site, "password")
    visitor.get("/")
    visitor.get("/register")

    assert said(visitor.get("/members").follow()) == login.MESSAGES["ended.password"]


def test_account_that_is_ready_is_said_first(site: PagesSite) -> None:
    """There is one notice at a time, and the reason waits."""
    visitor = logged_out(site, "limit")

    assert said(visitor.get("/login?registered=1")) == login.MESSAGES["registered"]
    assert said(visitor.get("/login")) == login.MESSAGES["ended.limit"]


@pytest.mark.parametrize("name", ["login", "register"])
def test_whoever_is_logged_in_is_told_so(site: PagesSite, visitor: TestApp, name: str) -> None:
    """With a way on and one out, in the place of a form. The session goes on."""
    log_in(visitor)

    page = visitor.get(f"/{name}?next=/members")
    elements = Elements(page)

    assert (said(page) or "").startswith("You are logged in as Ada.")
    assert [link["href"] for link in elements.all("a")] == ["/members", "/logout"]
    assert elements.all("form") == elements.all("input") == []
    assert visitor.get("/").text == "Hello Ada"
    assert Elements(visitor.get(f"/{name}")).all("a")[0]["href"] == "/"


@pytest.mark.parametrize("name", ["login", "register"])
def test_form_that_was_open_before_the_login_still_works(site: PagesSite, visitor: TestApp, name: str) -> None:
    """In another tab, or by a second click."""
    form = visitor.get(f"/{name}").form
    form["username"], form["password"] = "Ada" if name == "login" else "Grace", PASSWORD
    log_in(visitor)

    assert form.submit().status_code == 303


def test_page_does_not_greet_whoever_was_disabled(site: PagesSite, visitor: TestApp) -> None:
    """It says why, once, also where the page itself is the first to notice."""
    log_in(visitor)
    site.users.set_active(site.users.find_by_key("ada").id, False)

    assert said(visitor.get("/login")) == login.MESSAGES["ended.disabled"]
    assert said(visitor.get("/login")) is None


@pytest.mark.parametrize("broken", ["load", "get"])
def test_who_is_logged_in_may_be_unknown_for_a_while(broken: str) -> None:
    """In an outage the form is shown, and nobody is logged out."""
    store = FaultyStore(MemoryStore())
    site = PagesSite(store=store)
    site.register("Ada")
    visitor = site.visitor()
    log_in(visitor)
    store.broken.add(broken)
    site.users.broken["get"] = StoreUnavailable("the disk is on fire")

    pages = [visitor.get("/login"), visitor.get("/register")]
    store.broken.clear()
    site.users.broken.clear()

    assert [(page.status_code, page.form.method) for page in pages] == [(200, "post")] * 2
    assert visitor.get("/").text == "Hello Ada"


def test_login_page_says_nothing_of_a_logout(site: PagesSite, visitor: TestApp) -> None:
    """Nor in another tab that still has the cookie."""
    log_in(visitor)
    headers = {"Cookie": f"sid={visitor.cookies['sid']}"}
    visitor.post("/logout")

    assert said(visitor.get("/login")) is None
    assert said(site.visitor().get("/login", headers=headers)) is None


@pytest.mark.parametrize("broken", ["load", "delete"])
def test_login_page_is_shown_in_an_outage(broken: str) -> None:
    """Without a reason, and without taking the cookie away: it is asked for again when the store is back."""
    store = FaultyStore(MemoryStore())
    site = PagesSite(store=store)
    site.register("Ada")
    visitor = logged_out(site, "expired")
    store.broken.add(broken)

    page = visitor.get("/login")
    store.broken.clear()

    assert (page.status_code, said(page), "Set-Cookie" in page.headers) == (200, None, False)
    assert page.form["password"].value == ""
    assert said(visitor.get("/login")) == login.MESSAGES["ended.expired"]


@each_page
def test_looking_at_a_page_leaves_no_trace(site: PagesSite, visitor: TestApp, name: str) -> None:
    """No store is asked, no record, no cookie (CVE-2015-5963). HEAD is GET without the body."""
    shown = visitor.get(f"/{name}")
    headers = visitor.head(f"/{name}").headers

    assert list(shown.headers.items()) == list(headers.items())
    assert "Set-Cookie" not in shown.headers
    assert site.store.scan() == []
    assert site.users.taken() == []


def test_a_space_that_a_phone_puts_behind_a_name_does_no_harm(site: PagesSite, visitor: TestApp) -> None:
    """In a password it counts."""
    assert log_in(visitor, password=PASSWORD + " ").status_code == 403
    assert log_in(visitor, username=" Ada ").status_code == 303


def test_words_in_any_script_arrive_as_they_were_typed(site: PagesSite, visitor: TestApp) -> None:
    """Names and passwords are Unicode."""
    words = {"username": "\u5c71\u7530\u00e9", "password": "\U0001f600 p\u00e4ssw\u00f6rter & mehr+%20 \u5bc6\u7801"}
    log_in(visitor, "/register", **words)
    visitor.reset()

    assert log_in(visitor, **words).status_code == 303
    assert visitor.get("/").text == f"Hello {words['username']}"


# What goes wrong


def test_a_failed_login_shows_the_form_again(site: PagesSite, visitor: TestApp) -> None:
    """With the name, without the password, and with one sentence that a screen reader reads out."""
    page = log_in(visitor, username="Ada", password="not the password")
    elements = Elements(page)

    assert page.status_code == 403
    assert elements.one("input", name="username")["value"] == "Ada"
    assert "value" not in elements.one("input", name="password")
    assert "not the password" not in page.text
    alert = elements.one("p", role="alert")
    for field in elements.all("input", **{"aria-invalid": "true"}):
        assert alert["id"] in (field["aria-describedby"] or "").split()
    assert len(elements.all("input", **{"aria-invalid": "true"})) == 2
    assert page.html.title.text.startswith("Error: ")


def test_what_is_wrong_with_a_login_cannot_be_told_from_the_answer(site: PagesSite, visitor: TestApp) -> None:
    """Status, headers and body are the same for names that exist and names that do not, but for the name itself."""
    site.users.set_active(site.register("Off").id, False)
    site.users.add("nopass", "Nop", None, {})
    answers = set()
    for name in ("Ada", "Bob", "Off", "Nop", "a\x7fb"):
        page = log_in(visitor, username=name, password="not the password")
        answers.add((page.status, str(list(page.headers.items())), page.text.replace(f'value="{name}"', "")))

    assert len(answers) == 1


@pytest.mark.parametrize(
    ("typed", "status", "field", "says"),
    [
        ({"username": "ADA", "password": "the password of somebody else"}, 409, "username", "taken"),
        ({"username": "ada lovelace"}, 422, "username", "128"),
        ({"username": ""}, 422, "username", "128"),
        ({"username": "Bob", "password": "fourteen chars"}, 422, "password", "15"),
        ({"username": "Bob", "password": "x" * 1025}, 422, "password", "1024"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_registration_that_is_refused_says_what_to_change(
    site: PagesSite, visitor: TestApp, typed: dict[str, str], status: int, field: str, says: str
) -> None:
    """And marks the field."""
    page = log_in(visitor, "/register", **typed)
    elements = Elements(page)

    (invalid,) = elements.all("input", **{"aria-invalid": "true"})
    assert (page.status_code, invalid["name"]) == (status, field)
    assert "autofocus" in invalid
    assert page.html.title.text.startswith("Error: ")
    assert (invalid["aria-describedby"] or "").split() == [f"{field}-hint", f"{field}-error"]
    assert says in page.html.find(id=f"{field}-error").text
    assert len(page.html.find_all(role="alert")) == 1
    assert elements.one("input", name="username")["value"] == typed["username"]
    assert visitor.cookies == {}


def test_a_double_click_on_register_logs_in(site: PagesSite, visitor: TestApp) -> None:
    """The browser gives up the first answer, and its cookie with it. The second form has the password, too."""
    form = visitor.get("/register?next=/members").form
    form["username"], form["password"] = "Grace", PASSWORD
    form.submit()
    visitor.reset()
    done = form.submit()

    assert (done.status_code, done.headers["Location"]) == (303, "/members")
    assert visitor.get("/").text == "Hello Grace"


def test_a_double_click_on_register_leads_to_the_login_page_if_registering_does() -> None:
    """It ends as the first click would have."""
    site = PagesSite(login_after_register=False)
    visitor = site.visitor()
    done = [log_in(visitor, "/register").headers.get("Location") for _ in range(2)]

    assert done == ["/login?registered=1"] * 2
    assert visitor.get("/").text == "Hello stranger"


def test_a_taken_name_costs_a_try_of_the_password(site: PagesSite, visitor: TestApp) -> None:
    """It is one like any other: /register is no way round the limits of /login, whose refusals it does not tell."""
    visitor.extra_environ["REMOTE_ADDR"] = ADDRESS
    answers = [
        log_in(visitor, "/register", password=f"wrong horse battery {number}").status_code for number in range(5)
    ]

    assert answers == [409] * 5
    assert len(site.told("login.failed")) == 5
    assert log_in(visitor).status_code == 429


def test_everything_that_is_wrong_is_said_at_once(site: PagesSite, visitor: TestApp) -> None:
    """Each at its field; typing begins at the first."""
    page = log_in(visitor, "/register", username="ada lovelace", password="short")
    username, password = Elements(page).all("input")

    assert page.status_code == 422
    assert (username["aria-invalid"], password["aria-invalid"]) == ("true", "true")
    assert "spaces" in page.html.find(id=(username["aria-describedby"] or "").split()[-1]).text
    assert "15" in page.html.find(id=(password["aria-describedby"] or "").split()[-1]).text
    assert ("autofocus" in username, "autofocus" in password) == (True, False)
    assert (username["value"], password.get("value")) == ("ada lovelace", None)
    assert page.html.find(id="error") is None


@pytest.mark.parametrize(("field", "says"), [("username", "128"), ("password", "22 characters")])
def test_rules_are_said_beforehand(field: str, says: str) -> None:
    """On the form, and tied to the field for screen readers."""
    page = PagesSite(minimum_length=22).visitor().get("/register")
    described = Elements(page).one("input", name=field)["aria-describedby"]

    assert says in page.html.find(id=described).text
    assert "Please" not in page.html.find(id=described).text
    assert "autofocus" not in page.text.partition("<main>")[2]


def test_what_was_typed_is_never_markup(site: PagesSite, visitor: TestApp) -> None:
    """Nor is what the query or the site's settings say."""
    visitor = PagesSite(site_name='<b>Tom & "Jerry"</b>').visitor()
    for name in ("login", "register"):
        page = log_in(visitor, f"/{name}?next={quote('/' + EVIL_NAME)}", username=EVIL_NAME, password="short")

        elements = Elements(page)
        assert elements.all("script") == elements.all("b") == []
        assert elements.one("input", name="username")["value"] == EVIL_NAME
        assert elements.one("input", name="next")["value"] == "/" + EVIL_NAME
        assert '<b>Tom & "Jerry"</b>' in page.html.title.text


@each_page
def test_forms_of_another_site_are_refused(site: PagesSite, visitor: TestApp, name: str) -> None:
    """With 403, and nothing done; the page is shown again, so that one can do it here if one wants to."""
    if name == "logout":
        log_in(visitor)
    site.hasher.calls.clear()

    page = post(visitor, f"/{name}", f"username=Ada&password={quote(PASSWORD)}", headers=FOREIGN)

    assert page.status_code == 403
    assert "another website" in page.html.find(role="alert").text
    assert site.hasher.calls == []
    assert visitor.get("/").text == ("Hello Ada" if name == "logout" else "Hello stranger")
    assert len(site.told("csrf.blocked")) == 1


ORIGINS: list[tuple[dict[str, str], bool]] = [
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:80"}, False),
    ({"Origin": "http://evil.example"}, False),
    ({"Origin": "http://localhost:8080"}, False),
    ({"Origin": "null"}, False),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Origin": "http://localhost:80"}, True),
    ({"Sec-Fetch-Site": "cross-site", "Origin": PARTNER}, False),
    ({}, True),
]


@pytest.mark.parametrize(("headers", "is_ours"), ORIGINS, ids=str)
def test_where_a_form_comes_from_decides(headers: dict[str, Any], is_ours: bool) -> None:
    """Fetch Metadata first, then Origin; what brings neither is not a browser.

    From a partner's page a browser does not send a Lax cookie, so nobody can tell whether there is a session.
    """
    site = PagesSite(trusted_origins=[PARTNER])
    site.register("Ada")
    visitor = site.visitor()

    assert post(visitor, "/login", GOOD_BODY, headers=headers).status_code == (303 if is_ours else 403)
    assert visitor.get("/").text == ("Hello Ada" if is_ours else "Hello stranger")
    assert site.hasher.calls == ["verify"] * is_ours


def test_partner_is_let_in_by_name_with_a_cookie_that_goes_everywhere() -> None:
    """Under SameSite=None a browser keeps no cookie back, so one that is not there does not exist."""
    site = PagesSite(trusted_origins=[PARTNER], cookie=Cookie(samesite="None", secure=True))
    site.register("Ada")
    visitor = TestApp(site.served, extra_environ={"wsgi.url_scheme": "https"})
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": PARTNER}

    assert post(visitor, "/login", GOOD_BODY, headers=headers).status_code == 303
    assert visitor.get("/").text == "Hello Ada"


def test_who_comes_while_all_memory_is_in_use_gets_a_page_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and after how many seconds to come again. Whoever came first is let in."""
    site = PagesSite(hasher=Argon2Hasher(1, 8, 1, memory_budget=8 * 1024))
    site.register("Ada")
    first, second = site.visitor(), site.visitor()
    crowd = Crowd(monkeypatch)
    threads = together(1, lambda: log_in(first))
    crowd.wait_for(1)

    with monkeypatch.context() as during:
        during.setattr(_hashing_threads, "PATIENCE", 0.01)
        refused = [log_in(second), log_in(second, username="Nobody"), log_in(second, "/register", username="Bob")]
    crowd.go.set()
    threads[0].join(10)

    assert [(page.status_code, page.headers["Retry-After"]) for page in refused] == [(503, "0")] * 3
    assert all("busy" in page.html.find(role="alert").text for page in refused)
    assert site.told("login.failed") == []
    assert (first.get("/").text, second.get("/").text) == ("Hello Ada", "Hello stranger")
    assert log_in(second).status_code == 303


@pytest.mark.parametrize("error", [Busy(retry_after=25), Throttled(retry_after=25)], ids=["busy", "throttled"])
def test_who_has_to_wait_is_told_for_how_long(site: PagesSite, visitor: TestApp, error: Busy | Throttled) -> None:
    """In a header for programs, in a sentence for people; what was typed is kept."""

    def refuse() -> None:
        raise error

    site.hasher.after_verify = refuse
    page = log_in(visitor)

    assert (page.status_code, page.headers["Retry-After"]) == (error.status, "25")
    assert page.html.find(role="alert").text.endswith("Please try again in 25 seconds.")
    assert Elements(page).one("input", name="username")["value"] == "Ada"


def test_an_outage_is_not_a_failed_login(site: PagesSite, visitor: TestApp) -> None:
    """It is a 503 that says nothing."""
    form = visitor.get("/login").form
    form["username"], form["password"] = "Ada", PASSWORD
    site.users.broken["find_by_key"] = StoreUnavailable("the disk is on fire")

    response = form.submit(expect_errors=True)

    assert response.status_code == 503
    assert "disk" not in response.text


@pytest.mark.parametrize("path", ["/", "/members"])
def test_an_outage_is_not_a_logout(site: PagesSite, visitor: TestApp, path: str) -> None:
    """Whoever cannot be looked up is not sent to the login page, and is still logged in afterwards."""
    log_in(visitor)
    site.users.broken["get"] = StoreUnavailable("the disk is on fire")
    response = visitor.get(path, expect_errors=True)
    site.users.broken.clear()

    assert response.status_code == 503
    assert response.headers.getall("Set-Cookie") == []
    assert visitor.get("/members").text == "Hello Ada"


def test_a_form_shows_no_password() -> None:
    """It is what a report of an error prints."""
    shown = repr(Form({"username": "Ada", "password": PASSWORD, "next": "/members"}))

    assert PASSWORD not in shown
    assert "username" in shown


GOOD_BODY = f"username=Ada&password={quote(PASSWORD)}"


@pytest.mark.parametrize("name", ["login", "register"])
@pytest.mark.parametrize(
    ("body", "type", "status"),
    [
        (GOOD_BODY + "&" + "x" * 16 * 1024, FORM, 413),
        (GOOD_BODY, "application/json", 415),
        (GOOD_BODY, "multipart/form-data; boundary=x", 415),
        (GOOD_BODY, "", 415),
        (GOOD_BODY + "&username=Bob", FORM, 400),
        (GOOD_BODY + "&password=", FORM, 400),
        (GOOD_BODY + "&next=/a&next=/b", FORM, 400),
        (GOOD_BODY + "%ff", FORM, 400),
        (GOOD_BODY + "%zz", FORM, 400),
        (GOOD_BODY + "%", FORM, 400),
        (GOOD_BODY.encode() + b"\xc3\xa9", FORM, 400),
        (GOOD_BODY.encode() + b"\xff", FORM, 400),
        ("&".join(f"field{n}=1" for n in range(100)), FORM, 400),
    ],
    ids=["huge", "json", "multipart", "no type", "two names", "two passwords", "two nexts", "no UTF-8", "no hex",
         "cut off", "raw UTF-8", "raw byte", "many fields"],
)  # fmt: skip
def test_what_no_browser_sends_is_refused(
    site: PagesSite, visitor: TestApp, name: str, body: bytes | str, type: str, status: int
) -> None:
    """With a 4xx, never a 5xx, before anything is looked up or hashed."""
    page = post(visitor, f"/{name}", body, type)

    assert page.status_code == status
    assert page.html.find(role="alert") is not None
    assert site.users.taken() == []
    assert site.hasher.calls == []


@pytest.mark.parametrize(
    ("length", "status"), [(None, 411), ("", 411), ("many", 411), ("-1", 411), ("100", 400)], ids=repr
)
def test_a_body_whose_length_is_not_true_is_refused(site: PagesSite, length: str | None, status: int) -> None:
    """Not read to the end of the connection, nor taken as complete if it is not."""
    sent = {"REQUEST_METHOD": "POST", "PATH_INFO": "/login", "QUERY_STRING": "", "CONTENT_TYPE": FORM}
    body = io.BytesIO(b"username=Ada")
    environ = {**sent, "SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.input": body, "wsgi.url_scheme": "http"}
    if length is not None:
        environ["CONTENT_LENGTH"] = length
    started = Started()
    list(site.pages(environ, started))

    assert started.status[:3] == str(status)
    assert status == 400 or body.tell() == 0


@pytest.mark.parametrize("query", ["next=%ff", "next=%", "%ff=%ff&next", "next=" + "x" * 9000, "\xff\xfe", "=&&=;"])
@each_page
def test_a_query_that_makes_no_sense_is_no_error(site: PagesSite, visitor: TestApp, name: str, query: str) -> None:
    """Anybody may write a link."""
    page = visitor.request("/", environ={"PATH_INFO": f"/{name}", "QUERY_STRING": query})

    assert page.status_code == 200
    assert Elements(page).all("input", name="next") == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
@each_page
def test_other_methods_are_not_for_these_pages(site: PagesSite, visitor: TestApp, name: str, method: str) -> None:
    """405, with those that are."""
    response = visitor.request(f"/{name}", method=method, expect_errors=True)

    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize("path", ["/login", "/register", "/logout", "/members"])
def test_every_answer_has_the_headers_that_keep_it_private_and_harmless(
    site: PagesSite, visitor: TestApp, path: str
) -> None:
    """Also those that send elsewhere, and those that refuse. No script runs, no frame holds it, no cache keeps it."""
    answers = [visitor.get(path), post(visitor, path), post(visitor, path, GOOD_BODY, headers=FOREIGN)]
    answers.append(visitor.request(path, method="PUT", expect_errors=True))
    if path != "/members":
        fields = f"username=Grace&password={quote(PASSWORD)}" if path == "/register" else GOOD_BODY
        answers.append(post(visitor, path, fields))
        assert answers[-1].status_code == 303

    for answer in answers:
        policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
        assert (policy["default-src"], policy["frame-ancestors"], policy["base-uri"]) == ("'none'",) * 3
        assert "form-action" not in policy  # Chromium would hold to it where the site leads on after a form
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert "script-src" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert {"Cookie", "Sec-Fetch-Site", "Origin"} <= {word.strip() for word in answer.headers["Vary"].split(",")}


# Where to go next

PATHS = ["/", "/a?b=/c", "/%2f%2fx", "/a//b", "/a#b", "/" + "x" * 2047, "/~a/[1]?q=a+b&c='d'"]
NO_PATHS = [
    "",
    "//e",
    "///e",
    "/\\e",
    "\\\\e",
    "/a\\b",
    "https://e",
    "http:/e",
    "javascript:alert(1)",
    "a",
    "?a",
    "#a",
    "/a\r\nSet-Cookie: x=y",
    "/a\n",
    " /a",
    "\t/a",
    "/\t/e",
    "/a b",
    "/a\x00",
    "/\u00e9",
    "/\u2028",
    "/" + "x" * 2048,
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:30])
def test_paths_of_this_site_are_gone_on_to(path: str) -> None:
    """Path, query and fragment."""
    assert safe_next(path, "/default") == path


@pytest.mark.parametrize("value", [*NO_PATHS, None, ["/a"], b"/a", 5], ids=lambda value: ascii(value)[:30])
def test_anything_else_is_replaced(value: object) -> None:
    """Other sites, other schemes, what browsers read as such, and what breaks headers."""
    assert safe_next(value) == "/"
    assert safe_next(value, "/default") == "/default"


@given(st.text(alphabet="/\\.:@?#%e\t\n \u00e9a", max_size=12) | st.text())
def test_whatever_is_asked_for_stays_on_this_site(value: str) -> None:
    """Put on a page of the site, as browsers do, it leads to the site."""
    assert urlsplit(urljoin("https://here.example/login", safe_next(value))).netloc == "here.example"


@pytest.mark.parametrize("name", ["login", "register"])
def test_next_is_carried_through_the_form(site: PagesSite, visitor: TestApp, name: str) -> None:
    """Through failures, too, and through the link to the other page."""
    wanted = "/members?page=2&q=a+b%26c"
    other = {"login": "register", "register": "login"}[name]
    page = visitor.get(f"/{other}?next={quote(wanted)}").click(href=f"/{name}")
    page.form["username"], page.form["password"] = "Grace", "short"
    page = page.form.submit(expect_errors=True)
    assert page.status_code in (403, 422)
    page.form["username"], page.form["password"] = "Ada" if name == "login" else "Grace", PASSWORD

    assert page.form.submit().headers["Location"] == wanted


@pytest.mark.parametrize("wanted", [*NO_PATHS, "/login", "/logout", "/register", "/login?next=/login", "/logout#x"])
def test_next_leads_neither_elsewhere_nor_back_here(site: PagesSite, visitor: TestApp, wanted: str) -> None:
    """Home instead, whether it came by the query or by a form that somebody made."""
    assert Elements(visitor.get("/login", {"next": wanted})).all("input", name="next") == []

    response = visitor.post("/login", {"username": "Ada", "password": PASSWORD, "next": wanted})
    assert response.headers["Location"] == "/"


# In front of the application


def test_what_needs_a_login_leads_there_and_back(site: PagesSite, visitor: TestApp) -> None:
    """With path and query as they were asked for."""
    response = visitor.get("/members/caf%C3%A9%20x?page=2&q=a+b%26c")

    assert response.status_code == 303
    assert response.headers["Location"].startswith("/login?next=/members/")
    page = response.follow()
    page.form["username"], page.form["password"] = "Ada", PASSWORD
    assert page.form.submit().headers["Location"] == "/members/caf%C3%A9%20x?page=2&q=a+b%26c"
    assert visitor.get("/members").text == "Hello Ada"


@pytest.mark.parametrize(
    ("path", "query", "carried"),
    [
        ("/members\xff", "", "?next=/members%25FF"),
        ("/members//evil", "", "?next=/members//evil"),
        ("/members", "%", "?next=/members%3F%25"),
        ("/members", "\xe9", ""),
        ("/members" + "x" * 3000, "", ""),
    ],
    ids=["no UTF-8", "slashes", "half an escape", "not ASCII", "long"],
)
def test_any_address_can_need_a_login(site: PagesSite, visitor: TestApp, path: str, query: str, carried: str) -> None:
    """Even one that no browser should have sent. What is too long, or unfit for a header, is not carried along."""
    response = visitor.request("/", environ={"PATH_INFO": path, "QUERY_STRING": query})

    assert response.status_code == 303
    assert response.headers["Location"] == f"/login{carried}"
    assert visitor.get(response.headers["Location"]).status_code == 200


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
def test_only_what_can_be_asked_again_is_sent_to_the_login(site: PagesSite, visitor: TestApp, method: str) -> None:
    """What was posted would be lost: 403, with a form to log in by."""
    response = visitor.request("/members", method=method, expect_errors=True)

    if method == "HEAD":
        assert (response.status_code, response.body) == (303, b"")
        return
    assert response.status_code == 403
    assert "log in" in response.html.find(role="alert").text
    response.form["username"], response.form["password"] = "Ada", PASSWORD
    assert response.form.submit().headers["Location"] == "/"


def apps_that_need_a_login() -> dict[str, Callable[[dict[str, Any], Any], Any]]:
    """Ways for a WSGI application to find out, before its first byte, that it needs one."""

    def at_once(environ: dict[str, Any], start_response: StartResponse) -> None:
        raise NotLoggedIn

    def after_starting(environ: dict[str, Any], start_response: StartResponse) -> None:
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Secret", "1")])
        raise NotLoggedIn

    def generator(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        raise NotLoggedIn
        yield b""

    def generator_after_starting(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Secret", "1")])
        raise NotLoggedIn
        yield b""

    def generator_of_a_started_response(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Secret", "1")])
        return (1 / 0 if environ is None else raised() for _ in range(1))

    class Instance:
        """As the application object in PEP 3333."""

        def __init__(self, environ: dict[str, Any], start_response: StartResponse) -> None:
            pass

        def __iter__(self) -> None:
            raise NotLoggedIn

    def raised() -> bytes:
        raise NotLoggedIn

    apps = [at_once, after_starting, generator, generator_after_starting, generator_of_a_started_response, Instance]
    return {app.__name__: app for app in apps}


@pytest.mark.parametrize("app", apps_that_need_a_login().values(), ids=apps_that_need_a_login())
def test_an_application_may_ask_for_a_login_until_its_first_byte(app: Callable[..., Any] | type[Any]) -> None:
    """Whether it is a function, a generator or a class; nothing of what it had begun is sent."""
    for method, status in [("GET", 303), ("HEAD", 303), ("POST", 403)]:
        response = PagesSite(app).visitor().request("/x", method=method, expect_errors=True)

        assert response.status_code == status
        assert "X-Secret" not in response.headers


def test_after_the_first_byte_it_is_an_error_like_any_other() -> None:
    """Nothing can be taken back then; the server is told."""

    def streams(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"one"
        raise NotLoggedIn

    def writes(environ: dict[str, Any], start_response: StartResponse) -> None:
        start_response("200 OK", [("Content-Type", "text/plain")])(b"one")
        raise NotLoggedIn

    sent: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        if exc_info is not None and sent:
            raise exc_info[1]
        return sent.append

    for app in (streams, writes):
        sent.clear()
        pages = PagesSite(app).pages
        with pytest.raises(NotLoggedIn):
            sent.extend(pages({"REQUEST_METHOD": "GET", "PATH_INFO": "/x"}, start_response))
        assert sent == [b"one"]


def test_what_passes_through_is_passed_on_as_it_is() -> None:
    """The body unread, and a response that is whole, or a file of the server's, untouched."""
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        seen["input"] = environ["wsgi.input"].tell()
        start_response("200 OK", [("Content-Type", "text/plain")])
        is_file = environ["PATH_INFO"].endswith("file")
        body = environ["wsgi.file_wrapper"](io.BytesIO(b"onetwo")) if is_file else [b"one", b"two"]
        seen["body"] = body
        return body

    pages = PagesSite(app).pages
    for path in ("/", "/file", "/login/", "/loginx", "/x/login", "/LOGIN", "", "/static/login"):
        for wrapper in (FileWrapper, lambda file: FileWrapper(file)):
            environ = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "wsgi.input": io.BytesIO(b"a=b")}
            assert pages({**environ, "wsgi.file_wrapper": wrapper}, Started()) is seen["body"]
            assert seen["input"] == 0


@pytest.mark.parametrize("is_refused", [True, False])
def test_a_body_that_starts_late_is_closed(is_refused: bool) -> None:
    """Once, whether it asked for a login or was sent, and also if nobody took it."""
    closed: list[str] = []

    class Body:
        def __init__(self, environ: dict[str, Any], start_response: StartResponse) -> None:
            self.start_response = start_response

        def __iter__(self) -> Iterator[bytes]:
            if is_refused:
                raise NotLoggedIn
            self.start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"one"
            yield b"two"

        def close(self) -> None:
            closed.append("closed")

    site = PagesSite(Body)
    response = site.visitor().get("/x")
    assert (response.status_code, response.body) == ((303, b"") if is_refused else (200, b"onetwo"))
    assert closed == ["closed"]

    body: Any = site.pages({"REQUEST_METHOD": "GET", "PATH_INFO": "/x"}, Started())
    body.close()
    assert closed == ["closed"] * 2


# Where the pages are


def test_a_prefix_goes_before_the_three_paths() -> None:
    """And nothing else is taken from the application."""
    site = PagesSite(prefix="/account", home="/start?x=1")
    site.register("Ada")
    visitor = site.visitor()

    assert visitor.get("/login").text == "Hello stranger"
    assert visitor.get("/members").headers["Location"] == "/account/login?next=/members"
    for query, location in [("", "/start?x=1"), ("?next=/account/logout", "/start?x=1"), ("?next=/logout", "/logout")]:
        visitor.reset()
        assert log_in(visitor, f"/account/login{query}").headers["Location"] == location
    assert {urlsplit(link["href"] or "").path for link in Elements(visitor.get("/account/login")).all("a")} == {
        "/start",
        "/account/logout",
    }
    visitor.reset()
    assert {urlsplit(link["href"] or "").path for link in Elements(visitor.get("/account/login")).all("a")} == {
        "/account/register"
    }


@pytest.mark.parametrize("mount", ["/app", "/my app", "/caf\xc3\xa9", "/a/b"])
def test_pages_work_wherever_the_application_is_mounted(site: PagesSite, mount: str) -> None:
    """Every path that they name begins with the mount."""
    visitor = TestApp(site.served, extra_environ={"SCRIPT_NAME": mount})
    base = quote(mount.encode("latin-1"))

    asked = visitor.get("/members?x=1")
    assert asked.headers["Location"] == f"{base}/login?next={quote(base + '/members?x=1', safe='/')}"
    query = parse_qs(urlsplit(asked.headers["Location"]).query)
    page = visitor.get("/login", {"next": query["next"][0]})
    assert Elements(page).one("form")["action"] == f"{base}/login"
    assert urlsplit(Elements(page).all("a")[0]["href"] or "").path == f"{base}/register"

    def sent(**typed: str) -> str:
        location: str = visitor.post("/login", {"username": "Ada", "password": PASSWORD, **typed}).headers["Location"]
        return location

    assert sent(next=query["next"][0]) == f"{base}/members?x=1"
    assert sent() == sent(next=f"{base}/logout") == f"{base}/"
    assert visitor.post("/logout").headers["Location"] == f"{base}/"


def test_mount_prefix_and_way_of_registering_go_together() -> None:
    """From what needs a login to the registration, to the login and back, every step below the mount."""
    site = PagesSite(prefix="/account", home="/start", login_after_register=False)
    visitor = TestApp(site.served, extra_environ={"SCRIPT_NAME": "/app"})

    def fill(page: TestResponse) -> TestResponse:
        page.form["username"], page.form["password"] = "Grace", PASSWORD
        return page.form.submit()

    def at(location: str) -> TestResponse:
        assert location.startswith("/app/")
        return visitor.get(location.removeprefix("/app"))

    login = at(visitor.get("/members?x=1").headers["Location"])
    register = at(Elements(login).all("a")[0]["href"] or "")
    assert register.form.action == "/app/account/register"
    register.form.action = register.form.action.removeprefix("/app")
    registered = at(fill(register).headers["Location"])
    assert "Your account is ready" in registered.text
    assert visitor.cookies == {}
    registered.form.action = registered.form.action.removeprefix("/app")

    assert fill(registered).headers["Location"] == "/app/members?x=1"
    assert visitor.get("/members").text == "Hello Grace"
    assert visitor.post("/account/logout").headers["Location"] == "/app/start"


def test_every_path_that_the_site_sets_is_below_the_mount() -> None:
    """The style sheet, too: they are paths of the application, which need not know where it is."""
    site = PagesSite(stylesheet="/static/brand.css", home="/start", site_name="Tea")
    elements = Elements(TestApp(site.served, extra_environ={"SCRIPT_NAME": "/shop"}).get("/login"))

    assert elements.one("link", rel="stylesheet")["href"] == "/shop/static/brand.css"
    assert elements.all("a")[0]["href"] == "/shop/start"


@pytest.mark.parametrize("mount", ["//evil.example", "/\\evil.example", "/"])
def test_no_mount_leads_to_another_site(site: PagesSite, mount: str) -> None:
    """Some servers take it from the request; the protocol checker would object to the last one."""
    app = site.manager.wrap(site.pages)
    for method, path in [("GET", "/members"), ("POST", "/logout")]:
        environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": mount, "PATH_INFO": path}
        sent: dict[str, str] = {}
        setup_testing_defaults(environ)
        app(environ, lambda status, headers, exc_info=None, sent=sent: sent.update(headers))

        assert urlsplit(urljoin("https://here.example/x", sent["Location"])).netloc == "here.example"


def test_locations_are_paths_whatever_the_host_header_says(site: PagesSite, visitor: TestApp) -> None:
    """Nothing absolute is built from it (CVE-2012-4520)."""
    response = visitor.get("/members", headers={"Host": "evil.example"})

    assert response.headers["Location"].startswith("/login")


# What the pages look like


@each_page
def test_pages_are_sound_html(site: PagesSite, visitor: TestApp, name: str) -> None:
    """A language, a title, one heading, a label for each field, and ids that are there once."""
    page = (site.logged_in_visitor() if name == "logout" else visitor).get(f"/{name}")
    elements = Elements(page)
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]

    assert page.content_type == "text/html"
    assert page.charset == "utf-8"
    assert page.text.startswith("<!DOCTYPE html>")
    assert elements.one("html")["lang"] == "en"
    assert "width=device-width" in (elements.one("meta", name="viewport")["content"] or "")
    assert len(elements.all("h1")) == len(elements.all("main")) == len(elements.all("title")) == 1
    assert len(ids) == len(set(ids))
    fields = [field for field in elements.all("input") if field.get("type") != "hidden"]
    assert [field["id"] for field in fields] == [label["for"] for label in elements.all("label")]
    assert elements.one("form")["method"] == "post"
    assert elements.all("script") == []
    assert [name for _, attributes in elements.found for name in attributes if name.startswith("on")] == []
    assert [name for _, attributes in elements.found for name in attributes if name == "style"] == []


@pytest.mark.parametrize(("name", "purpose"), [("login", "current-password"), ("register", "new-password")])
def test_password_managers_know_the_fields(site: PagesSite, visitor: TestApp, name: str, purpose: str) -> None:
    """Nothing keeps them, or pasting, out (NIST SP 800-63B-4), and nothing cuts off what they fill in."""
    elements = Elements(visitor.get(f"/{name}"))
    username, password = elements.one("input", name="username"), elements.one("input", name="password")

    assert (username["autocomplete"], password["autocomplete"]) == ("username", purpose)
    assert (password["type"], username.get("autocapitalize")) == ("password", "none")
    assert "maxlength" not in {**username, **password}


def test_the_site_is_named(site: PagesSite) -> None:
    """On the page, with a way to it, and in the title."""
    page = PagesSite(site_name="Tea & Co").visitor().get("/login")

    assert page.html.title.text == "Log in | Tea & Co"
    assert page.html.find("a", string="Tea & Co")["href"] == "/"


def variables(css: str) -> dict[str, str]:
    return dict(re.findall(r"--sw-([\w-]+): (#[0-9a-f]{6})", css))


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 to 1 for text (1.4.3), 3 to 1 for the borders of fields and what shows the focus (1.4.11)."""
    light, dark = (variables(part) for part in STYLE.split("prefers-color-scheme: dark"))
    colours = light if scheme == "light" else light | dark
    texts = [("text", "surface"), ("muted", "surface"), ("accent", "surface"), ("on-accent", "accent")]
    texts += [("error", "error-surface"), ("error", "surface")]
    shapes = [("border", "surface"), ("accent", "surface"), ("error", "surface")]

    assert [pair for pair in texts if contrast(colours[pair[0]], colours[pair[1]]) < 4.5] == []
    assert [pair for pair in shapes if contrast(colours[pair[0]], colours[pair[1]]) < 3] == []
    assert dark.keys() == light.keys()


def test_a_style_sheet_of_the_site_comes_after_the_pages_own() -> None:
    """From this site, so that the policy lets it in; there the variables get their values."""
    page = PagesSite(stylesheet="/static/brand.css").visitor().get("/login")

    assert Elements(page).one("link", rel="stylesheet")["href"] == "/static/brand.css"
    assert page.text.index("</style>") < page.text.index("brand.css")
    assert "style-src 'self'" in page.headers["Content-Security-Policy"]


def test_render_replaces_the_html() -> None:
    """It gets all there is to show; what it returns is the page."""
    pages: list[Page] = []

    def render(page: Page, request: Any) -> str:
        assert request.environ["REQUEST_METHOD"] in ("GET", "POST")
        pages.append(page)
        return f"<h1>{page.name}</h1>"

    site = PagesSite(render=render, site_name="Tea", stylesheet="/brand.css", minimum_length=20)
    visitor = site.visitor()
    assert visitor.get("/login?next=/members").text == "<h1>login</h1>"
    failed = post(visitor, "/register", "username=Bob&password=short&next=/x")

    assert failed.status_code == 422
    assert replace(pages[0], html="") == Page(
        name="login",
        title="Log in",
        action="/login",
        submit="Log in",
        home="/",
        fields=(forms.USERNAME, forms.CURRENT_PASSWORD, forms.REMEMBER),
        links=(Link("Create one", "/register?next=/members", question="No account yet?"),),
        next="/members",
        site_name="Tea",
        stylesheet="/brand.css",
        document_title="Log in | Tea",
    )
    username, password = pages[1].fields
    assert (pages[1].name, pages[1].next, pages[1].links[0].href) == ("register", "/x", "/login?next=/x")
    assert (username.value, username.is_invalid, username.error, username.has_focus) == ("Bob", False, "", False)
    assert (password.value, password.is_invalid, password.has_focus) == ("", True, True)
    assert "20 characters" in password.hint
    assert "20" in pages[1].error
    assert password.error == pages[1].error
    assert post(visitor, "/members").text == "<h1>login</h1>"
    assert pages[2].error == NotLoggedIn.message
    assert "short" not in repr(pages)


def test_each_field_has_a_hint_of_its_own() -> None:
    """A screen reader finds a text by its id, so no two texts may share one."""
    fields = (Field("old", "Old", hint="First"), Field("new", "New", kind="password", hint="Second", is_invalid=True))
    html = render_page(Page("x", title="X", action="/x", submit="X", home="/", fields=fields, error="No."))
    elements = Elements(html)
    hints = [hint["id"] for hint in elements.all("p", **{"class": "hint"})]

    assert len(set(hints)) == 2
    assert elements.one("input", name="old")["aria-describedby"] == hints[0]
    assert elements.one("input", name="new")["aria-describedby"] == f"{hints[1]} error"


# A page is a file


def page_files() -> list[ModuleType]:
    """The modules beside app.py that say where a page is."""
    names = [module.name for module in pkgutil.iter_modules(pages_package.__path__, f"{pages_package.__name__}.")]
    return [module for module in map(importlib.import_module, names) if hasattr(module, "PATH")]


def test_every_page_is_listed() -> None:
    """A file that declares a path is served; one that app.py forgot would never be found."""
    assert set(page_files()) == set(pages_app.PAGES)


@pytest.mark.parametrize("page", page_files(), ids=lambda page: page.__name__.rpartition(".")[2])
def test_every_page_says_first_what_it_is(page: ModuleType) -> None:
    """Path, title and fields come as data, before anything is done; links lead to pages that exist, or home."""
    source = inspect.getsource(page)
    declared = re.findall(r"^([A-Z_]+)\b.* = ", source.partition("\ndef ")[0], re.MULTILINE)

    assert declared[:3] == ["PATH", "TITLE", "SUBMIT"]
    assert {"FIELDS", "LINKS", "MESSAGES", "IS_DESTINATION"} <= set(declared)
    assert re.findall(r"^def (\w+)", source, re.MULTILINE)[:2] == ["get", "post"]
    assert all(isinstance(field, Field) for field in page.FIELDS)
    assert len({field.name for field in page.FIELDS} | {"next"}) == len(page.FIELDS) + 1
    assert {link.href for link in page.LINKS} <= {other.PATH for other in pages_app.PAGES} | {""}


NO_MESSAGES: dict[str, str] = {}


class Badge:
    """A page that the library does not have: what a new file would declare."""

    PATH = "/badge"
    TITLE = "Your badge"
    SUBMIT = "Print"
    FIELDS: tuple[Field, ...] = (Field("motto", "Motto"),)
    LINKS: tuple[Link, ...] = (Link("Home", ""),)
    MESSAGES = NO_MESSAGES
    IS_DESTINATION = True

    def get(self, request: PageRequest) -> Response:
        request.auth.require_user(request)
        return request.show()

    def post(self, request: PageRequest) -> Response:
        user, form = request.auth.require_user(request), request.read_form()
        return request.show(notice=f"{user.username}: {form['motto']}")


def test_a_new_page_needs_a_line_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found, shown and read like the others, and may ask for a login."""
    badge: PageFile = Badge()
    monkeypatch.setattr(pages_app, "PAGES", (*pages_app.PAGES, badge))
    site = PagesSite(prefix="/account")
    site.register("Ada")
    visitor = site.visitor()

    asked = visitor.get("/account/badge").headers["Location"]
    assert asked == "/account/login?next=/account/badge"
    refused = post(visitor, "/account/badge", "motto=x")
    assert (refused.status_code, refused.form.action) == (403, "/account/login")
    assert log_in(visitor, asked).headers["Location"] == "/account/badge"
    page = visitor.get("/account/badge")
    page.form["motto"] = " Dare & do "
    shown = page.form.submit()

    assert shown.html.find(role="status").text == "Ada: Dare & do"
    assert Elements(shown).one("input", name="motto")["value"] == "Dare & do"
    assert post(visitor, "/account/badge", "motto=x", type="text/plain").status_code == 415


# Settings


@pytest.mark.parametrize(
    "settings",
    [
        {"app": None},
        {"auth": None},
        {"auth": AuthSite},
        {"prefix": "account"},
        {"prefix": "/"},
        {"prefix": "/account/"},
        {"prefix": "//account"},
        {"prefix": "/a?b"},
        {"prefix": "/a%20b"},
        {"prefix": None},
        {"home": "home"},
        {"home": "https://evil.example/"},
        {"home": "//evil.example/"},
        {"home": ""},
        {"login_after_register": "redirect"},
        {"login_after_register": None},
        {"stylesheet": "https://cdn.example/x.css"},
        {"without": "login"},
        {"without": ["signin"]},
        {"without": ["/login"]},
        {"without": [None]},
        {"without": None},
        {"render": "login.html"},
        {"render": None},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(site: PagesSite, settings: dict[str, Any]) -> None:
    """When the object is built."""
    working: dict[str, Any] = {"app": site.greet, "auth": site.auth}
    AuthPages(**working)

    with pytest.raises(ConfigError):
        AuthPages(**working | settings)


def test_pages_without_sessions_are_a_mistake_in_the_set_up(site: PagesSite) -> None:
    """And the error shows the line to write."""
    with pytest.raises(ConfigError, match="SessionMiddleware"):
        post(TestApp(site.pages), "/login", GOOD_BODY)


def test_types_can_be_asked_for_at_runtime() -> None:
    """Frameworks that wire objects by their annotations do."""
    assert get_type_hints(AuthPages.__init__)["login_after_register"] is bool
    assert get_type_hints(Page)["fields"] == tuple[Field, ...]


def test_webob_is_loaded_with_the_pages_only() -> None:
    """It takes longer than all the rest, and whoever has pages of their own does without it."""
    loads = "print('webob' in sys.modules)"
    code = f"import sys, sessionware.auth as auth; {loads}; auth.AuthPages; {loads}"

    loaded = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout.split() == ["False", "True"]


# In a real browser


class Threads(ThreadingMixIn, WSGIServer):
    """Browsers keep a connection in reserve; a server that waits for its request would answer no other meanwhile."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def address(site: PagesSite) -> Iterator[str]:
    """The site, served on this machine."""
    with make_server("127.0.0.1", 0, site.served, Threads, Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = require("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_a_browser_without_scripts_gets_in_and_out(address: str, chromium: Browser) -> None:
    """Registering, logging out and in again, by keyboard, on a phone; nothing is blocked or complained about."""
    complaints: list[str] = []
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 320, "height": 640})
    page = context.new_page()
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))

    page.goto(f"{address}/members")
    page.get_by_role("link", name="Create one").click()
    page.get_by_label("Username").fill("Grace")
    page.get_by_label("Password").fill("short")
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(has_text="15 characters").wait_for()
    assert page.get_by_label("Username").input_value() == "Grace"
    assert page.get_by_label("Password").input_value() == ""
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/members")
    assert page.inner_text("body") == "Hello Grace"
    page.goto(f"{address}/logout")
    page.get_by_role("button", name="Log out").click()
    page.get_by_text("Hello stranger").wait_for()
    page.goto(f"{address}/members")
    page.get_by_label("Username").fill("Grace")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("Hello Grace").wait_for()
    context.close()

    assert [text for text in complaints if re.match("warning|error", text) and "status of 4" not in text] == []


@pytest.mark.parametrize(("scheme", "background"), [("light", "rgb(245, 245, 242)"), ("dark", "rgb(20, 22, 26)")])
def test_the_style_is_let_in_and_follows_the_visitors_scheme(
    address: str, chromium: Browser, scheme: Literal["light", "dark"], background: str
) -> None:
    """The policy's hash fits the style sheet, and no page is wider than a phone."""
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 320, "height": 640})
    page = context.new_page()
    for name in NAMES:
        page.goto(f"{address}/{name}")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == background
        assert page.evaluate("document.documentElement.scrollWidth") == 320
    context.close()
