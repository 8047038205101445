"""Passwords that are good, made by the hundred thousand: the policy may refuse none of them.

    python3 dev.py passwords 100000 50000

The first number is of passwords of 16 characters, as password managers make them; the second is of passphrases of four
words. The words are those of the list of common passwords: whatever takes a word that occurs in a password for the
password itself is found by these first. All follows from the seed.
"""

from __future__ import annotations

import random
import string
import sys
from collections.abc import Iterator
from time import process_time

from sessionware import PasswordRejected
from sessionware.auth import PasswordPolicy
from sessionware.auth.policy.common_passwords import FILE

POLICY = PasswordPolicy(words=("Larkfield Library",))
USERNAME = "alice.smith@example.com"

#: What password managers make passwords of.
ALPHABETS = (
    string.ascii_letters + string.digits,
    string.ascii_letters + string.digits + string.punctuation,
    string.ascii_letters + string.digits + "-_",
    string.ascii_letters,
    string.ascii_lowercase,
    string.ascii_lowercase + string.digits,
    string.ascii_lowercase + "234567",
    "0123456789abcdef",
    string.digits,
    string.punctuation,
)

SEPARATORS = ("-", " ", "", ".", "_")
ENDS = ("", "7", "!", "42")


def generated(count: int, seed: int) -> Iterator[str]:
    """So many passwords of 16 random characters, of each alphabet in turn."""
    chance = random.Random(f"generated {seed}")
    for number in range(count):
        yield "".join(chance.choices(ALPHABETS[number % len(ALPHABETS)], k=16))


def passphrases(count: int, seed: int) -> Iterator[str]:
    """So many of four words, with each separator in turn, and at times with something at the end."""
    chance = random.Random(f"passphrases {seed}")
    words = [word for word in FILE.read_text(encoding="ascii").split() if word.isalpha() and 4 <= len(word) <= 8]
    for number in range(count):
        separator = SEPARATORS[number % len(SEPARATORS)]
        yield separator.join(chance.choices(words, k=4)) + chance.choice(ENDS)


def rejected(passwords: Iterator[str]) -> list[tuple[str, str]]:
    """Those that the policy refuses, and why."""
    found = []
    for password in passwords:
        try:
            POLICY.validate(password, username=USERNAME)
        except PasswordRejected as error:
            found.append((password, error.message))
    return found


if __name__ == "__main__":
    counts = [int(argument) for argument in sys.argv[1:3]] or [100_000, 50_000]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    bad = False
    for make, count in zip((generated, passphrases), counts, strict=False):
        begun_at = process_time()
        wrong = rejected(make(count, seed))
        bad = bad or bool(wrong)
        spent = (process_time() - begun_at) / count
        print(
            f"{make.__name__:12} {count:>8} of seed {seed}, {len(wrong)} refused, {spent * 1e6:.0f} µs each",
            *wrong[:20],
        )
    sys.exit(bad)
