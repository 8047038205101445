"""A store in a process of greenlets, as in a worker of gunicorn's class gevent. Its server pauses when it is ready.

    python -m gevent.monkey --module tests.support.greenlets postgresql://…

It says "ready" and awaits a line, when the server is to be paused. One greenlet loads, and it says whether others "go
on" meanwhile or are "blocked". After the next line, the server works again, and it says whether all answers are right.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import gevent

from sessionware import StoreUnavailable
from sessionware.stores import open_store
from tests.support.forked import IDS, is_right


def main() -> None:
    store = open_store(sys.argv[1])
    store.load(IDS[0], 0)
    _tell("ready")
    _heard()

    def load() -> None:
        with suppress(StoreUnavailable):  # if the driver holds everybody up, before anybody can kill it
            store.load(IDS[0], 0)

    loading = gevent.spawn(load)
    gevent.sleep(0.05)
    _tell("blocked" if loading.dead else "others go on")
    loading.kill()
    _heard()
    _tell("right" if all(is_right(store, id) for id in IDS[1:]) else "WRONG")


def _tell(what: str) -> None:
    print(what, flush=True)


def _heard() -> None:
    sys.stdin.readline()


if __name__ == "__main__":
    main()
