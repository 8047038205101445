"""Flask-Login on sessionware: a new token at each login, and somebody's sessions can be found and ended.

    login_manager = LoginManager(app)
    Sessionware(app)
    follow_logins(app)

Nothing else changes for the application. docs/coming-from-flask-login.md says more.
"""

from __future__ import annotations

from flask import Flask, request, request_started, session
from flask_login import COOKIE_NAME, session_protected, user_loaded_from_cookie, user_logged_in, user_logged_out

from sessionware import get_session

#: What Flask-Login is about to read again when somebody has logged in, and when somebody has logged out.
_AT_LOGIN = ("_user_id", "_fresh", "_id", "_remember", "_remember_seconds")
_AT_LOGOUT = ("_remember", "_flashes")


def follow_logins(app: Flask) -> None:
    """Make each login of Flask-Login one of our session's, and end the session at each logout.

    `SessionManager.of(user_id=…)` and `end_all(user_id=…)` then take what Flask-Login calls the user's id.
    """
    request_started.connect(_started, app)
    user_logged_in.connect(_logged_in, app)
    user_loaded_from_cookie.connect(_remembered, app)
    user_logged_out.connect(_logged_out, app)
    session_protected.connect(_protected, app)


def _started(app: Flask, **_: object) -> None:
    """Another site's form is nobody's, so it must not be sent as somebody by the remember cookie either."""
    name = app.config.get("REMEMBER_COOKIE_NAME", COOKIE_NAME)
    if name in request.cookies and get_session(request).is_foreign:
        others = [(each, value) for each, value in request.cookies.items(multi=True) if each != name]
        request.cookies = type(request.cookies)(others)


def _logged_in(_app: Flask, **_user: object) -> None:
    if get_session(request).is_foreign:
        _take_back()
        return
    kept = _kept(_AT_LOGIN)
    user_id = str(kept["_user_id"])
    get_session(request).login(user_id, user_id=user_id)  # which drops whatever another user has left here
    session.update(kept)


def _remembered(app: Flask, **user: object) -> None:
    # The cookie may be one that a logout has removed a moment ago, and nobody has checked a password since.
    if get_session(request).is_late:
        _take_back()
    else:
        _logged_in(app, **user)


def _take_back() -> None:
    """Leave nothing of which Flask-Login would make a remember cookie. Its user is that of this request alone."""
    for key in _AT_LOGIN:
        session.pop(key, None)


def _protected(app: Flask) -> None:
    ours = get_session(request)
    if ours.is_foreign:
        _take_back()
    elif "_user_id" not in session and ours.username is not None:  # not a visitor's, nor one that is only less fresh
        _logged_out(app)


def _logged_out(_app: Flask, **_user: object) -> None:
    kept = _kept(_AT_LOGOUT)
    session.clear()
    session.update(kept)


def _kept(keys: tuple[str, ...]) -> dict[str, object]:
    return {key: session[key] for key in keys if key in session}
