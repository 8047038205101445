"""What the sessions of other libraries call things, so that an error can name what ours calls them."""

from __future__ import annotations

_REMEMBER = "session.remember(seconds) keeps it when the browser is closed, session.remember(None) takes that back"
_SAVED = "it is saved by itself, changes inside values too; session.commit() saves now"
_NEW = "session.is_new"
_CREATED = "session.created_at"
_ID = "session.id is its handle, and session.renew_token() replaces the cookie's token"
_RENEW = "session.renew_token() replaces the token and keeps the data; a login does so by itself"
_END = "session.invalidate() ends it"
_DEADLINE = "session.expires_at and session.ends_at say when it ends; Timeouts(…) and session.remember(seconds) set it"
_COOKIE = "Cookie(…) sets the cookie's attributes, for the whole site"
_TIMEOUTS = "Timeouts(…) sets how long sessions live, for the whole site"
_CSRF = "session.csrf_token is the token"
_LOCK = "there are no locks, and no write is lost; session.modify(key, fn) changes a value exactly"
_LOGIN = "session.username says who is logged in, and assigning a name to it is a login"
_RELOAD = "session.reload() forgets unsaved changes and reads it afresh"
_PRUNE = "session.manager.prune() removes expired sessions"
_USED = "session.manager.of(username=…) says when each session was last used"
_TEST = "a form's session.csrf_token works before there is a cookie; session.is_new says whether one came back"
_OPENED = "Opened.accessed says so, where SessionManager.open made the session"

#: Names of Flask and Flask-Session, Django, Pyramid and WebOb's ISession, Beaker, CherryPy and aiohttp-session.
OURS = {
    "accessed": _OPENED,
    "acquire_lock": _LOCK,
    "adjust_timeout_for_session": _TIMEOUTS,
    "cache_key": _ID,
    "changed": _SAVED,
    "clean_up": _PRUNE,
    "clear_expired": _PRUNE,
    "created": _CREATED,
    "cycle_key": _RENEW,
    "delete": _END,
    "delete_test_cookie": _TEST,
    "destroy": _END,
    "domain": _COOKIE,
    "empty": "not session is true if it holds no data",
    "exists": _NEW,
    "flush": _END,
    "get_by_id": "session.manager lists and ends sessions without their requests",
    "get_csrf_token": _CSRF,
    "get_expire_at_browser_close": _REMEMBER,
    "get_expiry_age": _DEADLINE,
    "get_expiry_date": _DEADLINE,
    "get_session_cookie_age": _DEADLINE,
    "has_key": "key in session",
    "identity": _ID,
    "is_authenticated": _LOGIN,
    "is_empty": "not session is true if it holds no data",
    "last_accessed": _USED,
    "load": _RELOAD,
    "lock": _LOCK,
    "max_age": _DEADLINE,
    "missing": "session.ended_because says why the session that the cookie names is over",
    "modified": _SAVED,
    "new": _NEW,
    "new_csrf_token": "session.renew_csrf() makes another token, session.csrf_token is it",
    "path": _COOKIE,
    "permanent": _REMEMBER,
    "persist": _SAVED,
    "regenerate": _RENEW,
    "regenerate_id": _RENEW,
    "release_lock": _LOCK,
    "revert": _RELOAD,
    "save": _SAVED,
    "secure": _COOKIE,
    "session_key": _ID,
    "session_id": _ID,
    "set_expiry": _DEADLINE,
    "set_new_identity": _RENEW,
    "set_test_cookie": _TEST,
    "sid": _ID,
    "test_cookie_worked": _TEST,
    "timeout": _TIMEOUTS,
    "touch": "using it keeps it alive; session.keep_alive = False does not",
    "unlock": _LOCK,
    "user": _LOGIN,
    "user_name": _LOGIN,
    "was_invalidated": "session.ended_because says why the session that the cookie names is over",
}


def no_attribute(name: str) -> str:
    """What to say where a session is asked for an attribute that it does not have."""
    if name.startswith("_"):
        return f"a Session has no attribute {name!r}"
    advice = OURS.get(name, f"data is kept under keys, as in session[{name!r}]")
    return f"a Session has no attribute {name!r}: {advice}"
