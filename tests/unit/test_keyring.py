"""Which secrets are accepted. What is derived from them is in test_seals.py."""

from __future__ import annotations

import base64
import random
import re
import secrets
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import dev
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


WORDS = ["change", "changeme", "secret", "password", "session", "key", "admin", "sunshine", "dragon", "flask", "django"]
ROWS = ["abcdefghijklmnopqrstuvwxyz", "0123456789", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm"]
DIGITS = st.sampled_from(["", "1", "123", "2024", "!", "1!", "123456"])

repeated = st.builds(
    lambda words, glue, digits: glue.join(words * 20)[:60] + digits,
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=2),
    st.sampled_from(["", "-", "_", " "]),
    DIGITS,
)
sequences = st.builds(
    lambda rows, backwards, capitals, digits: cased("".join(rows)[:: -1 if backwards else 1], capitals)[:60] + digits,
    st.lists(st.sampled_from(ROWS), min_size=2, max_size=3),
    st.booleans(),
    st.booleans(),
    DIGITS,
)
padded = st.builds(
    lambda word, digits, filler: word + (digits * 40)[:24] + filler,
    st.sampled_from(WORDS),
    st.sampled_from(["1234567890", "0", "12", "9876543210", "abc"]),
    st.sampled_from(["", "x" * 20, "." * 20]),
)
few_characters = st.text("abc1", min_size=32, max_size=80)
two_words = st.lists(st.sampled_from(WORDS), min_size=2, max_size=2).map(lambda two: (two[0] + two[1]).ljust(32, "_"))


def cased(text: str, capitals: bool) -> str:
    return text.upper() if capitals else text


@example("sunshine-dragon-sunshine-dragon-sunshine-dragon-sunshine-dra2024")  # the longest words, and a year
@given(repeated | sequences | padded | few_characters | two_words)
def test_secret_that_was_thought_up_is_refused(secret: str) -> None:
    """Words over and over, rows of the keyboard, a word with digits, few characters. As text and as bytes, and beside a
    good one; the error says what is wrong and how to make one."""
    if len(secret) < 32:
        secret = (secret * 32)[:40]
    given_secrets: list[Any] = [secret, secret.encode(), [GOOD, secret], [secret.encode(), GOOD]]
    for given_secret in given_secrets:
        with pytest.raises(ConfigError, match=r"easy to guess|different characters") as caught:
            Keyring(given_secret)
        assert "python -m sessionware secret" in str(caught.value)
        assert secret not in str(caught.value)


def passphrase(number: int) -> str:
    """Words drawn by lot from the text of the licence."""
    words = re.findall("[a-z]{3,}", (Path(dev.ROOT) / "LICENSE").read_text().lower())
    return " ".join(random.Random(number).sample(sorted(set(words)), 7))


GENERATORS = {
    "our command": lambda number: secrets.token_urlsafe(32),
    "token_urlsafe(24)": lambda number: secrets.token_urlsafe(24),
    "token_hex(16)": lambda number: secrets.token_hex(16),
    "openssl rand -base64 32": lambda number: base64.b64encode(secrets.token_bytes(32)).decode(),
    "token_bytes": lambda number: secrets.token_bytes(32),
    "uuid4().hex": lambda number: uuid.uuid4().hex,
    "uuid4": lambda number: str(uuid.uuid4()),
    "digits": lambda number: str(secrets.randbelow(10**60)).zfill(60),
    "django": lambda number: "django-insecure-" + secrets.token_urlsafe(36),
    "a passphrase": passphrase,
}


@pytest.mark.parametrize("generate", GENERATORS.values(), ids=GENERATORS)
def test_secret_that_was_drawn_by_lot_is_taken(generate: Any) -> None:
    """However it was made; five hundred of each."""
    for number in range(500):
        Keyring(generate(number))


@pytest.mark.parametrize(
    ("poor", "problem"),
    [
        ("x" * 40, "fewer than 8 different characters"),
        (b"x" * 40, "fewer than 8 different characters"),
        ("changeme" * 4 + "1", "easy to guess"),
        ("a long random text, better made than thought up", "an example from a manual"),
        ("a long random text, better made than thought up\n", "an example from a manual"),
        ("short", "has 5 characters"),
    ],
)
def test_error_says_what_is_wrong_with_the_secret(poor: Any, problem: str) -> None:
    """Forty times the same letter is long enough, so the length is not it."""
    with pytest.raises(ConfigError, match=problem):
        Keyring(poor)


def test_no_page_shows_a_secret_that_would_be_accepted() -> None:
    """People copy what they read."""
    shown = [text for page in dev.pages() for text in re.findall(r'[sS]ecret="([^"]+)"', page.read_text("utf-8"))]

    for text in shown:
        with pytest.raises(ConfigError):
            Keyring(text)
