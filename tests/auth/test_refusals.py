"""What `Auth` refuses, and what the pages show of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from webtest import TestApp, TestResponse

from sessionware import (
    AuthError,
    Busy,
    ConfigError,
    Cookie,
    CrossOriginRefused,
    LoginFailed,
    NotFresh,
    NotLoggedIn,
    PasswordRejected,
    Throttled,
    TokenInvalid,
    TooManySessions,
    UsernameRejected,
    UsernameTaken,
    errors,
    get_session,
)
from sessionware._types import Environ
from sessionware.auth import Auth, AuthPages, MemoryUsers, User
from tests.support.auth_kit import CHEAP, PASSWORD, AuthBrowser, AuthSite

Act = Callable[[Environ], object]

SAFE_METHODS = ["GET", "HEAD", "OPTIONS", "TRACE"]


class AdaSite(AuthSite):
    """With Ada."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = Auth(self.users, hasher=self.hasher, send=lambda *mail: None)
        self.ada = self.register("Ada")


@pytest.fixture
def site() -> AdaSite:
    return AdaSite()


def acts(site: AdaSite) -> dict[str, Act]:
    """Every method of `Auth` that takes a password, or changes an account or who is logged in."""
    auth, token = site.auth, site.token()
    return {
        "register": lambda environ: auth.register(environ, "Bob", PASSWORD),
        "register without a login": lambda environ: auth.register(environ, "Bob", PASSWORD, login=False),
        "login": lambda environ: auth.login(environ, "Ada", PASSWORD),
        "logout": lambda environ: auth.logout(environ),
        "logout everywhere": lambda environ: auth.logout(environ, everywhere=True),
        "confirm": lambda environ: auth.confirm(environ, PASSWORD),
        "end_session": lambda environ: auth.end_session(environ, get_session(environ).id or ""),
        "end_other_sessions": lambda environ: auth.end_other_sessions(environ),
        "change_password": lambda environ: auth.change_password(environ, PASSWORD, "wrong mule charger paperclip"),
        "delete_account": lambda environ: auth.delete_account(environ, PASSWORD),
        "request_reset": lambda environ: auth.request_reset(environ, "Ada"),
        "set_active": lambda environ: auth.set_active(environ, site.ada.id, False),
        "rename": lambda environ: auth.rename(environ, site.ada.id, "Bob"),
        "end_all": lambda environ: auth.end_all(environ, site.ada.id),
        "erase": lambda environ: auth.erase(environ, site.ada.id),
        "reset_token": lambda environ: auth.reset_token(environ, "Ada"),
        "reset_password": lambda environ: auth.reset_password(environ, token, "wrong mule charger paperclip"),
    }


#: What may be done in any request: it changes nothing, or somebody else has checked the request (a sign-in service).
ANY_METHOD = {"user", "require_user", "sessions", "authenticate", "login_user"}

ACTS = list(acts(AdaSite()))


def test_every_method_is_here() -> None:
    """One that is added has to be put on one of the two sides."""
    methods = {name for name in vars(Auth) if not name.startswith("_")} - {"policy", "environ_key", "can_send"}

    assert methods == ANY_METHOD | {name.split()[0] for name in ACTS}


@pytest.mark.parametrize("method", SAFE_METHODS)
@pytest.mark.parametrize("name", ACTS)
def test_nothing_is_changed_by_a_safe_method(site: AdaSite, name: str, method: str) -> None:
    """A link, an image or a prefetch on any site can send one. The error says what to send instead."""
    browser, other = site.logged_in("Ada"), site.logged_in("Ada")
    act = acts(site)[name]
    site.hasher.calls.clear()
    site.events.clear()

    def view(environ: Environ) -> CrossOriginRefused:
        with pytest.raises(CrossOriginRefused, match="POST") as refused:
            act(environ)
        return refused.value

    error = browser.do(view, method=method)

    assert (error.status, error.reason) == (403, "method")
    assert (site.hasher.calls, site.users.find_by_key("bob")) == ([], None)
    assert (browser.who(), other.who()) == ("Ada", "Ada")
    # To make the token that is passed is told, too, but nothing else is.
    (event,) = (event for event in site.events if event.name != "account.reset_requested")
    assert (event.name, name.split()[0] in event.detail, method in event.detail) == ("csrf.blocked", True, True)


@pytest.mark.parametrize("sent", SAFE_METHODS)
@pytest.mark.parametrize("name", ACTS)
def test_method_override_makes_no_form_of_a_link(site: AdaSite, name: str, sent: str) -> None:
    """Where the form came from is asked of what the browser sent, so the method is too."""
    browser = site.logged_in("Ada")

    def view(environ: Environ) -> None:
        environ["REQUEST_METHOD"] = "POST"
        with pytest.raises(CrossOriginRefused, match="POST"):
            acts(site)[name](environ)
        environ["REQUEST_METHOD"] = sent

    browser.do(view, method=sent)

    assert (browser.who(), site.users.find_by_key("bob")) == ("Ada", None)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("name", ACTS)
def test_everything_is_changed_by_an_unsafe_one(site: AdaSite, name: str, method: str) -> None:
    """From a page of this site, or from a program."""
    site.logged_in("Ada").do(acts(site)[name], method=method)


@pytest.mark.parametrize("method", [*SAFE_METHODS, "POST"])
def test_whoever_checked_the_identity_logs_in_by_any_method(site: AuthSite, method: str) -> None:
    """The answer of a sign-in service arrives by GET, from another site."""
    browser, ada = site.browser(), site.users.find_by_key("ada")
    headers = {"Sec-Fetch-Site": "cross-site"} if method != "POST" else {}

    browser.do(lambda environ: site.auth.login_user(environ, ada), method=method, headers=headers)

    assert browser.who() == "Ada"


@pytest.mark.parametrize("method", [*SAFE_METHODS, "POST"])
def test_password_may_be_checked_by_any_method(site: AuthSite, method: str) -> None:
    """Some clients send one with every request. Nobody is logged in by that."""
    browser = site.browser()

    assert browser.do(lambda environ: site.auth.authenticate(environ, "Ada", PASSWORD), method=method).username == "Ada"
    assert browser.who() is None


PARTNER = "https://partner.example"
CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": PARTNER}


@pytest.mark.parametrize(
    ("cookie", "method", "is_refused"),
    [
        (Cookie(), "POST", True),
        (Cookie(), "GET", False),
        (Cookie(samesite="Strict"), "POST", True),
        (Cookie(samesite="Strict"), "GET", True),
    ],
    ids=lambda value: getattr(value, "samesite", str(value)),
)
def test_login_user_is_refused_where_the_cookie_may_have_been_kept_back(
    cookie: Cookie, method: str, is_refused: bool
) -> None:
    """A trusted site's request that comes without a cookie may belong to somebody who has one (rule 13)."""
    site = AuthSite(cookie=cookie, trusted_origins=[PARTNER])
    ada = site.register("Ada")

    def view(environ: Environ) -> str:
        try:
            site.auth.login_user(environ, ada)
        except CrossOriginRefused as error:
            return error.reason
        return "done"

    result, response = site.browser().visit(view, method=method, headers=CROSS_SITE)

    assert result == ("cross_origin" if is_refused else "done")
    assert ("Set-Cookie" in response.headers) == (not is_refused)


@pytest.mark.parametrize("name", ["register", "login", "logout", "user", "login_user", "delete_account"])
def test_manager_is_no_visitor(site: AdaSite, name: str) -> None:
    """Whatever needs one says so."""
    arguments: dict[str, list[Any]] = {
        "register": ["Bob", PASSWORD],
        "login": ["Ada", PASSWORD],
        "login_user": [site.users.find_by_key("ada")],
        "delete_account": [PASSWORD],
    }

    with pytest.raises(TypeError, match="SessionManager"):
        getattr(site.auth, name)(site.manager, *arguments.get(name, []))


# On the pages


def every_refusal() -> list[type[AuthError]]:
    """All that errors.py has."""
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, AuthError)]
    return [error for error in classes if error is not AuthError]


#: By error: where the focus goes on /login and on /register. "message" is the text above the form.
FOCUS: dict[type[AuthError], tuple[str, str]] = {
    LoginFailed: ("username", "message"),
    UsernameTaken: ("message", "username"),
    UsernameRejected: ("message", "username"),
    PasswordRejected: ("message", "password"),
    Throttled: ("message", "message"),
    Busy: ("message", "message"),
    CrossOriginRefused: ("message", "message"),
    TokenInvalid: ("message", "message"),
    NotLoggedIn: ("message", "message"),
    NotFresh: ("message", "message"),
    TooManySessions: ("message", "message"),
}

#: What is said of those that the pages have words of their own for. Of the others, the error's own message is.
WORDS: dict[type[AuthError], str] = {
    Throttled: "Too many attempts. Please try again in 7 seconds.",
    Busy: "The server is busy. Please try again in 7 seconds.",
    NotFresh: "Please confirm that it is you, and then do it again.",
}

#: Those that are answered by the page where they can be mended, which knows nothing of what was typed elsewhere.
ELSEWHERE: dict[type[AuthError], str] = {NotLoggedIn: "/login", NotFresh: "/confirm"}


def refused(error: AuthError, path: str) -> TestResponse:
    """What somebody gets whose form is refused by this error."""

    def refuse() -> None:
        raise error

    site = AuthSite()
    site.register("Ada")
    site.hasher.after_verify = refuse
    site.users.broken["add"] = error
    visitor = TestApp(site.wrapped(AuthPages(lambda environ, start_response: [], site.auth)))
    return visitor.post(path, {"username": "Ada", "password": PASSWORD}, expect_errors=True)


@pytest.mark.parametrize("path", ["/login", "/register"])
@pytest.mark.parametrize("error", every_refusal(), ids=lambda error: error.__name__)
def test_every_refusal_is_shown(error: type[AuthError], path: str) -> None:
    """With its status and its words, once, where the focus is, and with what was typed but for the password."""
    page = refused(error("These words.", retry_after=7), path)
    focused = page.html.select_one("[autofocus]")
    focus = FOCUS[error][path == "/register"]

    assert page.status_code == error.status
    assert page.headers["Retry-After"] == "7"
    assert [alert.text for alert in page.html.find_all(role="alert")] == [WORDS.get(error, "These words.")]
    assert page.html.title.text.startswith("Error: ")
    assert len(page.html.select("[autofocus]")) == 1
    assert focused.get("name") == (None if focus == "message" else focus)
    if focus == "message":
        assert (focused["role"], focused["tabindex"]) == ("alert", "-1")
    else:
        (alert,) = page.html.find_all(role="alert")
        assert (focused["aria-invalid"], alert["id"] in focused["aria-describedby"].split()) == ("true", True)
    assert PASSWORD not in page.text
    assert page.form.action == ELSEWHERE.get(error, path)
    if error not in ELSEWHERE:
        assert page.form["username"].value == "Ada"


# Two of them in one request


def test_two_of_them_never_share_an_answer() -> None:
    """Neither who is logged in, nor that somebody was asked for in vain, in whatever order they are asked."""
    site = AuthSite()
    here = site.auth
    there = Auth(MemoryUsers(), hasher=CHEAP)
    ada = site.register("Ada")
    # The same id and version, but another account, as two tables that were copied may have it.
    there._users.add("ada", "Ada", None, {})
    theirs: Any = there._users
    theirs._by_id[ada.id] = replace(ada, username="Ada of the other table")
    browser = site.logged_in("Ada")

    def view(environ: Environ) -> list[str | None]:
        pair = [here, there, here, there]
        return [getattr(auth.user(environ), "username", None) for auth in pair]

    assert browser.do(view) == ["Ada", "Ada of the other table"] * 2

    def remembered(environ: Environ) -> list[dict[str, object]]:
        kept = []
        for auth in (here, there):
            before = set(environ)
            auth._watch_login(environ)
            auth.require_user(environ)
            kept.append({key: environ[key] for key in set(environ) - before})
        return kept

    one, other = browser.do(remembered)
    assert len(one) == len(other) == 2
    assert one.keys().isdisjoint(other)
    assert all(key.startswith("sessionware.session.") for key in (*one, *other))


# Tables that answer nonsense

BAD_USERS: dict[str, dict[str, Any]] = {
    "no id": {"id": ""},
    "id of None": {"id": None},
    "id of a number": {"id": 5},
    "id in bytes": {"id": b"5"},
    "no name": {"username": ""},
    "name of None": {"username": None},
    "no version": {"session_version": None},
    "version as text": {"session_version": "1"},
    "version below zero": {"session_version": -1},
    "version of True": {"session_version": True},
}


class Nonsense(MemoryUsers):
    """Gives accounts with something wrong in them."""

    wrong: dict[str, Any] = {}  # noqa: RUF012  (set by a test)

    def find_by_key(self, key: str) -> User | None:
        found = super().find_by_key(key)
        return found and replace(found, **self.wrong)

    def get(self, id: str) -> User | None:
        found = super().get(id)
        return found and replace(found, **self.wrong)

    def add(self, *arguments: Any) -> User:
        return replace(super().add(*arguments), **self.wrong)


def failure(browser: AuthBrowser, act: Act) -> str:
    def view(environ: Environ) -> str:
        with pytest.raises(ConfigError) as failed:
            act(environ)
        return str(failed.value)

    message: str = browser.do(view)
    return message


@pytest.mark.parametrize("wrong", BAD_USERS.values(), ids=BAD_USERS)
def test_account_that_cannot_be_told_apart_is_a_clear_error(wrong: dict[str, Any]) -> None:
    """All who have an empty id would be one person. The error names what is wrong, and nobody is logged in."""
    users = Nonsense()
    site = AuthSite(users)
    ada = site.register("Ada")
    inside, outside = site.logged_in("Ada"), site.browser()
    users.wrong = wrong
    (name,) = wrong

    messages = [
        failure(outside, lambda environ: site.auth.login(environ, "Ada", PASSWORD)),
        failure(outside, lambda environ: site.auth.register(environ, "Bob", PASSWORD)),
        failure(outside, lambda environ: site.auth.register(environ, "Eve", PASSWORD, login=False)),
        failure(outside, lambda environ: site.auth.login_user(environ, replace(ada, **wrong))),
        failure(inside, lambda environ: site.auth.user(environ)),
        failure(inside, lambda environ: site.auth.require_user(environ)),
    ]

    assert all(name in message and "table of accounts" in message for message in messages)
    users.wrong = {}
    assert (outside.who(), inside.who()) == (None, "Ada")


def test_account_that_was_not_asked_for_is_a_clear_error() -> None:
    """A table whose `get` finds somebody else would give that person's pages away."""
    users = Nonsense()
    site = AuthSite(users)
    site.register("Ada")
    browser = site.logged_in("Ada")
    users.wrong = {"id": "somebody-else"}

    assert "another account" in failure(browser, lambda environ: site.auth.user(environ))
