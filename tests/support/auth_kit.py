"""A site with accounts and its visitors: `Auth` behind a real `SessionMiddleware`, under the protocol checker.

    site = AuthSite()
    site.register("Ada")
    browser = site.browser()
    browser.do(lambda environ: site.auth.login(environ, "ada", PASSWORD))

What is done is a function of the environ; what it returns, or raises, is what `do` returns or raises. Hashing is cheap
here, and every call of it is noted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from http.cookiejar import Cookie
from typing import Any
from wsgiref.validate import validator

import argon2
import pytest
from webtest import TestApp, TestResponse

from sessionware import Event, MemoryStore, SessionManager, Store
from sessionware.auth import Argon2Hasher, Auth, MemoryUsers, PasswordPolicy, Throttle, User, Users, Verified
from tests.support.fixed import SECRET, Clock

PASSWORD = "seven quiet lanterns drift"
CHEAP = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
POLICY = PasswordPolicy()
THROTTLE = Throttle()
ADDRESS = "192.0.2.7"
"""Where visitors come from, unless a test says otherwise."""

Act = Callable[[dict[str, Any]], Any]


class CountingHasher:
    """Hashes with the hasher behind it, and notes what it was called for."""

    def __init__(self, behind: Argon2Hasher = CHEAP) -> None:
        self.behind = behind
        self.calls: list[str] = []
        self.after_verify: Callable[[], object] = lambda: None
        """Something to happen while a password is being verified."""

    def hash(self, password: str) -> str:
        self.calls.append("hash")
        return self.behind.hash(password)

    def verify(self, stored: str | None, password: str) -> Verified:
        self.calls.append("verify")
        verified = self.behind.verify(stored, password)
        self.after_verify()
        return verified


class Crowd:
    """Threads inside argon2, held there until they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        self.let_pass: bytes | None = None
        """A password that need not wait."""
        self._arrived = threading.Semaphore(0)
        verify = argon2.PasswordHasher.verify

        def held(hasher: argon2.PasswordHasher, hash: Any, password: Any) -> bool:
            self._arrived.release()
            assert password == self.let_pass or self.go.wait(10)
            return verify(hasher, hash, password)

        monkeypatch.setattr(argon2.PasswordHasher, "verify", held)

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self._arrived.acquire(timeout=10)

    def is_joined(self) -> bool:
        """Whether one more arrives soon."""
        return self._arrived.acquire(timeout=0.05)


def together(count: int, call: Callable[[], Any]) -> list[threading.Thread]:
    """So many threads that do the same, already started."""
    threads = [threading.Thread(target=call, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


class CountingUsers:
    """Notes every call before it reaches the table behind; fails at those that it is told to."""

    def __init__(self, behind: Users) -> None:
        self.behind = behind
        self.calls: list[str] = []
        self.broken: dict[str, Exception] = {}
        self.meanwhile: dict[str, Callable[[], object]] = {}
        """Something to happen once, "before find_by_key" or "after get", as if another request did it."""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.behind, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            if name in self.broken:
                raise self.broken[name]
            self.meanwhile.pop(f"before {name}", lambda: None)()
            result = method(*args, **kwargs)
            self.meanwhile.pop(f"after {name}", lambda: None)()
            return result

        return call

    def taken(self) -> list[str]:
        """The calls since this was asked last."""
        calls, self.calls = self.calls, []
        return calls


class AuthSite:
    """One application with accounts. Whatever else is set is a setting of its `SessionManager`."""

    def __init__(
        self,
        users: Users | None = None,
        hasher: Argon2Hasher = CHEAP,
        store: Store | None = None,
        policy: PasswordPolicy = POLICY,
        throttle: Throttle | None = THROTTLE,
        known_devices: bool = True,
        **settings: Any,
    ) -> None:
        self.users: Any = CountingUsers(users or MemoryUsers())
        self.store = store or MemoryStore()
        self.clock = Clock()
        self.events: list[Event] = []
        self.hasher = CountingHasher(hasher)
        settings = {"secret": SECRET, "on_event": self.events.append, **settings}
        self.manager = SessionManager(store=self.store, clock=self.clock, **settings)
        self.auth = Auth(self.users, policy=policy, hasher=self.hasher, throttle=throttle, known_devices=known_devices)
        self.wsgi = self.wrapped(_application)

    def wrapped(self, app: Any) -> Any:
        """An application with this site's sessions."""
        return validator(self.manager.wrap(app))

    def register(self, username: str, password: str = PASSWORD) -> User:
        """An account, made by nobody's browser."""
        user = self.auth.register(self.manager, username, password, login=False)
        self.events.clear()
        self.hasher.calls.clear()
        self.users.calls.clear()
        return user

    def token(self, username: str = "Ada") -> str:
        """One that is good for a new password, as in the link of a mail."""
        token = self.auth.reset_token(self.manager, username)
        assert token is not None
        return token

    def browser(self, address: str = ADDRESS) -> AuthBrowser:
        return AuthBrowser(self, address=address)

    def logged_in(self, username: str, password: str = PASSWORD) -> AuthBrowser:
        """A browser in which this user is logged in."""
        browser = self.browser()
        browser.do(lambda environ: self.auth.login(environ, username, password))
        return browser

    def told(self, *names: str) -> list[Event]:
        """The events of these names, in order."""
        return [event for event in self.events if event.name in names]


class AuthBrowser:
    """One browser, with its cookies."""

    def __init__(self, site: AuthSite, cookies: Iterable[Cookie] = (), address: str = ADDRESS) -> None:
        self.site = site
        self.address = address
        self.client = TestApp(site.wsgi)
        for cookie in cookies:  # not by WebTest's set_cookie, which puts the value in quotes
            self.client.cookiejar.set_cookie(copy(cookie))

    def copied(self) -> AuthBrowser:
        """A thief's browser, or another tab: one with the cookies that this one has by now."""
        return AuthBrowser(self.site, self.client.cookiejar, self.address)

    def do(
        self, act: Act, *, method: str = "POST", status: str = "200 OK", headers: Mapping[str, str] | None = None
    ) -> Any:
        """What `act(environ)` returns in one request."""
        return self.visit(act, method=method, status=status, headers=headers)[0]

    def visit(
        self,
        act: Act,
        *,
        method: str = "GET",
        status: str = "200 OK",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Any, TestResponse]:
        """The same, with the response."""
        visit = {"act": act, "status": status, "result": None}
        response = self.client.request(
            "/",
            method=method,
            headers=dict(headers or {}),
            environ={"test.visit": visit, "REMOTE_ADDR": self.address},
            expect_errors=True,
        )
        return visit["result"], response

    def who(self) -> str | None:
        """Who is logged in here, as the account is now."""
        user: User | None = self.do(self.site.auth.user, method="GET")
        return user.username if user is not None else None

    @property
    def cookies(self) -> dict[str, str]:
        """Those of sessions. By the others, an account knows the browser for long after the logout."""
        return {name: value for name, value in self.client.cookies.items() if not name.endswith("_known")}


def _application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    visit = environ["test.visit"]
    visit["result"] = visit["act"](environ)
    start_response(visit["status"], [("Content-Type", "text/plain")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"done"]
