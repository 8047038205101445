"""A counter and accounts with Bottle."""

from pathlib import Path

from bottle import Bottle, HTTPResponse, redirect, request, response

from sessionware import AuthError, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
store, auth = SQLiteStore("app.db"), Auth(SQLiteUsers("app.db"))
site = Bottle()


@site.get("/")
def counter():
    visits = get_session(request).modify("visits", lambda n: n + 1, default=0)
    response.content_type = "text/plain; charset=utf-8"
    return f"{get_session(request).username or 'Stranger'}: {visits}"


@site.post("/login")
def login():
    enter = auth.register if "new" in request.forms else auth.login
    try:
        enter(request, request.forms.getunicode("name", ""), request.forms.getunicode("password", ""))
    except AuthError as error:
        raise HTTPResponse(error.message, error.status, {"Content-Type": "text/plain; charset=utf-8"}) from error
    redirect("/", 303)


@site.post("/logout")
def logout():
    auth.logout(request)
    redirect("/", 303)


app = SessionMiddleware(site, secret=secret, store=store)
