"""Registering, logging in and out: who somebody is, in terms of accounts and sessions. No HTML, no HTTP."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from .._checks import check_environ_key, implements, shown
from .._hidden import Hidden, HiddenText
from .._request import ENVIRON_KEY, environ_and_session, get_session
from .._types import SAFE_METHODS, Environ, Request
from ..errors import (
    ConfigError,
    CrossOriginRefused,
    NotLoggedIn,
    UsernameRejected,
    UsernameTaken,
)
from ..manager import SessionManager
from ..session import Session
from ..session_info import SessionInfo
from ..usernames import username_key
from .endings import AccountSessions
from .mark import LoginMark, set_mark
from .passwords import DEFAULT_HASHER, Hasher
from .policy import DEFAULT_POLICY, PasswordPolicy
from .users.base import User, Users, check_account
from .verify import Verifier, VerifyLegacy
from .where import Where, had_outage, method_on_entry, outages_noted, where_of, why_foreign

_numbers = itertools.count(1)


class Auth:
    """Registers people, and logs them in with username and password.

    Store, secret and clock are those of the request's session. The first argument of every method is a request: an
    environ, or any object that carries one. Where no visitor is needed, as in a shell or a job, `authenticate` and
    `register(…, login=False)` take a `SessionManager` instead.

    Args:
        users: The table of accounts.
        policy: The rules for new passwords.
        hasher: How passwords are hashed.
        verify_legacy: Checks a password against a stored hash that is not argon2, such as one of Django's. It takes
            both and returns True, False, or None for a hash that it does not know. A right password replaces the hash.
        environ_key: Where the session is, if `SessionMiddleware` was given another key.

    Raises:
        ConfigError: An argument is wrong; the message says what to write instead.
    """

    def __init__(
        self,
        users: Users,
        *,
        policy: PasswordPolicy = DEFAULT_POLICY,
        hasher: Hasher = DEFAULT_HASHER,
        verify_legacy: VerifyLegacy | None = None,
        environ_key: str = ENVIRON_KEY,
    ) -> None:
        _check(users, policy, hasher, verify_legacy)
        check_environ_key(environ_key)
        self._policy = policy
        self._users = users
        self._hasher = hasher
        self._verifier = Verifier(users, hasher, verify_legacy)
        self._sessions = AccountSessions(users)
        self._environ_key = environ_key
        # Under which a request remembers what it was told. Numbered, because two of these may serve one request with
        # other accounts, and an object that is gone may give its id() to the next.
        number = next(_numbers)
        self._user_key = f"{environ_key}.user.{number}"
        self._mark_key = f"{environ_key}.login_required.{number}"

    @property
    def policy(self) -> PasswordPolicy:
        """The rules for new passwords."""
        return self._policy

    @property
    def environ_key(self) -> str:
        """Where in the environ the session is that this works on."""
        return self._environ_key

    # Everyday

    def register(
        self,
        request: Request | SessionManager,
        username: str,
        password: str,
        *,
        login: bool = True,
        data: Mapping[str, Any] | None = None,
    ) -> User:
        """Create an account, and log in.

        Args:
            request: The request, or, with `login=False`, a `SessionManager`.
            username: The name as it was typed.
            password: The password as it was typed.
            login: Whether to log in at once.
            data: Kept with the account, as JSON.

        Raises:
            Busy: For five seconds there was no turn to hash the password.
            CrossOriginRefused: The request comes from another site, or is no POST.
            PasswordRejected: The password does not fit the policy.
            TypeError: The data is not JSON, or a `SessionManager` was passed with `login=True`.
            UsernameRejected: The text cannot be a username.
            UsernameTaken: Another account has the name.
        """
        typed = Hidden(password)
        del password
        session = None
        if login or not isinstance(request, SessionManager):
            session = self._changeable_session(request, f"register(…, login={login})")
        where = where_of(request, self._environ_key)  # if it fails, it does so before there is an account
        key = username_key(username)
        if key is None:
            raise UsernameRejected
        self._policy.validate(typed.value)
        # Hashed before anybody knows whether the name is free, so that both answers take the same time.
        stored = HiddenText(self._hasher.hash(typed.value))
        try:
            with outages_noted(session):
                user = self._users.add(key, username, stored, {} if data is None else data)
        except UsernameTaken:
            where.emit("account.name_taken", account=key)
            raise
        check_account(user)
        where.emit("account.registered", user)
        if login:
            self._login_user(request, where, user)
        return user

    def login(self, request: Request, username: str, password: str) -> User:
        """Log in with a password.

        Args:
            request: The request.
            username: The name as it was typed; case does not matter.
            password: The password as it was typed.

        Raises:
            Busy: For five seconds there was no turn to check the password.
            CrossOriginRefused: The request comes from another site, or is no POST.
            LoginFailed: Anything else is wrong.
        """
        typed = Hidden(password)
        del password
        session = self._changeable_session(request, "login()")
        where = where_of(request, self._environ_key)
        with outages_noted(session):
            user = self._verifier.authenticate(where, username, typed)
        self._login_user(request, where, user)
        return user

    def logout(self, request: Request, *, everywhere: bool = False) -> None:
        """Log out here or, with `everywhere=True`, in every browser.

        If this session may not end the others, because nobody is logged in to it (any more), it is ended alone, and
        `everywhere=True` raises `NotLoggedIn`. If the store failed half-way, call it again: it ends what is left.

        Raises `CrossOriginRefused` too, also if the request is no POST.
        """
        session = self._changeable_session(request, "logout()")
        username, user_id = session.username, session.user_id
        has_ended_others = everywhere and self._sessions.end_others(session)
        session.invalidate()  # last, so that the browser can ask again if anything before it failed
        if everywhere and not has_ended_others:
            raise self._not_logged_in(request)
        if username is not None:
            detail = "everywhere" if everywhere else ""
            # Only now is the address asked for: a function that fails must keep nobody logged in.
            where = where_of(request, self._environ_key)
            where.emit("login.ended", user_id=user_id, account=username_key(username), detail=detail)

    def user(self, request: Request) -> User | None:
        """The account that is logged in, as it is now; None if nobody is.

        The table is asked once in each request. If the account is gone, was disabled, or all of its sessions were ended
        since the login, the session is ended, and `session.ended_because` tells its browser why.
        """
        return self._user(request, "user()")

    def require_user(self, request: Request) -> User:
        """The account that is logged in. Raises `NotLoggedIn`, which makes `AuthPages` lead to the login page.

        That happens too if the framework catches the exception and responds with status 500. Whoever only wants to know
        calls `user`, and does not catch `NotLoggedIn`.
        """
        return self._required_user(request, "require_user()")

    # The account's owner, looking after it

    def sessions(self, request: Request) -> list[SessionInfo]:
        """Where the user of this request is logged in, this session among them. Raises `NotLoggedIn`."""
        user = self._required_user(request, "sessions()")
        session = get_session(request, self._environ_key)
        infos = session.manager.of(user)
        return [replace(info, is_current=info.id == session.id) for info in infos]

    def end_session(self, request: Request, id: str) -> bool:
        """End one of the user's sessions, by the handle that `sessions` gave. False if the user has no such session.

        Raises `NotLoggedIn`, and `CrossOriginRefused`, also if the request is no POST.
        """
        manager = self._changeable_session(request, "end_session()").manager
        user = self._required_user(request, "end_session()")
        mine = next((session for session in self.sessions(request) if session.id == id), None)
        if mine is not None and mine.is_current:
            self.logout(request)
        return mine is not None and (mine.is_current or manager._end_own(id, user.id))

    def end_other_sessions(self, request: Request) -> int:
        """End all of the user's sessions except this one, and return how many there were.

        Raises `NotLoggedIn`, and `CrossOriginRefused`, also if the request is no POST.
        """
        manager = self._changeable_session(request, "end_other_sessions()").manager
        user = self._required_user(request, "end_other_sessions()")
        others = [session.id for session in self.sessions(request) if not session.is_current]
        return sum(manager._end_own(id, user.id) for id in others)

    def delete_account(self, request: Request, password: str) -> None:
        """Erase the account of this request's user, and end its sessions everywhere. Needs the password once more.

        Anything else that belongs to the account is for the application to erase; `user.id` is the key to it. If the
        store failed half-way, call it again: an account that is already gone is `NotLoggedIn`, and has no session left.

        Raises `NotLoggedIn`, `LoginFailed`, `Busy`, and `CrossOriginRefused`, also if the request is no POST.
        """
        typed = Hidden(password)
        del password
        session = self._changeable_session(request, "delete_account()")
        where = where_of(request, self._environ_key)
        self._sessions.end_if_erased(session)
        owner = self.require_user(request)
        with outages_noted(session):
            user = self._verifier.authenticate(where, owner.username, typed)
            if user.id != owner.id:  # renamed a moment ago, and somebody else has the name now
                raise self._not_logged_in(request)
            self._users.delete(user.id)
            session.manager.end_all(user_id=user.id, keep=session.id, reason="elsewhere")
        session.invalidate()
        where.emit("account.deleted", user)

    # In two steps, for a second factor in between

    def authenticate(self, request: Request | SessionManager, username: str, password: str) -> User:
        """Check username and password, without touching any session.

        Every failure looks the same and takes the same time. The request's method does not matter, because some clients
        send a password with every request. If you log in afterwards, take the password from a POST.

        Args:
            request: The request, or a `SessionManager`.
            username: The name as it was typed; case does not matter.
            password: The password as it was typed.

        Raises:
            Busy: For five seconds there was no turn to check the password.
            LoginFailed: Anything else is wrong.
        """
        typed = Hidden(password)
        del password
        return self._verifier.authenticate(where_of(request, self._environ_key), username, typed)

    def login_user(self, request: Request, user: User) -> None:
        """Log in somebody whose identity was checked. Raises `CrossOriginRefused`.

        Any method will do, because the answer of a sign-in service arrives by GET. Check its `state` first: otherwise
        another site can log a visitor in to an account of its own.

        Once the login is stored, the account is checked once more. So a login does not survive if the account is
        disabled, or logged out everywhere, at the same moment.
        """
        self._own_session(request, "login_user()")
        self._login_user(request, where_of(request, self._environ_key), user)

    # What `AuthPages` needs

    def _watch_login(self, environ: Environ) -> Callable[[], bool]:
        """Whether the request, from here on, has asked for a login in vain, and no outage can be the trouble."""
        mark = environ[self._mark_key] = LoginMark()
        session = environ.get(self._environ_key)
        return lambda: mark.is_set and not had_outage(session)

    def _tell_login_required(self, environ: Environ, detail: str) -> None:
        if isinstance(environ.get(self._environ_key), Session):
            where_of(environ, self._environ_key).emit("login.required", detail=detail)

    # Small steps

    def _login_user(self, request: Request | SessionManager, where: Where, user: User) -> None:
        environ, session = self._environ_and_session(request, "login_user()")
        check_account(user)
        session.login(
            user.username,
            user_id=user.id,
            session_version=user.session_version,
            check=lambda: self._sessions.is_current(user),
        )
        environ[self._user_key] = session, user
        set_mark(environ, self._mark_key, False)
        where.emit("login.succeeded", user)

    def _user(self, request: Request, what: str) -> User | None:
        environ, session = self._environ_and_session(request, what)
        user_id, version = session.user_id, session.session_version
        if user_id is None:
            return None
        # An environ may be served again, with another session: then the account is asked again.
        of_session, known = environ.get(self._user_key, (None, None))
        if of_session is session and known is not None and (known.id, known.session_version) == (user_id, version):
            return cast("User", known)
        user = self._sessions.user_of(session, user_id)
        if user is not None:
            environ[self._user_key] = session, user
        return user

    def _required_user(self, request: Request, what: str) -> User:
        environ, _ = self._environ_and_session(request, what)
        set_mark(environ, self._mark_key, False)  # an earlier answer, or none if the accounts cannot be asked
        user = self._user(request, what)
        if user is None:
            raise self._not_logged_in(request)
        return user

    def _not_logged_in(self, request: Request) -> NotLoggedIn:
        """The error, and the mark by which `AuthPages` knows of it although a framework may make a 500 of it."""
        environ, _ = environ_and_session(request, self._environ_key)
        set_mark(environ, self._mark_key, True)
        error = NotLoggedIn()
        error.environ_key = self._environ_key
        return error

    def _changeable_session(self, request: Request | SessionManager, what: str) -> Session:
        """The session, unless the request comes from another origin, or might: nobody checks that of a safe method."""
        environ, session = self._environ_and_session(request, what)
        # Both what the browser sent and what a method override made of it: origins are asked of the former.
        methods = (method_on_entry(session), environ.get("REQUEST_METHOD"))
        if safe := [method for method in methods if method in SAFE_METHODS]:
            where_of(request, self._environ_key).emit("csrf.blocked", detail=f"{what} needs a POST, not {safe[0]}")
            raise CrossOriginRefused(
                "This has to be sent by POST, from a form. A link could have been followed from any other website.",
                reason="method",
            )
        return self._own_session(request, what)

    def _own_session(self, request: Request | SessionManager, what: str) -> Session:
        """The session, unless the request comes from another origin."""
        _, session = self._environ_and_session(request, what)
        if session.is_foreign:
            where_of(request, self._environ_key).emit("csrf.blocked", detail=f"{what}: {why_foreign(session)}")
            raise CrossOriginRefused
        return session

    def _environ_and_session(self, request: Request | SessionManager, what: str) -> tuple[dict[str, Any], Session]:
        if isinstance(request, SessionManager):
            raise TypeError(
                f"{what} needs a visitor: pass a request. Only authenticate() and register(…, login=False) take a "
                "SessionManager."
            )
        return environ_and_session(request, self._environ_key)


def _check(users: object, policy: object, hasher: object, verify_legacy: object) -> None:
    """Raise `ConfigError` for an argument of the wrong kind, now rather than at the first login."""
    if not implements(users, Users):
        raise ConfigError(f'users={shown(users)} is not a table of accounts. Pass one such as SQLiteUsers("app.db").')
    if not isinstance(policy, PasswordPolicy):
        raise ConfigError(f"policy={shown(policy)}: write policy=PasswordPolicy(minimum_length=15).")
    if not implements(hasher, Hasher):
        raise ConfigError(
            f"hasher={shown(hasher)}: write hasher=Argon2Hasher(time_cost=2, memory_cost=19456, parallelism=1)."
        )
    if verify_legacy is not None and not callable(verify_legacy):
        raise ConfigError(
            f"verify_legacy={shown(verify_legacy)}: pass a function that takes a stored hash and a password, and "
            "returns True, False, or None for a hash that it does not know."
        )
