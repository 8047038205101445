"""The example that keeps an audit log: a line for each event, which can be read back and gives nothing away."""

from __future__ import annotations

import json
import logging
import runpy
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import dev
from sessionware import Event, LoginFailed, get_session
from tests.support.auth_kit import ADDRESS, PASSWORD, AuthSite
from tests.support.fixed import SECRET


@pytest.fixture
def example() -> Iterator[dict[str, Any]]:
    """What the file defines. The handlers that a test adds are taken off again."""
    log = logging.getLogger("audit")
    before = list(log.handlers)
    yield runpy.run_path(str(dev.ROOT / "examples" / "audit_log.py"))
    for handler in [handler for handler in log.handlers if handler not in before]:
        log.removeHandler(handler)
        handler.close()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def test_each_event_is_a_line_that_says_who_and_from_where(example: dict[str, Any], tmp_path: Path) -> None:
    """In order, with the time as people and programs read it."""
    path = tmp_path / "audit.jsonl"
    site = AuthSite(on_event=example["audit_log"](path))
    ada = site.register("Ada")
    browser = site.logged_in("Ada")
    browser.do(site.auth.logout)

    told = [line for line in lines(path) if line["event"].startswith(("account.", "login."))]

    names = [line["event"] for line in told if line["event"] != "login.new_device"]
    assert names == ["account.registered", "login.succeeded", "login.ended"]
    assert {line["user_id"] for line in told} == {ada.id}
    assert told[-1]["client"] == ADDRESS
    assert told[-1]["time"] == "2023-11-14T22:13:20+00:00"


def test_nothing_secret_is_in_it(example: dict[str, Any], tmp_path: Path) -> None:
    """Neither a password, a hash, a cookie, nor what was typed where a name belongs."""
    path = tmp_path / "audit.jsonl"
    site = AuthSite(on_event=example["audit_log"](path))
    ada = site.register("Ada")
    browser = site.logged_in("Ada")
    browser.do(lambda environ: get_session(environ).update(pin="4711-planted"), status="500 Oops")
    with suppress(LoginFailed):
        browser.do(lambda environ: site.auth.login(environ, PASSWORD, "Ada"))

    text = path.read_text(encoding="ascii")

    secrets = [PASSWORD, "seven quiet", SECRET, "4711-planted", str(ada.password_hash), *browser.cookies.values()]
    assert [secret for secret in secrets if secret in text] == []
    assert '"keys": ["pin"]' in text


def test_nobody_can_forge_a_line(example: dict[str, Any]) -> None:
    """ASVS 5.0 16.4.1. Whatever comes from outside stays within its own."""
    line = example["line"](Event("login.failed", 1, account='x"}\n{"event": "login.succeeded\u2028\x1b[31m'))

    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["event"] == "login.failed"


def test_it_goes_on_after_the_file_was_moved_away(example: dict[str, Any], tmp_path: Path) -> None:
    """As logrotate does."""
    path = tmp_path / "audit.jsonl"
    tell = example["audit_log"](path)
    tell(Event("login.succeeded", 1))
    path.rename(tmp_path / "audit.jsonl.1")
    tell(Event("login.ended", 2))

    assert [line["event"] for line in lines(path)] == ["login.ended"]
