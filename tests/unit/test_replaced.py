"""A file or directory that is put in the place of a store's while servers run: what is used then, and who is told."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionware import ConfigError, Event, FileStore, Record, SessionManager, SQLiteStore, StoreUnavailable
from sessionware.auth import SQLiteUsers
from sessionware.databases import sqlite as database_module
from sessionware.databases import sqlite_file
from sessionware.stores import file as file_module
from sessionware.stores.base import Store
from sessionware.stores.sqlite import check_exists
from tests.support.fixed import SECRET

NOW = int(time.time())
DEADLINE = 30


def record(number: int = 1, **fields: Any) -> Record:
    return Record(number.to_bytes(16, "big"), 1, NOW + 3600, b"alice".ljust(16), b"payload")._replace(**fields)


def backup(source: Path, target: Path) -> None:
    """As docs/deployment.md says."""
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
    target.chmod(0o600)


@pytest.fixture(params=["sqlite", "file"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second has passed between any two calls."""
    monkeypatch.setattr(database_module, "LOOK_EVERY", -1.0)
    monkeypatch.setattr(file_module, "_LOOK_EVERY", -1.0)


class Place:
    """A store's file or directory, and what can be put there in its stead."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.open: Callable[[Path], Store] = SQLiteStore if kind == "sqlite" else FileStore
        self.kind = kind
        self.path = folder / "sessions"
        self.copy = folder / "copy"

    def back_up(self) -> None:
        if self.kind == "sqlite":
            backup(self.path, self.copy)
        else:
            shutil.copytree(self.path, self.copy)

    def remove(self) -> None:
        if self.kind == "sqlite":
            self.path.unlink()
        else:
            shutil.rmtree(self.path)

    def forget(self) -> None:
        """As one does who wants to begin with an empty one."""
        self.remove()
        if self.kind == "sqlite":
            self.path.with_name("sessions-sessionware").unlink()

    def restore(self) -> None:
        """Behind the back of whoever has it open."""
        self.remove()
        self.copy.rename(self.path)


@pytest.fixture
def place(kind: str, tmp_path: Path) -> Place:
    return Place(kind, tmp_path)


@pytest.mark.usefixtures("look_at_once")
def test_what_is_stored_goes_into_the_file_that_is_there(place: Place) -> None:
    """Nothing that was answered is gone at the restart, and a session that is only in the old file is over."""
    store = place.open(place.path)
    store.create(record(1))
    place.back_up()
    store.create(record(2))
    store.replace(record(1, version=2, payload=b"old file only"))
    place.restore()

    assert store.load(record(2).id, NOW) is None
    assert store.load(record(1).id, NOW) == record(1)
    assert store.create(record(3))
    assert store.delete(record(1).id)

    assert place.open(place.path).scan() == store.scan() == [record(3)]
    assert store.owned_by(record().owner or b"", NOW) == [record(3)]
    assert store.prune(NOW + 4 * 3600) == 1


@pytest.mark.usefixtures("look_at_once")
def test_the_manager_tells_once(place: Place) -> None:
    """As an event, at a page that only reads, with the path."""
    store = place.open(place.path)
    told: list[Event] = []
    SessionManager(SECRET, store, on_event=told.append)
    store.create(record())
    place.back_up()
    place.restore()
    for _ in range(3):
        store.load(record().id, NOW)
        in_thread(lambda: store.load(record().id, NOW))

    assert [event.name for event in told] == ["store.replaced"]
    assert str(place.path) in told[0].detail


@pytest.mark.usefixtures("look_at_once")
def test_the_log_tells_where_there_is_no_manager(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Accounts have none, and neither has a store that a script opens."""
    store = place.open(place.path)
    store.create(record())
    place.back_up()
    place.restore()
    with caplog.at_level(logging.WARNING, "sessionware"):
        store.load(record().id, NOW)
        store.load(record().id, NOW)

    assert [line.split()[0] for line in caplog.messages] == ["store.replaced"]


@pytest.mark.usefixtures("look_at_once")
def test_what_is_gone_is_an_outage_until_it_is_back(place: Place) -> None:
    """Not an empty store: nobody is logged out, and nothing is made in its place."""
    store = place.open(place.path)
    store.create(record())
    place.back_up()
    place.remove()
    for _ in range(2):
        for act in CALLS:
            with pytest.raises(StoreUnavailable):
                act(store)
        assert not place.path.exists()

    place.copy.rename(place.path)
    assert store.load(record().id, NOW) == record()
    assert store.create(record(2))


CALLS: list[Callable[[Store], object]] = [
    lambda store: store.create(record(7)),
    lambda store: store.load(record().id, NOW),
    lambda store: store.replace(record(version=2)),
    lambda store: store.touch(record().id, 1, NOW + 7200),
    lambda store: store.delete(record().id),
    lambda store: store.prune(NOW),
    lambda store: store.owned_by(record().owner or b"", NOW),
    lambda store: store.scan(),
]


@pytest.mark.usefixtures("look_at_once")
def test_what_is_no_store_is_an_outage_and_left_alone(place: Place) -> None:
    """Empty, as while somebody is still copying, or somebody else's: there is nothing in it to look up."""
    store = place.open(place.path)
    store.create(record())
    place.remove()
    if place.kind == "sqlite":
        place.path.touch()
    else:
        place.path.mkdir()
    for act in CALLS:
        with pytest.raises(StoreUnavailable, match=r"(?i)put it back.*restart"):
            act(store)

    assert place.path.stat().st_size == 0 if place.kind == "sqlite" else not list(place.path.iterdir())


def test_a_directory_that_is_gone_is_seen_at_once_by_who_misses_a_session(tmp_path: Path) -> None:
    """Within the second, too: a session that nobody can look up is not a session that is not there."""
    store = FileStore(tmp_path / "sessions")
    store.create(record())
    shutil.rmtree(tmp_path / "sessions")

    with pytest.raises(StoreUnavailable):
        store.load(record().id, NOW)


@pytest.mark.usefixtures("look_at_once")
def test_the_log_of_the_old_database_is_not_applied_to_the_new_one(tmp_path: Path) -> None:
    """SQLite finds it by its name alone. Two servers had it open, and both go on with the new file."""
    path = tmp_path / "sessions.db"
    first, second = SQLiteStore(path), SQLiteStore(path)
    for number in range(200):
        first.create(record(number, payload=b"in the old log"))
    assert len(second.scan()) == 200
    fresh = tmp_path / "fresh.db"
    SQLiteStore(fresh).close()
    fresh.rename(path)

    assert first.scan() == second.scan() == []
    assert second.create(record(1, payload=b"in the new one"))
    assert first.scan() == SQLiteStore(path).scan() == second.scan()
    for store in (first, second):
        store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT payload FROM sessionware_sessions").fetchall() == [(b"in the new one",)]


def test_the_log_of_the_new_database_stays(tmp_path: Path) -> None:
    """Also if the system gives it the number that the old one's had: who has nothing open knows nothing."""
    path, log, fresh, kept = (tmp_path / name for name in ("sessions.db", "sessions.db-wal", "fresh.db", "kept"))
    store = SQLiteStore(path)
    store.create(record(1))
    os.link(log, kept)
    store.close()
    SQLiteStore(fresh).close()
    fresh.rename(path)
    os.truncate(kept, 0)
    kept.rename(log)  # a new log, with the old one's number
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(
            "INSERT INTO sessionware_sessions VALUES (?, 1, ?, ?, NULL, ?)", (bytes(16), 2**40, 2**40, b"new")
        )
        assert log.stat().st_size > 0

        assert [each.payload for each in store.scan()] == [b"new"]
        assert store.create(record(3))
        assert other.execute("SELECT count(*) FROM sessionware_sessions").fetchone() == (2,)
    assert len(SQLiteStore(path).scan()) == 2


@pytest.mark.usefixtures("look_at_once")
def test_a_database_that_comes_back_has_lost_nothing(tmp_path: Path) -> None:
    """Moved away and back, even with a thread that looked in between."""
    path, elsewhere = tmp_path / "sessions.db", tmp_path / "elsewhere.db"
    store = SQLiteStore(path)
    store.create(record(1))
    path.rename(elsewhere)
    with pytest.raises(StoreUnavailable):
        store.scan()
    elsewhere.rename(path)

    assert store.scan() == [record(1)]
    in_thread(lambda: store.create(record(2)))
    assert store.scan() == SQLiteStore(path).scan() == [record(1), record(2)]


@pytest.mark.usefixtures("look_at_once")
def test_a_thread_that_is_new_leaves_the_old_log_alone_too(tmp_path: Path) -> None:
    """It opens the new file while another one still has the old one open, and has not looked yet."""
    path = tmp_path / "sessions.db"
    store = SQLiteStore(path)
    for number in range(100):
        store.create(record(number, payload=b"in the old log"))
    SQLiteStore(tmp_path / "fresh.db").close()
    (tmp_path / "fresh.db").rename(path)

    in_thread(lambda: store.create(record(1)))

    assert store.scan() == [record(1)]
    store.close()
    assert SQLiteStore(path).scan() == [record(1)]


@pytest.mark.usefixtures("look_at_once")
def test_a_database_that_was_moved_away_has_all_that_was_stored(tmp_path: Path) -> None:
    """Also what was in its log only."""
    path, elsewhere = tmp_path / "sessions.db", tmp_path / "elsewhere.db"
    store = SQLiteStore(path)
    store.create(record(1))
    path.rename(elsewhere)
    SQLiteStore(tmp_path / "fresh.db").close()
    (tmp_path / "fresh.db").rename(path)
    assert store.scan() == []

    assert SQLiteStore(elsewhere).scan() == [record(1)]


@pytest.mark.usefixtures("look_at_once")
def test_accounts_are_written_into_the_file_that_is_there(tmp_path: Path) -> None:
    """A registration that was answered is there after the restart."""
    path = tmp_path / "app.db"
    users = SQLiteUsers(path)
    users.add("ann", "ann", None, {})
    backup(path, tmp_path / "copy.db")
    users.add("lost", "lost", None, {})
    (tmp_path / "copy.db").rename(path)

    users.add("bob", "bob", None, {})
    users.close()

    again = SQLiteUsers(path)
    found = [again.find_by_key(key) is not None for key in ("ann", "lost", "bob")]
    assert found == [True, False, True]


@pytest.mark.usefixtures("look_at_once")
def test_a_transaction_stays_with_its_file(tmp_path: Path) -> None:
    """What belongs together is in one file, the old one; what comes after it is in the new one."""
    path, elsewhere = tmp_path / "sessions.db", tmp_path / "elsewhere.db"
    store = SQLiteStore(path)
    backup(path, tmp_path / "copy.db")
    with store._database.transaction():
        store.create(record(1))
        path.rename(elsewhere)
        (tmp_path / "copy.db").rename(path)
        store.create(record(2))
    store.create(record(3))

    assert SQLiteStore(path).scan() == [record(3)]
    assert SQLiteStore(elsewhere).scan() == [record(1), record(2)]


@pytest.mark.usefixtures("look_at_once")
def test_a_namespace_that_the_copy_lacks_is_made_in_it(tmp_path: Path) -> None:
    """As at a start: an older copy is still a store's."""
    store = SQLiteStore(tmp_path / "sessions.db")
    store.create(record())
    backup(tmp_path / "sessions.db", tmp_path / "copy.db")
    sibling = store.namespace("sibling")
    sibling.create(record(2))
    (tmp_path / "copy.db").rename(tmp_path / "sessions.db")

    assert sibling.scan() == []
    assert sibling.create(record(3))
    assert store.scan() == [record()]


@pytest.mark.usefixtures("look_at_once")
def test_a_copy_of_another_release_is_an_outage(tmp_path: Path) -> None:
    """It says which release made it."""
    store = SQLiteStore(tmp_path / "sessions.db")
    backup(tmp_path / "sessions.db", tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection, connection:
        connection.execute("UPDATE sessionware_schemas SET version = 99")
    (tmp_path / "copy.db").rename(tmp_path / "sessions.db")

    with pytest.raises(StoreUnavailable, match="another release"):
        store.load(record().id, NOW)


def test_a_look_at_the_path_is_taken_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By each thread: a page pays for it once in thousands of reads."""
    looks: list[Path] = []
    store = SQLiteStore(tmp_path / "sessions.db")
    store.create(record())
    monkeypatch.setattr(database_module, "files_at", lambda path: (looks.append(path), sqlite_file.files_at(path))[1])
    clock = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    for _ in range(10):
        clock[0] += 0.35
        store.load(record().id, NOW)

    assert len(looks) == 3


SERVER = """
import sys
from sessionware import SQLiteStore, FileStore, SessionManager, Record
store = {kind}({path!r})
SessionManager("{secret}", store, on_event=lambda event: told.append(event.name))
told = []
for line in sys.stdin:
    word, number = line.split()
    id = int(number).to_bytes(16, "big")
    try:
        if word == "create":
            answer = store.create(Record(id, 1, 2**40, b"alice".ljust(16), b"payload"))
        elif word == "delete":
            answer = store.delete(id)
        elif word == "load":
            answer = store.load(id, 0) is not None
        else:
            answer = told
    except Exception as error:
        answer = error
    print(answer, flush=True)
"""


class Server:
    """A process that has the store open, and does what it is asked."""

    def __init__(self, place: Place) -> None:
        program = SERVER.format(kind=place.open.__name__, path=str(place.path), secret=SECRET)
        self._process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, word: str, number: int = 0) -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{word} {number}\n")
        return stdout.readline().strip()

    def close(self) -> None:
        self._process.communicate(timeout=DEADLINE)


@pytest.fixture
def servers(place: Place) -> Iterator[list[Server]]:
    place.open(place.path)
    running = [Server(place), Server(place)]
    yield running
    for server in running:
        server.close()


def test_two_servers_go_on_with_the_same_file(place: Place, servers: list[Server]) -> None:
    """Within a second both have changed over: what one stores or ends, the other sees, and it is there afterwards."""
    one, other = servers
    assert [one.ask("create", 1), other.ask("create", 2), one.ask("load", 2)] == ["True", "True", "True"]
    place.back_up()
    one.ask("create", 3)
    place.restore()

    eventually(lambda: one.ask("told") == other.ask("told") == "['store.replaced']", one, other)
    assert [one.ask("load", 3), other.ask("load", 3)] == ["False", "False"]
    assert [one.ask("create", 4), other.ask("load", 4)] == ["True", "True"]
    assert [other.ask("delete", 1), one.ask("load", 1)] == ["True", "False"]

    assert [int.from_bytes(each.id, "big") for each in place.open(place.path).scan()] == [2, 4]


def test_a_server_that_is_started_where_nothing_is_makes_the_one_that_all_use(
    place: Place, servers: list[Server]
) -> None:
    """The others follow it, and nothing that they have in hand of the old one gets into it."""
    for number in range(1, 100):
        assert servers[0].ask("create", number) == servers[1].ask("load", number) == "True"
    place.forget()
    servers.append(third := Server(place))

    assert third.ask("create", 200) == "True"
    eventually(lambda: [server.ask("load", 200) for server in servers] == ["True"] * 3, *servers)
    assert [server.ask("load", 50) for server in servers] == ["False"] * 3
    assert servers[0].ask("create", 201) == third.ask("load", 201) == "True"

    assert [int.from_bytes(each.id, "big") for each in place.open(place.path).scan()] == [200, 201]


# A start while the database is gone ----------------------------------------------------------------------------------


def test_start_while_the_database_is_gone_is_an_outage_until_it_is_back(tmp_path: Path) -> None:
    """A server that replaces a worker logs nobody out. What to do is in the error, and nobody need restart."""
    path, elsewhere = tmp_path / "app.db", tmp_path / "elsewhere.db"
    before = SQLiteStore(path)
    before.create(record())
    before.close()
    path.rename(elsewhere)

    worker = SQLiteStore(path)
    sibling = worker.namespace("sibling")
    for act in CALLS:
        with pytest.raises(StoreUnavailable, match=r"is gone: put it back.*remove '.*app\.db-sessionware' and restart"):
            act(worker)
    assert not path.exists()

    elsewhere.rename(path)
    assert worker.load(record().id, NOW) == record()
    assert worker.create(record(2))
    assert sibling.scan() == []


def test_start_on_a_copy_that_has_just_begun_makes_no_tables_in_it(tmp_path: Path) -> None:
    """Or on one that failed because the disk was full. They would be empty, and the copy would go on beneath them."""
    path, elsewhere = tmp_path / "app.db", tmp_path / "elsewhere.db"
    SQLiteStore(path).create(record())
    backup(path, elsewhere)
    path.unlink()
    path.touch()

    worker = SQLiteStore(path)
    sibling = worker.namespace("sibling")
    with pytest.raises(StoreUnavailable, match="put it back"):
        worker.scan()
    assert path.stat().st_size == 0

    path.write_bytes(elsewhere.read_bytes())
    assert worker.scan() == [record()]
    assert sibling.scan() == []


def test_names_cannot_be_registered_anew_while_accounts_are_gone(tmp_path: Path) -> None:
    """Not even by a process that was started after the loss, of a database that nobody had used yet."""
    path, elsewhere = tmp_path / "app.db", tmp_path / "elsewhere.db"
    SQLiteUsers(path).close()
    path.rename(elsewhere)

    worker = SQLiteUsers(path)
    with pytest.raises(StoreUnavailable, match="put it back"):
        worker.add("ann", "ann", None, {})

    elsewhere.rename(path)
    assert worker.add("ann", "ann", None, {}).username == "ann"


def test_database_that_comes_back_is_nothing_to_tell(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is no other one than before. That others can read it is told, as at a start."""
    path, elsewhere = tmp_path / "app.db", tmp_path / "elsewhere.db"
    SQLiteStore(path).close()
    path.rename(elsewhere)
    worker = SQLiteStore(path)
    elsewhere.rename(path)
    path.chmod(0o644)
    worker.scan()

    assert [line for line in caplog.messages if "another file" in line] == []
    assert len([line for line in caplog.messages if "app.db" in line]) == 1


def test_whoever_removes_the_mark_begins_anew(tmp_path: Path) -> None:
    """As the error says."""
    path = tmp_path / "app.db"
    SQLiteStore(path).close()
    path.unlink()
    (tmp_path / "app.db-sessionware").unlink()

    assert SQLiteStore(path).create(record())


def test_process_that_was_killed_at_its_first_start_locks_nobody_out(tmp_path: Path) -> None:
    """It has made its mark, which is a lock too, and not yet the database."""
    (tmp_path / "app.db-sessionware").touch()

    assert SQLiteStore(tmp_path / "app.db").create(record())


def test_mark_that_was_copied_alone_locks_nobody_out(tmp_path: Path) -> None:
    """A repository may ignore `*.db` and hold the mark, which says nothing about the place that it is cloned to."""
    (tmp_path / "clone").mkdir()
    SQLiteStore(tmp_path / "app.db").close()
    shutil.copy(tmp_path / "app.db-sessionware", tmp_path / "clone")

    assert SQLiteStore(tmp_path / "clone" / "app.db").create(record())


def test_database_behind_a_link_that_is_gone_is_an_outage(database: Place) -> None:
    """The mark is beside the file itself, and a link to nothing is an error only where there never was one."""
    database.path.resolve().rename(database.copy)
    worker = SQLiteStore(database.path)
    with pytest.raises(StoreUnavailable, match="put it back"):
        worker.scan()

    database.copy.rename(database.path.resolve(strict=False))
    assert worker.scan() == []


def test_look_at_a_database_that_is_gone_leaves_its_log(tmp_path: Path) -> None:
    """A command that is called with its address may not remove what the file needs when it is back."""
    path, log = tmp_path / "app.db", tmp_path / "app.db-wal"
    store = SQLiteStore(path)
    store.create(record())
    path.rename(tmp_path / "elsewhere.db")
    with pytest.raises(ConfigError, match="no such file"):
        check_exists(str(path))

    assert log.stat().st_size > 0


def eventually(is_so: Callable[[], bool], *servers: Server) -> None:
    """Visits go on until this is so."""
    deadline = time.monotonic() + DEADLINE
    while not is_so():
        assert time.monotonic() < deadline
        for server in servers:
            server.ask("load", 1)
        threading.Event().wait(0.05)


def in_thread(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(DEADLINE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_opens_although_another_thread_was_opening(tmp_path: Path) -> None:
    """A lock that was held at the fork is not held for ever in the child."""
    store = SQLiteStore(tmp_path / "sessions.db")
    with database_module._alone_at(tmp_path / "sessions.db"):
        child = os.fork()
        if not child:
            signal.alarm(DEADLINE)
            os._exit(0 if store.scan() == [] else 1)
        assert os.waitpid(child, 0)[1] == 0


def test_an_outage_of_one_file_is_none_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that wait for one database keep nobody from another, and none of them waits behind all the others."""
    one, other = SQLiteStore(tmp_path / "one.db"), SQLiteStore(tmp_path / "other.db")
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 0.01)

    with database_module._alone_at(tmp_path / "one.db"):
        assert other.load(record().id, NOW) is None
        with pytest.raises(StoreUnavailable, match="other threads could not open it either"):
            one.load(record().id, NOW)

    assert one.load(record().id, NOW) is None


# The log beside a database -------------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Place:
    """Behind a link, as deployments have it."""
    place = Place("sqlite", tmp_path)
    (tmp_path / "real").mkdir()
    SQLiteStore(tmp_path / "real" / "sessions.db").close()
    place.path.symlink_to(tmp_path / "real" / "sessions.db")
    return place


def is_sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("has_connection", [True, False])
def test_log_of_a_database_behind_a_link_is_not_applied_to_another(database: Place, has_connection: bool) -> None:
    """SQLite keeps it beside the file itself. Another process had it open, and this one has it open or not."""
    store, server = SQLiteStore(database.path), Server(database)
    for number in range(200):
        assert server.ask("create", number) == "True"
    database.back_up()
    for number in range(200, 400):
        assert server.ask("create", number) == "True"
    if has_connection:
        assert len(store.scan()) == 400

    database.copy.rename(database.path.resolve())
    eventually(lambda: len(store.scan()) == 200)
    assert store.create(record(1000))
    eventually(lambda: server.ask("load", 1000) == "True", server)
    store.close()
    server.close()

    assert is_sound(database.path)
    assert len(SQLiteStore(database.path).scan()) == 201


def test_database_that_was_moved_away_and_back_has_one_log(database: Place) -> None:
    """One process has looked in between, and the other one has not."""
    path, elsewhere = database.path.resolve(), database.path.with_name("elsewhere.db")
    idle, busy = Server(database), Server(database)
    assert [idle.ask("create", 1), busy.ask("create", 2)] == ["True", "True"]
    database.back_up()
    path.rename(elsewhere)
    database.copy.rename(path)
    eventually(lambda: busy.ask("told") == "['store.replaced']", busy)
    path.rename(database.copy)
    elsewhere.rename(path)
    eventually(lambda: busy.ask("told").count("store.replaced") == 2, busy)
    eventually(lambda: idle.ask("create", 3) == busy.ask("load", 3) == "True", busy)

    assert busy.ask("create", 4) == idle.ask("load", 4) == "True"
    idle.close()
    busy.close()
    assert is_sound(path)
    assert {1, 2, 4} <= {int.from_bytes(each.id, "big") for each in SQLiteStore(path).scan()}


def test_log_that_came_with_its_database_stays(database: Place, tmp_path: Path) -> None:
    """A copy of the whole directory, mark and all, of a database that was not closed."""
    server = Server(database)
    for number in range(100):
        assert server.ask("create", number) == "True"
    shutil.copytree(tmp_path / "real", tmp_path / "moved")
    server.close()
    assert (tmp_path / "moved" / "sessions.db-wal").stat().st_size > 0

    assert len(SQLiteStore(tmp_path / "moved" / "sessions.db").scan()) == 100


@pytest.mark.usefixtures("look_at_once")
def test_log_that_somebody_removed_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever still has it open saves what is in it, and goes on with the one that all others use."""
    path = tmp_path / "sessions.db"
    store = SQLiteStore(path)
    store.create(record(1))
    (tmp_path / "sessions.db-wal").unlink()
    (tmp_path / "sessions.db-shm").unlink()

    assert store.scan() == [record(1)]
    assert store.create(record(2))
    assert SQLiteStore(path).scan() == [record(1), record(2)]
    assert [line for line in caplog.messages if "was removed or replaced" in line]


def test_link_to_nothing_is_refused(tmp_path: Path) -> None:
    """When the store is made, and not by each request."""
    (tmp_path / "link.db").symlink_to(tmp_path / "nothing.db")

    with pytest.raises(ConfigError, match="a link to a file that does not exist"):
        SQLiteStore(tmp_path / "link.db")
