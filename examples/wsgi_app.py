"""A tea shop without any framework, by the standard library alone."""

from datetime import timedelta
from html import escape
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl

from sessionware import AuthError, NotLoggedIn, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
store, auth = SQLiteStore("app.db"), Auth(SQLiteUsers("app.db"))

GOODS = ("tea", "milk", "honey")
REMEMBER_ME = '<label><input type="checkbox" name="remember" value="yes"> Remember me</label>'


def shop(environ):
    buttons = (f'<button name="item" value="{item}">Add {item}</button>' for item in GOODS)
    forms = (f'<form method="post" action="/cart">{button}</form>' for button in buttons)
    return page(environ, "Tea shop", "\n".join([cart_line(environ), *forms]))


def add(environ):
    item = form_of(environ).get("item")
    if item not in GOODS:
        return "400 Bad Request", [], "There is no such thing in this shop."
    session = get_session(environ)
    session.modify("cart", lambda items: [*items, item], default=[])
    session.flash(f"Added {item}.")
    return redirect("/")


def register_page(environ, error=None):
    return page(environ, "Register", account_form("Register"), error)


def register(environ):
    form = form_of(environ)
    try:
        user = auth.register(environ, form.get("username", ""), form.get("password", ""))
    except AuthError as error:
        return register_page(environ, error)
    get_session(environ).flash(f"Welcome, {user.username}.")
    return redirect("/account")


def login_page(environ, error=None):
    return page(environ, "Log in", account_form("Log in", REMEMBER_ME), error)


def login(environ):
    form, session = form_of(environ), get_session(environ)
    try:
        user = auth.login(environ, form.get("username", ""), form.get("password", ""))
    except AuthError as error:
        return login_page(environ, error)
    if "remember" in form:
        session.remember(timedelta(days=30))
    session.flash(f"Welcome back, {user.username}.")
    return redirect("/account")


def account(environ):
    user, places = auth.require_user(environ), len(auth.sessions(environ))
    main = f"""<p id="who">{escape(user.username)}</p>
<p id="places">Logged in at {places} {"place" if places == 1 else "places"}.</p>
{cart_line(environ)}
<form method="post" action="/logout"><button>Log out</button></form>
<form method="post" action="/logout-everywhere"><button>Log out everywhere</button></form>"""
    return page(environ, "Account", main)


def logout(environ, everywhere=False):
    auth.logout(environ, everywhere=everywhere)
    get_session(environ).flash("Goodbye.")
    return redirect("/")


def page(environ, title, main, error=None):
    links = {"/account": "Account"} if auth.user(environ) else {"/login": "Log in", "/register": "Register"}
    nav = " ".join(f'<a href="{path}">{text}</a>' for path, text in {"/": "Shop", **links}.items())
    messages = [f'<p role="status">{escape(text)}</p>' for text in get_session(environ).pop_flash()]
    alerts = [f'<p role="alert">{escape(error.message)}</p>'] if error else []
    head = f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>'
    status = HTTPStatus(error.status if error else 200)
    html = [head, f"<nav>{nav}</nav>", f"<h1>{title}</h1>", *messages, *alerts, main]
    return f"{status.value} {status.phrase}", [], "\n".join(html)


def account_form(button, more=""):
    return f"""<form method="post">
<label>Username <input name="username"></label>
<label>Password <input name="password" type="password"></label>
{more}<button>{button}</button>
</form>"""


def cart_line(environ):
    return f'<p id="cart">Cart: {", ".join(get_session(environ).get("cart", [])) or "empty"}</p>'


def redirect(path):
    return "303 See Other", [("Location", path)], ""


def form_of(environ):
    length = min(int(environ.get("CONTENT_LENGTH") or 0), 10_000)  # no form here is longer
    return dict(parse_qsl(environ["wsgi.input"].read(length).decode("utf-8", "replace")))


VIEWS = {
    ("GET", "/"): shop,
    ("POST", "/cart"): add,
    ("GET", "/register"): register_page,
    ("POST", "/register"): register,
    ("GET", "/login"): login_page,
    ("POST", "/login"): login,
    ("GET", "/account"): account,
    ("POST", "/logout"): logout,
    ("POST", "/logout-everywhere"): lambda environ: logout(environ, everywhere=True),
}


def application(environ, start_response):
    view = VIEWS.get((environ["REQUEST_METHOD"], environ.get("PATH_INFO") or "/"))
    try:
        status, headers, html = view(environ) if view else ("404 Not Found", [], "There is no such page.")
    except NotLoggedIn:
        status, headers, html = redirect("/login")
    except AuthError as error:
        status, headers, html = page(environ, "Refused", "", error)
    start_response(status, [("Content-Type", "text/html; charset=utf-8"), *headers])
    return [html.encode()]


app = SessionMiddleware(application, secret=secret, store=store)
