"""By which browser and from which address a session is used: kept with the login, and noticed when it changes."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionware import ConfigError, MemoryStore, SessionInfo, get_session
from sessionware._types import Environ
from sessionware.auth import Auth, User
from sessionware.auth.devices import cleaned
from sessionware.testing import FaultyStore
from tests.support.auth_kit import CHEAP, PASSWORD, AuthBrowser, AuthSite

FIREFOX = {"User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"}
SAFARI = {
    "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/26.1 Mobile/15E148 Safari/604.1"
}
HOME = "192.0.2.7"
"""What `AuthSite` has for every visitor."""

TOUCH = 3600
"""Seconds after which a session that is used is touched."""


class Site(AuthSite):
    """A site whose descriptions are counted, and whose store's calls are."""

    def __init__(self, describe: Any = ..., **settings: Any) -> None:
        self.calls = FaultyStore(MemoryStore())
        super().__init__(store=self.calls, **settings)
        if describe is not ...:
            self.auth = Auth(self.users, hasher=CHEAP, describe=describe)
        self.register("Ada")

    def firefox(self) -> AuthBrowser:
        """Firefox, in which Ada is logged in."""
        browser = self.browser()
        browser.do(lambda environ: self.auth.login(environ, "Ada", PASSWORD), headers=FIREFOX)
        self.taken()
        self.events.clear()
        return browser

    def taken(self) -> list[str]:
        """The store's calls since this was asked last."""
        calls, self.calls.calls = self.calls.calls, []
        return calls

    @property
    def ada(self) -> User:
        user: User = self.users.behind.find_by_key("ada")
        return user

    @property
    def info(self) -> SessionInfo:
        """Ada's only session."""
        (info,) = self.manager.of(self.ada)
        return info


def look(site: Site) -> Callable[[Environ], object]:
    return site.auth.user


# What is kept


def test_login_keeps_browser_and_address() -> None:
    """For the list that the owner sees, for `SessionManager.of`, and for an export."""
    site = Site()
    browser = site.firefox()

    (listed,) = browser.do(site.auth.sessions)
    (exported,) = site.manager.export(site.ada)

    assert (listed.device, listed.client, listed.is_current) == ("Firefox on Windows", HOME, True)
    assert (site.info.device, site.info.client) == ("Firefox on Windows", HOME)
    assert (exported["extra"]["dv"], exported["extra"]["cl"]) == ("Firefox on Windows", HOME)


@pytest.mark.parametrize("how", ["register", "login_user"])
def test_every_way_to_log_in_keeps_them(how: str) -> None:
    """Not only the password."""
    site = Site()
    acts: dict[str, Any] = {
        "register": lambda environ: site.auth.register(environ, "Bob", PASSWORD),
        "login_user": lambda environ: site.auth.login_user(environ, site.ada),
    }
    site.browser().do(acts[how], headers=SAFARI)

    (info,) = site.manager.of(site.users.behind.find_by_key("bob" if how == "register" else "ada"))
    assert (info.device, info.client) == ("Safari on iPhone", HOME)


def test_table_shows_nothing_of_them_and_loses_them_with_the_session() -> None:
    """They are sealed, and a session that was ended has none of it left."""
    site = Site()
    browser = site.firefox()
    sealed = [record.payload for record in site.store.scan()]

    browser.do(site.auth.logout)

    assert sealed
    for payload in (*sealed, *(record.payload for record in site.store.scan())):
        assert b"Firefox" not in payload
        assert HOME.encode() not in payload
    assert (site.manager.of(site.ada), site.manager.export(site.ada)) == ([], [])
    left = [site.manager._site.records.load(site.manager._site.keys, r.id, 0) for r in site.store.scan()]
    assert [stored.envelope.extra for stored in left if stored is not None] == [{}]


def test_address_is_the_one_that_the_site_knows() -> None:
    """Behind a proxy, `client_address=` says who it was. It is cut, because somebody may have made it up."""
    site = Site(client_address=lambda environ: "2001:db8::1\x00" + "x" * 100)
    site.firefox()

    assert site.info.client == "2001:db8::1" + "x" * (64 - 11)


def test_no_address_is_none() -> None:
    """Behind a unix socket there is none."""
    site = Site(client_address=lambda environ: "")
    site.firefox()

    assert (site.info.device, site.info.client) == ("Firefox on Windows", None)


def test_site_may_use_words_of_its_own() -> None:
    """They are cleaned and cut like everything that anybody may have written."""
    site = Site(describe=lambda environ: f"\u202eKiosk\x1b[31m  at the\ndoor\u2069 {environ['HTTP_USER_AGENT']}")
    site.firefox()

    assert site.info.device is not None
    assert site.info.device.startswith("Kiosk[31m at the door Mozilla/5.0")
    assert len(site.info.device) == 60


def test_describing_sees_the_environ_as_it_came_in() -> None:
    """Whatever the application makes of it."""
    site = Site()
    browser = site.browser()

    def view(environ: Environ) -> None:
        environ["HTTP_USER_AGENT"] = "curl/8.14.1"
        site.auth.login(environ, "Ada", PASSWORD)

    browser.do(view, headers=FIREFOX)

    assert site.info.device == "Firefox on Windows"


def raises(environ: Environ) -> str:
    raise RuntimeError("nothing works today")


@pytest.mark.parametrize("describe", [raises, lambda environ: 42], ids=["raises", "not text"])
def test_describing_that_fails_fails_no_login(describe: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The log says what is wrong; the address is kept all the same."""
    site = Site(describe=describe)

    with caplog.at_level(logging.ERROR, "sessionware"):
        site.firefox()

    assert (site.info.device, site.info.client) == (None, HOME)
    assert caplog.messages
    assert all(message.startswith("describe= ") for message in caplog.messages)


def test_nothing_is_kept_where_nobody_is_to_know() -> None:
    """Neither words nor address; and what an earlier setting kept goes when the session is written next."""
    site = Site()
    browser = site.firefox()
    site.auth = Auth(site.users, hasher=CHEAP, describe=None)

    site.clock.tick(TOUCH)
    browser.do(look(site), headers=FIREFOX, method="GET")
    other = site.browser()
    other.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD), headers=FIREFOX)

    assert [(info.device, info.client) for info in site.manager.of(site.ada)] == [(None, None)] * 2
    assert site.told("session.moved") == []


@pytest.mark.parametrize("describe", ["Firefox", 42, True])
def test_wrong_argument_is_told_at_once(describe: Any) -> None:
    """And what to write instead."""
    with pytest.raises(ConfigError, match="describe="):
        Auth(Site().users, describe=describe)


@given(st.text(max_size=300), st.integers(1, 60))
def test_cleaned_text_is_plain_and_short(text: str, most: int) -> None:
    """Whatever was in it."""
    clean = cleaned(text, most)

    assert clean is None or 0 < len(clean) <= most
    assert clean is None or (clean == clean.strip() and "  " not in clean)
    assert not any(unicodedata.category(letter)[0] == "C" for letter in clean or "")


# When it changes


def test_move_is_noticed_when_the_session_is_touched() -> None:
    """In the touch's place, so it costs no call more. The event says from where to where."""
    site = Site()
    browser = site.firefox()
    site.clock.tick(TOUCH)
    site.taken()

    browser.do(look(site), headers=SAFARI, method="GET")

    assert site.taken() == ["load", "replace"]
    assert (site.info.device, site.info.client) == ("Safari on iPhone", HOME)
    (event,) = site.told("session.moved")
    assert event.detail == f"was Firefox on Windows at {HOME}, is Safari on iPhone at {HOME}"
    assert (event.user_id, event.session_id, event.client_address) == (site.ada.id, site.info.id, HOME)


def test_other_address_is_a_move_too() -> None:
    """By the address that the site knows."""
    addresses = iter(["198.51.100.1"] * 2 + ["203.0.113.9"] * 9)
    site = Site(client_address=lambda environ: next(addresses))
    browser = site.firefox()
    site.clock.tick(TOUCH)

    browser.do(look(site), headers=FIREFOX, method="GET")

    (event,) = site.told("session.moved")
    assert event.detail == "was Firefox on Windows at 198.51.100.1, is Firefox on Windows at 203.0.113.9"
    assert site.info.client == "203.0.113.9"


def test_use_from_the_same_place_is_a_touch() -> None:
    """Nothing is sealed anew, and nothing told."""
    site = Site()
    browser = site.firefox()
    site.clock.tick(TOUCH)
    site.taken()

    browser.do(look(site), headers=FIREFOX, method="GET")

    assert (site.taken(), site.events) == (["load", "touch"], [])


def test_reading_costs_nothing_where_no_touch_is_due() -> None:
    """Nobody looks at the browser, and the store is asked once."""
    described: list[Environ] = []
    site = Site(describe=described.append)
    browser = site.firefox()
    described.clear()

    site.clock.tick(TOUCH // 3)
    browser.do(look(site), headers=SAFARI, method="GET")
    browser.do(lambda environ: None, headers=SAFARI, method="GET")

    assert (described, site.taken(), site.events) == ([], ["load"], [])


def test_move_is_noticed_when_the_session_is_written() -> None:
    """A session that every request writes is never touched."""
    site = Site()
    browser = site.firefox()
    site.taken()

    def view(environ: Environ) -> None:
        site.auth.require_user(environ)
        get_session(environ)["n"] = 1

    browser.do(view, headers=SAFARI)

    assert site.taken() == ["load", "replace"]
    assert len(site.told("session.moved")) == 1
    assert site.info.device == "Safari on iPhone"


@pytest.mark.parametrize("writes", [False, True])
def test_passive_request_moves_nothing(writes: bool) -> None:
    """A script may run anywhere; what counts is where the person is (rule 14)."""
    site = Site()
    browser = site.firefox()
    site.clock.tick(TOUCH)

    def view(environ: Environ) -> None:
        site.auth.user(environ)
        if writes:
            get_session(environ)["n"] = 1

    browser.do(view, headers={**SAFARI, "X-Session-Passive": "1"}, method="GET")

    assert (site.info.device, site.told("session.moved")) == ("Firefox on Windows", [])


def test_login_elsewhere_is_no_move() -> None:
    """It says where it is by itself, also over a login that was there."""
    site = Site()
    browser = site.firefox()

    browser.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD), headers=SAFARI)

    assert (site.info.device, site.told("session.moved")) == ("Safari on iPhone", [])


def test_confirmation_elsewhere_is_one() -> None:
    """The same login goes on."""
    site = Site()
    browser = site.firefox()

    browser.do(lambda environ: site.auth.confirm(environ, PASSWORD), headers=SAFARI)

    assert (site.info.device, len(site.told("session.moved"))) == ("Safari on iPhone", 1)


def test_first_description_is_no_move() -> None:
    """A session from before there were any gets one by and by."""
    site = Site()
    browser = site.browser()
    ada = site.ada
    browser.do(lambda environ: get_session(environ).login("Ada", user_id=ada.id, session_version=ada.session_version))
    site.clock.tick(TOUCH)

    browser.do(look(site), headers=FIREFOX, method="GET")

    assert (site.info.device, site.told("session.moved")) == ("Firefox on Windows", [])


def test_two_tabs_tell_a_move_once() -> None:
    """The second finds that it was written."""
    site = Site()
    browser = site.firefox()
    tab = browser.copied()
    site.clock.tick(TOUCH)

    def view(environ: Environ) -> None:
        site.auth.user(environ)
        tab.do(look(site), headers=SAFARI, method="GET")

    browser.do(view, headers=SAFARI, method="GET")

    assert (site.info.device, len(site.told("session.moved"))) == ("Safari on iPhone", 1)


def test_move_brings_no_ended_session_back() -> None:
    """If another tab logs out meanwhile, there is nothing to write to, and nothing to tell."""
    site = Site()
    browser = site.firefox()
    tab = browser.copied()
    site.clock.tick(TOUCH)

    def view(environ: Environ) -> None:
        site.auth.user(environ)
        tab.do(site.auth.logout)

    _, response = browser.visit(view, headers=SAFARI)

    assert site.manager.of(site.ada) == []
    assert site.told("session.moved", "session.write_discarded") == []
    assert "Set-Cookie" not in response.headers


def test_move_that_cannot_be_stored_costs_nobody_the_page() -> None:
    """As with a touch, it is an event."""
    site = Site()
    browser = site.firefox()
    site.clock.tick(TOUCH)

    def view(environ: Environ) -> str:
        user = site.auth.require_user(environ)
        site.calls.broken.add("replace")
        return user.username

    result, response = browser.visit(view, headers=SAFARI)

    assert (result, response.status_code) == ("Ada", 200)
    assert [event.name for event in site.events] == ["store.unavailable"]


def test_join_keeps_where_the_first_login_was_made() -> None:
    """A double click comes from one browser."""
    site = Site()
    browser = site.browser()
    browser.do(lambda environ: get_session(environ).update(n=1))
    second = browser.copied()

    def view(environ: Environ) -> None:
        site.auth.login(environ, "Ada", PASSWORD)
        second.do(lambda environ: site.auth.login(environ, "Ada", PASSWORD), headers=FIREFOX)

    browser.do(view, headers=SAFARI)

    assert (site.info.device, site.told("session.moved")) == ("Firefox on Windows", [])
