"""A counter and accounts with Pyramid."""

from pathlib import Path

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response

from sessionware import AuthError, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
store, auth = SQLiteStore("app.db"), Auth(SQLiteUsers("app.db"))


def counter(request):
    visits = get_session(request).modify("visits", lambda n: n + 1, default=0)
    return f"{get_session(request).username or 'Stranger'}: {visits}"


def login(request):
    enter = auth.register if "new" in request.POST else auth.login
    enter(request, request.POST.get("name", ""), request.POST.get("password", ""))
    return HTTPSeeOther(location="/")


def logout(request):
    auth.logout(request)
    return HTTPSeeOther(location="/")


def refused(error, _request):
    return Response(error.message, error.status, content_type="text/plain")


with Configurator() as config:
    config.add_view(counter, renderer="string")
    config.add_view(login, name="login", request_method="POST")
    config.add_view(logout, name="logout", request_method="POST")
    config.add_exception_view(refused, context=AuthError)
    app = SessionMiddleware(config.make_wsgi_app(), secret=secret, store=store)
