"""Pyramid's own tests of sessions, CSRF tokens and logins that a session holds, on our `request.session`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.peers.harness import Outcomes, Peer, run_pytest

TESTS = [
    "tests/test_session.py::TestBaseCookieSession",
    "tests/test_testing.py::TestDummySession",
    "tests/test_csrf.py::TestLegacySessionCSRFStoragePolicy",
    "tests/test_csrf.py::TestSessionCSRFStoragePolicy",
    "tests/test_authentication.py::TestSessionAuthenticationPolicy",
    "tests/test_authentication.py::TestSessionAuthenticationHelper",
]


def run(source: Path) -> Outcomes:
    """The classes of tests that make a session, or give one to a request."""
    return run_pytest(source, *TESTS, plugin="tests.peers.pyramid_plugin")


COOKIE_SESSION, DUMMY_SESSION = TESTS[0], TESTS[1]
REISSUE = "asks for `reissue_time`, after which data in a cookie is sent again; ours is in the store, and is prolonged"
PLANTED = "plants a token for forms under a key of the data; ours is made from the session and is not in its data"
PRIVATE = "calls a private method of Pyramid's cookie session, `_set_cookie`, or asks for its private `_dirty`"

EXCEPTIONS: Mapping[str, str] = {
    f"{COOKIE_SESSION}::test__set_cookie_*": PRIVATE,  # five tests
    f"{COOKIE_SESSION}::test_changed": PRIVATE,
    f"{COOKIE_SESSION}::test_reissue_triggered": PRIVATE,
    f"{COOKIE_SESSION}::test_get_csrf_token": PLANTED,
    f"{DUMMY_SESSION}::test_get_csrf_token": PLANTED,
    f"{COOKIE_SESSION}::test_timeout_invalid": "expects a ValueError of a wrong setting; ours is a ConfigError",
    f"{COOKIE_SESSION}::test_no_set_cookie_with_exception": (
        "asks for `set_on_exception=False`; here the response's status says whether the session is saved"
    ),
    # Beyond those that Pyramid's two kinds of cookie sessions share:
    f"{COOKIE_SESSION}::test_reissue_[!t]*": REISSUE,
    f"{COOKIE_SESSION}::test_cookie_max_age_invalid": "asks for `max_age`, a setting of the cookie; ours is remember()",
}

PEERS = [Peer("Pyramid", "pyramid==2.1", run, EXCEPTIONS)]
