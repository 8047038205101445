"""Auth: registering, logging in and out, and who somebody is from one request to the next."""

from __future__ import annotations

import logging
import threading
import traceback
import types
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from webtest import TestApp

from sessionware import (
    Busy,
    ConfigError,
    Cookie,
    CrossOriginRefused,
    Event,
    LoginFailed,
    NotLoggedIn,
    PasswordRejected,
    SessionClosed,
    SQLiteStore,
    StoreUnavailable,
    UsernameRejected,
    UsernameTaken,
    get_session,
)
from sessionware.auth import Argon2Hasher, Auth, MemoryUsers, PasswordPolicy, SQLiteUsers, User
from tests.support.auth_kit import ADDRESS, CHEAP, PASSWORD, AuthBrowser, AuthSite
from tests.support.fixed import SECRET

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

FOREIGN = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> AuthSite:
    """Accounts and sessions in memory, or both in one file."""
    if getattr(request, "param", "memory") == "memory":
        return AuthSite()
    path = tmp_path / "app.db"
    return AuthSite(SQLiteUsers(path), store=SQLiteStore(path))


#: For what hangs on how the tables keep their promises.
on_both_media = pytest.mark.parametrize("site", ["memory", "sqlite"], indirect=True)


@pytest.fixture
def ada(site: AuthSite) -> User:
    """Ada's account."""
    return site.register("Ada")


def hex_of(browser: AuthBrowser) -> str:
    """The session's handle."""
    handle: str = browser.do(lambda environ: get_session(environ).id, method="GET")
    return handle


def owners(site: AuthSite) -> set[bytes]:
    """Whose sessions are stored, as digests."""
    return {record.owner for record in site.store.scan() if record.owner is not None}


# Logging in


@pytest.mark.parametrize("typed", ["Ada", "ADA", "\uff41\uff44\uff41"], ids=ascii)
def test_the_right_password_logs_in(site: AuthSite, ada: User, typed: str) -> None:
    """Under the name as it was registered, however it was typed this time."""
    browser = site.browser()

    user = browser.do(lambda environ: site.auth.login(environ, typed, PASSWORD))

    assert user == ada
    assert browser.who() == "Ada"
    assert browser.do(lambda environ: get_session(environ).username) == "Ada"
    assert browser.do(lambda environ: get_session(environ).user_id) == ada.id


REFUSALS = {
    "wrong password": ("Ada", "not the password", "mismatch"),
    "upper case": ("Ada", PASSWORD.upper(), "mismatch"),
    "space behind": ("Ada", PASSWORD + " ", "mismatch"),
    "empty password": ("Ada", "", "mismatch"),
    "unknown": ("Bob", PASSWORD, "unknown"),
    "disabled": ("Disabled", PASSWORD, "inactive"),
    "without a password": ("Passwordless", PASSWORD, "no_hash"),
    "unusable hash": ("Unusable", PASSWORD, "bad_hash"),
    "hash of another kind": ("Bcrypt", PASSWORD, "bad_hash"),
    "no name": ("", PASSWORD, "bad_input"),
    "nothing": ("", "", "bad_input"),
    "impossible name": ("ada\u202e", PASSWORD, "bad_input"),
    "half a character": ("ada\ud800", PASSWORD, "bad_input"),
    "huge name": ("a" * 10_000, PASSWORD, "bad_input"),
    "huge password": ("Ada", "x" * 1025, "bad_input"),
    "huge password of nobody": ("Bob", "x" * 1025, "bad_input"),
    "NUL": ("Ada", PASSWORD + "\0", "bad_input"),
    "surrogate": ("Ada", PASSWORD + "\ud800", "bad_input"),
    "surrogate of nobody": ("Bob", PASSWORD + "\ud800", "bad_input"),
}


@pytest.mark.parametrize(("username", "password", "detail"), REFUSALS.values(), ids=REFUSALS)
def test_whatever_is_wrong_looks_and_costs_the_same(
    site: AuthSite, ada: User, username: str, password: str, detail: str
) -> None:
    """One error, one verification, nothing in the session. Only the operator is told what it was."""
    site.users.set_active(site.register("Disabled").id, False)
    site.users.add("passwordless", "Passwordless", None, {})
    site.users.add("unusable", "Unusable", "!", {})
    site.users.add("bcrypt", "Bcrypt", "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", {})
    browser = site.browser()

    def view(environ: dict[str, Any]) -> LoginFailed:
        with pytest.raises(LoginFailed) as failed:
            site.auth.login(environ, username, password)
        return failed.value

    error, response = browser.visit(view, method="POST")

    assert (error.status, error.reason, error.message) == (403, "invalid_credentials", LoginFailed.message)
    assert error.args == (LoginFailed.message,)
    assert site.hasher.calls == ["verify"]
    assert response.headers.getall("Set-Cookie") == []
    assert site.store.scan() == []
    assert [event.detail for event in site.told("login.failed")] == [detail]


def test_a_name_that_nobody_can_have_is_not_looked_up(site: AuthSite) -> None:
    """The table of accounts sees nothing but keys."""
    with pytest.raises(LoginFailed):
        site.auth.authenticate(site.manager, "a" * 10_000, PASSWORD)

    assert site.users.taken() == []


@pytest.mark.parametrize("value", [None, b"ada", ["ada"], {"ada": 1}, 5])
def test_what_is_not_text_is_a_mistake_of_the_program(site: AuthSite, value: object) -> None:
    """Nothing is looked up or hashed for it (CVE-2013-0233 was a number for a token)."""
    calls: list[Callable[..., object]] = [
        lambda *both: site.auth.authenticate(site.manager, *both),
        lambda *both: site.browser().do(lambda environ: site.auth.login(environ, *both)),
    ]
    for call in calls:
        for both in ((value, PASSWORD), ("ada", value)):
            with pytest.raises(TypeError, match="text"):
                call(*both)

    assert site.users.taken() == []
    assert site.hasher.calls == []


def test_an_outage_of_the_accounts_is_no_failed_login(site: AuthSite, ada: User) -> None:
    """It is raised as what it is, and nobody is logged in."""
    site.users.broken["find_by_key"] = StoreUnavailable("the disk is on fire")
    browser = site.browser()

    _, response = browser.visit(lambda environ: site.auth.login(environ, "Ada", PASSWORD), method="POST")

    assert response.status_code == 503
    assert site.told("login.failed") == []
    assert browser.who() is None


@pytest.mark.parametrize(
    ("broken", "act"),
    [
        ("find_by_key", lambda auth, environ: auth.login(environ, "Ada", PASSWORD)),
        ("add", lambda auth, environ: auth.register(environ, "Bob", PASSWORD)),
        ("delete", lambda auth, environ: auth.delete_account(environ, PASSWORD)),
    ],
    ids=["login", "register", "delete_account"],
)
def test_an_outage_of_the_accounts_is_a_503_although_the_framework_catches_it(
    site: AuthSite, ada: User, broken: str, act: Callable[[Auth, dict[str, Any]], object]
) -> None:
    """Also to a stranger, of whom no session was looked at yet. Most frameworks make a 500 of any exception."""
    visitor = site.logged_in("Ada") if broken == "delete" else site.browser()
    site.users.broken[broken] = StoreUnavailable("the disk is on fire")

    def caught(environ: dict[str, Any]) -> None:
        with suppress(StoreUnavailable):
            act(site.auth, environ)

    _, response = visitor.visit(caught, method="POST", status="500 Oops")

    assert (response.status_code, response.headers.get("Set-Cookie")) == (503, None)
    assert response.headers["Retry-After"]


@on_both_media
def test_a_login_changes_the_cookie_and_the_old_one_is_dead(site: AuthSite, ada: User) -> None:
    """Whoever knew the cookie from before has nothing (CVE-2018-1000519, CVE-2022-38054)."""
    browser = site.browser()
    browser.do(lambda environ: get_session(environ).update(cart=["tea"]))
    thief, latecomer = browser.copied(), browser.copied()
    assert thief.do(lambda environ: get_session(environ).copy()) == {"cart": ["tea"]}

    browser.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))

    assert browser.cookies["sid"] != thief.cookies["sid"]
    for seconds, each in [(0, thief), (61, latecomer)]:
        site.clock.tick(seconds)
        assert each.who() is None
        assert each.do(lambda environ: get_session(environ).copy()) == {}
    assert browser.who() == "Ada"


def test_logging_in_again_changes_the_cookie_again(site: AuthSite, ada: User) -> None:
    """And keeps what the session holds (CVE-2023-46733)."""
    browser = site.logged_in("Ada")
    browser.do(lambda environ: get_session(environ).update(draft="x"))
    before = browser.cookies["sid"]

    browser.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))

    assert browser.cookies["sid"] != before
    assert browser.do(lambda environ: get_session(environ).copy()) == {"draft": "x"}


@on_both_media
def test_a_login_as_somebody_else_leaves_nothing_of_the_one_before(site: AuthSite, ada: User) -> None:
    """Neither data nor name."""
    site.register("Bob")
    browser = site.logged_in("Ada")
    browser.do(lambda environ: get_session(environ).update(secret="Ada's"))

    browser.do(lambda environ: site.auth.login(environ, "Bob", PASSWORD))

    assert browser.who() == "Bob"
    assert browser.do(lambda environ: get_session(environ).copy()) == {}


def test_a_failed_login_leaves_who_is_logged_in(site: AuthSite, ada: User) -> None:
    """With their data and their cookie."""
    browser = site.logged_in("Ada")
    before = browser.cookies

    with pytest.raises(LoginFailed):
        browser.do(lambda environ: site.auth.login(environ, "Ada", "not the password"))

    assert browser.who() == "Ada"
    assert browser.cookies == before


def test_a_request_object_does_as_well_as_an_environ(site: AuthSite, ada: User) -> None:
    """Whichever framework made it."""
    browser = site.browser()

    browser.do(lambda environ: site.auth.login(types.SimpleNamespace(environ=environ), "Ada", PASSWORD))
    user = browser.do(lambda environ: site.auth.require_user(types.SimpleNamespace(META=environ)))
    browser.do(lambda environ: site.auth.logout(types.SimpleNamespace(env=environ)))

    assert user == ada
    assert browser.who() is None


def test_a_request_without_a_session_is_a_mistake_in_the_set_up(site: AuthSite) -> None:
    """And the text shows the line to write."""
    with pytest.raises(ConfigError, match="SessionMiddleware"):
        site.auth.login({}, "Ada", PASSWORD)


def test_a_second_factor_fits_between_the_two_halves_of_a_login(site: AuthSite, ada: User) -> None:
    """`authenticate` touches no session, `login_user` changes the cookie."""
    browser = site.browser()

    def first(environ: dict[str, Any]) -> None:
        get_session(environ)["pending"] = site.auth.authenticate(environ, "ada", PASSWORD).id

    browser.do(first)
    before = browser.cookies["sid"]
    assert browser.who() is None

    def second(environ: dict[str, Any]) -> None:
        site.auth.login_user(environ, site.users.get(get_session(environ).pop("pending")))

    browser.do(second)
    assert browser.who() == "Ada"
    assert browser.cookies["sid"] != before


# What runs beside a login


ENDINGS = ["disable", "delete", "rename", "new password", "log out everywhere"]


def ending(site: AuthSite, user: User, change: str, other: AuthBrowser) -> Callable[[], Any]:
    """Something that ends all sessions of an account, done by somebody else."""
    changes: dict[str, Callable[[], Any]] = {
        "disable": lambda: site.users.set_active(user.id, False),
        "delete": lambda: site.users.delete(user.id),
        "rename": lambda: site.users.rename(user.id, "lovelace", "Lovelace"),
        "new password": lambda: site.users.set_password(user.id, "new", expect=user.password_hash, ends_sessions=True),
        "log out everywhere": lambda: other.do(lambda environ: site.auth.logout(environ, everywhere=True)),
    }
    return changes[change]


@on_both_media
@pytest.mark.parametrize("change", ENDINGS)
@pytest.mark.parametrize(
    "moment", ["after find_by_key", "while the password is checked", "before the answer", "before get"]
)
def test_a_login_does_not_survive_what_ends_all_sessions_beside_it(
    site: AuthSite, ada: User, change: str, moment: str
) -> None:
    """The account is looked at once more when the login is stored, before the browser hears of it."""
    other, browser = site.logged_in("Ada"), site.browser()
    end = ending(site, ada, change, other)

    def view(environ: dict[str, Any]) -> None:
        if moment == "while the password is checked":
            site.hasher.after_verify = end
        elif moment != "before the answer":
            site.users.meanwhile[moment] = end  # `get` is the last look
        site.auth.login(environ, "Ada", PASSWORD)
        if moment == "before the answer":
            end()

    _, response = browser.visit(view, method="POST")

    assert site.users.meanwhile == {}
    assert "sid" not in browser.cookies
    lines = [line for line in response.headers.getall("Set-Cookie") if not line.startswith("sid_known=")]
    assert not any("Max-Age=0" not in line for line in lines)
    assert browser.who() is None
    assert other.who() is None
    assert owners(site) == set()


@on_both_media
@pytest.mark.parametrize("change", ENDINGS)
@pytest.mark.parametrize("moment", ["after get", "after the commit"])
def test_a_login_that_was_stored_just_before_is_found_by_what_ends_all_sessions(
    site: AuthSite, ada: User, change: str, moment: str
) -> None:
    """The last look came too early to see it. The session is over before the next request is answered."""
    other, browser = site.logged_in("Ada"), site.browser()
    end = ending(site, ada, change, other)

    def view(environ: dict[str, Any]) -> None:
        if moment == "after get":
            site.users.meanwhile["after get"] = end
        site.auth.login(environ, "Ada", PASSWORD)
        if moment == "after the commit":
            get_session(environ).commit()
            end()

    browser.do(view)

    assert site.users.meanwhile == {}
    if change == "log out everywhere":
        assert owners(site) == set()
        assert browser.do(lambda environ: get_session(environ).username) is None
    assert (browser.who(), other.who()) == (None, None)
    assert owners(site) == set()


@on_both_media
@pytest.mark.parametrize("change", ["disable", "delete", "rename", "new password"])
def test_what_comes_before_the_look_fails_the_login(site: AuthSite, ada: User, change: str) -> None:
    """As for anybody who may not log in."""
    site.users.meanwhile["before find_by_key"] = ending(site, ada, change, site.browser())

    with pytest.raises(LoginFailed):
        site.browser().do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))
    assert owners(site) == set()


def test_an_outage_of_the_accounts_at_the_last_look_is_a_503(site: AuthSite, ada: User) -> None:
    """Whoever cannot be looked at once more is not logged in."""
    browser = site.browser()

    def view(environ: dict[str, Any]) -> None:
        site.auth.login(environ, "Ada", PASSWORD)
        site.users.broken["get"] = StoreUnavailable("the disk is on fire")

    _, response = browser.visit(view, method="POST")
    del site.users.broken["get"]

    assert response.status_code == 503
    assert browser.who() is None


# Who somebody is


def test_nobody_is_nobody(site: AuthSite) -> None:
    """None, or an exception where somebody is needed; neither looks at the accounts, nor starts a session."""
    browser = site.browser()

    assert browser.who() is None
    with pytest.raises(NotLoggedIn) as refused:
        browser.do(site.auth.require_user)
    assert refused.value.status == 403
    assert site.users.taken() == []
    assert site.store.scan() == []


def test_the_account_is_asked_for_once_in_a_request(site: AuthSite, ada: User) -> None:
    """However often the application asks, and not at all in the request that logs in."""
    browser = site.browser()

    def log_in(environ: dict[str, Any]) -> list[User | None]:
        return [site.auth.login(environ, "Ada", PASSWORD), site.auth.user(environ)]

    assert browser.do(log_in) == [ada, ada]
    assert site.users.taken() == ["find_by_key", "get"]  # the second for the last look
    assert browser.do(lambda environ: [site.auth.user(environ), site.auth.require_user(environ)]) == [ada, ada]
    assert site.users.taken() == ["get"]


def test_what_was_seen_is_forgotten_when_somebody_else_logs_in_or_out(site: AuthSite, ada: User) -> None:
    """Within one and the same request too."""
    bob = site.register("Bob")

    def view(environ: dict[str, Any]) -> list[User | None]:
        seen = [site.auth.user(environ)]
        site.auth.login(environ, "Bob", PASSWORD)
        seen.append(site.auth.user(environ))
        site.auth.logout(environ)
        return [*seen, site.auth.user(environ)]

    assert site.logged_in("Ada").do(view) == [ada, bob, None]


def test_what_was_seen_is_forgotten_when_somebody_else_is_logged_in_by_hand(site: AuthSite, ada: User) -> None:
    """What counts is whose session it is."""
    bob = site.register("Bob")

    def view(environ: dict[str, Any]) -> User | None:
        site.auth.user(environ)
        get_session(environ).login("Bob", user_id=bob.id, session_version=bob.session_version)
        return site.auth.user(environ)

    assert site.logged_in("Ada").do(view) == bob


def test_a_disabled_account_is_nobody_whatever_its_version(site: AuthSite, ada: User) -> None:
    """A table of one's own may know nothing of versions. It holds for a login that is just being stored, too."""
    here, there = site.logged_in("Ada"), site.browser()
    find = site.users.behind.get
    site.users.behind.get = lambda id: replace(find(id), is_active=False)

    there.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))

    assert "sid" not in there.cookies
    assert here.who() is None


def test_an_account_is_seen_as_it_is_now(site: AuthSite, ada: User) -> None:
    """A new hash by newer settings, for one, ends no session."""
    browser = site.logged_in("Ada")
    site.users.set_password(ada.id, "newer", expect=ada.password_hash, ends_sessions=False)

    assert browser.do(site.auth.user).password_hash == "newer"


@on_both_media
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("disable", "disabled"),
        ("disable and enable", "elsewhere"),
        ("delete", "disabled"),
        ("rename", "elsewhere"),
        ("new password", "elsewhere"),
    ],
)
def test_who_lost_the_right_is_nobody_from_the_next_request_on(
    site: AuthSite, ada: User, change: str, reason: str
) -> None:
    """And the session is over, its record too (ASVS 5.0 7.4.2; CVE-2023-40273). Its browser is told why."""
    browser = site.logged_in("Ada")
    browser.do(lambda environ: get_session(environ).update(secret="Ada's"))
    if change.startswith("disable"):
        site.users.set_active(ada.id, False)
    if change == "disable and enable":
        site.users.set_active(ada.id, True)
    if change == "delete":
        site.users.delete(ada.id)
    if change == "rename":
        site.users.rename(ada.id, "lovelace", "Lovelace")
    if change == "new password":
        site.users.set_password(ada.id, "new", expect=ada.password_hash, ends_sessions=True)

    def view(environ: dict[str, Any]) -> tuple[User | None, str | None, dict[str, Any]]:
        return site.auth.user(environ), get_session(environ).username, get_session(environ).copy()

    assert browser.do(view) == (None, None, {})
    assert [event.detail for event in site.told("session.ended")] == [reason]
    assert browser.do(lambda environ: get_session(environ).ended_because, method="GET") == reason
    assert browser.do(view) == (None, None, {})
    assert len(site.told("session.ended")) == 1
    assert owners(site) == set()


def test_who_lost_the_right_while_the_body_is_sent_is_nobody_there(site: AuthSite, ada: User) -> None:
    """The cookie cannot be taken away any more, and that is no reason to fail."""
    browser = site.logged_in("Ada")
    seen: list[Any] = []

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        seen.append(get_session(environ).username)
        yield b"one"
        site.users.set_active(ada.id, False)
        seen.append(site.auth.user(environ))
        yield b"two"

    browser.client.app = site.wrapped(app)

    assert browser.client.get("/").body == b"onetwo"
    assert seen == ["Ada", None]


def test_who_it_was_cannot_be_asked_when_the_request_is_over(site: AuthSite, ada: User) -> None:
    """A thread or a job that first asks then gets an error, and not "nobody". What was known by then stays known."""
    browser = site.logged_in("Ada")
    kept: list[dict[str, Any]] = []
    browser.do(kept.append)
    browser.do(lambda environ: (site.auth.user(environ), kept.append(environ)))
    never_asked, asked = kept

    for ask in (site.auth.user, site.auth.require_user, site.auth.sessions):
        with pytest.raises(SessionClosed):
            ask(never_asked)
    assert (site.auth.user(asked), site.auth.require_user(asked)) == (ada, ada)


def test_a_name_that_was_assigned_by_hand_is_no_account(site: AuthSite, ada: User) -> None:
    """Nothing says which version it was, so `user` does not know them; the session stays as it is."""
    browser = site.browser()
    browser.do(lambda environ: setattr(get_session(environ), "username", "Ada"))

    assert browser.who() is None
    assert browser.do(lambda environ: get_session(environ).username) == "Ada"


# Logging out


@on_both_media
def test_a_logout_ends_the_session_and_takes_the_cookie(site: AuthSite, ada: User) -> None:
    """The old cookie is worth nothing, wherever a copy of it is."""
    browser = site.logged_in("Ada")
    thief, latecomer = browser.copied(), browser.copied()
    assert thief.who() == "Ada"

    browser.do(site.auth.logout)

    assert "sid" not in browser.cookies
    assert browser.who() is None
    assert thief.who() is None
    site.clock.tick(61)
    assert latecomer.who() is None
    assert [(event.account, event.user_id) for event in site.told("login.ended")] == [("ada", ada.id)]


@on_both_media
def test_a_request_that_began_before_a_logout_brings_nothing_back(site: AuthSite, ada: User) -> None:
    """What it writes is dropped, and it sets no cookie."""
    browser = site.logged_in("Ada")
    slow = browser.copied()

    def view(environ: dict[str, Any]) -> User | None:
        get_session(environ)["draft"] = "x"
        browser.do(site.auth.logout)
        return site.auth.user(environ)

    user, response = slow.visit(view)

    assert user == ada  # as it was when this request looked
    assert response.headers.getall("Set-Cookie") == []
    assert (browser.who(), slow.who()) == (None, None)
    assert owners(site) == set()


def test_a_logout_of_nobody_does_nothing(site: AuthSite) -> None:
    """No record, no cookie, no event (CVE-2015-5963)."""
    _, response = site.browser().visit(site.auth.logout, method="POST")

    assert site.store.scan() == []
    assert response.headers.getall("Set-Cookie") == []
    assert site.told("login.ended") == []


def test_a_logout_ends_this_session_only(site: AuthSite, ada: User) -> None:
    """Others go on."""
    here, there = site.logged_in("Ada"), site.logged_in("Ada")

    here.do(site.auth.logout)

    assert (here.who(), there.who()) == (None, "Ada")


@on_both_media
def test_a_logout_everywhere_ends_all_sessions_of_the_user_and_nobody_elses(site: AuthSite, ada: User) -> None:
    """At once: their records are over, and a new version says so to whatever is on its way."""
    site.register("Bob")
    here, there, bob = site.logged_in("Ada"), site.logged_in("Ada"), site.logged_in("Bob")
    handles = {hex_of(here), hex_of(there)}
    site.events.clear()

    here.do(lambda environ: site.auth.logout(environ, everywhere=True))

    assert {event.session_id for event in site.told("session.ended")} == handles
    assert [browser.do(lambda environ: get_session(environ).username) for browser in (here, there)] == [None, None]
    assert (here.who(), there.who(), bob.who()) == (None, None, "Bob")
    assert (now := site.users.get(ada.id)) is not None
    assert (now.session_version, now.password_hash) == (ada.session_version + 1, ada.password_hash)
    assert [event.detail for event in site.told("login.ended")] == ["everywhere"]
    assert site.logged_in("Ada").who() == "Ada"


@on_both_media
def test_a_logout_everywhere_works_for_an_account_without_a_password(site: AuthSite) -> None:
    """It logs in some other way."""
    user = site.users.add("ada", "Ada", None, {})
    here, there = site.browser(), site.browser()
    for browser in (here, there):
        browser.do(lambda environ: site.auth.login_user(environ, user))

    here.do(lambda environ: site.auth.logout(environ, everywhere=True))

    assert (here.who(), there.who()) == (None, None)


def test_a_session_that_lost_its_right_cannot_end_the_others(site: AuthSite, ada: User) -> None:
    """Its logout is its own: a cookie that was stolen earlier must not log the owner out."""
    stale = site.logged_in("Ada")
    site.users.set_password(ada.id, CHEAP.hash("a new password"), expect=ada.password_hash, ends_sessions=True)
    fresh = site.logged_in("Ada", "a new password")

    with pytest.raises(NotLoggedIn):
        stale.do(lambda environ: site.auth.logout(environ, everywhere=True))

    assert (stale.who(), fresh.who()) == (None, "Ada")
    assert len(site.manager.of(user_id=ada.id)) == 1


def test_a_logout_everywhere_by_a_replaced_cookie_ends_this_session_alone(site: AuthSite, ada: User) -> None:
    """The cookie's right to the account is gone, so it may not end the others. The caller is told."""
    browser, elsewhere = site.logged_in("Ada"), site.logged_in("Ada")
    late = browser.copied()
    browser.do(lambda environ: get_session(environ).renew_token())

    with pytest.raises(NotLoggedIn):
        late.do(lambda environ: site.auth.logout(environ, everywhere=True))

    assert (browser.who(), elsewhere.who()) == (None, "Ada")


def test_login_without_the_cookie_that_a_browser_may_have_kept_back_is_refused() -> None:
    """A trusted partner's form comes without a Lax cookie, and a login there would replace the visitor's session."""
    site = AuthSite(trusted_origins=["https://partner.example"])
    user = site.register("Ada")
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://partner.example"}

    with pytest.raises(CrossOriginRefused):
        site.browser().do(lambda environ: site.auth.login_user(environ, user), headers=headers)

    assert site.store.scan() == []


@on_both_media
def test_a_logout_everywhere_meets_a_change_of_the_password(site: AuthSite, ada: User) -> None:
    """Whatever hash is there by then, the version goes up."""
    browser = site.logged_in("Ada")
    set_password: Callable[..., bool] = site.users.behind.set_password
    hashes = iter(["one", "two"])

    def change_first(id: str, new: str, **how: bool | str) -> bool:
        if (hash := next(hashes, None)) is not None:
            now = site.users.behind.get(ada.id)
            set_password(ada.id, hash, expect=now.password_hash, ends_sessions=False)
        return set_password(id, new, **how)

    site.users.behind.set_password = change_first
    browser.do(lambda environ: site.auth.logout(environ, everywhere=True))

    assert (now := site.users.get(ada.id)) is not None
    assert (now.password_hash, now.session_version) == ("two", ada.session_version + 1)


def test_a_table_that_never_says_yes_hangs_nothing(ada: User, site: AuthSite) -> None:
    """One of one's own that forgets to return whether it changed the account is told so, after a while."""
    browser = site.logged_in("Ada")
    site.users.behind.set_password = lambda *args, **how: None

    def view(environ: dict[str, Any]) -> None:
        with pytest.raises(StoreUnavailable, match="set_password"):
            site.auth.logout(environ, everywhere=True)

    browser.do(view)


# Registering


@on_both_media
def test_registering_makes_an_account_and_logs_in(site: AuthSite) -> None:
    """The name as it was typed, the password as argon2id, what else was given as data."""
    browser = site.browser()

    user = browser.do(lambda environ: site.auth.register(environ, "Ada", PASSWORD, data={"email": "ada@example.org"}))

    assert browser.who() == "Ada"
    assert site.users.find_by_key("ada") == user
    assert dict(user.data) == {"email": "ada@example.org"}
    assert user.password_hash.startswith("$argon2id$")
    assert CHEAP.verify(user.password_hash, PASSWORD)


def test_registering_without_login_leaves_the_session_alone(site: AuthSite) -> None:
    """Nothing is written to it."""
    _, response = site.browser().visit(
        lambda environ: site.auth.register(environ, "Ada", PASSWORD, login=False), method="POST"
    )

    assert site.users.find_by_key("ada") is not None
    assert site.store.scan() == []
    assert response.headers.getall("Set-Cookie") == []


def test_a_password_is_nowhere_but_in_its_hash(site: AuthSite, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the account, the session, an event, a log line or an error's text."""
    caplog.set_level(logging.DEBUG)
    browser = site.browser()
    user = browser.do(lambda environ: site.auth.register(environ, "Ada", PASSWORD))
    browser.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))
    texts = [repr(user), str(user.data), repr(site.events), caplog.text, repr(site.auth)]
    for name in ("Ada", PASSWORD):  # people type it into the wrong field
        with pytest.raises(LoginFailed) as failed:
            site.auth.authenticate(site.manager, name, PASSWORD + "!")
        texts.append(repr(failed.value))
    texts += [repr(site.events), caplog.text]

    assert "login.failed" in caplog.text
    assert [text for text in texts if PASSWORD in text or user.password_hash in text] == []


def test_a_password_is_in_no_file_and_its_hash_only_where_the_accounts_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is who is logged in to be read where the sessions are: whoever gets that table has nothing."""
    caplog.set_level(logging.DEBUG)
    accounts, sessions = tmp_path / "accounts", tmp_path / "sessions"
    for directory in (accounts, sessions):
        directory.mkdir()
    site = AuthSite(SQLiteUsers(accounts / "a.db"), store=SQLiteStore(sessions / "s.db"))
    browser = site.browser()
    user = browser.do(lambda environ: site.auth.register(environ, "Ada.Lovelace", PASSWORD))
    wrong = [("Ada.Lovelace", PASSWORD + "!"), (PASSWORD, PASSWORD), ("Ada.Lovelace", "\ud800" + PASSWORD)]
    for name, password in wrong:
        with pytest.raises(LoginFailed) as failed:
            browser.do(partial(site.auth.login, username=name, password=password))
        assert PASSWORD not in "".join(traceback.format_exception(failed.value))
    site.logged_in("Ada.Lovelace")

    def content(directory: Path) -> bytes:
        return b"".join(path.read_bytes() for path in directory.iterdir())

    def spellings(text: str) -> list[bytes]:
        return [text.encode(), text.encode("utf-16-le"), text.encode().hex().encode(), b64encode(text.encode())[:-4]]

    assert user.password_hash.encode() in content(accounts)
    assert [each for each in spellings(PASSWORD) if each in content(accounts) + content(sessions)] == []
    for secret in (user.password_hash, user.id, "Ada.Lovelace", "ada.lovelace"):
        assert [each for each in spellings(secret) if each in content(sessions)] == []
    assert bytes.fromhex(user.id) not in content(sessions)
    cookie = urlsafe_b64decode(browser.cookies["sid"])
    assert [each for each in (b"ada", b"Ada", bytes.fromhex(user.id)) if each in cookie] == []
    assert PASSWORD not in caplog.text


@on_both_media
@pytest.mark.parametrize("name", ["Ada", "ADA", "\uff21da"], ids=ascii)
def test_a_name_that_is_taken_is_taken_in_every_spelling(site: AuthSite, ada: User, name: str) -> None:
    """The account stays as it is, and nobody is logged in."""
    browser = site.browser()

    with pytest.raises(UsernameTaken) as taken:
        browser.do(lambda environ: site.auth.register(environ, name, "another long password", data={"n": 1}))

    assert taken.value.status == 409
    assert site.users.find_by_key("ada") == ada
    assert browser.who() is None
    assert [event.account for event in site.told("account.name_taken")] == ["ada"]


def test_a_taken_name_costs_what_a_free_one_costs(site: AuthSite, ada: User) -> None:
    """One hash, made before anybody looks whether the name is there."""
    for name in ("Ada", "Bob"):
        site.hasher.calls.clear()
        try:
            site.browser().do(partial(site.auth.register, username=name, password=PASSWORD))
        except UsernameTaken:
            assert name == "Ada"
        assert site.hasher.calls == ["hash"]


def test_two_spellings_that_race_make_one_account(tmp_path: Path) -> None:
    """Through real requests, side by side, on a real file."""
    site = AuthSite(SQLiteUsers(tmp_path / "app.db"), throttle=None)
    start = threading.Barrier(16)
    outcomes: list[str] = []

    def register(number: int) -> None:
        browser, name = site.browser(), ("Ada" if number % 2 else "ADA")
        start.wait(30)
        try:
            browser.do(lambda environ: site.auth.register(environ, name, PASSWORD))
            outcomes.append(browser.who() or "nobody")
        except UsernameTaken:
            outcomes.append("taken")

    threads = [threading.Thread(target=register, args=(n,), daemon=True) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    user = site.users.find_by_key("ada")
    assert user is not None
    assert sorted(outcomes) == sorted([user.username, *["taken"] * 15])


@pytest.mark.parametrize("name", ["", "ada lovelace", "a\u200bda", "a" * 129], ids=ascii)
def test_what_can_be_no_name_is_refused(site: AuthSite, name: str) -> None:
    """Before anything is hashed."""
    with pytest.raises(UsernameRejected) as rejected:
        site.browser().do(lambda environ: site.auth.register(environ, name, PASSWORD))

    assert rejected.value.status == 422
    assert site.hasher.calls == []


def test_the_policy_is_asked_for_new_passwords_only() -> None:
    """An old one that is shorter still logs in."""
    site = AuthSite(policy=PasswordPolicy(minimum_length=20))
    site.users.add("ada", "Ada", CHEAP.hash("short"), {})

    with pytest.raises(PasswordRejected) as rejected:
        site.browser().do(lambda environ: site.auth.register(environ, "Bob", "nineteen characters"))
    assert rejected.value.reason == "too_short"
    assert site.users.find_by_key("bob") is None
    assert site.logged_in("Ada", "short").who() == "Ada"


@on_both_media
def test_what_is_given_with_an_account_is_data_and_nothing_else(site: AuthSite) -> None:
    """No field of a form decides about the account itself."""
    given: dict[str, Any] = {
        "id": "x",
        "key": "root",
        "session_version": 9,
        "is_active": False,
        "password_hash": "y",
        "data": {"z": 1},
    }

    user = site.browser().do(lambda environ: site.auth.register(environ, "Ada", PASSWORD, data=given))

    assert (user.key, user.session_version, user.is_active) == ("ada", 1, True)
    assert len(user.id) == 32
    assert CHEAP.verify(user.password_hash, PASSWORD)
    assert dict(user.data) == given


@pytest.mark.parametrize("misspelt", [{"logn": False}, {"email": "ada@example.org"}], ids=str)
def test_a_misspelt_option_is_a_mistake_and_not_data(site: AuthSite, misspelt: dict[str, Any]) -> None:
    """Or whoever writes `logn=False` has logged somebody in. There is no account, and nobody is logged in."""
    browser = site.browser()

    with pytest.raises(TypeError, match=next(iter(misspelt))):
        browser.do(lambda environ: site.auth.register(environ, "Ada", PASSWORD, **misspelt))

    assert site.users.find_by_key("ada") is None
    assert browser.who() is None
    assert browser.cookies == {}


@on_both_media
def test_a_registration_that_cannot_be_stored_leaves_nothing(site: AuthSite) -> None:
    """Neither an account nor a session (the hash was already made)."""
    site.users.broken["add"] = StoreUnavailable("the disk is full")
    browser = site.browser()

    _, response = browser.visit(lambda environ: site.auth.register(environ, "Ada", PASSWORD), method="POST")

    assert response.status_code == 503
    assert site.hasher.calls == ["hash"]
    assert site.users.find_by_key("ada") is None
    assert site.store.scan() == []
    assert browser.cookies == {}


def test_a_registration_without_an_address_leaves_nothing() -> None:
    """A `client_address` that fails does so before there is an account of which the visitor never hears."""
    site = AuthSite(client_address=lambda environ: environ["HTTP_X_REAL_IP"])

    with pytest.raises(KeyError):
        site.browser().do(lambda environ: site.auth.register(environ, "Ada", PASSWORD))
    assert site.users.find_by_key("ada") is None


def test_an_account_whose_response_failed_is_there_and_not_logged_in(site: AuthSite) -> None:
    """No half of an account, and no session of a login that the browser never heard of."""
    browser = site.browser()

    browser.do(lambda environ: site.auth.register(environ, "Ada", PASSWORD), status="500 Oh")

    assert browser.who() is None
    assert site.logged_in("Ada").who() == "Ada"


# New hashes at login


@pytest.fixture
def newer(site: AuthSite, ada: User) -> AuthSite:
    """The same accounts on a site that hashes by newer settings."""
    return AuthSite(site.users.behind, Argon2Hasher(2, 8, 1))


@on_both_media
def test_a_login_brings_the_hash_up_to_date_and_ends_no_session(site: AuthSite, ada: User, newer: AuthSite) -> None:
    """The version stays, so earlier sessions go on. What `login` returns has the new hash."""
    elsewhere = newer.logged_in("Ada")
    newer.users.set_password(
        ada.id, ada.password_hash, expect=newer.users.get(ada.id).password_hash, ends_sessions=False
    )

    user = newer.browser().do(lambda environ: newer.auth.login(environ, "Ada", PASSWORD))

    assert newer.users.find_by_key("ada") == user
    assert user.password_hash != ada.password_hash
    assert (user.session_version, elsewhere.who()) == (ada.session_version, "Ada")
    assert [event.account for event in newer.told("account.rehashed")] == ["ada", "ada"]
    assert newer.hasher.behind.verify(user.password_hash, PASSWORD) == (True, None, "")


def test_a_wrong_password_changes_no_hash(newer: AuthSite, ada: User) -> None:
    """Whatever its settings."""
    with pytest.raises(LoginFailed):
        newer.auth.authenticate(newer.manager, "Ada", "not the password")

    assert newer.users.find_by_key("ada") == ada


@on_both_media
def test_a_new_hash_never_undoes_a_new_password(newer: AuthSite, ada: User) -> None:
    """A slow login with the old password does not bring the old password back, and does not get in with it."""
    changed = newer.hasher.behind.hash("a new password")
    newer.hasher.after_verify = lambda: newer.users.set_password(
        ada.id, changed, expect=ada.password_hash, ends_sessions=True
    )
    browser = newer.browser()

    browser.do(lambda environ: newer.auth.login(environ, "Ada", PASSWORD))

    assert newer.users.find_by_key("ada").password_hash == changed
    assert newer.told("account.rehashed") == []
    assert browser.who() is None


def test_a_login_holds_if_the_new_hash_cannot_be_stored(newer: AuthSite, ada: User) -> None:
    """Accounts that can only be read, for one. The operator is told."""
    newer.users.broken["set_password"] = StoreUnavailable("read-only")

    browser = newer.logged_in("Ada")

    assert browser.who() == "Ada"
    assert [event.user_id for event in newer.told("store.unavailable")] == [ada.id]


# Other origins


def test_forms_of_another_site_are_refused(site: AuthSite, ada: User) -> None:
    """Nobody is logged in, out or registered by them, nothing is hashed for them, and the operator is told."""
    browser = site.logged_in("Ada")
    site.events.clear()
    site.hasher.calls.clear()
    acts = [
        lambda environ: site.auth.login(environ, "Ada", PASSWORD),
        lambda environ: site.auth.register(environ, "Bob", PASSWORD),
        lambda environ: site.auth.register(environ, "Bob", PASSWORD, login=False),
        lambda environ: site.auth.login_user(environ, ada),
        lambda environ: site.auth.logout(environ),
        lambda environ: site.auth.logout(environ, everywhere=True),
    ]

    for act in acts:
        with pytest.raises(CrossOriginRefused) as refused:
            browser.do(act, headers=FOREIGN)
        assert refused.value.status == 403

    assert [event.client_address for event in site.told("csrf.blocked")] == [ADDRESS] * len(acts)
    assert site.hasher.calls == []
    assert site.users.find_by_key("bob") is None
    assert browser.who() == "Ada"
    assert site.users.get(ada.id).session_version == ada.session_version


def test_nobody_is_logged_in_to_a_form_of_another_site(site: AuthSite, ada: User) -> None:
    """As if the browser had sent no cookie."""
    assert site.logged_in("Ada").do(site.auth.user, headers=FOREIGN) is None


# Without a request


FOR_VISITORS: dict[str, Callable[[Auth, Any, User], object]] = {
    "register(…, login=True)": lambda auth, manager, ada: auth.register(manager, "Bob", PASSWORD),
    "login()": lambda auth, manager, ada: auth.login(manager, "Ada", PASSWORD),
    "logout()": lambda auth, manager, ada: auth.logout(manager, everywhere=True),
    "user()": lambda auth, manager, ada: auth.user(manager),
    "require_user()": lambda auth, manager, ada: auth.require_user(manager),
    "sessions()": lambda auth, manager, ada: auth.sessions(manager),
    "end_session()": lambda auth, manager, ada: auth.end_session(manager, "00" * 16),
    "end_other_sessions()": lambda auth, manager, ada: auth.end_other_sessions(manager),
    "delete_account()": lambda auth, manager, ada: auth.delete_account(manager, PASSWORD),
    "login_user()": lambda auth, manager, ada: auth.login_user(manager, ada),
}


@pytest.mark.parametrize("name", FOR_VISITORS)
def test_what_needs_a_visitor_says_so_when_it_is_given_a_manager(site: AuthSite, ada: User, name: str) -> None:
    """Which method it was, what to pass, and which two take a manager. Nothing is looked up or hashed for it."""
    with pytest.raises(TypeError) as refused:
        FOR_VISITORS[name](site.auth, site.manager, ada)

    assert str(refused.value).startswith(f"{name} needs a visitor")
    for help in ("pass a request", "authenticate()", "register(…, login=False)", "SessionManager"):
        assert help in str(refused.value)
    assert (site.users.taken(), site.hasher.calls, site.events) == ([], [], [])
    assert site.users.get(ada.id) == ada


def test_a_password_can_be_checked_without_a_request(site: AuthSite, ada: User) -> None:
    """In a shell or a job: at the same cost, with the same events, which have no address then."""
    assert site.auth.authenticate(site.manager, "ADA", PASSWORD) == ada
    for name in ("Ada", "Bob"):
        with pytest.raises(LoginFailed):
            site.auth.authenticate(site.manager, name, "not the password")

    assert site.hasher.calls == ["verify"] * 3
    known, unknown = site.events
    assert (known.name, known.account, known.user_id, known.detail) == ("login.failed", "ada", ada.id, "mismatch")
    assert (unknown.name, unknown.user_id, unknown.detail) == ("login.failed", None, "unknown")
    assert [event.client_address for event in site.events] == [None, None]
    assert site.store.scan() == []


@on_both_media
def test_an_account_can_be_made_without_a_request(site: AuthSite) -> None:
    """As completely as by a visitor, whose address the events do not have then."""
    user = site.auth.register(site.manager, "Ada", PASSWORD, login=False, data={"role": "admin"})
    with pytest.raises(UsernameTaken):
        site.auth.register(site.manager, "ADA", PASSWORD, login=False)

    assert site.users.find_by_key("ada") == user
    assert dict(user.data) == {"role": "admin"}
    assert [(event.name, event.account, event.user_id, event.client_address) for event in site.events] == [
        ("account.registered", "ada", user.id, None),
        ("account.name_taken", "ada", None, None),
    ]
    assert site.store.scan() == []
    assert site.logged_in("Ada").who() == "Ada"


def test_an_account_made_without_a_request_keeps_the_rules(site: AuthSite) -> None:
    """Those of names and of passwords hold in a shell too."""
    with pytest.raises(UsernameRejected):
        site.auth.register(site.manager, "ada lovelace", PASSWORD, login=False)
    with pytest.raises(PasswordRejected):
        site.auth.register(site.manager, "Ada", "fourteen chars", login=False)

    assert site.hasher.calls == []
    assert site.events == []


# Several tables, several sites


def test_two_tables_on_one_request_do_not_mix_up_whom_they_remember(site: AuthSite, ada: User) -> None:
    """Each asks its own table, once, even if an account has the same id in both."""
    staff = AuthSite()
    staff.users.behind._put(replace(ada, username="Countess"))

    def view(environ: dict[str, Any]) -> list[str]:
        return [auth.require_user(environ).username for auth in (site.auth, staff.auth, site.auth, staff.auth)]

    assert site.logged_in("Ada").do(view) == ["Ada", "Countess"] * 2
    assert staff.users.taken() == ["get"]


def test_an_auth_that_is_gone_leaves_its_user_to_nobody(site: AuthSite, ada: User) -> None:
    """An object made for one call may get the memory, and so the `id()`, of one that was made for the call before."""
    staff = MemoryUsers()

    def view(environ: dict[str, Any]) -> User | None:
        Auth(site.users, hasher=CHEAP).user(environ)
        return Auth(staff, hasher=CHEAP).user(environ)

    assert site.logged_in("Ada").do(view) is None


@pytest.mark.parametrize("way", ["login", "register"])
def test_whoever_logs_in_by_one_table_is_nobody_to_the_other(site: AuthSite, way: str) -> None:
    """In the same request already, before anything is stored: what the one remembers is not the other's."""
    staff = AuthSite()
    if way == "login":
        staff.register("Bob")

    def view(environ: dict[str, Any]) -> list[User | None]:
        user: User = getattr(staff.auth, way)(environ, "Bob", PASSWORD)
        assert staff.auth.user(environ) == user
        return [site.auth.user(environ), staff.auth.user(environ)]

    browser = site.browser()

    assert browser.do(view) == [None, None]  # the first to whom it is nobody ends the session
    assert browser.cookies == {}


def test_accounts_serve_two_sites_with_different_secrets_at_once(site: AuthSite, ada: User) -> None:
    """Whoever is logged in to one is a stranger to the other; each has its own sessions, events and digests."""
    other = AuthSite(secret=SECRET[::-1])
    other.auth = site.auth
    here, there = site.browser(), other.browser()

    def view(environ: dict[str, Any]) -> list[str | None]:
        site.auth.login(environ, "Ada", PASSWORD)
        seen = [there.who()]
        there.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))
        there.do(site.auth.logout)
        return [*seen, site.auth.require_user(environ).username]

    assert here.do(view) == [None, "Ada"]
    assert (here.who(), there.who()) == ("Ada", None)
    assert AuthBrowser(other, here.client.cookiejar).who() is None
    assert [event.name for event in site.told("login.succeeded", "login.ended")] == ["login.succeeded"]
    assert [event.name for event in other.told("login.succeeded", "login.ended")] == ["login.succeeded", "login.ended"]
    for each in (site, other):
        with pytest.raises(LoginFailed):
            site.auth.authenticate(each.manager, "hunter2", PASSWORD)
    assert site.told("login.failed")[0].account != other.told("login.failed")[0].account


def test_a_logout_everywhere_reaches_the_other_site(site: AuthSite, ada: User) -> None:
    """Where the account is shared its version is, so the sessions there are over at their next request."""
    other = AuthSite(secret=SECRET[::-1])
    other.auth = site.auth
    here, there = site.logged_in("Ada"), other.logged_in("Ada")
    assert (here.who(), there.who()) == ("Ada", "Ada")

    here.do(lambda environ: site.auth.logout(environ, everywhere=True))

    assert (here.who(), there.who()) == (None, None)
    assert owners(other) == set()


def test_the_session_may_be_kept_under_another_key(site: AuthSite, ada: User) -> None:
    """Two middlewares on one request have a session each; each `Auth` works on the one it was told of."""
    auth = Auth(site.users, hasher=site.hasher, environ_key="staff.session")
    inner = AuthSite(cookie=Cookie(name="staff"))
    browser = site.browser()

    def app(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/login":
            auth.login(environ, "Ada", PASSWORD)
        names = [user.username if user else "nobody" for user in (auth.user(environ), site.auth.user(environ))]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [" ".join(names).encode()]

    browser.client.app = site.wrapped(inner.manager.wrap(app, environ_key="staff.session"))

    assert [browser.client.post(path).text for path in ("/login", "/")] == ["Ada nobody"] * 2
    assert list(browser.cookies) == ["staff"]


# Events


def test_events_name_accounts_that_exist_and_nothing_that_was_typed(site: AuthSite, ada: User) -> None:
    """A name that nobody has appears as a digest: the same for its spellings, another for another name."""
    for name in ("ADA", "hunter2", "HUNTER2", "hunter3", "a b\n", "\ud800" * 999):
        with pytest.raises(LoginFailed):
            site.browser().do(partial(site.auth.authenticate, username=name, password="not the password"))
    known, one, same, other, *odd = site.told("login.failed")

    assert (known.account, known.user_id, known.client_address) == ("ada", ada.id, ADDRESS)
    assert one.account == same.account != other.account
    assert {event.user_id for event in (one, other, *odd)} == {None}
    assert all(len(bytes.fromhex(event.account or "")) == 16 for event in (one, other, *odd))
    assert "hunter" not in repr(site.events)


def test_the_digest_of_a_name_takes_the_servers_secret() -> None:
    """Without it nobody finds out by trying which password was typed into the name field."""
    digests = set()
    for secret in (SECRET, SECRET[::-1]):
        site = AuthSite(secret=secret)
        with pytest.raises(LoginFailed):
            site.auth.authenticate(site.manager, "hunter2", PASSWORD)
        digests.add(site.events[0].account)

    assert len(digests) == 2


def test_events_tell_what_happened_in_order(site: AuthSite) -> None:
    """With account, user id and address; the sessions' own events are between them."""
    browser = site.browser()
    user = browser.do(lambda environ: site.auth.register(environ, "Ada", PASSWORD))
    browser.do(site.auth.logout)
    browser.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))
    told = site.told("account.registered", "login.succeeded", "login.ended")

    assert [event.name for event in told] == ["account.registered", "login.succeeded", "login.ended", "login.succeeded"]
    assert {(event.account, event.user_id, event.client_address) for event in told} == {("ada", user.id, ADDRESS)}


def test_the_address_is_the_connections_unless_the_application_knows_better(site: AuthSite, ada: User) -> None:
    """`X-Forwarded-For` is what anybody writes; behind a proxy one passes `client_address=`."""
    with pytest.raises(LoginFailed):
        site.browser().do(lambda environ: site.auth.login(environ, "Ada", "x"), headers={"X-Forwarded-For": "1.2.3.4"})
    assert [event.client_address for event in site.told("login.failed")] == [ADDRESS]

    proxied = AuthSite(client_address=lambda environ: environ["HTTP_X_REAL_IP"])
    with pytest.raises(LoginFailed):
        proxied.browser().do(lambda environ: proxied.auth.login(environ, "Ada", "x"), headers={"X-Real-IP": "1.2.3.4"})
    assert [event.client_address for event in proxied.told("login.failed")] == ["1.2.3.4"]


def test_a_hook_that_fails_changes_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    """Side effects tell nobody whether an account exists (CVE-2024-45231)."""

    def hook(event: Event) -> None:
        raise RuntimeError("the audit log is full")

    site = AuthSite(on_event=hook)
    site.register("Ada")

    assert site.logged_in("Ada").who() == "Ada"
    for name in ("Ada", "Bob"):
        with pytest.raises(LoginFailed):
            site.auth.authenticate(site.manager, name, "not the password")
    assert "the audit log is full" in caplog.text


def test_being_busy_is_no_failed_login(site: AuthSite, ada: User) -> None:
    """The password was not even looked at; the operator is told that memory is short."""

    def out_of_memory() -> None:
        raise Busy(retry_after=5)

    site.hasher.after_verify = out_of_memory

    with pytest.raises(Busy):
        site.browser().do(lambda environ: site.auth.authenticate(environ, "Ada", PASSWORD))
    assert [(event.name, event.client_address) for event in site.events] == [("login.busy", ADDRESS)]


# Settings


@pytest.mark.parametrize(
    "settings",
    [
        {"users": "app.db"},
        {"users": None},
        {"users": MemoryUsers},
        {"policy": 15},
        {"policy": PasswordPolicy},
        {"hasher": Argon2Hasher},
        {"hasher": None},
        {"hasher": types.SimpleNamespace(verify=CHEAP.verify)},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    """When the object is built, not at the first login."""
    working: dict[str, Any] = {"users": MemoryUsers()}
    Auth(**working)

    with pytest.raises(ConfigError):
        Auth(**working | settings)


@pytest.mark.parametrize("name", ["secret", "store", "clock", "on_event", "client_address"])
def test_what_a_site_shares_is_not_a_setting_of_its_accounts(site: AuthSite, name: str) -> None:
    """It is the session's, so that the two cannot disagree."""
    settings: dict[str, Any] = {name: getattr(site, name, None)}

    with pytest.raises(TypeError, match=name):
        Auth(MemoryUsers(), **settings)


class Numbers(MemoryUsers):
    """A table whose ids another table has as well, as with two databases that count."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.user = User("1", name.lower(), name, None)

    def find_by_key(self, key: str) -> User | None:
        return self.user if key == self.user.key else None

    def get(self, id: str) -> User | None:
        return self.user if id == self.user.id else None


@pytest.mark.parametrize("first", [0, 1])
def test_what_one_auth_remembers_is_not_another_ones_answer(first: int) -> None:
    """Two may serve one request: a shop's customers and its staff. Each asks its own table, however they take turns."""
    site = AuthSite()
    auths = [Auth(Numbers(name), hasher=CHEAP) for name in ("Ada", "Bob")]
    one, other = auths[first], auths[1 - first]
    names = ["Ada", "Bob"][first], ["Ada", "Bob"][1 - first]

    def view(environ: dict[str, Any]) -> list[str]:
        one.login_user(environ, User("1", names[0].lower(), names[0], None))
        asked = [one, other, one, other, Auth(Numbers("Eve"), hasher=CHEAP)]
        return [auth.require_user(environ).username for auth in asked]

    browser = site.browser()
    assert browser.do(view) == [names[0], names[1], names[0], names[1], "Eve"]
    assert browser.do(lambda environ: [each.require_user(environ).username for each in auths]) == ["Ada", "Bob"]


def test_auths_of_two_sessions_in_one_request_stay_apart() -> None:
    """One site inside another, each with a session and accounts of its own."""
    outer, inner = AuthSite(), AuthSite(cookie=Cookie(name="inner"))
    auths = [Auth(Numbers("Ada"), hasher=CHEAP), Auth(Numbers("Bob"), hasher=CHEAP, environ_key="inner")]
    seen: list[list[str | None]] = []

    def app(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        auths[0].login_user(environ, User("1", "ada", "Ada", None))
        seen.append([None if (user := auth.user(environ)) is None else user.username for auth in auths])
        auths[1].login_user(environ, User("1", "bob", "Bob", None))
        seen.append([auth.require_user(environ).username for auth in auths])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    TestApp(outer.manager.wrap(inner.manager.wrap(app, environ_key="inner"))).post("/")

    assert seen == [["Ada", None], ["Ada", "Bob"]]


@pytest.mark.parametrize(
    "argument",
    [
        {"send": lambda user, path: None},
        {"verify_legacy": lambda password: True},
        {"describe": lambda: "a browser"},
        {"describe": lambda environ, language: "a browser"},
    ],
    ids=["send", "verify_legacy", "describe", "describe with two"],
)
def test_function_with_other_parameters_is_refused_when_the_auth_is_built(argument: Any) -> None:
    """And not when the first mail is lost."""
    with pytest.raises(ConfigError, match="function that takes"):
        Auth(MemoryUsers(), **argument)


def test_function_whose_parameters_nobody_knows_is_believed() -> None:
    """Such as one in C; and one that takes anything."""
    Auth(MemoryUsers(), send=print, describe=lambda *anything: "a browser", verify_legacy=lambda *both: None)
    Auth(MemoryUsers(), describe=str)


@pytest.mark.parametrize("user", ["Ada", None, {"id": "1"}], ids=repr)
def test_what_is_no_user_cannot_be_logged_in(site: AuthSite, user: Any) -> None:
    """The error blames who passed it, and not the table of accounts."""

    def view(environ: dict[str, Any]) -> None:
        with pytest.raises(TypeError, match="user must be a User, such as"):
            site.auth.login_user(environ, user)

    site.browser().do(view)
