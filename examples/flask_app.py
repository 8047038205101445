"""A counter and accounts with Flask."""

from pathlib import Path

from flask import Flask, Response, redirect, request

from sessionware import AuthError, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
store, auth = SQLiteStore("app.db"), Auth(SQLiteUsers("app.db"))
app = Flask(__name__)
app.wsgi_app = SessionMiddleware(app.wsgi_app, secret=secret, store=store)


@app.get("/")
def counter():
    visits = get_session(request).modify("visits", lambda n: n + 1, default=0)
    return Response(f"{get_session(request).username or 'Stranger'}: {visits}", mimetype="text/plain")


@app.post("/login")
def login():
    enter = auth.register if "new" in request.form else auth.login
    enter(request, request.form.get("name", ""), request.form.get("password", ""))
    return redirect("/", 303)


@app.post("/logout")
def logout():
    auth.logout(request)
    return redirect("/", 303)


@app.errorhandler(AuthError)
def refused(error):
    return Response(error.message, error.status, mimetype="text/plain")
