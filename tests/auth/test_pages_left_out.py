"""AuthPages(without=…): pages that the application serves itself, as a site does that asks for a second factor."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest
from webtest import TestApp, TestResponse

from sessionware import get_session
from sessionware.auth import safe_next
from tests.support.auth_kit import PASSWORD
from tests.support.pages_kit import PagesSite, post

CODE = "492817"
CHOSEN = "a new password of hers"
TEXT = ("Content-Type", "text/plain")


class TwoStepSite(PagesSite):
    """Its application has a /login in two steps, as docs/step-up.md shows them, and members' pages."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(self.serve, sends=True, **{"without": ("login",), **settings})

    def serve(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/login" and environ["REQUEST_METHOD"] == "POST":
            return self._login(environ, start_response)
        if environ["PATH_INFO"] in ("/login", "/confirm"):
            start_response("200 OK", [TEXT])
            return [f"our own {environ['PATH_INFO']}".encode()]
        if environ["PATH_INFO"] == "/dangerous":
            self.auth.require_user(environ, fresh=60)
        return self.greet(environ, start_response)

    def _login(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        form = parse_qs(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode())
        session = get_session(environ)
        if "code" in form:
            user = self.users.get(session.pop("half_way", ""))
            if user is not None and form["code"] == [CODE]:
                self.auth.login_user(environ, user, methods=("password", "totp"))
        else:
            session["half_way"] = self.auth.authenticate(environ, form["username"][0], form["password"][0]).id
        start_response("303 See Other", [("Location", safe_next(form.get("next", ["/login"])[0])), TEXT])
        return [b""]


@pytest.fixture
def site() -> TwoStepSite:
    site = TwoStepSite()
    site.register("Ada")
    return site


def log_in_in_two_steps(visitor: TestApp, password: str = PASSWORD) -> None:
    visitor.post("/login", {"username": "Ada", "password": password})
    visitor.post("/login", {"code": CODE, "next": "/members"})


def who(visitor: TestApp) -> str:
    return str(visitor.get("/").text).removeprefix("Hello ")


def change_password(visitor: TestApp) -> TestResponse:
    return post(visitor, "/password", f"password={PASSWORD}&new_password={CHOSEN}")


def test_a_page_that_is_left_out_is_the_applications(site: TwoStepSite) -> None:
    """The others are ours."""
    visitor = site.visitor()

    assert visitor.get("/login").text == "our own /login"
    assert "Create an account" in visitor.get("/register")


def test_the_password_alone_opens_and_changes_nothing(site: TwoStepSite) -> None:
    """A thief who has it ends nobody's session, at no page."""
    ada, thief = site.visitor(), site.visitor()
    log_in_in_two_steps(ada)
    thief.post("/login", {"username": "Ada", "password": PASSWORD})

    for path in ("/password", "/sessions", "/confirm", "/register", "/logout"):
        post(thief, path, f"username=Ada&password={PASSWORD}&new_password={CHOSEN}&id=others")
        assert (who(thief), who(ada)) == ("stranger", "Ada")
    assert change_password(ada).status_code == 303


def test_whoever_has_proved_both_uses_the_other_pages(site: TwoStepSite) -> None:
    """They are led to the application's login, and back by it."""
    visitor = site.visitor()
    assert visitor.get("/members").location == "/login?next=/members"
    log_in_in_two_steps(visitor)

    assert who(visitor) == "Ada"
    assert "Where you are logged in" in visitor.get("/sessions")
    assert change_password(visitor).status_code == 303
    assert visitor.post("/logout").status_code == 303
    assert who(visitor) == "stranger"


def test_a_taken_name_at_register_logs_nobody_in(site: TwoStepSite) -> None:
    """Though the password is right: a double click leads to the login, which may ask for more."""
    visitor = site.visitor()

    answer = post(visitor, "/register", f"username=Ada&password={PASSWORD}")

    assert answer.location == "/login?registered=1"
    assert who(visitor) == "stranger"


def test_a_reset_leads_to_the_applications_login(site: TwoStepSite) -> None:
    """And logs nobody in, so the second factor is asked for as ever."""
    visitor = site.visitor()
    post(visitor, "/forgot", "username=Ada")
    (link,) = site.links()
    form = visitor.get(link).form
    form["password"] = CHOSEN

    answer = form.submit()

    assert answer.location.startswith("/login?")
    assert who(visitor) == "stranger"
    log_in_in_two_steps(visitor, CHOSEN)
    assert who(visitor) == "Ada"


def test_what_was_posted_without_a_login_is_answered_by_a_link(site: TwoStepSite) -> None:
    """And not by a form that the application may not understand."""
    answer = post(site.visitor(), "/password", "password=x")

    assert answer.status_code == 403
    assert "Please log in" in answer
    assert answer.html.find("form") is None
    assert answer.html.find("a", href="/login?next=/password") is not None


@pytest.mark.parametrize("posts", [False, True])
def test_confirm_may_be_left_out_too(posts: bool) -> None:
    """Whoever has to confirm is led to the application's page, in one step or by a link."""
    site = TwoStepSite(without={"login", "confirm"})
    site.register("Ada")
    visitor = site.visitor()
    log_in_in_two_steps(visitor)
    site.clock.tick(3600)

    answer = post(visitor, "/dangerous") if posts else visitor.get("/dangerous")

    if posts:
        assert answer.html.find("form") is None
        assert answer.html.find("a", href="/confirm") is not None
    else:
        assert answer.location == "/confirm?next=/dangerous"


def test_links_lead_to_pages_that_are_left_out() -> None:
    """Even to /forgot of an `Auth` that cannot send, but the application can; and no login leads to any of them."""
    site = PagesSite(without=("forgot", "register"))
    page = site.visitor().get("/login?next=/forgot")

    assert page.html.find("a", href="/forgot") is not None
    assert page.html.find("a", href="/register") is not None
    assert "next" not in page.form.fields
