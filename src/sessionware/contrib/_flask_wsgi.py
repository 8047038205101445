"""What stands around Flask's `wsgi_app`: it answers outages, and ends sessions, whatever happens inside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any

from flask import Flask, Response
from flask.sessions import SessionMixin

from sessionware import Opened, StoreError, StoreUnavailable

Environ = dict[str, Any]
WSGIApplication = Callable[..., Iterable[bytes]]

#: Where the environ has the response until the request's session is opened.
_OUTGOING = "sessionware.contrib.flask"

#: Where Werkzeug's debugger, and a test client in a `with` block, say that they go on to look at the request.
_STAYS_OPEN = "werkzeug.debug.preserve_context"


class Held:
    """The session of a request, and how far the request has got."""

    def __init__(self, opened: Opened, session: SessionMixin, environ: Environ) -> None:
        self.opened, self.session = opened, session
        self.is_guarded = self.is_saved = self.is_streamed = False
        self.error: StoreError | None = None
        self._stays_open = _STAYS_OPEN in environ

    def save(self, *, failed: bool) -> None:
        """Save before the headers go out. Raises like `Opened.finish`, but leaves an outage to the guard."""
        self.is_saved = True
        try:
            self.opened.finish(failed=failed)
        except StoreError as error:
            if not self.is_guarded:
                raise
            self.error = error

    def end(self, *, failed: bool) -> None:
        """Save what a teardown function or a streamed body wrote, though the headers are out."""
        if not self._stays_open:
            self.opened.close(failed=failed)
        elif not failed and self.opened.modified and not self.opened.session.is_new:
            self.opened.session.commit()


class Guard:
    """A Flask application's `wsgi_app`.

    Flask leaves out its own error handlers where an `after_request` function, an error page or a teardown function
    meets an outage, and then nobody has saved the session. Here all of them come together.
    """

    def __init__(self, app: Flask) -> None:
        # Not weakly, though each then holds the other: `ProxyFix(create_app().wsgi_app)` may be all that is left.
        self._app = app
        self._inner: WSGIApplication | None = vars(app).get("wsgi_app")

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        app = self._app
        outgoing = environ[_OUTGOING] = Outgoing()
        try:
            body = outgoing.serve(self._inner or type(app).wsgi_app.__get__(app), environ)
            if outgoing.error is not None:
                close_body(body)
                body = _answer(app, environ, outgoing.error)(environ, outgoing.start)
            if outgoing.status:  # else somebody inside has answered on the connection itself, as for a websocket
                start_response(outgoing.status, outgoing.saved_headers())
        except BaseException:
            outgoing.end(failed=True)
            raise
        return outgoing.delivered(body)


class Outgoing:
    """A response on its way out, held back until it is known that it can stand."""

    def __init__(self) -> None:
        self.status = ""
        self.written: list[bytes] = []
        """What a mounted application has passed to `write()`."""
        self.headers: list[tuple[str, str]] = []
        self.held: Held | None = None
        self.error: StoreError | None = None
        """The outage that is to be answered in the place of the response."""

    def hold(self, held: Held) -> None:
        """Take charge of the request's session."""
        self.held, held.is_guarded = held, True

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:  # noqa: ARG002 - PEP 3333
        """What the application calls as `start_response`."""
        self.status, self.headers = status, headers
        return self.written.append

    def serve(self, app: WSGIApplication, environ: Environ) -> Iterable[bytes]:
        """The application's body. Afterwards, `error` says whether it must not go out."""
        try:
            body = app(environ, self.start)
            if self.written or not self.status:  # a generator, such as DebuggedApplication, has not begun yet
                body = _Begun(body, self.written)
        except StoreError as error:
            self.error = error
            return ()
        if self.held is not None:
            self.error = self.held.error
            is_made_of_outage = self.status.startswith("5") and self.held.opened.has_outage
            if is_made_of_outage and not self.status.startswith("503"):
                self.error = self.error or StoreUnavailable("The store failed while this page was made.")
        return body

    def saved_headers(self) -> list[tuple[str, str]]:
        """The headers with the session's own. If nobody has saved it, something had failed, and what it holds goes."""
        if self.held is None:
            return self.headers
        if not self.held.is_saved:
            self.held.opened.finish(failed=True)
        return self.held.opened.headers(self.headers)

    def delivered(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """What to return to the server. Teardown functions are through by now, so only a stream may still write."""
        if self.held is not None and self.held.is_streamed and self.error is None:
            return _Stream(body, self)
        self.end(failed=self.status.startswith("5"))
        return body

    def end(self, *, failed: bool) -> None:
        """The request is over."""
        if self.held is not None:
            self.held.end(failed=failed)


class _Begun:
    """A body whose first chunk was taken, so that it has called `start_response`."""

    def __init__(self, body: Iterable[bytes], written: list[bytes]) -> None:
        self._body, chunks = body, iter(body)
        try:
            first = list(islice(chunks, 1))
        except BaseException:
            close_body(body)
            raise
        self._chunks = chain(written, first, chunks)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        """Close the body."""
        close_body(self._body)


class _Stream:
    """A streamed body, after which the session is saved once more."""

    def __init__(self, body: Iterable[bytes], outgoing: Outgoing) -> None:
        self._body, self._chunks, self._outgoing = body, iter(body), outgoing
        self._has_failed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except StopIteration:
            raise
        except BaseException:
            self._has_failed = True
            raise

    def close(self) -> None:
        """Close the body. A client that hung up is no failure of the application's."""
        try:
            close_body(self._body)
        finally:
            self._outgoing.end(failed=self._has_failed)


def taken_from(environ: Environ) -> Outgoing | None:
    """The response that a request will have. None if there is none, as in `client.session_transaction()`."""
    # Taken out, so that neither a request inside this one nor the copy that the session keeps has it too.
    outgoing: Outgoing | None = environ.pop(_OUTGOING, None)
    return outgoing


def unavailable(_error: StoreError) -> Response:
    """The answer to an outage, unless the application registers its own."""
    headers = {"Retry-After": "5", "Cache-Control": "no-store"}
    return Response("The service is unavailable for a moment. Please try again.\n", 503, headers, "text/plain")


def _answer(app: Flask, environ: Environ, error: StoreError) -> Response:
    """What the application's handler says, with the headers that `after_request` functions add to each page."""
    try:
        with app.request_context(environ):
            answer = app.make_response(app.handle_user_exception(error))
            is_made_of_outage = answer.status_code >= 500 and answer.status_code != 503  # by a handler for everything
            return app.finalize_request(unavailable(error) if is_made_of_outage else answer, from_error_handler=True)
    except StoreError:  # the handler, or a teardown function, looks at the session itself
        return unavailable(error)


def close_body(body: Iterable[bytes]) -> None:
    """Call the body's `close`, if it has one."""
    close = getattr(body, "close", None)
    if close is not None:
        close()
