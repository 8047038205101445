"""Which secrets are accepted. What is derived from them is in test_seals.py."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from sessionware import ConfigError, Keyring
from tests.support.fixed import SECRET

GOOD = secrets.token_urlsafe(32)


@pytest.mark.parametrize(
    "secret",
    ["", None, [], "short", "a" * 32, "ab" * 32, "changeme" * 8, "0123456789abcdef" * 4, 5, [GOOD, "short"], [GOOD, 5]],
)
def test_poor_secret_is_refused_with_the_way_to_a_good_one(secret: Any) -> None:
    """A secret that can be guessed protects nothing, so it fails when it is set up, and says how to make one."""
    with pytest.raises(ConfigError, match="python -m sessionware secret"):
        Keyring(secret)


def test_error_about_a_secret_does_not_show_it() -> None:
    """Error texts end up in logs."""
    poor = "hunter2hunter2"
    with pytest.raises(ConfigError) as caught:
        Keyring(poor)

    assert "hunter2" not in str(caught.value)
    assert SECRET not in repr(Keyring(SECRET))


@pytest.mark.parametrize(
    ("secret", "as_bytes"),
    [(text := secrets.token_hex(16), text.encode()), (raw := secrets.token_bytes(32), raw), (SECRET, SECRET.encode())],
    ids=["32 characters", "bytes", "a sentence"],
)
def test_random_secret_is_taken(secret: bytes | str, as_bytes: bytes) -> None:
    """Text or bytes, 32 characters or more; alone or in a list."""
    assert Keyring(secret)._secrets == Keyring([secret])._secrets == (as_bytes,)


def test_secrets_keep_their_order() -> None:
    """The first one is the newest: it seals."""
    assert Keyring([GOOD, SECRET])._secrets == (GOOD.encode(), SECRET.encode())
