"""Sessions in one line, for a WSGI application without any framework. Run it, and reload its page."""

import sys
from contextlib import suppress
from pathlib import Path
from wsgiref.simple_server import make_server

from sessionware import SessionMiddleware, SQLiteStore, get_session


def app(environ, start_response):
    session = get_session(environ)
    visits = session.modify("visits", lambda n: n + 1, default=0)
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"Visits so far: {visits}\n".encode()]


def wrapped():
    secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
    return SessionMiddleware(app, secret=secret, store=SQLiteStore("sessions.db"))


def main(port="8000"):
    site = wrapped()
    try:
        server = make_server("127.0.0.1", int(port), site)
    except OSError as error:
        sys.exit(f"Port {port}: {error.strerror}. Try another one, such as: python minimal.py {int(port) + 1}")
    print(f"Open http://127.0.0.1:{server.server_port}/ and press Ctrl+C to stop.", flush=True)
    with suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
