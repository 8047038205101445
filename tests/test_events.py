"""Events: told to the hook and to the log, without anything that must not be there."""

from __future__ import annotations

import logging

from conftest import SECRET
from kit import Site

from sessionware import Event
from sessionware.events import Events


def test_life_of_a_session_is_told(clock):
    """Created, regenerated at login, ended: each with the handle."""
    site = Site(clock=clock)
    browser = site.browser()
    id = browser.visit(lambda session: (session.update(n=1), session.id)[1]).result
    browser.visit(lambda session: setattr(session, "username", "ada"))
    browser.visit(lambda session: session.invalidate())

    assert [(event.name, event.session_id) for event in site.events] == [
        ("created", id),
        ("regenerated", id),
        ("ended", id),
    ]
    assert {event.at for event in site.events} == {int(clock.now)}


def test_hook_that_raises_changes_nothing(caplog):
    """It is logged, and the page is served."""

    def hook(event):
        raise RuntimeError("the audit log is full")

    told = Events(hook)
    told.tell("created")

    assert "the audit log is full" in caplog.text


def test_line_break_cannot_forge_a_log_line(caplog):
    """Names come from outside: whatever is in them stays on its line."""
    caplog.set_level(logging.INFO, "sessionware")
    Events().tell("login.failed", account="eve\r\nlogin.ok account='admin'\u2028\x1b[31m", keys=("a\nb",))

    assert len(caplog.messages) == 1
    assert caplog.messages[0].isprintable()
    assert caplog.messages[0].isascii()


def test_no_value_cookie_or_secret_is_told(caplog, clock):
    """Whatever happens, only names and handles."""
    caplog.set_level(logging.DEBUG, "sessionware")
    site = Site(clock=clock)
    browser = site.browser()
    browser.visit(lambda session: session.update(pin="4711-planted"))
    cookies = [browser.cookies["session"]]
    late = browser.tab()
    browser.visit(lambda session: setattr(session, "username", "ada"))
    cookies.append(browser.cookies["session"])
    late.visit(lambda session: session.update(pin="4711-planted"))
    browser.visit(lambda session: session.update(pin="4711-planted, too"), status="500 Oops")
    browser.visit(lambda session: session.invalidate())

    told = caplog.text + repr(site.events)
    assert len(site.events) >= 5
    for secret in ("4711", SECRET, *cookies):
        assert secret not in told


def test_event_is_a_value():
    """It can be kept, compared and put into a set."""
    assert len({Event("created", 1), Event("created", 1)}) == 1
