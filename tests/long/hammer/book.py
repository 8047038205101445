"""What must be there, as it follows from the answers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

from tests.long.hammer.server import HammerAnswer

COUNTERS = ("n0", "n1", "n2")


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
class HammerTicket:
    """A cookie, the story that it leads to, and who was logged in when it was given."""

    cookie: str
    story: Story
    user: str | None
    sent_at: float
    """When the request was sent that it came with."""
    issued_at: float
    epoch: int
    """Of several cookies of one session, those of an earlier epoch are dead."""
    dead_since: float = inf
    may_be_dead: bool = False

    @property
    def handle(self) -> Handle:
        return self.story.handle

    def is_dead(self, at: float) -> bool:
        return min(self.dead_since, self.handle.ended_at) < at


class Sent(NamedTuple):
    """A request, as it was sent."""

    page: str
    ticket: HammerTicket | None
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
        self.tickets: list[HammerTicket] = []
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

    def about_to_send(self, page: str, ticket: HammerTicket | None, **fields: Any) -> Sent:
        with self.lock:
            expected = ticket.story.snapshot() if ticket and page == "read" else None
            if ticket and page == "drop":
                fields["value"] = ticket.story.kept.pop(fields["key"], None)  # unknown until the answer is here
            return Sent(page, ticket, time.monotonic(), fields, expected)

    def enter(self, sent: Sent, answer: HammerAnswer | None) -> HammerTicket | None:
        """Draw the conclusions from a request. Returns the new ticket, if it brought one."""
        with self.lock:
            self.tally["requests"] += 1
            if answer is None or answer.status == 503:
                is_refused = answer is not None and answer.outage is None
                self.tally["conflicts" if is_refused else "unknown" if answer is None else "outages"] += 1
                self._enter_failure(sent, refused=is_refused)
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
        """Nothing is known; but after a 503 that is no outage, that a write is not there."""
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

    def _enter_revocation(self, sent: Sent, answer: HammerAnswer) -> None:
        """All that was owned before it was sent is ended, and what it says that it ended."""
        self._end(answer.told["ended"])
        for ticket in self.tickets:
            if ticket.user == sent.fields["name"] and ticket.issued_at < sent.at:
                ticket.dead_since = min(ticket.dead_since, time.monotonic())

    def _enter_answer(self, sent: Sent, answer: HammerAnswer) -> HammerTicket | None:
        given = self._enter_ticket(sent, answer) if answer.cookie else None
        if sent.page == "logout":
            replaced_long_ago = "session.token_replayed" in answer.told["events"]  # then the cookie counts as none
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

    def _enter_ticket(self, sent: Sent, answer: HammerAnswer) -> HammerTicket:
        """A new session, or a new token for one: those of earlier epochs are dead from now on."""
        now, told, handle = time.monotonic(), answer.told, self.handle(answer.told["id"])
        others = [ticket for ticket in self.tickets if ticket.handle is handle]
        ticket = HammerTicket(
            answer.cookie or "", self._story_of(sent, answer, others), told["user"], sent.at, now, told["epoch"]
        )
        for older in others:
            if older.epoch < ticket.epoch:
                older.dead_since = min(older.dead_since, now)
        if any(other.epoch > ticket.epoch for other in others):
            ticket.dead_since = now  # this answer was overtaken
        self.tickets.append(ticket)
        return ticket

    def _story_of(self, sent: Sent, answer: HammerAnswer, others: list[HammerTicket]) -> Story:
        """The story of the login that this one joined, or that joined it; else its own ticket's, or a new one."""
        told, handle = answer.told, self.handle(answer.told["id"])
        for other in others:
            if other.epoch == told["epoch"]:
                return other.story
        goes_on = sent.ticket is not None and sent.ticket.handle is handle
        if goes_on and sent.ticket and not sent.changes_user:
            return sent.ticket.story
        story = Story(handle)
        self._inherit(sent, story, told.get("data", {}), goes_on, joined=told["joined"])
        return story

    def _inherit(self, sent: Sent, story: Story, data: dict[str, Any], goes_on: bool, *, joined: bool) -> None:
        """A login that lost its session to another one begins with that one's data; another user's is dropped."""
        if goes_on and sent.ticket:
            sent.ticket.story.is_over = True
            if data and not joined:
                self.faults.append(f"{self._name(sent)} shows another user's data: {data}")
        for key, value in data.items():
            if key in COUNTERS:
                story.counted[key] = value
            else:
                story.kept[key] = value

    def _enter_write(self, sent: Sent, answer: HammerAnswer, ticket: HammerTicket | None) -> None:
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

    def _look_for_the_dead(self, sent: Sent, answer: HammerAnswer) -> None:
        """No cookie that was dead before the request was sent may show its session, or anybody's data."""
        ticket = sent.ticket
        if ticket is None or not ticket.is_dead(sent.at) or answer.told.get("joined"):
            return  # a login that joins another one was let in for its password
        shows_data = sent.page == "read" and (answer.told["data"] or answer.told["user"])
        if self._shows(sent, answer) or shows_data:
            since = min(ticket.dead_since, ticket.handle.ended_at) - self._began
            self.revived.append(f"{self._name(sent)} with a cookie dead since {since:.3f} s, got {answer.told}")

    def _shows(self, sent: Sent, answer: HammerAnswer) -> bool:
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
