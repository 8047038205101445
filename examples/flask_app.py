"""A tea shop with Flask, whose `session` and `flash` are kept by sessionware."""

from datetime import timedelta
from pathlib import Path

from flask import Flask, abort, flash, redirect, render_template, request, session
from jinja2 import DictLoader

from sessionware import AuthError, NotLoggedIn, SQLiteStore, get_session
from sessionware.auth import Auth, SQLiteUsers
from sessionware.contrib.flask import Sessionware

app = Flask(__name__)
secret = Path("session-secret").read_text().strip()  # from: python -m sessionware secret --file session-secret
app.config["SECRET_KEY"] = secret
app.config["SESSIONWARE_STORE"] = SQLiteStore("app.db")
Sessionware(app)
auth = Auth(SQLiteUsers("app.db"))

GOODS = ("tea", "milk", "honey")


@app.get("/")
def shop():
    return page("Tea shop", "shop.html", goods=GOODS)


@app.post("/cart")
def add():
    item = request.form.get("item")
    if item not in GOODS:
        abort(400, "There is no such thing in this shop.")
    get_session(request).modify(
        "cart", lambda items: [*items, item], default=[]
    )  # exact, also if two forms come at once
    flash(f"Added {item}.")
    return redirect("/", 303)


@app.route("/register", methods=["GET", "POST"])
def register():
    if request.method == "GET":
        return page("Register", "form.html")
    try:
        user = auth.register(request, *credentials())
    except AuthError as error:
        return page("Register", "form.html", error)
    flash(f"Welcome, {user.username}.")
    return redirect("/account", 303)


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "GET":
        return page("Log in", "form.html")
    try:
        user = auth.login(request, *credentials())
    except AuthError as error:
        return page("Log in", "form.html", error)
    if "remember" in request.form:
        get_session(request).remember(timedelta(days=30))
    flash(f"Welcome back, {user.username}.")
    return redirect("/account", 303)


@app.get("/account")
def account():
    user, places = auth.require_user(request), len(auth.sessions(request))
    return page("Account", "account.html", name=user.username, places=places)


@app.post("/logout", defaults={"everywhere": False})
@app.post("/logout-everywhere", defaults={"everywhere": True})
def logout(everywhere):
    auth.logout(request, everywhere=everywhere)
    flash("Goodbye.")
    return redirect("/", 303)


@app.errorhandler(NotLoggedIn)
def not_logged_in(error):
    return redirect("/login", 303)


@app.errorhandler(AuthError)
def refused(error):
    return page("Refused", "page.html", error)


def credentials():
    return request.form.get("username", ""), request.form.get("password", "")


def page(title, template, error=None, **values):
    user, cart = auth.user(request), ", ".join(session.get("cart", [])) or "empty"
    html = render_template(template, title=title, error=error, user=user, cart=cart, **values)
    return html, error.status if error else 200


PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>{{ title }}</title>
<nav><a href="/">Shop</a>
{% if user %}<a href="/account">Account</a>
{% else %}<a href="/login">Log in</a> <a href="/register">Register</a>{% endif %}</nav>
<h1>{{ title }}</h1>
{% for message in get_flashed_messages() %}<p role="status">{{ message }}</p>{% endfor %}
{% if error %}<p role="alert">{{ error.message }}</p>{% endif %}
{% block main %}{% endblock %}"""

SHOP = """{% extends "page.html" %}{% block main %}<p id="cart">Cart: {{ cart }}</p>
{% for item in goods %}
<form method="post" action="/cart"><button name="item" value="{{ item }}">Add {{ item }}</button></form>
{% endfor %}{% endblock %}"""

FORM = """{% extends "page.html" %}{% block main %}<form method="post">
<label>Username <input name="username"></label>
<label>Password <input name="password" type="password"></label>
{% if title == "Log in" %}<label><input type="checkbox" name="remember" value="yes"> Remember me</label>{% endif %}
<button>{{ title }}</button>
</form>{% endblock %}"""

ACCOUNT = """{% extends "page.html" %}{% block main %}<p id="who">{{ name }}</p>
<p id="places">Logged in at {{ places }} {{ "place" if places == 1 else "places" }}.</p>
<p id="cart">Cart: {{ cart }}</p>
<form method="post" action="/logout"><button>Log out</button></form>
<form method="post" action="/logout-everywhere"><button>Log out everywhere</button></form>{% endblock %}"""

app.jinja_loader = DictLoader({"page.html": PAGE, "shop.html": SHOP, "form.html": FORM, "account.html": ACCOUNT})
