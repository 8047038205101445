"""Sessions in one line, for a WSGI application without any framework. Run it, and open http://127.0.0.1:8000/."""

import os
from wsgiref.simple_server import make_server

from sessionware import SessionMiddleware, SQLiteStore, get_session


def app(environ, start_response):
    session = get_session(environ)
    visits = session.modify("visits", lambda n: n + 1, default=0)
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"Visits so far: {visits}\n".encode()]


def wrapped():
    # SESSION_SECRET is text of at least 32 characters: `python -m sessionware secret` prints one.
    return SessionMiddleware(app, secret=os.environ["SESSION_SECRET"], store=SQLiteStore("sessions.db"))


if __name__ == "__main__":
    with make_server("127.0.0.1", 8000, wrapped()) as server:
        server.serve_forever()
