# ruff: noqa: S101  (this is a test suite: it asserts)
"""`UsersContract` tests whether a table of accounts keeps every promise of `sessionware.auth.Users`."""

from __future__ import annotations

from typing import Any

from ..auth.users.base import User, Users
from ..errors import UsernameTaken
from .races import race, raises

THREADS = 32
ROUNDS = 10  # a race is run more than once, because a wrong table may be lucky


class UsersContract:
    """One test for each promise of a table of accounts. Subclass it, say how to make an empty one, and run pytest:

    >>> from sessionware.auth import MemoryUsers
    >>> from sessionware.testing import UsersContract
    >>> class TestMyUsers(UsersContract):
    ...     def make_users(self):
    ...         return MemoryUsers()

    Each test calls `make_users` once and must not find what other tests left.
    """

    def make_users(self) -> Users:
        """A table with nobody in it."""
        raise NotImplementedError("define make_users(self) so that it returns an empty table of accounts")

    # add, find, get

    def test_what_was_added_is_found_by_its_key_and_by_its_id(self) -> None:
        """With everything that was given, active, and at session version 1."""
        users = self.make_users()
        user = users.add("ada", "Ada", "hash", {"email": "ada@example.org", "tags": ["x", 1, None]})

        assert users.find_by_key("ada") == users.get(user.id) == user
        assert (user.key, user.username, user.password_hash) == ("ada", "Ada", "hash")
        assert (user.session_version, user.is_active) == (1, True)
        assert dict(user.data) == {"email": "ada@example.org", "tags": ["x", 1, None]}

    def test_nobody_is_found_by_what_nobody_has(self) -> None:
        """Neither by another key, nor by another spelling of a key, nor by a key in place of an id."""
        users = self.make_users()
        user = users.add("ada", "Ada", "hash", {})

        assert [users.find_by_key(key) for key in ("bob", "Ada", "", "%", user.id)] == [None] * 5
        assert [users.get(id) for id in ("ada", "", user.id.upper() + "0")] == [None] * 3

    def test_keys_are_compared_character_by_character(self) -> None:
        """`username_key` has done what makes two spellings one. A table that goes on, as collations of databases do,
        makes two people one."""
        users = self.make_users()
        keys = (
            "strasse",
            "stra\u00dfe",
            "zoe",
            "zo\u00eb",
            "\u03c3",
            "\u03c2",
            "\u0131",
            "i",
            "\u3042",
            "\u30a2",
            "a" * 128,
        )
        added = {key: users.add(key, key, None, {}) for key in keys}

        assert {key: users.find_by_key(key) for key in keys} == added
        assert users.find_by_key("zoe\u0308") is None
        assert users.find_by_key("zoe ") is None

    def test_a_name_comes_back_as_it_was_typed(self) -> None:
        """In whatever form: it is for people to read."""
        users = self.make_users()
        for number, name in enumerate(("ADA", "Zoe\u0308", "\uff21\uff24\uff21", "\U00020b9f\u91ce")):
            user = users.add(f"key{number}", name, None, {})

            assert (found := users.get(user.id)) is not None
            assert found.username == name

    def test_a_name_that_cannot_be_written_is_refused(self) -> None:
        """One with half of a surrogate pair, which only Python can hold. Nothing is changed."""
        users = self.make_users()
        ada = users.add("ada", "Ada", None, {})

        with raises(ValueError):
            users.add("bob", "Bob\ud800", None, {})
        with raises(ValueError):
            users.rename(ada.id, "bob", "Bob\ud800")
        with raises(TypeError):
            users.add("bob", "Bob", None, {"city": "\ud800"})
        assert (users.find_by_key("ada"), users.find_by_key("bob")) == (ada, None)

    def test_nothing_is_cut_off(self) -> None:
        """What is too long for the table, or has a null character, is refused, unless it comes back whole."""
        users = self.make_users()
        kept: list[tuple[User, str, str | None, dict[str, Any]]] = []
        for number, text in enumerate(("a\0b", "b" * 3_000, "\U00020b9f" * 3_000, "c" * 100_000)):
            cases: list[tuple[str, str | None, dict[str, Any]]] = [
                (f"name{number}", None, {}),
                (f"hash{number}", text, {}),
                (f"data{number}", None, {"x": text}),
            ]
            for key, hash, data in cases:
                username = text if key.startswith("name") else key
                try:
                    kept.append((users.add(key, username, hash, data), username, hash, data))
                except ValueError:
                    assert users.find_by_key(key) is None
            try:
                found = users.find_by_key(users.add(text, "Ada", None, {}).key)
                assert found is not None
                assert found.key == text
            except ValueError:
                assert users.find_by_key(text) is None

        for user, username, hash, data in kept:
            assert (found := users.get(user.id)) is not None
            assert (found.username, found.password_hash, dict(found.data)) == (username, hash, data)

    def test_what_nobody_can_have_names_nobody(self) -> None:
        """Half of a surrogate pair, a null character, more than fits: neither is it found, nor is it a failure."""
        users = self.make_users()
        ada = users.add("ada", "Ada", "one", {})

        for text in ("ada\0", "\0", "ada\ud800", "ada" * 50_000):
            assert users.find_by_key(text) is None
            assert users.get(text) is None
            assert users.set_password(ada.id, "two", expect=text, ends_sessions=True) is False
            assert users.set_password(text, "two", expect="one", ends_sessions=True) is False
            assert users.set_active(text, False) is False
            assert users.rename(text, "bob", "Bob") is False
            assert users.delete(text) is False
        assert users.find_by_key("ada") == ada

    def test_an_account_may_have_no_password(self) -> None:
        """Nobody can log in to it by one."""
        users = self.make_users()
        user = users.add("ada", "Ada", None, {})

        assert users.get(user.id) == user
        assert user.password_hash is None

    def test_ids_are_texts_that_are_given_once(self) -> None:
        """Sessions carry them, so one that is given again would log its new owner in where the old one was."""
        users = self.make_users()
        ids: list[str] = []
        for number in range(20):
            ids.append(users.add(f"user{number}", f"user{number}", None, {}).id)
            users.delete(ids[-1])

        assert [id for id in ids if not isinstance(id, str) or not id] == []
        assert len(set(ids)) == 20

    def test_a_key_that_is_there_is_taken(self) -> None:
        """And the account that has it stays as it is."""
        users = self.make_users()
        user = users.add("ada", "Ada", "hash", {"n": 1})

        with raises(UsernameTaken):
            users.add("ada", "ADA", "other", {"n": 2})
        assert users.find_by_key("ada") == user

    def test_of_many_who_add_one_key_at_once_one_wins(self) -> None:
        """It does not matter which thread. The others learn that it is taken."""
        users = self.make_users()
        for number in range(ROUNDS):
            key = f"ada{number}"

            def add(thread: int, key: str = key) -> User | None:
                try:
                    return users.add(key, f"Ada {thread}", "hash", {})
                except UsernameTaken:
                    return None

            answers = race(add, range(THREADS))
            (winner,) = [user for user in answers if user is not None]

            assert len(answers) == THREADS
            assert users.find_by_key(key) == winner

    def test_data_comes_back_as_json_does(self) -> None:
        """Whatever the medium, and as a copy."""
        users = self.make_users()
        given: dict[str, Any] = {"nested": {"list": [1, 2.5, True, None, "\u00e9\U0001f600"]}, "pair": (1, 2)}
        user = users.add("ada", "Ada", None, given)
        given["nested"]["list"].clear()

        expected = {"nested": {"list": [1, 2.5, True, None, "\u00e9\U0001f600"]}, "pair": [1, 2]}
        assert dict(user.data) == expected
        assert (found := users.get(user.id)) is not None
        assert dict(found.data) == expected

    def test_data_that_is_no_json_is_refused(self) -> None:
        """And nobody is added."""
        users = self.make_users()
        for value in ({1, 2}, b"x", object(), float("nan")):
            with raises(TypeError):
                users.add("ada", "Ada", None, {"x": value})

        assert users.find_by_key("ada") is None

    # set_password

    def test_a_password_is_changed_if_it_is_what_is_expected(self) -> None:
        """The session version goes up only if that is asked for."""
        users = self.make_users()
        user = users.add("ada", "Ada", "one", {"n": 1})

        assert users.set_password(user.id, "two", expect="one", ends_sessions=False) is True
        assert self._state(users, user) == ("two", 1)
        assert users.set_password(user.id, "three", expect="two", ends_sessions=True) is True
        assert self._state(users, user) == ("three", 2)
        assert users.find_by_key("ada") == users.get(user.id)

    def test_a_password_that_is_not_what_is_expected_stays(self) -> None:
        """Somebody else was faster: what they wrote holds, and the version too."""
        users = self.make_users()
        user = users.add("ada", "Ada", "one", {})

        for expect in ("other", None, "", "ONE"):
            assert users.set_password(user.id, "two", expect=expect, ends_sessions=True) is False
        assert self._state(users, user) == ("one", 1)

    def test_having_no_password_can_be_expected(self) -> None:
        """And a password can be taken away."""
        users = self.make_users()
        user = users.add("ada", "Ada", None, {})

        assert users.set_password(user.id, "one", expect="", ends_sessions=True) is False
        assert users.set_password(user.id, "one", expect=None, ends_sessions=True) is True
        assert users.set_password(user.id, None, expect="one", ends_sessions=True) is True
        assert self._state(users, user) == (None, 3)

    def test_the_same_password_can_be_set_to_raise_the_version(self) -> None:
        """Which is how all sessions of an account end."""
        users = self.make_users()
        user = users.add("ada", "Ada", "one", {})

        assert users.set_password(user.id, "one", expect="one", ends_sessions=True) is True
        assert self._state(users, user) == ("one", 2)

    def test_of_many_who_change_a_password_at_once_one_wins(self) -> None:
        """The others expected what is no longer there."""
        users = self.make_users()
        for number in range(ROUNDS):
            user = users.add(f"ada{number}", "Ada", "one", {})

            def change(thread: int, id: str = user.id) -> str | None:
                hash = f"hash {thread}"
                return hash if users.set_password(id, hash, expect="one", ends_sessions=True) else None

            answers = race(change, range(THREADS))
            (winner,) = [hash for hash in answers if hash is not None]

            assert len(answers) == THREADS
            assert self._state(users, user) == (winner, 2)

    # set_active

    def test_disabling_ends_sessions_for_good(self) -> None:
        """The session version goes up, so that enabling the account again does not bring them back."""
        users = self.make_users()
        user = users.add("ada", "Ada", "one", {})

        assert users.set_active(user.id, False) is True
        assert (disabled := users.get(user.id)) is not None
        assert (disabled.is_active, disabled.session_version) == (False, 2)
        assert users.set_active(user.id, True) is True
        assert (enabled := users.get(user.id)) is not None
        assert (enabled.is_active, enabled.session_version) == (True, 2)
        assert users.find_by_key("ada") == enabled

    def test_enabling_what_is_enabled_changes_nothing(self) -> None:
        """Otherwise it would log people out for nothing."""
        users = self.make_users()
        user = users.add("ada", "Ada", "one", {})

        assert users.set_active(user.id, True) is True
        assert users.get(user.id) == user

    # rename

    def test_a_renamed_account_is_found_by_its_new_key_only(self) -> None:
        """Everything else stays except the version, because sessions carry the old name."""
        users = self.make_users()
        user = users.add("ada", "Ada", "one", {"n": 1})

        assert users.rename(user.id, "lovelace", "Lovelace") is True
        assert users.find_by_key("ada") is None
        assert (renamed := users.find_by_key("lovelace")) is not None
        assert (renamed.id, renamed.username, renamed.session_version) == (user.id, "Lovelace", 2)
        assert (renamed.password_hash, renamed.data) == (user.password_hash, user.data)

    def test_an_account_can_be_renamed_to_another_spelling_of_its_name(self) -> None:
        """Its own key is not taken."""
        users = self.make_users()
        user = users.add("ada", "Ada", None, {})

        assert users.rename(user.id, "ada", "ADA") is True
        assert (renamed := users.find_by_key("ada")) is not None
        assert renamed.username == "ADA"

    def test_a_name_that_somebody_has_cannot_be_given_to_another(self) -> None:
        """Neither account changes."""
        users = self.make_users()
        ada, bob = users.add("ada", "Ada", None, {}), users.add("bob", "Bob", None, {})

        with raises(UsernameTaken):
            users.rename(bob.id, "ada", "Ada")
        assert (users.find_by_key("ada"), users.find_by_key("bob")) == (ada, bob)

    def test_a_name_that_was_given_up_is_free(self) -> None:
        """By renaming or by deleting; the new account has nothing of the old one."""
        users = self.make_users()
        old = users.add("ada", "Ada", "one", {"n": 1})
        users.rename(old.id, "lovelace", "Lovelace")
        new = users.add("ada", "Ada", None, {})
        users.delete(new.id)
        newest = users.add("ada", "Ada", None, {})

        assert len({old.id, new.id, newest.id}) == 3
        assert users.find_by_key("ada") == newest

    # delete

    def test_a_deleted_account_is_gone(self) -> None:
        """True for the one call that did it. Other accounts stay."""
        users = self.make_users()
        ada, bob = users.add("ada", "Ada", "one", {}), users.add("bob", "Bob", "two", {})

        assert [users.delete(ada.id), users.delete(ada.id)] == [True, False]
        assert (users.find_by_key("ada"), users.get(ada.id)) == (None, None)
        assert users.get(bob.id) == bob

    def test_what_names_nobody_changes_nothing(self) -> None:
        """Each says False, even where the new name is taken."""
        users = self.make_users()
        ada = users.add("ada", "Ada", "one", {})

        assert users.set_password("0" * 32, "two", expect="one", ends_sessions=True) is False
        assert users.set_active("0" * 32, False) is False
        assert users.rename("0" * 32, "bob", "Bob") is False
        assert users.rename("0" * 32, "ada", "Ada") is False
        assert users.delete("0" * 32) is False
        assert users.find_by_key("ada") == ada

    # User

    def test_an_account_shows_no_hash_and_no_data(self) -> None:
        """It may be printed to logs."""
        users = self.make_users()
        user = users.add("ada", "Ada", "$argon2id$secret", {"email": "ada@example.org"})

        assert "argon2" not in repr(user)
        assert "example.org" not in repr(user)
        assert "Ada" in repr(user)

    def test_an_account_cannot_be_changed_in_the_hand(self) -> None:
        """It is what was read, and only its table can change it. So it can be in a set."""
        users = self.make_users()
        user = users.add("ada", "Ada", None, {"n": 1})

        with raises(AttributeError):
            user.is_active = False  # type: ignore[misc]
        with raises(TypeError):
            user.data["n"] = 2  # type: ignore[index]
        assert users.get(user.id) in {user}

    @staticmethod
    def _state(users: Users, user: User) -> tuple[str | None, int] | None:
        found = users.get(user.id)
        return None if found is None else (found.password_hash, found.session_version)
