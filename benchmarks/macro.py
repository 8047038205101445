"""Requests per second behind gunicorn on loopback, as a share of the same application without sessions.

The load comes from `wrk`, one connection per thread, each with a session of its own.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from .scenarios import SCENARIOS, Browser, Scenario, WrongAnswer
from .subjects import named

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = 4
WARM_UP = 20  # requests of each browser, until every worker has served some
PATIENCE = 30.0

GUNICORN = [sys.executable, "-W", "ignore", "-m", "gunicorn", "--log-level=error", "--graceful-timeout=1"]
WORKERS = {
    "sync": ["--worker-class=sync", "--workers=2"],
    "gthread": ["--worker-class=gthread", "--workers=1", f"--threads={CONNECTIONS}"],
}

SHARED = ("sessionware-file", "sessionware-sqlite", "beaker-sqla", "django-db", "flask-session-sqla")
#: Sessions in the memory of one process are found by one worker only.
SINGLE = ("sessionware-memory",)

_SCRIPT = """
local cookies, threads = {cookies}, 0
function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end
function init()
  text = wrk.format("{method}", "{page}", {{Cookie = cookies[number], ["Content-Length"] = "0"}})
end
function request() return text end
"""


class Plan(NamedTuple):
    """How long each run takes, how often it is repeated, behind which kinds of workers, and with which subjects."""

    seconds: int
    rounds: int
    workers: tuple[str, ...]
    shared: tuple[str, ...] = SHARED


class Load(NamedTuple):
    """What wrk saw."""

    per_second: float
    p99_ms: float
    failures: int


class Pair(NamedTuple):
    """A subject's load, and that of its bare application right before."""

    own: Load
    bare: Load


class Remote:
    """A server, to which a `Browser` talks as to an application: only `visit` is used, and nothing is timed."""

    def __init__(self, port: int) -> None:
        self.port = port

    def browser(self) -> Browser:
        return Browser(self._answer)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(environ["REQUEST_METHOD"], environ["PATH_INFO"], headers={"Cookie": environ["HTTP_COOKIE"]})
        response = connection.getresponse()
        start_response(f"{response.status} {response.reason}", response.getheaders())
        body = response.read()
        connection.close()
        return [body]


def measure(plan: Plan) -> list[dict[str, Any]]:
    """One row for each subject, kind of worker and scenario. Nothing if wrk is not installed."""
    if shutil.which("wrk") is None:
        print("wrk is not installed: no macro measurements (apt-get install wrk)", file=sys.stderr)
        return []
    pairs: dict[tuple[str, str, str], list[Pair]] = {}
    for _ in range(plan.rounds):
        for kind in plan.workers:
            for name in plan.shared if kind == "sync" else plan.shared + SINGLE:
                _run(name, kind, plan.seconds, pairs)
    return [_row(*cell, found) for cell, found in pairs.items()]


def _run(name: str, kind: str, seconds: int, pairs: dict[tuple[str, str, str], list[Pair]]) -> None:
    """Serve one subject and its bare application, and put each scenario's load on the one and then on the other."""
    with _served(named(name).bare, kind) as bare, _served(name, kind) as remote:
        for letter in "CD":
            without, _ = _load(bare, letter, seconds)
            load, browsers = _load(remote, letter, seconds)
            pairs.setdefault((name, kind, letter), []).append(Pair(load, without))
            if SCENARIOS[letter].counts:
                _check_counts(browsers)


def _load(remote: Remote, letter: str, seconds: int) -> tuple[Load, list[Browser]]:
    """Begin the sessions, and let wrk go on with them."""
    scenario, browsers = SCENARIOS[letter], [remote.browser() for _ in range(CONNECTIONS)]
    for browser in browsers:
        browser.visit("/start", writes=True)
    for browser in browsers * WARM_UP:
        browser.visit(scenario.page, writes=scenario.writes)
    return _wrk(remote.port, scenario, [browser.cookie for browser in browsers], seconds), browsers


def _check_counts(browsers: list[Browser]) -> None:
    """Raise `WrongAnswer` unless wrk has counted in each of the sessions."""
    counts = [int(browser.visit("/read").body) for browser in browsers]
    if min(counts) <= WARM_UP + 1:
        raise WrongAnswer(f"wrk has counted {counts}")


@contextmanager
def _served(name: str, kind: str) -> Iterator[Remote]:
    """gunicorn, on a socket that listens already; it is stopped by its own process id."""
    with tempfile.TemporaryDirectory() as directory:
        process, port = _started(name, kind, directory)
        try:
            yield Remote(port)
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _started(name: str, kind: str, directory: str) -> tuple[subprocess.Popen[bytes], int]:
    """The server's process and its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [*GUNICORN, f"--bind=fd://{listener.fileno()}", *WORKERS[kind], "benchmarks.macro_app:app()"],
            cwd=ROOT,
            env={**os.environ, "BENCHMARK_SUBJECT": name, "BENCHMARK_DIRECTORY": directory},
            pass_fds=[listener.fileno()],
        )
    return process, port


def _wrk(port: int, scenario: Scenario, cookies: list[str], seconds: int) -> Load:
    listed = ", ".join(json.dumps(cookie or "sid=" + "x" * 64) for cookie in cookies)
    method, url = "POST" if scenario.writes else "GET", f"http://127.0.0.1:{port}/"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_SCRIPT.format(cookies=f"{{{listed}}}", method=method, page=scenario.page))
        script.flush()
        report = subprocess.check_output(
            f"wrk -t{CONNECTIONS} -c{CONNECTIONS} -d{seconds}s --latency -s {script.name} {url}".split(),
            text=True,
        )
    return parsed(report)


def parsed(report: str) -> Load:
    """What wrk printed."""
    per_second = re.search(r"Requests/sec:\s+([\d.]+)", report)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", report)
    if per_second is None or p99 is None:
        raise ValueError(f"wrk said: {report}")
    failures = re.findall(r"Non-2xx or 3xx responses: (\d+)", report)
    broken = re.findall(r"Socket errors: connect (\d+), read \d+, write (\d+), timeout (\d+)", report)
    count = sum(map(int, failures)) + sum(int(number) for numbers in broken for number in numbers)
    return Load(float(per_second[1]), float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]], count)


def _row(name: str, kind: str, letter: str, pairs: list[Pair]) -> dict[str, Any]:
    return {
        "subject": name,
        "workers": kind,
        "scenario": letter,
        "per_second": round(median(pair.own.per_second for pair in pairs)),
        "bare_per_second": round(median(pair.bare.per_second for pair in pairs)),
        "share_of_bare": round(median(pair.own.per_second / pair.bare.per_second for pair in pairs), 3),
        "p99_ms": round(median(pair.own.p99_ms for pair in pairs), 2),
        "bare_p99_ms": round(median(pair.bare.p99_ms for pair in pairs), 2),
        "failures": sum(pair.own.failures + pair.bare.failures for pair in pairs),
    }
