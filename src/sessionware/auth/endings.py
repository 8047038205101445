"""Which sessions an account still accepts, and how those that it does not are ended.

An account refuses a session of an earlier `session_version`, and every session once it is disabled or gone. So a
session that could not be ended, because the store failed half-way, is refused all the same. Ending it is tidying up,
which can be asked for again.
"""

from __future__ import annotations

from contextlib import suppress

from ..errors import SessionClosed, StoreUnavailable
from ..manager import SessionManager
from ..session import EndReason, Session
from .users.base import User, Users, check_account
from .where import outages_noted

# How often to try to change an account that others keep changing. A table that never says yes must not hang anything.
_ATTEMPTS = 100

NEVER_CHANGES = "set_password() of this table of accounts never reports that it changed anything"


class AccountSessions:
    """The sessions of the accounts in one table."""

    def __init__(self, users: Users) -> None:
        self._users = users

    def is_current(self, user: User) -> bool:
        """Whether the account would still accept a login of this user, who was read a moment ago."""
        return _accepts(self._users.get(user.id), user.session_version)

    def user_of(self, session: Session, user_id: str) -> User | None:
        """The account, if it accepts this session of its own. If not, the session is ended, and its browser told why.

        Unless somebody else has logged in to it meanwhile, or another request of its browser has renewed it. The
        browser keeps the cookie, so that it can be told why.
        """
        with outages_noted(session):
            user, version = self._account(user_id), session.session_version
            if _accepts(user, version):
                return user
            reason: EndReason = "elsewhere" if user is not None and user.is_active else "disabled"
            if session.id is not None:
                session.manager._end_own(session.id, user_id, reason, session_version=version)
        look_again(session)
        return None

    def end_others(self, session: Session) -> bool:
        """End all sessions of its user but this one. False if this one is refused itself, and others are not.

        A second try finishes what a first one began: that has raised the version, so this session is refused by now,
        and so are all that the first one left over.
        """
        user_id = session.user_id
        if user_id is None:
            return False
        with outages_noted(session):
            user = self._account(user_id)
            is_accepted = _accepts(user, session.session_version)
            if is_accepted:
                self.raise_version(user_id)
            self.end_refused(session.manager, user_id, keep=session.id)
            return is_accepted or not self._has_accepted(session.manager, user_id)

    def finish_earlier(self, session: Session) -> None:
        """End the other sessions that the account refuses: whoever changed it may have got no further."""
        user_id = session.user_id
        with outages_noted(session):
            if user_id is not None:
                self.end_refused(session.manager, user_id, keep=session.id)

    def end_refused(
        self, manager: SessionManager, user_id: str, reason: EndReason = "elsewhere", keep: str | None = None
    ) -> int:
        """End the sessions that the account refuses, and return how many there were.

        In this order: a login that is made meanwhile is not found, or it is of the version that is read after that. One
        that is found, and renewed to another version before it is its turn, is left alone.
        """
        found = manager._versions_of(user_id)
        accepted = self._accepted_version(user_id)
        refused = {id: version for id, version in found.items() if accepted is None or version != accepted}
        return sum(manager._end_own(id, user_id, reason, session_version=refused[id]) for id in refused if id != keep)

    def end_all(self, manager: SessionManager, session: Session | None, user_id: str, reason: EndReason) -> int:
        """End the sessions of an account that refuses them all by now, and return how many there were.

        The request's own, if it is one of them, ends as by a logout: its browser need not be told why, and what the
        application writes next, such as a message for the next page, is kept. It is the last, so that the browser can
        ask again if another one fails.
        """
        if session is None or session.user_id != user_id:
            return self.end_refused(manager, user_id, reason)
        if not _can_end(session):
            count = self.end_refused(manager, user_id, reason)
            look_again(session)
            return count
        others, is_stored = self.end_refused(manager, user_id, reason, keep=session.id), session.id is not None
        session.invalidate()
        return others + is_stored

    def raise_version(self, user_id: str) -> User | None:
        """Raise the version, so that logins under way do not outlive the end of all sessions.

        The hash may have changed by now: of two callers that change the account at once, one has to look again.
        Returns the account as it was, or None if there is none.
        """
        for _attempt in range(_ATTEMPTS):
            user = self._account(user_id)
            if user is None:
                return None
            if self._users.set_password(user_id, user.password_hash, expect=user.password_hash, ends_sessions=True):
                return user
        raise StoreUnavailable(NEVER_CHANGES)

    def _account(self, user_id: str) -> User | None:
        user = self._users.get(user_id)
        if user is not None:
            check_account(user, user_id)
        return user

    def _accepted_version(self, user_id: str) -> int | None:
        """The session version that the account accepts; None if it accepts none."""
        user = self._account(user_id)
        return None if user is None or not user.is_active else user.session_version

    def _has_accepted(self, manager: SessionManager, user_id: str) -> bool:
        user = self._account(user_id)
        return user is not None and user.is_active and bool(manager.of(user))


def look_again(session: Session) -> None:
    """Let the request see what became of its session."""
    with suppress(SessionClosed):  # once the request is over, what was read stays readable
        session.reload()


def _can_end(session: Session) -> bool:
    """Whether a request can still end its own session. Once the headers are out, the browser keeps its cookie."""
    try:
        session._ensure_open("It is too late to end the session")
    except SessionClosed:
        return False
    return True


def _accepts(user: User | None, version: int | None) -> bool:
    return user is not None and user.is_active and user.session_version == version
