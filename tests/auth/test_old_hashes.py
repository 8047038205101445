"""Accounts that another library hashed: `verify_legacy` lets them in once, and their hash becomes one of ours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from sessionware import Busy, ConfigError, LoginFailed
from sessionware.auth import Argon2Hasher, Auth, Verified
from tests.support.auth_kit import CHEAP, PASSWORD, AuthSite

OLD = "old$" + PASSWORD
"""As if some library stored passwords like that."""

VerifyLegacy = Callable[[str, str], Any]


class Legacy:
    """Knows hashes like OLD, and notes what it was asked, and in which thread."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.threads: set[str] = set()

    def __call__(self, stored: str, password: str) -> bool | None:
        self.asked.append((stored, password))
        self.threads.add(threading.current_thread().name)
        return stored == f"old${password}" if stored.startswith("old$") else None


def site_with(verify_legacy: VerifyLegacy | None, stored: str | None = OLD) -> AuthSite:
    """A site with the account Ada, whose hash is what is stored."""
    site = AuthSite()
    site.users.add("ada", "Ada", stored, {})
    site.auth = Auth(site.users, hasher=site.hasher, verify_legacy=verify_legacy)
    return site


def refused(site: AuthSite, password: str, name: str = "Ada") -> list[tuple[str, str]]:
    """The names and details of the events of a refusal."""
    site.events.clear()
    with pytest.raises(LoginFailed):
        site.auth.authenticate(site.manager, name, password)
    return [(event.name, event.detail) for event in site.events]


# Right, wrong, not mine


def test_a_right_password_gets_in_and_gets_a_hash_of_ours() -> None:
    """The next login does not ask any more. No session ends because of the new hash."""
    legacy = Legacy()
    site = site_with(legacy)

    browser = site.logged_in("ada")
    [hash_now] = [user.password_hash for user in [site.users.find_by_key("ada")]]
    site.logged_in("ada")

    assert hash_now.startswith("$argon2id$")
    assert CHEAP.verify(hash_now, PASSWORD) == (True, None, "")
    assert legacy.asked == [(OLD, PASSWORD)]
    assert [event.name for event in site.told("account.rehashed", "login.unusable_hash")] == ["account.rehashed"]
    assert browser.who() == "Ada"


def test_a_wrong_password_is_refused_and_changes_nothing() -> None:
    """It looks like any refusal."""
    site = site_with(Legacy())

    assert refused(site, "not the password") == [("login.failed", "mismatch")]
    assert site.users.find_by_key("ada").password_hash == OLD


def test_it_works_in_the_hashing_threads() -> None:
    """Old hashes cost as much as new ones, so they are no way around the limit of those."""
    legacy = Legacy()
    site_with(legacy).logged_in("ada")

    assert [name.startswith("sessionware-hashing") for name in legacy.threads] == [True]


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        (CHEAP.hash(PASSWORD), "not the password"),
        ("$argon2id$v=19$cut off", PASSWORD),
        (None, PASSWORD),
        (OLD, "x" * 1025),
        (OLD, PASSWORD + "\0"),
        (OLD, PASSWORD + "\ud800"),
    ],
    ids=["ours", "ours, damaged", "none", "too long", "NUL", "surrogate"],
)
def test_it_is_not_asked(stored: str | None, typed: str) -> None:
    """About hashes of argon2, and for passwords that no account can have."""
    legacy = Legacy()
    site = site_with(legacy, stored)

    refused(site, typed)
    refused(site, typed, name="Nobody")
    assert legacy.asked == []
    assert site.hasher.calls == ["verify", "verify"]


def test_a_password_of_1024_characters_is_asked_for() -> None:
    """The longest that there is."""
    password = "x" * 1024

    site_with(Legacy(), f"old${password}").logged_in("ada", password)


# What it does wrong


def broken(_stored: str, _password: str) -> bool:
    raise ValueError(f"{_password} does not fit {_stored}")


async def unawaited(_stored: str, _password: str) -> bool:
    return True


WRONG_ANSWERS: dict[str, Any] = {
    "raises": broken,
    "truthy": lambda _stored, _password: "yes",
    "a tuple": lambda _stored, _password: (False, "wrong"),
    "one": lambda _stored, _password: 1,
}


@pytest.mark.parametrize("verify_legacy", WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_what_is_no_answer_counts_as_wrong(verify_legacy: VerifyLegacy) -> None:
    """Only True lets anybody in. The operator is told, without password or hash."""
    site = site_with(verify_legacy)

    [told, failed] = refused(site, PASSWORD)

    assert (told[0], failed) == ("login.legacy_failed", ("login.failed", "mismatch"))
    assert "verify_legacy" in told[1]
    assert PASSWORD not in repr(site.events)
    assert site.users.find_by_key("ada").password_hash == OLD


@pytest.mark.filterwarnings("ignore:coroutine 'unawaited' was never awaited")
def test_a_coroutine_lets_nobody_in() -> None:
    """Although it is true."""
    assert asyncio.iscoroutinefunction(unawaited)
    [(name, detail), _failed] = refused(site_with(unawaited), PASSWORD)

    assert (name, "coroutine" in detail) == ("login.legacy_failed", True)


# Hashes that nobody can use

UNUSABLE = {
    "without verify_legacy": (None, OLD, "stored hash is not argon2id; pass verify_legacy= to Auth"),
    "not known to it": (lambda _stored, _password: None, OLD, "verify_legacy does not know it"),
    "damaged": (None, CHEAP.hash(PASSWORD)[:-30], "cut off, or asks for more"),
    "too dear": (None, CHEAP.hash(PASSWORD).replace("m=8,", "m=8000000,"), "cut off, or asks for more"),
}


@pytest.mark.parametrize(("verify_legacy", "stored", "detail"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_hash_that_nobody_can_use_is_told_once(verify_legacy: Any, stored: str, detail: str) -> None:
    """With the account, and what to do; however often somebody tries. The hash is not told."""
    site = site_with(verify_legacy, stored)
    first, *others = [refused(site, PASSWORD) for _ in range(3)]

    assert [name for name, _detail in first] == ["login.unusable_hash", "login.failed"]
    assert detail in first[0][1]
    assert stored not in first[0][1]
    assert others == [[("login.failed", "bad_hash")]] * 2


def test_each_account_with_such_a_hash_is_told() -> None:
    """So that the operator learns of all of them."""
    site = site_with(None)
    site.users.add("bob", "Bob", "!", {})

    told = [refused(site, PASSWORD, name)[0][0] for name in ("Ada", "Bob")]
    assert told == ["login.unusable_hash"] * 2


@pytest.mark.parametrize("stored", [None, CHEAP.hash(PASSWORD)], ids=["none", "good"])
def test_nothing_is_told_of_an_account_in_order(stored: str | None) -> None:
    """One without a password, above all."""
    assert [name for name, _detail in refused(site_with(None, stored), "not the password")] == ["login.failed"]


# With a hasher of one's own


class Peppered:
    """A hasher around ours, whose hashes do not look like argon2's."""

    def hash(self, password: str) -> str:
        return "mine:" + CHEAP.hash(f"pepper{password}")

    def verify(self, stored: str | None, password: str) -> Verified:
        if stored is not None and not stored.startswith("mine:"):
            return CHEAP.verify("!", password)
        return CHEAP.verify(stored and stored.removeprefix("mine:"), f"pepper{password}")


def test_a_hasher_of_ones_own_goes_on_beside_it() -> None:
    """None means that the hasher is asked. An old hash becomes one of that hasher's."""
    legacy = Legacy()
    site = site_with(legacy)
    site.auth = Auth(site.users, hasher=Peppered(), verify_legacy=legacy)

    for _ in range(2):
        site.auth.authenticate(site.manager, "ada", PASSWORD)
    assert site.users.find_by_key("ada").password_hash.startswith("mine:$argon2id$")
    assert refused(site, "not the password") == [("login.failed", "mismatch")]


def test_a_right_password_is_right_even_if_there_is_no_turn_for_the_new_hash() -> None:
    """The next login brings it up to date; this one must not fail because of it."""

    class Full(Argon2Hasher):
        def hash(self, password: str) -> str:
            raise Busy

    site = site_with(Legacy())
    site.auth = Auth(site.users, hasher=Full(1, 8, 1), verify_legacy=Legacy())

    assert site.auth.authenticate(site.manager, "ada", PASSWORD).password_hash == OLD


@pytest.mark.parametrize("value", ["werkzeug", True, 5], ids=str)
def test_what_cannot_be_called_is_refused(value: Any) -> None:
    """When the object is built."""
    with pytest.raises(ConfigError, match="verify_legacy"):
        Auth(AuthSite().users, verify_legacy=value)
