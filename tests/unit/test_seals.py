"""Seals and digests: what they guarantee, and how the secrets behind them are rotated."""

from __future__ import annotations

import secrets

import pytest

from sessionware._seals import Keys, UnknownKey, derive_keys, digests

OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)


def keys(*ring: bytes, cookie: str = "sid", path: tuple[str, ...] = (), record_format: bytes = b"1") -> Keys:
    """The keys for these secrets, newest first."""
    return derive_keys(
        ring, secure_cookie=f"__Host-{cookie}", plain_cookie=cookie, store_path=path, record_format=record_format
    )


def test_sealed_thing_opens_only_for_its_purpose_and_secret() -> None:
    """Whatever differs, it does not open: nothing sealed for one place can be used in another."""
    sealed = keys(NEW).plain_ticket.seal(b"x")
    tagged = keys(NEW).record.seal(b"x")

    assert keys(NEW).plain_ticket.open(sealed) == (b"x", False)
    assert keys(NEW).secure_ticket.open(sealed) is None
    assert keys(NEW, cookie="other").plain_ticket.open(sealed) is None
    assert keys(OLD).plain_ticket.open(sealed) is None
    assert keys(NEW).plain_ticket.open(sealed[:-1] + bytes([sealed[-1] ^ 1])) is None
    assert keys(NEW).record.open(tagged) == (b"x", False)


def test_visitors_token_opens_only_for_its_cookie_and_its_store() -> None:
    """It names no record, so a form of one site must not be good for another one under the same secret."""
    sealed = keys(NEW, path=("shop", "de")).visitor.seal(b"x")

    assert keys(NEW, path=("shop", "de")).visitor.open(sealed) == (b"x", False)
    assert keys(NEW, path=("shop",)).visitor.open(sealed) is None
    assert keys(NEW, path=("shop", "de"), cookie="other").visitor.open(sealed) is None
    assert keys(NEW, path=("shop", "de")).plain_ticket.open(sealed) is None


def test_the_newest_secret_seals_and_every_one_opens() -> None:
    """In the middle of a rotation, servers with either order understand each other."""
    before, after = keys(OLD, NEW).plain_ticket, keys(NEW, OLD).plain_ticket

    assert after.open(before.seal(b"x")) == (b"x", True)
    assert before.open(after.seal(b"x")) == (b"x", True)
    assert after.open(after.seal(b"x")) == (b"x", False)


def test_tagged_seal_tells_an_unknown_secret_from_damage() -> None:
    """What a newer server sealed must not be taken for broken and deleted."""
    tagged = keys(NEW).record.seal(b"x")

    assert keys(OLD, NEW).record.open(tagged) == (b"x", True)
    assert keys(NEW).record.open(tagged[:-1] + bytes([tagged[-1] ^ 1])) is None
    for stranger in (keys(OLD).record, keys(NEW, record_format=b"2").record):
        with pytest.raises(UnknownKey):
            stranger.open(tagged)


def test_digest_differs_by_purpose_and_secret_and_old_ones_are_found() -> None:
    """Digests are an index that nobody else can compute; look-ups ask under every secret."""
    both = digests(keys(NEW, OLD).owner, b"ada")

    assert both == digests(keys(NEW).owner, b"ada") + digests(keys(OLD).owner, b"ada")
    assert len(set(both)) == 2
    assert len({digests(purpose, b"ada")[0] for purpose in (keys(NEW).owner, keys(NEW).csrf, keys(NEW).account)}) == 3
    assert {len(digest) for digest in both} == {32}
