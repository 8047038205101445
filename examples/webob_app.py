"""A counter and accounts with WebOb."""

from pathlib import Path

from webob import Response
from webob.dec import wsgify
from webob.exc import HTTPNotFound, HTTPSeeOther

from sessionware import AuthError, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
store, auth = SQLiteStore("app.db"), Auth(SQLiteUsers("app.db"))


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
                enter(request, form.get("name", ""), form.get("password", ""))
            case "POST", "/logout":
                auth.logout(request)
            case _:
                return HTTPNotFound()
    except AuthError as error:
        return Response(text=error.message, status=error.status, content_type="text/plain")
    return HTTPSeeOther(location="/")


app = SessionMiddleware(application, secret=secret, store=store)
