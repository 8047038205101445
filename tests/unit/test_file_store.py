"""FileStore: what its files look like, and what is left of a record when a writer is stopped in the middle."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from sessionware import ConfigError, FileStore, Record, StoreUnavailable
from sessionware.stores import _file_format, _file_sweep
from sessionware.stores import file as file_module
from tests.support.fixed import Clock
from tests.support.kit import SessionSite

ID, OWNER, OTHER = b"i" * 16, b"o" * 16, b"p" * 16


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "sessions")


def record(
    version: int = 1, payload: bytes = b"payload", owner: bytes | None = None, expires_at: int = 1000, id: bytes = ID
) -> Record:
    return Record(id, version, expires_at, owner, payload)


def path_of(store: FileStore, id: bytes = ID) -> Path:
    return Path(store._file(id))


def test_sessions_in_files(tmp_path: Path, clock: Clock) -> None:
    """Through the middleware: nothing else has to be set up."""
    site = SessionSite(FileStore(tmp_path / "sessions"), clock)
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))

    again = SessionSite(FileStore(tmp_path / "sessions"), clock)
    browser.site, browser.client.app = again, again.app
    assert browser.read() == {"n": 1}


def test_files_are_for_their_owner_only(store: FileStore, tmp_path: Path) -> None:
    """Sealed or not, nobody else has to see them."""
    store.create(record(owner=OWNER))

    assert (tmp_path / "sessions").stat().st_mode & 0o777 == 0o700
    assert path_of(store).stat().st_mode & 0o777 == 0o600


def test_change_leaves_the_older_state_in_the_file(store: FileStore) -> None:
    """Two slots, written in turn: the one that counts is never the one that is written."""
    store.create(record(payload=b"first"))
    for version in range(2, 6):
        before = path_of(store).read_bytes()
        assert store.replace(record(version, f"state {version}".encode()))
        after = path_of(store).read_bytes()
        old = f"state {version - 1}".encode() if version > 2 else b"first"
        assert old in before
        assert old in after

    assert path_of(store).stat().st_size < 2 * (_file_format.SMALLEST_CAPACITY + 64)


@pytest.mark.parametrize("kept", range(0, 68, 3))
def test_write_that_stopped_anywhere_leaves_the_older_state(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """Killed after any number of bytes: the record is as it was, and can be written again."""
    store.create(record(payload=b"one"))
    store.replace(record(2, b"two"))

    whole = os.pwrite

    def stops(file: int, data: bytes, offset: int) -> None:
        whole(file, data[:kept], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", stops)
    with pytest.raises(StoreUnavailable, match="No space left"):
        store.replace(record(3, b"three" * 3))
    monkeypatch.undo()

    assert store.load(ID, 0) == record(2, b"two")
    assert store.replace(record(3, b"again"))
    assert store.load(ID, 0) == record(3, b"again")


@pytest.mark.parametrize("kept", [0, 5, 12, 20, 60])
def test_growth_that_stopped_anywhere_leaves_the_older_state(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """The same where the record outgrew its slots and gets a larger one at the end."""
    store.create(record(payload=b"one"))
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: whole(file, data[:kept], offset))
    with pytest.raises(StoreUnavailable):
        store.replace(record(2, b"x" * 5000))
    monkeypatch.undo()

    assert store.load(ID, 0) == record(payload=b"one")
    assert store.replace(record(2, b"y" * 9000))
    assert store.load(ID, 0) == record(2, b"y" * 9000)


def test_record_grows_and_shrinks(store: FileStore) -> None:
    """Each time to what was written, with a few slots for good."""
    store.create(record(payload=b""))
    for version, size in enumerate([10, 300, 40_000, 5, 200_000, 7, 200_000, 300_000, 1], start=2):
        assert store.replace(record(version, b"z" * size))
        assert store.load(ID, 0) == record(version, b"z" * size)

    assert path_of(store).stat().st_size < 3 * 512 * 1024


def test_creation_that_failed_leaves_nothing(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: no file, and the same id can be created when there is room."""
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: whole(file, data[:10], offset))
    with pytest.raises(StoreUnavailable):
        store.create(record())
    monkeypatch.undo()

    assert store.load(ID, 0) is None
    assert store.create(record())


def test_half_made_file_is_missing_and_is_cleared_away_in_time(store: FileStore) -> None:
    """Somebody is about to write it, or was killed: after an hour it is clear which."""
    path_of(store).write_bytes(b"sw1")
    assert (store.load(ID, 0), store.replace(record(2)), store.scan()) == (None, False, [])
    store.prune(10**9)
    assert path_of(store).exists()

    os.utime(path_of(store), (0, time.time() - 2 * 3600))
    store.prune(10**9)
    assert not path_of(store).exists()


def test_damage_to_the_state_that_counts_falls_back_to_the_older_one(store: FileStore) -> None:
    """A bad block takes the last change, not the session."""
    store.create(record(payload=b"one"))
    store.replace(record(2, b"two"))
    content = path_of(store).read_bytes()
    path_of(store).write_bytes(content.replace(b"two", b"twX"))

    assert store.load(ID, 0) == record(payload=b"one")


def test_damage_anywhere_takes_one_record_at_most_and_never_makes_another(store: FileStore) -> None:
    """Whichever byte is wrong: an earlier state, or no session; and those beside it are listed and swept."""
    beside = record(id=OTHER, owner=OWNER)
    store.create(beside)
    store.create(record(payload=b"one"))
    states = [record(payload=b"one"), record(2, b"two", OWNER)]
    store.replace(states[1])
    whole = path_of(store).read_bytes()
    for place in range(len(whole)):
        for value in (0, 0xFF, whole[place] ^ 1):
            path_of(store).write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])

            found = store.load(ID, 0)
            assert found is None or found in states
            assert [each for each in store.scan() if each.id == OTHER] == [beside]
            assert beside in store.owned_by(OWNER, 0)
            assert store.prune(0) == 0

    for length in range(len(whole)):
        path_of(store).write_bytes(whole[:length])
        assert store.load(ID, 0) in [None, *states]
        assert beside in store.scan()


def test_file_under_another_name_holds_nothing(store: FileStore) -> None:
    """The id is part of the checksum."""
    store.create(record())
    path_of(store).rename(path_of(store, OWNER))

    assert store.load(OWNER, 0) is None


def test_owner_entries_follow_the_record(store: FileStore, tmp_path: Path) -> None:
    """No folder stays of an owner who has no session."""
    store.create(record())
    owners = tmp_path / "sessions" / "owners"
    assert store.replace(record(2, owner=OWNER))
    assert store.replace(record(3, owner=OTHER))
    assert [folder.name for folder in owners.iterdir()] == [OTHER.hex()]

    store.delete(ID)
    assert list(owners.iterdir()) == []


def test_entry_without_a_record_is_not_shown_and_is_cleared_away_in_time(store: FileStore) -> None:
    """A killed writer leaves one too many, never one too few."""
    store._add_to_owner(OWNER, ID)
    entry = Path(store._owner_folder(OWNER)) / ID.hex()
    assert store.owned_by(OWNER, 0) == []
    assert entry.exists()

    os.utime(entry, (0, time.time() - 2 * 3600))
    assert store.owned_by(OWNER, 0) == []
    assert not entry.exists()


def test_prune_looks_at_a_bounded_number_of_files_and_goes_on(store: FileStore) -> None:
    """A sweep that a visitor's request pays for must not walk through a hundred thousand files."""
    for number in range(100):
        store.create(record(id=number.to_bytes(16, "big"), expires_at=1000 if number % 2 else 10))
    looked: list[bytes] = []
    read = store._read
    store._read = lambda id: (looked.append(id), read(id))[1]

    removed = [store.prune(100, limit=4) for _ in range(30)]

    assert sum(removed) == 50
    assert max(removed) <= 4
    assert len(looked) <= 30 * 4 * _file_sweep.LOOKS
    assert len(store.scan()) == 50


def test_other_files_are_left_alone(store: FileStore, tmp_path: Path) -> None:
    """Whatever else lies in the directory is not ours, whatever its name looks like, and however old it is."""
    foreign = {
        "README": b"mine",
        "x" * 32: b"",
        "AB" * 16: b"",
        "cd" * 16 + ".bak": b"",
        "12" * 16: b"an upload, named uuid4().hex",
        "34" * 16: b"swallow",
        "56" * 16: b"sw2\0" + bytes(500),
        "owners/notes.txt": b"",
        f"owners/{OWNER.hex()}/{ID.hex()}": b"not an entry, since it is not empty",
    }
    store.create(record(owner=OTHER))
    for name, content in foreign.items():
        file = tmp_path / "sessions" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (0, time.time() - 2 * 3600))
    (tmp_path / "sessions" / ("78" * 16)).mkdir()
    (tmp_path / "sessions" / ("9a" * 16)).symlink_to(tmp_path / "sessions" / "README")

    assert store.scan() == [record(owner=OTHER)]
    for id in (bytes.fromhex("12" * 16), bytes.fromhex("78" * 16), bytes.fromhex("9a" * 16)):
        assert (store.load(id, 0), store.replace(record(2, id=id)), store.delete(id)) == (None, False, False)
        store.touch(id, 1, 2000)
    assert store.owned_by(OWNER, 0) == []
    assert store.prune(10**9) == 1

    for name, content in foreign.items():
        assert (tmp_path / "sessions" / name).read_bytes() == content
    assert (tmp_path / "sessions" / ("78" * 16)).is_dir()
    assert (tmp_path / "sessions" / ("9a" * 16)).is_symlink()


def test_fsync_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it each change is flushed, and a creation its directory too; without, none."""
    flushed: list[int] = []
    stores = [FileStore(tmp_path / str(fsync), fsync=fsync) for fsync in (False, True)]
    monkeypatch.setattr(os, "fsync", flushed.append)
    for store, expected in zip(stores, (0, 4), strict=True):
        store.create(record())
        store.replace(record(2))
        store.delete(ID)
        assert len(flushed) == expected


def test_path_that_cannot_be_a_store_is_a_config_error(tmp_path: Path) -> None:
    """When it is built, with what to do."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="directory"):
        FileStore(tmp_path / "file")
    with pytest.raises(ConfigError, match="create"):
        FileStore(tmp_path / "no" / "sessions")


def test_windows_is_pointed_to_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no such locks."""
    monkeypatch.setattr(file_module, "fcntl", None)
    with pytest.raises(ConfigError, match="SQLiteStore"):
        FileStore(tmp_path / "sessions")


def test_directory_that_is_gone_is_an_outage(store: FileStore, tmp_path: Path) -> None:
    """Not a logout: creating fails, and says so."""
    (tmp_path / "sessions").rename(tmp_path / "elsewhere")

    for act in (lambda: store.create(record()), lambda: store.scan(), lambda: store.prune(0)):
        with pytest.raises(StoreUnavailable):
            act()


def test_an_empty_path_is_a_mistake() -> None:
    """An empty text, as from an environment variable that is not set, is not the current directory."""
    with pytest.raises(ConfigError, match="would be the current directory"):
        FileStore("")
