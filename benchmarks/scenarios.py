"""The scenarios, and the browsers that go through them.

A browser keeps its cookies like any browser, and knows what each page has to answer; the clock runs only between the
call of the application and the end of its body.
"""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable, Iterable
from time import perf_counter_ns
from typing import Any, Literal, NamedTuple
from wsgiref.util import FileWrapper

from .subjects.base import App

#: Cookies of other origin, as most browsers bring some along.
OTHER_COOKIES = "theme=dark; visitor=GA1.1.1234567890.1234567890"


class WrongAnswer(Exception):
    """A subject did not do what is being measured."""


class Scenario(NamedTuple):
    """What one kind of request does, and with which cookie it comes."""

    letter: str
    text: str
    page: str
    cookie: Literal["none", "small", "big", "forged", "fresh"]
    writes: bool
    """Whether it is a POST."""
    counts: bool = False
    """Whether the answer is one more each time."""


SCENARIOS = {
    scenario.letter: scenario
    for scenario in (
        Scenario("A", "no cookie, session not looked at", "/untouched", "none", False),
        Scenario("B", "valid cookie, session not looked at", "/untouched", "small", False),
        Scenario("C", "read one key", "/read", "small", False),
        Scenario("D", "n += 1", "/count", "small", True, True),
        Scenario("E", "new session", "/start", "none", True),
        Scenario("F", "forged cookie, read", "/read", "forged", False),
        Scenario("G1", "4 kB session, read the large key", "/read-big", "big", False),
        Scenario("G2", "4 kB session, write one small key", "/write-big", "big", True, True),
        Scenario("M", "exact n += 1 by modify()", "/modify", "small", True, True),
        Scenario("L", "login from an anonymous session", "/login", "fresh", True),
    )
}


class Answer(NamedTuple):
    """What an application said, and how many nanoseconds it took."""

    status: str
    headers: list[tuple[str, str]]
    body: str
    duration: int

    @property
    def set_cookies(self) -> list[str]:
        return [value for name, value in self.headers if name.lower() == "set-cookie"]


def ask(app: App, page: str, cookie: str = "", *, writes: bool = False) -> Answer:
    """One request, timed."""
    environ = environ_for(page, cookie, writes=writes)
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> Callable[..., Any]:
        started[:] = [status, headers]
        return _refuse_write

    begin = perf_counter_ns()
    chunks = app(environ, start_response)
    body = b"".join(chunks)
    if hasattr(chunks, "close"):
        chunks.close()
    duration = perf_counter_ns() - begin
    return Answer(started[0], started[1], body.decode(), duration)


def _refuse_write(_data: bytes) -> None:
    raise NotImplementedError("no subject uses write()")


def environ_for(page: str, cookie: str, *, writes: bool) -> dict[str, Any]:
    """What a server would pass for a request of an ordinary browser."""
    return {
        "REQUEST_METHOD": "POST" if writes else "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": page,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": "0",
        "HTTP_HOST": "localhost:8000",
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "HTTP_ACCEPT_LANGUAGE": "en",
        "HTTP_SEC_FETCH_SITE": "same-origin",
        "HTTP_COOKIE": f"{OTHER_COOKIES}; {cookie}" if cookie else OTHER_COOKIES,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }


class Browser:
    """One visitor of one subject: its cookies, and the number that its session has to hold."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.cookies: dict[str, str] = {}
        self.n = 0

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def visit(self, page: str, *, writes: bool = False) -> Answer:
        answer = ask(self._app, page, self.cookie, writes=writes)
        if not answer.status.startswith("200 "):
            raise WrongAnswer(f"{page} answered {answer.status}")
        self._keep(answer.set_cookies)
        return answer

    def _keep(self, set_cookies: Iterable[str]) -> None:
        """By hand: only what the subjects do send, a name, a value, and Max-Age=0 or nothing to forget it."""
        for line in set_cookies:
            name, _, value = line.partition(";")[0].partition("=")
            if value.strip('"') and "max-age=0" not in line.lower():
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)

    def copy(self) -> Browser:
        """Another one with the same cookies."""
        other = Browser(self._app)
        other.cookies = dict(self.cookies)
        return other

    def forged(self, rng: random.Random) -> Browser:
        """One whose cookies have the right shape and are not what the server gave out."""

        def shuffled(match: re.Match[str]) -> str:
            return "".join(rng.sample(match[0], len(match[0])))

        other = Browser(self._app)
        other.cookies = {name: re.sub(r"[A-Za-z0-9_-]+", shuffled, value) for name, value in self.cookies.items()}
        return other


def begun(app: App, page: str = "/start") -> Browser:
    """A browser in whose session n is 1."""
    browser = Browser(app)
    answer = browser.visit(page, writes=True)
    browser.n = int(answer.body)
    return browser
