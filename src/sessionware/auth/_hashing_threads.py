"""The threads that passwords are hashed in: a few for the whole process, first come, first served.

If every server thread hashed by itself, each would keep the memory of its last computation (glibc gives each thread an
arena), and who waits for memory would be served in no order. Why this is not a `ThreadPoolExecutor` is in
docs/decisions/0012.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from functools import partial
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

from .._hidden import without_frames
from ..errors import Busy

T = TypeVar("T")

#: Seconds to wait for a turn.
PATIENCE = 5.0

# At the end of the process, what is under way may take so many seconds to finish. (A thread that is cut off inside a
# library written in Rust or C++, such as bcrypt, brings the process down.)
_LAST_SECONDS = 1.0


_here = threading.local()


class Share(NamedTuple):
    """The memory that a computation takes, of a budget that others take from as well. In bytes."""

    size: int
    budget: int
    whose: Hashable


def compute(function: Callable[[], T], share: Share | None = None) -> T:
    """What the function returns or raises, called in a hashing thread when it is its turn.

    Raises `Busy` if that takes longer than `PATIENCE`. Then the function is never called.
    """
    if getattr(_here, "is_hashing_thread", False):  # `verify_legacy` may ask ours, and must not wait for its own thread
        return function()
    job = _Job(function, share)
    if not _threads_of_this_process().take(job):
        job.perform()()
    try:
        wait([job.outcome], PATIENCE)
        if job.outcome.cancel():  # which it refuses once the job has begun
            raise Busy(retry_after=int(PATIENCE))
        return job.outcome.result()
    except BaseException:  # this thread may be interrupted, too
        job.outcome.cancel()
        raise


class _Job(Generic[T]):
    """A computation, and the place for its outcome. Without a `repr`, because the function knows a password."""

    def __init__(self, function: Callable[[], T], share: Share | None) -> None:
        self.share = share
        self.outcome: Future[T] = Future()
        self._function = function

    def perform(self) -> Callable[[], object]:
        """Compute it, unless nobody waits for it any more. Returns what tells the one who does."""
        if not self.outcome.set_running_or_notify_cancel():
            return lambda: None
        try:
            return partial(self.outcome.set_result, self._function())
        except BaseException as error:
            without_frames(error)  # whose locals are passwords and hashes
            return partial(self.outcome.set_exception, error)


class _Threads:
    """At most `limit` threads. One is started when a job could run and all others are taken."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._jobs: deque[_Job[object]] = deque()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._in_use: Counter[Hashable] = Counter()
        self._is_closed = False

    def take(self, job: _Job[T]) -> bool:
        """Put the job at the end of the queue. False if there is no thread to be had, so that the caller must do it."""
        with self._changed:
            if self._is_closed:
                return False
            self._jobs.append(job)  # type: ignore[arg-type]
            if self._needs_thread() and not self._start_thread() and not self._threads:
                self._jobs.remove(job)  # type: ignore[arg-type]
                return False
            self._changed.notify()
        return True

    def close(self) -> None:
        """Drop what has not begun, and let the rest finish."""
        with self._changed:
            self._is_closed = True
            for job in self._jobs:
                job.outcome.cancel()
            self._jobs.clear()
            self._changed.notify_all()
        deadline = monotonic() + _LAST_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))

    def _needs_thread(self) -> bool:
        has_more_jobs = self._busy + len(self._jobs) > len(self._threads)
        return has_more_jobs and len(self._threads) < self._limit and self._fits(self._jobs[0])

    def _start_thread(self) -> bool:
        # A daemon, because a thread that waits for work must not keep the process alive.
        thread = threading.Thread(target=self._work, name=f"sessionware-hashing-{len(self._threads) + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has none left, or the interpreter is about to end
            return False
        self._threads.append(thread)
        return True

    def _work(self) -> None:
        _here.is_hashing_thread = True
        while self._do_one():
            pass

    def _do_one(self) -> bool:
        """Do the job that has waited longest. A function of its own, so that an idle thread holds no password."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or (self._jobs and self._fits(self._jobs[0])))
            if self._is_closed:
                return False
            job = self._jobs.popleft()
            self._account(job.share, +1)
            self._changed.notify()  # the next one may fit as well
        tell = job.perform()
        with self._changed:
            self._account(job.share, -1)
            if self._jobs and self._needs_thread():  # they could not run before, for want of memory
                self._start_thread()
            self._changed.notify()
        tell()  # only now, so that the caller's next job finds this thread free
        return True

    def _fits(self, job: _Job[object]) -> bool:
        # The first in the queue is never overtaken, or one that needs much memory would wait for ever.
        share = job.share
        return share is None or self._in_use[share.whose] + share.size <= share.budget

    def _account(self, share: Share | None, sign: int) -> None:
        self._busy += sign
        if share is not None:
            self._in_use[share.whose] += sign * share.size
            if not self._in_use[share.whose]:
                del self._in_use[share.whose]


def _cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# By process, because a forked child inherits everything but the threads, and some servers (uWSGI) fork without a word
# to Python.
_by_process: dict[int, _Threads] = {}


def _threads_of_this_process() -> _Threads:
    process = os.getpid()
    try:
        return _by_process[process]
    except KeyError:
        return _by_process.setdefault(process, _Threads(_cores()))


@atexit.register
def _close() -> None:
    if os.getpid() in _by_process:
        _by_process[os.getpid()].close()


if hasattr(os, "register_at_fork"):
    # What the parent's visitors are waiting for is no business of the child's.
    os.register_at_fork(after_in_child=_by_process.clear)
