"""SessionManager: what the sessions of a site share, and what can be done to them without a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from ._checks import check_functions, check_settings, check_store
from ._core.census import count_all
from ._core.envelope import FORMAT_BYTE, Stored
from ._core.lifetime import GRACE, end_of, limits_of, system_clock
from ._core.lookup import Site
from ._core.one_time import OneTimeTokens
from ._core.origins import Origins
from ._core.records import CHANCE, MAX_BYTES, NOTHING, Chance, Records
from ._core.setup_warnings import SetupWarnings
from ._core.shelf import with_library_namespaces
from ._core.tickets import CookieValue, Tickets, names_of, wire_name
from ._core.transaction import Transaction
from ._core.upkeep import prune_all
from ._deploy import arguments_from_settings
from ._hidden import Hidden
from ._request import ENVIRON_KEY, is_under_way
from ._seals import derive_keys, digests
from ._storable import checked_id
from ._types import Environ, WSGIApplication
from .cookie import Cookie
from .events import Event, EventName, Events
from .keyring import Keyring
from .opened import Opened
from .session import EndReason, Session
from .session_info import SessionInfo, exported, info_of
from .stores.base import Store
from .stores.memory import MemoryStore
from .timeouts import Timeouts

if TYPE_CHECKING:
    from .middleware import SessionMiddleware  # it makes managers, so it cannot be imported here


class Account(Protocol):
    """What identifies an account to the sessions: a `sessionware.auth.User`, or a class of your own."""

    @property
    def id(self) -> str:
        """The account's own, never given to another one."""

    @property
    def username(self) -> str:
        """The name to show."""

    @property
    def session_version(self) -> int:
        """Goes up when all of the account's sessions must end."""


def remote_address(environ: Mapping[str, Any]) -> str:
    """The address that the connection came from, which behind a proxy is the proxy's."""
    return str(environ.get("REMOTE_ADDR", ""))


class SessionManager:
    """Everything that a site's sessions share: the store, the secret, the limits, the events.

    `SessionMiddleware` makes one, its `manager`. Make one yourself, with the same arguments, for a shell, a job, an
    admin page or a test: it lists, ends and exports sessions without a request.

    Args:
        secret: Text of at least 32 characters, or several with the newest first, or a `Keyring`.
        store: Where sessions live. Without one, they live in this process's memory, for trying things out.
        cookie: The cookie's name and attributes.
        timeouts: How long sessions live.
        trusted_origins: Other sites whose forms may act in a session, such as `"https://partner.example"`.
        cross_origin: `"isolate"` gives requests from other sites no session; `"allow"` lets all of them in.
        max_bytes: The maximum size of one session's data, encoded.
        passive: Says whether a request, by its environ, was sent by a script and not by a person, so that it does not
            keep anybody logged in. Requests can say so themselves by the header `X-Session-Passive: 1`.
        on_event: Called with each `Event`.
        client_address: Returns the client's address for an environ, for events and for `Throttle`. Behind a proxy,
            `REMOTE_ADDR` is the proxy's, so pass a function that knows your proxy.
        clock: Returns seconds since the epoch, as `time.time` does.

    Raises:
        ConfigError: An argument is wrong; the message says what to write instead.
    """

    def __init__(
        self,
        secret: str | bytes | Sequence[str | bytes] | Keyring,
        store: Store | None = None,
        *,
        cookie: Cookie = Cookie(),
        timeouts: Timeouts = Timeouts(),
        trusted_origins: Iterable[str] = (),
        cross_origin: Literal["isolate", "allow"] = "isolate",
        max_bytes: int = MAX_BYTES,
        passive: Callable[[Environ], object] | None = None,
        on_event: Callable[[Event], None] | None = None,
        client_address: Callable[[Environ], str] = remote_address,
        clock: Callable[[], float] = system_clock,
        _chance: Chance = CHANCE,
    ) -> None:
        given, store = Hidden(secret), MemoryStore() if store is None else store
        del secret
        check_store(store)
        check_settings(cookie=cookie, timeouts=timeouts, cross_origin=cross_origin, max_bytes=max_bytes)
        check_functions(on_event=on_event, client_address=client_address, clock=clock, passive=passive)
        keyring = given.value if isinstance(given.value, Keyring) else Keyring(given.value)
        events, self._timeouts = Events(on_event, clock), timeouts
        self._site = Site(
            keys=derive_keys(
                keyring._secrets,
                secure_cookie=wire_name(cookie, secure=True),
                plain_cookie=cookie.name,
                store_path=store.path,
                record_format=FORMAT_BYTE,
            ),
            records=Records(store, events, max_bytes=max_bytes, clock=clock, chance=_chance),
            tickets=Tickets(cookie),
            origins=Origins(trusted_origins, allow_all=cross_origin == "allow"),
            limits=limits_of(timeouts),
            events=events,
            warnings=_setup_warnings(store, cookie, client_address),
            clock=clock,
            client_address=client_address,
            passive=passive,
            manager=self,
        )

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, prefix: str = "") -> SessionManager:
        """Make one from settings as text, such as those of an ini file.

        The names are those of `SessionMiddleware.from_environ` in lower case: `secret_file`, `store`, `timeout_idle`, …
        With a `prefix` such as `"sessionware."`, what does not begin with it is ignored. Any other name is a
        `ConfigError`, so that a misspelt one does not go unnoticed.
        """
        given = Hidden(settings)
        del settings
        return cls(**arguments_from_settings(given.value, prefix))

    @property
    def timeouts(self) -> Timeouts:
        """The limits that the site set."""
        return self._timeouts

    # Somebody's sessions

    def of(
        self, user: Account | None = None, *, user_id: str | None = None, username: str | None = None
    ) -> list[SessionInfo]:
        """Where somebody is logged in, the latest login first.

        Args:
            user: An account. Sessions from before its current `session_version` are over and are left out.
            user_id: An account's id.
            username: A name, for sessions that were logged in to without a `user_id`.

        Raises:
            StoreUnavailable: The store failed.
            TypeError: Not exactly one of the three was given.
        """
        now = self._site.now()
        infos = [info_of(stored, self._site.limits) for stored in self._owned_by(user, user_id, username)]
        infos = [info for info in infos if info.expires_at > now]
        return sorted(infos, key=lambda info: info.authenticated_at, reverse=True)

    def end(self, id: str, *, reason: EndReason = "admin") -> bool:
        """End one session, by its handle. False if it has already ended. Raises `StoreUnavailable`.

        The `reason` is what `session.ended_because` tells its browser.
        """
        check_reason(reason)
        return self._end(_record_id(id), reason)

    def end_all(
        self,
        user: Account | None = None,
        *,
        user_id: str | None = None,
        username: str | None = None,
        before: int | None = None,
        keep: str | None = None,
        reason: EndReason = "admin",
    ) -> int:
        """End somebody's sessions everywhere, and return how many there were.

        A login that is under way at this moment may still be stored afterwards, unless the account's `session_version`
        is raised first, as `Auth.logout(request, everywhere=True)` does.

        Args:
            user: An account.
            user_id: An account's id.
            username: A name, for sessions that were logged in to without a `user_id`.
            before: End only sessions whose login is older than this, in seconds since the epoch.
            keep: The handle of a session to leave alone.
            reason: What `session.ended_because` tells the browsers.

        Raises:
            StoreUnavailable: The store failed; some of the sessions may have ended.
            TypeError: Not exactly one of the first three was given.
        """
        check_reason(reason)
        kept = None if keep is None else _record_id(keep)
        found = self._owned_by(user, user_id, username, every_version=True)
        owner_id = user_id if user is None else user.id
        ended = [
            stored
            for stored in found
            if (before is None or stored.envelope.began_at < before)
            and stored.record.id != kept
            and self._end(stored.record.id, reason, username, owner_id)
        ]
        # One that is over by a limit that was shortened is ended too, but nobody was logged in there.
        now, limits = self._site.now(), self._site.limits
        return sum(end_of(stored.record.expires_at, stored.envelope, limits) > now for stored in ended)

    def export(
        self, user: Account | None = None, *, user_id: str | None = None, username: str | None = None
    ) -> list[dict[str, Any]]:
        """Everything that sessions hold about somebody: one dict per session, with every header field and the data.

        Args:
            user: An account.
            user_id: An account's id.
            username: A name, for sessions that were logged in to without a `user_id`.

        Raises:
            StoreUnavailable: The store failed.
            TypeError: Not exactly one of the three was given.
        """
        return [exported(stored) for stored in self._owned_by(user, user_id, username, every_version=True)]

    # All sessions

    def stats(self, *, progress: Callable[[int], object] | None = None) -> dict[str, int]:
        """Count the sessions, by reading all of them.

        The counts are `live` sessions, how many of those are `logged_in`, `expired` ones not pruned yet, `tombstones`
        of sessions that ended a short time ago, how many of the live ones have an `unknown_key`, because another secret
        sealed them, records in the library's namespaces `throttle` and `tokens`, and the `bytes` of all payloads.
        Damaged records are left out, and left alone. `progress` is called with the number of records read so far.
        Raises `StoreUnavailable`.
        """
        site = self._site
        return count_all(site.records, site.keys, site.limits, site.now(), progress)

    def prune(self) -> int:
        """Remove all expired sessions, in batches, and return how many. Raises `StoreUnavailable`.

        What the library keeps beside them, such as the counts of `Throttle`, is removed and counted too. You don't have
        to: about every hundredth new record removes up to two hundred expired ones.
        """
        return sum(prune_all(store, self._site.now()) for store in with_library_namespaces(self._site.records.store))

    def ping(self) -> None:
        """Ask the store for a record that it does not have. Raises `StoreUnavailable` if it does not answer."""
        self._site.records.store.load(bytes(16), self._site.now())

    # Requests

    def wrap(self, app: WSGIApplication, *, environ_key: str = ENVIRON_KEY) -> SessionMiddleware:
        """Wrap an application so that each of its requests has a session of this manager."""
        from .middleware import SessionMiddleware

        return SessionMiddleware._around(app, self, environ_key)

    def open(
        self, environ: Environ | None = None, *, cookie: str | None = None, environ_key: str = ENVIRON_KEY
    ) -> Opened:
        """Open the session of one request, for a framework that sends the response itself.

        Pass an environ or, if there is none, the value of the cookie (None if the request had no cookie). A value alone
        says nothing about origin, scheme and address, so requests from other sites are not recognised, and the value is
        sealed for `Cookie.name`, without a prefix. Never pass a value that came in a URL or in another header.

        Args:
            environ: The request's WSGI environ. The session is put into it, where `get_session` finds it. If it already
                has a session, you get that one, and there is nothing left for you to save or to send.
            cookie: The value of the session's cookie.
            environ_key: Where the session is kept in the environ.

        Raises:
            TypeError: Both were given, or something else.
        """
        if environ is not None and cookie is not None:
            raise TypeError("open() takes an environ or cookie=…, not both")
        if not isinstance(environ, (dict, type(None))) or not isinstance(cookie, (str, type(None))):
            raise TypeError("open() takes a WSGI environ, which is a dict, or cookie=…, which is text")
        if environ is None:
            sent = CookieValue(cookie)
            return Opened(self._begin(sent), sent, is_under_way=False)
        present = environ.get(environ_key)
        if isinstance(present, Session) and is_under_way(present):
            self._warn_of_second(present, environ_key)
            return Opened(present, present._transaction.request, is_under_way=True)
        request = environ.copy()  # as it is now, whatever the application does to it
        session = environ[environ_key] = self._begin(request)
        return Opened(session, request, is_under_way=False)

    def login_cookie(
        self,
        user: Account | str,
        *,
        https: bool = False,
        methods: Sequence[str] = ("password",),
        data: Mapping[str, Any] | None = None,
    ) -> tuple[str, str]:
        """Log somebody in to a new session, and return its cookie's name and value, for tests of your pages.

        Args:
            user: An account, or a name.
            https: Whether the cookie is for pages served over https.
            methods: How the user proved who it is, for pages that ask for that.
            data: What the session should hold.

        Raises:
            SessionTooLarge: The data is larger than `max_bytes`.
            StoreUnavailable: The store failed.
            TypeError: A value cannot be stored.
        """
        environ: Environ = {"wsgi.url_scheme": "https" if https else "http"}
        session = self._begin(CookieValue(None))  # there is no request that anybody could have sent
        if isinstance(user, str):
            session.login(user, methods=methods)
        else:
            version = user.session_version
            session.login(user.username, user_id=user.id, session_version=version, methods=methods)
        session.update({} if data is None else data)
        session._transaction.created_by = "login_cookie"
        session.commit()
        return self._site.tickets.name(environ), str(Opened(session, environ, is_under_way=True).cookie)

    # What `Auth` needs

    def _now(self) -> int:
        """Whole seconds since the epoch, by the site's clock."""
        return self._site.now()

    def _end_own(self, id: str, user_id: str, reason: EndReason = "elsewhere", **expected: object) -> bool:
        """End one of somebody's sessions, unless it has become another user's meanwhile.

        Also unless its header has other values than these: then somebody has logged in to it, or renewed it.
        """
        return self._end(_record_id(id), reason, user_id=user_id, expected=expected)

    def _versions_of(self, user_id: str) -> dict[str, int | None]:
        """The session versions of somebody's sessions, by their handles."""
        found = self._owned_by(None, user_id, None, every_version=True)
        return {stored.record.id.hex(): stored.envelope.session_version for stored in found}

    def _emit(self, name: EventName, **fields: Any) -> None:
        """Report what happened to an account."""
        self._site.events.emit(name, **fields)

    def _account_digest(self, name: str) -> str:
        """A pseudonym for a name that belongs to no account."""
        return digests(self._site.keys.account, name.encode("utf-8", "surrogatepass"))[0].hex()[:32]

    @property
    def _one_time(self) -> OneTimeTokens:
        """The tokens that are good for one use."""
        return OneTimeTokens(self._site)

    # Small steps

    def _end(
        self,
        id: bytes,
        reason: EndReason,
        username: str | None = None,
        user_id: str | None = None,
        expected: Mapping[str, object] = NOTHING,
    ) -> bool:
        """End a session. Whose it has to be, and what else, is asked again at the moment when it is ended."""
        records, keys = self._site.records, self._site.keys
        owners = None if username is None and user_id is None else records.owners(keys, username, user_id)
        keep = max(self._site.limits.explain, GRACE)
        return records.end(keys, id, owners=owners, expected=expected, reason=reason, keep=keep)

    def _begin(self, request: Environ | CookieValue) -> Session:
        return Session(Transaction(self._site, request))

    def _warn_of_second(self, session: Session, environ_key: str) -> None:
        if session.manager is not self:  # else a part of the request is dispatched by itself, with the same sessions
            self._site.warnings.warn_of_second(environ_key)

    def _owned_by(
        self, user: Account | None, user_id: str | None, username: str | None, *, every_version: bool = False
    ) -> list[Stored]:
        if sum(given is not None for given in (user, user_id, username)) != 1:
            raise TypeError("pass exactly one of these: a user, user_id=…, username=…")
        if isinstance(user, str):
            raise TypeError("a user is an account, such as a User; for a text write user_id=… or username=…")
        for given, what in ((username, "username"), (user_id if user is None else user.id, "user_id")):
            if given is not None:
                checked_id(given, what)
        if user is not None:
            user_id = user.id
        found = self._site.records.owned_by(self._site.keys, username, user_id)
        if user is None or every_version:
            return found
        return [stored for stored in found if stored.envelope.session_version == user.session_version]


def check_reason(reason: object) -> None:
    """Raise `ValueError` unless this is an `EndReason`."""
    if reason not in get_args(EndReason):
        raise ValueError(f"reason={reason!r}: there are {', '.join(get_args(EndReason))}.")


def _record_id(handle: str) -> bytes:
    try:
        id = bytes.fromhex(handle)
    except (TypeError, ValueError):
        id = b""
    if len(id) != 16:
        raise ValueError(f"a session's id must be 32 hexadecimal digits, not {handle!r}")
    return id


def _setup_warnings(store: Store, cookie: Cookie, client_address: Callable[[Environ], str]) -> SetupWarnings:
    return SetupWarnings(
        is_per_process=isinstance(store, MemoryStore),
        is_always_secure=cookie.secure is True,
        cookie_names=names_of(cookie),
        knows_clients=client_address is not remote_address,
    )
