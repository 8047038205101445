"""A counter and accounts with Falcon."""

from pathlib import Path

import falcon

from sessionware import AuthError, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
store, auth = SQLiteStore("app.db"), Auth(SQLiteUsers("app.db"))


class Site:
    def on_get(self, req, resp):
        visits = get_session(req).modify("visits", lambda n: n + 1, default=0)
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"{get_session(req).username or 'Stranger'}: {visits}"

    def on_post_login(self, req, resp):
        form = req.get_media()
        enter = auth.register if "new" in form else auth.login
        enter(req, form.get("name", ""), form.get("password", ""))
        resp.status, resp.location = falcon.HTTP_SEE_OTHER, "/"

    def on_post_logout(self, req, resp):
        auth.logout(req)
        resp.status, resp.location = falcon.HTTP_SEE_OTHER, "/"


def refused(req, resp, error, params):
    resp.status, resp.content_type, resp.text = error.status, falcon.MEDIA_TEXT, error.message


api = falcon.App()
for path, suffix in (("/", None), ("/login", "login"), ("/logout", "logout")):
    api.add_route(path, Site(), suffix=suffix)
api.add_error_handler(AuthError, refused)
app = SessionMiddleware(api, secret=secret, store=store)
