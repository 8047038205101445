"""A tea shop with WebOb."""

from datetime import timedelta
from html import escape
from pathlib import Path

from webob import Response
from webob.dec import wsgify
from webob.exc import HTTPBadRequest, HTTPNotFound, HTTPSeeOther

from sessionware import AuthError, NotLoggedIn, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
store, auth = SQLiteStore("app.db"), Auth(SQLiteUsers("app.db"))

GOODS = ("tea", "milk", "honey")
REMEMBER_ME = '<label><input type="checkbox" name="remember" value="yes"> Remember me</label>'


@wsgify
def application(request):
    try:
        return answer(request)
    except NotLoggedIn:
        return HTTPSeeOther(location="/login")
    except AuthError as error:
        return page(request, "Refused", "", error)


def answer(request):
    match request.method, request.path_info:
        case "GET" | "HEAD", "/":
            return shop(request)
        case "POST", "/cart":
            return add(request)
        case "GET" | "HEAD", "/register":
            return register_page(request)
        case "POST", "/register":
            return register(request)
        case "GET" | "HEAD", "/login":
            return login_page(request)
        case "POST", "/login":
            return login(request)
        case "GET" | "HEAD", "/account":
            return account(request)
        case "POST", "/logout":
            return logout(request)
        case "POST", "/logout-everywhere":
            return logout(request, everywhere=True)
    return HTTPNotFound()


def shop(request):
    buttons = (f'<button name="item" value="{item}">Add {item}</button>' for item in GOODS)
    forms = (f'<form method="post" action="/cart">{button}</form>' for button in buttons)
    return page(request, "Tea shop", "\n".join([cart_line(request), *forms]))


def add(request):
    session, item = get_session(request), request.POST.get("item")
    if item not in GOODS:
        return HTTPBadRequest("There is no such thing in this shop.")
    session.modify("cart", lambda items: [*items, item], default=[])
    session.flash(f"Added {item}.")
    return HTTPSeeOther(location="/")


def register_page(request, error=None):
    return page(request, "Register", account_form("Register"), error)


def register(request):
    try:
        user = auth.register(request, request.POST.get("username", ""), request.POST.get("password", ""))
    except AuthError as error:
        return register_page(request, error)
    get_session(request).flash(f"Welcome, {user.username}.")
    return HTTPSeeOther(location="/account")


def login_page(request, error=None):
    return page(request, "Log in", account_form("Log in", REMEMBER_ME), error)


def login(request):
    session = get_session(request)
    try:
        user = auth.login(request, request.POST.get("username", ""), request.POST.get("password", ""))
    except AuthError as error:
        return login_page(request, error)
    if "remember" in request.POST:
        session.remember(timedelta(days=30))
    session.flash(f"Welcome back, {user.username}.")
    return HTTPSeeOther(location="/account")


def account(request):
    user, places = auth.require_user(request), len(auth.sessions(request))
    main = f"""<p id="who">{escape(user.username)}</p>
<p id="places">Logged in at {places} {"place" if places == 1 else "places"}.</p>
{cart_line(request)}
<form method="post" action="/logout"><button>Log out</button></form>
<form method="post" action="/logout-everywhere"><button>Log out everywhere</button></form>"""
    return page(request, "Account", main)


def logout(request, everywhere=False):
    auth.logout(request, everywhere=everywhere)
    get_session(request).flash("Goodbye.")
    return HTTPSeeOther(location="/")


def page(request, title, main, error=None):
    links = {"/account": "Account"} if auth.user(request) else {"/login": "Log in", "/register": "Register"}
    nav = " ".join(f'<a href="{path}">{text}</a>' for path, text in {"/": "Shop", **links}.items())
    messages = [f'<p role="status">{escape(text)}</p>' for text in get_session(request).pop_flash()]
    alerts = [f'<p role="alert">{escape(error.message)}</p>'] if error else []
    head = f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>'
    html = [head, f"<nav>{nav}</nav>", f"<h1>{title}</h1>", *messages, *alerts, main]
    return Response("\n".join(html), status=error.status if error else 200)


def account_form(button, more=""):
    return f"""<form method="post">
<label>Username <input name="username"></label>
<label>Password <input name="password" type="password"></label>
{more}<button>{button}</button>
</form>"""


def cart_line(request):
    return f'<p id="cart">Cart: {", ".join(get_session(request).get("cart", [])) or "empty"}</p>'


app = SessionMiddleware(application, secret=secret, store=store)
