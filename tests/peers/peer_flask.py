"""Flask, Flask-Login and Flask-WTF: their tests on `sessionware.contrib.flask`."""

from __future__ import annotations

from pathlib import Path

from tests.peers.harness import Outcomes, Peer, run_pytest

PLUGIN = "tests.peers.flask_plugin"


def run(source: Path) -> Outcomes:
    return run_pytest(source, "tests", plugin=PLUGIN)


def run_tutorial(source: Path) -> Outcomes:
    """The application that Flask's documentation builds, with its tests."""
    return run_pytest(source / "examples" / "tutorial", "tests", plugin=PLUGIN)


#: Of a permanent session. Flask sends its cookie again with every response, which costs a load on every page.
SLIDES_WHEN_USED = "a cookie slides when its session is used, and then at most once an hour: no page pays for it"

FLASK = {
    "tests/test_basic.py::test_app_freed_on_zero_refcount": "what stands around wsgi_app holds the application, so "
    "that it can be served by that alone; the garbage collector frees it",
    "tests/test_basic.py::test_session_using_session_settings": "SESSION_COOKIE_HTTPONLY=False is refused",
    "tests/test_basic.py::test_session_using_samesite_attribute": "a wrong SameSite is a ConfigError, not a ValueError",
    "tests/test_basic.py::test_session_expiration": "the cookie's life is told by Max-Age alone, without Expires",
    "tests/test_basic.py::test_session_cookie_setting": SLIDES_WHEN_USED,
    "tests/test_basic.py::test_session_refresh_vary": SLIDES_WHEN_USED,
}

FLASK_WTF = {
    "tests/test_csrf_extension.py::test_same_origin": "it goes on over https with a session that was begun over http: "
    "there the cookie is Secure, has another name, and is the only one that is read",
}

PEERS = [
    Peer("flask", "flask==3.1.3", run, FLASK),
    Peer("flask tutorial", "flask==3.1.3", run_tutorial),
    Peer("flask-login", "flask-login==0.6.3", run),
    Peer("flask-wtf", "flask-wtf==1.3.0", run, FLASK_WTF),
]
