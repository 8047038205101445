"""/confirm, and how an application asks for another proof by `require_user(fresh=…, methods=…)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from webtest import TestApp

from sessionware import NotFresh, StoreUnavailable, get_session
from sessionware._types import Environ, StartResponse
from sessionware.auth import Auth
from tests.support.auth_kit import PASSWORD
from tests.support.pages_kit import FOREIGN, Elements, PagesSite, post

FRESH = 900
JSON = {"Accept": "application/json", "Sec-Fetch-Mode": "cors"}


class StepUpSite(PagesSite):
    """A site with a page that needs a fresh proof, one that needs a second factor, and one that needs both."""

    def __init__(self, *, swallows: bool = False, **settings: Any) -> None:
        self.swallows = swallows
        super().__init__(self.view, **settings)
        self.register("Ada")

    def view(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            self.demand(environ)
        except NotFresh:
            if not self.swallows:
                raise
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
            return [b"error"]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"shown {environ['REQUEST_METHOD']}".encode()]

    def demand(self, environ: Environ) -> None:
        path = environ["PATH_INFO"]
        if path == "/delete":
            self.auth.require_user(environ, fresh=FRESH)
        elif path == "/payments":
            self.auth.require_user(environ, methods=("totp",))
        elif path == "/vault":
            self.auth.require_user(environ, fresh=FRESH, methods=("password", "totp"))
        elif path == "/second-factor":
            get_session(environ).renew_token(methods=("totp",))

    def tired_visitor(self) -> TestApp:
        """Whose login was too long ago."""
        visitor = self.logged_in_visitor()
        self.clock.tick(FRESH + 1)
        return visitor


@pytest.fixture(params=[False, True], ids=["raises", "made a 500"])
def site(request: pytest.FixtureRequest) -> StepUpSite:
    return StepUpSite(swallows=request.param)


def test_what_needs_a_fresh_proof_leads_to_the_password_and_back(site: StepUpSite) -> None:
    """With the name fixed. The session stays, with another token; the page is shown."""
    visitor = site.tired_visitor()
    before = visitor.cookies["sid"]
    asked = visitor.get("/delete?x=1")
    page = asked.follow()
    username = Elements(page).one("input", name="username")

    assert (asked.status_code, asked.headers["Location"]) == (303, "/confirm?next=/delete%3Fx%3D1")
    assert (username["value"], "readonly" in username) == ("Ada", True)
    assert "once more" in page.html.find(id="password-hint").text
    page.form["password"] = PASSWORD
    done = page.form.submit()
    assert (done.status_code, done.headers["Location"]) == (303, "/delete?x=1")
    assert visitor.cookies["sid"] != before
    assert visitor.get("/delete?x=1").text == "shown GET"


def test_right_after_a_login_nobody_is_asked(site: StepUpSite) -> None:
    """It was a proof itself."""
    assert site.logged_in_visitor().get("/delete").text == "shown GET"


def test_wrong_password_proves_nothing(site: StepUpSite) -> None:
    """It is said at the only field there is to correct."""
    visitor = site.tired_visitor()
    page = visitor.get("/confirm?next=/delete")
    page.form["password"] = "not the password"
    page = page.form.submit(expect_errors=True)

    assert page.status_code == 403
    assert page.html.find(id="password-error").text == "This is not your password."
    assert "autofocus" in Elements(page).one("input", name="password")
    assert Elements(page).one("input", name="next")["value"] == "/delete"
    assert visitor.get("/delete").status_code == 303


def test_what_was_posted_is_not_sent_again(site: StepUpSite) -> None:
    """The form to confirm by, with status 403; from there one goes home, and not to a page that wants a POST."""
    visitor = site.tired_visitor()
    page = post(visitor, "/delete", "really=1")

    assert (page.status_code, page.form.action) == (403, "/confirm")
    assert Elements(page).one("input", name="username")["value"] == "Ada"
    assert page.html.find(role="alert").text == "Please confirm that it is you, and then do it again."
    page.form["password"] = PASSWORD
    assert page.form.submit().headers["Location"] == "/"
    assert post(visitor, "/delete", "really=1").text == "shown POST"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_scripts_are_told_in_a_few_words(site: StepUpSite, method: str) -> None:
    """They can make nothing of a page."""
    visitor = site.tired_visitor()
    answer = visitor.request("/delete", method=method, headers=JSON, expect_errors=True)

    assert (answer.status_code, answer.json["error"]) == (403, "not_fresh")


@pytest.mark.parametrize(("path", "missing"), [("/delete", ["password"]), ("/vault", ["password", "totp"])])
def test_scripts_are_told_what_is_missing(site: StepUpSite, path: str, missing: list[str]) -> None:
    """They have to lead to another page for each."""
    visitor = site.tired_visitor()
    answer = visitor.get(path, headers=JSON, expect_errors=True)

    assert answer.json["methods"] == missing
    assert "methods" not in site.visitor().get(path, headers=JSON, expect_errors=True).json


def test_whoever_is_not_logged_in_logs_in_first(site: StepUpSite) -> None:
    """And that is proof enough."""
    visitor = site.visitor()
    asked = visitor.get("/delete")
    page = asked.follow()
    page.form["username"], page.form["password"] = "Ada", PASSWORD

    assert asked.headers["Location"] == "/login?next=/delete"
    assert page.form.submit().follow().text == "shown GET"


def test_confirming_without_a_login_leads_past_the_page(site: StepUpSite) -> None:
    """The login goes on to what was wanted in the first place."""
    asked = site.visitor().get("/confirm?next=/delete")

    assert asked.headers["Location"] == "/login?next=/delete"


def test_logged_out_while_confirming_leads_on_to_what_was_wanted(site: StepUpSite) -> None:
    """As it would have without the logout, which may have come from another tab or from idleness."""
    visitor = site.tired_visitor()
    form = visitor.get("/confirm?next=/delete").form
    form["password"] = PASSWORD
    visitor.post("/logout")
    page = form.submit(expect_errors=True)
    page.form["username"], page.form["password"] = "Ada", PASSWORD

    assert page.form.submit().headers["Location"] == "/delete"


def test_event_says_what_was_missing(site: StepUpSite) -> None:
    """And whether a response with status 500 was replaced, so that nobody looks for it."""
    visitor = site.tired_visitor()
    visitor.get("/delete")
    (event,) = site.told("login.required")

    assert event.detail.startswith("/delete, to prove once more: password")
    assert event.detail.endswith(", in place of status 500") == site.swallows


def test_forms_of_another_site_confirm_nothing(site: StepUpSite) -> None:
    """They are not even in the session."""
    visitor = site.tired_visitor()
    page = post(visitor, "/confirm", f"password={PASSWORD}", headers=FOREIGN)

    assert page.status_code == 403
    assert visitor.get("/delete").status_code == 303


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/login", "/confirm", "/logout"])
def test_confirming_leads_neither_elsewhere_nor_back(site: StepUpSite, wanted: str) -> None:
    """Home instead."""
    visitor = site.tired_visitor()

    assert visitor.post("/confirm", {"password": PASSWORD, "next": wanted}).headers["Location"] == "/"


def test_nothing_is_proved_for_who_has_logged_in_since(site: StepUpSite) -> None:
    """In another tab: what was typed below one name does not count for another."""
    site.register("Bob")
    visitor = site.tired_visitor()
    form = visitor.get("/confirm?next=/delete").form
    form["password"] = PASSWORD
    visitor.post("/logout")
    visitor.post("/login", {"username": "Bob", "password": PASSWORD})
    site.clock.tick(FRESH + 1)
    page = form.submit(expect_errors=True)

    assert page.status_code == 409
    assert "because Bob is logged in here by now" in page.html.find(role="alert").text
    assert visitor.get("/delete").status_code == 303
    page.form["password"] = PASSWORD
    assert page.form.submit().headers["Location"] == "/delete"


# Other methods


def test_second_factor_is_proved_on_a_page_of_the_sites_own() -> None:
    """Which gets where to go afterwards. Other parameters of its path stay."""
    site = StepUpSite(step_up={"totp": "/second-factor?app=tea"})
    visitor = site.logged_in_visitor()

    assert visitor.get("/payments?x=1").headers["Location"] == "/second-factor?app=tea&next=/payments%3Fx%3D1"
    visitor.get("/second-factor")
    assert visitor.get("/payments").text == "shown GET"


def test_what_was_posted_too_late_for_a_second_factor_is_not_lost_silently(site: StepUpSite) -> None:
    """The page says that it has to be done again, and leads to the proof. What was posted cannot be come back to."""
    site = StepUpSite(step_up={"totp": "/second-factor?app=tea"}, swallows=site.swallows)
    visitor = site.logged_in_visitor()
    page = post(visitor, "/payments?x=1", "really=1")

    assert page.status_code == 403
    assert page.html.find(role="alert").text == "Please confirm that it is you, and then do it again."
    assert Elements(page).all("form") == []
    assert [link["href"] for link in Elements(page).all("a")] == ["/second-factor?app=tea", "/"]


def test_several_proofs_are_asked_for_one_after_the_other() -> None:
    """The password first, and each only if it is missing."""
    site = StepUpSite(step_up={"totp": "/second-factor"})
    visitor = site.tired_visitor()
    page = visitor.get("/vault").follow()
    page.form["password"] = PASSWORD
    second = page.form.submit().follow()

    assert second.headers["Location"] == "/second-factor?next=/vault"
    visitor.get("/second-factor")
    assert visitor.get("/vault").text == "shown GET"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_a_page_for_it_nobody_is_sent_round_in_circles(site: StepUpSite, method: str) -> None:
    """A page without a form says what is needed."""
    visitor = site.logged_in_visitor()
    page = visitor.request("/payments", method=method, expect_errors=True)

    assert page.status_code == 403
    assert "totp" in page.html.find(role="alert").text
    assert Elements(page).all("form") == []
    assert [link["href"] for link in Elements(page).all("a")] == ["/"]


def test_pages_for_other_proofs_are_below_the_mount() -> None:
    """As every path that the site's owner sets."""
    site = StepUpSite(step_up={"totp": "/second-factor"}, prefix="/account")
    visitor = TestApp(site.served, extra_environ={"SCRIPT_NAME": "/app"})
    visitor.post("/account/login", {"username": "Ada", "password": PASSWORD})

    assert visitor.get("/payments").headers["Location"] == "/app/second-factor?next=/app/payments"
    site.clock.tick(FRESH + 1)
    assert visitor.get("/delete").headers["Location"] == "/app/account/confirm?next=/app/delete"


# The mark


@pytest.mark.parametrize("view", [lambda auth, environ: auth.require_user(environ), lambda auth, environ: None])
def test_a_500_of_the_applications_own_stays(view: Callable[[Auth, Environ], object]) -> None:
    """If nothing more was asked for, or somebody was found in the end."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/x":
            view(here.auth, environ)
        start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
        return [b"crash"]

    here = PagesSite(app)
    here.register("Ada")
    visitor = here.logged_in_visitor()

    assert visitor.get("/x", expect_errors=True).text == "crash"


def test_a_proof_of_another_session_is_not_ours() -> None:
    """A request may have several sessions, and another pair of pages for each."""
    error = NotFresh()
    error.environ_key = "other.session"

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        raise error

    with pytest.raises(NotFresh):
        PagesSite(app).visitor().get("/x")


def test_bare_error_asks_for_the_password() -> None:
    """An application may raise it itself."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        raise NotFresh

    site = PagesSite(app)
    site.register("Ada")

    visitor = site.logged_in_visitor()

    assert visitor.get("/x").headers["Location"] == "/confirm?next=/x"
    assert visitor.get("/x", headers=JSON, expect_errors=True).json["methods"] == ["password"]


def test_outage_is_not_a_lack_of_proof() -> None:
    """Whoever cannot be asked for is not sent anywhere."""
    site = StepUpSite()
    visitor = site.tired_visitor()
    site.users.broken["get"] = StoreUnavailable("the disk is on fire")

    assert visitor.get("/delete", expect_errors=True).status_code == 503
