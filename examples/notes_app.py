"""A notebook: private notes for everybody with an account, and a counter and a theme for everybody.

Plain WebOb, no framework. Sessions, accounts and notes are SQLite files in one folder. Run it with

    python3 dev.py example              or, with sessionware and waitress installed,
    python examples/notes_app.py --port 8000 --data ./notebook
"""

from __future__ import annotations

import argparse
import os
import secrets
import sqlite3
import time
from contextlib import closing, contextmanager
from pathlib import Path

import notes_pages as pages
from webob import Request, Response

from sessionware import LoginFailed, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, AuthPages, SQLiteUsers, safe_next

HERE = Path(__file__).parent

MAX_NOTE = 2000  # characters
MAX_BODY = 64 * 1024  # bytes

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def make_app(data, secret):
    """The whole application. Two of its lines are about logging in, and one is about sessions."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    auth = Auth(SQLiteUsers(data / "accounts.db"))
    app = Notebook(auth, Notes(data / "notes.db"))
    app = AuthPages(app, auth, site_name=pages.SITE, render=pages.auth_page)
    return SessionMiddleware(app, secret, SQLiteStore(data / "sessions.db"))


class Notebook:
    """The pages. Each gets a request and returns a response."""

    def __init__(self, auth, notes):
        self.auth = auth
        self.notes = notes
        self.routes = {
            "/": {"GET": self.home},
            "/notes": {"POST": self.add_note},
            "/notes/delete": {"POST": self.delete_note},
            "/theme": {"POST": self.choose_theme},
            "/account": {"GET": self.account},
            "/account/end": {"POST": self.end_session},
            "/account/end-others": {"POST": self.end_other_sessions},
            "/account/delete": {"POST": self.delete_account},
            "/style.css": {"GET": self.style},
            "/theme.css": {"GET": self.theme},
        }

    def __call__(self, environ, start_response):
        request = Request(environ)
        try:
            response = self.answer(request)
        except UnicodeDecodeError:
            response = html(pages.message("Not readable", "What was sent is not text."), 400)
        response.headers.update(SECURITY_HEADERS)
        return response(environ, start_response)

    def answer(self, request):
        methods = self.routes.get(request.path_info)
        if methods is None:
            return html(pages.message("Nothing here", "There is no page at this address."), 404)
        view = methods.get("GET" if request.method == "HEAD" else request.method)
        if view is None:
            allowed = ", ".join(methods)
            return html(pages.message("Not like this", f"This address takes {allowed} only."), 405, Allow=allowed)
        if (request.content_length or 0) > MAX_BODY:
            return html(pages.message("Too large", "What was sent is too large."), 413)
        return view(request)

    # Every form here is a plain one, without a token. A form on another site finds an empty session: nobody is logged
    # in, and what it writes is dropped.

    def home(self, request):
        session, user = get_session(request), self.auth.user(request)
        if request.method == "GET":
            # Exact, however many tabs load this page at once.
            visits = session.modify("visits", lambda count: count + 1, default=0)
        else:
            visits = session.get("visits", 0)
        if user is None:
            return html(pages.welcome(visits, session.pop_flash()))
        return html(pages.notebook(user.username, self.notes.of(user.id), visits, session.pop_flash()))

    def add_note(self, request):
        user, session = self.auth.require_user(request), get_session(request)
        text = request.POST.get("text", "").strip()
        if not text or len(text) > MAX_NOTE:
            error = f"A note has at most {MAX_NOTE} characters." if text else "Write something first."
            notes, visits = self.notes.of(user.id), session.get("visits", 0)
            return html(pages.notebook(user.username, notes, visits, [], text=text, error=error), 422)
        self.notes.add(user.id, text)
        session.flash("Your note is saved.")
        return see_other(request, "/")

    def delete_note(self, request):
        user = self.auth.require_user(request)
        if self.notes.delete(user.id, request.POST.get("id", "")):
            get_session(request).flash("The note is gone.")
        return see_other(request, "/")

    def account(self, request, error="", status=200):
        user, session = self.auth.require_user(request), get_session(request)
        return html(pages.account(user.username, self.auth.sessions(request), session.pop_flash(), error), status)

    def end_session(self, request):
        if self.auth.end_session(request, request.POST.get("id", "")):
            get_session(request).flash("That session is over.")
        return see_other(request, "/account")

    def end_other_sessions(self, request):
        count = self.auth.end_other_sessions(request)
        get_session(request).flash(f"Logged out in {count} other place{'' if count == 1 else 's'}.")
        return see_other(request, "/account")

    def delete_account(self, request):
        user = self.auth.require_user(request)
        try:
            self.auth.delete_account(request, request.POST.get("password", ""))
        except LoginFailed:
            return self.account(request, error="That is not your password.", status=403)
        self.notes.delete_all(user.id)
        get_session(request).flash("Your account and your notes are gone.")
        return see_other(request, "/")

    def choose_theme(self, request):
        theme = request.POST.get("theme")
        if theme in ("light", "dark"):
            get_session(request)["theme"] = theme
        return see_other(request, safe_next(request.POST.get("next")))

    def style(self, _request):
        # This does not look at the session: no store is asked, no header is added, and every cache may keep it.
        return Response(text=STYLE, content_type="text/css", charset="utf-8", cache_control="public, max-age=300")

    def theme(self, request):
        """The chosen colours, for every page, including those of AuthPages."""
        theme = get_session(request).get("theme")
        return Response(
            text=pages.theme_css(theme), content_type="text/css", charset="utf-8", cache_control="private, no-cache"
        )


class Notes:
    """A table of notes. Every query says whose notes it is about."""

    def __init__(self, path):
        self.path = path
        with self.open() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS notes (id TEXT, user_id TEXT, text TEXT, written_at INTEGER)"
            )
            connection.execute("CREATE INDEX IF NOT EXISTS notes_of ON notes (user_id)")
        path.chmod(0o600)

    def of(self, user_id):
        with self.open() as connection:
            sql = "SELECT id, text, written_at FROM notes WHERE user_id = ? ORDER BY rowid DESC"
            return connection.execute(sql, (user_id,)).fetchall()

    def add(self, user_id, text):
        with self.open() as connection:
            row = (secrets.token_hex(8), user_id, text, int(time.time()))
            connection.execute("INSERT INTO notes VALUES (?, ?, ?, ?)", row)

    def delete(self, user_id, id):
        with self.open() as connection:
            return connection.execute("DELETE FROM notes WHERE user_id = ? AND id = ?", (user_id, id)).rowcount == 1

    def delete_all(self, user_id):
        with self.open() as connection:
            connection.execute("DELETE FROM notes WHERE user_id = ?", (user_id,))

    @contextmanager
    def open(self):
        with closing(sqlite3.connect(self.path)) as connection, connection:
            yield connection


STYLE = (HERE / "notes.css").read_text(encoding="utf-8")


def html(text, status=200, **headers):
    response = Response(text=text, status=status, content_type="text/html", charset="utf-8")
    response.headers.update(headers)
    return response


def see_other(request, path):
    return Response(status=303, location=request.script_name + path)


def read_secret(data):
    """From the environment; otherwise made once and kept beside the data, so that a restart logs nobody out."""
    if "SESSION_SECRET" in os.environ:
        return os.environ["SESSION_SECRET"]
    path = data / "secret"
    if not path.exists():
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32), encoding="ascii")
    return path.read_text(encoding="ascii")


def main():
    parser = argparse.ArgumentParser(description="A notebook with accounts.")
    parser.add_argument("--port", type=int, default=8000, help="0 takes any free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="the folder for everything that is kept")
    options = parser.parse_args()

    from waitress import create_server

    server = create_server(make_app(options.data, read_secret(options.data)), host=options.host, port=options.port)
    print(f"Open http://{server.effective_host}:{server.effective_port}/ and press Ctrl+C to stop.", flush=True)
    server.run()


if __name__ == "__main__":
    main()
