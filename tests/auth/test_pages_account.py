"""/password and /sessions: what somebody who is logged in does about the account."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from webtest import TestApp, TestResponse

from sessionware import StoreUnavailable, get_session
from sessionware.auth.pages.sessions import FRESH
from tests.support.auth_kit import ADDRESS, PASSWORD
from tests.support.pages_kit import FOREIGN, Elements, PagesSite, log_in, post, said

NEW = "a password that is new and long"


@pytest.fixture
def site() -> PagesSite:
    site = PagesSite()
    site.register("Ada")
    return site


@pytest.fixture
def visitor(site: PagesSite) -> TestApp:
    return site.logged_in_visitor()


each_page = pytest.mark.parametrize("path", ["/password", "/sessions", "/confirm"])


@each_page
def test_page_is_for_people_who_are_logged_in(site: PagesSite, path: str) -> None:
    """It leads to the login page, and that leads back, unless there is no use in it."""
    visitor = site.visitor()
    asked = visitor.get(path)
    page = asked.follow()
    page.form["username"], page.form["password"] = "Ada", PASSWORD

    assert urlsplit(asked.headers["Location"]).path == "/login"
    assert page.form.submit().headers["Location"] == ("/" if path == "/confirm" else path)


@each_page
def test_form_of_a_visitor_who_is_not_logged_in_any_more(site: PagesSite, path: str) -> None:
    """It gets the login page, and from there one comes back to the page, to do it again."""
    page = post(site.visitor(), path, "password=x&new_password=y&id=others")
    page.form["username"], page.form["password"] = "Ada", PASSWORD

    assert (page.status_code, page.form.action) == (403, "/login")
    assert page.form.submit().headers["Location"] == ("/" if path == "/confirm" else path)


@each_page
def test_form_of_another_site_does_nothing(site: PagesSite, visitor: TestApp, path: str) -> None:
    """It counts as a stranger's, whatever cookie comes with it."""
    other = site.logged_in_visitor()
    post(visitor, path, f"password={PASSWORD}&new_password={NEW}&id=others", headers=FOREIGN)

    assert (visitor.get("/").text, other.get("/").text) == ("Hello Ada",) * 2
    assert log_in(site.visitor()).status_code == 303


# /password


def change(visitor: TestApp, old: str = PASSWORD, new: str = NEW, path: str = "/password") -> TestResponse:
    form = visitor.get(path).form
    form["password"], form["new_password"] = old, new
    return form.submit(expect_errors=True)


def test_password_is_changed(site: PagesSite, visitor: TestApp) -> None:
    """This browser stays logged in, the others learn why they are not, and the new password is the one that counts."""
    other = site.logged_in_visitor()
    done = change(visitor)

    assert (done.status_code, done.headers["Location"]) == (303, "/password?changed=1")
    assert said(done.follow()) == "Your password was changed. You were logged out everywhere else."
    assert visitor.get("/").text == "Hello Ada"
    assert other.get("/").text == "Hello stranger"
    assert said(other.get("/login")) == ("You were logged out because your password was changed. Please log in again.")
    assert log_in(site.visitor()).status_code == 403
    assert log_in(site.visitor(), password=NEW).status_code == 303


def test_way_on_after_a_change(visitor: TestApp) -> None:
    """To where one came from, and to the list of browsers."""
    done = change(visitor, path="/password?next=/members").follow()

    assert next(link["href"] for link in Elements(done).all("a")) == "/members"
    assert "/sessions?next=/members" in [link["href"] for link in Elements(done).all("a")]
    assert Elements(done).all("form") == []


def test_wrong_password_changes_nothing(site: PagesSite, visitor: TestApp) -> None:
    """It is said at its field."""
    page = change(visitor, old="not the password")

    assert page.status_code == 403
    assert page.html.find(id="password-error").text == "This is not your current password."
    assert "autofocus" in Elements(page).one("input", name="password")
    assert log_in(site.visitor()).status_code == 303


def test_new_password_has_to_fit_the_policy(visitor: TestApp) -> None:
    """It is said at its field, and no password is shown again."""
    page = change(visitor, new="short")

    assert page.status_code == 422
    assert "15 characters" in page.html.find(id="new_password-error").text
    assert [field.get("value") for field in Elements(page).all("input", type="password")] == [None, None]
    assert "short" not in page.html.main.text


def test_both_errors_of_a_change_are_said_at_once(visitor: TestApp) -> None:
    """Each at its field; typing begins at the first."""
    page = change(visitor, old="not the password", new="short")

    assert page.html.find(id="password-error").text == "This is not your current password."
    assert "15 characters" in page.html.find(id="new_password-error").text


def test_password_managers_learn_whose_password_it_is(visitor: TestApp) -> None:
    """By a name that can be seen and not changed."""
    elements = Elements(visitor.get("/password"))
    username = elements.one("input", name="username")

    assert (username["value"], username["autocomplete"], "readonly" in username) == ("Ada", "username", True)
    purposes = [field["autocomplete"] for field in elements.all("input", type="password")]
    assert purposes == ["current-password", "new-password"]


def test_name_in_the_form_changes_nobody_elses_password(site: PagesSite, visitor: TestApp) -> None:
    """Whoever is logged in is meant, whatever was posted, and that name is shown again."""
    site.register("Bob")
    page = post(visitor, "/password", f"username=Bob&password=wrong&new_password={NEW}")

    assert Elements(page).one("input", name="username")["value"] == "Ada"
    post(visitor, "/password", f"username=Bob&password={PASSWORD}&new_password={NEW}")
    assert log_in(site.visitor(), username="Bob").status_code == 303
    assert log_in(site.visitor(), password=NEW).status_code == 303


def test_somebody_else_has_logged_in_since_the_form_was_shown(site: PagesSite, visitor: TestApp) -> None:
    """In another tab, and with the same password: what stands on the page is not done to another account."""
    site.register("Bob")
    form = visitor.get("/password").form
    form["password"], form["new_password"] = PASSWORD, NEW
    log_in_again(visitor, "Bob")
    page = form.submit(expect_errors=True)

    assert page.status_code == 409
    assert "because Bob is logged in here by now" in page.html.find(role="alert").text
    assert (page.form["username"].value, page.form["owner"].value) == ("Bob", site.users.find_by_key("bob").id)
    assert log_in(site.visitor(), username="Bob").status_code == 303
    assert change(visitor).status_code == 303


def test_a_double_click_on_change_says_which_password_counts(site: PagesSite, visitor: TestApp) -> None:
    """The browser gives up the first answer, and with it the cookie that it would need."""
    form = visitor.get("/password").form
    form["password"], form["new_password"] = PASSWORD, NEW
    cookie = visitor.cookies["sid"]
    form.submit()
    site.clock.tick(60)
    visitor.reset()
    visitor.set_cookie("sid", cookie)
    page = form.submit(expect_errors=True)

    assert (page.status_code, page.form.action) == (403, "/login")
    assert page.html.find(role="alert").text == (
        "Please log in. If you have just changed your password, use the new one."
    )


def log_in_again(visitor: TestApp, username: str) -> None:
    """In another tab, as somebody else."""
    visitor.post("/logout")
    assert log_in(visitor, username=username).status_code == 303


# /logout


def test_nobody_is_asked_to_log_out_who_is_not_logged_in(site: PagesSite, visitor: TestApp) -> None:
    """Nor to stay logged in. Whoever cannot be known, because the store is down, is asked."""
    asked, told = visitor.get("/logout"), site.visitor().get("/logout")

    assert (Elements(told).all("form"), said(told)) == ([], "You are logged out.")
    assert [link["href"] for link in Elements(told).all("a")] == ["/"]
    assert asked.form.submit().headers["Location"] == "/"
    assert said(visitor.get("/logout")) == "You are logged out."


def test_store_that_is_down_logs_nobody_out(site: PagesSite, visitor: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says nothing that it cannot know."""

    def fail(*arguments: object) -> None:
        raise StoreUnavailable("the disk is on fire")

    monkeypatch.setattr(site.store, "load", fail)

    assert visitor.get("/logout").form.action == "/logout"


# /sessions


def test_page_after_an_odd_request_does_not_claim_that_something_was_ended(site: PagesSite) -> None:
    """Its button ends nobody, because no list was there to press it for. The list comes next."""
    site.logged_in_visitor()
    visitor = site.logged_in_visitor()
    form = visitor.put("/sessions", expect_errors=True).forms[0]

    answer = form.submit()

    assert answer.headers["Location"] == "/sessions"


def test_nothing_is_ended_for_who_has_logged_in_since(site: PagesSite, visitor: TestApp) -> None:
    """Neither is somebody told that a thief is out who is not, nor are the sessions of the other ended."""
    site.register("Bob")
    thief, bob = site.logged_in_visitor(), site.logged_in_visitor("Bob")
    forms = visitor.get("/sessions").forms.values()
    log_in_again(visitor, "Bob")
    pages = [form.submit(expect_errors=True) for form in forms]

    assert len(pages) == 2
    for page in pages:
        assert page.status_code == 409
        assert "because Bob is logged in here by now" in page.html.find(role="alert").text
        assert len(page.html.find_all("li")) == 2
    assert (thief.get("/").text, bob.get("/").text) == ("Hello Ada", "Hello Bob")
    assert pages[0].forms[0].submit().status_code == 303
    assert bob.get("/").text == "Hello stranger"


def titles(page: TestResponse) -> list[str]:
    return [" ".join(heading.text.split()) for heading in page.html.find_all("h2")]


def test_every_browser_is_listed(site: PagesSite, visitor: TestApp) -> None:
    """This one first, and only the others have a button."""
    site.logged_in_visitor()
    site.logged_in_visitor()
    page = visitor.get("/sessions")
    items = page.html.find_all("li")

    assert [bool(item.find(class_="current")) for item in items] == [True, False, False]
    assert [bool(item.form) for item in items] == [False, True, True]


def test_what_is_known_of_a_browser_is_shown(site: PagesSite) -> None:
    """Since when, last used, how it logged in; what is not known is left out."""
    visitor = site.logged_in_visitor()
    other = site.logged_in_visitor()
    site.clock.tick(2 * 3600)
    other.get("/")
    site.clock.tick(3 * 3600)
    mine, others = visitor.get("/sessions").html.find_all("li")

    def facts(item: object) -> dict[str, str]:
        return {term.text: term.find_next("dd").text for term in item.find_all("dt")}  # type: ignore[attr-defined]

    assert facts(mine)["Last used"] == "now"
    assert facts(others)["Last used"] == "about 3 hours ago"
    assert facts(others)["Logged in"] == "2023-11-14 22:13 UTC"
    assert facts(others)["Logged in with"] == "password"


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0, "a moment ago"),
        (89, "a moment ago"),
        (90, "about 2 minutes ago"),
        (89 * 60, "about 89 minutes ago"),
        (90 * 60, "about 2 hours ago"),
        (10 * 3600, "about 10 hours ago"),
    ],
)
def test_times_are_told_roughly(site: PagesSite, seconds: int, says: str) -> None:
    """A session's last use is not known to the minute, and "1 hours" is no English."""
    site.logged_in_visitor()
    site.clock.tick(seconds)
    page = site.logged_in_visitor().get("/sessions")

    assert says in page.html.find_all("li")[1].text


def test_browser_without_a_name_has_words(site: PagesSite) -> None:
    """An empty heading would be none."""
    visitor = site.visitor()
    log_in(visitor)

    assert titles(visitor.get("/sessions"))[0].endswith("This browser")
    assert len(titles(visitor.get("/sessions"))[0]) > len("This browser")


def test_one_browser_is_logged_out(site: PagesSite, visitor: TestApp) -> None:
    """It learns why at its next click; this one and the third go on."""
    other, third = site.logged_in_visitor(), site.logged_in_visitor()
    mine = get_handle(site, visitor)
    theirs = get_handle(site, other)
    form = next(form for form in visitor.get("/sessions").forms.values() if form["id"].value == theirs)
    done = form.submit()

    assert mine != theirs
    assert (done.status_code, done.headers["Location"]) == (303, "/sessions?ended=1")
    assert said(done.follow()) == "That browser was logged out."
    assert [each.get("/").text for each in (visitor, other, third)] == ["Hello Ada", "Hello stranger", "Hello Ada"]
    assert said(other.get("/login")) == ("You were logged out from another device or browser. Please log in again.")


def get_handle(site: PagesSite, visitor: TestApp) -> str | None:
    """The id of the browser's session."""
    found: list[str | None] = []

    def look(environ: dict[str, object], start_response: object) -> list[bytes]:
        found.append(get_session(environ).id)
        start_response("200 OK", [("Content-Type", "text/plain")])  # type: ignore[operator]
        return [b""]

    client = TestApp(site.wrapped(look), cookiejar=visitor.cookiejar)
    client.get("/")
    return found[0]


def test_all_other_browsers_are_logged_out(site: PagesSite, visitor: TestApp) -> None:
    """By one button, which is not there if there are none."""
    others = [site.logged_in_visitor(), site.logged_in_visitor()]
    form = next(form for form in visitor.get("/sessions").forms.values() if form["id"].value == "others")
    page = form.submit().follow()

    assert said(page) == "You were logged out everywhere else."
    assert page.html.find_all("form") == []
    assert visitor.get("/").text == "Hello Ada"
    assert {other.get("/").text for other in others} == {"Hello stranger"}


def test_nobody_ends_sessions_of_others(site: PagesSite, visitor: TestApp) -> None:
    """Nor learns by the answer whether there is such a session."""
    site.register("Bob")
    bob = site.logged_in_visitor("Bob")
    answers = [post(visitor, "/sessions", f"id={id}") for id in (get_handle(site, bob), "0" * 32, "x" * 300)]

    assert {(answer.status_code, answer.headers["Location"]) for answer in answers} == {(303, "/sessions?ended=1")}
    assert bob.get("/").text == "Hello Bob"


def test_ending_needs_a_fresh_proof(site: PagesSite, visitor: TestApp) -> None:
    """A thief at an open browser must not log its owner out elsewhere (ASVS 5.0 7.5.2). One comes back to the list."""
    other = site.logged_in_visitor()
    page = visitor.get("/sessions")
    site.clock.tick(FRESH + 1)
    asked = page.forms[0].submit(expect_errors=True)

    assert (asked.status_code, asked.form.action) == (403, "/confirm")
    assert Elements(asked).one("input", name="username")["value"] == "Ada"
    assert other.get("/").text == "Hello Ada"
    asked.form["password"] = PASSWORD
    back = asked.form.submit()
    assert back.headers["Location"] == "/sessions"
    assert back.follow().forms[0].submit().headers["Location"].startswith("/sessions?ended=")
    assert other.get("/").text == "Hello stranger"


def test_ending_needs_no_password_where_there_is_none(site: PagesSite) -> None:
    """An account that another site vouches for has none to type."""
    user = site.users.add("eve", "Eve", None, {})
    browsers = [TestApp(site.wrapped(lambda environ, start: logging_in(site, environ, start, user))) for _ in range(2)]
    jars = [browser.get("/").test_app.cookiejar for browser in browsers]
    visitor, other = (TestApp(site.served, cookiejar=jar) for jar in jars)
    site.clock.tick(FRESH + 1)

    assert visitor.get("/sessions").forms[0].submit().status_code == 303
    assert other.get("/").text == "Hello stranger"


def logging_in(site: PagesSite, environ: dict[str, object], start_response: object, user: object) -> list[bytes]:
    site.auth.login_user(environ, user)  # type: ignore[arg-type]
    start_response("200 OK", [("Content-Type", "text/plain")])  # type: ignore[operator]
    return [b""]


def test_names_of_devices_are_never_markup(site: PagesSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser may call itself anything."""
    evil = "<script>alert(1)</script>" + "x" * 300
    monkeypatch.setattr(
        "sessionware.auth.pages.sessions._facts", lambda request, info: [("<b>Address</b>", evil), ("x", ADDRESS)]
    )
    page = site.logged_in_visitor().get("/sessions")

    assert Elements(page).all("script") == Elements(page).all("b") == []
    assert evil in page.html.dl.text


def test_buttons_say_what_they_end(site: PagesSite, visitor: TestApp) -> None:
    """Each is described by the heading of its browser, because all have the same words."""
    site.logged_in_visitor()
    site.logged_in_visitor()
    page = visitor.get("/sessions")
    described = [button["aria-describedby"] for button in Elements(page).all("button") if "aria-describedby" in button]

    assert len(described) == len(set(described)) == 2
    assert all(page.html.find(id=each).name == "h2" for each in described)
