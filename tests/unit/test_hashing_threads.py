"""The hashing threads: a few, first come, first served, gone with their process, and nobody waits for nothing."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from traceback import TracebackException
from typing import Any

import pytest

from sessionware import Busy
from sessionware.auth import _hashing_threads as hashing
from sessionware.auth._hashing_threads import Share, compute
from tests.support.auth_kit import together

SECRET = "seven quiet lanterns drift"


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Begin anew, as a process with so many processors does."""
    monkeypatch.setattr(hashing, "_by_process", {})

    def begin(count: int) -> None:
        monkeypatch.setattr(hashing, "_cores", lambda: count)

    yield begin
    hashing._close()


class Held:
    """A job that has begun, and goes on until it is let go."""

    def __init__(self, share: Share | None = None) -> None:
        self.go = threading.Event()
        begun = threading.Event()

        def hold() -> None:
            begun.set()
            assert self.go.wait(10)

        self._caller = together(1, lambda: compute(hold, share))[0]
        assert begun.wait(10)

    def let_go(self) -> None:
        self.go.set()
        self._caller.join(10)


def queue_up(job: Callable[[], object], share: Share | None = None) -> threading.Thread:
    """A thread that waits for its turn to do this, behind all that were there before."""
    before = waiting()
    thread = together(1, lambda: compute(job, share))[0]
    deadline = time.monotonic() + 10
    while waiting() == before:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return thread


def waiting() -> int:
    return len(hashing._by_process[os.getpid()]._jobs)


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sessionware-hashing")]


def run_script(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it with all warnings as errors. It has to end within twenty seconds."""
    program = textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-W", "error", *options, "-c", program], capture_output=True, text=True, timeout=20
    )


# Turns


def test_who_comes_first_is_served_first(cores: Callable[[int], None]) -> None:
    """Twenty callers in a row are served in that row."""
    cores(1)
    served: list[int] = []
    held = Held()
    callers = [queue_up(partial(served.append, number)) for number in range(20)]
    held.let_go()

    for caller in callers:
        caller.join(10)
    assert served == list(range(20))


def test_one_that_gave_up_costs_nothing(cores: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time is up it is told so, and what it wanted is never computed."""
    cores(1)
    done: list[str] = []
    held = Held()

    with monkeypatch.context() as during:
        during.setattr(hashing, "PATIENCE", 0.01)
        with pytest.raises(Busy) as busy:
            compute(lambda: done.append("too late"))
    held.let_go()
    compute(lambda: done.append("next"))

    assert (busy.value.status, busy.value.retry_after, done) == (503, 0, ["next"])


def test_one_that_has_begun_is_waited_for(cores: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience is for the turn: a computation under way will end soon."""
    cores(1)
    monkeypatch.setattr(hashing, "PATIENCE", 0.5)  # in which a thread begins, however busy the machine is

    assert compute(lambda: time.sleep(0.6) or "done") == "done"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupted_caller_leaves_nothing_behind(
    cores: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    """Control-C, the end of a worker, the kill of a greenlet: its job is not done, and others are."""
    cores(1)
    done: list[str] = []
    held = Held()

    def interrupted(*_args: object) -> None:
        raise interruption

    with monkeypatch.context() as during:
        during.setattr(hashing, "wait", interrupted)
        with pytest.raises(interruption):
            compute(lambda: done.append("nobody waits for this"))
    held.let_go()

    assert compute(lambda: "next") == "next"
    assert done == []


def test_a_computation_may_ask_for_another(cores: Callable[[int], None]) -> None:
    """Which does not wait for the thread that waits for it."""
    cores(1)

    assert compute(lambda: compute(threading.get_ident)) == compute(threading.get_ident)


# Memory


def test_the_budget_is_kept_and_everybody_is_served(cores: Callable[[int], None]) -> None:
    """However large the shares of those that come together are."""
    cores(8)
    lots = random.Random(1)
    lock, in_use, most, served = threading.Lock(), 0, 0, 0

    def use(size: int) -> None:
        nonlocal in_use, most, served
        with lock:
            in_use += size
            most = max(most, in_use)
        time.sleep(0.001)
        with lock:
            in_use -= size
            served += 1

    def call() -> None:
        for size in lots.choices(range(1, 11), k=20):
            compute(partial(use, size), Share(size, 10, "everybody"))

    for thread in together(16, call):
        thread.join(10)
    assert served == 16 * 20
    assert 5 < most <= 10


def test_budgets_are_independent_of_each_other(cores: Callable[[int], None]) -> None:
    """Two that take all of their own budgets run side by side."""
    cores(2)
    both = threading.Barrier(2, timeout=10)
    callers = [*together(1, lambda: compute(both.wait, Share(1, 1, "one")))]

    compute(both.wait, Share(1, 1, "other"))
    callers[0].join(10)
    assert not both.broken


def test_a_large_share_is_not_overtaken_for_ever(cores: Callable[[int], None]) -> None:
    """Who waits for much memory is served before those who came later and need little."""
    cores(2)
    served: list[int] = []
    held = Held(Share(1, 2, "all"))
    callers = [queue_up(partial(served.append, size), Share(size, 2, "all")) for size in (2, 1)]
    held.let_go()

    for caller in callers:
        caller.join(10)
    assert served == [2, 1]


# Threads


def test_there_are_no_more_threads_than_processors(cores: Callable[[int], None]) -> None:
    """However many server threads come at once."""
    cores(3)
    before = len(names())

    for thread in together(50, lambda: compute(lambda: time.sleep(0.001))):
        thread.join(10)
    assert len(names()) - before == 3


def test_one_after_the_other_needs_one_thread(cores: Callable[[int], None]) -> None:
    """Three thousand computations, of which none overlaps another, are done by one and the same."""
    cores(8)

    assert len({compute(threading.get_ident) for _ in range(3000)}) == 1


def test_it_works_where_no_thread_can_be_started(cores: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit of the system, or in an interpreter that allows none, callers compute for themselves."""
    cores(2)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert compute(threading.get_ident) == threading.get_ident()


# Errors


def test_an_error_reaches_the_caller_without_the_frames_that_know_the_password(cores: Callable[[int], None]) -> None:
    """Nor do the errors that it was raised from show them."""
    cores(1)

    def cause(password: str) -> None:
        raise LookupError("deep inside")

    def fail(password: str) -> None:
        try:
            cause(password)
        except LookupError as error:
            raise OSError(28, "no space") from error

    with pytest.raises(OSError, match="no space") as raised:
        compute(lambda: fail(SECRET))

    shown = "".join(TracebackException.from_exception(raised.value, capture_locals=True).format())
    inside = shown.replace(f"SECRET = {SECRET!r}", "")
    assert "compute" in inside
    assert "deep inside" in inside
    assert SECRET not in inside


# Processes

FORKED = """
    import {ctypes}os, threading
    from sessionware.auth import hash_password, verify_password

    def serve():
        while True:
            verify_password(None, "x")

    stored = hash_password("seven quiet lanterns drift")
    for _ in range({busy}):
        threading.Thread(target=serve, daemon=True).start()
    for _ in range(3):
        child = {fork}
        if child == 0:
            assert verify_password(stored, "seven quiet lanterns drift")
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert verify_password(stored, "seven quiet lanterns drift")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("busy", [0, 8], ids=["idle", "busy"])
def test_a_forked_child_has_threads_of_its_own(busy: int) -> None:
    """It does not wait for those that its parent had, whatever these were doing."""
    # Python 3.12 warns of any fork beside threads, also of one that is right.
    result = run_script(FORKED.format(ctypes="", fork="os.fork()", busy=busy), "-W", "ignore::DeprecationWarning")

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks by a call of glibc's")
def test_a_child_of_which_python_knows_nothing_has_threads_of_its_own() -> None:
    """Servers written in C, such as uWSGI, fork without running the hooks."""
    result = run_script(FORKED.format(ctypes="ctypes, ", fork="ctypes.PyDLL(None).fork()", busy=0))

    assert (result.returncode, result.stderr) == (0, "")


ENDINGS = {
    "after one hash": """
        from sessionware.auth import hash_password
        hash_password("seven quiet lanterns drift")
        print("done")
    """,
    "with a queue of minutes": """
        import threading, time
        from sessionware.auth._hashing_threads import compute
        begun = threading.Semaphore(0)
        def hold():
            begun.release()
            time.sleep(0.3)
        for _ in range(500):
            threading.Thread(target=lambda: compute(hold), daemon=True).start()
        begun.acquire()
        print("done")
    """,
    "with a thread that goes on": """
        import threading, time
        from sessionware.auth import hash_password, verify_password
        stored = hash_password("seven quiet lanterns drift")
        def go_on():
            threading.main_thread().join()
            for _ in range(5):
                assert verify_password(stored, "seven quiet lanterns drift")
            print("done")
        threading.Thread(target=go_on).start()
    """,
    "with a thread that begins late": """
        import threading
        from sessionware.auth import hash_password
        def begin():
            threading.main_thread().join()
            hash_password("seven quiet lanterns drift")
            print("done")
        threading.Thread(target=begin).start()
    """,
    "with a hash at the very end": """
        import atexit
        def at_exit():
            sessionware.auth.hash_password("seven quiet lanterns drift")
            print("done")
        atexit.register(at_exit)
        import sessionware.auth
        sessionware.auth.hash_password("seven quiet lanterns drift")
    """,
}


@pytest.mark.parametrize("script", ENDINGS.values(), ids=ENDINGS)
def test_a_process_ends_at_once_and_cleanly(script: str) -> None:
    """Whatever is waiting, and without a word."""
    begun_at = time.monotonic()
    result: Any = run_script(script)

    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")
    assert time.monotonic() - begun_at < 15
