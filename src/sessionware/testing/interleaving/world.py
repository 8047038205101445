"""What requests share, as one value (the records of a store and the accounts of a table), and where they wait for it.

A `World` never changes. A call makes a new one from it, so that the checker can go back to any.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from ...auth.users.base import User
from ...errors import StoreUnavailable, UsernameTaken
from ...stores.base import Record


class Call(NamedTuple):
    """One call to the store or to the table of accounts."""

    name: str
    arguments: tuple[Any, ...]
    namespace: str = ""
    """Which one of the store's it is for."""


FAILS = "the medium fails"
"""The answer of a call that raises `StoreUnavailable`."""

TAKEN = "the name is taken"
"""The answer of `add` that raises `UsernameTaken`."""

SECOND_CHUNK, CLOSE = Call("second chunk", ()), Call("close", ())
"""A server that asks for more of a body, or closes it. They wait like calls, so that other requests get in between."""


class Waits(BaseException):
    """A request has reached a call that has no answer yet. Not an `Exception`, because no application may catch it."""

    def __init__(self, call: Call) -> None:
        self.call = call


def _step(name: str) -> Any:
    """A method that waits for its answer."""

    def call(stage: Stage | Namespace, *arguments: Any, **named: Any) -> Any:
        return stage.answer(Call(name, (*arguments, *sorted(named.items()))))

    return call


class Stage:
    """Store and table of accounts for a request that is run again and again. It answers as before, and then waits."""

    path: tuple[str, ...] = ()
    create: Any = _step("create")
    load: Any = _step("load")
    replace: Any = _step("replace")
    touch: Any = _step("touch")
    delete: Any = _step("delete")
    owned_by: Any = _step("owned_by")
    scan: Any = _step("scan")
    find_by_key: Any = _step("find_by_key")
    get: Any = _step("get")
    add: Any = _step("add")
    set_password: Any = _step("set_password")
    set_active: Any = _step("set_active")
    rename: Any = _step("rename")
    put: Any = _step("put")

    def __init__(self) -> None:
        self.given: int = 0
        """How many answers the request has got."""
        self._answers: list[Any] = []
        self._calls: list[Call] = []
        self._waits: Waits | None = None

    def rewind(self, answers: tuple[Any, ...]) -> None:
        """Start again. These are the answers so far."""
        self._answers, self._waits, self.given = list(answers), None, 0
        self._calls.clear()

    @property
    def is_waiting(self) -> bool:
        """Whether the request has got as far as it gets. What it does after that is undone."""
        return self._waits is not None

    @property
    def answered(self) -> tuple[Call, ...]:
        """The calls that got an answer."""
        return tuple(self._calls)

    def namespace(self, name: str) -> Any:
        """One of the store's namespaces. To name it is no step."""
        return Namespace(self, name)

    def prune(self, _now: int, _limit: int = 1000) -> int:
        """Do nothing. Pruning happens at random, so it is not a step."""
        return 0

    def answer(self, call: Call) -> Any:
        """The answer that this call got before. The first call without an answer raises `Waits`."""
        if self._waits is not None:  # the middleware may try to clean up on the way out, but gets no further
            raise self._waits
        if not self._answers:
            self._waits = Waits(call)
            raise self._waits
        answer = self._answers.pop(0)
        self._calls.append(call)
        self.given += 1
        if answer is FAILS:
            raise StoreUnavailable(FAILS)
        if answer is TAKEN:
            raise UsernameTaken
        return list(answer) if type(answer) is tuple else answer  # kept as a tuple, because it is part of a key


class Namespace:
    """What a request keeps in a namespace of its stage's store."""

    create: Any = _step("create")
    load: Any = _step("load")
    delete: Any = _step("delete")

    def __init__(self, stage: Stage, name: str) -> None:
        self.path: tuple[str, ...] = (name,)
        self._stage = stage

    def prune(self, _now: int, _limit: int = 1000) -> int:
        """Do nothing, as the store itself."""
        return 0

    def answer(self, call: Call) -> Any:
        """The stage's answer."""
        return self._stage.answer(call._replace(namespace=self.path[0]))


class World(NamedTuple):
    """The records and the accounts at one moment."""

    records: frozenset[Record] = frozenset()
    users: frozenset[User] = frozenset()
    named: frozenset[tuple[str, Record]] = frozenset()
    """The records in namespaces, each with its namespace."""

    def after(self, call: Call) -> tuple[Any, World]:
        """The call's answer, and the world as it leaves it."""
        if call in (SECOND_CHUNK, CLOSE):
            return None, self
        if call.namespace:
            return self._after_in(call)
        tables = Tables(self.records, self.users)
        answer = getattr(tables, call.name)(*call.arguments)
        return answer, self._replace(records=frozenset(tables.records.values()), users=frozenset(tables.users.values()))

    def _after_in(self, call: Call) -> tuple[Any, World]:
        """The same for a call to a namespace."""
        there = {each for each in self.named if each[0] == call.namespace}
        tables = Tables(frozenset(record for _, record in there), frozenset())
        answer = getattr(tables, call.name)(*call.arguments)
        fresh = {(call.namespace, record) for record in tables.records.values()}
        return answer, self._replace(named=self.named - there | fresh)


class Tables:
    """The two contracts, `Store` and `Users`, in their simplest form and as far as requests use them."""

    def __init__(self, records: frozenset[Record], users: frozenset[User]) -> None:
        self.records: dict[bytes, Record] = {record.id: record for record in records}
        self.users: dict[str, User] = {user.id: user for user in users}

    def create(self, record: Record) -> bool:
        return self.records.setdefault(record.id, record) is record

    def load(self, id: bytes, now: int) -> Record | None:
        record = self.records.get(id)
        return record if record is not None and record.expires_at > now else None

    def replace(self, record: Record) -> bool:
        old = self.records.get(record.id)
        if old is None or old.version != record.version - 1:
            return False
        self.records[record.id] = record
        return True

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        old = self.records.get(id)
        if old is not None and old.version == version and old.expires_at < expires_at:
            self.records[id] = old._replace(expires_at=expires_at)

    def delete(self, id: bytes | str) -> bool:
        """The one method that both have. An account's id is text."""
        if isinstance(id, str):
            return self.users.pop(id, None) is not None
        return self.records.pop(id, None) is not None

    def owned_by(self, owner: bytes, now: int) -> tuple[Record, ...]:
        found = (record for record in self.records.values() if record.owner == owner and record.expires_at > now)
        return tuple(sorted(found))

    def get(self, id: str) -> User | None:
        return self.users.get(id)

    def find_by_key(self, key: str) -> User | None:
        return next((user for user in self.users.values() if user.key == key), None)

    def rename(self, id: str, key: str, username: str) -> bool:
        user = self.users.get(id)
        if user is None:
            return False
        version = user.session_version + 1
        self.users[id] = replace(user, key=key, username=username, session_version=version)
        return True

    def add(self, key: str, username: str, password_hash: str | None, _data: object) -> User | str:
        if self.find_by_key(key) is not None:
            return TAKEN
        user = User(id=f"id of {key}", key=key, username=username, password_hash=password_hash)
        self.users[user.id] = user
        return user

    def put(self, user: User) -> None:
        """Add an account, as it is."""
        self.users[user.id] = user

    def set_password(self, id: str, password_hash: str | None, *options: tuple[str, Any]) -> bool:
        user, wanted = self.users.get(id), dict(options)
        if user is None or user.password_hash != wanted["expect"]:
            return False
        self.users[id] = replace(
            user, password_hash=password_hash, session_version=user.session_version + wanted["ends_sessions"]
        )
        return True

    def set_active(self, id: str, is_active: bool) -> bool:
        user = self.users.get(id)
        if user is None:
            return False
        self.users[id] = replace(user, is_active=is_active, session_version=user.session_version + (not is_active))
        return True
