"""What a subject is, and the pages that every subject serves.

A subject is one session layer in one configuration: it builds a WSGI application from a scratch directory. All serve
the same pages, written once here, so that what differs between two of them is the session layer and the framework.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Page = Callable[[Any], str]

SECRET = "a secret that protects nothing but measurements"
PLENTY = 10_000_000  # sessions: no subject shall evict one because of a limit that an application would raise

#: A session of about four kilobytes: a counter, and a shopping cart beside it.
BIG: dict[str, Any] = {
    "n": 1,
    "cart": [
        {"item": f"thing number {i}", "amount": i, "price": i + 0.25, "is_gift": i % 3 == 0, "tags": ["new", "red"]}
        for i in range(48)
    ],
}


@dataclass(frozen=True)
class Subject:
    """One session layer in one configuration."""

    name: str
    store: Literal["none", "memory", "file", "sqlite", "cookie", "postgresql", "mariadb", "redis"]
    kind: Literal["ours", "floor", "peer", "bare"]
    build: Callable[[Path], App]
    bare: str = "bare"
    """The subject that is the same application without sessions."""
    is_default: bool = True
    """Whether this is how the package comes, with nothing tuned but limits that would evict live sessions."""
    skips: frozenset[str] = frozenset("M")
    """Scenarios that it has no way to serve."""


def _no_save(_request: Any, _session: Any) -> None:
    pass


def _set_user(session: Any, name: str) -> None:
    session["user"] = name


def _get_user(session: Any) -> str:
    return str(session.get("user"))


class Pages:
    """The pages, over one way to reach a session.

    `get` takes the framework's request and gives the session; `save(request, session)` is for layers that must be told
    to; `log_in(session, name)` is a login with whatever the layer has against fixation; `user` says who is logged in.
    """

    def __init__(
        self,
        get: Callable[[Any], Any],
        *,
        save: Callable[[Any, Any], None] = _no_save,
        log_in: Callable[[Any, str], None] = _set_user,
        user: Callable[[Any], str] = _get_user,
    ) -> None:
        self._get, self._save, self._log_in, self._user = get, save, log_in, user
        self._names = (f"user{number}" for number in itertools.count())
        self.table: dict[str, Page] = {
            "/untouched": self.untouched,
            "/read": self.read,
            "/count": self.count,
            "/start": self.start,
            "/fill": self.fill,
            "/read-big": self.read_big,
            "/write-big": self.write_big,
            "/modify": self.modify,
            "/login": self.login,
            "/who": self.who,
        }

    def untouched(self, _request: Any) -> str:
        return "untouched"

    def read(self, request: Any) -> str:
        return str(self._get(request).get("n"))

    def count(self, request: Any) -> str:
        session = self._get(request)
        n = session["n"] = session.get("n", 0) + 1
        self._save(request, session)
        return str(n)

    def start(self, request: Any) -> str:
        session = self._get(request)
        session["n"] = 1
        self._save(request, session)
        return "1"

    def fill(self, request: Any) -> str:
        session = self._get(request)
        session.update(BIG)
        self._save(request, session)
        return "1"

    def read_big(self, request: Any) -> str:
        return str(self._get(request)["cart"][0]["amount"] + 1)

    def write_big(self, request: Any) -> str:
        session = self._get(request)
        n = session["n"] = session["n"] + 1
        self._save(request, session)
        return str(n)

    def modify(self, request: Any) -> str:
        return str(self._get(request).modify("n", _add_one, default=0))

    def login(self, request: Any) -> str:
        session, name = self._get(request), next(self._names)
        self._log_in(session, name)
        self._save(request, session)
        return name

    def who(self, request: Any) -> str:
        return self._user(self._get(request))


def _add_one(n: int) -> int:
    return n + 1


class Plain(dict[str, Any]):
    """Stands in for a session where there is none: one dict for all, so that the pages do the same work."""

    def modify(self, key: str, fn: Callable[[Any], Any], default: Any) -> Any:
        self[key] = value = fn(self.get(key, default))
        return value


def plain_pages() -> Pages:
    """The pages without any session layer."""
    session = Plain(BIG)
    return Pages(lambda _request: session)


def wsgi_app(pages: Pages) -> App:
    """The pages as an application without any framework."""
    table = pages.table

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = table[environ["PATH_INFO"]](environ).encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return app


BARE = Subject("bare", "none", "bare", lambda _directory: wsgi_app(plain_pages()), skips=frozenset())
