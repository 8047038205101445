"""/forgot and /reset: a new password for whoever has forgotten the old one."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

import pytest
from webtest import TestApp, TestResponse

from sessionware import Busy, Throttled
from sessionware.auth import Page
from tests.support.auth_kit import PASSWORD
from tests.support.pages_kit import FOREIGN, Elements, PagesSite, log_in, post, said

NEW = "a password that is new and long"


@pytest.fixture
def site() -> PagesSite:
    site = PagesSite(sends=True)
    site.register("Ada")
    return site


def ask(visitor: TestApp, username: str) -> TestResponse:
    form = visitor.get("/forgot").form
    form["username"] = username
    return form.submit(expect_errors=True)


def link(site: PagesSite) -> str:
    """The path in the message to Ada."""
    ask(site.visitor(), "Ada")
    return site.links()[-1]


def choose(visitor: TestApp, path: str, password: str = NEW) -> TestResponse:
    form = visitor.get(path).form
    form["password"] = password
    return form.submit(expect_errors=True)


# /forgot


def test_whoever_asks_gets_a_link(site: PagesSite) -> None:
    """To the page where the new password is chosen."""
    assert urlsplit(link(site)).path == "/reset"
    assert [(purpose, username) for purpose, username, _ in site.mail] == [("reset", "Ada")]


def test_answer_is_the_same_for_every_name(site: PagesSite) -> None:
    """Status, headers and words, so that nobody learns who has an account."""
    answers = set()
    for name in ("Ada", "Nobody", "ada lovelace", "", "x" * 300):
        sent = ask(site.visitor(), name)
        page = sent.follow()
        answers.add(
            (sent.status, str(list(sent.headers.items())), page.status, str(list(page.headers.items())), page.text)
        )

    assert len(answers) == 1
    assert "If there is an account" in answers.pop()[-1]
    assert len(site.links()) == 1


def test_nobody_is_looked_up_before_the_answer(site: PagesSite) -> None:
    """The time that it takes would tell, so it happens afterwards."""
    site.users.taken()
    seen = []
    site.users.meanwhile["before find_by_key"] = lambda: seen.append("looked up")
    ask(site.visitor(), "Ada")

    assert site.users.taken() == []
    site.links()
    assert seen == ["looked up"]


def test_page_after_asking_has_no_form(site: PagesSite) -> None:
    """Nobody should send it twice by mistake."""
    page = ask(site.visitor(), "Ada").follow()

    assert Elements(page).all("form") == []
    assert [element["href"] for element in Elements(page).all("a")] == ["/login"]


def test_link_to_it_is_where_a_password_is_asked_for(site: PagesSite) -> None:
    """At the login, at the change of a password, and before something dangerous."""
    visitor = site.visitor()
    pages = [visitor.get("/login")]
    log_in(visitor)
    pages += [visitor.get("/password"), visitor.get("/confirm")]

    assert all("/forgot" in [element["href"] for element in Elements(page).all("a")] for page in pages)


def test_without_a_way_to_send_there_is_no_such_page() -> None:
    """It is the application's path then, and no page leads to it."""
    site = PagesSite()
    site.register("Ada")
    visitor = site.visitor()

    assert visitor.get("/forgot").text == "Hello stranger"
    pages = [visitor.get("/login"), visitor.get("/reset", expect_errors=True)]
    log_in(visitor)
    pages += [visitor.get("/password"), visitor.get("/confirm")]
    assert not any("/forgot" in page.text for page in pages)


@pytest.mark.parametrize("error", [Throttled(retry_after=40), Busy(retry_after=40)], ids=["throttled", "busy"])
def test_who_asks_too_often_is_told_when_to_come_back(
    site: PagesSite, monkeypatch: pytest.MonkeyPatch, error: Throttled | Busy
) -> None:
    """The name is kept."""

    def refuse(*_args: object) -> None:
        raise error

    monkeypatch.setattr(site.auth, "request_reset", refuse)
    page = ask(site.visitor(), "Ada")

    assert (page.status_code, page.headers["Retry-After"]) == (error.status, "40")
    assert page.html.find(role="alert").text.endswith("Please try again in 40 seconds.")
    assert page.form["username"].value == "Ada"


def test_forms_of_another_site_send_nothing(site: PagesSite) -> None:
    """Or any site could flood people with mail."""
    assert post(site.visitor(), "/forgot", "username=Ada", headers=FOREIGN).status_code == 403
    assert site.links() == []


# /reset


def test_link_lets_its_holder_choose_a_password(site: PagesSite) -> None:
    """Once. It logs nobody in: that is for the login page, which says that it was done."""
    visitor = site.visitor()
    done = choose(visitor, link(site))

    assert (done.status_code, done.headers["Location"]) == (303, "/login?reset=1")
    assert visitor.cookies == {}
    assert said(done.follow()) == "Your password was changed. Please log in."
    assert log_in(site.visitor()).status_code == 403
    assert log_in(site.visitor(), password=NEW).status_code == 303


def test_sessions_end_with_the_old_password(site: PagesSite) -> None:
    """And their browsers are told why."""
    other = site.logged_in_visitor()
    choose(site.visitor(), link(site))

    assert other.get("/").text == "Hello stranger"
    assert said(other.get("/login")) == ("You were logged out because your password was changed. Please log in again.")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_at_a_link_does_not_use_it_up(site: PagesSite, method: str) -> None:
    """Mail scanners look at every link before its reader does. No store and no table of accounts is asked."""
    path = link(site)
    site.users.taken()
    for _ in range(3):
        site.visitor().request(path, method=method)

    assert site.users.taken() == []
    assert choose(site.visitor(), path).status_code == 303


def test_second_use_is_refused_with_a_way_to_another_link(site: PagesSite) -> None:
    """By a page without a form."""
    path = link(site)
    choose(site.visitor(), path)
    page = choose(site.visitor(), path, "yet another password of mine")

    assert page.status_code == 403
    assert "no longer valid" in page.html.find(role="alert").text
    assert Elements(page).all("form") == []
    assert [element["href"] for element in Elements(page).all("a")] == ["/forgot", "/login"]
    assert log_in(site.visitor(), password=NEW).status_code == 303


@pytest.mark.parametrize("query", ["", "?token=", "?token", "?x=1"])
def test_link_without_a_token_is_no_link(site: PagesSite, query: str) -> None:
    """As if a mail program had cut it off."""
    page = site.visitor().get(f"/reset{query}", expect_errors=True)

    assert page.status_code == 403
    assert Elements(page).all("form") == []


@pytest.mark.parametrize("token", ["x", "x" * 5000, "\u00e9", "%ff", "&lt;"])
def test_token_that_is_none_is_refused(site: PagesSite, token: str) -> None:
    """When the form is sent, whatever it is."""
    page = site.visitor().post("/reset", {"token": token, "password": NEW}, expect_errors=True)

    assert page.status_code == 403


def test_password_that_is_refused_leaves_the_link_good(site: PagesSite) -> None:
    """The form is there again, with its token."""
    visitor = site.visitor()
    page = choose(visitor, link(site), "short")

    assert page.status_code == 422
    assert "15 characters" in page.html.find(id="password-error").text
    page.form["password"] = NEW
    assert page.form.submit().headers["Location"] == "/login?reset=1"


def test_token_is_told_to_nobody_by_a_referer(site: PagesSite) -> None:
    """The browser sends no more than the origin, not "null", with which the form would be another site's.

    The page loads nothing by the address that has the token in it, and its form is sent to one that has not.
    """
    site.pages = PagesSite(sends=True, stylesheet="/brand.css").pages
    path = link(site)
    page = site.visitor().get(path)
    token = path.partition("token=")[2]

    assert page.headers["Referrer-Policy"] == "strict-origin"
    elements = Elements(page)
    addresses = [each.get(name) for _, each in elements.found for name in ("href", "src", "action") if name in each]
    assert not any(token in (address or "") for address in addresses)
    assert elements.one("input", name="token")["value"] == token
    assert page.headers["Cache-Control"] == "no-store"


def test_token_is_in_no_event_and_no_log(site: PagesSite, caplog: pytest.LogCaptureFixture) -> None:
    """Neither when it is good, nor when it is used a second time."""
    caplog.set_level(logging.DEBUG)
    path = link(site)
    token = path.partition("token=")[2]
    for _ in range(2):
        choose(site.visitor(), path)
    site.links()

    assert token not in caplog.text
    assert token not in repr(site.events)


def test_token_is_hidden_in_what_a_page_shows() -> None:
    """A layout of the site's own may fail, and its report shows the page and the request."""
    pages: list[Page] = []

    def render(page: Page, request: Any) -> str:
        pages.append(page)
        assert "SECRET" not in repr(request)
        return page.html

    visitor = PagesSite(render=render).visitor()
    shown = visitor.get("/reset?token=SECRET")

    assert 'value="SECRET"' in shown.text
    assert "SECRET" not in repr(pages)
    assert "SECRET" not in repr(pages[0].html)


def test_password_managers_know_the_new_password(site: PagesSite) -> None:
    """They offer to make one."""
    field = Elements(site.visitor().get("/reset?token=x")).one("input", name="password")

    assert (field["autocomplete"], field["type"]) == ("new-password", "password")


def test_forms_of_another_site_reset_nothing(site: PagesSite) -> None:
    """Not even with a good token."""
    token = link(site).partition("token=")[2]

    assert post(site.visitor(), "/reset", f"token={token}&password={NEW}", headers=FOREIGN).status_code == 403
    assert log_in(site.visitor(), password=PASSWORD).status_code == 303


def test_link_is_below_a_prefix() -> None:
    """Which the application puts in front of it, as it does its origin."""
    site = PagesSite(sends=True, prefix="/account")
    site.register("Ada")
    form = site.visitor().get("/account/forgot").form
    form["username"] = "Ada"
    form.submit()
    (path,) = site.links()

    assert choose(site.visitor(), f"/account{path}").headers["Location"] == "/account/login?reset=1"
