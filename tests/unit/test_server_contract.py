"""Stores that talk to a server well keep the contract, and the contract catches those that do not."""

from __future__ import annotations

import doctest
import re
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sessionware import StoreUnavailable
from sessionware.stores.base import Record, Store
from sessionware.testing import ServerStoreContract, server_contract
from tests.support.broken_clients import CAUGHT_BY
from tests.support.toy_server import ToyServer, ToyStore


class ToyContract(ServerStoreContract):
    """The contract for one kind of toy store."""

    kind: type[ToyStore] = ToyStore

    @contextmanager
    def _with_a_server(self) -> Iterator[None]:
        self.stores: list[ToyStore] = []
        server = ToyServer()
        self.address = server.address
        try:
            yield
        finally:
            for store in self.stores:
                store.close()
            server.close()

    def make_store_at(self, host: str, port: int) -> Store:
        self.stores.append(self.kind(host, port))
        return self.stores[-1]


class TestToyStore(ToyContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with self._with_a_server():
            yield


class TestToyNamespace(TestToyStore):
    def make_store_at(self, host: str, port: int) -> Store:
        return super().make_store_at(host, port).namespace("sibling")


class CarefulStore(ToyStore):
    """Does all that a store may do: takes several steps, looks at a connection before it uses it, and reads again."""

    def replace(self, record: Record) -> bool:
        return self.load(record.id, 0) is not None and super().replace(record)

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return super()._call(method, *arguments)
        except StoreUnavailable:
            if method in ("load", "owned_by", "scan"):
                return super()._call(method, *arguments)
            raise

    def _connection(self) -> socket.socket:
        connection = super()._connection()
        while select.select([connection], [], [], 0)[0]:  # nobody has asked: what is to be read can only be the end
            connection.close()
            connection = super()._connection()
        return connection


class TestCarefulStore(TestToyStore):
    kind = CarefulStore


@pytest.mark.parametrize(
    ("broken", "name", "words"), CAUGHT_BY, ids=[f"{broken.__name__}-{name}" for broken, name, _ in CAUGHT_BY]
)
def test_the_contract_catches_a_broken_client(broken: type[ToyStore], name: str, words: str) -> None:
    """A store that gets this wrong fails the test named after it, which says what is wrong."""

    class Contract(ToyContract):
        kind = broken

    contract = Contract()
    with contract._with_a_server(), pytest.raises(AssertionError, match=re.escape(words)):
        getattr(contract, f"test_{name}")()


def test_the_contract_notices_a_store_that_goes_round_the_proxy() -> None:
    """A test that lost no answer has tested nothing, and says so."""

    class Contract(ToyContract):
        def make_store_at(self, host: str, port: int) -> Store:
            return super().make_store_at(*self.address)

    contract = Contract()
    with contract._with_a_server(), pytest.raises(AssertionError, match="does make_store_at\\(\\) connect to"):
        contract.test_create_that_loses_its_answer_is_sent_once()


def test_the_contract_names_the_method_that_is_missing() -> None:
    """Who forgets `make_store_at` is told what it is."""

    class Contract(ServerStoreContract):
        address = ("127.0.0.1", 1)

    with pytest.raises(NotImplementedError, match="define make_store_at"):
        Contract().test_load_of_an_unknown_id_is_none()


def test_the_docstring_works() -> None:
    """What a store author copies from there runs."""
    assert tuple(doctest.testmod(server_contract)) == (0, 2)
