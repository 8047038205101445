"""Processes that should be one site and are not: what their operator sees.

To a visitor all of these look alike: one is logged out, now and then or at once. Each is told in the log of the process
that is at fault, with what to look at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sessionware import Session
from tests.support.fixed import SECRET, Clock
from tests.support.kit import SessionSite
from tests.support.servers import Server, eventually, running

OTHER_SECRET = "Tr0ub4dor&3 and a horse of quite another colour"

Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Runs one more server, on one database with the others unless told otherwise."""
    with ExitStack() as stack:

        def start(directory: str = "", **settings: Any) -> Server:
            place = tmp_path / directory
            place.mkdir(exist_ok=True)
            return stack.enter_context(running("wsgiref", place, **settings))

        yield start


def goes_back_and_forth(*servers: Server, **headers: str) -> None:
    """A browser that a load balancer sends to one server after the other."""
    jar: dict[str, str] = {}
    for server in (*servers, *servers):
        answer = server.get("/count", "; ".join(f"{name}={value}" for name, value in jar.items()), **headers)
        for line in answer.set_cookies:
            name, _, value = line.partition(";")[0].partition("=")
            jar[name] = value


def says(server: Server, *words: str) -> bool:
    """Whether one line of its log has all these words."""
    return eventually(lambda: any(all(word in line for word in words) for line in server.log.splitlines()))


def test_processes_that_are_one_site_say_nothing(start: Start) -> None:
    """Else the others' words would prove nothing."""
    first, second = start(), start()

    goes_back_and_forth(first, second)

    assert [server.log for server in (first, second) if "sessionware" in server.log] == []


def test_two_secrets_are_told_by_both(start: Start) -> None:
    """Neither can open the other's cookie; and each says so once, however many visitors come within a minute."""
    first, second = start(), start(secret=OTHER_SECRET)

    for _ in range(3):
        goes_back_and_forth(first, second)

    for server in (first, second):
        assert says(
            server, "cookie.unknown_key", "do all processes have the same secrets", "client_address='127.0.0.1'"
        )
        assert server.log.count("cookie.unknown_key") == 1


def test_secret_that_changes_at_each_start_is_told(start: Start, tmp_path: Path) -> None:
    """As of one that is made when the module loads."""
    with running("wsgiref", tmp_path, secret=SECRET) as before:
        cookie = before.get("/count").cookie
    after = start(secret=OTHER_SECRET)

    after.get("/count", cookie)

    assert says(after, "cookie.unknown_key", "secrets")


def test_another_cookie_name_is_told_with_the_name_that_came(start: Start) -> None:
    """Every visitor looks new to each of them; the event of a new session tells of the cookie that was not meant."""
    first, second = start(log="INFO"), start(cookie={"name": "shop"}, log="INFO")

    goes_back_and_forth(first, second)

    assert says(second, "session.created", "no shop came", "'sid'")


@pytest.mark.parametrize(
    ("directory", "settings"), [("", {"namespace": "shop"}), ("elsewhere", {})], ids=["namespace", "database"]
)
def test_another_store_is_told(start: Start, directory: str, settings: dict[str, Any]) -> None:
    """Every cookie opens and names a session that is not there, as if it had expired."""
    first, second = start(log="INFO"), start(directory, log="INFO", **settings)

    goes_back_and_forth(first, second)

    assert says(second, "session.expired", "this process has another store than the rest")


def test_shorter_limits_of_one_process_are_told(start: Start) -> None:
    """It ends sessions that the others would keep, and says that it was its own limit."""
    first, second = start(log="INFO"), start(timeouts={"anonymous": 300}, log="INFO")
    cookie = used_ten_minutes_ago(first)

    assert first.get("/count", cookie).set_cookies == []
    cookie = used_ten_minutes_ago(first)
    second.get("/count", cookie)

    assert says(second, "session.expired", "a limit that this process has is shorter")
    assert "session.expired" not in first.log


def used_ten_minutes_ago(server: Server) -> str:
    """The cookie of a session that has lain unused for a while."""

    def count(session: Session) -> None:
        session["n"] = session.get("n", 0) + 1

    browser = SessionSite(server.store, Clock(time.time() - 600)).browser()
    browser.visit(count)
    browser.visit(count)  # so that its cookie has come back
    return f"sid={browser.cookies['sid']}"


def test_secure_cookie_over_http_is_told(start: Start) -> None:
    """The browser drops it; only this server can know."""
    server = start(cookie={"secure": True})

    server.get("/count", Host="www.example.com")

    assert says(server, "The session cookie is Secure, but the page came over plain http", 'Cookie(secure="auto")')


def test_one_process_that_is_not_told_of_https_says_so(start: Start) -> None:
    """Its visitors bring the cookie that they got where https was said."""
    told, untold = start(), start()

    cookie = told.get("/count", X_Forwarded_Proto="https").cookie
    untold.get("/count", cookie)

    assert cookie.startswith("__Host-sid=")
    assert says(untold, "belongs to https", "X-Forwarded-Proto")
    assert "sessionware" not in told.log
