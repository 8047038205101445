"""The way to one server, and to the nodes of a cluster.

redis-py has a client for clusters, but what it does when a node does not answer is to ask all others, one after the
other and each for as long as the timeout, while every thread waits for that; and by default, it sends writes again.
What this store needs is little, as all keys of a command lie in one slot: a map from slots to nodes, clients of single
servers, and to follow the answers that say "not here". Those are sent instead of doing anything, so a write may follow.
"""

from __future__ import annotations

import queue
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol

from ._redis_errors import code_of
from ._redis_node import Command, Node, Turns
from ._redis_package import IS_INSTALLED, exceptions, key_slot
from ._redis_settings import Address, Settings

#: How often "not here" is followed.
_REDIRECTS = 5

#: Seconds between two looks at who has which slots.
_LOOK_EVERY = 0.1

#: What a node answers if it has not all of the keys.
_ELSEWHERE = (exceptions.MovedError, exceptions.AskError, exceptions.TryAgainError) if IS_INSTALLED else ()

_NO_ANSWER = (exceptions.ConnectionError, exceptions.TimeoutError) if IS_INSTALLED else ()


class Way(Protocol):
    """How commands get to where their keys are."""

    spans_slots: bool
    """Whether a script may have keys of several slots."""

    def send(self, key: bytes, command: Command) -> Any:
        """Send a command, once, to where this key is."""

    def send_all(self, commands: Sequence[tuple[bytes, Command]]) -> list[Any]:
        """Send commands, once, each to where its key is, in few round trips. An answer may be an exception."""

    def primaries(self) -> list[Node]:
        """The servers that can be written to."""

    def failed(self, error: Exception) -> bool:
        """What was sent ended like this. Whether the server is to be looked at anew before it is used again."""

    def close(self) -> None:
        """Close all connections. What is sent later opens new ones."""


def way_to(settings: Settings) -> Way:
    return _ToCluster(settings) if settings.seeds else _ToServer(settings)


class _ToServer:
    spans_slots = True

    def __init__(self, settings: Settings) -> None:
        self._node = Node(settings)

    def send(self, _key: bytes, command: Command) -> Any:
        return self._node.ask(command)

    def send_all(self, commands: Sequence[tuple[bytes, Command]]) -> list[Any]:
        return self._node.ask_all([command for _, command in commands])

    def primaries(self) -> list[Node]:
        return [self._node]

    def failed(self, error: Exception) -> bool:
        """After a failover, the address may lead elsewhere, or to what has become a replica."""
        is_doubtful = code_of(error) == "READONLY" or isinstance(error, _NO_ANSWER)
        if is_doubtful:
            self._node.close_idle()
        return is_doubtful

    def close(self) -> None:
        self._node.close_idle()


class _ToCluster:
    spans_slots = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._nodes: dict[Address, Node] = {}
        self._slots: dict[int, Address] = {}
        self._others: list[Address] = list(settings.seeds)
        self._looking = Turns(1)
        self._looks_at: float | None = 0.0
        """When to look who has which slots; None if there is no reason to."""

    def send(self, key: bytes, command: Command) -> Any:
        address = self._at(key)
        for _ in range(_REDIRECTS):
            try:
                return self._node(address).ask(command)
            except exceptions.MovedError as error:
                address = self._moved(error, address)
            except exceptions.AskError as error:
                return self._ask(self._named(error, address), command)
            except (exceptions.ConnectionError, exceptions.TimeoutError):
                self._doubt(address)
                raise
        raise exceptions.ClusterDownError("its nodes do not agree where this slot is")

    def send_all(self, commands: Sequence[tuple[bytes, Command]]) -> list[Any]:
        places = defaultdict(list)
        for place, (key, _) in enumerate(commands):
            places[self._at(key)].append(place)
        answers: list[Any] = [None] * len(commands)
        for address, mine in places.items():
            try:
                got = self._node(address).ask_all([commands[place][1] for place in mine])
            except (exceptions.ConnectionError, exceptions.TimeoutError):
                self._doubt(address)
                raise
            for place, answer in zip(mine, got, strict=True):
                answers[place] = self._elsewhere(*commands[place]) if isinstance(answer, _ELSEWHERE) else answer
        return answers

    def _elsewhere(self, key: bytes, command: Command) -> Any:
        """Send a command again that was sent to where its keys are not, or not all of them."""
        if command[0] == "MGET":  # while a slot moves, its records are here and there
            return [self.send(each, ("GET", each)) for each in command[1:]]
        return self.send(key, command)

    def primaries(self) -> list[Node]:
        self._look_if_due(needs_to=not self._slots)
        return [self._node(address) for address in dict.fromkeys(self._slots.values())]

    def failed(self, error: Exception) -> bool:
        if code_of(error) in ("CLUSTERDOWN", "MASTERDOWN", "READONLY"):
            self._look_soon()
        return False

    def close(self) -> None:
        for node in list(self._nodes.values()):
            node.close_idle()

    # Where a slot is

    def _at(self, key: bytes) -> Address:
        slot = key_slot(key)
        if self._looks_at is not None:
            self._look_if_due(needs_to=slot not in self._slots)
        try:
            return self._slots[slot]
        except KeyError:
            self._look_soon()
            raise exceptions.ClusterDownError("no node has this slot") from None

    def _look_if_due(self, *, needs_to: bool) -> None:
        """See who has which slots. While one thread does, others go by what they know, unless they know nothing."""
        try:
            turn = self._looking.get(self._settings.timeout if needs_to else 0)
        except queue.Empty as error:
            if needs_to:
                raise exceptions.TimeoutError from error
            return
        try:
            due = self._looks_at
            if due is not None and time.monotonic() >= due:
                self._look()
        finally:
            self._looking.put(turn)

    def _look(self) -> None:
        """Ask one node after the other, but stop when one does not answer in time, so that nobody waits any longer."""
        error: Exception = exceptions.ClusterDownError("no node is known")
        for address in list(self._others):
            try:
                found = self._slots_by(address)
            except exceptions.TimeoutError:
                self._put_last(address)
                raise
            except exceptions.ConnectionError as refused:
                self._put_last(address)
                error = refused
                continue
            self._looks_at = None
            self._use(found)
            return
        raise error

    def _slots_by(self, asked: Address) -> list[tuple[range, list[Address]]]:
        """Ranges of slots, each with its primary and its replicas, by what this node says."""
        rows = self._node(asked).ask(("CLUSTER", "SLOTS"))
        return [
            (range(first, last + 1), [self._reached(node[0], node[1], asked) for node in nodes])
            for first, last, *nodes in rows
        ]

    def _use(self, found: list[tuple[range, list[Address]]]) -> None:
        slots = {slot: nodes[0] for slots, nodes in found for slot in slots}
        named = dict.fromkeys(node for _, nodes in found for node in nodes)
        if not slots:
            return
        self._slots = slots
        others = list(named)
        random.shuffle(others)  # one that is cut off from the rest is not asked for ever
        self._others = others + [seed for seed in self._settings.seeds if seed not in named]
        for address in list(self._nodes):
            if address not in self._others:
                self._nodes.pop(address).close_idle()

    def _reached(self, host: bytes | None, port: int, asked: Address) -> Address:
        """The address of a node as the cluster names it. One without a name is the one that was asked."""
        name = host.decode() if host else ""
        address = (name if name and name != "?" else asked[0], port)
        return self._settings.remap(address) if self._settings.remap else address

    # What nodes answer

    def _moved(self, error: Any, asked: Address) -> Address:
        address = self._named(error, asked)
        self._slots[error.slot_id] = address
        self._look_soon()
        return address

    def _named(self, error: Any, asked: Address) -> Address:
        return self._reached(error.host.encode(), error.port, asked)

    def _ask(self, address: Address, command: Command) -> Any:
        """Ask a node that is about to get this slot."""
        answer = self._node(address).ask_all([("ASKING",), command])[1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _doubt(self, address: Address) -> None:
        self._put_last(address)
        self._look_soon()

    def _put_last(self, address: Address) -> None:
        self._others = [*(other for other in self._others if other != address), address]

    def _look_soon(self) -> None:
        if self._looks_at is None:
            self._looks_at = time.monotonic() + _LOOK_EVERY

    def _node(self, address: Address) -> Node:
        try:
            return self._nodes[address]
        except KeyError:
            return self._nodes.setdefault(address, Node(self._settings, host=address[0], port=address[1]))
