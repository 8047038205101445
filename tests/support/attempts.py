"""Attempts to log in, counted: one after the other, or many at once, on any store."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from sessionware.auth import Rate, Throttle
from sessionware.errors import LoginFailed, Throttled
from tests.support.auth_kit import ADDRESS, PASSWORD, AuthBrowser, AuthSite

WRONG = "wrong horse battery staple"

#: Small buckets, so that a test needs few attempts.
FEW = Throttle(client=Rate(10, 2), pair=Rate(3, 30), account=Rate(6, 10), device=Rate(3, 30), register=Rate(2, 60))


def attempt(browser: AuthBrowser, username: str = "Ada", password: str = WRONG, **headers: str) -> str | int:
    """What came of it: "in", "wrong", or the seconds to wait."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return browser.do(lambda environ: outcome(browser.site, environ, username, password), headers=sent)  # type: ignore[no-any-return]


def outcome(site: AuthSite, environ: dict[str, Any], username: str, password: str) -> str | int:
    try:
        site.auth.login(environ, username, password)
    except LoginFailed:
        return "wrong"
    except Throttled as error:
        return error.retry_after or "no idea when"
    return "in"


def addresses(count: int) -> list[str]:
    """So many addresses, each in a network of its own."""
    return [f"198.51.{number // 250}.{number % 250}" for number in range(count)]


def opened(site: AuthSite, address: str = ADDRESS) -> dict[str, Any]:
    """A request without a server around it."""
    environ = {
        "REQUEST_METHOD": "POST",
        "REMOTE_ADDR": address,
        "HTTP_HOST": "example.com",
        "wsgi.url_scheme": "http",
    }
    site.manager.open(environ)
    return environ


def checked_at_once(site: AuthSite, attempts: Iterable[tuple[str, str]], threads: int = 32) -> int:
    """How many passwords are checked when these attempts, of an address at a name, all begin at one moment."""
    waiting, lock = list(attempts), threading.Lock()
    start = threading.Barrier(threads)
    failures: list[BaseException] = []
    before = len(site.hasher.calls)

    def work() -> None:
        start.wait(30)
        while True:
            with lock:
                if not waiting:
                    return
                address, name = waiting.pop()
            try:
                assert outcome(site, opened(site, address), name, WRONG) != "in"
            except BaseException as failure:
                failures.append(failure)

    crowd = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join(120)
    if failures:
        raise failures[0]
    return len(site.hasher.calls) - before


def in_vain(browser: AuthBrowser, times: int, username: str = "Ada") -> list[str | int]:
    """What came of so many attempts in a row."""
    return [attempt(browser, username) for _ in range(times)]


def strangers(site: AuthSite, count: int, username: str = "Ada") -> list[str | int]:
    """What came of one attempt from each of so many addresses."""
    return [outcome(site, opened(site, address), username, WRONG) for address in addresses(count)]


def right(browser: AuthBrowser, username: str = "Ada") -> str | int:
    """What comes of the right password."""
    return attempt(browser, username, PASSWORD)
