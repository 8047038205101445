"""Tables of accounts: each keeps the contract, and SQLite's also what a file promises."""

from __future__ import annotations

import doctest
import stat
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from sessionware import ConfigError, SQLiteStore, StoreUnavailable, UsernameTaken
from sessionware.auth import MemoryUsers, SQLiteUsers, Users
from sessionware.testing import UsersContract, users_contract
from sessionware.testing.races import race


class TestMemoryUsers(UsersContract):
    def make_users(self) -> Users:
        return MemoryUsers()


class TestSQLiteUsers(UsersContract):
    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.path = tmp_path / "app.db"

    def make_users(self) -> Users:
        return SQLiteUsers(self.path)


def test_example_of_the_contract_runs():
    """As its docstring shows it."""
    assert doctest.testmod(users_contract) == (0, 3)


class AddOverwrites(MemoryUsers):
    """A table that does not look whether the key is there."""

    def add(self, key, username, password_hash, data):
        self._ids.pop(key, None)
        return super().add(key, username, password_hash, data)


class PasswordIsSetWhateverIsExpected(MemoryUsers):
    """A table that does not compare."""

    def set_password(self, id, password_hash, *, expect, bump):
        user = self.get(id)
        return user is not None and super().set_password(id, password_hash, expect=user.password_hash, bump=bump)


class DisablingKeepsTheVersion(MemoryUsers):
    """A table whose disabled accounts get their sessions back."""

    def set_active(self, id, is_active):
        before = self.get(id)
        done = super().set_active(id, is_active)
        if done:
            self._by_id[id] = replace(self._by_id[id], version=before.version)
        return done


class DeletingTwiceIsTrue(MemoryUsers):
    """A table that says yes to everything."""

    def delete(self, id):
        super().delete(id)
        return True


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (AddOverwrites, "test_a_key_that_is_there_is_taken"),
        (PasswordIsSetWhateverIsExpected, "test_a_password_that_is_not_what_is_expected_stays"),
        (DisablingKeepsTheVersion, "test_disabling_ends_sessions_for_good"),
        (DeletingTwiceIsTrue, "test_a_deleted_account_is_gone"),
    ],
)
def test_contract_catches_a_table_that_breaks_a_promise(broken, test):
    """By the test that is named after it."""
    contract = UsersContract()
    contract.make_users = broken
    with pytest.raises(AssertionError):
        getattr(contract, test)()


def test_nobody_comes_between_the_look_and_the_entry():
    """In memory a race is over so soon that the contract would hardly notice a gap, so here one thread waits in it."""
    users, both_look = MemoryUsers(), threading.Barrier(2)

    class Key(str):
        def __hash__(self):
            with suppress(threading.BrokenBarrierError):
                both_look.wait(0.1)  # for a second thread, which is not let in meanwhile
            return super().__hash__()

    def add(number: int) -> bool:
        try:
            return bool(users.add(Key("ada"), f"Ada {number}", None, {}))
        except UsernameTaken:
            return False

    assert sum(race(add, range(2))) == 1


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_what_is_changed_within_data_stays_in_the_hand(kind, tmp_path):
    """Neither the table nor the next who reads it has it, so that trials in memory find the same as a database."""
    users = MemoryUsers() if kind == "memory" else SQLiteUsers(tmp_path / "app.db")
    given = {"roles": ["reader"]}
    added = users.add("ada", "Ada", None, given)
    given["roles"].append("given")
    added.data["roles"].append("added")

    for read in (lambda: users.get(added.id), lambda: users.find("ada")):
        found = read()
        assert dict(found.data) == {"roles": ["reader"]}
        found.data["roles"].append("found")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "app.db"


def test_accounts_outlast_the_process(path):
    """Another one that opens the file finds them."""
    user = SQLiteUsers(path).add("ada", "Ada", "hash", {"n": 1})

    assert SQLiteUsers(path).find("ada") == user


def test_two_that_share_a_file_share_its_names(path):
    """As processes do: who comes second is told, and sees what the first one changed."""
    one, other = SQLiteUsers(path), SQLiteUsers(path)
    user = one.add("ada", "Ada", "hash", {})

    with pytest.raises(UsernameTaken):
        other.add("ada", "Ada", "hash", {})
    other.set_active(user.id, False)
    assert (found := one.get(user.id)) is not None
    assert not found.is_active


def test_accounts_and_sessions_live_in_one_file(path):
    """Or in two."""
    store, users = SQLiteStore(path), SQLiteUsers(path)
    user = users.add("ada", "Ada", "hash", {})

    assert store.scan() == []
    assert users.find("ada") == user


def test_the_file_is_for_its_owner_only(path):
    """It holds password hashes, and what people gave when they registered."""
    SQLiteUsers(path).add("ada", "Ada", "hash", {})

    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_a_closed_table_opens_again_when_it_is_used(path):
    """Closing is for tidy programs, not a trap."""
    users = SQLiteUsers(path)
    users.add("ada", "Ada", "hash", {})
    users.close()

    assert users.find("ada") is not None


def test_what_the_medium_cannot_do_is_unavailable(path):
    """Every method says so, with the cause; none says that there is nobody."""
    users = SQLiteUsers(path)
    users.close()
    path.write_bytes(b"no database any more" * 1000)

    calls = [
        lambda: users.find("ada"),
        lambda: users.get("x"),
        lambda: users.add("ada", "Ada", None, {}),
        lambda: users.set_password("x", "y", expect=None, bump=True),
        lambda: users.set_active("x", False),
        lambda: users.rename("x", "ada", "Ada"),
        lambda: users.delete("x"),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable) as failed:
            call()
        assert failed.value.__cause__ is not None


def test_a_path_that_can_hold_nothing_is_refused(tmp_path):
    """When the object is built."""
    with pytest.raises(ConfigError):
        SQLiteUsers(tmp_path / "nowhere" / "app.db")
    with pytest.raises(ConfigError, match="MemoryUsers"):
        SQLiteUsers(":memory:")


def test_every_thread_may_use_it(path):
    """Servers have many."""
    users = SQLiteUsers(path)
    threads = [threading.Thread(target=lambda n=n: users.add(f"user{n}", f"User{n}", None, {})) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert all(users.find(f"user{n}") for n in range(8))
