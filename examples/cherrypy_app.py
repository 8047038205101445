"""A counter and accounts with CherryPy."""

import os

import cherrypy
from cherrypy import request

from sessionware import AuthError, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret, store = os.environ["SESSION_SECRET"], SQLiteStore("app.db")
auth = Auth(SQLiteUsers("app.db"))


class Site:
    @cherrypy.expose
    @cherrypy.tools.response_headers(headers=[("Content-Type", "text/plain; charset=utf-8")])
    def index(self):
        visits = get_session(request).modify("visits", lambda n: n + 1, default=0)
        return f"{get_session(request).username or 'Stranger'}: {visits}"

    @cherrypy.expose
    @cherrypy.tools.allow(methods=["POST"])
    def login(self, name, password, new=None):
        enter = auth.register if new else auth.login
        try:
            enter(request, name, password)
        except AuthError as error:
            raise cherrypy.HTTPError(error.status, error.message) from error
        raise cherrypy.HTTPRedirect("/", 303)

    @cherrypy.expose
    @cherrypy.tools.allow(methods=["POST"])
    def logout(self):
        auth.logout(request)
        raise cherrypy.HTTPRedirect("/", 303)


app = SessionMiddleware(cherrypy.Application(Site()), secret=secret, store=store)
