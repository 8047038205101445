"""What is kept beside a login: how it was proved, and a note; and what is written beside a new token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sessionware import Session, SessionInfo
from sessionware.session import Renewal
from tests.support.fixed import Clock
from tests.support.kit import SessionSite, SiteAnswer, SiteBrowser, View

HOUR, DAY = 3600, 24 * 3600


@pytest.fixture
def site(clock: Clock) -> SessionSite:
    return SessionSite(clock=clock)


@pytest.fixture
def browser(site: SessionSite) -> SiteBrowser:
    return site.browser()


def ada(session: Session) -> None:
    session.login("ada", user_id="7", session_version=1, methods=("password",))


def methods(session: Session) -> dict[str, int]:
    return dict(session.methods)


def info(site: SessionSite) -> SessionInfo:
    (found,) = site.middleware.manager.of(user_id="7")
    return found


def exported(site: SessionSite) -> dict[str, Any]:
    (found,) = site.middleware.manager.export(user_id="7")
    return found


# How somebody proved who it is


def test_login_says_how_it_was_proved(site: SessionSite, browser: SiteBrowser, clock: Clock) -> None:
    """Each with the time; before it is saved as well as afterwards, in lists and in exports."""
    now = int(clock.now)

    assert browser.visit(lambda session: (ada(session), methods(session))).result == (None, {"password": now})
    clock.tick(100)
    assert browser.visit(methods).result == {"password": now}
    assert (info(site).methods, exported(site)["extra"]["me"]) == ({"password": now}, {"password": now})


def test_login_proves_nothing_that_it_does_not_say(browser: SiteBrowser) -> None:
    """No method is guessed; and nobody is nobody."""
    assert browser.visit(methods).result == {}
    browser.visit(lambda session: session.login("ada"))
    assert browser.visit(methods).result == {}


@pytest.mark.parametrize("act", [lambda s: s.invalidate(), lambda s: s.login("ada"), lambda s: s.login("eve")])
def test_methods_are_gone_with_the_login(browser: SiteBrowser, act: View) -> None:
    """At once, and for good."""
    browser.visit(ada)

    assert browser.visit(lambda session: (act(session), methods(session))).result[1] == {}
    assert browser.visit(methods).result == {}


def test_renewal_adds_a_method(site: SessionSite, browser: SiteBrowser, clock: Clock) -> None:
    """With its own time; the login stays what it was, and when it was."""
    browser.visit(ada)
    began = int(clock.now)
    clock.tick(100)

    seen = browser.visit(lambda session: (session.renew_token(methods=("totp",)), methods(session))).result[1]

    assert seen == browser.visit(methods).result == {"password": began, "totp": began + 100}
    assert browser.visit(lambda session: session.authenticated_at).result == began


def test_renewal_without_methods_keeps_them(browser: SiteBrowser, clock: Clock) -> None:
    """It proves nothing, and takes nothing back."""
    browser.visit(ada)
    clock.tick(100)
    browser.visit(lambda session: session.renew_token())

    assert browser.visit(methods).result == {"password": int(clock.now) - 100}


def test_method_that_is_proved_again_is_as_old_as_its_last_proof(browser: SiteBrowser, clock: Clock) -> None:
    """Not as old as its first."""
    browser.visit(ada)
    clock.tick(100)
    browser.visit(lambda session: session.renew_token(methods=("password",)))

    assert browser.visit(methods).result == {"password": int(clock.now)}


def confirmed(session: Session) -> None:
    """What `Auth` asks for when somebody proves something once more, and is renamed."""
    session._renew(Renewal("ada l.", 2, ("password", "totp"), reauthenticates=True))


@pytest.mark.parametrize("earlier", [lambda session: session.renew_token(methods=("totp",)), confirmed])
def test_login_takes_nothing_from_a_renewal_before_it(
    site: SessionSite, browser: SiteBrowser, clock: Clock, earlier: View
) -> None:
    """In a page "act as Bob", what the administrator proves is the administrator's. Bob has proved nothing."""
    browser.visit(ada)
    clock.tick(100)

    def act_as_bob(session: Session) -> tuple[Any, ...]:
        earlier(session)
        session.login("bob", user_id="8", session_version=5, methods=("impersonated",))
        return who(session)

    def who(session: Session) -> tuple[Any, ...]:
        return session.username, session.user_id, session.session_version, list(session.methods)

    bob = ("bob", "8", 5, ["impersonated"])
    assert browser.visit(act_as_bob).result == browser.visit(who).result == bob


def test_login_of_the_same_user_takes_nothing_from_a_renewal_before_it(browser: SiteBrowser) -> None:
    """It is another login, which may say less."""
    browser.visit(ada)
    browser.visit(lambda session: (session.renew_token(methods=("totp",)), ada(session)))

    assert list(browser.visit(methods).result) == ["password"]


def test_login_keeps_what_is_proved_after_it(browser: SiteBrowser) -> None:
    """In the same request: a second factor that was asked for on the same form."""
    browser.visit(lambda session: (ada(session), session.renew_token(methods=("totp",))))

    assert list(browser.visit(methods).result) == ["password", "totp"]


def test_renewal_before_a_login_still_keeps_others_out_of_it(site: SessionSite, browser: SiteBrowser) -> None:
    """What stays of it is that it asked for a token that nobody else has."""
    browser.visit(lambda session: session.update(n=1))
    late = browser.tab()
    browser.visit(lambda session: (session.renew_token(methods=("totp",)), ada(session)))
    late.visit(ada)

    assert len(site.middleware.manager.of(user_id="7")) == 2


@pytest.mark.parametrize("is_saved", [False, True])
def test_login_of_another_user_is_not_remembered_for_the_first(
    browser: SiteBrowser, clock: Clock, is_saved: bool
) -> None:
    """Ada wished to stay logged in; Bob, for whom the same request goes on, did not."""

    def view(session: Session) -> None:
        ada(session)
        session.remember(20 * DAY)
        if is_saved:
            session.commit()
        session.login("bob", user_id="8")

    assert "Max-Age" not in "".join(browser.visit(view).set_cookies)
    assert browser.visit(lambda session: session.expires_at).result < int(clock.now) + DAY


def test_only_the_latest_methods_are_kept(browser: SiteBrowser, clock: Clock) -> None:
    """Whatever names an application makes up, the record stays small."""
    browser.visit(ada)
    for number in range(20):
        clock.tick(1)
        browser.visit(lambda session, number=number: session.renew_token(methods=(f"m{number}",)))  # type: ignore[misc]

    assert list(browser.visit(methods).result) == [f"m{number}" for number in range(12, 20)]


def test_method_proved_by_nobody_is_told(site: SessionSite, browser: SiteBrowser) -> None:
    """A second factor belongs after the login; before it, there is nobody whose it could be."""
    visitor = site.browser()
    visitor.visit(lambda session: session.update(n=1))
    for each in (browser, visitor):
        site.events.clear()
        assert each.visit(lambda session: (session.renew_token(methods=("totp",)), methods(session))).result[1] == {}
        (event,) = site.told("session.write_discarded")
        assert event.detail == "renew_token() noted no method, because nobody is logged in"
        assert each.visit(methods).result == {}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("totp", TypeError),
        (b"totp", TypeError),
        ((7,), TypeError),
        (None, TypeError),
        (("",), ValueError),
        (("\ud800",), ValueError),
        (("x" * 33,), ValueError),
        (tuple("abcdefghi"), ValueError),
    ],
    ids=ascii,
)
def test_wrong_methods_are_refused(browser: SiteBrowser, wrong: Any, error: type[Exception]) -> None:
    """Where they are given, and not when the session is saved."""

    def view(session: Session) -> None:
        with pytest.raises(error, match=r"method|iterable"):
            session.login("ada", methods=wrong)
        with pytest.raises(error, match=r"method|iterable"):
            session.renew_token(methods=wrong)

    browser.visit(view)
    assert browser.cookies == {}


@pytest.mark.parametrize(
    ("second", "sessions"),
    [(("password",), 1), (("totp", "password"), 2), ((), 2)],
    ids=["the same", "one more", "none"],
)
def test_rule_06_login_joins_only_one_that_was_proved_alike(
    site: SessionSite, browser: SiteBrowser, second: tuple[str, ...], sessions: int
) -> None:
    """Else whoever knows the password would get into a session that asked for more."""
    browser.visit(lambda session: session.update(n=1))
    late = browser.tab()
    browser.visit(ada)
    late.visit(lambda session: session.login("ada", user_id="7", session_version=1, methods=second))

    assert len(site.middleware.manager.of(user_id="7")) == sessions


def test_rule_06_order_of_the_methods_does_not_matter(site: SessionSite, browser: SiteBrowser) -> None:
    """They were all proved."""
    browser.visit(lambda session: session.update(n=1))
    late = browser.tab()
    browser.visit(lambda session: session.login("ada", user_id="7", methods=("password", "totp")))
    late.visit(lambda session: session.login("ada", user_id="7", methods=("totp", "password")))

    assert len(site.middleware.manager.of(user_id="7")) == 1


# A note


def test_note_is_kept_with_the_login(site: SessionSite, browser: SiteBrowser) -> None:
    """Before it is saved as well as afterwards, in lists and in exports."""
    note = {"branch": "Leeds", "till": 4}

    def view(session: Session) -> dict[str, Any]:
        session.login("ada", user_id="7", note=note)
        return dict(session.note)

    assert browser.visit(view).result == note
    assert browser.visit(lambda session: dict(session.note)).result == note
    assert (info(site).note, exported(site)["extra"]["no"]) == (note, note)


@pytest.mark.parametrize("act", [lambda s: s.invalidate(), lambda s: s.login("ada"), lambda s: s.login("ada", note={})])
def test_note_is_gone_with_the_login(browser: SiteBrowser, act: View) -> None:
    """Another login has another one, or none."""
    browser.visit(lambda session: session.login("ada", note={"branch": "Leeds"}))
    browser.visit(act)

    assert browser.visit(lambda session: dict(session.note)).result == {}


def test_note_stays_through_writes_and_renewals(browser: SiteBrowser) -> None:
    """It belongs to the login, not to the token."""
    browser.visit(lambda session: session.login("ada", note={"branch": "Leeds"}))
    browser.visit(lambda session: session.update(n=1))
    browser.visit(lambda session: session.renew_token())

    assert browser.visit(lambda session: dict(session.note)).result == {"branch": "Leeds"}


def test_note_is_a_copy(browser: SiteBrowser) -> None:
    """Changing what was given, or what one gets, changes nothing that is kept."""
    note = {"tags": ["a"]}

    def view(session: Session) -> None:
        session.login("ada", note=note)
        note["tags"].append("b")

    browser.visit(view)
    browser.visit(lambda session: session.note["tags"].append("c"))

    assert browser.visit(lambda session: dict(session.note)).result == {"tags": ["a"]}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("Leeds", TypeError),
        ([("branch", "Leeds")], TypeError),
        ({1: "Leeds"}, TypeError),
        pytest.param({"branch": object()}, TypeError, id="an object"),
        ({"branch": "x" * 600}, ValueError),
    ],
    ids=["text", "pairs", "a number as a key", "no value that can be kept", "too large"],
)
def test_wrong_note_is_refused(browser: SiteBrowser, wrong: Any, error: type[Exception]) -> None:
    """Where it is given."""

    def view(session: Session) -> None:
        with pytest.raises(error):
            session.login("ada", note=wrong)

    browser.visit(view)
    assert browser.cookies == {}


def test_note_may_be_as_long_as_it_says(site: SessionSite, browser: SiteBrowser) -> None:
    """And everything else that a login may bring still fits beside it."""
    limit = "x" * 500  # with its name and their lengths, 512 bytes

    def view(session: Session) -> None:
        session.login("ada", user_id="7", methods=[f"{n}" * 32 for n in range(8)], note={"branch": limit})

    browser.visit(view)

    assert info(site).note == {"branch": limit}


def test_infos_can_be_told_apart_in_a_set(site: SessionSite, browser: SiteBrowser) -> None:
    """What they hold may be a dict."""
    browser.visit(lambda session: session.login("ada", user_id="7", methods=("password",), note={"branch": "Leeds"}))

    assert len({info(site), info(site)}) == 1


# One write with a new token


def renew(**what: Any) -> View:
    return lambda session: session._renew(Renewal(**what))


def who(session: Session) -> tuple[Any, ...]:
    return session.username, session.session_version, session.authenticated_at, dict(session.methods)


def test_renewal_writes_what_it_says_in_one_go(site: SessionSite, browser: SiteBrowser, clock: Clock) -> None:
    """Name, version, method and time, with one call of the store; seen at once."""
    browser.visit(ada)
    clock.tick(HOUR)
    now = int(clock.now)
    site.store.taken()
    act = renew(username="Ada Lovelace", session_version=2, methods=("password",), reauthenticates=True)

    visit = browser.visit(lambda session: (act(session), who(session)))

    assert site.store.taken() == ["load", "replace"]
    assert visit.result[1] == browser.visit(who).result == ("Ada Lovelace", 2, now, {"password": now})
    assert len(visit.set_cookies) == 1
    assert browser.visit(lambda session: session.ends_at).result == now + 7 * DAY


def test_renewals_of_one_request_are_one(site: SessionSite, browser: SiteBrowser, clock: Clock) -> None:
    """Whatever each of them says counts."""
    browser.visit(ada)
    clock.tick(HOUR)
    site.store.taken()

    def view(session: Session) -> None:
        renew(session_version=2, reauthenticates=True)(session)
        session.renew_token(methods=("totp",))
        renew(username="Ada Lovelace")(session)

    visit = browser.visit(view)

    now = int(clock.now)
    assert (site.store.taken(), len(visit.set_cookies)) == (["load", "replace"], 1)
    assert browser.visit(who).result == ("Ada Lovelace", 2, now, {"password": now - HOUR, "totp": now})


def test_renewal_after_a_login_of_the_same_request_counts(browser: SiteBrowser, clock: Clock) -> None:
    """It is written with the login."""
    browser.visit(lambda session: (ada(session), renew(session_version=2, methods=("totp",))(session)))

    now = int(clock.now)
    assert browser.visit(who).result == ("ada", 2, now, {"password": now, "totp": now})


LOSES: dict[str, Callable[[Session], object]] = {
    "login": ada,
    "renewal": lambda session: session.renew_token(),
    "logout": lambda session: session.invalidate(),
}


@pytest.mark.parametrize("what", LOSES)
def test_rule_05_renewal_that_loses_is_dropped_and_told(site: SessionSite, browser: SiteBrowser, what: str) -> None:
    """No cookie is set, nothing of it is written, and the event says which call it was."""
    browser.visit(ada)
    tab = browser.tab()
    act = renew(session_version=2, methods=("totp",), reauthenticates=True, what="confirm()")

    def view(session: Session) -> None:
        act(session)
        tab.visit(LOSES[what])
        site.events.clear()

    visit: SiteAnswer = browser.visit(view)

    assert visit.set_cookies == []
    (event,) = site.told("session.write_discarded")
    assert event.detail.startswith("confirm() did nothing: ")
    assert "totp" not in tab.visit(methods).result
    assert len(site.store.records) == 1


def test_rule_02_renewal_goes_together_with_a_write_of_another_request(browser: SiteBrowser, clock: Clock) -> None:
    """Which changed nothing about the login."""
    browser.visit(ada)
    tab = browser.tab()

    browser.visit(lambda session: (renew(methods=("totp",))(session), tab.visit(lambda other: other.update(n=1))))

    assert browser.visit(lambda session: (session["n"], "totp" in session.methods)).result == (1, True)


def test_rule_06_nobody_joins_after_a_renewal(site: SessionSite, browser: SiteBrowser) -> None:
    """It may have come with more rights than the password gives."""
    browser.visit(lambda session: session.update(n=1))
    late = browser.tab()
    browser.visit(ada)
    browser.visit(renew(methods=("password",), reauthenticates=True))
    late.visit(ada)

    assert len(site.middleware.manager.of(user_id="7")) == 2


def test_renewal_of_nobody_logs_nobody_in(browser: SiteBrowser) -> None:
    """The data stays, the token is new, and that is all."""
    browser.visit(lambda session: session.update(n=1))
    act = renew(username="ada", session_version=1, reauthenticates=True)

    assert browser.visit(lambda session: (act(session), who(session))).result[1] == (None, None, None, {})
    assert browser.visit(who).result == (None, None, None, {})
    assert browser.read() == {"n": 1}


def test_session_that_is_remembered_is_not_prolonged(browser: SiteBrowser, clock: Clock) -> None:
    """Until when it lasts was granted by a login that asked for it."""
    browser.visit(lambda session: (ada(session), session.remember(20 * DAY)))
    ends_at = browser.visit(lambda session: session.ends_at).result
    clock.tick(DAY)
    browser.visit(renew(methods=("password",), reauthenticates=True))

    assert browser.visit(lambda session: session.ends_at).result == ends_at
