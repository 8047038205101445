"""Accounts in databases: `SQLUsers` on real servers, and in SQLite through SQLAlchemy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pymysql
import pytest
import sqlalchemy

from sessionware import ConfigError, StoreUnavailable, UsernameTaken
from sessionware._hidden import HiddenText
from sessionware.auth import SQLUsers, Users
from sessionware.testing import UsersContract
from sessionware.testing.races import race
from sessionware.usernames import KEY_RULE
from tests.auth.test_hidden_passwords import assert_hidden, shown
from tests.servers.matrix import IS_WHOLE, in_whole_matrix
from tests.servers.places import KINDS, Place, new_place
from tests.servers.server_users_contract import ServerUsersContract
from tests.support import database_servers as servers
from tests.support.auth_kit import CHEAP, PASSWORD, AuthSite


class OnAServer(ServerUsersContract):
    """The contract, on one database for all of its tests."""

    __test__ = False
    server: Any
    database: str
    driver: str
    options = ""

    @pytest.fixture(autouse=True)
    def _empty(self, request: pytest.FixtureRequest) -> Iterator[None]:
        cls = type(self)
        if "database" not in vars(cls):
            cls.server, cls.database = self.new_database(request)
            cls.address = cls.server.address
            SQLUsers(self.server.url(self.database, self.driver) + self.options)
        self.opened: list[SQLUsers] = []
        self.empty(request)
        yield
        for users in self.opened:
            users.close()

    def new_database(self, request: pytest.FixtureRequest) -> tuple[Any, str]:
        """The server, and an empty database in it."""
        server = request.getfixturevalue("postgres")
        return server, server.new_database()

    def empty(self, request: pytest.FixtureRequest) -> None:
        self.server.execute("DELETE FROM sessionware_users", self.database)

    def make_users_at(self, host: str, port: int) -> Users:
        own = "{}:{}".format(*self.server.address)
        url = self.server.url(self.database, self.driver).replace(own, f"{host}:{port}")
        users = SQLUsers(url + self.options)
        self.opened.append(users)
        return users


class TestPostgreSQL(OnAServer):
    __test__ = True
    driver = "psycopg"


@in_whole_matrix
class TestPostgreSQLRepeatableRead(TestPostgreSQL):
    level = "repeatable read"

    def new_database(self, request: pytest.FixtureRequest) -> tuple[Any, str]:
        server, name = super().new_database(request)
        server.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = '{self.level}'")
        return server, name


@in_whole_matrix
class TestPostgreSQLSerializable(TestPostgreSQLRepeatableRead):
    level = "serializable"


@in_whole_matrix
class TestPgBouncer(TestPostgreSQL):
    options = "?prepare_threshold=none"

    def new_database(self, request: pytest.FixtureRequest) -> tuple[Any, str]:
        return request.getfixturevalue("pgbouncer"), request.getfixturevalue("postgres").new_database()

    def empty(self, request: pytest.FixtureRequest) -> None:
        request.getfixturevalue("postgres").execute("DELETE FROM sessionware_users", self.database)


class TestMariaDB(OnAServer):
    __test__ = True
    driver = "pymysql"

    def new_database(self, request: pytest.FixtureRequest) -> tuple[Any, str]:
        server = request.getfixturevalue("mariadb")
        return server, server.new_database()


@in_whole_matrix
class TestMariaDBThatCutsOff(TestMariaDB):
    """A connection that is not strict, and whose character set has no letters but Western ones."""

    options = "?charset=latin1&sql_mode=NO_ENGINE_SUBSTITUTION"


@in_whole_matrix
class TestMySQLClient(TestMariaDB):
    driver = "mysqldb"


class TestSQLite(UsersContract):
    @pytest.fixture(autouse=True)
    def _directory(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
        with new_place("sqlite", request, tmp_path) as self.place:
            yield

    def make_users(self) -> Users:
        return self.place.users()


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with new_place(request.param, request, tmp_path) as place:
        yield place


# processes

ADDS = """
import sys
from sessionware import UsernameTaken
from sessionware.auth import SQLUsers

users = SQLUsers(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(10):
    try:
        users.add(f"ada{number}", f"Ada {number}", "hash", {})
        print(number)
    except UsernameTaken:
        pass
"""


def test_of_many_processes_that_add_one_key_at_once_one_wins(place: Place) -> None:
    """Those of a server, say, that all make the table, too."""
    command = [sys.executable, "-c", ADDS, place.url]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    won = [int(line) for process in processes for line in process.communicate(timeout=60)[0].split()]

    assert sorted(won) == list(range(10))
    assert [process.returncode for process in processes] == [0] * len(processes)


# what is counted


def test_a_change_that_changes_nothing_is_made_all_the_same(place: Place) -> None:
    """Whether the connections of an application's engine count rows that were found, or those that were changed."""
    engine = place.engine()
    if place.kind == "mariadb":
        arguments = {"host": place.server.host, "port": place.server.port, "user": servers.ROLE}
        connect = lambda: pymysql.connect(**arguments, password=servers.PASSWORD, database=place.name)  # noqa: E731
        engine = place.engine(creator=connect)
    users = place.users(engine)
    ada = users.add("ada", "Ada", "one", {})
    users.set_active(ada.id, True)

    assert users.set_active(ada.id, True) is True
    assert users.set_password(ada.id, "one", expect="one", ends_sessions=False) is True
    assert users.set_password(ada.id, "two", expect="two", ends_sessions=False) is False
    assert users.set_password(ada.id, None, expect=None, ends_sessions=False) is False
    assert users.set_active("0" * 32, True) is False
    assert users.set_password("0" * 32, "one", expect="one", ends_sessions=False) is False
    assert users.get(ada.id) == ada


# what somebody else wrote


def test_every_account_says_by_which_rule_its_key_was_made(place: Place) -> None:
    """And one of a rule that this release does not know is neither let in nor taken for missing."""
    users = place.users()
    ada, bob = users.add("ada", "Ada", None, {}), users.add("bob", "Bob", None, {})
    place.execute(f"UPDATE sessionware_users SET key_rule = {KEY_RULE + 1}")
    users.rename(bob.id, "robert", "Robert")

    rules = place.execute("SELECT key_rule FROM sessionware_users ORDER BY username")
    assert rules == [(KEY_RULE + 1,), (KEY_RULE,)]
    with pytest.raises(StoreUnavailable, match="install the release"):
        users.find_by_key("ada")
    with pytest.raises(StoreUnavailable):
        users.get(ada.id)
    with pytest.raises(UsernameTaken):
        users.add("ada", "Ada", None, {})


DAMAGE = {
    "postgresql": ["data = 'no json'", "data = '[1]'", "data = '\"x\"'"],
    "mariadb": ["data = 'no json'", "data = x'ff'", "data = '[]'", "username = x'ff'", "is_active = 7"],
    "sqlite": ["data = 'no json'", "data = x'ff'", "data = 7.5", "is_active = 'no'", "session_version = 'x'"],
}


def test_damaged_account_is_neither_a_stranger_nor_an_error_of_the_programs(place: Place) -> None:
    """It says which account, and others are not affected."""
    users = place.users()
    for number, damage in enumerate(DAMAGE[place.kind]):
        ada, eve = (users.add(f"{key}{number}", key, STORED, {}) for key in ("ada", "eve"))
        place.execute(f"UPDATE sessionware_users SET {damage} WHERE id = '{ada.id}'")

        for call in (partial(users.get, ada.id), partial(users.find_by_key, ada.key)):
            with pytest.raises(StoreUnavailable, match=f"{ada.id}.*damaged") as raised:
                call()
            assert_hidden(raised.value)
        assert users.get(eve.id) == eve


# what is shown

STORED = CHEAP.hash(PASSWORD)


def test_no_failure_shows_a_hash_or_what_people_gave(place: Place) -> None:
    """In no frame below that of the call, and no message of an error and its causes: servers quote what they refuse."""
    users, hash = place.users(), HiddenText(STORED)
    ada, bob = (users.add(key, key, hash, {}) for key in ("ada", "bob"))
    given = {"email": "ada@example.org"}
    for call in (lambda: users.add("ada", "Ada", hash, given), lambda: users.rename(bob.id, "ada", "Ada")):
        with pytest.raises(UsernameTaken) as taken:
            call()
        assert_nothing_shown(taken.value)
        assert taken.value.__cause__ is taken.value.__context__ is None
    refuse(place)
    for call in (
        lambda: users.add("eve", "Eve", hash, given),
        lambda: users.set_password(ada.id, hash, expect=hash, ends_sessions=True),
    ):
        with pytest.raises(StoreUnavailable) as raised:
            call()
        assert_nothing_shown(raised.value)


def assert_nothing_shown(error: BaseException) -> None:
    lines = [line for line in shown(error) if not line.startswith("add: data=")]  # what the application passes in
    assert [line for line in lines if "$argon2id$" in line or "@example.org" in line] == []


def refuse(place: Place) -> None:
    """Have every change refused, as by a rule that an administrator has added."""
    if place.kind == "sqlite":
        for what in ("INSERT", "UPDATE"):
            place.execute(
                f"CREATE TRIGGER no_{what} BEFORE {what} ON sessionware_users BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        return
    if place.kind == "postgresql":  # whose error quotes the whole row
        place.execute("ALTER TABLE sessionware_users ADD CONSTRAINT never CHECK (session_version < 0) NOT VALID")
        return
    for what in ("INSERT", "UPDATE"):
        place.execute(
            f"CREATE TRIGGER no_{what} BEFORE {what} ON sessionware_users FOR EACH ROW "
            "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = NEW.password_hash"
        )


def test_a_table_shows_no_password_of_the_database(place: Place) -> None:
    """Its repr says where it is."""
    shown = repr(place.users())

    assert servers.PASSWORD not in shown
    assert shown.startswith("<SQLUsers ")


# as part of a site


def test_people_register_log_in_and_get_new_hashes(place: Place) -> None:
    """The whole way through `Auth`, with the sessions in the same database, on the application's engine."""
    engine = place.engine()
    site = AuthSite(place.users(engine), store=place.store(engine))
    browser = site.browser()
    browser.do(lambda environ: site.auth.register(environ, "Zo\u00eb", PASSWORD))
    assert browser.who() == "Zo\u00eb"
    other = site.logged_in("ZO\u00cb")
    site.hasher.behind = type(CHEAP)(time_cost=2, memory_cost=8, parallelism=1)
    newer = site.logged_in("zoe\u0308")

    user = site.users.find_by_key("zo\u00eb")
    assert ",t=2," in user.password_hash
    assert [each.who() for each in (browser, other, newer)] == ["Zo\u00eb"] * 3
    site.users.set_password(user.id, CHEAP.hash(PASSWORD + "!"), expect=user.password_hash, ends_sessions=True)
    assert [each.who() for each in (browser, other, newer)] == [None] * 3


def test_of_16_visitors_who_register_one_name_at_once_one_gets_it(place: Place) -> None:
    """The others are told so. Nobody's session is somebody else's."""
    site = AuthSite(place.users(), store=place.store(), throttle=None)

    def register(number: int) -> str | None:
        browser = site.browser()
        try:
            browser.do(lambda environ: site.auth.register(environ, "Ada", f"{PASSWORD} {number}"))
        except UsernameTaken:
            assert browser.who() is None
            return None
        return browser.who()

    assert sorted(race(register, range(16)), key=str) == ["Ada", *[None] * 15]


# settings


@pytest.mark.parametrize("charset", ["gbk", *(["big5", "sjis", "cp932"] if IS_WHOLE else [])])
@pytest.mark.parametrize("way", ["url", "engine", "creator", "init_connect"])
def test_a_name_never_ends_a_text_in_the_statement(mariadb: servers.MariaDB, charset: str, way: str) -> None:
    """In some character sets, the backslash that escapes a quote is half of a letter. None of them is used."""
    name = mariadb.new_database()
    url = mariadb.url(name)
    engine = sqlalchemy.create_engine(f"{url}?charset={charset}")
    if way == "creator":
        given: dict[str, Any] = {"host": mariadb.host, "port": mariadb.port, "user": servers.ROLE, "database": name}
        connect = partial(pymysql.connect, password=servers.PASSWORD, charset=charset, **given)
        engine = sqlalchemy.create_engine("mysql+pymysql://", creator=connect)
    where = {"url": f"{url}?charset={charset}", "init_connect": url}.get(way, engine)
    mariadb.execute(f"SET GLOBAL init_connect = '{f'SET NAMES {charset}' if way == 'init_connect' else ''}'")
    try:
        users = SQLUsers(where)
        users.add("ann", "ann", "hash", {})

        for letter in "\u20ac\u4f60\u8868\u30bd\u00e4":
            for name in (f"{letter}' or 1=1 limit 1 -- ", f"{letter}'or(1)#"):
                assert users.find_by_key(name) is None
                added = users.add(name, name, "hash", {"of": name})
                assert users.find_by_key(name) == added
        assert users._database.rows("SELECT @@character_set_client")[0][0] == "utf8mb4"
        users.close()
    finally:
        mariadb.execute("SET GLOBAL init_connect = ''")
        engine.dispose()


def test_a_database_that_cannot_write_every_name_is_refused(postgres: servers.Postgres) -> None:
    """An encoding without letters of other alphabets would let some people register, and fail for others."""
    name = f"{postgres.new_database()}_latin"
    postgres.execute(f"CREATE DATABASE {name} OWNER {servers.ROLE} ENCODING latin1 LOCALE 'C' TEMPLATE template0")

    with pytest.raises(ConfigError, match=r"LATIN1.*UTF8"):
        SQLUsers(postgres.url(name))


def test_a_closed_table_opens_again_when_it_is_used(place: Place) -> None:
    """Closing is for tidy programs, not a trap."""
    users = place.users()
    ada = users.add("ada", "Ada", "hash", {})
    users.close()

    assert users.get(ada.id) == ada


def test_ddl_makes_what_the_table_makes_itself(place: Place) -> None:
    """It knows the table for its own, and uses it."""
    with place.engine().begin() as connection:
        for statement in SQLUsers.ddl(place.kind):
            connection.exec_driver_sql(statement)
    users = place.users(create_table=False)

    ada = users.add("ada", "Ada", None, {})
    assert users.get(ada.id) == ada


def test_ddl_knows_its_dialects() -> None:
    """And says which."""
    with pytest.raises(ConfigError, match=r"postgresql.*mariadb.*sqlite"):
        SQLUsers.ddl("oracle")
