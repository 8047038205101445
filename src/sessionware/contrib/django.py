"""Django's `request.session`, kept by sessionware. In settings.py, beside Django's own settings for sessions:

    SESSION_ENGINE = "sessionware.contrib.django"
    SESSIONWARE = {"store": SQLiteStore(BASE_DIR / "sessions.db")}

Whoever logs in by `django.contrib.auth` owns the session: `get_manager().end_all(user_id=str(user.pk))` ends them all.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError

from sessionware import Opened, Session

from ._django_outage import OutageMiddleware
from ._django_settings import get_manager, seconds

__all__ = ["OutageMiddleware", "SessionStore", "get_manager"]

_KEY_CHARACTERS = 64


class SessionStore(SessionBase):  # type: ignore[misc]  # Django has no types
    """`request.session`. Its data is kept in our `Session`, which saves differences and never a copy."""

    _opened: Opened | None = None
    _modified: bool | None = None
    _cycles = _expires_anew = False

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
        """Whether Django should save the session and send its cookie. Changes inside a value are noticed too."""
        if self._modified is not None or self._opened is None:
            return bool(self._modified)
        return self._opened.modified or self._opened.is_due

    @modified.setter
    def modified(self, value: bool) -> None:
        # Django itself assigns False where nothing has changed, which is no order to overlook later changes.
        is_order = value or (self._opened is not None and self._opened.modified)
        self._modified = bool(value) if is_order else None

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
        self._expires_anew = "_session_expiry" in data
        self.save(must_create=True)
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Save what has changed. Raises `UpdateError` if the session was ended, or its key replaced, meanwhile."""
        opened = self._held(no_load=must_create)
        session = opened.session
        if must_create and not session.is_new:
            raise CreateError
        if SESSION_KEY in session and session.user_id != str(session[SESSION_KEY]):
            self._log_in("")
        if self._expires_anew:
            self._set_life(session)
        self._renew()
        session.commit()
        if session.is_new:
            raise UpdateError
        opened.save()

    def delete(self, session_key: str | None = None) -> None:
        """End the session of this key, or this one, whoever else is about to save it."""
        key = self.session_key if session_key is None else session_key
        if key is not None:
            get_manager().open(cookie=key).session.invalidate()

    def flush(self) -> None:
        """End the session. What is written afterwards starts a new one."""
        self._get_session().invalidate()
        self._cycles, self.modified = False, True

    async def aflush(self) -> None:
        """The same as `flush`."""
        await sync_to_async(self.flush)()

    def cycle_key(self) -> None:
        """Give the session another key, when it is saved or its key is asked for. The data stays."""
        self._get_session()
        self._cycles = self.modified = True

    async def acycle_key(self) -> None:
        """The same as `cycle_key`."""
        await sync_to_async(self.cycle_key)()

    def set_expiry(self, value: Any) -> None:
        """End the session so many seconds after its last use, at a time, or when the browser is closed (0)."""
        super().set_expiry(value)
        self._expires_anew, longest = True, seconds(get_manager().timeouts.remember)
        if self.get_expiry_age() > longest:
            super().set_expiry(None)
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
        if self._cycles:
            self._cycles = False
            self._get_session().renew_token()

    def _cycle_now(self) -> None:
        if self._cycles:
            self._renew()
            self._get_session().commit()

    def _log_in(self, username: str) -> None:
        """Make whoever Django has logged in the session's owner."""
        session = self._get_session()
        auth = {key: session[key] for key in (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY) if key in session}
        user_id = str(auth[SESSION_KEY])
        session.login(username or user_id, user_id=user_id)
        session.update(auth)  # what was another user's is dropped, and these with it
        self._cycles, self._expires_anew = False, True  # a login renews the key by itself

    def _set_life(self, session: Session) -> None:
        """Let the session live as long as Django's settings and `set_expiry` say."""
        is_default = session.get("_session_expiry") is None
        if self.get_expire_at_browser_close() or (is_default and session.username is None):
            session.remember(None)
        else:
            session.remember(max(1, self.get_expiry_age()), sliding=True)
        self._expires_anew = False


def _note_login(request: Any = None, user: Any = None, **_: Any) -> None:
    session = getattr(request, "session", None)
    if isinstance(session, SessionStore) and SESSION_KEY in session and str(session[SESSION_KEY]) == str(user.pk):
        session._log_in(str(user.get_username() or ""))


user_logged_in.connect(_note_login)

if settings.configured and __name__ == settings.SESSION_ENGINE:
    get_manager()  # so that wrong settings are told when the server starts, and not to its first visitor
