"""The tea shop of each framework, served as it stands, and the pages that show it.

Each runs under `wsgiref.validate`; none of the frameworks breaks it. tests/e2e/test_shops.py visits them in Chromium.
"""

from __future__ import annotations

import importlib
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import copy
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from wsgiref.validate import validator

import pytest
from webtest import TestApp, TestResponse
from webtest.forms import Form

import dev
import sessionware
from tests.project.pages import blocks
from tests.support.django_site import unconfigured
from tests.support.kit import WatchedStore
from tests.support.shops import EXAMPLES, SHOPS, Shop, each_shop

INDEX = (dev.ROOT / "docs" / "frameworks.md").read_text(encoding="utf-8")
PYPROJECT = (dev.ROOT / "pyproject.toml").read_text(encoding="utf-8")

PASSWORD = "seven quiet lanterns drift"

each_debugger = pytest.mark.parametrize("shop", [shop for shop in SHOPS if shop.debug], ids=lambda shop: shop.name)


class Site(NamedTuple):
    """An example under way."""

    app: Any
    store: WatchedStore


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Shop], Site]]:
    """Imports an example as a server would, once."""
    sites: dict[Shop, Site] = {}
    stores: list[WatchedStore] = []
    sqlite_store = sessionware.SQLiteStore

    def watched(path: str) -> WatchedStore:
        stores.append(WatchedStore(sqlite_store(path)))
        return stores[-1]

    def load(shop: Shop) -> Site:
        if shop not in sites:
            app = importlib.import_module(shop.example.stem).app
            sites[shop] = Site(app, stores.pop())
        return sites[shop]

    with pytest.MonkeyPatch.context() as patching, unconfigured():
        patching.syspath_prepend(EXAMPLES)
        patching.chdir(tmp_path_factory.mktemp("examples"))
        Path("session-secret").write_text(secrets.token_urlsafe(32))
        patching.setattr(sessionware, "SQLiteStore", watched)
        yield load


@pytest.fixture
def site(load: Callable[[Shop], Site], shop: Shop) -> Iterator[Site]:
    site = load(shop)
    yield site
    site.store.broken.clear()


@pytest.fixture
def browser(site: Site) -> Shopper:
    return Shopper(site)


class Shopper:
    """A browser, and somebody who visits a shop with it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.client = TestApp(validator(site.app))

    def visit(self, path: str = "/") -> TestResponse:
        # Some frameworks write what went wrong to wsgi.errors, which WebTest takes for a failure unless it expects one.
        return self.client.get(path, expect_errors=True)

    def press(self, path: str, button: str, **filled_in: Any) -> TestResponse:
        """Open a page and send the form that this button is on, with any token in it. None leaves a field out."""
        form = form_with(self.visit(path), button)
        fields = {**dict(form.submit_fields("item")), **filled_in}
        sent = {name: value for name, value in fields.items() if value is not None}
        return self.client.post(form.action or path, sent, expect_errors=True)

    def register(self) -> str:
        """The name of somebody who has just registered. It takes more than ASCII to write it."""
        name = f"Zoë{next(_names)}"
        assert self.press("/register", "Register", username=name, password=PASSWORD).location.endswith("/account")
        return name

    def buy(self, item: str) -> TestResponse:
        return self.press("/", f"Add {item}")

    def copied(self) -> Shopper:
        """Somebody with a copy of its cookies."""
        other = Shopper(self.site)
        for cookie in self.client.cookiejar:
            other.client.cookiejar.set_cookie(copy(cookie))
        return other

    @property
    def cookies(self) -> set[str]:
        """The values of those that carry a session."""
        return {value for name, value in self.client.cookies.items() if is_of_the_session(name)}


def is_of_the_session(name: str) -> bool:
    """Whether a session is in this cookie. Others are for forms, or say that an account knows the browser."""
    return "csrf" not in name and not name.endswith("_known")


_names = iter(range(1000))


def form_with(page: TestResponse, button: str) -> Form:
    return next(form for form in page.forms.values() if f">{button}</button>" in form.text)


def shown(page: TestResponse, selector: str) -> list[str]:
    return [element.text.strip() for element in page.html.select(selector)]


def who(page: TestResponse) -> str | None:
    """Whose account page this is; None if it is another page, or leads to one."""
    return next(iter(shown(page, "#who")), None) if page.status_int == 200 else None


@each_shop
def test_session_begins_with_the_first_change(browser: Shopper) -> None:
    """`get_session` takes what the framework calls a request. Looking around stores nothing."""
    looked = browser.visit()
    assert shown(looked, "title, h1") == ["Tea shop", "Tea shop"]
    assert shown(looked, "nav a") == ["Shop", "Log in", "Register"]
    assert shown(looked, "#cart") == ["Cart: empty"]
    assert "Set-Cookie" not in looked.headers or "csrf" in looked.headers["Set-Cookie"]
    assert looked.headers["Vary"] == "Cookie"

    bought = browser.buy("tea")

    assert bought.status_int == 303
    assert len(bought.headers.getall("Set-Cookie")) == 1


@each_shop
def test_cart_is_kept_in_order(browser: Shopper) -> None:
    """And each thing that is added is told once."""
    browser.buy("tea")
    browser.buy("milk")

    first, second = browser.visit(), browser.visit()

    assert shown(first, "#cart") == shown(second, "#cart") == ["Cart: tea, milk"]
    assert shown(first, "[role=status]") == ["Added milk."]
    assert shown(second, "[role=status]") == []


@each_shop
def test_cart_takes_only_what_is_sold(browser: Shopper) -> None:
    """What a form brings is checked before it is kept."""
    refused = browser.press("/", "Add tea", item="<script>")

    assert refused.status_int == 400
    assert shown(browser.visit(), "#cart") == ["Cart: empty"]


@each_shop
def test_two_requests_at_once_both_add_to_the_cart(browser: Shopper, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second comes when the first has read the session and is about to save it."""
    browser.buy("tea")
    browser.visit()
    store, tab = browser.site.store, browser.copied()
    save = store.replace

    def save_late(*arguments: Any) -> bool:
        monkeypatch.undo()
        tab.buy("milk")
        return save(*arguments)

    monkeypatch.setattr(store, "replace", save_late)
    browser.buy("honey")

    assert shown(browser.visit(), "#cart") == ["Cart: tea, milk, honey"]


@each_shop
def test_registering_logs_in(browser: Shopper) -> None:
    """The stranger's cart is kept, and none of the cookies."""
    browser.buy("tea")
    cookies = browser.cookies
    name = browser.register()
    page = browser.visit("/account")

    assert browser.cookies.isdisjoint(cookies)
    assert shown(page, "title, h1, nav a") == ["Account", "Shop", "Account", "Account"]
    assert shown(page, "[role=status]") == [f"Welcome, {name}."]
    assert shown(page, "#cart") == ["Cart: tea"]
    assert shown(page, "#places") == ["Logged in at 1 place."]
    assert who(page) == name


@each_shop
def test_logging_in_takes_the_password(browser: Shopper) -> None:
    """From another browser, with the right password only."""
    name, other = browser.register(), Shopper(browser.site)

    refused = other.press("/login", "Log in", username=name, password="Tr0ub4dor&3")
    assert refused.status_int == 403
    assert shown(refused, "[role=alert]") == ["Incorrect username or password."]
    assert form_with(refused, "Log in")
    assert who(other.visit("/account")) is None

    other.press("/login", "Log in", username=name, password=PASSWORD)
    page = other.visit("/account")
    assert shown(page, "[role=status]") == [f"Welcome back, {name}."]
    assert shown(page, "#places") == ["Logged in at 2 places."]
    assert who(page) == name


@each_shop
@pytest.mark.parametrize(("remember", "is_persistent"), [(None, False), ("yes", True)], ids=["forget", "remember"])
def test_remember_me_outlives_the_browser(browser: Shopper, remember: str | None, is_persistent: bool) -> None:
    """Thirty days, if the box is ticked."""
    name, other = browser.register(), Shopper(browser.site)

    back = other.press("/login", "Log in", username=name, password=PASSWORD, remember=remember)

    lines = [line for line in back.headers.getall("Set-Cookie") if is_of_the_session(line.partition("=")[0])]
    assert ["Max-Age=2592000" in line for line in lines] == [is_persistent]


@each_shop
@pytest.mark.parametrize(
    "form",
    [{"password": None}, {"username": None}, {"username": "", "password": ""}],
    ids=["no password", "no username", "nothing typed"],
)
@pytest.mark.parametrize(("button", "status"), [("Log in", 403), ("Register", 422)])
def test_refusal_is_a_sentence(browser: Shopper, button: str, status: int, form: dict[str, str | None]) -> None:
    """On the form, and no traceback, whatever is missing."""
    path = {"Log in": "/login", "Register": "/register"}[button]

    refused = browser.press(path, button, **{"username": "Ada", "password": PASSWORD, **form})

    assert refused.status_int == status
    (sentence,) = shown(refused, "[role=alert]")
    assert re.fullmatch(r"(Incorrect|Please) [^\n<]+\.", sentence)
    assert form_with(refused, button)


@each_shop
def test_account_is_for_people_who_are_logged_in(browser: Shopper) -> None:
    """A stranger is led to the login, also by the button of a page that was open when the session ended."""
    name = browser.register()
    thief = browser.copied()
    account = thief.visit("/account")
    assert who(account) == name
    browser.press("/account", "Log out")

    led = [thief.visit("/account"), form_with(account, "Log out everywhere").submit(expect_errors=True)]

    assert [answer.status_int for answer in led] in ([303, 303], [302, 303], [302, 302])
    assert {re.sub(r"^http://localhost(:80)?|\?.*", "", answer.location) for answer in led} == {"/login"}


@each_shop
def test_logging_out_ends_the_session(browser: Shopper) -> None:
    """And leaves a stranger, whose farewell is in another session. Whoever kept a copy of the cookie is one too."""
    name = browser.register()
    browser.buy("tea")
    thief = browser.copied()
    assert who(thief.visit("/account")) == name
    cookies = browser.cookies

    out = browser.press("/account", "Log out")

    assert out.status_int == 303
    assert browser.cookies.isdisjoint(cookies)
    page = browser.visit()
    assert shown(page, "[role=status]") == ["Goodbye."]
    assert shown(page, "nav a") == ["Shop", "Log in", "Register"]
    assert [shown(each, "#cart") for each in (page, thief.visit())] == [["Cart: empty"]] * 2
    assert who(thief.visit("/account")) is None


@each_shop
def test_logging_out_everywhere_ends_all(browser: Shopper) -> None:
    """Those of the account, and no other's."""
    name, other, eve = browser.register(), Shopper(browser.site), Shopper(browser.site)
    other.press("/login", "Log in", username=name, password=PASSWORD)
    somebody_else = eve.register()

    other.press("/account", "Log out everywhere")

    assert [who(each.visit("/account")) for each in (browser, other, eve)] == [None, None, somebody_else]
    assert shown(other.visit(), "[role=status]") == ["Goodbye."]


@each_shop
def test_names_are_shown_as_they_are(browser: Shopper) -> None:
    """Angle brackets in one are no HTML."""
    name = f"<b>Zoë{next(_names)}&amp;</b>"
    browser.press("/register", "Register", username=name, password=PASSWORD)

    page = browser.visit("/account")

    assert shown(page, "#who, [role=status]") == [f"Welcome, {name}.", name]
    assert page.html.select("b") == []


@each_shop
def test_forms_on_other_sites_do_nothing(browser: Shopper) -> None:
    """They neither fill the cart nor log out, with nothing in the form but what that site knows."""
    name = browser.register()

    for path in ("/cart", "/logout", "/logout-everywhere"):
        browser.client.post(path, {"item": "tea"}, headers={"Sec-Fetch-Site": "cross-site"}, expect_errors=True)

    page = browser.visit("/account")
    assert who(page) == name
    assert shown(page, "#cart") == ["Cart: empty"]


def is_unavailable(answer: TestResponse) -> bool:
    """Whether this is a 503 without a traceback, which leaves the cookie alone."""
    assert "Traceback" not in answer.text
    assert (answer.headers["Retry-After"], answer.headers.getall("Set-Cookie")) == ("5", [])
    return bool(answer.status_int == 503)


@each_shop
def test_outage_is_a_503_and_no_logout(browser: Shopper) -> None:
    """Whether the framework lets the exception out or makes a page of its own from it, and whenever it happens."""
    name = browser.register()
    browser.visit("/account")
    browser.buy("tea")  # so that the next page has a message to take down

    for call in ("load", "replace"):
        browser.site.store.broken = {call}
        assert is_unavailable(browser.visit()), call

    browser.site.store.broken = set()
    page = browser.visit("/account")
    assert (who(page), shown(page, "#cart")) == (name, ["Cart: tea"])
    assert shown(page, "[role=status]") == ["Added tea."]


@each_debugger
def test_outage_is_a_503_in_debug_mode_too(browser: Shopper, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A framework that shows tracebacks, or passes exceptions on because of that, changes nothing."""
    browser.register()
    assert shop.debug is not None
    shop.debug(monkeypatch)

    browser.site.store.broken = {"load"}

    assert is_unavailable(browser.visit())


@each_shop
def test_untouched_page_is_left_alone(browser: Shopper) -> None:
    """A page that does not look at its session, here the framework's own 404, costs no store call and no header."""
    browser.register()
    browser.site.store.taken()

    answer = browser.visit("/nowhere")

    assert answer.status_int == 404
    assert {"Set-Cookie", "Cache-Control"}.isdisjoint(answer.headers)
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert browser.site.store.taken() == []


def test_cherrypys_own_server_takes_the_wrapped_application(load: Callable[[Shop], Site]) -> None:
    """Grafted into CherryPy's tree, as its page says."""
    import cherrypy

    site = load(next(shop for shop in SHOPS if shop.name == "cherrypy"))
    tree = cherrypy._cptree.Tree()
    tree.graft(site.app, "/")

    assert shown(Shopper(site._replace(app=tree)).visit(), "h1") == ["Tea shop"]


def test_cherrypys_mounts_share_their_sessions() -> None:
    """Each is wrapped by one manager, as the page says. CherryPy's tree leads to them."""
    import cherrypy

    class Counter:
        @cherrypy.expose  # type: ignore[untyped-decorator]
        def index(self) -> str:
            session = sessionware.get_session(cherrypy.request)
            return str(session.modify("visits", lambda visits: visits + 1, default=0))

    manager = sessionware.SessionManager(secrets.token_urlsafe(32), sessionware.MemoryStore())
    tree = cherrypy._cptree.Tree()
    for path in ("/shop", "/admin"):
        tree.graft(manager.wrap(cherrypy.Application(Counter(), path)), path)
    browser = TestApp(validator(tree))

    assert [browser.get("/shop/").text, browser.get("/admin/").text] == ["1", "2"]


def test_cart_in_bottles_signed_cookie_comes_along() -> None:
    """As the page on frameworks says: once, and the old cookie is removed. Who has none gets no session."""
    import bottle

    (block,) = [block for block in blocks(INDEX) if "adopt_cart" in block.code]
    page: dict[str, Any] = {"OLD_SECRET": secrets.token_urlsafe(32)}
    exec(block.code, page)
    site = bottle.Bottle()
    site.route("/old", callback=lambda: bottle.response.set_cookie("cart", "tea,milk", secret=page["OLD_SECRET"]))
    old_visitor = TestApp(site)
    old_visitor.get("/old")
    site.add_hook("before_request", page["adopt_cart"])
    site.route("/", callback=lambda: "without a session")
    site.route("/cart", callback=lambda: ", ".join(sessionware.get_session(bottle.request).get("cart", [])))
    app = sessionware.SessionMiddleware(site, secret=secrets.token_urlsafe(32), store=sessionware.MemoryStore())
    browser = TestApp(app, cookiejar=old_visitor.cookiejar)

    assert "cart" in browser.cookies
    browser.get("/")
    assert list(browser.cookies) == ["sid"]
    assert browser.get("/cart").text == "tea, milk"
    assert "Set-Cookie" not in TestApp(app).get("/").headers


# The pages

#: What `docs/frameworks.md` says of a framework, by the name of its page.
ROW = re.compile(
    r"^\| \[[\w ]+\]\((?P<page>\w+)\.md\) \| (?P<since>[\w. ]+) \| `(?P<line>[^`]+)` \| `(?P<request>[\w.]+)` \|$", re.M
)
ROWS = {match["page"]: match for match in ROW.finditer(INDEX)}


@pytest.mark.parametrize("shop", [shop for shop in SHOPS if shop.sessions == "middleware"], ids=lambda shop: shop.name)
def test_index_names_the_line_that_the_example_wraps_by(shop: Shop) -> None:
    """The table and the file agree, and what the table says to pass is what the file passes."""
    source = shop.example.read_text(encoding="utf-8")
    passed = ROWS[shop.name]["request"].rpartition(".")[2]

    assert ROWS[shop.name]["line"] in [line.strip() for line in source.splitlines()]
    assert f"get_session({passed})" in source
    assert f"auth.logout({passed}, " in source


@each_shop
def test_index_names_the_releases_that_are_tested(shop: Shop) -> None:
    """The oldest one is what pyproject.toml asks for, and what runs here is no older."""
    since = ROWS[shop.name]["since"]

    if shop.package is not None:
        assert f'"{shop.package}>={since}"' in PYPROJECT
        assert numbers(version(shop.package)) >= numbers(since)
    else:
        assert since == "PEP 3333"


def numbers(release: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", release)]


@each_shop
def test_page_shows_the_example(shop: Shop) -> None:
    """Each example is on its page, and small enough to be read there."""
    source = shop.example.read_text(encoding="utf-8")

    assert f"<!-- include: examples/{shop.example.name} -->" in shop.page.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 150
    assert len(max(source.splitlines(), key=len)) <= 120


# What is tested

#: A line of the table, and in it the file and the words in brackets that name tests.
TESTED = re.compile(r"^\| (?P<framework>[\w ]+) \| (?P<seen>[\w. ]+) \|(?P<cells>(?: (?:`[^|]+`)? \|){4})$", re.M)
TESTS = re.compile(r"`(?P<module>test_\w+)(?:\[(?P<id>[^\]]+)\])?`")
TABLE = {match["framework"]: match for match in TESTED.finditer(INDEX)}


@pytest.fixture(scope="module")
def collected() -> set[tuple[str, str]]:
    """Every test that the table could name, as pytest finds it: its module, and each word in its brackets."""
    modules = {match["module"] for match in TESTS.finditer(INDEX)}
    files = [str(path) for path in (dev.ROOT / "tests").rglob("test_*.py") if path.stem in modules]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *files]
    found = subprocess.run(command, cwd=dev.ROOT, capture_output=True, text=True, check=True).stdout
    nodes = re.findall(r"(\w+)\.py::\w+(?:\[(.+)\])?$", found, re.M)
    return {(module, word) for module, words in nodes for word in ["", *words.split("-")]}


@pytest.mark.parametrize("framework", TABLE)
def test_tests_that_the_index_names_are_there(framework: str, collected: set[tuple[str, str]]) -> None:
    """Some in each cell that is filled."""
    cells = TABLE[framework]["cells"]
    named = [(match["module"], match["id"] or "") for match in TESTS.finditer(cells)]

    assert set(named) - collected == set()
    assert len(named) == cells.count("`") / 2 > 0


@each_shop
def test_index_says_how_each_shop_is_tested(shop: Shop) -> None:
    """In a full line, and with a release that is not older than the oldest."""
    (line,) = [match for match in TABLE.values() if f"test_shops[{shop.name}]" in match["cells"]]

    assert f"test_frameworks[{shop.name}]" in line["cells"]
    assert line["cells"].count("`") == 4 * 2
    assert line["seen"] == "PEP 3333" or numbers(line["seen"]) >= numbers(ROWS[shop.name]["since"])


def test_every_example_of_a_framework_is_tested() -> None:
    """A file that is added has to be added here, and to the pages."""
    assert {shop.example for shop in SHOPS} == set(EXAMPLES.glob("*_app.py")) - {EXAMPLES / "notes_app.py"}
