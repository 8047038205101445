"""Seals, digests and the keys for them: everything that the library does with ciphers.

Each secret yields one independent key per purpose by HKDF-SHA256 (RFC 5869), so that nothing sealed for one purpose
opens for another.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_ID_BYTES = 4

Unsealed = tuple[bytes, bool]
"""What was sealed, and whether an old secret sealed it, so that it should be sealed again."""

DigestKeys = tuple[bytes, ...]
"""One key for each secret, newest first, all for one purpose."""


class UnknownKey(Exception):
    """Sealed by a secret that is not in the keyring. It may be a newer one that this server does not have yet."""


class Sealer:
    """Seals and opens for one purpose, by AES-SIV (RFC 5297).

    Deterministic, so there is no nonce to repeat. Sealing the same thing twice shows that it was the same, no more.
    """

    def __init__(self, keys: list[bytes]) -> None:
        self._newest, *self._older = [AESSIV(key) for key in keys]

    def seal(self, plaintext: bytes) -> bytes:
        """Seal under the newest key: 16 bytes longer than the plaintext, which must not be empty."""
        return self._newest.encrypt(plaintext, None)

    def open(self, sealed: bytes) -> Unsealed | None:
        """Open with whichever key fits; None if none does."""
        try:
            return self._newest.decrypt(sealed, None), False
        except InvalidTag:
            pass
        for aead in self._older:
            with suppress(InvalidTag):
                return aead.decrypt(sealed, None), True
        return None


class TaggedSealer:
    """A `Sealer` that puts a tag in front: a prefix and the sealing key's id.

    What a seal is bound to stands in the plaintext. As associated data it would be authenticated no better, and each
    piece of that costs a cipher pass of its own.
    """

    def __init__(self, keys: list[bytes], prefix: bytes) -> None:
        tags = [prefix + hashlib.sha256(b"key id" + key).digest()[:_KEY_ID_BYTES] for key in keys]
        aeads = [AESSIV(key) for key in keys]
        self._tag, self._newest = tags[0], aeads[0]
        self._tag_length = len(self._tag)
        self._by_tag = {tag: (aead, tag != self._tag) for tag, aead in zip(tags, aeads, strict=True)}

    def seal(self, plaintext: bytes) -> bytes:
        """Seal under the newest key, with the tag in front."""
        return self._tag + self._newest.encrypt(plaintext, None)

    def open(self, tagged: bytes) -> Unsealed | None:
        """Open with the key that the tag names; None if it does not fit. Raises `UnknownKey`."""
        found = self._by_tag.get(tagged[: self._tag_length])
        if found is None:
            raise UnknownKey
        aead, is_stale = found
        try:
            return aead.decrypt(tagged[self._tag_length :], None), is_stale
        except InvalidTag:
            return None


class Keys(NamedTuple):
    """Everything that is derived from the secrets, in one immutable object.

    A request takes it once, at its first access to the session, and keeps it to the end, so that a change of secrets
    never reaches a request halfway.
    """

    secure_ticket: Sealer
    """For the cookie that browsers send over https only."""
    plain_ticket: Sealer
    """For the cookie without a prefix."""
    visitor: Sealer
    """For the form tokens of visitors without a session."""
    record: TaggedSealer
    owner: DigestKeys
    csrf: DigestKeys
    account: DigestKeys
    """For names that belong to no account, in events."""
    known: Sealer
    """For the cookie by which an account knows a browser."""
    throttle: DigestKeys
    """For whom or what attempts are counted."""
    tokens: DigestKeys
    """For tokens that are good for one use."""
    token_record: TaggedSealer
    """For what is kept about such a token."""


def derive_keys(
    secrets: Sequence[bytes], *, secure_cookie: str, plain_cookie: str, store_path: Sequence[str], record_format: bytes
) -> Keys:
    """The keys for these secrets, newest first, for a site with these cookie names and this path of its store."""
    plain_site = f"{plain_cookie} {'/'.join(store_path)}"
    return Keys(
        secure_ticket=Sealer(_seal_keys(secrets, f"cookie {secure_cookie}")),
        plain_ticket=Sealer(_seal_keys(secrets, f"cookie {plain_cookie}")),
        visitor=Sealer(_seal_keys(secrets, f"visitor {plain_site}")),
        record=TaggedSealer(_seal_keys(secrets, "record"), record_format),
        owner=_digest_keys(secrets, "owner"),
        csrf=_digest_keys(secrets, "csrf"),
        account=_digest_keys(secrets, "account"),
        known=Sealer(_seal_keys(secrets, f"known {plain_site}")),
        throttle=_digest_keys(secrets, "throttle"),
        tokens=_digest_keys(secrets, "tokens"),
        token_record=TaggedSealer(_seal_keys(secrets, "token record"), b""),
    )


def digests(keys: DigestKeys, message: bytes) -> list[bytes]:
    """The message's HMAC-SHA256 (32 bytes) under every secret, newest first, to find what an older secret wrote."""
    return [hmac.digest(key, message, hashlib.sha256) for key in keys]


def _seal_keys(secrets: Sequence[bytes], purpose: str) -> list[bytes]:
    return [_derive(secret, f"seal {purpose}", 64) for secret in secrets]


def _digest_keys(secrets: Sequence[bytes], purpose: str) -> DigestKeys:
    return tuple(_derive(secret, f"digest {purpose}", 32) for secret in secrets)


def _derive(secret: bytes, purpose: str, length: int) -> bytes:
    """A key of `length` bytes for one purpose, by HKDF-SHA256 (RFC 5869)."""
    return HKDF(SHA256(), length, salt=None, info=f"sessionware 1 {purpose}".encode()).derive(secret)
