"""The example of each framework, served as it stands: docs/frameworks.md shows these very files.

Each runs under `wsgiref.validate`; none of the frameworks breaks it.
"""

from __future__ import annotations

import importlib
import re
import secrets
from collections.abc import Callable, Iterator
from copy import copy
from importlib.metadata import version
from pathlib import Path
from re import Match
from types import ModuleType
from typing import Any, NamedTuple
from wsgiref.validate import validator

import pytest
from cherrypy._cptree import Tree
from flask.app import Flask
from webtest import TestApp, TestResponse

import dev
import sessionware
from sessionware import SessionMiddleware
from sessionware.auth import Argon2Hasher, Auth, AuthPages, MemoryUsers
from tests.support.fixed import SECRET
from tests.support.kit import WatchedStore

EXAMPLES = dev.ROOT / "examples"
PAGE = (dev.ROOT / "docs" / "frameworks.md").read_text(encoding="utf-8")
PYPROJECT = (dev.ROOT / "pyproject.toml").read_text(encoding="utf-8")

PASSWORD = "correct horse battery staple"


class Framework(NamedTuple):
    """`debug` switches on what shows developers their tracebacks, for those that have such a thing."""

    name: str
    package: str | None = None
    debug: Callable[[pytest.MonkeyPatch, ModuleType], None] | None = None

    @property
    def example(self) -> Path:
        return EXAMPLES / f"{self.name.lower()}_app.py"

    @property
    def label(self) -> str:
        return f"{self.name}-{version(self.package)}" if self.package else self.name


def debug_flask(monkeypatch: pytest.MonkeyPatch, example: Any) -> None:
    monkeypatch.setitem(example.app.config, "DEBUG", True)


def debug_bottle(monkeypatch: pytest.MonkeyPatch, example: Any) -> None:
    monkeypatch.setattr("bottle.DEBUG", True)


def debug_django(monkeypatch: pytest.MonkeyPatch, example: Any) -> None:
    monkeypatch.setattr("django.conf.settings.DEBUG", True)


def debug_cherrypy(monkeypatch: pytest.MonkeyPatch, example: Any) -> None:
    monkeypatch.setitem(example.cherrypy.config, "request.throw_errors", True)


FRAMEWORKS = [
    Framework("WSGI"),
    Framework("WebOb", "webob"),
    Framework("Flask", "flask", debug_flask),
    Framework("Bottle", "bottle", debug_bottle),
    Framework("Django", "django", debug_django),
    Framework("Pyramid", "pyramid"),
    Framework("Falcon", "falcon"),
    Framework("CherryPy", "cherrypy", debug_cherrypy),
]
each_framework = pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.label)
each_debugger = pytest.mark.parametrize(
    "framework", [each for each in FRAMEWORKS if each.debug], ids=lambda each: each.label
)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Loads an example as a server would, once: Django can be configured only once in a process."""

    def counting(path: str) -> WatchedStore:
        return WatchedStore(store(path))

    store = sessionware.SQLiteStore
    with pytest.MonkeyPatch.context() as patching:
        patching.syspath_prepend(EXAMPLES)
        patching.chdir(tmp_path_factory.mktemp("examples"))
        Path("session-secret").write_text(secrets.token_urlsafe(32))
        patching.setattr(sessionware, "SQLiteStore", counting)
        yield lambda framework: importlib.import_module(framework.example.stem)


@pytest.fixture
def example(load: Callable[..., Any], framework: Framework) -> Iterator[Any]:
    module = load(framework)
    yield module
    module.store.broken.clear()


@pytest.fixture
def browser(example: Any) -> FrameworkBrowser:
    return FrameworkBrowser(example.app)


class FrameworkBrowser:
    """Somebody who visits an example."""

    def __init__(self, app: Flask | SessionMiddleware | Tree) -> None:
        self.app = app
        self.client = TestApp(validator(app))

    def visit(self, path: str = "/", **settings: Any) -> TestResponse:
        # Some frameworks write what went wrong to wsgi.errors, which WebTest takes for a failure unless it expects one.
        return self.client.get(path, expect_errors=True, **settings)

    def send(self, path: str, **form: str) -> TestResponse:
        return self.client.post(path, form, expect_errors=True)

    def copied(self) -> FrameworkBrowser:
        """Somebody with a copy of its cookies."""
        other = FrameworkBrowser(self.app)
        for cookie in self.client.cookiejar:
            other.client.cookiejar.set_cookie(copy(cookie))
        return other

    @property
    def cookie(self) -> str | None:
        value: str | None = self.client.cookies.get("sid")
        return value


_names = iter(range(1000))


def somebody(browser: FrameworkBrowser) -> str:
    """The name of somebody who has just registered there. It takes more than ASCII to write it."""
    name = f"Zoë{next(_names)}"
    assert browser.send("/login", name=name, password=PASSWORD, new="yes").status_int in (302, 303)
    return name


@each_framework
def test_counter_counts(browser: FrameworkBrowser) -> None:
    """`get_session` takes what the framework calls a request, and a session begins with the first change."""
    first, second = browser.visit(), browser.visit()

    assert (first.text, second.text) == ("Stranger: 1", "Stranger: 2")
    assert first.content_type == "text/plain"
    assert len(first.headers.getall("Set-Cookie")) == 1
    assert "Set-Cookie" not in second.headers
    assert second.headers["Vary"] == "Cookie"


@each_framework
def test_registering_logs_in(browser: FrameworkBrowser) -> None:
    """What the stranger did is kept, and the cookie is a new one."""
    browser.visit()
    cookie = browser.cookie
    name = somebody(browser)

    assert browser.cookie not in (None, cookie)
    assert browser.visit().text == f"{name}: 2"


@each_framework
def test_logging_in_takes_the_password(browser: FrameworkBrowser, example: Any) -> None:
    """From another browser, with the right password only."""
    name, other = somebody(browser), FrameworkBrowser(example.app)

    refused = other.send("/login", name=name, password="Tr0ub4dor&3")
    assert (refused.status_int, other.visit().text) == (403, "Stranger: 1")
    assert "Incorrect username or password." in refused.text

    other.send("/login", name=name, password=PASSWORD)
    assert other.visit().text == f"{name}: 2"


@each_framework
@pytest.mark.parametrize(
    "form", [{"name": "Ada"}, {"password": PASSWORD}, {"name": "Ada", "new": "yes"}, {"new": "yes"}]
)
def test_refusal_is_a_sentence(browser: FrameworkBrowser, form: dict[str, str]) -> None:
    """And no traceback, whatever is missing from the form."""
    refused = browser.send("/login", **form)

    assert refused.status_int == (422 if "new" in form else 403)
    assert refused.content_type == "text/plain"
    assert re.fullmatch(r"(Incorrect|Please) [^\n<]+\.", refused.text)


@each_framework
def test_logging_out_ends_the_session(browser: FrameworkBrowser, example: Any) -> None:
    """The cookie is taken away, and whoever kept a copy of it is a stranger too."""
    somebody(browser)
    browser.visit()
    thief = browser.copied()
    assert thief.visit().text != "Stranger: 1"

    out = browser.send("/logout")

    assert out.status_int in (302, 303)
    assert "Max-Age=0" in out.headers["Set-Cookie"]
    assert browser.cookie is None
    assert browser.visit().text == "Stranger: 1"
    assert thief.visit().text == "Stranger: 1"


def is_unavailable(answer: TestResponse) -> bool:
    """Whether this is the middleware's 503, with nothing of the application's in it."""
    assert answer.text == "The service is unavailable for a moment. Please try again.\n"
    assert (answer.headers["Retry-After"], answer.headers.getall("Set-Cookie")) == ("5", [])
    status: str = answer.status
    return status == "503 Service Unavailable"


@each_framework
def test_outage_is_a_503_and_no_logout(browser: FrameworkBrowser, example: Any) -> None:
    """Whether the framework lets the exception out or makes a page of its own from it, and whenever it happens."""
    name = somebody(browser)
    browser.visit()

    for call in ("load", "replace"):
        example.store.broken = {call}
        assert is_unavailable(browser.visit()), call

    example.store.broken = set()
    assert browser.visit().text == f"{name}: 2"


@each_debugger
def test_outage_is_a_503_in_debug_mode_too(
    browser: FrameworkBrowser, example: Any, framework: Framework, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A framework that shows tracebacks, or passes exceptions on because of that, changes nothing."""
    somebody(browser)
    assert framework.debug is not None
    framework.debug(monkeypatch, example)

    example.store.broken = {"load"}

    assert is_unavailable(browser.visit())


@each_framework
def test_untouched_page_is_left_alone(browser: FrameworkBrowser, example: Any) -> None:
    """A page that does not look at its session, here the framework's own 404, costs no store call and no header."""
    somebody(browser)
    example.store.taken()

    answer = browser.visit("/nowhere")

    assert answer.status_int == 404
    assert {"Set-Cookie", "Cache-Control"}.isdisjoint(answer.headers)
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert example.store.taken() == []


# Beside the framework's own session


def test_flasks_own_session_lives_beside_ours() -> None:
    """As the page says: Flask's cookie is `session` and ours is `sid`, so each keeps what it was given."""
    import flask

    site = flask.Flask("shop")
    site.secret_key = SECRET
    site.wsgi_app = sessionware.SessionMiddleware(site.wsgi_app, secret=SECRET)

    @site.get("/")
    def both() -> str:
        ours = sessionware.get_session(flask.request)
        ours["n"] = flask.session["n"] = ours.get("n", 0) + 1
        return f"{ours['n']} {flask.session['n']}"

    browser = FrameworkBrowser(site)

    assert [browser.visit().text, browser.visit().text] == ["1 1", "2 2"]
    assert set(browser.client.cookies) == {"sid", "session"}


def test_cherrypys_own_server_takes_the_wrapped_application(load: Callable[..., Any]) -> None:
    """Grafted into CherryPy's tree, as the page says."""
    import cherrypy

    example = load(next(framework for framework in FRAMEWORKS if framework.name == "CherryPy"))
    tree = cherrypy._cptree.Tree()
    tree.graft(example.app, "/")

    assert FrameworkBrowser(tree).visit().text == "Stranger: 1"


# A page that asks for a login


def wsgi_page(auth: Auth) -> Any:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        greeting = greet(auth, environ)
        start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
        return [greeting.encode()]

    return app


def webob_page(auth: Auth) -> Any:
    from webob import Request, Response
    from webob.dec import wsgify

    @wsgify
    def app(request: Request) -> Response:
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
    return f"Hello {auth.require_user(request).username}"


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


@pytest.fixture
def private_site(request: pytest.FixtureRequest, load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> TestApp:
    """A site with Ada's account and a page that is for people who are logged in."""
    if request.param.startswith("Django"):
        load(next(framework for framework in FRAMEWORKS if framework.name == "Django"))  # which configures it
    manager = sessionware.SessionManager(SECRET)
    auth = Auth(MemoryUsers(), hasher=Argon2Hasher(time_cost=1, memory_cost=8))
    auth.register(manager, "Ada", PASSWORD, login=False)
    app = PRIVATE_PAGES[request.param](auth, monkeypatch)
    return TestApp(validator(manager.wrap(AuthPages(app, auth))))


each_private_site = pytest.mark.parametrize("private_site", PRIVATE_PAGES, indirect=True)


@each_private_site
def test_private_page_leads_to_the_login_and_back(private_site: TestApp) -> None:
    """Whatever the framework makes of `NotLoggedIn`: an exception that it lets out, or a page with status 500."""
    refused = private_site.get("/private/x?y=1", headers={"Accept": "text/html"}, expect_errors=True)
    assert (refused.status_int, refused.headers["Location"]) == (303, "/login?next=/private/x%3Fy%3D1")
    form = refused.follow().form
    form["username"], form["password"] = "Ada", PASSWORD

    back = form.submit()

    assert (back.status_int, back.headers["Location"]) == (303, "/private/x?y=1")
    assert back.follow().text == "Hello Ada"


@each_private_site
def test_private_page_refuses_forms_and_scripts_without_a_redirect(private_site: TestApp) -> None:
    """A form gets the login page, a script a few words."""
    page = private_site.post("/private/x", {"a": "b"}, headers={"Accept": "text/html"}, expect_errors=True)
    data = private_site.get("/private/x", headers={"Accept": "application/json"}, expect_errors=True)

    assert (page.status_int, page.form.action) == (403, "/login")
    assert (data.status_int, data.json["error"]) == (403, "not_logged_in")


# The page

ROW = re.compile(
    r"^\| \[(?P<name>\w+)\]\(\S+\) \| (?P<since>[\w. ]+) \| `(?P<line>[^`]+)` \| `(?P<request>[\w.]+)` \|$", re.M
)


def row(framework: Framework) -> Match[str]:
    rows = {match["name"]: match for match in ROW.finditer(PAGE)}
    return rows[framework.name if framework.package else "none"]


@each_framework
def test_page_names_the_line_that_the_example_wraps_by(framework: Framework) -> None:
    """The table and the file agree, and what the table says to pass is what the file passes."""
    source = framework.example.read_text(encoding="utf-8")
    passed = row(framework)["request"].rpartition(".")[2]

    assert row(framework)["line"] in source.splitlines() + [line.strip() for line in source.splitlines()]
    assert f"get_session({passed})" in source
    assert f"auth.logout({passed})" in source


@each_framework
def test_page_names_the_releases_that_are_tested(framework: Framework) -> None:
    """The oldest one is what pyproject.toml asks for, and what runs here is no older."""
    since = row(framework)["since"]

    if framework.package is not None:
        assert f'"{framework.package}>={since}"' in PYPROJECT
        assert numbers(version(framework.package)) >= numbers(since)
    else:
        assert since == "PEP 3333"


def numbers(release: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", release)]


@each_framework
def test_page_shows_the_example(framework: Framework) -> None:
    """Each example is on the page, and small enough to be read there."""
    assert f"<!-- include: examples/{framework.example.name} -->" in PAGE
    assert len(framework.example.read_text(encoding="utf-8").splitlines()) < 45


def test_every_example_of_a_framework_is_tested() -> None:
    """A file that is added has to be added here, and to the page."""
    assert {framework.example for framework in FRAMEWORKS} == set(EXAMPLES.glob("*_app.py")) - {
        EXAMPLES / "notes_app.py"
    }
