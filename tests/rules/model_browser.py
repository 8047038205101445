"""What people may expect of a site with sessions, written from docs/guarantees.md, and knowing nothing of the library.

There is no store here, no secret text, no seal and no byte. A `Notebook` has a `Page` for each session. Each line of a
page says what holds from then on: what is written in the session, who is in it, which cookies are good, and when it is
over. A `Visit` is one request: a list of acts. What becomes of them is said by functions that bear the numbers of the
rules.

    visit = Visit(notebook, Site((0,), limits), cookie=None)
    visit.puts("a", "tea")
    assert visit.sees().data == {"a": "tea"}
    assert visit.answers() == HandsOut(notebook.pages[0], token=1, seconds=None)

Rule 12 is not here: no store fails in these histories. Nor is rule 15, which is about accounts. Where the pages of the
documentation leave open what a model has to know, the library's way is taken. These places quote the sentence that the
page has under "In detail".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final, Literal, NamedTuple

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
    "a cookie nobody can read": "cookie.unknown_key",
    "a cookie of long ago": "session.token_replayed",
    "a visit from elsewhere": "session.cross_origin",
    "a look after the headers": "session.late_read",
}

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE

#: How many logins may join one that came just before them.
MOST_SIBLINGS: Final = 4

Data = dict[str, Any]
Tell = Callable[..., None]
"""Called with what happened, by the words above, and with the keys that it is about."""


class TooLate(Exception):
    """The headers are out, and this would need a cookie; or the request is over."""


# The notebook


class Limits(NamedTuple):
    """How long sessions live, in seconds: the README's `Timeouts`."""

    idle: int
    lifetime: int
    remember: int
    remember_lifetime: int
    anonymous: int
    anonymous_lifetime: int
    unconfirmed: int
    explain: int


@dataclass(eq=False)
class Site:
    """A server as it was started: which secrets it has, the newest first, and how long it lets sessions live."""

    secrets: Sequence[int]
    limits: Limits
    complained_at: int | None = None
    """When it last told of a cookie that it cannot read."""


@dataclass(frozen=True)
class Line:
    """What holds of a session from one write to the next."""

    token: int
    """Which cookie is the good one. None bears the number 0, so that an ended session has none."""
    token_since: int
    begun: int
    rest: int | None
    """For how long it may lie unused, if there is a limit."""
    deadline: int
    over_at: int = 0
    """When it is over if nobody comes any more."""
    outlives_browser: bool = False
    """Whether it is remembered: until its deadline or, if it slides, for so long after each use."""
    who: str | None = None
    who_since: int | None = None
    own_limits: Limits | None = None
    """Those that the login was given."""
    epoch: int = 0
    """How often the cookie was replaced."""
    siblings: tuple[int, ...] = ()
    """Cookies that are good as well: of logins that joined this one."""
    replaced: tuple[int, ...] = ()
    """The cookies that were good right before the login."""
    form_renewals: int = 0
    reason: str | None = None
    """Why it was ended, if somebody said so."""
    ended: tuple[int, ...] = ()
    """The cookies that were good right before the end."""
    written: Data = field(default_factory=dict)
    secret: int = 0
    """Which of the site's secrets one needs to read it."""

    @property
    def cookies(self) -> tuple[int, ...]:
        """All that are good."""
        return (self.token, *self.siblings) if self.token else ()

    @property
    def slides(self) -> bool:
        return self.outlives_browser and self.rest is not None

    @property
    def counts_from(self) -> int:
        """From when its lifetime counts: the login or, if nobody logged in, the beginning."""
        return self.begun if self.who_since is None else self.who_since


@dataclass(eq=False)
class Page:
    """One session, line by line. All lines go when it is swept out of the store."""

    lines: list[Line] = field(default_factory=list)
    handle: str | None = None
    """Its `id`, which the library draws: it is learnt when the session is there."""
    was_ended = False
    used_at = 0
    """When a request that counts as a use last had to do with it."""
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


class FormText(NamedTuple):
    """What the token in a form says: of which session it is or, if a visitor had none, of which hour."""

    secret: int
    page: Page | None = None
    epoch: int = 0
    renewals: int = 0
    hour: int | None = None


class Sight(NamedTuple):
    """What an application reads of its session."""

    data: Data
    who: str | None
    who_since: int | None
    begun: int | None
    over_at: int | None
    deadline: int | None
    reason: str | None
    """Why the session that its cookie names is over."""


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
    """All that is known of a site's sessions."""

    clock: Callable[[], float]
    pages: list[Page] = field(default_factory=list)
    cookies: dict[str, CookieText] = field(default_factory=dict)
    """Every cookie that was ever handed out."""
    forms: dict[str, FormText] = field(default_factory=dict)
    """Every token that was ever put into a form."""
    news: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    """Events, by name and keys."""
    tokens: Iterator[int] = field(default_factory=lambda: count(1))
    messages: Iterator[int] = field(default_factory=count)
    """Numbers that tell equal messages apart."""

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
    own_limits: Limits | None


@dataclass(frozen=True)
class NewCookie:
    """What `renew_token()` asks for."""


@dataclass(frozen=True)
class NewForms:
    """What `renew_csrf()` asks for."""


@dataclass(frozen=True)
class Staying:
    """What `remember()` asks for. Without seconds, it takes back what was asked before."""

    seconds: int | None
    slides: bool


DataAct = Deed | EmptyingAll
Act = DataAct | LoggingIn | NewCookie | NewForms | Staying


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


def rule_02_hidden(done: Sequence[DataAct], seen: Data, fresh: Data) -> set[str]:
    """Promise 1: on the same key the last one wins, and an event says so: which keys another request wrote in vain."""
    after = done_to(fresh, done)
    is_emptied = EmptyingAll() in done
    unasked = {act.key for act in done if isinstance(act, Deed) and not act.asks_first}
    # "In detail": "A key counts as overwritten only if the value that is lost differs from the one before and from the
    # one that stays."
    return {
        key
        for key in {*unasked, *(fresh if is_emptied else ())}
        if fresh.get(key, NOTHING) not in (seen.get(key, NOTHING), after.get(key, NOTHING))
    }


def keys_in(acts: Sequence[DataAct], seen: Data) -> set[str]:
    """The keys that a warning names when these acts are dropped."""
    done = rule_02_what_was_done(acts, seen)
    is_emptied = EmptyingAll() in done
    return {*(act.key for act in done if isinstance(act, Deed)), *(seen if is_emptied else ())}


@dataclass(frozen=True)
class Draft:
    """What a request's acts come to, before they are saved."""

    basis: Data
    """What its acts on the data are done to."""
    data_acts: tuple[DataAct, ...] = ()
    login: LoggingIn | None = None
    is_for_new_cookie: bool = False
    form_renewals: int = 0
    staying: Staying | None = None
    drops_what_is_there: bool = False

    @property
    def shows(self) -> Data:
        return done_to(self.basis, self.data_acts)

    @property
    def done(self) -> list[DataAct]:
        """What is done to fresh data."""
        return rule_02_what_was_done(self.data_acts, self.basis)

    @property
    def changes_token(self) -> bool:
        return self.login is not None or self.is_for_new_cookie

    @property
    def changes_session(self) -> bool:
        """Whether it is about more than data."""
        return self.changes_token or self.staying is not None or self.form_renewals > 0

    @property
    def changes_data(self) -> bool:
        # "In detail": "Changes that come to nothing, such as a message that is left and shown in one request, are not
        # saved."
        return EmptyingAll() in self.data_acts or self.shows != self.basis

    @property
    def is_worth_a_line(self) -> bool:
        return self.changes_session or self.changes_data

    @property
    def is_a_use(self) -> bool:
        """Rule 14: "With a login, a `renew_token()` or a `remember()` in it, a passive request counts as a use."."""
        return self.changes_token or self.staying is not None


def draft_of(acts: Sequence[Act], seen: Line | None) -> Draft:
    """What these acts come to for somebody who sees this line."""
    draft = Draft(seen.written if seen else {})
    who = seen.who if seen else None
    for act in acts:
        match act:
            case LoggingIn():
                draft, who = rule_06_whose_data(draft, who, act), act.name
            case NewCookie():
                draft = replace(draft, is_for_new_cookie=True)
            case NewForms():
                draft = replace(draft, form_renewals=draft.form_renewals + 1)
            case Staying():
                draft = replace(draft, staying=act)
            case _:
                draft = replace(draft, data_acts=(*draft.data_acts, act))
    return draft


def rule_06_whose_data(draft: Draft, who: str | None, login: LoggingIn) -> Draft:
    """Rule 6: a login keeps an anonymous visitor's data, and drops another user's, with how long that was to stay."""
    if who not in (None, login.name):
        # "In detail": "What a request wrote before it logged in somebody else is dropped with that other user's data."
        draft = replace(draft, basis={}, data_acts=(), drops_what_is_there=True, staying=None)
    return replace(draft, login=login)


# How long a session lives


def limits_of(line: Line, limits: Limits) -> Limits:
    """Those of the site or, in their place, those that the login was given."""
    own = line.own_limits
    if own is None:
        return limits
    return limits._replace(
        idle=own.idle, lifetime=own.lifetime, remember=own.remember, remember_lifetime=own.remember_lifetime
    )


def set_now(line: Line, limits: Limits) -> tuple[int | None, int]:
    """For how long a session of this kind may lie unused, and for how long it may live at all."""
    limits = limits_of(line, limits)
    if line.outlives_browser:
        return (None, limits.remember) if line.rest is None else (limits.remember, limits.remember_lifetime)
    return (limits.anonymous, limits.anonymous_lifetime) if line.who is None else (limits.idle, limits.lifetime)


def as_set_now(line: Line, limits: Limits) -> Line:
    """A session with the shorter of what it was granted and what is set now."""
    # "In detail": "It gets the shorter of what it was granted and what is set now, so a deploy that shortens a limit
    # reaches the sessions that exist. A limit that a login was given of its own takes the place of the site's."
    if not line.token:
        return line
    rest, longest = set_now(line, limits)
    if line.rest is not None and rest is not None:
        line = replace(line, rest=min(line.rest, rest))
    return replace(line, deadline=min(line.deadline, line.counts_from + longest))


def over_if_used(line: Line, limits: Limits, now: int) -> int:
    """When it is over if nobody comes after now: at its idle limit or its deadline, whichever is earlier."""
    line = as_set_now(line, limits)
    return line.deadline if line.rest is None else min(now + line.rest, line.deadline)


def over_at(line: Line, limits: Limits) -> int:
    """When it is over if nobody comes any more, by what is set now."""
    shorter = as_set_now(line, limits)
    end = min(line.over_at, shorter.deadline)
    if line.rest is None or shorter.rest is None:
        return end
    # "In detail": "If the idle limit was shortened, it counts from the last use that is stored. Where the deadline or
    # the first hour ends the session, none is."
    last_use = line.over_at - line.rest
    is_known = line.begun <= last_use and line.over_at < line.deadline
    return min(end, last_use + shorter.rest) if is_known else end


def over_after_write(line: Line, limits: Limits, now: int, *, is_confirmed: bool) -> int:
    """When it is over after a write by a request that counts: as late as can be, but for a newcomer's session."""
    end = over_if_used(line, limits, now)
    # "In detail": "Until its cookie has come back once, an anonymous session lives for `Timeouts.unconfirmed`. A login
    # lifts that, and so does `remember()`. Later writes of its first request do not let it end sooner."
    if is_confirmed or line.who is not None or line.outlives_browser:
        return end
    return min(end, max(now + limits.unconfirmed, line.over_at))


def remembered(line: Line, staying: Staying, limits: Limits, now: int, *, is_new: bool) -> Line:
    """What `help(Session.remember)` says. `is_new` is a session that the same request began, or logged in to."""
    own = limits_of(line, limits)
    if staying.seconds is None and not line.outlives_browser:
        return line
    if staying.seconds is None:
        rest, longest = set_now(replace(line, outlives_browser=False), limits)
        return replace(line, outlives_browser=False, rest=rest, deadline=line.counts_from + longest)
    seconds = min(staying.seconds, own.remember)
    if staying.slides:
        # "In detail": "A sliding session ends `Timeouts.remember_lifetime` after the login, however much it is used."
        deadline = line.counts_from + own.remember_lifetime
        return replace(line, outlives_browser=True, rest=seconds, deadline=deadline) if deadline > now else line
    # "In detail": "If nobody is logged in, `remember()` counts from the beginning of the session." "`remember()` to a
    # fixed time, in a later request than the login, never lets the session end earlier than it would if nobody used it
    # again. If `Timeouts.remember` allows no more than that, it changes nothing."
    until, latest, has = line.counts_from + seconds, line.counts_from + own.remember, over_if_used(line, limits, now)
    if is_new:
        has = 0
    if latest < has:
        return line
    return replace(line, outlives_browser=True, rest=None, deadline=max(until, has))


def rule_01_is_worth_a_touch(line: Line, limits: Limits, now: int) -> bool:
    """Rule 1: a session that is only read is touched once per twentieth of its idle limit, an hour at most.

    That much has passed since the last use that is stored. Near the deadline, less than that may be gained.
    """
    gained, rest = over_if_used(line, limits, now) - line.over_at, as_set_now(line, limits).rest
    passed = gained if rest is None else now + rest - line.over_at
    return gained >= 1 and passed >= (0 if rest is None else min(rest // 20, HOUR))


def is_to_be_shortened(line: Line, limits: Limits, now: int) -> bool:
    """Whether a use has to be written although it gains nothing, because shorter limits count from now on."""
    # "In detail": "The first use after limits were shortened, or the clock was set back, writes the session anew,
    # once."
    return line != as_set_now(line, limits) or line.over_at > over_if_used(line, limits, now) + MINUTE


# What is written on the next line


def rule_04_next_line(there: Line, draft: Draft, notebook: Notebook, limits: Limits, *, is_new: bool) -> Line:
    """Rule 4: who, until when and which token are what they were, but for what this request changed itself."""
    line = there
    if draft.changes_token:
        line = rule_06_new_token(line, notebook, draft)
    if draft.login is not None:
        line = rule_06_login(line, draft.login, notebook, limits)
    if draft.staying is not None:
        line = remembered(line, draft.staying, limits, notebook.time, is_new=is_new or draft.login is not None)
    line = replace(line, form_renewals=line.form_renewals + draft.form_renewals)
    return replace(line, written=done_to({} if draft.drops_what_is_there else there.written, draft.done))


def rule_06_new_token(line: Line, notebook: Notebook, draft: Draft) -> Line:
    """Rules 5 and 6: no cookie from before is good any more; a login remembers which ones were."""
    # "In detail": "A login together with `renew_token()` joins no other login, and no other joins it."
    is_to_be_joined = draft.login is not None and not draft.is_for_new_cookie
    return replace(
        line,
        token=next(notebook.tokens),
        token_since=notebook.time,
        epoch=line.epoch + 1,
        siblings=(),
        replaced=line.cookies if is_to_be_joined else (),
    )


def rule_06_login(line: Line, login: LoggingIn, notebook: Notebook, limits: Limits) -> Line:
    """Rule 6: a login is one write: who, and until when, together with the new token."""
    now = notebook.time
    line = replace(line, who=login.name, who_since=now, own_limits=login.own_limits)
    # "In detail": "A login begins a new lifetime and takes back an earlier `remember()`."
    rest, longest = set_now(replace(line, outlives_browser=False), limits)
    return replace(line, outlives_browser=False, rest=rest, deadline=now + longest)


def rule_06_may_join(line: Line, login: LoggingIn, cookie: CookieText | None, now: int) -> bool:
    """Rules 5 and 6: a double click on "log in" is one session, if nothing but that can have happened."""
    return (
        cookie is not None
        and cookie.token in line.replaced
        and line.who == login.name
        and line.own_limits == login.own_limits
        and line.who_since is not None
        and is_recent(line.who_since, now)
        and len(line.siblings) < MOST_SIBLINGS
    )


def rule_06_joined_line(there: Line, draft: Draft, notebook: Notebook, limits: Limits) -> Line:
    """Rules 5 and 6: one more cookie is good, and what was done is added. All else is the first login's."""
    # "In detail": "`remember()` in a login that joins counts as a call of it in that session." "If it joins that
    # session, `clear()` removes only what it had loaded."
    line = replace(there, siblings=(*there.siblings, next(notebook.tokens)))
    if draft.staying is not None:
        line = remembered(line, draft.staying, limits, notebook.time, is_new=False)
    line = replace(line, form_renewals=line.form_renewals + draft.form_renewals)
    return replace(line, written=done_to(there.written, rule_06_what_joins(draft)))


def rule_06_what_joins(draft: Draft) -> list[DataAct]:
    """`clear()` empties what it has seen."""
    if EmptyingAll() not in draft.done:
        return draft.done
    return [*(assigning(key, NOTHING) for key in draft.basis), *draft.done[1:]]


def rule_01_is_worth_a_page(draft: Draft) -> bool:
    """Rule 1: a new session that stays empty is not stored."""
    # "In detail": "A login, `commit()` and `renew_csrf()` start a session; `remember()`, `renew_token()` and
    # `csrf_token` do not."
    return draft.login is not None or draft.form_renewals > 0 or bool(draft.shows)


# Who is let in, and who wins


def is_recent(moment: int, now: int) -> bool:
    """Whether it is not more than 60 seconds away."""
    # "In detail": "A moment that lies more than a minute ahead, because a clock was set back, counts as long ago."
    return abs(now - moment) <= MINUTE


def rule_07_is_on_its_way(line: Line, now: int) -> bool:
    """Rule 7: for 60 seconds after a token was replaced, the newer cookie may still be on its way to the browser."""
    return is_recent(line.token_since, now)


def rules_03_and_05_may_land(seen: Line, there: Line | None) -> bool:
    """Rules 3 and 5: a write lands only where nobody ended the session, logged in, or replaced the token meanwhile.

    All three leave another good cookie than the one that the request saw, or none.
    """
    return there is not None and there.token == seen.token


def rule_03_last_line(line: Line | None, now: int, site: Site, reason: str | None) -> Line:
    """Rules 3 and 7: what an ended session leaves behind, so that late requests know that it was, and why it is not."""
    # "In detail": "Why a session was ended is kept for `Timeouts.explain`, and only a cookie that was good until then
    # is told. Without a reason, its cookie is told "expired" after a minute."
    rest = MINUTE if reason is None else site.limits.explain
    ended = line.cookies if line is not None and reason is not None else ()
    return Line(
        token=0,
        token_since=now,
        begun=now,
        rest=rest,
        deadline=now + rest,
        over_at=now + rest,
        reason=reason,
        ended=ended,
        secret=site.secrets[0],
    )


def rule_03_end(page: Page, notebook: Notebook, site: Site, tell: Tell, reason: str | None = None) -> bool:
    """Rule 3: whatever else is under way, this session is over. Whether it was not before."""
    last, now = page.last, notebook.time
    page.was_ended = True
    if last is None or last.over_at <= now:
        # "In detail": "Ending a session that has expired removes what is left of it."
        page.lines.clear()
        return False
    # "In detail": "A session whose record cannot be read, because its secret is unknown, can still be ended."
    line = read_line(page, site, now, tell)
    if line is not None and not line.token:
        return False
    page.lines.append(rule_03_last_line(line, now, site, reason))
    tell("a session is ended")
    return True


def is_readable(page: Page, site: Site, now: int) -> bool:
    """Whether the site knows the secret, if there is something to read."""
    return page.last is None or page.last.over_at <= now or page.last.secret in site.secrets


def read_line(page: Page, site: Site, now: int, tell: Tell) -> Line | None:
    """What this site can read of a session now."""
    if not is_readable(page, site, now):
        tell("a page nobody can read")
        return None
    return None if page.last is None or page.last.over_at <= now else page.last


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


class Known(NamedTuple):
    """What a request knows of a session that it is not in: the last line, and how many lines there were."""

    page: Page
    line: Line
    length: int


class Visit:
    """One request, as people may expect it to be: what it sees and does, and what its browser is told."""

    def __init__(
        self,
        notebook: Notebook,
        site: Site,
        cookie: CookieText | None,
        *,
        comes_from: Literal["here", "elsewhere", "nowhere"] = "here",
        is_passive: bool = False,
        tell: Tell | None = None,
    ) -> None:
        self.notebook, self.site = notebook, site
        self.comes_from = comes_from
        """What the browser says: a page of this site, of another one, or nothing."""
        self.brings_cookie = cookie is not None
        # "In detail": "A cookie for which this server has no secret counts as none, and is not removed."
        self.cookie = cookie if cookie is not None and cookie.secret in site.secrets else None
        self.tell = tell or notebook.reports
        self.counts = not is_passive
        """Rule 14: whether it is a use of the session."""
        self.has_looked = self.has_answered = self.is_over = self.has_written = self.came_back = False
        self.page: Page | None = None
        """The session that it is in."""
        self.line: Line | None = None
        """Its last line, as this request knows it, ..."""
        self.length = 0
        """... and the number of lines that it knows."""
        self.has_begun_it = False
        """Whether this request began it, or logged in to it."""
        self.is_late = False
        self.missed: Known | None = None
        """The session that a late request would be in."""
        self.page_to_begin: Page | None = None
        """The session that forms were made for before it is there."""
        self.hour: int | None = None
        """When it made a visitor's form."""
        self.reason: str | None = None
        """Why the session that its cookie names is over."""
        self.acts: list[Act] = []
        """What was done since the last line that it wrote."""
        self.read_by = self.cookie
        """The cookie that its session was read by."""
        self.issued: CookieText | None = None
        """The cookie that its browser has to get."""
        self.takes_cookie_away = False

    # Looking

    def looks(self) -> None:
        """Rules 1, 7, 8 and 13: which session this is, asked at the first use."""
        if self.has_looked:
            return
        if self.is_over:
            raise TooLate  # rule 10: "A first look after the request is over raises `SessionClosed`."
        self.has_looked = True
        if self.has_answered:
            self.tell("a look after the headers")
        self.looks_up()

    def looks_up(self) -> None:
        if self.from_elsewhere:
            self.tell("a visit from elsewhere")
        elif self.read_by is not None:
            self.looks_for(self.read_by)
        elif self.brings_cookie and self.cookie is None:
            self.complains()

    def complains(self) -> None:
        # "In detail": "`cookie.unknown_key` is emitted at most once a minute."
        last, now = self.site.complained_at, self.notebook.time
        if last is None or not is_recent(last, now):
            self.site.complained_at = now
            self.tell("a cookie nobody can read")

    def looks_for(self, cookie: CookieText) -> None:
        """Rules 7 and 8: in, late, or a newcomer whose cookie does not count."""
        page, now = cookie.page, self.notebook.time
        line = read_line(page, self.site, now, self.tell)
        if line is None:
            # "In detail": "`ended_because` is "expired" if nothing is left of the session, and None if what is left
            # cannot be read."
            self.is_behind_nothing("expired" if is_readable(page, self.site, now) else None)
        elif cookie.token in line.cookies and over_at(line, self.site.limits) <= now:
            self.is_behind_nothing("expired")
        elif cookie.token in line.cookies:
            self.page, self.line, self.length = page, line, len(page.lines)
            self.came_back = self.came_back or cookie == self.cookie
        elif rule_07_is_on_its_way(line, now):
            self.is_late, self.missed = True, Known(page, line, len(page.lines))
            self.reason = line.reason if cookie.token in line.ended else None
        elif line.token:
            self.tell("a cookie of long ago")
        else:
            self.is_behind_nothing(line.reason if cookie.token in line.ended else None)

    def is_behind_nothing(self, reason: str | None) -> None:
        # "In detail": "`session.expired` is emitted also for a cookie whose session was ended more than a minute ago,
        # or cannot be read."
        self.tell("nothing is behind a cookie")
        self.reason = reason

    @property
    def from_elsewhere(self) -> bool:
        return self.comes_from == "elsewhere"

    @property
    def is_left_out(self) -> bool:
        """Rules 7 and 13: whether it sees an empty session whose writes are dropped."""
        return self.is_late or self.from_elsewhere

    @property
    def draft(self) -> Draft:
        return draft_of(self.acts, self.line)

    @property
    def who(self) -> str | None:
        login = self.draft.login
        if login is not None:
            return login.name
        return self.line.who if self.line else None

    # Acts

    def sees(self) -> Sight:
        """The README's members of a session. A login counts at once, and the rest is as it was stored last."""
        self.looks()
        draft, line = self.draft, self.line
        data = draft.shows
        if SHELF in data:
            data[SHELF] = [message for _, message in data[SHELF]]
        who_since = line.who_since if line else None
        if draft.login:
            who_since = self.notebook.time
        if line is None:
            return Sight(data, self.who, who_since, None, None, None, self.reason)
        limits = self.site.limits
        deadline = as_set_now(line, limits).deadline
        # "In detail": "`expires_at` is what is stored, cut by what is set now. It does not count the touch that this
        # request may cause."
        return Sight(data, self.who, who_since, line.begun, over_at(line, limits), deadline, self.reason)

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
        """Drop all data, and log out if somebody is logged in: what `help(Session.clear)` says.

        Rule 7: a late request logs out whoever is logged in to the session that it missed.
        """
        self.looks()
        if self.who is not None or (self.is_late and self.missed and self.missed.line.who is not None):
            self.logs_out()
        else:
            self.does(EmptyingAll())

    def leaves_message(self, message: str) -> None:
        entry = (next(self.notebook.messages), message)
        self.does(onto(SHELF, lambda messages: [*messages, entry]))

    def takes_messages(self) -> list[str]:
        self.looks()
        shown: list[tuple[int, str]] = self.draft.shows.get(SHELF, [])
        if shown:
            self.does(onto(SHELF, lambda messages: [each for each in messages if each not in shown] or NOTHING))
        return [message for _, message in shown]

    def logs_in(self, name: str, own_limits: Limits | None = None) -> None:
        """Rules 7 and 13: a login works for a late request, which is late no more, and not for another origin."""
        self.rule_10_before_the_headers()
        if self.from_elsewhere:
            # "In detail": "A login that another site tries is dropped at once, and `session.write_discarded` names
            # `username`."
            self.tell("a write is dropped", {"username"})
            return
        self.is_late = False
        self.acts.append(LoggingIn(name, own_limits))

    def changes_cookie(self) -> None:
        self.rule_10_before_the_headers()
        if self.page is not None or self.is_left_out or self.draft.login is not None:
            self.acts.append(NewCookie())

    def asks_to_stay(self, seconds: int | None, slides: bool = False) -> None:
        self.rule_10_before_the_headers()
        if seconds is None and self.is_over_unless_remembered:
            self.logs_out()
        else:
            self.acts.append(Staying(seconds, slides))

    @property
    def is_over_unless_remembered(self) -> bool:
        # "In detail": "`remember(None)` takes it back; if the usual limits are over by then, the session ends."
        if self.line is None or not self.line.outlives_browser or self.draft.login is not None:
            return False
        _, longest = set_now(replace(self.line, outlives_browser=False), self.site.limits)
        return self.line.counts_from + longest <= self.notebook.time

    def counts_not(self) -> None:
        """Rule 14: what `keep_alive = False` says."""
        self.counts = False

    def logs_out(self) -> None:
        """Rules 7, 11 and 13: it has happened at once, for a late request too, and not for another origin."""
        self.rule_10_before_the_headers()
        if self.from_elsewhere:
            # "In detail": "An `invalidate()` by another site is dropped with the same event and no key."
            self.tell("a write is dropped")
            return
        page = self.missed.page if self.page is None and self.missed else self.page
        if page is not None:
            rule_03_end(page, self.notebook, self.site, self.tell)
        elif self.read_by is not None and self.reason == "expired":
            self.ends_what_has_run_out(self.read_by)
        self.has_no_session()
        self.missed = self.read_by = self.issued = self.reason = self.page_to_begin = None
        self.came_back = False
        # "In detail": "`invalidate()` removes the cookie that the request came with, even if no session was behind it,
        # unless the same request starts a new session."
        self.takes_cookie_away = self.cookie is not None

    def ends_what_has_run_out(self, cookie: CookieText) -> None:
        # "In detail": "If the clock was set back, or limits were raised, what had run out can be there again."
        page = cookie.page
        line = read_line(page, self.site, 0, self.tell)  # though it has run out
        if line is not None and cookie.token in line.cookies:
            rule_03_end(page, self.notebook, self.site, self.tell)

    def saves(self) -> None:
        """Save now, and begin a session if there is none: what `help(Session.commit)` says."""
        self.looks()
        if self.page is None and not self.is_left_out:
            if self.has_answered:
                raise TooLate
            self.begins_or_joins()
        else:
            self.saves_what_was_done()

    def reloads(self) -> None:
        """Forget what is not saved, and read the session again: what `help(Session.reload)` says."""
        begun = self.page if self.has_begun_it else None
        self.acts = []
        # "In detail": "`reload()` reads the session by the cookie that the browser will have after this response."
        self.read_by = self.issued or self.read_by
        if self.has_looked and self.read_by is not None and not self.from_elsewhere:
            self.has_no_session()
            self.missed = self.reason = None
            self.looks_for(self.read_by)
            self.has_begun_it = self.page is not None and self.page is begun

    # Forms

    def makes_form(self) -> FormText:
        """Rule 1: a form's token alone stores nothing. Without a session, it is a visitor's."""
        self.looks()
        newest, draft = self.site.secrets[0], self.draft
        joined = self.session_to_join()
        if self.line is not None and self.page is not None:
            page, line, epoch = self.page, self.line, self.line.epoch + draft.changes_token
        elif joined is not None:
            # "In detail": "A form that is made by a login which joins another one is good in the session it joins."
            page, line, epoch = joined.page, joined.line, joined.line.epoch
        elif self.will_begin:
            self.page_to_begin = self.page_to_begin or Page()
            return FormText(newest, self.page_to_begin, int(draft.login is not None), draft.form_renewals)
        else:
            # A visitor's form is made once a request.
            self.hour = self.notebook.time // HOUR if self.hour is None else self.hour
            return FormText(newest, hour=self.hour)
        return FormText(newest, page, epoch, line.form_renewals + draft.form_renewals)

    @property
    def will_begin(self) -> bool:
        """Whether its acts are certain to begin a session."""
        return not self.is_left_out and (self.draft.login is not None or self.draft.form_renewals > 0)

    def renews_form(self) -> None:
        self.does(NewForms())

    def checks_form(self, form: FormText) -> bool:
        """What `help(Session.check_csrf)` says."""
        self.looks()
        if self.from_elsewhere or form.secret not in self.site.secrets:
            return False
        if form.hour is not None:
            return self.takes_visitors_form(form.hour)
        if self.is_late:
            return self.missed is not None and self.is_from_just_before(form, self.missed)
        return form == self.makes_form()._replace(secret=form.secret)

    def is_from_just_before(self, form: FormText, missed: Known) -> bool:
        """Rule 7: the second click on a form is taken, after the first one replaced the cookie."""
        # "In detail": "A detached request takes forms from before the last login or renewal of the session, unless it
        # was ended."
        line = missed.line
        return line.token > 0 and form == FormText(form.secret, missed.page, line.epoch - 1, line.form_renewals)

    def takes_visitors_form(self, hour: int) -> bool:
        """A form of somebody without a session is good for `Timeouts.anonymous`, if the browser says it is ours."""
        # "In detail": "A visitor's form is not taken where somebody is logged in, nor after `renew_csrf()`, nor, if the
        # browser does not say where a request comes from, together with a cookie. It may be up to an hour older than
        # `Timeouts.anonymous`."
        known = self.missed.line if self.is_late and self.missed else self.line
        renewals = self.draft.form_renewals + (known.form_renewals if known else 0)
        is_refused = self.who is not None or renewals > 0
        is_ours = self.comes_from == "here" or not self.brings_cookie
        age = self.notebook.time - hour * HOUR
        return is_ours and not is_refused and -HOUR <= age < self.site.limits.anonymous + HOUR

    # The response

    def answers(self, *, failed: bool = False) -> HandsOut | TakesAway | None:
        """Rules 9 and 11: saved before the headers, unless it failed. What they tell the browser."""
        if self.has_looked and failed:
            self.gives_up()
        elif self.has_looked:
            self.saves_what_was_done()
            if self.page is not None and self.line is not None and not self.has_written:
                self.stays_alive(self.page, self.line)
        self.has_answered = True
        if self.page is not None and self.line is not None and self.issued is not None:
            return HandsOut(self.page, self.issued.token, self.cookie_seconds(self.line))
        return TakesAway() if self.takes_cookie_away else None

    def breaks(self) -> None:
        """Rules 10 and 11: the application raised, and nothing is saved."""
        if not self.has_answered:
            self.answers(failed=True)
        elif self.has_looked:
            # "In detail": "Changes made after the headers that cannot be saved, or that are dropped because the body
            # raises an error, are told by `session.write_discarded`."
            self.gives_up()
        self.is_over = True

    def closes(self) -> None:
        """Rule 10: what was done after the headers is saved when the body is closed."""
        if not self.is_over and self.has_looked:
            self.saves_what_was_done()
        self.is_over = True

    def is_left_alone(self) -> None:
        """The client hung up."""
        if not self.has_answered:
            # "In detail": "If the client hangs up before the headers are out, what was done is saved all the same."
            self.answers()
        self.closes()

    def cookie_seconds(self, line: Line) -> int | None:
        """Until the browser is closed; or, if it is to be remembered, until the session is over."""
        if not line.outlives_browser:
            return None
        return max(0, over_at(line, self.site.limits) - self.notebook.time)

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

    def saves_what_was_done(self) -> None:
        """Rules 1 and 2: all that was done is written at once, if it is anything."""
        draft = self.draft
        if self.is_left_out:
            # "In detail": "A late request whose changes come to nothing drops them without an event. A failed one emits
            # `session.write_discarded`."
            if draft.is_worth_a_line:
                self.gives_up()
        elif self.page is not None and self.line is not None:
            if draft.is_worth_a_line:
                self.writes_line(self.page, self.line)
        elif rule_01_is_worth_a_page(draft):
            self.begins_or_joins()

    def session_to_join(self) -> Known | None:
        """Rules 5 and 6: the session of a login that this one missed, and may join."""
        login, missed = self.draft.login, self.missed
        if login is None or missed is None or self.page is not None or self.draft.is_for_new_cookie:
            return None
        is_good = rule_06_may_join(missed.line, login, self.read_by, self.notebook.time)
        return missed if is_good else None

    def begins_or_joins(self) -> None:
        """Rules 5 and 6: a login without a session to write to joins another login of its user's, or has its own."""
        while (known := self.session_to_join()) is not None:
            page = known.page
            there = self.finds_again(page, known.length)
            if there is not None and len(page.lines) == known.length:
                self.joins(page, there)
                return
            self.missed = Known(page, there, len(page.lines)) if there else None
        self.begins_page()

    def joins(self, page: Page, there: Line) -> None:
        draft = self.draft
        if hidden := rule_02_hidden(rule_06_what_joins(draft), draft.basis, there.written):
            self.tell("a write hides another", hidden)
        self.tell("somebody logs in")
        self.counts = True
        self.writes(page, rule_06_joined_line(there, draft, self.notebook, self.site.limits), is_granted=True)
        self.issues(page, page.lines[-1].siblings[-1])

    def begins_page(self) -> None:
        """Rule 8: a new session has a new id."""
        draft, now, limits = self.draft, self.notebook.time, self.site.limits
        page, self.page_to_begin = self.page_to_begin or Page(), None
        self.notebook.pages.append(page)
        first = Line(
            next(self.notebook.tokens),
            now,
            begun=now,
            rest=limits.anonymous,
            deadline=now + limits.anonymous_lifetime,
            written=self.rule_06_goes_on_with(draft),
        )
        draft = replace(draft, drops_what_is_there=False)
        line = replace(rule_04_next_line(first, draft, self.notebook, limits, is_new=True), replaced=())
        self.tell("a session begins")
        if draft.login is not None:
            self.tell("somebody logs in")
            page.login_token = line.token
        self.counts, self.came_back = self.counts or draft.is_a_use, False
        self.writes(page, line, is_granted=True)
        self.has_begun_it = True
        self.issues(page, line.token)

    def rule_06_goes_on_with(self, draft: Draft) -> Data:
        """Rule 6: what a login that gets a session of its own finds in it."""
        # "In detail": "A login that comes late, or loses to another request, goes on with the data of the session that
        # it missed, if the same user is logged in there, or nobody." Nobody's is left if it dropped another user's
        # data.
        if draft.login is None or self.missed is None:
            return {}
        line = self.missed.line
        is_its_own = line.who == draft.login.name or (line.who is None and not draft.drops_what_is_there)
        return line.written if is_its_own else {}

    def writes_line(self, page: Page, seen: Line) -> None:
        """Rules 2 to 6: a line below the last one, whoever wrote that."""
        there = self.finds_again(page, self.length)
        if there is None or not rules_03_and_05_may_land(seen, there):
            self.loses(page, there)
            return
        draft = self.draft
        fresh = {} if draft.drops_what_is_there else there.written
        if hidden := rule_02_hidden(draft.done, draft.basis, fresh):
            self.tell("a write hides another", hidden)
        if draft.changes_token:
            self.tell("a cookie is replaced" if draft.login is None else "somebody logs in")
        self.counts = self.counts or draft.is_a_use
        line = rule_04_next_line(there, draft, self.notebook, self.site.limits, is_new=self.has_begun_it)
        if draft.login is not None:
            page.login_token, self.has_begun_it = line.token, True
        self.writes(page, line, is_granted=draft.staying is not None)
        if draft.changes_token:
            self.issues(page, line.token)
        elif draft.staying is not None or self.has_old_cookie:
            self.sends_cookie_again()

    def finds_again(self, page: Page, length: int) -> Line | None:
        """Rule 3: the line that is the last one by now. What has run out meanwhile is gone."""
        now = self.notebook.time
        line = page.last if len(page.lines) == length else read_line(page, self.site, now, self.tell)
        return None if line is None or over_at(line, self.site.limits) <= now else line

    def writes(self, page: Page, line: Line, *, is_granted: bool = False) -> None:
        """The line stands in the notebook, and whoever goes on in this request goes on from it.

        Rules 1 and 14: a write is a use, unless the request is passive. `is_granted` is a session whose time was just
        set by a login or by `remember()`.
        """
        limits, now = self.site.limits, self.notebook.time
        line = replace(line, secret=self.site.secrets[0])
        if self.counts or not page.lines:
            line = as_set_now(line, limits)
            end = over_after_write(line, limits, now, is_confirmed=self.came_back)
            if line.slides and not is_granted:
                end = self.rule_01_slides(line, end)
            line = replace(line, over_at=end)
        self.line, self.reason = line, None
        page.lines.append(line)
        self.page, self.length, self.acts, self.has_written = page, len(page.lines), [], True

    def rule_01_slides(self, line: Line, end: int) -> int:
        """Rule 1: when a sliding session is over after this use. Its cookie is sent again as often as it is touched."""
        # "In detail": "A sliding session and its cookie are prolonged together or not at all, so not after the
        # headers."
        if self.has_answered or not rule_01_is_worth_a_touch(line, self.site.limits, self.notebook.time):
            return min(end, line.over_at)
        self.sends_cookie_again()
        return end

    def issues(self, page: Page, token: int) -> None:
        self.issued = CookieText(page, token, self.site.secrets[0])

    def sends_cookie_again(self) -> None:
        """With the token that it had, as 'Where they end' says of `remember()` and of a new secret."""
        if self.issued is None and self.cookie is not None:
            self.issued = self.cookie

    @property
    def has_old_cookie(self) -> bool:
        """Whether the cookie of this session was sealed by a secret that is no more the newest."""
        return self.came_back and self.cookie is not None and self.cookie.secret != self.site.secrets[0]

    def loses(self, page: Page, there: Line | None) -> None:
        """Rules 3, 5 and 6: the changes are dropped and no cookie is set; but a login goes on."""
        self.missed = Known(page, there, len(page.lines)) if there else None
        if self.draft.login is not None:
            self.page = None
            self.begins_or_joins()
            return
        self.gives_up()
        self.is_shut_out(there)

    def is_shut_out(self, there: Line | None) -> None:
        """From now on it is late."""
        self.has_no_session()
        self.is_late = True
        if there is not None and self.read_by is not None and self.read_by.token in there.ended:
            self.reason = there.reason

    def gives_up(self) -> None:
        """Rules 3, 5, 7, 11 and 13: what was done is dropped, with a warning that names the keys."""
        draft = self.draft
        keys = keys_in(draft.data_acts, draft.basis) | ({"username"} if draft.login is not None else set())
        # "In detail": "`remember()`, `renew_token()` and `renew_csrf()` that are dropped are named in the detail of
        # `session.write_discarded`", which may have no keys.
        if keys or draft.changes_session:
            self.tell("a write is dropped", keys)
        self.acts = []

    def has_no_session(self) -> None:
        self.page, self.line, self.acts, self.is_late = None, None, [], False
        self.has_begun_it = False

    def stays_alive(self, page: Page, seen: Line) -> None:
        """Rules 1 and 14: a session that was only read lives on, unless the request was passive."""
        limits, now = self.site.limits, self.notebook.time
        if seen.secret != self.site.secrets[0] or self.has_old_cookie:
            self.moves_to_new_secret(page, seen)
            return
        if not self.counts or seen.over_at <= now:
            return
        is_worth_it = rule_01_is_worth_a_touch(seen, limits, now)
        if is_to_be_shortened(seen, limits, now) or (is_worth_it and seen.slides):
            self.writes_use(page, seen)
        elif is_worth_it and len(page.lines) == self.length and page.last:
            page.lines[-1] = replace(page.last, over_at=max(page.last.over_at, over_if_used(seen, limits, now)))

    def writes_use(self, page: Page, seen: Line) -> None:
        """A use that is more than a touch."""
        there = self.finds_again(page, self.length)
        if there is None or not rules_03_and_05_may_land(seen, there):
            self.is_shut_out(there)
        elif len(page.lines) == self.length:
            self.writes(page, there)

    def moves_to_new_secret(self, page: Page, seen: Line) -> None:
        """Visitors' cookies and records follow as they come by: docs/deployment.md, 'Changing the secret'."""
        there = self.finds_again(page, self.length)
        if there is None or not rules_03_and_05_may_land(seen, there):
            self.is_shut_out(there)
            return
        self.writes(page, there)
        if self.has_old_cookie:
            self.sends_cookie_again()
