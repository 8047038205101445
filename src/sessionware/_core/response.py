"""The response on its way out: held back until the session is saved, then sent with the session's headers.

This follows PEP 3333 to the letter. The session is saved before the first byte (rule 9), because the headers carry its
cookie. That is when the body's first chunk is there (even an empty one), at the first `write()`, or at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from .._types import Environ, Headers, StartResponse
from ..errors import SessionConflict, StoreUnavailable
from .commit import abandon, close, finish
from .tickets import CookieValue
from .transaction import HEADERS_SENT, SetCookie, Transaction

#: Seconds after which a client may try again.
RETRY_AFTER = 5

_UNAVAILABLE_BODY = b"The service is unavailable for a moment. Please try again.\n"

_NO_HEADERS: Headers = []
_VARY, _PRIVATE = ("Vary", "Cookie"), ("Cache-Control", "private, no-cache")

#: How long the names of the headers are that matter here. Most others are told apart by that, in less time.
_LENGTHS = frozenset({len("Vary"), len("Cache-Control"), len("Set-Cookie")})

#: What some shared caches obey in place of Cache-Control. So do `CDN-Cache-Control` and all names that end like it.
_FOR_SOME_CACHES = frozenset({"surrogate-control", "edge-control", "x-accel-expires"})


class Response:
    """One response: holds back what the application starts, and sends it once the session is saved."""

    __slots__ = (
        "_headers",
        "_replacement",
        "_server_write",
        "_start_response",
        "_status",
        "_transaction",
        "_uses_write",
        "is_sent",
    )

    def __init__(self, transaction: Transaction, start_response: StartResponse) -> None:
        self._transaction = transaction
        self._start_response = start_response
        self._server_write: Callable[[bytes], object] | None = None
        self._status: str | None = None
        self._headers: Headers = _NO_HEADERS
        self._uses_write = self.is_sent = False
        self._replacement: bytes | None = None

    def replacement(self) -> bytes | None:
        """The body of the 503 that went out in place of the application's response, if one did."""
        return self._replacement

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], object]:
        """What the application calls as `start_response`."""
        if self.is_sent and self._replacement is None:
            # The server decides: it raises exc_info if its headers are out, else takes these in place of the first.
            if self._transaction.accessed:
                headers = with_session(headers, self._transaction, self._transaction.request)
            else:
                self._transaction.site.warnings.check_headers(headers)
            self._start_response(status, headers, exc_info)
        elif self._status is not None and exc_info is None:
            raise AssertionError("start_response was called a second time, without exc_info (PEP 3333)")
        self._status, self._headers = status, headers
        return self._write

    def send(self) -> None:
        """Save the session and send the headers, once. `SessionTooLarge` and `TypeError` reach the server."""
        if self.is_sent or self._status is None:
            return
        self.is_sent = True
        transaction = self._transaction
        if not transaction.accessed:
            transaction.site.warnings.check_headers(self._headers)
            transaction.phase = HEADERS_SENT  # and nothing else: nobody accessed the session (rule 1)
            self._server_write = self._start_response(self._status, self._headers)
            return
        is_error = self._status.startswith("5")
        try:
            finish(transaction, failed=is_error)
        except (StoreUnavailable, SessionConflict):
            self._replace()
            return
        except BaseException:
            abandon(transaction, "it could not be saved")
            raise
        if is_error and transaction.has_outage:
            self._replace()
            return
        headers = with_session(self._headers, transaction, transaction.request)
        self._server_write = self._start_response(self._status, headers)

    def recover(self, error: BaseException) -> bool:
        """Whether the application raised the store's outage, and a 503 went out for it (rules 11 and 12)."""
        if self.is_sent:
            return self._replacement is not None
        abandon(self._transaction, "the application raised an exception")
        if not _is_outage(error):
            return False
        self._replace()
        return True

    def deliver(self, body: Iterable[bytes], *, as_it_is: bool) -> Iterable[bytes]:
        """What to return to the server for the application's body."""
        if not as_it_is:
            return self._streamed(body)
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
        else:
            self.shut()
        return body

    def _streamed(self, body: Iterable[bytes]) -> Stream:
        try:
            return Stream(self, self._transaction, body)
        except BaseException:  # an application that returned no iterable
            self.shut()
            raise

    def close(self, *, failed: bool) -> None:
        """Save late changes (rule 10), unless the application failed. Logs errors, and never raises."""
        if self._replacement is None:
            is_error = not self.is_sent and self._status is not None and self._status.startswith("5")
            close(self._transaction, failed=failed or is_error)
        self.shut()

    def shut(self) -> None:
        """The request is over: allow no more changes."""
        # Many servers keep the environ in the object whose method `start_response` is: break that cycle too.
        self._start_response, self._server_write = _too_late, None
        self._transaction.shut()

    def _replace(self) -> None:
        """Send a 503 that reveals nothing, with the new token if one was already written (rules 6 and 12)."""
        self.is_sent = True
        transaction = self._transaction
        self._replacement = b"" if _is_head(transaction) else _UNAVAILABLE_BODY
        abandon(transaction, "the store is unavailable")
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(_UNAVAILABLE_BODY))),
            ("Retry-After", str(RETRY_AFTER)),
            ("Cache-Control", "no-store"),
        ]
        self._start_response("503 Service Unavailable", with_session(headers, transaction, transaction.request))

    def _write(self, chunk: bytes) -> None:
        self._uses_write = True
        self.send()
        if self._server_write is not None:
            self._server_write(chunk)


class Stream:
    """The application's body, with the session saved before its first chunk and again after its last."""

    def __init__(self, response: Response, transaction: Transaction, body: Iterable[bytes]) -> None:
        self._response = response
        self._transaction = transaction
        self._body = body
        self._chunks = iter(body)
        self._has_failed = self._is_over = False
        transaction.is_paused = True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._is_over:
            raise StopIteration
        chunk = None
        self._transaction.is_paused = False
        try:
            if self._response.replacement() is None:
                chunk = next(self._chunks, None)
                self._response.send()
        except BaseException as error:
            self._has_failed = True
            if not self._response.recover(error):
                raise
        finally:
            self._transaction.is_paused = True
        replacement = self._response.replacement()
        self._is_over = replacement is not None or chunk is None
        if replacement is not None:
            return replacement
        if chunk is None:
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Close the application's body and, even if that fails, save late changes."""
        self._transaction.is_paused = False
        try:
            close_body(self._body)
        finally:
            self._response.close(failed=self._has_failed)


def cookie_lines(transaction: Transaction, request: Environ | CookieValue) -> Sequence[str]:
    """The Set-Cookie lines that the response must carry. For a `CookieValue`, the session's own is not among them."""
    if not transaction.accessed:
        return ()
    if (transaction.issued is None and not transaction.expires_cookie) or isinstance(request, CookieValue):
        return transaction.other_cookies
    told, site = transaction.cookie(), transaction.site
    if told is None:
        return transaction.other_cookies
    if isinstance(told, SetCookie):
        site.warnings.check(request)
        own = site.tickets.issue(transaction.keys, request, told.ticket, told.max_age)
    else:
        own = site.tickets.expire(request)
    # Our own comes last: to a browser that does not know `Partitioned`, a twin that is removed is the same cookie.
    return (*transaction.other_cookies, own)


def with_session(headers: Headers, transaction: Transaction, request: Environ | CookieValue) -> Headers:
    """A response's headers with the session's cookies, and with headers that say that not everybody gets the same one.

    A response that carries a cookie must not be stored by a cache that several people share (RFC 9111 §7.3). The
    application's own caching headers stay where they are strict enough. One that carries none is stored as the
    application says, because the application knows better who may see it.
    """
    lines, vary, caching, varies = cookie_lines(transaction, request), "", "", 0
    for name, value in headers:
        if len(name) not in _LENGTHS:
            continue
        match name.lower():
            case "vary":
                varies += 1
                vary += f"{value}, " if value.strip() else ""
            case "cache-control":
                caching += f"{value},"
            case "set-cookie":
                transaction.site.warnings.check_cookie(value)
    if not (lines or varies or caching):
        return [*headers, _VARY, _PRIVATE]
    merged = [*headers]
    is_varied = bool(vary) and bool(_words(vary) & {"cookie", "*"})
    if not is_varied or varies > 1:
        # In one line, because some caches read only the last one.
        merged = [(name, value) for name, value in merged if name.lower() != "vary"]
        merged.append(("Vary", vary.removesuffix(", ") if is_varied else f"{vary}Cookie"))
    if lines:
        merged = _kept_from_caches(merged, is_private=bool(_words(caching) & {"private", "no-store"}))
        merged += [("Set-Cookie", line) for line in lines]
    elif not caching.strip(", \t"):
        merged = [(name, value) for name, value in merged if name.lower() != "cache-control"]
        merged.append(_PRIVATE)
    return merged


def _kept_from_caches(headers: Headers, *, is_private: bool) -> Headers:
    """The headers without whatever lets a shared cache store the response.

    A cache that finds a header that is meant for it alone takes no notice of Cache-Control (RFC 9213 §2.2), so such
    headers go. `Expires` goes only if Cache-Control is replaced: beside a private one it is for the browser.
    """
    kept = [(name, value) for name, value in headers if not _is_for_some_caches(name.lower())]
    if is_private:
        return kept
    kept = [(name, value) for name, value in kept if name.lower() not in ("cache-control", "expires")]
    return [*kept, ("Cache-Control", "no-store")]


def _is_for_some_caches(name: str) -> bool:
    return name in _FOR_SOME_CACHES or name.endswith("-cache-control")


def close_body(body: Iterable[bytes]) -> None:
    """Call the body's `close`, if it has one."""
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _words(values: str) -> set[str]:
    return {word.strip().lower() for word in values.split(",")}


def _is_head(transaction: Transaction) -> bool:
    request = transaction.request
    return not isinstance(request, CookieValue) and request.get("REQUEST_METHOD") == "HEAD"


def _too_late(*_arguments: object) -> Any:
    raise AssertionError("start_response was called after the end of the response (PEP 3333)")


def _is_outage(error: BaseException | None) -> bool:
    """Whether the exception is a store's failure, or was raised while one was being handled."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # `raise error from error` makes a cycle
        if isinstance(error, (StoreUnavailable, SessionConflict)):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
