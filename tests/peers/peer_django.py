"""Django's own tests of sessions, logins, messages, CSRF and the test client, on `sessionware.contrib.django`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dev
from tests.peers.harness import Outcomes, Peer

#: The oldest release that we support, and the newest, which needs a newer Python.
RELEASES = ["django==5.2.19", *(["django==6.1.3"] if sys.version_info >= (3, 12) else [])]

SUITES = ["sessions_tests", "auth_tests", "csrf_tests", "messages_tests", "test_client", "test_client_regress"]

#: Those that each of Django's own engines must pass: `SessionTestsMixin`.
ENGINE = ".SessionwareTests."

EXCEPTIONS = {
    "*.SessionMiddlewareTests.test_empty_session_saved": "looks for the session in Django's own table",
    "*.LoginTest.test_session_key_flushed_on_login_after_password_change": "wants whoever logs in again to keep the "
    "key; here each login gives the session a new one (ASVS 5.0 7.2.4)",
}

#: What the newest release has tests for.
NEW_EXCEPTIONS = {
    "*.TestLoginRequiredMiddleware.test_protected_view_logged_in_performance": "counts a query of the database for the "
    "session",
}


def run_engine(source: Path) -> Outcomes:
    """What each of Django's own engines must pass, on ours."""
    return {id: outcome for id, outcome in run(source, "sessions_tests").items() if ENGINE in id}


def run_suites(source: Path) -> Outcomes:
    """Whatever uses sessions."""
    return {id: outcome for id, outcome in run(source, *SUITES).items() if ENGINE not in id}


def run(source: Path, *suites: str) -> Outcomes:
    """Run the suites as Django's developers do, in one process."""
    found = source.parent / "outcomes.json"
    found.unlink(missing_ok=True)
    command = [sys.executable, "runtests.py", "--settings=tests.peers.django_plugin", "--parallel=1", *suites]
    paths = {"PYTHONPATH": os.pathsep.join([str(source), str(dev.ROOT)]), "OUTCOMES": str(found)}
    subprocess.run(command, cwd=source / "tests", env={**os.environ, **paths}, check=False)
    outcomes: dict[str, str] = json.loads(found.read_text(encoding="utf-8"))
    found.unlink()  # the directory of a source holds nothing else
    return outcomes


PEERS = [
    peer
    for release in RELEASES
    for peer in (
        Peer("django's engines", release, run_engine),
        Peer("django", release, run_suites, EXCEPTIONS | ({} if release == RELEASES[0] else NEW_EXCEPTIONS)),
    )
]
