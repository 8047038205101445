"""The session that the application sees: a dict, and who is logged in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from . import _flash
from ._core import csrf
from ._core.changes import MISSING, REMOVED
from ._core.commit import commit
from ._core.companions import companions, send_companion
from ._core.envelope import Envelope
from ._core.environ import is_unseen
from ._core.header import Remember, proved
from ._core.lifetime import bounds, end_of, own_limits
from ._core.login import Login, checked_note
from ._core.login import Renewal as Renewal  # what `_renew` takes
from ._core.lookup import DETACHED, FOREIGN
from ._core.place import Place as Place  # what `_seen_from` is told
from ._core.transaction import Transaction
from ._dict_like import DictLike
from ._habits import no_attribute
from ._repr import shown_half_built
from ._storable import checked_id, checked_methods, checked_text, checked_version
from .timeouts import Timeouts, _whole_seconds

if TYPE_CHECKING:
    from .manager import SessionManager  # it makes sessions, so it cannot be imported here

EndReason = Literal["elsewhere", "limit", "password", "disabled", "admin"]
"""Why somebody ended a session from outside its browser."""


@shown_half_built
class Session(DictLike):
    """A dict that lasts from one request to the next.

    Keys are text. Values are None, bool, int, float, str, bytes, list, dict, tuple, set, datetime, date, Decimal and
    UUID, in any combination; assigning anything else is a `TypeError`. Changes inside a value are noticed too.

    Nothing is loaded before the first use, and nothing is written if nothing changed. Any method may raise
    `StoreUnavailable` if it is the first use, and `SessionClosed` if it comes too late.
    """

    __slots__ = ("__weakref__", "_transaction")

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    # The mapping

    def __getitem__(self, key: str) -> Any:
        value = self._transaction.load().get(key, MISSING)
        if value is MISSING:
            raise KeyError(key)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """The value of the key, or the default."""
        return self._transaction.load().get(key, default)

    def __setitem__(self, key: str, value: Any) -> None:
        self._transaction.writable().set(checked_text(key, "a key"), value)

    def __delitem__(self, key: str) -> None:
        self._transaction.writable().delete(key)

    def __contains__(self, key: object) -> bool:
        return key in self._transaction.load()

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._transaction.load()))

    def __len__(self) -> int:
        return len(self._transaction.load())

    if not TYPE_CHECKING:  # type checkers must go on to find misspelt names

        def __getattr__(self, name: str) -> NoReturn:
            if hasattr(type(self), name):
                object.__getattribute__(self, name)  # a property: raise its own error again
            raise AttributeError(no_attribute(name), name=name, obj=self)

        def __setattr__(self, name: str, value: object) -> None:
            try:
                super().__setattr__(name, value)
            except AttributeError as error:
                if hasattr(type(self), name):  # what there is and cannot be assigned, such as the id
                    raise AttributeError(f"session.{name} cannot be assigned", name=name, obj=self) from error
                raise AttributeError(no_attribute(name), name=name, obj=self) from None

    def __repr__(self) -> str:
        """Its state, without any value and without asking the store."""
        return f"<Session {self._transaction.standing.name.lower()}>"

    def clear(self) -> None:
        """Drop all data, and log out if somebody is logged in.

        A request that is late (its cookie was replaced a moment ago) logs out too, because a logout always wins.
        """
        if self.username is not None:
            self.invalidate()
        elif self._transaction.is_late_to_user:
            self._transaction.end("clear() by a replaced cookie")
        else:
            self._transaction.writable().clear()

    def modify(self, key: str, fn: Callable[[Any], Any], default: Any = MISSING) -> Any:
        """Set the key to `fn(current value)`, exactly, however many requests do so at once.

        Args:
            key: The key to change.
            fn: Takes the current value and returns the new one, or `REMOVED` to delete the key. It runs again on the
                fresh value if another request got in between, so it should compute a value and do nothing else.
            default: The value to use if the key is missing.

        Returns:
            The new value, or None if it was removed. It is provisional: after `commit()`, `session[key]` is what was
            stored.

        Raises:
            KeyError: The key is missing and there is no default.
        """
        if not callable(fn):
            raise TypeError(f"modify() takes a function of the current value, not {type(fn).__name__}")
        return self._transaction.writable().modify(checked_text(key, "a key"), fn, default)

    # What it is

    @property
    def id(self) -> str | None:
        """The session's handle, 32 hexadecimal digits that stay for its life. Not a credential, so safe in logs.

        None until something is stored; `commit()` stores it.
        """
        stored = self._loaded().stored
        return None if stored is None else stored.record.id.hex()

    @property
    def is_new(self) -> bool:
        """Whether nothing is stored yet."""
        return self._loaded().stored is None

    @property
    def is_foreign(self) -> bool:
        """Whether the request comes from another origin, so that the session is empty and drops what is written.

        Also if another site sent it and the browser may have kept our cookie back: then a new one must not replace it.
        """
        return self._loaded().standing is FOREIGN

    @property
    def is_late(self) -> bool:
        """Whether another request has ended the session or replaced its cookie a moment ago.

        It is empty then, and drops what is written. `login` begins another one, so check who it is again before it.
        """
        return self._loaded().standing is DETACHED

    @property
    def created_at(self) -> int | None:
        """When it was first stored, in seconds since the epoch; None if it is new."""
        envelope = self._envelope()
        return None if envelope is None else envelope.created_at

    @property
    def expires_at(self) -> int | None:
        """When it ends if nobody uses it again, in seconds since the epoch; None if it is new."""
        stored, limits = self._loaded().stored, self._transaction.site.limits
        return None if stored is None else end_of(stored.record.expires_at, stored.envelope, limits)

    @property
    def ends_at(self) -> int | None:
        """When it ends however active it is, in seconds since the epoch; None if it is new."""
        envelope = self._envelope()
        return None if envelope is None else bounds(envelope, self._transaction.site.limits)[0]

    @property
    def ended_because(self) -> Literal["expired"] | EndReason | None:
        """Why the session that the browser's cookie names is over; None if it is not, or if the person ended it.

        What `SessionManager.end` or `Auth` gave as the reason is told to the cookie that was good until then, for
        `Timeouts.explain` seconds. A session that is not there (any more) is `"expired"`.
        """
        return cast("Literal['expired'] | EndReason | None", self._loaded().ended_because)

    @property
    def manager(self) -> SessionManager:
        """The `SessionManager` that made this session."""
        return cast("SessionManager", self._transaction.site.manager)

    # Who it is

    @property
    def username(self) -> str | None:
        """Who is logged in, or None. Assigning a name is `login(name)`, and assigning None is `invalidate()`.

        A name alone does not show whether its account was disabled in the meantime; `Auth.user()` does.
        """
        who = self._who()
        return None if who is None else who.username

    @username.setter
    def username(self, name: str | None) -> None:
        if name is None:
            self.invalidate()
        else:
            self.login(name)

    @property
    def user_id(self) -> str | None:
        """The id of the user who is logged in, if the login gave one."""
        who = self._who()
        return None if who is None else who.user_id

    @property
    def session_version(self) -> int | None:
        """The account's `session_version` at the time of the login, if the login gave one."""
        who = self._who()
        return None if who is None else who.session_version

    @property
    def authenticated_at(self) -> int | None:
        """When somebody last logged in to it, or confirmed it, in seconds since the epoch; None if nobody did."""
        return self._loaded().authenticated_at

    @property
    def methods(self) -> Mapping[str, int]:
        """How the user proved who it is, such as `"password"`, each with the time. Empty if nobody is logged in."""
        transaction = self._loaded()
        return proved(transaction.header, self._envelope(), transaction.site.now())

    @property
    def note(self) -> Mapping[str, Any]:
        """What the login was given as its `note`. It is gone with the login."""
        who = self._who()
        return {} if who is None else who.note or {}

    def login(
        self,
        username: str,
        *,
        user_id: str | None = None,
        session_version: int | None = None,
        methods: Sequence[str] = (),
        timeouts: Timeouts | None = None,
        note: Mapping[str, Any] | None = None,
        check: Callable[[], object] | None = None,
    ) -> None:
        """Log in somebody whose identity was checked. The cookie gets a new token, so that the old one is worthless.

        An anonymous visitor's data is kept, another user's is dropped. `Auth` checks passwords.

        Args:
            username: The name to log in under.
            user_id: Whom the session belongs to, if names may change. Without it, the session belongs to the name.
            session_version: Kept in the session, to find out later whether all of the account's sessions were ended.
            methods: How the user proved who it is, such as `("password", "totp")`. The time is kept with each.
            timeouts: Limits of this login's own: `idle`, `lifetime`, `remember` and `remember_lifetime`. All four take
                the place of the site's, so begin with those: `dataclasses.replace(session.manager.timeouts, idle=600)`.
            note: What to know about this login in lists of sessions, at most 512 bytes.
            check: Called right after the login is stored, and before the browser gets the new cookie. If it returns
                something false, the session is ended again. If it raises, the login is taken back.

        Raises:
            SessionClosed: The response's headers are out.
            TypeError: Something else was given than text, a number, a `Timeouts`, a function.
            ValueError: The name, the id or a method is empty, or is text that cannot be written; or the note is too
                large.
        """
        username = checked_text(username, "a username")
        if not username:
            raise ValueError("an empty username cannot log in; assign None to log out")
        user_id = None if user_id is None else checked_id(user_id, "user_id")
        version, proof = checked_version(session_version), checked_methods(methods)
        own = own_limits(timeouts)
        self._transaction.login(Login(username, user_id, version, check, own, proof, checked_note(note)))

    # Its life

    def renew_token(self, *, methods: Sequence[str] = ()) -> None:
        """Give the cookie a new token, for when privileges change. The old token is dead; data and `id` stay.

        Call it after a second factor too, and say which: `renew_token(methods=("totp",))`.
        """
        self._renew(Renewal(methods=checked_methods(methods)))

    def invalidate(self) -> None:
        """End the session now and permanently, whoever else writes to it. Writing afterwards starts a new one."""
        self._transaction.end()

    def remember(self, seconds: int | timedelta | None, *, sliding: bool = False) -> None:
        """Keep the session when the browser is closed, without an idle limit.

        It lasts for so many seconds from the login (from the session's creation, if nobody is logged in), but never
        ends earlier than it would have ended if nobody used it. With `sliding`, each use of the session grants exactly
        that many seconds, until `Timeouts.remember_lifetime` after the login.

        Args:
            seconds: How long, at most `Timeouts.remember`; None for "no longer", so that the usual limits hold again.
            sliding: Whether each use grants the seconds anew.

        Raises:
            SessionClosed: The response's headers are out.
        """
        self._transaction.remember(Remember(None if seconds is None else _whole_seconds(seconds), sliding))

    @property
    def keep_alive(self) -> bool:
        """Whether this request counts as the person's activity. Assign False for one that a script sends by itself.

        A request that does not count prolongs nothing. One with the header `X-Session-Passive: 1`, or that prefetches a
        page, does not count either.
        """
        return self._transaction.keep_alive

    @keep_alive.setter
    def keep_alive(self, value: bool) -> None:
        self._transaction.keep_alive = bool(value)

    def commit(self) -> None:
        """Save now. Otherwise it is saved before the response's headers go out, unless that is a server error.

        A session that is not stored yet is stored, even if it is empty, and even right after `invalidate()`. Raises
        `StoreUnavailable`, `SessionConflict`, `SessionTooLarge`, `TypeError` for a value that cannot be stored, and
        `SessionClosed` if that would need a cookie and the headers are out.
        """
        self._transaction.start()
        commit(self._transaction)

    def reload(self) -> None:
        """Forget changes that are not saved, and read the session afresh. Raises `StoreUnavailable`."""
        self._transaction.reload()

    # Messages for the next page

    def flash(self, message: Any, queue: str = "") -> None:
        """Leave a message for the next page that asks for it. Markup (what has `__html__`) comes back as markup."""
        entry = _flash.entry(self._transaction.site.records.new_id(), message, queue)
        self.modify(_flash.KEY, lambda entries: [*entries, entry], default=[])

    def peek_flash(self, queue: str | None = None) -> list[Any]:
        """The messages of this queue or, without one, of all, in the order in which they were left. They stay."""
        return _flash.messages(_flash.of_queue(self.get(_flash.KEY, []), queue))

    def pop_flash(self, queue: str | None = None) -> list[Any]:
        """The same messages, which are then removed. One that another request adds in the meantime is not lost.

        HEAD requests and prefetches leave them, because nobody sees those pages.
        """
        shown = _flash.of_queue(self.get(_flash.KEY, []), queue)
        request = self._transaction.request
        if shown and not (isinstance(request, dict) and is_unseen(request)):
            ids = {each[0] for each in shown}
            self.modify(_flash.KEY, lambda all: [each for each in all if each[0] not in ids] or REMOVED, default=[])
        return _flash.messages(shown)

    # Forms

    @property
    def csrf_token(self) -> str:
        """A token for forms, for frameworks that want one. It changes at login.

        As long as there is no session, it is a visitor's token: nothing is stored, no cookie is set, and the form is
        good for `Timeouts.anonymous` seconds. Where it is not known which site a form comes from
        (`cross_origin="allow"`, `SessionManager.open(cookie=…)`), reading it starts the session.
        """
        return csrf.token_of(self._transaction)

    def check_csrf(self, value: str | None) -> bool:
        """Whether this is the token of a form made in this session, or before there was one. None, for none, is not."""
        return value is not None and csrf.is_good(self._transaction, value)

    def renew_csrf(self) -> None:
        """Give the session another token for forms, so that those made until now are refused. Starts the session."""
        self._transaction.renew_csrf()

    # What `Auth` needs

    def _seen_from(self, where: Callable[[], Place]) -> None:
        """Keep with the login where the session is used; `where` tells that, if the session is written anyway."""
        self._transaction.where = where

    def _renew(self, renewal: Renewal) -> None:
        """Renew the token, and write with it what it says. Dropped and told if another request was faster."""
        self._transaction.renew(renewal)

    def _ensure_open(self, refusal: str) -> None:
        """Raise `SessionClosed` if it is too late for anything that sends a cookie."""
        self._transaction.load_while_open(refusal)

    def _companions(self, suffix: str) -> list[str]:
        """The values of cookies beside the session's own, under its name with this at the end."""
        return companions(self._transaction, suffix)

    def _send_companion(self, suffix: str, value: str, max_age: int) -> None:
        """Send such a cookie with the response."""
        send_companion(self._transaction, suffix, value, max_age)

    # Small steps

    def _loaded(self) -> Transaction:
        self._transaction.load()
        return self._transaction

    def _envelope(self) -> Envelope | None:
        stored = self._loaded().stored
        return None if stored is None else stored.envelope

    def _who(self) -> Login | Envelope | None:
        """A login that is not saved yet, else what is stored, with what a renewal says otherwise."""
        header = self._loaded().header
        who, renewal = header.login or self._envelope(), header.renewal
        if who is None or who.username is None or renewal is None:
            return who
        version = who.session_version if renewal.session_version is None else renewal.session_version
        return who._replace(username=renewal.username or who.username, session_version=version)
