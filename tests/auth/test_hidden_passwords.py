"""What an error reporter sees: no frame of ours shows a password or a stored hash, whatever fails below it."""

from __future__ import annotations

import secrets
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from traceback import TracebackException, walk_stack
from typing import Any

import argon2
import pytest

import sessionware
from sessionware import LoginFailed, MemoryStore, PasswordRejected, StoreUnavailable
from sessionware._hidden import Hidden, HiddenText
from sessionware.auth import (
    Argon2Hasher,
    Auth,
    PasswordPolicy,
    SQLiteUsers,
    hash_password,
    validate_password,
    verify_password,
)
from tests.support.auth_kit import CHEAP, AuthSite

TYPED = "seven quiet lanterns drift"
STORED = CHEAP.hash(TYPED)
FRESH = "wrong mule charger paperclip"
TOKEN = "T0ken-" * 7 + "x"
PLANTED = (TYPED, "$argon2id$", FRESH, TOKEN)

OURS = str(Path(sessionware.__file__).parent)


def shown(error: BaseException) -> Iterator[str]:
    """What the frames of the library show, of this error and of those that it came from."""
    link: BaseException | None = error
    while link is not None:
        report = TracebackException(type(link), link, link.__traceback__, capture_locals=True)
        yield from report.format_exception_only()
        yield repr(link)
        for frame in report.stack:
            if frame.filename.startswith(OURS) and frame.locals:
                yield from (f"{frame.name}: {name}={value}" for name, value in frame.locals.items())
        link = link.__cause__ or link.__context__


def assert_hidden(error: BaseException) -> None:
    lines = list(shown(error))
    assert [line for line in lines for planted in PLANTED if planted in line] == []


class Broken(Exception):
    """What fails."""


def broken(*_args: object, **_kwargs: object) -> Any:
    raise Broken


CALLS: dict[str, Callable[[AuthSite, dict[str, Any]], object]] = {
    "login": lambda site, environ: site.auth.login(environ, "Ada", TYPED),
    "authenticate": lambda site, environ: site.auth.authenticate(environ, "Ada", TYPED),
    "register": lambda site, environ: site.auth.register(environ, "Bob", TYPED),
    "delete_account": lambda site, environ: site.auth.delete_account(environ, TYPED),
    "confirm": lambda site, environ: site.auth.confirm(environ, TYPED),
    "change_password": lambda site, environ: site.auth.change_password(environ, TYPED, FRESH),
    "reset_password": lambda site, environ: site.auth.reset_password(environ, issued(site), FRESH),
    "reset_token": lambda site, environ: site.auth.reset_token(environ, "Ada"),
}


def issued(site: AuthSite) -> str:
    return str(site.auth.reset_token(site.manager, "Ada"))


FAILURES: dict[str, Callable[[AuthSite, pytest.MonkeyPatch], object]] = {
    "find_by_key": lambda site, _patch: site.users.broken.update(find_by_key=StoreUnavailable("down")),
    "add": lambda site, _patch: site.users.broken.update(add=StoreUnavailable("down")),
    "delete": lambda site, _patch: site.users.broken.update(delete=StoreUnavailable("down")),
    "verify": lambda site, patch: patch.setattr(site.hasher, "verify", broken),
    "hash": lambda site, patch: patch.setattr(site.hasher, "hash", broken),
    "argon2": lambda _site, patch: argon2_fails(patch),
    "where": lambda site, patch: patch.setattr(site.manager._site, "_client_address", broken),
    "set_password": lambda site, _patch: site.users.broken.update(set_password=Broken()),
    "policy": lambda site, patch: patch.setattr(type(site.auth.policy), "_check_alone", broken),
    "get": lambda site, _patch: site.users.broken.update(get=StoreUnavailable("down")),
    "spend": lambda _site, patch: patch.setattr(MemoryStore, "delete", broken),
    "issue": lambda _site, patch: patch.setattr(MemoryStore, "create", broken),
    "end": lambda _site, patch: patch.setattr(MemoryStore, "owned_by", broken),
    "renew": lambda _site, patch: patch.setattr(MemoryStore, "replace", broken),
}


#: Which failures each call runs into.
MET = {
    "login": {"find_by_key", "verify", "argon2", "where", "set_password"},
    "authenticate": {"find_by_key", "verify", "argon2", "where", "set_password"},
    "register": {"add", "hash", "argon2", "where", "policy"},
    "delete_account": {"find_by_key", "delete", "verify", "argon2", "where"},
    "change_password": {"find_by_key", "get", "verify", "hash", "argon2", "where", "set_password", "policy", "end"}
    | {"renew"},
    "reset_password": {"get", "hash", "argon2", "where", "set_password", "policy", "spend", "end"},
    "reset_token": {"find_by_key", "where", "issue"},
}


def argon2_fails(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(argon2.PasswordHasher, "verify", broken)
    patch.setattr(argon2.PasswordHasher, "hash", broken)


@pytest.mark.parametrize(("name", "failure"), [(name, failure) for name in MET for failure in sorted(MET[name])])
def test_whatever_fails_shows_no_password(monkeypatch: pytest.MonkeyPatch, name: str, failure: str) -> None:
    """In no frame from the public method down, and in no error on the way."""
    site = AuthSite(hasher=Argon2Hasher(2, 8, 1))
    site.users.add("ada", "Ada", STORED, {})
    browser = site.logged_in("Ada") if name in ("delete_account", "change_password") else site.browser()
    monkeypatch.setattr(secrets, "token_urlsafe", lambda size: TOKEN)

    def act(environ: dict[str, Any]) -> None:
        with monkeypatch.context() as patch:
            FAILURES[failure](site, patch)
            with pytest.raises((Broken, StoreUnavailable)) as raised:
                CALLS[name](site, environ)
        site.users.broken.clear()
        assert_hidden(raised.value)

    browser.do(act)


FAILS = "ON sessionware_users BEGIN SELECT RAISE(ABORT, 'full'); END"


def test_a_table_of_accounts_that_fails_shows_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is to be stored, replaced or read."""
    users = SQLiteUsers(tmp_path / "users.db")
    site = AuthSite(users, Argon2Hasher(2, 8, 1))
    users.add("ada", "Ada", HiddenText(STORED), {})
    with closing(sqlite3.connect(tmp_path / "users.db")) as database, database:
        database.execute("UPDATE sessionware_users SET key_rule = 99")
        database.execute(f"CREATE TRIGGER one BEFORE INSERT {FAILS}")

    def act(environ: dict[str, Any]) -> None:
        for call in (CALLS["login"], CALLS["register"]):
            with pytest.raises(StoreUnavailable) as raised:
                call(site, environ)
            assert_hidden(raised.value)
        with closing(sqlite3.connect(tmp_path / "users.db")) as database, database:
            database.execute("UPDATE sessionware_users SET key_rule = 1")
            database.execute(
                "CREATE TRIGGER never BEFORE UPDATE ON sessionware_users BEGIN SELECT RAISE(ABORT, ''); END"
            )
        user = users.find_by_key("ada")
        assert user is not None
        with pytest.raises(StoreUnavailable) as raised:
            users.set_password(user.id, user.password_hash, expect=user.password_hash, ends_sessions=True)
        assert_hidden(raised.value)

    site.browser().do(act)


REFUSED: dict[str, Callable[[AuthSite, dict[str, Any]], object]] = {
    "a wrong password": lambda site, environ: site.auth.login(environ, "Ada", TYPED + "!"),
    "a name that is taken": lambda site, environ: site.auth.register(environ, "Ada", TYPED),
    "a name that cannot be": lambda site, environ: site.auth.register(environ, "\u202e", TYPED),
    "a long password": lambda site, environ: site.auth.register(environ, "Bob", TYPED * 40),
    "half a character": lambda site, environ: site.auth.register(environ, "Bob", TYPED + "\ud800"),
    "a password made of the name": lambda site, environ: site.auth.register(environ, TYPED.replace(" ", "."), TYPED),
    "a control character": lambda site, environ: site.auth.register(environ, "Bob", TYPED + "\t"),
    "bytes": lambda site, environ: site.auth.login(environ, "Ada", TYPED.encode()),  # type: ignore[arg-type]
    "a list": lambda site, environ: site.auth.register(environ, "Bob", [TYPED]),  # type: ignore[arg-type]
    "a token that is none": lambda site, environ: site.auth.reset_password(environ, TOKEN, FRESH),
    "a token that is no text": lambda site, environ: site.auth.reset_password(
        environ,
        [TOKEN],  # type: ignore[arg-type]
        FRESH,
    ),
    "a long new password": lambda site, environ: site.auth.reset_password(environ, issued(site), FRESH * 40),
    "nobody who could change it": lambda site, environ: site.auth.change_password(environ, TYPED, FRESH),
    "nobody is logged in": lambda site, environ: site.auth.delete_account(environ, TYPED),
    "data that is not JSON": lambda site, environ: site.auth.register(environ, "Bob", TYPED, data={"x": {1}}),
    "no session": lambda site, _environ: site.auth.login({}, "Ada", TYPED),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_no_refusal_shows_a_password(call: Callable[[AuthSite, dict[str, Any]], object]) -> None:
    """Whether the visitor or the program made the mistake."""
    site = AuthSite()
    site.users.add("ada", "Ada", STORED, {})

    def act(environ: dict[str, Any]) -> None:
        with pytest.raises(Exception) as raised:  # noqa: PT011
            call(site, environ)
        assert_hidden(raised.value)

    site.browser().do(act)


@pytest.mark.parametrize(
    "call",
    [
        lambda: hash_password(TYPED),
        lambda: verify_password(STORED, TYPED),
        lambda: verify_password(STORED, None),  # type: ignore[arg-type]
        lambda: validate_password(TYPED + "\t"),
        lambda: validate_password(TYPED + "\ud800"),
        lambda: CHEAP.hash(TYPED + "\ud800"),
        lambda: CHEAP.verify(STORED, TYPED.encode()),  # type: ignore[arg-type]
    ],
)
def test_the_plain_functions_show_none(monkeypatch: pytest.MonkeyPatch, call: Callable[[], object]) -> None:
    """Neither what was typed nor what is stored."""
    argon2_fails(monkeypatch)
    with pytest.raises((Broken, PasswordRejected, TypeError)) as raised:
        call()

    assert_hidden(raised.value)


def test_a_failing_verify_legacy_shows_none() -> None:
    """What it raised is an event, and not a part of the refusal."""

    def fail(stored: str, password: str) -> bool:
        raise ValueError(f"{password} {stored}")

    site = AuthSite()
    site.users.add("ada", "Ada", "old$" + TYPED, {})
    site.auth = Auth(site.users, hasher=site.hasher, verify_legacy=fail)
    with pytest.raises(LoginFailed) as raised:
        site.auth.authenticate(site.manager, "Ada", TYPED)

    assert_hidden(raised.value)
    assert TYPED not in repr(site.events)


@pytest.mark.parametrize(
    "part", ["weakness.plain", "weakness.cores", "reduction.pieces", "weakness.common", "policy.weakness"]
)
def test_a_failing_search_for_weaknesses_shows_no_part_of_it(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Nor what was made of it to be looked up."""
    monkeypatch.setattr(f"sessionware.auth.policy.{part}", broken)
    with pytest.raises(Broken) as raised:
        validate_password(TYPED)

    assert_hidden(raised.value)
    assert not any("lanterns" in line or "drift" in line for line in shown(raised.value))


def test_a_failing_check_for_breaches_shows_none() -> None:
    """What it raised is an event, and neither its text nor its frames go on."""

    def fail(password: str) -> bool:
        raise ValueError(password)

    site = AuthSite(policy=PasswordPolicy(breached=fail))
    site.auth.register(site.manager, "Ada", TYPED, login=False)

    assert TYPED not in repr(site.events)
    (event,) = site.told("policy.unavailable")
    assert "raised ValueError in fail" in event.detail


def test_a_check_for_breaches_that_hangs_shows_none() -> None:
    """In the frames of its thread, whoever looks at them, but for the function's own."""
    over, inside = threading.Event(), threading.Event()

    def hang(password: str) -> bool:
        inside.set()
        return not over.wait(30)

    policy = PasswordPolicy(breached=hang, breached_timeout=0.02)
    policy.validate(TYPED, on_unavailable=lambda why: None)
    assert inside.wait(10)
    lines = [
        f"{frame.f_code.co_name}: {frame.f_locals!r}"
        for frame in sys._current_frames().values()
        for frame in (each for each, _ in walk_stack(frame))
        if frame.f_code.co_filename.startswith(OURS)
    ]
    over.set()

    assert any(line.startswith("_answer: ") for line in lines)
    assert [line for line in lines if TYPED in line] == []


def test_the_search_finds_what_is_shown() -> None:
    """A frame of ours that shows a password is found, or the tests above prove nothing."""

    def of_ours(password: str) -> None:
        raise Broken

    code = of_ours.__code__.replace(co_filename=f"{OURS}/auth/auth.py")
    of_ours.__code__ = code
    with pytest.raises(Broken) as raised:
        of_ours(TYPED)

    with pytest.raises(AssertionError):
        assert_hidden(raised.value)


def test_what_is_hidden_says_so() -> None:
    """Printed, in a container, or as a part of a text."""
    hidden = Hidden(TYPED)

    assert TYPED not in f"{hidden} {hidden!r} {[hidden]} {(hidden,)}"
    assert hidden.value == TYPED
