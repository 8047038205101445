"""The ticket: what a session's cookie says, which record is meant and the token that proves the right to it.

Sealed, a ticket is 64 characters of `[A-Za-z0-9_-]`: 16 bytes of id and 16 of token make 48 sealed ones. The store
gets the id and never the token: it keeps the token's SHA-256, so a stolen table opens no session. (A plain, fast
hash is right here: there is nothing to guess in 128 random bits.)
"""

from __future__ import annotations

import hashlib
import os
from binascii import a2b_base64, b2a_base64
from typing import NamedTuple

from .keyring import Keyring

ID_BYTES = TOKEN_BYTES = 16
_BLANK_SHA256 = hashlib.sha256()
SEALED_CHARACTERS = 64

#: Where ids and tokens come from: the system's generator. The interleaving checker puts a repeatable one here.
random_bytes = os.urandom

_FROM_STANDARD_BASE64 = bytes.maketrans(b"+/", b"-_")

#: What is no character of the URL-safe alphabet becomes one that `a2b_base64` skips: of 64 too little is left to open.
_TO_STANDARD_BASE64 = bytes.maketrans(b"-_+/=", b"+/!!!")


class Ticket(NamedTuple):
    """A record's id and the token to it; `is_stale` says that an old secret sealed it.

    `rivals` are other tickets to the same record that came with the request: its cookies from before and after a login.
    """

    id: bytes
    token: bytes
    is_stale: bool = False
    rivals: tuple[Ticket, ...] = ()


def new_id() -> bytes:
    """A random record id, 128 bits as ASVS 5.0 7.2.3 asks."""
    return random_bytes(ID_BYTES)


def new_token() -> bytes:
    """A random token, 128 bits."""
    return random_bytes(TOKEN_BYTES)


def token_hash(token: bytes) -> bytes:
    """What the record keeps of a token."""
    digest = _BLANK_SHA256.copy()  # OpenSSL looks up what SHA-256 is at each `sha256()`, which takes longer than this
    digest.update(token)
    return digest.digest()


class TicketSealer:
    """Turns tickets into values of the cookie with this name, and back; one for another name does not open."""

    def __init__(self, keyring: Keyring, cookie_name: str) -> None:
        self.cookie_name = cookie_name
        self._sealer = keyring.sealer(f"cookie {cookie_name}")

    def seal(self, id: bytes, token: bytes) -> str:
        """The cookie's value."""
        encoded = b2a_base64(self._sealer.seal(id + token), newline=False)
        return encoded.translate(_FROM_STANDARD_BASE64).decode()

    def open(self, value: str) -> Ticket | None:
        """The ticket in a cookie's value, or None for anything that this server did not seal for this name."""
        if len(value) != SEALED_CHARACTERS:
            return None
        try:
            sealed = a2b_base64(value.encode().translate(_TO_STANDARD_BASE64))
        except ValueError:
            return None
        opened = self._sealer.open(sealed)
        if opened is None:
            return None
        plaintext, is_stale = opened
        return Ticket(plaintext[:ID_BYTES], plaintext[ID_BYTES:], is_stale)
