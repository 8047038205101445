"""A store that is in use when its process forks: a site for servers that do so, and a parent that works on.

    SESSIONWARE_TEST_STORE=postgresql://… SESSIONWARE_TEST_MARKS=directory
    gunicorn --preload --workers=4 'tests.support.forked:site()'
    python -m tests.support.forked

Each process leaves a mark before it asks, so that a test can hold the database server up until all of them wait. Each
record holds what follows from its id, so that any answer tells whether it belongs to the question.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from sessionware import Record, RedisStore, SQLStore, Store

IDS = [bytes([number]) * 16 for number in range(32)]
CHILDREN = 4
PATIENCE = 30.0  # seconds for a call, so that it waits for a server that a test holds up, however busy the machine is


def record_of(id: bytes) -> Record:
    """Of a length that differs from one record to the next, so that answers cannot change places unseen."""
    return Record(id, 1, 2**40, None, hashlib.sha256(id).digest() * (1 + id[0]))


def is_right(store: Store, id: bytes) -> bool:
    """Whether the store answers this question. Raises whatever it raises."""
    return store.load(id, 0) == record_of(id)


def used() -> Store:
    """A store with an open connection.

    Only this thread has used it. One that ends may hold a lock of OpenSSL for a moment after it was joined, and a child
    that is forked in that moment waits for the lock for ever, whatever a store does.
    """
    url = os.environ["SESSIONWARE_TEST_STORE"]
    store = (RedisStore if url.startswith("redis") else SQLStore)(url, timeout=PATIENCE)
    for id in IDS:
        store.create(record_of(id))
    assert all(is_right(store, id) for id in IDS)
    return store


def mark() -> None:
    Path(os.environ["SESSIONWARE_TEST_MARKS"], str(os.getpid())).touch()


def site() -> Callable[..., Iterable[bytes]]:
    """Loads the record that the query names, and answers with the worker's process and what it found."""
    store = used()

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        mark()
        found = store.load(bytes.fromhex(environ["QUERY_STRING"]), 0)
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield f"{os.getpid()} {'none' if found is None else found.payload.hex()}".encode()

    return application


def main() -> int:
    """Fork with a store in use, say so, await a line, and use it in all processes at once. The status counts errors."""
    store = used()
    starting, start = os.pipe()
    children = [_fork(store, starting, start) for _ in range(CHILDREN)]
    print("forked", flush=True)
    sys.stdin.readline()
    os.close(start)
    wrong = _wrong_answers(store, 0)
    for child in children:
        _, status = os.waitpid(child, 0)
        wrong += ["those of a child"] if status else []
    print(wrong[:5], flush=True)
    return len(wrong)


def _fork(store: Store, starting: int, start: int) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(start)
            os.read(starting, 1)  # until the parent has closed its end
            wrong = _wrong_answers(store, os.getpid())
            print(*wrong[:5], sep="\n", end="", file=sys.stderr, flush=True)
            status = 1 if wrong else 0
        finally:
            os._exit(status)
    return child


def _wrong_answers(store: Store, first: int) -> list[str]:
    """Ask for one record after the other, beginning with any."""
    wrong: list[str] = []
    mark()
    for number in range(4 * len(IDS)):
        try:
            if not is_right(store, IDS[(first + number) % len(IDS)]):
                wrong.append("another's answer")
        except Exception as error:
            wrong.append(repr(error))
    return wrong


if __name__ == "__main__":
    sys.exit(main())
