"""Every event of an account and of a login: it happens, and says whose account, from where, and what is to be done."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, get_args

import pytest
from webtest import TestApp

from sessionware import (
    AuthError,
    Busy,
    CrossOriginRefused,
    Event,
    EventName,
    LoginFailed,
    PasswordRejected,
    Throttled,
    UsernameTaken,
    get_session,
)
from sessionware.auth import Argon2Hasher, Auth, AuthPages, PasswordPolicy, User
from sessionware.events import WARNINGS
from tests.rules import test_what_warnings_say as warnings
from tests.support.auth_kit import ADDRESS, PASSWORD, AuthBrowser, AuthSite

NEW_PASSWORD = "another horse of quite another colour"


class Site(AuthSite):
    """A site with everything that has an event, on which Ada has an account."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.auth = Auth(
            self.users,
            hasher=self.hasher,
            policy=PasswordPolicy(breached=self.breached),
            send=self.send,
            verify_legacy=self.verify_legacy,
        )
        self.ada: User = self.register("Ada")

    def breached(self, password: str) -> bool:
        if self.fails:
            raise OSError(f"cannot ask about {password}")
        return False

    def send(self, purpose: str, user: User, path: str | None) -> None:
        if self.fails:
            raise OSError(f"cannot send {path}")

    def verify_legacy(self, stored: str, password: str) -> bool | None:
        if stored.startswith("broken"):
            raise ValueError(stored + password)
        return None

    def tries(self, password: str, browser: AuthBrowser | None = None, username: str = "Ada") -> None:
        with suppress(AuthError):
            (browser or self.browser()).do(lambda environ: self.auth.login(environ, username, password))


def busy(site: Site) -> None:
    def out_of_memory() -> None:
        raise Busy(retry_after=5)

    site.hasher.after_verify = out_of_memory
    site.tries(PASSWORD)


def throttled(site: Site) -> None:
    for _ in range(10):
        site.tries("not the password")


def required(site: Site) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        site.auth.require_user(environ)
        return []

    TestApp(site.wrapped(AuthPages(app, site.auth)), extra_environ={"REMOTE_ADDR": ADDRESS}).get("/members")


def blocked(site: Site) -> None:
    with suppress(CrossOriginRefused):
        site.browser().do(
            lambda environ: site.auth.login(environ, "Ada", PASSWORD), headers={"Origin": "https://evil.example"}
        )


def rehashed(site: Site) -> None:
    older = Argon2Hasher(2, 8, 1).hash(PASSWORD)
    site.users.set_password(site.ada.id, older, expect=site.ada.password_hash, ends_sessions=False)
    site.tries(PASSWORD)


def taken(site: Site) -> None:
    with suppress(UsernameTaken):
        site.browser().do(lambda environ: site.auth.register(environ, "ADA", NEW_PASSWORD))


def with_another_hash(site: Site, stored: str) -> None:
    site.users.set_password(site.ada.id, stored, expect=site.ada.password_hash, ends_sessions=False)
    site.tries(PASSWORD)


def confirmed(site: Site, password: str) -> None:
    with suppress(LoginFailed):
        site.logged_in("Ada").do(lambda environ: site.auth.confirm(environ, password))


def changed(site: Site) -> None:
    site.logged_in("Ada").do(lambda environ: site.auth.change_password(environ, PASSWORD, NEW_PASSWORD))


def reset(site: Site) -> None:
    token = site.auth.reset_token(site.manager, "Ada") or ""
    site.browser().do(lambda environ: site.auth.reset_password(environ, token, NEW_PASSWORD))


def requested(site: Site) -> None:
    site.browser().do(lambda environ: site.auth.request_reset(environ, "Ada"))


def by_administrator(site: Site, act: Callable[[Any], object]) -> None:
    """In a request of the administrator's own."""
    site.browser().do(act)


def checker_fails(site: Site) -> None:
    site.fails = True
    with suppress(PasswordRejected):
        changed(site)


def sending_fails(site: Site) -> None:
    site.fails = True
    requested(site)


#: How each event happens that is about an account or a login. Those of sessions and stores are in other tests.
SITUATIONS: dict[EventName, Callable[[Site], object]] = {
    "login.succeeded": lambda site: site.tries(PASSWORD),
    "login.failed": lambda site: site.tries("not the password"),
    "login.throttled": throttled,
    "login.busy": busy,
    "login.required": required,
    "login.confirmed": lambda site: confirmed(site, PASSWORD),
    "login.confirm_failed": lambda site: confirmed(site, "not the password"),
    "login.new_device": lambda site: site.tries(PASSWORD),
    "login.ended": lambda site: site.logged_in("Ada").do(site.auth.logout),
    "login.legacy_failed": lambda site: with_another_hash(site, "broken"),
    "login.unusable_hash": lambda site: with_another_hash(site, "unknown"),
    "account.registered": lambda site: site.browser().do(
        lambda environ: site.auth.register(environ, "Bob", NEW_PASSWORD)
    ),
    "account.name_taken": taken,
    "account.rehashed": rehashed,
    "account.password_changed": changed,
    "account.renamed": lambda site: by_administrator(
        site, lambda environ: site.auth.rename(environ, site.ada.id, "Lovelace")
    ),
    "account.disabled": lambda site: by_administrator(
        site, lambda environ: site.auth.set_active(environ, site.ada.id, False)
    ),
    "account.enabled": lambda site: by_administrator(
        site,
        lambda environ: [site.auth.set_active(environ, site.ada.id, is_active) for is_active in (False, True)],
    ),
    "account.deleted": lambda site: site.logged_in("Ada").do(
        lambda environ: site.auth.delete_account(environ, PASSWORD)
    ),
    "account.reset_requested": requested,
    "account.reset": reset,
    "policy.unavailable": checker_fails,
    "send.failed": sending_fails,
    "csrf.blocked": blocked,
}
NEEDS_NO_ACCOUNT = {"csrf.blocked", "login.required", "login.busy", "policy.unavailable"}
"""Events of which it is not known, or does not matter, whose account it is about."""

each_event = pytest.mark.parametrize(("name", "act"), SITUATIONS.items(), ids=SITUATIONS)


def told(name: EventName, act: Callable[[Site], object]) -> tuple[Site, Event]:
    """The site, and the last event of this name."""
    site = Site()
    act(site)
    assert site.auth._outbox.join(10)
    assert site.told(name), [event.name for event in site.events]
    return site, site.told(name)[-1]


def test_every_event_of_an_account_is_here() -> None:
    """Or, for a full queue, in the tests of what is sent."""
    about_accounts = {
        name for name in get_args(EventName) if name.split(".")[0] in ("login", "account", "policy", "send")
    }

    assert set(SITUATIONS) == about_accounts - {"send.dropped"} | {"csrf.blocked"}


def test_every_warning_is_somewhere() -> None:
    """The other file has those of sessions and stores."""
    assert WARNINGS - set(SITUATIONS) - {name for name, _ in warnings.SITUATIONS} == {"send.dropped"}


@each_event
def test_every_event_of_an_account_says_whose_and_from_where(name: EventName, act: Callable[[Site], object]) -> None:
    """ASVS 5.0 16.2.1 and 16.3.1: with the account's id and key, and the address."""
    site, event = told(name, act)

    assert event.client_address == ADDRESS
    assert event.at == int(site.clock())
    if name not in NEEDS_NO_ACCOUNT:
        assert event.account is not None
    if name not in (*NEEDS_NO_ACCOUNT, "account.registered", "account.name_taken", "login.throttled"):
        assert event.user_id == site.ada.id


@each_event
def test_no_event_of_an_account_reveals_anything(
    name: EventName, act: Callable[[Site], object], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither password, hash, cookie nor link, also where the application's own functions raise with one."""
    caplog.set_level("DEBUG", "sessionware")
    site, _ = told(name, act)

    text = caplog.text + repr(site.events)
    secrets = [PASSWORD, NEW_PASSWORD, "not the password", str(site.ada.password_hash), "token=", "cannot send"]
    assert [secret for secret in secrets if secret in text] == []


@pytest.mark.parametrize("name", sorted(WARNINGS & set(SITUATIONS)))
def test_warning_says_what_an_operator_can_act_on(name: EventName) -> None:
    """In one printable line."""
    _, event = told(name, SITUATIONS[name])

    assert 20 < len(event.detail) <= warnings.MOST_CHARACTERS
    assert event.detail.isprintable()


def test_guess_at_an_unlocked_computer_names_the_session() -> None:
    """So that an operator can end it."""
    site, event = told("login.confirm_failed", SITUATIONS["login.confirm_failed"])

    assert site.manager.end(str(event.session_id))
    assert event.detail.startswith("mismatch")


@pytest.mark.parametrize("way", ["confirm", "change_password", "delete_account"])
def test_guess_at_an_unlocked_computer_is_told_wherever_the_password_is_asked_for(way: str) -> None:
    """By one event, so that several guesses in one session are found, and not as a login that failed."""
    site = Site()
    browser = site.logged_in("Ada")
    (info,) = site.manager.of(site.ada)
    guesses: dict[str, Callable[[Any], object]] = {
        "confirm": lambda environ: site.auth.confirm(environ, "a guess"),
        "change_password": lambda environ: site.auth.change_password(environ, "a guess", NEW_PASSWORD),
        "delete_account": lambda environ: site.auth.delete_account(environ, "a guess"),
    }

    with pytest.raises(LoginFailed):
        browser.do(guesses[way])

    (event,) = site.told("login.failed", "login.confirm_failed")
    assert (event.name, event.session_id, event.user_id) == ("login.confirm_failed", info.id, site.ada.id)


def test_name_that_nobody_has_is_told_as_a_digest() -> None:
    """Because people type passwords there."""
    site = Site()
    with suppress(LoginFailed, Throttled):
        site.browser().do(lambda environ: site.auth.login(environ, PASSWORD, "Ada"))
    site.browser().do(lambda environ: site.auth.request_reset(environ, PASSWORD))
    assert site.auth._outbox.join(10)

    assert [event.user_id for event in site.told("login.failed", "account.reset_requested")] == [None, None]
    assert PASSWORD not in repr(site.events)


# Who did it, and how somebody logged in


#: What can be done to somebody else's account, and the event that tells of it.
ACTS: dict[str, tuple[EventName, Callable[[Site, Any], object]]] = {
    "rename": ("account.renamed", lambda site, where: site.auth.rename(where, site.ada.id, "Lovelace")),
    "disable": ("account.disabled", lambda site, where: site.auth.set_active(where, site.ada.id, False)),
    "enable": ("account.enabled", lambda site, where: enabled_again(site, where)),
    "end_all": ("login.ended", lambda site, where: site.auth.end_all(where, site.ada.id)),
    "erase": ("account.deleted", lambda site, where: site.auth.erase(where, site.ada.id)),
    "reset_token": ("account.reset_requested", lambda site, where: site.auth.reset_token(where, "Ada")),
    "register": (
        "account.registered",
        lambda site, where: site.auth.register(where, "Bob", NEW_PASSWORD, login=False),
    ),
}
each_act = pytest.mark.parametrize(("name", "act"), ACTS.values(), ids=ACTS)


def enabled_again(site: Site, where: Any) -> None:
    site.users.set_active(site.ada.id, False)
    site.auth.set_active(where, site.ada.id, True)


@each_act
def test_event_names_the_administrator(name: EventName, act: Callable[[Site, Any], object]) -> None:
    """By user id and session, because two may sit behind one address (ASVS 5.0 16.2.1)."""
    site = Site()
    root = site.register("Root")
    admin = site.logged_in("Root")
    (info,) = site.manager.of(root)

    admin.do(lambda environ: act(site, environ))

    event = site.told(name)[-1]
    assert (event.session_id, event.client_address) == (info.id, ADDRESS)
    assert event.detail.endswith(f"by {root.id}")


@each_act
def test_event_names_the_owner_who_did_it(name: EventName, act: Callable[[Site, Any], object]) -> None:
    """Also where that ended the session in which it was done."""
    site = Site()
    browser = site.logged_in("Ada")
    (info,) = site.manager.of(site.ada)

    browser.do(lambda environ: act(site, environ))

    event = site.told(name)[-1]
    assert event.session_id == info.id
    assert event.detail.endswith(f"by {site.ada.id}")


@each_act
def test_event_says_that_a_job_did_it(name: EventName, act: Callable[[Site, Any], object]) -> None:
    """There is no visitor to name."""
    site = Site()

    act(site, site.manager)

    event = site.told(name)[-1]
    assert (event.session_id, event.detail.endswith("by a job")) == (None, True)


@each_act
def test_event_says_that_nobody_was_logged_in_who_did_it(name: EventName, act: Callable[[Site, Any], object]) -> None:
    """A page that forgot to ask."""
    site = Site()

    site.browser().do(lambda environ: act(site, environ))

    assert site.told(name)[-1].detail.endswith("by nobody who is logged in")


@pytest.mark.parametrize("name", ["account.password_changed", "account.deleted", "login.ended"])
def test_what_owners_do_names_their_session(name: EventName) -> None:
    """So that it can be joined with the session's own events, also once that is over."""
    site, event = told(name, SITUATIONS[name])

    assert event.session_id == site.told("session.login")[-1].session_id


def test_login_says_what_was_proved() -> None:
    """ASVS 5.0 16.3.1: the type of authentication, and the factors used."""
    site = Site()
    for methods in [("password", "totp"), ("saml",), ()]:
        site.browser().do(partial(site.auth.login_user, user=site.ada, methods=methods))
    site.logged_in("Ada")

    expected = ["password, totp", "saml", "", "password"]
    assert [event.detail for event in site.told("login.succeeded")] == expected
    assert [event.detail for event in site.told("session.login")] == expected


def test_proof_in_a_login_says_what_was_proved() -> None:
    """So an operator sees whether an administrator had given the code when the account was disabled."""
    site = Site()
    browser = site.logged_in("Ada")

    browser.do(lambda environ: get_session(environ).renew_token(methods=("totp",)))
    browser.do(lambda environ: site.auth.confirm(environ, PASSWORD))
    browser.do(lambda environ: get_session(environ).renew_token())

    assert [event.detail for event in site.told("session.renewed")] == ["totp", "password", ""]


def test_nobody_proves_nothing() -> None:
    """A visitor who is not logged in has no login that could keep it."""
    site = Site()
    browser = site.browser()
    browser.do(lambda environ: get_session(environ).update(cart=1))

    browser.do(lambda environ: get_session(environ).renew_token(methods=("totp",)))

    assert [event.detail for event in site.told("session.renewed")] == [""]
