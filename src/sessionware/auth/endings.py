"""Which sessions an account still accepts, and how those that it does not are ended.

An account refuses a session of an earlier `session_version`, and every session once it is disabled or gone. So a
session that could not be ended, because the store failed half-way, is refused all the same. Ending it is tidying up,
which can be asked for again.
"""

from __future__ import annotations

from contextlib import suppress

from ..errors import SessionClosed, StoreUnavailable
from ..session import EndReason, Session
from .users.base import User, Users, check_account
from .where import outages_noted

# How often to try to change an account that others keep changing. A table that never says yes must not hang anything.
_ATTEMPTS = 100


class AccountSessions:
    """The sessions of the accounts in one table."""

    def __init__(self, users: Users) -> None:
        self._users = users

    def is_current(self, user: User) -> bool:
        """Whether the account would still accept a login of this user, who was read a moment ago."""
        return _accepts(self._users.get(user.id), user.session_version)

    def user_of(self, session: Session, user_id: str) -> User | None:
        """The account, if it accepts this session of its own. If not, the session is ended, and its browser told why.

        Unless somebody else has logged in to it meanwhile. The browser keeps the cookie, so that it can be told why.
        """
        with outages_noted(session):
            user = self._account(user_id)
            if _accepts(user, session.session_version):
                return user
            reason: EndReason = "elsewhere" if user is not None and user.is_active else "disabled"
            if session.id is not None:
                session.manager._end_own(session.id, user_id, reason)
        with suppress(SessionClosed):  # once the request is over, what was read stays readable
            session.reload()
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
            if not _accepts(self._account(user_id), session.session_version):
                return self._end_refused(session, user_id)
            self._raise_version(user_id)
            session.manager.end_all(user_id=user_id, keep=session.id, reason="elsewhere")
            return True

    def end_if_erased(self, session: Session) -> None:
        """End the other sessions of an account that is gone: whoever erased it may have got no further."""
        user_id = session.user_id
        with outages_noted(session):
            if user_id is not None and self._account(user_id) is None:
                self._end_refused(session, user_id)

    def _account(self, user_id: str) -> User | None:
        user = self._users.get(user_id)
        if user is not None:
            check_account(user, user_id)
        return user

    def _end_refused(self, session: Session, user_id: str) -> bool:
        """End the sessions that the account refuses, but this one. Whether there are no others."""
        manager = session.manager
        # In this order: a login that is made meanwhile is not found, or it is accepted by the account read after that.
        found, user = manager.of(user_id=user_id), self._account(user_id)
        accepted = [] if user is None or not user.is_active else [info.id for info in manager.of(user)]
        for info in found:
            if info.id not in (session.id, *accepted):
                manager._end_own(info.id, user_id)
        return not accepted

    def _raise_version(self, user_id: str) -> None:
        """Raise the version, so that logins under way do not outlive the end of all sessions.

        The hash may have changed by now: of two callers that change the account at once, one has to look again.
        """
        for _attempt in range(_ATTEMPTS):
            user = self._users.get(user_id)
            if user is None:
                return
            if self._users.set_password(user_id, user.password_hash, expect=user.password_hash, ends_sessions=True):
                return
        raise StoreUnavailable("set_password() of this table of accounts never reports that it changed anything")


def _accepts(user: User | None, version: int | None) -> bool:
    return user is not None and user.is_active and user.session_version == version
