"""A counter and accounts with WebOb."""

import os

from webob import Response
from webob.dec import wsgify
from webob.exc import HTTPNotFound, HTTPSeeOther, status_map

from sessionware import AuthError, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret, store = os.environ["SESSION_SECRET"], SQLiteStore("app.db")
auth = Auth(SQLiteUsers("app.db"))


@wsgify
def application(request):
    session, form = get_session(request), request.POST
    try:
        match request.method, request.path_info:
            case "GET", "/":
                visits = session.modify("visits", lambda n: n + 1, default=0)
                return Response(text=f"{session.username or 'Stranger'}: {visits}", content_type="text/plain")
            case "POST", "/login":
                enter = auth.register if "new" in form else auth.login
                enter(request, form["name"], form["password"])
            case "POST", "/logout":
                auth.logout(request)
            case _:
                return HTTPNotFound()
    except AuthError as error:
        refusal = status_map[error.status]
        return refusal(error.message)
    return HTTPSeeOther(location="/")


app = SessionMiddleware(application, secret=secret, store=store)
