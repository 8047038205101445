"""A counter and accounts without any framework, by the standard library alone."""

from pathlib import Path
from urllib.parse import parse_qs

from sessionware import AuthError, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
store, auth = SQLiteStore("app.db"), Auth(SQLiteUsers("app.db"))


def application(environ, start_response):
    session = get_session(environ)
    page = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    status, headers, text = "303 See Other", [("Location", "/")], ""
    try:
        if page == ("GET", "/"):
            visits = session.modify("visits", lambda n: n + 1, default=0)
            status, headers, text = "200 OK", [], f"{session.username or 'Stranger'}: {visits}"
        elif page == ("POST", "/login"):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            form = {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
            enter = auth.register if "new" in form else auth.login
            enter(environ, form.get("name", ""), form.get("password", ""))
        elif page == ("POST", "/logout"):
            auth.logout(environ)
        else:
            status, headers = "404 Not Found", []
    except AuthError as error:
        status, headers, text = f"{error.status} Refused", [], error.message
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), *headers])
    return [text.encode()]


app = SessionMiddleware(application, secret=secret, store=store)
