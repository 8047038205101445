"""Pyramid's `request.session` on our sessions: each member, each end of a request, each policy for CSRF tokens."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from copy import copy, deepcopy
from pathlib import Path
from traceback import TracebackException
from typing import Any, ClassVar
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
import transaction
from pyramid.authorization import Allow, Authenticated
from pyramid.config import Configurator
from pyramid.csrf import (
    CookieCSRFStoragePolicy,
    LegacySessionCSRFStoragePolicy,
    SessionCSRFStoragePolicy,
    get_csrf_token,
    new_csrf_token,
)
from pyramid.events import NewRequest, NewResponse
from pyramid.exceptions import ConfigurationExecutionError
from pyramid.httpexceptions import HTTPNotFound
from pyramid.interfaces import ICSRFStoragePolicy, ISecurityPolicy, ISession
from pyramid.request import Request
from pyramid.response import FileResponse, Response
from pyramid.security import forget, remember
from pyramid.session import SignedCookieSessionFactory
from pyramid_retry import RetryableException
from webtest import TestApp, TestResponse
from zope.interface.verify import verifyObject

import dev
from sessionware import (
    ConfigError,
    MemoryStore,
    Session,
    SessionClosed,
    SessionManager,
    SessionTooLarge,
    StoreError,
    StoreUnavailable,
    get_session,
)
from sessionware.auth import Argon2Hasher, Auth, AuthPages, MemoryUsers
from sessionware.contrib.pyramid import CSRFStoragePolicy, PyramidSession, session_factory
from tests.project.pages import blocks
from tests.support.fixed import SECRET, Clock
from tests.support.kit import WatchedStore
from tests.support.parallel import Meeting, lost_writes

HOUR = 3600
PASSWORD = "seven quiet lanterns drift"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
CROSS_SITE = {"Sec-Fetch-Site": "cross-site"}

View = Callable[[Any], Any]
Setup = Callable[[Any], object]


class Site:
    """A Pyramid application with a manager that tells what happens. Its views are set by what is visited."""

    def __init__(self, clock: Clock, **settings: Any) -> None:
        self.clock, self.store, self.told = clock, WatchedStore(MemoryStore()), []
        settings = {"store": self.store, "clock": clock, "on_event": lambda event: self.told.append(event), **settings}
        self.manager = SessionManager(SECRET, **settings)

    told: list[Any]

    def app(self, *setups: Setup) -> Any:
        """The application, with the include and whatever else is set up. One view does what the visit says."""
        with Configurator(settings={"sessionware.manager": self.manager}) as config:
            config.include("sessionware.contrib.pyramid")
            for setup in setups:
                setup(config)
            config.add_route("any", "/*rest")
            config.add_view(lambda request: respond(request), route_name="any")
            return config.make_wsgi_app()

    def browser(self, *setups: Setup) -> Browser:
        return Browser(self.app(*setups))

    def dropped(self) -> list[tuple[str, ...]]:
        """The keys that were dropped, by the event for each request."""
        return [event.keys for event in self.told if event.name == "session.write_discarded"]


def respond(request: Any) -> Any:
    result = request.environ["test.view"](request)
    return result if isinstance(result, Response) else Response(str(result), content_type="text/plain")


class Browser:
    """One browser, with its cookies."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.client = TestApp(validator(app))

    def visit(self, view: View, method: str = "GET", **settings: Any) -> TestResponse:
        """One request, for which the view is this one."""
        extra = {"test.view": view, **settings.pop("environ", {})}
        return self.client.request("/", method=method, environ=extra, expect_errors=True, **settings)

    def tab(self) -> Browser:
        """The same browser as it is now, on the same site."""
        other = Browser(self.app)
        for cookie in self.client.cookiejar:
            other.client.cookiejar.set_cookie(copy(cookie))
        return other

    def read(self) -> dict[str, Any]:
        """What the session holds."""
        found: dict[str, Any] = {}
        self.visit(lambda request: found.update(request.session))
        return found


@pytest.fixture
def site(clock: Clock) -> Site:
    return Site(clock)


@pytest.fixture
def browser(site: Site) -> Browser:
    return site.browser()


def write(key: str, value: Any = True) -> View:
    return lambda request: request.session.update({key: value})


# What Pyramid's interface asks for ----------------------------------------------------------------------------------


def test_session_is_an_isession(site: Site) -> None:
    """By name and arguments, as Pyramid's own test asks."""
    assert verifyObject(ISession, PyramidSession(site.manager.open({}).session))
    assert verifyObject(ICSRFStoragePolicy, CSRFStoragePolicy())


def test_session_is_a_dict_that_stays(browser: Browser) -> None:
    """Each of a dict's methods does what a dict's does, and the next request sees it."""
    browser.visit(lambda request: request.session.update({"a": 1, "b": [2], "c": 3, "d": 4}, e=5))

    def change(request: Any) -> str:
        session = request.session
        del session["a"]
        session["b"].append(3)
        session.setdefault("c", 0)
        session.setdefault("f", 6)
        assert (session.pop("d"), session.pop("d", None), session.pop("f")) == (4, None, 6)
        with pytest.raises(KeyError):
            session.pop("nowhere")
        assert session == {"b": [2, 3], "c": 3, "e": 5} == dict(session)
        return f"{list(session)} {len(session)} {'b' in session} {session.get('b')} {session.get('z', 0)}"

    assert browser.visit(change).text == "['b', 'c', 'e'] 3 True [2, 3] 0"
    assert browser.read() == {"b": [2, 3], "c": 3, "e": 5}
    browser.visit(lambda request: request.session.clear())
    assert browser.read() == {}


def test_session_has_what_only_a_dict_has(browser: Browser) -> None:
    """Operators, the order of keys and a copy, which is a dict."""

    def use(request: Any) -> None:
        session = request.session
        session |= {"b": 2}
        session |= [("c", 3)]
        assert session is request.session
        assert (list(reversed(session)), session.popitem()) == (["c", "b", "a"], ("c", 3))
        assert ({"a": 0, "z": 0} | session, session | {"a": 0}) == ({"a": 1, "z": 0, "b": 2}, {"a": 0, "b": 2})
        assert (session.copy(), session.fromkeys("xy", 0)) == ({"a": 1, "b": 2}, {"x": 0, "y": 0})
        assert {type(each) for each in (session.copy(), session | {}, {} | session)} == {dict}
        with pytest.raises(TypeError, match="unsupported operand"):
            session | 1
        with pytest.raises(TypeError, match="unsupported operand"):
            1 | session

    browser.visit(write("a", 1))
    browser.visit(use)

    assert browser.read() == {"a": 1, "b": 2}


@pytest.mark.parametrize("copied", [copy, deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"])
def test_session_is_no_value_to_be_kept(browser: Browser, copied: Callable[[Any], Any]) -> None:
    """A copy would be the same session under another name, and would be empty when it is to be restored."""
    with pytest.raises(TypeError, match=re.escape("session.copy()")):
        browser.visit(lambda request: copied(request.session))


def test_change_inside_a_value_needs_no_word(browser: Browser) -> None:
    """`changed()` is there for code that calls it, and does nothing."""
    browser.visit(write("cart", {"tea": 1}))
    browser.visit(lambda request: request.session["cart"].update(milk=2))
    browser.visit(lambda request: (request.session["cart"].update(honey=3), request.session.changed()))

    assert browser.read() == {"cart": {"tea": 1, "milk": 2, "honey": 3}}


def test_new_and_created(browser: Browser, clock: Clock) -> None:
    """New until something is stored, and created when that was."""
    earliest = int(time.time())
    is_new, now = browser.visit(lambda request: (request.session.new, request.session.created)).text[1:-1].split(", ")
    browser.visit(write("n"))
    created = int(clock())
    clock.tick(60)

    assert (is_new, int(now) >= earliest) == ("True", True)
    assert browser.visit(lambda request: (request.session.new, request.session.created)).text == f"(False, {created})"


def test_invalidated_session_ends_and_another_can_begin(browser: Browser) -> None:
    """A copy of the old cookie is worth nothing. What is written afterwards is in a session of its own."""
    browser.visit(write("a"))
    thief = browser.tab()
    out = browser.visit(lambda request: request.session.invalidate())
    again = browser.visit(lambda request: (request.session.invalidate(), request.session.update(b=2)))

    assert "Max-Age=0" in out.headers["Set-Cookie"]
    assert len(again.headers.getall("Set-Cookie")) == 1
    assert (browser.read(), thief.read()) == ({"b": 2}, {})


def test_flash_messages_wait_in_their_queues(browser: Browser) -> None:
    """Until they are popped. One that must not be there twice is not."""

    def leave(request: Any) -> None:
        for message in ("saved", "saved"):
            request.session.flash(message)
        for message in ("careful", "careful", "hot"):
            request.session.flash(message, "warn", allow_duplicate=False)

    browser.visit(leave)
    browser.visit(lambda request: request.session.pop_flash("warn"), "HEAD")

    assert browser.visit(lambda request: request.session.peek_flash()).text == "['saved', 'saved']"
    assert browser.visit(lambda request: request.session.pop_flash()).text == "['saved', 'saved']"
    assert browser.visit(lambda request: request.session.pop_flash()).text == "[]"
    assert browser.visit(lambda request: request.session.pop_flash("warn")).text == "['careful', 'hot']"


def test_what_cannot_be_stored_is_refused_where_it_is_assigned(browser: Browser) -> None:
    """Or, inside a value, when the session is saved. Then nothing of the request is."""
    with pytest.raises(TypeError, match="object"):
        browser.visit(write("thing", object()))
    browser.visit(write("list", []))
    with pytest.raises(TypeError, match="object"):
        browser.visit(lambda request: (request.session["list"].append(object()), request.session.update(other=1)))

    assert browser.read() == {"list": []}


def test_session_that_is_too_large_is_not_saved(clock: Clock) -> None:
    """The server sees why."""
    browser = Site(clock, max_bytes=1024).browser()

    with pytest.raises(SessionTooLarge):
        browser.visit(write("text", "x" * 2000))
    assert browser.read() == {}


def test_session_that_cannot_be_saved_may_have_a_page(clock: Clock) -> None:
    """By the exception view of the site, at the end of the request too. Nothing is saved, whatever its status is."""
    site = Site(clock, max_bytes=1024)

    def too_large(error: Exception, request: Any) -> Response:
        return Response(f"no room beside {list(request.session)}", 413)

    def setup(config: Any) -> None:
        config.add_exception_view(too_large, context=SessionTooLarge)
        config.add_exception_view(lambda error, _: Response(f"{error}", 500), context=Exception)

    browser = site.browser(setup)
    browser.visit(write("list", []))
    large = browser.visit(write("text", "x" * 2000))
    unstorable = browser.visit(lambda request: request.session["list"].append(object()))

    assert (large.status_int, large.text) == (413, "no room beside ['list']")
    assert unstorable.status_int == 500
    assert "object of type object" in unstorable.text
    assert browser.read() == {"list": []}


# What else finds it -------------------------------------------------------------------------------------------------


def test_get_session_finds_ours(site: Site, browser: Browser) -> None:
    """Whether or not anybody has asked for `request.session` before, and after the response as well."""

    def look(request: Any) -> bool:
        return get_session(request) is request.session.sessionware is get_session(request.environ)

    requests: list[Any] = []

    assert browser.visit(look).text == "True"
    assert browser.visit(lambda request: isinstance(request.session.sessionware, Session)).text == "True"
    browser.visit(lambda request: (requests.append(request), request.session.update(n=1)))
    assert (requests[0].session["n"], get_session(requests[0])["n"]) == (1, 1)
    with pytest.raises(SessionClosed):
        requests[0].session["n"] = 2


def test_auth_works_in_views(site: Site, browser: Browser) -> None:
    """Register, remember, list, and end from elsewhere."""
    auth = Auth(MemoryUsers(), hasher=Argon2Hasher(time_cost=1, memory_cost=8))

    def register(request: Any) -> str:
        request.session["cart"] = ["tea"]
        user = auth.register(request, "Ada", PASSWORD)
        get_session(request).remember(HOUR)
        return user.id

    registered = browser.visit(register, "POST")
    user_id = registered.text

    assert "Max-Age=3600" in registered.headers["Set-Cookie"]
    assert browser.visit(lambda request: auth.require_user(request).username).text == "Ada"
    assert browser.read() == {"cart": ["tea"]}
    assert len(site.manager.of(user_id=user_id)) == 1
    site.manager.end_all(user_id=user_id)
    assert browser.visit(lambda request: auth.user(request)).text == "None"


def test_middleware_around_does_it_all(site: Site) -> None:
    """The views and `AuthPages` share its session, and one cookie goes out."""
    auth = Auth(MemoryUsers(), hasher=Argon2Hasher(time_cost=1, memory_cost=8))
    auth.register(site.manager, "Ada", PASSWORD, login=False)
    browser = Browser(site.manager.wrap(AuthPages(site.app(), auth)))

    written = browser.visit(write("cart", ["tea"]))
    form = browser.client.get("/login").form
    form["username"], form["password"] = "Ada", PASSWORD
    form.submit()

    assert len(written.headers.getall("Set-Cookie")) == 1
    assert browser.visit(lambda request: (request.session.sessionware.username, request.session["cart"])).text == (
        "('Ada', ['tea'])"
    )


def test_middleware_around_saves_what_a_stream_writes(site: Site) -> None:
    """The adapter's own hands stay off."""
    browser = Browser(site.manager.wrap(site.app()))
    browser.visit(write("n", 1))
    browser.visit(streamed)

    assert browser.read() == {"n": 2}


def test_middleware_around_answers_outages_itself(site: Site) -> None:
    """With its own page, whatever view the site has."""

    def closed(config: Any) -> None:
        config.add_exception_view(lambda error, _: Response("We are closed.", 503), context=StoreError)

    browser = Browser(site.manager.wrap(site.app(closed)))
    browser.visit(write("n", 1))
    site.store.broken = {"load"}
    answer = browser.visit(write("n", 2))

    assert (answer.status_int, answer.headers["Retry-After"]) == (503, "5")
    assert answer.text == "The service is unavailable for a moment. Please try again.\n"


def test_import_of_the_library_leaves_pyramid_alone() -> None:
    """Whoever does not use it does not wait for it."""
    code = "import sessionware, sessionware.auth, sys; sys.exit('pyramid' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The response -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", [lambda request: "hello", lambda request: type(request.session)], ids=["no", "named"])
def test_untouched_page_costs_nothing(site: Site, browser: Browser, view: View) -> None:
    """No call of the store and no header, also if the session was in somebody's hands but not looked at."""
    browser.visit(write("n"))
    site.store.taken()

    answer = browser.visit(view)

    assert {"Set-Cookie", "Vary", "Cache-Control"}.isdisjoint(answer.headers)
    assert site.store.taken() == []


def test_headers_are_merged(browser: Browser) -> None:
    """With those of the view's own."""

    def view(request: Any) -> Response:
        request.session["n"] = 1
        answer = Response("hello", vary="Accept-Language", cache_control="public, max-age=60")
        answer.set_cookie("theme", "dark")
        return answer

    written = browser.visit(view)

    assert written.headers.getall("Vary") == ["Accept-Language, Cookie"]
    assert written.headers.getall("Cache-Control") == ["no-store"]
    assert [line.partition("=")[0] for line in written.headers.getall("Set-Cookie")] == ["theme", "sid"]


def test_conditional_response_tells_of_the_session(browser: Browser) -> None:
    """A 304 varies by the cookie as the page does."""

    def view(request: Any) -> Response:
        return Response(str(request.session.get("n")), etag="x", conditional_response=True)

    answer = browser.visit(view, headers={"If-None-Match": '"x"'})

    assert (answer.status_int, answer.headers["Vary"]) == (304, "Cookie")


def test_file_reaches_the_server_as_it_is(site: Site, tmp_path: Path) -> None:
    """So that it can be sent by the operating system, also if the session was read."""
    file = tmp_path / "file.txt"
    file.write_text("hello")
    environ = {"test.view": lambda request: (request.session.get("n"), FileResponse(file, request))[1]}
    request = Request.blank("/", environ={**environ, "wsgi.file_wrapper": FileWrapper})

    body = site.app()(request.environ, lambda status, headers, exc_info=None: lambda chunk: None)

    assert isinstance(body, FileWrapper)
    body.close()


def streamed(request: Any) -> Response:
    before = request.session["n"]

    def chunks() -> Iterator[bytes]:
        yield b"first "
        request.session["n"] = before + 1
        yield b"last"

    return Response(app_iter=chunks(), content_type="text/plain")


def test_stream_may_write(browser: Browser) -> None:
    """What the body writes while it is sent is saved at its end (rule 10)."""
    browser.visit(write("n", 1))

    assert browser.visit(streamed).text == "first last"
    assert browser.read() == {"n": 2}


def test_stream_that_breaks_saves_nothing_more(site: Site, browser: Browser) -> None:
    """What the page had written before stays."""

    def view(request: Any) -> Response:
        request.session["before"] = True

        def chunks() -> Iterator[bytes]:
            yield b"first"
            request.session["late"] = True
            raise ZeroDivisionError

        return Response(app_iter=chunks(), content_type="text/plain")

    browser.visit(write("n"))
    with pytest.raises(ZeroDivisionError):
        browser.visit(view)

    assert browser.read() == {"n": True, "before": True}
    assert site.dropped() == [("late",)]


def test_stream_is_not_run_for_head(browser: Browser) -> None:
    """Nobody asks for the body."""
    browser.visit(write("n", 1))

    assert browser.visit(streamed, "HEAD").status_int == 200
    assert browser.read() == {"n": 1}


def test_stream_that_never_starts_ends_the_session_all_the_same(site: Site) -> None:
    """For HEAD, and if the visitor is gone: what was written after the headers is saved, and the session is closed."""
    requests: list[Any] = []

    def late(event: Any) -> None:
        if event.request.method in ("HEAD", "POST"):
            event.request.session[event.request.method] = True
            requests.append(event.request)

    browser = site.browser(lambda config: config.add_subscriber(late, NewResponse))
    browser.visit(write("n", 1))
    browser.visit(streamed, "HEAD")
    hung_up = Request.blank("/", method="POST", headers={"Cookie": f"sid={browser.client.cookies['sid']}"})
    body = browser.app({**hung_up.environ, "test.view": streamed}, lambda status, headers, exc_info=None: None)
    body.close()

    assert browser.read() == {"n": 1, "HEAD": True, "POST": True}
    for request in requests:
        with pytest.raises(SessionClosed):
            request.session["later"] = True


def test_stream_that_is_broken_off_saves_what_it_has_written(site: Site, browser: Browser) -> None:
    """The visitor went away, which is no error of the page."""
    browser.visit(write("n", 1))
    request = Request.blank("/", headers={"Cookie": f"sid={browser.client.cookies['sid']}"})
    body = browser.app({**request.environ, "test.view": streamed}, lambda status, headers, exc_info=None: None)
    chunks = iter(body)

    assert [next(chunks), next(chunks)] == [b"first ", b"last"]
    body.close()
    assert browser.read() == {"n": 2}


# Exceptions ---------------------------------------------------------------------------------------------------------


def flashing_view(status: int) -> Setup:
    def view(error: Exception, request: Any) -> Response:
        request.session.flash("sorry")
        return Response("sorry", status)

    return lambda config: config.add_exception_view(view, context=LookupError)


def fails(request: Any) -> None:
    request.session["n"] = 1
    raise LookupError


def breaks(request: Any) -> None:
    raise LookupError


def missing(request: Any) -> None:
    raise HTTPNotFound


def test_exception_view_may_flash(site: Site) -> None:
    """A refusal is a page like any other: the session is saved."""
    browser = site.browser(flashing_view(409))

    assert browser.visit(fails).status_int == 409
    assert browser.visit(lambda request: (request.session["n"], request.session.pop_flash())).text == "(1, ['sorry'])"


def test_server_error_saves_nothing(site: Site) -> None:
    """Neither the view's writes nor the exception view's (rule 11), which is told."""
    browser = site.browser(flashing_view(500))

    assert browser.visit(fails).status_int == 500
    assert browser.read() == {}
    assert site.dropped() == [("n", "_flash_")]


def test_exception_that_leaves_all_views_saves_nothing(site: Site, browser: Browser) -> None:
    """There is no response that could carry a cookie."""
    with pytest.raises(LookupError):
        browser.visit(fails)

    assert browser.read() == {}
    assert site.dropped() == [("n",)]


def test_page_that_does_not_exist_leaves_the_session_alone(site: Site, browser: Browser) -> None:
    """Pyramid's own 404."""
    browser.visit(write("n"))
    site.store.taken()

    assert browser.visit(missing).status_int == 404
    assert site.store.taken() == []


@pytest.mark.parametrize("call", ["load", "replace"])
def test_outage_is_a_503_and_no_logout(site: Site, browser: Browser, call: str) -> None:
    """At the first look, which an exception view answers, and at the end, when the view has gone well."""
    browser.visit(write("n", 1))
    site.store.broken = {call}

    down = browser.visit(lambda request: request.session.update(n=request.session["n"] + 1))

    assert (down.status_int, down.headers["Retry-After"], down.headers["Cache-Control"]) == (503, "5", "no-store")
    assert down.text == "The service is unavailable for a moment. Please try again.\n"
    assert "Set-Cookie" not in down.headers
    site.store.broken = set()
    assert browser.read() == {"n": 1}


@pytest.mark.parametrize("call", ["load", "replace"])
def test_outage_is_no_case_for_a_view_of_all_exceptions(site: Site, call: str) -> None:
    """Pyramid takes the view of the nearest class, which is ours."""
    browser = site.browser(lambda config: config.add_exception_view(lambda error, _: Response("no"), context=Exception))
    browser.visit(write("n", 1))
    site.store.broken = {call}

    assert browser.visit(write("n", 2)).status_int == 503


@pytest.mark.parametrize("call", ["load", "replace"])
def test_outage_may_have_a_page_of_the_sites_own(site: Site, call: str) -> None:
    """By an exception view for `StoreError`, at the end of the request too."""

    def closed(error: Exception, request: Any) -> Response:
        return Response("We are closed.", 503)

    browser = site.browser(lambda config: config.add_exception_view(closed, context=StoreError))
    browser.visit(write("n", 1))
    site.store.broken = {call}

    assert browser.visit(write("n", 2)).text == "We are closed."


def look(request: Any, *_more: Any) -> Response:
    """What a layout with "Hello Ada" does, on any page."""
    return Response(f"Hello {request.session.get('name')}", 404)


def looking_tween(handler: View, _registry: Any) -> View:
    return lambda request: handler(request) if look(request) else None


def looks_in_error_view(config: Any) -> None:
    config.add_exception_view(lambda error, request: look(request), context=LookupError)


def looks_when_not_found(config: Any) -> None:
    config.add_notfound_view(lambda error, request: look(request))


def looks_in_subscriber(config: Any) -> None:
    config.add_subscriber(lambda event: look(event.request), NewResponse)


def looks_in_callback(config: Any) -> None:
    config.add_subscriber(lambda event: event.request.add_response_callback(look), NewRequest)


def looks_in_tween(config: Any) -> None:
    config.add_tween("tests.contrib.test_pyramid.looking_tween")


def looks_behind_pyramid_retry(config: Any) -> None:
    config.include("pyramid_retry")
    looks_in_tween(config)


LOOKS: list[tuple[Setup, View]] = [
    (looks_in_error_view, breaks),
    (looks_when_not_found, missing),
    (looks_in_subscriber, lambda request: "hello"),
    (looks_in_callback, lambda request: "hello"),
    (looks_in_tween, lambda request: "hello"),
    (looks_behind_pyramid_retry, lambda request: "hello"),
]
each_look = pytest.mark.parametrize(("setup", "view"), LOOKS, ids=[setup.__name__ for setup, _ in LOOKS])


def down(site: Site, *setups: Setup) -> Browser:
    """A browser with a session, whose store cannot be read any more."""
    browser = site.browser(*setups)
    browser.visit(write("n", 1))
    site.store.broken = {"load"}
    return browser


@each_look
def test_outage_where_pyramid_calls_no_exception_view_is_a_503_too(site: Site, setup: Setup, view: View) -> None:
    """In another exception view, in a tween, and after the view: it does not leave the application."""
    answer = down(site, setup).visit(view)

    assert (answer.status_int, answer.headers["Retry-After"]) == (503, "5")
    assert "Set-Cookie" not in answer.headers


@each_look
def test_sites_own_page_is_shown_there_too(site: Site, setup: Setup, view: View) -> None:
    """Wherever the outage was met first."""

    def closed(config: Any) -> None:
        config.add_exception_view(lambda error, _: Response("We are closed.", 503), context=StoreError)

    assert down(site, setup, closed).visit(view).text == "We are closed."


def test_sites_own_page_must_not_need_the_session(site: Site) -> None:
    """If it does, ours is shown in its place."""
    browser = down(site, lambda config: config.add_exception_view(lambda _, request: look(request), context=StoreError))

    assert browser.visit(look).text == "The service is unavailable for a moment. Please try again.\n"


def answers_itself(request: Any) -> Response:
    try:
        return look(request)
    except StoreError:
        return Response("oops", 500)


def breaks_meanwhile(request: Any) -> Response:
    try:
        return look(request)
    finally:
        request.POST["nowhere"]


@pytest.mark.parametrize("view", [answers_itself, breaks_meanwhile])
def test_error_that_was_made_of_an_outage_is_a_503(site: Site, view: View) -> None:
    """Whoever sees a 500 does not try again (rule 12)."""
    browser = down(site, lambda config: config.add_exception_view(lambda *_: Response("oops", 500), context=Exception))
    answer = browser.visit(view)

    assert (answer.status_int, answer.headers["Retry-After"]) == (503, "5")


def test_error_that_has_nothing_to_do_with_the_session_stays(site: Site) -> None:
    """Nobody looked at it, so nobody met the outage."""
    browser = down(site)

    assert browser.visit(lambda request: Response(f"oops {type(request.session)}", 500)).status_int == 500


def test_page_that_can_do_without_the_session_stays(site: Site) -> None:
    """Only a server error is taken for the outage's."""

    def view(request: Any) -> Response:
        answer = answers_itself(request)
        answer.status_int = 200
        return answer

    assert down(site).visit(view).text == "oops"


def test_outage_closes_the_file_that_is_not_sent(site: Site, browser: Browser, tmp_path: Path) -> None:
    """A file that is left open would be a warning, and warnings are errors here."""
    file = tmp_path / "file.txt"
    file.write_text("hello")
    browser.visit(write("n", 1))
    site.store.broken = {"replace"}

    def view(request: Any) -> FileResponse:
        request.session["n"] = 2
        return FileResponse(file, request)

    assert browser.visit(view).status_int == 503


def test_factory_alone_lets_an_outage_out(site: Site) -> None:
    """Whoever does not include the rest answers it himself."""
    with Configurator(session_factory=session_factory(site.manager)) as config:
        config.add_view(respond)
        browser = Browser(config.make_wsgi_app())
    browser.visit(write("n", 1))

    for call in ("load", "replace"):
        site.store.broken = {call}
        with pytest.raises(StoreUnavailable):
            browser.visit(write("n", 2))
    site.store.broken = {"load"}
    assert browser.visit(answers_itself).text == "oops"


# Before, around and after the view ----------------------------------------------------------------------------------


def test_callback_that_comes_later_may_start_the_session(site: Site) -> None:
    """The session is saved after all response callbacks, in whatever order they were added."""

    def track(request: Any, response: Any) -> None:
        request.session["last"] = request.path

    def begin(event: Any) -> None:
        assert event.request.session.get("last") in (None, "/")  # which makes our own callback the first
        event.request.add_response_callback(track)

    browser = site.browser(lambda config: config.add_subscriber(begin, NewRequest))

    assert "Set-Cookie" in browser.visit(lambda request: "hello").headers
    assert browser.read() == {"last": "/"}


def test_subscriber_to_the_response_may_write_to_a_session_that_is_there(site: Site) -> None:
    """The cookie is settled by then, so a session cannot begin any more: that is refused aloud."""

    def late(event: Any) -> None:
        if event.request.environ.get("test.late"):
            event.request.session["late"] = True

    browser = site.browser(lambda config: config.add_subscriber(late, NewResponse))
    with pytest.raises(SessionClosed):
        browser.visit(lambda request: request.session.get("n"), environ={"test.late": True})
    browser.visit(write("n"))
    browser.visit(lambda request: request.session.get("n"), environ={"test.late": True})

    assert browser.read() == {"n": True, "late": True}


def test_subscriber_that_is_the_first_to_look_can_read_only(site: Site) -> None:
    """What it writes is dropped, which is told."""

    def late(event: Any) -> None:
        if event.request.environ.get("test.late"):
            seen.append(event.request.session["n"])
            event.request.session["late"] = True

    seen: list[Any] = []
    browser = site.browser(lambda config: config.add_subscriber(late, NewResponse))
    browser.visit(write("n", 1))
    browser.visit(lambda request: "hello", environ={"test.late": True})

    assert seen == [1]
    assert browser.read() == {"n": 1}
    assert site.dropped() == [("late",)]


class Refusing:
    """Takes part in a transaction, and votes against it."""

    transaction_manager = transaction.manager

    def __getattr__(self, name: str) -> Callable[[Any], None]:
        return lambda _transaction: None

    def tpc_vote(self, _transaction: Any) -> None:
        raise LookupError("no room")

    def sortKey(self) -> str:
        return "refusing"


def test_transaction_that_cannot_be_committed_leaves_the_session_as_it_was(site: Site) -> None:
    """pyramid_tm commits before the session is saved, so one that is refused stops both."""
    browser = site.browser(lambda config: config.include("pyramid_tm"))

    def view(request: Any) -> None:
        request.session["bought"] = True
        request.tm.get().join(Refusing())

    with pytest.raises(LookupError, match="no room"):
        browser.visit(view)
    assert browser.read() == {}
    assert site.dropped() == [("bought",)]


@pytest.mark.parametrize("look", [get_session, lambda request: request.session], ids=["ours", "pyramid's"])
def test_each_try_has_a_session_of_its_own(site: Site, look: Callable[[Any], Any]) -> None:
    """pyramid_retry passes the environ on once more. What the first try wrote is gone, whoever looks first."""
    browser = site.browser(lambda config: config.include("pyramid_retry"))
    browser.visit(write("n", 1))
    tries: list[Any] = []

    def view(request: Any) -> str:
        session = look(request)
        tries.append(dict(session))
        session["n"], session[f"try{len(tries)}"] = session["n"] + 1, True
        if len(tries) == 1:
            raise RetryableException
        return "done"

    assert browser.visit(view).text == "done"
    assert tries == [{"n": 1}, {"n": 1}]
    assert browser.read() == {"n": 2, "try2": True}


def test_subrequest_shares_the_session_that_it_is_given(browser: Browser) -> None:
    """A copy of the request has it, and so has a request to which it was assigned. The outer one saves."""

    def inner(request: Any) -> None:
        request.session.setdefault("inner", []).append(request.path)

    def view(request: Any) -> str:
        request.session["outer"] = True
        subrequest = Request.blank("/assigned", environ={"test.view": inner})
        subrequest.session = request.session
        copied = request.copy()
        copied.environ["test.view"], copied.path_info = inner, "/copied"
        inside = [request.invoke_subrequest(each) for each in (subrequest, copied)]
        return str(sum(len(each.headers.getall("Set-Cookie")) for each in inside))

    answer = browser.visit(view)

    assert (answer.text, len(answer.headers.getall("Set-Cookie"))) == ("0", 1)
    assert browser.read() == {"outer": True, "inner": ["/assigned", "/copied"]}


def test_subrequest_of_its_own_is_another_visitors(browser: Browser) -> None:
    """It brings no cookie, so its session is its own, and so is the cookie in its response."""

    def view(request: Any) -> str:
        request.session["outer"] = True
        subrequest = Request.blank("/", environ={"test.view": write("inner")})
        return str(len(request.invoke_subrequest(subrequest, use_tweens=True).headers.getall("Set-Cookie")))

    assert browser.visit(view).text == "1"
    assert browser.read() == {"outer": True}


# Tokens for forms ---------------------------------------------------------------------------------------------------

POLICIES = {
    "ours": None,
    "legacy": LegacySessionCSRFStoragePolicy,
    "session": SessionCSRFStoragePolicy,
    "cookie": CookieCSRFStoragePolicy,
}
each_policy = pytest.mark.parametrize("policy", POLICIES)


def shop(site: Site, policy: str) -> Browser:
    """A site whose forms are checked, by this policy."""

    def setup(config: Any) -> None:
        config.set_default_csrf_options(require_csrf=True)
        if POLICIES[policy] is not None:
            config.set_csrf_storage_policy(POLICIES[policy]())

    return site.browser(setup)


def send(
    browser: Browser, token: str, view: View = lambda request: "sent", headers: dict[str, str] = SAME_ORIGIN
) -> int:
    answer = browser.client.post(
        "/",
        {"csrf_token": token},
        headers=headers,
        extra_environ={"test.view": view},
        expect_errors=True,
    )
    status: int = answer.status_int
    return status


@each_policy
def test_form_of_one_hour_can_be_sent_in_the_next(site: Site, policy: str, clock: Clock) -> None:
    """Loaded at half past, sent half an hour and a minute later, by somebody who was never here before."""
    browser = shop(site, policy)
    clock.now = 1_700_000_000 // HOUR * HOUR + 1800.0
    token = browser.visit(get_csrf_token).text
    clock.tick(1860)

    assert (send(browser, token), send(browser, token[:-1] + "!"), send(browser, "")) == (200, 400, 400)


@pytest.mark.parametrize(
    ("policy", "status"),
    [("ours", 200), ("cookie", 200), ("legacy", 400), ("session", 400)],
    ids=lambda each: str(each),
)
def test_strangers_form_that_waits_for_hours(site: Site, policy: str, status: int, clock: Clock) -> None:
    """What keeps the token in a session has only what a stranger's session has: `Timeouts.unconfirmed`, an hour."""
    browser = shop(site, policy)
    token = browser.visit(get_csrf_token).text
    clock.tick(5 * HOUR)

    assert send(browser, token) == status


def test_strangers_form_stores_nothing_under_ours(site: Site) -> None:
    """No record, no cookie, however many forms are read and refused."""
    browser = shop(site, "ours")
    pages = [browser.visit(get_csrf_token), browser.visit(get_csrf_token)]
    refused = send(browser, "x")

    assert [page.headers.getall("Set-Cookie") for page in pages] == [[], []]
    assert (refused, site.store.records) == (400, [])


@pytest.mark.parametrize("policy", ["ours", "legacy"])
def test_token_is_the_same_within_a_page_and_after_it(site: Site, policy: str) -> None:
    """Two forms of one page have one token, also if the page begins the session."""
    browser = shop(site, policy)

    def page(request: Any) -> str:
        first: str = get_csrf_token(request)
        request.session["n"] = 1
        assert get_csrf_token(request) == first
        return first

    token = browser.visit(page).text

    assert send(browser, token) == 200


@each_policy
def test_new_token_takes_the_place_of_the_earlier_one(site: Site, policy: str) -> None:
    """As views do at a change of privilege."""
    browser = shop(site, policy)
    browser.visit(write("n"))
    earlier = browser.visit(get_csrf_token).text
    later = browser.visit(lambda request: (new_csrf_token(request), get_csrf_token(request))).text[2:-2].split("', '")

    assert later[0] == later[1] != earlier
    assert (send(browser, later[0]), send(browser, earlier)) == (200, 400)


@pytest.mark.parametrize("policy", ["ours", "legacy"])
def test_login_makes_forms_from_before_it_worthless(site: Site, policy: str) -> None:
    """Whoever planted the earlier session knows its token."""
    browser = shop(site, policy)
    browser.visit(write("n"))
    before = browser.visit(get_csrf_token).text
    browser.visit(lambda request: setattr(request.session.sessionware, "username", "ada"))

    assert send(browser, before) == 400
    assert send(browser, browser.visit(get_csrf_token).text) == 200


@each_policy
def test_other_site_with_a_visitors_token_is_refused(site: Site, policy: str) -> None:
    """It can fetch one for itself, which is the same for all visitors, and send it with somebody's cookie."""
    visitors = site.browser().visit(lambda request: get_session(request).csrf_token).text
    browser = shop(site, policy)
    browser.visit(write("n"))
    stranger = shop(site, policy)

    assert send(browser, visitors, headers=CROSS_SITE) == 400
    assert send(stranger, visitors, headers=CROSS_SITE) == 400


@pytest.mark.parametrize(("policy", "status"), [("ours", 200), ("legacy", 400)])
def test_second_click_on_a_login_form(site: Site, policy: str, status: int) -> None:
    """The first has replaced the cookie. Ours takes the form all the same; Pyramid's own can only compare."""
    browser = shop(site, policy)
    browser.visit(write("n"))
    token = browser.visit(get_csrf_token).text
    second = browser.tab()
    assert send(browser, token, lambda request: setattr(request.session.sessionware, "username", "ada")) == 200

    assert send(second, token) == status


def test_file_in_the_place_of_a_token_is_refused(site: Site) -> None:
    """With a 400, as any other wrong token."""
    browser = shop(site, "ours")
    answer = browser.client.post(
        "/",
        upload_files=[("csrf_token", "token.txt", b"x")],
        extra_environ={"test.view": lambda request: "sent"},
        expect_errors=True,
    )

    assert answer.status_int == 400


# Setting up ---------------------------------------------------------------------------------------------------------


def included(**settings: Any) -> Any:
    """A configuration with the include by the settings, as from an ini file."""
    names = {"pyramid.includes": "sessionware.contrib.pyramid"}
    config = Configurator(settings={**names, **{f"sessionware.{name}": value for name, value in settings.items()}})
    config.commit()
    return config


def test_ini_settings_make_the_manager(tmp_path: Path) -> None:
    """It is found in the settings, for scripts and for whatever is wrapped around."""
    (tmp_path / "secret").write_text(SECRET)
    store = f"sqlite:///{tmp_path}/app.db"
    config = included(secret_file=tmp_path / "secret", store=store, timeout_idle="600", cookie_name="shop")
    config.add_view(respond)

    written = Browser(config.make_wsgi_app()).visit(write("n"))

    manager = config.registry.settings["sessionware.manager"]
    assert written.headers["Set-Cookie"].startswith("shop=")
    assert (manager.timeouts.idle, manager.stats()["live"]) == (600, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "Set either sessionware.secret or sessionware.secret_file; neither is set"),
        ({"secret": SECRET, "stroe": "memory://"}, "sessionware.stroe: there is no such setting"),
        ({"secret": "short"}, "sessionware.secret: "),
        ({"manager": "sqlite:///app.db"}, "sessionware.manager must be a SessionManager"),
        ({"manager": None}, "sessionware.manager must be a SessionManager"),
        (
            {"manager": SessionManager(SECRET), "timeout_idle": "600"},
            "timeout_idle: set the manager or",
        ),
    ],
    ids=["nothing", "misspelt", "short secret", "text", "none", "both"],
)
def test_wrong_settings_are_told_at_the_start(settings: dict[str, Any], message: str) -> None:
    """By the names that were written."""
    with pytest.raises(ConfigError, match=message):
        included(**settings)


def test_wrong_settings_show_no_secret() -> None:
    """Also where a traceback shows what each of our lines had in its hands."""
    with pytest.raises(ConfigError) as failed:
        included(secret=SECRET, stroe="memory://")

    frames = TracebackException.from_exception(failed.value, capture_locals=True).stack
    ours = [frame for frame in frames if "sessionware" in frame.filename]

    assert "includeme" in [frame.name for frame in ours]
    assert not [frame.name for frame in ours if SECRET in str(frame.locals)]


@pytest.mark.parametrize("how", ["set", "given"])
def test_second_factory_is_refused(site: Site, how: str) -> None:
    """Pyramid would take the application's, without a word. It puts our `ConfigError` into an error of its own."""
    own = SignedCookieSessionFactory(SECRET)
    settings = {"sessionware.manager": site.manager}
    config = Configurator(settings=settings, session_factory=own if how == "given" else None)
    config.include("sessionware.contrib.pyramid")
    if how == "set":
        config.set_session_factory(own)

    with pytest.raises(ConfigurationExecutionError, match="Remove the other"):
        config.make_wsgi_app()


def test_factory_takes_a_manager_and_nothing_else() -> None:
    """Not a secret, as the factories of others do."""
    with pytest.raises(ConfigError, match="SessionManager"):
        session_factory(SECRET)  # type: ignore[arg-type]


def code_on(page: str, wanted: str) -> str:
    """The block of a page of the documentation in which this is."""
    text = (dev.ROOT / "docs" / page).read_text(encoding="utf-8")
    (code,) = [block.code for block in blocks(text) if wanted in block.code]
    return code


def policy_on_the_page(auth: Auth, users: MemoryUsers) -> Any:
    code = code_on("pyramid.md", "class SecurityPolicy")
    assert len([line for line in code.partition("class ")[2].splitlines() if line]) <= 20
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    return namespace["SecurityPolicy"](auth, users)


def test_security_policy_on_the_page(site: Site) -> None:
    """A few lines, with which Pyramid's own `remember` and `forget` log in and out."""
    users = MemoryUsers()
    auth = Auth(users, hasher=Argon2Hasher(time_cost=1, memory_cost=8))
    ada = auth.register(site.manager, "Ada", PASSWORD, login=False)
    policy = policy_on_the_page(auth, users)
    browser = site.browser(lambda config: config.set_security_policy(policy))

    def who(request: Any) -> str:
        return f"{request.identity and request.identity.username} {request.authenticated_userid == ada.id}"

    assert verifyObject(ISecurityPolicy, policy, tentative=True)  # it need not declare it
    assert browser.visit(who).text == "None False"
    assert browser.visit(lambda request: remember(request, ada.id)).text == "[]"
    assert browser.visit(who).text == "Ada True"
    assert browser.visit(lambda request: forget(request), "POST").text == "[]"
    assert browser.visit(who).text == "None False"


class MembersOnly:
    __acl__: ClassVar = [(Allow, Authenticated, "buy")]


def test_security_policy_for_accounts_of_ones_own(site: Site) -> None:
    """The page's second. "Remember me" and "log out everywhere" are there too."""
    namespace: dict[str, Any] = {"get_session": get_session}
    exec(code_on("pyramid.md", "class SecurityPolicy"), namespace)
    exec(code_on("pyramid.md", "class ShopPolicy"), namespace)
    policy = namespace["ShopPolicy"]({"7": "Ann"})
    browser = site.browser(lambda config: config.set_security_policy(policy))

    def who(request: Any) -> tuple[Any, ...]:
        return request.identity, request.authenticated_userid, bool(policy.permits(request, MembersOnly, "buy"))

    assert browser.visit(who).text == "(None, None, False)"
    kept = browser.visit(lambda request: remember(request, "7", max_age="3600"), "POST")
    assert "Max-Age=3600" in kept.headers["Set-Cookie"]
    assert browser.visit(who).text == "('Ann', '7', True)"
    assert site.manager.end_all(user_id="7") == 1
    assert browser.visit(lambda request: request.identity).text == "None"
    browser.visit(lambda request: remember(request, "7"), "POST")
    browser.visit(lambda request: forget(request), "POST")
    assert browser.visit(lambda request: request.identity).text == "None"


def test_moved_visitor_may_come_back_hours_later(monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path) -> None:
    """By the page's code, with the cart. The old cookie is gone by then."""
    monkeypatch.chdir(tmp_path)
    Path("session-secret").write_text(SECRET)
    names: dict[str, Any] = {}
    exec(code_on("coming-from-pyramid-sessions.md", "def take_over"), names)
    site = Site(clock)
    with Configurator(session_factory=SignedCookieSessionFactory("the secret of the old sessions")) as config:
        config.add_view(respond)
        browser = Browser(config.make_wsgi_app())
    browser.visit(write("cart", ["tea"]))

    moved = Browser(site.app(lambda config: config.add_subscriber(names["take_over"], NewRequest)))
    moved.client.cookiejar.set_cookie(next(iter(browser.client.cookiejar)))
    moved.visit(lambda request: "hello")
    clock.tick(2 * HOUR)

    assert set(moved.client.cookies) == {"sid"}
    assert moved.read() == {"cart": ["tea"]}


# Two requests at once -----------------------------------------------------------------------------------------------


def lost_by(browser: Browser) -> int:
    """How many of 200 writes are lost, of pairs of requests that overlap."""
    browser.visit(write("begun"))
    meeting = Meeting()

    def put(key: str) -> None:
        def view(request: Any) -> None:
            assert request.session["begun"]
            meeting.wait()
            request.session[key] = True

        assert browser.visit(view).status_int == 200

    return lost_writes(put, browser.read)


def test_parallel_writes_all_stay(browser: Browser) -> None:
    """Differences are saved, never copies."""
    assert lost_by(browser) == 0


def test_parallel_writes_to_pyramids_own_sessions_are_lost() -> None:
    """One of two, because a cookie holds the whole session: what docs/pyramid.md says. Few fit, so they are deleted."""
    with Configurator(session_factory=SignedCookieSessionFactory(SECRET)) as config:
        config.add_view(respond)
        browser = Browser(config.make_wsgi_app())

    assert lost_by(browser) == 100
