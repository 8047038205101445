"""A tea shop with CherryPy."""

from datetime import timedelta
from html import escape
from pathlib import Path

import cherrypy
from cherrypy import request, response

from sessionware import AuthError, NotLoggedIn, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
store, auth = SQLiteStore("app.db"), Auth(SQLiteUsers("app.db"))

GOODS = ("tea", "milk", "honey")
REMEMBER_ME = '<label><input type="checkbox" name="remember" value="yes"> Remember me</label>'
by_post = cherrypy.tools.allow(methods=["POST"])


class Site:
    @cherrypy.expose
    def index(self):
        buttons = (f'<button name="item" value="{item}">Add {item}</button>' for item in GOODS)
        forms = (f'<form method="post" action="/cart">{button}</form>' for button in buttons)
        return page("Tea shop", "\n".join([cart_line(), *forms]))

    @cherrypy.expose
    @by_post
    def cart(self, item=""):
        if item not in GOODS:
            raise cherrypy.HTTPError(400, "There is no such thing in this shop.")
        session = get_session(request)
        session.modify("cart", lambda items: [*items, item], default=[])
        session.flash(f"Added {item}.")
        raise cherrypy.HTTPRedirect("/", 303)

    @cherrypy.expose
    def register(self, username="", password=""):
        if request.method != "POST":
            return page("Register", account_form("Register"))
        try:
            user = auth.register(request, username, password)
        except AuthError as error:
            return page("Register", account_form("Register"), error)
        get_session(request).flash(f"Welcome, {user.username}.")
        raise cherrypy.HTTPRedirect("/account", 303)

    @cherrypy.expose
    def login(self, username="", password="", remember=None):
        if request.method != "POST":
            return page("Log in", account_form("Log in", REMEMBER_ME))
        try:
            user = auth.login(request, username, password)
        except AuthError as error:
            return page("Log in", account_form("Log in", REMEMBER_ME), error)
        session = get_session(request)
        if remember:
            session.remember(timedelta(days=30))
        session.flash(f"Welcome back, {user.username}.")
        raise cherrypy.HTTPRedirect("/account", 303)

    @cherrypy.expose
    def account(self):
        user = auth.user(request)
        if user is None:
            raise cherrypy.HTTPRedirect("/login", 303)
        places = len(auth.sessions(request))
        main = f"""<p id="who">{escape(user.username)}</p>
<p id="places">Logged in at {places} {"place" if places == 1 else "places"}.</p>
{cart_line()}
<form method="post" action="/logout"><button>Log out</button></form>
<form method="post" action="/logout-everywhere"><button>Log out everywhere</button></form>"""
        return page("Account", main)

    @cherrypy.expose
    @by_post
    def logout(self):
        return goodbye()

    @cherrypy.expose
    @by_post
    def logout_everywhere(self):
        return goodbye(everywhere=True)


def goodbye(everywhere=False):
    try:
        auth.logout(request, everywhere=everywhere)
    except NotLoggedIn:
        raise cherrypy.HTTPRedirect("/login", 303) from None
    except AuthError as error:
        return page("Refused", "", error)
    get_session(request).flash("Goodbye.")
    raise cherrypy.HTTPRedirect("/", 303)


def page(title, main, error=None):
    links = {"/account": "Account"} if auth.user(request) else {"/login": "Log in", "/register": "Register"}
    nav = " ".join(f'<a href="{path}">{text}</a>' for path, text in {"/": "Shop", **links}.items())
    messages = [f'<p role="status">{escape(text)}</p>' for text in get_session(request).pop_flash()]
    alerts = [f'<p role="alert">{escape(error.message)}</p>'] if error else []
    head = f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>'
    response.status = error.status if error else 200
    return "\n".join([head, f"<nav>{nav}</nav>", f"<h1>{title}</h1>", *messages, *alerts, main])


def account_form(button, more=""):
    return f"""<form method="post">
<label>Username <input name="username"></label>
<label>Password <input name="password" type="password"></label>
{more}<button>{button}</button>
</form>"""


def cart_line():
    return f'<p id="cart">Cart: {", ".join(get_session(request).get("cart", [])) or "empty"}</p>'


app = SessionMiddleware(cherrypy.Application(Site()), secret=secret, store=store)
