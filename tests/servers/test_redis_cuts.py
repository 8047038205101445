"""A call that something from outside cuts short at any line: nothing that it leaves behind is taken for an answer."""

from __future__ import annotations

import gc
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import redis

import sessionware
from sessionware import RedisStore
from sessionware.stores.base import Record
from sessionware.testing.store_cases import ALICE, NOW, a_record, id_of
from tests.support import database_servers as servers

#: A socket that redis-py was about to connect is closed when it is freed.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

#: Where a call may be cut.
_SOURCES = tuple(str(Path(package.__file__ or "").parent) for package in (sessionware, redis))


class Cut(BaseException):
    """What nobody knows."""


@pytest.fixture(params=["one server", "a cluster"])
def store(request: pytest.FixtureRequest) -> Iterator[RedisStore]:
    """One with room for one connection, and with records of Alice in it."""
    if request.param == "one server":
        server: servers.Redis = request.getfixturevalue("redis_server")
        with server.client() as client:
            client.flushall()
        store = RedisStore(f"{server.url}?max_connections=1&socket_timeout=5")
    else:
        cluster: servers.RedisCluster = request.getfixturevalue("redis_cluster")
        cluster.empty()
        store = RedisStore(f"{cluster.url}?max_connections=1&socket_timeout=5")
    for number in range(3):
        store.create(a_record(number, owner=ALICE))
    gc.freeze()  # what is there already, so that collecting the rest takes no time
    yield store
    gc.unfreeze()
    store.close()


def cut_at(step: int, call: Callable[[], object]) -> bool:
    """Make a call and cut it at the nth line. Whether it was that long.

    In a thread of its own: where a line that handles an exception is cut, Python goes on believing that it is handled,
    and takes it for the context of whatever is raised later in that thread.
    """
    was_cut: list[bool] = []
    thread = threading.Thread(target=lambda: was_cut.append(_is_cut_at(step, call)))
    thread.start()
    thread.join()
    gc.collect()  # redis-py's errors hold on to the frames of the call
    return was_cut[0]


def _is_cut_at(step: int, call: Callable[[], object]) -> bool:
    left = step

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(_SOURCES) or _is_in_del(frame):
            return None
        if event == "line":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise Cut
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except Cut:
        return True
    finally:
        sys.settrace(before)
    return False


def _is_in_del(frame: FrameType) -> bool:
    """Whether an object is being freed: what is raised then gets nowhere."""
    return any(each.f_code.co_name == "__del__" for each, _ in traceback.walk_stack(frame))


@pytest.mark.parametrize(("name", "stride"), [("load", 1), ("touch", 1), ("owned_by", 7)])
def test_a_call_that_is_cut_leaves_its_answer_to_nobody(store: RedisStore, name: str, stride: int) -> None:
    """The next one gets its own, and there is still room for it."""
    calls: dict[str, Callable[[], object]] = {
        "load": lambda: store.load(id_of(1), NOW),
        "touch": lambda: store.touch(id_of(1), 1, NOW),
        "owned_by": lambda: store.owned_by(ALICE, NOW),
    }
    step = 0
    while cut_at(step, calls[name]):
        step += stride
        assert store.load(id_of(2), NOW) == a_record(2, owner=ALICE), step
        assert store.create(a_record(2)) is False, step

    assert step > 20


def test_a_write_that_is_cut_is_made_or_not(store: RedisStore) -> None:
    """Whoever asks next is told what is stored."""
    step = 0
    record: Record = a_record(owner=ALICE)
    while cut_at(step, partial(store.replace, record._replace(version=record.version + 1))):
        step += 1
        found = store.load(record.id, NOW)
        assert found is not None
        assert found.version in (record.version, record.version + 1), step
        record = found

    assert step > 20
    assert store.load(record.id, NOW) == record._replace(version=record.version + 1)


def test_connecting_may_be_cut_as_well(store: RedisStore) -> None:
    """A connection that has not got so far as to say who asks is not used."""
    step = 0
    store.close()
    while cut_at(step, lambda: store.load(id_of(1), NOW)):
        step += 3
        assert store.load(id_of(2), NOW) == a_record(2, owner=ALICE), step
        store.close()

    assert step > 50
