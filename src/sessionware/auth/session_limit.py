"""How many sessions an account may have at once, kept in every order of logins (rule 15).

A login is stored first, and looks at all of the account's sessions afterwards. So of two logins at once, at least one
sees the other. All of them rank the sessions alike, by the time of the login and then by id, and end those that are
beyond the limit. Looking first and storing then would let both in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from .._checks import shown
from ..errors import ConfigError, SessionConflict, TooManySessions
from ..manager import SessionManager
from ..session import Session
from ..session_info import SessionInfo
from .users.base import User
from .where import CLOCK_SKEW

WhenFull = Literal["end_oldest", "refuse"]
"""What becomes of a login beyond the limit."""

MostSessions = int | Callable[[User], "int | None"] | None
"""How many sessions an account may have; None for as many as it likes."""

# How often to look again while other requests keep logging in to the sessions that are to end.
_ATTEMPTS = 100


@dataclass(frozen=True)
class SessionLimit:
    """The limit of one site.

    Args:
        most: How many sessions an account may have, or a function that says so for each; None for no limit.
        when_full: Whether one more login ends the oldest session, or is refused.

    Raises:
        ConfigError: An argument is wrong; the message says what to write instead.
    """

    most: MostSessions
    when_full: WhenFull

    def __post_init__(self) -> None:
        if self.when_full not in get_args(WhenFull):
            given = shown(self.when_full)
            raise ConfigError(f'when_full={given}: write when_full="end_oldest" or when_full="refuse".')
        if not callable(self.most):
            _check_most(self.most, f"session_limit={shown(self.most)}")

    @property
    def refuses(self) -> bool:
        """Whether a login is refused that there is no room for."""
        return self.when_full == "refuse"

    def most_for(self, user: User) -> int | None:
        """How many sessions this account may have. Raises `ConfigError` for an answer that is no such number."""
        if not callable(self.most):
            return self.most
        most = self.most(user)
        _check_most(most, f"session_limit(…) returned {shown(most)}")
        return most

    def keep(self, session: Session, user: User, most: int | None) -> None:
        """End the sessions that the login which was just stored leaves no room for; and itself, if it is one of them.

        The response sends the cookie of its own session even so, because that is how its browser is told why.

        Raises:
            TooManySessions: There is no room for this login, and `when_full` is "refuse". It is to be taken back.
            StoreUnavailable: The store failed; some of the sessions may have ended.
            SessionConflict: Others kept logging in.
        """
        own = self._end_others(session, user, most)
        if own is not None and self.refuses:
            raise TooManySessions
        if own is not None:
            _end(session.manager, own, user)

    def keep_renewed(self, session: Session, user: User) -> None:
        """The same for a session that was just renewed with the account's new version.

        A login that was made between the two was right not to count it. Nothing is refused: if this session is the one
        that there is no room for, it ends.
        """
        if session.user_id != user.id or session.session_version != user.session_version:
            return  # its renewal was dropped
        own = self._end_others(session, user, self.most_for(user))
        if own is not None:
            _end(session.manager, own, user)

    def _end_others(self, session: Session, user: User, most: int | None) -> SessionInfo | None:
        """End the other sessions for which there is no room. This one, if there is none for it either."""
        for _attempt in range(_ATTEMPTS):
            beyond = [] if most is None else self._beyond(session.manager, user, most)
            others = [info for info in beyond if info.id != session.id]
            have_ended = [_end(session.manager, info, user) for info in others]
            if all(have_ended):  # one that did not may have been logged in to again, and be none of the oldest any more
                return next((info for info in beyond if info.id == session.id), None)
        raise SessionConflict(f"Others kept logging in to the sessions of user {user.id} that were to end.")

    def _beyond(self, manager: SessionManager, user: User, most: int) -> list[SessionInfo]:
        """The account's sessions for which there is no room."""
        now = manager._now()
        oldest_first = sorted(manager.of(user), key=lambda info: _rank(info, now))
        return oldest_first[most:] if self.refuses else oldest_first[:-most]


def _rank(info: SessionInfo, now: int) -> tuple[int, str]:
    """The place among the account's sessions, the same for whoever looks.

    A login that lies ahead, because the clock was set back, was long ago. Otherwise nobody could log in until the clock
    is there again.
    """
    return (info.authenticated_at if info.authenticated_at <= now + CLOCK_SKEW else 0, info.id)


def _end(manager: SessionManager, info: SessionInfo, user: User) -> bool:
    return manager._end_own(info.id, user.id, "limit", authenticated_at=info.authenticated_at)


def _check_most(most: object, what: str) -> None:
    if most is None or (isinstance(most, int) and not isinstance(most, bool) and most >= 1):
        return
    raise ConfigError(
        f"{what}: give the number of sessions that an account may have, at least 1, or None for no limit. To keep "
        "people out of an account, disable it."
    )
