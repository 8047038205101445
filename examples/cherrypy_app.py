"""A counter and accounts with CherryPy."""

from pathlib import Path

import cherrypy
from cherrypy import request, response

from sessionware import AuthError, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
store, auth = SQLiteStore("app.db"), Auth(SQLiteUsers("app.db"))


class Site:
    @cherrypy.expose
    @cherrypy.tools.response_headers(headers=[("Content-Type", "text/plain; charset=utf-8")])
    def index(self):
        visits = get_session(request).modify("visits", lambda n: n + 1, default=0)
        return f"{get_session(request).username or 'Stranger'}: {visits}"

    @cherrypy.expose
    @cherrypy.tools.allow(methods=["POST"])
    def login(self, name="", password="", new=None):
        try:
            (auth.register if new else auth.login)(request, name, password)
        except AuthError as error:
            response.status, response.headers["Content-Type"] = error.status, "text/plain; charset=utf-8"
            return error.message
        raise cherrypy.HTTPRedirect("/", 303)

    @cherrypy.expose
    @cherrypy.tools.allow(methods=["POST"])
    def logout(self):
        auth.logout(request)
        raise cherrypy.HTTPRedirect("/", 303)


app = SessionMiddleware(cherrypy.Application(Site()), secret=secret, store=store)
