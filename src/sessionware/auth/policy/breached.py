"""Asks the application's own function whether a password was in a breach, and waits no longer than it may take.

The question is put in a thread of its own, because nothing else can be given up. Those threads are few in a process,
and none keeps it from ending: a service that hangs costs a few threads and, for each new password, the time limit.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from time import monotonic

from ..._hidden import Hidden, raised_where

Breached = Callable[[str], bool]
"""Takes a password. True if it is known from a breach."""

#: Questions that a process has under way at once.
_AT_ONCE = 8

# By process, because a forked child has none of its parent's threads, which would never end there.
_free_by_process: dict[int, threading.BoundedSemaphore] = {}


class NoAnswer(Exception):
    """The function did not say. The message is for the operator, without what the function was given or raised."""


def ask(breached: Breached, typed: Hidden[str], timeout: float) -> bool:
    """What the function says, within so many seconds. Raises `NoAnswer`."""
    deadline = monotonic() + timeout
    free = _free_by_process.setdefault(os.getpid(), threading.BoundedSemaphore(_AT_ONCE))
    if not free.acquire(timeout=timeout):
        raise NoAnswer(f"{_AT_ONCE} calls of breached= were under way, and none came back within {timeout:g} s")
    answer: Future[bool] = Future()
    try:
        # A daemon, so that the process can end without it.
        threading.Thread(
            target=_answer, args=(breached, typed, answer, free), name="sessionware-breached", daemon=True
        ).start()
    except RuntimeError:  # the system has no thread left, or the interpreter is about to end
        free.release()
        raise NoAnswer("there was no thread to call breached= in") from None
    try:
        return answer.result(max(0.0, deadline - monotonic()))
    except FutureTimeoutError:  # another class than the built-in one before Python 3.11
        raise NoAnswer(f"breached= gave no answer within {timeout:g} s") from None


def _answer(breached: Breached, typed: Hidden[str], answer: Future[bool], free: threading.BoundedSemaphore) -> None:
    try:
        said: object = breached(typed.value)
        if said is True or said is False:
            answer.set_result(said)
        else:  # a count, or a coroutine, is no answer
            answer.set_exception(NoAnswer(f"breached= returned an object of type {type(said).__name__}, no bool"))
    except BaseException as error:
        answer.set_exception(NoAnswer(f"breached= raised {raised_where(error)}"))
    finally:
        free.release()
