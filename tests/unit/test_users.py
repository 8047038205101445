"""Tables of accounts: each keeps the contract, and SQLite's also what a file promises."""

from __future__ import annotations

import doctest
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

from sessionware import ConfigError, SQLiteStore, StoreUnavailable, UsernameTaken
from sessionware.auth import MemoryUsers, SQLiteUsers, SQLUsers, User, Users
from sessionware.testing import UsersContract, users_contract
from sessionware.testing.races import race
from sessionware.usernames import KEY_RULE


class TestMemoryUsers(UsersContract):
    def make_users(self) -> Users:
        return MemoryUsers()


class TestSQLiteUsers(UsersContract):
    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.path = tmp_path / "app.db"

    def make_users(self) -> Users:
        return SQLiteUsers(self.path)


@pytest.mark.parametrize("kind", [MemoryUsers, lambda: SQLiteUsers("app.db")], ids=["memory", "sqlite"])
def test_ids_are_random(kind: Callable[[], Users], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """128 bits each in our tables, so that they reveal nothing. A table of somebody's own may count."""
    monkeypatch.chdir(tmp_path)
    users = kind()
    ids = {users.add(f"user{n}", f"user{n}", None, {}).id for n in range(20)}

    assert len(ids) == 20
    assert all(len(bytes.fromhex(id)) == 16 for id in ids)


def test_data_from_a_table_of_ones_own_cannot_be_changed_in_the_hand() -> None:
    """Though that table gives a plain dict."""
    user = User("7", "ada", "Ada", None, data={"n": 1})

    with pytest.raises(TypeError):
        user.data["n"] = 2  # type: ignore[index]
    assert user.data == {"n": 1}


def test_example_of_the_contract_runs() -> None:
    """As its docstring shows it."""
    assert doctest.testmod(users_contract) == (0, 3)


class AddOverwrites(MemoryUsers):
    """A table that does not check whether the key is there."""

    def add(self, key: str, username: str, password_hash: str | None, data: Mapping[str, Any]) -> User:
        self._ids.pop(key, None)
        return super().add(key, username, password_hash, data)


class PasswordIsSetWhateverIsExpected(MemoryUsers):
    """A table that does not compare."""

    def set_password(self, id: str, password_hash: str | None, *, expect: str | None, ends_sessions: bool) -> bool:
        user = self.get(id)
        return user is not None and super().set_password(
            id, password_hash, expect=user.password_hash, ends_sessions=ends_sessions
        )


class DisablingKeepsTheVersion(MemoryUsers):
    """A table whose disabled accounts get their sessions back."""

    def set_active(self, id: str, is_active: bool) -> bool:
        before = self.get(id)
        done = super().set_active(id, is_active)
        if done and before is not None:
            self._by_id[id] = replace(self._by_id[id], session_version=before.session_version)
        return done


class DeletingTwiceIsTrue(MemoryUsers):
    """A table that says yes to everything."""

    def delete(self, id: str) -> bool:
        super().delete(id)
        return True


class CollatesKeys(MemoryUsers):
    """A table that compares keys as databases compare words."""

    def find_by_key(self, key: str) -> User | None:
        return super().find_by_key(_collated(key))

    def add(self, key: str, username: str, password_hash: str | None, data: Mapping[str, Any]) -> User:
        return super().add(_collated(key), username, password_hash, data)


def _collated(key: str) -> str:
    return normalize("NFC", key.casefold().rstrip())


class KeepsWhatCannotBeWritten(MemoryUsers):
    """A table whose names nobody can show."""

    def rename(self, id: str, key: str, username: str) -> bool:
        return super().rename(id, key, username.encode("utf-8", "replace").decode())


class CutsNamesOff(MemoryUsers):
    """A table whose columns are shorter than what they are given."""

    def add(self, key: str, username: str, password_hash: str | None, data: Mapping[str, Any]) -> User:
        user = super().add(key, username[:100], password_hash, data)
        return replace(user, username=username)


class FailsForWhatNobodyHas(MemoryUsers):
    """A table that asks its database for a name that this cannot even read."""

    def find_by_key(self, key: str) -> User | None:
        key.encode()
        return super().find_by_key(key)


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (CutsNamesOff, "test_nothing_is_cut_off"),
        (AddOverwrites, "test_a_key_that_is_there_is_taken"),
        (PasswordIsSetWhateverIsExpected, "test_a_password_that_is_not_what_is_expected_stays"),
        (DisablingKeepsTheVersion, "test_disabling_ends_sessions_for_good"),
        (DeletingTwiceIsTrue, "test_a_deleted_account_is_gone"),
        (KeepsWhatCannotBeWritten, "test_a_name_that_cannot_be_written_is_refused"),
    ],
)
def test_contract_catches_a_table_that_breaks_a_promise(broken: type[Any], test: str) -> None:
    """By the test that is named after it."""
    contract = UsersContract()
    contract.make_users = broken
    with pytest.raises(AssertionError):
        getattr(contract, test)()


def test_contract_catches_a_table_that_fails_for_what_nobody_has() -> None:
    """Here for half of a surrogate pair."""
    contract = UsersContract()
    contract.make_users = FailsForWhatNobodyHas
    with pytest.raises(UnicodeEncodeError):
        contract.test_what_nobody_can_have_names_nobody()


def test_contract_catches_a_table_that_makes_two_keys_one() -> None:
    """Here two people, of whom the second cannot register."""
    contract = UsersContract()
    contract.make_users = CollatesKeys
    with pytest.raises((AssertionError, UsernameTaken)):
        contract.test_keys_are_compared_character_by_character()


def test_nobody_comes_between_the_look_and_the_entry() -> None:
    """In memory a race is over so soon that the contract would hardly notice a gap, so here one thread waits in it."""
    users, both_look = MemoryUsers(), threading.Barrier(2)

    class Key(str):
        def __hash__(self) -> int:
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
def test_what_is_changed_within_data_stays_in_the_hand(kind: str, tmp_path: Path) -> None:
    """Neither the table nor its next reader sees it, so that what is tried out in memory behaves like a database."""
    users: Users = MemoryUsers() if kind == "memory" else SQLiteUsers(tmp_path / "app.db")
    given = {"roles": ["reader"]}
    added = users.add("ada", "Ada", None, given)
    given["roles"].append("given")
    added.data["roles"].append("added")

    reads: list[Callable[[], User | None]] = [lambda: users.get(added.id), lambda: users.find_by_key("ada")]
    for read in reads:
        found = read()
        assert found is not None
        assert dict(found.data) == {"roles": ["reader"]}
        found.data["roles"].append("found")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


def test_accounts_outlast_the_process(path: Path) -> None:
    """Another one that opens the file finds them."""
    user = SQLiteUsers(path).add("ada", "Ada", "hash", {"n": 1})

    assert SQLiteUsers(path).find_by_key("ada") == user


def test_two_that_share_a_file_share_its_names(path: Path) -> None:
    """As processes do: whoever comes second is told, and sees what the first one changed."""
    one, other = SQLiteUsers(path), SQLiteUsers(path)
    user = one.add("ada", "Ada", "hash", {})

    with pytest.raises(UsernameTaken):
        other.add("ada", "Ada", "hash", {})
    other.set_active(user.id, False)
    assert (found := one.get(user.id)) is not None
    assert not found.is_active


def test_accounts_and_sessions_live_in_one_file(path: Path) -> None:
    """Or in two."""
    store, users = SQLiteStore(path), SQLiteUsers(path)
    user = users.add("ada", "Ada", "hash", {})

    assert store.scan() == []
    assert users.find_by_key("ada") == user


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    """It holds password hashes, and what people gave when they registered."""
    SQLiteUsers(path).add("ada", "Ada", "hash", {})

    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_a_closed_table_opens_again_when_it_is_used(path: Path) -> None:
    """Closing is for tidy programs, not a trap."""
    users = SQLiteUsers(path)
    users.add("ada", "Ada", "hash", {})
    users.close()

    assert users.find_by_key("ada") is not None


def test_what_the_medium_cannot_do_is_unavailable(path: Path) -> None:
    """Every method says so, with the cause; none says that there is nobody."""
    users = SQLiteUsers(path)
    users.close()
    path.write_bytes(b"not a database any more" * 1000)

    calls: list[Callable[[], object]] = [
        lambda: users.find_by_key("ada"),
        lambda: users.get("x"),
        lambda: users.add("ada", "Ada", None, {}),
        lambda: users.set_password("x", "y", expect=None, ends_sessions=True),
        lambda: users.set_active("x", False),
        lambda: users.rename("x", "ada", "Ada"),
        lambda: users.delete("x"),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable) as failed:
            call()
        assert failed.value.__cause__ is not None


def test_a_path_that_can_hold_nothing_is_refused(tmp_path: Path) -> None:
    """When the object is built."""
    with pytest.raises(ConfigError):
        SQLiteUsers(tmp_path / "nowhere" / "app.db")
    with pytest.raises(ConfigError, match="MemoryUsers"):
        SQLiteUsers(":memory:")


def test_every_thread_may_use_it(path: Path) -> None:
    """Servers have many."""
    users = SQLiteUsers(path)
    threads = [threading.Thread(target=lambda n=n: users.add(f"user{n}", f"User{n}", None, {})) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert all(users.find_by_key(f"user{n}") for n in range(8))


def test_every_account_says_by_which_rule_its_key_was_made(path: Path) -> None:
    """So that a release with another rule can tell which keys it has to make anew. A renamed account's key is new."""
    users = SQLiteUsers(path)
    ada, bob = users.add("ada", "Ada", None, {}), users.add("bob", "Bob", None, {})
    rules(path, 0)
    users.rename(bob.id, "robert", "Robert")

    assert rules(path) == {ada.id: 0, bob.id: KEY_RULE}


def test_account_of_an_unknown_rule_is_no_stranger(path: Path) -> None:
    """A later release wrote it. This one says so, and neither lets anybody in nor takes the account for missing."""
    users = SQLiteUsers(path)
    ada = users.add("ada", "Ada", "hash", {})
    rules(path, KEY_RULE + 1)

    with pytest.raises(StoreUnavailable, match=f"rule {KEY_RULE + 1}.*install the release"):
        users.find_by_key("ada")
    with pytest.raises(StoreUnavailable):
        users.get(ada.id)
    with pytest.raises(UsernameTaken):
        users.add("ada", "Ada", None, {})


def rules(path: Path, new: int | None = None) -> dict[str, int]:
    """The rule of each account in the file, after setting all to a new one."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if new is not None:
            connection.execute("UPDATE sessionware_users SET key_rule = ?", (new,))
        return dict(connection.execute("SELECT id, key_rule FROM sessionware_users"))


@pytest.mark.parametrize(
    "damage", ["data = 'no json'", "data = x'ff'", "data = 7.5", "is_active = 'no'", "is_active = 7"]
)
def test_damaged_account_is_neither_a_stranger_nor_an_error_of_the_programs(path: Path, damage: str) -> None:
    """It says which account, and others are not affected."""
    users = SQLiteUsers(path)
    users.add("eve", "Eve", None, {})
    ada = users.add("ada", "Ada", None, {})
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE sessionware_users SET {damage} WHERE key = 'ada'")

    with pytest.raises(StoreUnavailable, match=ada.id):
        users.find_by_key("ada")
    with pytest.raises(StoreUnavailable, match="damaged"):
        users.get(ada.id)
    assert users.find_by_key("eve") is not None


@pytest.mark.parametrize("users", [MemoryUsers, None], ids=["memory", "sqlite"])
def test_hash_that_is_not_text_is_refused(users: Any, path: Path) -> None:
    """Such as the bytes that bcrypt makes. Nobody could ever log in to the account."""
    table: Any = users() if users else SQLiteUsers(path)
    ada = table.add("ada", "Ada", "hash", {})

    with pytest.raises(TypeError, match="must be text or None, not bytes"):
        table.add("eve", "Eve", b"hash", {})
    with pytest.raises(TypeError, match="must be text or None, not bytes"):
        table.set_password(ada.id, b"hash", expect="hash", ends_sessions=False)


@pytest.fixture(params=["memory", "sqlite", "sql"])
def any_users(request: pytest.FixtureRequest, path: Path) -> Iterator[Users]:
    """Each of our tables of accounts."""
    if request.param == "memory":
        yield MemoryUsers()
        return
    with closing(SQLiteUsers(path) if request.param == "sqlite" else SQLUsers(f"sqlite+pysqlite:///{path}")) as users:
        yield users


@pytest.mark.parametrize(
    ("key", "username", "hash", "data"),
    [
        ("a" * 513, "Ada", None, {}),
        ("ada", "\U00020b9f" * 129, None, {}),
        ("ada", "Ada", "x" * 8193, {}),
        ("ada", "Ada", None, {"x": "x" * 65_528}),
        ("ada\0", "Ada", None, {}),
        ("ada", "Ada\0", None, {}),
        ("ada", "Ada", "hash\0", {}),
        ("ada", "Ada", "hash\ud800", {}),
    ],
)
def test_every_table_refuses_what_one_of_them_cannot_keep(
    any_users: Users, key: str, username: str, hash: str | None, data: dict[str, Any]
) -> None:
    """So that what works in a test works in production. Nothing is cut off, and nothing of it is shown."""
    users = any_users
    ada = users.add("eve", "Eve", "one", {})

    with pytest.raises(ValueError, match=r"at most|null character|surrogate") as refused:
        users.add(key, username, hash, data)
    if hash is not None:
        with pytest.raises(ValueError, match=r"at most|null character|surrogate"):
            users.set_password(ada.id, hash, expect="one", ends_sessions=True)
    elif not data:
        with pytest.raises(ValueError, match=r"at most|null character"):
            users.rename(ada.id, key, username)

    assert len(str(refused.value)) < 100
    assert users.find_by_key("eve") == ada


def test_every_table_keeps_the_longest_of_each(any_users: Users) -> None:
    """A name of 128 characters among them, in any alphabet, and data with null characters."""
    users = any_users
    longest = "\U00020b9f" * 128
    data = {"x": "\0", "y": "x" * (65_535 - len('{"x": "\\u0000", "y": ""}'))}
    ada = users.add(longest, longest, "x" * 8192, data)

    assert users.find_by_key(longest) == ada
    assert dict(ada.data) == data
