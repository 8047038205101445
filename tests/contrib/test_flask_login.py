"""Flask-Login and Flask-WTF on sessionware, as their users write them, and what `follow_logins` adds."""

from __future__ import annotations

import re
import textwrap
from datetime import timedelta
from typing import Any

import flask
import flask_login
import pytest
from flask import Flask, request, session
from flask.testing import FlaskClient
from flask_wtf import CSRFProtect

import dev
from sessionware import MemoryStore, get_session
from sessionware.contrib.flask import Sessionware
from sessionware.contrib.flask_login import follow_logins
from tests.project.pages import blocks
from tests.support.fixed import SECRET, Clock


class Person(flask_login.UserMixin):  # type: ignore[misc]  # it has no types
    """Somebody with an account, whose id is the name."""

    def __init__(self, name: str) -> None:
        self.id = name


class Site:
    """An application with Flask-Login, and with pages that tell what its tests ask."""

    def __init__(self, clock: Clock, *, follows: bool = True) -> None:
        app = self.app = Flask(__name__)
        app.config.update(SECRET_KEY=SECRET, SESSIONWARE_STORE=MemoryStore(), SESSIONWARE_CLOCK=clock)
        self.sessions = Sessionware(app)
        manager = flask_login.LoginManager(app)
        manager.user_loader(Person)
        manager.session_protection = "strong"
        if follows:
            follow_logins(app)
        methods = ["GET", "POST"]
        app.add_url_rule("/login/<name>", "login", self.login, methods=methods)
        app.add_url_rule("/logout", "logout", self.logout, methods=methods)
        app.add_url_rule("/who", "who", self.who, methods=methods)
        app.add_url_rule("/put/<key>", "put", lambda key: str(session.setdefault(key, True)))
        app.add_url_rule("/private", "private", flask_login.login_required(lambda: "private"))
        app.add_url_rule("/fresh", "fresh", flask_login.fresh_login_required(lambda: "fresh"))

    @staticmethod
    def login(name: str) -> str:
        flask_login.login_user(Person(name), remember="remember" in request.args, duration=timedelta(days=9))
        return "in"

    @staticmethod
    def logout() -> str:
        flask.flash("Goodbye.")
        flask_login.logout_user()
        return "out"

    @staticmethod
    def who() -> flask.Response:
        user = flask_login.current_user
        data = {key: value for key, value in session.items() if not key.startswith("_")}
        return flask.jsonify(
            who=getattr(user, "id", None), ours=get_session(request).user_id, id=get_session(request).id, data=data
        )

    def client(self) -> FlaskClient:
        return self.app.test_client()


def who(client: FlaskClient) -> Any:
    return client.get("/who").json


@pytest.fixture
def site(clock: Clock) -> Site:
    return Site(clock)


def test_login_and_logout_work_as_ever(site: Site) -> None:
    """With private pages and fresh logins."""
    client = site.client()

    assert client.get("/private").status_code == 401
    client.get("/login/ada")
    assert [client.get(page).text for page in ("/private", "/fresh")] == ["private", "fresh"]
    client.get("/logout")
    assert client.get("/private").status_code == 401


def test_stolen_cookie_is_refused_by_session_protection(site: Site) -> None:
    """Another browser is another identity."""
    client = site.client()
    client.get("/login/ada")

    assert client.get("/private", headers={"User-Agent": "thief"}).status_code == 401


def test_cookie_gets_a_new_token_at_login(site: Site) -> None:
    """Flask-Login itself never renews it, so whoever planted the cookie would be in."""
    client = site.client()
    client.get("/put/cart")
    before = client.get_cookie("session")
    client.get("/login/ada")
    after = client.get_cookie("session")

    assert before is not None
    assert after is not None
    assert before.value != after.value
    assert who(client)["data"] == {"cart": True}
    planted = site.client()
    planted.set_cookie("session", before.value)
    assert who(planted)["who"] is None


def test_somebodys_sessions_can_be_listed_and_ended(site: Site) -> None:
    """By the id that Flask-Login uses, wherever they are."""
    one, other = site.client(), site.client()
    for client in (one, other):
        client.get("/login/ada")

    assert len(site.sessions.manager.of(user_id="ada")) == 2
    assert site.sessions.manager.end_all(user_id="ada") == 2
    assert (who(one)["who"], who(other)["who"]) == (None, None)


def test_without_following_nobody_is_found(clock: Clock) -> None:
    """Which is what the line is for."""
    site = Site(clock, follows=False)
    client = site.client()
    client.get("/login/ada")

    assert who(client)["who"] == "ada"
    assert site.sessions.manager.of(user_id="ada") == []


def test_next_person_at_the_same_browser_finds_nothing_of_the_last_one(site: Site) -> None:
    """Not even if nobody logged out in between."""
    client = site.client()
    client.get("/login/ada")
    client.get("/put/letters")
    client.get("/login/bob")

    assert {**who(client), "id": None} == {"who": "bob", "ours": "bob", "id": None, "data": {}}
    assert client.get("/fresh").text == "fresh"


def test_logout_ends_the_session_but_for_what_is_said_last(site: Site) -> None:
    """Data goes with it, the message stays, and the old cookie opens nothing."""
    client = site.client()
    client.get("/login/ada")
    client.get("/put/letters")
    stolen = client.get_cookie("session")
    client.get("/logout")

    with client.session_transaction() as left:
        assert dict(left) == {"_flashes": [("message", "Goodbye.")]}
    assert stolen is not None
    client.set_cookie("session", stolen.value)
    assert who(client)["who"] is None


def test_remembered_person_is_logged_in_again(site: Site) -> None:
    """By Flask-Login's own cookie, when the session is over; then she is found too, but her login is not fresh."""
    client = site.client()
    line = client.get("/login/ada?remember").headers.getlist("Set-Cookie")
    client.delete_cookie("session")

    assert any("remember_token=" in each for each in line)
    assert who(client)["ours"] == "ada"
    assert client.get("/fresh").status_code == 401


def test_logout_forgets_the_remember_cookie(site: Site) -> None:
    """Although the session that said so has ended."""
    client = site.client()
    client.get("/login/ada?remember")
    client.get("/logout")

    assert client.get_cookie("remember_token") is None
    assert who(client)["who"] is None


FROM_ANOTHER_SITE = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


def test_form_of_another_site_is_nobodys_though_a_remember_cookie_came(site: Site) -> None:
    """Flask-Login gives that cookie no SameSite."""
    client = site.client()
    client.get("/login/ada?remember")

    assert client.post("/who", headers=FROM_ANOTHER_SITE).json == {"who": None, "ours": None, "id": None, "data": {}}
    assert who(client)["who"] == "ada"


@pytest.mark.parametrize("refreshes", [False, True])
def test_form_of_another_site_can_plant_no_remember_cookie(site: Site, refreshes: bool) -> None:
    """Else a visitor would be logged in to the account of whoever wrote the form."""
    site.app.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = refreshes
    response = site.client().post("/login/mallory?remember", headers=FROM_ANOTHER_SITE)

    assert response.status_code == 200
    assert response.headers.getlist("Set-Cookie") == []


def test_form_of_another_site_removes_no_remember_cookie(site: Site) -> None:
    """It logs nobody out either."""
    client = site.client()
    client.get("/login/ada?remember")
    client.post("/logout", headers=FROM_ANOTHER_SITE)

    assert client.get_cookie("remember_token") is not None
    assert who(client)["who"] == "ada"


@pytest.mark.parametrize("refreshes", [False, True])
def test_page_in_flight_undoes_no_logout(site: Site, refreshes: bool) -> None:
    """It came with a remember cookie, which proves nothing about who sits there now."""
    site.app.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = refreshes
    client, page = site.client(), site.client()
    client.get("/login/ada?remember")
    for name in ("session", "remember_token"):
        cookie = client.get_cookie(name)
        assert cookie is not None
        page.set_cookie(name, cookie.value)
    client.get("/logout")

    assert page.get("/who").headers.getlist("Set-Cookie") == []
    assert site.sessions.manager.of(user_id="ada") == []


def test_session_ends_when_session_protection_has_struck(site: Site) -> None:
    """For ours too, and not only for Flask-Login."""
    client = site.client()
    client.get("/login/ada")
    client.get("/private", headers={"User-Agent": "thief"})

    assert site.sessions.manager.of(user_id="ada") == []


def test_session_protection_leaves_a_visitors_cart(site: Site) -> None:
    """It strikes at each session that Flask-Login has not begun."""
    client = site.client()
    client.get("/put/cart")

    assert who(client)["data"] == {"cart": True}
    assert who(client)["data"] == {"cart": True}


def test_remember_cookie_is_that_of_the_last_login(site: Site) -> None:
    """Also where nobody logged out in between."""
    client = site.client()
    client.get("/login/ada")
    client.get("/login/bob?remember")
    client.delete_cookie("session")

    assert who(client)["who"] == "bob"


def test_login_that_was_moved_over_can_be_found_and_ended(site: Site) -> None:
    """By the lines that docs/coming-from-flask-login.md adds to those of docs/flask.md."""
    (move_over,) = [block.code for block in blocks(page("flask")) if "def move_over" in block.code]
    (login,) = [block.code for block in blocks(page("coming-from-flask-login")) if block.not_run]
    update = "        session.update(old)\n"
    assert update in move_over
    code = move_over.replace(update, update + textwrap.indent(login, "        "))
    names: dict[str, Any] = {"app": site.app, "Flask": Flask, "get_session": get_session}
    exec(code, {**names, "request": request, "session": session})
    client = site.client()
    client.set_cookie("session", cookie_of_old_application("the old SECRET_KEY"))

    assert {**who(client), "id": None} == {"who": "ada", "ours": "ada", "id": None, "data": {"cart": ["tea"]}}
    assert who(client)["ours"] == "ada"
    assert client.get_cookie("session") is None
    assert site.sessions.manager.end_all(user_id="ada") == 1
    assert who(client)["who"] is None


@pytest.mark.parametrize("leaves", ["/logout", None])
def test_visitor_who_was_moved_over_keeps_the_cart_until_a_logout(site: Site, clock: Clock, leaves: str | None) -> None:
    """Also one who looks at a single page, and comes back when the new session is over for want of its cookie."""
    (move_over,) = [block.code for block in blocks(page("flask")) if "def move_over" in block.code]
    names: dict[str, Any] = {"app": site.app, "Flask": Flask, "get_session": get_session}
    exec(move_over, {**names, "request": request, "session": session})
    client = site.client()
    client.set_cookie("session", cookie_of_old_application("the old SECRET_KEY"))
    client.get(leaves or "/who")
    clock.tick(2 * 3600)

    assert who(client)["data"] == ({} if leaves else {"cart": ["tea"]})


def page(name: str) -> str:
    return (dev.ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def cookie_of_old_application(secret: str) -> str:
    """Of somebody who is logged in to one with Flask's own sessions, and has something in the cart."""
    app = Flask(__name__)
    app.secret_key = secret
    flask_login.LoginManager(app).user_loader(Person)
    app.add_url_rule("/login/<name>", "login", lambda name: (session.update(cart=["tea"]), Site.login(name))[1])
    client = app.test_client()
    client.get("/login/ada")
    cookie = client.get_cookie("session")
    assert cookie is not None
    return cookie.value


def test_forms_of_flask_wtf_are_protected(site: Site) -> None:
    """A form without its token is refused, and the token holds from page to page."""
    CSRFProtect(site.app)
    site.app.add_url_rule("/form", "form", lambda: flask.render_template_string("{{ csrf_token() }}"))
    site.app.add_url_rule("/send", "send", lambda: "sent", methods=["POST"])
    client = site.client()
    token = client.get("/form").text

    assert client.post("/send").status_code == 400
    assert client.post("/send", data={"csrf_token": token}).text == "sent"
    assert re.fullmatch(r"\S{50,}", token)
