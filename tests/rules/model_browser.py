"""What people may expect of a site with sessions, written from docs/guarantees.md, and knowing nothing of the library.

There is no store here, no secret text, no seal and no byte. A `Notebook` has a `Page` for each session. Each line of a
page says what holds from then on: what is written in the session, who is in it, which cookie is the good one, and when
it is over. A `Visit` is one request: a list of acts. What becomes of them is said by functions that bear the numbers of
the rules.

    visit = Visit(notebook, secrets=(0,), cookie=None)
    visit.puts("a", "tea")
    assert visit.sees().data == {"a": "tea"}
    assert visit.answers() == HandsOut(notebook.pages[0], token=1, seconds=None)

Rule 12 is not here: no store fails in these histories. Where the pages of the documentation leave open what a model has
to know, the library's way is taken. These places quote the sentence that the page has under "In detail".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final, NamedTuple

#: What `on_event` is told, by what happened.
EVENTS: Final = {
    "a session begins": "session.created",
    "somebody logs in": "session.login",
    "a cookie is replaced": "session.renewed",
    "a session is ended": "session.ended",
    "nothing is behind a cookie": "session.expired",
    "a write hides another": "session.overwritten",
    "a write is dropped": "session.write_discarded",
    "a page nobody can read": "record.unknown_key",
    "a cookie of long ago": "session.token_replayed",
    "a visit from elsewhere": "session.cross_origin",
    "a look after the headers": "session.late_read",
}

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE

Data = dict[str, Any]
Tell = Callable[..., None]
"""Called with what happened, by the words above, and with the keys that it is about."""


class TooLate(Exception):
    """The headers are out, and this would need a cookie."""


# The notebook


class Limits(NamedTuple):
    """How long sessions live, in seconds: the README's `Timeouts`."""

    idle: int
    lifetime: int
    remember: int
    anonymous: int


@dataclass(frozen=True)
class Line:
    """What holds of a session from one write to the next."""

    token: int
    """Which cookie is the good one. None bears the number 0, so that an ended session has none."""
    token_since: int
    begun: int
    rest: int | None
    """For how long it may lie unused, if there is a limit."""
    deadline: int | None = None
    over_at: int = 0
    """When it is over if nobody comes any more."""
    who: str | None = None
    who_since: int | None = None
    written: Data = field(default_factory=dict)
    secret: int = 0
    """Which of the site's secrets one needs to read it."""


@dataclass(eq=False)
class Page:
    """One session, line by line. All lines go when it is swept out of the store."""

    lines: list[Line] = field(default_factory=list)
    handle: str | None = None
    """Its `id`, which the library draws: it is learnt when the session is there."""
    was_ended = False
    seen_at = 0
    """When a request last had to do with it."""
    login_token = 0
    """The cookie of the last login."""

    @property
    def last(self) -> Line | None:
        return self.lines[-1] if self.lines else None


class CookieText(NamedTuple):
    """What a cookie says, to whoever knows the secret that sealed it."""

    page: Page
    token: int
    secret: int

    @property
    def is_from_before_a_login(self) -> bool:
        return self.token < self.page.login_token


class Sight(NamedTuple):
    """What an application reads of its session."""

    data: Data
    who: str | None
    who_since: int | None
    begun: int | None
    over_at: int | None


@dataclass(frozen=True)
class HandsOut:
    """That a response sets a cookie, and for how many seconds (None: until the browser is closed)."""

    page: Page
    token: int
    seconds: int | None


@dataclass(frozen=True)
class TakesAway:
    """That a response removes the cookie."""


@dataclass
class Notebook:
    """All that is known of a site."""

    clock: Callable[[], float]
    limits: Limits
    pages: list[Page] = field(default_factory=list)
    cookies: dict[str, CookieText] = field(default_factory=dict)
    """Every cookie that was ever handed out."""
    news: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    """Events, by name and keys."""
    tokens: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def time(self) -> int:
        return int(self.clock())

    def reports(self, happened: str, keys: Sequence[str] | set[str] = ()) -> None:
        self.news.append((EVENTS[happened], frozenset(keys)))


# What acts come to

NOTHING: Final = object()
"""The value of a key that is not there."""


@dataclass(frozen=True)
class Deed:
    """What an act does to one key: the value becomes another one."""

    key: str
    becomes: Callable[[Any], Any]
    asks_first: bool = False
    """Whether the new value is made of the old one, as `modify()` does."""


@dataclass(frozen=True)
class EmptyingAll:
    """What `clear()` does."""


@dataclass(frozen=True)
class LoggingIn:
    name: str


@dataclass(frozen=True)
class NewCookie:
    """What `renew_token()` asks for."""


@dataclass(frozen=True)
class Staying:
    """What `remember()` asks for."""

    seconds: int


@dataclass(frozen=True)
class MakingForm:
    """What reading `csrf_token` asks for: a session that is there when the form comes back."""


DataAct = Deed | EmptyingAll
Act = DataAct | LoggingIn | NewCookie | Staying | MakingForm


def assigning(key: str, value: Any) -> Deed:
    return Deed(key, lambda _: value)


def done_to(data: Data, acts: Sequence[DataAct]) -> Data:
    """The data after these acts."""
    after = dict(data)
    for act in acts:
        if isinstance(act, EmptyingAll):
            after.clear()
            continue
        value = act.becomes(after.pop(act.key, NOTHING))
        if value is not NOTHING:
            after[act.key] = value
    return after


def rule_02_what_was_done(acts: Sequence[DataAct], to: Data) -> list[DataAct]:
    """Rule 2: changes, not copies. The fewest acts, key by key, that say what was done to this data.

    They can be done to fresh data as well. Clearing counts for keys that nobody had seen.
    """
    if any(isinstance(act, EmptyingAll) for act in acts):
        return [EmptyingAll(), *(assigning(key, value) for key, value in done_to(to, acts).items())]
    deeds = [act for act in acts if isinstance(act, Deed)]
    return [
        deed
        for key in dict.fromkeys(deed.key for deed in deeds)
        for deed in rule_02_of_one_key([deed for deed in deeds if deed.key == key], to.get(key, NOTHING))
    ]


def rule_02_of_one_key(deeds: list[Deed], first: Any) -> list[Deed]:
    """Rule 2: assigning an equal value is no change, and what is made of the old value can be made of a newer one."""
    steps: list[Deed] = []
    value, is_assigned = first, False
    for deed in deeds:
        value = deed.becomes(value)
        if deed.asks_first and not is_assigned:
            steps.append(deed)
        else:
            steps, is_assigned = [], value != first
    return [assigning(deeds[0].key, value)] if is_assigned else steps


def rule_02_hidden(acts: Sequence[DataAct], seen: Data, fresh: Data) -> set[str]:
    """Promise 1: on the same key the last one wins, and an event says so: which keys another request wrote in vain."""
    done = rule_02_what_was_done(acts, seen)
    after = done_to(fresh, done)
    is_emptied = any(isinstance(act, EmptyingAll) for act in done)
    unasked = {act.key for act in done if isinstance(act, Deed) and not act.asks_first}
    # "In detail": "A key counts as overwritten only if the value that is lost differs from the one that was there
    # before and from the one that stays."
    return {
        key
        for key in {*unasked, *(fresh if is_emptied else ())}
        if fresh.get(key, NOTHING) not in (seen.get(key, NOTHING), after.get(key, NOTHING))
    }


def keys_in(acts: Sequence[DataAct], seen: Data) -> set[str]:
    """The keys that a warning names when these acts are dropped."""
    done = rule_02_what_was_done(acts, seen)
    is_emptied = any(isinstance(act, EmptyingAll) for act in done)
    return {*(act.key for act in done if isinstance(act, Deed)), *(seen if is_emptied else ())}


@dataclass(frozen=True)
class Draft:
    """What a request's acts come to, before they are saved."""

    basis: Data
    """What its acts on the data are done to."""
    data_acts: tuple[DataAct, ...] = ()
    login: str | None = None
    is_for_new_cookie: bool = False
    seconds: int | None = None
    """How long it is to be remembered."""
    is_for_form: bool = False
    drops_what_is_there: bool = False

    @property
    def shows(self) -> Data:
        return done_to(self.basis, self.data_acts)

    @property
    def changes_token(self) -> bool:
        return self.login is not None or self.is_for_new_cookie

    @property
    def changes_data(self) -> bool:
        # "In detail": "Changes that come to nothing, as a message that is left and shown by one request, are not
        # saved."
        return EmptyingAll() in self.data_acts or self.shows != self.basis


def draft_of(acts: Sequence[Act], seen: Line | None) -> Draft:
    """What these acts come to for somebody who sees this line."""
    draft = Draft(seen.written if seen else {})
    who = seen.who if seen else None
    for act in acts:
        if isinstance(act, LoggingIn):
            draft, who = rule_06_whose_data(draft, who, act.name), act.name
        elif isinstance(act, NewCookie):
            draft = replace(draft, is_for_new_cookie=True)
        elif isinstance(act, Staying):
            draft = replace(draft, seconds=act.seconds)
        elif isinstance(act, MakingForm):
            draft = replace(draft, is_for_form=True)
        else:
            draft = replace(draft, data_acts=(*draft.data_acts, act))
    return draft


def rule_06_whose_data(draft: Draft, who: str | None, name: str) -> Draft:
    """Rule 6: a login keeps an anonymous visitor's data, and drops another user's."""
    if who not in (None, name):
        # "In detail": "What the same request wrote before the login is another user's as well, and is dropped."
        draft = replace(draft, basis={}, data_acts=(), drops_what_is_there=True)
    return replace(draft, login=name)


# What is written on the next line


def rule_04_next_line(there: Line, draft: Draft, notebook: Notebook) -> Line:
    """Rule 4: who, until when and which token are what they were, but for what this request changed itself."""
    line = there
    if draft.changes_token:
        line = replace(line, token=next(notebook.tokens), token_since=notebook.time)
    if draft.login is not None:
        line = rule_06_login(line, draft.login, notebook)
    if draft.seconds is not None:
        line = remembered(line, draft.seconds)
    basis = {} if draft.drops_what_is_there else there.written
    return replace(line, written=done_to(basis, rule_02_what_was_done(draft.data_acts, draft.basis)))


def rule_06_login(line: Line, name: str, notebook: Notebook) -> Line:
    """Rule 6: a login is one write: who, and until when, together with the new token."""
    limits, now = notebook.limits, notebook.time
    # "In detail": "A login begins a lifetime of its own, and takes back what `remember()` said before."
    return replace(line, who=name, who_since=now, rest=limits.idle, deadline=now + limits.lifetime)


def remembered(line: Line, seconds: int) -> Line:
    """Until so long after the login, without an idle limit: what `help(Session.remember)` says."""
    # "In detail": "If nobody is logged in, `remember()` counts from the beginning of the session."
    return replace(line, rest=None, deadline=(line.begun if line.who_since is None else line.who_since) + seconds)


def over_if_unused(line: Line, now: int) -> int:
    """When it is over if nobody comes after now: at its idle limit or its deadline, whichever is earlier."""
    limits = (line.rest and now + line.rest, line.deadline)
    return min(limit for limit in limits if limit is not None)


def over_after_write(line: Line, now: int, *, is_kept_in_full: bool) -> int:
    """When it is over after a write: at once as late as can be, if it is a login or the cookie has come back once."""
    if is_kept_in_full:
        return over_if_unused(line, now)
    # "In detail": "Until its cookie has come back once, a session lives for one hour, or for as long as a login in
    # its first request said. Later writes of that request do not let it end sooner, nor, `remember()` included, later."
    return min(over_if_unused(line, now), max(now + HOUR, line.over_at))


def rule_01_is_worth_a_touch(line: Line, now: int) -> bool:
    """Rule 1: a session that is only read is touched once per twentieth of its idle limit, an hour at most."""
    gained = over_if_unused(line, now) - line.over_at
    return gained >= (1 if line.rest is None else min(line.rest // 20, HOUR))


def rule_01_is_worth_a_page(draft: Draft) -> bool:
    """Rule 1: a new session that stays empty is not stored."""
    # "In detail": "Neither `remember()` nor `renew_token()` starts a session; a login and `csrf_token` do."
    return draft.login is not None or draft.is_for_form or bool(draft.shows)


def is_worth_a_line(draft: Draft) -> bool:
    return draft.changes_token or draft.seconds is not None or draft.changes_data


# Who is let in, and who wins


def rule_07_is_on_its_way(line: Line, now: int) -> bool:
    """Rule 7: for 60 seconds after a token was replaced, the newer cookie may still be on its way to the browser."""
    return now - line.token_since <= MINUTE


def rules_03_and_05_may_land(seen: Line, there: Line | None) -> bool:
    """Rules 3 and 5: a write lands only where nobody ended the session, logged in, or replaced the token meanwhile.

    All three leave another good cookie than the one that the request saw, or none.
    """
    return there is not None and there.token == seen.token


def rule_03_last_line(notebook: Notebook, secret: int) -> Line:
    """Rules 3 and 7: what an ended session leaves behind for a minute, so that late requests know that it was."""
    now = notebook.time
    # "In detail": "Whoever comes with the cookie of an ended session after that minute is told to be `expired`."
    return Line(0, now, begun=now, rest=MINUTE, over_at=now + MINUTE, secret=secret)


def read_line(page: Page, secrets: Sequence[int], now: int, tell: Tell) -> Line | None:
    """What somebody with these secrets can read of a session now."""
    line = page.last
    if line is None or line.over_at <= now:
        return None
    if line.secret not in secrets:
        tell("a page nobody can read")
        return None
    return line


# Requests

SHELF: Final = "_flash_"
"""The key under which messages for the next page are kept."""
TEXTS: Final = ("a", "b")


def value_of(key: str, item: str) -> Any:
    """What is written under a key for this item: some keys hold text, the others lists of texts."""
    return item if key in TEXTS else [item]


def empty_of(key: str) -> Any:
    return "" if key in TEXTS else []


def onto(key: str, change: Callable[[Any], Any]) -> Deed:
    """Making a value of the old one, as `modify()` does."""
    return Deed(key, lambda old: change(empty_of(key) if old is NOTHING else old), asks_first=True)


class Visit:
    """One request, as people may expect it to be: what it sees and does, and what its browser is told."""

    def __init__(
        self,
        notebook: Notebook,
        secrets: Sequence[int],
        cookie: CookieText | None,
        *,
        from_elsewhere: bool = False,
        tell: Tell | None = None,
    ) -> None:
        self.notebook, self.secrets, self.from_elsewhere = notebook, secrets, from_elsewhere
        # "In detail": "A cookie that this server has no secret for counts as none, and is not removed."
        self.cookie = cookie if cookie is not None and cookie.secret in secrets else None
        self.tell = tell or notebook.reports
        self.has_looked = self.has_answered = self.has_written = self.came_back = False
        self.page: Page | None = None
        """The session that it is in."""
        self.line: Line | None = None
        """Its last line, as this request knows it, ..."""
        self.length = 0
        """... and the number of lines that it knows."""
        self.is_late = False
        self.missed: tuple[Page, Line] | None = None
        """The session that a late request would be in."""
        self.acts: list[Act] = []
        """What was done since the last line that it wrote."""
        self.token: int | None = None
        """The cookie that its browser has to get."""
        self.takes_cookie_away = False

    # Looking

    def looks(self) -> None:
        """Rules 1, 7, 8 and 13: which session this is, asked at the first use."""
        if self.has_looked:
            return
        self.has_looked = True
        if self.has_answered:
            self.tell("a look after the headers")
        if self.from_elsewhere:
            self.tell("a visit from elsewhere")
        elif self.cookie is not None:
            self.looks_up(self.cookie)

    def looks_up(self, cookie: CookieText) -> None:
        """Rules 7 and 8: in, late, or a newcomer whose cookie does not count."""
        now = self.notebook.time
        line = read_line(cookie.page, self.secrets, now, self.tell)
        if line is None:
            # "In detail": "`expired` is told as well of a session that was ended long ago or cannot be read."
            self.tell("nothing is behind a cookie")
        elif line.token == cookie.token:
            self.page, self.line, self.length = cookie.page, line, len(cookie.page.lines)
            self.came_back = True
        elif rule_07_is_on_its_way(line, now):
            self.is_late, self.missed = True, (cookie.page, line)
        else:
            self.tell("a cookie of long ago")

    @property
    def is_left_out(self) -> bool:
        """Rules 7 and 13: whether it sees an empty session whose writes are dropped."""
        return self.is_late or self.from_elsewhere

    @property
    def draft(self) -> Draft:
        return draft_of(self.acts, self.line)

    @property
    def who(self) -> str | None:
        return self.draft.login or (self.line.who if self.line else None)

    # Acts

    def sees(self) -> Sight:
        """The README's members of a session. A login counts at once, and the rest is as it was stored last."""
        self.looks()
        draft, line = self.draft, self.line
        if line is None:
            return Sight(draft.shows, draft.login, self.notebook.time if draft.login else None, None, None)
        who_since = self.notebook.time if draft.login else line.who_since
        # "In detail": "`expires_at` is as stored; that this request lets the session live on is not in it yet."
        return Sight(draft.shows, draft.login or line.who, who_since, line.begun, line.over_at)

    def puts(self, key: str, item: str) -> None:
        self.does(assigning(key, value_of(key, item)))

    def puts_again(self, key: str) -> None:
        self.looks()
        if key in self.draft.shows:
            self.does(assigning(key, self.draft.shows[key]))

    def takes_out(self, key: str) -> None:
        self.looks()
        if key in self.draft.shows:
            self.does(assigning(key, NOTHING))

    def adds(self, key: str, item: str) -> None:
        self.does(onto(key, lambda old: old + value_of(key, item)))

    def adds_inside(self, key: str, item: str) -> None:
        self.looks()
        self.does(assigning(key, [*self.draft.shows.get(key, []), item]))

    def empties(self) -> None:
        """Drop all data, and log out if somebody is logged in: what `help(Session.clear)` says."""
        self.looks()
        if self.who is not None:
            self.logs_out()
        else:
            self.does(EmptyingAll())

    def leaves_message(self, message: str) -> None:
        self.does(onto(SHELF, lambda messages: [*messages, message]))

    def takes_messages(self) -> list[str]:
        self.looks()
        shown: list[str] = self.draft.shows.get(SHELF, [])
        if shown:
            self.does(onto(SHELF, lambda messages: [each for each in messages if each not in shown] or NOTHING))
        return shown

    def makes_form(self) -> None:
        self.looks()
        if self.page is None and not self.is_left_out:
            self.does(MakingForm())

    def logs_in(self, name: str) -> None:
        """Rules 7 and 13: a login works for a late request, which is late no more, and not for another origin."""
        self.rule_10_before_the_headers()
        if self.from_elsewhere:
            # "In detail": "A login that another origin tries is dropped at once, and the event names `username`."
            self.tell("a write is dropped", {"username"})
            return
        self.is_late = False
        self.acts.append(LoggingIn(name))

    def changes_cookie(self) -> None:
        self.rule_10_before_the_headers()
        if self.page is not None:
            self.acts.append(NewCookie())

    def asks_to_stay(self, seconds: int) -> None:
        self.rule_10_before_the_headers()
        self.acts.append(Staying(min(seconds, self.notebook.limits.remember)))

    def logs_out(self) -> None:
        """Rules 7, 11 and 13: it has happened at once, for a late request too, and not for another origin."""
        self.rule_10_before_the_headers()
        if self.from_elsewhere:
            # "In detail": "`invalidate()` by another origin is told as `write_discarded`, with no key."
            self.tell("a write is dropped")
            return
        if self.is_late and self.missed:
            self.ends_session(self.missed[0])
        elif self.page is not None:
            self.ends_session(self.page)
        self.has_no_session()
        self.missed = self.token = None
        self.came_back = False
        # "In detail": "`invalidate()` removes the cookie that the request came with, even if no session was behind
        # it, unless the same request starts a new session."
        self.takes_cookie_away = self.cookie is not None

    def saves(self) -> None:
        """Rules 1 and 2: all that was done is written at once, if it is anything."""
        if not self.has_looked:
            return
        if self.is_left_out:
            # "In detail": "What comes to nothing anyway is dropped without an event, unless the request fails."
            if is_worth_a_line(self.draft):
                self.gives_up()
        elif self.page is not None and self.line is not None:
            if is_worth_a_line(self.draft):
                self.writes_line(self.page, self.line)
        elif rule_01_is_worth_a_page(self.draft):
            self.begins_page()

    # The response

    def answers(self, *, failed: bool = False) -> HandsOut | TakesAway | None:
        """Rules 9 and 11: saved before the headers, unless it failed. What they tell the browser."""
        if self.has_looked and failed:
            self.gives_up()
        elif self.has_looked:
            self.saves()
            if self.page is not None and self.line is not None and not self.has_written:
                self.stays_alive(self.page, self.line)
        self.has_answered = True
        if self.page is not None and self.line is not None and self.token is not None:
            return HandsOut(self.page, self.token, self.cookie_seconds(self.line))
        return TakesAway() if self.takes_cookie_away else None

    def breaks(self) -> None:
        """Rules 10 and 11: the application raised, and nothing is saved."""
        if not self.has_answered:
            self.answers(failed=True)
        # "In detail": "Changes made after the headers are dropped without an event if the body raises an error."

    def closes(self) -> None:
        """Rule 10: what was done after the headers is saved when the body is closed."""
        self.saves()

    def is_left_alone(self) -> None:
        """The client hung up."""
        if self.has_answered:
            self.closes()
        else:
            # "In detail": "If the client hangs up before the headers, what was done is saved as if it had not."
            self.answers()

    def cookie_seconds(self, line: Line) -> int | None:
        """Until the browser is closed; or, if it is to be remembered, until the deadline."""
        if line.rest is not None or line.deadline is None:
            return None
        return max(0, line.deadline - self.notebook.time)

    # What becomes of the acts

    def does(self, act: Act) -> None:
        """Rule 10: after the headers only a session that is there can still be changed."""
        self.looks()
        if self.has_answered and self.page is None and not self.is_left_out:
            raise TooLate
        self.acts.append(act)

    def rule_10_before_the_headers(self) -> None:
        """Rule 10: what would need a cookie raises `SessionClosed`."""
        if self.has_answered:
            raise TooLate
        self.looks()

    def ends_session(self, page: Page) -> None:
        """Rule 3: whatever else is under way, this session is over."""
        page.was_ended = True
        last, now = page.last, self.notebook.time
        if last is None or last.over_at <= now:
            return
        # "In detail": "A session whose record cannot be read, for its secret is unknown, can be ended."
        if (line := read_line(page, self.secrets, now, self.tell)) and not line.token:
            return
        page.lines.append(rule_03_last_line(self.notebook, self.secrets[0]))
        self.tell("a session is ended")

    def begins_page(self) -> None:
        """Rule 8: a new session has a new id."""
        draft, now = self.draft, self.notebook.time
        first = Line(next(self.notebook.tokens), now, begun=now, rest=self.notebook.limits.anonymous)
        page = Page()
        self.notebook.pages.append(page)
        first = replace(first, written=self.rule_06_goes_on_with(draft))
        self.writes(page, rule_04_next_line(first, replace(draft, drops_what_is_there=False), self.notebook), draft)
        self.token = page.lines[-1].token
        self.tell("a session begins")
        if draft.login is not None:
            self.tell("somebody logs in")

    def rule_06_goes_on_with(self, draft: Draft) -> Data:
        """Rule 6: what a login that gets a session of its own finds in it."""
        # "In detail": "A login that comes late, or loses to another one, goes on with the data of the session that
        # it missed, if the same user is logged in there."
        if draft.login is None or self.missed is None or self.missed[1].who != draft.login:
            return {}
        return self.missed[1].written

    def writes_line(self, page: Page, seen: Line) -> None:
        """Rules 2 to 6: a line below the last one, whoever wrote that."""
        there = self.finds_again(page)
        if there is None or not rules_03_and_05_may_land(seen, there):
            self.loses(page, there)
            return
        draft = self.draft
        fresh = {} if draft.drops_what_is_there else there.written
        if hidden := rule_02_hidden(draft.data_acts, draft.basis, fresh):
            self.tell("a write hides another", hidden)
        if draft.changes_token:
            self.tell("a cookie is replaced" if draft.login is None else "somebody logs in")
        line = rule_04_next_line(there, draft, self.notebook)
        self.writes(page, line, draft)
        if draft.changes_token:
            self.token = line.token
        elif draft.seconds is not None or self.has_old_cookie:
            self.sends_cookie_again()

    def finds_again(self, page: Page) -> Line | None:
        """The line that is the last one by now."""
        if len(page.lines) == self.length:
            # "In detail": "A session whose time ran out while a request was at work is saved, and lives on, if it
            # was not pruned and nobody else wrote to it."
            return page.last
        return read_line(page, self.secrets, self.notebook.time, self.tell)

    def writes(self, page: Page, line: Line, draft: Draft) -> None:
        """The line stands in the notebook, and whoever goes on in this request goes on from it."""
        is_kept_in_full = self.came_back or draft.login is not None
        over_at = over_after_write(line, self.notebook.time, is_kept_in_full=is_kept_in_full)
        self.line = replace(line, over_at=over_at, secret=self.secrets[0])
        page.lines.append(self.line)
        self.page, self.length, self.acts, self.has_written = page, len(page.lines), [], True
        if draft.login is not None:
            page.login_token = line.token

    def sends_cookie_again(self) -> None:
        """With the token that it had, as 'Where they end' says of `remember()` and of a new secret."""
        if self.token is None and self.cookie is not None:
            self.token = self.cookie.token

    @property
    def has_old_cookie(self) -> bool:
        """Whether the cookie of this session was sealed by a secret that is no more the newest."""
        return self.came_back and self.cookie is not None and self.cookie.secret != self.secrets[0]

    def loses(self, page: Page, there: Line | None) -> None:
        """Rules 3, 5 and 6: the changes are dropped and no cookie is set; but a login gets a session of its own."""
        draft = self.draft
        self.missed = (page, there) if there else None
        if draft.login is not None:
            self.begins_page()
            return
        self.gives_up()
        self.has_no_session()
        self.is_late = True

    def gives_up(self) -> None:
        """Rules 3, 5, 7, 11 and 13: what was done is dropped, with a warning that names the keys."""
        draft = self.draft
        if keys := keys_in(draft.data_acts, draft.basis) | ({"username"} if draft.login is not None else set()):
            self.tell("a write is dropped", keys)
        self.acts = []

    def has_no_session(self) -> None:
        self.page, self.line, self.acts, self.is_late = None, None, [], False

    def stays_alive(self, page: Page, seen: Line) -> None:
        """Rule 1: a session that was only read lives on."""
        if seen.secret != self.secrets[0] or self.has_old_cookie:
            self.moves_to_new_secret(page, seen)
        elif len(page.lines) == self.length and rule_01_is_worth_a_touch(seen, self.notebook.time):
            last = page.lines[-1]
            page.lines[-1] = replace(last, over_at=max(last.over_at, over_if_unused(seen, self.notebook.time)))

    def moves_to_new_secret(self, page: Page, seen: Line) -> None:
        """Visitors' cookies and records follow as they come by: docs/deployment.md, 'Changing the secret'."""
        there = self.finds_again(page)
        if there is None or not rules_03_and_05_may_land(seen, there):
            self.has_no_session()
            self.is_late = True
            return
        self.writes(page, there, Draft({}))
        if self.has_old_cookie:
            self.sends_cookie_again()
