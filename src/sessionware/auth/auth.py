"""Registering, logging in and out: who somebody is, in terms of accounts and sessions. No HTML, no HTTP."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from .._checks import check_environ_key, implements, shown
from .._hidden import Hidden
from .._request import ENVIRON_KEY, environ_and_session, get_session
from .._storable import checked_methods
from .._types import SAFE_METHODS, Environ, Request
from ..errors import (
    ConfigError,
    CrossOriginRefused,
    NotFresh,
    NotLoggedIn,
    TooManySessions,
    UsernameRejected,
    UsernameTaken,
)
from ..manager import SessionManager
from ..session import EndReason, Renewal, Session
from ..session_info import SessionInfo
from ..usernames import username_key
from .accounts import AccountChanges
from .devices import Describe, Devices, describe_browser
from .endings import AccountSessions
from .login_mark import LoginMark, Refusal, set_mark
from .new_passwords import NewPasswords
from .outbox import Outbox, Send
from .own_timeouts import ChooseTimeouts, OwnTimeouts
from .passwords import DEFAULT_HASHER, Hasher
from .policy.policy import DEFAULT_POLICY, PasswordPolicy
from .recovery import Recovery
from .session_limit import MostSessions, SessionLimit, WhenFull
from .step_up import Demand, not_fresh
from .throttling.known_devices import KnownDevices
from .throttling.lanes import Lanes
from .throttling.throttle import DEFAULT_THROTTLE, Throttle
from .users.base import User, Users, check_account
from .verify import Verifier, VerifyLegacy, confirm_failed
from .where import Where, had_outage, method_on_entry, on_entry, outages_noted, where_of, why_foreign

_numbers = itertools.count(1)


class Auth:
    """Registers people, and logs them in with username and password.

    Store, secret and clock are those of the request's session. The first argument of every method is a request: an
    environ, or any object that carries one. Where no visitor is needed, as in a shell or a job, a `SessionManager` will
    do: for `authenticate`, `register(…, login=False)`, and all whose first argument is called `where`.

    Args:
        users: The table of accounts.
        policy: The rules for new passwords.
        hasher: How passwords are hashed.
        throttle: How many attempts are let through. None lets all through, with a warning.
        session_limit: How many sessions an account may have: a number, or a function that takes the `User` and returns
            one; None for as many as it likes.
        when_full: Whether one login more ends the account's oldest session, whose browser is told why ("end_oldest"),
            or raises `TooManySessions` ("refuse").
        known_devices: Whether browsers that have logged in with a password get a cookie, so that strangers who try the
            account's password cannot keep them out.
        timeouts: Chooses the limits of each login. It takes who logs in and the environ as it came in, and returns
            `Timeouts`, or None for those of the site.
        describe: Takes an environ, and returns a few words about its browser for the list of sessions. They are kept,
            sealed, as long as the session, and so is the address. With None, neither is kept.
        send: Sends a message to somebody: a link for a new password, or news about the account. It takes the purpose
            (`"reset"`, `"password_changed"` or `"new_device"`), the `User`, and the path with the token, or None where
            there is none to send. It is called in a thread of its own, after the answer.
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
        throttle: Throttle | None = DEFAULT_THROTTLE,
        session_limit: MostSessions = 100,
        when_full: WhenFull = "end_oldest",
        known_devices: bool = True,
        timeouts: ChooseTimeouts | None = None,
        describe: Describe | None = describe_browser,
        send: Send | None = None,
        verify_legacy: VerifyLegacy | None = None,
        environ_key: str = ENVIRON_KEY,
    ) -> None:
        _check(users, policy, hasher)
        check_environ_key(environ_key)
        self._policy = policy
        self._users = users
        self._lanes = Lanes(throttle)
        self._known_devices = known = KnownDevices(is_on=known_devices)
        self._verifier = Verifier(users, hasher, verify_legacy, self._lanes, known)
        self._sessions = AccountSessions(users)
        self._timeouts = OwnTimeouts(timeouts)
        self._devices = Devices(describe)
        self._outbox = Outbox(send)
        self._new = new = NewPasswords(policy, hasher)
        self._changes = AccountChanges(users, self._verifier, new, self._sessions, self._outbox, known)
        self._recovery = Recovery(users, new, self._sessions, self._outbox, self._lanes)
        self._limit = SessionLimit(session_limit, when_full)
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

    @property
    def can_send(self) -> bool:
        """Whether there is a `send`, so that people can ask for a link to choose a new password."""
        return self._outbox.is_open

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
            Throttled: From this address, too many accounts were registered.
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
        self._new.check_alone(typed, username)
        with outages_noted(session):
            attempt = self._lanes.enter_registration(where)
        # Hashed before anybody knows whether the name is free, so that both answers take the same time.
        try:
            with attempt.given_back_if_it_fails():
                self._new.check_breaches(typed, where)
                stored = self._new.hashed(typed)
                with outages_noted(session):
                    user = self._users.add(key, username, stored, {} if data is None else data)
        except UsernameTaken:
            where.emit("account.name_taken", account=key)
            raise
        check_account(user)
        where.emit("account.registered", user, **({} if login else where.actor().told()))
        if login:
            self._known_devices.remember(where, user)  # first, because to a new account any browser is new
            self._login_user(request, where, user, ("password",))
        return user

    def login(self, request: Request, username: str, password: str, *, remember: bool = False) -> User:
        """Log in with a password.

        Args:
            request: The request.
            username: The name as it was typed; case does not matter.
            password: The password as it was typed.
            remember: Whether to stay logged in when the browser is closed, for `Timeouts.remember` seconds.

        Raises:
            Busy: For five seconds there was no turn to check the password.
            CrossOriginRefused: The request comes from another site, or is no POST.
            LoginFailed: Name and password do not fit, whatever is wrong.
            Throttled: Too many attempts were made.
            TooManySessions: As `login_user` does.
        """
        typed = Hidden(password)
        del password
        session = self._changeable_session(request, "login()")
        where = where_of(request, self._environ_key)
        with outages_noted(session):
            user = self._verifier.authenticate(where, username, typed)
        self._login_user(request, where, user, ("password",), remember=remember)
        return user

    def logout(self, request: Request, *, everywhere: bool = False) -> None:
        """Log out here or, with `everywhere=True`, in every browser.

        If this session may not end the others, because nobody is logged in to it (any more), it is ended alone, and
        `everywhere=True` raises `NotLoggedIn`. If the store failed half-way, call it again: it ends what is left.

        Raises `CrossOriginRefused` too, also if the request is no POST.
        """
        session = self._changeable_session(request, "logout()")
        username, user_id, session_id = session.username, session.user_id, session.id
        has_ended_others = everywhere and self._sessions.end_others(session)
        session.invalidate()  # last, so that the browser can ask again if anything before it failed
        if everywhere and not has_ended_others:
            raise self._not_logged_in(request)
        if username is not None:
            detail = "everywhere" if everywhere else ""
            # Only now is the address asked for: a function that fails must keep nobody logged in.
            where = where_of(request, self._environ_key)
            account = username_key(username)
            where.emit("login.ended", session_id=session_id, user_id=user_id, account=account, detail=detail)

    def user(self, request: Request) -> User | None:
        """The account that is logged in, as it is now; None if nobody is.

        The table is asked once in each request. If the account is gone, was disabled, or all of its sessions were ended
        since the login, the session is ended, and `session.ended_because` tells its browser why.
        """
        return self._user(request, "user()")

    def require_user(
        self, request: Request, *, fresh: int | timedelta | None = None, methods: Sequence[str] = ()
    ) -> User:
        """The account that is logged in and, if you ask for more, has proved lately enough who it is.

        `AuthPages` leads to the login page, or to the one that asks for what is missing, also if the framework catches
        the exception and responds with status 500. Whoever only wants to know calls `user`, and catches nothing.

        Args:
            request: The request.
            fresh: The seconds since the last login or `confirm` that are still good enough, or a `timedelta`.
            methods: What must have been proved in this login, such as `("password", "totp")`; each of them within
                `fresh`, if that is given.

        Raises:
            NotFresh: Something has to be proved once more; its `methods` say what.
            NotLoggedIn: Nobody is logged in.
            TypeError: Something else was given than seconds, or several names.
            ValueError: The time is less than a second, or a name is empty or long.
        """
        demand = Demand.of(fresh, methods)
        user = self._required_user(request, "require_user()")
        if missing := demand.missing_in(get_session(request, self._environ_key)):
            raise self._not_fresh(request, missing)
        return user

    def confirm(self, request: Request, password: str) -> None:
        """Check the password of whoever is logged in once more, before something that matters.

        From now on the login counts as fresh: `authenticated_at` is now, the lifetime begins anew, unless the session
        is remembered, and the cookie gets a new token (ASVS 5.0 7.2.4). If another request of the same session logs
        in or out meanwhile, that is dropped, and the event `session.write_discarded` says so.

        Args:
            request: The request.
            password: The password as it was typed.

        Raises:
            Busy: For five seconds there was no turn to check the password.
            CrossOriginRefused: The request comes from another site, or is no POST.
            LoginFailed: The password is wrong, or the account was disabled or renamed a moment ago.
            NotLoggedIn: Nobody is logged in, or all of the account's sessions were ended a moment ago.
            Throttled: Too many attempts were made.
        """
        typed = Hidden(password)
        del password
        session = self._changeable_session(request, "confirm()")
        where = where_of(request, self._environ_key)
        owner = self._required_user(request, "confirm()")
        with outages_noted(session):
            user = self._verifier.authenticate(where, owner.username, typed, told_as=confirm_failed(session.id))
        if (user.id, user.session_version) != (owner.id, owner.session_version):
            raise self._not_logged_in(request)  # somebody else has the name now, or all sessions were ended
        session._renew(Renewal(methods=("password",), reauthenticates=True, what="confirm()"))
        where.emit("login.confirmed", user, session_id=session.id)

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

    def change_password(self, request: Request, old: str, new: str) -> None:
        """Give the user of this request another password, and end all of the account's other sessions.

        This session goes on: with a new token, and as if its user had just logged in. If another request renews or ends
        it at the same moment, this browser has to log in again like the others, and `session.write_discarded` says why.
        If the store failed half-way, the password may be the new one already. Then nobody is logged in any more: log in
        again, with the new password or else the old one.

        Args:
            request: The request.
            old: The present password, as it was typed.
            new: The new one.

        Raises:
            Busy: For five seconds there was no turn to check or to hash a password.
            CrossOriginRefused: The request comes from another site, or is no POST.
            LoginFailed: The present password is wrong, or somebody else has changed it meanwhile.
            NotLoggedIn: Nobody is logged in, or all of the account's sessions were ended meanwhile.
            PasswordRejected: The new password does not fit the policy, or it is the old one.
            Throttled: Too many attempts were made.
        """
        current, wanted = Hidden(old), Hidden(new)
        del old, new
        session = self._changeable_session(request, "change_password()")
        where = where_of(request, self._environ_key)
        self._sessions.finish_earlier(session)
        owner = self._required_user(request, "change_password()")
        user = self._changes.change_password(where, session, owner, current, wanted)
        if user is None:
            raise self._not_logged_in(request)
        with outages_noted(session):
            self._limit.keep_renewed(session, user)
        self._keep(request, session, user)

    def delete_account(self, request: Request, password: str) -> None:
        """Erase the account of this request's user, and end its sessions everywhere. Needs the password once more.

        Anything else that belongs to the account is for the application to erase; `user.id` is the key to it. If the
        store failed half-way, call it again: an account that is already gone is `NotLoggedIn`, and has no session left.

        Raises `NotLoggedIn`, `LoginFailed`, `Throttled`, `Busy`, and `CrossOriginRefused`, also if the request is no
        POST.
        """
        typed = Hidden(password)
        del password
        session = self._changeable_session(request, "delete_account()")
        where = where_of(request, self._environ_key)
        self._sessions.finish_earlier(session)
        owner = self.require_user(request)
        with outages_noted(session):
            user = self._verifier.authenticate(where, owner.username, typed, told_as=confirm_failed(session.id))
            if user.id != owner.id:  # renamed a moment ago, and somebody else has the name now
                raise self._not_logged_in(request)
            actor = where.actor()
            self._users.delete(user.id)
            session.manager.end_all(user_id=user.id, keep=session.id, reason="elsewhere")
        session.invalidate()
        where.emit("account.deleted", user, **actor.told())

    def request_reset(self, request: Request, username: str) -> None:
        """Send a link by which a new password can be chosen, if there is an account with this name.

        The account is looked up later, in another thread, and `send` is called there. So neither the answer nor its
        time tells whether there is one. Call it for whoever asks, and say the same to everybody.

        Raises `Throttled`, `ConfigError` if `Auth` has no `send`, and `CrossOriginRefused`, also if the request is no
        POST.
        """
        session = self._changeable_session(request, "request_reset()")
        with outages_noted(session):
            self._recovery.request(where_of(request, self._environ_key), username)

    # An administrator, or a job. Whether the visitor is an administrator is for the application to check.

    def set_active(self, where: Request | SessionManager, user_id: str, is_active: bool) -> bool:
        """Let an account log in, or not. False if there is no such account.

        Disabling it ends all of its sessions, and enabling it does not bring them back. Check first that the visitor
        may do this: it is done for whoever calls.

        Args:
            where: The administrator's request, which has to be a POST, or in a shell or a job a `SessionManager`.
            user_id: The account's id.
            is_active: Whether it may log in.

        Raises:
            CrossOriginRefused: The request comes from another site, or is no POST.
            StoreUnavailable: Something failed half-way; call it again.
        """
        return self._changes.set_active(*self._acting(where, "set_active()"), user_id, is_active)

    def rename(self, where: Request | SessionManager, user_id: str, new: str) -> bool:
        """Give an account another name, or another spelling of its name. False if there is no such account.

        The sessions of the account end, because they carry the old name, which may soon be somebody else's. If the
        request is the account's own, its session goes on under the new name. Check first that the visitor may do this:
        it is done for whoever calls.

        Args:
            where: The request, which has to be a POST, or in a shell or a job a `SessionManager`.
            user_id: The account's id.
            new: The new name, as it was typed.

        Raises:
            CrossOriginRefused: The request comes from another site, or is no POST.
            StoreUnavailable: Something failed half-way; call it again.
            UsernameRejected: The text cannot be a username.
            UsernameTaken: Another account has the name.
        """
        site, session = self._acting(where, "rename()")
        user = self._changes.rename(site, session, user_id, new)
        if session is not None and user is not None and session.user_id == user.id:
            with outages_noted(session):
                self._limit.keep_renewed(session, user)
            self._keep(where, session, user)
        return user is not None

    def end_all(self, where: Request | SessionManager, user_id: str, *, reason: EndReason = "admin") -> int:
        """Log an account out everywhere, and return how many sessions there were. Nobody can be left over.

        Unlike `SessionManager.end_all`, it ends a login that is under way at this moment, too. Check first that the
        visitor may do this: it is done for whoever calls.

        Args:
            where: The administrator's request, which has to be a POST, or in a shell or a job a `SessionManager`.
            user_id: The account's id.
            reason: What `session.ended_because` tells the browsers.

        Raises:
            CrossOriginRefused: The request comes from another site, or is no POST.
            StoreUnavailable: Something failed half-way; call it again.
        """
        return self._changes.end_all(*self._acting(where, "end_all()"), user_id, reason)

    def erase(self, where: Request | SessionManager, user_id: str) -> bool:
        """Erase an account, and end all of its sessions. False if there is no such account (any more).

        Anything else that belongs to it is for the application to erase; `user_id` is the key to it. Check first that
        the visitor may do this: it is done for whoever calls.

        Args:
            where: The administrator's request, which has to be a POST, or in a shell or a job a `SessionManager`.
            user_id: The account's id.

        Raises:
            CrossOriginRefused: The request comes from another site, or is no POST.
            StoreUnavailable: Something failed half-way; call it again.
        """
        return self._changes.erase(*self._acting(where, "erase()"), user_id)

    def reset_token(self, where: Request | SessionManager, username: str) -> str | None:
        """A token by which the account's password can be set once, within an hour; None if nobody has this name.

        None too if the account is disabled or has no password. For an administrator, who passes it on by a way of his
        own. In a page where visitors say who they are, call `request_reset`: this takes longer if there is an account.

        Args:
            where: The request, which has to be a POST, or in a shell or a job a `SessionManager`.
            username: The name as it was typed.

        Raises:
            CrossOriginRefused: The request comes from another site, or is no POST.
            StoreUnavailable: The store failed.
        """
        return self._recovery.token_for(self._acting(where, "reset_token()")[0], username)

    def reset_password(self, where: Request | SessionManager, token: str, new: str) -> User:
        """Set a new password by a token from `reset_token` or from a link. Ends all sessions of the account.

        Nobody is logged in by this: whoever holds the link may not have a second factor. A password that is rejected
        leaves the token good. If the store or the table of accounts failed half-way, ask for another token.

        Args:
            where: The request, which has to be a POST, or in a shell or a job a `SessionManager`.
            token: The token.
            new: The new password, as it was typed.

        Raises:
            Busy: For five seconds there was no turn to hash the password.
            CrossOriginRefused: The request comes from another site, or is no POST.
            PasswordRejected: The new password does not fit the policy.
            TokenInvalid: The token is used up, expired or wrong, or the account has changed since it was made.
        """
        presented, wanted = Hidden(token), Hidden(new)
        del token, new
        site, session = self._acting(where, "reset_password()")
        with outages_noted(session):
            return self._recovery.reset(site, presented, wanted)

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
            LoginFailed: Name and password do not fit, whatever is wrong.
            Throttled: Too many attempts were made.
        """
        typed = Hidden(password)
        del password
        return self._verifier.authenticate(where_of(request, self._environ_key), username, typed)

    def login_user(self, request: Request, user: User, *, methods: Sequence[str] = ()) -> None:
        """Log in somebody whose identity was checked.

        Any HTTP method will do, because the answer of a sign-in service arrives by GET. Check its `state` first:
        otherwise another site can log a visitor in to an account of its own.

        Once the login is stored, the account is checked once more. So a login does not survive if the account is
        disabled, or logged out everywhere, at the same moment.

        With `when_full="refuse"` the session is saved here and now, with everything that the request did to it, and so
        it stays, even if the response becomes a 5xx.

        Args:
            request: The request.
            user: The account.
            methods: What was proved, such as `("password", "totp")`, for `require_user` and for the list of sessions.
                Nothing is taken for granted: a user who typed a password is not known to have done so unless you say.
                With `"password"` among them, the account knows this browser from now on, as after `login`.

        Raises:
            CrossOriginRefused: The request comes from another site.
            TypeError: The user is no `User`, or the methods are not several names.
            ValueError: The name of a method is empty or long.
            TooManySessions: The account has as many sessions as it may have, and `when_full` is "refuse". What there
                was before the login is as it was.
        """
        if not isinstance(user, User):
            kind = type(user).__name__
            raise TypeError(f"user must be a User, such as users.find_by_key(username_key(name)) gives, not {kind}")
        proved = checked_methods(methods)
        self._own_session(request, "login_user()")
        self._login_user(request, where_of(request, self._environ_key), user, proved)

    # What `AuthPages` needs

    def _watch_login(self, environ: Environ) -> Callable[[], Refusal | None]:
        """What the request, from here on, has asked for in vain. None if an outage can be the trouble."""
        mark = environ[self._mark_key] = LoginMark()
        session = environ.get(self._environ_key)
        return lambda: None if had_outage(session) else mark.refusal

    def _tell_login_required(self, environ: Environ, detail: str) -> None:
        if isinstance(environ.get(self._environ_key), Session):
            where_of(environ, self._environ_key).emit("login.required", detail=detail)

    def _check_new_password(self, username: str, password: str) -> None:
        """Raise `PasswordRejected` for what would be rejected as this account's new password."""
        typed = Hidden(password)
        del password
        self._new.check_alone(typed, username)

    # Small steps

    def _acting(self, where: Request | SessionManager, what: str) -> tuple[Where, Session | None]:
        """Where somebody acts on an account, and the visitor's own session if there is a visitor."""
        session = None if isinstance(where, SessionManager) else self._changeable_session(where, what)
        return where_of(where, self._environ_key), session

    def _keep(self, request: Request | SessionManager, session: Session, user: User) -> None:
        """Remember the account for the rest of the request."""
        environ, _ = self._environ_and_session(request, "this")
        environ[self._user_key] = session, user

    def _login_user(
        self,
        request: Request | SessionManager,
        where: Where,
        user: User,
        methods: tuple[str, ...],
        *,
        remember: bool = False,
    ) -> None:
        environ, session = self._environ_and_session(request, "login_user()")
        check_account(user)
        if "password" in methods:
            self._make_known(where, user)
        own = self._timeouts.of(user, on_entry(session, environ))
        most = self._limit.most_for(user)
        session.login(
            user.username,
            user_id=user.id,
            session_version=user.session_version,
            methods=methods,
            timeouts=own,
            check=lambda: self._holds(session, user, most),
        )
        self._devices.follow(session, environ)
        if remember:
            session.remember(session.manager.timeouts.remember)
        if most is not None and self._limit.refuses:
            self._commit_or_refuse(where, session, user)
        environ[self._user_key] = session, user
        set_mark(environ, self._mark_key, None)
        where.emit("login.succeeded", user, detail=", ".join(methods))

    def _make_known(self, where: Where, user: User) -> None:
        """Let the account know this browser, and tell its owner if it is new, whatever becomes of the login.

        In one step: a browser that was made known by a login that is then refused would never be told as new.
        """
        if not self._known_devices.remember(where, user):
            where.emit("login.new_device", user)
            self._outbox.notify(where, "new_device", user)

    def _holds(self, session: Session, user: User, most: int | None) -> bool:
        """Whether a login that was just stored holds: for the account as it is now, and among its other sessions."""
        if not self._sessions.is_current(user):
            return False  # and it ends none of the others
        self._limit.keep(session, user, most)
        return True

    def _commit_or_refuse(self, where: Where, session: Session, user: User) -> None:
        """Save the login now, because only then is it known whether there is room for it."""
        try:
            session.commit()
        except TooManySessions as error:
            where.emit("login.failed", user, detail=error.reason)
            raise

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
            self._devices.follow(session, environ)
            environ[self._user_key] = session, user
        return user

    def _required_user(self, request: Request, what: str) -> User:
        environ, _ = self._environ_and_session(request, what)
        set_mark(environ, self._mark_key, None)  # an earlier answer, or none if the accounts cannot be asked
        user = self._user(request, what)
        if user is None:
            raise self._not_logged_in(request)
        return user

    def _not_logged_in(self, request: Request) -> NotLoggedIn:
        """The error, and the mark by which `AuthPages` knows of it although a framework may make a 500 of it."""
        environ, _ = environ_and_session(request, self._environ_key)
        set_mark(environ, self._mark_key, NotLoggedIn())
        error = NotLoggedIn()
        error.environ_key = self._environ_key
        return error

    def _not_fresh(self, request: Request, missing: tuple[str, ...]) -> NotFresh:
        """The same if somebody is logged in, but has to prove something once more."""
        environ, _ = environ_and_session(request, self._environ_key)
        set_mark(environ, self._mark_key, not_fresh(missing, self._environ_key))
        return not_fresh(missing, self._environ_key)

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
                f"{what} needs a visitor: pass a request. A SessionManager will do for authenticate(), register(…, "
                "login=False), and what an administrator does to an account."
            )
        return environ_and_session(request, self._environ_key)


def _check(users: object, policy: object, hasher: object) -> None:
    """Raise `ConfigError` for an argument of the wrong kind, now rather than at the first login."""
    if not implements(users, Users):
        raise ConfigError(f'users={shown(users)} is not a table of accounts. Pass one such as SQLiteUsers("app.db").')
    if not isinstance(policy, PasswordPolicy):
        raise ConfigError(f"policy={shown(policy)}: write policy=PasswordPolicy(minimum_length=15).")
    if not implements(hasher, Hasher):
        raise ConfigError(
            f"hasher={shown(hasher)}: write hasher=Argon2Hasher(time_cost=2, memory_cost=19456, parallelism=1)."
        )
