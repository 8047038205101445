"""Step-up: a page may ask for a proof that is fresh, or for a second factor, and the password once more gives one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sessionware import CrossOriginRefused, LoginFailed, NotFresh, NotLoggedIn, StoreUnavailable, get_session
from sessionware._types import Environ
from sessionware.auth import Auth, User
from tests.support.auth_kit import PASSWORD, AuthBrowser, AuthSite

Act = Callable[[Environ], Any]
DAY = 24 * 3600


@pytest.fixture
def site() -> AuthSite:
    site = AuthSite()
    site.register("Ada")
    return site


def missing(site: AuthSite, browser: AuthBrowser, **demand: Any) -> tuple[str, ...] | None:
    """What `require_user` misses; None if it is content."""

    def view(environ: Environ) -> tuple[str, ...] | None:
        try:
            site.auth.require_user(environ, **demand)
        except NotFresh as error:
            return error.methods
        return None

    found: tuple[str, ...] | None = browser.do(view, method="GET")
    return found


def confirm(site: AuthSite, browser: AuthBrowser, password: str = PASSWORD, **how: Any) -> Any:
    """What `confirm` raises; None if it is content."""

    def view(environ: Environ) -> Exception | None:
        try:
            site.auth.confirm(environ, password)
        except Exception as error:
            return error
        return None

    return browser.do(view, **how)


def ada_of(site: AuthSite) -> User:
    user: User = site.users.find_by_key("ada")
    return user


def prove_totp(browser: AuthBrowser, **how: Any) -> None:
    browser.do(lambda environ: get_session(environ).renew_token(methods=("totp",)), **how)


# What is asked for


@pytest.mark.parametrize("fresh", [300, timedelta(minutes=5)], ids=["seconds", "timedelta"])
def test_login_is_fresh_for_as_long_as_the_page_says(site: AuthSite, fresh: Any) -> None:
    """To the second. Then the password is missing."""
    browser = site.logged_in("Ada")

    site.clock.tick(300)
    assert missing(site, browser, fresh=fresh) is None
    site.clock.tick(1)
    assert missing(site, browser, fresh=fresh) == ("password",)


def test_what_is_missing_is_an_error_like_the_others(site: AuthSite) -> None:
    """With a status, a reason for programs, and the session that it is about."""
    browser = site.logged_in("Ada")

    def view(environ: Environ) -> NotFresh:
        with pytest.raises(NotFresh) as refused:
            site.auth.require_user(environ, methods=("totp",))
        return refused.value

    error = browser.do(view)

    assert (error.status, error.reason, error.environ_key) == (403, "not_fresh", "sessionware.session")


def test_nobody_is_not_stale(site: AuthSite) -> None:
    """Whoever is not logged in has to log in, whatever else the page asks for."""

    def view(environ: Environ) -> None:
        with pytest.raises(NotLoggedIn):
            site.auth.require_user(environ, fresh=300, methods=("totp",))

    site.browser().do(view)


def test_method_that_was_not_proved_is_missing(site: AuthSite) -> None:
    """Each by its name, in the order in which the page asks for them."""
    browser = site.logged_in("Ada")

    assert missing(site, browser, methods=("password",)) is None
    assert missing(site, browser, methods=("totp", "password", "key")) == ("totp", "key")


def test_login_user_proves_what_it_is_told_and_no_more(site: AuthSite) -> None:
    """Who was logged in by a sign-in service has not typed a password here."""
    by_service, by_two = site.browser(), site.browser()
    by_service.do(lambda environ: site.auth.login_user(environ, ada_of(site)))
    by_two.do(lambda environ: site.auth.login_user(environ, ada_of(site), methods=("password", "totp")))

    assert missing(site, by_service, methods=("password",)) == ("password",)
    assert missing(site, by_two, methods=("password", "totp")) is None


def test_registration_proves_a_password(site: AuthSite) -> None:
    """It was typed a moment ago."""
    browser = site.browser()
    browser.do(lambda environ: site.auth.register(environ, "Bob", PASSWORD))

    assert missing(site, browser, methods=("password",), fresh=1) is None


def test_each_method_has_to_be_fresh_of_its_own(site: AuthSite) -> None:
    """A second factor of a moment ago does not freshen the password of last hour, nor the other way round."""
    browser = site.logged_in("Ada")
    site.clock.tick(3600)
    prove_totp(browser)

    assert missing(site, browser, methods=("password", "totp")) is None
    assert missing(site, browser, methods=("password", "totp"), fresh=60) == ("password",)
    assert missing(site, browser, methods=("totp",), fresh=60) is None
    site.clock.tick(61)
    assert missing(site, browser, methods=("totp",), fresh=60) == ("totp",)


def test_second_factor_is_gone_with_the_login_that_it_belonged_to(site: AuthSite) -> None:
    """Logging in again begins with nothing proved but the password."""
    browser = site.logged_in("Ada")
    prove_totp(browser)
    browser.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD))

    assert missing(site, browser, methods=("totp",)) == ("totp",)


@pytest.mark.parametrize("demand", [{"fresh": 300}, {"fresh": 300, "methods": ("password",)}], ids=["login", "method"])
def test_clock_set_back_makes_nothing_fresh(site: AuthSite, demand: Any) -> None:
    """What was proved in the future would stay fresh until the clock gets there. A minute is what clocks may differ."""
    browser = site.logged_in("Ada")

    site.clock.tick(-60)
    assert missing(site, browser, **demand) is None
    site.clock.tick(-1)
    assert missing(site, browser, **demand) == ("password",)


@pytest.mark.parametrize(
    ("demand", "error"),
    [
        ({"fresh": 0}, ValueError),
        ({"fresh": -1}, ValueError),
        ({"fresh": timedelta(0)}, ValueError),
        ({"fresh": "300"}, TypeError),
        ({"fresh": 300.0}, TypeError),
        ({"fresh": True}, TypeError),
        ({"methods": "totp"}, TypeError),
        ({"methods": (1,)}, TypeError),
        ({"methods": ("",)}, ValueError),
        ({"methods": ("x" * 33,)}, ValueError),
        ({"methods": [f"m{n}" for n in range(9)]}, ValueError),
    ],
    ids=str,
)
def test_nonsense_is_refused_whoever_is_logged_in(site: AuthSite, demand: Any, error: type[Exception]) -> None:
    """At the first visit of anybody, and not only when somebody's login has become stale."""

    def view(environ: Environ) -> None:
        with pytest.raises(error):
            site.auth.require_user(environ, **demand)

    site.browser().do(view)
    site.logged_in("Ada").do(view)


def test_asking_costs_no_more_than_require_user(site: AuthSite) -> None:
    """What was proved is in the session, which is read once."""
    browser = site.logged_in("Ada")
    site.users.taken()

    missing(site, browser, fresh=300, methods=("password",))

    assert site.users.taken() == ["get"]


# The password once more


def test_confirmed_login_is_fresh_again(site: AuthSite) -> None:
    """The login and the method, from now on, with a new lifetime."""
    browser = site.logged_in("Ada")
    site.clock.tick(DAY // 3)
    before = browser.do(lambda environ: get_session(environ).ends_at)

    assert confirm(site, browser) is None

    now = int(site.clock.now)
    at, ends_at, methods = browser.do(
        lambda environ: (
            (session := get_session(environ)).authenticated_at,
            session.ends_at,
            dict(session.methods),
        )
    )
    assert (at, methods) == (now, {"password": now})
    assert (ends_at, before) == (now + 7 * DAY, now - DAY // 3 + 7 * DAY)
    assert missing(site, browser, fresh=60, methods=("password",)) is None


def test_confirming_is_seen_in_the_same_request(site: AuthSite) -> None:
    """A form may ask for the password and do at once what needs it."""
    browser = site.logged_in("Ada")
    site.clock.tick(3600)

    def view(environ: Environ) -> str:
        site.auth.confirm(environ, PASSWORD)
        return site.auth.require_user(environ, fresh=60).username

    assert browser.do(view) == "Ada"


def test_confirming_keeps_session_data_and_a_second_factor(site: AuthSite) -> None:
    """It is the same login, so nothing is lost; the old token is dead (ASVS 5.0 7.2.4)."""
    browser = site.logged_in("Ada")
    prove_totp(browser)
    browser.do(lambda environ: get_session(environ).update(cart=["tea"]))
    thief, id = browser.copied(), browser.do(lambda environ: get_session(environ).id)

    confirm(site, browser)
    site.clock.tick(61)

    assert browser.do(lambda environ: (get_session(environ).id, get_session(environ)["cart"])) == (id, ["tea"])
    assert missing(site, browser, methods=("totp", "password")) is None
    assert (browser.who(), thief.who()) == ("Ada", None)


def test_remembered_session_is_not_prolonged_by_a_password_alone(site: AuthSite) -> None:
    """How long it lasts was granted when somebody asked for it."""
    browser = site.browser()
    browser.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD, remember=True))
    before = browser.do(lambda environ: get_session(environ).ends_at)
    site.clock.tick(DAY)

    confirm(site, browser)

    assert browser.do(lambda environ: get_session(environ).ends_at) == before


def test_wrong_password_changes_nothing(site: AuthSite) -> None:
    """Nobody is logged out by a typing error; the event names the session."""
    browser = site.logged_in("Ada")
    id = browser.do(lambda environ: get_session(environ).id)
    cookies = browser.cookies
    site.clock.tick(3600)
    site.events.clear()

    error = confirm(site, browser, "wrong password")

    (event,) = site.events
    assert isinstance(error, LoginFailed)
    assert (event.name, event.account, event.detail.split(";")[0]) == ("login.confirm_failed", "ada", "mismatch")
    assert (event.user_id, event.client_address) == (ada_of(site).id, "192.0.2.7")
    assert (browser.cookies, browser.who()) == (cookies, "Ada")
    assert missing(site, browser, fresh=60) == ("password",)
    assert browser.do(lambda environ: get_session(environ).id) == id


def test_success_is_told(site: AuthSite) -> None:
    """By whom, from where, and in which session."""
    browser = site.logged_in("Ada")
    id = browser.do(lambda environ: get_session(environ).id)
    site.events.clear()

    confirm(site, browser)

    (event,) = site.told("login.confirmed")
    assert (event.session_id, event.user_id, event.account) == (id, ada_of(site).id, "ada")
    assert event.client_address == "192.0.2.7"


def test_password_of_somebody_else_confirms_nobody(site: AuthSite) -> None:
    """It is the session's own user who has to be there (GHSA-97r5-pg8x-p63p)."""
    site.register("Eve", "the password of somebody else")
    browser = site.logged_in("Ada")
    site.clock.tick(3600)

    assert isinstance(confirm(site, browser, "the password of somebody else"), LoginFailed)
    assert missing(site, browser, fresh=60) == ("password",)


def test_nobody_can_confirm_without_a_login(site: AuthSite) -> None:
    """No password is looked at, and no session begins."""
    visitor = site.browser()

    assert isinstance(confirm(site, visitor), NotLoggedIn)
    assert (site.hasher.calls, visitor.cookies) == ([], {})


MEANWHILE: dict[str, Callable[[AuthSite, User], object]] = {
    "disabled": lambda site, ada: site.users.behind.set_active(ada.id, False),
    "renamed": lambda site, ada: site.users.behind.rename(ada.id, "lovelace", "Lovelace"),
    "renamed in another spelling": lambda site, ada: site.users.behind.rename(ada.id, "ada", "ADA"),
    "deleted": lambda site, ada: site.users.behind.delete(ada.id),
    "logged out everywhere": lambda site, ada: site.users.behind.set_password(
        ada.id, ada.password_hash, expect=ada.password_hash, ends_sessions=True
    ),
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_confirmation_does_not_hold_for_an_account_that_changed_meanwhile(site: AuthSite, what: str) -> None:
    """Between the look at who is logged in and the look at the password."""
    browser, ada = site.logged_in("Ada"), ada_of(site)
    site.events.clear()
    site.users.meanwhile["after get"] = lambda: MEANWHILE[what](site, ada)

    assert isinstance(confirm(site, browser), (LoginFailed, NotLoggedIn))
    assert site.told("login.confirmed", "session.renewed") == []
    assert browser.who() is None


def test_name_that_is_somebody_elses_by_now_confirms_nobody(site: AuthSite) -> None:
    """Even if both have the same password."""
    browser, ada = site.logged_in("Ada"), ada_of(site)

    def swap() -> None:
        site.users.behind.rename(ada.id, "lovelace", "Lovelace")
        site.users.behind.add("ada", "Ada", ada.password_hash, {})

    site.users.meanwhile["after get"] = swap

    assert isinstance(confirm(site, browser), NotLoggedIn)
    assert site.told("login.confirmed") == []


def test_link_confirms_nothing(site: AuthSite) -> None:
    """POST only, and from this site."""
    browser = site.logged_in("Ada")

    assert confirm(site, browser, method="GET").reason == "method"
    assert isinstance(confirm(site, browser, headers={"Sec-Fetch-Site": "cross-site"}), CrossOriginRefused)


def test_outage_is_no_wrong_password(site: AuthSite) -> None:
    """The accounts cannot be asked, so nobody knows."""
    browser = site.logged_in("Ada")
    site.users.broken["find_by_key"] = StoreUnavailable("gone")

    _, response = browser.visit(lambda environ: site.auth.confirm(environ, PASSWORD), method="POST")

    assert response.status_code == 503
    assert site.told("login.confirm_failed") == []


# Beside other requests of the session


OTHERS: dict[str, Act] = {
    "renewal": lambda environ: get_session(environ).renew_token(),
    "logout": lambda environ: get_session(environ).invalidate(),
}


@pytest.mark.parametrize("what", [*OTHERS, "login", "confirmation"])
def test_confirmation_that_loses_is_dropped_and_told(site: AuthSite, what: str) -> None:
    """It sets no cookie, joins nothing and begins no session. Who won stays as it was."""
    acts = {
        **OTHERS,
        "login": lambda environ: site.auth.login(environ, "Ada", PASSWORD),
        "confirmation": lambda environ: site.auth.confirm(environ, PASSWORD),
    }
    browser = site.logged_in("Ada")
    tab = browser.copied()

    def view(environ: Environ) -> None:
        site.auth.confirm(environ, PASSWORD)
        tab.do(acts[what])
        site.events.clear()

    _, response = browser.visit(view, method="POST")

    assert "Set-Cookie" not in response.headers
    (event,) = site.told("session.write_discarded")
    assert event.detail.startswith("confirm() did nothing: ")
    assert len(site.manager.of(ada_of(site))) == (0 if what == "logout" else 1)
    assert tab.who() == (None if what == "logout" else "Ada")


def test_late_confirmation_finds_nobody_logged_in(site: AuthSite) -> None:
    """A cookie that was replaced a moment ago shows an empty session (rule 7)."""
    browser = site.logged_in("Ada")
    late = browser.copied()
    browser.do(OTHERS["renewal"])

    assert isinstance(confirm(site, late), NotLoggedIn)
    assert len(site.manager.of(ada_of(site))) == 1


def test_confirmation_with_a_login_of_the_same_request_is_one_write(site: AuthSite) -> None:
    """Both or neither."""
    browser = site.browser()

    def view(environ: Environ) -> None:
        site.auth.login_user(environ, ada_of(site), methods=("sso",))
        site.auth.confirm(environ, PASSWORD)

    browser.do(view)

    assert missing(site, browser, methods=("sso", "password"), fresh=60) is None
    assert len(site.manager.of(ada_of(site))) == 1


def test_confirmation_of_a_request_that_fails_is_dropped(site: AuthSite) -> None:
    """A 5xx saves nothing (rule 11)."""
    browser = site.logged_in("Ada")
    site.clock.tick(3600)
    cookies = browser.cookies

    confirm(site, browser, status="500 Internal Server Error")

    assert browser.cookies == cookies
    assert missing(site, browser, fresh=60) == ("password",)


# What pages learn of it


def marked(site: AuthSite, *asks: Act) -> Any:
    """What is left as the mark after these calls, whatever they raise."""

    def view(environ: Environ) -> Any:
        refused = site.auth._watch_login(environ)
        for ask in asks:
            try:
                ask(environ)
            except (NotFresh, NotLoggedIn, LoginFailed):
                continue
        return refused()

    browser = site.logged_in("Ada")
    site.clock.tick(3600)
    return browser.do(view)


def fresh(auth: Auth) -> Act:
    return lambda environ: auth.require_user(environ, fresh=60)


def test_mark_says_what_is_missing(site: AuthSite) -> None:
    """Though a framework may catch the error; and the mark holds on to no frame of it."""
    mark = marked(site, lambda environ: site.auth.require_user(environ, fresh=60, methods=("totp", "password")))

    assert isinstance(mark, NotFresh)
    assert (mark.methods, mark.environ_key, mark.__traceback__) == (
        ("totp", "password"),
        "sessionware.session",
        None,
    )


@pytest.mark.parametrize("what", ["require_user", "fresh enough", "confirm", "login_user"])
def test_mark_is_taken_back_by_what_succeeds_later(site: AuthSite, what: str) -> None:
    """Then the 500 that follows has another cause."""
    later: dict[str, Act] = {
        "require_user": site.auth.require_user,
        "fresh enough": lambda environ: site.auth.require_user(environ, fresh=DAY),
        "confirm": lambda environ: site.auth.confirm(environ, PASSWORD),
        "login_user": lambda environ: site.auth.login_user(environ, ada_of(site)),
    }

    assert marked(site, fresh(site.auth), later[what]) is None


def test_wrong_password_leaves_no_mark(site: AuthSite) -> None:
    """The page that asked for it shows what is wrong."""
    assert marked(site, fresh(site.auth), lambda environ: site.auth.confirm(environ, "wrong password")) is None


def test_tests_of_pages_may_say_how_somebody_logged_in(site: AuthSite) -> None:
    """`login_cookie` is a login with a password, unless it is told otherwise."""
    ada, seen = ada_of(site), []
    for cookie in (site.manager.login_cookie(ada), site.manager.login_cookie(ada, methods=("password", "totp"))):
        headers = {"Cookie": "=".join(cookie)}
        seen.append(list(site.browser().do(lambda environ: dict(get_session(environ).methods), headers=headers)))

    assert seen == [["password"], ["password", "totp"]]
