"""Tokens that are good for one use and a short time, such as the one in a link by which a password is reset.

A token is 32 random bytes, as text. What is stored of it is a record in a namespace of its own. The record's id follows
from the token by a keyed digest, so that neither the table, nor the table and the secret together, give a token. Its
payload is sealed, and bound to everything that it stands for: nobody who can write to the table makes one token open
another account, serve another purpose, or live longer.

The records have no owner. So the table does not tell which of them belong together, and none of them has to be removed
when the account changes: they are bound to its state, which is another one by then.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import NamedTuple

from .._hidden import Hidden, HiddenText
from .._seals import Keys, UnknownKey, digests
from ..stores.base import Record
from .lookup import Site
from .shelf import Shelf
from .values import decode, encode

NAMESPACE = "tokens"

_TOKEN_BYTES = 32
_TOKEN_CHARACTERS = 43  # of those bytes in base64url, without padding
_ID_BYTES = 16
_FORMAT = 1


class Claim(NamedTuple):
    """What a token that was presented is good for. It is still to be spent."""

    id: bytes
    subject: str
    """Whom it is for: the id of an account."""
    state: bytes
    """What the account was like when the token was made."""


class OneTimeTokens:
    """The one-time tokens of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def issue(self, purpose: str, subject: str, state: bytes, seconds: int) -> HiddenText:
        """A new token, stored for so many seconds. Raises `StoreUnavailable`."""
        keys = self._site.keys
        token = HiddenText(urlsafe_b64encode(self._site.records.random_bytes(_TOKEN_BYTES)).rstrip(b"=").decode())
        id, expires_at = _ids(keys, purpose, token)[0], self._site.now() + seconds
        plaintext = encode([*self._bound_to(purpose, id, expires_at), subject, state])
        self._shelf().create(Record(id, 1, expires_at, None, keys.token_record.seal(plaintext)))
        return token

    def find(self, purpose: str, token: Hidden[str]) -> Claim | None:
        """What this token is good for; None if it is spent, expired, for something else, or was never a token.

        Looking changes nothing, because mail scanners follow links too. Raises `StoreUnavailable`.
        """
        if len(token.value) != _TOKEN_CHARACTERS or not token.value.isascii():
            return None
        keys, now = self._site.keys, self._site.now()
        for id in _ids(keys, purpose, token.value):
            record = self._shelf().load(id, now)
            if record is not None:
                return self._opened(keys, purpose, id, record, now)
        return None

    def spend(self, claim: Claim) -> bool:
        """Use the token up. True for the one caller who did it. Raises `StoreUnavailable`."""
        return self._shelf().delete(claim.id)

    def _opened(self, keys: Keys, purpose: str, id: bytes, record: Record, now: int) -> Claim | None:
        """What the record says, if it is this token's. If not, somebody wrote to the table, or the disk fails."""
        try:
            opened = keys.token_record.open(record.payload)
            *bound, subject, state = [] if opened is None else decode(opened[0])
            if bound == self._bound_to(purpose, id, record.expires_at) and record.expires_at > now:
                return Claim(id, subject, state)
        except (UnknownKey, ValueError, TypeError):
            pass
        self._shelf().drop_damaged(id)
        return None

    def _shelf(self) -> Shelf:
        return self._site.shelf(NAMESPACE)

    def _bound_to(self, purpose: str, id: bytes, expires_at: int) -> list[object]:
        return [_FORMAT, self._site.records.path, purpose, id, expires_at]


def _ids(keys: Keys, purpose: str, token: str) -> list[bytes]:
    """The record's id under every secret, newest first."""
    shown = Hidden(f"{purpose}\0{token}".encode())
    del token
    return [digest[:_ID_BYTES] for digest in digests(keys.tokens, shown.value)]
