"""What the time of an answer tells of an account, measured where an attacker measures it: at the pages.

At the login page every kind of refusal takes its turn in random order, on a site with its accounts and sessions in
SQLite. First with the hasher as it comes, then with one that costs nothing, which hides no difference in the rest of
what is done. At /forgot, links are asked for by names that exist and by names that do not. The answer to that is timed,
and so is that to the request right after it.
"""

from __future__ import annotations

import gc
import io
import logging
import os
import random
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode
from wsgiref.util import setup_testing_defaults

from sessionware import SessionMiddleware, SQLiteStore
from sessionware.auth import Argon2Hasher, Auth, AuthPages, SQLiteUsers

from .children import in_child
from .ranks import told_apart

SECRET = "the secret of a benchmark, and of nothing else"
PASSWORD = "seven quiet lanterns drift"
CHEAP = {"time_cost": 1, "memory_cost": 16}

#: How often each case happens before it is timed, so that all is loaded, and older costs are topped up as they should.
WARM_UP = 40

#: Seconds. Long enough for every lane of the throttle to be empty again.
PAUSE = 3600

logging.getLogger("sessionware").addHandler(logging.NullHandler())  # or each event would be printed


class Plan(NamedTuple):
    """How often each case is timed."""

    timed: int
    seed: int


class Answer(NamedTuple):
    """What came back, and after how many seconds."""

    status: int
    headers: dict[str, str]
    seconds: float


def measure(plan: Plan) -> dict[str, Any]:
    """The rows of each table, and how busy the machine was."""
    return {
        "load": round(os.getloadavg()[0], 1),
        "login": in_child(refusals, plan, {}),
        "login_cheap": in_child(refusals, plan, CHEAP),
        "forgot": in_child(links, plan),
    }


def refusals(plan: Plan, costs: dict[str, int]) -> list[dict[str, Any]]:
    """How long the login page takes to refuse, and how far the kinds of refusal can be told apart."""
    with tempfile.TemporaryDirectory() as directory:
        site = Site(Path(directory), Argon2Hasher(**costs), plan.seed)
        cases = {
            "unknown name": partial(site.refuses, "nobody"),
            "wrong password": partial(site.refuses, "ada"),
            "disabled": partial(site.refuses, "disabled"),
            "malformed hash": partial(site.refuses, "malformed"),
            "older costs": partial(site.refuses, "older"),
            "over-long password": partial(site.refuses, "ada", "x" * 1025),
            "wrong, after a wait": partial(site.refuses_after_a_wait, "waiting"),
        }
        return told_apart(in_turns(cases, plan))


def links(plan: Plan) -> list[dict[str, Any]]:
    """How long /forgot takes for a name, and how long the login page takes right after that."""
    with tempfile.TemporaryDirectory() as directory:
        site = Site(Path(directory), Argon2Hasher(**CHEAP), plan.seed)
        names = {"unknown name": "nobody", "known name": "ada", "disabled": "disabled"}
        cases = {name: partial(site.answers, "/forgot", username=typed) for name, typed in names.items()}
        after = {f"{name}, the next page": partial(site.answers_after, typed) for name, typed in names.items()}
        return told_apart(in_turns(cases, plan)) + told_apart(in_turns(after, plan))


def in_turns(cases: Mapping[str, Callable[[], float]], plan: Plan) -> dict[str, list[float]]:
    """What each case returns, which is how long it took. In each round all of them happen, in random order."""
    rng = random.Random(plan.seed)
    times: dict[str, list[float]] = {name: [] for name in cases}
    gc.disable()  # it would strike now here and now there, and a difference shows better without
    for number in range(WARM_UP + plan.timed):
        for name in rng.sample(list(cases), len(cases)):
            seconds = cases[name]()
            if number >= WARM_UP:
                times[name].append(seconds)
        gc.collect()
    gc.enable()
    return times


class Site:
    """A site with the pages, its accounts, and a clock that is moved on. Each visitor has an address of his own."""

    def __init__(self, directory: Path, hasher: Argon2Hasher, seed: int) -> None:
        self.now = time.time()
        users = SQLiteUsers(directory / "app.db")
        _add_accounts(users, hasher)
        auth = Auth(users, hasher=hasher, send=lambda purpose, user, path: None)
        store = SQLiteStore(directory / "app.db")
        self._serve = SessionMiddleware(AuthPages(_empty, auth), SECRET, store, clock=lambda: self.now)
        self._rng = random.Random(seed)

    def refuses(self, username: str, password: str = "not the password") -> float:
        """How many seconds a login took to be refused, for somebody who has tried once before: so have all others."""
        self.now += PAUSE
        address, typed = self._address(), {"username": username, "password": password}
        _expected(self._asks("/login", typed, address), 403)
        return _expected(self._asks("/login", typed, address), 403)

    def refuses_after_a_wait(self, username: str) -> float:
        """The same for somebody who had to wait, and has."""
        self.now += PAUSE
        address = self._address()
        typed = {"username": username, "password": "not the password"}
        while (answer := self._asks("/login", typed, address)).status != 429:
            _expected(answer, 403)
        self.now += int(answer.headers["Retry-After"])
        return _expected(self._asks("/login", typed, address), 403)

    def answers(self, path: str, **typed: str) -> float:
        """How many seconds a form took to be answered."""
        return _expected(self._new_visitor(path, **typed), 200, 303)

    def answers_after(self, username: str) -> float:
        """How many seconds the login page took, right after somebody asked for a link."""
        self.answers("/forgot", username=username)
        return _expected(self._asks("/login", None, self._address()), 200)

    def _new_visitor(self, path: str, **typed: str) -> Answer:
        self.now += PAUSE
        return self._asks(path, typed, self._address())

    def _address(self) -> str:
        return f"198.18.{self._rng.randrange(256)}.{self._rng.randrange(256)}"

    def _asks(self, path: str, typed: dict[str, str] | None, address: str) -> Answer:
        """One request, from the call of the application to the end of its body. Without a form it is a GET."""
        environ = _environ(path, typed, address)
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            started[:] = status, headers

        begun_at = time.perf_counter()
        body: Any = self._serve(environ, start_response)
        b"".join(body)
        getattr(body, "close", lambda: None)()
        seconds = time.perf_counter() - begun_at
        status, headers = started
        return Answer(int(status[:3]), dict(headers), seconds)


def _expected(answer: Answer, *statuses: int) -> float:
    """The duration, if the answer is of the kind that is timed."""
    if answer.status not in statuses:
        raise AssertionError(f"{answer.status} is none of {statuses}")
    return answer.seconds


def _add_accounts(users: SQLiteUsers, hasher: Argon2Hasher) -> None:
    current = hasher.hash(PASSWORD)
    older = Argon2Hasher(hasher.time_cost, hasher.memory_cost // 2).hash(PASSWORD)
    for name in ("ada", "waiting"):
        users.add(name, name, current, {})
    users.set_active(users.add("disabled", "disabled", current, {}).id, False)
    users.add("malformed", "malformed", "!", {})
    users.add("older", "older", older, {})


def _environ(path: str, typed: dict[str, str] | None, address: str) -> dict[str, Any]:
    body = urlencode(typed or {}).encode()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET" if typed is None else "POST",
        "PATH_INFO": path,
        "REMOTE_ADDR": address,
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "HTTP_SEC_FETCH_SITE": "same-origin",
    }
    setup_testing_defaults(environ)
    return environ


def _empty(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b""]
