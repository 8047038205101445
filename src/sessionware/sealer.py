"""Seals under keys that are derived from secrets: what is in here is all that the library does with ciphers."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_ID_BYTES = 4

Opened = tuple[bytes, bool]
"""What was sealed, and whether an old secret sealed it, so that it wants sealing anew."""


class UnknownKey(Exception):
    """Sealed by a secret that is not in the ring. Perhaps a newer one that this server does not have yet."""


def derive(secret: bytes, purpose: str, length: int) -> bytes:
    """A key of so many bytes for one purpose, by HKDF-SHA256 (RFC 5869)."""
    return HKDF(SHA256(), length, salt=None, info=f"sessionware 1 {purpose}".encode()).derive(secret)


class Sealer:
    """Seals and opens for one purpose, by AES-SIV (RFC 5297).

    Deterministic, so there is no nonce to repeat: sealing the same thing twice shows that it was the same, no more.
    """

    def __init__(self, keys: list[bytes]) -> None:
        self._newest, *self._older = [AESSIV(key) for key in keys]

    def seal(self, plaintext: bytes) -> bytes:
        """Seal under the newest key: 16 bytes longer than the plaintext, which must not be empty."""
        return self._newest.encrypt(plaintext, None)

    def open(self, sealed: bytes) -> Opened | None:
        """Open with whichever key fits, or None."""
        try:
            return self._newest.decrypt(sealed, None), False
        except InvalidTag:
            pass
        for aead in self._older:
            with suppress(InvalidTag):
                return aead.decrypt(sealed, None), True
        return None


class TaggedSealer:
    """A `Sealer` that puts a tag in front, a prefix and the sealing key's id, and binds to a context.

    The context is not stored but has to be the same to open. It is one string of bytes and not RFC 5297's vector of
    them, for each costs a cipher call: whoever joins several parts gives all but the last a fixed length, so that none
    can be shifted into the next. The purpose needs no place in it, since each purpose has its own key.
    """

    def __init__(self, keys: list[bytes], prefix: bytes) -> None:
        tags = [prefix + hashlib.sha256(b"key id" + key).digest()[:_KEY_ID_BYTES] for key in keys]
        aeads = [AESSIV(key) for key in keys]
        self._tag, self._newest = tags[0], aeads[0]
        self._tag_length = len(self._tag)
        self._by_tag = {tag: (aead, tag != self._tag) for tag, aead in zip(tags, aeads, strict=True)}

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Tag, and what was sealed under the newest key."""
        return self._tag + self._newest.encrypt(plaintext, [context])

    def open(self, tagged: bytes, context: bytes) -> Opened | None:
        """Open with the key that the tag names, or None if it does not fit. Raises `UnknownKey`."""
        found = self._by_tag.get(tagged[: self._tag_length])
        if found is None:
            raise UnknownKey
        aead, is_stale = found
        try:
            return aead.decrypt(tagged[self._tag_length :], [context]), is_stale
        except InvalidTag:
            return None
