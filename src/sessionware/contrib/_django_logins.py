"""What Django's logins mean for our session."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

from sessionware import Opened, Session


def is_in(session: Session, user_id: str) -> bool:
    """Whether it is this user that Django has put into the session."""
    return SESSION_KEY in session and str(session[SESSION_KEY]) == user_id


def is_of_somebody_else(session: Session) -> bool:
    """Whether Django has put somebody into the session who does not own it yet."""
    return SESSION_KEY in session and str(session[SESSION_KEY]) != session.user_id


def log_in(session: Session, username: str = "") -> None:
    """Make whoever Django has logged in the session's owner. That renews the key."""
    auth = {key: session[key] for key in (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY) if key in session}
    user_id = str(auth[SESSION_KEY])
    known = session.username if session.user_id == user_id else None
    session.login(username or known or user_id, user_id=user_id)
    for key, value in auth.items():
        # Written anew, because nothing stays of another user's session, or of one that was ended meanwhile.
        session.modify(key, partial(_constant, value), default=None)


def renew(session: Session) -> bool:
    """Renew the key, and return whether that was a login.

    For somebody who is logged in it is one, so that the new key is good even if another request was faster: one that
    was given a new key itself, or that found the password wrong and ended the session.
    """
    if SESSION_KEY in session:
        log_in(session)
        return True
    session.renew_token()
    return False


def begin_anew(session: Session) -> None:
    """Leave a session that was ended from elsewhere, as by "log out everywhere", with what was written since."""
    written = session.copy()
    session.invalidate()
    session.update(written)


def has_news(opened: Opened) -> bool:
    """Whether somebody has changed the password, or logged in, since this request read the session. Reads it again.

    Django then flushes the session by mistake, because its password looks wrong beside the new one.
    """
    seen = opened.session.get(HASH_SESSION_KEY)
    if seen is None or opened.modified:
        return False
    opened.session.reload()
    return bool(opened.session.get(HASH_SESSION_KEY) != seen)


def _constant(value: Any, _before: Any) -> Any:
    return value
