"""Connecting and forking, one after the other.

A driver that makes a connection holds locks of other libraries, such as OpenSSL's. In a child that is forked meanwhile
nobody would ever release them, and the first connection that the child makes would hang, before any timeout counts.
"""

from __future__ import annotations

import os
import threading

#: Seconds for which a fork waits. One that waited for a server that does not answer would be worse.
_PATIENCE = 2.0


class _NoFork:
    """While a thread is in it, no other thread forks."""

    def __init__(self) -> None:
        self._threads = 0
        self._forks = 0
        self._turn = threading.Condition()

    def __enter__(self) -> None:
        with self._turn:
            self._turn.wait_for(lambda: not self._forks)
            self._threads += 1

    def __exit__(self, *_error: object) -> None:
        with self._turn:
            self._threads -= 1
            self._turn.notify_all()

    def before_fork(self) -> None:
        self._turn.acquire()
        self._forks += 1  # so that those who come meanwhile wait, too
        self._turn.wait_for(lambda: self._threads == 0, _PATIENCE)

    def after_fork(self) -> None:
        self._forks -= 1
        self._turn.notify_all()
        self._turn.release()

    def after_fork_in_child(self) -> None:
        self.__init__()  # type: ignore[misc]  # of the threads that it counted there is none


no_fork: _NoFork = _NoFork()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=no_fork.before_fork, after_in_parent=no_fork.after_fork, after_in_child=no_fork.after_fork_in_child
    )
