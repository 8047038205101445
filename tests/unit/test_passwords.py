"""Passwords: hashed with argon2id, checked at the same cost whatever comes."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import argon2
import pytest
from argon2.low_level import Type

from sessionware import Busy, ConfigError, PasswordRejected
from sessionware.auth import (
    Argon2Hasher,
    PasswordPolicy,
    _hashing_threads,
    hash_password,
    passwords,
    validate_password,
    verify_password,
)
from tests.support.auth_kit import CHEAP, PASSWORD, Crowd, together

STORED = CHEAP.hash(PASSWORD)
HEAD, SALT, DIGEST = STORED.rpartition("p=1")[0] + "p=1", *STORED.split("$")[-2:]

#: Texts in a password column that argon2 made no sense of, or should not try to.
BAD_HASHES = {
    "empty": "",
    "unusable": "!",
    "cut off": STORED[:-10].rpartition("$")[0],
    "digest cut to nothing": STORED.rpartition("$")[0] + "$",
    "digest of odd length": STORED.rpartition("$")[0] + "$AAAAA",
    "salt too short": f"{HEAD}$c2FsdA${DIGEST}",
    "digest too short": f"{HEAD}${SALT}$AAA",
    "bcrypt": "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
    "not ASCII": STORED[:-1] + "\u00e9",
    "digits not ASCII": STORED.replace("t=1", "t=\u0661"),
    "plain text": PASSWORD,
    "8 GiB": STORED.replace("m=8,", f"m={8 * 1024 * 1024},"),
    "4 TiB": STORED.replace("m=8,", "m=4294967295,"),
    "an hour": STORED.replace("t=1,", "t=99999,"),
    "200 threads": STORED.replace("m=8,", "m=1600,").replace("p=1", "p=200"),
    "less memory than lanes need": STORED.replace("p=1", "p=2"),
    "endless": STORED + "A" * 10_000,
    "line break": STORED + "\n",
    "bytes": STORED.encode(),
}

#: Passwords that no account can have.
BAD_INPUTS = {
    "too long": "x" * 1025,
    "NUL": "correct horse\0battery staple",
    "surrogate": "correct horse \ud800 staple",
}


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes whose digest argon2 has computed to the end, for a verification that said yes or no."""
    hashes: list[str] = []
    verify = argon2.PasswordHasher.verify

    def watched(hasher: argon2.PasswordHasher, hash: Any, password: Any) -> bool:
        try:
            verify(hasher, hash, password)
        except argon2.exceptions.VerifyMismatchError:
            hashes.append(hash)
            raise
        hashes.append(hash)
        return True

    monkeypatch.setattr(argon2.PasswordHasher, "verify", watched)
    return hashes


def costs(hash: str) -> str:
    """The part of a hash that says how much work it is."""
    return hash.split("$")[3]


# Right and wrong


def test_a_hash_is_argon2id_with_the_least_costs_of_owasp_and_a_salt_of_its_own() -> None:
    """19 MiB, twice, one lane: 128 bits of salt, 256 of digest (ASVS 5.0, appendix C)."""
    one, other = hash_password(PASSWORD), hash_password(PASSWORD)

    assert re.fullmatch(r"\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}", one)
    assert one != other


def test_the_right_password_is_right_and_needs_no_new_hash() -> None:
    """The plain functions, at the real costs."""
    stored = hash_password(PASSWORD)

    assert verify_password(stored, PASSWORD) == (True, None, "")
    assert bool(verify_password(stored, PASSWORD)) is True
    assert bool(verify_password(stored, PASSWORD + "!")) is False
    assert bool(verify_password(None, PASSWORD)) is False


@pytest.mark.parametrize(
    "typed", ["", PASSWORD[:-1], PASSWORD.upper(), f" {PASSWORD}", f"{PASSWORD} ", f"{PASSWORD}\n", f"{PASSWORD}\t"]
)
def test_every_character_counts(typed: str) -> None:
    """Case and white space too: nothing is trimmed or folded (ASVS 5.0 6.2.8)."""
    assert CHEAP.verify(STORED, typed) == (False, None, "mismatch")


def test_long_passwords_are_not_cut() -> None:
    """The 1024th character counts like the first."""
    stored = CHEAP.hash("x" * 1024)

    assert CHEAP.verify(stored, "x" * 1024)
    assert not CHEAP.verify(stored, "x" * 1023)
    assert not CHEAP.verify(stored, "x" * 1023 + "y")


def test_the_ways_of_composing_a_letter_do_not_matter() -> None:
    """Keyboards differ in them (NIST SP 800-63B-4: NFC); ligatures and wide letters stay what they are."""
    stored = CHEAP.hash("caf\u00e9 au lait, s'il vous plait")

    assert CHEAP.verify(stored, "cafe\u0301 au lait, s'il vous plait")
    assert not CHEAP.verify(CHEAP.hash("the \ufb01rst of many"), "the first of many")


# One computation for every answer


@pytest.mark.parametrize("stored", BAD_HASHES.values(), ids=BAD_HASHES)
def test_a_stored_text_that_is_not_a_hash_costs_what_a_wrong_password_costs(computed: list[Any], stored: Any) -> None:
    """Nobody gets in by it, nobody can tell by the time it takes, and nothing is allocated because it says so."""
    assert CHEAP.verify(stored, PASSWORD) == (False, None, "bad_hash")
    assert [costs(hash) for hash in computed] == ["m=8,t=1,p=1"]
    assert stored not in computed


def test_a_hash_of_another_kind_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """By `verify_password`, whose answer may be used as a truth value and nothing more. The hash is not shown."""
    passwords._warn_of_unusable_hash.cache_clear()
    bcrypt = str(BAD_HASHES["bcrypt"])
    for stored in (None, hash_password(PASSWORD), bcrypt, bcrypt):
        assert not verify_password(stored, "not the password")

    [record] = caplog.records
    assert (record.name, record.levelname) == ("sessionware", "WARNING")
    assert "not argon2id" in record.message
    assert bcrypt not in record.message


@pytest.mark.parametrize("error", ["Memory allocation error", "Threading failure"])
def test_no_memory_means_busy(monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    """If argon2 itself gets none, the visitor is told to come again, and nobody is let in or told that he is wrong."""

    def fail(*_arguments: object) -> None:
        raise argon2.exceptions.VerificationError(error)

    def fail_to_hash(*_arguments: object) -> None:
        raise argon2.exceptions.HashingError(error)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", fail)
    monkeypatch.setattr(argon2.PasswordHasher, "hash", fail_to_hash)
    for call in (lambda: CHEAP.verify(STORED, PASSWORD), lambda: CHEAP.verify(None, PASSWORD), lambda: CHEAP.hash("x")):
        with pytest.raises(Busy) as busy:
            call()
        assert busy.value.retry_after is not None


@pytest.mark.parametrize("typed", BAD_INPUTS.values(), ids=BAD_INPUTS)
@pytest.mark.parametrize("stored", [STORED, None, "!"], ids=["known", "unknown", "unusable"])
def test_a_password_that_nobody_can_have_costs_the_same(computed: list[Any], stored: str | None, typed: str) -> None:
    """For accounts that exist and accounts that do not (CVE-2025-22234 was the difference)."""
    assert CHEAP.verify(stored, typed) == (False, None, "bad_input")
    assert [costs(hash) for hash in computed] == ["m=8,t=1,p=1"]


@pytest.mark.parametrize(("stored", "reason"), [(None, "no_hash"), (STORED, "mismatch")], ids=["unknown", "known"])
def test_an_unknown_user_costs_what_a_wrong_password_costs(
    computed: list[Any], stored: str | None, reason: str
) -> None:
    """None stands for the hash of somebody who does not exist (CVE-2024-39329, CVE-2016-6210)."""
    assert CHEAP.verify(stored, "not the password") == (False, None, reason)
    assert [costs(hash) for hash in computed] == ["m=8,t=1,p=1"]


def test_no_password_fits_the_decoy(computed: list[Any]) -> None:
    """It is random bytes, different each time, so even somebody who reads this cannot log in as nobody."""
    CHEAP.verify(None, PASSWORD)
    CHEAP.verify(None, PASSWORD)
    one, other = computed

    assert one != other
    assert len(one) == len(STORED)


@pytest.mark.parametrize("value", [None, b"bytes", 5, ["x"]])
def test_a_password_that_is_not_text_is_a_mistake(value: Any) -> None:
    """Of the program, not of the visitor."""
    for call in (CHEAP.hash, lambda value: CHEAP.verify(STORED, value), validate_password):
        with pytest.raises(TypeError, match="text"):
            call(value)


# Newer settings


@pytest.mark.parametrize("newer", [Argon2Hasher(2, 8, 1), Argon2Hasher(1, 16, 1), Argon2Hasher(1, 16, 2)])
def test_the_right_password_brings_old_hashes_up_to_date(newer: Argon2Hasher) -> None:
    """Hashes follow the settings, whether those are higher or lower, because the operator decides."""
    verified = newer.verify(STORED, PASSWORD)

    assert verified.rehash is not None
    assert newer.verify(verified.rehash, PASSWORD) == (True, None, "")
    assert CHEAP.verify(verified.rehash, PASSWORD).rehash is not None


def test_a_new_hash_is_not_shown() -> None:
    """What was found is printed into logs, as an account is."""
    verified = Argon2Hasher(2, 8, 1).verify(STORED, PASSWORD)

    assert verified.rehash is not None
    assert repr(verified) == "Verified(is_right=True, reason='')"
    assert verified.rehash not in f"{verified} {[verified]}"


def test_a_wrong_password_makes_no_new_hash() -> None:
    """Or an attacker would choose the next password."""
    assert Argon2Hasher(2, 8, 1).verify(STORED, "not the password").rehash is None


@pytest.mark.parametrize("kind", [argon2.Type.I, argon2.Type.D])
def test_the_elder_argon2_kinds_are_read_and_replaced(kind: Type) -> None:
    """Accounts may come from another program."""
    stored = argon2.PasswordHasher(1, 8, 1, type=kind).hash(PASSWORD)

    assert (CHEAP.verify(stored, PASSWORD).rehash or "").startswith("$argon2id$")
    assert not CHEAP.verify(stored, "not the password")


#: Costs (passes, KiB, lanes) that a hash may have been made at before they were raised to 4 passes over 1 MiB.
LOWER_COSTS = [(3, 1024, 1), (1, 1024, 1), (4, 512, 1), (1, 8, 1), (1, 2048, 1), (4, 1008, 1), (2, 1024, 2)]


class Work:
    """A clock that goes by the work that argon2 does, and by nothing else.

    One for each pass over one KiB; `small` is how much faster a pass over little memory is, as in a processor's cache,
    and `noise` how much the same work may differ. What is computed is less, so that thousands of logins take no time.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, small: float = 1.0, noise: float = 0.0) -> None:
        self.time = 0.0
        self._small = small
        self._noise = noise
        self._lots = random.Random(1)
        monkeypatch.setattr(argon2.PasswordHasher, "verify", self._verify)
        monkeypatch.setattr(passwords, "perf_counter", lambda: self.time)

    def _verify(self, hash: Any, _password: object) -> bool:
        parameters = argon2.extract_parameters(hash)
        speed = self._small if parameters.memory_cost < 1000 else 1.0
        work = parameters.memory_cost * parameters.time_cost * speed
        self.time += work * (1 + self._noise * self._lots.expovariate(1))
        raise argon2.exceptions.VerifyMismatchError

    def of_refusal(self, hasher: Argon2Hasher, stored: str | None) -> float:
        """How long a refusal takes."""
        begun_at = self.time
        assert not hasher.verify(stored, "not the password")
        return self.time - begun_at


@pytest.mark.parametrize("costs", LOWER_COSTS, ids=str)
def test_a_refusal_by_a_cheaper_hash_is_topped_up(monkeypatch: pytest.MonkeyPatch, costs: tuple[int, int, int]) -> None:
    """The first one, too, by as much work as is missing."""
    today = Argon2Hasher(4, 1024, 1)
    stored = Argon2Hasher(*costs).hash(PASSWORD)
    work = Work(monkeypatch)

    assert work.of_refusal(today, stored) == pytest.approx(4 * 1024, rel=0.01)
    assert work.of_refusal(today, None) == work.of_refusal(today, today.hash(PASSWORD)) == 4 * 1024


@pytest.mark.parametrize("noise", [0.005, 0.3], ids=["quiet", "busy"])
@pytest.mark.parametrize("small", [0.8, 1.2], ids=["cache", "no cache"])
@pytest.mark.parametrize("costs", LOWER_COSTS, ids=str)
def test_it_takes_as_long_as_others_whatever_the_processor_is_like(
    monkeypatch: pytest.MonkeyPatch, costs: tuple[int, int, int], small: float, noise: float
) -> None:
    """As often longer as shorter than the refusal of an unknown name, after some comparisons."""
    today = Argon2Hasher(4, 1024, 1)
    stored = Argon2Hasher(*costs).hash(PASSWORD)
    work = Work(monkeypatch, small=small, noise=noise)
    pairs = [(work.of_refusal(today, stored), work.of_refusal(today, None)) for _ in range(600)]

    old, unknown = (median(times) for times in zip(*pairs[100:], strict=True))
    assert old == pytest.approx(unknown, rel=0.02)


def test_nothing_is_learned_while_nobody_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one account's refusals take is compared with that of others, at about the same moment, and never twice."""
    today = Argon2Hasher(4, 1024, 1)
    stored = Argon2Hasher(1, 1024).hash(PASSWORD)
    work = Work(monkeypatch, noise=0.5)
    for _ in range(20):
        work.of_refusal(today, stored)
    work._noise = 0.0

    assert work.of_refusal(today, stored) == 4 * 1024


@pytest.mark.parametrize("costs", [(5, 1024, 1), (4, 2048, 1), (4, 1024, 1)], ids=str)
def test_a_refusal_by_a_dearer_hash_takes_what_that_hash_asks_for(
    monkeypatch: pytest.MonkeyPatch, costs: tuple[int, int, int]
) -> None:
    """And no more: nothing is added to it."""
    today = Argon2Hasher(4, 1024, 1)
    stored = Argon2Hasher(*costs).hash(PASSWORD)
    work = Work(monkeypatch)

    assert {work.of_refusal(today, hash) for hash in [None, stored] * 5} == {4 * 1024, costs[0] * costs[1]}


# New passwords


@pytest.mark.parametrize(
    "password",
    [
        "all lower case letters",
        "083751937501947",
        "".join(map(chr, range(0x1F600, 0x1F600 + 30, 2))),
        "".join(map(chr, range(0x5BC6, 0x5BC6 + 30, 2))),
        "k d p w f m r t",
        "ladle orbit thaw quiver " * 40,
    ],
    ids=ascii,
)
def test_fifteen_characters_of_any_kind_are_enough(password: str) -> None:
    """Code points are counted, nothing about their kinds is asked (NIST SP 800-63B-4 §3.1.1.2)."""
    validate_password(password)

    assert CHEAP.verify(CHEAP.hash(password), password)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "too_short"),
        ("fourteen chars", "too_short"),
        ("\U0001f600" * 8, "too_short"),  # 32 bytes
        ("e\u0301" * 14, "too_short"),  # 28 code points as typed, 14 characters
        ("x" * 1025, "too_long"),
        ("a tab\tin the midst", "invalid"),
        ("a line break at the end\n", "invalid"),
        ("a NUL\0in the midst of it", "invalid"),
        ("half a \ud83d smiling face", "invalid"),
    ],
    ids=ascii,
)
def test_what_cannot_be_a_new_password_says_why(password: str, reason: str) -> None:
    """With a code for programs and a text for people."""
    with pytest.raises(PasswordRejected) as rejected:
        validate_password(password)

    assert (rejected.value.reason, rejected.value.status) == (reason, 422)
    assert password not in rejected.value.message or not password


@pytest.mark.parametrize(
    ("password", "reason"), [("x" * 1025, "too_long"), ("a\0b", "invalid"), ("half \ud83d", "invalid")], ids=ascii
)
def test_what_cannot_be_hashed_is_not_hashed(password: str, reason: str) -> None:
    """`hash_password` refuses what `verify_password` would refuse, and no more."""
    with pytest.raises(PasswordRejected) as rejected:
        hash_password(password)

    assert rejected.value.reason == reason
    assert CHEAP.verify(CHEAP.hash("short"), "short")


def test_a_policy_may_ask_for_another_length() -> None:
    """From 8 on, which is for sites with a second factor."""
    PasswordPolicy(minimum_length=8).validate("8 kiwis.")

    with pytest.raises(PasswordRejected, match="20"):
        PasswordPolicy(minimum_length=20).validate("only nineteen here!")


@pytest.mark.parametrize("length", [7, 0, -1, 1025, None, "15", 15.0])
def test_a_policy_below_eight_is_refused(length: Any) -> None:
    """ASVS 5.0 6.2.1."""
    with pytest.raises(ConfigError, match="minimum_length"):
        PasswordPolicy(minimum_length=length)


def test_a_huge_password_costs_nothing() -> None:
    """Its length is checked before it is normalised: with 100,000 marks out of order that would take ten seconds."""
    huge = "a" + "\u0315\u0300" * 50_000
    began = time.monotonic()

    assert not CHEAP.verify(STORED, huge)
    for refuse in (CHEAP.hash, validate_password):
        with pytest.raises(PasswordRejected):
            refuse(huge)
    assert time.monotonic() - began < 1


# Many at once


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    """On a machine with eight processors, so that memory alone is short."""
    monkeypatch.setattr(_hashing_threads, "_by_process", {})
    monkeypatch.setattr(_hashing_threads, "_cores", lambda: 8)
    yield Crowd(monkeypatch)
    _hashing_threads._close()


def test_no_more_are_checked_at_once_than_the_memory_allows(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest wait: neither a flood of logins nor of unknown names eats the server's memory."""
    monkeypatch.setattr(_hashing_threads, "PATIENCE", 60)  # whoever is not woken when memory is free is found missing
    hasher = Argon2Hasher(1, 8, 1, memory_budget=3 * 8 * 1024)
    threads = together(2, lambda: hasher.verify(STORED, PASSWORD)) + together(3, lambda: hasher.verify(None, PASSWORD))
    crowd.wait_for(3)

    assert not crowd.is_joined()
    crowd.go.set()
    crowd.wait_for(2)
    for thread in threads:
        thread.join(10)


def test_a_hash_takes_the_share_that_it_asks_for(crowd: Crowd) -> None:
    """One made at higher costs leaves room for fewer beside it."""
    hasher = Argon2Hasher(1, 8, 1, memory_budget=3 * 8 * 1024)
    larger = Argon2Hasher(1, 24, 1).hash(PASSWORD)
    threads = together(1, lambda: hasher.verify(larger, PASSWORD))
    crowd.wait_for(1)
    threads += together(1, lambda: hasher.verify(STORED, PASSWORD))

    assert not crowd.is_joined()
    crowd.go.set()
    crowd.wait_for(1)
    for thread in threads:
        thread.join(10)


def test_who_waits_too_long_is_told_to_come_again(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and after how many seconds. When the memory is free again, all is as before."""
    hasher = Argon2Hasher(1, 8, 1, memory_budget=8 * 1024)
    monkeypatch.setattr(_hashing_threads, "PATIENCE", 0.01)
    threads = together(1, lambda: hasher.verify(STORED, PASSWORD))
    crowd.wait_for(1)

    for call in (lambda: hasher.verify(None, PASSWORD), lambda: hasher.hash(PASSWORD)):
        with pytest.raises(Busy) as busy:
            call()
        assert busy.value.status == 503
        assert busy.value.retry_after is not None
    crowd.go.set()
    threads[0].join(10)
    assert hasher.verify(STORED, PASSWORD)


def test_answers_of_one_thread_never_reach_another() -> None:
    """Right and wrong passwords of sixteen people, fifty times each, all at once (CVE-2013-1895)."""
    people = [(CHEAP.hash(f"the password of number {n}"), f"the password of number {n + n % 2}") for n in range(16)]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda person: [bool(CHEAP.verify(*person)) for _ in range(50)], people))

    assert answers == [[n % 2 == 0] * 50 for n in range(16)]


# Settings


@pytest.mark.parametrize(
    "settings",
    [
        {"time_cost": 0},
        {"memory_cost": 7},
        {"parallelism": 0},
        {"memory_cost": "19456"},
        {"time_cost": True},
        {"memory_cost": 8, "parallelism": 2},
        {"memory_budget": 19456 * 1024 - 1},
        {"memory_budget": 2.5e8},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    """When the object is built, not at the first login."""
    with pytest.raises(ConfigError, match="Argon2Hasher"):
        Argon2Hasher(**settings)


def test_settings_are_values() -> None:
    """They print and compare as what they are, without a hash or a lock in sight."""
    assert Argon2Hasher() == Argon2Hasher(2, 19456, 1)
    assert repr(CHEAP) == "Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1, memory_budget=268435456)"
