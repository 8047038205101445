"""What the middleware has to do, as a plain model: no cookies, no seals, no bytes, and a store that is a few objects.

`Expected` is one request by the rules in docs/guarantees.md. `Real` is one request to a `SessionMiddleware`. Both have
the same methods (set, delete, read, log_in, …), so that a test does everything twice and compares what comes back.

    real, expected = Real(middleware, cookie), Expected(world, ring, issued)
    assert real.read() == expected.read()
    real.send(), expected.send()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from wsgiref.util import setup_testing_defaults

from conftest import Clock

from sessionware import SessionClosed, get_session
from sessionware.changes import MISSING
from sessionware.records import GRACE
from sessionware.standing import Standing
from sessionware.timeouts import HOUR, UNCONFIRMED, Lifetimes

Data = dict[str, Any]
Ring = tuple[int, ...]
"""Numbers of secrets, the newest first."""

FLASH_KEY = "_flash_"
TEXT_KEYS = ("a", "b")


def value_of(key: str, item: str) -> Any:
    """What is stored under the key for this item: some keys hold text, the others lists of texts."""
    return item if key in TEXT_KEYS else [item]


def empty_of(key: str) -> Any:
    return "" if key in TEXT_KEYS else []


# What is in the store


@dataclass(frozen=True)
class State:
    """A session as it has to be in the store."""

    key: int
    """The secret that sealed it."""
    token: object | None
    """Each token is an object of its own; None for a session that was ended."""
    created_at: int
    rotated_at: int
    idle: int | None
    deadline: int | None = None
    expires_at: int = 0
    version: int = 1
    epoch: int = 0
    authenticated_at: int | None = None
    username: str | None = None
    data: Data = field(default_factory=dict)

    def ends_at(self, now: int) -> int:
        """When it ends if nobody uses it after `now`."""
        return min(([] if self.idle is None else [now + self.idle]) + ([self.deadline] if self.deadline else []))


@dataclass(eq=False)
class Cell:
    """The place of one session in the store; without a state once it was pruned."""

    state: State | None
    id: str | None = None
    """The handle, which the library draws; it is learnt from the real session."""
    is_ended = False
    used_at = 0

    def keeps(self, state: State) -> State:
        self.state = state
        return state


@dataclass(eq=False)
class Issued:
    """What a cookie says."""

    cell: Cell
    token: object
    key: int
    is_outdated = False
    """Whether somebody logged in, after it was issued, to the session that it opens."""


@dataclass(frozen=True)
class SetsCookie:
    """That a response sets a cookie, and for how many seconds (None: until the browser is closed)."""

    cell: Cell
    token: object
    max_age: int | None


class RemovesCookie:
    """That a response takes the cookie away."""


@dataclass
class World:
    """What all requests share."""

    clock: Clock
    limits: Lifetimes
    cells: list[Cell] = field(default_factory=list)
    cookies: dict[str, Issued] = field(default_factory=dict)
    """Every cookie that was ever issued."""
    told: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    """Events, by name and keys."""

    @property
    def now(self) -> int:
        return int(self.clock())

    def tell(self, name: str, keys: Any = ()) -> None:
        self.told.append((name, frozenset(keys)))


# What one request does to the data


class Edits:
    """A request's changes per key: rule 2. A key was given a value blindly, or by steps that look at the old one."""

    def __init__(self, base: Mapping[str, Any]) -> None:
        self.base, self.now = dict(base), dict(base)
        self.is_cleared = False
        self.steps: dict[str, list[Callable[[Data], object]] | None] = {}
        """For each key that was changed the steps, or None if it was blindly."""

    def put(self, key: str, value: Any) -> None:
        self.now[key] = value
        self._is_blind(key, self.is_cleared or key not in self.base or self.base[key] != value)

    def remove(self, key: str) -> None:
        del self.now[key]
        self._is_blind(key, key in self.base and not self.is_cleared)

    def modify(self, key: str, fn: Callable[[Any], Any]) -> None:
        def step(data: Data) -> None:
            after = fn(data.get(key, empty_of(key)))
            data[key] = after
            if after is MISSING:
                del data[key]

        before = self.steps.get(key, None if self.is_cleared else [])
        if before is not None:
            step(self.now)
            self.steps[key] = [*before, step]
            return
        after = fn(self.now.get(key, empty_of(key)))
        if after is not MISSING:
            self.put(key, after)
        elif key in self.now:
            self.remove(key)

    def clear(self) -> None:
        self.now, self.steps, self.is_cleared = {}, {}, True

    def onto(self, fresh: Data) -> Data:
        """The fresh data with these changes."""
        data = {} if self.is_cleared else dict(fresh)
        for key, steps in self.steps.items():
            if steps is not None:
                for step in steps:
                    step(data)
            elif key in self.now:
                data[key] = self.now[key]
            else:
                data.pop(key, None)
        return data

    def overwritten(self, fresh: Data) -> list[str]:
        """Keys that somebody else changed meanwhile, and that were then changed blindly."""
        after = self.onto(fresh)
        blind = {key for key, steps in self.steps.items() if steps is None}
        blind |= {key for key in fresh if self.is_cleared and key not in self.steps}
        return [key for key in blind if fresh.get(key) not in (self.base.get(key), after.get(key))]

    @property
    def is_empty(self) -> bool:
        return self.now == self.base and not self.is_cleared

    @property
    def names(self) -> set[str]:
        return {*self.steps, *(self.base if self.is_cleared else ())}

    def _is_blind(self, key: str, is_change: bool) -> None:
        self.steps.pop(key, None)
        if is_change:
            self.steps[key] = None


@dataclass
class Wishes:
    """What a request wants beside changes of the data."""

    login: str | None = None
    rotates: bool = False
    remember: int | None = None
    creates: bool = False

    @property
    def needs_token(self) -> bool:
        return self.login is not None or self.rotates


class Expected:
    """One request, by the rules."""

    def __init__(
        self,
        world: World,
        ring: Ring,
        issued: Issued | None,
        *,
        is_foreign: bool = False,
        tell: Callable[..., None] | None = None,
    ) -> None:
        self.world, self.ring, self.is_foreign = world, ring, is_foreign
        self.issued = issued if issued is not None and issued.key in ring else None
        self.tell = tell or world.tell
        self.standing = Standing.UNSEEN
        self.cell: Cell | None = None
        """The session that is worked on."""
        self.seen: State | None = None
        """Its state, as this request knows it."""
        self.other: tuple[Cell, State] | None = None
        """A session that is not, or no longer, worked on."""
        self.is_sent = self.has_written = self.expires_cookie = self.drops_base = False
        self.is_confirmed = False
        """Whether the request came with the cookie of the session that it works on."""
        self.issues: object | None = None

    # Looking

    def find(self) -> tuple[Standing, State | None]:
        """How the request stands to its session (rules 7, 8 and 13)."""
        if self.is_foreign:
            self.tell("cross_origin")
            return Standing.FOREIGN, None
        if self.issued is None:
            return Standing.NEW, None
        state = self._loaded(self.issued.cell)
        if state is None or (state.deadline is not None and state.deadline <= self.world.now):
            self.tell("expired")
            return Standing.NEW, None
        if state.token is self.issued.token:
            return Standing.STORED, state
        if self.world.now - state.rotated_at <= GRACE:
            return Standing.DETACHED, state
        self.tell("token_replayed")
        return Standing.NEW, None

    def _look(self) -> None:
        if self.standing is not Standing.UNSEEN:
            return
        if self.is_sent:
            self.tell("late_read")
        standing, state = self.find()
        self._begin(standing)
        cell = self.issued.cell if self.issued else None
        if standing is Standing.STORED and cell and state:
            self.cell, self.seen, self.edits = cell, state, Edits(state.data)
            self.is_confirmed = True
        elif cell and state:
            self.other = cell, state

    def _loaded(self, cell: Cell) -> State | None:
        state = cell.state
        if state is None or state.expires_at <= self.world.now:
            return None
        if state.key not in self.ring:
            self.tell("unknown_key")
            return None
        return state

    def _begin(self, standing: Standing) -> None:
        self.standing, self.cell, self.seen = standing, None, None
        self.edits, self.wishes = Edits({}), Wishes()

    # Doing

    def read(self) -> tuple[Data, str | None]:
        self._look()
        return dict(self.edits.now), self._username

    def set(self, key: str, item: str) -> None:
        self._change()
        self.edits.put(key, value_of(key, item))

    def delete(self, key: str) -> None:
        self._look()
        if key in self.edits.now:
            self._change()
            self.edits.remove(key)

    def modify(self, key: str, item: str) -> None:
        self._change()
        self.edits.modify(key, lambda value: value + value_of(key, item))

    def append(self, key: str, item: str) -> None:
        self._look()
        if key not in self.edits.now:
            self._change()
        self.edits.put(key, [*self.edits.now.get(key, []), item])

    def clear(self) -> None:
        self._look()
        if self._username is not None:
            self.invalidate()
        else:
            self._change()
            self.edits.clear()

    def flash(self, message: str) -> None:
        self._change()
        self.edits.modify(FLASH_KEY, lambda messages: [*messages, message])

    def pop_flash(self) -> list[str]:
        self._look()
        shown = list(self.edits.now.get(FLASH_KEY, ()))
        if shown:
            self._change()
            self.edits.modify(FLASH_KEY, lambda messages: [each for each in messages if each not in shown] or MISSING)
        return shown

    def start(self) -> None:
        self._look()
        if self.standing is Standing.NEW:
            self._change()
            self.wishes.creates = True

    def log_in(self, name: str) -> None:
        self._change_cookie()
        if self.standing is Standing.FOREIGN:
            self.tell("write_discarded", ["username"])
            return
        if self.standing is Standing.DETACHED:
            self.standing = Standing.NEW
        elif self._username not in (None, name):
            self.edits, self.drops_base = Edits({}), True
        self.wishes.login = name

    def regenerate_id(self) -> None:
        self._change_cookie()
        self.wishes.rotates |= self.standing is Standing.STORED

    def remember(self, seconds: int) -> None:
        self._change_cookie()
        self.wishes.remember = min(seconds, self.world.limits.remember)

    def invalidate(self) -> None:
        self._change_cookie()
        if self.standing is Standing.FOREIGN:
            self.tell("write_discarded")
            return
        if self.standing is Standing.DETACHED and self.other:
            self._end(self.other[0])
        elif self.cell:
            self._end(self.cell)
        self._begin(Standing.NEW)
        self.other, self.issues = None, None
        self.drops_base = self.is_confirmed = False
        self.expires_cookie = self.issued is not None

    def _end(self, cell: Cell) -> None:
        state, now = cell.state, self.world.now
        cell.is_ended = True
        if state is None or state.expires_at <= now:
            return
        if self._loaded(cell) and state.token is None:
            return
        cell.keeps(State(self.ring[0], None, now, now, GRACE, None, now + GRACE, state.version + 1))
        self.tell("ended")

    @property
    def _username(self) -> str | None:
        return self.wishes.login or (self.seen.username if self.seen else None)

    def _change(self) -> None:
        self._look()
        if self.is_sent and self.standing is Standing.NEW:
            raise SessionClosed

    def _change_cookie(self) -> None:
        if self.is_sent:
            raise SessionClosed
        self._look()

    # Saving

    def commit(self) -> None:
        if self.standing is Standing.UNSEEN:
            return
        if self.standing in (Standing.DETACHED, Standing.FOREIGN):
            self._discard()
            return
        wishes = self.wishes
        if self.cell and self.seen:
            if wishes.needs_token or wishes.remember is not None or not self.edits.is_empty:
                self._replace(self.cell, self.seen)
        elif wishes.login or wishes.creates or self.edits.now:
            self._create()
        self.wishes.login = None

    def _create(self) -> None:
        now = self.world.now
        state = self._wished(State(self.ring[0], object(), now, now, self.world.limits.anonymous))
        state = replace(state, data=self.edits.onto(self._inherited()))
        cell = Cell(None)
        self.world.cells.append(cell)
        self._saved(cell, state, sends_token=True)
        self.tell("created")

    def _inherited(self) -> Data:
        """A login that got a session of its own goes on with the other one's data, if that is the same user's."""
        if self.wishes.login is None or self.other is None or self.other[1].username != self.wishes.login:
            return {}
        return self.other[1].data

    def _replace(self, cell: Cell, seen: State) -> None:
        fresh = self._fresh(cell, seen)
        if fresh is None or fresh.token is None or fresh.epoch != seen.epoch:
            self._lose(cell, fresh)
            return
        base = {} if self.drops_base else fresh.data
        if overwritten := self.edits.overwritten(base):
            self.tell("overwritten", overwritten)
        if self.wishes.needs_token:
            self.tell("regenerated")
        state = replace(self._wished(fresh), data=self.edits.onto(base), version=fresh.version + 1, key=self.ring[0])
        self._saved(cell, state, sends_token=self.wishes.needs_token)

    def _fresh(self, cell: Cell, seen: State) -> State | None:
        """What is there to be replaced: unless somebody else changed it, what was seen, even if its time is over."""
        is_same = cell.state is not None and cell.state.version == seen.version
        return cell.state if is_same else self._loaded(cell)

    def _wished(self, state: State) -> State:
        """The state after a login, with a new token, remembered: rules 4 and 6."""
        now, limits, wishes = self.world.now, self.world.limits, self.wishes
        if wishes.needs_token:
            state = replace(state, token=object(), rotated_at=now, epoch=state.epoch + 1)
        if wishes.login is not None:
            deadline = now + limits.lifetime
            state = replace(state, username=wishes.login, authenticated_at=now, deadline=deadline, idle=limits.idle)
        if wishes.remember is not None:
            begin = state.created_at if state.authenticated_at is None else state.authenticated_at
            state = replace(state, deadline=begin + wishes.remember, idle=None)
        return state

    def _saved(self, cell: Cell, state: State, *, sends_token: bool) -> None:
        state = cell.keeps(replace(state, expires_at=self._expires_at(state)))
        if self.wishes.login is not None:
            for issued in self.world.cookies.values():
                issued.is_outdated |= issued.cell is cell
        if sends_token:
            self.issues = state.token
        elif self.issues is None and self.issued and (self.wishes.remember is not None or self.has_stale_cookie):
            self.issues = self.issued.token
        self.standing, self.cell, self.seen = Standing.STORED, cell, state
        self.edits, self.wishes = Edits(state.data), Wishes(login=self.wishes.login)
        self.drops_base, self.has_written = False, True

    def _expires_at(self, state: State) -> int:
        """An anonymous session lives for an hour until its cookie has come back; no write lets it end sooner."""
        now = self.world.now
        if state.username is not None or self.is_confirmed:
            return state.ends_at(now)
        return min(state.ends_at(now), max(now + UNCONFIRMED, state.expires_at))

    def _lose(self, cell: Cell, found: State | None) -> None:
        self.cell, self.seen, self.other = None, None, (cell, found) if found else None
        if self.wishes.login is not None:
            self.standing = Standing.NEW
            self._create()
            return
        self._discard()
        self._begin(Standing.DETACHED)

    def _discard(self) -> None:
        """Drop what was not saved, and name the keys."""
        if keys := self.edits.names | ({"username"} if self.wishes.login is not None else set()):
            self.tell("write_discarded", keys)
        self.edits, self.wishes, self.drops_base = Edits(self.edits.base), Wishes(), False

    # Answering

    def send(self, *, failed: bool = False) -> SetsCookie | RemovesCookie | None:
        """What the response's headers have to tell."""
        if self.standing is not Standing.UNSEEN:
            if failed:
                self._discard()
            else:
                self.commit()
                self._keep_alive()
        self.is_sent = True
        return self._outcome()

    def close(self) -> None:
        """The end of the body: what came after the headers is saved (rule 10)."""
        self.commit()

    def _outcome(self) -> SetsCookie | RemovesCookie | None:
        cell, seen = self.cell, self.seen
        if cell and seen and self.issues:
            return SetsCookie(cell, self.issues, self._max_age(seen))
        return RemovesCookie() if self.expires_cookie else None

    @property
    def has_stale_cookie(self) -> bool:
        """Whether an old secret sealed the cookie that opened the session."""
        return self.issued is not None and self.issued.key != self.ring[0] and self.is_confirmed

    def _max_age(self, state: State) -> int | None:
        if state.idle is not None or state.deadline is None:
            return None
        return max(state.deadline - self.world.now, 0)

    def _keep_alive(self) -> None:
        """Rule 1: a session that was only read lives on; both it and its cookie are sealed anew if either needs it."""
        cell, seen, now = self.cell, self.seen, self.world.now
        if cell is None or seen is None or self.has_written:
            return
        if seen.key != self.ring[0] or self.has_stale_cookie:
            fresh = self._fresh(cell, seen)
            if fresh is None or fresh.token is None or fresh.epoch != seen.epoch:
                self._begin(Standing.DETACHED)
            else:
                state = replace(fresh, key=self.ring[0], version=fresh.version + 1)
                self._saved(cell, state, sends_token=False)
            return
        ends_at, state = seen.ends_at(now), cell.state
        interval = 1 if seen.idle is None else min(seen.idle // 20, HOUR)
        if ends_at - seen.expires_at >= interval and state and state.version == seen.version:
            cell.keeps(replace(state, expires_at=max(ends_at, state.expires_at)))


# The same, for real


class Body:
    """A body that starts its response when it is asked for the first chunk, so that a test may act before and after."""

    status = "200 OK"
    raises = False

    def __init__(self, start_response: Any) -> None:
        self._start_response = start_response
        self._has_started = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.raises:
            raise ZeroDivisionError
        if not self._has_started:
            self._start_response(self.status, [("Content-Type", "text/plain")])
            self._has_started = True
        return b"chunk"


def application(environ: dict[str, Any], start_response: Any) -> Body:
    body = environ["test.body"] = Body(start_response)
    return body


class Real:
    """One request to a middleware around `application`, in as many steps as one likes."""

    def __init__(self, middleware: Any, cookie: str | None, *, is_foreign: bool = False) -> None:
        environ: dict[str, Any] = {}
        setup_testing_defaults(environ)
        if cookie is not None:
            environ["HTTP_COOKIE"] = f"session={cookie}"
        if is_foreign:
            environ.update(REQUEST_METHOD="POST", HTTP_SEC_FETCH_SITE="cross-site")
        self.headers: list[tuple[str, str]] = []
        self._stream = middleware(environ, lambda status, headers, exc_info=None: self.headers.extend(headers))
        self._body = environ["test.body"]
        self.session = get_session(environ)

    def send(self, *, failed: bool = False) -> None:
        self._body.status = "500 Internal Server Error" if failed else "200 OK"
        next(self._stream)

    def fail(self) -> None:
        """Let the application raise."""
        self._body.raises = True
        try:
            next(self._stream)
        except ZeroDivisionError:
            self.close()

    def close(self) -> None:
        self._stream.close()

    @property
    def set_cookies(self) -> list[str]:
        return [value for name, value in self.headers if name == "Set-Cookie"]

    def read(self) -> tuple[Data, str | None]:
        data = self.session.copy()
        if FLASH_KEY in data:
            data[FLASH_KEY] = [message for _, message in data[FLASH_KEY]]
        return data, self.session.username

    def set(self, key: str, item: str) -> None:
        self.session[key] = value_of(key, item)

    def delete(self, key: str) -> None:
        self.session.pop(key, None)

    def modify(self, key: str, item: str) -> None:
        self.session.modify(key, lambda value: value + value_of(key, item), default=empty_of(key))

    def append(self, key: str, item: str) -> None:
        self.session.setdefault(key, []).append(item)

    def clear(self) -> None:
        self.session.clear()

    def flash(self, message: str) -> None:
        self.session.flash(message)

    def pop_flash(self) -> list[str]:
        return self.session.pop_flash()

    def start(self) -> None:
        assert self.session.csrf_token

    def log_in(self, name: str) -> None:
        self.session.username = name

    def regenerate_id(self) -> None:
        self.session.regenerate_id()

    def remember(self, seconds: int) -> None:
        self.session.remember(seconds)

    def invalidate(self) -> None:
        self.session.username = None

    def commit(self) -> None:
        self.session.commit()
