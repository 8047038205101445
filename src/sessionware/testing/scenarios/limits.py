"""Logins to an account that may have only so many sessions (rule 15), in several browsers and in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...auth.users.base import User
from ...errors import TooManySessions
from ..interleaving.ending import Ending
from ..interleaving.engine import Scenario
from ..interleaving.site import Request, Seen, auth_of
from .requests import ACCOUNTS, ANONYMOUS, HOUR, LOG_OUT, LOG_OUT_EVERYWHERE, LOGGED_IN, READ

_ANN = User(id="ann", key="ann", username="ann", password_hash=None)


def asks_in(name: str, **options: Any) -> Request:
    """Logs ann in, whose password was checked. Returns whether there was room for it."""

    def view(environ: dict[str, Any]) -> bool:
        try:
            auth_of(environ).login_user(environ, _ANN)
        except TooManySessions:
            return False
        return True

    return Request(name, view, **options)


def elsewhere(*names: str) -> tuple[Request, ...]:
    """Such logins, each in a browser of its own."""
    return tuple(asks_in(name, browser=name) for name in names)


def places(end: Ending) -> int:
    """How many sessions ann has."""
    return sum(stored.envelope.user_id == "ann" for stored in end.sessions)


def reached_places(end: Ending) -> int:
    """How many of them some browser has a cookie for. A lost answer may leave one that none has."""
    return len({seen.id for seen in end.everywhere if seen.username == "ann"})


def knows(end: Ending, name: str) -> bool:
    """Whoever was told that she is logged in is, or learns at the next click that there were too many."""
    reply, seen = end.reply(name), _seen(end, name)
    return not reply.result or reply.status >= 500 or seen.username == "ann" or seen.ended_because == "limit"


def _seen(end: Ending, name: str) -> Seen:
    """What the browser of this request sees."""
    is_elsewhere = any(request.name == name and request.browser != "hers" for request in end.requests)
    return end.seen_by(name) if is_elsewhere else end.now


def all_know(end: Ending) -> bool:
    return all(knows(end, request.name) for request in end.requests)


def leaves(count: int) -> Callable[[Ending], bool]:
    """So many sessions are left, no more and no fewer, and every browser knows where it stands."""
    return lambda end: places(end) == count and all_know(end)


def leaves_one_for_the_visitor(end: Ending) -> bool:
    """Her other session is left; nobody is logged in here, and the visitor's data is where it was."""
    return places(end) == 1 and end.now.username is None and end.now.data == {"n": 1}


def leaves_the_new_one(end: Ending) -> bool:
    return places(end) == 1 and end.seen_by("login").username == "ann"


def leaves_one_at_most(end: Ending) -> bool:
    """The session that was there is over; there is one if the login was let in."""
    return places(end) == int(bool(end.reply("login").result)) and all_know(end)


def leaves_none_of_before(end: Ending) -> bool:
    versions = {user.id: user.session_version for user in end.world.users}
    live = [stored.envelope for stored in end.sessions if stored.envelope.user_id is not None]
    return len(live) <= 1 and all(envelope.session_version == versions["ann"] for envelope in live)


def leaves_one_or_fails(end: Ending) -> bool:
    return reached_places(end) <= 1 and all_know(end)


def _scenario(
    name: str, promise: str, requests: tuple[Request, ...], holds: Callable[[Ending], bool], **options: Any
) -> Scenario:
    options.setdefault("before", ACCOUNTS[:1])
    options.setdefault("session_limit", 1)
    return Scenario(name, promise, requests, holds, **options)


_THERE = (*ACCOUNTS[:1], *elsewhere("there"))
_AND_A_VISITOR = (*_THERE, *ANONYMOUS)

OF_LIMITS: tuple[Scenario, ...] = (
    _scenario(
        "limit 1: login and login in two browsers",
        "One session is left. Whose browser was told that she is logged in, is, or is told why not.",
        elsewhere("one", "two"),
        leaves(1),
        passes=1,
    ),
    _scenario(
        "limit 1: login and login in two browsers, a third one logged in",
        "The same.",
        elsewhere("one", "two"),
        leaves(1),
        before=_THERE,
    ),
    _scenario(
        "limit 2: login, login, login in three browsers",
        "Two are left, and so on.",
        elsewhere("one", "two", "three"),
        leaves(2),
        session_limit=2,
    ),
    _scenario(
        "limit 1: login again and login in another browser",
        "One is left, also if the session that is to end is logged in to again at that moment.",
        (asks_in("again"), *elsewhere("login")),
        leaves(1),
        before=LOGGED_IN,
        wait=HOUR,
        passes=1,
    ),
    _scenario(
        "limit 1: login and login (double click), login in another browser",
        "One is left, also if the one that is to end has been joined.",
        (asks_in("one"), asks_in("two"), *elsewhere("three")),
        leaves(1),
        before=ACCOUNTS,
    ),
    _scenario(
        "limit 1: logout, and login in another browser",
        "The new session is left.",
        (LOG_OUT, *elsewhere("login")),
        leaves_the_new_one,
        before=LOGGED_IN,
    ),
    _scenario(
        "limit 1: end all, and login in another browser",
        "At most one is left, and none from an earlier login.",
        (LOG_OUT_EVERYWHERE, *elsewhere("login")),
        leaves_none_of_before,
        before=LOGGED_IN,
    ),
    _scenario(
        "limit 1: read and login in another browser, under a new secret",
        "The new session is left. The old one is found, though it is sealed anew at that moment.",
        (READ, *elsewhere("login")),
        leaves_the_new_one,
        before=LOGGED_IN,
        rings=((1, 0),),
    ),
    _scenario(
        "limit 1: login and login in two browsers, and the store fails once",
        "No more than one browser is logged in, and so on.",
        elsewhere("one", "two"),
        leaves_one_or_fails,
        failures=1,
    ),
    _scenario(
        "limit 1, refusing: login and login in two browsers",
        "One is left: whoever is refused, another one is in.",
        elsewhere("one", "two"),
        leaves(1),
        passes=1,
        when_full="refuse",
    ),
    _scenario(
        "limit 2, refusing: login, login, login in three browsers",
        "Two are left.",
        elsewhere("one", "two", "three"),
        leaves(2),
        session_limit=2,
        when_full="refuse",
    ),
    _scenario(
        "limit 1, refusing: login again and login in another browser",
        "One is left.",
        (asks_in("again"), *elsewhere("login")),
        leaves(1),
        before=LOGGED_IN,
        wait=HOUR,
        passes=1,
        when_full="refuse",
    ),
    _scenario(
        "limit 1, refusing: login and read, another browser logged in",
        "Nobody is logged in here, and the visitor's data is kept.",
        (asks_in("login"), READ),
        leaves_one_for_the_visitor,
        before=_AND_A_VISITOR,
        wait=HOUR,
        when_full="refuse",
    ),
    _scenario(
        "limit 1, refusing: login and login (double click), another browser logged in",
        "Nobody is logged in here.",
        (asks_in("one"), asks_in("two")),
        leaves_one_for_the_visitor,
        before=_AND_A_VISITOR,
        wait=HOUR,
        when_full="refuse",
    ),
    _scenario(
        "limit 1, refusing: logout, and login in another browser",
        "There is the new session, or it was refused.",
        (LOG_OUT, *elsewhere("login")),
        leaves_one_at_most,
        before=LOGGED_IN,
        when_full="refuse",
    ),
    _scenario(
        "limit 1, refusing: login and login in two browsers, and the store fails once",
        "No more than one browser is logged in, and so on.",
        elsewhere("one", "two"),
        leaves_one_or_fails,
        when_full="refuse",
        failures=1,
    ),
)
