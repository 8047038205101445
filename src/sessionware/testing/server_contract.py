# ruff: noqa: S101  (this is a test suite: it asserts)
"""`ServerStoreContract` tests what a store does when the way to its server breaks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..errors import StoreUnavailable
from ..stores.base import Record, Store
from .faulty_proxy import FaultyProxy
from .races import race
from .store_cases import ALICE, BOB, DAY, HOUR, NOW, SLACK, a_record
from .store_contract import StoreContract
from .store_races import check_owners

_OLD = a_record(owner=ALICE, payload=b"old")
_NEW = _OLD._replace(version=2, owner=BOB, payload=b"new")
_TOUCHED = _OLD._replace(expires_at=NOW + DAY)
_ENDED = _OLD._replace(expires_at=NOW - SLACK - HOUR)


#: How many callers ask at once, and how often, so that a store that keeps several connections has some.
_CONNECTIONS, _ROUNDS = 6, 4


class _Call(NamedTuple):
    """A call of one method: what is stored before and after it, and what it returns."""

    method: str
    arguments: tuple[Any, ...]
    before: list[Record]
    after: list[Record]
    answer: object

    def on(self, store: Store) -> object:
        """What the call returned; `StoreUnavailable` if it raised that."""
        try:
            return getattr(store, self.method)(*self.arguments)
        except StoreUnavailable:
            return StoreUnavailable
        except Exception as error:
            raise AssertionError(f"{self.method} raised {error!r} in place of StoreUnavailable") from error


_CREATE = _Call("create", (_OLD,), [], [_OLD], True)
_REPLACE = _Call("replace", (_NEW,), [_OLD], [_NEW], True)
_TOUCH = _Call("touch", (_OLD.id, 1, _TOUCHED.expires_at), [_OLD], [_TOUCHED], None)
_DELETE = _Call("delete", (_OLD.id,), [_OLD], [], True)
_PRUNE = _Call("prune", (NOW,), [_ENDED], [], 1)

_WRITES = [_CREATE, _REPLACE, _TOUCH, _DELETE, _PRUNE]
_READS = [
    _Call("load", (_OLD.id, NOW), [_OLD], [_OLD], _OLD),
    _Call("owned_by", (ALICE, NOW), [_OLD], [_OLD], [_OLD]),
    _Call("scan", (), [_OLD], [_OLD], [_OLD]),
]


class ServerStoreContract(StoreContract):
    """`StoreContract` for a store that talks to a server, and more: what it does when the way to the server breaks.

    Subclass it, say where the server is and how to open a store that talks to it, and run pytest:

    >>> from sessionware.testing import ServerStoreContract
    >>> class TestMyStore(ServerStoreContract):
    ...     address = ("127.0.0.1", 6379)
    ...     def make_store_at(self, host, port):
    ...         return MyStore(host, port)

    The store has to connect to what `make_store_at` is given, because that may be a `FaultyProxy`. A test calls it as
    often as it likes, always for the same records, and must not find what other tests left. So a fixture with
    `autouse=True` empties the server before each test, and closes the stores after it.
    """

    address: tuple[str, int]
    """Host and port of the server."""

    def make_store_at(self, host: str, port: int) -> Store:
        """A store that talks to the server at this address, and to no other."""
        raise NotImplementedError(
            "define make_store_at(self, host, port) so that it returns a store that connects there"
        )

    def make_store(self) -> Store:
        return self.make_store_at(*self.address)

    # a write is sent once

    def test_create_that_loses_its_answer_is_sent_once(self) -> None:
        """It says that it does not know. False would say that the id is taken, by another one's record."""
        self._loses_its_answer(_CREATE)

    def test_replace_that_loses_its_answer_is_sent_once(self) -> None:
        """It says that it does not know. After False, the caller would make the same change once more."""
        self._loses_its_answer(_REPLACE)

    def test_touch_that_loses_its_answer_is_sent_once(self) -> None:
        """It says that it does not know."""
        self._loses_its_answer(_TOUCH)

    def test_delete_that_loses_its_answer_is_sent_once(self) -> None:
        """It says that it does not know. With False for everybody, what can be used once was used by nobody."""
        self._loses_its_answer(_DELETE)

    def test_prune_that_loses_its_answer_is_sent_once(self) -> None:
        """It says that it does not know, and makes no number up."""
        self._loses_its_answer(_PRUNE)

    def test_a_write_that_loses_its_answer_is_sent_once_whatever_connections_there_are(self) -> None:
        """Others that are open are no reason to try it on one of them."""
        for call in _WRITES:
            self._loses_its_answer(call, has_several_connections=True)

    # nothing is made up

    def test_a_call_that_loses_its_first_answer_makes_nothing_up(self) -> None:
        """A read may be sent again. But a session that nobody could look up is not a session that is not there."""
        for call in [*_WRITES, *_READS]:
            with self._way_to(call) as (proxy, store, direct):
                proxy.lose_answer()

                self._is_right_or_says_so(call, store, direct)

    def test_a_connection_that_was_closed_meanwhile_makes_nothing_up(self) -> None:
        """A server closes those that are idle, and all when it restarts. What is asked next does not get there.

        The store connects anew, if it has seen that before it asked; else it says so. It goes on working either way.
        """
        for call in [*_WRITES, *_READS]:
            with self._way_to(call) as (proxy, store, direct):
                proxy.cut()

                self._is_right_or_says_so(call, store, direct)

    def test_connections_that_were_all_closed_meanwhile_cost_one_call(self) -> None:
        """A store may keep several, and a server that restarts closes all of them. One call may find that out.

        It does not have to fail, if the store looks before it asks. The next call connects anew, and does not try the
        rest of those that are dead.
        """
        for call in [*_WRITES, *_READS]:
            with self._way_to(call) as (proxy, store, direct):
                self._have_several_connections(store)
                proxy.cut()

                self._is_right_or_says_so(call, store, direct)
                for again in range(_CONNECTIONS):
                    is_dead = _READS[0].on(store) is StoreUnavailable
                    assert not is_dead, f"the connections broke at {call.method}, and call {again + 2} failed as well"

    def test_a_server_that_is_away_is_an_outage(self) -> None:
        """Whatever the method, `StoreUnavailable`, and what was stored before is still there."""
        for call in [*_WRITES, *_READS]:
            with self._way_to(call) as (proxy, store, direct):
                proxy.close()

                got = call.on(store)
                assert got is StoreUnavailable, f"{call.method} gave {got!r} though nobody could be asked"
                assert direct.scan() == call.before, f"{call.method} changed something without a server"

    @contextmanager
    def _way_to(self, call: _Call) -> Iterator[tuple[FaultyProxy, Store, Store]]:
        """A proxy, a store that is connected through it, and one that is not; with what the call finds there."""
        direct = self.make_store()
        direct.delete(_OLD.id)  # a test may make several calls, each of which begins anew
        for record in call.before:
            direct.create(record)
        with FaultyProxy(self.address) as proxy:
            store = self.make_store_at(*proxy.address)
            assert store.scan() == call.before
            yield proxy, store, direct

    def _have_several_connections(self, store: Store) -> None:
        """Ask from several threads at once, so that a store that keeps connections has more than one."""
        for _ in range(_ROUNDS):
            race(lambda _: store.scan(), range(_CONNECTIONS))

    def _loses_its_answer(self, call: _Call, *, has_several_connections: bool = False) -> None:
        with self._way_to(call) as (proxy, store, direct):
            if has_several_connections:
                self._have_several_connections(store)
            # A call may take several steps. What counts is the answer to the one that did it, so look at each of them.
            proxy.lose_answer(when=lambda: direct.scan() != call.before)

            got = call.on(store)

            assert proxy.lost == 1, "no answer came by: does make_store_at() connect to the address that it is given?"
            assert got is StoreUnavailable, f"{call.method} gave {got!r} though its answer was lost"
            self._is_whole(call, store, direct, is_done=True)

    def _is_right_or_says_so(self, call: _Call, store: Store, direct: Store) -> None:
        got = call.on(store)

        assert got in (call.answer, StoreUnavailable), f"{call.method} made up the answer {got!r}"
        self._is_whole(call, store, direct, is_done=got is not StoreUnavailable)

    def _is_whole(self, call: _Call, store: Store, direct: Store, *, is_done: bool) -> None:
        """The change is made as it was asked for, once, or not at all unless `is_done`. The store works again."""
        allowed = [call.after] if is_done else [call.before, call.after]
        assert direct.scan() in allowed, f"{call.method} did not do once, and as a whole, what it was asked for"
        check_owners(direct)
        try:
            assert store.scan() in allowed
        except StoreUnavailable as error:
            raise AssertionError(f"a connection broke at {call.method}, and so did the next call") from error
