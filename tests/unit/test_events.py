"""Events: handed to the hook and to the log, without anything that must not be there."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator
from typing import get_args

import pytest

import dev
from sessionware import Event, EventName
from sessionware.events import WARNINGS, Events
from tests.support.fixed import SECRET, Clock
from tests.support.kit import SessionSite


def test_life_of_a_session_is_told(clock: Clock) -> None:
    """Created, logged in to, given a new token, ended: each with the handle."""
    site = SessionSite(clock=clock)
    browser = site.browser()
    id = browser.visit(lambda session: (session.update(n=1), session.commit(), session.id)[2]).result
    browser.visit(lambda session: setattr(session, "username", "ada"))
    browser.visit(lambda session: session.renew_token())
    browser.visit(lambda session: session.invalidate())

    assert [(event.name, event.session_id) for event in site.events] == [
        ("session.created", id),
        ("session.login", id),
        ("session.renewed", id),
        ("session.ended", id),
    ]
    assert {event.at for event in site.events} == {int(clock.now)}


def test_hook_that_raises_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the page is served."""

    def hook(event: Event) -> None:
        raise RuntimeError("the audit log is full")

    Events(hook, Clock()).emit("session.created")

    assert "the audit log is full" in caplog.text


def test_line_break_cannot_forge_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """Names come from outside: whatever is in them stays on its line."""
    caplog.set_level(logging.INFO, "sessionware")
    Events(None, Clock()).emit(
        "login.failed", account="eve\r\nlogin.succeeded account='admin'\u2028\x1b[31m", keys=("a\nb",)
    )

    assert len(caplog.messages) == 1
    assert caplog.messages[0].isprintable()
    assert caplog.messages[0].isascii()


def test_no_value_cookie_or_secret_is_told(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    """Whatever happens, only names and handles."""
    caplog.set_level(logging.DEBUG, "sessionware")
    site = SessionSite(clock=clock)
    browser = site.browser()
    browser.visit(lambda session: session.update(pin="4711-planted"))
    cookies = [browser.cookies["sid"]]
    late = browser.tab()
    browser.visit(lambda session: setattr(session, "username", "ada"))
    cookies.append(browser.cookies["sid"])
    late.visit(lambda session: session.update(pin="4711-planted"))
    browser.visit(lambda session: session.update(pin="4711-planted, too"), status="500 Oops")
    browser.visit(lambda session: session.invalidate())

    told = caplog.text + repr(site.events)
    assert len(site.events) >= 5
    for secret in ("4711", SECRET, *cookies):
        assert secret not in told


def test_event_is_a_value() -> None:
    """It can be kept, compared and put into a set."""
    assert len({Event("session.created", 1), Event("session.created", 1)}) == 1


# The list of events -------------------------------------------------------------------------------------------------

NAMES = set(get_args(EventName))


def emitted() -> Iterator[str]:
    """Every event's name that a module uses. (That nothing else is emitted, the type of `emit` says.)"""
    for path in sorted((dev.ROOT / "src").rglob("*.py")):
        if path.name != "events.py":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and node.value in NAMES:
                    yield str(node.value)


def test_events_that_are_named_are_those_that_happen() -> None:
    """A name that nothing emits is a promise that is not kept."""
    assert set(emitted()) == NAMES


ROW = re.compile(r"^\| (\*\*)?`([a-z]+\.\w+)`(\*\*)? \| (.+) \| (.+) \|$", re.MULTILINE)


def test_page_lists_every_event_and_marks_the_warnings() -> None:
    """Each in a row of its own, those that are logged as warnings in bold; and no others."""
    rows = ROW.findall((dev.ROOT / "docs" / "events.md").read_text(encoding="utf-8"))

    assert sorted(name for _, name, _, _, _ in rows) == sorted(NAMES)
    assert {name for before, name, after, _, _ in rows if before and after} == WARNINGS


def test_page_says_what_to_do_about_every_warning() -> None:
    """ "Nothing" is an answer for what is told as information only."""
    rows = ROW.findall((dev.ROOT / "docs" / "events.md").read_text(encoding="utf-8"))

    assert [name for _, name, _, _, what in rows if name in WARNINGS and what == "nothing"] == []
    assert [name for _, name, _, when, _ in rows if len(when) < 20] == []
