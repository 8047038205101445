"""A tea shop with Falcon."""

from datetime import timedelta
from html import escape
from pathlib import Path

import falcon

from sessionware import AuthError, NotLoggedIn, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
store, auth = SQLiteStore("app.db"), Auth(SQLiteUsers("app.db"))

GOODS = ("tea", "milk", "honey")
REMEMBER_ME = '<label><input type="checkbox" name="remember" value="yes"> Remember me</label>'


class Shop:
    def on_get(self, req, resp):
        buttons = (f'<button name="item" value="{item}">Add {item}</button>' for item in GOODS)
        forms = (f'<form method="post" action="/cart">{button}</form>' for button in buttons)
        show(req, resp, "Tea shop", "\n".join([cart_line(req), *forms]))

    def on_post_cart(self, req, resp):
        session, item = get_session(req), req.get_media().get("item")
        if item not in GOODS:
            raise falcon.HTTPBadRequest(description="There is no such thing in this shop.")
        session.modify("cart", lambda items: [*items, item], default=[])
        session.flash(f"Added {item}.")
        raise falcon.HTTPSeeOther("/")


class Register:
    def on_get(self, req, resp, error=None):
        show(req, resp, "Register", account_form("Register"), error)

    def on_post(self, req, resp):
        form = req.get_media()
        try:
            user = auth.register(req, form.get("username", ""), form.get("password", ""))
        except AuthError as error:
            return self.on_get(req, resp, error)
        get_session(req).flash(f"Welcome, {user.username}.")
        raise falcon.HTTPSeeOther("/account")


class Login:
    def on_get(self, req, resp, error=None):
        show(req, resp, "Log in", account_form("Log in", REMEMBER_ME), error)

    def on_post(self, req, resp):
        form, session = req.get_media(), get_session(req)
        try:
            user = auth.login(req, form.get("username", ""), form.get("password", ""))
        except AuthError as error:
            return self.on_get(req, resp, error)
        if "remember" in form:
            session.remember(timedelta(days=30))
        session.flash(f"Welcome back, {user.username}.")
        raise falcon.HTTPSeeOther("/account")


class Account:
    def on_get(self, req, resp):
        user, places = auth.require_user(req), len(auth.sessions(req))
        main = f"""<p id="who">{escape(user.username)}</p>
<p id="places">Logged in at {places} {"place" if places == 1 else "places"}.</p>
{cart_line(req)}
<form method="post" action="/logout"><button>Log out</button></form>
<form method="post" action="/logout-everywhere"><button>Log out everywhere</button></form>"""
        show(req, resp, "Account", main)

    def on_post_logout(self, req, resp, everywhere=False):
        auth.logout(req, everywhere=everywhere)
        get_session(req).flash("Goodbye.")
        raise falcon.HTTPSeeOther("/")

    def on_post_logout_everywhere(self, req, resp):
        self.on_post_logout(req, resp, everywhere=True)


def show(req, resp, title, main, error=None):
    links = {"/account": "Account"} if auth.user(req) else {"/login": "Log in", "/register": "Register"}
    nav = " ".join(f'<a href="{path}">{text}</a>' for path, text in {"/": "Shop", **links}.items())
    messages = [f'<p role="status">{escape(text)}</p>' for text in get_session(req).pop_flash()]
    alerts = [f'<p role="alert">{escape(error.message)}</p>'] if error else []
    head = f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>'
    resp.status, resp.content_type = error.status if error else 200, falcon.MEDIA_HTML
    resp.text = "\n".join([head, f"<nav>{nav}</nav>", f"<h1>{title}</h1>", *messages, *alerts, main])


def account_form(button, more=""):
    return f"""<form method="post">
<label>Username <input name="username"></label>
<label>Password <input name="password" type="password"></label>
{more}<button>{button}</button>
</form>"""


def cart_line(req):
    return f'<p id="cart">Cart: {", ".join(get_session(req).get("cart", [])) or "empty"}</p>'


def refused(req, resp, error, params):
    show(req, resp, "Refused", "", error)


def log_in_first(req, resp, error, params):
    raise falcon.HTTPSeeOther("/login")


api = falcon.App()
api.add_error_handler(AuthError, refused)
api.add_error_handler(NotLoggedIn, log_in_first)
api.add_route("/", Shop())
api.add_route("/cart", Shop(), suffix="cart")
api.add_route("/register", Register())
api.add_route("/login", Login())
api.add_route("/account", Account())
api.add_route("/logout", Account(), suffix="logout")
api.add_route("/logout-everywhere", Account(), suffix="logout_everywhere")
app = SessionMiddleware(api, secret=secret, store=store)
