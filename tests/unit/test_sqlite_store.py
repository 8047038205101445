"""SQLiteStore and the Database under it: files, threads, forks, failures. The contract is in test_stores.py."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sessionware import ConfigError, Record, SQLiteStore, StoreUnavailable
from sessionware.auth import SQLiteUsers
from sessionware.databases import sqlite as database_module
from sessionware.databases.schema import Schema
from sessionware.databases.sqlite import Database

NOW = int(time.time())
ALICE = b"alice".ljust(16)
NOBODY = 65534
NOTES = Schema("notes", 1, ("CREATE TABLE sessionware_notes (text)",))

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into /proc for open files")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
needs_libc_fork = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks by a call of glibc's")


def record(number: int = 1, **fields: Any) -> Record:
    return Record(number.to_bytes(16, "big"), 1, NOW + 3600, None, b"payload")._replace(**fields)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def store(path: Path) -> SQLiteStore:
    return SQLiteStore(path)


def in_thread(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(30)


def open_files(path: Path) -> int:
    """How often this process has the database open."""
    links = (os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir())
    return sum(link == str(path) for link in links)


@contextmanager
def writer(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody else, who is in the middle of writing."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


# The file


def test_what_was_stored_is_there_after_a_restart(path: Path) -> None:
    """In namespaces, too."""
    first = SQLiteStore(path)
    first.create(record(1))
    first.namespace("sibling").create(record(2))
    first.close()

    assert SQLiteStore(path).scan() == [record(1)]
    assert SQLiteStore(path).namespace("sibling").scan() == [record(2)]


def test_a_closed_store_opens_again(store: SQLiteStore) -> None:
    """`close` is for putting the file away, not the end of the object."""
    store.create(record())
    store.close()

    assert store.load(record().id, NOW) == record()


def test_only_its_owner_reads_the_file(store: SQLiteStore, path: Path) -> None:
    """Mode 0600 for the database and for the files that SQLite and we make beside it."""
    store.create(record())

    files = list(path.parent.iterdir())
    assert len(files) == 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_relative_path_means_the_directory_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that goes to another directory later does not get an empty store there."""
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("sessions.db")
    store.create(record())
    monkeypatch.chdir("/")

    in_thread(lambda: store.create(record(2)))

    assert store.scan() == [record(1), record(2)]


@pytest.mark.parametrize("name", ["with space?&#%.db", "ünï.db", "percent%20.db", "sessions.db?mode=memory"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    """Nothing in it means anything to SQLite."""
    SQLiteStore(tmp_path / name).create(record())

    assert (tmp_path / name).stat().st_size > 0
    assert SQLiteStore(str(tmp_path / name)).scan() == [record()]


@pytest.mark.parametrize("path", ["", ":memory:"])
def test_a_database_in_memory_is_refused(path: str) -> None:
    """Each thread would have its own: MemoryStore is what is wanted."""
    with pytest.raises(ConfigError, match=r"or use MemoryStore\(\)"):
        SQLiteStore(path)


def test_a_missing_directory_is_a_mistake(tmp_path: Path) -> None:
    """It is named, and not made: a wrong path should not look like an empty store."""
    with pytest.raises(ConfigError, match=f"create the directory '{tmp_path}/nowhere' first"):
        SQLiteStore(tmp_path / "nowhere" / "sessions.db")


def test_a_directory_is_not_a_database(tmp_path: Path) -> None:
    """The file's name was forgotten."""
    with pytest.raises(ConfigError, match="is a directory: give the path of a file in it"):
        SQLiteStore(tmp_path)


def test_a_file_of_something_else_is_refused_and_left_alone(path: Path) -> None:
    """Whatever it is, somebody needs it."""
    path.write_text("Dear diary, today I " * 100)

    with pytest.raises(ConfigError, match="is not an SQLite database: give another path"):
        SQLiteStore(path)
    assert path.read_text().startswith("Dear diary")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE sessionware_sessions (id INTEGER PRIMARY KEY, what TEXT)",
        "CREATE TABLE sessionware_schemas (name TEXT, release TEXT)",
        "CREATE TABLE sessionware_schemas (what)",
        "CREATE VIEW sessionware_sessions AS SELECT 1 AS id",
        "CREATE TABLE notes (text); CREATE INDEX sessionware_sessions$$owner ON notes (text)",
    ],
)
def test_a_table_of_somebody_else_that_has_our_name_is_refused_and_left_alone(path: Path, statement: str) -> None:
    """It is named; nothing is made beside it."""
    with closing(sqlite3.connect(path)) as owner:
        owner.executescript(statement)
        before = owner.execute("SELECT name, sql FROM sqlite_master").fetchall()

    with pytest.raises(ConfigError, match="is not what sessionware made: give the path of another file"):
        SQLiteStore(path)
    with closing(sqlite3.connect(path)) as owner:
        assert owner.execute("SELECT name, sql FROM sqlite_master").fetchall() == before


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE sessionware_sessions",
        "ALTER TABLE sessionware_sessions RENAME COLUMN owner TO somebody",
        "ALTER TABLE sessionware_sessions ADD COLUMN more",
    ],
)
def test_a_table_that_was_changed_is_a_mistake_at_the_start(path: Path, statement: str) -> None:
    """And not an outage of every page."""
    SQLiteStore(path).close()
    with closing(sqlite3.connect(path)) as vandal:
        vandal.execute(statement)

    with pytest.raises(ConfigError, match=r"'sessionware_sessions' .* is not what sessionware made"):
        SQLiteStore(path)


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o640])
def test_a_file_that_others_can_read_is_a_warning(path: Path, caplog: pytest.LogCaptureFixture, mode: int) -> None:
    """One, with the command to run; it works all the same. Accounts in the same file do not repeat it."""
    path.touch()
    path.chmod(mode)
    with caplog.at_level(logging.WARNING, "sessionware"):
        SQLiteStore(path).create(record())
        SQLiteStore(path)
        SQLiteUsers(path)

    assert len(caplog.messages) == 1
    assert f"mode {mode:04o}" in caplog.messages[0]
    assert caplog.messages[0].endswith(f"Run: chmod 600 {path}")


def test_a_log_that_others_can_read_is_a_warning(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """SQLite made it when the file was open to others, and it does not become a secret with the file."""
    store = SQLiteStore(path)
    store.create(record())
    Path(f"{path}-wal").chmod(0o644)
    SQLiteStore(path)

    assert [line.split("Run: ")[1] for line in caplog.messages] == [f"chmod 600 {path}-wal"]


@pytest.mark.parametrize(
    ("mode", "advice"), [(0o777, "chmod 775"), (0o707, "chmod 705"), (0o775, None), (0o1777, None)]
)
def test_a_directory_that_others_can_write_to_is_a_warning(
    path: Path, caplog: pytest.LogCaptureFixture, mode: int, advice: str | None
) -> None:
    """They could put another file in the place of this one; but not where the system keeps them from it."""
    path.parent.chmod(mode)
    SQLiteStore(path)

    assert [line.split("Run: ")[1] for line in caplog.messages] == ([f"{advice} {path.parent}"] if advice else [])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to give files away")
def test_a_file_of_another_user_is_a_warning(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who owns it can read it, whatever its mode. But root is not told to take it from the site that made it."""
    path.touch(mode=0o600)
    os.chown(path, NOBODY, NOBODY)
    SQLiteStore(path)

    (line,) = caplog.messages
    assert line.endswith(f"belongs to another user (uid {NOBODY}). Do this as that user, and not as root.")


@needs_fork
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to give files away")
def test_root_leaves_the_site_its_mark(tmp_path: Path) -> None:
    """As a restored backup that root looks at first: the site has to write the mark too."""
    file = tmp_path / "app.db"
    SQLiteStore(file).close()
    mark = tmp_path / "app.db-sessionware"
    mark.unlink()
    os.chown(file, NOBODY, NOBODY)

    SQLiteStore(file).close()
    assert mark.stat().st_uid == NOBODY


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to become somebody else")
@pytest.mark.parametrize(("user", "is_told"), [(0, False), (NOBODY - 1, True), (NOBODY, False)])
def test_a_directory_of_another_user_is_a_warning(user: int, is_told: bool) -> None:
    """That user could put another file in the place of this one; but root may work where it likes."""

    def look() -> None:
        with CaptureWarnings() as lines:
            os.setuid(user)
            SQLiteStore(folder / "sessions.db")
        assert [line.split("Run: ")[1] for line in lines] == ([f"chown {user} {folder}"] if is_told else [])

    with TemporaryDirectory() as name:
        folder = Path(name)
        os.chown(folder, NOBODY, NOBODY)
        folder.chmod(0o1777)  # so that there is nothing else to be warned of
        assert exit_code(fork(look)) == 0


class CaptureWarnings(logging.Handler):
    """What the library logs, also in a child."""

    def __enter__(self) -> list[str]:
        self.lines: list[str] = []
        logging.getLogger("sessionware").addHandler(self)
        return self.lines

    def __exit__(self, *_: object) -> None:
        logging.getLogger("sessionware").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def test_the_files_that_are_made_are_for_their_owner_only(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the umask, and so without a warning."""
    umask = os.umask(0)
    try:
        SQLiteStore(path).create(record())
        SQLiteStore(path)
    finally:
        os.umask(umask)

    assert {oct(stat.S_IMODE(file.stat().st_mode)) for file in path.parent.iterdir()} == {"0o600"}
    assert caplog.messages == []


@needs_fork
@pytest.mark.parametrize("locked", ["directory", "file"])
def test_a_path_without_permission_is_a_mistake(locked: str) -> None:
    """SQLite needs to write the file and to make others beside it."""

    def open_without_permission() -> None:
        if os.geteuid() == 0:
            os.setuid(NOBODY)  # root may write everywhere
        path = folder / "sessions.db"
        SQLiteStore(path).close()
        target, mode = (folder, 0o500) if locked == "directory" else (path, 0o400)
        target.chmod(mode)
        with pytest.raises(ConfigError, match="let this process"):
            SQLiteStore(path)
        target.chmod(0o700)

    with TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        assert exit_code(fork(open_without_permission)) == 0


def test_a_full_disk_is_an_outage_and_loses_nothing(store: SQLiteStore, path: Path) -> None:
    """The page that would not fit is a 503; what was stored is there, and when there is room all goes on."""
    store.create(record(1))
    (pages,) = store._database.execute("PRAGMA page_count")[0]
    store._database.execute(f"PRAGMA max_page_count = {pages + 1}")

    with pytest.raises(StoreUnavailable, match="full"):
        store.create(record(2, payload=b"x" * 100_000))
    with pytest.raises(StoreUnavailable, match="full"):
        store.replace(record(1, version=2, payload=b"x" * 100_000))
    assert store.scan() == [record(1)]

    store._database.execute("PRAGMA max_page_count = 1000000")
    assert store.replace(record(1, version=2, payload=b"x" * 100_000))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_that_vanishes_is_an_outage_and_not_made_anew(store: SQLiteStore, path: Path) -> None:
    """An empty store in its place, perhaps one that everybody can read, would log everybody out and tell nobody."""
    path.unlink()

    with pytest.raises(StoreUnavailable):
        store.load(record().id, NOW)
    assert not path.exists()


# Several schemas in one file


def test_sessions_and_other_tables_share_a_file(path: Path, store: SQLiteStore) -> None:
    """Each has its own tables, beside those of the application."""
    with closing(sqlite3.connect(path)) as application:
        application.execute("CREATE TABLE sessions (mine)")
    notes = Database(path, NOTES)
    notes.changes("INSERT INTO sessionware_notes VALUES ('here')")
    store.create(record())

    assert SQLiteStore(path).scan() == [record()]
    assert Database(path, NOTES).execute("SELECT * FROM sessionware_notes") == [("here",)]


@pytest.mark.parametrize("version", [0, 2])
def test_tables_of_another_release_are_refused(path: Path, store: SQLiteStore, version: int) -> None:
    """One wrong schema is a mistake, and does not keep the others in the file from being used."""
    Database(path, Schema("notes", version, NOTES.statements))

    with pytest.raises(ConfigError, match=rf"another release .*'notes' has version {version}, not 1\): install that"):
        Database(path, NOTES)
    assert SQLiteStore(path).scan() == []


def test_a_schema_that_cannot_be_made_leaves_nothing(path: Path) -> None:
    """Its tables and its version are written together or not at all."""
    wrong = Schema("notes", 1, (*NOTES.statements, "CREATE NONSENSE"))
    with pytest.raises(StoreUnavailable):
        Database(path, wrong)

    assert Database(path, NOTES).execute("SELECT * FROM sessionware_notes") == []


# Failures


CALLS: dict[str, Callable[[SQLiteStore], object]] = {
    "create": lambda store: store.create(record()),
    "load": lambda store: store.load(record().id, NOW),
    "replace": lambda store: store.replace(record(version=2)),
    "touch": lambda store: store.touch(record().id, 1, NOW + 7200),
    "delete": lambda store: store.delete(record().id),
    "prune": lambda store: store.prune(NOW),
    "owned_by": lambda store: store.owned_by(ALICE, NOW),
    "scan": lambda store: store.scan(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_sqlite_reports_is_unavailable(store: SQLiteStore, path: Path, call: Callable[..., Any]) -> None:
    """Every method says so, with SQLite's own error as the cause."""
    with closing(sqlite3.connect(path)) as vandal:
        vandal.execute("DROP TABLE sessionware_sessions")

    with pytest.raises(StoreUnavailable, match="no such table") as raised:
        call(store)
    assert isinstance(raised.value.__cause__, sqlite3.Error)


def test_a_writer_who_does_not_end_makes_writing_unavailable(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the timeout, and nothing else: readers go on, and afterwards writers do."""
    store.create(record())
    store.close()
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 0.01)

    with writer(path):
        with pytest.raises(StoreUnavailable, match="locked"):
            store.delete(record().id)
        with pytest.raises(StoreUnavailable, match="locked"):
            store.namespace("sibling")
        assert store.load(record().id, NOW) == record()
    assert store.delete(record().id) is True


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@needs_fork
def test_a_killed_process_loses_nothing_that_was_stored(path: Path) -> None:
    """What `create` returned True for is there, and the file is whole."""

    def create_and_die() -> None:
        store = SQLiteStore(path)
        for number in range(50):
            store.create(record(number))
        os.kill(os.getpid(), signal.SIGKILL)

    assert exit_code(fork(create_and_die)) == -signal.SIGKILL
    assert SQLiteStore(path).scan() == [record(number) for number in range(50)]


def test_processes_that_start_together_wait_for_each_other(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here SQLite itself reports "locked" at once: while one writes into a new file, no other can switch it to WAL."""
    path.touch()
    with writer(path) as other:
        monkeypatch.setattr("sessionware.databases.schema.time.sleep", lambda _: other.rollback())

        store = SQLiteStore(path)

    assert store.create(record()) is True


# Transactions


@pytest.fixture
def notes(path: Path) -> Database:
    return Database(path, NOTES)


def texts(notes: Database) -> list[str]:
    return [text for (text,) in notes.execute("SELECT text FROM sessionware_notes ORDER BY text")]


def add(notes: Database, text: str) -> int:
    return notes.changes("INSERT INTO sessionware_notes VALUES (?)", (text,))


def test_changes_counts_rows(notes: Database) -> None:
    """An INSERT, an UPDATE that hits two, a DELETE that hits none."""
    assert [add(notes, "a"), add(notes, "b")] == [1, 1]
    assert notes.changes("UPDATE sessionware_notes SET text = 'c'") == 2
    assert notes.changes("DELETE FROM sessionware_notes WHERE text = 'a'") == 0


def test_a_transaction_is_seen_as_a_whole(notes: Database) -> None:
    """Other threads see nothing of it until its end."""
    seen = []
    with notes.transaction():
        add(notes, "a")
        in_thread(lambda: seen.append(texts(notes)))
        add(notes, "b")

    in_thread(lambda: seen.append(texts(notes)))
    assert seen == [[], ["a", "b"]]


def test_a_transaction_that_fails_changes_nothing(notes: Database) -> None:
    """The exception goes on, and the thread can write again."""

    def fail() -> None:
        with notes.transaction():
            add(notes, "a")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    add(notes, "b")
    assert texts(notes) == ["b"]


def test_a_transaction_is_the_only_writer(notes: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """So what was read in it still holds when it writes."""
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 0.01)
    refused = []

    def write_too() -> None:
        with pytest.raises(StoreUnavailable, match="locked"):
            add(notes, "b")
        refused.append(True)

    with notes.transaction():
        in_thread(write_too)

    assert refused == [True]
    assert texts(notes) == []


def test_transactions_do_not_nest(notes: Database) -> None:
    """The inner one is refused, and the outer one is undone with it."""

    def nest() -> None:
        with notes.transaction():
            add(notes, "a")
            with notes.transaction():
                add(notes, "b")

    with pytest.raises(StoreUnavailable):
        nest()

    assert texts(notes) == []


# Threads and forks


@needs_proc
def test_a_connection_ends_with_its_thread(store: SQLiteStore, path: Path) -> None:
    """A server that makes a thread for each request does not run out of files: SQLite uses the one again."""
    store.create(record())
    during = []

    def look() -> None:
        store.load(record().id, NOW)
        during.append(open_files(path))

    for _ in range(3):
        in_thread(look)

    assert during == [2, 2, 2]


@needs_proc
def test_close_closes_the_connections_of_all_threads(store: SQLiteStore, path: Path) -> None:
    """And not only that of the thread that calls it."""
    store.create(record())
    end, ready = threading.Event(), threading.Event()

    def hold_a_connection() -> None:
        store.load(record().id, NOW)
        ready.set()
        end.wait(30)

    thread = threading.Thread(target=hold_a_connection)
    thread.start()
    ready.wait(30)
    store.close()
    left_open = open_files(path)
    end.set()
    thread.join(30)

    assert left_open == 0


@needs_proc
def test_a_store_that_nobody_holds_is_closed(path: Path) -> None:
    """Without `close`, too."""
    store = SQLiteStore(path)
    store.create(record())

    del store
    gc.collect()

    assert open_files(path) == 0


@needs_proc
def test_a_new_store_has_nothing_open(path: Path) -> None:
    """A server builds the application and then forks; what is open then, all its children would share."""
    sibling = SQLiteStore(path).namespace("sibling")

    assert open_files(path) == 0
    assert sibling.scan() == []


def fork(work: Callable[[], None], how: Callable[[], int] = os.fork) -> int:
    pid = how()
    if pid:
        return pid
    try:
        work()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@needs_fork
def test_a_child_writes_on_after_its_parent_closed(store: SQLiteStore, path: Path) -> None:
    """With an inherited connection open, SQLite in the child locks nothing, and what the child wrote would be lost."""
    store.create(record(1))
    opened, closed = os.pipe(), os.pipe()

    def write_before_and_after() -> None:
        store.create(record(2))
        os.write(opened[1], b".")
        os.read(closed[0], 1)
        store.create(record(3))

    child = fork(write_before_and_after)
    os.read(opened[0], 1)
    store.close()
    os.write(closed[1], b".")

    assert exit_code(child) == 0
    assert SQLiteStore(path).scan() == [record(1), record(2), record(3)]


@needs_fork
@needs_proc
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_leaves_the_connections_of_other_threads_alone(store: SQLiteStore, path: Path) -> None:
    """They cannot be closed before the fork (they may be at work), and must not be after it: it opens its own."""
    end, ready = threading.Event(), threading.Event()

    def hold_a_connection() -> None:
        store.create(record(1))
        ready.set()
        end.wait(30)

    def use_and_close() -> None:
        gc.collect()
        assert open_files(path) == 1
        assert store.load(record(1).id, NOW) == record(1)
        assert open_files(path) == 2
        store.close()
        assert open_files(path) > 0

    thread = threading.Thread(target=hold_a_connection)
    thread.start()
    ready.wait(30)
    child = fork(use_and_close)
    code = exit_code(child)
    end.set()
    thread.join(30)

    assert code == 0


@needs_libc_fork
def test_a_child_of_which_python_was_not_told_refuses_what_was_open(store: SQLiteStore, path: Path) -> None:
    """Servers written in C, such as uWSGI, fork without running the hooks. What such a child wrote could be lost."""
    store.create(record(1))

    def is_refused() -> None:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="--lazy-apps"):
                store.create(record(2))
        with ThreadPoolExecutor() as threads, pytest.raises(StoreUnavailable, match="--lazy-apps"):
            threads.submit(store.scan).result()
        assert SQLiteStore(path.with_name("other.db")).scan() == []

    assert exit_code(fork(is_refused, ctypes.PyDLL(None).fork)) == 0
    assert store.scan() == [record(1)]


@needs_libc_fork
def test_a_child_of_which_python_was_not_told_uses_what_was_closed(store: SQLiteStore, path: Path) -> None:
    """It is as good as one of which Python was told."""

    def write_before_and_after() -> None:
        store.create(record(1))
        store.close()
        store.create(record(2))

    assert exit_code(fork(write_before_and_after, ctypes.PyDLL(None).fork)) == 0
    assert store.scan() == [record(1), record(2)]


@needs_libc_fork
@needs_proc
def test_a_child_of_which_python_was_not_told_closes_nothing_of_its_parent(store: SQLiteStore, path: Path) -> None:
    """SQLite forbids it. The child may have nothing to do with the store but to close it at its end."""
    store.create(record(1))

    def close() -> None:
        before = open_files(path)
        store.close()
        assert open_files(path) == before > 0

    assert exit_code(fork(close, ctypes.PyDLL(None).fork)) == 0


@needs_fork
def test_a_fork_in_a_transaction_does_not_end_it(notes: Database) -> None:
    """The child sees what was there before it; the parent commits."""

    def look() -> None:
        assert texts(notes) == []

    with notes.transaction():
        add(notes, "a")
        assert exit_code(fork(look)) == 0

    assert texts(notes) == ["a"]


# What makes it fast


def test_a_change_of_seconds_leaves_the_indexed_columns_alone(store: SQLiteStore, path: Path) -> None:
    """Until `prune_at` is no longer between expiry and two hours later."""
    store.create(record())
    first = NOW + 3600 + 7200

    assert prune_at(path) == first
    store.touch(record().id, 1, NOW + 7200)
    assert prune_at(path) == first
    store.replace(record(version=2, expires_at=NOW + 9000))
    assert prune_at(path) == first
    store.replace(record(version=3, expires_at=first + 1))
    assert prune_at(path) == first + 1 + 7200
    store.replace(record(version=4, expires_at=NOW))
    assert prune_at(path) == NOW + 7200


def prune_at(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (row,) = connection.execute("SELECT prune_at FROM sessionware_sessions")
    return int(row[0])


def test_no_statement_reads_the_whole_table(store: SQLiteStore, path: Path) -> None:
    """Each finds its rows by the id or by an index, however many there are."""
    with closing(sqlite3.connect(path)) as connection:
        for name, sql in vars(store._sql).items():
            plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [b""] * sql.count("?")).fetchall()
            assert not [step for *_, step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step], name
