"""Messages to people, sent after the answer and not during it, by the application's own `send`.

A mail takes time, and only people who have an account get one. So nothing that is sent may be waited for in a request:
how long that takes would tell who has an account (ASVS 5.0 6.3.8). A request only puts a job into the queue. A thread
does what is in it, a moment later, when the answer is on its way. It lives as long as there is work.

Under gevent's monkey patching the thread is a greenlet. Then a mailer that gevent does not know, such as one in C,
holds up the whole worker while it sends.
"""

from __future__ import annotations

import atexit
import inspect
import os
import threading
from collections import Counter, deque
from collections.abc import Callable
from time import monotonic
from typing import Literal, NamedTuple

from .._checks import shown, takes
from .._hidden import HiddenText, raised_where, without_frames
from ..errors import ConfigError
from .throttling.rarely import Rarely
from .users.base import User
from .where import Where

Purpose = Literal["reset", "password_changed", "new_device"]
"""What a message is about: a link to choose a new password, or news about the account."""

Send = Callable[[Purpose, User, "str | None"], object]
"""Takes the purpose, the account, and the path with the token, or None where there is none to send."""

#: How many jobs may wait.
_ROOM = 1000

#: One place in so many is kept for news. Strangers may ask for links until the others are taken, and whoever has taken
#: over an account could otherwise do that first, so that its owner never hears of it.
_KEPT = 10

#: Seconds between a request and its job, so that the request's answer is out before anybody is looked up.
_PAUSE = 0.25

#: At the end of the process, what waits may take so many seconds.
_LAST_SECONDS = 3.0


class Letter(NamedTuple):
    """One message."""

    purpose: Purpose
    user: User
    path: HiddenText | None = None


class Job(NamedTuple):
    """Something to send, which need not be written yet."""

    where: Where
    purpose: Purpose
    write: Callable[[], Letter | None]
    """Makes the message. None if there is nobody to send it to."""


class Outbox:
    """The messages of one `Auth`. Without a `send`, nobody gets any.

    Args:
        send: What the application gave to `Auth`.
        room: How many jobs may wait, a tenth of them news alone. What comes beyond that is dropped, with an event.
        pause: Seconds to let pass before a job is begun.
    """

    def __init__(self, send: Send | None, *, room: int = _ROOM, pause: float = _PAUSE) -> None:
        if send is not None and (not callable(send) or inspect.iscoroutinefunction(send) or not takes(send, 3)):
            raise ConfigError(
                f"send={shown(send)}: pass a plain function that takes the purpose, a user, and a path or None. It is "
                "called in a thread of its own, so it may wait for your mail server."
            )
        self._send = send
        self._room = room
        self._pause = pause
        self._drops = Rarely()
        # By process, because a forked child inherits the queue but not the thread, and what waits in it is the parent's
        # to send.
        self._queues: dict[int, _Queue] = {}

    @property
    def is_open(self) -> bool:
        """Whether there is a `send`."""
        return self._send is not None

    def notify(self, where: Where, purpose: Purpose, user: User) -> None:
        """Tell somebody what happened to the account."""
        self.put(Job(where.afterwards(), purpose, lambda: Letter(purpose, user)))

    def put(self, job: Job) -> None:
        """Let this be done a moment later. If there is no room for it, that is an event, once a minute."""
        if self._send is None or not (why_not := self._queue().take(job)):
            return
        if count := self._drops.count((job.purpose, why_not), job.where.now()):
            more = "" if count == 1 else f"; {count - 1} more since this was last told"
            job.where.emit("send.dropped", detail=f"{job.purpose}: {why_not}{more}")

    def join(self, timeout: float | None = None) -> bool:
        """Wait until everything is sent, and let nothing wait for its pause. False if that takes too long."""
        return self._queue().join(timeout)

    def _queue(self) -> _Queue:
        process = os.getpid()
        try:
            return self._queues[process]
        except KeyError:
            return self._queues.setdefault(process, _Queue(self._deliver, self._room, self._pause))

    def _deliver(self, job: Job) -> None:
        try:
            letter = job.write()
        except BaseException as error:  # nothing may stop the thread before the next job has had its turn
            job.where.emit("send.failed", detail=f"{job.purpose}: {_place(error)}, before there was anything to send")
            return
        if letter is not None and self._send is not None:
            self._hand_over(self._send, job.where, letter)

    def _hand_over(self, send: Send, where: Where, letter: Letter) -> None:
        try:
            answer = send(letter.purpose, letter.user, letter.path)
        except BaseException as error:  # as above: a mailer that calls sys.exit() too
            where.emit("send.failed", letter.user, detail=f"{letter.purpose}: {_place(error)}")
            return
        if inspect.iscoroutine(answer):
            answer.close()
            where.emit("send.failed", letter.user, detail=f"{letter.purpose}: send is async; pass a plain function")


class _Queue:
    """What one process has to send, and the thread that does it while there is anything."""

    def __init__(self, do: Callable[[Job], None], room: int, pause: float) -> None:
        self._do = do
        self._room = room
        self._pause = pause
        self._changed = threading.Condition()
        self._jobs: deque[tuple[float, Job]] = deque()
        self._thread: threading.Thread | None = None
        self._hurried = 0

    def take(self, job: Job) -> str:
        """Put the job at the end. If that is not possible, why."""
        with self._changed:
            room = self._room - (self._room // _KEPT if job.purpose == "reset" else 0)
            if len(self._jobs) >= room:
                return f"{room} messages wait already. Does send hang?"
            self._jobs.append((monotonic() + self._pause, job))
            if self._thread is None and not self._start():
                self._jobs.pop()
                return "no thread could be started. Has the system none left, or is the process about to end?"
            return ""

    def join(self, timeout: float | None) -> bool:
        """Wait until nothing is left to do."""
        with self._changed:
            self._hurried += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: self._thread is None, timeout)
            finally:
                self._hurried -= 1

    def forsaken(self) -> list[Job]:
        """Take out what was not begun."""
        with self._changed:
            left = [job for _, job in self._jobs]
            self._jobs.clear()
            return left

    def _start(self) -> bool:
        # A daemon, because a mailer that hangs must not keep the process alive.
        thread = threading.Thread(target=self._work, name="sessionware-outbox", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has none left, or the interpreter is about to end
            return False
        self._thread = thread
        _working.add(self)
        return True

    def _work(self) -> None:
        while self._do_one():
            pass

    def _do_one(self) -> bool:
        """Do the job that has waited longest. False if there is none, and the thread is to end."""
        with self._changed:
            if not self._jobs:
                self._thread = None
                _working.discard(self)
                self._changed.notify_all()
                return False
            begin_at = self._jobs[0][0]
            while not self._hurried and (wait := begin_at - monotonic()) > 0:
                self._changed.wait(wait)
            if not self._jobs:  # the process is about to end
                return True
            _, job = self._jobs.popleft()
        self._do(job)
        return True


def _place(error: BaseException) -> str:
    """What was raised, and where, once its frames are gone: they hold an address, or the path with the token."""
    place = raised_where(error)
    without_frames(error)
    return place


#: The queues that have a thread. Strong references, each for as long as there is work.
_working: set[_Queue] = set()


@atexit.register
def _finish() -> None:
    """Send what waits. What does not get its turn is reported."""
    deadline = monotonic() + _LAST_SECONDS
    for queue in list(_working):
        if not queue.join(max(0.0, deadline - monotonic())):
            _tell_forsaken(queue.forsaken())


def _tell_forsaken(jobs: list[Job]) -> None:
    """One event for each purpose, with the number."""
    counts = Counter(job.purpose for job in jobs)
    for purpose, job in {job.purpose: job for job in jobs}.items():
        more = "" if counts[purpose] == 1 else f", nor that of {counts[purpose] - 1} more"
        job.where.emit("send.dropped", detail=f"{purpose}: the process ended before it was its turn{more}")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_working.clear)
