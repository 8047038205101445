"""The session that the application sees: a dict, and who is logged in."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, MutableMapping
from datetime import timedelta
from hmac import compare_digest
from typing import Any, cast

from .changes import MISSING
from .errors import ConfigError
from .intents import Login
from .standing import FOREIGN
from .ticket import new_id
from .timeouts import whole_seconds
from .transaction import Transaction

ENVIRON_KEY = "sessionware.session"

#: Where request objects keep their environ: WebOb and most others, Falcon, CherryPy, Django.
_ENVIRON_ATTRIBUTES = ("environ", "env", "wsgi_environ", "META")


class Session(MutableMapping[str, Any]):
    """A dict that lasts from one request to the next.

    Keys are text. Values are None, bool, int, float, str, bytes, list, dict, tuple, set, datetime, date, Decimal and
    UUID, in any mixture; anything else is a `TypeError` at the assignment. Changes inside a value are noticed too.

    Nothing is loaded before the first use and nothing is written if nothing changed. Every method may raise
    `StoreUnavailable` where it is the first use, and `SessionClosed` where it comes too late.
    """

    __slots__ = ("__weakref__", "_transaction")

    def __init__(self, transaction: Callable[[], Transaction]) -> None:
        self._transaction = transaction

    # The mapping

    def __getitem__(self, key: str) -> Any:
        value = self._transaction().look().get(key, MISSING)
        if value is MISSING:
            raise KeyError(key)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        return self._transaction().look().get(key, default)

    def __setitem__(self, key: str, value: Any) -> None:
        self._transaction().change().set(key if type(key) is str else _text(key), value)

    def __delitem__(self, key: str) -> None:
        self._transaction().change().delete(key)

    def __contains__(self, key: object) -> bool:
        return key in self._transaction().look()

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._transaction().look()))

    def __len__(self) -> int:
        return len(self._transaction().look())

    def __ior__(self, other: Any) -> Session:
        self.update(other)
        return self

    def __repr__(self) -> str:
        """What it is, without any value and without asking the store."""
        return f"<Session {self._transaction().standing.name.lower()}>"

    def copy(self) -> dict[str, Any]:
        """The data as a plain dict of its own."""
        return dict(self)

    def clear(self) -> None:
        """Drop all data, and log out if somebody is logged in."""
        if self.username is not None:
            self.invalidate()
        else:
            self._transaction().change().clear()

    def modify(self, key: str, fn: Callable[[Any], Any], default: Any = MISSING) -> Any:
        """Set the key to `fn(its current value)`, exactly, however many requests do so at once. Returns the new value.

        `fn` runs again on the fresh value if another request got in between, so it may run several times: let it
        compute and return a value, and do nothing else. What is returned here is therefore provisional; after
        `commit()`, `session[key]` is what was stored. A missing key counts as `default`; without one, `KeyError`.
        """
        if not callable(fn):
            raise TypeError(f"modify() takes a function of the current value, not {type(fn).__name__}")
        return self._transaction().change().modify(_text(key), fn, default)

    # What it is

    @property
    def id(self) -> str:
        """The session's handle: 32 hexadecimal digits, stable for its life. No credential: safe in logs and lists."""
        return self._looked().id.hex()

    @property
    def is_new(self) -> bool:
        """Whether nothing is stored yet."""
        return self._looked().stored is None

    @property
    def is_foreign(self) -> bool:
        """Whether the request comes from another origin: the session is then empty, and what is written is dropped."""
        return self._looked().standing is FOREIGN

    @property
    def created_at(self) -> int | None:
        """When it was stored first, in seconds since the epoch; None if it is new."""
        return cast("int | None", self._header("created_at"))

    @property
    def expires_at(self) -> int | None:
        """When it ends if nobody uses it any more, in seconds since the epoch; None if it is new."""
        stored = self._looked().stored
        return None if stored is None else stored.record.expires_at

    # Who it is

    @property
    def username(self) -> str | None:
        """Who is logged in, or None. Assigning a name is a login: the cookie gets a new token. None is a logout.

        A login keeps an anonymous visitor's data and drops another user's. See `Auth` for checking passwords, and for
        noticing that an account was disabled meanwhile, which a bare name does not.
        """
        return cast("str | None", self._header("username"))

    @username.setter
    def username(self, name: str | None) -> None:
        if name is None:
            self.invalidate()
        else:
            self.log_in(name)

    @property
    def user_id(self) -> str | None:
        """The id of who is logged in, if the login gave one."""
        return cast("str | None", self._header("user_id"))

    @property
    def user_version(self) -> int | None:
        """The version of the account at the time of the login, if the login gave one."""
        return cast("int | None", self._header("user_version"))

    @property
    def authenticated_at(self) -> int | None:
        """When identity was last proved, in seconds since the epoch."""
        transaction = self._looked()
        if transaction.intents.login is not None:
            return transaction.settings.records.now()
        return cast("int | None", self._header("authenticated_at"))

    def log_in(
        self,
        username: str,
        *,
        user_id: str | None = None,
        user_version: int | None = None,
        check: Callable[[], object] | None = None,
    ) -> None:
        """Log in under this name: what assigning `username` does, with more to say.

        The session belongs to `user_id` if there is one, else to the name. `check` is called right after the login was
        stored and before the browser hears of it; if it says no, the session is ended again.
        """
        if not _text(username):
            raise ValueError("an empty user name cannot log in; assign None to log out")
        if user_id is not None:
            _text(user_id)
        self._transaction().log_in(Login(username, user_id, user_version, check))

    # Its life

    def regenerate_id(self) -> None:
        """Give the cookie a new token, because of a change of privilege; data and `id` stay, the old token is dead."""
        self._transaction().rotate()

    def invalidate(self) -> None:
        """End the session now, for good, whoever else writes to it. Writing afterwards starts a new one."""
        self._transaction().end()

    def remember(self, seconds: int | timedelta) -> None:
        """Keep the session beyond the end of the browser: until so long after the login, without an idle limit.

        No longer than `Timeouts.remember`.
        """
        self._transaction().remember(whole_seconds(seconds))

    def commit(self) -> None:
        """Save now. Otherwise it is saved before the response's headers go out, unless the answer is a server error.

        Raises `StoreUnavailable`, `SessionConflict`, `SessionTooLarge`, and `TypeError` for what cannot be stored.
        """
        self._transaction().commit()

    # Messages for the next page

    def flash(self, message: Any, queue: str = "") -> None:
        """Leave a message for the next page that asks for it."""
        entry = [new_id(), message]
        self.modify(_flash_key(queue), lambda entries: [*entries, entry], default=[])

    def peek_flash(self, queue: str = "") -> list[Any]:
        """The messages, which stay."""
        return [message for _, message in self.get(_flash_key(queue), ())]

    def pop_flash(self, queue: str = "") -> list[Any]:
        """The messages, which are gone then. One that another request adds meanwhile is not lost."""
        key = _flash_key(queue)
        shown = list(self.get(key, ()))
        if shown:
            ids = {id for id, _ in shown}
            self.modify(key, lambda entries: [entry for entry in entries if entry[0] not in ids] or MISSING, default=[])
        return [message for _, message in shown]

    # Forms

    @property
    def csrf_token(self) -> str:
        """A token for forms, for frameworks that want one. It changes at login; reading it starts the session."""
        self._transaction().start()
        return self._csrf_tokens()[0]

    def check_csrf(self, value: str) -> bool:
        """Whether this is the token of a form that was made in this session."""
        if self._looked().stored is None:
            return False
        given = _text(value).encode("utf-8", "replace")
        return any(compare_digest(token.encode(), given) for token in self._csrf_tokens())

    def _csrf_tokens(self) -> list[str]:
        """The token under every secret of the ring, for forms that were made before a rotation."""
        transaction = self._transaction()
        message = transaction.id + transaction.epoch.to_bytes(8, "big")
        digests = transaction.settings.keyring.digests("csrf", message)
        return [urlsafe_b64encode(digest).decode().rstrip("=") for digest in digests]

    def _looked(self) -> Transaction:
        transaction = self._transaction()
        transaction.look()
        return transaction

    def _header(self, field: str) -> Any:
        """A header field as it is, or as a login that is still to be saved will make it."""
        transaction = self._looked()
        login, stored = transaction.intents.login, transaction.stored
        if login is not None and field in login._fields:
            return getattr(login, field)
        return None if stored is None else getattr(stored.envelope, field)


def get_session(request: Any, environ_key: str = ENVIRON_KEY) -> Session:
    """The session of a request: of an environ, or of any request object that carries one.

    Raises `ConfigError` if there is none, because the application is not wrapped in `SessionMiddleware`.
    """
    session = request.get(environ_key) if isinstance(request, dict) else None
    if isinstance(session, Session):
        return session
    return cast("Session", get_environ(request, environ_key)[environ_key])


def get_environ(request: Any, environ_key: str = ENVIRON_KEY) -> dict[str, Any]:
    """The WSGI environ of a request that has a session. Raises `ConfigError` like `get_session`."""
    for candidate in (request, *(getattr(request, name, None) for name in _ENVIRON_ATTRIBUTES)):
        if isinstance(candidate, dict) and isinstance(candidate.get(environ_key), Session):
            return candidate
    raise ConfigError(
        f"There is no session under {environ_key!r} in this request. Wrap the application where it is made, around "
        'everything that uses sessions: app = SessionMiddleware(app, secret=os.environ["SESSION_SECRET"])'
    )


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text is needed here, not {type(value).__name__}")
    return value


def _flash_key(queue: str) -> str:
    return f"_flash_{_text(queue)}"
