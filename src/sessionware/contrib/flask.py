"""`flask.session` on sessionware: no write is lost, and sessions can be listed and ended from elsewhere.

    app = Flask(__name__)
    app.config["SECRET_KEY"] = Path("session-secret").read_text().strip()
    app.config["SESSIONWARE_STORE"] = SQLiteStore("sessions.db")
    Sessionware(app)

docs/flask.md lists the settings, and says what differs from Flask's own sessions.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from flask import Flask, Request, Response, current_app, request
from flask.sessions import SessionInterface, SessionMixin
from werkzeug.datastructures import Headers

from sessionware import ConfigError, SessionManager, StoreError, StoreUnavailable

from ._flask_sessions import FlaskSession
from ._flask_settings import Site, secrets_of

#: Where a request keeps its session.
_HELD = "_sessionware"

#: Where Werkzeug's debugger, and a test client in a `with` block, say that they go on to look at the request.
_STAYS_OPEN = "werkzeug.debug.preserve_context"


class Sessionware(SessionInterface):
    """The Flask extension: `Sessionware(app)`, or `init_app(app)` in an application factory.

    Settings that are there by then are checked at once, and those that change later at the next request. Raises
    `ConfigError`.
    """

    def __init__(self, app: Flask | None = None) -> None:
        self._sites: WeakKeyDictionary[Flask, Site] = WeakKeyDictionary()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Put sessionware in the place of the application's own sessions."""
        if not isinstance(app, Flask):
            raise ConfigError(f"Sessionware(…): pass the Flask application, not {type(app).__name__}.")
        self._sites[app] = Site(app)
        app.session_interface = self
        app.teardown_request(_end)
        if StoreError not in app.error_handler_spec[None][None]:
            app.register_error_handler(StoreError, _unavailable)

    @property
    def manager(self) -> SessionManager:
        """The `SessionManager` of the current application or, outside of any, of the only one.

        It is made anew when the configuration has changed, so ask for it where you use it.
        """
        apps = [app for app in self._sites if not current_app or app == current_app]
        if len(apps) != 1:
            raise ConfigError("Which application? Use `with app.app_context():`, after Sessionware(app).")
        return self._sites[apps[0]].manager(apps[0])

    def open_session(self, app: Flask, request: Request) -> FlaskSession | None:
        """The session of a request; without a secret none, which Flask explains to whoever writes to it."""
        if not secrets_of(app):
            return None
        # Flask's test client opens the session of one request twice, and only then writes to it.
        held: _Held | None = vars(request).get(_HELD)
        if held is None:
            held = vars(request)[_HELD] = _Held(self._sites[app].manager(app), request.environ)
        return held.session

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:  # noqa: ARG002 - Flask's
        """Save the session, and send its cookie. If the store fails, the response becomes what says so."""
        held: _Held = getattr(request, _HELD)
        try:
            held.save(app, failed=response.status_code >= 500)
        except StoreError as error:
            _become(response, app.make_response(app.handle_user_exception(error)))
        held.is_streamed = response.is_streamed
        if response.is_streamed:
            response.call_on_close(held.end)
        headers = [*response.headers]
        merged = held.opened.headers(headers)
        if merged is not headers:
            response.headers = Headers(merged)


class _Held:
    """The session of a request, and how far the request has got."""

    def __init__(self, manager: SessionManager, environ: dict[str, Any]) -> None:
        self.opened = manager.open(environ)
        self.session = FlaskSession(self.opened)
        self.is_saved = self.is_streamed = self.has_failed = False
        self._stays_open = _STAYS_OPEN in environ

    def save(self, app: Flask, *, failed: bool) -> None:
        """Save before the headers go out. Raises like `Opened.finish`."""
        self.is_saved = True
        if self.opened.accessed and not failed:
            with suppress(StoreUnavailable):  # if the view has answered an outage itself, its answer stands
                self.session.remember_if_permanent(app)
        self.opened.finish(failed=failed)

    def end(self) -> None:
        """Save what a teardown function or a streamed body wrote, though the headers are out."""
        if not self._stays_open:
            self.opened.close(failed=self.has_failed)
        elif self.opened.modified and not self.session.new and not self.has_failed:
            self.session.sessionware.commit()


def _end(error: BaseException | None) -> None:
    """The request is over, unless a streamed body is still to come, which ends it once more."""
    held: _Held | None = getattr(request, _HELD, None)
    if held is not None and held.is_saved:
        held.has_failed = held.has_failed or error is not None
        if not held.is_streamed:
            held.end()


def _unavailable(_error: StoreError) -> Response:
    headers = {"Retry-After": "5", "Cache-Control": "no-store"}
    return Response("The service is unavailable for a moment. Please try again.\n", 503, headers, "text/plain")


def _become(response: Response, other: Response) -> None:
    """Send the other response in the place of this one, which Flask already holds."""
    close = getattr(response.response, "close", None)
    if close is not None:
        response.call_on_close(close)
    response.response, response.direct_passthrough = other.response, other.direct_passthrough
    response.status, response.headers = other.status, other.headers
