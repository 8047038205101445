"""Registering, logging in and out: who somebody is, in terms of accounts and sessions. No HTML, no HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..errors import (
    Busy,
    ConfigError,
    CrossOriginRefused,
    LoginFailed,
    NotLoggedIn,
    SessionClosed,
    StoreError,
    StoreUnavailable,
    UsernameRejected,
    UsernameTaken,
)
from ..events import Event, Events
from ..keyring import Keyring
from ..records import Records
from ..session import ENVIRON_KEY, Session, get_environ, get_session
from ..stores.base import Store
from ..usernames import MAX_CHARACTERS, username_key
from .passwords import DEFAULT_HASHER, DEFAULT_POLICY, Hasher, PasswordPolicy, Verified
from .user_sessions import UserSession, sessions_of
from .users import User, Users

_USER_KEY = "sessionware.user"

# How often to try to change an account that others keep changing; a table that never says yes must hang nothing.
_ATTEMPTS = 100


def remote_address(environ: Mapping[str, Any]) -> str:
    """The address that the connection came from. Behind a proxy it is the proxy's: pass a `client=` of your own."""
    return str(environ.get("REMOTE_ADDR", ""))


class Auth:
    """Registers people, and logs them in by user name and password.

    `secret` and `store` are those of the `SessionMiddleware`. `policy` says what a new password has to be, `hasher` how
    passwords are hashed. `client` tells a request's address from its environ. Every method that takes a request takes
    an environ, or any object that carries one. Raises `ConfigError`.
    """

    def __init__(
        self,
        users: Users,
        *,
        secret: str | bytes | Sequence[str | bytes],
        store: Store,
        policy: PasswordPolicy = DEFAULT_POLICY,
        hasher: Hasher = DEFAULT_HASHER,
        on_event: Callable[[Event], None] | None = None,
        client: Callable[[Mapping[str, Any]], str] = remote_address,
        environ_key: str = ENVIRON_KEY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        _check(users, store, policy, hasher)
        _check_functions(client, on_event)
        self.policy = policy
        self._users = users
        self._hasher = hasher
        self._keyring = Keyring(secret)
        self._events = Events(on_event, clock)
        self._records = Records(store, self._keyring, events=self._events, clock=clock)
        self._client = client
        self._environ_key = environ_key

    # Everyday

    def register(self, request: Any, username: str, password: str, *, login: bool = True, **data: Any) -> User:
        """Create an account, and log in unless `login=False`. `data` is kept with the account.

        Raises `UsernameRejected`, `UsernameTaken`, `PasswordRejected`, `CrossOriginRefused` and `Busy`.
        """
        self._own_session(request)
        client = self._address(request)  # if it fails, then while there is no account yet
        key = username_key(username)
        if key is None:
            raise UsernameRejected
        self.policy.check(password)
        # Hashed before anybody knows whether the name is free, so that both answers take the same time.
        password_hash = self._hasher.hash(password)
        try:
            user = self._users.add(key, username, password_hash, data)
        except UsernameTaken:
            self._events.tell("register.taken", account=key, client=client)
            raise
        self._events.tell("register.ok", user_id=user.id, account=user.key, client=client)
        if login:
            self.start(request, user)
        return user

    def login(self, request: Any, username: str, password: str) -> User:
        """Log in. Raises `LoginFailed`, whatever is wrong, `CrossOriginRefused` and `Busy`."""
        self._own_session(request)
        user = self.verify(username, password, client=self._address(request))
        self.start(request, user)
        return user

    def logout(self, request: Any, *, everywhere: bool = False) -> None:
        """Log out here, or with `everywhere=True` in every browser. Raises `CrossOriginRefused`."""
        session = self._own_session(request)
        username, user_id = session.username, session.user_id
        # Not by the session's word alone: one that has lost its right to the account must not end the others.
        if everywhere and (user := self.user(request)) is not None:
            self._end_all(user.id)
        session.invalidate()
        if username is not None:
            self._events.tell("logout", user_id=user_id, account=username_key(username), client=self._address(request))

    def user(self, request: Any) -> User | None:
        """Who is logged in, as the account is now; None if nobody is.

        Asks once in each request. If the account is gone, was disabled, or its sessions were all ended since the login,
        the session is ended.
        """
        session, environ = get_session(request, self._environ_key), get_environ(request, self._environ_key)
        if session.user_id is None:
            return None
        known = environ.get(_USER_KEY)
        if isinstance(known, User) and (known.id, known.version) == (session.user_id, session.user_version):
            return known
        user = self._users.get(session.user_id)
        if user is None or not user.is_active or user.version != session.user_version:
            _end(session)
            return None
        environ[_USER_KEY] = user
        return user

    def require(self, request: Any) -> User:
        """Who is logged in, or `NotLoggedIn`, which `AuthPages` turns into a way to the login page."""
        user = self.user(request)
        if user is None:
            raise NotLoggedIn
        return user

    # The account's owner, looking after it

    def sessions(self, request: Any) -> list[UserSession]:
        """Where the user of this request is logged in, this session among them. Raises `NotLoggedIn`."""
        user = self.require(request)
        return sessions_of(user, self._records, get_session(request, self._environ_key).id)

    def end_session(self, request: Any, id: str) -> bool:
        """End one session of this request's user, by the handle that `sessions` gave. False if it is none of theirs.

        Raises `NotLoggedIn` and `CrossOriginRefused`.
        """
        self._own_session(request)
        mine = next((session for session in self.sessions(request) if session.id == id), None)
        if mine is not None and mine.is_current:
            self.logout(request)
        return mine is not None and (mine.is_current or self._end_one(id))

    def end_other_sessions(self, request: Any) -> int:
        """End all sessions of this request's user but this one, and return how many there were.

        Raises `NotLoggedIn` and `CrossOriginRefused`.
        """
        self._own_session(request)
        return sum(self._end_one(session.id) for session in self.sessions(request) if not session.is_current)

    def delete(self, request: Any, password: str) -> None:
        """Erase the account of this request's user, and end its sessions everywhere. The password is asked once more.

        What else belongs to the account is the application's to erase; `user.id` is its key. Raises `NotLoggedIn`,
        `LoginFailed`, `CrossOriginRefused` and `Busy`.
        """
        self._own_session(request)
        user = self.verify(self.require(request).username, password, client=self._address(request))
        self._users.delete(user.id)
        self._end_records(user.id)
        get_session(request, self._environ_key).invalidate()
        self._tell("account.deleted", request, user)

    # In two steps, for a second factor in between

    def verify(self, username: str, password: str, *, client: str = "") -> User:
        """Check name and password, without touching any session. Raises `LoginFailed` and `Busy`.

        Every failure looks the same and takes the same time. `client` is the address that events name.
        """
        _check_text(username, password)
        key = username_key(username)
        user = self._users.find(key) if key is not None else None
        verified = self._check_password(user, password, client)
        if user is None or not verified or not user.is_active:
            self._events.tell(
                "login.failed",
                user_id=user.id if user is not None else None,
                account=self._account(username, key, user),
                client=client,
                detail=_reason(key, user, verified),
            )
            raise LoginFailed
        return self._rehashed(user, verified)

    def start(self, request: Any, user: User) -> None:
        """Log in somebody whose identity was checked. Once that is stored, the account is looked at once more.

        So a login that ran beside a disabling, or beside "log out everywhere", does not survive it.
        """
        session = self._own_session(request)
        session.log_in(user.username, user_id=user.id, user_version=user.version, check=lambda: self._is_current(user))
        get_environ(request, self._environ_key)[_USER_KEY] = user
        self._tell("login.ok", request, user)

    # Small steps

    def _own_session(self, request: Any) -> Session:
        """The session, unless the request comes from another origin."""
        session = get_session(request, self._environ_key)
        if session.is_foreign:
            self._tell("csrf.blocked", request)
            raise CrossOriginRefused
        return session

    def _check_password(self, user: User | None, password: str, client: str) -> Verified:
        try:
            return self._hasher.verify(user.password_hash if user is not None else None, password)
        except Busy:
            self._events.tell("login.busy", client=client)
            raise

    def _rehashed(self, user: User, verified: Verified) -> User:
        """The user with a hash by today's settings, unless the password was changed meanwhile.

        The login holds either way. Nobody's sessions end for it, so the version stays.
        """
        if verified.rehash is None:
            return user
        try:
            if not self._users.set_password(user.id, verified.rehash, expect=user.password_hash, bump=False):
                return user
        except StoreError as error:
            self._events.tell("store_unavailable", user_id=user.id, detail=f"rehash: {error}")
            return user
        self._events.tell("password.rehashed", user_id=user.id, account=user.key)
        return replace(user, password_hash=verified.rehash)

    def _is_current(self, user: User) -> bool:
        now = self._users.get(user.id)
        return now is not None and now.is_active and now.version == user.version

    def _end_all(self, user_id: str) -> None:
        """End every session of the account, and through its new version those too that are just being logged in to."""
        self._raise_version(user_id)
        self._end_records(user_id)
        self._events.tell("session.revoked", user_id=user_id)

    def _raise_version(self, user_id: str) -> None:
        """Whatever the hash is by now: of two who change the account at once, one is told to look again."""
        for _attempt in range(_ATTEMPTS):
            user = self._users.get(user_id)
            if user is None:
                return
            if self._users.set_password(user_id, user.password_hash, expect=user.password_hash, bump=True):
                return
        raise StoreUnavailable("set_password of this table of accounts does not say that it changed anything")

    def _end_records(self, user_id: str) -> None:
        for stored in self._records.owned_by(user_id=user_id):
            self._end_one(stored.record.id.hex())

    def _end_one(self, id: str) -> bool:
        has_ended = self._records.end(bytes.fromhex(id))
        if has_ended:
            self._events.tell("ended", session_id=id)
        return has_ended

    def _account(self, username: str, key: str | None, user: User | None) -> str:
        """What events call an account. People type passwords into the name field: only a name that exists is told."""
        if user is not None:
            return user.key
        typed = key if key is not None else username[:MAX_CHARACTERS]
        return self._keyring.digest("account", typed.encode("utf-8", "surrogatepass")).hex()[:32]

    def _tell(self, name: str, request: Any, user: User | None = None) -> None:
        id, key = (user.id, user.key) if user is not None else (None, None)
        self._events.tell(name, user_id=id, account=key, client=self._address(request))

    def _address(self, request: Any) -> str:
        return self._client(get_environ(request, self._environ_key))


def _check(users: object, store: object, policy: object, hasher: object) -> None:
    """Raise `ConfigError` for an argument of the wrong kind, now rather than at the first login."""
    if not _has(users, "set_password"):
        raise ConfigError(f'users={users!r} is no table of accounts. Pass one such as SQLiteUsers("app.db").')
    if not _has(store, "owned_by"):
        raise ConfigError(f"store={store!r} is no store. Pass the same one as to SessionMiddleware.")
    if not isinstance(policy, PasswordPolicy):
        raise ConfigError(f"policy={policy!r}: write policy=PasswordPolicy(minimum_length=15).")
    if not _has(hasher, "hash") or not _has(hasher, "verify"):
        raise ConfigError(f"hasher={hasher!r}: write hasher=Argon2(time_cost=2, memory_cost=19456, parallelism=1).")


def _has(value: object, method: str) -> bool:
    """Whether it is an object, and not its class, that can do this."""
    return not isinstance(value, type) and callable(getattr(value, method, None))


def _check_functions(client: object, on_event: object) -> None:
    if not callable(client):
        raise ConfigError(f"client={client!r}: pass a function that takes an environ and returns an address.")
    if on_event is not None and not callable(on_event):
        raise ConfigError(f"on_event={on_event!r}: pass a function that takes an Event.")


def _check_text(*values: object) -> None:
    """Raise `TypeError` for anything else: a list of names must not come as far as a look-up."""
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"user name and password are text, not {type(value).__name__}")


def _reason(key: str | None, user: User | None, verified: Verified) -> str:
    """Why a login failed, for the operator; visitors are told nothing of it."""
    if verified:
        return "inactive"
    if key is None or verified.reason == "bad_input":
        return "bad_input"
    return "unknown" if user is None else verified.reason


def _end(session: Session) -> None:
    # Once the headers are out the cookie cannot be taken away. The account's version keeps the session out anyway.
    with suppress(SessionClosed):
        session.invalidate()
