"""A tea shop with Django, in one file. In a project, the settings are in settings.py."""

from functools import partial
from pathlib import Path

import django
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, get_user_model, login, logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import IntegrityError
from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from sessionware import SQLiteStore, get_session
from sessionware.contrib.django import get_manager

secrets = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
GOODS = ("tea", "milk", "honey")
PAGES = {
    "page.html": """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{{ title }}</title>
<nav><a href="/">Shop</a> {% if user.is_authenticated %}<a href="/account">Account</a>
{% else %}<a href="/login">Log in</a> <a href="/register">Register</a>{% endif %}</nav>
<h1>{{ title }}</h1>{% for message in messages %}<p role="status">{{ message }}</p>{% endfor %}
{% if error %}<p role="alert">{{ error }}</p>{% endif %}{% block main %}{% endblock %}""",
    "shop.html": """{% extends "page.html" %}{% block main %}<p id="cart">Cart: {{ cart|join:", " }}</p>
{% for item in goods %}<form method="post" action="/cart">{% csrf_token %}
<button name="item" value="{{ item }}">Add {{ item }}</button></form>{% endfor %}{% endblock %}""",
    "form.html": """{% extends "page.html" %}{% block main %}<form method="post">{% csrf_token %}
<label>Username <input name="username"></label>
<label>Password <input name="password" type="password"></label>
{% if title == "Log in" %}<label><input type="checkbox" name="remember" value="yes"> Remember me</label>{% endif %}
<button>{{ title }}</button></form>{% endblock %}""",
    "account.html": """{% extends "page.html" %}{% block main %}<p id="who">{{ user.username }}</p>
<p id="places">Logged in at {{ places }} place{{ places|pluralize }}.</p><p id="cart">Cart: {{ cart|join:", " }}</p>
<form method="post" action="/logout">{% csrf_token %}<button>Log out</button></form>
<form method="post" action="/logout-everywhere">{% csrf_token %}<button>Log out everywhere</button></form>
{% endblock %}""",
}
PROCESSORS = ["django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages"]
TEMPLATES = {"context_processors": PROCESSORS, "loaders": [("django.template.loaders.locmem.Loader", PAGES)]}
see = partial(HttpResponseRedirect, status=303)

settings.configure(
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "users.db"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.messages"],
    LOGIN_URL="/login",
    MESSAGE_STORAGE="django.contrib.messages.storage.session.SessionStorage",
    MIDDLEWARE=[
        "sessionware.contrib.django.SessionwareMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY=secrets[0],
    SECRET_KEY_FALLBACKS=secrets[1:],
    SESSION_ENGINE="sessionware.contrib.django",
    SESSION_EXPIRE_AT_BROWSER_CLOSE=True,
    SESSIONWARE={"store": SQLiteStore("app.db")},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": TEMPLATES}],
)
django.setup()
call_command("migrate", verbosity=0)
User = get_user_model()


@require_safe
def shop(request):
    return render(request, "shop.html", {"title": "Tea shop", "goods": GOODS, "cart": cart(request)})


@require_POST
def add(request):
    item = request.POST.get("item")
    if item not in GOODS:
        raise BadRequest("There is no such thing in this shop.")
    get_session(request).modify("cart", lambda items: [*items, item], default=[])  # however many requests do so at once
    messages.success(request, f"Added {item}.")
    return see("/")


def register(request):
    if request.method != "POST":
        return form(request, "Register")
    username, password = request.POST.get("username", ""), request.POST.get("password", "")
    if not 0 < len(username) <= 150 or len(password) < 8:
        return form(request, "Register", "Please choose a username, and a password of at least 8 characters.", 422)
    try:
        user = User.objects.create_user(username, password=password)
    except IntegrityError:
        return form(request, "Register", "That username is taken. Please choose another.", 409)
    return enter(request, user, f"Welcome, {user.username}.")


def log_in(request):
    if request.method != "POST":
        return form(request, "Log in")
    user = authenticate(request, username=request.POST.get("username"), password=request.POST.get("password"))
    if user is None:
        return form(request, "Log in", "Incorrect username or password.", 403)
    if "remember" in request.POST:
        request.session.set_expiry(30 * 24 * 3600)
    return enter(request, user, f"Welcome back, {user.username}.")


def form(request, title, error=None, status=200):
    return render(request, "form.html", {"title": title, "error": error}, status=status)


def enter(request, user, greeting):
    login(request, user)
    messages.success(request, greeting)
    return see("/account")


@never_cache
@login_required
def account(request):
    places = len(get_manager().of(user_id=str(request.user.pk)))
    return render(request, "account.html", {"title": "Account", "places": places, "cart": cart(request)})


@require_POST
@login_required
def log_out(request, everywhere=False):
    if everywhere:
        get_manager().end_all(user_id=str(request.user.pk))
    logout(request)
    messages.success(request, "Goodbye.")
    return see("/")


def cart(request):
    return request.session.get("cart") or ["empty"]


urlpatterns = [path("", shop), path("cart", add), path("register", register), path("login", log_in)]
urlpatterns += [path("account", account), path("logout", log_out)]
urlpatterns += [path("logout-everywhere", log_out, {"everywhere": True})]
app = get_wsgi_application()
