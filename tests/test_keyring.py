"""The secret: which ones are refused, what a seal guarantees, and how secrets are rotated."""

from __future__ import annotations

import secrets

import pytest
from conftest import SECRET

from sessionware import ConfigError, Keyring
from sessionware.sealer import UnknownKey

OLD, NEW = secrets.token_urlsafe(32), secrets.token_urlsafe(32)


@pytest.mark.parametrize(
    "secret",
    ["", None, [], "short", "a" * 32, "ab" * 32, "changeme" * 8, "0123456789abcdef" * 4, 5, [NEW, "short"], [NEW, 5]],
)
def test_poor_secret_is_refused_with_the_way_to_a_good_one(secret):
    """A secret that can be guessed protects nothing, so it fails when it is set up, and says how to make one."""
    with pytest.raises(ConfigError, match="python -m sessionware secret"):
        Keyring(secret)


def test_error_about_a_secret_does_not_show_it():
    """Error texts end up in logs."""
    poor = "hunter2hunter2"
    with pytest.raises(ConfigError) as caught:
        Keyring(poor)

    assert "hunter2" not in str(caught.value)
    assert SECRET not in repr(Keyring(SECRET))


@pytest.mark.parametrize("secret", [secrets.token_hex(16), secrets.token_bytes(32), SECRET])
def test_random_secret_is_taken(secret):
    """Text or bytes, 32 characters or more."""
    sealer = Keyring(secret).sealer("test")

    assert sealer.open(sealer.seal(b"x")) == (b"x", False)


def test_sealed_thing_opens_only_for_its_purpose_context_and_secret():
    """Whatever differs, it does not open: nothing sealed for one place can be used in another."""
    sealed = Keyring(NEW).sealer("cookie").seal(b"x")
    tagged = Keyring(NEW).tagged_sealer("record", b"1").seal(b"x", b"one")

    assert Keyring(NEW).sealer("cookie").open(sealed) == (b"x", False)
    assert Keyring(NEW).sealer("other").open(sealed) is None
    assert Keyring(OLD).sealer("cookie").open(sealed) is None
    assert Keyring(NEW).sealer("cookie").open(sealed[:-1] + b"!") is None
    assert Keyring(NEW).tagged_sealer("record", b"1").open(tagged, b"one") == (b"x", False)
    assert Keyring(NEW).tagged_sealer("record", b"1").open(tagged, b"two") is None


def test_the_newest_secret_seals_and_every_one_opens():
    """In the middle of a rotation, servers with either order understand each other."""
    before, after = Keyring([OLD, NEW]).sealer("t"), Keyring([NEW, OLD]).sealer("t")

    assert after.open(before.seal(b"x")) == (b"x", True)
    assert before.open(after.seal(b"x")) == (b"x", True)
    assert after.open(after.seal(b"x")) == (b"x", False)


def test_tagged_seal_tells_an_unknown_secret_from_damage():
    """What a newer server sealed must not be taken for broken and deleted."""
    tagged = Keyring(NEW).tagged_sealer("t", b"1").seal(b"x", b"")

    assert Keyring([OLD, NEW]).tagged_sealer("t", b"1").open(tagged, b"") == (b"x", True)
    assert Keyring(NEW).tagged_sealer("t", b"1").open(tagged[:-1] + b"!", b"") is None
    for stranger in (Keyring(OLD).tagged_sealer("t", b"1"), Keyring(NEW).tagged_sealer("t", b"2")):
        with pytest.raises(UnknownKey):
            stranger.open(tagged, b"")


def test_digest_differs_by_purpose_and_secret_and_old_ones_are_found():
    """Digests are an index that nobody else can compute; look-ups ask under every secret."""
    ring = Keyring([NEW, OLD])

    assert ring.digest("owner", b"ada") == Keyring(NEW).digest("owner", b"ada")
    assert ring.digests("owner", b"ada")[1] == Keyring(OLD).digest("owner", b"ada")
    assert ring.digest("owner", b"ada") != ring.digest("csrf", b"ada")
    assert len(ring.digest("owner", b"ada")) == 32
