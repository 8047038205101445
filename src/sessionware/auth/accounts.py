"""What changes an account that is there: its password, its name, whether it may log in, whether it exists.

Each of these makes the account refuse the sessions from before, and does that first, in the same write to the table:
the session version goes up. Only then are the sessions ended. So whatever fails in between, no session is left that
`Auth.user` accepts and should not, and no login that was under way survives. The same call, made again, ends the rest.
"""

from __future__ import annotations

from dataclasses import replace
from unicodedata import normalize

from .._hidden import Hidden
from .._storable import checked_id
from ..errors import PasswordRejected, StoreUnavailable, UsernameRejected
from ..events import EventName
from ..manager import check_reason
from ..session import EndReason, Renewal, Session
from ..usernames import username_key
from .endings import NEVER_CHANGES, AccountSessions, look_again
from .new_passwords import NewPasswords
from .outbox import Outbox
from .throttling.known_devices import KnownDevices
from .users.base import User, Users
from .verify import Verifier, confirm_failed
from .where import Where, outages_noted

# How often to try to set a password that other logins keep hashing anew. One time is once in a blue moon.
_ATTEMPTS = 3


class AccountChanges:
    """Changes the accounts in one table, and ends the sessions that they refuse from then on."""

    def __init__(
        self,
        users: Users,
        verifier: Verifier,
        new: NewPasswords,
        sessions: AccountSessions,
        outbox: Outbox,
        known_devices: KnownDevices,
    ) -> None:
        self._users = users
        self._known_devices = known_devices
        self._verifier = verifier
        self._new = new
        self._sessions = sessions
        self._outbox = outbox

    def change_password(
        self, where: Where, session: Session, owner: User, old: Hidden[str], new: Hidden[str]
    ) -> User | None:
        """Give the session's user another password. The account as it is then; None if it refuses this session.

        This session is renewed with the account's new version, in one write. If another request has renewed or ended it
        meanwhile, that write is dropped, with an event, and this browser logs in again like all others.
        """
        session._ensure_open("It is too late to change the password")
        with outages_noted(session):
            user = self._with_new_password(where, session, owner, old, new)
            if user is None:
                return None
            where.emit("account.password_changed", user, session_id=session.id)
            self._outbox.notify(where, "password_changed", user)
            session._renew(
                Renewal(
                    session_version=user.session_version,
                    methods=("password",),
                    reauthenticates=True,
                    what="change_password()",
                )
            )
            session.commit()
            self._sessions.end_refused(where.manager, user.id, "password")
        return user

    def rename(self, where: Where, session: Session | None, user_id: str, new: str) -> User | None:
        """Give an account another name, or spell its name otherwise. The account as it is then; None if there is none.

        A session of the account's own that asks for this goes on, under the new name.
        """
        key = username_key(new)
        if key is None:
            raise UsernameRejected
        own = session if _is_of(session, user_id) else None
        with outages_noted(session):
            user = self._users.get(checked_id(user_id, "user_id"))
            if user is None:
                return None
            if user.username != new:
                user = self._renamed(where, own, user, key, new)
            if user is not None:
                self._end_refused(where, session, user_id, "elsewhere" if own is not None else "admin")
        return user

    def set_active(self, where: Where, session: Session | None, user_id: str, is_active: bool) -> bool:
        """Let the account log in, or not. False if there is no such account."""
        if not isinstance(is_active, bool):
            raise TypeError(f"is_active must be True or False, not {type(is_active).__name__}")
        with outages_noted(session):
            user = self._users.get(checked_id(user_id, "user_id"))
            if user is None:
                return False
            if user.is_active != is_active:
                if not self._users.set_active(user_id, is_active):
                    return False
                name: EventName = "account.enabled" if is_active else "account.disabled"
                where.emit(name, user, **where.actor().told())
            if is_active:
                self._end_refused(where, session, user_id, "disabled")
            else:
                self._sessions.end_all(where.manager, session, user_id, "disabled")
        return True

    def end_all(self, where: Where, session: Session | None, user_id: str, reason: EndReason) -> int:
        """End the account's sessions, and return how many there were. A login that is under way is ended too."""
        check_reason(reason)
        with outages_noted(session):
            actor = where.actor()
            user = self._sessions.raise_version(checked_id(user_id, "user_id"))
            count = self._sessions.end_all(where.manager, session, user_id, reason)
        if user is not None:
            where.emit("login.ended", user, **actor.told(f"{count} sessions, reason {reason}"))
        return count

    def erase(self, where: Where, session: Session | None, user_id: str) -> bool:
        """Erase the account. False if there is none (any more)."""
        with outages_noted(session):
            user = self._users.get(checked_id(user_id, "user_id"))
            has_erased = self._users.delete(user_id)
            if has_erased:
                where.emit("account.deleted", user, user_id=user_id, **where.actor().told())
            self._sessions.end_all(where.manager, session, user_id, "disabled")
        return has_erased

    # Small steps

    def _with_new_password(
        self, where: Where, session: Session, owner: User, old: Hidden[str], new: Hidden[str]
    ) -> User | None:
        """The account with the new password; None if it refuses the session.

        The password is set only if the one that was checked is still there. If it is not, somebody else has changed it,
        and everything is asked again. Usually the session is refused by then. But a login may just have stored another
        hash of the same password.
        """
        for _attempt in range(_ATTEMPTS):
            user = self._verifier.authenticate(where, owner.username, old, told_as=confirm_failed(session.id))
            # Else it was renamed a moment ago, and the name is somebody else's; or all of its sessions were ended.
            if (user.id, user.session_version) == (owner.id, session.session_version):
                self._check_new(where, user, old, new)
                stored = self._new.hashed(new)
                if self._users.set_password(user.id, stored, expect=user.password_hash, ends_sessions=True):
                    # Counted from what was checked, and not read again: if somebody else has raised it as well, to end
                    # all sessions, then this session too must be refused.
                    changed = replace(user, password_hash=stored, session_version=user.session_version + 1)
                    self._known_devices.follow(where, user, changed)
                    return changed
            if self._sessions.user_of(session, owner.id) is None:
                return None
        raise StoreUnavailable(NEVER_CHANGES)

    def _check_new(self, where: Where, user: User, old: Hidden[str], new: Hidden[str]) -> None:
        self._new.check_alone(new, user.username)  # its length, before anything that takes longer for a long text
        if normalize("NFC", new.value) == normalize("NFC", old.value):
            raise PasswordRejected("This is your password already. Please choose another one.", reason="unchanged")
        self._new.check_breaches(new, where)

    def _renamed(self, where: Where, own: Session | None, user: User, key: str, new: str) -> User | None:
        """The account under its new name; None if it is gone. A session that it has refused is not renewed."""
        renews = own is not None and user.is_active and own.session_version == user.session_version
        if own is not None:
            own._ensure_open("It is too late to rename the user of this session")
        if not self._users.rename(user.id, key, new):
            return None
        renamed = replace(user, key=key, username=new, session_version=user.session_version + 1)
        where.emit("account.renamed", renamed, **where.actor().told(f"was {user.key}"))
        if own is not None and renews:
            self._known_devices.follow(where, user, renamed)
            own._renew(Renewal(username=new, session_version=renamed.session_version, what="rename()"))
            own.commit()
        return renamed

    def _end_refused(self, where: Where, session: Session | None, user_id: str, reason: EndReason) -> int:
        count = self._sessions.end_refused(where.manager, user_id, reason)
        if session is not None and _is_of(session, user_id):
            look_again(session)
        return count


def _is_of(session: Session | None, user_id: str) -> bool:
    return session is not None and session.user_id == user_id
