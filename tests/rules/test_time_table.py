"""How long a session lives: what was granted, what is set by the time it is read, and what holds.

One table says it for every kind of session and every limit. Moments in it are seconds since the session began. The rest
of the file is about what a table cannot say: who keeps using the site, who only polls it, and whose clock is wrong.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from sessionware import Event, MemoryStore, Session, SessionManager, SessionMiddleware, Timeouts, get_session
from tests.support.fixed import SECRET, Clock
from tests.support.kit import SessionSite, SiteAnswer, SiteBrowser, View
from tests.support.wsgi import Started

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
START = 1_700_000_000

#: What the sites of this file set, unless a line says otherwise.
USUAL = Timeouts(
    idle=12 * HOUR,
    lifetime=7 * DAY,
    remember=30 * DAY,
    remember_lifetime=365 * DAY,
    anonymous=14 * DAY,
    anonymous_lifetime=90 * DAY,
    unconfirmed=HOUR,
)

SHORTER = {
    "idle": HOUR,
    "lifetime": 13 * HOUR,
    "remember": 10 * DAY,
    "remember_lifetime": 40 * DAY,
    "anonymous": 3 * DAY,
    "anonymous_lifetime": 20 * DAY,
    "unconfirmed": 10 * MINUTE,
}

LONGER = {
    "idle": DAY,
    "lifetime": 14 * DAY,
    "remember": 60 * DAY,
    "remember_lifetime": 700 * DAY,
    "anonymous": 28 * DAY,
    "anonymous_lifetime": 180 * DAY,
    "unconfirmed": 2 * HOUR,
}


# What visitors do ---------------------------------------------------------------------------------------------------


def write(session: Session) -> None:
    """A change, so that the record is stored with what this use grants."""
    session.modify("n", lambda n: n + 1, default=0)


def look(session: Session) -> None:
    session.get("n")


def poll(session: Session) -> None:
    session.keep_alive = False
    session.get("n")


def log_in(session: Session) -> None:
    session.login("ada")


def remember(seconds: int | None, *, sliding: bool = False) -> View:
    def view(session: Session) -> None:
        if seconds is None:
            session.remember(None)
        else:
            session.remember(seconds, sliding=sliding)

    return view


def with_limits(timeouts: Timeouts) -> View:
    """A login that brings its own."""
    return lambda session: session.login("ada", timeouts=timeouts)


def each(*views: View) -> View:
    """One after the other, in one request."""

    def view(session: Session) -> None:
        for step in views:
            step(session)

    return view


Story = list[tuple[int, View]]


def used(*, every: int, until: int) -> Story:
    """Somebody who comes back regularly, up to this moment at the latest."""
    return [(at, write) for at in range(every, until + 1, every)]


VISITOR: Story = [(0, write), (30 * MINUTE, write)]
EARLY: Timeouts = Timeouts(idle=2 * HOUR, lifetime=2 * DAY)
LATE: Timeouts = Timeouts(idle=3 * DAY, lifetime=20 * DAY, remember=60 * DAY, remember_lifetime=400 * DAY)

#: For a rotation.
NEW_SECRET = "a secret that is newer than the other one, and long enough"

#: In the place of a moment: it is over before the story ends.
OVER = -1


class Line(NamedTuple):
    """One kind of session: what was done, until when it lives if nobody does more, and which limits cut that."""

    situation: str
    story: Story
    until: int
    """Alive one second before, and over at this second. `expires_at` says the same."""
    ends_at: int
    kept_until: int | None = None
    """When the browser drops the cookie, by `Max-Age` of the last one; None if it does so when it is closed."""
    cut_by: dict[str, tuple[int, int]] = {}  # noqa: RUF012 - nobody changes it
    """`until` and `ends_at` under each limit of SHORTER that changes them. None of the others does."""


# The table ----------------------------------------------------------------------------------------------------------

TABLE = [
    Line("first visit", [(0, write)], HOUR, 90 * DAY, cut_by={"anonymous_lifetime": (HOUR, 20 * DAY)}),
    Line(
        "anonymous",
        [*VISITOR, (10 * DAY, write)],
        24 * DAY,
        90 * DAY,
        cut_by={"anonymous": (13 * DAY, 90 * DAY), "anonymous_lifetime": (20 * DAY, 20 * DAY)},
    ),
    Line(
        "anonymous, used to its end",  # which the deadline sets, so that the last use is not known any more
        [*VISITOR, *used(every=8 * DAY, until=88 * DAY)],
        90 * DAY,
        90 * DAY,
        cut_by={"anonymous_lifetime": (OVER, OVER)},
    ),
    Line(
        "logged in",
        [(0, log_in), (6 * HOUR, write)],
        18 * HOUR,
        7 * DAY,
        cut_by={"idle": (7 * HOUR, 7 * DAY), "lifetime": (13 * HOUR, 13 * HOUR)},
    ),
    Line(
        "logged in on the third day",
        [*VISITOR, (2 * DAY, log_in)],
        2 * DAY + 12 * HOUR,
        9 * DAY,
        cut_by={"idle": (2 * DAY + HOUR, 9 * DAY), "lifetime": (2 * DAY + 12 * HOUR, 2 * DAY + 13 * HOUR)},
    ),
    Line(
        "logged in, used to its end",
        [(0, log_in), *used(every=10 * HOUR, until=160 * HOUR)],
        7 * DAY,
        7 * DAY,
        cut_by={"lifetime": (OVER, OVER)},
    ),
    Line(
        "remembered",
        [(0, each(log_in, remember(20 * DAY)))],
        20 * DAY,
        20 * DAY,
        20 * DAY,
        cut_by={"remember": (10 * DAY, 10 * DAY)},
    ),
    Line(
        "remembered, and used",
        [(0, each(log_in, remember(20 * DAY))), (5 * DAY, write)],
        20 * DAY,
        20 * DAY,
        20 * DAY,
        cut_by={"remember": (10 * DAY, 10 * DAY)},
    ),
    Line(
        "remembered for longer than is allowed",
        [(0, each(log_in, remember(99 * DAY)))],
        30 * DAY,
        30 * DAY,
        30 * DAY,
        cut_by={"remember": (10 * DAY, 10 * DAY)},
    ),
    Line(
        "remembered on the third day",
        [*VISITOR, (2 * DAY, each(log_in, remember(20 * DAY)))],
        22 * DAY,
        22 * DAY,
        22 * DAY,
        cut_by={"remember": (12 * DAY, 12 * DAY)},
    ),
    Line(
        "remembered, anonymous",
        [(0, each(write, remember(20 * DAY)))],
        20 * DAY,
        20 * DAY,
        20 * DAY,
        cut_by={"remember": (10 * DAY, 10 * DAY)},
    ),
    Line(
        "sliding",
        [(0, each(log_in, remember(25 * DAY, sliding=True))), (20 * DAY, write)],
        45 * DAY,
        365 * DAY,
        45 * DAY,
        cut_by={"remember": (30 * DAY, 365 * DAY), "remember_lifetime": (40 * DAY, 40 * DAY)},
    ),
    Line(
        "sliding by more than is allowed",
        [(0, each(log_in, remember(99 * DAY, sliding=True)))],
        30 * DAY,
        365 * DAY,
        30 * DAY,
        cut_by={"remember": (10 * DAY, 365 * DAY), "remember_lifetime": (30 * DAY, 40 * DAY)},
    ),
    Line(
        "sliding, anonymous",
        [(0, each(write, remember(25 * DAY, sliding=True)))],
        25 * DAY,
        365 * DAY,
        25 * DAY,
        cut_by={"remember": (10 * DAY, 365 * DAY), "remember_lifetime": (25 * DAY, 40 * DAY)},
    ),
    Line(
        "sliding, used to its end",
        [(0, each(log_in, remember(25 * DAY, sliding=True))), *used(every=18 * DAY, until=360 * DAY)],
        365 * DAY,
        365 * DAY,
        365 * DAY,
        cut_by={"remember_lifetime": (OVER, OVER)},
    ),
    # A login's own limits are not cut: neither shorter ones nor longer ones than the site's.
    Line("own limits, short", [(0, with_limits(EARLY)), (HOUR, write)], 3 * HOUR, 2 * DAY),
    Line("own limits, long", [(0, with_limits(LATE)), (DAY, write)], 4 * DAY, 20 * DAY),
    Line(
        "own limits, remembered",
        [(0, each(with_limits(LATE), remember(99 * DAY)))],
        60 * DAY,
        60 * DAY,
        60 * DAY,
    ),
    Line(
        "own limits, sliding",
        [(0, each(with_limits(LATE), remember(99 * DAY, sliding=True))), (50 * DAY, write)],
        110 * DAY,
        400 * DAY,
        110 * DAY,
    ),
]

NOTHING: dict[str, int] = {}


def cases() -> Iterator[Any]:
    """Each line with nothing changed, with each limit shortened, with each limit lengthened."""
    for line in TABLE:
        holds = (line.until, line.ends_at)
        yield pytest.param(line, NOTHING, holds, id=line.situation)
        for name, limit in SHORTER.items():
            yield pytest.param(line, {name: limit}, line.cut_by.get(name, holds), id=f"{line.situation}, {name} cut")
        for name, limit in LONGER.items():
            yield pytest.param(line, {name: limit}, holds, id=f"{line.situation}, {name} raised")


@pytest.mark.parametrize(("line", "set_now", "holds"), list(cases()))
def test_the_smaller_of_what_was_granted_and_what_is_set_holds(
    line: Line, set_now: dict[str, int], holds: tuple[int, int]
) -> None:
    """Each line of the table: alive one second before its end and over at it, whatever was changed meanwhile."""
    until, ends_at = holds

    if until != OVER:
        assert Lived(line.story).seen_at(until - 1, set_now) == (True, until, ends_at, None)
    assert Lived(line.story).seen_at(max(until, line.story[-1][0]), set_now) == (False, None, None, "expired")


@pytest.mark.parametrize("line", TABLE, ids=lambda line: line.situation)
def test_the_browser_keeps_the_cookie_as_long_as_the_session_lives(line: Line) -> None:
    """`Max-Age` of the last cookie that was sent says so; a session that is not remembered has none."""
    assert Lived(line.story).kept_until == line.kept_until


class Lived:
    """A session to which a story has happened."""

    def __init__(self, story: Story, **granted: int) -> None:
        self.clock, self.store = Clock(START), MemoryStore()
        self.granted = granted
        self.site = self.site_with(NOTHING)
        self.browser = self.site.browser()
        self.kept_until: int | None = None
        for at, view in story:
            self.visit(at, view)

    def site_with(self, set_now: dict[str, int], **settings: Any) -> SessionSite:
        timeouts = _timeouts(**{**self.granted, **set_now})
        return SessionSite(self.store, self.clock, timeouts=timeouts, passive=says_so, **settings)

    def move_to(self, site: SessionSite) -> None:
        """The same visitor goes on with another process of the site, which has been set up anew."""
        self.site, self.browser = site, SiteBrowser(site, self.browser.client.cookiejar)

    @property
    def stored_end(self) -> int:
        (record,) = self.store.scan()
        return int(record.expires_at) - START

    def visit(self, at: int, view: View) -> SiteAnswer:
        self.clock.now = START + at
        answer = self.browser.visit(view)
        if answer.set_cookies:
            max_age = max_age_of(answer)
            self.kept_until = None if max_age is None else at + max_age
        return answer

    def seen_at(self, at: int, set_now: dict[str, int]) -> tuple[bool, int | None, int | None, str | None]:
        """Whether it is there, `expires_at`, `ends_at` and `ended_because`, on a site that sets other limits now."""
        self.clock.now = START + at
        browser = SiteBrowser(self.site_with(set_now), self.browser.client.cookiejar)
        seen: tuple[bool, int | None, int | None, str | None] = browser.visit(
            lambda session: (
                not session.is_new,
                _since_start(session.expires_at),
                _since_start(session.ends_at),
                session.ended_because,
            )
        ).result
        return seen


def says_so(environ: dict[str, Any]) -> bool:
    """What the sites of this file have to say about passive requests."""
    return environ.get("HTTP_X_POLL") == "yes"


def _timeouts(**changes: int) -> Timeouts:
    return Timeouts(**{**USUAL.__dict__, **changes})


def _since_start(moment: int | None) -> int | None:
    return None if moment is None else moment - START


def max_age_of(answer: SiteAnswer) -> int | None:
    """What the only cookie of a response says."""
    (line,) = answer.set_cookies
    found = re.search(r"; Max-Age=(\d+)", line)
    return int(found[1]) if found else None


# Several limits at once, and stories that no limit changes ----------------------------------------------------------


@pytest.mark.parametrize(
    ("situation", "story", "set_now", "until", "ends_at"),
    [
        ("idle comes first", [(0, log_in)], {"idle": HOUR, "lifetime": 2 * HOUR}, HOUR, 2 * HOUR),
        (
            "lifetime comes first",
            [(0, log_in), (90 * MINUTE, write)],
            {"idle": HOUR, "lifetime": 2 * HOUR},
            2 * HOUR,
            2 * HOUR,
        ),
        # An idle limit does not end a session in its first hour, because its last use cannot be told; a deadline does.
        ("first hour, idle", [(0, write)], {"anonymous": MINUTE}, HOUR, 90 * DAY),
        (
            "first hour, deadline",
            [(0, write)],
            {"anonymous": MINUTE, "anonymous_lifetime": 20 * MINUTE},
            20 * MINUTE,
            20 * MINUTE,
        ),
        ("all of them", [(0, log_in)], SHORTER, HOUR, 13 * HOUR),
    ],
)
def test_several_limits_cut_together(
    situation: str, story: Story, set_now: dict[str, int], until: int, ends_at: int
) -> None:
    """Whichever of them ends it first."""
    assert Lived(story).seen_at(until - 1, set_now) == (True, until, ends_at, None)
    assert Lived(story).seen_at(until, set_now) == (False, None, None, "expired")


TWO_DAYS = [(0, log_in), *used(every=10 * HOUR, until=40 * HOUR)]

FIRST_HOUR = [
    Line("comes back and reads", [(0, write), (HOUR - 1, look)], HOUR - 1 + 14 * DAY, 90 * DAY),
    Line("comes back and writes", [(0, write), (HOUR - 1, write)], HOUR - 1 + 14 * DAY, 90 * DAY),
    Line("comes back passively", [(0, write), (HOUR - 1, poll)], HOUR, 90 * DAY),
    Line("passive from the beginning", [(0, each(poll, write))], HOUR, 90 * DAY),
    Line("saved in two steps", [(0, each(write, Session.commit, write))], HOUR, 90 * DAY),
    Line("empty, but saved", [(0, Session.commit)], HOUR, 90 * DAY),
    Line("begun by renew_csrf()", [(0, Session.renew_csrf)], HOUR, 90 * DAY),
    Line("login", [(0, log_in)], 12 * HOUR, 7 * DAY),
    Line("login, commit, write", [(0, each(log_in, Session.commit, write))], 12 * HOUR, 7 * DAY),
    Line("write, commit, login", [(0, each(write, Session.commit, log_in))], 12 * HOUR, 7 * DAY),
    Line("remember", [(0, each(write, remember(20 * DAY)))], 20 * DAY, 20 * DAY, 20 * DAY),
    Line("write, commit, remember", [(0, each(write, Session.commit, remember(9 * DAY)))], 9 * DAY, 9 * DAY, 9 * DAY),
    Line(
        "remember, commit, write",
        [(0, each(write, remember(9 * DAY), Session.commit, write))],
        9 * DAY,
        9 * DAY,
        9 * DAY,
    ),
    Line("login, commit, remember", [(0, each(log_in, Session.commit, remember(9 * DAY)))], 9 * DAY, 9 * DAY, 9 * DAY),
    Line("login, remember, commit", [(0, each(log_in, remember(9 * DAY), Session.commit))], 9 * DAY, 9 * DAY, 9 * DAY),
    Line("remember, and take it back", [(0, each(write, remember(9 * DAY), remember(None)))], HOUR, 90 * DAY),
]

REMEMBERED = [
    # In the request of the login, exactly as long as asked.
    Line("a minute", [(0, each(log_in, remember(60)))], 60, 60, 60),
    Line("a minute, from the creation", [(0, each(write, remember(60)))], 60, 60, 60),
    Line("a minute, after a commit", [(0, each(log_in, Session.commit, remember(60)))], 60, 60, 60),
    Line("a minute, from a creation that was committed", [(0, each(write, Session.commit, remember(60)))], 60, 60, 60),
    Line("a minute, on an older session", [*VISITOR, (DAY, each(log_in, remember(60)))], DAY + 60, DAY + 60, DAY + 60),
    # Later it still counts from the login, but never ends a session before the end that it has.
    Line("a day, on the third", [*TWO_DAYS, (2 * DAY, remember(DAY))], 60 * HOUR, 60 * HOUR, 60 * HOUR),
    Line("three days, on the third", [*TWO_DAYS, (2 * DAY, remember(3 * DAY))], 3 * DAY, 3 * DAY, 3 * DAY),
    Line("all that is allowed", [*TWO_DAYS, (2 * DAY, remember(99 * DAY))], 30 * DAY, 30 * DAY, 30 * DAY),
    Line(
        "less than before",
        [(0, each(log_in, remember(20 * DAY))), (2 * DAY, remember(5 * DAY))],
        20 * DAY,
        20 * DAY,
        20 * DAY,
    ),
    Line(
        "more than before",
        [(0, each(log_in, remember(20 * DAY))), (2 * DAY, remember(25 * DAY))],
        25 * DAY,
        25 * DAY,
        25 * DAY,
    ),
    Line(
        "a sliding one, fixed",
        [(0, each(log_in, remember(20 * DAY, sliding=True))), (DAY, remember(25 * DAY))],
        25 * DAY,
        25 * DAY,
        25 * DAY,
    ),
    Line(
        "a fixed one, sliding",
        [(0, each(log_in, remember(20 * DAY))), (2 * DAY, remember(20 * DAY, sliding=True))],
        22 * DAY,
        365 * DAY,
        22 * DAY,
    ),
    # Taken back: idle limit and lifetime, counted as ever, and a cookie without Max-Age.
    Line(
        "taken back",
        [(0, each(log_in, remember(20 * DAY))), (2 * DAY, remember(None))],
        60 * HOUR,
        7 * DAY,
    ),
    Line(
        "taken back, at the end of the lifetime",
        [(0, each(log_in, remember(20 * DAY))), (7 * DAY - 1, remember(None))],
        7 * DAY,
        7 * DAY,
    ),
    Line(
        "taken back, anonymous",
        [(0, each(write, remember(20 * DAY))), (2 * DAY, remember(None))],
        16 * DAY,
        90 * DAY,
    ),
    Line(
        "taken back, sliding",
        [(0, each(log_in, remember(20 * DAY, sliding=True))), (2 * DAY, remember(None))],
        60 * HOUR,
        7 * DAY,
    ),
    Line(
        "taken back, and used",
        [(0, each(log_in, remember(20 * DAY))), (2 * DAY, remember(None)), (60 * HOUR - 1, write)],
        72 * HOUR - 1,
        7 * DAY,
    ),
    Line(
        "an anonymous one, taken back by a login",
        [(0, each(write, remember(20 * DAY))), (DAY, log_in)],
        36 * HOUR,
        8 * DAY,
    ),
    Line(
        "a sliding one, taken back by a login",
        [(0, each(write, remember(20 * DAY, sliding=True))), (DAY, log_in)],
        36 * HOUR,
        8 * DAY,
    ),
    Line(
        "taken back by the next login",
        [(0, each(log_in, remember(20 * DAY))), (2 * DAY, log_in)],
        60 * HOUR,
        9 * DAY,
    ),
]


@pytest.mark.parametrize("line", FIRST_HOUR, ids=lambda line: line.situation)
def test_first_hour_caps_only_an_anonymous_session_whose_cookie_has_not_come_back(line: Line) -> None:
    """A login and `remember()` lift it, in whatever order they are saved; a passive request does not."""
    _check(line)


@pytest.mark.parametrize("line", REMEMBERED, ids=lambda line: line.situation)
def test_remember_counts_from_the_login_and_never_ends_a_session_early(line: Line) -> None:
    """From the creation, if nobody is logged in. The cookie's `Max-Age` says what is left of it."""
    _check(line)


def _check(line: Line, **granted: int) -> None:
    lived = Lived(line.story, **granted)

    assert lived.kept_until == line.kept_until
    assert lived.seen_at(line.until - 1, NOTHING) == (True, line.until, line.ends_at, None)
    assert Lived(line.story, **granted).seen_at(line.until, NOTHING) == (False, None, None, "expired")


def test_shorter_anonymous_limit_ends_before_the_first_hour_does() -> None:
    """The hour is the most that a first visit gets, and not the least."""
    _check(Line("first visit", [(0, write)], 10 * MINUTE, 90 * DAY), anonymous=10 * MINUTE)


def test_first_hour_is_a_setting() -> None:
    """`Timeouts.unconfirmed`."""
    _check(Line("first visit", [(0, write)], 5 * MINUTE, 90 * DAY), unconfirmed=5 * MINUTE)


@pytest.mark.parametrize("most", [DAY, 2 * DAY + 6 * HOUR])
def test_remember_that_is_allowed_less_than_the_session_has_changes_nothing(most: int) -> None:
    """Two days after the login, with at most a day or two to grant, the idle limit and the lifetime stay."""
    story = [*TWO_DAYS, (2 * DAY, remember(DAY))]

    _check(Line("remembered too late", story, 60 * HOUR, 7 * DAY), remember=most)


@pytest.mark.parametrize(
    ("begin", "late"),
    [
        (log_in, 7 * DAY),
        (log_in, 8 * DAY),
        (write, 20 * DAY),
    ],
)
def test_remembering_taken_back_too_late_ends_the_session(begin: View, late: int) -> None:
    """Without it the session would be over by now, and so it is, for whoever still has its cookie too."""
    limits = {"anonymous": 7 * DAY, "anonymous_lifetime": 20 * DAY}
    lived = Lived([(0, each(begin, remember(25 * DAY)))], **limits)
    cookies = list(lived.browser.client.cookiejar)

    lived.visit(late, remember(None))

    thief = SiteBrowser(lived.site, cookies)
    assert lived.browser.visit(lambda session: (session.is_new, session.username, session.copy())).result == (
        True,
        None,
        {},
    )
    assert thief.visit(lambda session: (session.is_new, session.username)).result == (True, None)


# Whoever uses the site stays in -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("situation", "story", "limit"),
    [
        ("anonymous", VISITOR, "anonymous"),
        ("logged in", [(0, log_in)], "idle"),
        ("sliding", [(0, each(log_in, remember(20 * DAY, sliding=True)))], "remember"),
    ],
)
@pytest.mark.parametrize("act", [look, write])
def test_shortened_idle_limit_counts_from_each_use(situation: str, story: Story, limit: str, act: View) -> None:
    """Cut to an hour, with a request every five minutes for ten hours: still in, and out an hour after the last."""
    lived = Lived(story)
    set_now = {limit: HOUR}
    begin = story[-1][0]
    lived.move_to(lived.site_with(set_now))

    for at in range(begin + 5 * MINUTE, begin + 10 * HOUR + 1, 5 * MINUTE):
        found = lived.visit(at, lambda session: (session.is_new, act(session))[0]).result
        assert not found, f"{situation}: gone after {at - begin} seconds"

    assert lived.seen_at(begin + 11 * HOUR - 1, set_now)[0]


@pytest.mark.parametrize(
    ("situation", "story", "limit"),
    [("anonymous", VISITOR, "anonymous"), ("logged in", [(0, log_in)], "idle")],
)
def test_shortened_idle_limit_is_over_an_hour_after_the_last_use(situation: str, story: Story, limit: str) -> None:
    """Not at the end that was granted before it was cut, and not a second later either."""
    lived = Lived(story)
    begin = story[-1][0]
    lived.move_to(lived.site_with({limit: HOUR}))
    for at in range(begin + 5 * MINUTE, begin + 2 * HOUR + 1, 5 * MINUTE):
        lived.visit(at, look)

    assert lived.site.store.taken().count("replace") == 1, (
        "with the shorter limit the record is written once; then touched"
    )
    assert lived.seen_at(begin + 3 * HOUR, {limit: HOUR}) == (False, None, None, "expired")
    assert lived.seen_at(begin + 3 * HOUR, NOTHING)[0] is False, "what was cut stays cut when the limit is raised"


@pytest.mark.parametrize(
    ("situation", "story", "limit", "granted"),
    [
        ("anonymous", VISITOR, "anonymous", 14 * DAY),
        ("logged in", [(0, log_in)], "idle", 12 * HOUR),
        ("sliding", [(0, each(log_in, remember(99 * DAY, sliding=True)))], "remember", 30 * DAY),
    ],
)
@pytest.mark.parametrize("act", [look, write])
def test_lengthened_idle_limit_does_not_reach_a_session_that_is_there(
    situation: str, story: Story, limit: str, granted: int, act: View
) -> None:
    """Each use grants what was granted at first; the next login gets the longer one."""

    def used_once_more() -> Lived:
        lived = Lived(story)
        lived.move_to(lived.site_with({limit: LONGER[limit]}))
        lived.visit(6 * HOUR, act)
        return lived

    until = 6 * HOUR + granted
    assert used_once_more().seen_at(until - 1, {limit: LONGER[limit]})[:2] == (True, until)
    assert used_once_more().seen_at(until, {limit: LONGER[limit]})[0] is False


@pytest.mark.parametrize(
    ("story", "at", "limit", "deadline"),
    [
        ([*VISITOR, *used(every=8 * DAY, until=80 * DAY)], 85 * DAY, "anonymous_lifetime", 90 * DAY),
        ([(0, log_in), *used(every=10 * HOUR, until=160 * HOUR)], 165 * HOUR, "lifetime", 7 * DAY),
        (
            [(0, each(log_in, remember(25 * DAY, sliding=True))), *used(every=18 * DAY, until=342 * DAY)],
            350 * DAY,
            "remember_lifetime",
            365 * DAY,
        ),
    ],
    ids=["anonymous", "logged in", "sliding"],
)
@pytest.mark.parametrize("act", [look, write])
def test_lengthened_lifetime_does_not_reach_a_session_that_is_there(
    story: Story, at: int, limit: str, deadline: int, act: View
) -> None:
    """Whoever is in when it is raised is out at the deadline that was granted, in the store as well."""

    def used_once_more() -> Lived:
        lived = Lived(story)
        lived.move_to(lived.site_with({limit: LONGER[limit]}))
        lived.visit(at, act)
        return lived

    assert used_once_more().stored_end == deadline
    assert used_once_more().seen_at(deadline - 1, {limit: LONGER[limit]}) == (True, deadline, deadline, None)
    assert used_once_more().seen_at(deadline, {limit: LONGER[limit]})[0] is False


@pytest.mark.parametrize(
    ("line", "name"),
    [
        pytest.param(line, name, id=f"{line.situation}, {name}")
        for line in TABLE
        for name, (until, _) in line.cut_by.items()
        if until not in (OVER, line.until)
    ],
)
def test_shortened_limit_is_written_down_by_the_next_use_and_only_by_it(line: Line, name: str) -> None:
    """One write, although the request only reads; the one after it finds nothing to do."""
    until, ends_at = line.cut_by[name]
    lived = Lived(line.story)
    lived.move_to(lived.site_with({name: SHORTER[name]}))
    last_use = line.story[-1][0]

    answer = lived.visit(last_use + 2 * MINUTE, look)
    first = lived.site.store.taken()
    lived.visit(last_use + 2 * MINUTE, look)

    assert (first, lived.site.store.taken(), answer.set_cookies) == (["load", "replace"], ["load"], [])
    assert lived.stored_end == (ends_at if until == ends_at else min(until + 2 * MINUTE, ends_at))


def test_reading_does_not_touch_more_often_than_the_shortened_limit_asks() -> None:
    """At most one write for each twentieth of the limit that is set now, here three minutes."""
    lived = Lived([(0, log_in)])
    lived.move_to(lived.site_with({"idle": HOUR}))

    for at in range(HOUR // 2, HOUR // 2 + 10 * MINUTE, 30):
        lived.visit(at, look)

    writes = [call for call in lived.site.store.taken() if call != "load"]
    assert len(writes) == 4  # after 0, 3, 6 and 9 minutes


def test_somebody_who_comes_back_near_the_deadline_has_all_the_time_until_then() -> None:
    """Little is gained there, but without a touch the idle limit would end the session of somebody who is at work."""
    lived = Lived([(0, log_in), (11 * HOUR, look)], lifetime=23 * HOUR + 600, idle=12 * HOUR)

    lived.visit(23 * HOUR - 60, look)
    calls = lived.site.store.taken()
    lived.visit(23 * HOUR - 30, look)

    assert lived.stored_end == 23 * HOUR + 600
    assert calls.count("touch") + calls.count("replace") >= 1
    assert lived.site.store.taken() == ["load"]


def test_session_that_is_over_by_what_is_set_now_is_not_gone_on_with() -> None:
    """Its record may be there still, but whoever writes begins a session of his own (rule 8)."""
    lived = Lived([(0, log_in)])
    old = lived.visit(0, lambda session: session.id).result
    lived.move_to(lived.site_with({"idle": HOUR}))

    answer = lived.visit(HOUR, lambda session: (session.update(fresh=True), session.id, session.username))

    assert (answer.result[1] != old, answer.result[2], len(answer.set_cookies)) == (True, None, 1)
    assert lived.browser.read() == {"fresh": True}


def test_list_of_sessions_goes_by_what_is_set_now() -> None:
    """An administrator sees when they end, and none that is over."""
    lived = Lived([(0, log_in)])
    manager = lived.site_with({"idle": HOUR}).middleware.manager

    lived.clock.now = START + HOUR - 1
    assert [info.expires_at - START for info in manager.of(username="ada")] == [HOUR]
    lived.clock.now = START + HOUR
    assert manager.of(username="ada") == []


@pytest.mark.parametrize(
    ("situation", "story", "set_now", "until"),
    [
        ("anonymous", VISITOR, NOTHING, 30 * MINUTE + 14 * DAY),
        ("anonymous, cut", VISITOR, {"anonymous": DAY}, 30 * MINUTE + DAY),
        ("logged in", [(0, log_in)], NOTHING, 12 * HOUR),
        ("logged in, cut", [(0, log_in)], {"idle": HOUR}, HOUR),
        ("lifetime, cut", [(0, log_in)], {"lifetime": HOUR}, HOUR),
        ("remembered, cut", [(0, each(log_in, remember(20 * DAY)))], {"remember": DAY}, DAY),
        ("sliding, cut", [(0, each(log_in, remember(20 * DAY, sliding=True)))], {"remember": DAY}, DAY),
    ],
)
def test_request_that_straddles_the_end_does_not_revive_the_session(
    situation: str, story: Story, set_now: dict[str, int], until: int
) -> None:
    """Alive when it was read, over when it would be saved: the write is dropped and told, and sets no cookie."""

    def slow(session: Session) -> bool:
        was_there = not session.is_new
        lived.clock.tick(1)
        session["late"] = True
        return was_there

    lived = Lived(story)
    lived.move_to(lived.site_with(set_now))

    answer = lived.visit(until - 1, slow)

    assert (answer.result, answer.set_cookies) == (True, [])
    assert [event.keys for event in lived.site.told("session.write_discarded")] == [("late",)]
    assert lived.seen_at(until, set_now)[0] is False


@pytest.mark.parametrize(
    ("set_now", "until"), [(NOTHING, 14 * DAY + 30 * MINUTE), ({"anonymous": DAY}, DAY + 30 * MINUTE)]
)
def test_login_that_straddles_the_end_gets_a_session_of_its_own(set_now: dict[str, int], until: int) -> None:
    """The credentials were just checked; but what had expired by then stays lost."""

    def slow(session: Session) -> None:
        session["mine"] = True
        lived.clock.tick(1)
        session.login("ada")

    lived = Lived(VISITOR)
    lived.move_to(lived.site_with(set_now))

    lived.visit(until - 1, slow)

    assert lived.browser.visit(lambda session: (session.username, session.copy())).result == ("ada", {"mine": True})


# Sliding ------------------------------------------------------------------------------------------------------------


def sliding(seconds: int, **granted: int) -> Lived:
    """A login that is remembered for so long after each use."""
    return Lived([(0, each(log_in, remember(seconds, sliding=True)))], **granted)


def test_sliding_session_lives_as_long_as_somebody_uses_it() -> None:
    """A visit a week for a year, where a fixed one would end after a month."""
    lived = sliding(20 * DAY)

    for week in range(1, 51):
        answer = lived.visit(week * 7 * DAY, lambda session: session.username)
        assert (answer.result, max_age_of(answer)) == ("ada", min(20 * DAY, (365 - 7 * week) * DAY))


def test_sliding_session_ends_whatever_happens() -> None:
    """`remember_lifetime` after the login, though somebody used it a second before."""
    lived = sliding(20 * DAY, remember_lifetime=30 * DAY)
    for day in range(1, 30):
        lived.visit(day * DAY, look)

    assert lived.visit(30 * DAY - 1, lambda session: session.username).result == "ada"
    assert lived.seen_at(30 * DAY, NOTHING) == (False, None, None, "expired")


@pytest.mark.parametrize(
    ("seconds", "interval"),
    [(20 * DAY, HOUR), (20 * HOUR, HOUR), (10 * HOUR, 30 * MINUTE), (100 * MINUTE, 5 * MINUTE)],
)
def test_sliding_is_written_once_per_interval_and_sends_the_cookie_then(seconds: int, interval: int) -> None:
    """A twentieth of what each use grants, or an hour if that is less. Between, reading is one load and no header."""
    lived = sliding(seconds)
    lived.site.store.taken()

    before = lived.visit(interval - 1, look)
    calls_before = lived.site.store.taken()
    at = lived.visit(interval, look)
    calls_at = lived.site.store.taken()
    after = lived.visit(2 * interval - 1, look)

    assert (before.set_cookies, calls_before) == ([], ["load"])
    assert (max_age_of(at), len(calls_at)) == (seconds, 2)
    assert after.set_cookies == []


@pytest.mark.parametrize("act", [look, write])
def test_cookie_of_a_sliding_session_never_lags_behind_by_more_than_the_interval(act: View) -> None:
    """However busy the visitor is, it is sent once an interval at most, and lives as long as the session then does."""
    lived = sliding(20 * HOUR)
    sent_at, kept_until = 0, 20 * HOUR

    for at in range(7 * MINUTE, 10 * HOUR, 7 * MINUTE):
        answer = lived.visit(at, act)
        if answer.set_cookies:
            assert at - sent_at >= HOUR
            assert max_age_of(answer) == 20 * HOUR
            sent_at, kept_until = at, at + 20 * HOUR
        assert kept_until > at + 20 * HOUR - HOUR


def test_sliding_session_at_its_deadline_sends_no_cookie_that_says_nothing_new() -> None:
    """Where the deadline is the end, a use grants nothing more."""
    lived = sliding(20 * DAY, remember_lifetime=30 * DAY)
    lived.visit(15 * DAY, look)
    lived.site.store.taken()

    answer = lived.visit(20 * DAY, look)

    assert (answer.set_cookies, lived.site.store.taken()) == ([], ["load"])


@pytest.mark.parametrize(
    ("at", "act", "is_rotated"),
    [
        (30 * MINUTE, Session.renew_token, False),
        (30 * MINUTE, each(poll, Session.renew_token), False),
        (30 * MINUTE, look, True),
        (30 * MINUTE, write, True),
        (10 * DAY, look, True),
        (10 * DAY, poll, True),
        (10 * DAY, each(poll, write), True),
        (30 * MINUTE, remember(20 * DAY, sliding=True), False),
    ],
    ids=[
        "renewed",
        "renewed, passive",
        "read under a new secret",
        "written under a new secret",
        "slid under a new secret",
        "read under a new secret, passive",
        "written under a new secret, passive",
        "asked for again",
    ],
)
def test_every_cookie_of_a_sliding_session_lives_as_long_as_its_record(at: int, act: View, is_rotated: bool) -> None:
    """Whatever it is sent for: between two slides, and in a passive request, too."""
    lived = sliding(20 * DAY)
    if is_rotated:
        lived.move_to(lived.site_with(NOTHING, secret=[NEW_SECRET, SECRET]))

    answer = lived.visit(at, act)

    assert len(answer.set_cookies) == 1
    assert lived.kept_until == lived.stored_end


def test_slide_that_lost_sends_no_cookie() -> None:
    """Two requests at once: one of them has written it, and its response has the cookie."""
    lived = sliding(20 * DAY)
    others: list[SiteAnswer] = []

    def slow(session: Session) -> None:
        session.get("n")
        others.append(lived.browser.tab().visit(look))

    slow_answer = lived.visit(DAY, slow)

    assert max_age_of(others[0]) == 20 * DAY
    assert slow_answer.set_cookies == []
    assert lived.seen_at(21 * DAY - 1, NOTHING)[:2] == (True, 21 * DAY)


# Passive requests ---------------------------------------------------------------------------------------------------

PASSIVE: dict[str, tuple[dict[str, str], bool]] = {
    "header": ({"X-Session-Passive": "1"}, True),
    "prefetch": ({"Sec-Purpose": "prefetch"}, True),
    "prerender": ({"Sec-Purpose": "prefetch;prerender"}, True),
    "passive=": ({"X-Poll": "yes"}, True),
    "keep_alive": ({}, False),
}

ACTIVE: dict[str, dict[str, str]] = {
    "nothing said": {},
    "header says no": {"X-Session-Passive": "0"},
    "another purpose": {"Sec-Purpose": "something"},
    "passive= says no": {"X-Poll": "no"},
}

BEGUN: dict[str, tuple[Story, int]] = {  # a story, and a moment at which an ordinary request would let it live longer
    "first visit": ([(0, write)], 30 * MINUTE),
    "anonymous": (VISITOR, 5 * DAY),
    "logged in": ([(0, log_in)], 6 * HOUR),
    "sliding": ([(0, each(log_in, remember(20 * DAY, sliding=True)))], 10 * DAY),
}


class Polled(Lived):
    """A session that passive requests visit."""

    def passive_visit(self, at: int, kind: str, view: View) -> SiteAnswer:
        headers, keeps_alive = PASSIVE[kind]

        def passive(session: Session) -> object:
            if not keeps_alive:
                session.keep_alive = False
            return view(session)

        self.clock.now = START + at
        self.site.store.taken()
        return self.browser.visit(passive, headers=headers)


@pytest.mark.parametrize("begun", BEGUN)
@pytest.mark.parametrize("kind", PASSIVE)
def test_passive_request_that_reads_prolongs_nothing(kind: str, begun: str) -> None:
    """One load, no write, no cookie, and the session ends when it would have ended without it."""
    story, at = BEGUN[begun]
    lived = Polled(story)
    end = lived.stored_end

    answer = lived.passive_visit(at, kind, lambda session: session.is_new)

    assert (answer.result, answer.set_cookies, lived.site.store.taken()) == (False, [], ["load"])
    assert lived.stored_end == end
    assert lived.seen_at(end, NOTHING)[0] is False


@pytest.mark.parametrize("begun", BEGUN)
@pytest.mark.parametrize("kind", PASSIVE)
def test_passive_request_that_writes_keeps_the_end(kind: str, begun: str) -> None:
    """Its change is saved, but nothing lives longer by it."""
    story, at = BEGUN[begun]
    lived = Polled(story)
    end = lived.stored_end

    answer = lived.passive_visit(at, kind, lambda session: session.update(polled=True))

    assert (answer.set_cookies, lived.stored_end) == ([], end)
    assert lived.browser.visit(lambda session: session["polled"], headers=PASSIVE["header"][0]).result is True
    assert lived.seen_at(end - 1, NOTHING)[0] is True


@pytest.mark.parametrize("begun", BEGUN)
@pytest.mark.parametrize("headers", ACTIVE.values(), ids=ACTIVE)
def test_every_other_request_counts(headers: dict[str, str], begun: str) -> None:
    """What is not said to be passive is somebody at work."""
    story, at = BEGUN[begun]
    lived = Polled(story)
    end = lived.stored_end
    lived.clock.now = START + at

    lived.browser.visit(look, headers=headers)

    assert lived.stored_end > end


@pytest.mark.parametrize(
    ("begun", "act", "until"),
    [
        ("anonymous", log_in, 5 * DAY + 12 * HOUR),
        ("anonymous", Session.renew_token, 19 * DAY),
        ("anonymous", remember(20 * DAY), 20 * DAY),
        ("first visit", log_in, 30 * MINUTE + 12 * HOUR),
        ("first visit", Session.renew_token, 30 * MINUTE + 14 * DAY),
        ("first visit", remember(20 * DAY), 20 * DAY),
        ("logged in", log_in, 18 * HOUR),
        ("logged in", Session.renew_token, 18 * HOUR),
        ("logged in", remember(20 * DAY), 20 * DAY),
        ("sliding", Session.renew_token, 30 * DAY),
    ],
)
@pytest.mark.parametrize("kind", PASSIVE)
def test_login_renewal_and_remember_count_in_a_passive_request(kind: str, begun: str, act: View, until: int) -> None:
    """Nobody logs in by polling, so a request that does is somebody at work, whatever it says."""
    story, at = BEGUN[begun]
    lived = Polled(story)

    lived.passive_visit(at, kind, act)

    assert lived.stored_end == until
    assert lived.seen_at(until - 1, NOTHING)[:2] == (True, until)


@pytest.mark.parametrize("kind", PASSIVE)
def test_polling_does_not_keep_anybody_logged_in(kind: str) -> None:
    """A page that asks every ten minutes, and nobody in front of it."""
    lived = Polled([(0, log_in)])
    view = lambda session: session.username  # noqa: E731

    for at in range(10 * MINUTE, 12 * HOUR, 10 * MINUTE):
        assert lived.passive_visit(at, kind, view).result == "ada"

    assert lived.passive_visit(12 * HOUR - 1, kind, view).result == "ada"
    assert lived.passive_visit(12 * HOUR, kind, view).result is None


@pytest.mark.parametrize("begun", BEGUN)
@pytest.mark.parametrize("kind", PASSIVE)
def test_passive_request_seals_anew_without_prolonging(kind: str, begun: str) -> None:
    """After the secret has changed, the record is written, with the end that it had."""
    story, at = BEGUN[begun]
    lived = Polled(story)
    end = lived.stored_end
    (before,) = lived.store.scan()
    lived.move_to(lived.site_with(NOTHING, secret=[NEW_SECRET, SECRET]))

    lived.passive_visit(at, kind, look)

    (after,) = lived.store.scan()
    assert (after.payload != before.payload, lived.stored_end) == (True, end)


@pytest.mark.parametrize("kind", PASSIVE)
def test_passive_request_does_not_write_a_shortened_limit(kind: str) -> None:
    """The limit holds for it as for any other, but only somebody at work has it written down."""
    lived = Polled([(0, log_in)])
    lived.move_to(lived.site_with({"idle": HOUR}))
    view = lambda session: session.username  # noqa: E731

    inside = lived.passive_visit(HOUR - 1, kind, view)
    calls = lived.site.store.taken()
    outside = lived.passive_visit(HOUR, kind, view)

    assert (inside.result, calls, outside.result) == ("ada", ["load"], None)


@pytest.mark.parametrize("kind", PASSIVE)
def test_passive_write_counts_from_the_last_use_when_the_limit_is_shortened(kind: str) -> None:
    """An hour from the login, though something was written half an hour after it."""

    def polled() -> Polled:
        lived = Polled([(0, log_in)])
        lived.move_to(lived.site_with({"idle": HOUR}))
        lived.passive_visit(30 * MINUTE, kind, write)
        return lived

    assert polled().seen_at(HOUR - 1, {"idle": HOUR})[:2] == (True, HOUR)
    assert polled().seen_at(HOUR, {"idle": HOUR})[0] is False


def test_keep_alive_is_true_until_a_page_says_otherwise() -> None:
    """And a page that has changed its mind counts."""
    lived = Lived([(0, log_in)])

    def undecided(session: Session) -> tuple[bool, bool]:
        before = session.keep_alive
        session.keep_alive = False
        between = session.keep_alive
        session.keep_alive = True
        session.get("n")
        return before, between

    assert lived.visit(6 * HOUR, undecided).result == (True, False)
    assert lived.seen_at(18 * HOUR - 1, NOTHING)[0] is True


# A clock that is wrong ----------------------------------------------------------------------------------------------


def replace_token(session: Session) -> None:
    session.renew_token()


def end(session: Session) -> None:
    session.invalidate()


@pytest.mark.parametrize("act", [replace_token, end, log_in])
@pytest.mark.parametrize(
    ("set_by", "is_late"),
    [(0, True), (59, True), (61, False), (-60, True), (-61, False), (-30 * MINUTE, False)],
)
def test_replaced_cookie_is_late_for_a_minute_whichever_way_the_clock_goes(
    act: View, set_by: int, is_late: bool
) -> None:
    """A moment that lies ahead by more than a minute is long ago: the old cookie is not detached until it comes."""
    lived = Lived(VISITOR)
    old = lived.browser.tab()
    lived.visit(DAY, act)

    lived.clock.tick(set_by)
    answer = old.visit(lambda session: session.update(late=True))

    assert answer.result is None
    assert bool(answer.set_cookies) is not is_late, "a late request sets no cookie; one that is not begins a session"
    assert bool(lived.site.told("session.write_discarded")) is is_late


@pytest.mark.parametrize(
    ("situation", "story", "last", "grants", "deadline"),
    [
        ("first visit", [(0, write)], 0, HOUR, 90 * DAY),
        ("anonymous", [*VISITOR, (DAY, write)], DAY, 14 * DAY, 90 * DAY),
        ("logged in", [(0, log_in), (6 * HOUR, write)], 6 * HOUR, 12 * HOUR, 7 * DAY),
        ("logged in just now", [(0, log_in)], 0, 12 * HOUR, 7 * DAY),
        ("remembered", [(0, each(log_in, remember(20 * DAY)))], 0, 20 * DAY, 20 * DAY),
        (
            "sliding",
            [(0, each(log_in, remember(20 * DAY, sliding=True))), (DAY, write)],
            DAY,
            20 * DAY,
            365 * DAY,
        ),
    ],
)
def test_clock_set_back_neither_ends_nor_prolongs_a_session(
    situation: str, story: Story, last: int, grants: int, deadline: int
) -> None:
    """Half an hour back: it goes on, and is over by the end that it had before."""

    def set_back() -> Lived:
        lived = Lived(story)
        lived.clock.tick(-30 * MINUTE)
        return lived

    until = min(last + grants, deadline)
    assert set_back().seen_at(last - 30 * MINUTE, NOTHING)[0] is True
    assert set_back().seen_at(until - 30 * MINUTE - 1, NOTHING)[0] is True
    assert set_back().seen_at(until, NOTHING)[0] is False


USED_FOR_A_DAY = [
    pytest.param([*VISITOR, (DAY, write)], 14 * DAY, id="anonymous"),
    pytest.param([(0, log_in), *used(every=6 * HOUR, until=DAY)], 12 * HOUR, id="logged in"),
    pytest.param([(0, each(log_in, remember(20 * DAY, sliding=True))), (DAY, write)], 20 * DAY, id="sliding"),
]


@pytest.mark.parametrize("act", [look, write])
@pytest.mark.parametrize(("story", "grants"), USED_FOR_A_DAY)
def test_use_after_the_clock_was_set_back_counts_from_that_use(story: Story, grants: int, act: View) -> None:
    """Whoever comes then is in, and what he was granted by the wrong clock is taken back."""

    def used_after() -> Lived:
        lived = Lived(story)
        lived.visit(DAY - 30 * MINUTE, act)
        return lived

    until = DAY - 30 * MINUTE + grants
    assert used_after().stored_end == until
    assert used_after().seen_at(until - 1, NOTHING)[:2] == (True, until)
    assert used_after().seen_at(until, NOTHING)[0] is False


@pytest.mark.parametrize(("story", "grants"), USED_FOR_A_DAY)
def test_clocks_that_differ_by_a_minute_write_nothing(story: Story, grants: int) -> None:
    """Several servers are never quite of one mind, and reading must not make them write in turns."""
    lived = Lived(story)
    lived.site.store.taken()

    for at in (DAY - 60, DAY, DAY - 30):
        lived.visit(at, look)

    assert lived.site.store.taken() == ["load"] * 3
    assert lived.stored_end == DAY + grants


def test_clock_is_looked_up_at_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools that put another `time.time` in its place work on a manager and a middleware that are there already."""
    moments: list[float | None] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        session = get_session(environ)
        session.commit()
        moments.append(session.created_at)
        start_response("200 OK", [])
        return []

    def by_request() -> None:
        middleware({"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "HTTP_HOST": "localhost"}, Started())

    def by_manager() -> None:
        opened = manager.open()
        opened.session.commit()
        moments.append(opened.session.created_at)
        opened.finish()

    def note(event: Event) -> None:
        moments.append(int(event.at))

    middleware = SessionMiddleware(application, SECRET, MemoryStore(), on_event=note)
    manager = SessionManager(SECRET, MemoryStore(), on_event=note)

    for now in (2_000_000_000, 2_000_000_100):
        monkeypatch.setattr(time, "time", lambda now=now: now + 0.7)
        for door in (by_request, by_manager):
            moments.clear()
            door()
            assert moments == [now, now], "of the event session.created, and of the session"
