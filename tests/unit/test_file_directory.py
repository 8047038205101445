"""FileStore's directory: which ones it takes for its own, however it was interrupted, and who else gets into it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
from pathlib import Path
from typing import Any

import pytest

from sessionware import ConfigError, FileStore, Record
from sessionware.cli import main
from sessionware.stores import _file_directory
from sessionware.stores._file_directory import MARK

PROCESSES = 12
ROUNDS = 20
OLD = 1_000_000  # a time at which whatever was begun must be abandoned


def record(number: int = 1, owner: bytes | None = b"o" * 16) -> Record:
    return Record(number.to_bytes(16, "big"), 1, 1000, owner, b"payload")


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """A directory that an application keeps its own files in, some of which look like a store's."""
    folder = tmp_path / "uploads"
    (folder / "owners" / ("ab" * 16)).mkdir(parents=True)
    for name in ("12" * 16, "34" * 16, "photo.jpg", "owners/" + "ab" * 16 + "/" + "12" * 16):
        (folder / name).write_bytes(b"" if name.startswith("34") else b"\x89PNG")
        os.utime(folder / name, (OLD, OLD))
    return folder


def test_a_directory_with_something_in_it_is_refused_and_left_alone(uploads: Path) -> None:
    """With what to do."""
    before = content_of(uploads)

    with pytest.raises(ConfigError, match=r"not empty.*give the path of a new or an empty directory"):
        FileStore(uploads)
    assert content_of(uploads) == before


@pytest.mark.parametrize("is_empty", [False, True])
def test_prune_refuses_a_directory_of_somebody_else(
    uploads: Path, capsys: pytest.CaptureFixture[str], is_empty: bool
) -> None:
    """One line, exit code 1, nothing removed and nothing made, even in one that is empty."""
    if is_empty:
        uploads = uploads.parent / "empty"
        uploads.mkdir()
    before = content_of(uploads)

    assert main(["prune", f"file://{uploads}"]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"sessionware: .+ is not a FileStore's directory.+\n", err)
    assert content_of(uploads) == before


def test_a_namespace_takes_no_directory_of_somebody_else(tmp_path: Path) -> None:
    """Its directory is marked too, because it can be opened by itself."""
    store = FileStore(tmp_path / "sessions")
    (tmp_path / "sessions" / "in_a").mkdir()
    (tmp_path / "sessions" / "in_a" / "notes").write_bytes(b"mine")

    with pytest.raises(ConfigError, match="not empty"):
        store.namespace("a")
    assert store.namespace("b").create(record())
    assert FileStore(tmp_path / "sessions" / "in_b").scan() == [record()]


def test_an_empty_directory_is_adopted(tmp_path: Path) -> None:
    """As an administrator has made it, with the rights that it has."""
    (tmp_path / "sessions").mkdir(mode=0o700)
    store = FileStore(tmp_path / "sessions")
    store.create(record())

    assert FileStore(tmp_path / "sessions").scan() == [record()]


@pytest.mark.parametrize("length", range(len(_file_directory._TEXT)))
def test_a_mark_that_was_cut_short_is_completed(tmp_path: Path, length: int) -> None:
    """Killed after making the directory, and anywhere while marking it: the next start goes on."""
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / MARK).write_bytes(_file_directory._TEXT[:length])

    assert FileStore(tmp_path / "sessions").create(record())
    assert (tmp_path / "sessions" / MARK).read_bytes() == _file_directory._TEXT


@pytest.mark.parametrize("text", [b"sessionware FileStore, format 2\n", b"sessionware FileStore, format 10\n", b"\0"])
def test_the_mark_of_another_release_is_refused(tmp_path: Path, text: bytes) -> None:
    """Its records may look like something else."""
    FileStore(tmp_path / "sessions")
    (tmp_path / "sessions" / MARK).write_bytes(text)

    with pytest.raises(ConfigError, match="made by another release"):
        FileStore(tmp_path / "sessions")
    assert main(["prune", f"file://{tmp_path}/sessions"]) == 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_processes_that_start_together_make_one_store(tmp_path: Path) -> None:
    """None of them takes what another has just begun for somebody else's."""
    context = multiprocessing.get_context("fork")
    start, errors = context.Barrier(PROCESSES), context.SimpleQueue()
    processes = [
        context.Process(target=start_again_and_again, args=(tmp_path, number, start, errors))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    found = [errors.get() for _ in processes]
    for process in processes:
        process.join(30)

    assert found == [None] * PROCESSES
    for number in range(ROUNDS):
        store = FileStore(tmp_path / str(number))
        assert len(store.scan()) == len(store.namespace("a").scan()) == PROCESSES


def start_again_and_again(folder: Path, process: int, start: Any, errors: Any) -> None:
    try:
        for number in range(ROUNDS):
            start.wait(30)
            store = FileStore(folder / str(number))
            store.create(record(process))
            store.namespace("a").create(record(process))
    except Exception as error:
        start.abort()
        errors.put(repr(error))
    else:
        errors.put(None)


def test_all_that_a_store_makes_is_for_its_owner_only(tmp_path: Path) -> None:
    """Whatever the umask: directories, marks, records, owners and their entries, in namespaces too."""
    umask = os.umask(0)
    try:
        store = FileStore(tmp_path / "sessions")
        for each in (store, store.namespace("a"), store.namespace("a").namespace("b")):
            each.create(record())
    finally:
        os.umask(umask)

    made = [tmp_path / "sessions", *(tmp_path / "sessions").rglob("*")]
    assert {oct(path.stat().st_mode & 0o777) for path in made if path.is_dir()} == {"0o700"}
    assert {oct(path.stat().st_mode & 0o777) for path in made if path.is_file()} == {"0o600"}
    assert len(made) == 3 * 6  # directory, mark, record, owners, owner, entry


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o777])
def test_a_directory_that_others_get_into_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    """One, with the command to run; it works all the same."""
    path = tmp_path / "my sessions"
    path.mkdir()
    path.chmod(mode)
    with caplog.at_level(logging.WARNING, "sessionware"):
        FileStore(path).create(record())
        FileStore(path)

    assert len(caplog.messages) == 1
    assert f"mode {mode:04o}" in caplog.messages[0]
    assert caplog.messages[0].endswith(f"Run: chmod 700 '{path}'")


def test_a_directory_for_its_owner_is_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither one that the store makes, nor one that was made for it."""
    (tmp_path / "made").mkdir(mode=0o700)
    for name in ("made", "new"):
        FileStore(tmp_path / name).namespace("a")

    assert caplog.messages == []
