"""Flask-Login on sessionware: a new token at each login, and somebody's sessions can be found and ended.

    login_manager = LoginManager(app)
    Sessionware(app)
    follow_logins(app)

Nothing else changes for the application. docs/coming-from-flask-login.md says more.
"""

from __future__ import annotations

from flask import Flask, request, session
from flask_login import user_loaded_from_cookie, user_logged_in, user_logged_out

from sessionware import get_session

#: What Flask-Login is about to read again when somebody has logged in, and when somebody has logged out.
_AT_LOGIN = ("_user_id", "_fresh", "_id", "_remember", "_remember_seconds")
_AT_LOGOUT = ("_remember", "_flashes")


def follow_logins(app: Flask) -> None:
    """Make each login of Flask-Login one of our session's, and end the session at each logout.

    `SessionManager.of(user_id=…)` and `end_all(user_id=…)` then take what Flask-Login calls the user's id.
    """
    user_logged_in.connect(_logged_in, app)
    user_loaded_from_cookie.connect(_logged_in, app)
    user_logged_out.connect(_logged_out, app)


def _logged_in(_app: Flask, **_user: object) -> None:
    kept = _kept(_AT_LOGIN)
    user_id = str(kept["_user_id"])
    get_session(request).login(user_id, user_id=user_id)  # which drops whatever another user has left here
    session.update(kept)


def _logged_out(_app: Flask, **_user: object) -> None:
    kept = _kept(_AT_LOGOUT)
    session.clear()
    session.update(kept)


def _kept(keys: tuple[str, ...]) -> dict[str, object]:
    return {key: session[key] for key in keys if key in session}
