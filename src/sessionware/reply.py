"""The response on its way out: held back until the session is saved, then sent with what the session has to tell.

PEP 3333 to the letter. The session is saved before the first byte (rule 9), for the headers carry its cookie: once the
body's first chunk is there, empty ones included, or at the first `write()`, or at the end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .cookie import CookieReader
from .errors import SessionConflict, StoreUnavailable
from .transaction import Outcome, Phase, Transaction

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse

logger = logging.getLogger("sessionware")

Headers = list[tuple[str, str]]

#: Seconds after which a client may try again.
RETRY_AFTER = 5

_UNAVAILABLE_BODY = b"The service is unavailable for a moment. Please try again.\n"


class Reply:
    """One response: keeps what the application starts, and sends it once the session is saved.

    The class attributes are the state of one that has not begun, so that making one costs next to nothing.
    """

    is_sent = False
    replaced_by: bytes | None = None
    """The body of the 503 that went out in the place of the application's response, if one did."""
    _server_write: Callable[[bytes], object] | None = None
    _status: str | None = None
    _headers: Headers
    _uses_write = False

    def __init__(
        self, transaction: Transaction, cookies: CookieReader, environ: Mapping[str, Any], start_response: StartResponse
    ) -> None:
        self._transaction = transaction
        self._cookies = cookies
        self._environ = environ
        self._start_response = start_response

    def start(self, status: str, headers: Headers, exc_info: OptExcInfo | None = None) -> Callable[[bytes], object]:
        """What the application calls as `start_response`."""
        if self.is_sent and self.replaced_by is None:
            # The server decides: it raises exc_info if its headers are out, else takes these in place of the first.
            if self._transaction.is_seen:
                headers = self._with_session(headers, self._transaction.outcome)
            self._start_response(status, headers, exc_info)
        elif self._status is not None and exc_info is None:
            raise AssertionError("start_response was called a second time, without exc_info (PEP 3333)")
        self._status, self._headers = status, headers
        return self._write

    def send(self) -> None:
        """Save the session and send the headers, once. `SessionTooLarge` and `TypeError` rise to the server."""
        if self.is_sent or self._status is None:
            return
        self.is_sent = True
        if not self._transaction.is_seen:
            self._transaction.phase = Phase.HEADERS_SENT  # without a word: nobody has looked (rule 1)
            self._server_write = self._start_response(self._status, self._headers)
            return
        is_error = self._is_error
        try:
            outcome = self._transaction.finish(failed=is_error)
        except (StoreUnavailable, SessionConflict):
            self._replace()
            return
        if is_error and self._transaction.outage is not None:
            self._replace()
            return
        self._server_write = self._start_response(self._status, self._with_session(self._headers, outcome))

    def recover(self, error: BaseException) -> bool:
        """Whether what the application raised was the store's outage, and a 503 went out for it (rules 11 and 12)."""
        if self.is_sent:
            return self.replaced_by is not None
        self._transaction.abandon("the application raised an exception")
        if not _is_outage(error):
            return False
        self._replace()
        return True

    def deliver(self, body: Iterable[bytes], *, as_it_is: bool) -> Iterable[bytes]:
        """What to return to the server for the application's body."""
        if not as_it_is:
            return Stream(self, body)
        try:
            self.send()
        except BaseException:
            close_body(body)
            raise
        if self.replaced_by is not None:
            close_body(body)
            return [self.replaced_by]
        if self._uses_write:
            self.close(failed=False)
        self._transaction.shut()
        return body

    def close(self, *, failed: bool) -> None:
        """Save what came after the headers (rule 10), unless the application failed. Logs, and never raises."""
        try:
            if not self.is_sent:
                # Nobody took the body: a client that hung up. What the application did holds all the same.
                self._transaction.finish(failed=failed or self._is_error)
            elif not failed and self.replaced_by is None:
                self._transaction.commit()
        except Exception:
            logger.exception("What the session was given after the response's headers could not be saved")
        self._transaction.shut()

    @property
    def _is_error(self) -> bool:
        return self._status is not None and self._status.startswith("5")

    def _replace(self) -> None:
        """Send a 503 that reveals nothing, with the token in it if one was written before (rules 6 and 12)."""
        self.is_sent = True
        self.replaced_by = b"" if self._environ.get("REQUEST_METHOD") == "HEAD" else _UNAVAILABLE_BODY
        self._transaction.abandon("the store is unavailable")
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(_UNAVAILABLE_BODY))),
            ("Retry-After", str(RETRY_AFTER)),
            ("Cache-Control", "no-store"),
        ]
        self._start_response("503 Service Unavailable", self._with_session(headers, self._transaction.outcome))

    def _write(self, chunk: bytes) -> None:
        self._uses_write = True
        self.send()
        if self._server_write is not None:
            self._server_write(chunk)

    def _with_session(self, headers: Headers, outcome: Outcome) -> Headers:
        ticket = outcome.ticket
        if ticket is not None:
            cookie = self._cookies.issue(self._environ, ticket.id, ticket.token, outcome.max_age)
        elif outcome.expires:
            cookie = self._cookies.expire(self._environ)
        else:
            return _for_this_visitor(headers, sets_cookie=False)
        return [*_for_this_visitor(headers, sets_cookie=True), ("Set-Cookie", cookie)]


class Stream:
    """The application's body, with the session saved before its first chunk and once more after its last."""

    def __init__(self, reply: Reply, body: Iterable[bytes]) -> None:
        self._reply = reply
        self._body = body
        self._chunks = iter(body)
        self._has_failed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._reply.replaced_by is not None:
            raise StopIteration
        try:
            chunk = next(self._chunks, None)
            self._reply.send()
        except BaseException as error:
            self._has_failed = True
            if not self._reply.recover(error):
                raise
        if self._reply.replaced_by is not None:
            return self._reply.replaced_by
        if chunk is None:
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Close the application's body, whatever else happens, and save what came late."""
        try:
            close_body(self._body)
        finally:
            self._reply.close(failed=self._has_failed)


def close_body(body: Iterable[bytes]) -> None:
    """Call the body's `close`, if it has one."""
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _is_outage(error: BaseException | None) -> bool:
    """Whether the exception is a store's failure, or was raised while one was handled."""
    while error is not None:
        if isinstance(error, (StoreUnavailable, SessionConflict)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _for_this_visitor(headers: Headers, *, sets_cookie: bool) -> Headers:
    """The headers of a response that is not the same for everybody, as far as the application has not said so itself.

    One that carries a cookie must not be kept by any cache that several people share (RFC 9111 §7.3).
    """
    vary = caching = ""
    for name, value in headers:
        match name.lower():
            case "vary":
                vary += f"{value},"
            case "cache-control":
                caching += f"{value},"
    headers = [*headers]
    if not (vary and _words(vary) & {"cookie", "*"}):
        headers.append(("Vary", "Cookie"))
    if sets_cookie and not (caching and _words(caching) & {"private", "no-store"}):
        others = [(name, value) for name, value in headers if name.lower() != "cache-control"]
        return [*others, ("Cache-Control", "no-store")]
    if not caching:
        headers.append(("Cache-Control", "private, no-cache"))
    return headers


def _words(values: str) -> set[str]:
    return {word.strip().lower() for word in values.split(",")}
