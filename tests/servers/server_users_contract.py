"""`UsersContract` for a table of accounts on a server, and more: what it does when the way to the server breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sessionware import StoreUnavailable
from sessionware.auth import User, Users
from sessionware.testing import FaultyProxy, UsersContract
from sessionware.testing.races import race

#: How many callers ask at once, and how often, so that a table that keeps several connections has some.
CONNECTIONS, ROUNDS = 3, 2

State = list[User | None]


class Call(NamedTuple):
    """A call of one method, about Ada, who is there before; and who is there after it, as (name, hash, version)."""

    method: str
    on: Callable[[Users, User], object]
    answer: object
    after: list[tuple[str, str | None, int, bool]]


ADA = ("Ada", "one", 1, True)

WRITES = [
    Call(
        "add",
        lambda users, ada: users.add("bob", "Bob", "hash", {"n": 1}).username,
        "Bob",
        [ADA, ("Bob", "hash", 1, True)],
    ),
    Call(
        "set_password",
        lambda users, ada: users.set_password(ada.id, "two", expect="one", ends_sessions=True),
        True,
        [("Ada", "two", 2, True)],
    ),
    Call("set_active", lambda users, ada: users.set_active(ada.id, False), True, [("Ada", "one", 2, False)]),
    Call("rename", lambda users, ada: users.rename(ada.id, "eve", "Eve"), True, [("Eve", "one", 2, True)]),
    Call("delete", lambda users, ada: users.delete(ada.id), True, []),
]
READS = [
    Call("find_by_key", lambda users, ada: users.find_by_key("ada") == ada, True, [ADA]),
    Call("get", lambda users, ada: users.get(ada.id) == ada, True, [ADA]),
]


class ServerUsersContract(UsersContract):
    """One test for each promise. Subclass it, set `address`, and say how to open a table that connects to an address.

    It may be that of a `FaultyProxy`. A fixture empties the table before each test.
    """

    address: tuple[str, int]

    def make_users_at(self, host: str, port: int) -> Users:
        raise NotImplementedError

    def make_users(self) -> Users:
        return self.make_users_at(*self.address)

    # a write is sent once

    def test_a_write_that_loses_its_answer_is_sent_once(self) -> None:
        """It says that it does not know. False, or that the name is taken, would be said of what it did itself."""
        for call in WRITES:
            self._loses_its_answer(call)

    def test_a_write_that_loses_its_answer_is_sent_once_whatever_connections_there_are(self) -> None:
        """Others that are open are no reason to try it on one of them."""
        for call in WRITES:
            self._loses_its_answer(call, has_several_connections=True)

    # nothing is made up

    def test_a_call_that_loses_its_first_answer_makes_nothing_up(self) -> None:
        """An account that nobody could look up is not an account that is not there."""
        for call in [*WRITES, *READS]:
            with self._way_to(call) as (proxy, users, direct, ada):
                proxy.lose_answer()

                self._is_right_or_says_so(call, users, direct, ada)

    def test_connections_that_were_closed_meanwhile_make_nothing_up(self) -> None:
        """A server closes those that are idle, and all when it restarts. At most one call finds that out."""
        for call in [*WRITES, *READS]:
            with self._way_to(call) as (proxy, users, direct, ada):
                self._have_several_connections(users)
                proxy.cut()

                self._is_right_or_says_so(call, users, direct, ada)
                for _ in range(CONNECTIONS):
                    users.find_by_key("ada")

    def test_a_server_that_is_away_is_an_outage(self) -> None:
        """Whatever the method, `StoreUnavailable`, and who was there before still is."""
        for call in [*WRITES, *READS]:
            with self._way_to(call) as (proxy, users, direct, ada):
                proxy.close()

                assert outcome(call, users, ada) is StoreUnavailable, call.method
                assert everybody(direct) == [ADA]

    @contextmanager
    def _way_to(self, call: Call) -> Iterator[tuple[FaultyProxy, Users, Users, User]]:
        """A proxy, a table that is connected through it, one that is not, and Ada."""
        direct = self.make_users()
        for key in ("ada", "bob", "eve"):
            if (left := direct.find_by_key(key)) is not None:
                direct.delete(left.id)
        ada = direct.add("ada", "Ada", "one", {})
        with FaultyProxy(self.address) as proxy:
            users = self.make_users_at(*proxy.address)
            assert users.find_by_key("ada") == ada
            yield proxy, users, direct, ada

    def _have_several_connections(self, users: Users) -> None:
        for _ in range(ROUNDS):
            race(lambda _: users.find_by_key("ada"), range(CONNECTIONS))

    def _loses_its_answer(self, call: Call, *, has_several_connections: bool = False) -> None:
        with self._way_to(call) as (proxy, users, direct, ada):
            if has_several_connections:
                self._have_several_connections(users)
            proxy.lose_answer(when=lambda: everybody(direct) != [ADA])

            got = outcome(call, users, ada)

            assert proxy.lost == 1, f"no answer to {call.method} came by"
            assert got is StoreUnavailable, f"{call.method} gave {got!r} though its answer was lost"
            assert everybody(direct) == call.after, f"{call.method} was not done once"
            assert everybody(users) == call.after

    def _is_right_or_says_so(self, call: Call, users: Users, direct: Users, ada: User) -> None:
        got = outcome(call, users, ada)

        assert got in (call.answer, StoreUnavailable), f"{call.method} made up {got!r}"
        allowed = [call.after] if got is not StoreUnavailable else [[ADA], call.after]
        assert everybody(direct) in allowed
        assert everybody(users) in allowed


def outcome(call: Call, users: Users, ada: User) -> object:
    """What the call returned; `StoreUnavailable` if it raised that."""
    try:
        return call.on(users, ada)
    except StoreUnavailable:
        return StoreUnavailable


def everybody(users: Users) -> list[tuple[str, str | None, int, bool]]:
    """Those who have a name that occurs here."""
    found: list[Any] = list(filter(None, map(users.find_by_key, ("ada", "bob", "eve"))))
    return [(user.username, user.password_hash, user.session_version, user.is_active) for user in found]
