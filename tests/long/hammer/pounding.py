"""Threads that play browsers, and send what they choose until the plan is done."""

from __future__ import annotations

import http.client
import itertools
import queue
import random
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from tests.long.hammer.book import COUNTERS, Book, HammerTicket, Sent
from tests.long.hammer.medium import Medium
from tests.long.hammer.plan import HammerResult, Plan
from tests.long.hammer.server import HammerAnswer, HammerServer, ask

LINGERS = (0, 0, 1, 3, 6)  # milliseconds between a page's look at its session and its change: the time to overlap
LARGEST = 60  # keys, after which a visitor closes the browser and begins anew

#: How often each act comes up: with browsers that stay as they are, and with those that log in and out.
STEADY: dict[str, float] = {"add": 5, "put": 4, "drop": 1, "read": 2}
WRITING: dict[str, float] = {"add": 5, "put": 3, "read": 2, "ghost": 2}
MIXED = {**WRITING, "login": 1, "change": 0.3, "rotate": 0.5, "logout": 0.5, "revoke": 0.3}


@dataclass(eq=False)
class HammerBrowser:
    """A visitor with a name or two, and the cookie that the browser has by now."""

    number: int
    weights: dict[str, float]
    ticket: HammerTicket | None = None
    tickets: list[HammerTicket] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, str]:
        return f"ada{self.number}", f"bob{self.number}"


class Hammer:
    """One run, on a fresh store in a directory of its own."""

    def __init__(self, plan: Plan, directory: Path, medium: Medium) -> None:
        self.plan = plan
        self.medium = medium
        self.server = HammerServer(plan, directory, medium.url)
        self.book = Book()
        self._began = time.monotonic()
        self._turns = itertools.count()
        self._browsers = [HammerBrowser(number, STEADY if number < 3 else MIXED) for number in range(6)]
        chance = random.Random(f"{plan.seed} kills")
        moments = sorted(chance.sample(range(plan.requests // 20, plan.requests), plan.kills))
        self._kills = dict.fromkeys(moments, self.server.kill_worker)
        self._kills.update(dict.fromkeys(moments[2::10], self._kill_worker_then_all))
        # Spread evenly, because requests are few while a database server is away.
        gap = plan.requests // (plan.strikes + 1)
        self._strikes = {gap * number for number in range(1, plan.strikes + 1)}
        self._orders: queue.Queue[bool] = queue.Queue()
        self._astray: list[str] = []

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
        while any(thread.is_alive() for thread in threads):
            if self._is_ordered():
                self.medium.strike()

    def result(self) -> HammerResult:
        book, tally, server = self.book, self.book.tally, self.server
        return HammerResult(
            store=self.plan.store,
            requests=tally["requests"],
            acknowledged=tally["acknowledged"],
            unknown=tally["unknown"],
            conflicts=tally["conflicts"],
            outages=tally["outages"],
            retries=tally["retries"],
            overtaken=tally["overtaken"],
            sessions=len(book.handles),
            ended=sum(handle.ended_at < inf for handle in book.handles.values()),
            kills=server.kills,
            restarts=server.restarts,
            strikes=self.medium.strikes,
            seconds=time.monotonic() - self._began,
            lost=tuple(book.lost),
            revived=tuple(book.revived),
            faults=tuple(book.faults),
            astray=tuple(self._astray),
        )

    def _is_ordered(self) -> bool:
        """Whether a thread asks for the next strike. What a strike starts would end together with that thread."""
        try:
            return self._orders.get(timeout=0.1)
        except queue.Empty:
            return False

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
                    if turn in self._strikes:
                        self._orders.put(True)
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
        if answer is not None and answer.outage is not None:
            self._judge_outage(sent, answer.outage)
        if sent.ticket is None or act != "ghost":
            self._keep_cookie(browser, sent, answer, given)
        if sent.page in ("login", "rotate", "logout", "revoke"):
            self._ask_the_dead(connection, browser)

    def _judge_outage(self, sent: Sent, told: str) -> None:
        """Whether the store was struck at that time. Wait until it works, as a visitor does who was told to."""
        if self.medium.was_well(sent.at, time.monotonic()):
            self._astray.append(f"{sent.page} after {time.monotonic() - sent.at:.2f} s: {told}")
        self.medium.wait(0.1)

    def _choose(self, browser: HammerBrowser, act: str, chance: random.Random, turn: int) -> Sent:
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

    def _keep_cookie(
        self, browser: HammerBrowser, sent: Sent, answer: HammerAnswer | None, given: HammerTicket | None
    ) -> None:
        """What a browser does with an answer. One that lost an answer with a cookie in it begins anew, without."""
        with self.book.lock:
            if given is not None:
                browser.ticket = given
                browser.tickets.append(given)
            is_grown = browser.ticket is not None and len(browser.ticket.story.kept) > LARGEST
            is_unsure = browser.ticket is sent.ticket and sent.ticket is not None and sent.ticket.may_be_dead
            if is_grown or is_unsure or (answer is not None and answer.cookie == ""):
                browser.ticket = None

    def _ask_the_dead(self, connection: http.client.HTTPConnection, browser: HammerBrowser) -> None:
        """Whether the latest cookies that are dead by now are so at once. `Book` judges the answers."""
        dead = [ticket for ticket in browser.tickets[-6:] if ticket.is_dead(time.monotonic())]
        for ticket in dead[-2:]:
            self.read(connection, ticket)

    def read(self, connection: http.client.HTTPConnection, ticket: HammerTicket) -> HammerAnswer | None:
        sent = self.book.about_to_send("read", ticket)
        answer = ask(connection, "read", ticket.cookie)
        self.book.enter(sent, answer)
        return answer
