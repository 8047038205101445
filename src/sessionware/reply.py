"""The response on its way out: held back until the session is saved, then sent with what the session has to tell.

PEP 3333 to the letter. The session is saved before the first byte (rule 9), for the headers carry its cookie: once the
body's first chunk is there, empty ones included, or at the first `write()`, or at the end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .errors import SessionConflict, StoreUnavailable
from .settings import Settings
from .transaction import CLOSED, HEADERS_SENT, NOTHING, OPEN, Outcome, Transaction

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse

logger = logging.getLogger("sessionware")

Headers = list[tuple[str, str]]

_NO_HEADERS: Headers = []

#: The environ of a request that is over.
_OVER: Mapping[str, Any] = {}

#: Seconds after which a client may try again.
RETRY_AFTER = 5

_UNAVAILABLE_BODY = b"The service is unavailable for a moment. Please try again.\n"


class Reply:
    """One response: keeps what the application starts, and sends it once the session is saved."""

    __slots__ = (
        "_environ",
        "_headers",
        "_replacement",
        "_server_write",
        "_settings",
        "_start_response",
        "_status",
        "_transaction",
        "_uses_write",
        "is_sent",
    )

    def __init__(self, settings: Settings, environ: Mapping[str, Any], start_response: StartResponse) -> None:
        self._settings = settings
        self._environ = environ
        self._start_response = start_response
        self._transaction: Transaction | None = None
        self._server_write: Callable[[bytes], object] | None = None
        self._status: str | None = None
        self._headers: Headers = _NO_HEADERS
        self._uses_write = self.is_sent = False
        self._replacement: bytes | None = None

    def begin(self) -> Transaction:
        """The transaction of the request's session, which begins when somebody looks at it."""
        if self._transaction is None:
            phase = CLOSED if self._environ is _OVER else HEADERS_SENT if self.is_sent else OPEN
            self._transaction = Transaction(self._settings, self._environ, phase)
        return self._transaction

    def replacement(self) -> bytes | None:
        """The body of the 503 that went out in the place of the application's response, if one did."""
        return self._replacement

    def start(self, status: str, headers: Headers, exc_info: OptExcInfo | None = None) -> Callable[[bytes], object]:
        """What the application calls as `start_response`."""
        if self.is_sent and self._replacement is None:
            # The server decides: it raises exc_info if its headers are out, else takes these in place of the first.
            if self._transaction is not None and self._transaction.is_seen:
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
        transaction = self._transaction
        if transaction is None or not transaction.is_seen:
            self._transaction = None  # without a word: nobody has looked (rule 1). Who does from here on begins late.
            self._server_write = self._start_response(self._status, self._headers)
            return
        is_error = self._status.startswith("5")
        try:
            outcome = transaction.finish(failed=is_error)
        except (StoreUnavailable, SessionConflict):
            self._replace()
            return
        if is_error and transaction.has_outage:
            self._replace()
            return
        self._server_write = self._start_response(self._status, self._with_session(self._headers, outcome))

    def recover(self, error: BaseException) -> bool:
        """Whether what the application raised was the store's outage, and a 503 went out for it (rules 11 and 12)."""
        if self.is_sent:
            return self._replacement is not None
        if self._transaction is not None:
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
            self.shut()
            raise
        if self._replacement is not None:
            close_body(body)
            self.shut()
            return [self._replacement]
        if self._uses_write:
            self.close(failed=False)
        self.shut()
        return body

    def close(self, *, failed: bool) -> None:
        """Save what came after the headers (rule 10), unless the application failed. Logs, and never raises."""
        try:
            if self._transaction is not None:
                self._save_late(self._transaction, failed)
        except Exception:
            logger.exception("What the session was given after the response's headers could not be saved")
        self.shut()

    def _save_late(self, transaction: Transaction, failed: bool) -> None:
        if not self.is_sent:
            # Nobody took the body: a client that hung up. What the application did holds all the same.
            is_error = self._status is not None and self._status.startswith("5")
            transaction.finish(failed=failed or is_error)
        elif not failed and self._replacement is None:
            transaction.commit()

    def shut(self) -> None:
        """The request is over: let nothing be changed from here on."""
        # Break the circles, so that no sweep has to: the environ holds the session, which holds this; and many a server
        # keeps the environ beside what `start_response` is a method of.
        self._environ, self._start_response, self._server_write = _OVER, _too_late, None
        if self._transaction is not None:
            self._transaction.shut()

    def _replace(self) -> None:
        """Send a 503 that reveals nothing, with the token in it if one was written before (rules 6 and 12)."""
        self.is_sent = True
        self._replacement = b"" if self._environ.get("REQUEST_METHOD") == "HEAD" else _UNAVAILABLE_BODY
        transaction = self.begin()
        transaction.abandon("the store is unavailable")
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(_UNAVAILABLE_BODY))),
            ("Retry-After", str(RETRY_AFTER)),
            ("Cache-Control", "no-store"),
        ]
        self._start_response("503 Service Unavailable", self._with_session(headers, transaction.outcome))

    def _write(self, chunk: bytes) -> None:
        self._uses_write = True
        self.send()
        if self._server_write is not None:
            self._server_write(chunk)

    def _with_session(self, headers: Headers, outcome: Outcome) -> Headers:
        if outcome is NOTHING:
            return _for_this_visitor(headers, sets_cookie=False)
        ticket, cookies = outcome.ticket, self._settings.cookies
        if ticket is None:
            cookie = cookies.expire(self._environ)
        else:
            self._settings.check_setup(self._environ)
            cookie = cookies.issue(self._environ, ticket.id, ticket.token, outcome.max_age)
        return [*_for_this_visitor(headers, sets_cookie=True), ("Set-Cookie", cookie)]


class Stream:
    """The application's body, with the session saved before its first chunk and once more after its last."""

    def __init__(self, reply: Reply, body: Iterable[bytes]) -> None:
        self._reply = reply
        self._body = body
        self._chunks = iter(body)
        self._has_failed = self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._is_over:
            raise StopIteration
        chunk = None
        try:
            if self._reply.replacement() is None:
                chunk = next(self._chunks, None)
                self._reply.send()
        except BaseException as error:
            self._has_failed = True
            if not self._reply.recover(error):
                raise
        replacement = self._reply.replacement()
        self._is_over = replacement is not None or chunk is None
        if replacement is not None:
            return replacement
        if chunk is None:
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Close the application's body, whatever else happens, and save what came late."""
        try:
            close_body(self._body)
        finally:
            self._reply.close(failed=self._has_failed)


def _too_late(*_arguments: object) -> Any:
    raise AssertionError("start_response was called after the end of the response (PEP 3333)")


def close_body(body: Iterable[bytes]) -> None:
    """Call the body's `close`, if it has one."""
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _is_outage(error: BaseException | None) -> bool:
    """Whether the exception is a store's failure, or was raised while one was handled."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # `raise error from error` makes a circle
        if isinstance(error, (StoreUnavailable, SessionConflict)):
            return True
        seen.add(id(error))
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
        if caching:
            headers = [(name, value) for name, value in headers if name.lower() != "cache-control"]
        headers.append(("Cache-Control", "no-store"))
    elif not caching:
        headers.append(("Cache-Control", "private, no-cache"))
    return headers


def _words(values: str) -> set[str]:
    return {word.strip().lower() for word in values.split(",")}
