"""A tea shop with Bottle."""

from datetime import timedelta
from pathlib import Path

from bottle import Bottle, HTTPError, SimpleTemplate, redirect, request, response

from sessionware import AuthError, NotLoggedIn, SessionMiddleware, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers

secret = Path("session-secret").read_text().splitlines()  # from: python -m sessionware secret --file session-secret
store, auth = SQLiteStore("app.db"), Auth(SQLiteUsers("app.db"))
site = Bottle()

GOODS = ("tea", "milk", "honey")


@site.install
def refusals(view):
    """What every view does if `auth` refuses the request, and it has no better answer itself."""

    def answer(*args, **values):
        try:
            return view(*args, **values)
        except NotLoggedIn:
            redirect("/login", 303)
        except AuthError as error:
            return page("Refused", "", error)

    return answer


@site.get("/")
def shop():
    return page("Tea shop", SHOP.render(cart=cart(), goods=GOODS))


@site.post("/cart")
def add():
    item = request.forms.item
    if item not in GOODS:
        raise HTTPError(400, "There is no such thing in this shop.")
    session = get_session(request)
    session.modify("cart", lambda items: [*items, item], default=[])
    session.flash(f"Added {item}.")
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
    get_session(request).flash(f"Welcome, {user.username}.")
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
    session = get_session(request)
    if request.forms.remember:
        session.remember(timedelta(days=30))
    session.flash(f"Welcome back, {user.username}.")
    return redirect("/account", 303)


@site.get("/account")
def account():
    user, places = auth.require_user(request), len(auth.sessions(request))
    return page("Account", ACCOUNT.render(name=user.username, places=places, cart=cart()))


@site.post("/logout")
def logout(everywhere=False):
    auth.logout(request, everywhere=everywhere)
    get_session(request).flash("Goodbye.")
    redirect("/", 303)


@site.post("/logout-everywhere")
def logout_everywhere():
    logout(everywhere=True)


def page(title, main, error=None):
    response.status = error.status if error else 200
    messages = get_session(request).pop_flash()
    return PAGE.render(title=title, main=main, error=error, user=auth.user(request), messages=messages)


def cart():
    return ", ".join(get_session(request).get("cart", [])) or "empty"


PAGE = SimpleTemplate("""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>{{title}}</title>
<nav><a href="/">Shop</a>
% if user:
<a href="/account">Account</a>
% else:
<a href="/login">Log in</a> <a href="/register">Register</a>
% end
</nav>
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

app = SessionMiddleware(site, secret=secret, store=store)
