"""bottle-cork's login, on an application as its manual has it. Its own tests of that need Python 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bottle
import pytest
from beaker.middleware import SessionMiddleware  # ours: the plugin has put it there
from cork import AuthException, Cork
from webtest import TestApp

OPTIONS = {
    "session.cookie_expires": True,
    "session.encrypt_key": "please use a random key and keep it secret!",
    "session.httponly": True,
    "session.timeout": 3600 * 24,
    "session.type": "cookie",
    "session.validate_key": True,
}


@pytest.fixture
def browser(tmp_path: Path) -> Any:
    cork = Cork(str(tmp_path), initialize=True)
    cork._store.roles["admin"] = 100
    hashed = cork._hash("ada", "pass").decode()
    cork._store.users["ada"] = {"role": "admin", "hash": hashed, "desc": "", "email_addr": "", "creation_date": ""}
    site = bottle.Bottle()

    def login() -> None:
        cork.login(bottle.request.forms.username, bottle.request.forms.password, "/who", "/refused")

    def who() -> dict[str, object]:
        try:
            cork.require(role="admin")
        except AuthException:
            return {"user": None}
        user = cork.current_user
        return {"user": user.username, "id": user.session_id, "created": user.session_creation_time}

    def logout() -> None:
        cork.logout(success_redirect="/who")

    site.route("/login", "POST", login)
    site.route("/who", "GET", who)
    site.route("/logout", "GET", logout)
    return TestApp(SessionMiddleware(site, OPTIONS))


def test_stranger_is_anonymous_and_gets_no_cookie(browser: Any) -> None:
    """Nor does one with a wrong password."""
    assert browser.get("/who").json == {"user": None}
    assert browser.post("/login", {"username": "ada", "password": "wrong"}).location.endswith("/refused")
    assert browser.cookies == {}


def test_login_lasts_until_logout(browser: Any) -> None:
    """With the session's id and times, which Cork takes from its data."""
    answer = browser.post("/login", {"username": "ada", "password": "pass"})
    first = answer.follow().json
    copied = browser.cookies["beaker.session.id"]

    assert first["user"] == "ada"
    assert first["id"]
    assert first["created"] > 0
    assert browser.get("/who").json == first
    assert browser.get("/logout").follow().json == {"user": None}
    assert browser.cookies == {}
    assert browser.get("/who", headers={"Cookie": f"beaker.session.id={copied}"}).json == {"user": None}
