"""One request on its way through the application, which may raise `NotLoggedIn` or `NotFresh`.

Many frameworks catch those and make a 500 of them. So a 500 that follows a `require_user` that failed is held back
until its first chunk, the last moment at which another response can take its place (PEP 3333). Anything else is passed
on as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ..._bodies import NO_FILES, WHOLE, is_file, watched_files
from ..._types import Environ, Headers, StartResponse, WSGIApplication
from ...errors import NotFresh, NotLoggedIn
from ..login_mark import Refusal


class Answer(NamedTuple):
    """A complete response."""

    status: str
    headers: Headers
    body: bytes


class Passage:
    """One request on its way through the application.

    Args:
        start_response: The server's.
        refused: What the application refused the visitor for, if a 500 means that.
        is_meant: Whether an exception is about this login, and not about that of another session.
        answer: Makes the response that takes the place of the application's. It is told whether that is a 500.
    """

    def __init__(
        self,
        start_response: StartResponse,
        *,
        refused: Callable[[], Refusal | None],
        is_meant: Callable[[Refusal], bool],
        answer: Callable[[Refusal, bool], Answer],
    ) -> None:
        self._start_response = start_response
        self._refused, self._is_meant, self._answer = refused, is_meant, answer
        self._is_started = self._is_out = False
        self._held: tuple[Any, ...] | None = None
        self._server_write: Callable[[bytes], object] | None = None
        self.replacement: bytes | None = None
        """The body of the response that took the place of the application's, if one did."""

    def serve(self, app: WSGIApplication, environ: Environ) -> Iterable[bytes]:
        """The body to return to the server."""
        wrapper = environ.get("wsgi.file_wrapper")
        files = NO_FILES if wrapper is None or isinstance(wrapper, type) else watched_files(environ, wrapper)
        try:
            body = app(environ, self._start)
        except (NotLoggedIn, NotFresh) as error:
            return [self.replace_for(error)]
        is_whole = type(body) in WHOLE or is_file(body, wrapper, files)
        if self._is_started and self._held is None and self.replacement is None and is_whole:
            self._is_out = True
            return body
        return _Body(self, body)

    def replace(self, refusal: Refusal, exc_info: Any = None, *, is_500: bool = False) -> bytes:
        """Start the response that leads on from the refusal, and return its body.

        If headers are out already, the server raises `exc_info` again.
        """
        if self.replacement is not None:
            return self.replacement
        self._held = None
        answer = self._answer(refusal, is_500)
        _call(self._start_response, answer.status, answer.headers, exc_info)
        self.replacement = answer.body
        return answer.body

    def replace_for(self, error: Refusal) -> bytes:
        """The same for an exception that is being handled. It is raised again if another session is meant."""
        if not self._is_meant(error):
            raise error
        return self.replace(error, sys.exc_info())

    def settle(self) -> None:
        """Start the 500 that was held back, if one was, or the response that takes its place."""
        held, self._held = self._held, None
        if held is None:
            return
        refusal = self._refused()  # again: since then, somebody may have been found, or the store have failed
        if refusal is not None:
            self.replace(refusal, held[2], is_500=True)
        else:
            self._server_write = _call(self._start_response, *held)

    def has_begun(self) -> None:
        """The first chunk is on its way, so no other response can take the place of this one."""
        self._is_out = True

    def _start(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], object]:
        """What the application calls as `start_response`."""
        if exc_info is None and (self._held is not None or self.replacement is not None):
            raise AssertionError("start_response was called a second time, without exc_info (PEP 3333)")
        if self.replacement is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        if status.split(" ")[0] == "500" and not self._is_out and self._refused() is not None:
            self._held = (status, headers, exc_info)
            return self._write
        self._held, self._is_started = None, True
        # Kept, because the application may still write by what it got when a response before this one was held back.
        self._server_write = _call(self._start_response, status, headers, exc_info)
        return self._server_write

    def _write(self, chunk: bytes) -> None:
        self.settle()
        if self._server_write is not None:
            self._server_write(chunk)


class _Body:
    """The body of an application that may refuse the visitor until its first chunk is fetched."""

    def __init__(self, passage: Passage, body: Iterable[bytes]) -> None:
        self._passage = passage
        self._body = body
        self._chunks: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._chunks is not None:
            return next(self._chunks)
        first = self._first_chunk()
        self._passage.has_begun()
        if self._passage.replacement is not None:
            self._chunks = iter(())
            return self._passage.replacement
        if first is None:
            raise StopIteration
        return first

    def close(self) -> None:
        """Close the application's body, if it can be closed."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()

    def _first_chunk(self) -> bytes | None:
        first = None
        try:
            if self._passage.replacement is None:
                self._chunks = iter(self._body)
                first = next(self._chunks, None)
                self._passage.settle()
        except (NotLoggedIn, NotFresh) as error:
            self._passage.replace_for(error)
        return first


def _call(start_response: StartResponse, status: str, headers: Headers, exc_info: Any) -> Callable[[bytes], object]:
    """Without a third argument where there is none, because some servers and wrappers take only two."""
    if exc_info is None:
        return start_response(status, headers)
    return start_response(status, headers, exc_info)
