"""Flask-Session with cachelib and SQLAlchemy, and Flask's own signed cookie."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from cachelib import FileSystemCache, SimpleCache
from flask import Flask, request, session
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy

from .base import PLENTY, SECRET, App, Pages, Subject, plain_pages
from .sqlite_engine import with_wal

Setup = Callable[[Flask, Path], None]


def _flask(pages: Pages) -> Flask:
    """An application that serves the pages."""
    app, table = Flask(__name__), pages.table
    app.secret_key = SECRET

    @app.route("/<path:_page>", methods=["GET", "POST"])
    def serve(_page: str) -> tuple[str, dict[str, str]]:
        return table[request.path](request), {"Content-Type": "text/plain"}

    return app


def _memory(app: Flask, _directory: Path) -> None:
    app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=SimpleCache(threshold=PLENTY))


def _file(app: Flask, directory: Path) -> None:
    cache = FileSystemCache(str(directory / "cache"), threshold=PLENTY)
    app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)


def _sqla(app: Flask, directory: Path) -> None:
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{directory / 'flask.db'}"
    database = SQLAlchemy(app)
    with app.app_context():
        with_wal(database.engine)
    app.config.update(SESSION_TYPE="sqlalchemy", SESSION_SQLALCHEMY=database)


def _log_in(app: list[Any], flask_session: Any, name: str) -> None:
    """`app` is filled once there is one."""
    app[0].session_interface.regenerate(flask_session)
    flask_session["user"] = name


def _get_session(_request: Any) -> Any:
    return session


def with_sessions(set_up: Setup, *, refresh: bool) -> Callable[[Path], App]:
    def build(directory: Path) -> App:
        holder: list[Any] = []
        app = _flask(Pages(_get_session, log_in=partial(_log_in, holder)))
        holder.append(app)
        app.config["SESSION_REFRESH_EACH_REQUEST"] = refresh
        set_up(app, directory)
        Session(app)
        return app.wsgi_app

    return build


def _signed(_directory: Path) -> App:
    return _flask(Pages(_get_session)).wsgi_app


def _bare(_directory: Path) -> App:
    return _flask(plain_pages()).wsgi_app


_STORES: list[tuple[str, Literal["memory", "file", "sqlite"], Setup]] = [
    ("flask-session-memory", "memory", _memory),
    ("flask-session-file", "file", _file),
    ("flask-session-sqla", "sqlite", _sqla),
]

SUBJECTS = [
    Subject("flask-bare", "none", "bare", _bare, bare="flask-bare", skips=frozenset()),
    # Its whole session is in the cookie, so there is no id to change at a login.
    Subject("flask-signed", "cookie", "peer", _signed, bare="flask-bare", skips=frozenset("ML")),
]
for _name, _store, _set_up in _STORES:
    _without = with_sessions(_set_up, refresh=False)
    SUBJECTS.append(Subject(_name, _store, "peer", with_sessions(_set_up, refresh=True), bare="flask-bare"))
    SUBJECTS.append(Subject(f"{_name}-norefresh", _store, "peer", _without, bare="flask-bare", is_default=False))
