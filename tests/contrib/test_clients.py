"""What `sessionware.testing` gives to tests of an application, with each client that people write such tests with."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.cookiejar import CookieJar
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, NamedTuple
from urllib.request import HTTPCookieProcessor, build_opener
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import flask
import freezegun
import httpx
import pytest
import requests
import time_machine
import werkzeug.test
from django.conf import UserSettingsHolder, global_settings
from django.conf import settings as django_settings
from playwright.async_api import BrowserContext as AsyncContext
from playwright.sync_api import sync_playwright
from webtest import TestApp

import dev
from sessionware import (
    Cookie,
    FileStore,
    MemoryStore,
    SessionManager,
    SessionMiddleware,
    SQLiteStore,
    Store,
    StoreUnavailable,
    get_session,
)
from sessionware.auth import Auth, AuthPages, MemoryUsers, User
from sessionware.testing import MovableClock, log_in, session_of
from tests.project.pages import blocks
from tests.support.auth_kit import CHEAP, PASSWORD
from tests.support.fixed import SECRET
from tests.support.kit import WatchedStore
from tests.support.prerequisites import require
from tests.support.servers import PATIENCE

HOUR = 3600
DAY = 24 * HOUR

PAGE = (dev.ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


def view(environ: dict[str, Any], path: str) -> str:
    """Every site's only view: who is there, and what is in the cart. /leave logs out, /cookies says what was sent."""
    session = get_session(environ)
    if path == "/leave":
        session.invalidate()
    if path == "/cookies":
        return str(environ.get("HTTP_COOKIE", ""))
    return f"{session.username}: {session.get('cart')}"


class Site:
    """That view with sessions, and their clock and store."""

    def __init__(self, **settings: Any) -> None:
        self.clock = MovableClock(1_700_000_000)
        self.store = WatchedStore(MemoryStore())
        self.manager = SessionManager(SECRET, self.store, clock=self.clock, **settings)
        self.wsgi = self.manager.wrap(_application)


def _application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    text = view(environ, environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]


class Visitor(NamedTuple):
    """Somebody with a client. `url` is what `log_in` and `session_of` have to be told with it."""

    site: Site
    client: Any
    read: Callable[[str], str]
    url: str | None = None

    def log_in(self, user: Any = "ada", **options: Any) -> None:
        log_in(self.client, self.site.manager, user, url=self.url, **options)

    def session(self) -> Any:
        return session_of(self.client, self.site.manager, url=self.url)


# The clients


@contextmanager
def webtest(site: Site, scheme: str) -> Iterator[Visitor]:
    client = TestApp(site.wsgi, extra_environ={"wsgi.url_scheme": scheme})
    yield Visitor(site, client, lambda path: str(client.get(path).text))


@contextmanager
def werkzeugs(site: Site, scheme: str) -> Iterator[Visitor]:
    client, url = werkzeug.test.Client(site.wsgi), f"{scheme}://localhost/"
    yield Visitor(site, client, lambda path: str(client.get(path, base_url=url).text), url)


@contextmanager
def flasks(site: Site, scheme: str) -> Iterator[Visitor]:
    app = flask.Flask("shop")
    app.config.update(SERVER_NAME="shop.example", PREFERRED_URL_SCHEME=scheme)
    app.add_url_rule("/<path:path>", view_func=lambda path: view(flask.request.environ, f"/{path}"))
    app.wsgi_app = site.manager.wrap(app.wsgi_app)
    client = app.test_client()
    yield Visitor(site, client, lambda path: client.get(path).text)


@contextmanager
def djangos(site: Site, scheme: str) -> Iterator[Visitor]:
    """With the handler that docs/testing.md shows."""
    namespace: dict[str, Any] = {}
    with djangos_settings():
        exec(next(block.code for block in blocks(PAGE) if "class SessionHandler" in block.code), namespace)
        namespace["SessionHandler"].manager = site.manager
        client = namespace["SessionClient"]()
        yield Visitor(
            site,
            client,
            lambda path: str(client.get(path, secure=scheme == "https").content.decode()),
            f"{scheme}://testserver/",
        )


@contextmanager
def djangos_settings() -> Iterator[None]:
    """Settings of our own for the time of a test: a process can be configured only once."""

    class Urls:
        from django.http import HttpResponse
        from django.urls import re_path

        urlpatterns = [re_path("(.*)", lambda request, path: Urls.HttpResponse(view(request.META, f"/{path}")))]  # noqa: RUF012

    before, own = vars(django_settings)["_wrapped"], UserSettingsHolder(global_settings)
    own.ROOT_URLCONF, own.ALLOWED_HOSTS = Urls, ["testserver"]
    django_settings._wrapped = own
    try:
        yield
    finally:
        django_settings._wrapped = before


@contextmanager
def httpxs(site: Site, scheme: str) -> Iterator[Visitor]:
    url = f"{scheme}://localhost"
    with httpx.Client(transport=httpx.WSGITransport(app=site.wsgi), base_url=url) as client:
        yield Visitor(site, client, lambda path: client.get(path).text)


@contextmanager
def requests_to_a_server(site: Site, scheme: str) -> Iterator[Visitor]:
    with serving(site) as url, requests.Session() as client:
        yield Visitor(site, client, lambda path: client.get(url + path, timeout=PATIENCE).text, url)


@contextmanager
def urllib_to_a_server(site: Site, scheme: str) -> Iterator[Visitor]:
    jar = CookieJar()
    opener = build_opener(HTTPCookieProcessor(jar))
    with serving(site) as url:
        yield Visitor(site, jar, lambda path: str(opener.open(url + path, timeout=PATIENCE).read().decode()), url)


@contextmanager
def chromium(site: Site, scheme: str) -> Iterator[Visitor]:
    executable = require("chromium")
    with serving(site) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        context = browser.new_context()
        page = context.new_page()
        yield Visitor(site, context, lambda path: (page.goto(url + path), page.inner_text("body"))[1], url)
        browser.close()


class Threads(ThreadingMixIn, WSGIServer):
    """Browsers keep a connection in reserve; a server that waits for its request would answer no other meanwhile."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(site: Site) -> Iterator[str]:
    with make_server("127.0.0.1", 0, site.wsgi, Threads, Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(PATIENCE)


IN_PROCESS = {
    "WebTest": webtest,
    "Werkzeug": werkzeugs,
    "Flask": flasks,
    "Django": djangos,
    "HTTPX": httpxs,
}
CLIENTS = {
    **IN_PROCESS,
    "Requests": requests_to_a_server,
    "urllib": urllib_to_a_server,
    "Playwright": chromium,
}


@pytest.fixture(params=CLIENTS)
def visitor(request: pytest.FixtureRequest) -> Iterator[Visitor]:
    """Each of the clients, of a stranger."""
    with CLIENTS[request.param](Site(), "http") as visitor:
        yield visitor


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def client(site: Site) -> TestApp:
    return TestApp(site.wsgi)


# Logged in


def test_a_client_starts_logged_in(visitor: Visitor) -> None:
    """With what its session should hold. Before, it is a stranger."""
    before = visitor.read("/who")
    visitor.log_in(data={"cart": ["tea"]})

    assert (before, visitor.read("/who")) == ("None: None", "ada: ['tea']")


def test_a_client_logs_out_by_itself_and_is_logged_in_again(visitor: Visitor) -> None:
    """Its cookies are those of the application's responses, not a second set beside them."""
    visitor.log_in()
    left = visitor.read("/leave")
    stranger = visitor.read("/who")
    visitor.log_in("bob")

    assert (left, stranger, visitor.read("/who")) == ("None: None", "None: None", "bob: None")


@pytest.mark.parametrize("client", IN_PROCESS)
def test_a_client_is_logged_in_over_https(client: str) -> None:
    """Where the cookie has another name and another seal."""
    with IN_PROCESS[client](Site(), "https") as visitor:
        visitor.log_in()
        assert visitor.read("/who") == "ada: None"


def test_a_browser_is_logged_in_by_a_secure_cookie() -> None:
    """One with a prefix, which the browser takes under its conditions alone. Loopback counts as secure."""
    with chromium(Site(cookie=Cookie(secure=True)), "http") as visitor:
        secure = visitor._replace(url=(visitor.url or "").replace("http:", "https:"))
        secure.log_in()

        [cookie] = visitor.client.cookies()
        assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == ("__Host-sid", True, True)


def test_a_login_keeps_the_visitors_things_and_takes_a_new_token(site: Site, client: TestApp) -> None:
    """As a login by the form does."""
    with session_of(client, site.manager) as session:
        session["cart"] = ["milk"]
    before = client.cookies["sid"]
    log_in(client, site.manager, "ada")

    assert client.get("/").text == "ada: ['milk']"
    assert client.cookies["sid"] != before


def test_an_account_is_what_auth_knows_then(site: Site, client: TestApp) -> None:
    """Also as somebody whose sessions are listed and ended."""
    users = MemoryUsers()
    auth, ada = Auth(users, hasher=CHEAP), users.add("ada", "Ada", None, {})
    log_in(client, site.manager, ada)

    seen: list[User | None] = []
    client.app = site.manager.wrap(lambda *given: (seen.append(auth.user(given[0])), _application(*given))[1])
    client.get("/")
    assert seen == [ada]
    assert site.manager.end_all(ada) == 1
    assert client.get("/").text == "None: None"


# What is in its session


def test_a_clients_session_is_read_and_changed(visitor: Visitor) -> None:
    """By the test, before and after a request; one that has no session yet gets one."""
    with visitor.session() as session:
        session["cart"] = ["tea"]
    first = visitor.read("/who")
    with visitor.session() as session:
        seen = session.pop("cart")

    assert (first, seen, visitor.read("/who")) == ("None: ['tea']", ["tea"], "None: None")


def test_a_client_is_logged_out(visitor: Visitor) -> None:
    """Ending the session takes the cookie from the client."""
    visitor.log_in()
    before = visitor.read("/cookies")
    with visitor.session() as session:
        session.invalidate()

    assert before.startswith("sid=")
    assert [visitor.read(path) for path in ("/who", "/cookies")] == ["None: None", ""]


def test_a_remembered_client_stays_so(visitor: Visitor) -> None:
    """The cookie has an end then, which each client takes."""
    with visitor.session() as session:
        session.login("ada")
        session.remember(20 * DAY)
    visitor.site.clock.advance(timedelta(days=19))

    assert visitor.read("/who") == "ada: None"


def test_looking_changes_nothing(site: Site, client: TestApp) -> None:
    """No store call but the load, no new cookie, and the session ends when it would have ended."""
    log_in(client, site.manager, "ada")
    cookie = client.cookies["sid"]
    site.clock.advance(11 * HOUR)
    site.store.taken()
    with session_of(client, site.manager) as session:
        assert session.username == "ada"

    assert (site.store.taken(), client.cookies["sid"]) == (["load"], cookie)
    site.clock.advance(2 * HOUR)
    assert client.get("/").text == "None: None"


def test_a_block_that_fails_saves_nothing(site: Site, client: TestApp) -> None:
    """An assertion in it above all."""
    log_in(client, site.manager, "ada")

    def fails() -> None:
        with session_of(client, site.manager) as session:
            session["cart"] = ["tea"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert client.get("/").text == "ada: None"


def test_a_form_is_sent_with_the_sessions_token(site: Site, client: TestApp) -> None:
    """A test can post without loading the form first."""
    log_in(client, site.manager, "ada")
    with session_of(client, site.manager) as session:
        token = session.csrf_token

    client.app = site.manager.wrap(
        lambda environ, start: (start("200 OK", []), [str(get_session(environ).check_csrf(token)).encode()])[1]
    )
    assert client.post("/").text == "True"


def test_an_outage_is_raised(site: Site, client: TestApp) -> None:
    """A test must not go on with a stranger."""
    site.store.broken.add("create")
    with pytest.raises(StoreUnavailable):
        log_in(client, site.manager, "ada")
    assert "sid" not in client.cookies


WIDE = Cookie(path="/shop", domain="shop.example", samesite="Strict")


ASKS: dict[Any, Callable[[Any, str, str], Any]] = {
    webtest: lambda client, host, path: client.get(f"http://{host}{path}"),
    werkzeugs: lambda client, host, path: client.get(path, base_url=f"http://{host}"),
}


@pytest.mark.parametrize(("kind", "asks"), ASKS.items(), ids=["WebTest", "Werkzeug"])
def test_path_and_domain_of_the_cookie_hold(kind: Any, asks: Any) -> None:
    """They decide to which pages the client sends it."""
    with kind(Site(cookie=WIDE), "http") as visitor:
        log_in(visitor.client, visitor.site.manager, "ada", url="http://www.shop.example/")

        pages = [("www.shop.example", "/shop/x"), ("api.shop.example", "/shop"), ("www.shop.example", "/x")]
        seen = [asks(visitor.client, *page).text for page in [*pages, ("shop.org", "/shop")]]
        assert seen == ["ada: None", "ada: None", "None: None", "None: None"]


def test_a_browser_gets_each_attribute() -> None:
    """It judges by them which pages and sites the cookie is for."""
    with chromium(Site(cookie=WIDE), "http") as visitor:
        visitor._replace(url="http://www.shop.example/").log_in()

        [cookie] = visitor.client.cookies()
        assert (cookie["domain"], cookie["path"], cookie["sameSite"]) == (".shop.example", "/shop", "Strict")


# What goes wrong


def test_a_cookie_that_the_client_does_not_keep_is_an_error() -> None:
    """Or the test would go on with a stranger: Secure, and not over https; for another domain."""
    for cookie in (Cookie(secure=True), Cookie(domain="shop.example")):
        site = Site(cookie=cookie)
        client = TestApp(site.wsgi)
        with pytest.raises(ValueError, match=r"does not keep the cookie .*sid of http://localhost/\. Pass url="):
            log_in(client, site.manager, "ada")


NO_CLIENTS = [object(), None, {}, "", object.__new__(AsyncContext)]


@pytest.mark.parametrize("client", NO_CLIENTS, ids=lambda client: type(client).__name__)
def test_what_is_no_known_client_is_told_what_is(site: Site, client: Any) -> None:
    """And what does for any other."""
    with pytest.raises(TypeError, match=r"TestApp.*Flask.*Playwright.*manager\.login_cookie\(user\)"):
        log_in(client, site.manager, "ada")


@pytest.mark.parametrize("client", [requests.Session(), httpx.Client(), CookieJar()], ids=lambda it: type(it).__name__)
def test_a_client_that_goes_nowhere_by_itself_needs_a_url(site: Site, client: Any) -> None:
    """A cookie is a site's."""
    with pytest.raises(TypeError, match="add url=…"):
        log_in(client, site.manager, "ada")


@pytest.mark.parametrize("url", ["localhost", "/login", "ftp://localhost/", "https://", ""])
def test_a_url_without_scheme_or_host_is_refused(site: Site, client: TestApp, url: str) -> None:
    """Both decide about the cookie."""
    with pytest.raises(ValueError, match="write scheme and host"):
        log_in(client, site.manager, "ada", url=url)


def test_the_middleware_is_not_the_manager(site: Site, client: TestApp) -> None:
    """But has it."""
    middleware: Any = SessionMiddleware(_application, secret=SECRET)
    with pytest.raises(TypeError, match=r"middleware\.manager"):
        log_in(client, middleware, "ada")


def test_no_client_and_no_framework_is_imported() -> None:
    """Whoever installs the library has none of them."""
    names = "webtest pytest werkzeug flask django httpx requests playwright"
    code = f"import sys, sessionware.testing; print(*[name for name in {names.split()} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout.split() == []


# Time


def test_a_movable_clock_stands_until_it_is_moved() -> None:
    """By seconds or by a timedelta. By itself it begins now."""
    clock = MovableClock(1000)
    clock.advance(0.5)
    clock.advance(timedelta(minutes=1))

    assert (clock(), clock.now) == (1060.5, 1060.5)
    with time_machine.travel(5_000, tick=False):
        assert MovableClock()() == 5_000


def test_sessions_expire_by_a_movable_clock(site: Site, client: TestApp) -> None:
    """Right after the limit, not before."""
    log_in(client, site.manager, "ada")
    site.clock.advance(12 * HOUR - 1)
    before = client.get("/").text
    site.clock.advance(12 * HOUR)

    assert (before, client.get("/").text) == ("ada: None", "None: None")


START = datetime(2030, 1, 1, tzinfo=timezone.utc)


@contextmanager
def by_freezegun() -> Iterator[Callable[[float], object]]:
    with freezegun.freeze_time(START) as frozen:
        yield lambda seconds: frozen.tick(timedelta(seconds=seconds))


@contextmanager
def by_time_machine() -> Iterator[Callable[[float], object]]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller.shift


STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda directory: MemoryStore(),
    "file": lambda directory: FileStore(directory / "sessions"),
    "sqlite": lambda directory: SQLiteStore(directory / "app.db"),
}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("moving", [by_freezegun, by_time_machine])
def test_the_usual_clock_is_moved(moving: Any, store: str, tmp_path: Path) -> None:
    """By packages that replace `time.time`: without a `clock=`, sessions expire when the test says so."""
    auth = Auth(MemoryUsers(), hasher=CHEAP)
    manager = SessionManager(SECRET, STORES[store](tmp_path))
    auth.register(manager, "Ada", PASSWORD, login=False)
    client = TestApp(manager.wrap(AuthPages(_application, auth)))

    with moving() as move:
        client.post("/login", {"username": "ada", "password": PASSWORD})
        with session_of(client, manager) as session:
            assert session.authenticated_at == START.timestamp()
        move(12 * HOUR - 1)
        before = client.get("/").text
        move(12 * HOUR)
        after = client.get("/").text

    assert (before, after) == ("Ada: None", "None: None")
