"""Puts our sessions into Pyramid's own tests, as a plugin of pytest.

Those tests make a session for a dummy of a request, and look at it where Pyramid's cookie sessions keep things, which
no interface says. So three things are translated: a cookie is one of ours with the same content and age,
`session["_f_…"]` is a queue of messages, and `session["_csrft_"]` is the token for forms.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from pyramid import testing

from sessionware import SessionManager
from sessionware.contrib.pyramid import PyramidSession, session_factory
from tests.support.fixed import SECRET

FLASH, CSRF = "_f_", "_csrft_"


def pytest_configure() -> None:
    """Make room for Pyramid's tests, which are a package named `tests` too."""
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Let the tests have our sessions wherever they make or assign one."""
    for cls in {item.cls for item in items}:
        match cls.__name__:
            case "TestBaseCookieSession":
                cls.setUp, cls._makeOne, cls._serialize = set_up, make_one, serialize
            case "TestDummySession":
                cls.setUp, cls._makeOne = set_up, lambda self: make_one(self, testing.DummyRequest())
            case "TestSessionAuthenticationHelper":
                cls._makeRequest = lambda self, session=None: SimpleNamespace(session=holding(session or {}))
            case _:
                # Whatever a test gives to its own dummy as a session becomes one of ours.
                sys.modules[cls.__module__].DummyRequest.session = OurSession()


class Translated(PyramidSession):
    """Shows messages and token under the keys that Pyramid's own sessions have for them."""

    def __getitem__(self, k: str) -> Any:
        if k == CSRF and not self.sessionware.is_new:
            return self.sessionware.csrf_token
        if not k.startswith(FLASH):
            return super().__getitem__(k)
        messages = self.peek_flash(k.removeprefix(FLASH))
        if not messages:
            raise KeyError(k)
        return messages

    def __setitem__(self, k: str, value: Any) -> None:
        if not k.startswith(FLASH):
            super().__setitem__(k, value)
        else:
            for message in value:
                self.flash(message, k.removeprefix(FLASH))


class OurSession:
    """An attribute that takes a dict, and is one of our sessions with the same content."""

    def __set__(self, request: Any, value: Mapping[str, Any] | None) -> None:
        # What has methods of its own stands for something that a policy only calls.
        request.__dict__["our session"] = holding(value or {}) if isinstance(value, (dict, type(None))) else value

    def __get__(self, request: Any, _owner: object) -> Any:
        return self if request is None else request.__dict__.setdefault("our session", holding({}))


def holding(content: Mapping[str, Any]) -> PyramidSession:
    """One of our sessions that is stored, as if an earlier request had put this into it."""
    session = PyramidSession(SessionManager(SECRET).open({}).session)
    session.update(content)
    session.sessionware.commit()
    return session


def set_up(test: Any) -> None:
    """A directory for the database. The test makes a manager for each session, with options as in an ini file."""
    test.directory = tempfile.TemporaryDirectory()
    test.addCleanup(test.directory.cleanup)


def manager(test: Any, **options: object) -> SessionManager:
    settings = {name: str(value) for name, value in options.items()}
    store = f"sqlite:///{Path(test.directory.name, 'app.db')}"
    return SessionManager.from_settings({"secret": SECRET, "store": store, **settings})


def make_one(test: Any, request: Any, timeout: object = None, **options: object) -> PyramidSession:
    """A session for the request, by our factory. What Pyramid calls `timeout` is how long visitors may be idle."""
    if options:
        raise TypeError(f"sessionware has no {', '.join(options)} for a session factory")
    limits = {} if timeout is None else {"timeout_anonymous": timeout}
    if "session" in request.cookies:
        request.environ["HTTP_COOKIE"] = f"sid={request.cookies['session']}"
    return Translated(session_factory(manager(test, **limits))(request).sessionware)


def serialize(test: Any, value: Any) -> str:
    """A cookie of ours with this content and age, or nonsense if it is for nothing that a session could be."""
    if not isinstance(value, tuple):
        return "x" * 64
    renewed, _created, content = value
    with mock.patch("time.time", return_value=renewed):
        first = manager(test).open({})
        first.session.update(content)
        first.finish()
        second = manager(test).open({"HTTP_COOKIE": f"sid={first.cookie}"})  # until then it is a visit, not a visitor's
        second.session.get("state")
        second.finish()
        return str(second.cookie)
