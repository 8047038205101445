"""A tea shop with Bottle, written for Beaker's sessions: only the import of SessionMiddleware was changed."""

from datetime import timedelta
from pathlib import Path

from bottle import Bottle, HTTPError, SimpleTemplate, redirect, request, response

from sessionware import AuthError, NotLoggedIn, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers
from sessionware.contrib.beaker import SessionMiddleware

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
auth = Auth(SQLiteUsers("app.db"))
site = Bottle()

GOODS = ("tea", "milk", "honey")


@site.install
def members_only(view):
    """A view that needs somebody who is logged in leads a stranger to the login."""

    def answer(*args, **values):
        try:
            return view(*args, **values)
        except NotLoggedIn:
            redirect("/login", 303)

    return answer


def flash(message):
    session = request.environ["beaker.session"]
    session["messages"] = [*session.get("messages", []), message]
    session.save()


def flashed():
    session = request.environ["beaker.session"]
    messages = session.pop("messages", [])
    session.save()
    return messages


@site.get("/")
def shop():
    return page("Tea shop", SHOP.render(cart=cart(), goods=GOODS))


@site.post("/cart")
def add():
    item = request.forms.item
    if item not in GOODS:
        raise HTTPError(400, "There is no such thing in this shop.")
    # Two clicks at once change the same key, and with `modify` both count.
    get_session(request).modify("cart", lambda items: [*items, item], default=[])
    flash(f"Added {item}.")
    redirect("/", 303)


@site.get("/register")
def register_page(error=None):
    return page("Register", FORM.render(button="Register", remember_me=False), error)


@site.post("/register")
def register():
    try:
        user = auth.register(request, request.forms.username, request.forms.password)
    except AuthError as error:
        return register_page(error)
    flash(f"Welcome, {user.username}.")
    return redirect("/account", 303)


@site.get("/login")
def login_page(error=None):
    return page("Log in", FORM.render(button="Log in", remember_me=True), error)


@site.post("/login")
def login():
    try:
        user = auth.login(request, request.forms.username, request.forms.password)
    except AuthError as error:
        return login_page(error)
    if request.forms.remember:
        get_session(request).remember(timedelta(days=30))
    flash(f"Welcome back, {user.username}.")
    return redirect("/account", 303)


@site.get("/account")
def account():
    user, places = auth.require_user(request), len(auth.sessions(request))
    return page("Account", ACCOUNT.render(name=user.username, places=places, cart=cart()))


@site.post("/logout")
@site.post("/logout-everywhere")
def logout():
    auth.logout(request, everywhere=request.path == "/logout-everywhere")
    flash("Goodbye.")
    redirect("/", 303)


def cart():
    return ", ".join(request.environ["beaker.session"].get("cart", [])) or "empty"


def page(title, main, error=None):
    response.status = error.status if error else 200
    return PAGE.render(title=title, main=main, error=error, user=auth.user(request), messages=flashed())


PAGE = SimpleTemplate("""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>{{title}}</title>
<nav><a href="/">Shop</a>
{{!'<a href="/account">Account</a>' if user else '<a href="/login">Log in</a> <a href="/register">Register</a>'}}</nav>
<h1>{{title}}</h1>
% for message in messages:
<p role="status">{{message}}</p>
% end
% if error:
<p role="alert">{{error.message}}</p>
% end
{{!main}}""")
SHOP = SimpleTemplate("""<p id="cart">Cart: {{cart}}</p>
% for item in goods:
<form method="post" action="/cart"><button name="item" value="{{item}}">Add {{item}}</button></form>
% end""")
FORM = SimpleTemplate("""<form method="post">
<label>Username <input name="username"></label>
<label>Password <input name="password" type="password"></label>
% if remember_me:
<label><input type="checkbox" name="remember" value="yes"> Remember me</label>
% end
<button>{{button}}</button>
</form>""")
ACCOUNT = SimpleTemplate("""<p id="who">{{name}}</p>
<p id="places">Logged in at {{places}} {{"place" if places == 1 else "places"}}.</p>
<p id="cart">Cart: {{cart}}</p>
<form method="post" action="/logout"><button>Log out</button></form>
<form method="post" action="/logout-everywhere"><button>Log out everywhere</button></form>""")

app = SessionMiddleware(site, {"session.secret": secret, "session.timeout": 3600}, store=SQLiteStore("app.db"))
