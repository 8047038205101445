"""A notebook: private notes for everybody with an account, and a counter and a theme for everybody.

Plain WebOb, no framework. Sessions, accounts and notes are SQLite files in one folder, and the secret is a file beside
them. Run it with

    python3 dev.py example              or, with sessionware and waitress installed,
    python examples/notes_app.py --port 8000 --data ./notebook
"""

from __future__ import annotations

import argparse
import secrets
import sqlite3
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import notes_pages as pages
from webob import Request, Response

from sessionware import (
    AuthError,
    NotFresh,
    NotLoggedIn,
    SessionMiddleware,
    SessionwareError,
    SQLiteStore,
    StoreError,
    get_session,
)
from sessionware.auth import Auth, AuthPages, SQLiteUsers, safe_next

HERE = Path(__file__).parent

MAX_NOTE = 2000  # characters
MAX_BODY = 64 * 1024  # bytes
FRESH = 15 * 60  # seconds: whoever wants to delete an account has given the password within them

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def make_app(data, secret, send):
    """The whole application. Two of its lines are about logging in, and one is about sessions."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    auth = Auth(SQLiteUsers(data / "accounts.db"), send=send)
    notebook = Notebook(auth, Notes(data / "notes.db"))
    app = AuthPages(notebook, auth, render=notebook.auth_page)
    return SessionMiddleware(app, secret, SQLiteStore(data / "sessions.db"))


class Mail:
    """Stands in for mail: prints what a real site sends. `Auth` calls `send` in a thread of its own."""

    # Never from a request: whoever asks for a link to reset somebody's password chooses the Host header.
    origin = ""

    def send(self, purpose, user, path):
        text = {
            "reset": f"To choose a new password, open {self.origin}{path} within an hour.",
            "password_changed": f"Your password was changed. If that was not you, open {self.origin}/forgot at once.",
            "new_device": f"You logged in on a new device. If that was not you, open {self.origin}/password at once.",
        }[purpose]
        print(f"\nA real site would mail this to {user.username}:\n{text}", flush=True)


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
            "/account/delete": {"GET": self.before_deleting, "POST": self.delete_account},
            "/style.css": {"GET": self.style},
            "/idle_warning.js": {"GET": self.idle_warning},
            "/notes.js": {"GET": self.script},
        }

    def __call__(self, environ, start_response):
        request = Request(environ)
        try:
            response = self.answer(request)
        except UnicodeDecodeError:
            response = self.message(request, "Not readable", "What was sent is not text.", 400)
        except (NotLoggedIn, NotFresh):
            raise  # for AuthPages, which asks for a login, or for the password once more
        except AuthError as error:
            response = self.message(request, "That did not work", error.message, error.status)
        response.headers.update(SECURITY_HEADERS)
        return response(environ, start_response)

    def answer(self, request):
        methods = self.routes.get(request.path_info)
        if methods is None:
            return self.message(request, "Nothing here", "There is no page at this address.", 404)
        view = methods.get("GET" if request.method == "HEAD" else request.method)
        if view is None:
            allowed = ", ".join(methods)
            response = self.message(request, "Not like this", f"This address takes {allowed} only.", 405)
            response.allow = list(methods)
            return response
        if (request.content_length or 0) > MAX_BODY:
            return self.message(request, "Too large", "What was sent is too large.", 413)
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
            return html(pages.welcome(self.visitor(request), visits, session.pop_flash()))
        return self.notebook(request, user, visits, text=self.draft_of(user, session))

    def notebook(self, request, user, visits, *, text="", error="", status=200):
        messages = get_session(request).pop_flash()
        notes = self.notes.of(user.id)
        return html(pages.notebook(self.visitor(request), user, notes, visits, messages, text, error), status)

    def add_note(self, request):
        user, session = self.auth.user(request), get_session(request)
        text, author = request.POST.get("text", "").strip(), request.POST.get("author", "")
        if user is None:
            self.keep_draft(request)
            raise NotLoggedIn
        if author != user.id:
            why = (
                f"You are logged in as {user.username}, but this note was begun by somebody else. Here it is once more:"
            )
            return self.message(request, "Not saved", why, 403, quote=text)
        if not text or len(text) > MAX_NOTE:
            error = f"A note has at most {MAX_NOTE} characters." if text else "Write something first."
            return self.notebook(request, user, session.get("visits", 0), text=text, error=error, status=422)
        self.notes.add(user.id, text)
        session.pop("draft", None)
        session.flash("Your note is saved.")
        return see_other(request, "/")

    def keep_draft(self, request):
        """What was typed, until its author sees it again, who may have to log in first: the session lasts so long.

        The next to log in in this browser may be somebody else, and the session's data would go with them.
        """
        session, text = get_session(request), request.POST.get("text", "").strip()
        if session.ended_because:
            session.invalidate()  # nothing can be kept in one that was ended from elsewhere, but in the next one
        if text:
            session["draft"] = {"author": request.POST.get("author", ""), "text": text}
        else:
            session.pop("draft", None)

    def draft_of(self, user, session):
        draft = session.get("draft")
        if draft and draft["author"] != user.id:
            del session["draft"]
            return ""
        return draft["text"] if draft else ""

    def delete_note(self, request):
        user = self.auth.require_user(request)
        if self.notes.delete(user.id, request.POST.get("id", "")):
            get_session(request).flash("The note is gone.")
        return see_other(request, "/")

    def account(self, request):
        self.auth.require_user(request)
        return html(pages.account(self.visitor(request), get_session(request).pop_flash()))

    def before_deleting(self, request):
        user = self.auth.require_user(request, fresh=FRESH)
        return html(pages.delete_account(self.visitor(request), user))

    def delete_account(self, request):
        user = self.auth.require_user(request, fresh=FRESH)
        if request.POST.get("owner") != user.id:  # in another tab of the same browser, somebody else has logged in
            text = f"{user.username} is logged in here by now. Please look again first."
            return self.message(request, "Nothing was deleted", text, 409)
        # The notes go first: without the account, nobody could ask for them again.
        self.notes.delete_all(user.id)
        self.auth.erase(request, user.id)
        return html(pages.message(self.visitor(request), "Deleted", "Your account and your notes are gone."))

    def choose_theme(self, request):
        """From the switch at the foot of a page, which sends a half-written note along."""
        session, theme = get_session(request), request.POST.get("theme")
        if theme in pages.THEMES:
            session["theme"] = theme
        if "text" in request.POST:
            self.keep_draft(request)
        return see_other(request, safe_next(request.POST.get("next")) + "#foot")

    # These do not look at the session: no store is asked, no header is added, and every cache may keep them.

    def style(self, _request):
        return static("notes.css", "text/css")

    def script(self, _request):
        return static("notes.js", "text/javascript")

    def idle_warning(self, _request):
        return static("idle_warning.js", "text/javascript")

    # What pages have in common

    def message(self, request, title, text, status, quote=""):
        return html(pages.message(self.visitor(request), title, text, quote), status)

    def visitor(self, request):
        """What the frame of every page shows."""
        user, theme = self.auth.user(request), get_session(request).get("theme", pages.THEMES[0])
        environ = request.environ
        # A page that answers a form is not there to come back to.
        here = quote(environ["PATH_INFO"], encoding="latin-1") if environ["REQUEST_METHOD"] in ("GET", "HEAD") else "/"
        return pages.Visitor(user.username if user else None, theme, here)

    def auth_page(self, page, request):
        """A page of AuthPages, in the notebook's clothes. AuthPages shows its pages even while the store is down."""
        try:
            visitor = self.visitor(request)
        except StoreError:
            visitor = pages.Visitor(None, pages.THEMES[0], "/")
        return pages.auth_page(visitor, page)


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


def html(text, status=200, **headers):
    response = Response(text=text, status=status, content_type="text/html", charset="utf-8")
    response.headers.update(headers)
    return response


def static(name, content_type):
    text = (HERE / name).read_text(encoding="utf-8")
    return Response(text=text, content_type=content_type, charset="utf-8", cache_control="public, max-age=300")


def see_other(request, path):
    return Response(status=303, location=request.script_name + path)


def read_secret(data):
    """Made at the first start and kept beside the data, so that a restart logs nobody out."""
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

    mail = Mail()
    try:
        app = make_app(options.data, read_secret(options.data), mail.send)
    except (OSError, SessionwareError) as error:
        sys.exit(f"--data {options.data}: {error}")
    try:
        server = create_server(app, host=options.host, port=options.port)
    except OSError as error:
        sys.exit(f"Port {options.port}: {error.strerror}. Try another one: --port {options.port + 1}, or 0 for any.")
    except ValueError:
        sys.exit(f"--host {options.host} --port {options.port}: there is no such place to listen at.")
    mail.origin = f"http://{server.effective_host}:{server.effective_port}"
    print(f"Open {mail.origin}/ and press Ctrl+C to stop.", flush=True)
    server.run()


if __name__ == "__main__":
    main()
