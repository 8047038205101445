"""The server that is killed, and how to ask it."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import dev
from tests.long.hammer.plan import Plan
from tests.support.fixed import SECRET

PATIENCE = 30.0  # seconds, for one answer: longer than a server takes to come back

_GUNICORN = [sys.executable, "-m", "gunicorn", "--log-level=error", "--timeout=60"]


class HammerServer:
    """gunicorn over one store. Its socket is held here, so that whoever asks while it is down waits for the next."""

    def __init__(self, plan: Plan, directory: Path, store: str) -> None:
        self.plan = plan
        self.store = store
        self.log = directory / "server.log"
        self.kills = self.restarts = 0
        self._chance = random.Random(f"{plan.seed} server")
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._lock = threading.Lock()
        self.address: tuple[str, int] = self._listener.getsockname()
        self.start()

    def start(self) -> None:
        """Start it, in a process group of its own; sometimes its workers are forked with the application built."""
        listener = self._listener.fileno()
        options = [f"--workers={self.plan.workers}", "--worker-class=gthread", "--threads=4", f"--bind=fd://{listener}"]
        preload = self._chance.choice([["--preload"], []])
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_GUNICORN, *options, *preload, "tests.long.hammer.site:site()"],
                cwd=dev.ROOT,
                env={**os.environ, "SESSION_SECRET": SECRET, "SESSIONWARE_TEST_HAMMER_STORE": self.store},
                pass_fds=[listener],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill the master and all workers at one blow."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def kill_worker(self) -> None:
        """Kill one worker. The master starts another in its place."""
        with self._lock:
            deadline = time.monotonic() + PATIENCE
            while not (workers := _children(self._process.pid)) and time.monotonic() < deadline:
                time.sleep(0.01)
            with suppress(ProcessLookupError):
                os.kill(self._chance.choice(workers), signal.SIGKILL)
                self.kills += 1

    def restart(self) -> None:
        with self._lock:
            self.kill()
            self.start()
            self.restarts += 1

    def close(self) -> None:
        self.kill()
        self._listener.close()

    def wait(self) -> None:
        """Wait until it serves. Raises `RuntimeError`, with its last words, if it does not."""
        deadline = time.monotonic() + PATIENCE
        with closing(http.client.HTTPConnection(*self.address, timeout=1)) as connection:
            while ask(connection, "read", None) is None:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"gunicorn does not serve: {self.last_words()}")

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=PATIENCE)


def _children(pid: int) -> list[int]:
    """The processes that this one has started, as `ps` knows them everywhere, or as Linux tells without it."""
    with suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [line.split() for line in listed.splitlines()]
    return [int(child) for child, parent in pairs if int(parent) == pid]


class HammerAnswer(NamedTuple):
    """An answer that came whole."""

    status: int
    cookie: str | None
    """The cookie that it sets; empty if it takes the browser's away."""
    told: dict[str, Any]
    outage: str | None = None
    """Of a 503 because the store failed, what it said. What was to be written may be there."""


def ask(connection: http.client.HTTPConnection, page: str, cookie: str | None, **fields: object) -> HammerAnswer | None:
    """Send one request. None if it broke off."""
    try:
        headers = {"Cookie": f"sid={cookie}"} if cookie else {}
        connection.request("GET", f"/{page}?{urlencode(fields)}", headers=headers)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return None
    line = response.getheader("Set-Cookie")
    sets = None if line is None else line.partition(";")[0].partition("=")[2]
    told = json.loads(body) if response.status == 200 else {}
    outage = response.getheader("X-Outage") if response.status == 503 else None
    return HammerAnswer(response.status, sets, told, outage)
