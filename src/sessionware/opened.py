"""A session for a framework that sends the response itself."""

from __future__ import annotations

from ._core.commit import abandon, close, finish, is_due, save
from ._core.lookup import DETACHED, FOREIGN, STORED, UNLOADED
from ._core.response import with_session
from ._core.tickets import CookieValue
from ._core.transaction import SetCookie
from ._types import Environ, Headers
from .session import Session


class Opened:
    """A session that `SessionManager.open` has opened, and what to do with it at the end of the request.

    Call `finish` before the response's headers go out, merge `headers` into them (or send `cookie`), and call `close`
    after the body.
    """

    def __init__(self, session: Session, request: Environ | CookieValue, *, is_under_way: bool) -> None:
        self._session = session
        self._transaction = session._transaction
        self._request = request  # kept here as well, because the transaction drops it at the end
        self._is_under_way = is_under_way

    @property
    def session(self) -> Session:
        """The session."""
        return self._session

    @property
    def accessed(self) -> bool:
        """Whether anybody has looked at the session, so that the response depends on the cookie."""
        return self._transaction.accessed

    @property
    def modified(self) -> bool:
        """Whether the session has changes, saved or not. Raises `TypeError` for a value that cannot be stored."""
        return self._transaction.has_changes()

    @property
    def has_outage(self) -> bool:
        """Whether the store failed during this request, so that a server error should be a 503."""
        return self._transaction.accessed and self._transaction.has_outage

    @property
    def is_due(self) -> bool:
        """Whether the session has no changes, but saving would write it all the same, to extend its life."""
        return is_due(self._transaction)

    @property
    def cookie(self) -> str | None:
        """The value of the cookie that the browser should have now; after `session.commit()`, the new one."""
        transaction, request, ticket = self._transaction, self._request, None
        told, tickets, standing = transaction.cookie(), transaction.site.tickets, transaction.standing
        if isinstance(told, SetCookie):
            ticket = told.ticket
        elif told is None and standing in (STORED, DETACHED):
            ticket = transaction.ticket
        elif told is None and standing in (UNLOADED, FOREIGN):
            ticket = tickets.sent(transaction.site.keys, request)  # nobody has looked: it stays whatever it is
        return None if ticket is None else tickets.value(transaction.site.keys, request, ticket)

    @property
    def has_new_cookie(self) -> bool:
        """Whether the browser must be told `cookie`, because it has another one, or should keep this one for longer.

        A framework that sends the same cookie again without need may replace one from a login that was faster.
        """
        return isinstance(self._transaction.cookie(), SetCookie)

    def headers(self, headers: Headers) -> Headers:
        """The response's headers with `Set-Cookie`, `Vary` and `Cache-Control` merged in.

        If only a cookie's value was opened, there is no `Set-Cookie` among them: sending `cookie` is up to you.
        """
        if self._is_under_way:
            return headers
        if not self._transaction.accessed:
            self._transaction.site.warnings.check_headers(headers)
            return headers
        return with_session(headers, self._transaction, self._request)

    def save(self) -> None:
        """Save what `finish` would save, and go on: for frameworks that save a session when they are told to.

        What could not be saved stays to be saved. If the store did its work and only its answer was lost, saving again
        writes it again. Raises what `finish` raises.
        """
        if not self._is_under_way:
            save(self._transaction)

    def finish(self, *, failed: bool = False) -> None:
        """Save before the response's headers go out. With `failed`, for a server error, drop what is not saved yet.

        If it raises, what is not saved is dropped, and `cookie` and `headers` still give what must be sent: a new token
        that was written is always sent. Raises `StoreUnavailable`, `SessionConflict`, `SessionTooLarge` and
        `TypeError`.
        """
        if self._is_under_way:
            return
        try:
            finish(self._transaction, failed=failed)
        except BaseException:
            # The response will say that it failed, so `close` must not try to save any of this again.
            abandon(self._transaction, "it could not be saved")
            raise

    def close(self, *, failed: bool = False) -> None:
        """Save changes made after the headers went out, unless the body failed. Logs errors, and never raises.

        What was loaded can still be read afterwards.
        """
        if not self._is_under_way:
            close(self._transaction, failed=failed)
