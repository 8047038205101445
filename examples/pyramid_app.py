"""A tea shop with Pyramid: `request.session` is sessionware's, and each form carries Pyramid's CSRF token."""

from datetime import timedelta
from html import escape
from pathlib import Path

from pyramid.config import Configurator
from pyramid.csrf import get_csrf_token
from pyramid.exceptions import BadCSRFToken
from pyramid.httpexceptions import HTTPBadRequest, HTTPSeeOther
from pyramid.response import Response
from pyramid.view import exception_view_config, view_config

from sessionware import AuthError, NotLoggedIn, SessionManager, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
store, auth = SQLiteStore("app.db"), Auth(SQLiteUsers("app.db"))

GOODS = ("tea", "milk", "honey")
REMEMBER_ME = '<label><input type="checkbox" name="remember" value="yes"> Remember me</label>'


@view_config(route_name="shop", request_method="GET")
def shop(request):
    buttons = (f'<button name="item" value="{item}">Add {item}</button>' for item in GOODS)
    return page(request, "Tea shop", cart_line(request), *(form(request, "/cart", button) for button in buttons))


@view_config(route_name="cart", request_method="POST")
def add(request):
    item = request.POST.get("item")
    if item not in GOODS:
        raise HTTPBadRequest("There is no such thing in this shop.")
    get_session(request).modify("cart", lambda items: [*items, item], default=[])  # exact, also if two add at once
    request.session.flash(f"Added {item}.")
    return HTTPSeeOther("/")


@view_config(route_name="register", request_method="GET")
def register_page(request, error=None):
    return page(request, "Register", account_form(request, "Register"), error=error)


@view_config(route_name="register", request_method="POST")
def register(request):
    try:
        user = auth.register(request, request.POST.get("username", ""), request.POST.get("password", ""))
    except AuthError as error:
        return register_page(request, error)
    request.session.flash(f"Welcome, {user.username}.")
    return HTTPSeeOther("/account")


@view_config(route_name="login", request_method="GET")
def login_page(request, error=None):
    return page(request, "Log in", account_form(request, "Log in", REMEMBER_ME), error=error)


@view_config(route_name="login", request_method="POST")
def login(request):
    try:
        user = auth.login(request, request.POST.get("username", ""), request.POST.get("password", ""))
    except AuthError as error:
        return login_page(request, error)
    if "remember" in request.POST:
        get_session(request).remember(timedelta(days=30))
    request.session.flash(f"Welcome back, {user.username}.")
    return HTTPSeeOther("/account")


@view_config(route_name="account", request_method="GET")
def account(request):
    user, places = auth.require_user(request), len(auth.sessions(request))
    who = f'<p id="who">{escape(user.username)}</p>'
    where = f'<p id="places">Logged in at {places} {"place" if places == 1 else "places"}.</p>'
    here = form(request, "/logout", "<button>Log out</button>")
    everywhere = form(request, "/logout-everywhere", "<button>Log out everywhere</button>")
    return page(request, "Account", who, where, cart_line(request), here, everywhere)


@view_config(route_name="logout", request_method="POST")
@view_config(route_name="logout-everywhere", request_method="POST")
def logout(request):
    auth.logout(request, everywhere=request.path == "/logout-everywhere")
    request.session.flash("Goodbye.")
    return HTTPSeeOther("/")


@exception_view_config(NotLoggedIn)
@exception_view_config(BadCSRFToken)  # of a page that was open when the session ended
def to_login(request):
    return HTTPSeeOther("/login")


def page(request, title, *main, error=None):
    links = {"/account": "Account"} if auth.user(request) else {"/login": "Log in", "/register": "Register"}
    nav = " ".join(f'<a href="{path}">{text}</a>' for path, text in {"/": "Shop", **links}.items())
    messages = [f'<p role="status">{escape(text)}</p>' for text in request.session.pop_flash()]
    alerts = [f'<p role="alert">{escape(error.message)}</p>'] if error else []
    head = f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n<nav>{nav}</nav>'
    html = "\n".join([head, f"<h1>{title}</h1>", *messages, *alerts, *main])
    return Response(html, error.status if error else 200)


def form(request, path, main):
    token = f'<input type="hidden" name="csrf_token" value="{get_csrf_token(request)}">'
    return f'<form method="post" action="{path}">{token}{main}</form>'


def account_form(request, button, more=""):
    fields = """<label>Username <input name="username"></label>
<label>Password <input name="password" type="password"></label>"""
    return form(request, request.path, f"{fields}\n{more}<button>{button}</button>")


def cart_line(request):
    return f'<p id="cart">Cart: {", ".join(request.session.get("cart", [])) or "empty"}</p>'


with Configurator(settings={"sessionware.manager": SessionManager(secret, store)}) as config:
    config.include("sessionware.contrib.pyramid")
    config.set_default_csrf_options(require_csrf=True)
    config.add_route("shop", "/")
    for name in ("cart", "register", "login", "account", "logout", "logout-everywhere"):
        config.add_route(name, f"/{name}")
    config.scan()
    app = config.make_wsgi_app()
