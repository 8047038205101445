"""What is done to accounts by an administrator, by a job, or by their owner's own form: renamed, disabled, erased."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from webtest import TestApp

from sessionware import (
    CrossOriginRefused,
    LoginFailed,
    MemoryStore,
    UsernameRejected,
    UsernameTaken,
    get_session,
)
from sessionware._types import Environ
from sessionware.auth import Auth, User
from sessionware.testing import FaultyStore
from tests.support.auth_kit import PASSWORD, AuthBrowser, AuthSite


@pytest.fixture
def site() -> AuthSite:
    return AuthSite(store=FaultyStore(MemoryStore()))


@pytest.fixture
def ada(site: AuthSite) -> User:
    return site.register("Ada")


def why_ended(browser: AuthBrowser) -> str | None:
    why: str | None = browser.do(lambda environ: get_session(environ).ended_because, method="GET")
    return why


def accepted(site: AuthSite, user: User) -> int:
    """How many sessions of this account are stored that would be let in."""
    now = site.users.behind.get(user.id)
    return 0 if now is None or not now.is_active else len(site.manager.of(now))


Do = Callable[[AuthSite, Any, str], object]

#: Each act, in terms of where it is done and to whom.
ACTS: dict[str, Do] = {
    "rename": lambda site, where, id: site.auth.rename(where, id, "Lovelace"),
    "disable": lambda site, where, id: site.auth.set_active(where, id, False),
    "end_all": lambda site, where, id: site.auth.end_all(where, id),
    "erase": lambda site, where, id: site.auth.erase(where, id),
}
each_act = pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)


# For all of them


@each_act
@pytest.mark.parametrize("by", ["request", "manager"])
def test_all_sessions_of_the_account_end(site: AuthSite, ada: User, act: Do, by: str) -> None:
    """From an administrator's page as from a shell. Nobody else is logged out."""
    site.register("Root")
    admin, browsers = site.logged_in("Root"), [site.logged_in("Ada") for _ in range(3)]

    if by == "request":
        admin.do(lambda environ: act(site, environ, ada.id))
    else:
        act(site, site.manager, ada.id)

    assert [browser.who() for browser in (admin, *browsers)] == ["Root", None, None, None]
    assert site.manager.of(user_id=ada.id) == []


@each_act
@pytest.mark.parametrize("moment", ["verified", "stored"])
def test_login_that_is_under_way_does_not_survive(site: AuthSite, ada: User, act: Do, moment: str) -> None:
    """Whether its password was checked before, or it is stored already. Its browser gets no cookie."""
    browser, done = site.browser(), list[object]()

    def meanwhile() -> None:
        if not done:
            done.append(act(site, site.manager, ada.id))

    if moment == "verified":
        site.hasher.after_verify = meanwhile
    else:
        site.users.meanwhile["before get"] = meanwhile
    browser.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))

    assert len(done) == 1
    assert (browser.who(), "sid" in browser.cookies, accepted(site, ada)) == (None, False, 0)


@each_act
def test_session_is_refused_though_it_could_not_be_ended(site: AuthSite, ada: User, act: Do) -> None:
    """The store is down, but the account has changed already. A second call ends what is left."""
    browser, faulty = site.logged_in("Ada"), site.store
    assert isinstance(faulty, FaultyStore)
    faulty.broken.add("owned_by")
    with pytest.raises(Exception, match="told to fail"):
        act(site, site.manager, ada.id)
    faulty.broken.clear()
    assert len(site.manager.of(user_id=ada.id)) == 1

    act(site, site.manager, ada.id)

    assert site.manager.of(user_id=ada.id) == []
    assert browser.who() is None


@each_act
@pytest.mark.parametrize("id", ["", None, 7], ids=repr)
def test_what_cannot_be_an_id_is_a_mistake(site: AuthSite, ada: User, act: Do, id: Any) -> None:
    """Such as the account itself, or a field that was left empty."""
    with pytest.raises((TypeError, ValueError), match="user_id"):
        act(site, site.manager, id)
    with pytest.raises(TypeError, match="user_id"):
        act(site, site.manager, ada)  # type: ignore[arg-type]


@each_act
def test_account_that_is_not_there_changes_nothing(site: AuthSite, ada: User, act: Do) -> None:
    """And the caller is told."""
    browser = site.logged_in("Ada")
    site.events.clear()

    assert not act(site, site.manager, "00" * 16)
    assert (browser.who(), site.events) == ("Ada", [])


@each_act
def test_another_sites_form_does_none_of_it(site: AuthSite, ada: User, act: Do) -> None:
    """Though an administrator is logged in where it was sent from."""
    site.register("Root")
    admin, browser = site.logged_in("Root"), site.logged_in("Ada")

    def view(environ: Environ) -> None:
        with pytest.raises(CrossOriginRefused):
            act(site, environ, ada.id)

    admin.do(view, headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"})

    assert browser.who() == "Ada"


@each_act
def test_request_that_ends_its_own_session_sees_that(site: AuthSite, ada: User, act: Do) -> None:
    """An administrator may do it to her own account. But for a new name, it logs her out."""
    browser = site.logged_in("Ada")

    def view(environ: Environ) -> str | None:
        act(site, environ, ada.id)
        user = site.auth.user(environ)
        return None if user is None else user.username

    expected = "Lovelace" if act is ACTS["rename"] else None
    assert browser.do(view) == expected
    assert browser.who() == expected


each_ending = pytest.mark.parametrize(
    "act", [ACTS["disable"], ACTS["end_all"], ACTS["erase"]], ids=["disable", "end_all", "erase"]
)


@each_ending
def test_browser_that_ended_its_own_session_is_told_nothing(site: AuthSite, ada: User, act: Do) -> None:
    """It knows why, as after a logout, and so "your account was disabled" would be wrong. The others are told."""
    mine, other = site.logged_in("Ada"), site.logged_in("Ada")

    mine.do(lambda environ: act(site, environ, ada.id))

    assert (why_ended(mine), mine.who(), mine.cookies) == (None, None, {})
    assert why_ended(other) in ("disabled", "admin")


@each_ending
def test_message_for_the_next_page_outlives_the_session(site: AuthSite, ada: User, act: Do) -> None:
    """ "Your account is gone", which a view leaves for the page that it redirects to."""
    browser = site.logged_in("Ada")

    def view(environ: Environ) -> None:
        act(site, environ, ada.id)
        get_session(environ).flash("Goodbye.")

    browser.do(view)

    assert browser.do(lambda environ: get_session(environ).pop_flash(), method="GET") == ["Goodbye."]
    assert site.told("session.write_discarded") == []


@each_ending
def test_own_session_is_ended_after_the_headers_too(site: AuthSite, ada: User, act: Do) -> None:
    """By a body that is still being made. There the cookie stays, and so the next request is told why."""
    browser, doing = site.logged_in("Ada"), list[str]()

    def app(environ: Environ, start_response: Any) -> Any:
        site.auth.user(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"done"
        act(site, environ, ada.id)
        doing.append("done")

    TestApp(site.wrapped(app), cookiejar=browser.client.cookiejar).post("/")

    assert doing == ["done"]
    assert why_ended(browser) in ("disabled", "admin")


def test_own_session_is_counted_too(site: AuthSite, ada: User) -> None:
    """Two browsers were logged in, and this is one of them."""
    mine, _other = site.logged_in("Ada"), site.logged_in("Ada")

    assert mine.do(lambda environ: site.auth.end_all(environ, ada.id)) == 2


# Another name


def test_the_new_name_logs_in_and_the_old_one_does_not(site: AuthSite, ada: User) -> None:
    """Under the key of the new one, in the spelling that was typed."""
    assert site.auth.rename(site.manager, ada.id, "Countess-Lovelace") is True

    assert site.logged_in("countess-lovelace").who() == "Countess-Lovelace"
    with pytest.raises(LoginFailed):
        site.auth.authenticate(site.manager, "Ada", PASSWORD)


def test_owners_session_goes_on_under_the_new_name(site: AuthSite, ada: User) -> None:
    """With a new token. All others end: they carry the old name, which may soon be somebody else's."""
    mine, other = site.logged_in("Ada"), site.logged_in("Ada")
    thief = mine.copied()

    assert mine.do(lambda environ: site.auth.rename(environ, ada.id, "Lovelace")) is True

    assert (mine.who(), other.who(), thief.who()) == ("Lovelace", None, None)
    assert mine.do(lambda environ: get_session(environ).username, method="GET") == "Lovelace"
    assert why_ended(other) == "elsewhere"
    (info,) = site.manager.of(user_id=ada.id)
    assert info.id == mine.do(lambda environ: get_session(environ).id)


def test_new_name_is_no_new_login(site: AuthSite, ada: User) -> None:
    """Nothing was proved, so the session is no fresher than it was."""
    browser = site.logged_in("Ada")
    logged_in_at = site.clock.now
    site.clock.tick(3600)

    browser.do(lambda environ: site.auth.rename(environ, ada.id, "Lovelace"))

    assert browser.do(lambda environ: get_session(environ).authenticated_at) == logged_in_at


def test_sessions_that_an_administrator_renamed_are_told_so(site: AuthSite, ada: User) -> None:
    """The owner did not do it."""
    browser = site.logged_in("Ada")

    site.auth.rename(site.manager, ada.id, "Lovelace")

    assert why_ended(browser) == "admin"


def test_name_that_is_taken_is_refused(site: AuthSite, ada: User) -> None:
    """In any spelling; and nobody is logged out by the attempt."""
    site.register("Grace")
    browser = site.logged_in("Ada")

    with pytest.raises(UsernameTaken):
        site.auth.rename(site.manager, ada.id, "\uff27RACE")
    assert browser.who() == "Ada"


@pytest.mark.parametrize("name", ["", "two words", "\u202eada", "x" * 129])
def test_name_that_cannot_be_one_is_refused(site: AuthSite, ada: User, name: str) -> None:
    """By the rules of a registration."""
    with pytest.raises(UsernameRejected):
        site.auth.rename(site.manager, ada.id, name)
    assert site.users.behind.get(ada.id) == ada


def test_another_spelling_of_the_same_name_is_another_name(site: AuthSite, ada: User) -> None:
    """It is what others see."""
    assert site.auth.rename(site.manager, ada.id, "ADA") is True
    assert site.users.behind.get(ada.id).username == "ADA"


def test_name_that_somebody_has_already_logs_nobody_out(site: AuthSite, ada: User) -> None:
    """Nothing changes, and nothing is reported."""
    browser = site.logged_in("Ada")
    site.events.clear()

    assert site.auth.rename(site.manager, ada.id, "Ada") is True
    assert (browser.who(), site.events) == ("Ada", [])


def test_session_that_was_refused_before_is_not_renewed_by_it(site: AuthSite, ada: User) -> None:
    """A thief's, from before the password was changed, which renames the account while nobody asks whose it is."""
    thief = site.logged_in("Ada")
    site.users.behind.set_password(ada.id, ada.password_hash, expect=ada.password_hash, ends_sessions=True)

    thief.do(lambda environ: site.auth.rename(environ, ada.id, "Lovelace"))

    assert thief.who() is None


def test_rename_that_loses_its_session_to_another_request_is_told(site: AuthSite, ada: User) -> None:
    """The account has its new name. This browser logs in again, like the others."""
    browser = site.logged_in("Ada")
    tab = browser.copied()
    faulty: Any = site.store
    site.users.meanwhile["after rename"] = lambda: faulty.before.update(
        replace=lambda: tab.do(lambda environ: get_session(environ).renew_token())
    )

    _, response = browser.visit(lambda environ: site.auth.rename(environ, ada.id, "Lovelace"), method="POST")

    assert [line.split("=")[0] for line in response.headers.getall("Set-Cookie")] == ["sid_known"]
    (event,) = site.told("session.write_discarded")
    assert "rename()" in event.detail
    assert (browser.who(), tab.who(), site.logged_in("Lovelace").who()) == (None, None, "Lovelace")


def test_rename_is_reported_with_both_names(site: AuthSite, ada: User) -> None:
    """Whoever reads the log later looks for either."""
    site.auth.rename(site.manager, ada.id, "Lovelace")

    (event,) = site.told("account.renamed")
    assert (event.user_id, event.account, event.detail) == (ada.id, "lovelace", "was ada, by a job")


# Disabled and enabled


def test_disabled_account_cannot_log_in(site: AuthSite, ada: User) -> None:
    """And the browser that was logged in is told why it is not any more."""
    browser = site.logged_in("Ada")

    assert site.auth.set_active(site.manager, ada.id, False) is True

    assert why_ended(browser) == "disabled"
    with pytest.raises(LoginFailed):
        site.auth.authenticate(site.manager, "Ada", PASSWORD)


def test_enabling_brings_no_session_back(site: AuthSite, ada: User) -> None:
    """Not even one that could not be ended (ASVS 5.0 7.4.2). But the owner can log in again."""
    faulty: Any = site.store
    browser = site.logged_in("Ada")
    faulty.broken.add("owned_by")
    with pytest.raises(Exception, match="told to fail"):
        site.auth.set_active(site.manager, ada.id, False)
    faulty.broken.clear()

    assert site.auth.set_active(site.manager, ada.id, True) is True

    assert browser.who() is None
    assert site.logged_in("Ada").who() == "Ada"


def test_both_are_reported_once(site: AuthSite, ada: User) -> None:
    """What is so already is no event."""
    for is_active in (False, False, True, True):
        site.auth.set_active(site.manager, ada.id, is_active)

    told = site.told("account.disabled", "account.enabled")
    assert [(event.name, event.user_id) for event in told] == [
        ("account.disabled", ada.id),
        ("account.enabled", ada.id),
    ]


def test_enabling_ends_nothing(site: AuthSite, ada: User) -> None:
    """Nor does saying once more that it is enabled."""
    browser = site.logged_in("Ada")

    site.auth.set_active(site.manager, ada.id, True)

    assert browser.who() == "Ada"


@pytest.mark.parametrize("value", ["no", 0, None])
def test_only_true_and_false_say_whether_it_is_active(site: AuthSite, ada: User, value: Any) -> None:
    """A form's "no" is true."""
    with pytest.raises(TypeError, match="is_active"):
        site.auth.set_active(site.manager, ada.id, value)


# Everywhere, and for good


def test_ending_all_counts_them_and_says_why(site: AuthSite, ada: User) -> None:
    """By the reason that was given."""
    browsers = [site.logged_in("Ada") for _ in range(3)]

    assert site.auth.end_all(site.manager, ada.id, reason="password") == 3
    assert [why_ended(browser) for browser in browsers] == ["password"] * 3
    (event,) = site.told("login.ended")
    assert (event.user_id, event.detail) == (ada.id, "3 sessions, reason password, by a job")


def test_reason_that_there_is_not_ends_nothing(site: AuthSite, ada: User) -> None:
    """It would be told to people."""
    browser = site.logged_in("Ada")

    with pytest.raises(ValueError, match="elsewhere, limit"):
        site.auth.end_all(site.manager, ada.id, reason="because")  # type: ignore[arg-type]
    assert browser.who() == "Ada"


def test_erased_account_is_gone(site: AuthSite, ada: User) -> None:
    """Its name is free, and no session is stored that belongs to it."""
    browser = site.logged_in("Ada")

    assert site.auth.erase(site.manager, ada.id) is True
    assert site.auth.erase(site.manager, ada.id) is False

    assert site.users.behind.get(ada.id) is None
    assert why_ended(browser) == "disabled"
    assert all(record.owner is None for record in site.store.scan())
    assert site.register("Ada").id != ada.id


def test_erasing_is_reported_once(site: AuthSite, ada: User) -> None:
    """With the name that it had."""
    site.auth.erase(site.manager, ada.id)
    site.auth.erase(site.manager, ada.id)

    (event,) = site.told("account.deleted")
    assert (event.user_id, event.account) == (ada.id, "ada")


def test_a_manager_needs_no_request_and_others_do(site: AuthSite, ada: User) -> None:
    """What only a visitor can do says so."""
    manager: Any = site.manager
    for call in (
        lambda: site.auth.change_password(manager, PASSWORD, PASSWORD),
        lambda: site.auth.request_reset(manager, "Ada"),
        lambda: Auth.login(site.auth, manager, "Ada", PASSWORD),
    ):
        with pytest.raises(TypeError, match="needs a visitor"):
            call()
