"""What a store is: nine short methods over sealed records, and a path. A store author needs this file and nothing else.

A store keeps `Record`s by their id. It never looks inside a payload, needs no clock (times are arguments, in whole
seconds since the epoch) and knows nothing about cookies or users. Three rules carry the library's guarantees:

* **There is no upsert.** `create` never overwrites and `replace` never creates, so no ended session comes back.
* **`replace` compares and swaps.** It changes the record only if nobody else did, so no write is lost.
* **A write is sent once.** It is sent again only after the server has answered that it did nothing, as in a deadlock.
  When the answer is lost, the call raises `StoreUnavailable`. Sent again, a `replace` would find its own work and say
  False, and its caller would make the change a second time, on top. What only reads may be sent again.

Every failure of the medium is `StoreUnavailable`, with its cause chained. "Not there" is never an error.

A store whose medium can be put in the place of another while it is used, as a file can, may have one method more:
`when_replaced(tell)`. The manager calls it once, with a function. The store calls that function with a sentence about
what it found, each time that it goes on with another medium than before, and the event `store.replaced` is the result.

A store whose `namespace` makes a table or a directory may have `has_namespace(name)`, so that it can be asked first by
those who only want to see what is there.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from ..errors import ConfigError


class Record(NamedTuple):
    """One stored session, as the store sees it."""

    id: bytes
    """16 random bytes, the key. Not a credential, so safe in logs."""
    version: int
    """1 at creation, and one more at each replace."""
    expires_at: int
    """From this second on, the record is no longer loaded."""
    owner: bytes | None
    """Keyed digest of who is logged in (16 bytes), or None. Indexed, to list and revoke."""
    payload: bytes
    """Sealed; opaque to the store."""


class Store(Protocol):
    """Where records live. Many threads may use it at once.

    A store need not inherit from this. One that does gets these docstrings, and an error if it lacks a method.
    """

    @property
    @abstractmethod
    def path(self) -> tuple[str, ...]:
        """The names of the namespaces that lead here from the root; () at the root. A wrapper hands it on.

        A record is sealed for the path it was written under, and counts as damaged under any other.
        """

    @abstractmethod
    def create(self, record: Record) -> bool:
        """Add a new record. False, with nothing changed, if there is a record with this id, expired or not.

        Of several callers that race to create one id, exactly one gets True.
        """

    @abstractmethod
    def load(self, id: bytes, now: int) -> Record | None:
        """The record, or None if it is not there or `expires_at <= now`. Changes nothing.

        With 0 for `now` it is the record, expired or not. What has expired can be replaced like any other.
        """

    @abstractmethod
    def replace(self, record: Record) -> bool:
        """Put `record` in place of the one with the same id and version `record.version - 1`.

        False, with nothing changed, if there is no such record. Never creates. Of several callers that race to replace
        one version, exactly one gets True. Owner, expiry and payload change together or not at all.
        """

    @abstractmethod
    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        """Let the record live until `expires_at`, if it has this version and expires earlier. Its version stays.

        A page that only reads makes this call, so it does not wait: if another writer is in the way for more than a
        moment, it raises `StoreUnavailable`, and a later page tries again.
        """

    @abstractmethod
    def delete(self, id: bytes) -> bool:
        """Remove the record, whatever its version. True only for the one call that removed it."""

    @abstractmethod
    def prune(self, now: int, limit: int = 1000) -> int:
        """Remove up to `limit` records with `expires_at <= now`, and return how many. Never removes a live one.

        A store may wait up to two hours before it prunes an expired record. Meanwhile, `load` does not return it.
        """

    @abstractmethod
    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        """All records of this owner that have not expired, in id order."""

    @abstractmethod
    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        """Up to `limit` records in id order, expired ones too, beginning right after the id `after`.

        Continuing from the last id of each page visits every record that was there all the time exactly once.
        """

    @abstractmethod
    def namespace(self, name: str) -> Store:
        """A sibling store on the same medium, with its own records. The same name always means the same records.

        A namespace has its own namespaces: `a` in `a` is neither `a` nor `a_a`.

        `name` is 1 to 32 lower-case letters, digits and `_`, beginning with a letter. Anything else is a `ConfigError`.
        """


def listen(store: Store, tell: Callable[[str], None]) -> None:
    """Let a store that notices when its medium is replaced `tell` about it."""
    when_replaced = getattr(store, "when_replaced", None)
    if callable(when_replaced):
        when_replaced(tell)


def existing_namespace(store: Store, name: str) -> Store | None:
    """The namespace; None if the store can tell that it has never been used."""
    has_namespace = getattr(store, "has_namespace", None)
    return store.namespace(name) if not callable(has_namespace) or has_namespace(name) else None


def inside(store: Store, names: Iterable[str]) -> Store:
    """The namespace that these names lead to."""
    for name in names:
        store = store.namespace(name)
    return store


def checked_name(name: str) -> str:
    """The name, if a namespace can have it. Raises `ConfigError`."""
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name, re.ASCII):
        raise ConfigError(
            f"namespace({name!r}): use 1 to 32 lower-case letters, digits and _, beginning with a letter."
        )
    return name
