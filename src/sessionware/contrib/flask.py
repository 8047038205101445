"""`flask.session` on sessionware: no write is lost, and sessions can be listed and ended from elsewhere.

    app = Flask(__name__)
    app.config["SECRET_KEY"] = Path("session-secret").read_text().strip()
    app.config["SESSIONWARE_STORE"] = SQLiteStore("sessions.db")
    Sessionware(app)

docs/flask.md lists the settings, and says what differs from Flask's own sessions.
"""

from __future__ import annotations

from contextlib import suppress
from weakref import WeakKeyDictionary

from flask import Flask, Request, Response, current_app, request
from flask.sessions import SessionInterface, SessionMixin
from werkzeug.datastructures import Headers

from sessionware import ConfigError, SessionManager, StoreError, StoreUnavailable

from ._flask_sessions import FlaskSession
from ._flask_settings import FlaskSite, secrets_of
from ._flask_wsgi import Guard, Held, taken_from, unavailable

#: Where a request keeps its session.
_HELD = "_sessionware"


class Sessionware(SessionInterface):
    """The Flask extension: `Sessionware(app)`, or `init_app(app)` in an application factory.

    Settings that are there by then are checked at once, and those that change later at the next request. Raises
    `ConfigError`.
    """

    def __init__(self, app: Flask | None = None) -> None:
        self._sites: WeakKeyDictionary[Flask, FlaskSite] = WeakKeyDictionary()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Put sessionware in the place of the application's own sessions."""
        if not isinstance(app, Flask):
            raise ConfigError(f"Sessionware(…): pass the Flask application, not {type(app).__name__}.")
        self._sites[app] = FlaskSite(app)
        app.wsgi_app = Guard(app)  # type: ignore[method-assign]
        app.session_interface = self
        if StoreError not in app.error_handler_spec[None][None]:
            app.register_error_handler(StoreError, unavailable)

    @property
    def manager(self) -> SessionManager:
        """The `SessionManager` of the current application or, outside of any, of the only one.

        It is made anew when the configuration has changed, so ask for it where you use it.
        """
        apps = [app for app in self._sites if not current_app or app == current_app]
        if len(apps) != 1:
            raise ConfigError("Which application? Use `with app.app_context():`, after Sessionware(app).")
        return self._sites[apps[0]].manager(apps[0])

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        """The session of a request; without a secret none, which Flask explains to whoever writes to it."""
        if not secrets_of(app):
            return None
        # Flask's test client opens the session of one request twice, and only then writes to it.
        held: Held | None = vars(request).get(_HELD)
        if held is None:
            outgoing = taken_from(request.environ)
            opened = self._sites[app].manager(app).open(request.environ)
            held = vars(request)[_HELD] = Held(opened, FlaskSession(opened), request.environ)
            if outgoing is not None:
                outgoing.hold(held)
        return held.session

    def save_session(self, app: Flask, session: FlaskSession, response: Response) -> None:  # type: ignore[override]
        """Save the session. Its cookie, and what an outage answers, are added when the response goes out."""
        held: Held = getattr(request, _HELD)
        held.is_streamed = response.is_streamed and not response.direct_passthrough
        has_failed = response.status_code >= 500
        if held.opened.accessed and not has_failed:
            with suppress(StoreUnavailable):  # if the view has answered an outage itself, its answer stands
                session.remember_if_permanent(app)
        held.save(failed=has_failed)
        if not held.is_guarded:
            response.headers = Headers(held.opened.headers([*response.headers]))
