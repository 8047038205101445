"""What a store is: nine short methods over sealed records. A store author needs this file and nothing else.

A store keeps `Record`s by their id. It never looks inside a payload, takes no clock (times are arguments, whole
seconds since the epoch) and knows nothing of cookies or users. Two rules carry the library's guarantees:

* **There is no upsert.** `create` never overwrites and `replace` never creates, so no ended session comes back.
* **`replace` compares and swaps.** It changes the record only if nobody else did, so no write is lost.

Every failure of the medium is `StoreUnavailable`, with its cause chained. "Not there" is never an error.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

from ..errors import ConfigError


class Record(NamedTuple):
    """One stored session, as the store sees it."""

    id: bytes
    """16 random bytes: the key. No credential, safe in logs."""
    version: int
    """1 at creation, one more at each replace."""
    expires_at: int
    """From this second on the record is not loaded any more."""
    owner: bytes | None
    """Keyed digest of who is logged in (16 bytes), or None. Indexed, to list and revoke."""
    payload: bytes
    """Sealed; opaque to the store."""


class Store(Protocol):
    """Where records live. Safe to be used by many threads at once."""

    def create(self, record: Record) -> bool:
        """Add a new record. False, and nothing changed, if a record of this id is there, expired or not.

        Of several that race to create one id, exactly one gets True.
        """

    def load(self, id: bytes, now: int) -> Record | None:
        """The record, or None if it is not there or `expires_at <= now`. Changes nothing."""

    def replace(self, record: Record) -> bool:
        """Put `record` in the place of the one with the same id and version `record.version - 1`.

        False, and nothing changed, if there is none such. Never creates. Of several that race to replace one version,
        exactly one gets True. Owner, expiry and payload change together or not at all.
        """

    def touch(self, id: bytes, version: int, expires_at: int) -> None:
        """Let the record live until `expires_at`, if it has this version and would end earlier. Its version stays."""

    def delete(self, id: bytes) -> bool:
        """Remove the record, whatever its version. True only for the one call that removed it."""

    def prune(self, now: int, limit: int = 1000) -> int:
        """Remove up to `limit` records with `expires_at <= now`, and return how many. Never removes a live one.

        A store may leave an expired record for up to two hours before it prunes it; `load` does not show it meanwhile.
        """

    def owned_by(self, owner: bytes, now: int) -> list[Record]:
        """All records of this owner that have not expired, in id order."""

    def scan(self, after: bytes | None = None, limit: int = 1000) -> list[Record]:
        """Up to `limit` records in id order, expired ones too, beginning right behind the id `after`.

        Going on from the last id of each page visits every record that was there all the time exactly once.
        """

    def namespace(self, name: str) -> Store:
        """A sibling store on the same medium whose records are apart from this one's. The same name, the same records.

        A namespace has namespaces of its own; `a` in `a` is another one than `a`, and than `a_a`.

        `name` is 1 to 32 lower-case letters, digits and `_`, beginning with a letter; else `ConfigError`.
        """


def checked_name(name: str) -> str:
    """The name, if a namespace can have it. Raises `ConfigError`."""
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name, re.ASCII):
        raise ConfigError(
            f"namespace({name!r}): use 1 to 32 lower-case letters, digits and _, beginning with a letter."
        )
    return name
