"""The hammer: real requests to a real server whose workers are killed, and then a count of what is left.

    python tests/hammer.py [--store sqlite|file|both] [--requests N] [--kills N] [--seed N]

gunicorn serves `hammer_site` with several processes of several threads. Threads here play browsers; several share one,
so that requests of one session overlap. They count, write keys of their own, take keys away, log in and out, change the
user, get new tokens, revoke sessions, and come back with cookies that are dead. Meanwhile workers, and now and then the
whole server, are killed by SIGKILL.

A request whose answer came whole is acknowledged, one that broke off is unknown, and after a 503 a write must not be
there (but a login or logout may be). `Book` keeps what follows from each. At the end, every acknowledged write has to
be there and nothing that was refused, counters lie between the acknowledged and those plus the unknown ones, and no
cookie that was dead before a request was sent ever shows its session. A write that a login overtook is no acknowledged
one: the page saves by itself and answers with what became of it.

Everything that is chosen follows from the seed; which request meets which, and the moment of a kill, do not.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from conftest import SECRET

from sessionware import FileStore, SessionMiddleware, Store
from sessionware.records import Records, Stored
from sessionware.stores import open_store
from sessionware.values import decode

TESTS = Path(__file__).parent
PATIENCE = 30.0  # seconds, for one answer: longer than a server takes to come back
COUNTERS = ("n0", "n1", "n2")
LINGERS = (0, 0, 1, 3, 6)  # milliseconds between a page's look at its session and its change: the time to overlap
LARGEST = 60  # keys, after which a visitor closes the browser and begins anew
SHOWN = 10  # cases of each kind that are printed

_GUNICORN = [sys.executable, "-m", "gunicorn", "--log-level=error", "--timeout=60"]


@dataclass(frozen=True)
class Plan:
    """What to do."""

    store: str = "sqlite"
    requests: int = 20_000
    kills: int = 50
    seed: int = 1
    threads: int = 12
    workers: int = 3
    patience: float = 600.0
    """Seconds after which it stops, and says so."""


class Result(NamedTuple):
    """What was done, and what went wrong: each case with all that it takes to look into it."""

    store: str
    requests: int
    acknowledged: int
    unknown: int
    conflicts: int
    """Requests that were answered with a 503."""
    retries: int
    """How often an increment was computed again because another request got in between."""
    overtaken: int
    """Writes that were dropped, as their page said, because of a login or an end."""
    sessions: int
    ended: int
    kills: int
    restarts: int
    seconds: float
    lost: tuple[str, ...]
    """Acknowledged and not there."""
    revived: tuple[str, ...]
    """Ended, or behind an older token, and seen again."""
    faults: tuple[str, ...]
    """All else that is not as it should be."""

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.revived or self.faults)


# The server


class Server:
    """gunicorn over one store. Its socket is held here, so that whoever asks while it is down waits for the next."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self.plan = plan
        self.log = directory / "server.log"
        self.url = url_of(plan.store, directory / "sessions")
        self.kills = self.restarts = 0
        self._chance = random.Random(f"{plan.seed} server")
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._lock = threading.Lock()
        self.address: tuple[str, int] = self._listener.getsockname()
        self.start()

    def start(self) -> None:
        """Start it, in a process group of its own; sometimes its workers are forked with the application built."""
        listener = self._listener.fileno()
        options = [f"--workers={self.plan.workers}", "--worker-class=gthread", "--threads=4", f"--bind=fd://{listener}"]
        preload = self._chance.choice([["--preload"], []])
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_GUNICORN, *options, *preload, "hammer_site:site()"],
                cwd=TESTS,
                env={**os.environ, "SESSION_SECRET": SECRET, "HAMMER_STORE": self.url},
                pass_fds=[listener],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill the master and all workers at one blow."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def kill_worker(self) -> None:
        """Kill one worker. The master starts another in its place."""
        with self._lock:
            deadline = time.monotonic() + PATIENCE
            while not (workers := _children(self._process.pid)) and time.monotonic() < deadline:
                time.sleep(0.01)
            with suppress(ProcessLookupError):
                os.kill(self._chance.choice(workers), signal.SIGKILL)
                self.kills += 1

    def restart(self) -> None:
        with self._lock:
            self.kill()
            self.start()
            self.restarts += 1

    def close(self) -> None:
        self.kill()
        self._listener.close()

    def wait(self) -> None:
        """Wait until it serves. Raises `RuntimeError`, with its last words, if it does not."""
        deadline = time.monotonic() + PATIENCE
        with closing(http.client.HTTPConnection(*self.address, timeout=1)) as connection:
            while ask(connection, "read", None) is None:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"gunicorn does not serve: {self.last_words()}")

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=PATIENCE)


def url_of(store: str, path: Path) -> str:
    return f"sqlite:///{path}" if store == "sqlite" else f"file://{path}"


def _children(pid: int) -> list[int]:
    """The processes that this one has started, as `ps` knows them everywhere, or as Linux tells without it."""
    with suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [line.split() for line in listed.splitlines()]
    return [int(child) for child, parent in pairs if int(parent) == pid]


class Answer(NamedTuple):
    """An answer that came whole."""

    status: int
    cookie: str | None
    """The cookie that it sets; empty if it takes the browser's away."""
    told: dict[str, Any]


def ask(connection: http.client.HTTPConnection, page: str, cookie: str | None, **fields: object) -> Answer | None:
    """Send one request. None if it broke off."""
    try:
        headers = {"Cookie": f"session={cookie}"} if cookie else {}
        connection.request("GET", f"/{page}?{urlencode(fields)}", headers=headers)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return None
    line = response.getheader("Set-Cookie")
    sets = None if line is None else line.partition(";")[0].partition("=")[2]
    return Answer(response.status, sets, json.loads(body) if response.status == 200 else {})


# What must be there


@dataclass
class Handle:
    """One session, by its id."""

    id: str
    ended_at: float = inf
    may_be_over: bool = False
    """A request that was to end it broke off."""


@dataclass
class Story:
    """What a session holds, from its start to its end, or until another user logs in to it."""

    handle: Handle
    counted: Counter[str] = field(default_factory=Counter)
    unsure: Counter[str] = field(default_factory=Counter)
    """Increments whose answers broke off."""
    kept: dict[str, int] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Keys that must not be there: taken away, or refused."""
    is_over: bool = False
    """Another user has logged in to the session, and so its data was dropped."""
    may_be_over: bool = False

    def snapshot(self) -> Story:
        """What must be there by now, for a request that is about to be sent."""
        return Story(self.handle, Counter(self.counted), Counter(), dict(self.kept), set(self.gone))

    def missing(self, data: dict[str, Any]) -> Iterator[str]:
        """What was acknowledged and is not in this data."""
        for key, value in self.kept.items():
            if data.get(key) != value:
                yield f"key {key} was acknowledged as {value} and is {data.get(key)}"
        for key, count in self.counted.items():
            if data.get(key, 0) < count:
                yield f"counter {key} is {data.get(key, 0)} after {count} acknowledged increments"

    def surplus(self, data: dict[str, Any]) -> Iterator[str]:
        """What is in this data and must not be."""
        for key in sorted(self.gone & data.keys()):
            yield f"key {key} was taken away or refused, and is {data[key]}"
        for key in COUNTERS:
            most = self.counted[key] + self.unsure[key]
            if data.get(key, 0) > most:
                yield f"counter {key} is {data[key]} after {most} increments, {self.unsure[key]} of them unknown"


@dataclass(eq=False)
class Ticket:
    """A cookie, the story that it leads to, and who was logged in when it was given."""

    cookie: str
    story: Story
    user: str | None
    sent_at: float
    """When the request was sent that it came with."""
    issued_at: float
    dead_since: float = inf
    may_be_dead: bool = False

    @property
    def handle(self) -> Handle:
        return self.story.handle

    def is_dead(self, at: float) -> bool:
        return min(self.dead_since, self.handle.ended_at) < at


@dataclass(eq=False)
class Browser:
    """A visitor with a name or two, and the cookie that the browser has by now."""

    number: int
    weights: dict[str, float]
    ticket: Ticket | None = None
    tickets: list[Ticket] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, str]:
        return f"ada{self.number}", f"bob{self.number}"


class Sent(NamedTuple):
    """A request, as it was sent."""

    page: str
    ticket: Ticket | None
    at: float
    fields: dict[str, Any]
    expected: Story | None
    """What the session must hold, to be compared if it is read."""

    @property
    def changes_user(self) -> bool:
        user = self.ticket.user if self.ticket else None
        return self.page == "login" and user is not None and user != self.fields["name"]


class Book:
    """What is known from the answers. All methods hold one lock, so that each sees a whole state."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.tickets: list[Ticket] = []
        self.handles: dict[str, Handle] = {}
        self.tally: Counter[str] = Counter()
        self.lost: list[str] = []
        self.revived: list[str] = []
        self.faults: list[str] = []
        self._began = time.monotonic()
        self._unknown_revocations: list[tuple[str, float]] = []

    @property
    def stories(self) -> list[Story]:
        return list({id(ticket.story): ticket.story for ticket in self.tickets}.values())

    def handle(self, id: str) -> Handle:
        return self.handles.setdefault(id, Handle(id))

    def about_to_send(self, page: str, ticket: Ticket | None, **fields: Any) -> Sent:
        with self.lock:
            expected = ticket.story.snapshot() if ticket and page == "read" else None
            if ticket and page == "drop":
                fields["value"] = ticket.story.kept.pop(fields["key"], None)  # unknown until the answer is here
            return Sent(page, ticket, time.monotonic(), fields, expected)

    def enter(self, sent: Sent, answer: Answer | None) -> Ticket | None:
        """Draw the conclusions from a request. Returns the new ticket, if it brought one."""
        with self.lock:
            self.tally["requests"] += 1
            if answer is None or answer.status == 503:
                self.tally["unknown" if answer is None else "conflicts"] += 1
                self._enter_failure(sent, refused=answer is not None)
                return None
            if answer.status != 200:
                self.faults.append(f"{self._name(sent)} was answered with {answer.status}")
                return None
            self.tally["acknowledged"] += 1
            self.tally["retries"] += answer.told.get("retries", 0)
            self._look_for_the_dead(sent, answer)
            if sent.page == "revoke":
                self._enter_revocation(sent, answer)
                return None
            return self._enter_answer(sent, answer)

    def _enter_failure(self, sent: Sent, *, refused: bool) -> None:
        """Nothing is known; after a 503 it is that a write is not there."""
        ticket = sent.ticket
        if sent.page == "revoke":
            self._unknown_revocations.append((sent.fields["name"], time.monotonic()))
        if ticket is None:
            return
        if sent.page == "add" and not refused:
            ticket.story.unsure[sent.fields["key"]] += 1
        elif sent.page == "put" and refused:
            ticket.story.gone.add(sent.fields["key"])
        elif sent.page == "drop" and refused and sent.fields["value"] is not None:
            ticket.story.kept[sent.fields["key"]] = sent.fields["value"]
        elif sent.page in ("login", "rotate", "logout"):
            ticket.may_be_dead = True
            ticket.handle.may_be_over |= sent.page == "logout"
            ticket.story.may_be_over |= sent.changes_user

    def _enter_revocation(self, sent: Sent, answer: Answer) -> None:
        """All that was owned before it was sent is ended, and what it says that it ended."""
        self._end(answer.told["ended"])
        for ticket in self.tickets:
            if ticket.user == sent.fields["name"] and ticket.issued_at < sent.at:
                ticket.dead_since = min(ticket.dead_since, time.monotonic())

    def _enter_answer(self, sent: Sent, answer: Answer) -> Ticket | None:
        given = self._enter_ticket(sent, answer) if answer.cookie else None
        if sent.page == "logout":
            replaced_long_ago = "token_replayed" in answer.told["events"]  # then the cookie counts as none
            self._end([sent.ticket.handle.id] if sent.ticket and not replaced_long_ago else [])
            self._end(answer.told["ended"])
        elif sent.page in ("add", "put", "drop"):
            self._enter_write(sent, answer, given or sent.ticket)
        elif sent.page == "read" and sent.ticket and self._shows(sent, answer):
            self._compare(sent, sent.ticket.story, answer.told["data"])
        return given

    def _compare(self, sent: Sent, story: Story, data: dict[str, Any]) -> None:
        """What was acknowledged before a read was sent has to be in it, but for what was taken away meanwhile."""
        if sent.expected is not None:
            expected = sent.expected
            expected.kept = {key: value for key, value in expected.kept.items() if key in story.kept}
            self.lost += [f"{self._name(sent)} tells: {what}" for what in expected.missing(data)]

    def _enter_ticket(self, sent: Sent, answer: Answer) -> Ticket:
        """A new session, or a new token for one: the older ones are dead from now on."""
        now, told, handle = time.monotonic(), answer.told, self.handle(answer.told["id"])
        goes_on = sent.ticket is not None and sent.ticket.handle is handle
        if goes_on and sent.ticket and not sent.changes_user:
            story = sent.ticket.story
        else:
            story = Story(handle)
            self._inherit(sent, story, told.get("data", {}), goes_on)
        for older in self.tickets:
            if older.handle is handle:
                older.dead_since = min(older.dead_since, now)
        ticket = Ticket(answer.cookie or "", story, told["user"], sent.at, now)
        self.tickets.append(ticket)
        return ticket

    def _inherit(self, sent: Sent, story: Story, data: dict[str, Any], goes_on: bool) -> None:
        """A login that lost its session to another one begins with that one's data; another user's is dropped."""
        if goes_on and sent.ticket:
            sent.ticket.story.is_over = True
            if data:
                self.faults.append(f"{self._name(sent)} shows another user's data: {data}")
        for key, value in data.items():
            if key in COUNTERS:
                story.counted[key] = value
            else:
                story.kept[key] = value

    def _enter_write(self, sent: Sent, answer: Answer, ticket: Ticket | None) -> None:
        """A write that was kept has to stay; one that was dropped must not be there."""
        key, story = sent.fields["key"], ticket.story if ticket else None
        is_kept = not answer.told["is_new"]
        self.tally["overtaken"] += not is_kept
        if story is None or (is_kept and story.handle.id != answer.told["id"]):
            if is_kept:
                self.faults.append(f"{self._name(sent)} was kept in session {answer.told['id']}, without a cookie")
        elif sent.page == "add":
            story.counted[key] += is_kept
        elif sent.page == "put":
            story.kept.update({key: sent.fields["value"]} if is_kept else {})
            story.gone.update(() if is_kept else {key})
        elif sent.fields["value"] is not None:
            if is_kept and not answer.told["had"]:
                self.lost.append(f"{self._name(sent)} did not find the key, which had been acknowledged")
            story.gone.update({key} if is_kept else ())
            story.kept.update({} if is_kept else {key: sent.fields["value"]})

    def _look_for_the_dead(self, sent: Sent, answer: Answer) -> None:
        """No cookie that was dead before the request was sent may show its session, or anybody's data."""
        ticket = sent.ticket
        if ticket is None or not ticket.is_dead(sent.at):
            return
        shows_data = sent.page == "read" and (answer.told["data"] or answer.told["user"])
        if self._shows(sent, answer) or shows_data:
            since = min(ticket.dead_since, ticket.handle.ended_at) - self._began
            self.revived.append(f"{self._name(sent)} with a cookie dead since {since:.3f} s, got {answer.told}")

    def _shows(self, sent: Sent, answer: Answer) -> bool:
        """Whether the request was let into the session of its cookie."""
        told = answer.told
        return sent.ticket is not None and not told.get("is_new", True) and told["id"] == sent.ticket.handle.id

    def _end(self, ids: list[str]) -> None:
        for id in ids:
            self.handle(id).ended_at = min(self.handle(id).ended_at, time.monotonic())

    def settle(self) -> None:
        """Once no request is at work: what revocations that broke off may have ended."""
        for ticket in self.tickets:
            for name, until in self._unknown_revocations:
                ticket.handle.may_be_over |= ticket.user == name and ticket.sent_at < until

    def _name(self, sent: Sent) -> str:
        session = sent.ticket.handle.id if sent.ticket else "none"
        return f"{sent.page} {sent.fields} in session {session}, sent at {sent.at - self._began:.3f} s"


# Pounding

#: How often each act comes up: with browsers that stay as they are, and with those that log in and out.
STEADY = {"add": 5, "put": 4, "drop": 1, "read": 2}
WRITING = {"add": 5, "put": 3, "read": 2, "ghost": 2}
MIXED = {**WRITING, "login": 1, "change": 0.3, "rotate": 0.5, "logout": 0.5, "revoke": 0.3}


class Hammer:
    """One run, on a fresh store in a directory of its own."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self.plan = plan
        self.server = Server(plan, directory)
        self.book = Book()
        self._began = time.monotonic()
        self._turns = itertools.count()
        self._browsers = [Browser(number, STEADY if number < 3 else MIXED) for number in range(6)]
        chance = random.Random(f"{plan.seed} kills")
        moments = sorted(chance.sample(range(plan.requests // 20, plan.requests), plan.kills))
        self._kills = dict.fromkeys(moments, self.server.kill_worker)
        self._kills.update(dict.fromkeys(moments[2::10], self._kill_worker_then_all))

    def __enter__(self) -> Hammer:
        try:
            self.server.wait()
        except BaseException:
            self.server.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()

    def pound(self) -> None:
        """Send the requests, from all threads."""
        threads = [threading.Thread(target=self._visit, args=(number,)) for number in range(self.plan.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def result(self) -> Result:
        book, tally, server = self.book, self.book.tally, self.server
        return Result(
            store=self.plan.store,
            requests=tally["requests"],
            acknowledged=tally["acknowledged"],
            unknown=tally["unknown"],
            conflicts=tally["conflicts"],
            retries=tally["retries"],
            overtaken=tally["overtaken"],
            sessions=len(book.handles),
            ended=sum(handle.ended_at < inf for handle in book.handles.values()),
            kills=server.kills,
            restarts=server.restarts,
            seconds=time.monotonic() - self._began,
            lost=tuple(book.lost),
            revived=tuple(book.revived),
            faults=tuple(book.faults),
        )

    def _kill_worker_then_all(self) -> None:
        self.server.kill_worker()
        self.server.restart()

    def _visit(self, thread: int) -> None:
        """What one thread does."""
        chance = random.Random(f"{self.plan.seed} thread {thread}")
        try:
            with closing(self.server.connect()) as connection:
                for turn in iter(lambda: next(self._turns), None):
                    if turn >= self.plan.requests or self.is_late():
                        return
                    self._kills.get(turn, lambda: None)()
                    self._take_turn(connection, chance, turn)
        except Exception as error:
            self.book.faults.append(f"thread {thread} stopped: {error!r}")
            raise

    def is_late(self) -> bool:
        """Whether the time is up, which is a fault."""
        is_late = time.monotonic() - self._began > self.plan.patience
        text = f"stopped after {self.plan.patience:.0f} seconds"
        if is_late and text not in self.book.faults:
            self.book.faults.append(text)
        return is_late

    def _take_turn(self, connection: http.client.HTTPConnection, chance: random.Random, turn: int) -> None:
        """One request of one browser, and right after an end or a login the question whether the dead stay dead."""
        if chance.random() < 0.25:
            connection.close()  # the next one may meet another worker
        browser = chance.choice(self._browsers)
        act = chance.choices(list(browser.weights), list(browser.weights.values()))[0]
        sent = self._choose(browser, act, chance, turn)
        cookie = sent.ticket.cookie if sent.ticket else None
        fields = {name: value for name, value in sent.fields.items() if sent.page != "drop" or name == "key"}
        answer = ask(connection, sent.page, cookie, linger=chance.choice(LINGERS), **fields)
        given = self.book.enter(sent, answer)
        if sent.ticket is None or act != "ghost":
            self._keep_cookie(browser, sent, answer, given)
        if sent.page in ("login", "rotate", "logout", "revoke"):
            self._ask_the_dead(connection, browser)

    def _choose(self, browser: Browser, act: str, chance: random.Random, turn: int) -> Sent:
        """The request for an act. A key is written once, by one request."""
        ticket, number = browser.ticket, chance.randrange(10**9)
        begin = self.book.about_to_send
        if act == "ghost":
            dead = [ticket for ticket in browser.tickets[-20:] if ticket.is_dead(time.monotonic())]
            ticket = chance.choice(dead) if dead else ticket
            act = chance.choice(["add", "put", "read", "rotate"]) if dead else "read"
        if act in ("login", "change"):
            name = browser.names[act == "change"]
            return begin("login", ticket, name=name)
        if act == "revoke":
            return begin("revoke", None, name=chance.choice(browser.names))
        if act == "add":
            return begin("add", ticket, key=chance.choice(COUNTERS))
        keys = list(ticket.story.kept) if ticket and act == "drop" else []
        if keys:
            return begin("drop", ticket, key=chance.choice(keys))
        return begin("put", ticket, key=f"k{turn}", value=number) if act in ("put", "drop") else begin(act, ticket)

    def _keep_cookie(self, browser: Browser, sent: Sent, answer: Answer | None, given: Ticket | None) -> None:
        """What a browser does with an answer. One that lost an answer with a cookie in it begins anew, without."""
        with self.book.lock:
            if given is not None:
                browser.ticket = given
                browser.tickets.append(given)
            is_grown = browser.ticket is not None and len(browser.ticket.story.kept) > LARGEST
            is_unsure = browser.ticket is sent.ticket and sent.ticket is not None and sent.ticket.may_be_dead
            if is_grown or is_unsure or (answer is not None and answer.cookie == ""):
                browser.ticket = None

    def _ask_the_dead(self, connection: http.client.HTTPConnection, browser: Browser) -> None:
        """Whether the latest cookies that are dead by now are so at once. `Book` judges the answers."""
        dead = [ticket for ticket in browser.tickets[-6:] if ticket.is_dead(time.monotonic())]
        for ticket in dead[-2:]:
            self.read(connection, ticket)

    def read(self, connection: http.client.HTTPConnection, ticket: Ticket) -> Answer | None:
        sent = self.book.about_to_send("read", ticket)
        answer = ask(connection, "read", ticket.cookie)
        self.book.enter(sent, answer)
        return answer


# Looking at what is left


def check(hammer: Hammer) -> None:
    """Compare what the book says with what is there: for browsers, in the store, and on the disk."""
    hammer.book.settle()
    hammer.server.restart()
    hammer.server.restarts -= 1
    _check_cookies(hammer)
    hammer.server.kill()
    store = open_store(hammer.server.url)
    records = SessionMiddleware(_no_application, SECRET, store)._settings.records
    check_records(hammer.book, records)
    hammer.book.faults += [*record_faults(records), *MEDIUM_FAULTS[hammer.plan.store](store)]


def _no_application(_environ: Any, _start_response: Any) -> list[bytes]:
    return []


def _check_cookies(hammer: Hammer) -> None:
    """Each cookie that ever was, sent to a fresh server: the dead see nothing, the others all that must be there."""
    book = hammer.book
    with closing(hammer.server.connect()) as connection:
        for ticket in book.tickets:
            if hammer.is_late():
                return
            answer = hammer.read(connection, ticket)
            if answer is None or answer.status != 200:
                book.faults.append(f"the fresh server did not answer for session {ticket.handle.id}: {answer}")
            elif _must_open(ticket) and answer.told["is_new"]:
                book.lost.append(f"session {ticket.handle.id} is gone: its cookie gets {answer.told}")


def _must_open(ticket: Ticket) -> bool:
    is_unsure = ticket.may_be_dead or ticket.handle.may_be_over or ticket.story.may_be_over
    return not is_unsure and not ticket.is_dead(time.monotonic())


def check_records(book: Book, records: Records) -> None:
    """Each story against its record, whether or not any cookie leads there still."""
    for story in book.stories:
        stored = records.load(bytes.fromhex(story.handle.id), records.now())
        is_there = stored is not None and not stored.envelope.is_tombstone
        if story.handle.ended_at < inf:
            if is_there:
                book.revived.append(f"session {story.handle.id} was ended and its record is there: {stored}")
        elif not is_there:
            if not (story.handle.may_be_over or story.is_over or story.may_be_over):
                book.lost.append(f"session {story.handle.id} is gone: its record is {stored}")
        elif stored is not None and not (story.is_over or story.may_be_over):
            data = _data(stored)
            book.lost += [f"in session {story.handle.id} {what}" for what in story.missing(data)]
            book.faults += [f"in session {story.handle.id} {what}" for what in story.surplus(data)]


def _data(stored: Stored) -> dict[str, Any]:
    return {key: decode(value) for key, value in stored.envelope.data.items()}


def record_faults(records: Records) -> Iterator[str]:
    """Each record opens, and is found under its owner."""
    store, now = records.store, records.now()
    for record in [record for record in _all(store) if record.expires_at > now]:
        if records.load(record.id, records.now()) is None:
            yield f"session {record.id.hex()} does not open: {record}"
        elif record.owner is not None and record not in store.owned_by(record.owner, now):
            yield f"session {record.id.hex()} is not found under its owner"


def _all(store: Store) -> list[Any]:
    return store.scan(limit=10**9)


def _sqlite_faults(store: Any) -> Iterator[str]:
    with closing(sqlite3.connect(store._database.path)) as connection:
        told = connection.execute("PRAGMA integrity_check").fetchall()
    store.close()
    if told != [("ok",)]:
        yield f"integrity_check: {told}"


def _file_faults(store: FileStore) -> Iterator[str]:
    """An hour later, `prune` and `owned_by` have left nothing but records, and entries that lead to one."""
    root = store._path
    for path in root.rglob("*"):
        os.utime(path, (0, time.time() - 2 * 3600))
    while store.prune(0, 10**6):
        pass
    ids = {record.id.hex() for record in _all(store)}
    for path in root.iterdir():
        if path.name not in ids | {"owners"}:
            yield f"{path.name} ({path.stat().st_size} bytes) is no record, and was not cleared away"
    for folder in (root / "owners").glob("*"):
        owned = {record.id.hex() for record in store.owned_by(bytes.fromhex(folder.name), 0)}
        for entry in folder.iterdir():
            if entry.name not in owned:
                yield f"the entry {folder.name}/{entry.name} leads nowhere, and was not cleared away"


MEDIUM_FAULTS: dict[str, Callable[[Any], Iterator[str]]] = {"sqlite": _sqlite_faults, "file": _file_faults}


# Running


def run(plan: Plan) -> Result:
    """One run from start to end."""
    directory = Path(tempfile.mkdtemp(prefix="hammer-"))
    try:
        with Hammer(plan, directory) as hammer:
            hammer.pound()
            check(hammer)
            result = hammer.result()
            if not result.is_good:
                print(hammer.server.last_words(), file=sys.stderr)
            return result
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def report(plan: Plan, result: Result) -> str:
    """The figures as a small table, and the first cases of what went wrong."""
    told = result._asdict()
    cases = {kind: told.pop(kind) for kind in ("lost", "revived", "faults")}
    figures = {**told, "seconds": f"{result.seconds:.1f}", **{kind: len(found) for kind, found in cases.items()}}
    lines = [f"  {name:13}{figure:>9}" for name, figure in figures.items()]
    shown = [f"  {kind.upper()}: {case}" for kind, found in cases.items() for case in found[:SHOWN]]
    return "\n".join([f"hammer, seed {plan.seed}", *lines, *shown])


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a server under load, and count what is left.")
    parser.add_argument("--store", choices=["sqlite", "file", "both"], default="both")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    given = parser.parse_args()
    stores = ["sqlite", "file"] if given.store == "both" else [given.store]
    is_good = True
    for store in stores:
        plan = Plan(store, given.requests, given.kills, given.seed)
        result = run(plan)
        print(report(plan, result), flush=True)
        is_good = is_good and result.is_good
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
