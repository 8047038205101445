"""Each framework wrapped in `SessionMiddleware` and `AuthPages`, whatever it makes of an exception.

Some let it out, others make a page with status 500 of it, and several do the one or the other by a setting. A visitor
sees no difference. Each runs under `wsgiref.validate`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any
from wsgiref.validate import validator

import pytest
from webtest import TestApp, TestResponse

from sessionware import MemoryStore, SessionManager, SessionMiddleware, get_session
from sessionware.auth import Argon2Hasher, Auth, AuthPages, MemoryUsers
from tests.support.fixed import SECRET
from tests.support.kit import WatchedStore

PASSWORD = "seven quiet lanterns drift"


def wsgi_page(auth: Auth) -> Any:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        is_private = environ["PATH_INFO"].startswith("/private/")
        status, text = ("200 OK", greet(auth, environ)) if is_private else ("404 Not Found", "")
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [text.encode()]

    return app


def webob_page(auth: Auth) -> Any:
    from webob import Request, Response
    from webob.dec import wsgify
    from webob.exc import HTTPNotFound

    @wsgify
    def app(request: Request) -> Response:
        if not request.path_info.startswith("/private/"):
            raise HTTPNotFound
        return Response(text=greet(auth, request), content_type="text/plain")

    return app


def flask_page(auth: Auth, **config: bool) -> Any:
    import flask

    app = flask.Flask("private")
    app.config.update(config)

    @app.route("/private/<name>", methods=["GET", "POST"])
    def private(name: str) -> str:
        return greet(auth, flask.request)

    return app


def bottle_page(auth: Auth) -> Any:
    import bottle

    app = bottle.Bottle()
    app.route("/private/<name>", ["GET", "POST"], lambda name: greet(auth, bottle.request))
    return app


def django_page(auth: Auth, monkeypatch: pytest.MonkeyPatch, *, debug: bool) -> Any:
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    if not settings.configured:  # once in a process
        settings.configure(ALLOWED_HOSTS=["localhost"])
    urls: Any = ModuleType("urls_of_the_private_page")
    urls.urlpatterns = [path("private/<name>", csrf_exempt(lambda request, name: HttpResponse(greet(auth, request))))]
    for name, value in {"ROOT_URLCONF": urls, "SECRET_KEY": SECRET, "DEBUG": debug}.items():
        monkeypatch.setitem(settings.__dict__, name, value)  # where it keeps what it was asked for
    return get_wsgi_application()


def pyramid_page(auth: Auth) -> Any:
    from pyramid.config import Configurator

    with Configurator() as config:
        config.add_route("private", "/private/{name}")
        config.add_view(lambda request: greet(auth, request), route_name="private", renderer="string")
        return config.make_wsgi_app()


def falcon_page(auth: Auth) -> Any:
    import falcon

    class Private:
        def on_get(self, req: Any, resp: Any, name: str) -> None:
            resp.content_type, resp.text = falcon.MEDIA_TEXT, greet(auth, req)

        on_post = on_get

    app = falcon.App()
    app.add_route("/private/{name}", Private())
    return app


def cherrypy_page(auth: Auth, **config: bool) -> Any:
    import cherrypy

    class Site:
        @cherrypy.expose  # type: ignore[untyped-decorator]
        def private(self, name: str, **query: str) -> str:
            return greet(auth, cherrypy.request)

    return cherrypy.Application(Site(), config={"/": {f"request.{name}": value for name, value in config.items()}})


def greet(auth: Auth, request: Any) -> str:
    """What the private page says. It reads its session, and writes to it."""
    name = auth.require_user(request).username
    visits = get_session(request).modify("visits", lambda n: n + 1, default=0)
    return f"Hello {name}: {visits}"


PRIVATE_PAGES: dict[str, Callable[[Auth, pytest.MonkeyPatch], Any]] = {
    "WSGI": lambda auth, _: wsgi_page(auth),
    "WebOb": lambda auth, _: webob_page(auth),
    "Flask": lambda auth, _: flask_page(auth),
    "Flask, DEBUG": lambda auth, _: flask_page(auth, DEBUG=True),
    "Flask, TESTING": lambda auth, _: flask_page(auth, TESTING=True),
    "Flask, DEBUG that keeps exceptions": lambda auth, _: flask_page(auth, DEBUG=True, PROPAGATE_EXCEPTIONS=False),
    "Bottle": lambda auth, _: bottle_page(auth),
    "Bottle, DEBUG": lambda auth, monkeypatch: (monkeypatch.setattr("bottle.DEBUG", True), bottle_page(auth))[1],
    "Django": lambda auth, monkeypatch: django_page(auth, monkeypatch, debug=False),
    "Django, DEBUG": lambda auth, monkeypatch: django_page(auth, monkeypatch, debug=True),
    "Pyramid": lambda auth, _: pyramid_page(auth),
    "Falcon": lambda auth, _: falcon_page(auth),
    "CherryPy": lambda auth, _: cherrypy_page(auth),
    "CherryPy, throw_errors": lambda auth, _: cherrypy_page(auth, throw_errors=True),
}

each_framework = pytest.mark.parametrize("framework", PRIVATE_PAGES)


@pytest.fixture
def store() -> WatchedStore:
    return WatchedStore(MemoryStore())


@pytest.fixture
def visitor(framework: str, store: WatchedStore, monkeypatch: pytest.MonkeyPatch) -> TestApp:
    """Somebody at a site with Ada's account and a page that is for people who are logged in."""
    manager = SessionManager(SECRET, store)
    auth = Auth(MemoryUsers(), hasher=Argon2Hasher(time_cost=1, memory_cost=8))
    auth.register(manager, "Ada", PASSWORD, login=False)
    app = PRIVATE_PAGES[framework](auth, monkeypatch)
    return TestApp(validator(manager.wrap(AuthPages(app, auth))))


def ask(visitor: TestApp, path: str = "/private/x") -> TestResponse:
    # Some frameworks write what went wrong to wsgi.errors, which WebTest takes for a failure unless it expects one.
    return visitor.get(path, headers={"Accept": "text/html"}, expect_errors=True)


def log_in(visitor: TestApp, page: TestResponse) -> TestResponse:
    """Fill in the login page that somebody was led to. The answer is the redirect back."""
    form = page.follow().form
    form["username"], form["password"] = "Ada", PASSWORD
    return form.submit()


@each_framework
def test_private_page_leads_to_the_login_and_back(visitor: TestApp) -> None:
    """Whatever the framework makes of `NotLoggedIn`."""
    refused = ask(visitor, "/private/x?y=1")
    assert (refused.status_int, refused.headers["Location"]) == (303, "/login?next=/private/x%3Fy%3D1")

    back = log_in(visitor, refused)

    assert (back.status_int, back.headers["Location"]) == (303, "/private/x?y=1")
    assert back.follow().text == "Hello Ada: 1"


@each_framework
def test_private_page_refuses_forms_and_scripts_without_a_redirect(visitor: TestApp) -> None:
    """A form gets the login page, a script a few words."""
    page = visitor.post("/private/x", {"a": "b"}, headers={"Accept": "text/html"}, expect_errors=True)
    data = visitor.get("/private/x", headers={"Accept": "application/json"}, expect_errors=True)

    assert (page.status_int, page.form.action) == (403, "/login")
    assert (data.status_int, data.json["error"]) == (403, "not_logged_in")


@each_framework
@pytest.mark.parametrize("call", ["load", "replace"])
def test_outage_is_a_503_and_no_logout(visitor: TestApp, store: WatchedStore, call: str) -> None:
    """When the session is read, and when it is saved. The page is the middleware's, with no traceback in it."""
    log_in(visitor, ask(visitor)).follow()

    store.broken = {call}
    answer = ask(visitor)
    store.broken = set()

    assert answer.status == "503 Service Unavailable"
    assert answer.text == "The service is unavailable for a moment. Please try again.\n"
    assert (answer.headers["Retry-After"], answer.headers.getall("Set-Cookie")) == ("5", [])
    assert ask(visitor).text == "Hello Ada: 2"


@each_framework
def test_untouched_page_is_left_alone(visitor: TestApp, store: WatchedStore) -> None:
    """A page that does not look at its session, here the framework's own 404, costs no store call and no header."""
    log_in(visitor, ask(visitor)).follow()
    store.taken()

    answer = ask(visitor, "/nowhere")

    assert answer.status_int == 404
    assert {"Set-Cookie", "Cache-Control"}.isdisjoint(answer.headers)
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert store.taken() == []


def test_flasks_own_session_lives_beside_ours() -> None:
    """Flask's cookie is `session` and ours is `sid`, so each keeps what it was given."""
    import flask

    site = flask.Flask("shop")
    site.secret_key = SECRET
    site.wsgi_app = SessionMiddleware(site.wsgi_app, secret=SECRET)

    @site.get("/")
    def both() -> str:
        ours = get_session(flask.request)
        ours["n"] = flask.session["n"] = ours.get("n", 0) + 1
        return f"{ours['n']} {flask.session['n']}"

    browser = TestApp(validator(site))

    assert [browser.get("/").text, browser.get("/").text] == ["1 1", "2 2"]
    assert set(browser.cookies) == {"sid", "session"}
