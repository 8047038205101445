"""A counter and accounts with Django, in one file. In a project the last line is what changes, in wsgi.py."""

from pathlib import Path

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path
from django.views.decorators.http import require_POST

from sessionware import AuthError, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
store, auth = SQLiteStore("app.db"), Auth(SQLiteUsers("app.db"))
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost", "127.0.0.1"])


def counter(request):
    name, visits = get_session(request).username, get_session(request).modify("visits", lambda n: n + 1, default=0)
    return HttpResponse(f"{name or 'Stranger'}: {visits}", content_type="text/plain; charset=utf-8")


def login(request):
    enter = auth.register if "new" in request.POST else auth.login
    try:
        enter(request, request.POST.get("name", ""), request.POST.get("password", ""))
    except AuthError as error:
        return HttpResponse(error.message, status=error.status, content_type="text/plain; charset=utf-8")
    return HttpResponseRedirect("/")


def logout(request):
    auth.logout(request)
    return HttpResponseRedirect("/")


urlpatterns = [path("", counter), path("login", require_POST(login)), path("logout", require_POST(logout))]
app = SessionMiddleware(get_wsgi_application(), secret=secret, store=store)
