"""Gives every application of a Flask project's tests its sessions from `sessionware.contrib.flask`."""

from __future__ import annotations

import hashlib
from typing import Any

import flask
import pytest
from flask.sessions import SecureCookieSessionInterface

import sessionware.contrib.flask
from sessionware.contrib import _flask_settings


@pytest.fixture(autouse=True)
def sessions_are_sessionwares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each application is set up as its author would do it. The tests' short secrets are made long enough."""
    make, secrets_of = flask.Flask.__init__, _flask_settings.secrets_of

    def make_with_sessionware(app: Any, *arguments: Any, **settings: Any) -> None:
        make(app, *arguments, **settings)
        if type(app.session_interface) is SecureCookieSessionInterface:  # else the test brings one of its own
            sessionware.contrib.flask.Sessionware(app)

    monkeypatch.setattr(flask.Flask, "__init__", make_with_sessionware)
    monkeypatch.setattr(
        _flask_settings,
        "secrets_of",
        lambda app: [hashlib.sha256(repr(secret).encode()).hexdigest() for secret in secrets_of(app)],
    )
