"""Incidents in hashing and comparing passwords and names: what was ignored, mixed up, or took a server down."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from webtest import TestApp

from sessionware import LoginFailed, PasswordRejected, UsernameRejected, UsernameTaken
from sessionware.auth import Argon2Hasher, AuthPages, _hashing_threads, hash_password, username_key
from tests.support.auth_kit import PASSWORD, AuthSite, Crowd, together
from tests.support.computations import Computations


@pytest.fixture
def site() -> AuthSite:
    return AuthSite()


def gets_in(site: AuthSite, username: str, password: str) -> bool:
    """Whether name and password are right."""
    try:
        site.auth.authenticate(site.manager, username, password)
    except LoginFailed:
        return False
    return True


# What was ignored


@pytest.mark.parametrize("length", [72, 73, 128, 1023])
def test_cve_2025_22228_no_character_of_a_long_password_is_ignored(site: AuthSite, length: int) -> None:
    """Spring's bcrypt took the first 72 bytes, and said yes to whatever came after them."""
    password = "correct horse! " * 100
    site.register("Ada", password[:length] + "x")

    assert gets_in(site, "Ada", password[:length] + "x")
    assert not gets_in(site, "Ada", password[:length] + "y")
    assert not gets_in(site, "Ada", password[:length])


def test_cve_2024_3096_null_character_does_not_end_a_password(site: AuthSite) -> None:
    """A password that began with one was stored by PHP as if it were empty, and then the empty one was right."""
    for password in (f"\0{PASSWORD}", f"{PASSWORD}\0"):
        with pytest.raises(PasswordRejected):
            site.register("Eve", password)
        with pytest.raises(PasswordRejected):
            hash_password(password)
    site.register("Ada")

    assert not gets_in(site, "Ada", "")
    assert not gets_in(site, "Ada", f"{PASSWORD}\0")
    assert not gets_in(site, "Ada", f"{PASSWORD}\0and what follows")


def test_okta_2024_10_30_long_name_hides_no_password(site: AuthSite) -> None:
    """Okta's cache hashed id, name and password as one text by bcrypt. After 52 characters of name, any would do."""
    name = "a-long-name@a-very-long-subdomain.of-a-long-domain." + "example" * 11
    assert len(name) == 128
    site.register(name)

    assert gets_in(site, name, PASSWORD)
    assert not gets_in(site, name, "any other password at all")
    assert not gets_in(site, name[:-1], "e" + PASSWORD)


# What was mixed up


def test_cve_2013_1895_passwords_that_are_checked_at_once_are_not_mixed_up(site: AuthSite) -> None:
    """py-bcrypt shared one buffer among threads, so another visitor's hash could answer."""
    names = [f"user{number}" for number in range(8)]
    for name in names:
        site.register(name, f"the password of {name}")
    asked = [(name, other) for _ in range(3) for name in names for other in names if other in (name, "user0")]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda pair: gets_in(site, pair[0], f"the password of {pair[1]}"), asked))

    assert answers == [name == other for name, other in asked]


@pytest.mark.parametrize("twin", ["\uff22igbird", "BigBird", "\u1d2eigbird", "bi\u0261bird", "bigb\u0131rd"])
def test_spotify_2013_name_whose_key_is_another_name_is_not_given_away(site: AuthSite, twin: str) -> None:
    """There, a name was reduced once when it was registered and once more when its password was set anew.

    (Described in Spotify's engineering blog; there is no advisory.) What looks alike is the same account, another
    account, or no name, and the key of a key is itself.
    """
    owner = site.register("bigbird")
    try:
        user = site.auth.register(site.manager, twin, "a password of the twin's", login=False)
    except (UsernameTaken, UsernameRejected):
        pass
    else:
        assert username_key(user.key) == user.key != owner.key
    assert site.users.get(owner.id) == owner
    assert gets_in(site, "bigbird", PASSWORD)
    assert not gets_in(site, "bigbird", "a password of the twin's")


# What took a server down


@pytest.fixture
def normalised() -> Iterator[list[str]]:
    """The calls of Unicode's normalisation in this thread, which takes time that grows with the square."""
    calls: list[str] = []

    def watch(frame: object, event: str, called: Any) -> None:
        if event == "c_call" and called is unicodedata.normalize:
            calls.append(event)

    sys.setprofile(watch)
    yield calls
    sys.setprofile(None)


#: 100,000 marks in the wrong order: ten seconds in `unicodedata.normalize`.
MARKS = "a" + "\u0315\u0300" * 50_000

TRIES: dict[str, Callable[[AuthSite, str], object]] = {
    "a name": lambda site, text: site.auth.authenticate(site.manager, text, PASSWORD),
    "a password": lambda site, text: site.auth.authenticate(site.manager, "Ada", text),
    "a new name": lambda site, text: site.auth.register(site.manager, text, PASSWORD, login=False),
    "a new password": lambda site, text: site.auth.register(site.manager, "Bob", text, login=False),
}


@pytest.mark.parametrize("tried", TRIES.values(), ids=TRIES)
def test_cve_2023_46695_cve_2025_27556_what_is_too_long_is_not_normalised(
    site: AuthSite, normalised: list[str], tried: Callable[[AuthSite, str], object]
) -> None:
    """Django normalised names of any length. The other text of each try is short, and shows that the watch works."""
    with suppress(LoginFailed, UsernameRejected, PasswordRejected):
        tried(site, "\u0315" * 20)
    per_short_text = len(normalised)
    normalised.clear()

    with pytest.raises((LoginFailed, UsernameRejected, PasswordRejected)):
        tried(site, MARKS)

    assert len(normalised) < per_short_text


@pytest.mark.parametrize("path", ["/login", "/register"])
@pytest.mark.parametrize("length", [1025, 10_000, 1_000_000])
def test_cve_2013_1443_cve_2013_5958_long_password_is_not_hashed(
    site: AuthSite, monkeypatch: pytest.MonkeyPatch, path: str, length: int
) -> None:
    """Django and Symfony hashed a megabyte as willingly as a word, many thousand times over."""
    computations = Computations(monkeypatch)
    site.register("Ada")
    pages = AuthPages(lambda environ, start_response: [], site.auth)
    form = {"username": "Ada", "password": "x" * length}

    response = TestApp(site.wrapped(pages)).post(path, form, expect_errors=True)

    assert response.status_code in (403, 413, 422)
    assert [each.password_bytes for each in computations if each.password_bytes > 100] == []
    assert "hash" not in site.hasher.calls


def test_cve_2021_45115_rules_for_new_passwords_do_not_read_what_is_too_long(site: AuthSite) -> None:
    """Django compared a password of any length with the name, letter by letter."""
    assert steps_to_refuse(site, "x" * 2000) == steps_to_refuse(site, "x" * 1_000_000)


def steps_to_refuse(site: AuthSite, password: str) -> int:
    """How many lines of Python it takes to refuse a new password."""
    lines = 0

    def trace(frame: object, event: str, _: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.raises(PasswordRejected):
            site.auth.register(site.manager, "a-name@that.might-be.in-it.example", password, login=False)
    finally:
        sys.settrace(before)
    return lines


def test_gitea_14294_authelia_1044_logins_at_once_stay_within_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 took 64 MiB for each login that came, and in Authelia for each name that nobody has, too."""
    monkeypatch.setattr(_hashing_threads, "_by_process", {})
    monkeypatch.setattr(_hashing_threads, "_cores", lambda: 8)
    monkeypatch.setattr(_hashing_threads, "PATIENCE", 60)
    site = AuthSite(hasher=Argon2Hasher(1, 8, 1, memory_budget=2 * 8 * 1024))
    site.register("Ada")
    crowd = Crowd(monkeypatch)
    threads = together(2, lambda: gets_in(site, "Ada", "wrong")) + together(3, lambda: gets_in(site, "Nobody", "wrong"))
    crowd.wait_for(2)

    assert not crowd.is_joined()
    crowd.go.set()
    crowd.wait_for(3)
    for thread in threads:
        thread.join(10)
    _hashing_threads._close()
