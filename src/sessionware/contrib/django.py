"""Django's `request.session`, kept by sessionware. In settings.py, beside Django's own settings for sessions:

    SESSION_ENGINE = "sessionware.contrib.django"
    SESSIONWARE = {"store": SQLiteStore(BASE_DIR / "sessions.db")}

Whoever logs in by `django.contrib.auth` owns the session: `get_manager().end_all(user_id=str(user.pk))` ends them all.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.utils import timezone

from sessionware import Opened, Session

from . import _django_logins as logins
from ._django_middleware import SessionwareMiddleware
from ._django_settings import get_manager, seconds

__all__ = ["SessionStore", "SessionwareMiddleware", "get_manager"]

_KEY_CHARACTERS = 64


class SessionStore(SessionBase):  # type: ignore[misc]  # Django has no types
    """`request.session`. Its data is kept in our `Session`, which saves differences and never a copy."""

    _opened: Opened | None = None
    _modified: bool | None = None
    _is_cycling = _is_logging_out = _has_new_expiry = False

    @property
    def sessionware(self) -> Session:
        """Our own session, where `get_session(request)` and `Auth` find it."""
        return self._get_session()

    def _get_session(self, no_load: bool = False) -> Session:
        return self._held(no_load).session

    async def _aget_session(self, no_load: bool = False) -> Session:
        return await sync_to_async(self._get_session)(no_load) if self._opened is None else self._get_session()

    def _held(self, no_load: bool = False) -> Opened:
        self.accessed = True
        if self._opened is None:
            self._opened = self._open(None if no_load else self._sent_key)
        return self._opened

    _session = property(_get_session)

    def _open(self, key: str | None) -> Opened:
        opened = get_manager().open(cookie=key)
        del key  # so that it shows in no report of an error
        if self.get_expiry_age(expiry=opened.session.get("_session_expiry")) <= 0:
            opened.session.invalidate()
        return opened

    def _get_session_key(self) -> str | None:
        self._cycle_now()
        return self._sent_key if self._opened is None else self._opened.cookie

    def _set_session_key(self, value: str | None) -> None:
        self._opened, self._sent_key = None, value if self._validate_session_key(value) else None

    session_key: property = property(_get_session_key)
    _session_key = property(_get_session_key, _set_session_key)

    @property
    def modified(self) -> bool:
        """Whether Django should save the session and send its cookie. Changes inside a value are noticed too.

        A session that was only read is kept alive by this question, because Django has no other: a page that has lost
        the session to a login meanwhile must not send its cookie.
        """
        if self._modified is not None or self._opened is None:
            return bool(self._modified)
        if not self._opened.modified and self._opened.is_due:
            self._opened.save()
        return self._opened.modified

    @modified.setter
    def modified(self, value: bool) -> None:
        # Django itself assigns False where nothing has changed, which is no order to overlook later changes.
        is_order = value or (self._opened is not None and self._opened.modified)
        self._modified = bool(value) if is_order else None

    def is_known(self, key: str | None) -> bool:
        """Whether the browser that has sent this key need not be told another, or that it is over."""
        opened = self._opened
        if opened is None or opened.has_new_cookie:
            return False
        if self.is_empty():
            return opened.session.ended_because == "expired"
        return opened.cookie is None or opened.cookie == key

    def is_empty(self) -> bool:
        """Whether there is nothing to store, so that Django removes the cookie."""
        if self._opened is None:
            return self._sent_key is None
        session = self._opened.session
        is_nothing = self._opened.cookie is None and session.username is None and not session
        return is_nothing and not self._is_of_another_secret()

    def _is_of_another_secret(self) -> bool:
        """Whether a process with a newer secret may have made the key, so that its cookie must stay."""
        key = self._sent_key
        return key is not None and len(key) == _KEY_CHARACTERS and get_manager().open(cookie=key).cookie is None

    def clear(self) -> None:
        """Remove all data. If somebody is logged in, the session ends."""
        self._get_session().clear()
        self.modified = True

    def load(self) -> dict[str, Any]:
        """The data as it is stored now, without changes that are not saved."""
        fresh = self._open(self.session_key)
        self._opened = self._opened or fresh
        return fresh.session.copy()

    def exists(self, session_key: str | None) -> bool:
        """Whether this is the key of a session, which it no longer is after a login or `cycle_key`."""
        self._cycle_now()
        return session_key is not None and not self._open(session_key).session.is_new

    def create(self) -> None:
        """Store the data as another session, with a key of its own."""
        data = {} if self._opened is None else self._opened.session.copy()
        self._session_key = None
        self._get_session().update(data)
        self._has_new_expiry = "_session_expiry" in data
        self.save(must_create=True)
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Save what has changed. Raises `UpdateError` if the session was ended, or its key replaced, meanwhile."""
        opened = self._held(no_load=must_create)
        session = opened.session
        if must_create and not session.is_new:
            raise CreateError
        if self._sent_key is not None and session.is_new and not (opened.modified or self._modified):
            return  # Django saves every request, but here is nothing to be saved
        if logins.is_of_somebody_else(session):
            self._log_in()
        self._renew()
        if session.ended_because is not None and session.username is None:
            logins.begin_anew(session)
        if self._has_new_expiry:
            self._set_life(session)
        session.commit()
        if session.is_new:
            raise UpdateError
        opened.save()

    def delete(self, session_key: str | None = None) -> None:
        """End the session of this key, or this one, whoever else is about to save it."""
        key = self.session_key if session_key is None else session_key
        get_manager().open(cookie=key).session.invalidate()

    def flush(self) -> None:
        """End the session. What is written afterwards starts a new one."""
        if self._is_logging_out or not logins.has_news(self._held()):
            self._get_session().invalidate()
            self.modified = True
        self._is_cycling = False

    async def aflush(self) -> None:
        """The same as `flush`."""
        await sync_to_async(self.flush)()

    def cycle_key(self) -> None:
        """Give the session another key, when it is saved or its key is asked for. The data stays."""
        self._get_session()
        self._is_cycling = self.modified = True

    async def acycle_key(self) -> None:
        """The same as `cycle_key`."""
        await sync_to_async(self.cycle_key)()

    def set_expiry(self, value: Any) -> None:
        """End the session so many seconds after its last use, at a time, or when the browser is closed (0)."""
        self._check_expiry(value)
        super().set_expiry(value)
        self._has_new_expiry = True

    def _check_expiry(self, value: Any) -> None:
        end = timezone.now() + value if isinstance(value, timedelta) else value
        longest = seconds(get_manager().timeouts.remember)
        if end and self.get_expiry_age(expiry=end) > longest:
            raise ValueError(
                f"set_expiry({value!r}): sessions last {longest} seconds at most. In the settings, write "
                'SESSIONWARE = {"timeouts": Timeouts(remember=…, remember_lifetime=…), …} with more.'
            )

    async def aset_expiry(self, value: Any) -> None:
        """The same as `set_expiry`."""
        await self._aget_session()
        self.set_expiry(value)

    @classmethod
    def clear_expired(cls) -> None:
        """Remove expired sessions, as `manage.py clearsessions` does."""
        get_manager().prune()

    def _renew(self) -> None:
        if self._is_cycling:
            self._is_cycling = False
            self._has_new_expiry |= logins.renew(self._get_session())

    def _cycle_now(self) -> None:
        if self._is_cycling:
            self._renew()
            self._get_session().commit()

    def _log_in(self, username: str = "") -> None:
        logins.log_in(self._get_session(), username)
        self._is_cycling, self._has_new_expiry = False, True  # a login renews the key by itself

    def _set_life(self, session: Session) -> None:
        """Let the session live as long as Django's settings and `set_expiry` say."""
        is_default = session.get("_session_expiry") is None
        if self.get_expire_at_browser_close() or (is_default and session.username is None):
            session.remember(None)
        else:
            session.remember(max(1, int(self.get_expiry_age())), sliding=True)
        self._has_new_expiry = False


def _note_login(request: Any = None, user: Any = None, **_: Any) -> None:
    session = getattr(request, "session", None)
    if isinstance(session, SessionStore) and logins.is_in(session.sessionware, str(user.pk)):
        session._log_in(str(user.get_username() or ""))


def _note_logout(request: Any = None, **_: Any) -> None:
    session = getattr(request, "session", None)
    if isinstance(session, SessionStore):
        session._is_logging_out = True  # which always wins


user_logged_in.connect(_note_login)
user_logged_out.connect(_note_logout)

if settings.configured and __name__ == settings.SESSION_ENGINE:
    get_manager()  # so that wrong settings are told when the server starts, and not to its first visitor
