"""`flask.session` on sessionware: what applications and their tests rely on, and what they gain."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID
from wsgiref.validate import validator

import flask
import pytest
from flask import Flask, flash, get_flashed_messages, request, session, stream_with_context
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient
from markupsafe import Markup
from werkzeug.test import create_environ, run_wsgi_app
from werkzeug.wsgi import FileWrapper

from sessionware import (
    ConfigError,
    Event,
    FileStore,
    MemoryStore,
    SessionClosed,
    StoreError,
    StoreUnavailable,
    Timeouts,
    get_session,
)
from sessionware.auth import Argon2Hasher, Auth, AuthPages, MemoryUsers
from sessionware.contrib.flask import Sessionware
from sessionware.testing import FaultyStore
from tests.support.fixed import SECRET, Clock
from tests.support.parallel import Meeting, lost_writes

DAY = 86400
PASSWORD = "seven quiet lanterns drift"

View = Callable[[], object]


class Site:
    """A Flask application on sessionware. A view is a function; what it returns is the response's text."""

    def __init__(self, clock: Clock | None = None, **settings: Any) -> None:
        self.store = FaultyStore(MemoryStore())
        self.clock = clock or Clock()
        self.events: list[Event] = []
        self.app = Flask(__name__)
        self.app.config.update(SECRET_KEY=SECRET, SESSIONWARE_STORE=self.store, SESSIONWARE_CLOCK=self.clock)
        self.app.config.update(SESSIONWARE_ON_EVENT=self.events.append, **settings)
        self.sessions = Sessionware(self.app)
        self.app.add_url_rule("/<name>", "view", lambda name: self.views[name](), methods=["GET", "POST"])
        self.app.wsgi_app = validator(self.app.wsgi_app)  # type: ignore[assignment]
        self.views: dict[str, Any] = {}

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def told(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]


class Browser:
    """Visits a site, each time with a view of its own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.client = site.client()
        self.result: Any = None

    def visit(self, view: Callable[[], Any], status: int = 200, **arguments: Any) -> Any:
        """The response; what the view returned is the `result`. A view may return a response too."""

        def called() -> Any:
            self.result = view()
            return self.result if isinstance(self.result, flask.Response) else str(self.result)

        self.site.views["page"] = called
        response = self.client.open("/page", buffered=True, **arguments)
        assert response.status_code == status, response.text
        return response

    def see(self, view: Callable[[], Any], **arguments: Any) -> Any:
        self.visit(view, **arguments)
        return self.result

    @property
    def data(self) -> dict[str, Any]:
        """What the session holds."""
        data: dict[str, Any] = self.see(lambda: dict(session))
        return data


@pytest.fixture
def site(clock: Clock) -> Site:
    return Site(clock)


@pytest.fixture
def browser(site: Site) -> Browser:
    return Browser(site)


def put(**values: Any) -> Callable[[], None]:
    """A view that puts these values into the session."""
    return lambda: session.update(values)


# A dict -------------------------------------------------------------------------------------------------------------


def test_session_lasts_from_one_request_to_the_next(browser: Browser) -> None:
    """Written, read, changed inside and deleted, with no `modified = True`."""
    browser.visit(put(cart=["tea"], name="ada"))
    browser.visit(lambda: session["cart"].append("milk"))
    browser.visit(lambda: session.pop("name"))

    assert browser.data == {"cart": ["tea", "milk"]}


def test_session_belongs_to_its_browser(site: Site) -> None:
    """Another one has another session, and its cookie is of no use to scripts and other sites."""
    one, other = Browser(site), Browser(site)
    line = one.visit(put(name="ada")).headers["Set-Cookie"]

    assert other.data == {}
    assert line.startswith("session=")
    assert "; HttpOnly; SameSite=Lax" in line


@pytest.mark.parametrize(
    "value",
    [
        (1, (2, "three")),
        b"\xff\x00",
        UUID(int=7),
        datetime(2026, 11, 26, 12, tzinfo=timezone.utc),
        Markup("<b>saved</b>"),
        {"list": [Markup("<i>"), "text"], "tuple": (1,)},
    ],
    ids=["tuple", "bytes", "uuid", "datetime", "markup", "nested"],
)
def test_values_keep_their_types(browser: Browser, value: object) -> None:
    """Those of Flask's tagged JSON."""
    browser.visit(put(value=value))

    again = browser.data["value"]
    assert again == value
    assert repr(again) == repr(value)


def test_value_that_cannot_be_stored_is_an_error_where_it_is_written(browser: Browser) -> None:
    """And nothing of that request is saved."""
    browser.visit(put(n=1))
    browser.site.app.testing = True

    with pytest.raises(TypeError, match=r"session\['thing'\] cannot hold an object of type object"):
        browser.visit(lambda: session.update(n=2, thing=object()))
    assert browser.data == {"n": 1}


def test_value_that_can_no_longer_be_stored_is_a_server_error(browser: Browser) -> None:
    """Found when the response is ready, it is logged by Flask as what a view raises is."""
    browser.visit(put(things=[]))
    browser.visit(lambda: session["things"].append(object()), status=500)

    assert browser.data == {"things": []}


def test_untouched_page_pays_nothing(browser: Browser) -> None:
    """No store call and no header, though a cookie came."""
    browser.visit(put(n=1))
    browser.site.store.calls.clear()
    response = browser.visit(lambda: "hello")

    assert browser.site.store.calls == []
    assert {"Set-Cookie", "Vary", "Cache-Control"} & {*response.headers.keys()} == set()


def test_page_that_reads_says_so_to_caches(browser: Browser) -> None:
    """What the application had said stays."""

    def view() -> flask.Response:
        response = flask.make_response(str(session.get("n")))
        response.vary.update(("Accept-Language", "Cookie"))
        response.cache_control.public = True
        return response

    response = browser.visit(view)

    assert response.headers.getlist("Vary") == ["Accept-Language, Cookie"]
    assert response.headers["Cache-Control"] == "public"


def test_flask_can_ask_what_became_of_a_session(browser: Browser) -> None:
    """By the members of its `SessionMixin`."""

    def view() -> list[bool]:
        before = [session.modified, session.new]
        session["n"] = [1]
        return [*before, session.accessed, session.modified, session.new]

    assert browser.see(view) == [False, True, True, True, True]
    assert browser.see(lambda: (session.new, session.modified)) == (False, False)
    assert browser.see(lambda: (session["n"].append(2), session.modified)[1]) is True


def test_setting_modified_does_no_harm(browser: Browser) -> None:
    """Much code sets it after each change."""
    browser.visit(put(n=1))
    browser.visit(lambda: (session.pop("n"), setattr(session, "modified", True)))

    assert browser.data == {}
    assert browser.see(lambda: (setattr(session, "modified", True), session.modified)[1]) is True


def test_session_that_is_cleared_is_over(browser: Browser) -> None:
    """The browser forgets its cookie, and a copy of the cookie opens nothing."""
    browser.visit(put(user="ada"))
    stolen = Browser(browser.site)
    stolen.client._cookies = dict(browser.client._cookies or {})
    line = browser.visit(lambda: session.clear()).headers["Set-Cookie"]

    assert line.startswith("session=;")
    assert "Max-Age=0" in line
    assert stolen.data == {}


def test_session_cleared_at_login_begins_anew(browser: Browser) -> None:
    """As in Flask's tutorial: whoever knew the cookie from before does not get in."""
    browser.visit(put(n=1))
    before = browser.see(lambda: get_session(request).id)
    browser.visit(lambda: (session.clear(), put(user="ada")()))

    assert browser.data == {"user": "ada"}
    assert browser.see(lambda: get_session(request).id) != before


def test_last_key_that_goes_does_not_end_the_session(browser: Browser) -> None:
    """Else what a request beside it writes would be lost."""
    browser.visit(put(n=1))
    other = Browser(browser.site)
    other.client._cookies = browser.client._cookies

    def view() -> None:
        session.pop("n")
        browser.site.views["other"] = lambda: str(put(cart=["tea"])())
        other.client.get("/other", buffered=True)

    browser.visit(view)

    assert browser.data == {"cart": ["tea"]}


def test_copy_is_a_plain_dict(browser: Browser) -> None:
    """To print it, or to hand it on."""
    held: Any = session

    assert browser.see(lambda: (put(n=1)(), held.copy(), type(held.copy()))[1:]) == ({"n": 1}, dict)


def test_session_has_the_operators_of_a_dict(browser: Browser) -> None:
    """Flask's own is one."""
    held: Any = session

    def view() -> list[object]:
        put(a=1, b=2)()
        held.__ior__({"c": 3})
        return [held | {"a": 0}, {"a": 0} | held._get_current_object(), [*reversed(held)], held.popitem(), dict(held)]

    assert browser.see(view) == [
        {"a": 0, "b": 2, "c": 3},
        {"a": 1, "b": 2, "c": 3},
        ["c", "b", "a"],
        ("c", 3),
        {"a": 1, "b": 2},
    ]


def test_session_cannot_be_copied_by_accident(browser: Browser) -> None:
    """The copy would be the same session, and to restore it would lose everything."""
    browser.site.app.testing = True

    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"use session\.copy\(\)"):
            browser.visit(lambda copied=copied: copied(session._get_current_object()))  # type: ignore[attr-defined,misc]


def test_templates_see_the_data(browser: Browser) -> None:
    """By attributes too, which hide no key that people use."""
    keys = ["user", "cart", "end", "id", "state", "data", "opened", "save", "finish", "status", "close", "username"]
    browser.visit(lambda: session.update(dict.fromkeys(keys, "x")))
    template = " ".join(f"{{{{ session.{key} }}}}" for key in keys)

    assert browser.see(lambda: flask.render_template_string(template)) == " ".join("x" * len(keys))


# Messages -----------------------------------------------------------------------------------------------------------


def test_messages_are_shown_once_in_order(browser: Browser) -> None:
    """With their categories, and markup as markup."""
    browser.visit(lambda: (flash("one"), flash(Markup("<b>two</b>"), "error"), flash("three")))
    shown = browser.see(lambda: get_flashed_messages(with_categories=True))

    assert shown == [("message", "one"), ("error", Markup("<b>two</b>")), ("message", "three")]
    assert isinstance(shown[1][1], Markup)
    assert browser.see(get_flashed_messages) == []


def test_messages_can_be_looked_at_by_tests(browser: Browser) -> None:
    """Under Flask's own key, which is a key like any other."""
    browser.visit(lambda: flash("saved"))

    assert browser.data == {"_flashes": [("message", "saved")]}
    assert browser.see(lambda: ("_flashes" in session, len(session), [*session])) == (True, 1, ["_flashes"])
    browser.visit(put(_flashes=[("message", "replaced")]))
    assert browser.see(get_flashed_messages) == ["replaced"]


def test_parallel_messages_are_all_shown(browser: Browser) -> None:
    """Flask writes the whole list back, in which the other one's message is not yet."""
    browser.visit(put(n=1))

    def view() -> None:
        session.get("_flashes")
        browser.site.views["other"] = lambda: str(flash("two"))
        browser.client.get("/other", buffered=True)
        flash("one")

    browser.visit(view)

    assert sorted(browser.see(get_flashed_messages)) == ["one", "two"]


def test_message_that_another_page_has_shown_meanwhile_is_not_shown_again(browser: Browser) -> None:
    """Flask writes the whole list back, in which it still is."""
    browser.visit(lambda: flash("one"))

    def view() -> None:
        session.get("_flashes")
        browser.site.views["other"] = lambda: str(get_flashed_messages())
        browser.client.get("/other", buffered=True)
        flash("two")

    browser.visit(view)

    assert browser.see(get_flashed_messages) == ["two"]


@pytest.mark.parametrize(
    "unseen", [{"method": "HEAD"}, {"headers": {"Sec-Purpose": "prefetch"}}], ids=["HEAD", "prefetch"]
)
def test_page_that_nobody_sees_leaves_the_messages(browser: Browser, unseen: dict[str, Any]) -> None:
    """They are for people."""
    browser.visit(lambda: flash("saved"))
    browser.visit(get_flashed_messages, **unseen)

    assert browser.see(get_flashed_messages) == ["saved"]


# How long -----------------------------------------------------------------------------------------------------------


def permanently(**values: Any) -> Callable[[], None]:
    return lambda: (setattr(session, "permanent", True), put(**values)())[1]


def test_permanent_session_outlives_the_browser(browser: Browser) -> None:
    """For 31 days, Flask's own default, from each use and not from the first."""
    response = browser.visit(permanently(n=1))
    for _ in range(3):
        browser.site.clock.tick(30 * DAY)
        slid = browser.visit(lambda: session["n"])

    assert f"Max-Age={31 * DAY}" in response.headers["Set-Cookie"]
    assert f"Max-Age={31 * DAY}" in slid.headers["Set-Cookie"]
    browser.site.clock.tick(32 * DAY)
    assert browser.data == {}


def test_permanent_session_is_over_when_flask_says_so(clock: Clock) -> None:
    """As where people are to be logged out after ten minutes."""
    browser = Browser(Site(clock, PERMANENT_SESSION_LIFETIME=timedelta(minutes=10)))
    browser.visit(permanently(n=1))
    for _ in range(3):
        clock.tick(9 * 60)
        assert browser.data["n"] == 1
    clock.tick(11 * 60)

    assert browser.data == {}


def test_shorter_lifetime_reaches_sessions_that_exist(browser: Browser) -> None:
    """As in Flask, where an operator does so after a theft."""
    browser.visit(permanently(n=1))
    browser.site.app.config["PERMANENT_SESSION_LIFETIME"] = 600
    browser.site.clock.tick(601)

    assert browser.data == {}


def test_remember_grants_no_more_than_flask_says(clock: Clock) -> None:
    """One limit for both, so that a shorter one reaches everybody. SESSIONWARE_TIMEOUTS sets another."""
    browser = Browser(Site(clock, PERMANENT_SESSION_LIFETIME=timedelta(days=2)))
    response = browser.visit(lambda: (get_session(request).login("ada"), get_session(request).remember(30 * DAY)))

    assert f"Max-Age={2 * DAY}" in response.headers["Set-Cookie"]


def test_session_may_last_for_years(clock: Clock) -> None:
    """Flask knows no upper limit."""
    browser = Browser(Site(clock, PERMANENT_SESSION_LIFETIME=timedelta(days=1000)))
    browser.visit(permanently(n=1))
    clock.tick(999 * DAY)

    assert browser.data["n"] == 1


def test_reading_does_not_prolong_if_flask_says_so(clock: Clock) -> None:
    """SESSION_REFRESH_EACH_REQUEST = False: only changes do."""
    browser = Browser(Site(clock, SESSION_REFRESH_EACH_REQUEST=False))
    browser.visit(permanently(n=1))
    clock.tick(20 * DAY)
    assert browser.data["n"] == 1
    browser.visit(permanently(n=2))
    clock.tick(20 * DAY)
    assert browser.data["n"] == 2
    clock.tick(12 * DAY)

    assert browser.data == {}


def test_permanent_alone_stores_nothing(browser: Browser) -> None:
    """Many applications set it before each request, and robots send many."""
    browser.site.app.before_request(lambda: setattr(session, "permanent", True))
    response = browser.visit(lambda: (session.permanent, session.get("n")))

    assert browser.result == (True, None)
    assert "Set-Cookie" not in response.headers
    assert browser.site.store.scan() == []
    assert "Max-Age" in browser.visit(put(n=1)).headers["Set-Cookie"]


def test_permanence_can_be_taken_back(browser: Browser) -> None:
    """The cookie is then for as long as the browser is open."""
    browser.visit(permanently(n=1))
    line = browser.visit(lambda: setattr(session, "permanent", False)).headers["Set-Cookie"]

    assert "Max-Age" not in line
    assert browser.see(lambda: (session.permanent, dict(session))) == (False, {"n": 1})


def test_permanent_stays_so_at_a_login(browser: Browser) -> None:
    """It counts from the login then."""
    browser.visit(permanently(n=1))
    line = browser.visit(lambda: get_session(request).login("ada")).headers["Set-Cookie"]

    assert f"Max-Age={31 * DAY}" in line


def test_permanent_login_needs_no_data(browser: Browser) -> None:
    """It is what is to be kept."""
    line = browser.visit(lambda: (permanently()(), get_session(request).login("ada"))).headers["Set-Cookie"]

    assert f"Max-Age={31 * DAY}" in line


def test_own_limits_hold(clock: Clock) -> None:
    """SESSIONWARE_TIMEOUTS caps what Flask grants."""
    browser = Browser(Site(clock, SESSIONWARE_TIMEOUTS=Timeouts(remember=7 * DAY)))

    assert f"Max-Age={7 * DAY}" in browser.visit(permanently(n=1)).headers["Set-Cookie"]


# What goes wrong ----------------------------------------------------------------------------------------------------


def test_server_error_saves_nothing(browser: Browser) -> None:
    """Neither one that a view returns nor an exception; and no half of it."""
    browser.visit(put(n=1))
    browser.visit(lambda: (put(n=2)(), flask.make_response("oops", 500))[1], status=500)
    browser.visit(lambda: (put(n=3)(), 1 // 0), status=500)

    assert browser.data == {"n": 1}
    assert [event.keys for event in browser.site.told("session.write_discarded")] == [("n",), ("n",)]


def test_exception_that_reaches_the_test_saves_nothing(browser: Browser) -> None:
    """With TESTING, Flask lets it out."""
    browser.visit(put(n=1))
    browser.site.app.testing = True

    with pytest.raises(ZeroDivisionError):
        browser.visit(lambda: (put(n=3)(), 1 // 0))
    assert [event.keys for event in browser.site.told("session.write_discarded")] == [("n",)]
    assert browser.data == {"n": 1}


def test_client_error_saves(browser: Browser) -> None:
    """A form that was refused may well leave a message."""
    browser.visit(lambda: (put(n=1)(), flask.abort(403)), status=403)

    assert browser.data == {"n": 1}


@pytest.mark.parametrize("testing", [False, True])
@pytest.mark.parametrize(
    ("method", "view"),
    [("load", lambda: session.get("n")), ("replace", put(n=2)), ("load", lambda: flash("x"))],
    ids=["reads", "writes", "flashes"],
)
def test_outage_is_a_503(browser: Browser, method: str, view: View, testing: bool) -> None:
    """Nobody is logged out by it, and no traceback is shown."""
    browser.visit(put(n=1))
    browser.site.app.testing = testing
    browser.site.store.broken.add(method)
    response = browser.visit(view, status=503)
    browser.site.store.broken.clear()

    assert response.headers["Retry-After"] == "5"
    assert "Set-Cookie" not in response.headers
    assert browser.data == {"n": 1}


def reads(*_arguments: Any) -> Any:
    session.get("n")
    return _arguments[0] if _arguments else None


def error_page(status: int) -> Callable[[Flask], object]:
    return lambda app: app.register_error_handler(status, lambda error: (f"error {session.get('n')}", status))


@pytest.mark.parametrize("testing", [False, True])
@pytest.mark.parametrize(
    ("prepare", "path"),
    [
        (lambda app: app.after_request(reads), "/page"),
        (lambda app: app.after_request(reads), "/nowhere/at/all"),
        (lambda app: app.teardown_request(reads), "/page"),
        (error_page(404), "/nowhere/at/all"),
        (error_page(500), "/fails"),
    ],
    ids=["after_request", "after_request of a 404", "teardown", "404 page", "500 page"],
)
def test_outage_is_a_503_wherever_it_is_met(
    browser: Browser, prepare: Callable[[Flask], object], path: str, testing: bool
) -> None:
    """Flask looks for error handlers around views alone."""
    prepare(browser.site.app)
    browser.visit(put(n=1))
    browser.site.app.config.update(TESTING=testing, PROPAGATE_EXCEPTIONS=testing and path != "/fails")
    browser.site.views["page"] = lambda: "hello"
    browser.site.views["fails"] = lambda: 1 // 0
    browser.site.store.broken.add("load")
    response = browser.client.get(path, buffered=True)

    assert (response.status_code, response.headers.get("Retry-After")) == (503, "5")


def fails_with_500() -> Any:
    try:
        return session["n"]
    except StoreUnavailable:
        return flask.make_response("oops", 500)


def fails_again() -> Any:
    try:
        return session["n"]
    finally:
        raise ZeroDivisionError


@pytest.mark.parametrize("view", [fails_with_500, fails_again])
def test_server_error_made_of_an_outage_is_a_503(browser: Browser, view: View) -> None:
    """As rule 12 says, whatever the application has made of it."""
    browser.visit(put(n=1))
    browser.site.store.broken.add("load")

    assert browser.visit(view, status=503).headers["Retry-After"] == "5"


def test_handler_of_a_blueprint_hides_no_outage(browser: Browser) -> None:
    """Though Flask asks it before the application's own, if it takes everything."""
    blueprint = flask.Blueprint("shop", __name__, url_prefix="/shop")
    blueprint.register_error_handler(Exception, lambda error: ("oops", 500))
    blueprint.add_url_rule("/", "page", lambda: session["n"])
    browser.site.app.register_blueprint(blueprint)
    browser.visit(put(n=1))
    browser.site.store.broken.add("load")

    assert browser.client.get("/shop/", buffered=True).status_code == 503


def test_applications_own_answer_is_given_wherever_an_outage_is_met(browser: Browser) -> None:
    """With the headers of `after_request` functions, also if it is met while saving."""
    app = browser.site.app
    app.register_error_handler(StoreError, lambda error: ("back soon", 503))
    app.after_request(lambda response: (response.headers.update({"X-Frame-Options": "DENY"}), response)[1])
    app.after_request(lambda response: reads(response) if request.path == "/late" else response)
    browser.visit(put(n=1))
    browser.site.views["late"] = lambda: "hello"
    browser.site.store.broken.update(("load", "replace"))
    late = browser.client.get("/late", buffered=True)
    browser.site.store.broken.remove("load")
    saving = browser.visit(lambda: (put(n=2)(), "saved")[1], status=503)

    assert (late.status_code, late.text) == (503, "back soon")
    assert (saving.text, saving.headers["X-Frame-Options"]) == ("back soon", "DENY")


def test_answer_that_needs_the_session_is_replaced(browser: Browser) -> None:
    """It cannot be given, and the next best is ours."""
    browser.site.app.register_error_handler(StoreError, lambda error: (f"{session['n']}: back soon", 503))
    browser.visit(put(n=1))
    browser.site.store.broken.add("load")

    assert browser.visit(lambda: session["n"], status=503).headers["Retry-After"] == "5"


def test_after_request_that_fails_saves_nothing_but_sends_the_cookie(browser: Browser) -> None:
    """What was dropped is told, and a token that was already written must reach the browser."""
    browser.site.app.after_request(lambda response: response if "n" not in session else 1 // 0)
    response = browser.visit(
        lambda: (get_session(request).login("ada"), get_session(request).commit(), put(n=1)()), status=500
    )

    assert response.headers["Set-Cookie"].startswith("session=")
    assert [event.keys for event in browser.site.told("session.write_discarded")] == [("n",)]
    assert browser.see(lambda: (get_session(request).username, dict(session))) == ("ada", {})


class OpenFile:
    """A body that has to be closed."""

    is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield b"Your order was placed."

    def close(self) -> None:
        self.is_closed = True


def test_outage_while_saving_replaces_a_body_that_is_closed(browser: Browser) -> None:
    """A page that promises what was not stored must not go out, and its files are closed."""
    body = OpenFile()
    browser.site.store.broken.add("create")
    response = browser.visit(lambda: (put(n=1)(), flask.Response(body))[1], status=503)

    assert "placed" not in response.text
    assert body.is_closed


@pytest.mark.parametrize("is_set_first", [True, False], ids=["before", "after"])
def test_application_may_answer_outages_itself(is_set_first: bool) -> None:
    """While reading and while saving alike."""
    app, store = Flask(__name__), FaultyStore(MemoryStore())
    app.config.update(SECRET_KEY=SECRET, SESSIONWARE_STORE=store)
    if not is_set_first:
        Sessionware(app)
    app.register_error_handler(StoreError, lambda error: ("back soon", 503))
    if is_set_first:
        Sessionware(app)
    app.add_url_rule("/", view_func=lambda: str(put(n=1)()))
    store.broken.add("create")

    assert app.test_client().get("/").text == "back soon"


def test_handler_for_everything_does_not_hide_an_outage(browser: Browser) -> None:
    """Flask takes the one for the closest class."""
    browser.site.app.register_error_handler(Exception, lambda error: "all is well")
    browser.visit(put(n=1))
    browser.site.store.broken.add("load")

    browser.visit(lambda: session["n"], status=503)


def test_view_may_answer_an_outage_itself(browser: Browser) -> None:
    """With a page that needs no session."""
    browser.visit(put(n=1))
    browser.site.store.broken.add("load")

    def view() -> str:
        try:
            return str(session["n"])
        except StoreUnavailable:
            return "closed today"

    assert browser.see(view) == "closed today"
    assert browser.visit(lambda: flask.make_response(view(), 503), status=503).text == "closed today"


def test_errors_of_accounts_are_the_applications(browser: Browser) -> None:
    """Only it knows how its pages refuse."""
    auth = Auth(MemoryUsers(), hasher=Argon2Hasher(time_cost=1, memory_cost=8))
    browser.site.app.testing = True

    with pytest.raises(Exception, match="Please log in first"):
        browser.visit(lambda: auth.require_user(request))


# After the response -------------------------------------------------------------------------------------------------


def test_streamed_body_reads_and_writes(browser: Browser) -> None:
    """What it writes is saved at its end, though the headers are out."""
    browser.visit(put(n=1))

    def view() -> flask.Response:
        session["before"] = True

        def body() -> Iterator[str]:
            yield f"n={session['n']}"
            session["n"] = 2

        return flask.Response(stream_with_context(body()))

    assert browser.visit(view).text == "n=1"
    assert browser.data == {"n": 2, "before": True}


def test_streamed_body_that_fails_saves_nothing_more(browser: Browser) -> None:
    """Nobody knows what it would have written."""
    browser.visit(put(n=1))

    def view() -> flask.Response:
        def body() -> Iterator[str]:
            yield "begun"
            session["n"] = 2
            raise ZeroDivisionError

        return flask.Response(stream_with_context(body()))

    with pytest.raises(ZeroDivisionError):
        browser.visit(view)
    assert browser.data == {"n": 1}


def test_body_that_fails_outside_of_the_request_saves_nothing_more(browser: Browser) -> None:
    """A generator that holds our session itself needs no `stream_with_context`."""
    browser.visit(put(n=1))

    def view() -> flask.Response:
        ours = get_session(request)
        ours["n"]

        def body() -> Iterator[str]:
            yield "begun"
            ours["n"] = 2
            raise ZeroDivisionError

        return flask.Response(body())

    with pytest.raises(ZeroDivisionError):
        browser.visit(view)
    assert browser.data == {"n": 1}


def test_client_that_hangs_up_loses_nothing(browser: Browser) -> None:
    """What a stream has written by then is saved."""
    browser.visit(put(n=1))

    def view() -> flask.Response:
        session["n"]

        def body() -> Iterator[str]:
            session["n"] = 2
            yield "begun"
            yield "never asked for"

        return flask.Response(stream_with_context(body()))

    browser.site.views["page"] = view
    response = browser.client.get("/page", buffered=False)
    next(iter(response.response))
    response.close()

    assert browser.data == {"n": 2}


def test_teardown_function_may_write_beside_a_file(browser: Browser, tmp_path: Any) -> None:
    """Whose body is the server's, and not ours to watch."""
    file = tmp_path / "file.txt"
    file.write_text("content")
    browser.site.app.teardown_request(lambda error: session.update(late=True) if "is_late" in flask.g else None)
    browser.visit(put(n=1))
    response = browser.visit(lambda: (setattr(flask.g, "is_late", True), flask.send_file(file))[1])

    assert response.text == "content"
    assert browser.data == {"n": 1, "late": True}


DEBUGGER = {"werkzeug.debug.preserve_context": lambda context: None}


@pytest.mark.parametrize("environ", [{}, DEBUGGER], ids=["plain", "debugger"])
def test_teardown_function_may_write(browser: Browser, environ: dict[str, Any]) -> None:
    """Flask's own sessions lose that."""
    browser.site.app.teardown_request(lambda error: session.update(late=True) if "is_late" in flask.g else None)
    browser.visit(put(n=1))
    browser.visit(lambda: setattr(flask.g, "is_late", True), environ_overrides=environ)

    assert browser.data == {"n": 1, "late": True}


def test_teardown_function_of_a_server_error_saves_nothing(browser: Browser) -> None:
    """No more than its view does."""
    browser.site.app.teardown_request(lambda error: session.update(late=True) if "is_late" in flask.g else None)
    browser.visit(put(n=1))
    browser.visit(lambda: (setattr(flask.g, "is_late", True), flask.make_response("oops", 500))[1], status=500)

    assert browser.data == {"n": 1}


def test_file_is_the_servers_to_send(tmp_path: Any) -> None:
    """By `wsgi.file_wrapper`, which it recognises by its type."""
    app, file = bare(SECRET_KEY=SECRET), tmp_path / "file.txt"
    file.write_text("content")
    Sessionware(app)
    app.add_url_rule("/", view_func=lambda: (put(n=1)(), flask.send_file(file))[1])
    environ = {**create_environ("/"), "wsgi.file_wrapper": FileWrapper}
    body: Any = app(environ, lambda status, headers: None)  # type: ignore[arg-type]
    body.close()

    assert type(body) is FileWrapper


def test_context_of_the_same_request_shares_its_session(browser: Browser) -> None:
    """And takes nothing of it away from the response."""

    def view() -> None:
        with browser.site.app.request_context(request.environ):
            put(n=1)()

    assert "Set-Cookie" in browser.visit(view).headers
    assert browser.data == {"n": 1}


def test_middleware_from_before_the_extension_stays() -> None:
    """Flask's way to add one is to assign to `wsgi_app`."""
    app, seen = bare(SECRET_KEY=SECRET), []
    inner = app.wsgi_app
    app.wsgi_app = lambda environ, start: (seen.append(environ), inner(environ, start))[1]  # type: ignore[assignment]
    Sessionware(app)
    app.add_url_rule("/", view_func=lambda: str(put(n=1)()))

    assert "Set-Cookie" in app.test_client().get("/").headers
    assert len(seen) == 1


def test_session_can_end_under_a_debugger(browser: Browser) -> None:
    """Nothing is left to save then."""
    browser.visit(put(n=1))
    browser.visit(lambda: session.clear(), environ_overrides=DEBUGGER)

    assert browser.data == {}


def test_thread_of_the_request_leaves_its_session_open(browser: Browser) -> None:
    """It has the request's context too, and may be through, or fail, before the view is."""
    seen = []

    def view() -> None:
        put(n=1)()

        @flask.copy_current_request_context
        def job() -> None:
            seen.append(session["n"])
            raise ZeroDivisionError

        def run() -> None:
            with suppress(ZeroDivisionError):
                job()

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        put(m=2)()

    browser.visit(view)

    assert seen == [1]
    assert browser.data == {"n": 1, "m": 2}


def test_request_inside_a_request_shares_its_session(browser: Browser) -> None:
    """The outer one saves, and sends the cookie."""

    def view() -> None:
        put(n=1)()
        environ = {**request.environ, "PATH_INFO": "/other"}
        browser.site.views["other"] = lambda: str(session.update(m=session["n"] + 1))
        _, status, headers = run_wsgi_app(browser.site.app.wsgi_app, environ, buffered=True)
        assert (status, "Set-Cookie" in headers) == ("200 OK", False)
        put(after=True)()

    assert len(browser.visit(view).headers.getlist("Set-Cookie")) == 1
    assert browser.data == {"n": 1, "m": 2, "after": True}


def test_session_can_be_looked_at_after_the_response(browser: Browser) -> None:
    """In a `with` block of the test client, also one that the page did not touch."""
    with browser.client:
        browser.visit(lambda: (put(n=1)(), flash("saved")))
        assert session["n"] == 1
        assert get_flashed_messages() == ["saved"]
        browser.visit(lambda: "hello")
        assert session["n"] == 1
    assert browser.data["n"] == 1


def test_writing_after_the_response_says_that_it_is_too_late(browser: Browser) -> None:
    """A new session would need a cookie. Flask's own would forget it in silence."""
    with browser.client:
        browser.visit(lambda: "hello")
        with pytest.raises(SessionClosed, match="headers are out"):
            session["n"] = 1


def test_test_client_can_prepare_a_session_and_look_into_it(browser: Browser) -> None:
    """By `session_transaction`, with no view at all."""
    with browser.client.session_transaction() as prepared:
        prepared["n"] = 1
    assert browser.data == {"n": 1}

    browser.visit(lambda: flash("saved"))
    with browser.client.session_transaction() as seen:
        assert dict(seen) == {"n": 1, "_flashes": [("message", "saved")]}
        seen["n"] += 1
    assert browser.data["n"] == 2


def test_test_request_context_stores_nothing(browser: Browser) -> None:
    """Nobody gets its cookie."""
    with browser.site.app.test_request_context("/page"):
        session["n"] = 1
        assert session["n"] == 1

    assert browser.site.store.scan() == []


def test_response_that_is_sent_to_several_carries_nobodys_cookie(site: Site) -> None:
    """The session's headers go out with it and do not stay in it."""
    one, other = Browser(site), Browser(site)
    with site.app.app_context():
        shared = flask.make_response("welcome")
    one.visit(lambda: (put(n=1)(), shared)[1])
    response = other.visit(lambda: shared)

    assert {"Set-Cookie", "Vary", "Cache-Control"} & {*response.headers.keys()} == set()


def test_test_client_is_told_of_an_outage(browser: Browser) -> None:
    """What `session_transaction` could not save must not pass for saved."""
    browser.site.store.broken.add("create")

    with pytest.raises(StoreUnavailable), browser.client.session_transaction() as prepared:
        prepared["n"] = 1


def test_wsgi_app_alone_serves_the_application() -> None:
    """As in `ProxyFix(create_app().wsgi_app)`, where nothing else is kept."""
    app = bare(SECRET_KEY=SECRET)
    app.add_url_rule("/", view_func=lambda: "hello")
    Sessionware(app)
    served = app.wsgi_app
    del app
    gc.collect()

    body, status, _ = run_wsgi_app(served, create_environ())
    assert (status, b"".join(body)) == ("200 OK", b"hello")


def begins_late(inner: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Iterator[bytes]:
        yield from inner(environ, start_response)

    return middleware


def writes(inner: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"".join(inner(environ, lambda *_: None)))
        return [b"!"]

    return middleware


@pytest.mark.parametrize(("middleware", "text"), [(begins_late, b"put"), (writes, b"put!")])
def test_middleware_inside_may_begin_its_response_late(middleware: Any, text: bytes) -> None:
    """Werkzeug's debugger is a generator; others call `write()`. The session is saved and sent all the same."""
    app = bare(SECRET_KEY=SECRET)
    app.add_url_rule("/", view_func=lambda: session.update(n=1) or "put")
    app.wsgi_app = middleware(app.wsgi_app)
    Sessionware(app)

    response = app.test_client().get("/")
    assert response.data == text
    assert response.headers["Set-Cookie"].startswith("session=")


def test_what_has_answered_by_itself_is_left_alone() -> None:
    """A websocket is over when the view returns, and there is no response to start."""
    app = bare(SECRET_KEY=SECRET)
    app.wsgi_app = lambda environ, start_response: []
    Sessionware(app)

    def start_response(*_: Any) -> Any:
        raise AssertionError("nobody has a response to start")

    assert list(app.wsgi_app(create_environ(), start_response)) == []


def test_trusted_origins_may_be_changed_in_place(site: Site) -> None:
    """A set as well as a list."""
    trusted = site.app.config["SESSIONWARE_TRUSTED_ORIGINS"] = {"https://one.example"}
    browser, form = Browser(site), {"method": "POST", "headers": {"Origin": "https://other.example"}}
    browser.visit(put(n=1))
    assert browser.see(lambda: get_session(request).is_foreign, **form) is True
    trusted.add("https://other.example")

    assert browser.see(lambda: get_session(request).is_foreign, **form) is False


def test_session_without_a_secret_says_what_is_missing() -> None:
    """Flask says so of `session`, and this of ours."""
    app = Flask(__name__)
    Sessionware(app)

    with app.test_request_context(), pytest.raises(ConfigError, match="set SECRET_KEY"):
        get_session(request)


# Two requests at once -----------------------------------------------------------------------------------------------


def writers(app: Flask) -> tuple[Callable[[str], Any], Callable[[], Any]]:
    """What `lost_writes` takes: each request has read the session before the other one saves it."""
    meeting, client = Meeting(), app.test_client()

    def view() -> str:
        session.get("n")
        meeting.wait()
        session[request.args["key"]] = True
        return "written"

    app.add_url_rule("/write", view_func=view)
    app.add_url_rule("/begin", "begin", lambda: str(put(n=1)()))
    app.add_url_rule("/read", "read", lambda: flask.jsonify(dict(session)))
    client.get("/begin")

    def write(key: str) -> None:
        tab = app.test_client(use_cookies=False)
        cookie = client.get_cookie("session")
        assert cookie is not None
        response = tab.get("/write", query_string={"key": key}, headers={"Cookie": f"session={cookie.value}"})
        for line in response.headers.getlist("Set-Cookie"):  # the later of two cookies replaces the other
            client.set_cookie("session", line.partition("=")[2].partition(";")[0])

    return write, lambda: client.get("/read").json


def test_parallel_requests_lose_nothing(tmp_path: Any) -> None:
    """200 writes, two at a time, of which Flask's own sessions lose each second one."""
    app = Flask(__name__)
    app.config.update(SECRET_KEY=SECRET, SESSIONWARE_STORE=MemoryStore())
    Sessionware(app)

    assert lost_writes(*writers(app)) == 0


def test_parallel_requests_with_flasks_own_sessions() -> None:
    """The figure that docs/flask.md gives: of each pair, the cookie that comes last wins."""
    app = Flask(__name__)
    app.config.update(SECRET_KEY=SECRET)

    assert lost_writes(*writers(app)) == 100


# Its own settings ---------------------------------------------------------------------------------------------------


def bare(**settings: Any) -> Flask:
    app = Flask(__name__)
    app.config.update(settings)
    return app


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"SESSIONWARE_STOER": 1}, r"SESSIONWARE_STOER: there is no such setting. The settings are SESSIONWARE_SECRET"),
        ({"SECRET_KEY": "dev"}, r"SECRET_KEY: the secret has 3 characters.*In Flask: app.config\[\"SECRET_KEY\"\] = "),
        ({"SECRET_KEY": SECRET, "SECRET_KEY_FALLBACKS": ["old"]}, "the secret has 3 characters"),
        ({"SECRET_KEY": SECRET, "SESSIONWARE_STORE": "sqlit:///x"}, "SESSIONWARE_STORE: .*sqlit"),
        ({"SECRET_KEY": SECRET, "SESSIONWARE_STORE": object()}, "is not a store"),
        ({"SESSIONWARE_TIMEOUTS": 5}, "timeouts"),
        ({"SESSIONWARE_TRUSTED_ORIGINS": "partner.example"}, "'partner.example' is not an origin"),
        ({"SESSIONWARE_CROSS_ORIGIN": "no"}, "cross_origin"),
        ({"SESSIONWARE_MAX_BYTES": 5}, "max_bytes"),
        ({"SESSIONWARE_PASSIVE": 5}, "passive"),
        ({"SESSIONWARE_ON_EVENT": 5}, "on_event"),
        ({"SESSIONWARE_CLIENT_ADDRESS": 5}, "client_address"),
        ({"SESSIONWARE_CLOCK": 5}, "clock"),
        ({"SESSION_COOKIE_HTTPONLY": False}, "SESSION_COOKIE_HTTPONLY=False: leave it out"),
        ({"SESSION_COOKIE_NAME": "__Host-session"}, r"SESSION_COOKIE_.*write name='session'"),
        ({"SESSION_COOKIE_SAMESITE": "lax"}, r'SESSION_COOKIE_.*write "Lax"'),
        ({"SESSION_COOKIE_PARTITIONED": True}, r"SESSION_COOKIE_.*secure=True"),
        ({"PERMANENT_SESSION_LIFETIME": 0}, "PERMANENT_SESSION_LIFETIME=.*write at least one second"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_setting_is_an_error_when_the_application_is_made(settings: dict[str, Any], message: str) -> None:
    """Not at the first visitor."""
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        Sessionware(bare(**settings))


@pytest.mark.parametrize(
    "wrong",
    [
        {"SECRET_KEY": f"dev {'a' * 40}"},
        {"SESSIONWARE_STORE": "sqlit:///x"},
        {"SESSION_COOKIE_NAME": "a b"},
        {"SESSIONWARE_SECRET": [SECRET, 5]},
        {"SESSIONWARE_CLOCK": 5},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_no_error_shows_a_secret(wrong: dict[str, Any]) -> None:
    """Not even where an error reporter shows every variable."""
    app = bare(**{"SECRET_KEY": SECRET, "SECRET_KEY_FALLBACKS": [SECRET[::-1]], **wrong})
    with pytest.raises(ConfigError) as caught:
        Sessionware(app)

    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    own = shown.partition("contrib/flask.py")[2]  # from the library's first frame on
    assert "app = <Flask" in own
    assert [secret for secret in (SECRET, SECRET[::-1], "a" * 40) if secret in own] == []


def test_what_is_no_application_is_told_so() -> None:
    """The WSGI application inside it is a usual mistake."""
    with pytest.raises(ConfigError, match="pass the Flask application, not method"):
        Sessionware(Flask(__name__).wsgi_app)  # type: ignore[arg-type]


def test_cookie_is_as_flask_is_told(clock: Clock) -> None:
    """With the old dot before a domain left out, and the prefix that a Secure cookie gets."""
    browser = Browser(
        Site(
            clock,
            SESSION_COOKIE_NAME="shop",
            SESSION_COOKIE_DOMAIN=".localhost",
            SESSION_COOKIE_PATH="/page",
            SESSION_COOKIE_SECURE=True,
            SESSION_COOKIE_SAMESITE="Strict",
            SESSION_COOKIE_PARTITIONED=True,
        )
    )
    line = browser.visit(put(n=1), base_url="https://localhost").headers["Set-Cookie"]

    assert line.startswith("__Secure-shop=")
    assert {*line.split("; ")[1:]} >= {
        *("Domain=localhost", "Path=/page", "Secure", "HttpOnly", "SameSite=Strict", "Partitioned")
    }


def test_cookie_is_secure_wherever_there_is_https(browser: Browser) -> None:
    """Flask's default is False, which is no wish."""
    line = browser.visit(put(n=1), base_url="https://localhost").headers["Set-Cookie"]

    assert line.startswith("__Host-session=")
    assert "; Secure" in line


def test_path_follows_the_application_root(clock: Clock) -> None:
    """As Flask's does."""
    line = Browser(Site(clock, APPLICATION_ROOT="/shop")).visit(put(n=1)).headers["Set-Cookie"]

    assert "; Path=/shop;" in line


def test_secret_can_be_set_after_the_extension() -> None:
    """Until then Flask says what is missing, as it always does."""
    app = Flask(__name__)
    Sessionware(app)
    app.add_url_rule("/", view_func=lambda: str(put(n=1)()))

    with app.test_request_context(), pytest.raises(RuntimeError, match="no secret key was set"):
        session["n"] = 1
    app.secret_key = SECRET
    assert "Set-Cookie" in app.test_client().get("/").headers


@pytest.mark.parametrize("word", ["TESTING", "DEBUG"])
def test_poor_secret_will_do_for_tests(word: str, caplog: pytest.LogCaptureFixture) -> None:
    """With one warning that says what to write."""
    app = bare(SECRET_KEY="dev", SECRET_KEY_FALLBACKS=["older"], **{word: True})
    Sessionware(app)
    app.add_url_rule("/", view_func=lambda: str(session.setdefault("n", 1)))
    client = app.test_client()
    app.config["SECRET_KEY_FALLBACKS"].append("oldest")

    assert [client.get("/").text for _ in range(2)] == ["1", "1"]
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert 'app.config["SECRET_KEY"] = ' in warning.getMessage()


def test_poor_secret_outside_of_tests_is_an_error_at_the_next_request() -> None:
    """If it was set after the extension."""
    app = Flask(__name__)
    Sessionware(app)
    app.config.update(SECRET_KEY="dev", PROPAGATE_EXCEPTIONS=True)

    with pytest.raises(ConfigError, match="SECRET_KEY"):
        app.test_client().get("/")


def test_secrets_can_be_rotated(browser: Browser) -> None:
    """SECRET_KEY_FALLBACKS open what an older one has sealed; without them it does not open."""
    app = browser.site.app
    browser.visit(put(n=1))
    app.config.update(SECRET_KEY=SECRET[::-1], SECRET_KEY_FALLBACKS=[SECRET])
    assert browser.data == {"n": 1}
    app.config.update(SECRET_KEY_FALLBACKS=None)
    assert browser.data == {"n": 1}  # it was sealed anew
    app.config.update(SECRET_KEY=SECRET, SECRET_KEY_FALLBACKS=[])
    assert browser.data == {}
    app.config["SECRET_KEY_FALLBACKS"].append(SECRET[::-1])

    assert browser.data == {"n": 1}


def test_secret_of_its_own() -> None:
    """SESSIONWARE_SECRET, for whoever wants to change one without the other."""
    app = bare(SESSIONWARE_SECRET=SECRET)
    sessions = Sessionware(app)

    assert sessions.manager.stats()["live"] == 0


def test_store_may_be_a_url(tmp_path: Any) -> None:
    """As in FLASK_SESSIONWARE_STORE=file:///… and `app.config.from_prefixed_env()`."""
    app = bare(SECRET_KEY=SECRET, SESSIONWARE_STORE=f"file://{tmp_path}/sessions")
    sessions = Sessionware(app)
    app.add_url_rule("/", view_func=lambda: str(put(n=1)()))
    app.test_client().get("/")

    assert sessions.manager.stats()["live"] == 1
    assert len(FileStore(tmp_path / "sessions").scan()) == 1


@pytest.mark.parametrize("store", [{}, {"SESSIONWARE_STORE": "memory://"}], ids=["unset", "memory"])
def test_sessions_in_memory_outlive_a_change_of_settings(store: dict[str, str]) -> None:
    """Each change makes another manager, but never another store."""
    app = bare(SECRET_KEY=SECRET, **store)
    sessions = Sessionware(app)
    app.add_url_rule("/", view_func=lambda: str(put(n=1)()))
    app.test_client().get("/")
    before, app.config["SESSIONWARE_MAX_BYTES"] = sessions.manager, 5000

    assert sessions.manager is not before
    assert sessions.manager.stats()["live"] == 1


def test_one_extension_serves_several_applications() -> None:
    """As application factories make them. Each has its own sessions."""
    sessions = Sessionware()
    one, other = bare(SECRET_KEY=SECRET), bare(SECRET_KEY=SECRET)
    for app in (one, other):
        sessions.init_app(app)

    with one.app_context():
        manager = sessions.manager
    with other.app_context():
        assert sessions.manager is not manager
    with pytest.raises(ConfigError, match="Which application"):
        _ = sessions.manager


def test_old_cookie_under_the_same_name_is_replaced(browser: Browser) -> None:
    """What Flask itself had signed does not open."""
    serializer = SecureCookieSessionInterface().get_signing_serializer(browser.site.app)
    assert serializer is not None
    browser.client.set_cookie("session", str(serializer.dumps({"user": "ada"})))

    assert browser.data == {}
    assert browser.visit(put(n=1)).headers["Set-Cookie"].startswith("session=")
    assert browser.data == {"n": 1}


# With the rest of sessionware ---------------------------------------------------------------------------------------


def test_auth_works_in_views(browser: Browser) -> None:
    """It finds the session in the request, and what `flask.session` holds survives the login."""
    auth = Auth(MemoryUsers(), hasher=Argon2Hasher(time_cost=1, memory_cost=8))
    browser.visit(put(cart=["tea"]))
    browser.visit(lambda: auth.register(request, "ada", PASSWORD), method="POST")

    assert browser.see(lambda: (auth.require_user(request).username, dict(session))) == ("ada", {"cart": ["tea"]})
    user = browser.see(lambda: auth.require_user(request))
    assert browser.site.sessions.manager.end_all(user) == 1
    assert browser.see(lambda: auth.user(request)) is None


def test_flask_and_sessionware_see_one_session(browser: Browser) -> None:
    """What the one writes, the other reads, in the same request."""
    held = browser.see(lambda: (put(n=1)(), get_session(request).modify("n", lambda n: n + 1), session["n"]))

    assert held == (None, 2, 2)
    assert browser.see(lambda: session.sessionware is get_session(request)) is True  # type: ignore[attr-defined]


def test_middleware_around_shares_the_session(browser: Browser) -> None:
    """So the pages of `AuthPages` work, and one cookie is set, once."""
    site = browser.site
    auth = Auth(MemoryUsers(), hasher=Argon2Hasher(time_cost=1, memory_cost=8))
    site.app.wsgi_app = site.sessions.manager.wrap(AuthPages(site.app.wsgi_app, auth))
    browser.client.post("/register", data={"username": "ada", "password": PASSWORD}, buffered=True)
    response = browser.visit(lambda: (put(n=1)(), auth.require_user(request).username)[1])

    assert response.text == "ada"
    assert browser.data == {"n": 1}
    with browser.client.session_transaction() as prepared:
        prepared["n"] = 2
    assert browser.data == {"n": 2}
    assert site.told("store.unavailable") == []


def test_outage_under_a_middleware_is_told_by_it(browser: Browser) -> None:
    """It sends what it always sends."""
    site = browser.site
    site.app.wsgi_app = site.sessions.manager.wrap(site.app.wsgi_app)
    site.store.broken.add("create")

    assert browser.visit(put(n=1), status=503).headers["Retry-After"] == "5"


def test_form_of_another_site_has_no_session(browser: Browser) -> None:
    """What it writes is dropped, and told."""
    browser.visit(put(n=1))
    seen = browser.see(lambda: (dict(session), put(n=2)())[0], method="POST", headers={"Sec-Fetch-Site": "cross-site"})

    assert seen == {}
    assert browser.data == {"n": 1}
    assert len(browser.site.told("session.write_discarded")) == 1
